-- The kernel's own ext4 on our images: read, written to, grown, crashed and
-- replayed; and e2fsck after each.
package.path = "tests/?.lua;" .. package.path
local engine = require "support.engine"
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"
local tar = require "support.tar"

local KIB, MIB = 1024, 1024 * 1024

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local function assert_clean(path)
  local clean, out = image.fsck(path)
  assert.is_true(clean, out)
end

local function it_mounts(name, run, more)
  it(name, function()
    local reason = need.mount() or (more and more())
    if reason then return pending(reason) end
    run()
  end)
end

--- A directory of n empty files whose names are long enough to fill blocks.
local function many(dir, n)
  local entries = { tar.dir(dir .. "/") }
  for i = 1, n do entries[i + 1] = tar.file(("%s/entry-%06d"):format(dir, i)) end
  return entries
end

local function small(path, options)
  return engine.image(path, options, {
    tar.dir "./", tar.file("a", "content of a\n"), tar.dir "d/", tar.file("d/b", ("b"):rep(100000)), tar.symlink("l", "d/b"),
  })
end

describe("a mounted image", function()
  it_mounts("is read with long names and odd ones", function()
    local path = scratch:fresh ".ext4"
    local name, odd = ("n"):rep(255), "a\n\xff\"b"
    engine.image(path, nil, { tar.file(name .. "/" .. name, "deep\n"), tar.file(odd, "odd\n") })
    local out = image.in_mount(path, ("cat %s/%s; cat %s; ls -b"):format(name, name, sh.quote(odd)), "ro")
    assert.are.equal("deep\nodd\n" .. 'a\\n\\377"b\n' .. "lost+found\n" .. name .. "\n", out)
  end)

  it_mounts("shows the holes of a file, and reads zeros from them", function()
    local path = scratch:fresh ".ext4"
    local content = ("\0"):rep(MIB) .. ("x"):rep(8 * KIB) .. ("\0"):rep(2 * MIB) .. "end"
    engine.image(path, nil, { tar.file("f", content) })
    local out = image.in_mount(path, "stat -c '%s %b' f; filefrag -v f | grep -c '^ *[0-9]*: '; filefrag -v f; sha256sum <f", "ro")
    sh.write_file(scratch:path "content", content)
    assert.matches(("^%d 24\n2\n"):format(#content), out)
    -- Block 256 and 257 are data, the last holds "end".
    assert.matches("\n +0: +256%.%. +257:", out)
    assert.matches("\n +1: +770%.%. +770:", out)
    assert.is_truthy(out:find(sh.sha256(scratch:path "content"), 1, true))
  end)

  it_mounts("has every block of a file when sparse is false", function()
    local path = scratch:fresh ".ext4"
    engine.image(path, { sparse = false }, { tar.file("f", ("\0"):rep(3 * MIB) .. "end") })
    assert.are.equal(("%d %d\n"):format(3 * MIB + 3, (3 * MIB + 4096) // 512), image.in_mount(path, "stat -c '%s %b' f", "ro"))
  end)

  it_mounts("is read without a journal", function()
    local path = scratch:fresh ".ext4"
    small(path, { journal = false })
    assert_clean(path)
    assert.are.equal("content of a\n", image.in_mount(path, "cat a", "ro"))
    image.in_mount(path, "echo new >new; rm a; mkdir e; cp d/b e/")
    assert_clean(path)
    assert.are.equal("new\nd\ne\nl\nlost+found\nnew\n", image.in_mount(path, "cat new; ls", "ro"))
  end)

  it_mounts("finds every name in a directory with an index, and no other", function()
    local path = scratch:fresh ".ext4"
    engine.image(path, nil, many("d", 6000))
    local out = image.in_mount(path, [[
      ls -U d | wc -l
      i=1; while [ $i -le 6000 ]; do test -e d/entry-$(printf %06d $i) || echo "no $i"; i=$((i + 7)); done
      test -e d/entry-000000 || test -e d/entry-006001 || echo none
    ]], "ro")
    assert.are.equal("6000\nnone\n", out)
  end)
end)

describe("a writable mount", function()
  it_mounts("creates, renames, links and deletes", function()
    local path = scratch:fresh ".ext4"
    small(path)
    image.in_mount(path, [[
      mkdir -p x/y/z; cp a x/y/z/; ln a x/hard; ln -s ../a x/soft; mv d x/moved; rm l
      dd if=/dev/zero of=x/big bs=1M count=5 2>/dev/null; truncate -s 1G x/sparse; truncate -s 3 a
      setfattr -n user.note -v value a; chown 12345:54321 x; mknod x/null c 1 3; touch -d 1960-01-01 x/old
    ]])
    assert_clean(path)
    local got = image.read(path)
    assert.are.equal("con", got["a"].content)
    assert.are.equal(2, got["x/hard"].nlink)
    assert.are.equal("value", got["a"].xattrs["user.note"])
    assert.are.equal("dir", got["x/moved"].type)
    assert.is_nil(got["l"])
  end)

  it_mounts("adds to a full inode and a full xattr block", function()
    local path = scratch:fresh ".ext4"
    engine.image(path, nil, { tar.file("f", "x", { xattrs = { ["user.x"] = ("v"):rep(3000), ["user.y"] = "small" } }), tar.file("g") })
    image.in_mount(path, [[
      setfattr -n user.z -v "$(printf %0200d 7)" f; setfattr -x user.y f; setfattr -n user.g -v x g; setfattr -x user.x f
    ]])
    assert_clean(path)
    local got = image.read(path)
    assert.are.same({ ["user.z"] = ("0"):rep(199) .. "7" }, got.f.xattrs)
    assert.are.same({ ["user.g"] = "x" }, got.g.xattrs)
  end)

  it_mounts("fills the free space to the last block and gives it back", function()
    local path = scratch:fresh ".ext4"
    small(path)
    image.in_mount(path, "dd if=/dev/zero of=full bs=64k 2>/dev/null || true; test $(df -P . | awk 'NR == 2 { print $4 }') -lt 64; rm full")
    assert_clean(path)
    image.in_mount(path, "i=0; while touch n$i 2>/dev/null; do i=$((i + 1)); done; rm n*")
    assert_clean(path)
  end)

  it_mounts("splits, empties and refills a directory with an index", function()
    local path = scratch:fresh ".ext4"
    engine.image(path, { free = "64M", inodes = 30000 }, many("d", 6000))
    image.in_mount(path, [[
      cd d; seq -f 'new-name-of-some-length-%06g' 6000 | xargs touch
      ls -U | grep '[02468]$' | xargs rm; mv entry-000001 moved; test ! -e entry-000001; ls -U | wc -l; cd ..
    ]])
    assert_clean(path)
    assert.are.equal("6000\n", image.in_mount(path, "ls -U d | wc -l", "ro"))
    image.in_mount(path, "cd d; ls -U | xargs rm; test $(ls -A | wc -l) = 0; touch again; cd ..; rm d/again; rmdir d")
    assert_clean(path)
  end)

  it_mounts("works in a directory of 200,000 names", function()
    if os.getenv "QUICK" then return pending "QUICK is set" end
    local path = scratch:fresh ".ext4"
    engine.image(path, { inodes = 250000 }, many("d", 200000))
    assert_clean(path)
    local out = image.in_mount(path, [[
      ls -U d | wc -l; ls -U d | sort -u | wc -l
      test -e d/entry-000001; test -e d/entry-200000; test ! -e d/entry-200001
      cd d; seq -f 'new-%06g' 20000 | xargs touch; seq -f 'entry-%06g' 1 3 200000 | xargs rm; ls -U | wc -l; cd ..
    ]])
    assert.are.equal("200000\n200000\n153333\n", out)
    assert_clean(path)
    os.remove(path)
  end)
end)

describe("growing", function()
  --- Twice the size, offline.
  local function double(path)
    local size = math.tointeger(tonumber((sh.check("stat -c %s " .. sh.quote(path)))))
    sh.check(("PATH=$PATH:/usr/sbin:/sbin; truncate -s %d %s && resize2fs %s"):format(size * 2, sh.quote(path), sh.quote(path)))
    assert.are.equal(size * 2, image.superblock(path).blocks * 4096)
  end

  for _, case in ipairs {
    { "the default size", {} }, { "the smallest size", { size = "min" } }, { "no journal", { journal = false } },
    { "several groups", { size = "700M" } }, { "a size that is no whole group", { size = "300M" } },
  } do
    it("offline to twice " .. case[1], function()
      local path = scratch:fresh ".ext4"
      small(path, case[2])
      double(path)
      assert_clean(path)
      local got = image.read(path)
      assert.are.equal("content of a\n", got.a.content)
      assert.are.equal(("b"):rep(100000), got["d/b"].content)
      os.remove(path)
    end)
  end

  it("offline to a hundred times the size and back to the minimum", function()
    local path = scratch:fresh ".ext4"
    small(path)
    local shell = "PATH=$PATH:/usr/sbin:/sbin; "
    sh.check(shell .. ("truncate -s 8G %s && resize2fs %s"):format(path, path))
    assert_clean(path)
    sh.check(shell .. ("e2fsck -fy %s >/dev/null; resize2fs -M %s"):format(path, path))
    assert_clean(path)
    assert.are.equal("content of a\n", image.read(path).a.content)
    os.remove(path)
  end)

  it_mounts("online, into the descriptors that were kept free for it", function()
    local path = scratch:fresh ".ext4"
    small(path)
    sh.check("truncate -s 20G " .. path)
    image.in_mount(path, [[
      device=$(findmnt -n -o SOURCE -T .)
      losetup -c $device; resize2fs $device 2>&1; test $(df -P -m . | awk 'NR == 2 { print $2 }') -gt 19000
      cat a; dd if=/dev/zero of=more bs=1M count=200 2>/dev/null
    ]])
    assert_clean(path)
    os.remove(path)
  end, function() return need.capability "CAP_SYS_RESOURCE" end)
end)

describe("a crash", function()
  --- A copy of the image as it is while mounted, after a committed transaction.
  local function crashed()
    local path, copy = scratch:fresh ".ext4", scratch:fresh ".ext4"
    small(path)
    image.in_mount(path, ([[
      mkdir made; echo kept >made/kept; rm a; sync made/kept
      i=0; while [ $i -lt 200 ]; do echo $i >made/$i; i=$((i + 1)); done; sync made/199
      cp --sparse=always $IMAGE %s
    ]]):format(sh.quote(copy)), "rw,commit=600")
    assert_clean(path)
    return copy
  end

  local NEEDS_RECOVERY = 4

  it_mounts("is replayed by the kernel", function()
    local copy = crashed()
    assert.are.equal(NEEDS_RECOVERY, image.superblock(copy).incompat & NEEDS_RECOVERY)
    assert.are.equal("kept\n199\n", image.in_mount(copy, "cat made/kept made/199; test ! -e a"))
    assert_clean(copy)
  end)

  it_mounts("is replayed by e2fsck", function()
    local copy = crashed()
    local out, code = sh.run("PATH=$PATH:/usr/sbin:/sbin e2fsck -fp " .. copy .. " 2>&1")
    assert.is_true(code <= 1, out)
    assert_clean(copy)
    assert.are.equal("kept\n", image.read(copy)["made/kept"].content)
  end)
end)
