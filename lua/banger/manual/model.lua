---What a command takes, read out of its argparse parser: for manual pages and completions.
---The only module that knows how argparse keeps things. Pure.
local M = {}

---How a value is completed: names of files or directories, of image recipes, of commands,
---where images come from, one of the `choices`, or not at all.
---@alias banger.manual.kind "file"|"dir"|"recipe"|"command"|"ref"|"words"|"none"

---@class banger.manual.value
---@field name string # as help shows it
---@field kind banger.manual.kind
---@field choices? string[]

---@class banger.manual.option
---@field names string[] # "-q", "--quiet"
---@field help string
---@field values banger.manual.value[]
---@field repeats boolean
---@field excludes string[] # names of the options that it cannot be with

---@class banger.manual.argument : banger.manual.value
---@field help string
---@field optional boolean
---@field repeats boolean

---@class banger.manual.command
---@field name string
---@field usage string # after "Usage: "
---@field description string
---@field epilog? string
---@field options banger.manual.option[]
---@field arguments banger.manual.argument[]
---@field commands banger.manual.command[]
---@field exits? string[][] # what it ends with, and when, besides what all do

-- What a value is, is said by its name: that of an option's value (argname), or of an argument.
local KINDS = {
  FILE = "file", DIR = "dir", RECIPE = "recipe", HOST = "file", TARGET = "file",
  out = "file", image = "file", target = "file", dest = "file", ref = "ref", recipe = "recipe", command = "command",
  a = "file", b = "file", script = "file",
}

-- Values that are words without being `choices`, which argparse would show in full.
local WORDS = {
  ITEM = function()
    local words = {}
    for i, item in ipairs(require "banger.guest".ITEMS) do
      words[i] = item.name
    end
    return words
  end,
  ADDRESS = function()
    return { "vsock:", "unix:", "hybrid:" }
  end,
}
WORDS.address = WORDS.ADDRESS

local function value_of(element, name)
  local words = element._choices or WORDS[name] and WORDS[name]()
  return { name = name, kind = words and "words" or KINDS[name] or "none", choices = words }
end

-- Names for all of its values; those that may be left out count as well.
local function values_of(element)
  local values = {}
  for i = 1, math.min(element._maxargs, 9) do
    values[i] = value_of(element, element:_get_argname(i))
  end
  return values
end

local function names_of(option)
  return table.move(option._public_aliases, 1, #option._public_aliases, 1, {})
end

local function excluded_by(parser, option)
  local names = {}
  for _, mutex in ipairs(parser._mutexes) do
    local inside = false
    for _, element in ipairs(mutex) do
      inside = inside or element == option
    end
    for _, element in ipairs(inside and mutex or {}) do
      if element ~= option and element._public_aliases then
        table.move(element._public_aliases, 1, #element._public_aliases, #names + 1, names)
      end
    end
  end
  return names
end

local function options_of(parser)
  local options = {}
  for _, option in ipairs(parser._options) do
    if not option._hidden then
      options[#options + 1] = {
        names = names_of(option),
        help = option:_get_description(),
        values = values_of(option),
        repeats = option._maxcount > 1,
        excludes = excluded_by(parser, option),
      }
    end
  end
  return options
end

local function arguments_of(parser)
  local arguments = {}
  for _, argument in ipairs(parser._arguments) do
    if not argument._hidden then
      local found = value_of(argument, argument._name)
      found.help = argument:_get_description()
      found.optional = argument._minargs == 0
      found.repeats = argument._maxargs > 1
      arguments[#arguments + 1] = found
    end
  end
  return arguments
end

---@param parser table # of argparse
---@param name string # of the command
---@return banger.manual.command
---@example
---```lua
---local pull = model.of(commands.parser "pull", "pull")
---for _, option in ipairs(pull.options) do print(option.names[1], option.help) end
---```
function M.of(parser, name)
  local commands = {}
  for i, command in ipairs(parser._commands) do
    commands[i] = M.of(command, command._name)
  end
  return {
    name = name,
    usage = (parser:get_usage():gsub("^Usage: ", "")),
    description = parser._description or "",
    epilog = parser._epilog,
    exits = parser._exits,
    options = options_of(parser),
    arguments = arguments_of(parser),
    commands = commands,
  }
end

return M
