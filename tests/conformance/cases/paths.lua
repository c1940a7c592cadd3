--- Rows 21-24b: how names are written, and names that try to leave.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is = s.file, s.dir, s.symlink, s.hardlink, s.is

local cases = {
  {
    row = "21", name = "./a, a/, a//b and a/./b",
    layers = {
      { dir "./a/", file("a//b", "b"), file("./a/./c", "c"), file(".//a///d", "d"), dir "a/e//", dir "./a/./f/." },
    },
    expect = {
      a = is.dir(), ["a/b"] = "b", ["a/c"] = "c", ["a/d"] = "d", ["a/e"] = is.dir(), ["a/f"] = is.dir(),
    },
  },
  {
    row = "21", name = "a directory without its slash, a symlink with one",
    layers = { { dir "a", file("a/b", "b"), symlink("l/", "a") } },
    expect = { a = is.dir(), ["a/b"] = "b", l = is.symlink "a" },
  },
  {
    row = "21", name = "different spellings are the same name in the next layer",
    layers = {
      { file("a/b", "old"), file("a/c", "old") },
      { file("./a//b", "new"), file "./a/.//.wh.c" },
    },
    expect = { ["a/b"] = "new" },
  },
  {
    row = "21", name = "in a hard link's target",
    layers = { { file("a/b", "x"), hardlink("c", "./a//b"), hardlink("./d", "a/./b") } },
    expect = { ["a/b"] = "x", c = is.same "a/b", d = is.same "a/b" },
  },
  {
    row = "21", name = "names of dots that are ordinary names",
    layers = { { file("...", "1"), file("..a", "2"), file("a..", "3"), file(".hidden", "4"), file("d/..../x", "5") } },
    expect = { ["..."] = "1", ["..a"] = "2", ["a.."] = "3", [".hidden"] = "4", ["d/..../x"] = "5" },
  },
  {
    row = "22", name = "absolute names are taken from the image's root, and noted",
    layers = {
      { dir "/etc/", file("/etc/a", "x"), symlink("/l", "etc"), file("b", "y") },
      { file("/etc/a", "new"), file "/etc/.wh.b" },
    },
    expect = { etc = is.dir(), ["etc/a"] = "new", l = is.symlink "etc", b = "y" },
    notes = {
      { layer = 1, entry = "/etc/", reason = "absolute" },
      { layer = 1, entry = "/etc/a", reason = "absolute" },
      { layer = 1, entry = "/l", reason = "absolute" },
      { layer = 2, entry = "/etc/a", reason = "absolute" },
      { layer = 2, entry = "/etc/.wh.b", reason = "absolute" },
    },
  },
  {
    row = "22", name = "several leading slashes",
    layers = { { file("//a", "x"), file("///d/b", "y") } },
    expect = { a = "x", ["d/b"] = "y" },
    notes = { { layer = 1, entry = "//a" }, { layer = 1, entry = "///d/b" } },
  },
  {
    row = "22", name = "an absolute hard-link target",
    layers = { { file("usr/bin/a", "x"), hardlink("b", "/usr/bin/a") } },
    expect = { ["usr/bin/a"] = "x", b = is.same "usr/bin/a" },
    notes = { { layer = 1, entry = "b", reason = "absolute" } },
  },
  {
    row = "22", name = "an absolute hard-link target before its file",
    layers = { { hardlink("b", "/usr/bin/a"), file("usr/bin/a", "x") } },
    expect = { ["usr/bin/a"] = "x", b = is.same "usr/bin/a" },
    notes = { { layer = 1, entry = "b" } },
  },
  {
    row = "22b", name = "clamp stops .. at the root",
    layers = { { file("../a", "x"), file("d/../../b", "y"), file("../../../e/c", "z") } },
    options = { paths = "clamp" },
    expect = { a = "x", b = "y", ["e/c"] = "z" },
    partial = { "d" }, -- whether d, which no entry is about, is made is left open
    notes = {
      { layer = 1, entry = "../a" }, { layer = 1, entry = "d/../../b" }, { layer = 1, entry = "../../../e/c" },
    },
  },
  {
    row = "22b", name = "clamp and .. inside the image",
    layers = { { dir "d/", dir "e/", file("d/../e/a", "x") } },
    options = { paths = "clamp" },
    expect = { d = is.dir(), e = is.dir(), ["e/a"] = "x" },
    notes = { { layer = 1, entry = "d/../e/a" } },
  },
  {
    row = "22b", name = "clamp and a whiteout with ..",
    layers = { { file("a", "x"), file("b", "y") }, { file "../.wh.a" } },
    options = { paths = "clamp" },
    expect = { b = "y" },
    notes = { { layer = 2, entry = "../.wh.a" } },
  },
  {
    row = "24", name = "symlink targets are kept byte for byte",
    layers = {
      {
        symlink("a", "/etc/passwd"), symlink("b", "./x//y/../z/"), symlink("c", "a b\n\t'\"\\"),
        symlink("d", "\xff\xfe\x80"), symlink("e", "caf\xc3\xa9"), symlink("f", "cafe\xcc\x81"),
        symlink("g", " "), symlink("h", "."), symlink("i", "i"), symlink("j", ("t"):rep(59)),
        symlink("k", ("t"):rep(60)), symlink("l", ("t"):rep(61)), symlink("m", ("u/"):rep(1000) .. "v"),
        symlink("n", ("t"):rep(100)), symlink("o", ("t"):rep(101)),
      },
    },
    expect = {
      a = is.symlink "/etc/passwd", b = is.symlink "./x//y/../z/", c = is.symlink "a b\n\t'\"\\",
      d = is.symlink "\xff\xfe\x80", e = is.symlink "caf\xc3\xa9", f = is.symlink "cafe\xcc\x81",
      g = is.symlink " ", h = is.symlink ".", i = is.symlink "i", j = is.symlink(("t"):rep(59)),
      k = is.symlink(("t"):rep(60)), l = is.symlink(("t"):rep(61)),
      m = is.symlink(("u/"):rep(1000) .. "v"), n = is.symlink(("t"):rep(100)), o = is.symlink(("t"):rep(101)),
    },
  },
  {
    -- The longest target that ext4 keeps and the kernel reads: one block, less its NUL.
    row = "24", name = "a target of 4095 bytes",
    layers = { { symlink("a", ("t"):rep(4095)) } },
    expect = { a = is.symlink(("t"):rep(4095)) },
  },
  {
    row = "24", name = "refused: a target longer than ext4 keeps",
    layers = { { symlink("toolong", ("t"):rep(4096)) } },
    error = { code = "layer", layer = 1, entry = "toolong" },
  },
  {
    row = "24", name = "a target that climbs above the root is kept and noted",
    layers = {
      {
        symlink("a", "../x"), symlink("d/b", "../../x"), symlink("d/c", "y/../../../x"),
        symlink("nix/store/p/bin", "../../../../../usr"),
      },
    },
    expect = {
      a = is.symlink "../x", ["d/b"] = is.symlink "../../x", ["d/c"] = is.symlink "y/../../../x",
      ["nix/store/p/bin"] = is.symlink "../../../../../usr",
    },
    notes = {
      { layer = 1, entry = "a", action = "noted" }, { layer = 1, entry = "d/b", action = "noted" },
      { layer = 1, entry = "d/c", action = "noted" }, { layer = 1, entry = "nix/store/p/bin", action = "noted" },
    },
  },
  {
    row = "24", name = "a target with .. that stays inside is not noted",
    layers = { { symlink("d/a", "../x"), symlink("d/e/b", "../../x"), symlink("d/c", "e/../../x"), symlink("f", "d/..") } },
    expect = {
      ["d/a"] = is.symlink "../x", ["d/e/b"] = is.symlink "../../x", ["d/c"] = is.symlink "e/../../x",
      f = is.symlink "d/..",
    },
  },
  {
    row = "24b", name = "strict lets ordinary names and links pass",
    layers = {
      { dir "./", dir "d/", file("d/a", "x"), symlink("d/l", "../d/a"), symlink("m", "/etc"), hardlink("h", "d/a") },
      { file "./d/.wh.l" },
    },
    options = { paths = "strict" },
    expect = { [""] = is.dir(), d = is.dir(), ["d/a"] = "x", m = is.symlink "/etc", h = is.same "d/a" },
  },
}

for _, entry in ipairs {
  file "../a", file "..", dir "../", file "a/../b", file "d/../../b", file "a/b/..", dir "a/../", file "/../a",
  file "./../a", file "a\nb/../c", file "d/../.wh.a", file "../.wh.a", symlink("x/../l", "t"), s.char("../c", 1, 3),
} do
  cases[#cases + 1] = {
    row = "22b", name = ("refused: %s %q"):format(entry.type, entry.name):gsub("\\\n", "\\n"),
    layers = { { file("a", "x") }, { file("fine", "x"), entry } },
    -- A message is one line, so what an odd name looks like in it is open.
    error = { code = "layer", layer = 2, entry = entry.name:match "^[^\n]*":gsub("/$", ""), also = { "clamp" } },
  }
end

for _, entry in ipairs {
  file "/a", dir "/", dir "/d/", file "//a", symlink("/l", "t"), file "/.wh.x", hardlink("h", "/fine"),
  symlink("up", "../x"), symlink("d/up", "../../x"), symlink("d/up", "a/../../../x"),
} do
  cases[#cases + 1] = {
    row = "24b", name = ("strict refuses %s %s -> %s"):format(entry.type, entry.name, entry.link or ""),
    layers = { { file("fine", "x"), entry } },
    options = { paths = "strict" },
    error = { code = "layer", layer = 1, entry = entry.name },
  }
end

return { title = "names that try to leave", cases = cases }
