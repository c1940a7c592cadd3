---JSON in, strictly; JSON out, the same bytes for the same value.
local cjson = require "cjson"
local text = require "banger.text"

local M = {}

local decoder = cjson.new()
decoder.decode_invalid_numbers(false)
decoder.decode_max_depth(64)

-- The decoder bounds the depth, so this recursion is bounded too.
local function drop_nulls(value)
  for key, item in pairs(value) do
    if item == cjson.null and type(key) == "string" then
      value[key] = nil
    elseif type(item) == "table" then
      drop_nulls(item)
    end
  end
  return value
end

---Decode a document whose top is an object. Absent and null fields are both nil,
---at every depth, so that callers test for one thing. A null in an array stays
---`cjson.null`, for arrays must not get shorter unseen.
---@param document string
---@return table? object
---@return string? message # what is wrong, when `object` is nil
function M.decode(document)
  local ok, value = pcall(decoder.decode, document)
  if not ok then
    return nil, "is not JSON: " .. tostring(value)
  end
  if type(value) ~= "table" then
    return nil, "is not a JSON object"
  end
  return drop_nulls(value)
end

local NAMED = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

-- Names in images are bytes; JSON is UTF-8. What is no UTF-8 becomes U+FFFD.
local function escape(bytes, code)
  return not code and "\u{FFFD}" or NAMED[bytes] or ("\\u%04x"):format(code)
end

-- JSON wants control characters escaped; what else a terminal would act on may be, too.
local function encode_string(value)
  return '"' .. text.replace((value:gsub('["\\]', "\\%0")), escape) .. '"'
end

local function escape_wide(bytes, code)
  return code and code >= 0x7F and escape(bytes, code) or bytes
end

---A document of somebody else's, with nothing in its strings that a terminal would act on: the
---same values, written in another way.
---@param document string # JSON
---@return string
---@example
---```lua
---print(json.harmless(manifest))
---```
function M.harmless(document)
  return text.replace(document, escape_wide)
end

local encode

local function encode_list(list)
  local items = {}
  for i, item in ipairs(list) do
    items[i] = encode(item)
  end
  return "[" .. table.concat(items, ",") .. "]"
end

local function encode_object(object)
  local keys, items = {}, {}
  for key in pairs(object) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    items[i] = encode_string(key) .. ":" .. encode(object[key])
  end
  return "{" .. table.concat(items, ",") .. "}"
end

function encode(value)
  local kind = type(value)
  if kind == "table" then
    local is_list = #value > 0 or next(value) == nil
    return is_list and encode_list(value) or encode_object(value)
  elseif kind == "string" then
    return encode_string(value)
  elseif math.type(value) == "float" then
    return ("%.6g"):format(value)
  end
  return tostring(value)
end

---Encode on one line, the keys of objects sorted. A table with elements, or an
---empty one, is an array; floats have six digits.
---@param value table|string|number|boolean
---@return string
---@example
---```lua
---json.encode { size = 3, name = "a" }  --> {"name":"a","size":3}
---```
function M.encode(value)
  return encode(value)
end

return M
