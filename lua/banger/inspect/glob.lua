---Patterns for names, as fnmatch(3) has them without flags: * and ? take any byte, a slash
---too; [a-z], [!a-z]; \ takes what follows as it is. Pure, and never slower than the product
---of both lengths.
local M = {}

local function parse_set(pattern, at)
  local set, invert = {}, false
  local first = true
  if pattern:find("^[!^]", at) then
    invert, at = true, at + 1
  end
  while true do
    local byte = pattern:byte(at)
    if not byte then
      return nil
    elseif byte == 93 and not first then -- ]
      return { set = set, invert = invert }, at + 1
    end
    if byte == 92 and at < #pattern then
      at, byte = at + 1, pattern:byte(at + 1)
    end
    local last = byte
    if pattern:sub(at + 1, at + 1) == "-" and pattern:find("^[^%]]", at + 2) then
      last, at = pattern:byte(at + 2), at + 2
    end
    for code = byte, last do
      set[code] = true
    end
    at, first = at + 1, false
  end
end

local function parse(pattern)
  local tokens, at = {}, 1
  while at <= #pattern do
    local char = pattern:sub(at, at)
    local token, after
    if char == "*" then
      token = "star"
    elseif char == "?" then
      token = "any"
    elseif char == "[" then
      token, after = parse_set(pattern, at + 1)
    elseif char == "\\" and at < #pattern then
      at = at + 1
    end
    tokens[#tokens + 1] = token or pattern:byte(at)
    at = token and after or at + 1
  end
  return tokens
end

local function takes(token, byte)
  if type(token) == "table" then
    return (token.set[byte] or false) ~= token.invert
  end
  return token == "any" or token == byte
end

local function match(tokens, name)
  local t, n = 1, 1
  local star, from -- where to go on when the last star has to take one more byte
  while n <= #name do
    if tokens[t] == "star" then
      star, from, t = t, n, t + 1
    elseif tokens[t] and takes(tokens[t], name:byte(n)) then
      t, n = t + 1, n + 1
    elseif star then
      from = from + 1
      t, n = star + 1, from
    else
      return false
    end
  end
  while tokens[t] == "star" do
    t = t + 1
  end
  return t > #tokens
end

---A function that says whether a name fits a pattern.
---@param pattern string
---@return fun(name: string): boolean
---@example
---```lua
---local fits = glob.compile "*.conf"
---fits "nginx.conf"  --> true
---```
function M.compile(pattern)
  local tokens = parse(pattern)
  return function(name)
    return match(tokens, name)
  end
end

return M
