--- A JSON writer for the tests: sorted keys, so that files are reproducible.
-- Strings have to be UTF-8; percent() makes any bytes so.
local M = {}

--- Marks a table that is to be written as an array even when empty.
function M.array(t)
  return setmetatable(t, { __name = "array" })
end

local ESCAPE = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function quote(s)
  return '"' .. s:gsub('[%c"\\]', function(c)
    return ESCAPE[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

local encode

local function is_array(t)
  local mt = getmetatable(t)
  return #t > 0 or (mt and mt.__name == "array")
end

local function encode_table(t, indent)
  local inner = indent and indent .. "  "
  local parts = {}
  local array = is_array(t)
  if array then
    for i, v in ipairs(t) do parts[i] = encode(v, inner) end
  else
    local keys = {}
    for k in pairs(t) do keys[#keys + 1] = k end
    table.sort(keys)
    for i, k in ipairs(keys) do
      parts[i] = quote(k) .. (indent and ": " or ":") .. encode(t[k], inner)
    end
  end
  local open, close = "{", "}"
  if array then open, close = "[", "]" end
  if not indent or #parts == 0 then
    return open .. table.concat(parts, ",") .. close
  end
  return open .. "\n" .. inner .. table.concat(parts, ",\n" .. inner) .. "\n" .. indent .. close
end

function encode(v, indent)
  if type(v) == "table" then return encode_table(v, indent) end
  if type(v) == "string" then return quote(v) end
  return tostring(v)
end

--- JSON text of a value; with pretty, one member a line.
---@param v any
---@param pretty? boolean
---@return string
function M.encode(v, pretty)
  return encode(v, pretty and "" or nil)
end

--- Bytes as text: what is not printable ASCII, and "%" itself, as %XX.
---@param bytes string
---@return string
function M.percent(bytes)
  return (bytes:gsub("[^ -$&-~]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- The inverse of percent.
---@param s string
---@return string
function M.unpercent(s)
  return (s:gsub("%%(%x%x)", function(h) return string.char(tonumber(h, 16)) end))
end

return M
