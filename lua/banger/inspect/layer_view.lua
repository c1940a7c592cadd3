---What one layer brings, as a tree: the names that it put there, and the directories above
---them. What it hides is not in it; see `layers`.
local M = {}

---@class banger.inspect.layer_view: banger.tree
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

---@param tree banger.rootfs # whose last layer is to be seen; closed with the view
---@param layer integer
---@return banger.inspect.layer_view
---@example
---```lua
---local view <close> = layer_view.new(rootfs, 3)
---```
function M.new(tree, layer)
  local keep = { ["/"] = true }
  for path, st in tree:walk() do
    if st.layer == layer then
      keep_with_parents(keep, path)
    end
  end
  return setmetatable({ base = tree, keep = keep }, View)
end

function View:stat(path, options)
  local st = self.base:stat(path, options)
  return st and self.keep[st.path] and st or nil
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

function View:walk(path, options)
  local next_entry = self.base:walk(path, options)
  return function()
    while true do
      local found, st = next_entry()
      if not found or self.keep[found] then
        return found, st
      end
    end
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
