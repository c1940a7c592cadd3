---Which recipes there are as commands, `banger-lua NAME`, and what each of them takes.
local cli = require "banger.cli"
local core = require "banger.core"
local nearest = require "banger.nearest"
local recipe = require "banger.recipe"

local M = {}

---@class banger.command
---@field name string
---@field summary string # a line without a full stop; "" when the file has none
---@field dir? string # where its file is; nil: built in
---@field path? string # of its file

-- The first sentence of the comment that a recipe begins with.
local function summary_of(text)
  local words = {}
  for line in text:gsub("^#![^\n]*\n", ""):gmatch "[^\n]+" do
    local comment = line:match "^%-%-+%s*(.-)%s*$"
    if not comment or comment == "" then
      break
    end
    words[#words + 1] = comment
    if comment:find "[.:]$" or comment:find "%. " then
      break
    end
  end
  return (table.concat(words, " "):gsub("[%c\127]", " "):gsub("%. .*$", ""):gsub("[.:]$", ""))
end

-- Files of both kinds lie in one folder: an image recipe sets keys that a program has no
-- reason to set.
local function is_image_recipe(text)
  local schema = require "banger.image_recipe.schema"
  for line in text:gmatch "[^\n]+" do
    local name = line:match "^([%a_]+)%s*[=%[]" or line:match "^function%s+([%a_]+)%s*%("
    if name and schema.keys[name] then
      return true
    end
  end
  return false
end

local MAX_BYTES = 256 * 1024 -- of a file that is looked into

local function read(path)
  local found = core.host.stat(path)
  local file <close> = found and found.type == "file" and io.open(path, "rb") or nil
  return file and file:read(MAX_BYTES)
end

local function embedded()
  local found = {}
  for _, path in ipairs(core.resources()) do
    local name = path:match "^recipes/([%w_%-]+)%.lua$"
    if name then
      found[name] = { name = name, summary = summary_of(core.resource(path)) }
    end
  end
  return found
end

local function sorted(found)
  local list = {}
  for _, command in pairs(found) do
    list[#list + 1] = command
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

local function names_in(dir)
  local ok, list = pcall(core.host.list, dir)
  return ok and list or {}
end

-- What a file is as a command; nil when it is none, or no other than the built-in one.
local function command_of(dir, name)
  local path = ("%s/%s.lua"):format(dir, name)
  local text = read(path)
  if text and text ~= core.resource(("recipes/%s.lua"):format(name)) and not is_image_recipe(text) then
    return { name = name, summary = summary_of(text), dir = dir, path = path }
  end
end

---All commands, by name. Of several of one name it is the one that `banger-lua NAME` runs.
---@param ignore_environment? boolean # as `lua -E` asks for; default false
---@return banger.command[]
---@example
---```lua
---for _, command in ipairs(commands.list()) do print(command.name, command.summary) end
---```
function M.list(ignore_environment)
  local found = embedded()
  local dirs = recipe.path(ignore_environment)
  for i = #dirs, 1, -1 do
    for _, file in ipairs(names_in(dirs[i])) do
      local name = file:match "^([%w_][%w_%-]*)%.lua$"
      if name then
        found[name] = command_of(dirs[i], name) or found[name]
      end
    end
  end
  return sorted(found)
end

---The commands that are compiled into the program, by name.
---@return banger.command[]
---@example
---```lua
---print(#commands.built_in())
---```
function M.built_in()
  return sorted(embedded())
end

---The command that a mistyped name is nearest to.
---@param name string
---@param ignore_environment? boolean
---@return string? # nil when none is near
---@example
---```lua
---commands.nearest "pul" --> "pull"
---```
function M.nearest(name, ignore_environment)
  local names = {}
  for i, command in ipairs(M.list(ignore_environment)) do
    names[i] = command.name
  end
  return nearest(name, names)
end

---The argparse parser of a command; what the command does is not done.
---@param name string
---@return table? parser # nil: it asks for no arguments
---@example
---```lua
---print(commands.parser "pull":get_usage())
---```
---Raises `usage` when there is no such recipe, and what the recipe raises at its start.
function M.parser(name)
  local found = recipe.load(name)
  if not found then
    core.error("usage", ("'%s' is no recipe's name"):format(name))
  end
  return cli.parser_of(found)
end

local function add_group(lines, heading, list, width)
  if #list == 0 then
    return
  end
  lines[#lines + 1] = heading
  for _, command in ipairs(list) do
    lines[#lines + 1] = (("  %-" .. width .. "s  %s"):format(command.name, command.summary):gsub("%s+$", ""))
  end
end

---What `banger-lua --help` says of recipes: a line each, those of each folder together.
---@param ignore_environment? boolean
---@return string
---@example
---```lua
---io.write(commands.overview())
---```
function M.overview(ignore_environment)
  local groups, width = { [""] = {} }, 0
  for _, command in ipairs(M.list(ignore_environment)) do
    local dir = command.dir or ""
    groups[dir] = groups[dir] or {}
    table.insert(groups[dir], command)
    width = math.max(width, #command.name)
  end
  local lines = {}
  add_group(lines, "Recipes ('banger-lua NAME --help' says more of one):", groups[""], width)
  for _, dir in ipairs(recipe.path(ignore_environment)) do
    add_group(lines, ("Recipes in %s:"):format(dir), groups[dir] or {}, width)
    groups[dir] = nil
  end
  return table.concat(lines, "\n") .. "\n"
end

---What `banger-lua --version` says: the program, and what it is linked with.
---@return string
---@example
---```lua
---io.write(commands.versions())
---```
function M.versions()
  local libraries = core.libraries()
  local lines = { ("banger-lua %s (%s %s)"):format(core.version, libraries[1].name, libraries[1].version) }
  table.insert(libraries, { name = "lua-cjson", version = require "cjson"._VERSION })
  table.insert(libraries, { name = "libedit", version = require "banger.editor".version })
  for _, library in ipairs(libraries) do
    lines[#lines + 1] = ("%s %s"):format(library.name, library.version)
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
