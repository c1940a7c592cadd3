-- Finished images: reading, injecting, debugfs. What they hold is told by debugfs
-- and the kernel's mount, whether they are sound by e2fsck; the images are mke2fs's.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local core = require "banger.core"
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"
local tree = require "support.tree"

local SBIN = "PATH=$PATH:/usr/sbin:/sbin "
local oct = function(digits) return tonumber(digits, 8) end

local scratch

setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

-- ---- images ----------------------------------------------------------------------------

--- An image of mke2fs; `from` is a directory to fill it with.
local function make(options, from, size)
  local path = scratch:fresh ".ext4"
  sh.check(SBIN .. ("E2FSPROGS_FAKE_TIME=1600000000 mke2fs -q -t ext4 %s %s %s %s"):format(options or "",
    from and "-d " .. sh.quote(from) or "", path, size or "32M"))
  return path
end

local function copy(path)
  local to = scratch:fresh ".ext4"
  sh.check("cp --sparse=always " .. path .. " " .. to)
  return to
end

local function assert_clean(path)
  local clean, out = image.fsck(path)
  assert(clean, out)
end

local function raises(code, pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert(banger.is_error(err), "raised no error object: " .. tostring(err))
  assert(err.message:find(pattern) or err.message:find(pattern, 1, true),
    ("%q does not match %q"):format(err.message, pattern))
  assert.equal(code, err.code)
  return err
end

local function misuse(pattern, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert(type(err) == "string" and err:find(pattern), tostring(err))
end

--- What banger.open sees, in the form of support.tree.
local function walked(path)
  local found <close> = banger.open(path)
  local out = {}
  for name, st in found:walk() do
    local node = {
      type = st.type, mode = st.mode, uid = st.uid, gid = st.gid, mtime = st.mtime, nsec = st.mtime_nsec,
      nlink = st.nlink, target = st.target, major = st.major, minor = st.minor, xattrs = st.xattrs, id = st.ino,
    }
    assert.equal(name, st.path)
    if st.type == "file" then node.size, node.content = st.size, found:read(name) end
    out[(name:gsub("^/", ""))] = node
  end
  return out
end

local function assert_same_tree(want, got)
  local problems = tree.compare(want, got)
  assert(#problems == 0, tree.message(problems))
end

local function listing(dir) return sh.check("ls -A " .. sh.quote(dir)) end

-- ---- reading ---------------------------------------------------------------------------

--- A directory with something of everything that an ordinary user can make.
local function make_tree(root)
  local dir = scratch:mkdir(root)
  sh.check("cd " .. dir .. [[ && mkdir -p etc usr/lib many deep/a/b && printf hello > etc/file &&
    ln etc/file etc/hard && ln -s usr/lib lib && ln -s /etc/file usr/lib/abs && ln -s ../../etc/file usr/lib/rel &&
    ln -s loop loop && ln -s nowhere dangling && ln -s ../../../../etc climb && ln -s file etc/last &&
    truncate -s 3000001 sparse && printf x | dd of=sparse bs=1 seek=2000000 conv=notrunc 2>/dev/null &&
    ln -s $(printf '%0200d' 7) long && mkfifo fifo && chmod 4755 etc/file && touch -d @-1.5 old &&
    touch "$(printf 'a\nb')" 'q"uo te' ./-dash '<5>' "$(printf '\377\376')" 'sp ace' &&
    head -c 700000 /dev/urandom > random && for i in $(seq 600); do : > many/name-$i; done]])
  if sh.has "setfattr" then
    sh.check("cd " .. dir .. " && setfattr -n user.short -v 1 etc/file && setfattr -n user.long -v $(printf '%0600d' 3) etc/file")
  end
  if sh.is_root() then
    sh.check("cd " .. dir .. " && mknod char c 300 70000 && mknod block b 8 1 && chown 70000:80000 old")
    if sh.has "setfacl" then sh.check("cd " .. dir .. " && setfacl -m u:1000:r,g:65536:rw etc/file && setfacl -d -m u:5:r usr") end
  end
  return dir
end

-- Those that are mounted to be compared are not what support.image reads.
local kinds = {
  { "blocks of 4 KiB", "-b 4096" },
  { "blocks of 1 KiB", "-b 1024" },
  { "no checksums", "-b 4096 -O ^metadata_csum", mount = true },
  { "32-bit descriptors", "-b 2048 -O ^64bit,^metadata_csum", mount = true },
  { "inodes of 128 bytes", "-I 128", mount = true },
  { "inodes of 512 bytes", "-I 512" },
  { "no journal", "-O ^has_journal" },
  { "ext2", "-b 1024 -O ^extents,^has_journal,^metadata_csum,^64bit,^dir_index", mount = true },
  { "attributes in inodes", "-O ea_inode" },
}

--- The tree of an image, from the kernel where `kind` says so.
local function read_by(kind, path)
  return (kind.mount and image.mounted or image.read)(path, { lost_found = true })
end

describe("reading an image", function()
  local from, path

  setup(function()
    from = make_tree "read"
    path = make("-b 4096", from)
  end)

  for _, kind in ipairs(kinds) do
    it("sees what others see: " .. kind[1], function()
      if kind.mount and not sh.can_mount() then pending "mounting needs root and a loop device" return end
      local one = make(kind[2] .. " 2>&1", from)
      assert_same_tree(read_by(kind, one), walked(one))
    end)
  end

  it("sees what the kernel sees", function()
    if not sh.can_mount() then pending "mounting needs root and a loop device" return end
    assert_same_tree(image.mounted(path, { lost_found = true }), walked(path))
  end)

  it("reads content that lies in the inode", function()
    local one = make("-O inline_data", from)
    local found <close> = banger.open(one)
    assert.equal("hello", found:read "/etc/file")
    assert.same({ "file", "hard", "last" }, found:list "/etc")
    assert.equal(sh.read_file(from .. "/random"), found:read "/random")
  end)

  it("resolves links inside the image", function()
    local found <close> = banger.open(path)
    assert.equal("/etc/file", found:resolve "/lib/abs")
    assert.equal("/etc/file", found:resolve "lib/./rel")
    assert.equal("/etc/file", found:resolve "/climb/last")
    assert.equal("/", found:resolve "/../..")
    assert.equal("/etc", found:resolve "/usr/../climb/")
    assert.is_nil(found:resolve "/dangling")
    assert.is_nil(found:resolve "/etc/file/x")
    assert.is_true(found:exists "/lib/rel")
    assert.is_false(found:exists "/dangling")
  end)

  it("stats links themselves unless told to follow", function()
    local found <close> = banger.open(path)
    assert.equal("symlink", found:stat("/lib").type)
    assert.equal("dir", found:stat("/lib", { follow = true }).type)
    assert.equal("/usr/lib", found:stat("/lib", { follow = true }).path)
    assert.is_nil(found:stat "/nope")
    assert.is_nil(found:stat("/dangling", { follow = true }))
    raises("usage", "40 symbolic links", found.stat, found, "/loop", { follow = true })
  end)

  it("lists names sorted by their bytes", function()
    local found <close> = banger.open(path)
    local names = found:list "/"
    local sorted = table.move(names, 1, #names, 1, {})
    table.sort(sorted)
    assert.same(sorted, names)
    assert.equal("\xff\xfe", names[#names])
    assert.equal(600, #found:list "/many")
    raises("not_found", "/nope: not in ", found.list, found, "/nope")
    raises("usage", "/etc/file: not a directory", found.list, found, "/etc/file")
  end)

  it("knows holes", function()
    local holes = scratch:mkdir "holes"
    -- 2 TiB with a byte near its end; what is written with zeros is data, as it has blocks.
    sh.check(("cd %s && truncate -s 2T huge && printf x | dd of=huge bs=1 seek=1500000000000 conv=notrunc status=none && truncate -s 1G hole "
      .. "&& printf 12345 >file && : >empty && truncate -s 300K spare && fallocate -l 100K spare"):format(sh.quote(holes)))
    local file = scratch:path "holes.ext4"
    sh.check(("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -b 4096 -d %s %s 16M"):format(sh.quote(holes), sh.quote(file)))
    local found <close> = banger.open(file)
    local function all(name)
      local list, start, past = {}, found:data(name)
      while start do
        list[#list + 1] = { start, past }
        start, past = found:data(name, past)
      end
      return list
    end
    assert.same({ { 1499999997952, 1500000002048 } }, all "/huge")
    assert.same({ { 1500000000000, 1500000002048 } }, { { found:data("/huge", 1500000000000) } })
    assert.same({}, all "/hole")
    assert.same({}, all "/empty")
    assert.same({ { 0, 5 } }, all "/file")
    assert.same({ { 3, 5 } }, { { found:data("/file", 3) } })
    assert.same({}, { found:data("/file", 5) })
    assert.same({}, { found:data("/file", 1 << 62) })
    raises("usage", file .. ": inode 2 is not a regular file", found.data, found, "/")
    raises("not_found", "/none: not in " .. file, found.data, found, "/none")
    assert.has_error(function() found:data("/file", -1) end, "bad argument #2 to 'data' (a number of bytes expected)")
  end)

  it("knows holes of what is being built", function()
    local file = scratch:path "building.ext4"
    local rootfs <close> = banger.rootfs { near = file }
    banger.inject(rootfs, { { path = "/f", content = ("\0"):rep(8192) .. "x" .. ("\0"):rep(100000) }, { path = "/none", content = "" } })
    local start, past = rootfs:data "/f"
    assert.is_true(start <= 8192 and past > 8192)
    assert.same({ 8193, past }, { rootfs:data("/f", 8193) })
    assert.same({}, { rootfs:data "/none" })
    assert.same({}, { rootfs:data("/f", 108193) })
    raises("usage", "/: not a regular file", rootfs.data, rootfs, "/")
  end)

  it("refuses a size that no file can have", function()
    local sizes, file = scratch:mkdir "sizes", scratch:path "sizes.ext4"
    sh.check(("echo 1 >%s/f && PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -d %s %s 8M && PATH=$PATH:/usr/sbin:/sbin debugfs -w -R "
      .. "'set_inode_field /f size 9223372036854775807' %s 2>/dev/null"):format(sizes, sizes, file, file))
    local found <close> = banger.open(file)
    local ok, problem = pcall(found.stat, found, "/f")
    assert.is_false(ok)
    assert.equal("ext4", problem.code)
    assert.matches(": inode %d+ has 9223372036854775807 bytes, more than any file: the image is damaged$", problem.message)
  end)

  it("reads parts, and holes as zeros", function()
    local found <close> = banger.open(path)
    assert.equal("\0x\0", found:read("/sparse", { offset = 1999999, size = 3 }))
    assert.equal(sh.read_file(from .. "/sparse"), found:read "/sparse")
    assert.equal(sh.read_file(from .. "/random"):sub(5001, 305000), found:read("/random", { offset = 5000, size = 300000 }))
    assert.equal("", found:read("/etc/file", { offset = 5 }))
    assert.equal("", found:read("/etc/file", { offset = 1 << 60 }))
    assert.equal("lo", found:read("/etc/file", { offset = 3, size = 1 << 60 }))
    raises("usage", "/etc: not a regular file", found.read, found, "/etc")
    misuse("'offset' must be a number of bytes", found.read, found, "/etc/file", { offset = -1 })
  end)

  it("walks parents before children, siblings by their bytes", function()
    local found <close> = banger.open(path)
    local seen = {}
    for name in found:walk "/deep/../usr" do seen[#seen + 1] = name end
    assert.same({ "/usr", "/usr/lib", "/usr/lib/abs", "/usr/lib/rel" }, seen)
    raises("not_found", "/nope", found.walk, found, "/nope")
  end)

  it("tells space and inodes", function()
    local found <close> = banger.open(path)
    local df, sb = found:df(), image.superblock(path)
    assert.equal(32 << 20, df.size)
    assert.equal(df.size, df.used + df.free)
    assert.equal(sb.inodes, df.inodes)
    assert.equal(df.inodes, df.inodes_used + df.inodes_free)
    -- All below the first free one but the root.
    assert.equal(9, df.inodes_used - df.files)
    assert.is_false(df.needs_recovery)
  end)

  it("is closed for good, once or twice", function()
    local found = banger.open(path)
    local next_one = found:walk "/"
    assert.equal("image: " .. path, tostring(found))
    found:close()
    found:close()
    assert.equal("image: closed", tostring(found))
    misuse("the image is closed", found.stat, found, "/")
    misuse("the image is closed", next_one)
  end)

  it("says what a file is that is no image", function()
    local text = scratch:fresh()
    sh.write_file(text, "text")
    raises("ext4", text .. ": not an ext4 image: it has only 4 bytes", banger.open, text)
    sh.write_file(text, ("\0"):rep(100000))
    raises("ext4", ": not an ext4 image: no magic number", banger.open, text)
    raises("ext4", "not a regular file", banger.open, scratch.dir)
    raises("not_found", "No such file", banger.open, scratch:path "nope")
    local cut = copy(path)
    sh.check("truncate -s 20M " .. cut)
    raises("ext4", ": cut off: it has 20971520 bytes, its file system 8192 blocks of 4096", banger.open, cut)
  end)

  it("flags a journal that is to be recovered", function()
    local dirty = copy(path)
    sh.check(SBIN .. "debugfs -w -R 'feature needs_recovery' " .. dirty)
    local found <close> = banger.open(dirty)
    assert.is_true(found:df().needs_recovery)
    assert.equal("hello", found:read "/etc/file")
    assert(tostring(found):find "needs journal recovery")
  end)

  it("reports a directory that contains itself", function()
    local odd = make("-O ^metadata_csum", from)
    sh.check(SBIN .. "debugfs -w -R 'link /deep /deep/a/again' " .. odd)
    local found <close> = banger.open(odd)
    raises("ext4", "more than one name: run e2fsck", function() for _ in found:walk() do end end)
  end)
end)

-- ---- injecting -------------------------------------------------------------------------

--- Changes to a tree of support.tree as they are expected.
local function with(before, changes)
  local want = {}
  for path, node in pairs(before) do
    if node.type == "dir" then node.nlink, node.size = nil, nil end
    want[path] = node
  end
  for path, node in pairs(changes) do want[path] = node or nil end
  return want
end

local EPOCH = 1600000000

local function new(type, fields)
  local node = { type = type, mode = oct "644", uid = 0, gid = 0, mtime = EPOCH, nsec = 0, xattrs = {} }
  if type == "dir" then node.mode = oct "755" end
  if type == "symlink" then node.mode = oct "777" end
  for k, v in pairs(fields or {}) do node[k] = v end
  if node.content then node.size = #node.content end
  return node
end

--- Inject, and compare all of the image with what it was and the changes.
local function check_inject(path, entries, changes, kind)
  local want = with(read_by(kind or {}, path), changes)
  assert.same({ injected = #entries }, banger.inject(path, entries))
  assert_clean(path)
  local got = read_by(kind or {}, path)
  local problems = tree.compare(want, got, { id = true })
  assert(#problems == 0, tree.message(problems))
  return got
end

local writable = {
  { "blocks of 4 KiB", "-b 4096" },
  { "blocks of 1 KiB", "-b 1024" },
  { "no checksums", "-b 4096 -O ^metadata_csum", mount = true },
  { "blocks of 1 KiB, 32-bit, no checksums", "-b 1024 -O ^64bit,^metadata_csum", mount = true },
  { "groups not yet initialised", "-b 1024 -O ^metadata_csum,uninit_bg", mount = true },
  { "no index, no types", "-b 2048 -O ^dir_index,^filetype" },
  { "inodes of 512 bytes", "-I 512" },
  { "no journal, no flex groups", "-O ^has_journal,^flex_bg,^ext_attr" },
  { "blocks of 8 KiB", "-b 8192" },
}

describe("injecting into an image", function()
  local from, base

  setup(function()
    from = make_tree "inject"
    base = make("-b 4096", from)
  end)

  for _, kind in ipairs(writable) do
    it("puts in every kind of file: " .. kind[1], function()
      if kind.mount and not sh.can_mount() then pending "mounting needs root and a loop device" return end
      -- mke2fs warns of what the kernel cannot mount.
      local path = make(kind[2] .. " -F 2>&1", from, "48M")
      local source = scratch:fresh()
      local holes = ("\0"):rep(200000) .. "data" .. ("\0"):rep(300000)
      sh.write_file(source, holes)
      local many, changes = {}, {}
      for i = 1, 1000 do
        many[i] = { path = "/many/added-" .. i, content = tostring(i):rep(i % 50) }
        changes["many/added-" .. i] = new("file", { content = tostring(i):rep(i % 50) })
      end
      check_inject(path, many, changes, kind)
      local entries = {
        { path = "/made/of/file", content = "x\n", mode = oct "600", uid = 70000, gid = 1 << 31, mtime = 5.25 },
        { path = "empty", content = "" },
        { path = "/holes", source = source },
        { path = "/dir", type = "dir", mode = oct "1777", mtime = -1.5 },
        { path = "/short", target = "/etc" },
        { path = "/sixty", target = ("s"):rep(60) },
        { path = "/link", target = ("l"):rep(900) },
        { path = "/char2", type = "char", major = 300, minor = 70000, mode = oct "620" },
        { path = "/block2", type = "block", major = 8, minor = 1 },
        { path = "/fifo2", type = "fifo" },
        { path = "/hard", type = "hardlink", target = "/empty" },
        { path = "/attrs", content = "c", xattrs = { ["user.one"] = "1", ["trusted.long"] = ("2"):rep(500),
          ["user.empty"] = "", ["security.capability"] = "\1\0\0\2\0\32\0\0\0\0\0\0\0\0\0\0\0\0\0\0" } },
        { path = "/many/name-7", type = "remove" },
        { path = "/nope/nope", type = "remove" },
      }
      local got = check_inject(path, entries, {
        ["made"] = new "dir", ["made/of"] = new "dir",
        ["made/of/file"] = new("file", { content = "x\n", mode = oct "600", uid = 70000, gid = 1 << 31, mtime = 5, nsec = 250000000 }),
        ["empty"] = new("file", { content = "", nlink = 2 }),
        ["hard"] = new("file", { content = "", nlink = 2 }),
        ["holes"] = new("file", { content = holes, nlink = 1 }),
        ["dir"] = new("dir", { mode = oct "1777", mtime = -2, nsec = 500000000 }),
        ["short"] = new("symlink", { target = "/etc" }),
        ["sixty"] = new("symlink", { target = ("s"):rep(60) }),
        ["link"] = new("symlink", { target = ("l"):rep(900) }),
        ["char2"] = new("char", { major = 300, minor = 70000, mode = oct "620" }),
        ["block2"] = new("block", { major = 8, minor = 1 }),
        ["fifo2"] = new "fifo",
        ["attrs"] = new("file", { content = "c", xattrs = entries[12].xattrs }),
        ["many/name-7"] = false,
      }, kind)
      assert.equal(got.hard.id, got.empty.id)
      -- Zeros are not stored: a block of data, and no more than one of tree.
      assert(got.holes.stored == nil or got.holes.stored <= 16384, tostring(got.holes.stored))
    end)
  end

  it("adds a thousand names to five thousand in an index", function()
    local path = make("-b 4096 -N 16384")
    local first, second = {}, {}
    for i = 1, 5200 do first[i] = { path = "/many/name-" .. i, content = "" } end
    for i = 1, 1000 do second[i] = { path = "/many/added-\xff" .. i, content = "" } end
    banger.inject(path, first)
    assert_clean(path)
    banger.inject(path, second)
    assert_clean(path)
    assert(banger.debugfs_batch(path, { { "htree_dump", "/many" } })[1]:find "Number of entries")
    local found = banger.open(path)
    assert.equal(6200, #found:list "/many")
    found:close()
    if not sh.can_mount() then return end
    sh.check(([[unshare -m sh -e -c 'mount -o loop %s %s; cd %s/many
      for i in $(seq 5200); do test -e name-$i; done; for i in $(seq 1000); do test -e $(printf added-\\377$i); done
      rm name-?5* added-*; for i in $(seq 2000); do : > kernel-$i; done; cd /; umount %s']]):format(path, scratch:mkdir "m",
      scratch:path "m", scratch:path "m"))
    assert_clean(path)
  end)

  it("keeps an ACL as it was given", function()
    -- Version 2; user::rw-, user:1000:r--, group::r--, mask::rw-, other::r--.
    local acl = "\2\0\0\0" .. "\1\0\6\0\255\255\255\255" .. "\2\0\4\0\232\3\0\0" .. "\4\0\4\0\255\255\255\255"
      .. "\16\0\6\0\255\255\255\255" .. "\32\0\4\0\255\255\255\255"
    check_inject(copy(base), { { path = "/acl", content = "", xattrs = { ["system.posix_acl_access"] = acl } } },
      { acl = new("file", { content = "", xattrs = { ["system.posix_acl_access"] = acl } }) })
  end)

  it("replaces files by new ones: other names keep the old", function()
    local path = copy(base)
    local got = check_inject(path, {
      { path = "/etc/hard", content = "new" },
      { path = "/lib", content = "was a link" },
      { path = "/fifo", type = "dir" },
      { path = "/deep/a/b", content = "was an empty directory" },
      { path = "/old", target = "x" },
    }, {
      ["etc/hard"] = new("file", { content = "new", nlink = 1 }),
      ["etc/file"] = { type = "file", content = "hello", nlink = 1 },
      ["lib"] = new("file", { content = "was a link" }),
      ["fifo"] = new "dir",
      ["deep/a/b"] = new("file", { content = "was an empty directory" }),
      ["old"] = new("symlink", { target = "x" }),
    })
    assert.not_equal(got["etc/hard"].id, got["etc/file"].id)
  end)

  it("changes of a directory that is there only what is given", function()
    local path = copy(base)
    banger.inject(path, { { path = "/etc", type = "dir", mode = oct "2700", uid = 5, gid = 6, mtime = 7.5,
      xattrs = { ["user.a"] = "1", ["user.big"] = ("b"):rep(400) } } })
    check_inject(path, {
      { path = "/etc", type = "dir", gid = 70000, xattrs = { ["user.a"] = "2" } },
      { path = "/", type = "dir", mode = oct "711" },
    }, {
      etc = new("dir", { mode = oct "2700", uid = 5, gid = 70000, mtime = 7, nsec = 500000000,
        xattrs = { ["user.a"] = "2", ["user.big"] = ("b"):rep(400) } }),
      [""] = { type = "dir", mode = oct "711" },
    })
    local found <close> = banger.open(path)
    assert.same({ "file", "hard", "last" }, found:list "/etc")
  end)

  it("follows links in parents inside the image, and makes what they point to", function()
    check_inject(copy(base), {
      { path = "/climb/put", content = "1" },
      { path = "/lib/../lib/put", content = "2" },
      { path = "/dangling/sub/put", content = "3" },
    }, {
      ["etc/put"] = new("file", { content = "1" }),
      ["usr/lib/put"] = new("file", { content = "2" }),
      ["nowhere"] = new "dir", ["nowhere/sub"] = new "dir", ["nowhere/sub/put"] = new("file", { content = "3" }),
    })
  end)

  it("removes trees", function()
    local path, gone = copy(base), { sparse = false }
    for name in pairs(image.read(path)) do
      local top = name:match "^[^/]*"
      if top == "usr" or top == "many" or top == "deep" or name == "etc/file" or name == "random" then gone[name] = false end
    end
    gone["etc/hard"] = { type = "file", nlink = 1, content = "hello" }
    local entries = {}
    for i, name in ipairs { "/usr", "many", "/deep/", "/etc/file", "/random", "/sparse", "/sparse" } do
      entries[i] = { path = name, type = "remove" }
    end
    check_inject(path, entries, gone)
    assert(image.superblock(path).free_inodes > image.superblock(base).free_inodes + 600)
  end)

  it("leaves nothing of what was removed in the file", function()
    local secret = "a secret that is not to stay: " .. ("42"):rep(3000)
    local path = copy(base)
    banger.inject(path, { { path = "/secret", content = secret }, { path = "/public", content = "public content" } })
    assert(sh.read_file(path):find(secret:sub(1, 30), 1, true))
    banger.inject(path, { { path = "/secret", type = "remove" } })
    local bytes = sh.read_file(path)
    assert.is_nil(bytes:find(secret:sub(1, 30), 1, true))
    assert(bytes:find("public content", 1, true))
  end)

  it("entries see what those before them did", function()
    check_inject(copy(base), {
      { path = "/new", type = "dir" },
      { path = "/new/file", content = "1" },
      { path = "/ln", target = "/new" },
      { path = "/ln/other", type = "hardlink", target = "/ln/file" },
      { path = "/new/file", content = "2" },
      { path = "/tmp1/x", content = "gone again" },
      { path = "/tmp1", type = "remove" },
      { path = "/etc", type = "remove" },
      { path = "/etc/file", content = "anew" },
    }, {
      ["new"] = new "dir", ["new/file"] = new("file", { content = "2", nlink = 1 }),
      ["new/other"] = new("file", { content = "1", nlink = 1 }), ["ln"] = new("symlink", { target = "/new" }),
      ["etc"] = new "dir", ["etc/file"] = new("file", { content = "anew", nlink = 1 }), ["etc/hard"] = false, ["etc/last"] = false,
    })
  end)

  it("ends in what the same entries end in before the image is made", function()
    local entries = {
      { path = "/a/../b/./c/", content = "x" }, { path = "/d", type = "dir", mode = oct "700" }, { path = "/l", target = "/d" },
      { path = "/l/in", content = "y", uid = 70000, mtime = 1.5 }, { path = "/dang", target = "nope/deep" },
      { path = "/dang/f", content = "z" }, { path = "/h", type = "hardlink", target = "/l/in" },
      { path = "/d", type = "dir", gid = 7, xattrs = { ["user.a"] = "1" } },
      { path = "/s", content = ("\0"):rep(9000), xattrs = { ["user.b"] = ("q"):rep(400) } }, { path = "/b/c", type = "remove" },
      { path = "/", type = "dir", mode = oct "711" }, { path = "/c", type = "char", major = 5, minor = 1 },
      { path = "/f", type = "fifo", mode = oct "600" }, { path = "/b", target = "d" }, { path = "/x", content = "1" },
      { path = "/x", type = "dir" }, { path = "/x/y", target = "t" }, { path = "/..", type = "dir", uid = 3 },
    }
    local before, after = scratch:fresh ".ext4", scratch:fresh ".ext4"
    local rootfs = banger.rootfs { near = before }
    banger.inject(rootfs, entries)
    banger.mkext4(rootfs, before, { epoch = EPOCH })
    rootfs = banger.rootfs { near = after }
    banger.mkext4(rootfs, after, { epoch = EPOCH })
    banger.inject(after, entries)
    assert_clean(after)
    assert_same_tree(image.read(before), image.read(after))
  end)

  it("spreads a file over whatever is free", function()
    local path = make("-b 1024 -m 0", nil, "8M")
    local fill, thin = {}, {}
    for i = 1, 600 do fill[i] = { path = "/fill/" .. i, content = ("f"):rep(8000) } end
    for i = 1, 600, 2 do thin[#thin + 1] = { path = "/fill/" .. i, type = "remove" } end
    banger.inject(path, fill)
    banger.inject(path, thin)
    local found = banger.open(path)
    local content = ("spread"):rep((found:df().free - 100000) // 6)
    found:close()
    banger.inject(path, { { path = "/spread", content = content } })
    assert_clean(path)
    found = banger.open(path)
    assert.equal(content, found:read "/spread")
    found:close()
    local extents = banger.debugfs_batch(path, { { "dump_extents", "/spread" } })[1]
    assert(select(2, extents:gsub("\n", "")) > 100)
  end)

  it("does the same bytes every time", function()
    local one, two = copy(base), copy(base)
    local entries = { { path = "/a/b/c", content = ("c"):rep(100000), xattrs = { ["user.b"] = "2", ["user.a"] = "1" } },
      { path = "/many/name-1", type = "remove" }, { path = "/usr", type = "remove" }, { path = "/l", target = ("l"):rep(100) } }
    banger.inject(one, entries)
    sh.write_file(scratch:path "again.lua", ([[require "banger".inject(%q, { { path = "/a/b/c", content = ("c"):rep(100000),
      xattrs = { ["user.a"] = "1", ["user.b"] = "2" } }, { path = "/many/name-1", type = "remove" }, { path = "/usr", type = "remove" },
      { path = "/l", target = ("l"):rep(100) } })]]):format(two))
    sh.check("sleep 1; umask 077; TZ=Asia/Tokyo LC_ALL=C.UTF-8 " .. sh.banger() .. " " .. scratch:path "again.lua")
    sh.check("cmp " .. one .. " " .. two)
  end)

  it("keeps the file's mode, and a link to it", function()
    local path = copy(base)
    local link = scratch:path "image-link"
    sh.check(("chmod 640 %s; ln -sf %s %s"):format(path, path, link))
    banger.inject(link, { { path = "/x", content = "" } })
    assert.equal("640 regular file\n", sh.check("stat -c '%a %F' " .. path))
    assert.equal("640 regular file\n", sh.check("stat -L -c '%a %F' " .. link))
    assert.equal("symbolic link\n", sh.check("stat -c %F " .. link))
    assert_clean(path)
  end)

  it("stays as sparse as it was", function()
    local path = copy(base)
    local before = tonumber(sh.check("stat -c %b " .. path))
    banger.inject(path, { { path = "/x", content = ("x"):rep(10000) } })
    assert(tonumber(sh.check("stat -c %b " .. path)) < before + 600)
  end)
end)

describe("an injection that fails", function()
  local base, sum

  setup(function() base = make("-b 1024 -N 64 -m 0", nil, "4M") end)
  before_each(function() sum = sh.sha256(base) end)

  --- The image is as it was, and alone.
  local function untouched(path, digest)
    assert.equal(digest, sh.sha256(path))
    assert.is_nil(listing(scratch.dir):find ".banger", 1, true)
  end

  local function fails(code, pattern, entries)
    local err = raises(code, pattern, banger.inject, base, entries)
    untouched(base, sum)
    return err
  end

  it("for want of space says how much", function()
    local found <close> = banger.open(base)
    local free = found:df().free + 1024 -- with the block of the root's names, to be written anew
    local err = fails("no_space", "bytes are needed, " .. free .. " are free",
      { { path = "/a", content = "1" }, { path = "/big", content = ("x"):rep(5000000) } })
    assert.equal(free, err.given)
    -- 4883 blocks of content, one of "1", the root's, at most 20 of extent trees.
    assert(err.needed >= 4885 * 1024 and err.needed <= 4905 * 1024, err.needed)
  end)

  it("fits to the last block", function()
    local path = copy(base)
    local function try(blocks) return pcall(banger.inject, path, { { path = "/big", content = ("x"):rep(blocks * 1024) } }) end
    local found = banger.open(path)
    local free = found:df().free // 1024
    found:close()
    -- The root's block is freed and taken, so all that is free can be the content's
    -- but for an index of its extents.
    assert.is_false((try(free + 1)))
    assert.is_true(try(free) or try(free - 1))
    assert_clean(path)
    found = banger.open(path)
    assert(found:df().free <= 1024)
    found:close()
    local digest = sh.sha256(path)
    raises("no_space", "are free", banger.inject, path, { { path = "/more", content = ("x"):rep(3000) } })
    untouched(path, digest)
    banger.inject(path, { { path = "/big", type = "remove" }, { path = "/more", content = ("x"):rep(3000) } })
    assert_clean(path)
  end)

  it("for want of inodes says how many", function()
    local entries = {}
    for i = 1, 60 do entries[i] = { path = "/" .. i, content = "" } end
    fails("no_space", "60 inodes are needed, 53 are free", entries)
    local path = copy(base)
    banger.inject(path, table.move(entries, 1, 53, 1, {}))
    assert_clean(path)
    raises("no_space", "1 inodes are needed, 0 are free", banger.inject, path, { entries[60] })
    banger.inject(path, { { path = "/1", type = "remove" }, entries[60] })
    assert_clean(path)
  end)

  it("names the entry", function()
    local path = copy(base)
    banger.inject(path, { { path = "/d/sub/x", content = "" }, { path = "/f", content = "" }, { path = "/l", target = "l" } })
    local digest = sh.sha256(path)
    local cases = {
      { "usage", "^inject /d: a directory that is not empty is in its place$", { path = "/d", content = "" } },
      { "usage", "^inject /d: a directory that is not empty", { path = "/d", target = "x" } },
      { "usage", "^inject /f/x: f is not a directory$", { path = "/f/x", content = "" } },
      { "usage", "^inject /: the root can only be a directory$", { path = "/", type = "remove" } },
      { "usage", "^inject /l/x: .*40 symbolic links", { path = "/l/x", content = "" } },
      { "usage", "^inject /n*: a name in it has 256 bytes, over 255$", { path = "/" .. ("n"):rep(256), content = "" } },
      { "not_found", "^inject /h: hard link target /nope is not in the image$", { path = "/h", type = "hardlink", target = "/nope" } },
      { "usage", "^inject /h: hard link target /d is a directory$", { path = "/h", type = "hardlink", target = "/d" } },
      { "not_found", "^inject /s: source /nope: No such file", { path = "/s", source = "/nope" } },
      { "usage", "^inject /s: source /tmp is not a regular file", { path = "/s", source = "/tmp" } },
      { "usage", "^inject /m: mode 10000 is out of range", { path = "/m", content = "", mode = oct "10000" } },
      { "usage", "^inject /m: mtime %d+ is out of ext4's range", { path = "/m", content = "", mtime = 1 << 40 } },
      { "usage", "^inject /x: the extended attribute nonsense has no place in ext4", { path = "/x", content = "", xattrs = { nonsense = "" } } },
      { "ext4", "^inject /x: its extended attributes need %d+ bytes, over the 1024",
        { path = "/x", content = "", xattrs = { ["user.x"] = ("x"):rep(2000) } } },
      { "ext4", "^inject /x: system.posix_acl_access is not a POSIX ACL",
        { path = "/x", content = "", xattrs = { ["system.posix_acl_access"] = "x" } } },
      { "usage", "^inject /y: the target has 1024 bytes, a block of the image 1024", { path = "/y", target = ("y"):rep(1024) } },
    }
    for _, case in ipairs(cases) do
      raises(case[1], case[2], banger.inject, path, { { path = "/ok", content = "" }, case[3] })
      untouched(path, digest)
    end
  end)

  it("is refused for an image that is not clean, with the remedy", function()
    for _, change in ipairs { "feature needs_recovery", "ssv state 0", "ssv state 3", "ssv last_orphan 12" } do
      local path = copy(base)
      sh.check(SBIN .. ("debugfs -w -R '%s' %s"):format(change, path))
      local digest = sh.sha256(path)
      raises("ext4", ": it is in use, or .*: stop what uses it; if nothing does, run e2fsck %-fy on it$", banger.inject, path,
        { { path = "/x", content = "" } })
      untouched(path, digest)
    end
  end)

  it("is refused for features that it cannot keep up", function()
    for options, pattern in pairs { ["-O inline_data"] = "inline_data", ["-O quota"] = "quota", ["-O bigalloc"] = "bigalloc",
      ["-O ^extents,^metadata_csum,^64bit"] = "no extents", ["-O ea_inode"] = "ea_inode" } do
      local path = make(options .. " 2>&1")
      raises("ext4", pattern, banger.inject, path, { { path = "/x", content = "" } })
    end
    raises("ext4", "not an ext4 image", banger.inject, "/dev/null", { { path = "/x", content = "" } })
    raises("not_found", "No such file", banger.inject, scratch:path "nope", { { path = "/x", content = "" } })
  end)

  it("for lack of room on the host leaves nothing", function()
    local reason = need.namespace()
    if reason then return pending(reason .. ": mounts a small tmpfs") end
    local script = scratch:path "full.lua"
    sh.write_file(script, [[local ok, err = pcall(require "banger".inject, arg[1], { { path = "/x", content = ("x"):rep(500000) } })
      print(ok, err.code)]])
    local m, big = scratch:mkdir "tmpfs", make("-b 4096", nil, "8M")
    local out = sh.check(([[unshare -m sh -e -c 'mount -t tmpfs -o size=3m none %s; cp --sparse=always %s %s/i
      dd if=/dev/zero of=%s/fill bs=4k 2>/dev/null || :; sha256sum < %s/i; %s %s %s/i; sha256sum < %s/i; ls -A %s']]):format(
      m, big, m, m, m, sh.banger(), script, m, m, m))
    local before, result, after, names = out:match "^(%x+)  %-\n(.-)\n(%x+)  %-\n(.*)$"
    assert.equal(before, after)
    assert.equal("false\tno_space", result)
    assert.equal("fill\ni\n", names)
  end)

  it("by a signal leaves nothing", function()
    local path = make("-b 4096 -N 300000", nil, "256M")
    local dir = scratch:mkdir "signal"
    sh.check(("mv %s %s/i"):format(path, dir))
    local digest = sh.sha256(dir .. "/i")
    sh.write_file(scratch:path "signal.lua", [[local e, data = {}, ("x"):rep(600)
      for i = 1, 200000 do e[i] = { path = "/d/" .. i, content = data } end
      io.open(arg[2], "w"):close()
      require "banger".inject(arg[1], e)]])
    local _, code = sh.run(([[%s %s %s/i %s 2>/dev/null & pid=$!
      while ! [ -e %s ]; do sleep 0.02; done; sleep 0.1; kill -INT $pid; wait $pid]]):format(sh.banger(), scratch:path "signal.lua",
      dir, scratch:path "ready", scratch:path "ready"))
    assert.equal(130, code)
    assert.equal(digest, sh.sha256(dir .. "/i"))
    assert.equal("i\n", listing(dir))
  end)
end)

-- ---- others ------------------------------------------------------------------------------

describe("an image that something else uses", function()
  local path
  before_each(function() path = make "-b 4096" end)

  local ENTRY = { { path = "/x", content = "x" } }

  -- Neither primitive touches it, while it is only read as ever.
  local function refused(pattern)
    local digest = sh.sha256(path)
    raises("io", pattern, banger.inject, path, ENTRY)
    raises("io", pattern, banger.inject, path, {}, { dry_run = true })
    raises("io", pattern, banger.debugfs_batch, path, { { "mkdir", "/y" } }, { write = true })
    assert.equal(digest, sh.sha256(path))
    banger.open(path):close()
    banger.debugfs_batch(path, { { "ls", "/" } })
  end

  local function free()
    banger.inject(path, ENTRY)
    banger.debugfs_batch(path, { { "mkdir", "/y" } }, { write = true })
    local found <close> = banger.open(path)
    assert.same({ "file", "dir" }, { found:stat("/x").type, found:stat("/y").type })
    assert_clean(path)
  end

  -- Runs a program until it is closed. It says that it is ready by a line of output, if it is to.
  local function running(command, is_ready)
    local pid = sh.check(("exec 9>&-; %s >%s 2>&1 & echo $!"):format(command, path .. ".out")):match "%d+"
    local program = setmetatable({}, { __close = function()
      sh.run(("kill %s; while kill -0 %s 2>/dev/null; do sleep 0.05; done"):format(pid, pid))
    end })
    local last = os.time() + 60
    while not is_ready() do
      if os.time() > last then
        getmetatable(program).__close()
        error("it does not begin: " .. command .. ": " .. sh.read_file(path .. ".out"))
      end
      sh.check "sleep 0.05"
    end
    return program
  end

  local function says_ready() return sh.read_file(path .. ".out"):find "ready" end

  it("by a lock of its own is left alone", function()
    do
      local _ <close> = running(("exec sh -c 'exec 8<%s; flock 8; echo ready; exec sleep 100'"):format(path), says_ready)
      refused "/%d+%.ext4 is in use: another program holds a lock on it; stop that first"
    end
    free()
  end)

  it("by writing it is left alone", function()
    do
      local _ <close> = running(("exec sh -c 'exec 8<>%s; echo ready; exec sleep 100'"):format(path), says_ready)
      refused " is in use: another program has it open for writing; stop that first"
    end
    free()
  end)

  for name, options in pairs { ["a machine"] = "", ["a machine that only reads"] = ",readonly=on", ["a machine with a snapshot"] = ",snapshot=on" } do
    it("which is " .. name .. " is left alone", function()
      local reason = need.program "qemu-system-x86_64"
      if reason then return pending(reason) end
      do
        local monitor = path .. ".sock"
        local _ <close> = running(("exec qemu-system-x86_64 -S -display none -nodefaults -monitor unix:%s,server,nowait "
          .. "-drive file=%s,format=raw,if=virtio%s"):format(monitor, path, options), function() return banger.host.stat(monitor) end)
        refused " is in use: a machine, or another program, holds a lock on it; stop that first, or .* banger%-lua exec$"
      end
      free()
    end)
  end

  it("which is a mount is left alone", function()
    local reason = need.mount()
    if reason then return pending(reason) end
    do
      local dir = scratch:mkdir "used"
      local _ <close> = running(("exec unshare -m sh -c 'mount -o ro,noload,loop %s %s && echo ready && exec sleep 100'"):format(path, dir),
        says_ready)
      refused " is in use: /dev/loop%d+ has it, which may be mounted; stop that first"
    end
    -- The kernel takes the mount apart in its own time.
    sh.check(("timeout 60 sh -c 'while losetup -j %s | grep -q .; do sleep 0.05; done'"):format(path))
    free()
  end)

  it("is replaced only if it is what was seen", function()
    local seen <close> = banger.open(path)
    banger.inject(path, { { path = "/other", content = "theirs" } })
    raises("changed", "was changed by something else meanwhile; nothing was written$", banger.inject, path, ENTRY, { seen = seen })
    seen:refresh()
    banger.inject(path, ENTRY, { seen = seen })
    seen:refresh()
    assert.same({ "theirs", "x" }, { seen:read "/other", seen:read "/x" })
    banger.debugfs_batch(path, { { "mkdir", "/y" } }, { write = true })
    raises("changed", "meanwhile", banger.inject, path, ENTRY, { seen = seen })
    misuse("seen: an image expected", banger.inject, path, ENTRY, { seen = path })
    seen:close()
    misuse("seen: the image is closed", banger.inject, path, ENTRY, { seen = seen })
    local rootfs <close> = banger.rootfs { near = path }
    misuse("options are for images", banger.inject, rootfs, ENTRY, { dry_run = true })
  end)

  it("which are other injections is waited for: none is lost", function()
    local script = scratch:path "many.lua"
    sh.write_file(script, [[
      local banger = require "banger"
      while not banger.host.stat(arg[3]) do banger.host.run { "sleep", "0.02" } end
      for i = 1, 5 do
        banger.inject(arg[1], { { path = ("/many/%s-%d"):format(arg[2], i), content = "" } })
        banger.debugfs_batch(arg[1], { { "mkdir", ("/%s-%d"):format(arg[2], i) } }, { write = true })
      end]])
    local go = scratch:path "go"
    sh.check(([[for i in 1 2 3 4; do %s %s %s $i %s & list="$list $!"; done; touch %s; for p in $list; do wait $p || exit; done]]):format(
      sh.banger(), script, path, go, go))
    local found <close> = banger.open(path)
    local count = #found:list "/many"
    for i = 1, 4 do for k = 1, 5 do count = count + (found:exists(("/%d-%d"):format(i, k)) and 1 or 0) end end
    assert.equal(40, count)
    assert_clean(path)
  end)

  it("is what a dry run tells of, as all that is in the way", function()
    local digest = sh.sha256(path)
    assert.same({ injected = 1 }, banger.inject(path, ENTRY, { dry_run = true }))
    raises("no_space", "bytes are needed", banger.inject, path, { { path = "/x", content = ("x"):rep(64 << 20) } }, { dry_run = true })
    raises("not_found", "inject /x: ", banger.inject, path, { { path = "/x", source = "/nope" } }, { dry_run = true })
    assert.equal(digest, sh.sha256(path))
  end)
end)

describe("the entries of inject", function()
  local function wrong(pattern, ...)
    misuse(pattern, core.inject, scratch:path "nope", ...)
  end

  it("are checked before anything else", function()
    wrong("table expected")
    wrong("entry 1 is not a table", { 1 })
    wrong("entry 1: 'path' is missing", { { content = "" } })
    wrong("entry 2 %(/x%): 'contents' is no field of an entry", { { path = "/a", content = "" }, { path = "/x", contents = "" } })
    wrong("entry 1 %(/x%): 'type' is missing", { { path = "/x" } })
    wrong("entry 1 %(/x%): 'type' is 'socket', which is no type", { { path = "/x", type = "socket" } })
    wrong("'content' and 'source' exclude each other", { { path = "/x", content = "", source = "y" } })
    wrong("'content' is for files only", { { path = "/x", type = "dir", content = "" } })
    wrong("'target' is for links only", { { path = "/x", type = "dir", target = "" } })
    wrong("'target' is missing", { { path = "/x", type = "symlink" } })
    wrong("'major' and 'minor' are needed", { { path = "/x", type = "char", major = 1 } })
    wrong("'major' and 'minor' are for devices only", { { path = "/x", type = "dir", minor = 1 } })
    wrong("'mode' must be an integer", { { path = "/x", content = "", mode = "0644" } })
    wrong("'uid' is out of range", { { path = "/x", content = "", uid = -1 } })
    wrong("'mtime' must be a number", { { path = "/x", content = "", mtime = "now" } })
    wrong("'mtime' is out of range", { { path = "/x", content = "", mtime = 0 / 0 } })
    wrong("'path' must not hold zero bytes", { { path = "/x\0", content = "" } })
    wrong("'xattrs' must have strings", { { path = "/x", content = "", xattrs = { ["user.x"] = 1 } } })
    wrong("'1' is a key that is no name", { { "/x", path = "/x", content = "" } })
  end)
end)

-- ---- debugfs ---------------------------------------------------------------------------

describe("debugfs_batch", function()
  local base, path

  setup(function() base = make("-b 4096", make_tree "debugfs") end)
  before_each(function() path = copy(base) end)

  local function run(...) return banger.debugfs_batch(path, ...) end

  it("gives each command's output", function()
    local out = run { { "cat", "/etc/file" }, { "pwd" }, { "stat", "/etc" }, { "cat", "/sparse" }, { "cat", "/etc/hard" }, { "testi", "<2>" } }
    assert.equal(6, #out)
    assert.equal("hello", out[1])
    assert(out[2]:find "^%[pwd%]   INODE:      2  PATH: /\n")
    assert(out[3]:find "^Inode: %d+   Type: directory")
    local zeros = ("\0"):rep(2000000)
    assert.equal(zeros .. "x" .. ("\0"):rep(1000000), out[4])
    assert.equal("hello", out[5])
    assert.equal("Inode 2 is marked in use\n", out[6])
    assert.same({}, run {})
  end)

  it("takes names as they are", function()
    local names = { "/a\nb", "/q\"uo te", "-dash", "/-dash", "/<5>", "/\xff\xfe", "sp ace", "/sp ace" }
    local commands = {}
    for i, name in ipairs(names) do commands[i] = { "stat", name } end
    local out = run(commands)
    local found <close> = banger.open(path)
    for i, name in ipairs(names) do
      assert.equal(found:stat(name).ino, tonumber(out[i]:match "^Inode: (%d+) "), name)
    end
    assert(run({ { "stat", "<5>" } })[1]:find "^Inode: 5 ")
    assert(run({ { "ls", "-l", "/etc" } })[1]:find "file")
    assert(run({ { "ls", "--", "/etc" } })[1])
  end)

  it("makes names as they are given", function()
    run({ { "mkdir", "/etc/n w" }, { "mkdir", "rel" }, { "mknod", "/etc/n w/p", "p" }, { "write", scratch:path "read/etc/file", "/etc/n w/\"q\"" },
      { "symlink", "/rel/ln", "to \"there\"" }, { "rm", "/q\"uo te" }, { "unlink", "/etc/last" }, { "rmdir", "/deep/a/b" },
      { "ea_set", "/rel", "user.x", "a b" }, { "rm", "long" } }, { write = true })
    local got = image.read(path)
    assert.equal("fifo", got["etc/n w/p"].type)
    assert.equal("hello", got["etc/n w/\"q\""].content)
    assert.equal("to \"there\"", got["rel/ln"].target)
    assert.equal("a b", got["rel"].xattrs["user.x"])
    assert.is_nil(got["q\"uo te"])
    assert.is_nil(got["deep/a/b"])
    assert.is_nil(got["long"])
  end)

  it("cannot be told of an output that ends early", function()
    local spoof = "debugfs: cat \"/x\"\ndebugfs: end-0000-0\nend-0000-0: Command not found\n"
    banger.inject(path, { { path = "/spoof", content = spoof }, { path = "/x", content = "x" } })
    assert.same({ spoof, "x", spoof }, run { { "cat", "/spoof" }, { "cat", "/x" }, { "cat", "/spoof" } })
  end)

  it("stops at the first command that fails, and says which", function()
    local digest = sh.sha256(path)
    raises("not_found", "debugfs command 2 %(stat /nope%): /nope: File not found by ext2_lookup$", run,
      { { "stat", "/" }, { "stat", "/nope" }, { "stat", "/nope2" } })
    raises("ext4", "command 1 %(rm /etc/file%): rm: Filesystem opened read/only$", run, { { "rm", "/etc/file" } })
    raises("ext4", "command 1 .*: set_inode_field: invalid field specifier: nofield$", run, { { "sif", "/etc", "nofield", 1 } }, { write = true })
    raises("not_found", "%(stat /x\\x0ay%): /x\\x0ay: not in the image$", run, { { "stat", "/x\ny" } })
    assert.equal(digest, sh.sha256(path))
    raises("ext4", "command 3 .*; the 2 before it have been applied$", run,
      { { "sif", "/etc", "uid", 7 }, { "sif", "/etc", "gid", 8 }, { "sif", "/etc", "nofield", 1 }, { "sif", "/etc", "uid", 9 } }, { write = true })
    local found <close> = banger.open(path)
    local st = found:stat "/etc"
    assert.same({ 7, 8 }, { st.uid, st.gid })
  end)

  it("refuses what it cannot do in a batch", function()
    raises("usage", "not a command of debugfs that a batch can run", run, { { "!touch /tmp/x" } })
    raises("usage", "not a command", run, { { "open", "/dev/sda" } })
    raises("usage", "not a command", run, { { "modify_inode", "/etc" } })
    raises("usage", "too few arguments", run, { { "stat" } })
    raises("usage", "too many arguments", run, { { "stat", "/", "/" } })
    raises("usage", "command 1 %(rm /a\\x0ab%): debugfs cannot be given the name a\\x0ab: use inject", run, { { "rm", "/a\nb" } }, { write = true })
    raises("usage", "cannot be given the argument", run, { { "symlink", "/x", "a\nb" } }, { write = true })
    raises("usage", "a path is empty", run, { { "stat", "" } })
    raises("usage", "longer than debugfs takes", run, { { "symlink", "/" .. ("x"):rep(5000), ("x"):rep(5000) } }, { write = true })
    misuse("command 1 is not a list of strings", run, { "stat /" })
    misuse("command 1 is not a list of strings", run, { {} })
    misuse("command 2 is not a list of strings", run, { { "pwd" }, { "stat", {} } })
  end)

  it("says what is wrong with the image", function()
    raises("not_found", "open .*nope: No such file", banger.debugfs_batch, scratch:path "nope", { { "pwd" } })
    local text = scratch:fresh()
    sh.write_file(text, ("text"):rep(1000))
    raises("ext4", text .. ": debugfs: Bad magic number in super-block", banger.debugfs_batch, text, { { "pwd" } })
  end)

  it("takes an image by any name", function()
    local odd = scratch:path "-w im?ge \"x\n"
    sh.check("cp " .. path .. " " .. sh.quote(odd))
    assert.equal("hello", banger.debugfs_batch(odd, { { "cat", "/etc/file" } })[1])
  end)

  it("names e2fsprogs when there is no debugfs", function()
    local reason = need.namespace()
    if reason then return pending(reason .. ": hides debugfs") end
    sh.write_file(scratch:path "none.lua", [[local ok, err = pcall(require "banger".debugfs_batch, arg[1], { { "pwd" } })
      print(err.code, err.message)]])
    local empty = scratch:mkdir "empty"
    local out = sh.check(([[unshare -m sh -e -c 'for d in /usr/sbin /sbin; do mount --bind %s $d; done
      PATH=%s:/bin:/usr/bin exec %s %s %s']]):format(empty, empty, sh.banger(), scratch:path "none.lua", path))
    assert.equal("not_found\tthe program debugfs is not in PATH, /usr/sbin or /sbin: install e2fsprogs\n", out)
  end)

  it("writes no time of day", function()
    local other = copy(base)
    local commands = { { "mkdir", "/x" }, { "sif", "/etc", "uid", "70000" }, { "rm", "/random" } }
    run(commands, { write = true })
    sh.check "sleep 1.1"
    banger.debugfs_batch(other, commands, { write = true })
    sh.check("cmp " .. path .. " " .. other)
    assert_clean(path)
  end)
end)

describe("apply_ownership", function()
  it("restores owners and modes, and nothing else", function()
    local path = make("-b 4096", make_tree "owners")
    local names = { "/etc/file", "/etc", "/lib", "/a\nb", "/q\"uo te", "/-dash", "/fifo", "/many/name-1" }
    local want, entries = image.read(path), {}
    for i, name in ipairs(names) do
      entries[i] = { path = name, uid = 65536 * i + i, gid = 70000 + i, mode = oct "4711" }
      local node = want[name:sub(2)]
      node.uid, node.gid, node.mode = 65536 * i + i, 70000 + i, oct "4711"
    end
    want["etc/hard"].uid, want["etc/hard"].gid, want["etc/hard"].mode = 65537, 70001, oct "4711"
    assert.equal(#names, banger.apply_ownership(path, entries))
    assert_same_tree(want, image.read(path))
    assert_clean(path)
    assert.equal(1, banger.apply_ownership(path, { { path = "/etc", gid = 0 } }))
    assert.equal(0, image.read(path).etc.gid)
    raises("not_found", "/nope", banger.apply_ownership, path, { { path = "/etc", uid = 1 }, { path = "/nope", uid = 1 } })
    assert.equal(2 * 65536 + 2, image.read(path).etc.uid)
  end)
end)
