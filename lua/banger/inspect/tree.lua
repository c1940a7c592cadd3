---Draws the tree of an image, or a part of it.
local inspect = require "banger.inspect"
local short_size = require("banger.size").short
local text = require "banger.inspect.text"

local M = {}

---@class banger.inspect.tree_options
---@field depth? integer # how deep to go
---@field size? boolean # sizes too; a directory's is that of all below it, a file of several names counted once
---@field directories? boolean # only directories
---@field ascii? boolean # draw with ASCII

---@class banger.inspect.tree_entry
---@field path string
---@field type string
---@field size integer
---@field depth integer # 0 is where the tree begins
---@field target? string # of a link

---@class banger.inspect.tree_counts
---@field directories integer # below the beginning
---@field files integer # and all else

local function level(path)
  return path == "/" and 0 or select(2, path:gsub("/", ""))
end

-- Calls visit(number, parent's number, depth, stat, numbers above) for each entry. Entries
-- are known by their number, which takes less than their paths.
local function each(tree, top, levels, visit)
  local above, count = {}, 0
  local base = level(top.path)
  for path, st in tree:walk(top.path, { depth = levels }) do
    local at = level(path) - base
    count = count + 1
    above[at] = count
    visit(count, above[at - 1], at, st, above)
  end
end

local function is_wanted(st, options)
  return not options.directories or st.type == "dir"
end

-- What is only known at a directory's end: its last entry, and the sum of sizes.
local function look_ahead(tree, top, levels, options)
  local last, sizes, seen = {}, {}, {}
  each(tree, top, levels, function(number, parent, at, st, above)
    if parent and is_wanted(st, options) then
      last[parent] = number
    end
    if options.size and st.type == "file" and not seen[st.id] then
      seen[st.id] = st.nlink > 1 or nil
      for i = 0, at do
        sizes[above[i]] = (sizes[above[i]] or 0) + st.size
      end
    end
  end)
  return last, sizes
end

local UTF8 = { "├── ", "└── ", "│   ", "    " }
local ASCII = { "|-- ", "`-- ", "|   ", "    " }

---Call a function for each entry, in the order in which they are drawn.
---@param tree banger.tree
---@param path string
---@param options banger.inspect.tree_options
---@param visit fun(entry: banger.inspect.tree_entry, is_last: boolean) # last of its directory
---@return banger.inspect.tree_counts
---@example
---```lua
---tree.each(image, "/etc", { depth = 2 }, function(entry) print(entry.path) end)
---```
---Raises `not_found`.
function M.each(tree, path, options, visit)
  local top = inspect.stat(tree, path, true)
  local levels, limit = not options.size and options.depth or nil, options.depth or math.huge
  local last, sizes = look_ahead(tree, top, levels, options)
  local counts = { directories = 0, files = 0 }
  each(tree, top, levels, function(number, parent, at, st)
    if at > limit or not is_wanted(st, options) then
      return
    elseif st.type == "dir" then
      counts.directories = counts.directories + (at > 0 and 1 or 0)
    else
      counts.files = counts.files + 1
    end
    local size = options.size and (sizes[number] or st.type == "file" and st.size or 0) or st.size
    visit({ path = st.path, type = st.type, size = size, depth = at, target = st.target }, parent and last[parent] == number)
  end)
  return counts
end

local function label(entry, options)
  local name = text.escape(entry.depth == 0 and entry.path or entry.path:match ".*/(.*)")
  local size = options.size and (entry.type == "dir" or entry.type == "file") and ("%6s  "):format(short_size(entry.size)) or ""
  return size .. name .. (entry.target and " -> " .. text.escape(entry.target) or "")
end

---A function that draws an entry, a line each; to be called in their order.
---@param options banger.inspect.tree_options
---@param out fun(...: string)
---@return fun(entry: banger.inspect.tree_entry, is_last: boolean)
---@example
---```lua
---local counts = tree.each(image, "/", {}, tree.drawer({}, io.write))
---```
function M.drawer(options, out)
  local drawing, drawn = options.ascii and ASCII or UTF8, {}
  return function(entry, is_last)
    local at = entry.depth
    drawn[at] = at > 0 and (is_last and drawing[4] or drawing[3]) or nil
    out(table.concat(drawn, "", 1, math.max(at - 1, 0)), at > 0 and (is_last and drawing[2] or drawing[1]) or "",
      label(entry, options), "\n")
  end
end

---What stands below a tree that is drawn.
---@param counts banger.inspect.tree_counts
---@param options banger.inspect.tree_options
---@return string
---@example
---```lua
---tree.summary({ directories = 2, files = 1 }, {})  --> "2 directories, 1 file"
---```
function M.summary(counts, options)
  return text.count(counts.directories, "directory", "directories") .. (options.directories and "" or ", " .. text.count(counts.files, "file"))
end

return M
