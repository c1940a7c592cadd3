---Sizes as people write them: pure.
local M = {}

local powers = { [""] = 0, K = 1, M = 2, G = 3, T = 4 }

---Parse a size in bytes.
---@param value string|number # bytes, or a number with K, M, G, T (KiB, MiB ...: the same), powers of 1024; "1.5G" is fine where it comes out whole
---@return integer? bytes
---@return string? message # what is wrong, when `bytes` is nil
---@example
---```lua
---size.parse "4G"     --> 4294967296
---size.parse "512KiB" --> 524288
---size.parse "3Q"     --> nil, "'3Q' is no size: ..."
---```
function M.parse(value)
  local text = tostring(value)
  local number, unit, suffix = text:match "^(%d+%.?%d*)([KMGTkmgt]?)(.*)$"
  local known = suffix == "" or (suffix == "iB" and unit ~= "") or (suffix == "B" and unit == "")
  if not number or not known then
    return nil, ("'%s' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected"):format(text)
  end
  local exact = tonumber(number) * 1024 ^ powers[unit:upper()]
  if exact >= 2 ^ 63 then
    return nil, ("'%s' is too large a size"):format(text)
  end
  local bytes = math.tointeger(exact)
  if not bytes then
    return nil, ("'%s' is no whole number of bytes"):format(text)
  end
  return bytes
end

---A size for people, in the largest unit that leaves at least 1.
---@param bytes number
---@return string # such as "479.0 MiB"
---@example
---```lua
---size.format(1536)  --> "1.5 KiB"
---```
function M.format(bytes)
  local units, i = { "KiB", "MiB", "GiB", "TiB" }, 0
  while bytes >= (i == 0 and 1024 or 1023.95) and i < #units do
    bytes, i = bytes / 1024, i + 1
  end
  return (i == 0 and "%d %s" or "%.1f %s"):format(bytes, units[i] or "B")
end

---A size as `ls -h` writes it: at most two digits and a unit, rounded up.
---@param bytes integer
---@return string
---@example
---```lua
---size.short(1536)  --> "1.5K"
---```
function M.short(bytes)
  local units, i, value = { "K", "M", "G", "T", "P" }, 0, bytes
  while value >= 1024 and i < #units do
    value, i = value / 1024, i + 1
  end
  local tenths = math.ceil(value * 10) / 10
  if i == 0 then
    return tostring(bytes)
  end
  return (tenths < 10 and "%.1f%s" or "%.0f%s"):format(tenths < 10 and tenths or math.ceil(value), units[i])
end

return M
