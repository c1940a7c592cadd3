--- A tar writer with control over every byte.
-- It writes what real producers write and what only an attacker would:
-- the tests say which. Nothing is checked, nothing is repaired.
--
--   tar.archive { tar.dir("d/"), tar.file("d/a", "text"), tar.symlink("l", "d") }
--
-- An entry is a table: name, type, and optionally content, link, mode, uid,
-- gid, mtime, uname, gname, major, minor, pax (list of {key, value}), xattrs
-- (name -> value), format ("auto", "ustar", "v7", "gnu"), sparse, and the raw
-- header fields typeflag, magic, prefix, size, checksum. A string in the
-- place of an entry goes in as it is.
local M = {}

--- The mtime of entries that do not say theirs: 2017-07-14 02:40:00 UTC.
M.MTIME = 1500000000

local BLOCK = 512
local TYPEFLAG = {
  file = "0", hardlink = "1", symlink = "2", char = "3", block = "4", dir = "5", fifo = "6",
}
local MODE = { dir = tonumber("755", 8), symlink = tonumber("777", 8) }

local function entry(kind, name, attrs, more)
  local e = { type = kind, name = name }
  for k, v in pairs(more or {}) do e[k] = v end
  for k, v in pairs(attrs or {}) do e[k] = v end
  return e
end

function M.file(name, content, attrs)
  return entry("file", name, attrs, { content = content or "" })
end

function M.dir(name, attrs)
  return entry("dir", name, attrs)
end

function M.symlink(name, target, attrs)
  return entry("symlink", name, attrs, { link = target })
end

function M.hardlink(name, target, attrs)
  return entry("hardlink", name, attrs, { link = target })
end

function M.char(name, major, minor, attrs)
  return entry("char", name, attrs, { major = major, minor = minor })
end

function M.block(name, major, minor, attrs)
  return entry("block", name, attrs, { major = major, minor = minor })
end

function M.fifo(name, attrs)
  return entry("fifo", name, attrs)
end

--- Zeros up to the next block boundary.
local function pad(data)
  return data .. ("\0"):rep(-#data % BLOCK)
end

--- A number as GNU and star write it when octal digits do not suffice: the
--- top bit set, then big-endian two's complement.
function M.base256(n, width)
  local bytes = {}
  for i = width, 1, -1 do
    bytes[i] = string.char(n & 255)
    n = n >> 8 | (n < 0 and 255 << 56 or 0)
  end
  bytes[1] = string.char(bytes[1]:byte() | 128)
  return table.concat(bytes)
end

--- A numeric header field: octal digits and NUL, or base-256. A string
--- stands for itself.
local function number(value, width)
  if type(value) == "string" then
    return value .. ("\0"):rep(width - #value)
  end
  local digits = width - 1
  if value >= 0 and value < 8 ^ digits then
    return ("%0" .. digits .. "o\0"):format(value)
  end
  return M.base256(value, width)
end

local function text(value, width)
  value = value or ""
  assert(#value <= width, "too long for its field: " .. value:sub(1, 40))
  return value .. ("\0"):rep(width - #value)
end

--- The sum of all bytes. Most are NUL and add nothing.
local function sum_of(bytes)
  local sum = 0
  for run in bytes:gmatch "[^\0]+" do
    for i = 1, #run do sum = sum + run:byte(i) end
  end
  return sum
end

--- One 512-byte header from raw fields.
function M.header(h)
  local head = text(h.name, 100) .. number(h.mode or 0, 8) .. number(h.uid or 0, 8)
    .. number(h.gid or 0, 8) .. number(h.size or 0, 12) .. number(h.mtime or 0, 12)
  local tail
  if h.magic == "" then
    -- V7 ends after the link name.
    tail = (h.typeflag or "\0") .. text(h.link, 100) .. ("\0"):rep(255)
  elseif h.sparse_fields then
    tail = h.typeflag .. text(h.link, 100) .. text(h.magic, 8) .. text(h.uname, 32)
      .. text(h.gname, 32) .. ("\0"):rep(16 + 41) .. h.sparse_fields .. ("\0"):rep(17)
  else
    tail = h.typeflag .. text(h.link, 100) .. text(h.magic or "ustar\00000", 8)
      .. text(h.uname, 32) .. text(h.gname, 32) .. number(h.major or 0, 8)
      .. number(h.minor or 0, 8) .. text(h.prefix, 155) .. ("\0"):rep(12)
  end
  local checksum = h.checksum or ("%06o\0 "):format(8 * 32 + sum_of(head) + sum_of(tail))
  local block = head .. text(checksum, 8) .. tail
  assert(#block == BLOCK, #block)
  return block
end

--- One pax record: its length counts its own digits.
function M.record(key, value)
  local rest = #key + #value + 3
  local length = rest + #tostring(rest)
  length = rest + #tostring(length)
  return ("%d %s=%s\n"):format(length, key, value)
end

--- A pax header block: typeflag "x" for the next entry, "g" for all that follow.
function M.pax(records, typeflag, name)
  local parts = {}
  for i, r in ipairs(records) do parts[i] = M.record(r[1], r[2]) end
  local body = table.concat(parts)
  return M.header { name = name or "pax", typeflag = typeflag or "x", size = #body, mode = 420 }
    .. pad(body)
end

--- The GNU header for a long name (L) or a long link target (K).
local function gnu_long(typeflag, value)
  return M.header {
    name = "././@LongLink", typeflag = typeflag, size = #value + 1, magic = "ustar  \0",
  } .. pad(value .. "\0")
end

local GNU_MAGIC = "ustar  \0"

--- The stored parts of a sparse file one after the other.
local function sparse_data(sparse)
  local parts = {}
  for i, piece in ipairs(sparse) do parts[i] = piece[2] end
  return table.concat(parts)
end

local function sparse_pairs(pieces, first, last)
  local out = {}
  for i = first, last do
    local piece = pieces[i]
    out[#out + 1] = piece and number(piece[1], 12) .. number(#piece[2], 12) or ("\0"):rep(24)
  end
  return table.concat(out)
end

--- The old GNU form: four pieces in the header, 21 in each further block.
local function old_sparse(e, h)
  local sparse = e.sparse
  local more = #sparse > 4
  h.typeflag, h.magic = "S", GNU_MAGIC
  h.size = #sparse_data(sparse)
  h.sparse_fields = sparse_pairs(sparse, 1, 4) .. (more and "\1" or "\0")
    .. number(sparse.size, 12)
  local blocks = { M.header(h) }
  for first = 5, #sparse, 21 do
    local again = first + 21 <= #sparse
    blocks[#blocks + 1] = pad(sparse_pairs(sparse, first, first + 20) .. (again and "\1" or "\0"))
  end
  return table.concat(blocks) .. pad(sparse_data(sparse))
end

--- The pax forms: records that describe the map, and what precedes the data.
local SPARSE_RECORDS = {
  ["0.0"] = function(sparse)
    local records = {
      { "GNU.sparse.size", tostring(sparse.size) },
      { "GNU.sparse.numblocks", tostring(#sparse) },
    }
    for _, piece in ipairs(sparse) do
      records[#records + 1] = { "GNU.sparse.offset", tostring(piece[1]) }
      records[#records + 1] = { "GNU.sparse.numbytes", tostring(#piece[2]) }
    end
    return records, ""
  end,
  ["0.1"] = function(sparse, name)
    local map = {}
    for _, piece in ipairs(sparse) do
      map[#map + 1] = piece[1] .. "," .. #piece[2]
    end
    return {
      { "GNU.sparse.name", name },
      { "GNU.sparse.size", tostring(sparse.size) },
      { "GNU.sparse.numblocks", tostring(#sparse) },
      { "GNU.sparse.map", table.concat(map, ",") },
    }, ""
  end,
  ["1.0"] = function(sparse, name)
    local map = { #sparse .. "\n" }
    for _, piece in ipairs(sparse) do
      map[#map + 1] = piece[1] .. "\n" .. #piece[2] .. "\n"
    end
    return {
      { "GNU.sparse.major", "1" },
      { "GNU.sparse.minor", "0" },
      { "GNU.sparse.name", name },
      { "GNU.sparse.realsize", tostring(sparse.size) },
    }, pad(table.concat(map))
  end,
}

--- A name split for the ustar prefix field, or nil when it does not fit.
local function split(name)
  if #name <= 100 then return name, nil end
  for i = math.min(#name, 156), 2, -1 do
    if name:byte(i) == 47 and #name - i <= 100 and #name > i then
      return name:sub(i + 1), name:sub(1, i - 1)
    end
  end
end

local function sorted_xattrs(xattrs)
  local names = {}
  for name in pairs(xattrs or {}) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- Records that the entry asks for, then those its values need.
local function pax_records(e, h)
  local records = {}
  for _, r in ipairs(e.pax or {}) do records[#records + 1] = r end
  for _, name in ipairs(sorted_xattrs(e.xattrs)) do
    records[#records + 1] = { "SCHILY.xattr." .. name, e.xattrs[name] }
  end
  if e.format then return records end
  local function need(key, value) records[#records + 1] = { key, tostring(value) } end
  local name, prefix = split(h.name)
  if name then
    h.name, h.prefix = name, h.prefix or prefix
  else
    need("path", h.name)
    h.name = h.name:sub(1, 100)
  end
  if h.link and #h.link > 100 then
    need("linkpath", h.link)
    h.link = h.link:sub(1, 100)
  end
  for _, key in ipairs { "uid", "gid" } do
    if h[key] > 2097151 then
      need(key, h[key])
      h[key] = 0
    end
  end
  if math.type(h.mtime) ~= "integer" or h.mtime < 0 or h.mtime >= 8 ^ 11 then
    need("mtime", h.mtime)
    h.mtime = 0
  end
  return records
end

local function long_names(e, h)
  local parts = {}
  if e.format == "gnu" then
    if h.link and #h.link > 100 then
      parts[#parts + 1] = gnu_long("K", h.link)
      h.link = h.link:sub(1, 100)
    end
    if #h.name > 100 then
      parts[#parts + 1] = gnu_long("L", h.name)
      h.name = h.name:sub(1, 100)
    end
  elseif e.format == "ustar" then
    local name, prefix = split(h.name)
    h.name, h.prefix = assert(name, "name does not fit ustar"), h.prefix or prefix
  end
  return table.concat(parts)
end

local MAGIC = { v7 = "", gnu = GNU_MAGIC }

local function raw_header(e, size)
  return {
    name = e.name, link = e.link, prefix = e.prefix, size = e.size or size,
    mode = e.mode or MODE[e.type] or tonumber("644", 8),
    uid = e.uid or 0, gid = e.gid or 0, mtime = e.mtime or M.MTIME,
    uname = e.uname, gname = e.gname, major = e.major, minor = e.minor,
    magic = e.magic or MAGIC[e.format], checksum = e.checksum,
    typeflag = e.typeflag or (e.format == "v7" and e.type == "file" and "\0") or TYPEFLAG[e.type],
  }
end

--- The bytes of one entry: what precedes it, its header and its data.
function M.entry(e)
  if type(e) == "string" then return e end
  local data = e.content or ""
  local front, map = "", ""
  local sparse = e.sparse
  local h = raw_header(e, #data)
  if sparse and sparse.format == "S" then
    return long_names({ format = "gnu" }, h) .. old_sparse(e, h)
  end
  local records = pax_records(e, h)
  if sparse then
    local own
    own, map = SPARSE_RECORDS[sparse.format](sparse, e.name)
    table.move(own, 1, #own, #records + 1, records)
    data = sparse_data(sparse)
    h.size = #map + #data
    if sparse.format ~= "0.0" then h.name = "GNUSparseFile.0/" .. h.name:sub(-80) end
  end
  if #records > 0 then front = M.pax(records) end
  return front .. long_names(e, h) .. M.header(h) .. pad(map .. data)
end

--- A whole archive.
---@param entries table list of entries and raw strings
---@param options? { end_blocks?: integer, tail?: string, cut?: integer }
--- end_blocks: zero blocks at the end (default 2); tail: bytes after them;
--- cut: bytes to take away from the end of it all.
function M.archive(entries, options)
  options = options or {}
  local parts = {}
  for i, e in ipairs(entries) do parts[i] = M.entry(e) end
  parts[#parts + 1] = ("\0"):rep(BLOCK * (options.end_blocks or 2))
  parts[#parts + 1] = options.tail
  local bytes = table.concat(parts)
  return options.cut and bytes:sub(1, -options.cut - 1) or bytes
end

return M
