---What differs between two trees, by walking both in the same order: only what is looked at
---is in memory.
local banger = require "banger"
local order = require "banger.inspect.order"
local sorted = require "banger.sorted"
local text = require "banger.inspect.text"
local xattr = require "banger.inspect.xattr"

local M = {}

local CHUNK = 1 << 20

---What can differ between two files of one name.
M.ATTRIBUTES = { "type", "mode", "owner", "size", "content", "target", "device", "xattr", "links", "mtime" }

---@class banger.inspect.attribute # one that differs
---@field name "type"|"mode"|"owner"|"size"|"content"|"target"|"device"|"xattr"|"links"|"mtime"
---@field a? string # what it is in the first, where that can be said; of links: the first other name that both have
---@field b? string # in the second
---@field key? string # of an xattr: its name

---@class banger.inspect.difference
---@field kind "added"|"removed"|"changed"
---@field path string
---@field a? banger.stat
---@field b? banger.stat
---@field attributes? banger.inspect.attribute[]

---@class banger.inspect.diff_options
---@field times? boolean # compare times of modification too
---@field content? boolean # false: do not read files; default true
---@field ignore? table<string, boolean> # names of attributes that do not count
---@field path? string # compare only what is here and below
---@field paths? string[] # or here

---@class banger.inspect.comparison
---@field a banger.tree
---@field b banger.tree
---@field counts table<string, boolean> # the attributes that do
---@field first_a table<integer, string> # of a file of several names: the first that both trees have, by its id
---@field first_b table<integer, string>
---@field compared table<string, boolean> # contents of such files: equal or not
local Comparison = {}
Comparison.__index = Comparison

local function new_comparison(a, b, options)
  local counts = {}
  for _, name in ipairs(M.ATTRIBUTES) do
    counts[name] = not (options.ignore and options.ignore[name])
  end
  counts.mtime = counts.mtime and options.times or false
  counts.content = counts.content and options.content ~= false
  return setmetatable({ a = a, b = b, counts = counts, first_a = {}, first_b = {}, compared = {} }, Comparison)
end

-- Where one of them is no hole, at or after an offset.
function Comparison:next_data(st_a, st_b, offset)
  local a, b = self.a:data(st_a.path, offset), self.b:data(st_b.path, offset)
  return a and b and math.min(a, b) or a or b
end

function Comparison:read_both(st_a, st_b)
  if st_a.size ~= st_b.size then
    return false
  end
  local offset = self:next_data(st_a, st_b, 0)
  while offset do
    local part = { offset = offset, size = CHUNK }
    if self.a:read(st_a.path, part) ~= self.b:read(st_b.path, part) then
      return false
    end
    offset = self:next_data(st_a, st_b, offset + CHUNK)
  end
  return true
end

-- A file of many names is read once.
function Comparison:same_content(st_a, st_b)
  if st_a.nlink == 1 or st_b.nlink == 1 then
    return self:read_both(st_a, st_b)
  end
  local pair = ("%d %d"):format(st_a.id, st_b.id)
  if self.compared[pair] == nil then
    self.compared[pair] = self:read_both(st_a, st_b)
  end
  return self.compared[pair]
end

function Comparison:add(list, name, a, b, key)
  if a ~= b and self.counts[name] then
    list[#list + 1] = { name = name, a = a, b = b, key = key }
  end
end

function Comparison:add_files(list, a, b)
  self:add(list, "size", tostring(a.size), tostring(b.size))
  -- That the contents of files of two sizes differ goes without saying.
  local told = a.size ~= b.size and self.counts.size
  if self.counts.content and not told and not self:same_content(a, b) then
    list[#list + 1] = { name = "content" }
  end
end

function Comparison:add_xattrs(list, a, b)
  local names = {}
  for name in pairs(a.xattrs) do
    names[name] = true
  end
  for name in pairs(b.xattrs) do
    names[name] = true
  end
  for _, name in ipairs(sorted(names)) do
    self:add(list, "xattr", a.xattrs[name], b.xattrs[name], name)
  end
end

local function first_name(first, st)
  if st.nlink == 1 then
    return nil
  end
  first[st.id] = first[st.id] or st.path
  return first[st.id] ~= st.path and first[st.id] or nil
end

-- Which names are one file is told by the first of them. Only those that both trees have count: of a name
-- that is added or removed that is said already.
function Comparison:add_links(list, a, b)
  if a.type ~= "dir" and b.type ~= "dir" then
    self:add(list, "links", first_name(self.first_a, a), first_name(self.first_b, b))
  end
end

local function device(st)
  return st.major and ("%d,%d"):format(st.major, st.minor)
end

function Comparison:attributes(a, b)
  local list = {}
  self:add(list, "type", a.type, b.type)
  if a.type == "whiteout" or b.type == "whiteout" then
    return list
  end
  -- The mode of a link means nothing.
  if a.type ~= "symlink" or b.type ~= "symlink" then
    self:add(list, "mode", ("%04o"):format(a.mode), ("%04o"):format(b.mode))
  end
  self:add(list, "owner", ("%d:%d"):format(a.uid, a.gid), ("%d:%d"):format(b.uid, b.gid))
  self:add(list, "target", a.target, b.target)
  self:add(list, "device", device(a), device(b))
  if a.type == "file" and b.type == "file" then
    self:add_files(list, a, b)
  end
  self:add_xattrs(list, a, b)
  self:add_links(list, a, b)
  self:add(list, "mtime", text.time(a.mtime, a.mtime_nsec), text.time(b.mtime, b.mtime_nsec))
  return list
end

-- Every ext4 image has one, no layer does. (`above`: see layer_view.)
local function is_lost_and_found(st)
  return st.path == "/lost+found" and st.type == "dir"
end

local function one_sided(kind, st)
  if is_lost_and_found(st) or st.above then
    return nil
  end
  return { kind = kind, path = st.path, a = kind == "removed" and st or nil, b = kind == "added" and st or nil }
end

function Comparison:both(st_a, st_b)
  if st_a.above and st_b.above then
    return nil
  elseif st_b.above and st_a.type == "whiteout" then
    return one_sided("removed", st_a)
  elseif st_a.above and st_b.type == "whiteout" then
    return one_sided("added", st_b)
  end
  local list = self:attributes(st_a, st_b)
  return #list > 0 and { kind = "changed", path = st_a.path, a = st_a, b = st_b, attributes = list } or nil
end

local ALL = { whiteouts = true }

-- A link is looked at itself; `walk` would go where it leads.
local function walk(tree, path)
  local st = tree:stat(path, ALL)
  if st and st.type == "dir" then
    return tree:walk(path, ALL)
  end
  return function()
    local only = st
    st = nil
    return only and only.path, only
  end
end

function Comparison:each(path)
  local walk_a, walk_b = walk(self.a, path), walk(self.b, path)
  local path_a, st_a = walk_a()
  local path_b, st_b = walk_b()
  local function step()
    local found
    if path_a == path_b then
      found = self:both(st_a, st_b)
      path_a, st_a = walk_a()
      path_b, st_b = walk_b()
    elseif not path_a or path_b and order.before(path_b, path_a) then
      found = one_sided("added", st_b)
      path_b, st_b = walk_b()
    else
      found = one_sided("removed", st_a)
      path_a, st_a = walk_a()
    end
    return found
  end
  return function()
    while path_a or path_b do
      local found = step()
      if found then
        return found
      end
    end
  end
end

-- Where to walk: in the order of a walk, and nothing twice.
local function tops(a, b, paths)
  local list, kept = {}, {}
  for i, path in ipairs(paths) do
    local st = a:stat(path, ALL) or b:stat(path, ALL) or banger.error("not_found", ("%s: in neither of the two"):format(path))
    list[i] = st.path
  end
  table.sort(list, order.before)
  for _, path in ipairs(list) do
    if #kept == 0 or not order.is_below(path, kept[#kept]) then
      kept[#kept + 1] = path
    end
  end
  return kept
end

---An iterator over the differences between two trees, in the order of a walk. The order of
---names in a directory and inode numbers are no difference. Of single layers (`--layer`), what they hide
---is compared too, as entries of type "whiteout".
---@param a banger.tree
---@param b banger.tree
---@param options? banger.inspect.diff_options
---@return fun(): banger.inspect.difference?
---@example
---```lua
---for difference in diff.each(old, new) do print(difference.kind, difference.path) end
---```
---Raises `not_found` for a path that neither has; what the trees do.
function M.each(a, b, options)
  options = options or {}
  local comparison = new_comparison(a, b, options)
  local paths = options.paths and #options.paths > 0 and options.paths or { options.path or "/" }
  local list, at = tops(a, b, paths), 1
  local each = comparison:each(list[1])
  return function()
    while true do
      local found = each()
      if found or at == #list then
        return found
      end
      at = at + 1
      each = comparison:each(list[at])
    end
  end
end

---The attributes that a text names.
---@param names string # with commas between them
---@return table<string, boolean>? # for `ignore`
---@return string? message
---@example
---```lua
---diff.ignored "owner,mode"  --> { owner = true, mode = true }
---```
function M.ignored(names)
  local set, known = {}, {}
  for _, name in ipairs(M.ATTRIBUTES) do
    known[name] = true
  end
  for name in (names .. ","):gmatch "([^,]*)," do
    if not known[name] then
      return nil, ("'%s' is none of %s"):format(name, table.concat(M.ATTRIBUTES, ", "))
    end
    set[name] = true
  end
  return set
end

---What an attribute is on one side, for people.
---@param attribute banger.inspect.attribute
---@param side "a"|"b"
---@return string
---@example
---```lua
---diff.value({ name = "mode", a = "0644" }, "b")  --> "none"
---```
function M.value(attribute, side)
  local found = attribute[side]
  if attribute.name == "xattr" and found then
    return xattr.describe(attribute.key, found)
  end
  return found and text.escape(found) or "none"
end

local function describe(attribute)
  if attribute.name == "content" then
    return "content"
  end
  local name = attribute.name == "xattr" and "xattr " .. text.escape(attribute.key) or attribute.name
  return ("%s %s -> %s"):format(name, M.value(attribute, "a"), M.value(attribute, "b"))
end

---A difference in a line.
---@param difference banger.inspect.difference
---@return string
---@example
---```lua
---for difference in diff.each(old, new) do print(diff.line(difference)) end
---```
function M.line(difference)
  local path = text.escape(difference.path)
  if difference.kind == "changed" then
    local parts = {}
    for i, attribute in ipairs(difference.attributes) do
      parts[i] = describe(attribute)
    end
    return ("changed  %s (%s)"):format(path, table.concat(parts, ", "))
  end
  local st = difference.a or difference.b
  return ("%-8s %s%s"):format(difference.kind, path, st.type == "whiteout" and " (whiteout)" or "")
end

return M
