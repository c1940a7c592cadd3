-- The methods that look into images, rootfs and references: what they give, how it prints,
-- and what they say to a mistake.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local engine = require "support.engine"
local format = require "banger.repl.format"
local oci = require "support.oci"
local opened = require "banger.inspect.handle"
local sh = require "support.sh"
local tar = require "support.tar"

local function oct(digits) return tonumber(digits, 8) end

local LAYERS = {
  {
    tar.dir "./", tar.dir "etc/", tar.file("etc/passwd", "root:x:0:0:::\nweb:x:33:33:::\n", { mtime = 1577934245 }),
    tar.file("etc/group", "root:x:0:\nweb:x:33:\n"), tar.file("etc/old.conf", "old\n"),
    tar.dir "bin/", tar.file("bin/su", ("s"):rep(5000), { mode = oct "4755" }), tar.symlink("bin/sh", "su"),
  },
  {
    tar.dir "srv/", tar.file("srv/index", "<p>\n", { uid = 33, gid = 33, mode = oct "640" }), tar.file("etc/new.conf", "new\n"),
    tar.file "etc/.wh.old.conf", tar.file("etc/a\27b", ""),
  },
}

local scratch, ref, path, handles
setup(function()
  scratch = sh.scratch()
  path = scratch:path "i.ext4"
  engine.image(path, {}, table.unpack(LAYERS))
  local layout = scratch:path "layout"
  oci.write(layout, { tag = "t", layers = { { tar = tar.archive(LAYERS[1]) }, { tar = tar.archive(LAYERS[2]) } } })
  ref = "oci:" .. layout .. ":t"
  handles = {
    image = banger.open(path), rootfs = engine.rootfs(scratch:path "r.ext4", table.unpack(LAYERS)), reference = banger.inspect(ref),
  }
end)
teardown(function()
  for _, handle in pairs(handles) do handle:close() end
  scratch:remove()
end)

local function on_each(name, act)
  for _, kind in ipairs { "image", "rootfs", "reference" } do
    it(name .. ", of " .. kind, function() act(handles[kind], kind) end)
  end
end

local function paths(list)
  local names = {}
  for i, st in ipairs(list) do names[i] = st.path end
  return names
end

--- An error of banger: its message and code.
local function fails(code, message, act, ...)
  local ok, problem = pcall(act, ...)
  assert.is_false(ok)
  assert.same({ code, message }, { problem.code, problem.message })
end

describe("ls", function()
  on_each("gives what is there, and prints names", function(handle)
    local list = handle:ls "/etc"
    assert.same({ "/etc/a\27b", "/etc/group", "/etc/new.conf", "/etc/passwd" }, paths(list))
    assert.same({ "file", 29, 1577934245 }, { list[4].type, list[4].size, list[4].mtime })
    assert.equal("a\\033b\ngroup\nnew.conf\npasswd", tostring(list))
  end)

  on_each("prints as ls -l does", function(handle)
    assert.equal("-rw-r----- 1 web web 4 2020-01-02 03:04 /srv/index",
      (tostring(handle:ls("/srv/index", { long = true })):gsub("%d+%-%d+%-%d+ %d+:%d+", "2020-01-02 03:04")))
    assert.matches("^%-rw%-r%-%-%-%-%- 1 33 33 4 ", tostring(handle:ls("/srv", { long = true, numeric = true })))
    assert.equal("lrwxrwxrwx 1 root root    2 T sh -> su\n-rwsr-xr-x 1 root root 4.9K T su",
      (tostring(handle:ls("/bin", { long = true, human_readable = true })):gsub("%d+%-%d+%-%d+ %d+:%d+", "T")))
  end)

  on_each("goes down", function(handle)
    local all = paths(handle:ls(nil, { recursive = true }))
    assert.equal("/srv/index", all[#all])
  end)

  it("names each directory that it comes to", function()
    assert.equal("/:\nbin\netc\nsrv\n\n/bin:\nsh\nsu\n\n/etc:\na\\033b\ngroup\nnew.conf\npasswd\n\n/srv:\nindex",
      tostring(handles.rootfs:ls { recursive = true }))
  end)

  it("of a directory itself", function()
    assert.same({ "/etc" }, paths(handles.image:ls("/etc", { directory = true })))
  end)
end)

describe("cat", function()
  on_each("gives contents", function(handle)
    assert.equal("new\n", handle:cat "/etc/new.conf")
    assert.equal("new\n<p>\n", handle:cat("/etc/new.conf", "/srv/index"))
    assert.equal(5000, #handle:cat "/bin/sh")
  end)
end)

describe("find", function()
  on_each("finds by conditions", function(handle)
    local function found(...) return paths(handle:find(...)) end
    assert.same({ "/etc/new.conf" }, found { name = "*.conf" })
    assert.same({ "/bin/su" }, found { perm = "/6000" })
    assert.same({ "/bin/su" }, found { perm = oct "4755" })
    assert.same({ "/bin/su" }, found { size = "+4K" })
    assert.same({ "/bin/su" }, found("/bin", { size = 5000 }))
    assert.same({ "/srv/index" }, found { user = "web", type = "file" })
    assert.same({ "/srv/index" }, found { uid = 33 })
    assert.same({ "/bin/sh" }, found { type = "l" })
    assert.same({ "/bin/sh" }, found { type = "symlink" })
    assert.same({ "/etc/a\27b" }, found("/etc", { empty = true }))
    assert.same({ "/srv", "/srv/index" }, found "/srv")
    assert.same({ "/srv" }, found("/srv", { maxdepth = 0 }))
    assert.same({}, found { path = "/nothing*" })
  end)

  it("prints a path a line, as a terminal can take it", function()
    assert.equal("/etc/a\\033b\n/etc/new.conf", tostring(handles.rootfs:find { name = "[an]*" }))
  end)
end)

describe("tree", function()
  on_each("draws", function(handle)
    local list = handle:tree "/bin"
    assert.equal("/bin\n├── sh -> su\n└── su\n\n0 directories, 2 files", tostring(list))
    assert.same({ "/bin", "/bin/sh", "/bin/su" }, paths(list))
    assert.same({ path = "/bin/sh", type = "symlink", size = 2, depth = 1, target = "su" }, list[2])
  end)

  it("goes as deep as it is told, with sizes", function()
    assert.equal("  5.0K  /\n|--   4.9K  bin\n|--     53  etc\n`--      4  srv\n\n3 directories",
      tostring(handles.rootfs:tree({ depth = 1, size = true, ascii = true, directories = true })))
  end)
end)

describe("diff", function()
  it("says what differs from another handle", function()
    local rootfs <close> = engine.rootfs(scratch:path "other.ext4", table.unpack(LAYERS))
    banger.inject(rootfs, { { path = "/etc/new.conf", content = "newer\n", uid = 5 }, { path = "/bin/su", type = "remove" } })
    banger.inject(rootfs, { { path = "/srv/more", content = "" } })
    local list = handles.rootfs:diff(rootfs)
    assert.equal("removed  /bin/su\nchanged  /etc/new.conf (owner 0:0 -> 5:0, size 4 -> 6)\nadded    /srv/more", tostring(list))
    assert.same({ "removed", "changed", "added" }, { list[1].kind, list[2].kind, list[3].kind })
    assert.same({ name = "owner", a = "0:0", b = "5:0" }, list[2].attributes[1])
    assert.equal("changed  /etc/new.conf (size 4 -> 6)", tostring(handles.rootfs:diff(rootfs, { ignore = "owner", path = "/etc" })))
  end)

  it("opens what it is given by name", function()
    assert.same({}, handles.image:diff(ref))
    assert.same({}, handles.reference:diff(path))
    assert.equal("", tostring(handles.image:diff(ref)))
  end)
end)

describe("extract", function()
  on_each("puts files on this machine", function(handle)
    local dest = scratch:fresh()
    local got = handle:extract("/srv", dest)
    assert.equal("<p>\n", sh.read_file(dest .. "/index"))
    assert.same({ dest, 1, 1, 4 }, { got.path, got.files, got.directories, got.bytes })
    assert.equal(dest .. ": 4 B in 1 file, 1 directory", tostring(got):match "([^\n]*)$")
  end)
end)

describe("inspect", function()
  it("of an image is its file system", function()
    local found = handles.image:inspect()
    assert.same({ "image", path, "", 4096 }, { found.kind, found.path, found.superblock.label, found.superblock.block_size })
    assert.equal(5057, found.content.bytes)
    assert.matches("^image       " .. path:gsub("%p", "%%%0") .. "\nuuid        %x+", tostring(found))
    assert.matches("\ncontent     4%.9 KiB in 6 files, 5 directories, 1 link, 0 others$", tostring(found))
  end)

  it("of a rootfs is how much is in it", function()
    local found = handles.rootfs:inspect()
    assert.same({ "rootfs", 2, 4, 6, 1 }, { found.kind, found.usage.layers, found.content.dir, found.content.file, found.content.symlink })
    assert.matches("^layers      2\nstaged      ", tostring(found))
  end)

  it("of a reference is what its documents say, and fetches no layer", function()
    local handle <close> = banger.inspect(ref)
    local found = handle:inspect()
    assert.same({ "reference", 2, "linux/amd64", "amd64" }, { found.kind, #found.layers, found.platform, found.config.architecture })
    assert.equal(found.manifest.layers[2].digest, found.layers[2].digest)
    assert.matches("^reference   oci:.*\n2 layers, .* compressed\n  1 ", tostring(found))
    assert.is_false(opened.is_open(handle))
  end)
end)

describe("layers", function()
  it("says what each does", function()
    local found = handles.reference:layers { files = true, worst = 0 }
    assert.same({ 2, 4, 4, 4 }, { #found.layers, found.wasted_bytes, found.layers[2].added.count, found.layers[1].wasted })
    assert.same({ path = "/etc/old.conf", kind = "removed", type = "file", size = 4 }, found.layers[2].files[3])
    assert.matches("\n     %-        4 B  /etc/old.conf", tostring(found))
    assert.matches("\nwasted 4 B of 4%.9 KiB %(0%.1 %%%), efficiency 0%.9992$", tostring(found))
  end)

  it("lists what wastes most", function()
    assert.matches("\n       4 B  /etc/old.conf %(layers 1, 2%)$", tostring(handles.reference:layers()))
  end)
end)

describe("report", function()
  it("is a page", function()
    for _, kind in ipairs { "image", "reference" } do
      local out = scratch:fresh ".html"
      local got = handles[kind]:report(out, { title = "What it is" })
      local page = sh.read_file(out)
      assert.same({ out, #page }, { got.path, got.size })
      assert.matches("^<!doctype html>.*<title>What it is", page)
      assert.matches("^" .. out:gsub("%p", "%%%0") .. ": %d+%.%d KiB$", tostring(got))
    end
  end)
end)

describe("edit", function()
  it("changes an image, which is seen at once", function()
    local copy = scratch:fresh ".ext4"
    sh.check(("cp %s %s"):format(sh.quote(path), sh.quote(copy)))
    local image <close> = banger.open(copy)
    local got = image:edit("/srv/index", function(content) return content .. "more\n" end)
    assert.same({ path = "/srv/index", changed = true, size = 9 }, { path = got.path, changed = got.changed, size = got.size })
    assert.equal("/srv/index: changed, 9 bytes", tostring(got))
    assert.equal("<p>\nmore\n", image:cat "/srv/index")
    local st = image:stat "/srv/index"
    assert.same({ oct "640", 33, 33 }, { st.mode, st.uid, st.gid })
    assert.equal("/srv/index: unchanged", tostring(image:edit("/srv/index", function(content) return content end)))
    image:edit("/etc/made", function(content) return content .. "x" end, { create = true })
    assert.equal("x", image:cat "/etc/made")
    image:edit("/etc/made", "sed -i s/x/y/")
    assert.equal("y", image:cat "/etc/made")
    sh.check("PATH=$PATH:/usr/sbin:/sbin e2fsck -fn " .. sh.quote(copy) .. " 2>&1")
  end)

  it("changes a rootfs, the time with it to that of the image", function()
    local rootfs <close> = engine.rootfs(scratch:path "edited.ext4", table.unpack(LAYERS))
    rootfs:edit("/etc/passwd", function(content) return (content:gsub("web", "www")) end)
    assert.equal("root:x:0:0:::\nwww:x:33:33:::\n", rootfs:cat "/etc/passwd")
    banger.mkext4(rootfs, scratch:path "edited.ext4", { epoch = 1500000000 })
    local image <close> = banger.open(scratch:path "edited.ext4")
    assert.equal(1500000000, image:stat("/etc/passwd").mtime)
  end)

  it("writes nothing when the function fails", function()
    local before = sh.sha256(path)
    assert.has_error(function() handles.image:edit("/srv/index", function() error("no", 0) end) end, "no")
    assert.equal(before, sh.sha256(path))
  end)
end)

describe("a reference", function()
  it("is opened when it is looked into", function()
    local handle <close> = banger.inspect(ref)
    assert.is_false(opened.is_open(handle))
    assert.equal(("reference %s: 2 layers, linux/amd64, %s"):format(ref, handle.image.digest), tostring(handle))
    assert.is_true(handle:exists "/srv")
    assert.is_true(opened.is_open(handle))
  end)

  it("has the read side of an image", function()
    local handle = handles.reference
    assert.same({ "bin", "etc", "srv" }, handle:list "/")
    assert.equal("<p>\n", handle:read "/srv/index")
    assert.equal("ne", handle:read("/etc/new.conf", { size = 2 }))
    assert.equal("/bin/su", handle:resolve "/bin/sh")
    assert.equal(2, handle:stat("/srv/index").layer)
    assert.is_nil(handle:stat "/etc/old.conf")
    assert.equal(2, handle:df().layers)
    assert.equal("/srv", (handle:walk "/srv")())
  end)

  it("can be one layer", function()
    local handle <close> = banger.inspect(ref, { layer = 2 })
    assert.same({ "/etc", "/srv" }, paths(handle:ls "/"))
  end)

  it("says which layer it is, and refuses what is about all of them", function()
    local handle <close> = banger.inspect(ref, { layer = 2 })
    assert.equal(("reference %s, layer 2: of 2, linux/amd64, %s"):format(ref, handle.image.digest), tostring(handle))
    fails("not_found", ("/bin/su: not in %s, layer 2"):format(ref), handle.cat, handle, "/bin/su")
    local page = scratch:path "layer.html"
    for name, argument in pairs { inspect = false, layers = false, report = page } do
      fails("usage", ("%s, layer 2: %s is about all layers; banger.inspect without layer has it"):format(ref, name),
        handle[name], handle, argument or nil)
    end
    assert.is_nil(io.open(page))
    handle:close()
    fails("usage", ref .. ", layer 2 is closed", handle.ls, handle)
  end)

  it("of a file is the image", function()
    local image <close> = banger.inspect(path)
    assert.equal("image: " .. path, tostring(image))
  end)

  it("is closed once and for all", function()
    local handle = banger.inspect(ref)
    handle:close()
    handle:close()
    assert.equal("reference: closed", tostring(handle))
    fails("usage", ref .. " is closed", handle.ls, handle)
    fails("usage", ref .. " is closed", handle.stat, handle, "/")
  end)
end)

describe("what is closed", function()
  local page
  setup(function() page = scratch:path "closed.html" end)
  local CALLS = {
    cat = { "/etc/group" }, diff = { "PATH" }, edit = { "/etc/group", tostring }, extract = { "/etc", "OUT" }, find = {}, inspect = {},
    layers = {}, ls = {}, report = { "OUT" }, tree = {},
  }
  local function all_fail(handle, name)
    handle:close()
    for method, words in pairs(CALLS) do
      local given = {}
      for i, word in ipairs(words) do given[i] = word == "PATH" and path or word == "OUT" and page or word end
      fails("usage", name .. " is closed", handle[method], handle, table.unpack(given))
    end
    assert.is_nil(io.open(page))
    fails("usage", name .. " is closed", handles.image.diff, handles.image, handle)
  end

  it("image refuses all methods", function() all_fail(banger.open(path), "the image") end)
  it("rootfs refuses all methods", function() all_fail(engine.rootfs(scratch:path "c.ext4", LAYERS[1]), "the rootfs") end)
  it("reference refuses all methods, also when it was unpacked", function()
    all_fail(banger.inspect(ref), ref)
    local handle = banger.inspect(ref)
    handle:ls()
    all_fail(handle, ref)
  end)
end)

describe("an image", function()
  it("knows its file, and sees on demand what became of it", function()
    local copy = scratch:path "copy.ext4"
    sh.check(("cp %s %s"):format(sh.quote(path), sh.quote(copy)))
    local image <close> = banger.open(copy)
    assert.equal(copy, image:path())
    banger.inject(copy, { { path = "/etc/new.conf", content = "newer\n" } })
    assert.equal("new\n", image:read "/etc/new.conf")
    image:refresh()
    assert.equal("newer\n", image:read "/etc/new.conf")
    os.remove(copy)
    fails("not_found", "open " .. copy .. ": No such file or directory", image.refresh, image)
    assert.equal("newer\n", image:read "/etc/new.conf")
    image:close()
    assert.has_error(function() image:path() end, "calling 'path' on bad self (the image is closed)")
    assert.has_error(function() image:refresh() end, "calling 'refresh' on bad self (the image is closed)")
  end)
end)

describe("advice", function()
  it("names options as scripts do", function()
    local there, dest = scratch:path "there", scratch:fresh()
    sh.write_file(there, "mine")
    fails("usage", there .. " is there; { force = true } replaces it", handles.image.extract, handles.image, "/srv/index", there)
    assert.equal("mine", sh.read_file(there))
    local got = handles.image:extract("/bin/su", dest)
    assert.same({ { path = "/bin/su", mode = "4755" } }, got.lost.modes)
    assert.is_truthy(tostring(got):find("not kept: the mode 4755 of /bin/su ({ owner = true } keeps it, as root)\n", 1, true))
  end)

  it("is the same in what is data", function()
    local copy = scratch:path "device.ext4"
    engine.image(copy, {}, { tar.dir "d/", tar.char("d/null", 1, 3) })
    local image <close> = banger.open(copy)
    local got = image:extract("/d", scratch:fresh())
    assert.same({ { path = "/d/null", type = "char", why = "{ owner = true } keeps it, as root" } }, got.skipped)
    fails("usage", "/d/null: a character device, which has no content", image.cat, image, "/d/null")
  end)
end)

describe("at the prompt", function()
  it("what they give prints as the recipes do", function()
    assert.equal("a\\033b\ngroup\nnew.conf\npasswd", format.value(handles.image:ls "/etc"))
    assert.equal("/srv\n└── index\n\n0 directories, 1 file", format.value(handles.image:tree "/srv"))
    assert.equal("{}", format.value(handles.image:find { name = "none" }))
  end)

  it("is cut where it is long", function()
    assert.equal("a\\033b\ngroup\n... and more; print(_) prints all", format.value(handles.image:ls "/etc", { lines = 2 }))
  end)

  it("is a list inside of another", function()
    assert.equal('{ { -rw-r--r-- 0:0 4 B 2017-07-14 02:40:00 UTC "/etc/new.conf" } }',
      format.value { handles.image:find { name = "*.conf" } })
  end)
end)

describe("a mistake is named:", function()
  local function says(message, act)
    it(message, function()
      fails((message:find ": not in " or message:find ": in neither" or message:find "has no user") and "not_found" or "usage",
        (message:gsub("IMAGE", path):gsub("REF%f[%W]", ref)), act, handles.image)
    end)
  end
  says("ls: the path must be a text, not a number", function(image) image:ls(5) end)
  says("ls: unknown option 'recusive'; did you mean 'recursive'?", function(image) image:ls("/", { recusive = true }) end)
  says("ls: unknown option 'zzz'; there is directory, human_readable, long, numeric, recursive", function(image) image:ls("/", { zzz = 1 }) end)
  says("ls: options are a table, such as { directory = ... }, not a boolean", function(image) image:ls("/", true) end)
  says("ls: 'long' must be true or false, not a string", function(image) image:ls("/", { long = "yes" }) end)
  says("ls is a method of images, rootfs and references: image:ls(...), with a colon", function(image) image.ls "/etc" end)
  says("find is a method of images, rootfs and references: image:find(...), with a colon", function(image) image.find { name = "x" } end)
  says("/no: not in IMAGE", function(image) image:ls "/no" end)
  says("/no: not in REF", function() handles.reference:ls "/no" end)
  says("/no: not in the image", function() handles.rootfs:ls "/no" end)
  says("cat: the path must be a text, not nil", function(image) image:cat() end)
  says("cat: the path must be a text, not a boolean", function(image) image:cat("/etc/group", false) end)
  says("/etc: a directory; ls lists it", function(image) image:cat "/etc" end)
  says("find: unknown option 'nmae'; did you mean 'name'?", function(image) image:find { nmae = "x" } end)
  says("find: type: 'x' is no type; f, d, l, c, b, p, s expected, several with commas", function(image) image:find { type = "x" } end)
  says("find: perm: '999' is no mode; octal digits expected, after / for any of the bits, after - for all of them",
    function(image) image:find { perm = "999" } end)
  says("find: maxdepth: '-1' is no number from 0 on", function(image) image:find { maxdepth = -1 } end)
  says("find: 'name' must be a text or a whole number, not a table", function(image) image:find { name = {} } end)
  says("find: 'empty' must be true or false, not a number", function(image) image:find { empty = 1 } end)
  says("IMAGE has no user 'nobody'", function(image) image:find { user = "nobody" } end)
  says("tree: depth is a number of levels from 1 on, not 0", function(image) image:tree("/", { depth = 0 }) end)
  says("tree: 'depth' must be a whole number, not a string", function(image) image:tree("/", { depth = "1" }) end)
  says("inspect: the target must be a text, not a table", function() banger.inspect {} end)
  says("inspect: unknown option 'plattform'; did you mean 'platform'?", function() banger.inspect(ref, { plattform = "x" }) end)
  says("inspect: 'pull' is one of always, missing, never", function() banger.inspect(ref, { pull = "sometimes" }) end)
  says("inspect: layer is a number from 1 on, not 0", function() banger.inspect(ref, { layer = 0 }) end)
  says("REF has 2 layers: there is no layer 3", function() banger.inspect(ref, { layer = 3 }) end)
  says("diff: the other must be an image, a rootfs, a reference or a name of one, not a table", function(image) image:diff {} end)
  says("diff: the other must be an image, a rootfs, a reference or a name of one, not a userdata", function(image) image:diff(io.stdout) end)
  says("diff: ignore: 'size ' is none of type, mode, owner, size, content, target, device, xattr, links, mtime",
    function(image) image:diff(handles.rootfs, { ignore = "mode,size " }) end)
  says("/no: in neither of the two", function(image) image:diff(handles.rootfs, { path = "/no" }) end)
  says("extract: the destination must be a text, not nil", function(image) image:extract "/etc" end)
  says("/no: not in IMAGE", function(image) image:extract("/no", scratch:fresh()) end)
  says("extract: 'force' must be true or false, not a number", function(image) image:extract("/etc", "x", { force = 1 }) end)
  says("IMAGE is an ext4 image, which has no layers; name the reference it was made of", function(image) image:layers() end)
  says("a rootfs does not keep its layers apart; banger.inspect(REFERENCE) does", function() handles.rootfs:layers() end)
  says("layers: 'worst' must be a whole number, not a string", function() handles.reference:layers { worst = "all" } end)
  says("a rootfs has no report yet; banger.mkext4 makes an image of it, which has", function() handles.rootfs:report(scratch:fresh()) end)
  says("report: the output must be a text, not nil", function(image) image:report() end)
  says("IMAGE is there and is no page of HTML: name another file, or remove it", function(image) image:report(path) end)
  says("REF is a reference, of which nothing can be edited; pull it, and edit the image", function() handles.reference:edit "/etc/group" end)
  says("edit: an editor's name or a function is expected, not a table", function(image) image:edit("/etc/group", { create = true }) end)
  says("/etc/group: the function returned a nil instead of the new content; nothing was written",
    function(image) image:edit("/etc/group", function() end) end)
  says("'etc/group' is no path of a file in the image, from / on", function(image) image:edit("etc/group", tostring) end)
  says("/etc: a directory; only files can be edited", function(image) image:edit("/etc", tostring) end)
  says("/no: not in IMAGE; { create = true } makes it", function(image) image:edit("/no", tostring) end)
  it("no layers in a file", function()
    fails("usage", path .. " is an ext4 image, which has no layers; name the reference it was made of", banger.inspect, path, { layer = 1 })
  end)
end)
