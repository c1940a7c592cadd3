---What the methods of images give: plain data, which prints as the recipe of the same name
---does on a terminal.
local M = {}

local NAME = "banger.inspect.result"

---Data that knows how it is printed.
---@generic T
---@param data T
---@param write fun(out: fun(...: string)) # calls `out` for each line, with its end
---@return T # the same table
---@example
---```lua
---local names = result.new({ "a" }, function(out) out("a", "\n") end)
---tostring(names)  --> "a"
---```
function M.new(data, write)
  return setmetatable(data, {
    __name = NAME,
    __tostring = function()
      return (M.text(data))
    end,
    write = write,
  })
end

---Whether a value is one of `result.new`.
---@param value any
---@return boolean
---@example
---```lua
---result.is(image:ls "/")  --> true
---```
function M.is(value)
  local meta = type(value) == "table" and debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__name") == NAME
end

local ENOUGH = {}

---How a value of `result.new` is printed: lines, of which the last has no end, as `print` wants
---it.
---@param data table
---@param most? integer # lines; default all
---@return string
---@return boolean more # whether there are more lines
---@example
---```lua
---local text, more = result.text(image:ls "/etc", 20)
---```
function M.text(data, most)
  local lines = {}
  local ok, problem = pcall(debug.getmetatable(data).write, function(...)
    if #lines == most then
      error(ENOUGH, 0)
    end
    lines[#lines + 1] = table.concat { ... }
  end)
  if not ok and problem ~= ENOUGH then
    error(problem, 0)
  end
  return (table.concat(lines):gsub("\n$", "")), not ok
end

return M
