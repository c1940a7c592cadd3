-- A mounted image that grows (offline growth and writing: kernel_spec.lua).
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local image = require "support.image"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local SBIN = "export PATH=$PATH:/usr/sbin:/sbin; "
local scratch, layer

setup(function()
  scratch = sh.scratch()
  local entries = { tar.file("content", ("0123456789abcdef"):rep(1 << 16)) }
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
end)
