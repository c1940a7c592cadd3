---Values as the prompt prints them: Lua that people can read, with what a number means
---beside it.
local result = require "banger.inspect.result"
local sizes = require "banger.size"
local text = require "banger.text"

local M = {}

---@class banger.format_options
---@field width? integer # of the terminal, default 80
---@field colour? boolean # default false
---@field depth? integer # of tables, default 4
---@field items? integer # of a table, default 100; a fifth of it in inner ones
---@field bytes? integer # of a string, default 4000; a tenth of it in tables
---@field lines? integer # of what a method of an image gives, default 500

local STYLES = { string = "32", number = "36", word = "33", dim = "2", handle = "1", key = "0" }

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
  until while]]):gmatch "%a+" do
  KEYWORDS[word] = true
end

---The words of the language.
---@return table<string, true>
---@example
---```lua
---assert(format.keywords()["while"])
---```
function M.keywords()
  return KEYWORDS
end

-- What is printed: text with colours, and how wide it is without.
local function paint(state, style, plain)
  if not state.colour or style == "key" then
    return plain
  end
  return ("\27[%sm%s\27[0m"):format(STYLES[style], plain)
end

-- ---- handles ----------------------------------------------------------------------

local function describe_image(image)
  local df = image:df()
  return ("image %s: ext4 %s, %s free%s%s"):format(image:path(), sizes.format(df.size), sizes.format(df.free),
    df.label ~= "" and ", " .. text.quote(df.label) or "", df.needs_recovery and ", needs journal recovery" or "")
end

local function describe_rootfs(rootfs)
  local df = rootfs:df()
  -- The root itself is nobody's entry.
  return ("rootfs: %s, %s, %s staged"):format(text.count(df.layers, "layer"), text.count(df.files - 1, "entry", "entries"),
    sizes.format(df.used))
end

local function describe_blob(blob)
  local size = blob:progress().size
  return size and blob.digest and ("blob: %s, %s"):format(blob.digest, sizes.format(size))
end

local DESCRIBE = {
  ["banger.Image"] = describe_image,
  ["banger.Rootfs"] = describe_rootfs,
  ["banger.Blob"] = describe_blob,
}

---A handle in a line.
---@param value userdata
---@return string
---@example
---```lua
---format.handle(image)  --> 'image out.ext4: ext4 1.2 GiB, 320 MiB free, "root"'
---```
function M.handle(value)
  local ok, plain = pcall(tostring, value)
  if not ok then
    return "userdata that cannot be printed"
  end
  local meta = debug.getmetatable(value)
  local describe = type(meta) == "table" and DESCRIBE[rawget(meta, "__name")]
  local described, words = pcall(describe or tostring, value) -- not one that is closed
  return text.escape(described and words or plain)
end

-- ---- what numbers mean ------------------------------------------------------------

local SIZES = {}
for name in ([[size used free bytes unpacked compressed arrived journal_bytes needed given total wasted staged]]):gmatch "[%w_]+" do
  SIZES[name] = true
end

local TIMES = { mtime = true, atime = true, ctime = true, crtime = true, epoch = true }

local function is_stat(value)
  local type_of, mode, mtime = rawget(value, "type"), rawget(value, "mode"), rawget(value, "mtime")
  return type(type_of) == "string" and math.type(mode) == "integer" and math.type(mtime) == "integer"
    and math.type(rawget(value, "size")) == "integer" and type(rawget(value, "path")) == "string"
end

local function meaning(container, key, value)
  if math.type(value) ~= "integer" then
    return nil
  elseif key == "mode" and value >= 0 and value <= 4095 then
    local type_of = rawget(container, "type")
    local letters = text.mode(value, type(type_of) == "string" and type_of or "file")
    return ("%04o %s"):format(value, letters)
  elseif TIMES[key] then
    return text.utc(value)
  elseif SIZES[key] and value >= 1024 then
    return sizes.format(value)
  end
end

-- As ls has it, for lists of them.
local function stat_line(st)
  local size = st.major and ("%d, %d"):format(st.major, st.minor or 0) or st.type == "file" and sizes.format(st.size) or "-"
  local line = ("%s %d:%d %s %s %s"):format(text.mode(st.mode, st.type), st.uid or 0, st.gid or 0, size,
    text.utc(st.mtime), text.quote(st.path))
  if type(st.target) == "string" then
    line = line .. " -> " .. text.quote(st.target)
  end
  return line
end

-- ---- values -------------------------------------------------------------------------

local format_value

local function format_string(state, value, depth)
  local limit = depth == 0 and state.bytes or state.bytes // 10
  local cut
  if #value > limit then
    local last = limit
    while last > limit - 3 and value:byte(last + 1) & 0xC0 == 0x80 do -- in a character
      last = last - 1
    end
    value, cut = value:sub(1, last), #value - last
  end
  local shown
  if depth == 0 and value:find "\n" and not value:find "[^\n\t\32-\126\128-\255]" and utf8.len(value) then
    local level = ""
    while value:find("]" .. level .. "]", 1, true) do
      level = level .. "="
    end
    shown = ("[%s[\n%s]%s]"):format(level, text.escape(value, "\n\t"), level)
  else
    shown = text.quote(value)
  end
  return paint(state, "string", shown) .. (cut and paint(state, "dim", (" ... %s more"):format(text.count(cut, "byte"))) or "")
end

local names_of_functions

-- A function is known by the module it is in.
local function function_name(value)
  if not names_of_functions or not names_of_functions[value] then
    names_of_functions = setmetatable({}, { __mode = "k" })
    local modules = {}
    for module in pairs(package.loaded) do
      modules[#modules + 1] = tostring(module)
    end
    table.sort(modules, function(a, b)
      return b < a
    end)
    for _, module in ipairs(modules) do
      local content = package.loaded[module]
      for name, member in pairs(type(content) == "table" and content or {}) do
        if type(member) == "function" and type(name) == "string" and name ~= "_" then
          names_of_functions[member] = module == "_G" and name or module .. "." .. name
        end
      end
    end
  end
  return names_of_functions[value]
end

local function format_function(state, value)
  local info = debug.getinfo(value, "S")
  local name = function_name(value)
  local where = info.what ~= "C" and ("%s:%d"):format(info.short_src, info.linedefined) or "C"
  return paint(state, "word", "function" .. (name and " " .. text.escape(name) or "")) .. paint(state, "dim", " (" .. text.escape(where) .. ")")
end

local function format_number(state, value)
  return paint(state, "number", tostring(value))
end

local function is_name(key)
  return type(key) == "string" and key:find "^[%a_][%w_]*$" and not KEYWORDS[key]
end

local ORDER = { string = 1, number = 2, boolean = 3 }

local function by_key(a, b)
  local kind_a, kind_b = type(a), type(b)
  if kind_a ~= kind_b then
    return (ORDER[kind_a] or 4) < (ORDER[kind_b] or 4) or ORDER[kind_a] == ORDER[kind_b] and kind_a < kind_b
  elseif kind_a == "string" or kind_a == "number" then
    return a < b
  end
  return tostring(a) < tostring(b)
end

-- The keys that are no part of the list 1 to count.
local function other_keys(value, count)
  local keys = {}
  for key in next, value do
    if not (math.type(key) == "integer" and key >= 1 and key <= count) then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, by_key)
  return keys
end

-- A table with __pairs shows what that gives.
local function contents(value)
  local meta = debug.getmetatable(value)
  if type(meta) ~= "table" or not rawget(meta, "__pairs") then
    return value
  end
  local copy = {}
  local ok = pcall(function()
    for key, element in pairs(value) do
      copy[key] = element
    end
  end)
  return ok and copy or value
end

local function format_key(state, key, depth)
  if is_name(key) then
    return paint(state, "key", key)
  end
  return "[" .. format_value(state, key, depth + 1, 0) .. "]"
end

local function collect(state, value, depth, indent)
  local parts = {}
  local count = rawlen(value)
  local limit = depth == 0 and state.items or math.max(1, state.items // 5)
  local shown = math.min(count, limit)
  local keys = other_keys(value, count)
  state.elements = state.elements - shown - math.min(#keys, limit) -- those here before those in them
  for i = 1, shown do
    parts[#parts + 1] = { text = format_value(state, rawget(value, i), depth + 1, indent + 2), in_list = true }
  end
  for i = 1, math.min(#keys, limit) do
    local key = keys[i]
    local element = rawget(value, key)
    local named = format_key(state, key, depth) .. " = "
    parts[#parts + 1] = {
      text = named .. format_value(state, element, depth + 1, indent + 2),
      meaning = meaning(value, key, element),
    }
  end
  local left = count - shown + math.max(0, #keys - limit)
  if left > 0 then
    parts.more = paint(state, "dim", ("... %s more"):format(text.number(left)))
  end
  return parts
end

local function plain(painted)
  return (painted:gsub("\27%[[%d;]*m", ""))
end

local function one_line(state, parts, indent)
  local pieces, has_meaning = {}, false
  for i, part in ipairs(parts) do
    if part.text:find("\n", 1, true) then
      return nil
    end
    has_meaning = has_meaning or part.meaning ~= nil
    pieces[i] = part.text
  end
  pieces[#pieces + 1] = parts.more
  local line = "{ " .. table.concat(pieces, ", ") .. " }"
  return not (has_meaning and indent == 0) and text.width(plain(line)) + indent <= state.width and line or nil
end

-- Short ones of a list share a line.
local function add_part(state, lines, part, margin)
  local room = state.width - #margin - text.width(plain(part.text)) - 2
  if part.in_list and lines.open and lines.open <= room then
    lines[#lines] = lines[#lines] .. " " .. part.text .. ","
    lines.open = lines.open + text.width(plain(part.text)) + 2
    return
  end
  local short = part.in_list and text.width(plain(part.text)) <= 24 and not part.text:find("\n", 1, true)
  lines.open = short and text.width(plain(part.text)) + 1 or nil
  lines[#lines + 1] = margin .. part.text .. "," .. (part.meaning and paint(state, "dim", " -- " .. part.meaning) or "")
end

local function many_lines(state, parts, indent)
  local margin = (" "):rep(indent + 2)
  local lines = { "{" }
  for _, part in ipairs(parts) do
    add_part(state, lines, part, margin)
  end
  if parts.more then
    lines[#lines + 1] = margin .. parts.more
  end
  lines[#lines + 1] = (" "):rep(indent) .. "}"
  return table.concat(lines, "\n")
end

-- What a method of an image gives is printed as its recipe does.
local function format_result(state, value)
  local ok, said, more = pcall(result.text, value, state.lines)
  if not ok or said == "" then
    return ok and "{}" or "a result that cannot be printed"
  end
  return text.escape(said, "\n")
    .. (more and "\n" .. paint(state, "dim", "... and more; print(_) prints all") or "")
end

local function format_table(state, value, depth, indent)
  local meta = debug.getmetatable(value)
  if depth == 0 and result.is(value) then
    return format_result(state, value)
  elseif result.is(value) then
    meta = nil
  end
  if type(meta) == "table" and rawget(meta, "__tostring") then
    local ok, said = pcall(tostring, value)
    return paint(state, "handle", text.escape(ok and said or "a table that cannot be printed", "\n"))
  elseif state.seen[value] then
    return paint(state, "dim", "<the same as above: cycle>")
  elseif depth > 0 and is_stat(value) then
    local ok, line = pcall(stat_line, value)
    if ok then
      return line
    end
  end
  local shown = contents(value)
  if next(shown) == nil then
    return "{}"
  elseif depth >= state.depth or depth > 0 and state.elements <= 0 then
    return paint(state, "dim", "{ ... }")
  end
  state.seen[value] = true
  local parts = collect(state, shown, depth, indent)
  state.seen[value] = nil
  return one_line(state, parts, indent) or many_lines(state, parts, indent)
end

function format_value(state, value, depth, indent)
  local kind = type(value)
  if kind == "string" then
    return format_string(state, value, depth)
  elseif kind == "number" then
    return format_number(state, value)
  elseif kind == "table" then
    return format_table(state, value, depth, indent)
  elseif kind == "function" then
    return format_function(state, value)
  elseif kind == "userdata" then
    return paint(state, "handle", M.handle(value))
  end
  return paint(state, "word", text.escape(tostring(value)))
end

local function new_state(options)
  options = options or {}
  return {
    width = options.width or 80,
    colour = options.colour or false,
    depth = options.depth or 4,
    items = options.items or 100,
    bytes = options.bytes or 4000,
    lines = options.lines or 500,
    elements = 400, -- of tables, in all
    seen = {},
  }
end

---A value, in one line or more.
---@param value any
---@param options? banger.format_options
---@return string
---@example
---```lua
---format.value { b = 1, a = "x" }  --> '{ a = "x", b = 1 }'
---```
function M.value(value, options)
  return format_value(new_state(options), value, 0, 0)
end

---Several values, as a call returns them.
---@param values table # with n
---@param options? banger.format_options
---@return string
---@example
---```lua
---format.values(table.pack(nil, "no such file"))  --> 'nil, "no such file"'
---```
function M.values(values, options)
  local state, parts, long = new_state(options), {}, false
  for i = 1, values.n do
    parts[i] = format_value(state, values[i], 0, 0)
    long = long or parts[i]:find("\n", 1, true) ~= nil
  end
  local line = table.concat(parts, ", ")
  if long or text.width(plain(line)) > state.width then
    return table.concat(parts, "\n")
  end
  return line
end

return M
