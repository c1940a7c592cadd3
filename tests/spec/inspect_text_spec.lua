-- How names, modes, times, attributes and patterns are written and read, and superblocks of
-- every kind.
package.path = "tests/?.lua;" .. package.path
local glob = require "banger.inspect.glob"
local sh = require "support.sh"
local size = require "banger.size"
local superblock = require "banger.inspect.superblock"
local text = require "banger.inspect.text"
local xattr = require "banger.inspect.xattr"

describe("a name", function()
  for _, case in ipairs {
    { "plain name", "plain name" }, { "a\nb\tc\rd", "a\\nb\\tc\\rd" }, { "\27[31mred\27[0m", "\\033[31mred\\033[0m" },
    { "back\\slash", "back\\\\slash" }, { "\0\1\127", "\\000\\001\\177" }, { "größe €", "größe €" }, { "\xff\xfe", "\\377\\376" },
    { "a\xc3", "a\\303" }, { "\xc3\xa4\xc3(", "ä\\303(" }, { "\xc2\x9b31m", "\\302\\23331m" }, { "a\u{202E}b", "a\\342\\200\\256b" },
    { "\u{2028}", "\\342\\200\\250" }, { "\u{10FFFF}", "\u{10FFFF}" }, { "\xed\xa0\x80", "\\355\\240\\200" }, { "", "" },
  } do
    it(("is shown as %s"):format(case[2]), function() assert.equal(case[2], text.escape(case[1])) end)
  end

  it("is in JSON as text, and escaped where it is none", function()
    local object = {}
    text.put(object, "path", "/a")
    text.put(object, "other", "/\xff")
    text.put(object, "none", nil)
    assert.same({ path = "/a", other = "/\xff", other_escaped = "/\\377" }, object)
  end)
end)

describe("a mode", function()
  local function of(kind, mode) return text.mode { type = kind, mode = tonumber(mode, 8) } end
  it("is written as ls -l does", function()
    assert.same({ "-rw-r--r--", "drwxrwxrwt", "-rwsr-sr-x", "-rwSr-Sr-T", "lrwxrwxrwx", "crw-------", "b---------", "prw-rw-rw-", "srwx------" }, {
      of("file", "644"), of("dir", "1777"), of("file", "6755"), of("file", "7644"), of("symlink", "777"), of("char", "600"), of("block", "0"),
      of("fifo", "666"), of("socket", "700"),
    })
  end)
end)

describe("a size", function()
  it("is written as ls -h does", function()
    local got = {}
    for i, n in ipairs { 0, 1023, 1024, 1025, 1536, 10239, 10240, 10241, 1048576, 1048577, 5368709120, 1 << 50 } do got[i] = size.short(n) end
    assert.same({ "0", "1023", "1.0K", "1.1K", "1.5K", "10K", "10K", "11K", "1.0M", "1.1M", "5.0G", "1.0P" }, got)
  end)
end)

describe("a time", function()
  it("is written in UTC, before 1970 and after 2038 too", function()
    assert.same({ "1970-01-01 00:00:00", "1901-12-13 20:45:52", "2446-05-10 22:38:55.000000007" },
      { text.time(0), text.time(-2147483648), text.time(15032385535, 7) })
  end)
end)

describe("a pattern", function()
  for _, case in ipairs {
    { "*.conf", "nginx.conf", true }, { "*.conf", "nginx.conf.d", false }, { "?", "", false }, { "?", "ä", false }, { "??", "ä", true },
    { "a*b*c", "a/x/b/c", true }, { "[a-c]x", "bx", true }, { "[!a-c]x", "bx", false }, { "[^a-c]x", "dx", true }, { "[]]", "]", true },
    { "[a", "[a", true }, { "[a", "a", false }, { "\\*", "*", true }, { "\\*", "x", false }, { "a\\", "a\\", true }, { "[a-]", "-", true },
    { "[\\]]", "]", true }, { "", "", true }, { "", "a", false }, { "**", "", true }, { "*a", "ba\nba", true }, { "[!]a]", "b", true },
    { "a.c", "abc", false }, { "%a", "x", false },
  } do
    it(("%q %s %q"):format(case[1], case[3] and "fits" or "does not fit", case[2]), function()
      assert.equal(case[3], glob.compile(case[1])(case[2]))
    end)
  end

  it("of many stars is soon through", function()
    assert.is_false(glob.compile(("*a"):rep(50) .. "b")(("a"):rep(4000)))
  end)
end)

local function hex(digits) return (digits:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end

describe("an attribute", function()
  -- As setcap writes them; what getcap says.
  for _, case in ipairs {
    { "0100000200200000000000000000000000000000", "cap_net_raw=ep" },
    { "0000000200040000000000000000000000000000", "cap_net_bind_service=p" },
    { "0100000203000000030000000000000000000000", "cap_chown,cap_dac_override=eip" },
    { "0100000200200000000400000000000000000000", "cap_net_bind_service=ei cap_net_raw=ep" },
    { "0000000200000000000000000001000000000000", "cap_checkpoint_restore=p" },
    { "000000020000000000000000ffff000000000000", nil },
    { "0100000300200000000000000000000000000000e8030000", "cap_net_raw=ep [rootid=1000]" },
    { "0000000200000000000000000000000000000000", "=" },
  } do
    if case[2] then
      it("is the capability " .. case[2], function() assert.equal(case[2], xattr.capability(hex(case[1]))) end)
    end
  end

  it("names what no one has named yet by its number", function()
    assert.equal("cap_63=p", xattr.capability(hex "0000000200000000000000000000008000000000"))
  end)

  it("is no capability when it is damaged", function()
    for _, value in ipairs { "", "abc", hex "01000002", hex "0100000900200000000000000000000000000000", ("\0"):rep(20) } do
      assert.is_nil(xattr.capability(value))
    end
    assert.equal("0x616263", xattr.describe("security.capability", "abc"))
  end)

  it("is an ACL as getfacl writes it", function()
    local acl = hex "0200000001000600ffffffff02000400e803000004000500ffffffff08000700ea03000010000600ffffffff20000000ffffffff"
    assert.same({ "user::rw-", "user:1000:r--", "group::r-x", "group:1002:rwx", "mask::rw-", "other::---" }, xattr.acl(acl))
    assert.equal("user::rw-,user:me:r--,group::r-x,group:us:rwx,mask::rw-,other::---",
      xattr.describe("system.posix_acl_access", acl, { users = { [1000] = "me" }, groups = { [1002] = "us" } }))
    for _, value in ipairs { "", hex "02000000ff", hex "01000000", hex "0200000003000600ffffffff" } do assert.is_nil(xattr.acl(value)) end
  end)

  it("is text where it is text", function()
    assert.same({ '"v\\n"', '"a \\"b\\""', '"label"', "0x00ff", '""', "0x1b5b" }, {
      xattr.describe("user.a", "v\n"), xattr.describe("user.a", 'a "b"'), xattr.describe("security.selinux", "label\0"),
      xattr.describe("user.a", "\0\xff"), xattr.describe("user.a", ""), xattr.describe("user.a", "\27["),
    })
  end)

  it("is listed with others by name", function()
    assert.same({ { name = "user.a", text = '"1"', hex = "31" }, { name = "user.b", text = '"2"', hex = "32" } },
      xattr.list { xattrs = { ["user.b"] = "2", ["user.a"] = "1" } })
  end)
end)

describe("a superblock", function()
  local function bytes_of(options)
    local scratch <close> = sh.scratch()
    local path = scratch:path "i"
    sh.check(("truncate -s 20M %s; PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F %s %s"):format(path, options, path))
    return sh.read_file(path):sub(1025, 2048)
  end

  it("tells what mke2fs was told", function()
    local super = superblock.parse(bytes_of "-t ext4 -b 1024 -I 128 -L 'a label' -U 01234567-89ab-cdef-0123-456789abcdef -N 640 -e panic -m 5")
    assert.same({ "a label", "01234567-89ab-cdef-0123-456789abcdef", 1024, 20480, 1024, 128, "panic", "clean", 3, true, 0, "" }, {
      super.label, super.uuid, super.block_size, super.blocks, super.blocks_reserved, super.inode_size, super.errors, super.state, super.groups,
      super.journal, super.mounted, super.last_mounted,
    })
    local plain = superblock.parse(bytes_of "-t ext2 -O none -r 0")
    assert.same({ {}, false, 128 }, { plain.features, plain.journal, plain.inode_size })
  end)

  it("is taken from nowhere", function()
    assert.same({ nil, "the superblock is cut off after 3 bytes", n = 2 }, table.pack(superblock.parse "abc"))
    assert.same({ nil, "there is no ext4 superblock", n = 2 }, table.pack(superblock.parse(("\0"):rep(1024))))
    local good = bytes_of "-t ext4"
    local function with(at, bytes) return table.pack(superblock.parse(good:sub(1, at) .. bytes .. good:sub(at + #bytes + 1))) end
    assert.same({ nil, "its block size is 2 to the 4294967305", n = 2 }, with(0x18, "\xff\xff\xff\xff"))
    assert.same({ nil, "its groups have no blocks", n = 2 }, with(0x20, "\0\0\0\0"))
    assert.equal("FEATURE_C31", with(0x5C, "\0\0\0\x80")[1].features[1])
  end)

  it("may hold anything", function()
    local wild = ("\xff"):rep(1024):gsub("^(" .. (".") :rep(0x38) .. ")..", "%1\x53\xef")
    wild = wild:sub(1, 0x18) .. "\6\0\0\0" .. wild:sub(0x1D)
    local super = superblock.parse(wild)
    assert.same({ 65536, "unknown", "clean with errors", "\xff" }, { super.block_size, super.errors, super.state, super.label:sub(1, 1) })
  end)
end)
