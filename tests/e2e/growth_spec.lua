-- An image in use: grown, and written to by the kernel, indexed directories too.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local image = require "support.image"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local NAMES = 6000
local SBIN = "export PATH=$PATH:/usr/sbin:/sbin; "
local scratch, layer

setup(function()
  scratch = sh.scratch()
  local entries = { tar.dir "many/", tar.file("content", ("0123456789abcdef"):rep(1 << 16)) }
  for i = 1, NAMES do entries[#entries + 1] = tar.file(("many/a-name-%05d"):format(i), "") end
  layer = oci.layers(scratch:mkdir "layers", { { tar = tar.archive(entries) } })[1]
end)
teardown(function() scratch:remove() end)

local function build(options)
  local out = scratch:fresh ".ext4"
  local rootfs <close> = banger.rootfs { near = out }
  banger.flatten_layer(rootfs, banger.fetch_blob { digest = layer.digest, path = layer.path })
  banger.mkext4(rootfs, out, options)
  image.fsck(out)
  return out
end

-- Runs a shell script in the mounted image, in a mount namespace of its own.
local function mounted(path, script)
  local dir = scratch:fresh()
  return sh.check(("mkdir %s && unshare -m sh -c %s 2>&1"):format(dir, sh.quote(([[
    %s mount -o loop %s %s && cd %s && (%s); code=$?
    cd / && umount %s && exit $code
  ]]):format(SBIN, path, dir, dir, script, dir))))
end

local function needs_mount(test)
  return function()
    if not sh.can_mount() then return pending "needs root and loop devices: mounts the image" end
    test()
  end
end

describe("resize2fs offline", function()
  for name, options in pairs {
    ["an image of the default size"] = {},
    ["the smallest image"] = { size = "min" },
    ["an image without a journal"] = { journal = false },
    ["an image of several groups"] = { size = "700M" },
  } do
    it("doubles " .. name, function()
      local path = build(options)
      local size = banger.host.stat(path).size
      sh.check(SBIN .. ("truncate -s %d %s && resize2fs %s 2>&1"):format(2 * size, path, path))
      image.fsck(path)
      -- What mke2fs's own images are rounded to: a last group that is too short is left out.
      local blocks = image.superblock(path).blocks * 4096
      assert.is_true(blocks > 2 * size - (128 << 20) * 0.02 or blocks % (128 << 20) == 0, blocks)
      assert.equal(NAMES, #banger.open(path):list "/many")
    end)
  end
end)

-- CAP_SYS_RESOURCE, which the kernel asks for to grow a mounted file system.
local function may_resize()
  local effective = sh.read_file("/proc/self/status"):match "CapEff:%s*(%x+)"
  return tonumber(effective, 16) & 1 << 24 ~= 0
end

describe("the kernel", function()
  it("grows the mounted image", needs_mount(function()
    if not may_resize() then return pending "needs CAP_SYS_RESOURCE: grows a mounted file system" end
    local path = build { size = "100M" }
    mounted(path, ("truncate -s 1500M %s && losetup -c $(findmnt -no SOURCE .) && resize2fs $(findmnt -no SOURCE .)"):format(path))
    image.fsck(path)
    assert.equal(1500 << 20, image.superblock(path).blocks * 4096)
  end))

  it("writes to it, in an indexed directory too", needs_mount(function()
    local path = build { inodes = 20000 }
    local left = mounted(path, [[
      for i in $(seq 1 2000); do echo $i >many/new-$i; done
      rm many/a-name-0[0-3]*
      mv many/a-name-05000 many/renamed; ln many/renamed many/linked
      mkdir many/sub; rm content; cp many/new-7 content
      sync; ls many | wc -l
    ]])
    image.fsck(path)
    -- 3999 names are gone, 2000 and two more have come.
    assert.equal(("%d\n"):format(NAMES - 3999 + 2000 + 2), left)
    local finished <close> = banger.open(path)
    assert.equal("7\n", finished:read "content")
    assert.equal(2, finished:stat("many/renamed").nlink)
  end))

  it("empties an indexed directory", needs_mount(function()
    local path = build {}
    mounted(path, "rm -r many && sync")
    image.fsck(path)
  end))

  it("replays the journal of an image that was cut off", needs_mount(function()
    local path = build {}
    local cut = scratch:fresh ".ext4"
    mounted(path, ("for i in $(seq 1 300); do echo $i >many/new-$i; done; sync; echo x >late; sync -d .; cp --sparse=always %s %s")
      :format(path, cut))
    local out, code = sh.run(SBIN .. "e2fsck -fy " .. cut .. " 2>&1")
    assert.is_true(code <= 1, out)
    image.fsck(cut)
  end))
end)
