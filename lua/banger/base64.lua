---Bytes in base64, and back: pure.
local M = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local value_of = {}
for at, char in ALPHABET:gmatch "()(.)" do
  value_of[char] = at - 1
end

---@param bytes string
---@return string # with its padding, in one line
---@example
---```lua
---base64.encode "u:p"  --> "dTpw"
---```
function M.encode(bytes)
  local out = {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local word = a << 16 | (b or 0) << 8 | (c or 0)
    for shift = 18, 0, -6 do
      local index = (word >> shift & 63) + 1
      out[#out + 1] = ALPHABET:sub(index, index)
    end
    if not c then
      out[#out] = "="
      out[#out - 1] = b and out[#out - 1] or "="
    end
  end
  return table.concat(out)
end

---@param text string # the padding may be left out, and space be in it
---@return string? bytes # nil: it is no base64
---@example
---```lua
---base64.decode "dTpw"  --> "u:p"
---```
function M.decode(text)
  text = text:gsub("%s", ""):gsub("=?=$", "")
  if #text % 4 == 1 or text:find "[^%w+/]" then
    return nil
  end
  local bytes, bits, count = {}, 0, 0
  for char in text:gmatch "." do
    bits, count = (bits << 6 | value_of[char]) & 0xffff, count + 6
    if count >= 8 then
      count = count - 8
      bytes[#bytes + 1] = string.char(bits >> count & 0xff)
    end
  end
  return table.concat(bytes)
end

return M
