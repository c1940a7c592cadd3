---Methods of images, rootfs and references that are in Lua: loaded when the first of them is
---called. `banger.inspect.methods` has and documents them.
local core = require "banger.core"

local M = {}

local NAMES = { "cat", "diff", "edit", "extract", "find", "inspect", "layers", "ls", "report", "tree" }
local TREES = { ["banger.Image"] = true, ["banger.Rootfs"] = true, ["banger.inspect.handle"] = true }

---Whether a value is a handle that has the methods.
---@param value any
---@return boolean
---@example
---```lua
---methods.is_tree(banger.open "out.ext4")  --> true
---```
function M.is_tree(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and TREES[rawget(meta, "__name")] or false
end

---Refuse a handle that was closed.
---@param tree banger.tree
---@example
---```lua
---methods.check_open(image)
---```
---Raises `usage`.
function M.check_open(tree)
  if type(tree) == "table" then
    return require("banger.inspect.handle").check_open(tree) -- asking it more would fetch layers
  end
  local ok, message = pcall(tree.df, tree)
  local closed = type(message) == "string" and message:match "the %a+ is closed"
  if closed then
    core.error("usage", closed)
  end
  return ok or error(message, 0)
end

local function method(name)
  return function(self, ...)
    if not M.is_tree(self) then
      core.error("usage", ("%s is a method of images, rootfs and references: image:%s(...), with a colon"):format(name, name))
    end
    M.check_open(self)
    return require("banger.inspect.methods")[name](self, ...)
  end
end

local all = {}
for _, name in ipairs(NAMES) do
  all[name] = method(name)
end

---Give the methods to a class of handles.
---@param class table
---@example
---```lua
---methods.add(Handle)
---```
function M.add(class)
  for name, function_of in pairs(all) do
    class[name] = function_of
  end
end

return M
