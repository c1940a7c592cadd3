--- Rows 8-13 and 23: names that share an inode.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is, oct = s.file, s.dir, s.symlink, s.hardlink, s.is, s.oct

--- A hard link whose target climbs out of the image.
local function climbing(name, target)
  return {
    row = "23", name = "refused: " .. name,
    layers = { { file("a", "x") }, { file("fine", "x"), hardlink("d/b", target) } },
    error = { code = "layer", layer = 2, entry = "d/b", also = { target } },
  }
end

return {
  title = "hard links",
  cases = {
    {
      row = "8", name = "an upper layer replaces one name, the others keep the old inode",
      layers = {
        { file("a", "old"), hardlink("b", "a"), hardlink("c", "a") },
        { file("a", "new", { mode = oct "600" }) },
      },
      expect = { a = is.file("new", { mode = oct "600" }), b = "old", c = is.same "b" },
    },
    {
      row = "8", name = "by a directory, a symlink, a device",
      layers = {
        { file("a", "old"), hardlink("b", "a"), hardlink("c", "a"), hardlink("d", "a") },
        { dir "a/", symlink("b", "d"), s.char("c", 1, 3) },
      },
      expect = { a = is.dir(), b = is.symlink "d", c = is.char(1, 3), d = "old" },
    },
    {
      row = "8", name = "a name that becomes another file's link",
      layers = {
        { file("a", "one"), hardlink("b", "a"), file("x", "two") },
        { hardlink("b", "x") },
      },
      expect = { a = "one", b = "two", x = is.same "b" },
    },
    {
      row = "8", name = "the same link again changes nothing",
      layers = {
        { file("a", "one"), hardlink("b", "a") },
        { hardlink("b", "a") },
      },
      expect = { a = "one", b = is.same "a" },
    },
    {
      row = "9", name = "a target from a lower layer",
      layers = {
        { file("a", "data", { uid = 7, mode = oct "604" }) },
        { hardlink("d/b", "a", { uid = 7, mode = oct "604" }) },
      },
      expect = { a = is.file("data", { uid = 7, mode = oct "604" }), ["d/b"] = is.same "a" },
    },
    {
      row = "9", name = "a target two layers down, from several layers",
      layers = {
        { file("a", "data") }, { hardlink("b", "a") }, { hardlink("c", "b") }, { hardlink("d", "a") },
      },
      expect = { a = "data", b = is.same "a", c = is.same "a", d = is.same "a" },
    },
    {
      row = "9", name = "a target below a symlinked directory",
      layers = {
        { file("usr/lib/a", "data"), symlink("lib", "usr/lib") },
        { hardlink("lib/b", "lib/a") },
      },
      expect = { ["usr/lib/a"] = "data", ["usr/lib/b"] = is.same "usr/lib/a", lib = is.symlink "usr/lib" },
    },
    {
      -- The link names what is there when its entry is read (as rows 9, 13).
      row = "9", name = "a target that the same layer replaces afterwards",
      layers = {
        { file("a", "lower") },
        { hardlink("b", "a"), file("a", "upper") },
      },
      expect = { a = "upper", b = "lower" },
    },
    {
      row = "10", name = "a link to a link",
      layers = { { file("a", "data"), hardlink("b", "a"), hardlink("c", "b"), hardlink("d", "c") } },
      expect = { a = "data", b = is.same "a", c = is.same "a", d = is.same "a" },
    },
    {
      row = "10", name = "a link to a link whose first name is gone",
      layers = {
        { file("a", "data"), hardlink("b", "a") },
        { file ".wh.a" },
        { hardlink("c", "b") },
      },
      expect = { b = "data", c = is.same "b" },
    },
    {
      row = "11", name = "a link to a symlink",
      layers = { { symlink("l", "nowhere"), hardlink("m", "l", { mode = oct "777" }) } },
      expect = { l = is.symlink "nowhere", m = is.same "l" },
    },
    {
      row = "11", name = "a link to a symlink that points to a file takes the symlink",
      layers = { { file("a", "data"), symlink("l", "a") }, { hardlink("m", "l", { mode = oct "777" }) } },
      expect = { a = "data", l = is.symlink "a", m = is.same "l" },
    },
    {
      row = "11", name = "links to a device and to a fifo",
      layers = { { s.char("c", 5, 1), s.fifo "p", hardlink("c2", "c"), hardlink("p2", "p") } },
      expect = { c = is.char(5, 1), c2 = is.same "c", p = is.fifo(), p2 = is.same "p" },
    },
    {
      row = "12", name = "a link before its target",
      layers = { { hardlink("a", "z"), file("b", "x"), file("z", "data") } },
      expect = { a = "data", b = "x", z = is.same "a" },
    },
    {
      row = "12", name = "a chain of links before the file, in any order",
      layers = { { hardlink("a", "b"), hardlink("b", "c"), hardlink("c", "d"), file("d", "data") } },
      any_order = 1,
      expect = { a = "data", b = is.same "a", c = is.same "a", d = is.same "a" },
    },
    {
      row = "12", name = "below a directory that has no entry",
      layers = { { hardlink("x/y/a", "z/b"), file("z/b", "data") } },
      expect = { ["x/y/a"] = "data", ["z/b"] = is.same "x/y/a" },
    },
    {
      row = "12", name = "refused: no target at the layer's end",
      layers = { { file("a", "x") }, { hardlink("d/link", "no/such"), file("b", "x") } },
      error = { code = "layer", layer = 2, entry = "d/link", also = { "no/such" } },
    },
    {
      row = "12", name = "refused: the target was hidden by a lower layer",
      layers = {
        { file("target", "x"), file("b", "x") },
        { file ".wh.target" },
        { hardlink("link", "target") },
      },
      error = { code = "layer", layer = 3, entry = "link", also = { "target" } },
    },
    {
      row = "12", name = "refused: links that only name each other",
      layers = { { hardlink("one", "two"), hardlink("two", "one") } },
      error = { code = "layer", layer = 1 },
    },
    {
      row = "12", name = "refused: a link to itself",
      layers = { { hardlink("self", "self") } },
      error = { code = "layer", layer = 1, entry = "self" },
    },
    {
      -- No filesystem has a second name for a directory.
      row = "12", name = "refused: a link to a directory",
      layers = { { dir "d/", hardlink("link", "d") } },
      error = { code = "layer", layer = 1, entry = "link" },
    },
    {
      row = "13", name = "a file, a link to it, and the file again",
      layers = { { file("a", "first"), hardlink("b", "a"), file("a", "second") } },
      expect = { a = "second", b = "first" },
    },
    {
      row = "13", name = "twice over",
      layers = {
        { file("a", "1"), hardlink("b", "a"), file("a", "2"), hardlink("c", "a"), file("a", "3") },
      },
      expect = { a = "3", b = "1", c = "2" },
    },
    {
      row = "13", name = "the link replaced, the target kept",
      layers = { { file("a", "1"), hardlink("b", "a"), file("b", "2"), hardlink("c", "a") } },
      expect = { a = "1", b = "2", c = is.same "a" },
    },
    climbing("a relative target above the root", "../a"),
    climbing("a target that comes back", "../../image/a"),
    climbing("from inside a directory", "a/../../b"),
    climbing("an absolute target with ..", "/../a"),
    {
      row = "23", name = "clamp stops the target at the root",
      layers = { { file("a", "x") }, { hardlink("d/b", "../../a") } },
      options = { paths = "clamp" },
      expect = { a = "x", ["d/b"] = is.same "a" },
      notes = { { layer = 2, entry = "d/b" } },
    },
    {
      row = "23", name = "strict refuses it too",
      layers = { { file("a", "x") }, { hardlink("b", "../a") } },
      options = { paths = "strict" },
      error = { code = "layer", layer = 2, entry = "b", also = { "../a" } },
    },
  },
}
