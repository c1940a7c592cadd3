--- Rows 14-20: one thing in the place of another, parents, and the root.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is, oct = s.file, s.dir, s.symlink, s.hardlink, s.is, s.oct

--- What may take the place of a directory with things in it.
local OTHERS = {
  { "a file", file("d", "flat"), "flat" },
  { "an empty file", file "d", is.file "" },
  { "a symlink", symlink("d", "e"), is.symlink "e" },
  { "a dangling symlink", symlink("d", "no/where"), is.symlink "no/where" },
  { "a character device", s.char("d", 5, 1), is.char(5, 1) },
  { "a block device", s.block("d", 8, 0), is.block(8, 0) },
  { "a fifo", s.fifo "d", is.fifo() },
}

local cases = {
  {
    row = "14", name = "the same file twice, the last wins",
    layers = { { file("a", "first", { mode = oct "600", uid = 9 }), file("b", "x"), file("a", "second") } },
    expect = { a = "second", b = "x" },
  },
  {
    row = "14", name = "the last may be shorter, empty, or of another type",
    layers = {
      {
        file("a", ("long"):rep(5000)), file("a", "short"), file("b", "x"), file "b",
        file("c", "x"), symlink("c", "a"), symlink("e", "a"), file("e", "e's own"),
      },
    },
    expect = { a = "short", b = is.file "", c = is.symlink "a", e = "e's own" },
  },
  {
    row = "14", name = "a directory twice: the last metadata, all children",
    layers = {
      { dir("d/", { mode = oct "700" }), file("d/a", "x"), dir("d/", { mode = oct "711", uid = 1 }), file("d/b", "y") },
    },
    expect = { d = is.dir { mode = oct "711", uid = 1 }, ["d/a"] = "x", ["d/b"] = "y" },
  },
  {
    row = "14", name = "a file over a symlink does not write through it",
    layers = { { file("t", "target's"), symlink("l", "t"), file("l", "own") } },
    expect = { t = "target's", l = "own" },
  },
  {
    row = "15", name = "an entry below a relative symlink",
    layers = {
      { dir "usr/", dir "usr/lib/", symlink("lib", "usr/lib") },
      { file("lib/a", "x"), file("lib/sub/b", "y") },
    },
    expect = {
      usr = is.dir(), ["usr/lib"] = is.dir(), ["usr/lib/a"] = "x", ["usr/lib/sub/b"] = "y",
      lib = is.symlink "usr/lib",
    },
  },
  {
    row = "15", name = "an entry below an absolute symlink",
    layers = { { dir "usr/lib/", symlink("lib", "/usr/lib") }, { file("lib/a", "x") } },
    expect = { usr = s.MADE, ["usr/lib"] = is.dir(), ["usr/lib/a"] = "x", lib = is.symlink "/usr/lib" },
  },
  {
    row = "15", name = "in one layer",
    layers = { { dir "usr/lib/", symlink("lib", "usr/lib"), file("lib/a", "x") } },
    expect = { ["usr/lib"] = is.dir(), ["usr/lib/a"] = "x", lib = is.symlink "usr/lib" },
  },
  {
    row = "15", name = "directories, links and devices below a symlink",
    layers = {
      { dir "usr/lib/", file("usr/lib/old", "old"), symlink("lib", "usr/lib") },
      {
        dir("lib/d/", { mode = oct "711" }), symlink("lib/l", "x"), s.char("lib/c", 1, 3),
        hardlink("lib/h", "lib/old"),
      },
    },
    expect = {
      ["usr/lib"] = is.dir(), ["usr/lib/old"] = "old", ["usr/lib/d"] = is.dir { mode = oct "711" },
      ["usr/lib/l"] = is.symlink "x", ["usr/lib/c"] = is.char(1, 3),
      ["usr/lib/h"] = is.same "usr/lib/old", lib = is.symlink "usr/lib",
    },
  },
  {
    row = "15", name = "a chain of links, with . and .. and //",
    layers = {
      {
        dir "a/b/c/", symlink("l1", "l2/c"), symlink("l2", "./a/./b"), symlink("a/up", "..//l1"),
      },
      { file("a/up/x", "x") },
    },
    expect = {
      ["a/b/c"] = is.dir(), ["a/b/c/x"] = "x", l1 = is.symlink "l2/c", l2 = is.symlink "./a/./b",
      ["a/up"] = is.symlink "..//l1",
    },
  },
  {
    row = "15", name = "a climbing link stops at the root",
    layers = { { dir "t/", symlink("d/l", "../../../t") }, { file("d/l/x", "x") } },
    expect = { t = is.dir(), ["t/x"] = "x", ["d/l"] = is.symlink "../../../t" },
    notes = { { layer = 1, entry = "d/l" } },
  },
  {
    row = "15", name = "a link to the root itself",
    layers = { { symlink("rootlink", "/"), file("rootlink/a", "x"), symlink("d/dotdot", ".."), file("d/dotdot/b", "y") } },
    expect = { rootlink = is.symlink "/", a = "x", b = "y", ["d/dotdot"] = is.symlink ".." },
  },
  {
    -- Parents are looked up in the image and made where missing (row 18), so
    -- those that a dangling link names are made where it points.
    row = "15", name = "an entry below a dangling symlink makes what the link names",
    layers = { { symlink("var/run", "/run"), file("var/run/lock/x", "x") } },
    expect = { ["var/run"] = is.symlink "/run", ["run/lock/x"] = "x" },
  },
  {
    row = "15", name = "forty links in a row are followed",
    layers = {
      (function()
        local layer = { dir "l0/" }
        for i = 1, 40 do layer[#layer + 1] = symlink("l" .. i, "l" .. i - 1) end
        layer[#layer + 1] = file("l40/x", "x")
        return layer
      end)(),
    },
    expect = (function()
      local expect = { l0 = is.dir(), ["l0/x"] = "x" }
      for i = 1, 40 do expect["l" .. i] = is.symlink("l" .. i - 1) end
      return expect
    end)(),
  },
  {
    row = "15", name = "refused: forty-one",
    layers = {
      (function()
        local layer = { dir "l0/" }
        for i = 1, 41 do layer[#layer + 1] = symlink("l" .. i, "l" .. i - 1) end
        layer[#layer + 1] = file("l41/deep", "x")
        return layer
      end)(),
    },
    error = { code = "layer", layer = 1, entry = "l41/deep" },
  },
  {
    row = "15", name = "refused: an entry below a loop of symlinks",
    layers = { { symlink("x", "y"), symlink("y", "x"), file("x/a", "x") } },
    error = { code = "layer", layer = 1, entry = "x/a" },
  },
  {
    row = "16", name = "a directory over a symlink to a directory is a real directory",
    layers = {
      { dir "usr/lib/", file("usr/lib/a", "x"), symlink("lib", "usr/lib") },
      { dir("lib/", { mode = oct "711" }), file("lib/b", "y") },
    },
    expect = {
      ["usr/lib"] = is.dir(), ["usr/lib/a"] = "x", lib = is.dir { mode = oct "711" }, ["lib/b"] = "y",
    },
  },
  {
    row = "16", name = "in one layer: below the link first, then the directory",
    layers = {
      { dir "usr/lib/", symlink("lib", "usr/lib"), file("lib/a", "x"), dir "lib/", file("lib/b", "y") },
    },
    expect = { ["usr/lib"] = is.dir(), ["usr/lib/a"] = "x", lib = is.dir(), ["lib/b"] = "y" },
  },
  {
    row = "16", name = "over a dangling symlink",
    layers = { { symlink("l", "nowhere") }, { dir "l/", file("l/a", "x") } },
    expect = { l = is.dir(), ["l/a"] = "x" },
  },
  {
    row = "17", name = "a directory over a file, a symlink, a device, a fifo",
    layers = {
      { file("a", "x"), symlink("b", "a"), s.char("c", 1, 3), s.fifo "e" },
      { dir "a/", file("a/in", "1"), dir "b/", dir "c/", dir "e/", file("e/in", "2") },
    },
    expect = {
      a = is.dir(), ["a/in"] = "1", b = is.dir(), c = is.dir(), e = is.dir(), ["e/in"] = "2",
    },
  },
  {
    row = "17", name = "what was below does not come back with a new directory",
    layers = {
      { file("d/a", "x"), file("d/e/b", "x") }, { file("d", "flat") }, { dir "d/", file("d/c", "new") },
    },
    expect = { d = is.dir(), ["d/c"] = "new" },
  },
  {
    row = "17", name = "a hard link over a directory",
    layers = { { file("d/a", "x"), file("f", "data") }, { hardlink("d", "f") } },
    expect = { d = "data", f = is.same "d" },
  },
  {
    row = "17", name = "a name outside keeps the inode of a file below",
    layers = { { file("d/a", "data"), hardlink("keep", "d/a") }, { file("d", "flat") } },
    expect = { d = "flat", keep = "data" },
  },
  {
    row = "17", name = "back and forth in one layer",
    layers = { { dir "d/", file("d/a", "x"), file("d", "flat"), dir "d/", file("d/b", "y"), symlink("d", "z") } },
    expect = { d = is.symlink "z" },
  },
  {
    row = "18", name = "missing parents",
    layers = { { file("a/b/c/d", "x", { uid = 5, mode = oct "600" }) } },
    expect = { a = s.MADE, ["a/b"] = s.MADE, ["a/b/c"] = s.MADE, ["a/b/c/d"] = is.file("x", { uid = 5, mode = oct "600" }) },
  },
  {
    row = "18", name = "of symlinks, devices and directories",
    layers = { { symlink("a/l", "x"), s.char("b/c", 1, 3), dir("c/d/", { mode = oct "700" }), s.fifo "d/p" } },
    expect = {
      ["a/l"] = is.symlink "x", ["b/c"] = is.char(1, 3), ["c/d"] = is.dir { mode = oct "700" },
      ["d/p"] = is.fifo(),
    },
  },
  {
    row = "18", name = "a later entry sets their metadata, in the same layer or the next",
    layers = {
      {
        file("a/b/c", "x"), dir("a/", { mode = oct "700", uid = 1, gid = 2, mtime = 1234567890 }),
      },
      { dir("a/b/", { mode = oct "2755", uid = 3, gid = 4, mtime = 1234567891 }) },
    },
    expect = {
      a = is.dir { mode = oct "700", uid = 1, gid = 2, mtime = 1234567890 },
      ["a/b"] = is.dir { mode = oct "2755", uid = 3, gid = 4, mtime = 1234567891 }, ["a/b/c"] = "x",
    },
  },
  {
    row = "18", name = "existing parents are left as they are",
    layers = {
      { dir("d/", { mode = oct "1777", uid = 1, gid = 2, mtime = 1234567890, xattrs = { ["user.k"] = "v" } }) },
      { file("d/a", "x"), file("d/e/f", "y") },
    },
    expect = {
      d = is.dir { mode = oct "1777", uid = 1, gid = 2, mtime = 1234567890, xattrs = { ["user.k"] = "v" } },
      ["d/a"] = "x", ["d/e/f"] = "y",
    },
  },
  {
    row = "19", name = "metadata replaced, children stay",
    layers = {
      {
        dir("d/", { mode = oct "700", uid = 1, gid = 2, mtime = 1111111111, xattrs = { ["user.old"] = "1" } }),
        file("d/a", "x"), dir("d/e/", { mode = oct "711" }),
      },
      { dir("d/", { mode = oct "3775", uid = 3, gid = 4, mtime = 1222222222, xattrs = { ["user.new"] = "2" } }) },
    },
    expect = {
      d = is.dir { mode = oct "3775", uid = 3, gid = 4, mtime = 1222222222, xattrs = { ["user.new"] = "2" } },
      ["d/a"] = "x", ["d/e"] = is.dir { mode = oct "711" },
    },
  },
  {
    row = "19", name = "xattrs go when the new entry has none",
    layers = {
      { dir("d/", { xattrs = { ["user.old"] = "1", ["trusted.x"] = "2" } }), file("d/a", "x") },
      { dir "d/" },
    },
    expect = { d = is.dir(), ["d/a"] = "x" },
  },
  {
    row = "20", name = "./ sets the root's metadata",
    layers = { { dir("./", { mode = oct "750", uid = 11, gid = 12, mtime = 1000000001 }), file("./a", "x") } },
    expect = { [""] = is.dir { mode = oct "750", uid = 11, gid = 12, mtime = 1000000001 }, a = "x" },
  },
  {
    row = "20", name = ". sets it too",
    layers = { { dir(".", { mode = oct "751" }) } },
    expect = { [""] = is.dir { mode = oct "751" } },
  },
  {
    -- An absolute name (row 22), so it is in the report.
    row = "20", name = "/ sets it too",
    layers = { { dir("/", { mode = oct "711", gid = 3 }) } },
    expect = { [""] = is.dir { mode = oct "711", gid = 3 } },
    notes = { { layer = 1, entry = "/" } },
  },
  {
    row = "20", name = "the last layer's entry wins, what is below stays",
    layers = {
      { dir("./", { mode = oct "700", xattrs = { ["user.a"] = "1" } }), file("a", "x") },
      { dir("./", { mode = oct "755", mtime = 1000000002 }) },
      { file("b", "y") },
    },
    expect = { [""] = is.dir { mtime = 1000000002 }, a = "x", b = "y" },
  },
  {
    row = "20", name = "xattrs and a sticky bit on the root",
    layers = { { dir("./", { mode = oct "1777", xattrs = { ["user.root"] = "yes" } }) } },
    expect = { [""] = is.dir { mode = oct "1777", xattrs = { ["user.root"] = "yes" } } },
  },
  {
    row = "20", name = "no root entry: 0:0 0755",
    layers = { { file("a", "x") } },
    expect = { [""] = s.MADE, a = "x" },
  },
}

for _, other in ipairs(OTHERS) do
  cases[#cases + 1] = {
    row = "17", name = other[1] .. " over a directory",
    layers = { { dir "d/", file("d/a", "x"), dir "d/sub/", file("d/sub/b", "x"), dir "e/" }, { other[2] } },
    expect = { d = other[3], e = is.dir() },
  }
end

for _, root in ipairs {
  { "a file", file(".", "x"), "." }, { "a symlink", symlink(".", "a"), "." },
  { "a symlink named ./", symlink("./", "a"), "." },
  { "a device", s.char(".", 1, 3), "." }, { "a fifo", s.fifo ".", "." },
  { "a hard link", hardlink(".", "a"), "." },
} do
  cases[#cases + 1] = {
    row = "20", name = "refused: the root as " .. root[1],
    layers = { { file("a", "x") }, { root[2] } },
    error = { code = "layer", layer = 2, entry = root[3] },
  }
end

return { title = "replacing", cases = cases }
