--- Rows 25-27: names that begin with .wh. and are no ordinary whiteouts.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is = s.file, s.dir, s.symlink, s.hardlink, s.is

local LOW = { dir "d/", file("d/a", "low"), file("b", "low") }

--- A layer with an entry that has to be refused over one that is fine.
local function refused(name, entry)
  return {
    row = "25", name = name, layers = { LOW, { file("fine", "x"), entry } },
    error = { code = "layer", layer = 2, entry = entry.name },
  }
end

return {
  title = "odd markers",
  cases = {
    refused("a name exactly .wh.", file ".wh."),
    refused("a name exactly .wh. in a directory", file "d/.wh."),
    refused("a whiteout of ..", file ".wh..."),
    refused("a whiteout of .. in a directory", file "d/.wh..."),
    refused("a whiteout of .", file ".wh.."),
    refused("a whiteout of . in a directory", file "d/.wh.."),
    refused("a whiteout of . below a missing directory", file "no/such/.wh.."),
    refused("a name exactly .wh., as a directory", dir ".wh."),
    refused("a whiteout of .., as a hard link", hardlink(".wh...", "b")),
    {
      row = "25", name = "a whiteout of a name of three dots is a whiteout",
      layers = { { file("...", "low"), file("b", "low") }, { file ".wh...." } },
      expect = { b = "low" },
    },
    {
      row = "25", name = "whiteouts of names that begin with a dot or look like markers' tails",
      layers = {
        { file(".a", "low"), file("..a", "low"), file("wh.a", "low"), file(".wha", "low"), file("opq", "low") },
        { file ".wh..a", file ".wh...a", file ".wh.wh.a", file ".wh..wha" },
      },
      expect = { opq = "low" },
    },
    {
      row = "26", name = "plnk and aufs markers are skipped with what is below them",
      layers = {
        LOW,
        {
          file(".wh..wh.aufs", "x"), dir ".wh..wh.plnk/", file(".wh..wh.plnk/12.34", "x"),
          dir ".wh..wh.orph/", dir ".wh..wh.orph/d/", file(".wh..wh.orph/d/x", "x"), file("c", "high"),
        },
      },
      expect = { d = is.dir(), ["d/a"] = "low", b = "low", c = "high" },
      notes = {
        { layer = 2, entry = ".wh..wh.aufs", action = "skipped" },
        { layer = 2, entry = ".wh..wh.plnk", action = "skipped" },
        { layer = 2, entry = ".wh..wh.plnk/12.34", action = "skipped" },
        { layer = 2, entry = ".wh..wh.orph", action = "skipped" },
        { layer = 2, entry = ".wh..wh.orph/d", action = "skipped" },
        { layer = 2, entry = ".wh..wh.orph/d/x", action = "skipped" },
      },
    },
    {
      row = "26", name = "in a directory, before the directory is there",
      layers = { { file("e/.wh..wh.whatever/x/y", "x"), file("e/.wh..wh.plnk", "x"), file("e/f", "x") } },
      expect = { ["e/f"] = "x" },
      notes = {
        { layer = 1, entry = "e/.wh..wh.whatever/x/y", action = "skipped" },
        { layer = 1, entry = "e/.wh..wh.plnk", action = "skipped" },
      },
    },
    {
      row = "26", name = "a skipped entry makes no parents",
      layers = { { file("no/such/.wh..wh.plnk/x", "x"), file("f", "x") } },
      expect = { f = "x" },
      notes = { { layer = 1, entry = "no/such/.wh..wh.plnk/x", action = "skipped" } },
    },
    {
      row = "26", name = "strict refuses what would be skipped",
      layers = { LOW, { file(".wh..wh.plnk", "x") } },
      options = { strict = true },
      error = { code = "layer", layer = 2, entry = ".wh..wh.plnk" },
    },
    {
      row = "27", name = "a whiteout stored as a hard link",
      layers = { LOW, { hardlink(".wh.b", "d/a") } },
      expect = { d = is.dir(), ["d/a"] = "low" },
    },
    {
      row = "27", name = "a whiteout stored as a hard link to nothing",
      layers = { LOW, { hardlink(".wh.b", ".wh..wh.plnk/1.2") } },
      expect = { d = is.dir(), ["d/a"] = "low" },
    },
    {
      row = "27", name = "a whiteout stored as an empty directory",
      layers = { LOW, { dir ".wh.b/", dir "d/.wh.a/" } },
      expect = { d = is.dir() },
    },
    {
      row = "27", name = "a whiteout stored as a symlink, a device, a fifo",
      layers = {
        { file("a", "x"), file("b", "x"), file("c", "x"), file("e", "x") },
        { symlink(".wh.a", "/etc/passwd"), s.char(".wh.b", 0, 0), s.fifo ".wh.c" },
      },
      expect = { e = "x" },
    },
    {
      row = "27", name = "a whiteout with content",
      layers = { LOW, { file(".wh.d", ("text "):rep(1000)) } },
      expect = { b = "low" },
    },
    {
      row = "27", name = "an opaque marker stored as a hard link or a directory",
      layers = {
        { file("d/a", "low"), file("e/a", "low"), file("b", "low") },
        { hardlink("d/.wh..wh..opq", "b"), dir "e/.wh..wh..opq/" },
      },
      expect = { d = s.MADE, e = s.MADE, b = "low" },
    },
  },
}
