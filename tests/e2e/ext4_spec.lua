-- The finished filesystem as e2fsprogs sees it: features, sizes, labels, and
-- what mkext4's options do to them.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local engine = require "support.engine"
local image = require "support.image"
local sh = require "support.sh"
local tar = require "support.tar"

local MIB = 1024 * 1024

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local ENTRIES = { tar.file("a", "x"), tar.dir "d/", tar.file("d/b", ("b"):rep(3 * MIB)) }

local function make(options)
  local path = scratch:fresh ".ext4"
  local info = engine.image(path, options, ENTRIES)
  local clean, out = image.fsck(path)
  assert.is_true(clean, out)
  return path, info
end

--- dumpe2fs -h as a table of its lines.
local function header(path)
  local out = {}
  local text = sh.check("PATH=$PATH:/usr/sbin:/sbin LC_ALL=C TZ=UTC dumpe2fs -h " .. sh.quote(path))
  for key, value in text:gmatch "([^\n:]+):%s+([^\n]*)" do out[key] = value:gsub(" +$", "") end
  return out
end

local function words(line)
  local out = {}
  for word in line:gmatch "%S+" do out[#out + 1] = word end
  table.sort(out)
  return out
end

local function size_of(path) return math.tointeger(tonumber((sh.check("stat -c %s " .. sh.quote(path))))) end

describe("the filesystem", function()
  it("has the features of mke2fs 1.47.0, and none that older tools refuse", function()
    local h = header(make())
    assert.are.same(words [[
      has_journal ext_attr resize_inode dir_index filetype extent 64bit flex_bg sparse_super large_file huge_file
      dir_nlink extra_isize metadata_csum
    ]], words(h["Filesystem features"]))
    assert.are.equal("256", h["Inode size"])
    assert.are.equal("4096", h["Block size"])
    assert.are.equal("0", h["Reserved block count"])
    assert.are.equal("32", h["Required extra isize"])
    assert.are.equal("clean", h["Filesystem state"])
    assert.are.equal("half_md4", h["Default directory hash"])
    assert.are.equal("crc32c", h["Checksum type"])
    assert.are.equal("0", h["Mount count"])
  end)

  it("has no journal when none is asked for", function()
    local h = header(make { journal = false })
    assert.is_nil(h["Filesystem features"]:find "has_journal")
    assert.is_nil(h["Journal inode"])
  end)

  it("has the times of the epoch, not of today", function()
    local path = make { epoch = 1234567890 }
    local h = header(path)
    assert.are.equal("Fri Feb 13 23:31:30 2009", h["Filesystem created"])
    assert.are.equal("Fri Feb 13 23:31:30 2009", h["Last checked"])
    assert.are.equal("Fri Feb 13 23:31:30 2009", h["Last write time"])
    local root = image.read(path, { content = false })[""]
    assert.are.equal(1234567890, root.mtime)
  end)

  it("takes its epoch from SOURCE_DATE_EPOCH where a recipe does not say", function()
    -- mkext4 itself is told; the recipe's part is in robust_spec.lua.
    local one, two = make { epoch = 1 }, make { epoch = 2 }
    assert.are_not.equal(header(one)["Filesystem created"], header(two)["Filesystem created"])
  end)

  it("is named as asked", function()
    local h = header(make { label = "rootfs", uuid = "01234567-89ab-cdef-0123-456789abcdef" })
    assert.are.equal("rootfs", h["Filesystem volume name"])
    assert.are.equal("01234567-89ab-cdef-0123-456789abcdef", h["Filesystem UUID"])
  end)

  it("keeps a label of sixteen bytes", function()
    assert.are.equal("0123456789abcdef", image.superblock((make { label = "0123456789abcdef" })).label)
  end)

  it("derives UUID and hash seed from the seed alone", function()
    local one, two, other = make { seed = "a" }, make { seed = "a" }, make { seed = "b" }
    sh.check("cmp " .. one .. " " .. two)
    assert.are_not.equal(image.superblock(one).uuid, image.superblock(other).uuid)
    assert.are_not.equal(image.superblock(one).hash_seed, image.superblock(other).hash_seed)
  end)

  it("says in info what e2fsprogs says", function()
    local path, info = make { label = "x" }
    local sb, h = image.superblock(path), header(path)
    assert.are.equal(size_of(path), info.size)
    assert.are.equal(sb.blocks * 4096, info.size)
    assert.are.equal(sb.free_blocks * 4096, info.free)
    assert.are.equal(sb.inodes, info.inodes)
    assert.are.equal(sb.free_inodes, info.inodes_free)
    assert.are.equal(sb.inodes - sb.free_inodes, info.inodes_used)
    assert.are.equal(h["Filesystem UUID"], info.uuid)
    assert.are.equal("x", info.label)
    assert.are.equal(4096, info.block_size)
    assert.are.equal(info.size - info.free, info.used)
  end)
end)

describe("the size", function()
  for _, case in ipairs {
    { "64M", 64 * MIB }, { "100M", 100 * MIB }, { 200 * MIB, 200 * MIB }, { "1G", 1024 * MIB }, { "4G", 4096 * MIB },
    { "128M", 128 * MIB }, { "129M", 129 * MIB }, { "127M", 127 * MIB }, { "40G", 40960 * MIB },
    -- A last group that is too short to hold its own tables.
    { 128 * MIB + 4096, nil }, { 128 * MIB + 40 * 4096, nil }, { 256 * MIB + 300 * 4096, nil },
  } do
    it(("%s is exact"):format(case[1]), function()
      local path = make { size = case[1] }
      assert.are.equal(case[2] or case[1], size_of(path))
      -- The filesystem may end earlier, where a last group would hold nothing
      -- but its own tables.
      local unused = size_of(path) - image.superblock(path).blocks * 4096
      assert.is_true(unused >= 0 and unused < 4 * MIB, unused .. " bytes behind the filesystem")
      os.remove(path)
    end)
  end

  it("leaves the free space that was asked for", function()
    for _, free in ipairs { 0, 1, 5, 64, 200, 1000 } do
      local path, info = make { free = free .. "M" }
      local got = image.superblock(path).free_blocks * 4096
      assert.is_true(got >= free * MIB, ("%d MiB asked, %d bytes free"):format(free, got))
      -- A group more for its own tables at most.
      assert.is_true(got <= free * MIB + 4 * MIB or info.size == 64 * MIB, ("%d MiB asked, %d bytes free"):format(free, got))
      os.remove(path)
    end
  end)

  it("is at least 64 MiB by default", function()
    assert.is_true(size_of((make())) >= 64 * MIB)
  end)

  it("min holds the content and nothing else", function()
    local path = make { size = "min" }
    assert.is_true(size_of(path) < 16 * MIB, size_of(path) .. " bytes")
    assert.are.equal(3 * MIB, #image.read(path)["d/b"].content)
  end)

  it("gives the inodes that were asked for", function()
    assert.is_true(image.superblock((make { inodes = 100000 })).inodes >= 100000)
  end)

  --- mkext4 has to refuse and leave nothing.
  local function refused(options, code)
    local dir = scratch:fresh()
    sh.check("mkdir " .. dir)
    local rootfs <close> = engine.rootfs(dir .. "/image.ext4", ENTRIES)
    local ok, err = pcall(banger.mkext4, rootfs, dir .. "/image.ext4", options)
    assert.is_false(ok)
    rootfs:close()
    assert.are.equal("", sh.check("ls -A " .. dir))
    if code then assert.are.equal(code, err.code, tostring(err)) end
    return err
  end

  it("refuses one that is too small, saying what is needed and given", function()
    local err = refused({ size = "2M" }, "no_space")
    assert.are.equal(2 * MIB, err.given)
    assert.is_true(err.needed > 3 * MIB and err.needed < 32 * MIB, tostring(err.needed))
    -- What it says is needed is enough.
    make { size = err.needed }
  end)

  it("refuses inodes that are too few for the tree", function()
    local err = refused({ inodes = 5 })
    assert.matches("inode", tostring(err))
  end)

  it("refuses what makes no sense", function()
    for _, options in ipairs {
      { size = "lots" }, { size = "-1" }, { size = -4096 }, { size = "12Q" }, { size = 0 }, { free = "x" }, { free = -1 },
      { inodes = -1 }, { label = ("l"):rep(17) }, { uuid = "not-a-uuid" }, { uuid = "" }, { size = "1G", free = "1M" },
      { size = "9223372036854775807" }, { size = "16777216T" },
    } do
      refused(options)
    end
  end)
end)

describe("mkext4", function()
  it("writes the same bytes twice", function()
    local one, two = make(), make()
    sh.check("cmp " .. one .. " " .. two)
  end)

  it("writes the same bytes whatever else was in the layers", function()
    local path = scratch:fresh ".ext4"
    -- Hidden again, so that only inode numbers or blocks could tell.
    local one, two = scratch:fresh ".ext4", scratch:fresh ".ext4"
    engine.image(one, nil, { tar.file("b", "x"), tar.file("a", "y") })
    engine.image(two, nil, { tar.file("a", "y"), tar.file("b", "x") })
    local first, second = image.read(one), image.read(two)
    assert.are.equal(first.a.id, second.a.id)
    assert.are.equal(first.b.id, second.b.id)
    os.remove(path)
  end)

  it("keeps an older output when it fails", function()
    local path = scratch:fresh ".ext4"
    sh.write_file(path, "older")
    local rootfs <close> = engine.rootfs(path, ENTRIES)
    assert.is_false(pcall(banger.mkext4, rootfs, path, { size = "1M" }))
    assert.are.equal("older", sh.read_file(path))
  end)

  it("replaces an older output when it is whole", function()
    local path = scratch:fresh ".ext4"
    sh.write_file(path, "older")
    engine.image(path, nil, ENTRIES)
    assert.is_true(image.fsck(path))
  end)
end)
