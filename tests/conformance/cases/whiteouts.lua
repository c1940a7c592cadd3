--- Rows 1-3, 6b, 7, 28, 29: what a whiteout takes and what it leaves.
-- A whiteout hides what lower layers left, never what its own layer brings,
-- in whatever order the tar holds them: so most of these hold in any order.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is, oct = s.file, s.dir, s.symlink, s.hardlink, s.is, s.oct

return {
  title = "whiteouts",
  cases = {
    {
      row = "1", name = "a whiteout, then the name again, keeps the new one",
      layers = {
        { file("a", "old"), file("b", "stays") },
        { file ".wh.a", file("a", "new") },
      },
      expect = { a = "new", b = "stays" },
    },
    {
      row = "1", name = "a whiteout, then the name again with no lower layer",
      layers = { { file ".wh.a", file("a", "new") } },
      expect = { a = "new" },
    },
    {
      row = "1", name = "a whiteout of a directory, then a file of that name",
      layers = {
        { dir "a/", file("a/x", "old") },
        { file ".wh.a", file("a", "new") },
      },
      any_order = 2,
      expect = { a = "new" },
    },
    {
      row = "1", name = "in a directory, and below a directory nobody described",
      layers = {
        { dir("d/", { mode = oct "700" }), file("d/a", "old"), file("e/f/a", "old") },
        { file "d/.wh.a", file("d/a", "new"), file "e/f/.wh.a", file("e/f/a", "new") },
      },
      any_order = 2,
      expect = { d = is.dir { mode = oct "700" }, ["d/a"] = "new", ["e/f/a"] = "new" },
    },
    {
      row = "1", name = "a symlink where a file was hidden",
      layers = {
        { file("a", "old") },
        { file ".wh.a", symlink("a", "elsewhere") },
      },
      any_order = 2,
      expect = { a = is.symlink "elsewhere" },
    },
    {
      row = "2", name = "the name, then its whiteout, keeps the new one",
      layers = {
        { file("a", "old"), file("b", "stays") },
        { file("a", "new"), file ".wh.a" },
      },
      expect = { a = "new", b = "stays" },
    },
    {
      row = "2", name = "the name, then its whiteout with no lower layer",
      layers = { { file("a", "new"), file ".wh.a" } },
      expect = { a = "new" },
    },
    {
      row = "2", name = "a later layer hides what survived in its own",
      layers = {
        { file("a", "one") },
        { file("a", "two"), file ".wh.a" },
        { file ".wh.a" },
      },
      expect = {},
    },
    {
      row = "2", name = "whiteout twice is whiteout once",
      layers = {
        { file("a", "old"), file("b", "old") },
        { file ".wh.a", file ".wh.a", file("b", "new"), file ".wh.b" },
      },
      any_order = 2,
      expect = { b = "new" },
    },
    {
      row = "3", name = "a whiteout, then a fresh directory",
      layers = {
        { dir "d/", file("d/x", "old"), dir "d/sub/", file("d/sub/z", "old") },
        { file ".wh.d", dir("d/", { mode = oct "711" }), file("d/y", "new") },
      },
      any_order = 2,
      expect = { d = is.dir { mode = oct "711" }, ["d/y"] = "new" },
    },
    {
      -- The layer brings d only as the parent of d/y: the lower d is hidden
      -- with all it was, so what is left is a made parent (row 18).
      row = "3", name = "a whiteout and something below it, with no entry for the directory",
      layers = {
        { dir("d/", { mode = oct "700", uid = 7, gid = 7 }), file("d/x", "old") },
        { file ".wh.d", file("d/y", "new") },
      },
      any_order = 2,
      expect = { d = s.MADE, ["d/y"] = "new" },
    },
    {
      row = "3", name = "a whiteout of a file, then a directory of that name",
      layers = {
        { file("d", "old") },
        { file ".wh.d", dir "d/", file("d/y", "new") },
      },
      expect = { d = is.dir(), ["d/y"] = "new" },
    },
    {
      row = "3", name = "a whiteout of a symlink, then a real directory; the link's target is left alone",
      layers = {
        { dir "t/", file("t/x", "target's"), symlink("d", "t") },
        { file ".wh.d", dir "d/", file("d/y", "new") },
      },
      expect = { t = is.dir(), ["t/x"] = "target's", d = is.dir(), ["d/y"] = "new" },
    },
    {
      row = "6b", name = "a directory and its whiteout in any order, with this layer's children",
      layers = {
        { dir("d/", { mode = oct "700", uid = 5 }), file("d/low", "low"), file("d/both", "low") },
        { dir("d/", { mode = oct "750", gid = 9 }), file("d/high", "high"), file ".wh.d" },
      },
      any_order = 2,
      expect = { d = is.dir { mode = oct "750", gid = 9 }, ["d/high"] = "high" },
    },
    {
      row = "6b", name = "at every depth: lower siblings go wherever this layer brought something",
      layers = {
        {
          file("d/1/2/low", "low"), file("d/1/low", "low"), file("d/other/low", "low"),
          file("d/1/2/high", "low"), dir("d/1/2/empty/"), symlink("d/1/link", "2"),
        },
        { dir "d/", file("d/1/2/high", "high"), file ".wh.d" },
      },
      any_order = 2,
      expect = { d = is.dir(), ["d/1/2/high"] = "high" },
    },
    {
      row = "6b", name = "a directory entry of this layer stays although lower children go",
      layers = {
        { dir("d/", {}), dir("d/e/", { mode = oct "700" }), file("d/e/low", "low") },
        { dir("d/", {}), dir("d/e/", { mode = oct "701" }), file ".wh.d" },
      },
      any_order = 2,
      expect = { d = is.dir(), ["d/e"] = is.dir { mode = oct "701" } },
    },
    {
      row = "6b", name = "xattrs of the hidden directory do not come back",
      layers = {
        { dir("d/", { xattrs = { ["user.low"] = "1" } }), file("d/low", "low") },
        { file "d/high", file ".wh.d" },
      },
      any_order = 2,
      expect = { d = s.MADE, ["d/high"] = "" },
    },
    {
      row = "7", name = "a whiteout of one name of a hard-linked file",
      layers = {
        { file("a", "data"), hardlink("b", "a"), hardlink("c", "a") },
        { file ".wh.a" },
      },
      expect = { b = is.file "data", c = is.same "b" },
    },
    {
      row = "7", name = "a whiteout of all names but one",
      layers = {
        { file("a", "data"), hardlink("b", "a"), hardlink("d/c", "a") },
        { file ".wh.a", file ".wh.d" },
      },
      any_order = 2,
      expect = { b = "data" },
    },
    {
      row = "7", name = "a whiteout of all names",
      layers = {
        { file("a", "data"), hardlink("b", "a") },
        { file ".wh.a", file ".wh.b" },
      },
      expect = {},
    },
    {
      -- The link finds its target, then the target's name goes.
      row = "7", name = "a link to a lower file whose own name this layer hides",
      layers = {
        { file("a", "data", { mode = oct "640" }) },
        { hardlink("b", "a", { mode = oct "640" }), file ".wh.a" },
      },
      expect = { b = is.file("data", { mode = oct "640" }) },
    },
    {
      -- Every engine removes the name when it meets the marker, and then has
      -- nothing to link to: no image that runs anywhere has this.
      row = "7", name = "refused: a link behind the whiteout of its target",
      layers = {
        { file("a", "data") },
        { file ".wh.a", hardlink("b", "a") },
      },
      error = { code = "layer", exit = 6, layer = 2, entry = "b", also = { "target a", "whiteout" } },
    },
    {
      row = "28", name = "a whiteout of something absent",
      layers = { { file("a", "x") }, { file ".wh.b", file ".wh.b.c" } },
      expect = { a = "x" },
    },
    {
      row = "28", name = "a whiteout below a missing directory makes no parents",
      layers = { { file("a", "x") }, { file "no/.wh.b", file "no/such/dir/.wh.b" } },
      expect = { a = "x" },
    },
    {
      row = "28", name = "an opaque marker in a missing directory makes no parents",
      layers = { { file("a", "x") }, { file "no/.wh..wh..opq", file "n/o/.wh..wh..opq" } },
      expect = { a = "x" },
    },
    {
      row = "28", name = "a whiteout below a name that is a file",
      layers = { { file("a", "x") }, { file "a/.wh.b", file "a/b/.wh.c", file "a/.wh..wh..opq" } },
      expect = { a = "x" },
    },
    {
      row = "28", name = "a whiteout below a dangling symlink or a loop of them",
      layers = {
        { symlink("l", "nowhere"), symlink("x", "y"), symlink("y", "x") },
        { file "l/.wh.b", file "x/.wh.b", file "x/.wh..wh..opq" },
      },
      expect = { l = is.symlink "nowhere", x = is.symlink "y", y = is.symlink "x" },
    },
    {
      row = "28", name = "whiteouts alone, in the oldest layer",
      layers = { { file ".wh.a", file "d/.wh.b", file ".wh..wh..opq" } },
      expect = {},
    },
    {
      row = "29", name = "a whiteout of a directory and one inside it",
      layers = {
        { dir "d/", file("d/a", "x"), file("d/b", "x"), file("e", "stays") },
        { file ".wh.d", file "d/.wh.a" },
      },
      any_order = 2,
      expect = { e = "stays" },
    },
    {
      row = "29", name = "a whiteout of a directory and an opaque marker inside it",
      layers = {
        { dir "d/", file("d/a", "x") },
        { file ".wh.d", file "d/.wh..wh..opq" },
      },
      any_order = 2,
      expect = {},
    },
    {
      row = "29", name = "whiteouts of a directory, of its child and of its grandchild",
      layers = {
        { file("d/e/a", "x"), file("d/e/b", "x"), file("d/f", "x") },
        { file ".wh.d", file "d/.wh.e", file "d/e/.wh.a" },
      },
      any_order = 2,
      expect = {},
    },
    {
      row = "29", name = "the directory's metadata survives a whiteout inside it",
      layers = {
        { dir("d/", { mode = oct "1777", uid = 3, mtime = 1400000000 }), file("d/a", "x"), file("d/b", "y") },
        { file "d/.wh.a" },
      },
      expect = { d = is.dir { mode = oct "1777", uid = 3, mtime = 1400000000 }, ["d/b"] = "y" },
    },
  },
}
