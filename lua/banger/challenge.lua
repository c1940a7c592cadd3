---The challenges of a WWW-Authenticate field, as RFC 9110 (section 11) has them: pure.
local M = {}

---@class banger.challenge
---@field scheme string # lowercase, such as "bearer"
---@field params table<string, string> # names lowercase, values without their quotes
---@field token68? string # instead of parameters

M.max_length = 16 * 1024 -- bytes of the field, all its lines joined by ", "

local TOKEN = "^[%w!#$%%&'*+.^_`|~-]+"
local TOKEN68 = "^([%w._~+/-]+=*)()[ \t]*"

-- Every pattern is anchored at a place and never comes back before it, so that the
-- work is linear in the field's length.

local function skip_space(text, at)
  return text:match("^[ \t]*()", at)
end

-- Empty elements of a list are allowed, and stand for nothing.
local function skip_commas(text, at)
  return text:match("^[ \t,]*()", at)
end

local function at_separator(text, at)
  return at > #text or text:find("^,", at) ~= nil
end

local function parse_quoted(text, at)
  local parts = {}
  while true do
    local stop = text:find('["\\%c]', at)
    local what = stop and text:sub(stop, stop)
    parts[#parts + 1] = text:sub(at, (stop or 0) - 1)
    if what == '"' then
      return table.concat(parts), stop + 1
    elseif what == "\\" and text:find("^[^%c]", stop + 1) then
      parts[#parts + 1] = text:sub(stop + 1, stop + 1)
      at = stop + 2
    elseif what == "\t" then
      parts[#parts + 1] = what
      at = stop + 1
    elseif what and what ~= "\\" then
      return nil, "a control character is in a quoted text"
    else
      return nil, "a quoted text does not end"
    end
  end
end

-- NAME "=" VALUE at a place: both and where they end; nil where there is none, and a
-- message too where there is half of one.
local function parse_param(text, at)
  local name = text:match(TOKEN, at)
  local value_at = name and text:match("^[ \t]*=[ \t]*()", at + #name)
  if not value_at then
    return nil
  end
  local value, after
  if text:find('^"', value_at) then
    value, after = parse_quoted(text, value_at + 1)
    if not value then
      return nil, after
    end
  else
    value = text:match(TOKEN, value_at)
    if not value then
      return nil, ("the parameter '%s' has no value"):format(name)
    end
    after = value_at + #value
  end
  return name:lower(), value, after
end

-- A separator, or the end, has to follow at `at`.
local function end_of_item(text, at)
  at = skip_space(text, at)
  if not at_separator(text, at) then
    return nil, ("a comma is missing at byte %d"):format(at)
  end
  return at
end

local function parse_params(text, at, challenge)
  while true do
    local name, value, after = parse_param(text, at)
    if not name then
      return value == nil and at or nil, value
    end
    if challenge.params[name] then
      return nil, ("the parameter '%s' is there twice"):format(name)
    end
    challenge.params[name] = value
    local message
    after, message = end_of_item(text, after)
    if not after then
      return nil, message
    end
    at = skip_commas(text, after)
  end
end

local function parse_one(text, at)
  local scheme = text:match(TOKEN, at)
  if not scheme then
    return nil, ("a scheme is missing at byte %d"):format(at)
  end
  local challenge = { scheme = scheme:lower(), params = {} }
  at = at + #scheme
  local after = skip_space(text, at)
  if at_separator(text, after) then
    return challenge, skip_commas(text, after)
  elseif after == at then
    return nil, ("'%s' is followed by neither space nor comma"):format(scheme)
  end
  -- "realm=" alone would be both; the grammar takes it for a token68, whose end is
  -- where a parameter's value would be.
  local token, token_end = text:match(TOKEN68, after)
  if token and at_separator(text, skip_space(text, token_end)) then
    challenge.token68 = token
    return challenge, skip_commas(text, token_end)
  end
  local stop, message = parse_params(text, after, challenge)
  if not stop then
    return nil, message
  elseif stop == after then
    return nil, ("'%s' is followed by neither a parameter nor a token"):format(scheme)
  end
  return challenge, stop
end

---Parse a WWW-Authenticate field; several are to be joined by ", ".
---@param text string
---@return banger.challenge[]?
---@return string? message # what is wrong, fit to follow the field's name, when the list is nil
---@example
---```lua
---challenge.parse 'Bearer realm="https://auth.example.com/token",service="example.com"'
-----> { { scheme = "bearer", params = { realm = "https://auth...", service = "example.com" } } }
---```
function M.parse(text)
  if #text > M.max_length then
    return nil, ("has %d bytes; at most %d are accepted"):format(#text, M.max_length)
  end
  local list = {}
  local at = skip_commas(text, 1)
  while at <= #text do
    local challenge, after = parse_one(text, at)
    if not challenge then
      return nil, "is malformed: " .. after
    end
    list[#list + 1] = challenge
    at = after
  end
  if #list == 0 then
    return nil, "is empty"
  end
  return list
end

-- Where a token can be asked for: an absolute URL of http or https with a host, and
-- nothing in it that could end a line or pass for another host.
local function is_url(text)
  local host = text:match "^[Hh][Tt][Tt][Pp][Ss]?://([^/?#]+)"
  return host and not host:find "[@\\]" and not text:find "[^\x21-\x7e]" and not text:find "#" or false
end

local function check_realm(challenge)
  local realm = challenge.params.realm
  if not realm then
    return nil, "has no realm to ask for a token"
  elseif not is_url(realm) then
    return nil, "has a realm that is no http or https URL without a user"
  end
  return true
end

---The challenge to answer: the first Bearer with a realm that a token can be asked
---from, else the first Basic.
---@param list banger.challenge[]
---@return banger.challenge?
---@return string? message # why none can be answered, when the challenge is nil
function M.pick(list)
  local basic, message
  local others = {}
  for _, challenge in ipairs(list) do
    if challenge.scheme == "bearer" then
      local ok, why = check_realm(challenge)
      if ok then
        return challenge
      end
      message = message or why
    elseif challenge.scheme == "basic" then
      basic = basic or challenge
    else
      others[#others + 1] = challenge.scheme
    end
  end
  if basic then
    return basic
  end
  return nil, message or ("is none that can be answered: Bearer or Basic, but %s"):format(table.concat(others, ", "))
end

return M
