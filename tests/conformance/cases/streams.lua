--- Rows 38, 39: what comes after the end of a tar, and tars with little in them.
local s = require "conformance.suite"
local file, is, tar = s.file, s.is, s.tar

local cases = {
  {
    row = "39", name = "no layers at all",
    layers = {}, pull = true,
    expect = {},
  },
  {
    row = "39", name = "an empty layer: two zero blocks",
    layers = { { file("a", "x") }, {}, { compress = "gzip" }, { compress = "zstd" } },
    expect = { a = "x" },
  },
  {
    row = "39", name = "an empty layer: nothing at all",
    layers = { { file("a", "x") }, { end_blocks = 0 }, { end_blocks = 0, compress = "gzip" }, { end_blocks = 0, compress = "zstd" } },
    expect = { a = "x" },
  },
  {
    row = "39", name = "only empty layers",
    layers = { { compress = "gzip" }, { compress = "gzip" } },
    expect = {},
  },
  {
    row = "39", name = "the same layer twice",
    layers = {
      { file("a", "x"), s.hardlink("b", "a"), s.dir "d/", file("d/c", "y"), compress = "gzip" },
      { file("a", "x"), s.hardlink("b", "a"), s.dir "d/", file("d/c", "y"), compress = "gzip" },
    },
    expect = { a = "x", b = is.same "a", d = is.dir(), ["d/c"] = "y" },
  },
  {
    row = "39", name = "a layer, another that takes it away, and the first again",
    layers = {
      { file("a", "x"), file("d/b", "y") }, { file ".wh.a", file ".wh.d" }, { file("a", "x"), file("d/b", "y") },
    },
    expect = { a = "x", ["d/b"] = "y" },
  },
  {
    row = "39", name = "a tar with no end blocks, with one, with many",
    layers = { { file("a", "1"), end_blocks = 0 }, { file("b", "2"), end_blocks = 1 }, { file("c", "3"), end_blocks = 20 } },
    expect = { a = "1", b = "2", c = "3" },
  },
  {
    row = "39", name = "no end blocks and an empty last file or directory",
    layers = { { file("a", "1"), file "b", end_blocks = 0 }, { s.dir "d/", end_blocks = 0 } },
    expect = { a = "1", b = is.file "", d = is.dir() },
  },
}

local NEXT = tar.archive { file("not/this", "x") }

for _, tail in ipairs {
  { "one byte", "x" }, { "half a block", ("t"):rep(256) }, { "a block of text", ("t"):rep(512) },
  { "zeros to 10 KiB", ("\0"):rep(8192) }, { "three megabytes", ("tail"):rep(786432) },
  { "another tar", NEXT }, { "garbage that looks like a header", ("ustar\0" .. "00"):rep(100) },
} do
  for _, compress in ipairs { "none", "gzip", "zstd" } do
    cases[#cases + 1] = {
      row = "38", name = ("%s after the end, %s"):format(tail[1], compress),
      layers = { { file("a", "x"), tail = tail[2], compress = compress } },
      expect = { a = "x" },
    }
  end
end

return { title = "streams", cases = cases }
