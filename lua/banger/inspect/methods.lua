---The methods of images and rootfs that look into them as the recipes of the same names do.
---What they give is plain data, which prints as the recipe does on a terminal.
local arguments = require "banger.inspect.arguments"
local banger = require "banger"
local cat = require "banger.inspect.cat"
local find = require "banger.inspect.find"
local ls = require "banger.inspect.ls"
local result = require "banger.inspect.result"
local text = require "banger.inspect.text"
local trees = require "banger.inspect.tree"

---@class banger.tree
local Tree = {}

local LS = { long = "boolean", recursive = "boolean", directory = "boolean", human_readable = "boolean", numeric = "boolean" }

---List what is in a directory, sorted; or what one file is.
---@param path? string # default "/"
---@param options? banger.inspect.ls_options
---@return banger.stat[] # prints as `banger-lua ls` does
---@example
---```lua
---image:ls("/etc", { long = true })
---for _, st in ipairs(image:ls "/etc") do print(st.size, st.path) end
---```
---Raises `not_found`, `usage`.
function Tree:ls(path, options)
  options = arguments.options("ls", options, LS)
  local listing = ls.collect(self, { arguments.text("ls", "path", path, "/") }, options)
  return result.new(ls.entries(listing), function(out)
    ls.write(listing, options, text.escape, out)
  end)
end

---The content of files, one after the other.
---@param path string # links are followed
---@param ... string # further paths
---@return string
---@example
---```lua
---for line in image:cat("/etc/passwd"):gmatch "[^\n]+" do print(line) end
---```
---Raises `not_found`, `usage` (no file), `io`, `ext4`.
function Tree:cat(path, ...)
  local paths, parts = { path, ... }, {}
  for i = 1, math.max(1, select("#", ...) + 1) do
    paths[i] = arguments.text("cat", "path", paths[i])
  end
  for _, st in ipairs(cat.files(self, paths)) do
    cat.parts(self, st, function(part)
      parts[#parts + 1] = part
    end)
  end
  return table.concat(parts)
end

local FIND = {}
for name in pairs(find.conditions) do
  FIND[name] = true
end
FIND.empty = "boolean"

-- A mode that is a number is what `stat` has, a text is octal.
local function written(name, value)
  if name == "perm" and math.type(value) == "integer" then
    return ("%o"):format(value)
  elseif math.type(value) == "integer" then
    return tostring(value)
  elseif type(value) ~= "string" then
    banger.error("usage", ("find: '%s' must be a text or a whole number, not a %s"):format(name, type(value)))
  end
  return value
end

local function conditions(given)
  local wanted = {}
  for name, value in pairs(arguments.options("find", given, FIND)) do
    local make = find.conditions[name]
    if make then
      local made, message = make(written(name, value))
      wanted[name] = made or banger.error("usage", ("find: %s: %s"):format(name, message))
    else
      wanted[name] = value
    end
  end
  return wanted
end

---Find files by conditions, all of which must hold.
---@param path? string|banger.inspect.conditions # where to look; default: everywhere, and conditions are all that is given
---@param wanted? banger.inspect.conditions
---@return banger.stat[] # prints a path a line, as `banger-lua find` does
---@example
---```lua
---image:find { name = "*.so*", size = "+1M" }
---image:find("/usr", { perm = "/6000", type = "f" })
---```
---Raises `not_found`, `usage`.
function Tree:find(path, wanted)
  if type(path) == "table" and wanted == nil then
    path, wanted = nil, path
  end
  local list = {}
  find.each(self, { arguments.text("find", "path", path, "/") }, conditions(wanted), function(_, st)
    list[#list + 1] = st
  end)
  return result.new(list, function(out)
    for _, st in ipairs(list) do
      out(text.escape(st.path), "\n")
    end
  end)
end

local TREE = { depth = "integer", size = "boolean", directories = "boolean", ascii = "boolean" }

---Draw the tree below a path.
---@param path? string # default "/"
---@param options? banger.inspect.tree_options
---@return banger.inspect.tree_entry[] # prints as `banger-lua tree` does
---@example
---```lua
---image:tree("/usr", { depth = 2, size = true })
---```
---Raises `not_found`, `usage`.
function Tree:tree(path, options)
  options = arguments.options("tree", options, TREE)
  if options.depth and options.depth < 1 then
    banger.error("usage", ("tree: depth is a number of levels from 1 on, not %d"):format(options.depth))
  end
  local list, ends = {}, {}
  local counts = trees.each(self, arguments.text("tree", "path", path, "/"), options, function(entry, is_last)
    list[#list + 1], ends[entry] = entry, is_last
  end)
  return result.new(list, function(out)
    local draw = trees.drawer(options, out)
    for _, entry in ipairs(list) do
      draw(entry, ends[entry])
    end
    out("\n", trees.summary(counts, options), "\n")
  end)
end

return Tree
