---What recipes need to be commands: arguments in, results out.
local core = require "banger.core"
local guest = require "banger.guest"
local log = require "banger.log"
local output = require "banger.output"
local schema = require "banger.image_recipe.schema"
local size = require "banger.size"
local sorted = require "banger.sorted"

-- What mkext4 makes at most; just over, so that the core has the last word.
local MAX_BYTES = 2 * 1024 ^ 4

local M = {}

-- Recipes that are asked for their parser: the coroutine that each runs in.
local describing = setmetatable({}, { __mode = "k" })

---The parser of a recipe, which is not run any further: it is started, and stops where it
---calls `cli.parse`. So a recipe makes its parser first and does nothing else before.
---@param recipe function # the loaded chunk
---@return table? parser # of argparse; nil: it ended without asking for its arguments
---@example
---```lua
---local parser = cli.parser_of(require "banger.recipe".load "pull")
---print(parser:get_help())
---```
---Raises what the recipe raises on the way there.
function M.parser_of(recipe)
  local thread = coroutine.create(recipe)
  describing[thread] = true
  local ok, parser = coroutine.resume(thread)
  local stopped = coroutine.status(thread) == "suspended"
  coroutine.close(thread)
  if not ok then
    error(parser, 0)
  end
  return stopped and parser or nil
end

local function has_option(parser, name)
  for _, option in ipairs(parser._options) do
    for _, alias in ipairs(option._aliases) do
      if alias == name then
        return true
      end
    end
  end
  return false
end

local HELP_WIDTH = 100

---Say what a recipe ends with besides what all end with: help and the manual page show it.
---@param parser table # of argparse
---@param rows string[][] # an exit status, and when
---@example
---```lua
---cli.exits(parser, { { "1", "they differ" } })
---```
function M.exits(parser, rows)
  parser._exits = rows
  local get_help = parser.get_help
  function parser:get_help()
    local lines = { get_help(self), "", "Exit status:" }
    for _, row in ipairs(rows) do
      lines[#lines + 1] = ("   %-6s %s"):format(row[1], row[2])
    end
    return table.concat(lines, "\n")
  end
end

-- What every recipe has.
local function add_common(parser)
  parser:help_max_width(HELP_WIDTH)
  local both = {}
  if not has_option(parser, "--log-level") then
    both[1] = parser:option("--log-level", "What is said on stderr: only errors, warnings too, what is done too (info; the default, "
      .. "or $BANGER_LOG), or requests too (debug)."):choices(log.LEVELS)
  end
  if not has_option(parser, "-v") and not has_option(parser, "--verbose") then
    both[#both + 1] = parser:flag("-v --verbose", "The same as --log-level debug.")
  end
  parser:mutex(table.unpack(both))
end

-- argparse's messages, in one line.
local function one_line(message)
  return (message:gsub("%s*\n%s*", "; "):gsub("; Did you mean", "; did you mean"))
end

-- Values that are names of something; none has an empty one, which an unset variable of a
-- shell becomes.
local NAMES = {
  FILE = true, DIR = true, SOCKET = true, HOST = true, GUEST = true, RECIPE = true, PATH = true, ITEM = true, COMMAND = true,
  USER = true,
}

local function has_empty(value)
  if type(value) ~= "table" then
    return value == ""
  end
  for _, item in ipairs(value) do
    if has_empty(item) then
      return true
    end
  end
  return false
end

local function refuse_empty(parser, options)
  for _, argument in ipairs(parser._arguments) do
    if has_empty(options[argument:_get_default_target()]) then
      parser:error(("argument '%s' is empty"):format(argument._name))
    end
  end
  for _, option in ipairs(parser._options) do
    local takes = option._maxargs > 0 and option:_get_argname(1)
    if NAMES[takes] and has_empty(options[option:_get_default_target()]) then
      parser:error(("option '%s' is given an empty %s"):format(option._name, takes))
    end
  end
  for _, command in ipairs(parser._commands) do
    refuse_empty(command, options)
  end
end

---Parse a recipe's arguments. `--help` prints the help and exits 0. Besides the recipe's own
---options there are `--log-level` and `-v`; with `-q` warnings are said, and no notes.
---@param parser table # of argparse
---@param args string[]
---@return table<string, any>
---@example
---```lua
---local options = cli.parse(argparse "banger-lua pull", { ... })
---```
---Raises `usage` with one line that says what is wrong.
function M.parse(parser, args)
  add_common(parser)
  if describing[coroutine.running()] then
    coroutine.yield(parser)
  end
  -- Not pparse: it makes a string of every error that passes, of a signal too.
  function parser.error(_, message)
    core.error("usage", ("%s (see --help)"):format(one_line(message)))
  end
  local options = parser:parse(args)
  refuse_empty(parser, options)
  log.set(options.log_level or options.verbose and "debug" or options.quiet and "warn" or nil)
  return options
end

---What is before `--`, and what is after it: that is another program's.
---@param args string[]
---@return string[] own
---@return string[] others
function M.split(args)
  for i, word in ipairs(args) do
    if word == "--" then
      return { table.unpack(args, 1, i - 1) }, { table.unpack(args, i + 1) }
    end
  end
  return args, {}
end

---A converter for argparse: a size such as 4G to bytes.
---@param option string # its name, for messages
---@param words? table<string, true> # taken as they are, such as { min = true }; then 0 is no size either
---@return fun(text: string): integer|string|nil, string?
function M.size(option, words)
  return function(text)
    if words and words[text] then
      return text
    end
    local bytes, message = size.parse(text)
    if bytes and bytes > MAX_BYTES then
      bytes, message = nil, ("'%s' is more than the 2 TiB an image can have"):format(text)
    elseif words and bytes == 0 then
      bytes, message = nil, ("'%s' is no size: more than 0 expected"):format(text)
    end
    return bytes, message and ("%s: %s"):format(option, message)
  end
end

local MOST = 999999999

---A converter for argparse: a whole number within bounds, in plain digits.
---@param option? string # its name, for messages; nil: the message is without one
---@param least integer
---@param most? integer # default: nine digits
---@return fun(text: string): integer?, string?
---@example
---```lua
---parser:option("--cpus"):convert(cli.number("--cpus", 1, 255))
---```
function M.number(option, least, most)
  return function(text)
    local value = text:find "^%d+$" and math.tointeger(tonumber(text))
    if not value or value < least or value > (most or MOST) then
      local bounds = most and ("from %d to %d"):format(least, most) or ("from %d on"):format(least)
      return nil, ("%s'%s' is no number %s"):format(option and option .. ": " or "", text, bounds)
    end
    return value
  end
end

local seconds = { [""] = 1, s = 1, m = 60, h = 3600, d = 86400, w = 7 * 86400 }

---A converter for argparse: the file to make, which cannot be stdout.
---@param text string
---@return string?
---@return string? message
function M.output(text)
  if text == "-" then
    return nil, "the image cannot go to stdout: name a file (./- is one of that name)"
  end
  return text
end

---A converter for argparse: a time span such as 30d to seconds.
---@param option string # its name, for messages
---@param most? integer # seconds
---@return fun(text: string): integer?, string?
function M.duration(option, most)
  return function(text)
    local number, unit = text:match "^(%d+)(%a?)$"
    if not number or #number > 9 or not seconds[unit] then
      return nil, ("%s: '%s' is no time span: a number with s, m, h, d or w expected"):format(option, text)
    end
    local span = math.tointeger(number) * seconds[unit]
    if most and span > most then
      return nil, ("%s: '%s' is too long: %d seconds at most"):format(option, text, most)
    end
    return span
  end
end

---A converter for argparse: a text that may not be longer than some bytes.
---@param option string # its name, for messages
---@param limit integer # bytes
---@return fun(text: string): string?, string?
function M.text(option, limit)
  return function(text)
    if #text > limit then
      return nil, ("%s: '%s' has %d bytes; at most %d fit"):format(option, text, #text, limit)
    end
    return text
  end
end

---Add the options that say how registries and the cache are used.
---@param parser table # of argparse
function M.registry_options(parser)
  parser:option("--authfile", "A file of credentials, as podman login and docker login write them."):argname "FILE"
  parser:option("--tls-verify", "Whether a registry must prove who it is; false allows plain HTTP too.", "true")
    :choices { "true", "false" }
  parser:option("--jobs", "Downloads at once; default 6."):argname("N"):convert(M.number("--jobs", 1, 64))
  parser:option("--pull", "Ask the registry what a tag stands for: always, only when the cache has it not, never.")
    :choices { "always", "missing", "never" }
  parser:flag("--offline", "Use nothing but the cache; the same as --pull never.")
  parser:mutex(
    parser:option("--cache-dir", "Where blobs are kept; default $BANGER_CACHE, else $XDG_CACHE_HOME/banger/oci.")
      :argname "DIR",
    parser:flag("--no-cache", "Keep nothing that is downloaded.")
  )
end

---Add the options that say what a guest gets.
---@param parser table # of argparse
function M.guest_options(parser)
  parser:option("--init", "What the kernel runs first: auto finds out (the default), native, banger, none, or the path of a program in the image.")
    :argname("INIT"):convert(guest.init_option)
  parser:option("--hostname", "The machine's name."):argname("NAME"):convert(M.checked("--hostname", "hostname"))
  parser:flag("--agent", "Add the agent that banger-lua exec talks to.")
  parser:option("--without", "An item of what a guest needs, to be left out (several times): see --print-plan.")
    :argname("ITEM"):count("*"):convert(guest.check_item)
  parser:flag("--no-inject", "Add nothing to the image: neither what a bootable system needs nor what recipes say. None apply by themselves then.")
end

-- A converter that is the check of an image recipe's key.
function M.checked(option, key)
  return function(text)
    local value, message = schema.keys[key].check(text)
    return value, message and ("%s: %s"):format(option, message)
  end
end

local function definition(text)
  local name, value = text:match "^([%a_][%w_-]*)=(.*)$"
  if not name then
    return nil, ("-D: '%s' is no NAME=VALUE"):format(text)
  end
  return { name = name, value = value }
end

---Add the options about image recipes.
---@param parser table # of argparse
function M.recipe_options(parser)
  parser:option("--recipe", "An image recipe, by its name or path (several times, in order)."):argname("RECIPE"):count("*")
  parser:option("-D --define", "Set a variable of the recipes."):argname("NAME=VALUE"):count("*"):convert(definition)
  parser:flag("--no-image-recipes", "Apply no recipes but those named.")
  parser:flag("--print-plan", "Print what is added to the image, and why (--json has it anyway).")
  parser:flag("--dry-run", "Print that and stop: nothing is written.")
end

---What image recipes can use besides Lua's own.
---@param banger table
---@return table<string, any>
function M.recipe_globals(banger)
  return {
    banger = banger,
    note = function(text)
      M.note("%s", tostring(text))
    end,
  }
end

---What `image_recipe.load` wants of the options.
---@param options table # parsed
---@param globals table<string, any>
---@return table
function M.recipe_choice(options, globals)
  local variables = {}
  for _, definition_of in ipairs(options.define) do
    variables[definition_of.name] = definition_of.value
  end
  local only_named = options.no_image_recipes or options.no_inject
  return { names = options.recipe, variables = variables, only_named = only_named, globals = globals }
end

-- What a recipe may say that is not about what is in the image.
local OUTSIDE = { description = true, match = true, use = true, platform = true, size = true, free = true, label = true }

-- A key of a recipe that says what is in the image, and whose recipe it is.
local function content_key(recipes)
  for _, recipe in ipairs(recipes.list) do
    for _, key in ipairs(sorted(recipe.values)) do
      if recipe.values[key] and not OUTSIDE[key] then
        return key, recipe.name
      end
    end
  end
end

---Refuse what --no-inject would leave out.
---@param options table # parsed
---@param recipes banger.image_recipes
---Raises `usage`.
function M.check_no_inject(options, recipes)
  if not options.no_inject then
    return
  end
  for _, name in ipairs { "hostname", "agent", "init" } do
    if options[name] and options[name] ~= "none" then
      core.error("usage", ("--no-inject and --%s exclude each other"):format(name))
    end
  end
  local key, recipe = content_key(recipes)
  if key then
    core.error("usage", ("--no-inject and --recipe exclude each other: %s says '%s'"):format(recipe, key))
  end
end

---What recipes say, and the command line over it.
---@param settings banger.recipe_settings
---@param options table # parsed
---@return banger.recipe_settings
function M.settings(settings, options)
  if options.size or options.free then
    settings.size, settings.free = options.size, options.free
  end
  for _, name in ipairs { "label", "platform", "init", "hostname", "agent" } do
    if options[name] ~= nil then
      settings[name], settings.by[name] = options[name], nil
    end
  end
  for _, item in ipairs(options.without) do
    settings.items[item] = false
  end
  return settings
end

---What `source.resolve` wants of them.
---@param options table # parsed
---@param platform? string
---@param shown banger.progress
---@return table
function M.source_options(options, platform, shown)
  if options.offline and options.pull and options.pull ~= "never" then
    core.error("usage", ("--offline and --pull %s exclude each other"):format(options.pull))
  end
  return {
    platform = platform,
    authfile = options.authfile,
    tls_verify = options.tls_verify ~= "false",
    jobs = options.jobs,
    pull = options.offline and "never" or options.pull,
    cache_dir = options.cache_dir,
    no_cache = options.no_cache,
    temp = options.out:match "^(.+)/[^/]*$" or (options.out:find "^/" and "/") or ".",
    note = function(text)
      shown:note(text)
    end,
    warn = function(text)
      M.warn("%s", text)
    end,
  }
end

---Pass a value on; nil and a message are a usage error.
---@generic T
---@param value T?
---@param message? string
---@return T
---Raises `usage`.
function M.check(value, message)
  if value == nil then
    core.error("usage", message)
  end
  return value
end

---Write results to stdout, and make sure that they arrived.
---@param ... string
---@example
---```lua
---cli.write(path, "\n")
---```
---Raises `io`, `no_space`.
function M.write(...)
  output.check("to stdout", io.stdout:write(...))
  output.check("to stdout", io.stdout:flush())
end

---Say something to people, on stderr; `-q` silences it.
---@param format string # of string.format
---@param ... any
---@example
---```lua
---cli.note("%s goes", name) --> banger-lua: nginx goes
---```
function M.note(format, ...)
  log.say("info", format, ...)
end

---Warn people, on stderr, also with `-q`.
---@param format string # of string.format
---@param ... any
---@example
---```lua
---cli.warn("%s is missing", path)
---```
function M.warn(format, ...)
  log.say("warn", format, ...)
end

return M
