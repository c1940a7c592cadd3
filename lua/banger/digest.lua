---Digests as text: pure, no hashing here.
local M = {}

---Whether `text` is a digest this program can verify: `sha256:` and 64 lowercase
---hexadecimal digits. A valid one is safe as part of a path.
---@param text any
---@return boolean
function M.valid(text)
  return type(text) == "string" and #text == 71 and text:find "^sha256:[0-9a-f]+$" ~= nil
end

---The hexadecimal part of a valid digest.
---@param text string
---@return string
function M.hex(text)
  return text:sub(8)
end

---A valid digest shortened for people: `sha256:` and 12 digits.
---@param text string
---@return string
function M.short(text)
  return text:sub(1, 19)
end

return M
