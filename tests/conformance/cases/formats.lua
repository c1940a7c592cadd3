--- Row 35: the dialects of tar.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is, oct, tar = s.file, s.dir, s.symlink, s.hardlink, s.is, s.oct, s.tar

local LONG = ("long-directory-name/"):rep(9) .. "file" -- 184 bytes

--- A path of exactly n bytes, n between 810 and 1050.
local function of_length(n)
  return ("%03d/"):format(n % 1000) .. (("d"):rep(199) .. "/"):rep(4) .. ("r"):rep(n - 804)
end

local TARGET = ("some/where/else/"):rep(9) .. "target" -- 150 bytes

return {
  title = "formats",
  cases = {
    {
      row = "35", name = "GNU long names and long links",
      layers = {
        {
          file(LONG, "x", { format = "gnu" }), symlink("l", TARGET, { format = "gnu" }),
          symlink(LONG .. "2", TARGET .. "2", { format = "gnu" }), hardlink("h", LONG, { format = "gnu" }),
          dir(LONG .. "-dir/", { format = "gnu", mode = oct "711" }), file("short", "y", { format = "gnu" }),
        },
      },
      expect = {
        [LONG] = "x", l = is.symlink(TARGET), [LONG .. "2"] = is.symlink(TARGET .. "2"), h = is.same(LONG),
        [LONG .. "-dir"] = is.dir { mode = oct "711" }, short = "y",
      },
    },
    {
      row = "35", name = "GNU long name before the long link",
      layers = {
        {
          tar.header { name = "././@LongLink", typeflag = "L", size = #LONG + 1, magic = "ustar  \0" }
            .. LONG .. ("\0"):rep(-#LONG % 512),
          tar.header { name = "././@LongLink", typeflag = "K", size = #TARGET + 1, magic = "ustar  \0" }
            .. TARGET .. ("\0"):rep(-#TARGET % 512),
          symlink("ignored", "ignored", { format = "gnu" }),
        },
      },
      expect = { [LONG] = is.symlink(TARGET) },
    },
    {
      row = "35", name = "a GNU long name without its NUL",
      layers = {
        {
          tar.header { name = "././@LongLink", typeflag = "L", size = #LONG, magic = "ustar  \0" }
            .. LONG .. ("\0"):rep(-#LONG % 512),
          file("ignored", "x", { format = "gnu" }),
        },
      },
      expect = { [LONG] = "x" },
    },
    {
      row = "35", name = "GNU keeps times where ustar keeps the prefix",
      layers = { { file("a", "x", { format = "gnu", prefix = "13130000000\00013130000001\0" }) } },
      expect = { a = "x" },
    },
    {
      row = "35", name = "names of 100 bytes fill the field, prefixes of 155 fill theirs",
      layers = {
        {
          file(("n"):rep(100), "1", { format = "ustar" }),
          file(("p"):rep(155) .. "/" .. ("n"):rep(100), "2", { format = "ustar" }),
          file(("p"):rep(50) .. "/" .. ("q"):rep(80), "3", { format = "ustar" }),
          symlink("l", ("t"):rep(100), { format = "ustar" }), file(("g"):rep(100), "4", { format = "gnu" }),
          file(("v"):rep(100), "5", { format = "v7" }),
        },
      },
      expect = {
        [("n"):rep(100)] = "1", [("p"):rep(155) .. "/" .. ("n"):rep(100)] = "2",
        [("p"):rep(50) .. "/" .. ("q"):rep(80)] = "3", l = is.symlink(("t"):rep(100)), [("g"):rep(100)] = "4",
        [("v"):rep(100)] = "5",
      },
    },
    {
      row = "35", name = "V7: files, directories by their slash, links",
      layers = {
        {
          file("f", "x", { format = "v7" }), file("d/", "", { format = "v7", mode = oct "711" }), file("d/g", "y", { format = "v7" }),
          hardlink("h", "f", { format = "v7" }), symlink("l", "d", { format = "v7" }),
        },
      },
      expect = { f = "x", d = is.dir { mode = oct "711" }, ["d/g"] = "y", h = is.same "f", l = is.symlink "d" },
    },
    {
      row = "35", name = "typeflag NUL in a ustar header, typeflag 7",
      layers = { { file("a", "x", { typeflag = "\0" }), file("b", "y", { typeflag = "7" }), file("c/", "", { typeflag = "\0", mode = oct "755" }) } },
      expect = { a = "x", b = "y", c = is.dir() },
    },
    {
      row = "35", name = "pax path and linkpath",
      layers = {
        {
          file("ignored", "x", { pax = { { "path", "real/name" } } }),
          symlink("ignored", "ignored", { pax = { { "path", "l" }, { "linkpath", TARGET } } }),
          hardlink("ignored", "ignored", { pax = { { "linkpath", "real/name" }, { "path", "h" } } }), file("next", "y"),
        },
      },
      expect = { ["real/name"] = "x", l = is.symlink(TARGET), h = is.same "real/name", next = "y" },
    },
    {
      row = "35", name = "pax size wins over the header's",
      layers = {
        {
          file("a", "hello", { size = 0, pax = { { "size", "5" } } }), file("b", "next"),
          file("c", ("z"):rep(1000), { size = 1, pax = { { "size", "1000" } } }), file("d", "last"),
        },
      },
      expect = { a = "hello", b = "next", c = ("z"):rep(1000), d = "last" },
    },
    {
      row = "35", name = "pax records: the last of a key wins, values hold anything, strangers are ignored",
      layers = {
        {
          file("ignored", "x", {
            pax = {
              { "path", "first" }, { "comment", "a=b\n17 path=not this\n" }, { "path", "second" }, { "VENDOR.thing", "\0\xff" },
              { "charset", "ISO-IR 10646 2000 UTF-8" }, { "realtime.x", "1" }, { "comment", ("c"):rep(100000) },
            },
          }),
          file("plain", "y"),
        },
      },
      expect = { second = "x", plain = "y" },
    },
    {
      row = "35", name = "lengths of records around powers of ten",
      layers = {
        (function()
          local layer = {}
          for n = 1, 120 do layer[n] = file("ignored", "", { pax = { { "path", ("%03d-"):format(n) .. ("r"):rep(n) } } }) end
          for n = 975, 1000 do
            layer[#layer + 1] = file("ignored", "", { pax = { { "path", of_length(n) } } })
          end
          return layer
        end)(),
      },
      expect = (function()
        local expect = {}
        for n = 1, 120 do expect[("%03d-"):format(n) .. ("r"):rep(n)] = is.file "" end
        for n = 975, 1000 do expect[of_length(n)] = is.file "" end
        return expect
      end)(),
    },
    {
      row = "35", name = "a global header with a comment, as git archive writes",
      layers = {
        { tar.pax({ { "comment", ("0123456789"):rep(4) } }, "g", "pax_global_header"), file("a", "x"), file("b", "y") },
      },
      expect = { a = "x", b = "y" },
    },
    {
      -- POSIX: a global record is the default of every later entry; one of the
      -- entry's own wins for that entry only.
      row = "35", name = "global records hold for all that follow",
      layers = {
        {
          file("before", ""), tar.pax({ { "mtime", "1234567890.5" }, { "uid", "70000" } }, "g", "pax_global_header"),
          file("a", "x"), file("b", "y", { pax = { { "uid", "5" } } }), file("c", "z"),
          tar.pax({ { "uid", "6" } }, "g", "pax_global_header"), file("d", "w"),
        },
        { file("next-layer", "") },
      },
      expect = {
        before = is.file "", a = is.file("x", { mtime = 1234567890, nsec = 500000000, uid = 70000 }),
        b = is.file("y", { mtime = 1234567890, nsec = 500000000, uid = 5 }),
        c = is.file("z", { mtime = 1234567890, nsec = 500000000, uid = 70000 }),
        d = is.file("w", { mtime = 1234567890, nsec = 500000000, uid = 6 }), ["next-layer"] = is.file "",
      },
    },
    {
      row = "35", name = "all dialects in one archive",
      layers = {
        {
          file("v", "1", { format = "v7" }), file("g" .. LONG, "2", { format = "gnu" }), file("u", "3", { format = "ustar" }),
          file("p" .. LONG:rep(2, "/"), "4"), file("x", "5", { xattrs = { ["user.k"] = "v" } }), file("v2", "6", { format = "v7" }),
        },
      },
      expect = {
        v = "1", ["g" .. LONG] = "2", u = "3", ["p" .. LONG:rep(2, "/")] = "4",
        x = is.file("5", { xattrs = { ["user.k"] = "v" } }), v2 = "6",
      },
    },
    {
      row = "35", name = "contents of every length around the block",
      layers = {
        (function()
          local layer = {}
          for _, n in ipairs { 0, 1, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 8192, 65535, 65536, 1048577 } do
            layer[#layer + 1] = file("f" .. n, ("x"):rep(n))
          end
          return layer
        end)(),
      },
      expect = (function()
        local expect = {}
        for _, n in ipairs { 0, 1, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 8192, 65535, 65536, 1048577 } do
          expect["f" .. n] = ("x"):rep(n)
        end
        return expect
      end)(),
    },
  },
}
