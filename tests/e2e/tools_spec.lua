-- The tests' own tools, so that a pass means something: GNU tar reads the tars
-- we write, the readers of images agree on an image that is not ours, and the
-- comparison sees every kind of difference.
package.path = "tests/?.lua;" .. package.path
local suite = require "conformance.suite"
local image = require "support.image"
local json = require "support.json"
local need = require "support.need"
local random_layers = require "support.random_layers"
local sh = require "support.sh"
local tar = require "support.tar"
local tree = require "support.tree"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

describe("the tar writer", function()
  it("is read by GNU tar", function()
    local path = scratch:path "a.tar"
    local long = ("long/"):rep(40) .. "name"
    sh.write_file(path, tar.archive {
      tar.dir("d/", { mode = 448 }), tar.file("d/a", "hello"), tar.symlink("l", "d/a"), tar.hardlink("h", "d/a"),
      tar.char("c", 5, 1), tar.fifo "p", tar.file(long, "pax"), tar.file(long .. "g", "gnu", { format = "gnu" }),
      tar.file("v7", "v", { format = "v7" }), tar.file("u", "", { uid = 4294967294 }), tar.file("g", "", { uid = 3000000, format = "gnu" }),
      tar.file("then", "", { mtime = "1234567890.25" }),
      { type = "file", name = "sparse", sparse = { format = "1.0", size = 8192, { 4096, "x" }, { 8192, "" } } },
    })
    local out = sh.check("TZ=UTC LC_ALL=C tar --numeric-owner --full-time -tvf " .. path .. " 2>/dev/null")
    local want = {
      "drwx------ 0/0               0 2017-07-14 02:40:00 d/",
      "-rw-r--r-- 0/0               5 2017-07-14 02:40:00 d/a",
      "lrwxrwxrwx 0/0               0 2017-07-14 02:40:00 l -> d/a",
      "hrw-r--r-- 0/0               0 2017-07-14 02:40:00 h link to d/a",
      "crw-r--r-- 0/0             5,1 2017-07-14 02:40:00 c",
      "prw-r--r-- 0/0               0 2017-07-14 02:40:00 p",
      "-rw-r--r-- 0/0               3 2017-07-14 02:40:00 " .. long,
      "-rw-r--r-- 0/0               3 2017-07-14 02:40:00 " .. long .. "g",
      "-rw-r--r-- 0/0               1 2017-07-14 02:40:00 v7",
      "-rw-r--r-- 4294967294/0      0 2017-07-14 02:40:00 u",
      "-rw-r--r-- 3000000/0         0 2017-07-14 02:40:00 g",
      "-rw-r--r-- 0/0               0 2009-02-13 23:31:30.25 then",
      "-rw-r--r-- 0/0            8192 2017-07-14 02:40:00 sparse",
    }
    local function narrow(text) return (text:gsub(" +", " ")) end
    assert.are.equal(narrow(table.concat(want, "\n") .. "\n"), narrow(out))
  end)
end)

describe("the readers of images", function()
  it("agree with each other and with what mke2fs was given", function()
    local reason = need.mount()
    if reason then return pending(reason) end
    local path = scratch:path "theirs.ext4"
    sh.check("PATH=$PATH:/usr/sbin:/sbin; truncate -s 64M " .. path .. " && mke2fs -q -t ext4 -b 4096 " .. path)
    image.in_mount(path, [[
      echo hi >f; ln f g; ln -s f s; ln -s $(printf %0200d 1) long; mknod c c 300 70000; mkfifo p; mkdir -p 'd
x/e'; setfattr -n user.note -v 'a "b" \ c' f; setfattr -n user.long -v $(printf %0300d 1) f; setfattr -n trusted.empty f
      setfacl -m u:1000:rwx,g:5:r f; setfacl -d -m u:7:rw d*; touch -d @-1.5 g; touch -h -d '2100-01-01 00:00:00.000000001 UTC' s
      chown -h 4294967294:70000 s; truncate -s 1M hole; printf x >>hole
    ]])
    local ours, kernel = image.read(path), image.mounted(path)
    assert.are.equal("", tree.message(tree.compare(kernel, ours)))
    assert.are.equal("hi\n", ours.f.content)
    assert.are.equal(ours.f.id, ours.g.id)
    assert.are.same({ -2, 500000000 }, { ours.f.mtime, ours.f.nsec })
    assert.are.same({ 300, 70000 }, { ours.c.major, ours.c.minor })
    assert.are.equal('a "b" \\ c', ours.f.xattrs["user.note"])
    assert.are.equal(4096, ours.hole.stored)
    assert.are.equal("dir", ours["d\nx/e"].type)
  end)

  it("do not call a damaged image clean", function()
    local path = scratch:path "damaged.ext4"
    sh.check("PATH=$PATH:/usr/sbin:/sbin; truncate -s 8M " .. path .. " && mke2fs -q -t ext4 " .. path)
    assert.is_true(image.fsck(path))
    local file = assert(io.open(path, "r+b"))
    file:seek("set", 1024 + 0x10)
    file:write "\1"
    file:close()
    assert.is_false(image.fsck(path))
  end)
end)

describe("the comparison", function()
  local function base()
    local a = suite.is.file("x", { xattrs = { ["user.k"] = "v" } })
    return suite.expected_tree { a = a, b = suite.is.same "a", ["d/c"] = "y" }
  end

  it("finds nothing between equals", function()
    assert.are.same({}, tree.compare(base(), base()))
  end)

  local changes = {
    type = function(t) t.a.type = "dir" end, mode = function(t) t.a.mode = 0 end, uid = function(t) t.a.uid = 1 end,
    gid = function(t) t.a.gid = 1 end, size = function(t) t.a.size = 2 end, mtime = function(t) t.a.mtime = 1 end,
    nsec = function(t) t.a.nsec = 1 end, nlink = function(t) t.d.nlink = 3 end, content = function(t) t.a.content = "z" end,
    ["an xattr's value"] = function(t) t.a.xattrs["user.k"] = "w" end, ["an xattr too few"] = function(t) t.a.xattrs = {} end,
    ["an xattr too many"] = function(t) t.a.xattrs["user.l"] = "" end, ["a name too few"] = function(t) t["d/c"] = nil end,
    ["a name too many"] = function(t) t.e = t.a end, ["who shares an inode"] = function(t) t.b.id = "b" end,
  }
  for _, name in ipairs(tree.sorted(changes)) do
    it("sees " .. name, function()
      local other = base()
      changes[name](other)
      assert.is_true(#tree.compare(base(), other) > 0)
    end)
  end
end)

describe("bytes in JSON", function()
  it("come back as they went", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    bytes = table.concat(bytes)
    assert.are.equal(bytes, json.unpercent(json.percent(bytes)))
    assert.are.equal("a%25%0A%FF \"", json.percent "a%\n\xff \"")
  end)
end)

describe("random stacks", function()
  it("are the same for the same seed", function()
    assert.are.equal(random_layers.show(random_layers.stack(7)), random_layers.show(random_layers.stack(7)))
    assert.are_not.equal(random_layers.show(random_layers.stack(7)), random_layers.show(random_layers.stack(8)))
  end)

  it("shrink to what still fails", function()
    local stack = random_layers.stack(3)
    local function has_dir(layers)
      for _, layer in ipairs(layers) do
        for _, e in ipairs(layer) do
          if e.type == "dir" then return true end
        end
      end
      return false
    end
    local small, count = random_layers.shrink(stack, has_dir), 0
    for _, layer in ipairs(small) do count = count + #layer end
    assert.are.equal(1, count)
  end)
end)
