---What can follow what was typed: names, fields, methods, modules, paths of this machine
---and of images. Nothing that was typed is called.
local core = require "banger.core"
local format = require "banger.repl.format"
local handles = require "banger.inspect.handle"
local text = require "banger.text"

local M = {}

-- ---- where the cursor is ---------------------------------------------------------

local function skip_long(code, at, level)
  local _, close = code:find("]" .. level .. "]", at, true)
  return close and close + 1
end

local function skip_quoted(code, at, quote)
  while at <= #code do
    local c = code:sub(at, at)
    if c == "\\" then
      at = at + 1
    elseif c == quote then
      return at + 1
    elseif c == "\n" then
      return at
    end
    at = at + 1
  end
end

---Whether text ends in code, in a comment or in a string.
---@param code string
---@return "code"|"comment"|"string" state
---@return integer? start # of the string, after its quote
---@return string? quote
---@example
---```lua
---complete.state 'f("a'  --> "string", 4, '"'
---```
function M.state(code)
  local at = 1
  while at <= #code do
    local comment, level = code:match("^(%-?%-?)%[(=*)%[", at)
    local c = code:sub(at, at)
    local start, after
    if level and (comment == "--" or comment == "") then
      start = at + #comment + #level + 2
      after = skip_long(code, start, level)
      if not after then
        return comment == "--" and "comment" or "string", start, "[" .. level .. "["
      end
    elseif code:find("^%-%-", at) then
      after = code:find("\n", at, true)
      if not after then
        return "comment"
      end
    elseif c == '"' or c == "'" then
      start = at + 1
      after = skip_quoted(code, start, c)
      if not after then
        return "string", start, c
      end
    end
    at = after or at + 1
  end
  return "code"
end

-- ---- values without calling anything ---------------------------------------------------

local member_of

local function member_by_metatable(value, key, depth)
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  if type(index) == "table" then
    return member_of(index, key, depth + 1)
  elseif type(index) == "function" and type(value) == "userdata" then
    -- Ours have their methods in the first upvalue.
    local _, methods = debug.getupvalue(index, 1)
    return type(methods) == "table" and rawget(methods, key) or nil
  end
end

function member_of(value, key, depth)
  if depth > 8 then
    return nil
  end
  if type(value) == "table" then
    local found = rawget(value, key)
    if found ~= nil then
      return found
    end
  end
  return member_by_metatable(value, key, depth)
end

local function add_members(value, names, depth)
  if depth > 8 then
    return
  end
  if type(value) == "table" then
    for key in next, value do
      if type(key) == "string" then
        names[key] = true
      end
    end
  end
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  if type(index) == "table" then
    add_members(index, names, depth + 1)
  elseif type(index) == "function" and type(value) == "userdata" then
    local _, methods = debug.getupvalue(index, 1)
    add_members(type(methods) == "table" and methods or nil, names, depth + 1)
  end
end

---@class banger.scope
---@field get fun(name: string): any # a variable, without side effects
---@field names fun(): string[] # of all variables

-- "a.b[1]:c" as the value of it, nil where it cannot be told.
local function evaluate(chain, scope)
  local name, at = chain:match "^([%a_][%w_]*)()"
  if not name then
    return nil
  end
  local value = scope.get(name)
  while value ~= nil and at <= #chain do
    local field, after = chain:match("^[.:]([%a_][%w_]*)()", at)
    local key = field
    if not field then
      key, after = chain:match("^%[(%-?%d+)%]()", at)
      key = key and math.tointeger(tonumber(key))
    end
    if not key then
      key, after = chain:match("^%[[\"']([^\"'\\]*)[\"']%]()", at)
    end
    if not key then
      return nil
    end
    value, at = member_of(value, key, 0), after
  end
  return value
end

-- The chain of names, fields and simple indices that a text ends in.
local function trailing_chain(code)
  local at = #code + 1
  while true do
    local before = code:sub(1, at - 1)
    local start = before:match "()[%a_][%w_]*$"
    local bracket = before:match "()%[%-?%d+%]$" or before:match "()%[\"[^\"\\%]]*\"%]$" or before:match "()%['[^'\\%]]*'%]$"
    if bracket then
      at = bracket
    elseif start then
      at = start
      local separator = code:sub(at - 1, at - 1)
      if separator ~= "." and separator ~= ":" or code:sub(at - 2, at - 1) == ".." then
        break
      end
      at = at - 1
    else
      break
    end
  end
  return code:sub(at)
end

-- ---- candidates --------------------------------------------------------------------------
-- Each finder returns what is to be completed, and a sorted list of words that begin with it.

local function begin_with(names, prefix)
  local list = {}
  for name in pairs(names) do
    if name:sub(1, #prefix) == prefix then
      list[#list + 1] = name
    end
  end
  table.sort(list)
  return list
end

local function complete_name(code, scope)
  local prefix = code:match "[%a_][%w_]*$" or ""
  local before = code:sub(1, #code - #prefix)
  local separator = before:match "[.:]$"
  local names = {}
  if separator and before:sub(-2) ~= ".." then
    local value = evaluate(trailing_chain(before:sub(1, -2)), scope)
    if value == nil then
      return prefix, {}
    end
    add_members(value, names, 0)
    for name in pairs(names) do
      local member = separator == ":" and member_of(value, name, 0)
      if not name:find "^[%a_][%w_]*$" or format.keywords()[name] or separator == ":" and type(member) ~= "function"
        or name:find "^__" and prefix == "" then
        names[name] = nil
      end
    end
  elseif prefix ~= "" or not before:find "[%)%]}\"']%s*$" then
    for _, name in ipairs(scope.names()) do
      names[name] = true
    end
    for word in pairs(prefix ~= "" and format.keywords() or {}) do
      names[word] = true
    end
  end
  return prefix, begin_with(names, prefix)
end

local function add_modules_of_path(names, prefix)
  local dir = prefix:match "^(.*)%." or ""
  for template in package.path:gmatch "[^;]+" do
    local root, suffix = template:match "^([^?]*)%?(.*)$"
    if suffix == ".lua" and root ~= "" then
      for _, name in ipairs(core.host.list(root .. dir:gsub("%.", "/")) or {}) do
        local module = name:match "^([%w_%-]+)%.lua$"
        if module then
          names[(dir ~= "" and dir .. "." or "") .. module] = true
        end
      end
    end
  end
end

local function complete_module(prefix)
  local names = { cjson = true, argparse = true }
  for _, resource in ipairs(core.resources()) do
    local module = resource:match "^(banger/.*)%.lua$"
    if module and not module:find "^banger/meta/" then
      names[module:gsub("/init$", ""):gsub("/", ".")] = true
    end
  end
  for _, searched in ipairs { package.loaded, package.preload } do
    for name in pairs(searched) do
      names[name] = type(name) == "string" and name ~= "_G" or nil
    end
  end
  pcall(add_modules_of_path, names, prefix)
  return prefix, begin_with(names, prefix)
end

local MOST = 200 -- words that are listed

-- What cannot be asked completes nothing; Ctrl-C ends the asking.
local function ask(act, path)
  local ok, answer = pcall(act, path)
  if not ok and core.is_error(answer) and answer.code == "interrupted" then
    error(answer, 0)
  end
  return ok and answer
end

-- `list` gives the names in a directory, `is_dir` tells which words get a slash: those that are shown.
local function complete_path(path, list, is_dir)
  local dir, prefix = path:match "^(.*/)([^/]*)$"
  dir, prefix = dir or "", prefix or path
  local words = {}
  for _, name in ipairs(ask(list, dir) or {}) do
    if name:sub(1, #prefix) == prefix and (name:sub(1, 1) ~= "." or prefix ~= "") then
      words[#words + 1] = name
    end
  end
  for i = 1, math.min(#words, MOST) do
    words[i] = ask(is_dir, dir .. words[i]) and words[i] .. "/" or words[i]
  end
  return prefix, words
end

local function complete_host_path(path)
  return complete_path(path, function(dir)
    return core.host.list(dir == "" and "." or dir)
  end, function(name)
    local st = core.host.stat(name)
    return st and st.type == "dir"
  end)
end

local function complete_image_path(tree, path)
  return complete_path(path, function(dir)
    return tree:list("/" .. dir)
  end, function(name)
    local st = tree:stat("/" .. name, { follow = true })
    return st and st.type == "dir"
  end)
end

local IN_IMAGE = {}
for name in ("stat list read walk exists resolve ls cat find tree extract edit"):gmatch "%a+" do
  IN_IMAGE[name] = true
end

local function is_tree(value)
  return handles.is(value) or type(value) == "userdata" and type(member_of(value, "list", 0)) == "function"
end

-- The handle whose method the string is an argument of, if it takes a path of an image.
local function tree_before(code, scope)
  local before, method = code:match "^(.*):([%a_][%w_]*)%s*%(?%s*$"
  if not method or not IN_IMAGE[method] then
    return nil
  end
  local tree = evaluate(trailing_chain(before), scope)
  return is_tree(tree) and tree or nil
end

local function unescape(raw, quote)
  if quote:sub(1, 1) == "[" then
    return raw
  end
  local literal = load("return " .. quote .. raw .. quote, "=", "t", {})
  return literal and literal() or raw
end

local function complete_string(code, start, quote, scope)
  local before = code:sub(1, start - 1 - #quote)
  local typed = unescape(code:sub(start), quote)
  if before:find "%f[%w_]require%s*%(?%s*$" then
    return complete_module(typed)
  end
  local tree = tree_before(before, scope)
  if tree and handles.is(tree) and not handles.is_open(tree) then
    return typed, {} -- nothing is fetched for a completion
  elseif tree then
    return complete_image_path(tree, typed)
  end
  return complete_host_path(typed)
end

-- ---- the answer ----------------------------------------------------------------------------

local function common_prefix(words)
  local first, last = words[1], words[#words]
  local length = 0
  while length < #first and first:byte(length + 1) == last:byte(length + 1) do
    length = length + 1
  end
  while length > 0 and length < #first and first:byte(length + 1) & 0xC0 == 0x80 do
    length = length - 1 -- not into the middle of a character
  end
  return first:sub(1, length)
end

-- What an image names its files is not for the terminal as it is; nil where it cannot be written.
local function as_typed(word, quote)
  if not quote then
    return word
  elseif quote:sub(1, 1) ~= "[" then
    return text.escape((word:gsub("[\\" .. quote .. "]", "\\%0")))
  end
  return not word:find("]", 1, true) and text.escape(word) == word and word or nil
end

local function listing(words, width)
  local shown = {}
  for i = 1, math.min(#words, MOST) do
    shown[i] = text.escape(words[i])
  end
  local more = #words > MOST and ("... %s more\n"):format(text.number(#words - MOST)) or ""
  return text.columns(shown, width) .. more
end

---What completes a text.
---@param code string # up to the cursor
---@param scope banger.scope
---@param width integer # of the terminal
---@return string? insert # goes in at the cursor
---@return string? list # the candidates, as lines, when there are several
---@example
---```lua
---complete.complete("bang", scope, 80)  --> "er"
---```
function M.complete(code, scope, width)
  local state, start, quote = M.state(code)
  local prefix, words
  if state == "comment" then
    return nil
  elseif state == "string" then
    prefix, words = complete_string(code, start, quote, scope)
  else
    prefix, words = complete_name(code, scope)
  end
  if #words == 0 then
    return nil
  end
  local rest = common_prefix(words):sub(#prefix + 1)
  local insert = as_typed(rest, quote)
  if #words == 1 then
    if insert and quote and words[1]:sub(-1) ~= "/" then
      insert = insert .. quote:gsub("%[", "]")
    end
    return insert
  elseif rest == "" then
    return nil, listing(words, width)
  end
  return insert
end

return M
