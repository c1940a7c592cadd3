-- Strings of Lua may hold zero bytes, paths may not: none is cut short in silence.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local core = require "banger.core"
local sh = require "support.sh"

local host = core.host
local scratch, image

setup(function()
  scratch = sh.scratch()
  sh.check(("cd %s && mkdir d && echo a > d/f && truncate -s 1073741825 d/large && echo a > f && tar cf t.tar d/f && "
    .. "PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -d d i.ext4 8M"):format(sh.quote(scratch.dir)))
  image = scratch:path "i.ext4"
end)
teardown(function() scratch:remove() end)

local function refuses(message, f, ...)
  local ok, problem = pcall(f, ...)
  assert.is_false(ok)
  assert(banger.is_error(problem), tostring(problem))
  assert.same({ "usage", message }, { problem.code, problem.message })
end

-- Each call would do something with what is before the zero byte.
local function refuses_path(path, f, ...)
  refuses(path .. "\\x00zz: no path has a zero byte", f, ...)
end

it("paths in an image", function()
  local tree <close> = banger.open(image)
  for _, method in ipairs { "stat", "list", "read", "walk", "exists", "resolve", "data" } do
    local path = (method == "list" or method == "walk") and "/" or "/f"
    assert(core.open(image)[method](tree, path), method)
    refuses_path(path, tree[method], tree, path .. "\0zz")
  end
end)

it("paths in a rootfs", function()
  local tree <close> = core.rootfs { near = scratch:path "o.ext4" }
  core.inject(tree, { { path = "/f", content = "a" } })
  for _, method in ipairs { "stat", "list", "read", "walk", "exists", "resolve", "data" } do
    local path = (method == "list" or method == "walk") and "/" or "/f"
    assert(tree[method](tree, path), method)
    refuses_path(path, tree[method], tree, path .. "\0zz")
  end
end)

it("images", function()
  local before = host.sha256(sh.read_file(image))
  refuses_path(image, core.open, image .. "\0zz")
  refuses_path(image, core.inject, image .. "\0zz", { { path = "/n", content = "" } })
  refuses_path(image, core.debugfs_batch, image .. "\0zz", { { "rm", "/f" } }, { write = true })
  assert.equal(before, host.sha256(sh.read_file(image)))
  refuses_path(scratch:path "o.ext4", core.rootfs, { near = scratch:path "o.ext4" .. "\0zz" })
  local tree <close> = core.rootfs { near = scratch:path "o.ext4" }
  local uuid = "00000000-0000-4000-8000-000000000000"
  refuses_path(scratch:path "o.ext4", core.mkext4, tree, scratch:path "o.ext4" .. "\0zz", { uuid = uuid, hash_seed = uuid })
  assert.is_nil(host.stat(scratch:path "o.ext4"))
end)

it("files of the host", function()
  local f, new = scratch:path "f", scratch:path "new"
  for _, call in ipairs { host.stat, host.lstat, host.realpath, host.list, host.make_dir } do
    refuses_path(f, call, f .. "\0zz")
  end
  refuses_path(f, host.read_file, f .. "\0zz", 100)
  refuses_path(f, host.set_attributes, f .. "\0zz", { mode = 0 })
  refuses_path(f, host.set_xattr, f .. "\0zz", "user.x", "y")
  refuses_path(new, host.make_node, new .. "\0zz", "fifo")
  refuses_path(new, host.make_temp_dir, new .. "\0zz")
  for _, call in ipairs { host.rename, host.place, host.make_hardlink, host.make_symlink } do
    refuses_path(f, call, f .. "\0zz", new)
    refuses_path(new, call, f, new .. "\0zz")
  end
  assert.same({ "d", "f", "i.ext4", "t.tar" }, host.list(scratch.dir))
end)

it("members of an archive, and the archive", function()
  local tar = scratch:path "t.tar"
  refuses_path(tar, core.archive, tar .. "\0zz")
  local archive <close> = core.archive(tar)
  assert.equal("a\n", archive:read("d/f", 10))
  refuses_path("d/f", archive.find, archive, "d/f\0zz")
  refuses_path("d/f", archive.read, archive, "d/f\0zz", 10)
  refuses_path("d/f", archive.is_compressed, archive, "d/f\0zz")
end)

it("what is compiled in", function()
  refuses_path("README.md", core.resource, "README.md\0zz")
  refuses_path("lua/banger/init.lua", core.embedded, "lua/banger/init.lua\0zz")
end)

it("stores, agents and what is fetched", function()
  local dir = scratch:path "store"
  refuses_path(dir, core.store, dir .. "\0zz")
  assert.is_nil(host.stat(dir))
  refuses_path("unix:/none", core.agent.connect, "unix:/none\0zz")
  local store, digest = core.store(dir), "sha256:" .. ("0"):rep(64)
  assert.is_nil(store:size(digest))
  assert.has_error(function() store:size(digest .. "\0zz") end, "bad argument #1 to 'size' (no digest)")
  for field, value in pairs { digest = digest, path = scratch:path "f", url = "http://127.0.0.1:1/", ca = "/f", cert = "/f", key = "/f",
    proxy = "http://127.0.0.1:1/", temp = "/tmp" } do
    local request = { digest = digest, path = field == "path" and "" or nil, url = field ~= "path" and "http://127.0.0.1:1/" or nil }
    request[field] = value .. "\0zz"
    refuses(("fetch_blob: field '%s' has a zero byte in it"):format(field), core.fetch_blob, request)
  end
  refuses("http: field 'headers': a string holds a zero byte", core.http, { url = "http://127.0.0.1:1/", headers = { "A: b\0c" } })
  refuses("http: field 'headers': a list of strings expected", core.http, { url = "http://127.0.0.1:1/", headers = { 1 } })
  refuses("http: field 'headers': a list of strings expected", core.http, { url = "http://127.0.0.1:1/", headers = "A: b" })
end)

it("what was asked for is shown to its end, and as a terminal can have it", function()
  refuses("/a\\x1b\\x00b\\x0a: no path has a zero byte", host.stat, "/a\27\0b\n\0c")
  refuses("\\x00: no path has a zero byte", host.stat, "\0")
end)

describe("read", function()
  local function wrong(tree, message, options)
    assert.has_error(function() tree:read("/f", options) end, ("bad argument #2 to 'read' (%s)"):format(message))
  end

  it("says the same of an image and of a rootfs", function()
    local finished <close> = banger.open(image)
    local rootfs <close> = core.rootfs { near = scratch:path "o.ext4" }
    core.inject(rootfs, { { path = "/f", content = "a\n" } })
    for _, tree in ipairs { finished, rootfs } do
      wrong(tree, "'size' must be a number of bytes", { size = "a" })
      wrong(tree, "'size' must be a number of bytes", { size = -1 })
      wrong(tree, "'offset' must be a number of bytes", { offset = 1.5 })
      wrong(tree, "table expected, got number", 5)
      assert.equal("a\n", tree:read "/f")
      assert.equal("\n", tree:read("/f", { offset = 1 }))
      assert.equal("a", tree:read("/f", { size = 1 }))
      assert.equal("", tree:read("/f", { offset = 3 }))
    end
  end)

  it("of more than a string should hold is refused", function()
    local finished <close> = banger.open(image)
    refuses("/large has 1073741825 bytes: read it in parts, by offset and size", finished.read, finished, "/large")
    assert.equal("\0", finished:read("/large", { offset = 1073741824 }))
  end)
end)
