---A tree of files as a page has it: short, and without the names of what is too small to be
---seen. Pure.
local json = require "banger.json"
local text = require "banger.html.text"

local M = {}

-- What the page spends on names and numbers, about, in bytes. 100,000 files of ordinary names fit
-- as they are.
M.BUDGET = 2700000

-- A letter for each kind of node; report.js knows them. `g` is a directory that is gone, `w`
-- what a later layer hides, `a` what is folded together.
local HIDDEN = -2 -- what is folded of `w`, in the place of a group
local LETTERS = { dir = "d", file = "f", symlink = "l" }

---@class banger.html.node
---@field name string # as it is shown
---@field kind string # a letter
---@field size integer # of what is no directory
---@field group integer # from 0; -1 for none
---@field total integer # of all below
---@field parent? banger.html.node
---@field children? banger.html.node[] # of a directory
---@field keeper? banger.html.node # of a directory: itself, or the one that it is folded into
---@field folded? table<integer, { count: integer, bytes: integer }> # by group

---@class banger.html.builder
---@field nodes banger.html.node[] # parents first
---@field dirs table<string, banger.html.node>
local Builder = {}
Builder.__index = Builder

local function new_builder()
  local root = { name = "/", kind = "d", size = 0, group = -1, total = 0, children = {} }
  return setmetatable({ nodes = { root }, dirs = { ["/"] = root } }, Builder)
end

function Builder:put(parent, name, kind, size, group)
  local is_dir = kind == "d" or kind == "g"
  local node = { name = text.show(name), kind = kind, size = size, group = group, total = size, parent = parent,
    children = is_dir and {} or nil }
  parent.children[#parent.children + 1] = node
  self.nodes[#self.nodes + 1] = node
  return node
end

local function split(path)
  local dir, name = path:match "^(.*)/([^/]+)$"
  return dir == "" and "/" or dir, name
end

-- The directory of a path, made as one that is gone where it is not there.
function Builder:dir(path)
  local missing = {}
  while not self.dirs[path] do
    missing[#missing + 1] = path
    path = split(path)
  end
  local node = self.dirs[path]
  for i = #missing, 1, -1 do
    local _, name = split(missing[i])
    node = self:put(node, name, "g", 0, -1)
    self.dirs[missing[i]] = node
  end
  return node
end

function Builder:add(file, group)
  if file.path == "/" then
    return
  end
  local dir, name = split(file.path)
  local kind = file.hardlink and "h" or LETTERS[file.type] or "o"
  local node = self:put(self:dir(dir), name, kind, kind == "f" and file.size or 0, group)
  if kind == "d" then
    self.dirs[file.path] = node
  end
end

function Builder:add_hidden(waste)
  if waste.path == "/" then
    return
  end
  local dir, name = split(waste.path)
  for _, version in ipairs(waste.hidden) do
    self:put(self:dir(dir), name, "w", version.bytes, version.layer - 1)
  end
end

-- 0 for nothing, else how many bits the number has.
local function bucket(total)
  local bits = 0
  while total > 0 do
    total, bits = total >> 1, bits + 1
  end
  return bits
end

local function cost(node)
  return #node.name + 6 + (node.children and 0 or #tostring(node.size) + 4)
end

-- The least that is shown by itself, so that all of it fits the budget: 0, or a power of 2.
local function threshold(nodes, budget)
  local costs = {}
  for _, node in ipairs(nodes) do
    local b = bucket(node.total)
    costs[b] = (costs[b] or 0) + cost(node)
  end
  local spent = 0
  for b = 63, 0, -1 do
    spent = spent + (costs[b] or 0)
    if spent > budget then
      return 1 << b
    end
  end
  return 0
end

function Builder:sum()
  for i = #self.nodes, 2, -1 do
    local node = self.nodes[i]
    node.parent.total = node.parent.total + node.total
  end
end

local function fold(keeper, node)
  local group = node.kind == "w" and HIDDEN or node.group
  keeper.folded = keeper.folded or {}
  local sum = keeper.folded[group] or { count = 0, bytes = 0 }
  keeper.folded[group] = sum
  sum.count, sum.bytes = sum.count + 1, sum.bytes + node.size
end

-- Who is shown, and who is folded into what.
function Builder:fold(least)
  local count = 0
  for _, node in ipairs(self.nodes) do
    local kept = not node.parent or node.parent.keeper == node.parent and node.total >= least
    if node.children then
      node.keeper = kept and node or node.parent.keeper
    elseif not kept then
      fold(node.parent.keeper, node)
      count = count + 1
    end
    node.dropped = not kept
  end
  return count
end

local function by_name(a, b)
  if a.name ~= b.name then
    return a.name < b.name
  end
  if a.kind ~= b.kind then
    return a.kind < b.kind
  end
  return a.group < b.group -- versions of a file that are hidden, by their layers
end

local function folded_list(sums)
  local list = {}
  for group, sum in pairs(sums) do
    list[#list + 1] = { group, sum.count, sum.bytes }
  end
  table.sort(list, function(a, b)
    return a[1] < b[1]
  end)
  return list
end

-- Depth first, without recursion: an image can be 10,000 levels deep.
function Builder:columns()
  local out = { names = {}, depths = {}, sizes = {}, groups = {}, folded = {} }
  local kinds, stack = {}, { { self.nodes[1], 0 } }
  while #stack > 0 do
    local node, depth = table.unpack(table.remove(stack))
    local n = #out.names + 1
    out.names[n], out.depths[n], kinds[n] = node.name, depth, node.kind
    if node.kind == "a" then
      out.folded[#out.folded + 1] = folded_list(node.folded)
    elseif not node.children then
      out.sizes[#out.sizes + 1], out.groups[#out.groups + 1] = node.size, node.group
    end
    if node.folded and node.children then
      stack[#stack + 1] = { { name = "", kind = "a", folded = node.folded }, depth + 1 }
    end
    local children = node.children or {}
    table.sort(children, by_name)
    for i = #children, 1, -1 do
      if not children[i].dropped then
        stack[#stack + 1] = { children[i], depth + 1 }
      end
    end
  end
  out.kinds = table.concat(kinds)
  return out
end

---@class banger.html.tree
---@field columns table # what report.js reads
---@field least integer # bytes: smaller ones are folded; 0: none is
---@field folded integer # how many are
---@field shown integer # how many are not

---Pack a tree.
---@param files banger.inspect.file[] # parents first
---@param wasted banger.inspect.waste[]
---@param group_of fun(file: banger.inspect.file): integer? # from 1
---@param budget? integer # bytes, about; default M.BUDGET
---@return banger.html.tree
---@example
---```lua
---local packed = tree.pack(analysis.files, analysis.wasted, function(file) return file.layer end)
---print(json.encode(packed.columns))
---```
function M.pack(files, wasted, group_of, budget)
  local builder = new_builder()
  for _, file in ipairs(files) do
    builder:add(file, (group_of(file) or 0) - 1)
  end
  for _, waste in ipairs(wasted) do
    builder:add_hidden(waste)
  end
  builder:sum()
  local least = threshold(builder.nodes, budget or M.BUDGET)
  local folded = builder:fold(least)
  local columns = builder:columns()
  return { columns = columns, least = least, folded = folded, shown = #columns.names }
end

---JSON that can stand in a script element: nothing in it ends the element, or begins a comment.
---@param value table
---@return string
---@example
---```lua
---tree.script { name = "</script>" }  --> {"name":"\u003c/script\u003e"}
---```
function M.script(value)
  return (json.encode(value):gsub("[<>&]", { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026" }))
end

return M
