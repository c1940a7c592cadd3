--- Rows 32, 33: owners, times and modes in every way a tar writes numbers.
local s = require "conformance.suite"
local file, dir, symlink, is, oct, tar = s.file, s.dir, s.symlink, s.is, s.oct, s.tar

--- One file with one time, written as given.
local function at(name, mtime, sec, nsec, attrs)
  attrs = s.with(attrs or {}, "mtime", mtime)
  return {
    row = "33", name = name, layers = { { file("f", "x", attrs) } },
    expect = { f = is.file("x", { mtime = sec, nsec = nsec or 0 }) },
  }
end

return {
  title = "numbers",
  cases = {
    {
      row = "32", name = "octal, pax and base-256 owners",
      layers = {
        {
          file("a", "", { uid = 0, gid = 65535 }), file("b", "", { uid = 65536, gid = 2097151 }),
          file("c", "", { uid = 2097152, gid = 4294967294 }), -- pax
          file("d", "", { uid = 2097152, gid = 65536, format = "gnu" }), -- base-256
          file("e", "", { uid = 4294967294, gid = 4294967294, format = "gnu" }),
          dir("f/", { uid = 4294967294, gid = 2147483648 }), symlink("g", "x", { uid = 2147483647, gid = 70000 }),
          s.char("h", 1, 3, { uid = 100000, gid = 200000 }),
        },
      },
      expect = {
        a = is.file("", { uid = 0, gid = 65535 }), b = is.file("", { uid = 65536, gid = 2097151 }),
        c = is.file("", { uid = 2097152, gid = 4294967294 }), d = is.file("", { uid = 2097152, gid = 65536 }),
        e = is.file("", { uid = 4294967294, gid = 4294967294 }), f = is.dir { uid = 4294967294, gid = 2147483648 },
        g = is.symlink("x", { uid = 2147483647, gid = 70000 }), h = is.char(1, 3, { uid = 100000, gid = 200000 }),
      },
    },
    {
      row = "32", name = "a pax record wins over the header, names are not looked up",
      layers = {
        {
          file("a", "", { uid = 5, gid = 6, uname = "root", gname = "daemon", pax = { { "uid", "70000" }, { "gid", "80000" } } }),
          file("b", "", { uid = 5, gid = 6, pax = { { "uname", "root" }, { "gname", "root" } } }),
        },
      },
      expect = { a = is.file("", { uid = 70000, gid = 80000 }), b = is.file("", { uid = 5, gid = 6 }) },
    },
    {
      -- 2^32 would come out as root if it were cut to 32 bits.
      row = "32", name = "refused: an owner of 2^32",
      layers = { { file("d/f", "", { uid = 4294967296 }) } },
      error = { code = "layer", layer = 1, entry = "d/f" },
    },
    {
      -- 2^32 - 1 is "no owner" to the kernel.
      row = "32", name = "refused: a group of 2^32 - 1",
      layers = { { file("d/f", "", { gid = 4294967295, format = "gnu" }) } },
      error = { code = "layer", layer = 1, entry = "d/f" },
    },
    {
      row = "32", name = "refused: a negative owner",
      layers = { { file("d/f", "", { uid = -1, format = "gnu" }) } },
      error = { code = "layer", layer = 1, entry = "d/f" },
    },
    {
      row = "32", name = "modes: all twelve bits, none, and a file type written into the field",
      layers = {
        {
          file("a", "", { mode = oct "7777" }), file("b", "", { mode = 0 }), file("c", "", { mode = oct "100644" }),
          dir("d/", { mode = oct "40755" }), file("e", "", { mode = oct "4755" }), dir("f/", { mode = oct "2770" }),
          file("g", "", { mode = "   644 \0" }), file("h", "", { mode = "0000644 " }),
        },
      },
      expect = {
        a = is.file("", { mode = oct "7777" }), b = is.file("", { mode = 0 }), c = is.file "", d = is.dir(),
        e = is.file("", { mode = oct "4755" }), f = is.dir { mode = oct "2770" }, g = is.file "", h = is.file "",
      },
    },
    at("zero", 0, 0),
    at("the last second of 31 bits", 2147483647, 2147483647),
    at("the first past 2038", 2147483648, 2147483648),
    at("past 32 bits, in octal", 4294967296, 4294967296),
    at("2100 with nanoseconds", "4102444800.123456789", 4102444800, 123456789),
    at("one nanosecond", "1500000000.000000001", 1500000000, 1),
    at("the last nanosecond", "1500000000.999999999", 1500000000, 999999999),
    at("one digit", "1500000000.5", 1500000000, 500000000),
    at("more digits than nanoseconds have", "1500000000.1234567899", 1500000000, 123456789),
    at("a point and no digits", "1500000000.", 1500000000),
    at("minus one and a half", "-1.5", -2, 500000000),
    at("minus a half", "-0.5", -1, 500000000),
    at("minus a nanosecond", "-0.000000001", -1, 999999999),
    at("minus one", "-1", -1),
    at("1960", "-315619200", -315619200),
    at("1960 with nanoseconds", "-315619200.25", -315619201, 750000000),
    at("1960 in base-256", -315619200, -315619200, 0, { format = "gnu" }),
    at("the first second that ext4 has: 1901-12-13", "-2147483648", -2147483648),
    at("the last that ext4 has: 2446-05-10", "15032385535.999999999", 15032385535, 999999999),
    at("2200 in base-256", tar.base256(7258118400, 12), 7258118400, 0, { format = "gnu" }),
    at("a pax record wins over the header", 1234, 1500000001, 250000000, { pax = { { "mtime", "1500000001.25" } } }),
    at("atime and ctime are not mtime", 1234, 1234, 0, { pax = { { "atime", "5.5" }, { "ctime", "6.5" }, { "LIBARCHIVE.creationtime", "7.5" } } }),
    {
      row = "33", name = "of directories, symlinks, devices and the root",
      layers = {
        {
          dir("./", { mtime = "-5.25" }), dir("d/", { mtime = "4102444800.000000001" }), file("d/a", "x"),
          symlink("l", "d", { mtime = "-315619200.5" }), s.char("c", 1, 3, { mtime = "1.1" }), s.fifo("p", { mtime = "2.2" }),
        },
      },
      expect = {
        [""] = is.dir { mtime = -6, nsec = 750000000 }, d = is.dir { mtime = 4102444800, nsec = 1 }, ["d/a"] = "x",
        l = is.symlink("d", { mtime = -315619201, nsec = 500000000 }), c = is.char(1, 3, { mtime = 1, nsec = 100000000 }),
        p = is.fifo { mtime = 2, nsec = 200000000 },
      },
    },
    {
      -- What ext4 cannot say is altered, and the report says so.
      row = "33", name = "times that ext4 does not have are altered and reported",
      layers = {
        {
          file("a", "x", { mtime = "15032385536" }), file("b", "x", { mtime = "-2147483649" }),
          file("c", "x", { mtime = "99999999999999" }),
        },
      },
      expect = { a = is.file("x", { mtime = false }), b = is.file("x", { mtime = false }), c = is.file("x", { mtime = false }) },
      notes = {
        { layer = 1, entry = "a", action = "altered" }, { layer = 1, entry = "b", action = "altered" },
        { layer = 1, entry = "c", action = "altered" },
      },
    },
  },
}
