-- Shows help, manual pages, and what shells need for completion:
--
--     banger-lua help pull
--     source <(banger-lua help --completion bash)
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local commands = require "banger.commands"
local json = require "banger.json"
local manual = require "banger.manual"
local output = require "banger.output"

local parser = argparse("banger-lua help", "Show help of a recipe, manual pages, and completions for shells.")
parser:argument("command", "A recipe; without one, all are listed."):args "?"
parser:mutex(
  parser:flag("--man", "Print the manual page, for man -l -; without a recipe that of banger-lua itself."),
  parser:option("--completion", "Print a script that makes a shell complete banger-lua's recipes and options."):choices(manual.SHELLS),
  parser:flag("--json", "Print as JSON what a recipe takes; without one, all recipes and a line on each."),
  parser:flag("--names", "Print only the names of all recipes."),
  parser:option("--output", "Write all manual pages and completions into a directory, as they are installed below share."):argname "DIR"
)
parser:flag("-q --quiet", "Say nothing on stderr but warnings and errors; print only the names of all recipes, where nothing else is asked for.")
local options = cli.parse(parser, { ... })

local function names()
  for _, command in ipairs(commands.list()) do
    cli.write(command.name, "\n")
  end
end

local function write_all(dir)
  for _, file in ipairs(manual.files()) do
    local path = ("%s/%s"):format(dir, file.path)
    local made = banger.host.run { "mkdir", "-p", path:match "^(.*)/" }
    if made.status ~= 0 then
      banger.error("io", ("--output: %s"):format(made.err:gsub("%s*$", "")))
    end
    output.write(path, file.content)
  end
end

local function help_of(name)
  local asks = commands.parser(name)
  return asks and asks:get_help() or name .. " asks for no arguments"
end

if options.output then
  write_all(options.output)
elseif options.json then
  cli.write(json.encode(options.command and manual.describe(options.command) or commands.list()), "\n")
elseif options.completion then
  cli.write(manual.completion(options.completion))
elseif options.man then
  cli.write(manual.page(options.command))
elseif options.names or options.quiet then
  names()
elseif options.command then
  cli.write(help_of(options.command), "\n")
else
  cli.write(commands.overview())
end
