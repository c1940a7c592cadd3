--- Row 30: devices and FIFOs. (A tar has no way to hold a socket, so "sockets
--- are skipped" has no case; a reader of other formats would need one.)
local s = require "conformance.suite"
local file, is, oct = s.file, s.is, s.oct

return {
  title = "devices and FIFOs",
  cases = {
    {
      row = "30", name = "devices with their numbers, modes and owners",
      layers = {
        {
          s.dir "dev/", s.char("dev/console", 5, 1, { mode = oct "600", gid = 5 }), s.char("dev/null", 1, 3, { mode = oct "666" }),
          s.block("dev/sda", 8, 0, { mode = oct "660", gid = 6 }), s.fifo("dev/initctl", { mode = oct "600" }),
        },
      },
      expect = {
        dev = is.dir(), ["dev/console"] = is.char(5, 1, { mode = oct "600", gid = 5 }),
        ["dev/null"] = is.char(1, 3, { mode = oct "666" }),
        ["dev/sda"] = is.block(8, 0, { mode = oct "660", gid = 6 }), ["dev/initctl"] = is.fifo { mode = oct "600" },
      },
    },
    {
      -- Up to 255:255 a device number has ext4's short form, past it the long one.
      row = "30", name = "small and large numbers",
      layers = {
        {
          s.char("a", 0, 0), s.char("b", 255, 255), s.char("c", 256, 0), s.char("d", 1, 256),
          s.block("e", 259, 1048575), s.block("f", 4095, 3), s.block("g", 8, 65535),
        },
      },
      expect = {
        a = is.char(0, 0), b = is.char(255, 255), c = is.char(256, 0), d = is.char(1, 256),
        e = is.block(259, 1048575), f = is.block(4095, 3), g = is.block(8, 65535),
      },
    },
    {
      -- overlayfs' own whiteouts are 0:0 devices; in a layer they are devices.
      row = "30", name = "a 0:0 device is a device, not a whiteout",
      layers = { { file("a", "x") }, { s.char("a", 0, 0) } },
      expect = { a = is.char(0, 0) },
    },
    {
      row = "30", name = "replaced by a file, and a file by them",
      layers = {
        { s.char("a", 1, 3), s.fifo "b", file("c", "x"), file("d", "x"), s.block("e", 8, 1) },
        { file("a", "1"), file("b", "2"), s.fifo "c", s.block("d", 8, 2), s.block("e", 8, 3) },
      },
      expect = { a = "1", b = "2", c = is.fifo(), d = is.block(8, 2), e = is.block(8, 3) },
    },
    {
      row = "30", name = "whiteouts hide them",
      layers = { { s.char("a", 1, 3), s.fifo "b", file("c", "x") }, { file ".wh.a", file ".wh.b" } },
      expect = { c = "x" },
    },
  },
}
