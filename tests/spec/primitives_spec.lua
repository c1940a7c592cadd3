-- The primitives as a recipe meets them: handles, misuse, a rootfs in use.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local core = require "banger.core"
local image = require "support.image"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local NIL_UUID = "00000000-0000-0000-0000-000000000000"

local scratch, layer

setup(function()
  scratch = sh.scratch()
  local entries = {}
  for i = 1, 3000 do entries[i] = tar.file(("dir/file-%04d"):format(i), ("x"):rep(1000)) end
  layer = oci.layers(scratch:mkdir "layers", { { tar = tar.archive(entries), compress = "gzip" } })[1]
end)
teardown(function() scratch:remove() end)

local function fetch()
  return banger.fetch_blob { digest = layer.digest, size = layer.size, path = layer.path }
end

local function message_of(ok, err)
  assert.is_false(ok)
  return tostring(err)
end

-- Calls `act` once from flatten_layer's progress function.
local function inside(act)
  local rootfs <close> = banger.rootfs { near = scratch:fresh ".ext4" }
  local blob <close> = fetch()
  local called, result = 0, nil
  -- Progress comes ten times a second: a layer this small may end before.
  local report = banger.flatten_layer(rootfs, blob, {
    progress = function()
      called = called + 1
      if called == 1 then result = table.pack(pcall(act, rootfs, blob)) end
    end,
  })
  return result, report
end

describe("a blob", function()
  it("is verified in the background and knows itself", function()
    local blob <close> = fetch()
    assert.equal(blob, blob:wait())
    assert.same({ state = "done", bytes = layer.size, arrived = layer.size, size = layer.size }, blob:progress())
    assert.equal(layer.digest, blob.digest)
  end)

  it("is refused at its end when its bytes are others", function()
    local other = "sha256:" .. ("0"):rep(64)
    local blob <close> = banger.fetch_blob { digest = other, path = layer.path }
    local ok, err = pcall(blob.wait, blob)
    assert.is_false(ok)
    assert.equal("digest", err.code)
    assert.matches(other, err.message, 1, true)
    assert.matches(layer.digest, err.message, 1, true)
  end)

  it("is refused at once when its size is another, its file absent, its digest none", function()
    local _, size = pcall(banger.fetch_blob, { digest = layer.digest, size = 7, path = layer.path })
    assert.equal("digest", size.code)
    assert.matches("expected 7", size.message, 1, true)
    local _, absent = pcall(banger.fetch_blob, { digest = layer.digest, path = scratch:fresh() })
    assert.equal("not_found", absent.code)
    local _, none = pcall(banger.fetch_blob, { digest = "sha256:12", path = layer.path })
    assert.equal("usage", none.code)
  end)

  it("closes twice, and is of no use afterwards", function()
    local blob = fetch()
    blob:close()
    blob:close()
    assert.equal("blob: closed", tostring(blob))
    assert.matches("the blob is closed", message_of(pcall(blob.wait, blob)), 1, true)
  end)
end)

describe("a rootfs", function()
  it("closes twice, and is of no use afterwards", function()
    local rootfs = banger.rootfs { near = scratch:fresh ".ext4" }
    rootfs:close()
    rootfs:close()
    assert.equal("rootfs: closed", tostring(rootfs))
    assert.matches("the rootfs is closed", message_of(pcall(rootfs.stat, rootfs, "/")), 1, true)
    assert.matches("the rootfs is closed", message_of(pcall(banger.inject, rootfs, {})), 1, true)
  end)

  it("takes no second mkext4", function()
    local out = scratch:fresh ".ext4"
    local rootfs = banger.rootfs { near = out }
    banger.mkext4(rootfs, out)
    assert.matches("the rootfs is closed", message_of(pcall(banger.mkext4, rootfs, out)), 1, true)
  end)

  it("takes another size after one that was too small, to the same bytes", function()
    local function build(sizes)
      local out = scratch:fresh ".ext4"
      local rootfs = banger.rootfs { near = out }
      banger.flatten_layer(rootfs, fetch())
      for _, size in ipairs(sizes) do
        local ok, err = pcall(banger.mkext4, rootfs, out, { size = size })
        if not ok then assert.equal("no_space", err.code) end
      end
      image.fsck(out)
      return (sh.sha256(out))
    end
    assert.equal(build { "100M" }, build { "1M", "2M", "100M" })
  end)

  it("is of no use after a layer that failed", function()
    local rootfs <close> = banger.rootfs { near = scratch:fresh ".ext4" }
    pcall(banger.flatten_layer, rootfs, fetch(), { diff_id = "sha256:" .. ("0"):rep(64) })
    local _, err = pcall(banger.mkext4, rootfs, scratch:fresh ".ext4")
    assert.equal("usage", err.code)
    assert.equal("the rootfs is not whole: an earlier flatten_layer failed", err.message)
  end)
end)

describe("what is in use", function()
  local acts = {
    ["rootfs:close"] = function(rootfs) rootfs:close() end,
    ["rootfs:read"] = function(rootfs) rootfs:read "/dir" end,
    ["rootfs:list"] = function(rootfs) rootfs:list "/" end,
    ["flatten_layer"] = function(rootfs) banger.flatten_layer(rootfs, fetch()) end,
    ["inject"] = function(rootfs) banger.inject(rootfs, { { path = "/x", content = "" } }) end,
    ["mkext4"] = function(rootfs) core.mkext4(rootfs, scratch:fresh(), { uuid = NIL_UUID, hash_seed = NIL_UUID }) end,
    ["blob:close"] = function(_, blob) blob:close() end,
  }
  for name, act in pairs(acts) do
    it("refuses " .. name .. ", and goes on", function()
      local result, report = inside(act)
      assert.equal(3000, report.files)
      assert.is_truthy(result, "the progress function was not called")
      assert.is_false(result[1])
      assert.matches("in use", tostring(result[2]), 1, true)
    end)
  end

  it("hands an error of the progress function through as it is", function()
    local rootfs <close> = banger.rootfs { near = scratch:fresh ".ext4" }
    local mine = {}
    local ok, err = pcall(banger.flatten_layer, rootfs, fetch(), { progress = function() error(mine) end })
    assert.is_false(ok)
    assert.equal(mine, err)
  end)

  it("is left clean by os.exit in the progress function", function()
    local dir = scratch:mkdir "exit"
    local script = scratch:fresh ".lua"
    sh.write_file(script, ([[
      local banger = require "banger"
      local rootfs = banger.rootfs { near = %q }
      local blob = banger.fetch_blob { digest = %q, path = %q }
      banger.flatten_layer(rootfs, blob, { progress = function() os.exit(9) end })
    ]]):format(dir .. "/out.ext4", layer.digest, layer.path))
    local _, code = sh.run(sh.line(sh.banger(), script))
    assert.equal(9, code)
    assert.equal("", sh.check("ls -A " .. dir))
  end)
end)

describe("options that run Lua", function()
  -- A table whose every absent field is asked for with a call of `act`.
  local function asking(act)
    return setmetatable({}, { __index = function() act() end })
  end

  it("find a handle closed that they close", function()
    local out = scratch:fresh ".ext4"
    local rootfs = banger.rootfs { near = out }
    banger.flatten_layer(rootfs, fetch())
    local name = "/dir/file-0001"
    for _, method in ipairs { "stat", "read" } do
      local other = banger.rootfs { near = out }
      banger.flatten_layer(other, fetch())
      assert.matches("closed", message_of(pcall(other[method], other, name, asking(function() other:close() end))), 1, true)
    end
    local blob = fetch()
    assert.matches("the blob is closed", message_of(pcall(banger.flatten_layer, rootfs, blob, asking(function() blob:close() end))),
      1, true)
    banger.mkext4(rootfs, out)
    for _, method in ipairs { "stat", "read" } do
      local img = banger.open(out)
      assert.matches("closed", message_of(pcall(img[method], img, name, asking(function() img:close() end))), 1, true)
    end
  end)
end)

describe("links in a circle", function()
  it("lead nowhere, as a dangling one, and stop no guest contract", function()
    local rootfs <close> = banger.rootfs { near = scratch:fresh ".ext4" }
    banger.inject(rootfs, { { path = "tmp", target = "tmp" }, { path = "etc/hosts", target = "hosts" } })
    assert.is_false(rootfs:exists "/tmp")
    assert.is_nil(rootfs:stat("/tmp", { follow = true }))
    assert.is_nil(rootfs:resolve "/etc/hosts")
    assert.equal("symlink", rootfs:stat("/tmp").type)
    local entries = require("banger.guest").contract(rootfs, { config = {} })
    banger.inject(rootfs, entries)
    assert.equal("tmp", rootfs:stat("/tmp").target)
  end)
end)

describe("a walk", function()
  it("goes on behind what was removed on the way", function()
    local rootfs <close> = banger.rootfs { near = scratch:fresh ".ext4" }
    banger.inject(rootfs, { { path = "a/1", content = "" }, { path = "a/2", content = "" }, { path = "b/3", content = "" },
      { path = "c", content = "" } })
    local seen = {}
    for path in rootfs:walk() do
      seen[#seen + 1] = path
      if path == "/a/1" then banger.inject(rootfs, { { path = "a/1", type = "remove" } }) end
      if path == "/b" then banger.inject(rootfs, { { path = "b", type = "remove" } }) end
    end
    assert.same({ "/", "/a", "/a/1", "/a/2", "/b", "/c" }, seen)
  end)
end)

describe("hostile layers", function()
  local function flatten(entries, options)
    local l = oci.layers(scratch:fresh(), { { tar = tar.archive(entries) } })[1]
    local rootfs <close> = banger.rootfs { near = scratch:fresh ".ext4" }
    return pcall(banger.flatten_layer, rootfs, banger.fetch_blob { digest = l.digest, path = l.path }, options)
  end

  it("with many markers for one directory take no time", function()
    local entries = {}
    for i = 1, 20000 do
      entries[#entries + 1] = tar.file("d/" .. i, "")
      entries[#entries + 1] = tar.file("d/.wh..wh..opq", "")
    end
    local begun = os.clock()
    assert.is_true(flatten(entries))
    -- Processor time, so a busy machine does not matter; it takes well under a second,
    -- and minutes when each marker goes through all of it.
    assert.is_true(os.clock() - begun < 30)
  end)

  it("with many attributes are refused", function()
    local xattrs = {}
    for i = 1, 20 do xattrs["user." .. i] = ("v"):rep(4000) end
    local ok, err = flatten { tar.file("f", "", { xattrs = xattrs }) }
    assert.is_false(ok)
    assert.equal("layer", err.code)
    assert.matches("entry f: its extended attributes have more than 65536 bytes", err.message, 1, true)
  end)

  it("with more behind the archive's end than the limit are refused", function()
    local l = oci.layers(scratch:fresh(), { { tar = tar.archive { tar.file("f", "") } .. ("\0"):rep(3 << 20) } })[1]
    local rootfs <close> = banger.rootfs { near = scratch:fresh ".ext4" }
    local ok, err = pcall(banger.flatten_layer, rootfs, banger.fetch_blob { digest = l.digest, path = l.path },
      { limits = { bytes = 1 << 20 } })
    assert.is_false(ok)
    assert.equal("layer", err.code)
    assert.matches("(limit bytes)", err.message, 1, true)
  end)
end)

describe("mkext4", function()
  it("makes images whose journal needs an extent tree", function()
    for _, options in ipairs { { size = "128G" }, { size = "300G" }, { free = "130G" } } do
      local out = scratch:fresh ".ext4"
      local rootfs <close> = banger.rootfs { near = out }
      banger.mkext4(rootfs, out, options)
      image.fsck(out)
      os.remove(out)
    end
  end)

  local function build(options)
    local out = scratch:fresh ".ext4"
    local rootfs <close> = banger.rootfs { near = out }
    banger.flatten_layer(rootfs, fetch())
    local info = banger.mkext4(rootfs, out, options)
    image.fsck(out)
    return info, image.superblock(out)
  end

  it("gives the size, the label and the UUID asked for", function()
    local info = build { size = "96M", label = "sixteen bytes ok", uuid = "01234567-89ab-cdef-0123-456789abcdef" }
    local printed = sh.check("PATH=$PATH:/usr/sbin dumpe2fs -h " .. info.path .. " 2>/dev/null")
    assert.equal(96 << 20, info.size)
    assert.matches("Filesystem volume name:%s+sixteen bytes ok\n", printed)
    assert.matches("Filesystem UUID:%s+01234567%-89ab%-cdef%-0123%-456789abcdef\n", printed)
  end)

  it("leaves free just what is asked for", function()
    local info = build { free = "40M" }
    assert.equal(40 << 20, info.free)
    assert.equal("10240", sh.check("PATH=$PATH:/usr/sbin dumpe2fs -h " .. info.path
      .. " 2>/dev/null | sed -n 's/^Free blocks: *//p'"):match "%d+")
  end)

  it("makes the smallest image that holds everything", function()
    local info = build { size = "min" }
    assert.is_true(info.free < 64 << 10)
    local ok, err = pcall(build, { size = info.size - 4096 })
    assert.is_false(ok)
    assert.equal("no_space", err.code)
    assert.equal(info.size, err.needed)
    assert.equal(info.size - 4096, err.given)
  end)

  it("refuses what makes no sense", function()
    for message, options in pairs {
      ["has 17 bytes, over 16"] = { label = ("x"):rep(17) },
      ["exclude each other"] = { size = "1G", free = "1M" },
      ["is not a UUID"] = { uuid = "x" },
      ["inodes, 5 are asked for"] = { inodes = 5 },
      ["larger than"] = { size = "900T" },
    } do
      assert.matches(message, message_of(pcall(build, options)), 1, true)
    end
  end)

  it("refuses an output elsewhere, and can still make the image here", function()
    local out = scratch:fresh ".ext4"
    local rootfs <close> = banger.rootfs { near = out }
    assert.matches("cannot write output /nowhere/out.ext4",
      message_of(pcall(banger.mkext4, rootfs, "/nowhere/out.ext4")), 1, true)
    assert.matches("/proc/out.ext4 is on another file system than",
      message_of(pcall(banger.mkext4, rootfs, "/proc/out.ext4")), 1, true)
    assert.equal(out, banger.mkext4(rootfs, out).path)
  end)

  it("gives the same bytes after a size that was too small for its holes", function()
    local low = { tar.file("big", sh.check("head -c 3000000 /dev/urandom")), tar.file("keep", sh.check("head -c 3000000 /dev/urandom")) }
    local layers = oci.layers(scratch:mkdir "retry", { { tar = tar.archive(low) }, { tar = tar.archive { tar.file(".wh.big", "") } } })
    local function made(tries)
      local out = scratch:fresh ".ext4"
      local rootfs <close> = banger.rootfs { near = out }
      for _, l in ipairs(layers) do
        banger.flatten_layer(rootfs, banger.fetch_blob { digest = l.digest, path = l.path })
      end
      for _, options in ipairs(tries) do
        assert.is_false((pcall(banger.mkext4, rootfs, out, options)))
      end
      banger.mkext4(rootfs, out)
      return sh.check("sha256sum <" .. sh.quote(out))
    end
    assert.equal(made {}, made { { size = "3M" }, { free = "3T" } })
  end)

  it("says that the image is at fault where ext4 cannot hold what is in it", function()
    local rootfs <close> = banger.rootfs { near = scratch:path "x.ext4" }
    banger.inject(rootfs, { { path = "/etc/f", content = "", xattrs = { ["user.x"] = ("x"):rep(5000) } } })
    local ok, err = pcall(banger.mkext4, rootfs, scratch:path "x.ext4")
    assert.is_false(ok)
    assert.equal("layer", err.code)
    assert.matches("/etc/f: its extended attributes need 5%d+ bytes, over the 4096 of a block", err.message)
  end)

  it("closes the holes of removed files when a size asks for it", function()
    local big, rest = {}, {}
    for i = 1, 40 do big[i] = tar.file("big/" .. i, sh.check("head -c 500000 /dev/urandom")) end
    for i = 1, 10 do rest[i] = tar.file("rest/" .. i, sh.check("head -c 500000 /dev/urandom")) end
    rest[11] = tar.file(".wh.big", "")
    local layers = oci.layers(scratch:mkdir "holes", { { tar = tar.archive(big) }, { tar = tar.archive(rest) } })
    local out = scratch:fresh ".ext4"
    local rootfs <close> = banger.rootfs { near = out }
    for _, l in ipairs(layers) do
      banger.flatten_layer(rootfs, banger.fetch_blob { digest = l.digest, path = l.path })
    end
    -- 10 files of 500,000 bytes, a few blocks of metadata, no journal.
    local info = banger.mkext4(rootfs, out, { size = "min", journal = false })
    assert.is_true(info.size < 9 << 20, "size " .. info.size)
    image.fsck(out)
    local tree = image.read(out)
    for i = 1, 10 do
      local node = tree["rest/" .. i]
      assert.equal(rest[i].content, node.content)
    end
    assert.is_nil(tree.big)
  end)
end)
