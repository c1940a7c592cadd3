---What differs between two trees, by walking both in the same order: only what is looked at
---is in memory.
local text = require "banger.inspect.text"

local M = {}

local CHUNK = 1 << 20

---@class banger.inspect.attribute # one that differs
---@field name "type"|"mode"|"owner"|"size"|"content"|"target"|"device"|"xattr"|"mtime"
---@field a? string # what it is in the first, where that can be said
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
---@field path? string # compare only what is here and below

local function same_content(a, b, st)
  for offset = 0, st.size - 1, CHUNK do
    local part = { offset = offset, size = CHUNK }
    if a:read(st.path, part) ~= b:read(st.path, part) then
      return false
    end
  end
  return true
end

local function add(list, name, a, b, key)
  if a ~= b then
    list[#list + 1] = { name = name, a = a, b = b, key = key }
  end
end

local function compare_xattrs(list, a, b)
  local names = {}
  for name in pairs(a.xattrs) do
    names[#names + 1] = name
  end
  for name in pairs(b.xattrs) do
    if a.xattrs[name] == nil then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    add(list, "xattr", a.xattrs[name], b.xattrs[name], name)
  end
end

local function device(st)
  return st.major and ("%d,%d"):format(st.major, st.minor)
end

local function compare(trees, a, b, options)
  local list = {}
  add(list, "type", a.type, b.type)
  -- The mode of a link means nothing.
  if a.type ~= "symlink" or b.type ~= "symlink" then
    add(list, "mode", ("%04o"):format(a.mode), ("%04o"):format(b.mode))
  end
  add(list, "owner", ("%d:%d"):format(a.uid, a.gid), ("%d:%d"):format(b.uid, b.gid))
  add(list, "target", a.target, b.target)
  add(list, "device", device(a), device(b))
  if a.type == "file" and b.type == "file" then
    add(list, "size", tostring(a.size), tostring(b.size))
    if a.size == b.size and options.content ~= false and not same_content(trees[1], trees[2], a) then
      list[#list + 1] = { name = "content" }
    end
  end
  compare_xattrs(list, a, b)
  if options.times then
    add(list, "mtime", text.time(a.mtime, a.mtime_nsec), text.time(b.mtime, b.mtime_nsec))
  end
  return list
end

-- In a walk a directory comes right before what is in it: as if a slash were the least byte.
local function key(path)
  return path and (path:gsub("/", "\0"))
end

-- Every ext4 image has one, no layer does.
local function is_lost_and_found(path, st)
  return path == "/lost+found" and st.type == "dir"
end

---An iterator over the differences between two trees, in the order of a walk. The order of
---names in a directory, inode numbers and hard links are no difference.
---@param a banger.tree
---@param b banger.tree
---@param options? banger.inspect.diff_options
---@return fun(): banger.inspect.difference?
---@example
---```lua
---for difference in diff.each(old, new) do print(difference.kind, difference.path) end
---```
---Raises what the trees do.
function M.each(a, b, options)
  options = options or {}
  local walk_a, walk_b = a:walk(options.path), b:walk(options.path)
  local path_a, st_a = walk_a()
  local path_b, st_b = walk_b()
  return function()
    while path_a or path_b do
      local same = path_a == path_b
      local key_a, key_b = not same and key(path_a), not same and key(path_b)
      local result
      if same then
        local list = compare({ a, b }, st_a, st_b, options)
        result = #list > 0 and { kind = "changed", path = path_a, a = st_a, b = st_b, attributes = list }
        path_a, st_a = walk_a()
        path_b, st_b = walk_b()
      elseif not path_a or path_b and key_b < key_a then
        result = not is_lost_and_found(path_b, st_b) and { kind = "added", path = path_b, b = st_b }
        path_b, st_b = walk_b()
      else
        result = not is_lost_and_found(path_a, st_a) and { kind = "removed", path = path_a, a = st_a }
        path_a, st_a = walk_a()
      end
      if result then
        return result
      end
    end
  end
end

return M
