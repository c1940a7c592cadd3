--- The report: what was counted, and every entry that did not come out as it
--- went in.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is = s.file, s.dir, s.symlink, s.hardlink, s.is

return {
  title = "the report",
  cases = {
    {
      row = "report", name = "counts of a layer with one of each",
      layers = {
        {
          dir "d/", file("d/a", "12345"), file("b", "678"), symlink("l", "b"), hardlink("h", "b"),
          s.char("c", 1, 3), s.block("e", 8, 0), s.fifo "p",
        },
      },
      expect = {
        d = is.dir(), ["d/a"] = "12345", b = "678", l = is.symlink "b", h = is.same "b", c = is.char(1, 3),
        e = is.block(8, 0), p = is.fifo(),
      },
      report = {
        {
          layer = 1, entries = 8, files = 2, directories = 1, symlinks = 1, hardlinks = 1, devices = 3,
          whiteouts = 0, replaced = 0, skipped = 0, bytes = 8,
        },
      },
    },
    {
      row = "report", name = "counts start anew with each layer",
      layers = { { file("a", "1"), file("b", "2") }, { file("c", "333") } },
      expect = { a = "1", b = "2", c = "333" },
      report = {
        { layer = 1, entries = 2, files = 2, bytes = 2 }, { layer = 2, entries = 1, files = 1, bytes = 3, replaced = 0 },
      },
    },
    {
      row = "report", name = "whiteouts and replaced names",
      layers = {
        { file("a", "1"), file("b", "2"), file("c", "3"), dir "d/", file("d/x", "4"), dir "e/", file("e/y", "5") },
        { file ".wh.a", file("b", "new"), file("c", "new"), file "d/.wh..wh..opq", file "e/.wh.y" },
      },
      expect = { b = "new", c = "new", d = is.dir(), e = is.dir() },
      report = {
        { entries = 7, files = 5, directories = 2, whiteouts = 0, replaced = 0 },
        { entries = 5, files = 2, directories = 0, whiteouts = 3, replaced = 2, bytes = 6 },
      },
    },
    {
      row = "report", name = "compressed and unpacked sizes",
      layers = { { file("a", ("x"):rep(100000)), compress = "none" } },
      expect = { a = ("x"):rep(100000) },
      -- One header, 196 blocks of data, two of zeros.
      report = { { bytes = 100000, unpacked = 512 + 196 * 512 + 1024, compressed = 512 + 196 * 512 + 1024 } },
    },
    {
      row = "report", name = "bytes after the end are unpacked bytes",
      layers = { { file("a", "x"), tail = ("t"):rep(5000), compress = "gzip" } },
      expect = { a = "x" },
      report = { { bytes = 1, unpacked = 1024 + 1024 + 5000 } },
    },
    {
      row = "report", name = "skipped entries are counted and named",
      layers = { { file(".wh..wh.plnk", ""), file("d/.wh..wh.aufs", ""), file("a", "x") } },
      expect = { a = "x" },
      report = { { entries = 3, files = 1, skipped = 2, whiteouts = 0 } },
      notes = {
        { layer = 1, entry = ".wh..wh.plnk", action = "skipped" }, { layer = 1, entry = "d/.wh..wh.aufs", action = "skipped" },
      },
    },
    {
      row = "report", name = "notes name the entry, the action and the reason, in the layer they belong to",
      layers = {
        { file("/a", "x"), file("b", "y") }, { symlink("c", "../../x") }, { file("d", "z") },
      },
      expect = { a = "x", b = "y", c = is.symlink "../../x", d = "z" },
      notes = {
        { layer = 1, entry = "/a", reason = "absolute" }, { layer = 2, entry = "c", action = "noted", reason = "root" },
      },
    },
    {
      row = "report", name = "an ordinary layer has nothing to note",
      layers = {
        { dir "./", dir "./a/", file("./a/b", "x"), symlink("./a/l", "../a/b"), symlink("./m", "/a"), hardlink("./h", "./a/b") },
        { file "./a/.wh.l", file "./.wh.absent" },
      },
      expect = { [""] = is.dir(), a = is.dir(), ["a/b"] = "x", m = is.symlink "/a", h = is.same "a/b" },
      notes = {},
    },
    {
      row = "report", name = "strict refuses what would be noted: an absolute name",
      layers = { { file("fine", "x"), file("/etc/x", "y") } }, options = { strict = true },
      error = { code = "layer", layer = 1, entry = "/etc/x" },
    },
    {
      row = "report", name = "strict refuses what would be noted: a climbing link",
      layers = { { symlink("d/l", "../../x") } }, options = { strict = true },
      error = { code = "layer", layer = 1, entry = "d/l" },
    },
    {
      row = "report", name = "strict refuses what would be skipped",
      layers = { { file("d/.wh..wh.plnk", "x") } }, options = { strict = true },
      error = { code = "layer", layer = 1, entry = "d/.wh..wh.plnk" },
    },
    {
      row = "report", name = "strict lets an ordinary layer pass",
      layers = { { dir "./", file("./a", "x"), symlink("l", "a") }, { file ".wh.l", file "no/.wh.thing" } },
      options = { strict = true },
      expect = { [""] = is.dir(), a = "x" },
    },
  },
}
