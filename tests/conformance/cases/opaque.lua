--- Rows 4-6: opaque markers, and markers below symlinks.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is, oct = s.file, s.dir, s.symlink, s.hardlink, s.is, s.oct

local OPQ = ".wh..wh..opq"

return {
  title = "opaque markers",
  cases = {
    {
      row = "4", name = "after, before and between siblings",
      layers = {
        { dir "d/", file("d/low", "low"), file("d/both", "low"), dir "d/sub/", file("d/sub/x", "low") },
        { file("d/" .. OPQ), file("d/both", "high"), file("d/new", "high") },
      },
      any_order = 2,
      expect = { d = is.dir(), ["d/both"] = "high", ["d/new"] = "high" },
    },
    {
      row = "4", name = "alone: the directory stays, with its metadata, and is empty",
      layers = {
        { dir("d/", { mode = oct "750", uid = 4, gid = 5 }), file("d/a", "low"), file("d/e/f", "low") },
        { file("d/" .. OPQ) },
      },
      expect = { d = is.dir { mode = oct "750", uid = 4, gid = 5 } },
    },
    {
      row = "4", name = "with the directory's own entry, in any order",
      layers = {
        { dir("d/", { mode = oct "700" }), file("d/low", "low") },
        { dir("d/", { mode = oct "711" }), file("d/" .. OPQ), file("d/new", "high") },
      },
      any_order = 2,
      expect = { d = is.dir { mode = oct "711" }, ["d/new"] = "high" },
    },
    {
      row = "4", name = "at the root",
      layers = {
        { dir("./", { mode = oct "711" }), file("a", "low"), dir "d/", file("d/b", "low") },
        { file(OPQ), file("c", "high") },
      },
      any_order = 2,
      expect = { [""] = is.dir { mode = oct "711" }, c = "high" },
    },
    {
      row = "4", name = "at the root, written ./",
      layers = { { file("a", "low") }, { file("./" .. OPQ), file("./c", "high") } },
      expect = { c = "high" },
    },
    {
      row = "4", name = "two layers' worth of lower children go, the newest layer's stay",
      layers = {
        { file("d/one", "1") },
        { file("d/two", "2") },
        { file("d/three", "3"), file("d/" .. OPQ) },
        { file("d/four", "4") },
      },
      expect = { ["d/three"] = "3", ["d/four"] = "4" },
    },
    {
      row = "4", name = "only the directory it is in",
      layers = {
        { file("d/a", "low"), file("dd/a", "low"), file("e/d/a", "low") },
        { file("d/" .. OPQ) },
      },
      expect = { d = s.MADE, ["dd/a"] = "low", ["e/d/a"] = "low" },
    },
    {
      row = "4", name = "an opaque marker and a whiteout beside it",
      layers = {
        { file("d/a", "low"), file("d/b", "low") },
        { file("d/" .. OPQ), file "d/.wh.a", file("d/b", "high") },
      },
      any_order = 2,
      expect = { ["d/b"] = "high" },
    },
    {
      row = "4", name = "names of a hard-linked file outside keep their data",
      layers = {
        { file("d/a", "data"), hardlink("b", "d/a"), hardlink("d/c", "d/a") },
        { file("d/" .. OPQ) },
      },
      expect = { d = s.MADE, b = "data" },
    },
    {
      -- d/sub came from below and is hidden by the marker; this layer needs
      -- it as a parent only, so it is a made parent (row 18).
      row = "5", name = "what this layer brought deeper down stays, the rest of it goes",
      layers = {
        {
          dir "d/", dir("d/sub/", { mode = oct "700", uid = 3 }), file("d/sub/old", "low"),
          file("d/sub/deep/old", "low"), file("d/other", "low"),
        },
        { file("d/sub/new", "high"), file("d/" .. OPQ) },
      },
      any_order = 2,
      expect = { d = is.dir(), ["d/sub"] = s.MADE, ["d/sub/new"] = "high" },
    },
    {
      row = "5", name = "three levels down",
      layers = {
        { file("d/1/2/3/old", "low"), file("d/1/2/old", "low"), file("d/1/old", "low") },
        { dir "d/", file("d/1/2/3/new", "high"), file("d/" .. OPQ) },
      },
      any_order = 2,
      expect = { d = is.dir(), ["d/1/2/3/new"] = "high" },
    },
    {
      row = "5", name = "nested opaque markers",
      layers = {
        { file("d/a", "low"), file("d/sub/b", "low"), file("d/sub/sub/c", "low") },
        { file("d/" .. OPQ), file("d/sub/" .. OPQ), file("d/sub/new", "high") },
      },
      any_order = 2,
      expect = { ["d/sub/new"] = "high" },
    },
    {
      row = "5", name = "a hard link of this layer to a file the marker hides",
      layers = {
        { file("d/a", "data") },
        { hardlink("d/sub/b", "d/a"), file("d/" .. OPQ) },
      },
      expect = { ["d/sub/b"] = "data" },
    },
    {
      row = "5", name = "refused: a hard link behind the marker that hides its target",
      layers = {
        { file("d/a", "data") },
        { file("d/" .. OPQ), hardlink("d/sub/b", "d/a") },
      },
      error = { code = "layer", exit = 6, layer = 2, entry = "d/sub/b", also = { "d/a", "whiteout" } },
    },
    {
      row = "6", name = "a whiteout below a symlink acts in the link's target",
      layers = {
        { dir "usr/lib/", file("usr/lib/a", "low"), file("usr/lib/b", "low"), symlink("lib", "usr/lib") },
        { file "lib/.wh.a" },
      },
      expect = {
        usr = s.MADE, ["usr/lib"] = is.dir(), ["usr/lib/b"] = "low", lib = is.symlink "usr/lib",
      },
    },
    {
      row = "6", name = "an opaque marker below a symlink acts in the link's target",
      layers = {
        { dir "usr/lib/", file("usr/lib/a", "low"), symlink("lib", "/usr/lib") },
        { file("lib/" .. OPQ), file("lib/new", "high") },
      },
      any_order = 2,
      expect = {
        usr = s.MADE, ["usr/lib"] = is.dir(), ["usr/lib/new"] = "high", lib = is.symlink "/usr/lib",
      },
    },
    {
      row = "6", name = "through two links, one of them with ..",
      layers = {
        { file("a/b/c/x", "low"), symlink("a/l", "../m"), symlink("m", "a/b") },
        { file "a/l/c/.wh.x" },
      },
      expect = { ["a/b/c"] = s.MADE, ["a/l"] = is.symlink "../m", m = is.symlink "a/b" },
    },
    {
      row = "6", name = "a link that climbs above the root stays inside the image",
      layers = {
        { file("t/x", "low"), file("t/y", "low"), symlink("d/l", "../../../../t") },
        { file "d/l/.wh.x" },
      },
      notes = { { layer = 1, entry = "d/l" } },
      expect = { ["t/y"] = "low", ["d/l"] = is.symlink "../../../../t" },
    },
    {
      row = "6", name = "a whiteout of the symlink itself leaves its target alone",
      layers = {
        { file("t/x", "low"), symlink("l", "t") },
        { file ".wh.l" },
      },
      expect = { ["t/x"] = "low" },
    },
    {
      row = "6", name = "a whiteout below a link that becomes a real directory leaves the target alone",
      layers = {
        { dir "usr/lib/", file("usr/lib/a", "low"), symlink("lib", "usr/lib") },
        { file "lib/.wh.a", dir "lib/" },
      },
      any_order = 2,
      expect = { ["usr/lib"] = is.dir(), ["usr/lib/a"] = "low", lib = is.dir() },
    },
    {
      row = "6", name = "an opaque marker below a link that becomes a real directory",
      layers = {
        { dir "usr/lib/", file("usr/lib/a", "low"), symlink("lib", "usr/lib") },
        { file("lib/" .. OPQ), dir("lib/", { mode = oct "711" }) },
      },
      any_order = 2,
      expect = { ["usr/lib"] = is.dir(), ["usr/lib/a"] = "low", lib = is.dir { mode = oct "711" } },
    },
    {
      row = "6", name = "markers first, the real directory and its files last",
      layers = {
        { dir "usr/lib/", file("usr/lib/a", "low"), symlink("lib", "usr/lib") },
        { file("lib/" .. OPQ), file "lib/.wh.a", dir "lib/", file("lib/new", "high") },
      },
      expect = {
        ["usr/lib"] = is.dir(), ["usr/lib/a"] = "low", lib = is.dir(), ["lib/new"] = "high",
      },
    },
    {
      row = "6", name = "a link further up the path becomes a real directory",
      layers = {
        { file("t/s/a", "low"), symlink("l", "t") },
        { file "l/s/.wh.a", dir "l/", dir "l/s/" },
      },
      expect = { ["t/s/a"] = "low", l = is.dir(), ["l/s"] = is.dir() },
    },
  },
}
