---What one layer brings, as a tree: the names that it put there, and the directories above
---them. What it hides is in it on demand only, as entries of type "whiteout".
local order = require "banger.inspect.order"

local M = {}

---@class banger.inspect.layer_view: banger.tree
---@field layer integer
local View = {}
View.__index = View

local function parent(path)
  return path:match "^(.+)/[^/]*$" or "/"
end

local function keep_with_parents(keep, path)
  while not keep[path] do
    keep[path] = true
    path = parent(path)
  end
end

-- What is gone after a layer, of what was there before it: whatever is below it is gone too.
local function tops_of(gone, tree)
  local list = {}
  for path in pairs(gone) do
    local above = parent(path)
    if not gone[above] and tree:stat(above).type == "dir" then
      list[#list + 1] = path
    end
  end
  return list
end

---What a layer hides of those below it, found while layers are put on top of each other.
---@param layer integer
---@return fun(rootfs: banger.rootfs, i: integer) each # to be called after each layer
---@return fun(): string[] hidden # the paths
---@example
---```lua
---local each, hidden = layer_view.watch(3)
---local rootfs <close> = inspect.flatten(image, shown, 3, each)
---local view <close> = layer_view.new(rootfs, 3, hidden())
---```
function M.watch(layer)
  local before, list = {}, {}
  return function(rootfs, i)
    if i == layer - 1 then
      before = {}
      for path in rootfs:walk() do
        before[path] = true
      end
    elseif i == layer then
      for path in rootfs:walk() do
        before[path] = nil
      end
      list = tops_of(before, rootfs)
    end
  end, function()
    return list
  end
end

---@param tree banger.rootfs # whose last layer is to be seen; closed with the view
---@param layer integer
---@param hidden? string[] # what it hides of lower layers: `stat` and `walk` with `whiteouts` show that too, and mark directories
---that are not the layer's own as `above`
---@return banger.inspect.layer_view
---@example
---```lua
---local view <close> = layer_view.new(rootfs, 3)
---```
function M.new(tree, layer, hidden)
  local keep, above, whiteouts = { ["/"] = true }, { ["/"] = true }, {}
  for path, st in tree:walk() do
    if st.layer == layer then
      keep_with_parents(keep, path)
    end
  end
  for _, path in ipairs(hidden or {}) do
    whiteouts[path] = true
    keep_with_parents(above, parent(path))
  end
  return setmetatable({ base = tree, layer = layer, keep = keep, above = above, whiteouts = whiteouts }, View)
end

function View:whiteout(path)
  return {
    path = path, type = "whiteout", mode = 0, uid = 0, gid = 0, size = 0, mtime = 0, mtime_nsec = 0, nlink = 1, id = -1,
    layer = self.layer, xattrs = {},
  }
end

function View:has(path, options)
  return self.keep[path] or options and options.whiteouts and self.above[path]
end

-- A directory that is here only for what is in it says so.
function View:mark(st, options)
  st.above = options and options.whiteouts and st.layer ~= self.layer or nil
  return st
end

function View:stat(path, options)
  local st = self.base:stat(path, options)
  if not st and options and options.whiteouts and self.whiteouts[path] then
    return self:whiteout(path)
  end
  return st and self:has(st.path, options) and self:mark(st, options) or nil
end

function View:list(path)
  local st = self:stat(path, { follow = true })
  local names = {}
  for _, name in ipairs(self.base:list(path)) do
    if st and self.keep[(st.path == "/" and "" or st.path) .. "/" .. name] then
      names[#names + 1] = name
    end
  end
  return names
end

function View:read(path, options)
  return self.base:read(path, options)
end

function View:data(path, offset)
  return self.base:data(path, offset)
end

function View:walk_kept(path, options)
  local next_entry = self.base:walk(path, options)
  return function()
    while true do
      local found, st = next_entry()
      if not found or self:has(found, options) then
        return found, st and self:mark(st, options)
      end
    end
  end
end

-- The whiteouts at a path and below, in the order of a walk.
function View:walk_whiteouts(path)
  local list, at = {}, 0
  for hidden in pairs(self.whiteouts) do
    if order.is_below(hidden, path) then
      list[#list + 1] = hidden
    end
  end
  table.sort(list, order.before)
  return function()
    at = at + 1
    return list[at], list[at] and self:whiteout(list[at])
  end
end

local function nothing() end

function View:walk(path, options)
  if not (options and options.whiteouts) then
    return self:walk_kept(path, options)
  end
  local next_kept = self.base:stat(path or "/") and self:walk_kept(path, options) or nothing
  local next_hidden = self:walk_whiteouts(path or "/")
  local kept, kept_st = next_kept()
  local hidden, hidden_st = next_hidden()
  return function()
    local found, st = kept, kept_st
    if hidden and (not kept or order.before(hidden, kept)) then
      found, st = hidden, hidden_st
      hidden, hidden_st = next_hidden()
    else
      kept, kept_st = next_kept()
    end
    return found, st
  end
end

function View:exists(path)
  return self:stat(path, { follow = true }) ~= nil
end

function View:resolve(path)
  local real = self.base:resolve(path)
  return real and self.keep[real] and real or nil
end

function View:df()
  return self.base:df()
end

function View:close()
  self.base:close()
end

View.__close = View.close

return M
