--- Row 31: extended attributes.
local s = require "conformance.suite"
local file, dir, symlink, hardlink, is, oct = s.file, s.dir, s.symlink, s.hardlink, s.is, s.oct

--- An ACL as getxattr gives it and tars carry it: version 2, then tag,
--- permissions and id of each entry.
local function acl(entries)
  local out = { ("<I4"):pack(2) }
  for i, e in ipairs(entries) do out[i + 1] = ("<I2I2I4"):pack(e[1], e[2], e[3] or 0xFFFFFFFF) end
  return table.concat(out)
end

local USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32

local ACCESS = acl {
  { USER_OBJ, 6 }, { USER, 7, 1000 }, { USER, 5, 70000 }, { GROUP_OBJ, 4 }, { GROUP, 6, 50 }, { MASK, 7 }, { OTHER, 4 },
}
local DEFAULT = acl { { USER_OBJ, 7 }, { GROUP_OBJ, 5 }, { GROUP, 7, 33 }, { MASK, 7 }, { OTHER, 0 } }
local MINIMAL = acl { { USER_OBJ, 6 }, { GROUP_OBJ, 4 }, { OTHER, 4 } }

-- ping's: cap_net_raw=ep, version 2.
local CAPABILITY = ("<I4I4I4I4I4"):pack(0x02000001, 1 << 13, 0, 0, 0)

--- A file with xattrs that has to come out as it went in.
local function kept(name, xattrs, attrs)
  attrs = s.with(attrs or {}, "xattrs", xattrs)
  return {
    row = "31", name = name, layers = { { file("f", "x", attrs), file("g", "y") } },
    expect = { f = is.file("x", { xattrs = xattrs, mode = attrs.mode }), g = "y" },
  }
end

local function refused(name, xattrs)
  return {
    row = "31", name = "refused: " .. name,
    layers = { { file("g", "y") }, { file("d/big", "x", { xattrs = xattrs }) } },
    error = { code = { "layer", "ext4" }, entry = "d/big" },
  }
end

local EVERY_BYTE = {}
for i = 0, 255 do EVERY_BYTE[i + 1] = string.char(i) end
EVERY_BYTE = table.concat(EVERY_BYTE)

return {
  title = "xattrs",
  cases = {
    kept("user.*", { ["user.a"] = "1", ["user.b"] = "two", ["user.c.d-e_f"] = "three" }),
    kept("security.capability", { ["security.capability"] = CAPABILITY }, { mode = oct "755" }),
    kept("security.selinux with its NUL", { ["security.selinux"] = "system_u:object_r:bin_t:s0\0" }),
    kept("trusted.*", { ["trusted.overlay.opaque"] = "y", ["trusted.x"] = "\0" }),
    kept("all namespaces at once", {
      ["user.u"] = "1", ["trusted.t"] = "2", ["security.s"] = "3", ["security.capability"] = CAPABILITY,
      ["system.posix_acl_access"] = ACCESS,
    }, { mode = oct "674" }),
    kept("every byte as a value", { ["user.bytes"] = EVERY_BYTE }),
    kept("an empty value", { ["user.empty"] = "", ["user.full"] = "x" }),
    kept("a value with newlines, =, quotes and digits that look like a record", {
      ["user.odd"] = "\n12 path=evil\n\"'\\\0=\n",
    }),
    kept("a name of 255 bytes", { ["user." .. ("n"):rep(250)] = "v" }),
    kept("names that differ late, in an order of their own", {
      ["user.aaa"] = "1", ["user.aa"] = "2", ["user.ab"] = "3", ["user.b"] = "4", ["security.a"] = "5",
      ["trusted.zzzz"] = "6", ["user.Z"] = "7",
    }),
    kept("an access ACL", { ["system.posix_acl_access"] = ACCESS }, { mode = oct "674" }),
    kept("a minimal ACL", { ["system.posix_acl_access"] = MINIMAL }, { mode = oct "644" }),
    kept("3000 bytes", { ["user.big"] = ("abc"):rep(1000) }),
    kept("many small ones", (function()
      local xattrs = {}
      for i = 1, 100 do xattrs[("user.key%03d"):format(i)] = tostring(i) end
      return xattrs
    end)()),
    -- A block holds 4096 bytes: 32 of header, the entries (16 + the name
    -- after "user.", in fours), 4 zeros, and the values (in fours).
    kept("the largest single value: 4096 - 32 - 20 - 4", { ["user.x"] = ("v"):rep(4040) }),
    kept("two that fill the block to the byte", { ["user.x"] = ("v"):rep(2008), ["user.y"] = ("w"):rep(2012) }),
    -- The inode has room of its own: 256 - 128 - 32, less 4 of magic, an
    -- entry of 20 and 4 zeros, leaves 68.
    kept("a full block and a full inode", { ["user.x"] = ("v"):rep(4040), ["user.y"] = ("w"):rep(68) }),
    refused("one value a byte past the block", { ["user.x"] = ("v"):rep(4041) }),
    refused("two that do not fit together", { ["user.x"] = ("v"):rep(2400), ["user.y"] = ("w"):rep(2400) }),
    refused("a value of 64 KiB", { ["user.x"] = ("v"):rep(65536) }),
    refused("a thousand small ones", (function()
      local xattrs = {}
      for i = 1, 1000 do xattrs[("user.key%04d"):format(i)] = tostring(i) end
      return xattrs
    end)()),
    refused("a name of 256 bytes after its prefix", { ["user." .. ("n"):rep(256)] = "v" }),
    {
      row = "31", name = "ACLs on a directory: access and default",
      layers = {
        {
          dir("d/", {
            mode = oct "674",
            xattrs = { ["system.posix_acl_access"] = ACCESS, ["system.posix_acl_default"] = DEFAULT },
          }),
          file("d/a", "x"),
        },
      },
      expect = {
        d = is.dir {
          mode = oct "674",
          xattrs = { ["system.posix_acl_access"] = ACCESS, ["system.posix_acl_default"] = DEFAULT },
        },
        ["d/a"] = "x", -- a default ACL is for the kernel to hand down, not for us
      },
    },
    {
      row = "31", name = "LIBARCHIVE.xattr: percent and base64, with and without padding",
      layers = {
        {
          file("f", "x", {
            pax = {
              { "LIBARCHIVE.xattr.user.plain", "aGVsbG8" }, { "LIBARCHIVE.xattr.user.padded", "aGVsbG8=" },
              { "LIBARCHIVE.xattr.user.a%20b%3Dc%25", "AAH+/w" }, { "LIBARCHIVE.xattr.user.long", ("QUJD"):rep(200) },
            },
          }),
        },
      },
      expect = {
        f = is.file("x", {
          xattrs = {
            ["user.plain"] = "hello", ["user.padded"] = "hello", ["user.a b=c%"] = "\0\1\xfe\xff",
            ["user.long"] = ("ABC"):rep(200),
          },
        }),
      },
    },
    {
      -- bsdtar writes both forms of each.
      row = "31", name = "both forms of the same xattr",
      layers = {
        {
          file("f", "x", {
            pax = { { "SCHILY.xattr.user.k", "v\0w" }, { "LIBARCHIVE.xattr.user.k", "dgB3" } },
          }),
        },
      },
      expect = { f = is.file("x", { xattrs = { ["user.k"] = "v\0w" } }) },
    },
    {
      row = "31", name = "on directories, symlinks, devices and FIFOs",
      layers = {
        {
          dir("d/", { xattrs = { ["user.a"] = "1", ["security.selinux"] = "d" } }),
          symlink("l", "d", { xattrs = { ["security.selinux"] = "l", ["trusted.t"] = "2" } }),
          symlink("long", ("x"):rep(200), { xattrs = { ["trusted.t"] = ("3"):rep(300) } }),
          s.char("c", 1, 3, { xattrs = { ["security.selinux"] = "c" } }),
          s.fifo("p", { xattrs = { ["trusted.t"] = "4" } }),
        },
      },
      expect = {
        d = is.dir { xattrs = { ["user.a"] = "1", ["security.selinux"] = "d" } },
        l = is.symlink("d", { xattrs = { ["security.selinux"] = "l", ["trusted.t"] = "2" } }),
        long = is.symlink(("x"):rep(200), { xattrs = { ["trusted.t"] = ("3"):rep(300) } }),
        c = is.char(1, 3, { xattrs = { ["security.selinux"] = "c" } }),
        p = is.fifo { xattrs = { ["trusted.t"] = "4" } },
      },
    },
    {
      row = "31", name = "seen through every name of the inode",
      layers = { { file("a", "x", { xattrs = { ["user.k"] = "v" } }) }, { hardlink("b", "a") } },
      expect = { a = is.file("x", { xattrs = { ["user.k"] = "v" } }), b = is.same "a" },
    },
    {
      row = "31", name = "a file that replaces another has only its own",
      layers = { { file("a", "x", { xattrs = { ["user.old"] = "v" } }) }, { file("a", "y", { xattrs = { ["user.new"] = "w" } }) } },
      expect = { a = is.file("y", { xattrs = { ["user.new"] = "w" } }) },
    },
    {
      row = "31", name = "they belong to one entry only",
      layers = { { file("a", "x", { xattrs = { ["user.k"] = "v" } }), file("b", "y"), dir "c/" } },
      expect = { a = is.file("x", { xattrs = { ["user.k"] = "v" } }), b = "y", c = is.dir() },
    },
    {
      -- ext4 has no place for a name outside its namespaces (macOS tars are
      -- full of them). The entry stays, and the report says what was lost.
      row = "31", name = "a namespace that ext4 does not know is left out and reported",
      layers = { { file("f", "x", { xattrs = { ["com.apple.quarantine"] = "q", ["user.k"] = "v" } }) } },
      expect = { f = is.file("x", { xattrs = { ["user.k"] = "v" } }) },
      notes = { { layer = 1, entry = "f", action = "altered", reason = "com.apple.quarantine" } },
    },
    {
      row = "31", name = "strict refuses to leave one out",
      layers = { { file("d/f", "x", { xattrs = { ["com.apple.quarantine"] = "q" } }) } },
      options = { strict = true },
      error = { code = "layer", layer = 1, entry = "d/f" },
    },
  },
}
