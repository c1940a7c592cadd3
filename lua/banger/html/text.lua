---Bytes of an image as text of a page: pure.
local shared = require "banger.text"

local M = { count = shared.count, number = shared.number, utc = shared.utc }

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

---A text that a page can show: what is no UTF-8, and characters that change what is around
---them, become `\xHH`.
---@param bytes string
---@return string
---@example
---```lua
---text.show "a\nb"  --> a\x0ab
---```
function M.show(bytes)
  return shared.replace(bytes, shared.hex)
end

---A text as HTML, also inside an attribute's quotes.
---@param bytes string
---@return string
---@example
---```lua
---text.html "<b>"  --> &lt;b&gt;
---```
function M.html(bytes)
  return (M.show(bytes):gsub("[&<>\"']", ENTITIES))
end

---A text cut at a length, which then says so.
---@param bytes string
---@param limit integer # bytes
---@return string
---@example
---```lua
---text.cut(created_by, 2000)
---```
function M.cut(bytes, limit)
  if #bytes <= limit then
    return bytes
  end
  return (bytes:sub(1, limit):gsub("[\192-\255][\128-\191]*$", "")) .. " …"
end

---A share in percent.
---@param part number
---@param whole number
---@return string
---@example
---```lua
---text.percent(1, 8)  --> 12.5 %
---```
function M.percent(part, whole)
  local percent = whole > 0 and part * 100 / whole or 0
  return percent > 0 and percent < 0.1 and "< 0.1 %" or ("%.1f %%"):format(percent)
end

return M
