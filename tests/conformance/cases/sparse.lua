--- Rows 36, 41: holes.
-- `stored` is what the image may spend on a file: bytes of 4 KiB data blocks.
local s = require "conformance.suite"
local file, is = s.file, s.is

local KIB = 1024
local MIB = 1024 * KIB

--- A sparse file: its header, and what it stands for.
local function sparse(name, format, size, pieces)
  local entry = s.tar.file(name, nil)
  entry.sparse = { format = format, size = size, table.unpack(pieces) }
  local out, at = {}, 0
  for _, piece in ipairs(pieces) do
    out[#out + 1] = ("\0"):rep(piece[1] - at) .. piece[2]
    at = piece[1] + #piece[2]
  end
  out[#out + 1] = ("\0"):rep(size - at)
  return entry, table.concat(out)
end

--- The same file in each of the four forms, in one layer.
local function in_all_forms(name, size, pieces, stored)
  local layer, expect = {}, {}
  for i, format in ipairs { "S", "0.0", "0.1", "1.0" } do
    local content
    layer[2 * i - 1], content = sparse("f" .. format, format, size, pieces)
    layer[2 * i] = file("after" .. format, "after")
    expect["f" .. format] = is.file(content, { stored = stored })
    expect["after" .. format] = "after"
  end
  return { row = "36", name = name, layers = { layer }, expect = expect }
end

--- n pieces of 4 KiB, each after a hole of 4 KiB.
local function comb(n)
  local pieces = {}
  for i = 1, n do pieces[i] = { (2 * i - 1) * 4096, string.char(64 + i % 60):rep(4096) } end
  return pieces
end

local function zeros(n) return ("\0"):rep(n) end

local LONG = ("d"):rep(120) .. "/" .. ("e"):rep(60) .. "/sparse"

local function content_of(format, name)
  local entry, content = sparse(name, format, 64 * KIB, { { 4096, ("x"):rep(4096) }, { 64 * KIB, "" } })
  return entry, content
end

local PAST_THE_END = sparse("d/past", "1.0", 4096, {})
PAST_THE_END.sparse[1] = { 1 << 40, ("x"):rep(512) }

return {
  title = "sparse files",
  cases = {
    in_all_forms("a hole first, data, a hole last", MIB, { { 512 * KIB, ("x"):rep(4096) }, { MIB, "" } }, 4096),
    in_all_forms("data first and last", MIB, { { 0, ("a"):rep(8192) }, { MIB - 4096, ("z"):rep(4096) } }, 12288),
    in_all_forms("nothing but a hole", 3 * MIB, { { 3 * MIB, "" } }, 0),
    in_all_forms("a map with no pieces", MIB, {}, 0),
    in_all_forms("an empty file", 0, { { 0, "" } }, 0),
    in_all_forms("no hole at all", 8192, { { 0, ("q"):rep(8192) } }, 8192),
    in_all_forms("four pieces fill the old header", 64 * KIB, comb(4), 4 * 4096),
    in_all_forms("five pieces need one more", 64 * KIB, comb(5), 5 * 4096),
    in_all_forms("25 pieces fill the first extension", 300 * KIB, comb(25), 25 * 4096),
    in_all_forms("26 need a second", 300 * KIB, comb(26), 26 * 4096),
    in_all_forms("200 pieces", 2 * MIB, comb(200), 200 * 4096),
    -- 512-byte pieces that share a block with a hole: whole zero blocks only.
    in_all_forms("pieces that are no whole blocks", 40000, {
      { 512, ("a"):rep(512) }, { 10240, ("b"):rep(1536) }, { 39936, ("c"):rep(64) },
    }, 3 * 4096),
    in_all_forms("pieces that touch", 64 * KIB, { { 4096, ("a"):rep(4096) }, { 8192, ("b"):rep(4096) }, { 65536, "" } }, 8192),
    {
      row = "36", name = "long names",
      layers = {
        {
          (content_of("S", LONG .. "S")), (content_of("0.0", LONG .. "0.0")), (content_of("0.1", LONG .. "0.1")),
          (content_of("1.0", LONG .. "1.0")),
        },
      },
      expect = {
        [LONG .. "S"] = is.file(select(2, content_of("S", "")), { stored = 4096 }),
        [LONG .. "0.0"] = is.file(select(2, content_of("0.0", "")), { stored = 4096 }),
        [LONG .. "0.1"] = is.file(select(2, content_of("0.1", "")), { stored = 4096 }),
        [LONG .. "1.0"] = is.file(select(2, content_of("1.0", "")), { stored = 4096 }),
      },
    },
    {
      row = "36", name = "a sparse file replaces one and is replaced",
      layers = {
        { file("a", ("old"):rep(9999)), (content_of("1.0", "b")) },
        { (content_of("S", "a")), file("b", "new") },
      },
      expect = { a = is.file(select(2, content_of("S", "")), { stored = 4096 }), b = "new" },
    },
    {
      row = "36", name = "refused: a piece past the end",
      layers = { { PAST_THE_END } },
      error = { code = "layer", layer = 1, entry = "d/past" },
    },
    {
      row = "41", name = "whole zero blocks are not stored",
      layers = {
        {
          file("zeros", zeros(MIB)), file("short", zeros(100)), file("tail", ("x"):rep(4096) .. zeros(6000)),
          file("front", zeros(8192) .. "x"), file("middle", "a" .. zeros(40000) .. "b"), file("empty", ""),
          file("one", zeros(4096)), file("odd", zeros(4097)), file("last", zeros(12287) .. "z"),
        },
      },
      expect = {
        zeros = is.file(zeros(MIB), { stored = 0 }), short = is.file(zeros(100), { stored = 0 }),
        tail = is.file(("x"):rep(4096) .. zeros(6000), { stored = 4096 }),
        front = is.file(zeros(8192) .. "x", { stored = 4096 }),
        middle = is.file("a" .. zeros(40000) .. "b", { stored = 8192 }), empty = is.file("", { stored = 0 }),
        one = is.file(zeros(4096), { stored = 0 }), odd = is.file(zeros(4097), { stored = 0 }),
        last = is.file(zeros(12287) .. "z", { stored = 4096 }),
      },
    },
    {
      row = "41", name = "many holes need more extents than an inode holds",
      layers = { { file("comb", (("x"):rep(4096) .. zeros(4096)):rep(400)) } },
      expect = { comb = is.file((("x"):rep(4096) .. zeros(4096)):rep(400), { stored = 400 * 4096 }) },
    },
    {
      row = "41", name = "sparse = false stores them",
      layers = { { file("zeros", zeros(MIB)), file("short", zeros(100)), file("middle", "a" .. zeros(40000) .. "b"), file "empty" } },
      mkext4 = { sparse = false },
      expect = {
        zeros = is.file(zeros(MIB), { stored = MIB }), short = is.file(zeros(100), { stored = 4096 }),
        middle = is.file("a" .. zeros(40000) .. "b", { stored = 40960 }), empty = is.file("", { stored = 0 }),
      },
    },
  },
}
