---The order of a walk, and what is below what. Pure.
local M = {}

-- A directory comes right before what is in it: as if a slash were the least byte.
local function key(path)
  return (path:gsub("/", "\0"))
end

---Whether a walk comes to one path before another.
---@param a string
---@param b string
---@return boolean
---@example
---```lua
---table.sort(paths, order.before)
---```
function M.before(a, b)
  return key(a) < key(b)
end

---Whether a path is another, or in that directory.
---@param path string
---@param top string
---@return boolean
---@example
---```lua
---order.is_below("/etc/passwd", "/etc")  --> true
---```
function M.is_below(path, top)
  return path == top or top == "/" or path:sub(1, #top + 1) == top .. "/"
end

return M
