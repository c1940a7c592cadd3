---The keys of a table in an order: what is said or written of them is the same each time.

-- Keys of hostile tables are of any type.
local function goes_before(a, b)
  local x, y = tostring(a), tostring(b)
  return x < y or x == y and type(a) < type(b)
end

---@param map? table # nil is an empty one
---@return any[] keys # by their bytes
---@example
---```lua
---for _, name in ipairs(sorted(options)) do print(name, options[name]) end
---```
return function(map)
  local keys = {}
  for key in pairs(map or {}) do
    keys[#keys + 1] = key
  end
  table.sort(keys, goes_before)
  return keys
end
