---TOML 1.0 without floats, dates and times: as much as configuration of container
---tools needs. Pure.
local M = {}

local MAX_DEPTH = 64 -- of arrays and inline tables in each other

-- A parser is a cursor over a text. What it finds wrong is raised as a Failure, that
-- no function on the way has to pass on; M.parse returns it.

---@class banger.toml.parser
---@field text string
---@field at integer
---@field depth integer
---@field seen_at integer
---@field seen_line integer # of seen_at
---@field kinds table<table, string> # how a table came to be, which decides who may add to it
---@field lines table<table, integer> # where a table of a header begins
local Parser = {}
Parser.__index = Parser

local Failure = {}

-- The line of the cursor, counted from where it was asked for last.
function Parser:line()
  local line, from = self.seen_line, self.seen_at
  if from > self.at then
    line, from = 1, 1
  end
  local _, count = self.text:sub(from, self.at - 1):gsub("\n", "")
  self.seen_line, self.seen_at = line + count, self.at
  return self.seen_line
end

---@param format string
---@param ... any
function Parser:fail(format, ...)
  error(setmetatable({ message = ("line %d: %s"):format(self:line(), format:format(...)) }, Failure), 0)
end

-- ---- characters -----------------------------------------------------------------

-- What matches here; the cursor moves behind it.
function Parser:take(pattern)
  local first, last, capture = self.text:find("^" .. pattern, self.at)
  if not first then
    return nil
  end
  self.at = last + 1
  return capture or self.text:sub(first, last)
end

function Parser:skip_space()
  self:take "[ \t]*"
end

function Parser:skip_comment()
  self:take "#[^\0-\8\10-\31\127]*"
end

function Parser:at_end()
  return self.at > #self.text
end

-- A comment, perhaps, and the line's end.
function Parser:end_line()
  self:skip_space()
  self:skip_comment()
  if not self:take "\r?\n" and not self:at_end() then
    self:fail("%s is not expected here", self:here())
  end
end

function Parser:skip_lines()
  repeat
    self:skip_space()
    self:skip_comment()
  until not self:take "\r?\n"
end

-- What stands here, for messages.
function Parser:here()
  if self:at_end() then
    return "the end"
  elseif self.text:find("^\r?\n", self.at) then
    return "the end of the line"
  end
  local word = self.text:match("^[%w_.:+-]+", self.at)
  local char = word and word:sub(1, 40) or self.text:match("^[\x20-\x7e]", self.at)
  return char and ("'%s'"):format(char) or ("the byte 0x%02x"):format(self.text:byte(self.at))
end

-- ---- strings --------------------------------------------------------------------

local escapes = { b = "\b", t = "\t", n = "\n", f = "\f", r = "\r", ['"'] = '"', ["\\"] = "\\" }

function Parser:escape()
  local char = self:take "[btnfruU\"\\]"
  if not char then
    self:fail("a backslash is followed by %s, which is no escape", self:here())
  elseif escapes[char] then
    return escapes[char]
  end
  local hex = self:take(("%x"):rep(char == "u" and 4 or 8))
  local code = hex and tonumber(hex, 16)
  if not code or code > 0x10ffff or (code >= 0xd800 and code <= 0xdfff) then
    self:fail("'\\%s' is followed by no character's number", char)
  end
  return utf8.char(code)
end

-- A line ends in a backslash: the next text follows at once.
function Parser:take_joint()
  return self:take "[ \t]*\r?\n[ \t\r\n]*"
end

-- The rest of a string of one line; `plain` is what stands for itself.
function Parser:line_string(quote, plain)
  local parts = {}
  while not self:take(quote) do
    local part = self:take(plain)
    if part then
      parts[#parts + 1] = part
    elseif quote == '"' and self:take "\\" then
      parts[#parts + 1] = self:escape()
    else
      self:fail(self.text:find("^[\r\n]", self.at) and "a string does not end on its line"
        or self:at_end() and "a string does not end" or "%s is in a string", self:here())
    end
  end
  return table.concat(parts)
end

-- The rest of a string between three quotes each. One or two may end its content.
function Parser:long_string(quote, plain)
  local start = self.at
  local parts = {}
  self:take "\r?\n"
  while true do
    local quotes = self:take(quote .. "+")
    local part = not quotes and (self:take(plain) or self:take "\r?\n")
    if quotes and #quotes > 5 then
      self:fail("too many quotes end a string")
    elseif quotes and #quotes >= 3 then
      parts[#parts + 1] = quotes:sub(4)
      return table.concat(parts)
    elseif quotes or part then
      parts[#parts + 1] = quotes or part
    elseif quote == '"' and self:take "\\" then
      parts[#parts + 1] = self:take_joint() and "" or self:escape()
    elseif self:at_end() then
      self.at = start
      self:fail("the string that begins here does not end")
    else
      self:fail("%s is in a string", self:here())
    end
  end
end

-- What may stand for itself in a string, by its quote.
local plain = { ['"'] = '[^"\\\0-\8\10-\31\127]+', ["'"] = "[^'\0-\8\10-\31\127]+" }

-- nil when no string begins here
function Parser:string(one_line)
  for _, quote in ipairs { '"', "'" } do
    if not one_line and self:take(quote:rep(3)) then
      return self:long_string(quote, plain[quote])
    elseif self:take(quote) then
      return self:line_string(quote, plain[quote])
    end
  end
end

-- ---- keys -----------------------------------------------------------------------

function Parser:key_part()
  self:skip_space()
  local part = self:take "[%w_-]+" or self:string(true)
  if not part then
    self:fail("a key is expected, not %s", self:here())
  end
  self:skip_space()
  return part
end

-- A dotted key, as a list.
function Parser:key()
  local parts = { self:key_part() }
  while self:take "%." do
    parts[#parts + 1] = self:key_part()
  end
  return parts
end

local function name(parts, count)
  return table.concat(parts, ".", 1, count)
end

function Parser:new_table(kind, line)
  local new = {}
  self.kinds[new] = kind
  self.lines[new] = line
  return new
end

-- ---- values ---------------------------------------------------------------------

local bases = { ["0x"] = 16, ["0o"] = 8, ["0b"] = 2 }
local digits = { [16] = "^%x+$", [10] = "^%d+$", [8] = "^[0-7]+$", [2] = "^[01]+$" }

-- nil when the number does not fit
local function to_integer(sign, bare, base)
  if base == 10 then
    local value = tonumber(sign .. bare) -- a float where an integer has no room
    return math.type(value) == "integer" and value or nil
  end
  local value = 0
  for char in bare:gmatch "." do
    local digit = tonumber(char, base)
    if value > (math.maxinteger - digit) // base then
      return nil
    end
    value = value * base + digit
  end
  return value
end

-- Floats, dates and times begin as integers do.
local function is_other_number(word)
  return word:find "^[+-]?%d[%d_]*%.%d" or word:find "^[+-]?%d[%d_]*[eE]" or word:find "^[+-]?inf$"
    or word:find "^[+-]?nan$" or word:find "^%d%d%d%d%-%d%d" or word:find "^%d%d:%d%d"
end

function Parser:integer(word)
  local sign, prefix, number = word:match "^([+-]?)(0?[xob]?)([%w_]+)$"
  local base = bases[prefix] or 10
  if not bases[prefix] then
    sign, number = word:match "^([+-]?)([%d_]+)$"
  end
  local bare = number and not number:find "^_" and not number:find "_$" and not number:find "__"
    and number:gsub("_", "")
  if not bare or not bare:find(digits[base]) or (base ~= 10 and sign ~= "") or (base == 10 and bare:find "^0.") then
    return nil
  end
  return to_integer(sign, bare, base) or self:fail("%s is too large a number", word)
end

function Parser:array()
  local list = {}
  self.kinds[list] = "array"
  self:skip_lines()
  while not self:take "%]" do
    list[#list + 1] = self:value()
    self:skip_lines()
    if not self:take "," and not self.text:find("^%]", self.at) then
      self:fail("',' or ']' is expected in an array, not %s", self:here())
    end
    self:skip_lines()
  end
  return list
end

function Parser:inline_table()
  local new = self:new_table "inline"
  self:skip_space()
  if self:take "}" then
    return new
  end
  repeat
    self:pair(new)
    self:skip_space()
  until not self:take ","
  if not self:take "}" then
    self:fail("',' or '}' is expected in an inline table, not %s", self:here())
  end
  return new
end

function Parser:nested(parse)
  self.depth = self.depth + 1
  if self.depth > MAX_DEPTH then
    self:fail("values are nested more than %d deep", MAX_DEPTH)
  end
  local value = parse(self)
  self.depth = self.depth - 1
  return value
end

function Parser:word()
  local start = self.at
  local word = self:take "[%w_.:+-]+"
  if word == "true" or word == "false" then
    return word == "true"
  end
  local value = word and self:integer(word)
  if value then
    return value
  end
  self.at = start
  if word and is_other_number(word) then
    self:fail("floats, dates and times are not supported (%s)", self:here())
  end
  self:fail("a value is expected, not %s", self:here())
end

function Parser:value()
  local text = self:string()
  if text then
    return text
  elseif self:take "%[" then
    return self:nested(self.array)
  elseif self:take "{" then
    return self:nested(self.inline_table)
  end
  return self:word()
end

-- ---- tables ---------------------------------------------------------------------

-- The table that a dotted key before an "=" leads to. Only such keys may have made
-- what is on the way: a table with a header is added to under its header.
function Parser:descend(into, parts)
  for i = 1, #parts - 1 do
    local next_table = into[parts[i]]
    if next_table == nil then
      next_table = self:new_table "dotted"
      into[parts[i]] = next_table
    elseif self.kinds[next_table] ~= "dotted" then
      self:fail("'%s' is there already", name(parts, i))
    end
    into = next_table
  end
  return into
end

-- KEY = VALUE
function Parser:pair(into)
  local parts = self:key()
  if not self:take "=" then
    self:fail("'=' is expected after the key '%s', not %s", name(parts), self:here())
  end
  into = self:descend(into, parts)
  local last = parts[#parts]
  if into[last] ~= nil then
    self:fail("'%s' is there already", name(parts))
  end
  self:skip_space()
  into[last] = self:value()
end

-- The table that a header's key leads to: of an array of tables, the last one.
function Parser:open(root, parts)
  local into = root
  for i = 1, #parts - 1 do
    local next_table = into[parts[i]]
    local kind = self.kinds[next_table]
    if next_table == nil then
      next_table = self:new_table "implicit"
      into[parts[i]] = next_table
    elseif kind == "tables" then
      next_table = next_table[#next_table]
    elseif kind ~= "header" and kind ~= "implicit" and kind ~= "dotted" then
      self:fail("'%s' is there already, and no table to add to", name(parts, i))
    end
    into = next_table
  end
  return into
end

-- [KEY]: a table that is new, or only known from what is below it.
function Parser:table_header(root, parts, line)
  local into, last = self:open(root, parts), parts[#parts]
  local found = into[last]
  if found == nil then
    into[last] = self:new_table("header", line)
  elseif self.kinds[found] == "implicit" then
    self.kinds[found], self.lines[found] = "header", line
  else
    self:fail("'%s' is there already", name(parts))
  end
  return into[last]
end

-- [[KEY]]: one more table of an array.
function Parser:array_header(root, parts, line)
  local into, last = self:open(root, parts), parts[#parts]
  local list = into[last]
  if list == nil then
    list = self:new_table "tables"
    into[last] = list
  elseif self.kinds[list] ~= "tables" then
    self:fail("'%s' is there already, and no array of tables", name(parts))
  end
  list[#list + 1] = self:new_table("header", line)
  return list[#list]
end

function Parser:header(root)
  local double = self:take "%[%[" ~= nil
  if not double then
    self:take "%["
  end
  local line = self:line()
  local parts = self:key()
  if not self:take(double and "%]%]" or "%]") then
    self:fail("'%s' is expected, not %s", double and "]]" or "]", self:here())
  end
  return (double and self.array_header or self.table_header)(self, root, parts, line)
end

function Parser:document()
  local root = self:new_table("header", 1)
  local into = root
  self:skip_lines()
  while not self:at_end() do
    if self.text:find("^%[", self.at) then
      into = self:header(root)
    else
      self:pair(into)
    end
    self:end_line()
    self:skip_lines()
  end
  return root
end

---Parse a document. Arrays are lists, integers are integers.
---@param text string
---@return table? document
---@return string|table<table, integer> message # what is wrong, "line N: ...", when the document is nil; else the line
---on which each table with a header begins
---@example
---```lua
---toml.parse "[[registry]]\nlocation = 'a.b'"  --> { registry = { { location = "a.b" } } }
---```
function M.parse(text)
  local parser = setmetatable({
    text = text, at = 1, depth = 0, seen_at = 1, seen_line = 1, kinds = {}, lines = {},
  }, Parser)
  local ok, result = pcall(function()
    local valid, bad = utf8.len(text)
    if not valid then
      parser.at = bad
      parser:fail("this is not UTF-8")
    end
    parser:take "\u{feff}"
    return parser:document()
  end)
  if ok then
    return result, parser.lines
  elseif getmetatable(result) ~= Failure then
    error(result, 0) -- an interruption
  end
  return nil, result.message
end

return M
