-- A real distribution, pulled as a user would, against umoci: every name with
-- its type, mode, owner, times, links, xattrs and content. And the same bytes
-- whatever the environment.
package.path = "tests/?.lua;" .. package.path
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"
local tree = require "support.tree"

local LAYOUT = "build/cache/real"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

--- nil when the image is there, made now if it can be; else why not.
local function missing_image()
  if sh.exists(LAYOUT .. "/index.json") then return nil end
  local out, code = sh.run("mkdir -p build/cache && BANGER_LUA=" .. sh.quote(sh.banger())
    .. " sh tests/e2e/make-real-image.sh " .. LAYOUT)
  if code == 0 then return nil end
  return out:match "[^\n]+" or ("make-real-image.sh failed with status " .. code)
end

local reason = missing_image()

--- Pulls the real image. `environment` precedes the command.
local function pull(out, environment)
  sh.check(("%s %s recipes/pull.lua -q --no-inject oci:%s:real %s"):format(environment or "", sh.quote(sh.banger()),
    LAYOUT, sh.quote(out)))
end

local function it_if(name, why_not, run)
  it(name, function()
    if reason or why_not then return pending(reason or why_not) end
    run()
  end)
end

describe("a real image", function()
  local path = scratch:path "real.ext4"
  local bundle = scratch:path "bundle"
  local root = need.root()

  if not reason then
    setup(function()
      pull(path)
      if sh.has "umoci" then
        sh.check(("umoci unpack %s --image %s:real %s"):format(root and "--rootless" or "", LAYOUT, bundle))
      end
    end)
  end

  --- What an ordinary user's umoci cannot do.
  local ignore = root and { uid = true, gid = true, xattrs = true } or {}

  --- umoci's tree. What only ext4 knows is left out.
  local function unpacked()
    local out = image.directory(bundle .. "/rootfs", { content = "sha256" })
    for _, node in pairs(out) do
      if node.type == "dir" then node.size, node.nlink = nil, nil end
    end
    return out
  end

  --- Device nodes, which a rootless umoci makes as empty files.
  local function without_devices(found)
    for name, node in pairs(found) do
      if root and (node.type == "char" or node.type == "block") then found[name] = nil end
    end
    return found
  end

  it_if("is clean to e2fsck", nil, function()
    local clean, out = image.fsck(path)
    assert.is_true(clean, out)
  end)

  it_if("is what umoci unpacks, through debugfs", need.program "umoci", function()
    local want, got = unpacked(), without_devices(image.read(path, { content = "sha256" }))
    for name in pairs(want) do
      if root and not got[name] then want[name] = nil end
    end
    assert.are.equal("", tree.message(tree.compare(want, got, ignore)))
  end)

  it_if("is what umoci unpacks, through the kernel's mount", need.mount() or need.program "umoci", function()
    local got = image.mounted(path, { content = "sha256" })
    assert.are.equal("", tree.message(tree.compare(unpacked(), got)))
    assert.are.equal(("<I4I4I4I4I4"):pack(0x02000001, 1 << 13, 0, 0, 0), got["usr/bin/ping"].xattrs["security.capability"])
    assert.is_true(#tree.sorted(got) > 5000)
  end)

  it_if("has the hard links, holes and times of its upper layers", nil, function()
    local got = image.read(path, { content = false })
    assert.are.equal(3, got["opt/links/1"].nlink)
    assert.are.equal(got["opt/links/1"].id, got["usr/bin/one"].id)
    assert.are.equal(4096, got["opt/links/hole"].stored)
    assert.are.equal(20 * 1024 * 1024 + 4, got["opt/links/hole"].size)
    assert.are.same({ 4102444799, 123456789 }, { got["opt/links/3"].mtime, got["opt/links/3"].nsec })
    assert.are.same({ -446752800, 500000000 }, { got["opt/links/one"].mtime, got["opt/links/one"].nsec })
    assert.are.same({ 4000000000, 3000000000 }, { got["opt/links/3"].uid, got["opt/links/3"].gid })
    assert.is_nil(got["usr/share/man"])
    assert.is_nil(got["usr/bin/perl"])
    assert.are.equal("dir", got["etc/alternatives/pager"].type)
    assert.are.equal("symlink", got["usr/share/zoneinfo"].type)
  end)

  describe("is the same bytes", function()
    local environments = {
      { "twice", "" },
      { "in another time zone", "TZ=Pacific/Kiritimati" },
      { "in the C locale", "LC_ALL=C LANG=C" },
      { "in a UTF-8 locale", "LC_ALL=C.UTF-8 LANG=C.UTF-8" },
      { "with a tight umask", "umask 077;" },
      { "with a loose umask", "umask 000;" },
      { "with another home", "HOME=/nonexistent XDG_CACHE_HOME=" .. scratch:path "cache" },
      { "on one processor", "taskset -c 0" },
      { "with little stack and few files", "ulimit -s 512; ulimit -n 64;" },
    }
    for _, one in ipairs(environments) do
      it_if(one[1], one[2]:match "^taskset" and need.program "taskset", function()
        local again = scratch:path "again.ext4"
        pull(again, one[2])
        sh.check("cmp " .. sh.quote(path) .. " " .. sh.quote(again))
        os.remove(again)
      end)
    end

    it_if("on a filesystem without O_DIRECT", not sh.exists "/dev/shm" and "no /dev/shm" or nil, function()
      local shm <close> = sh.scratch "/dev/shm"
      pull(shm:path "again.ext4")
      sh.check("cmp " .. sh.quote(path) .. " " .. shm:path "again.ext4")
    end)
  end)
end)
