---Manual pages, in man's macros: of the program, and of each recipe.
local M = {}

local WIDTH = 78 -- of a line of the source

-- A dash is a minus, a backslash is one, and no line begins with a request.
local function escape(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  return (text:gsub("^([.'])", "\\&%1"):gsub("\n([.'])", "\n\\&%1"))
end

-- Running text, in lines.
local function fill(text)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if line ~= "" and #line + #word >= WIDTH then
      lines[#lines + 1], line = line, ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = line
  return escape(table.concat(lines, "\n"))
end

-- A day for the page's foot, of SOURCE_DATE_EPOCH: what is made twice is the same.
local function day(epoch)
  local seconds = tonumber(epoch or "")
  return seconds and os.date("!%Y-%m-%d", math.floor(seconds)) or ""
end

local function head(name, about)
  return ('.TH %s 1 "%s" "banger-lua %s" "banger-lua"\n'):format(escape(name:upper()), day(about.epoch), about.version)
end

local function section(name, ...)
  return (".SH %s\n%s\n"):format(name, table.concat({ ... }, "\n"))
end

local function tagged(tag, text)
  return (".TP\n%s\n%s"):format(tag, text == "" and "\\&" or fill(text))
end

local function bold(text)
  return "\\fB" .. escape(text) .. "\\fR"
end

local function italic(text)
  return "\\fI" .. escape(text) .. "\\fR"
end

-- As help shows them: <size> is a size, {a,b} is one of these.
local function value_name(value)
  local name = value.name:match "^<(.*)>$" or value.name
  return name:find "^{" and escape(name) or italic(name)
end

local function option_tag(option)
  local names = {}
  for i, name in ipairs(option.names) do
    names[i] = bold(name)
  end
  local tag = table.concat(names, ", ")
  for _, value in ipairs(option.values) do
    tag = tag .. " " .. value_name(value)
  end
  return tag
end

local function options_of(command)
  local lines = {}
  for i, option in ipairs(command.options) do
    lines[i] = tagged(option_tag(option), option.help .. (option.repeats and not option.help:find "repeated"
      and not option.help:find "several" and " May be repeated." or ""))
  end
  return table.concat(lines, "\n")
end

local function arguments_of(command)
  local lines = {}
  for i, argument in ipairs(command.arguments) do
    lines[i] = tagged(italic(argument.name), argument.help)
  end
  return table.concat(lines, "\n")
end

-- The usage as argparse breaks it, with the words of options in bold.
local function synopsis(usage)
  local lines = {}
  for line in usage:gmatch "[^\n]+" do
    lines[#lines + 1] = escape(line:gsub("^%s+", "    "))
  end
  return ".nf\n" .. table.concat(lines, "\n") .. "\n.fi"
end

-- The third of a row: only who asks registries ends with that, unless it says so itself.
local EXIT = {
  { "0", "done" },
  { "1", "a mistake in the command line or in a script, or what has no code of its own" },
  { "2", "no such repository, tag, digest or file" },
  { "3", "credentials are missing or refused", "registry" },
  { "4", "the network stays down, or what answers is no registry", "registry" },
  { "5", "no such platform; those there are are listed", "registry" },
  { "6", "bytes that do not match their digest, or a layer that is corrupt or hostile", "registry" },
  { "7", "no space, on the disk or in the image" },
  { "130", "interrupted" },
}

-- Each status once: what a recipe says of its own counts. First those that are no numbers.
local function exit_status(own, asks_registries)
  local rows, seen = {}, {}
  for _, row in ipairs(own or {}) do
    rows[#rows + 1], seen[row[1]] = row, true
  end
  for _, row in ipairs(EXIT) do
    if not seen[row[1]] and (asks_registries or not row[3]) then
      rows[#rows + 1] = row
    end
  end
  table.sort(rows, function(a, b)
    return (tonumber(a[1]) or -1) < (tonumber(b[1]) or -1)
  end)
  for i, row in ipairs(rows) do
    rows[i] = tagged(bold(row[1]), row[2] .. ".")
  end
  return table.concat(rows, "\n")
end

-- Who may ask a registry can be told its credentials.
local function asks_registries(command)
  for _, option in ipairs(command.options) do
    if option.names[1] == "--authfile" then
      return true
    end
  end
  return false
end

-- One subcommand: what it is, and its options but for --help.
local function subcommand(command)
  local options = { names = {}, options = {} }
  for _, option in ipairs(command.options) do
    if option.names[1] ~= "-h" then
      table.insert(options.options, option)
    end
  end
  local lines = { tagged(bold(command.name), command.description) }
  if #options.options > 0 then
    lines[#lines + 1] = ".RS\n" .. options_of(options) .. "\n.RE"
  end
  return table.concat(lines, "\n")
end

local function commands_of(command)
  local lines = {}
  for i, sub in ipairs(command.commands) do
    lines[i] = subcommand(sub)
  end
  return table.concat(lines, "\n")
end

---What the page of a recipe needs to know besides.
---@class banger.manual.about
---@field version string
---@field epoch? string # SOURCE_DATE_EPOCH

---The page of a recipe.
---@param command banger.manual.command
---@param about banger.manual.about
---@return string
function M.of_command(command, about)
  local name = "banger-lua-" .. command.name
  local parts = {
    head(name, about),
    section("NAME", ("%s \\- %s"):format(escape(name), escape((command.description:gsub("%.$", ""):gsub("^%u", string.lower))))),
    section("SYNOPSIS", synopsis(command.usage)),
    section("DESCRIPTION", fill(command.description)),
  }
  if command.epilog then
    parts[#parts] = parts[#parts] .. ".PP\n" .. fill(command.epilog) .. "\n"
  end
  if #command.arguments > 0 then
    parts[#parts + 1] = section("ARGUMENTS", arguments_of(command))
  end
  if #command.commands > 0 then
    parts[#parts + 1] = section("COMMANDS", commands_of(command))
  end
  parts[#parts + 1] = section("OPTIONS", options_of(command))
  parts[#parts + 1] = section("EXIT STATUS", exit_status(command.exits, asks_registries(command)))
  parts[#parts + 1] = section("SEE ALSO", "\\fBbanger\\-lua\\fR(1)")
  return table.concat(parts)
end

local LUA_OPTIONS = {
  { "-e \\fIstat\\fR", "Run a text as Lua." },
  { "-i", "After the script, be a REPL; at an error, look around where it happened." },
  { "-l \\fImod\\fR", "Require a module, and give its global the same name." },
  { "-l \\fIg\\fR=\\fImod\\fR", "Require a module as the global g." },
  { "-v", "Show the version of Lua." },
  { "-E", "Ignore the environment: LUA_INIT, LUA_PATH, BANGER_LUA_PATH, BANGER_RECIPES, XDG_STATE_HOME, "
    .. "and the settings of the user: rc.lua and recipes. What is typed at the prompt is kept in ~/.local/state/banger/history then." },
  { "-W", "Turn warnings on." },
  { "-h, --help", "Show these options and all recipes, and exit." },
  { "--version", "Show the version of the program and of its libraries, and exit." },
  { "--debug-on-error", "At an error that nobody catches, look around where it happened." },
  { "--", "Stop handling options." },
  { "-", "Stop handling options, and run what is on standard input." },
}

local ENVIRONMENT = {
  { "BANGER_CACHE", "Where blobs are kept; default $XDG_CACHE_HOME/banger/oci, else ~/.cache/banger/oci." },
  { "BANGER_KERNEL", "The kernel that run boots, when --kernel names none." },
  { "BANGER_LOG", "What is said on standard error: error, warn, info (the default) or debug." },
  { "BANGER_RECIPES", "Directories where recipes are looked for first, with colons between them." },
  { "BANGER_LUA_PATH", "A directory whose modules go before those of the program." },
  { "REGISTRY_AUTH_FILE, DOCKER_CONFIG", "Where credentials are, as for podman and docker." },
  { "HTTP_PROXY, HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE", "As everywhere." },
  { "LUA_INIT, LUA_PATH, LUA_CPATH", "As for lua." },
  { "SOURCE_DATE_EPOCH", "The time of what pull makes; default: when the image was created." },
}

local FILES = {
  { "$XDG_CONFIG_HOME/banger/recipes/", "Recipes of yours, commands and image recipes." },
  { "$XDG_CONFIG_HOME/banger/rc.lua", "Run when a REPL begins." },
  { "$XDG_STATE_HOME/banger/history", "What was typed into it." },
  { "/.banger/build.json", "In an image: what was made, of what, and why." },
}

local function list_of(rows, tag_of)
  local lines = {}
  for i, row in ipairs(rows) do
    lines[i] = tagged(tag_of(row[1]), row[2])
  end
  return table.concat(lines, "\n")
end

-- Values in an option's tag are marked up already.
local function option_name(text)
  return "\\fB" .. text:gsub("%-", "\\-") .. "\\fR"
end

local EXAMPLES = [[
.nf
banger\-lua pull docker.io/library/nginx:1.27 web.ext4
banger\-lua check web.ext4
banger\-lua run web.ext4 \-\-forward 8080:80
.fi]]

---The page of the program.
---@param commands banger.manual.command[]
---@param about banger.manual.about
---@return string
function M.of_program(commands, about)
  local recipes, pages = {}, {}
  for i, command in ipairs(commands) do
    recipes[i] = tagged(("\\fBbanger\\-lua\\-%s\\fR(1)"):format(escape(command.name)), command.description)
    pages[i] = ("\\fBbanger\\-lua\\-%s\\fR(1)"):format(escape(command.name))
  end
  return table.concat {
    head("banger-lua", about),
    section("NAME", "banger\\-lua \\- turns container images into ext4 root file systems that boot"),
    section("SYNOPSIS", ".nf", "banger\\-lua [options] [recipe | script [arguments]]", ".fi"),
    section("DESCRIPTION",
      "What is to be done is said by a recipe, a program in Lua: one that is", "built in, or a file. A name that is no file is a recipe's.",
      "Without a recipe, on a terminal,", "\\fBbanger\\-lua\\fR", "is a REPL; with options of", "\\fBlua\\fR(1)", "it is", "\\fBlua\\fR.",
      ".PP", "Results are on standard output, everything else is on standard error.", "Each recipe takes",
      "\\fB\\-\\-help\\fR, \\fB\\-\\-log\\-level\\fR", "and", "\\fB\\-v\\fR;", "where there is something to leave out,",
      "\\fB\\-q\\fR;", "where there are results,", "\\fB\\-\\-json\\fR."),
    section("OPTIONS", list_of(LUA_OPTIONS, option_name)),
    section("RECIPES", table.concat(recipes, "\n")),
    section("EXIT STATUS", exit_status(nil, true)),
    section("ENVIRONMENT", list_of(ENVIRONMENT, bold)),
    section("FILES", list_of(FILES, italic)),
    section("EXAMPLES", EXAMPLES),
    section("SEE ALSO", table.concat(pages, ",\n")),
  }
end

return M
