---Bytes as a terminal may have them, and numbers as people read them: pure.
local M = {}

-- To a reader these are no text: control characters (those of C1 too), marks and overrides of
-- direction, separators of lines, the mark of a byte order. base/escape.c has the same list.
local function is_unsafe(code)
  return code < 0x20 or code >= 0x7F and code < 0xA0 or code == 0x200E or code == 0x200F or code >= 0x2028 and code <= 0x202E
    or code >= 0x2066 and code <= 0x2069 or code == 0xFEFF
end

---A text with what is unsafe to show in a notation of one's own: characters that a terminal or a
---reader takes for something else, and bytes that are no UTF-8.
---@param text string
---@param notation fun(bytes: string, code?: integer): string # of a character; of a byte that is no UTF-8, without a code
---@return string
---@example
---```lua
---text.replace(name, function(bytes, code) return "?" end)
---```
function M.replace(text, notation)
  if not text:find "[%c\128-\255]" then
    return text
  end
  local out, at = {}, 1
  while at <= #text do
    local valid, bad = utf8.len(text, at)
    for _, code in utf8.codes(text:sub(at, valid and #text or bad - 1)) do
      local character = utf8.char(code)
      out[#out + 1] = is_unsafe(code) and notation(character, code) or character
    end
    if valid then
      break
    end
    out[#out + 1] = notation(text:sub(bad, bad))
    at = bad + 1
  end
  return table.concat(out)
end

---The notation that messages of errors have, too: each byte as \xHH.
---@param bytes string
---@return string
---@example
---```lua
---text.replace("a\nb", text.hex)  --> a\x0ab
---```
function M.hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("\\x%02x"):format(byte:byte())
  end))
end

local NAMED = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

-- As Lua writes it between quotes.
local function lua_escape(bytes, code)
  if code and code >= 0x80 then
    return ("\\u{%X}"):format(code)
  end
  return NAMED[bytes] or ("\\x%02X"):format(bytes:byte())
end

---A text without anything that a terminal would act on.
---@param text string
---@param keep? string # control characters that stay
---@return string
---@example
---```lua
---text.escape "a\27[1mb\n"  --> "a\\x1B[1mb\\n"
---```
function M.escape(text, keep)
  return M.replace(text, keep and function(bytes, code)
    return keep:find(bytes, 1, true) and bytes or lua_escape(bytes, code)
  end or lua_escape)
end

---A text as Lua reads it, in double quotes.
---@param text string
---@return string
---@example
---```lua
---text.quote 'say "hi"'  --> [["say \"hi\""]]
---```
function M.quote(text)
  return '"' .. M.escape((text:gsub('[\\"]', "\\%0"))) .. '"'
end

---How many columns a text takes; close enough for layout.
---@param text string
---@return integer
---@example
---```lua
---text.width "žluť"  --> 4
---```
function M.width(text)
  return utf8.len(text) or #text
end

---A whole number with separators.
---@param number integer
---@return string
---@example
---```lua
---text.number(13626)  --> "13,626"
---```
function M.number(number)
  local digits = ("%d"):format(number)
  local sign, rest = digits:match "^(%-?)(%d+)$"
  rest = rest:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return sign .. rest
end

---A number and what it counts, in its plural where that is due.
---@param number integer
---@param noun string
---@param plural? string # default: an "s" more
---@return string
---@example
---```lua
---text.count(2, "entry", "entries")  --> "2 entries"
---```
function M.count(number, noun, plural)
  return ("%s %s"):format(M.number(number), number == 1 and noun or plural or noun .. "s")
end

---A mode's letters, as ls has them.
---@param mode integer # permissions
---@param type string # of a stat result
---@return string
---@example
---```lua
---text.mode(tonumber("4755", 8), "file")  --> "-rwsr-xr-x"
---```
function M.mode(mode, type)
  local letters = {
    ({ file = "-", dir = "d", symlink = "l", char = "c", block = "b", fifo = "p", socket = "s" })[type] or "?",
  }
  for i = 8, 0, -1 do
    letters[#letters + 1] = mode >> i & 1 == 1 and ("xwr"):sub(i % 3 + 1, i % 3 + 1) or "-"
  end
  local function special(bit, at, letter)
    if mode & bit ~= 0 then
      letters[at] = letters[at] == "x" and letter or letter:upper()
    end
  end
  special(2048, 4, "s")
  special(1024, 7, "s")
  special(512, 10, "t")
  return table.concat(letters)
end

---A time as ISO 8601 has it, in UTC.
---@param seconds integer # since 1970
---@param nsec? integer # then with nine digits
---@return string # such as "2020-01-02 03:04:05"; what no calendar has, as a number
---@example
---```lua
---text.time(0)  --> "1970-01-01 00:00:00"
---```
function M.time(seconds, nsec)
  local ok, date = pcall(os.date, "!%Y-%m-%d %H:%M:%S", seconds)
  if not ok then
    return ("%d seconds since 1970"):format(seconds)
  end
  return nsec and ("%s.%09d"):format(date, nsec) or date
end

---The same, which says that it is UTC.
---@param seconds integer
---@param nsec? integer
---@return string
---@example
---```lua
---text.utc(0)  --> "1970-01-01 00:00:00 UTC"
---```
function M.utc(seconds, nsec)
  local time = M.time(seconds, nsec)
  return time:find "1970$" and time or time .. " UTC"
end

---Words in columns, read downwards.
---@param words string[]
---@param width integer # of the terminal
---@return string # lines, each with its newline
---@example
---```lua
---text.columns({ "a", "b" }, 80)  --> "a  b\n"
---```
function M.columns(words, width)
  local longest = 0
  for _, word in ipairs(words) do
    longest = math.max(longest, M.width(word))
  end
  local per_line = math.max(1, (width + 1) // (longest + 2))
  local rows = math.ceil(#words / per_line)
  local lines = {}
  for row = 1, rows do
    local line = {}
    for i = row, #words, rows do
      line[#line + 1] = i + rows <= #words and words[i] .. (" "):rep(longest + 2 - M.width(words[i])) or words[i]
    end
    lines[row] = table.concat(line) .. "\n"
  end
  return table.concat(lines)
end

return M
