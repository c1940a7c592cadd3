-- Looking into images, from the command line: what ls, cat, stat, find, tree, df, extract,
-- inspect, layers, diff and edit say, compared with what other tools say of the same image.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local cjson = require "cjson"
local engine = require "support.engine"
local json = require "support.json"
local need = require "support.need"
local oci = require "support.oci"
local random_layers = require "support.random_layers"
local registry = require "support.registry"
local sh = require "support.sh"
local tar = require "support.tar"

local SBIN = "PATH=$PATH:/usr/sbin:/sbin LC_ALL=C TZ=UTC "
local function oct(digits) return tonumber(digits, 8) end
local function bytes(n, char) return (char or "x"):rep(n) end

local NET_RAW = "\1\0\0\2\0\32\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
local GROUP = "root:x:0:\nweb:x:33:web\n"
local PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/:/bin/false\n"

-- The image that most is about.
local LAYERS = {
  {
    tar.dir "./", tar.dir "etc/", tar.file("etc/passwd", PASSWD, { mtime = 1577934245 }), tar.file("etc/group", GROUP),
    tar.file("etc/app.conf", "a = 1\n", { mode = oct "640", gid = 33 }), tar.dir("bin/", { mode = oct "755" }),
    tar.file("bin/ping", bytes(5000, "p"), { mode = oct "755", xattrs = { ["security.capability"] = NET_RAW } }),
    tar.file("bin/su", bytes(12345, "s"), { mode = oct "4755" }), tar.symlink("bin/sh", "ping"), tar.symlink("lib", "/usr/lib"),
    tar.dir "usr/", tar.dir "usr/lib/", tar.file("usr/lib/old.so", bytes(70000, "o")), tar.hardlink("usr/lib/also.so", "usr/lib/old.so"),
    tar.dir("tmp/", { mode = oct "1777" }), tar.file("big", bytes(1 << 20, "b")),
  },
  {
    tar.dir "var/", tar.dir("var/www/", { uid = 33, gid = 33 }), tar.file("var/www/index.html", "<p>\n", { uid = 33, gid = 33, mtime = 1600000001 }),
    tar.file("etc/app.conf", "a = 2\nb = 3\n", { mode = oct "640", gid = 33 }), tar.file ".wh.big", tar.file("empty", ""),
    tar.symlink("dangling", "/nowhere"), tar.symlink("etc/self", "self"),
  },
}

local scratch, layout, ref, image
setup(function()
  scratch = sh.scratch()
  layout = scratch:path "layout"
  oci.write(layout, { tag = "t", layers = { { tar = tar.archive(LAYERS[1]) }, { tar = tar.archive(LAYERS[2]), compress = "gzip" } }, config = {
    config = { Entrypoint = json.array { "/bin/su" }, Cmd = json.array { "-x", "two words" }, Env = json.array { "A=1", "B=\27[31m" }, User = "web" },
    history = json.array { { created = "2020-01-01T00:00:00Z", created_by = "COPY a\tb" }, { created_by = "ENV A=1", empty_layer = true },
      { created_by = "RUN x" } },
  } })
  ref = "oci:" .. layout .. ":t"
  image = scratch:path "image.ext4"
  engine.image(image, { label = "the label" }, LAYERS[1], LAYERS[2])
end)
teardown(function() scratch:remove() end)

--- Runs banger-lua with words; `before` is shell before it.
local function run(words, before)
  local err = scratch:fresh ".err"
  local line = sh.line(sh.banger(), table.unpack(words))
  local out, code = sh.run(("%s %s 2>%s </dev/null"):format(before or "", line, err))
  return { out = out, code = code, err = sh.read_file(err) }
end

local function out(...)
  local got = run { ... }
  assert.same({ 0, "" }, { got.code, got.err })
  return got.out
end

local function object(...) return cjson.decode(out(...)) end

local function fails(code, message, ...)
  assert.same({ out = "", code = code, err = "banger-lua: " .. message .. "\n" }, run { ... })
end

local function both(act)
  act(image)
  act(ref)
end

-- ---- ls, cat, stat, find, tree, df -------------------------------------------------------

describe("ls", function()
  it("lists names, sorted by their bytes", function()
    assert.equal("bin\ndangling\nempty\netc\nlib\ntmp\nusr\nvar\n", out("ls", ref))
    assert.equal("bin\ndangling\nempty\netc\nlib\nlost+found\ntmp\nusr\nvar\n", out("ls", image))
    both(function(target)
      assert.equal("app.conf\ngroup\npasswd\nself\n", out("ls", target, "etc"))
      assert.equal("also.so\nold.so\n", out("ls", target, "/lib/"))
      assert.equal("/bin/su\n", out("ls", target, "/bin/su"))
    end)
  end)

  it("tells with -l what ls -l does", function()
    both(function(target)
      assert.equal("lrwxrwxrwx 1 root root     4 2017-07-14 02:40 sh -> ping\n", (out("ls", "-l", target, "/bin"):match "\n(.*sh.-\n)"))
      assert.equal("-rw-r----- 1 root web 12 2017-07-14 02:40 /etc/app.conf\n", out("ls", "-l", target, "/etc/app.conf"))
      assert.equal("-rw-r----- 1 0 33 12 2017-07-14 02:40 /etc/app.conf\n", out("ls", "-ln", target, "/etc/app.conf"))
      assert.equal("-rwsr-xr-x 1 root root 13K 2017-07-14 02:40 /bin/su\n", out("ls", "-lh", target, "/bin/su"))
      assert.equal("drwxrwxrwt", out("ls", "-ld", target, "/tmp"):sub(1, 10))
      assert.equal("lrwxrwxrwx 1 root root 8 2017-07-14 02:40 /lib -> /usr/lib\n", out("ls", "-l", target, "/lib"))
    end)
  end)

  it("goes down with -R, and names each directory", function()
    both(function(target)
      assert.equal("/usr:\nlib\n\n/usr/lib:\nalso.so\nold.so\n", out("ls", "-R", target, "/usr"))
      assert.equal("/bin/su\n\n/tmp:\n\n/etc:\napp.conf\ngroup\npasswd\nself\n", out("ls", target, "/tmp", "/bin/su", "/etc"))
    end)
  end)

  it("is JSON with --json", function()
    both(function(target)
      local list = object("ls", "--json", target, "/var/www")
      assert.equal(1, #list)
      local st = list[1]
      assert.same({ "/var/www/index.html", "file", "0644", 33, "web", "web", 4, 1600000001 },
        { st.path, st.type, st.mode, st.uid, st.user, st.group, st.size, st.mtime })
    end)
  end)

  it("sees of one layer what it brings", function()
    assert.equal("/:\ndangling\nempty\netc\nvar\n\n/etc:\napp.conf\nself\n\n/var:\nwww\n\n/var/www:\nindex.html\n",
      out("ls", "-R", "--layer", "2", ref))
    assert.equal("big\nbin\netc\nlib\ntmp\nusr\n", out("ls", "--layer", "1", ref))
    assert.equal("a = 1\n", out("cat", "--layer", "1", ref, "/etc/app.conf"))
    fails(2, ("/etc/passwd: not in %s, layer 2"):format(ref), "stat", "--layer", "2", ref, "/etc/passwd")
  end)
end)

describe("cat", function()
  it("prints files byte for byte, through links", function()
    both(function(target)
      assert.equal("a = 2\nb = 3\n" .. PASSWD, out("cat", target, "/etc/app.conf", "/etc/passwd"))
      assert.equal(bytes(70000, "o"), out("cat", target, "/lib/also.so"))
      assert.equal("", out("cat", target, "/empty"))
    end)
  end)

  it("keeps all bytes of a large file", function()
    local path, content = scratch:path "cat.ext4", scratch:path "content"
    sh.check("head -c 5000001 /dev/urandom >" .. content)
    engine.image(path, nil, { tar.file("f", sh.read_file(content)) })
    sh.check(("%s cat %s /f | cmp - %s"):format(sh.quote(sh.banger()), path, content))
  end)

  it("prints nothing when one of the files is none", function()
    both(function(target)
      fails(1, "/etc: a directory; ls lists it", "cat", target, "/etc/passwd", "/etc")
      fails(2, "/etc/absent: not in " .. target, "cat", target, "/etc/passwd", "/etc/absent")
      fails(2, "/dangling: a link that leads nowhere in " .. target, "cat", target, "/dangling")
    end)
  end)

  it("is JSON with --json", function()
    assert.same({ { path = "/empty", size = 0, content = "", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" } },
      object("cat", "--json", image, "/empty"))
  end)
end)

describe("stat", function()
  it("tells all that is known", function()
    assert.equal([[
path      /bin/ping
type      file
mode      0755 -rwxr-xr-x
owner     0:0 (root:root)
size      5000
links     1
layer     1
modified  2017-07-14 02:40:00.000000000 UTC (1500000000)
xattr     security.capability = cap_net_raw=ep
]], out("stat", ref, "/bin/ping"))
    assert.equal([[
path      /bin/sh
type      symlink
target    ping
mode      0777 lrwxrwxrwx
owner     0:0 (root:root)
size      4
links     1
layer     1
modified  2017-07-14 02:40:00.000000000 UTC (1500000000)
]], out("stat", ref, "/bin/sh"))
    assert.matches("^path      /bin/ping\n", out("stat", "-L", ref, "/bin/sh"))
  end)

  it("tells of an image what debugfs tells", function()
    local shown = sh.check(SBIN .. sh.line("debugfs", "-R", "stat /var/www/index.html", image) .. " 2>/dev/null")
    local st = object("stat", "--json", image, "/var/www/index.html")[1]
    local function time(name)
      local seconds, extra = shown:match("\n *" .. name .. ": 0x(%x+):(%x+)")
      return { tonumber(seconds, 16), tonumber(extra, 16) >> 2 }
    end
    for _, name in ipairs { "atime", "mtime", "ctime", "crtime" } do assert.same(time(name), { st[name], st[name .. "_nsec"] }) end
    assert.same({ tonumber(shown:match "Inode: (%d+)"), tonumber(shown:match "Blockcount: (%d+)"), tonumber(shown:match "Links: (%d+)") },
      { st.ino, st.blocks, st.nlink })
    assert.same({ 33, 33, "0644", "-rw-r--r--" }, { st.uid, st.gid, st.mode, st.mode_text })
  end)

  it("shows devices, times with their fractions, and attributes", function()
    local path = scratch:path "stat.ext4"
    local rootfs <close> = banger.rootfs { near = path }
    local acl = "\2\0\0\0\1\0\6\0\255\255\255\255\2\0\4\0\232\3\0\0\4\0\4\0\255\255\255\255\16\0\4\0\255\255\255\255\32\0\0\0\255\255\255\255"
    banger.inject(rootfs, {
      { path = "/null", type = "char", major = 1, minor = 3, mode = oct "666" },
      { path = "/f", content = "", mtime = -1.5, mode = oct "640", xattrs = {
        ["system.posix_acl_access"] = acl, ["user.note"] = "hi\n", ["user.raw"] = "\0\1",
      } },
    })
    banger.mkext4(rootfs, path)
    assert.matches("\ndevice    1, 3\nmode      0666 crw%-rw%-rw%-\n", out("stat", path, "/null"))
    local text = out("stat", path, "/f")
    assert.matches("\nmodified  1969%-12%-31 23:59:58%.500000000 UTC %(%-2%)\n", text)
    assert.matches("\nxattr     system.posix_acl_access = user::rw%-,user:1000:r%-%-,group::r%-%-,mask::r%-%-,other::%-%-%-\n", text)
    assert.matches('\nxattr     user.note = "hi\\n"\nxattr     user.raw = 0x0001\n', text)
  end)
end)

describe("find", function()
  local function find(...) return out("find", ...) end

  it("finds by name, path, type, size, owner, mode and attribute", function()
    both(function(target)
      assert.equal("/etc/app.conf\n", find(target, "-name", "*.conf"))
      assert.equal("/usr/lib/also.so\n/usr/lib/old.so\n", find(target, "--path", "/usr/*.so"))
      assert.equal("/bin/sh\n/dangling\n/etc/self\n/lib\n", find(target, "-type", "l"))
      assert.equal("/bin/ping\n/bin/su\n", find(target, "/bin", "-type", "f", "-size", "-20K"))
      assert.equal("/usr/lib/also.so\n/usr/lib/old.so\n", find(target, "-size", "+20K"))
      assert.equal("/bin/ping\n", find(target, "-size", "5000"))
      assert.equal("/var/www\n/var/www/index.html\n", find(target, "-user", "web"))
      assert.equal("/var/www\n/var/www/index.html\n", find(target, "-uid", "+5"))
      assert.equal("/etc/app.conf\n/var/www\n/var/www/index.html\n", find(target, "-group", "33"))
      assert.equal("/bin/su\n", find(target, "-perm", "/6000"))
      assert.equal("/etc/app.conf\n", find(target, "-perm", "640"))
      assert.equal("/bin/ping\n/bin/su\n", find(target, "-perm", "-111", "-type", "f"))
      assert.equal("/bin/ping\n", find(target, "-xattr", "security.*"))
      assert.equal("/usr/lib/also.so\n/usr/lib/old.so\n", find(target, "-links", "2", "-type", "f"))
      assert.equal("/etc/passwd\n/var/www/index.html\n", find(target, "-newer", "/etc/group", "-type", "f"))
      assert.equal("/empty\n", find(target, "-empty", "-type", "f"))
      assert.equal("/usr\n/usr/lib\n", find(target, "/usr", "-maxdepth", "1"))
      assert.equal("/lib\n", find(target, "/lib"))
      assert.equal("/usr/lib\n", find(target, "/lib/", "-type", "d"))
    end)
  end)

  it("says what GNU find says of what umoci unpacks", function()
    local reason = need.all(need.root(), need.program "umoci")
    if reason then return pending(reason) end
    local bundle = scratch:fresh()
    sh.check(sh.line("umoci", "unpack", "--image", layout .. ":t", bundle))
    local function gnu(condition) return sh.check(("cd %s/rootfs && find . %s -printf '/%%P\\n' | LC_ALL=C sort"):format(bundle, condition)) end
    local function ours(...)
      local path = scratch:fresh()
      sh.write_file(path, find(ref, ...))
      return sh.check("LC_ALL=C sort " .. path)
    end
    assert.equal(gnu "", ours())
    assert.equal(gnu "-type f -size +4999c", ours("-type", "f", "-size", "+4999"))
    assert.equal(gnu "-perm -4000", ours("-perm", "-4000"))
    assert.equal(gnu "-user 33 -name 'i*'", ours("-user", "web", "-name", "i*"))
    assert.equal(gnu "-empty -type f", ours("-empty", "-type", "f"))
    -- And ls -l: mode, links, owners, size, time of all that is no directory.
    local gnu_ls = sh.check(("export TZ=UTC; cd %s/rootfs && find . ! -type d -printf "
      .. "'%%M %%n %%U %%G %%s %%TY-%%Tm-%%Td %%TH:%%TM /%%P %%l\\n' | LC_ALL=C sort -k 8"):format(bundle))
    local lines = {}
    for _, path in ipairs(cjson.decode(out("find", "--json", ref))) do
      if path.type ~= "dir" then
        local line = out("ls", "-ln", ref, path.path):gsub("\n", "")
        lines[#lines + 1] = (path.target and line:gsub(" %-> ", " ") or line .. " ") .. "\n"
      end
    end
    local ours_path = scratch:fresh()
    sh.write_file(ours_path, table.concat(lines))
    assert.equal(gnu_ls, sh.check("LC_ALL=C sort -k 8 " .. ours_path))
  end)

  it("knows names whatever their case, and short options together", function()
    assert.equal("/etc/app.conf\n", out("find", image, "-iname", "APP.C*"))
    assert.equal("/etc/app.conf\0", out("find", image, "-q0", "-name", "app.conf"))
  end)

  it("ends paths with a zero byte on demand", function()
    assert.equal("/bin/su\0", find(image, "-name", "su", "-print0"))
    assert.equal("/bin/su\0", find(image, "-0", "--name=su"))
    assert.equal("/bin/su\n", find(image, "-name", "su", "-print"))
  end)

  it("says what it does not understand", function()
    for words, message in pairs {
      ["-type x"] = "-type: 'x' is no type; f, d, l, c, b, p, s expected, several with commas (see --help)",
      ["-size 3Q"] = "-size: '3Q' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)",
      ["-perm 888"] = "-perm: '888' is no mode; octal digits expected, after / for any of the bits, after - for all of them (see --help)",
      ["-perm 17777"] = "-perm: '17777' is no mode; octal digits expected, after / for any of the bits, after - for all of them (see --help)",
      ["-uid me"] = "-uid: 'me' is no number (see --help)",
      ["-maxdepth -1"] = "-maxdepth: '-1' is no number from 0 on (see --help)",
    } do
      local option, value = words:match "^(%S+) (%S+)$"
      fails(1, message, "find", image, option, value)
    end
    local known = "-gid, -group, -iname, -links, -maxdepth, -name, -newer, -path, -perm, -size, -type, -uid, -user, -xattr, -empty"
    for _, word in ipairs { "-not", "-mtime", "-prune", "-qx" } do
      fails(1, ("%s is no condition here; there are %s (see --help)"):format(word, known), "find", image, word, "3")
    end
    fails(1, "-name needs a value (see --help)", "find", image, "-name")
    fails(2, ("%s has no user 'nobody'"):format(image), "find", image, "-user", "nobody")
    fails(2, ("%s has no group 'wheel'"):format(image), "find", image, "-group", "wheel")
    fails(2, "/absent: not in " .. image, "find", image, "/absent")
  end)
end)

describe("tree", function()
  it("draws", function()
    assert.equal([[
/usr
└── lib
    ├── also.so
    └── old.so

1 directory, 2 files
]], out("tree", ref, "/usr"))
    assert.equal([[
/
|-- bin
|-- etc
|-- tmp
|-- usr
|   `-- lib
`-- var
    `-- www

7 directories
]], out("tree", "-d", "--ascii", ref))
    assert.equal("/\n├── bin\n├── dangling -> /nowhere\n├── empty\n├── etc\n├── lib -> /usr/lib\n├── tmp\n├── usr\n└── var\n\n"
      .. "5 directories, 3 files\n", out("tree", "-L", "1", ref))
  end)

  it("sums sizes up, a file of two names once", function()
    assert.equal("   69K  /usr\n└──    69K  lib\n    ├──    69K  also.so\n    └──    69K  old.so\n\n1 directory, 2 files\n",
      out("tree", "-s", image, "/usr"))
  end)

  it("is JSON with --json", function()
    local list = object("tree", "--json", "-s", image, "/usr")
    assert.same({ { "/usr", 0, 70000 }, { "/usr/lib", 1, 70000 } },
      { { list[1].path, list[1].depth, list[1].size }, { list[2].path, list[2].depth, list[2].size } })
  end)
end)

describe("df", function()
  it("says what dumpe2fs says", function()
    local shown = sh.check(SBIN .. "dumpe2fs -h " .. image .. " 2>/dev/null")
    local function field(name) return tonumber(shown:match("\n" .. name .. ": +(%d+)")) end
    local df = object("df", "--json", image)
    assert.same({ field "Block count" * 4096, field "Free blocks" * 4096, field "Inode count", field "Free inodes" },
      { df.size, df.free, df.inodes, df.inodes_free })
    local lines = out("df", image)
    assert.matches(("\nbytes +%d +%d +%d +%%d+%%%%\n"):format(df.size, df.used, df.free), lines)
    assert.matches(("\ninodes +%d +%d +%d +%%d+%%%%\n"):format(df.inodes, df.inodes_used, df.inodes_free), lines)
    assert.matches(("\nbytes +%dM "):format(math.ceil(df.size / 1048576)), out("df", "-h", image))
  end)

  it("knows of a reference what its contents take", function()
    assert.matches("\nbytes +%- +%d+ +%- +%-\ninodes +%- +21 +%- +%-\n$", out("df", ref))
  end)
end)

-- ---- extract -----------------------------------------------------------------------------

local SURVEY = [[cd %s && find . -type d -printf '%%P %%y %%m %%T@\n' -o -printf '%%P %%y %%m %%s %%T@ %%n %%l\n' | LC_ALL=C sort]]

describe("extract", function()
  it("puts a file under a name, or into a directory", function()
    both(function(target)
      local dir = scratch:mkdir(scratch:fresh():match "[^/]*$")
      local got = run { "extract", target, "/etc/app.conf", dir .. "/copy" }
      assert.same({ out = "", code = 0, err = ("banger-lua: not kept: the owner 0:33 of /etc/app.conf (--owner keeps it, as root)\n"
        .. "banger-lua: %s/copy: 12 B in 1 file, 0 directories\n"):format(dir) }, got)
      assert.equal("", out("extract", "-q", target, "/bin/su", dir))
      assert.same({ "a = 2\nb = 3\n", bytes(12345, "s") }, { sh.read_file(dir .. "/copy"), sh.read_file(dir .. "/su") })
      -- Nobody's program runs as root for having been looked at.
      assert.equal("640 1500000000\n755 1500000000\n", sh.check(("stat -c '%%a %%Y' %s/copy %s/su"):format(dir, dir)))
      assert.equal("copy\nsu\n", sh.check("ls -A " .. dir))
    end)
  end)

  it("puts a tree there, as umoci does", function()
    local reason = need.all(need.root(), need.program "umoci")
    if reason then return pending(reason) end
    local bundle, ours, owned = scratch:fresh(), scratch:fresh(), scratch:fresh()
    sh.check(sh.line("umoci", "unpack", "--image", layout .. ":t", bundle))
    -- Without owners there are no set-id bits.
    assert.equal("", out("extract", "-q", ref, "/", ours))
    local want = sh.check(SURVEY:format(bundle .. "/rootfs")):gsub("f 4755", "f 755")
    assert.equal(want, sh.check(SURVEY:format(ours)))
    sh.check(("diff -r --no-dereference %s/rootfs %s"):format(bundle, ours))
    assert.equal("0 0\n", sh.check("stat -c '%u %g' " .. ours .. "/var/www"))
    assert.equal("", out("extract", "-q", "--owner", image, "/var", owned))
    assert.equal("33 33 644\n", sh.check("stat -c '%u %g %a' " .. owned .. "/www/index.html"))
    assert.equal("", out("extract", "-q", "--owner", image, "/bin/su", owned))
    assert.equal("0 0 4755\n", sh.check("stat -c '%u %g %a' " .. owned .. "/su"))
  end)

  it("keeps hard links, holes, and directories that nobody may write to", function()
    local path, dest = scratch:path "extract.ext4", scratch:fresh()
    engine.image(path, nil, {
      tar.dir("ro/", { mode = oct "555" }), tar.file("ro/a", bytes(9), { mode = oct "444" }), tar.hardlink("ro/b", "ro/a"),
      tar.file("hole", ("\0"):rep(3 << 20) .. "end"), tar.file("zeros", ("\0"):rep(2 << 20)),
    })
    assert.equal("", out("extract", "-q", path, "/", dest))
    assert.equal("2\n", sh.check(("stat -c %%h %s/ro/b"):format(dest)))
    assert.equal("555\n", sh.check(("stat -c %%a %s/ro"):format(dest)))
    sh.check(("chmod 755 %s/ro"):format(dest)) -- so that it can be removed
    assert.equal("", sh.check(("head -c 3145728 /dev/zero | cmp -n 3145728 - %s/hole && tail -c 3 %s/hole | grep -qx end && "
      .. "head -c 2097152 /dev/zero | cmp - %s/zeros"):format(dest, dest, dest)))
    assert.is_true(tonumber(sh.check(("stat -c %%b %s/hole"):format(dest))) <= 2048 + 16)
  end)

  it("keeps holes of a block and more, and what is no hole", function()
    local path, dest = scratch:path "holes.ext4", scratch:fresh()
    local content = scratch:path "sparse"
    -- Data at the block's end, at a start, a tail of zeros that is no block, and one that is.
    sh.check(([[truncate -s 5M %s && printf x | dd of=%s bs=1 seek=8191 conv=notrunc status=none
      printf y | dd of=%s bs=1 seek=1048576 conv=notrunc status=none; printf z | dd of=%s bs=1 seek=3145727 conv=notrunc status=none]])
      :format(content, content, content, content))
    engine.image(path, nil, { tar.file("a", sh.read_file(content)), tar.file("b", sh.read_file(content) .. "\0\0\0"),
      tar.file("c", ("\0"):rep(4095)), tar.file("d", ("\0"):rep(4096)), tar.file("e", "") })
    assert.equal("", out("extract", "-q", path, "/", dest))
    local function same(command, name) return sh.check(("%s | cmp - %s/%s"):format(command, dest, name)) end
    same("cat " .. content, "a")
    same(("{ cat %s; printf '\\0\\0\\0'; }"):format(content), "b")
    same("head -c 4095 /dev/zero", "c")
    same("head -c 4096 /dev/zero", "d")
    same("true", "e")
    -- Three blocks of data, and the last.
    local blocks = tonumber(sh.check("stat -c %b " .. dest .. "/a"))
    assert.is_true(blocks <= 4 * 8 + 16, blocks .. " blocks")
  end)

  it("does not read holes, however large", function()
    local source, path, dest = scratch:mkdir "huge", scratch:path "huge.ext4", scratch:fresh()
    sh.check(("truncate -s 2T %s/f && printf x | dd of=%s/f bs=1 seek=1500000000000 conv=notrunc status=none"):format(source, source))
    sh.check(SBIN .. ("mke2fs -q -t ext4 -d %s %s 16M"):format(source, path))
    -- Reading it would take half an hour.
    sh.check(sh.line("timeout", "120", sh.banger(), "extract", "-q", path, "/f", dest))
    assert.equal("2199023255552\n", sh.check("stat -c %s " .. dest))
    assert.equal("x", sh.check("dd if=" .. dest .. " bs=1 skip=1500000000000 count=1 status=none"))
    assert.equal("", sh.check(sh.line("timeout", "120", sh.banger(), "diff", path, path)))
    local other = scratch:path "huge-other.ext4"
    sh.check(("printf y | dd of=%s/f bs=1 seek=1500000000000 conv=notrunc status=none"):format(source))
    sh.check(SBIN .. ("mke2fs -q -t ext4 -d %s %s 16M"):format(source, other))
    assert.equal("changed  /f (content)\n", run({ "diff", path, other }).out)
  end)

  local ACL = "\2\0\0\0\1\0\6\0\255\255\255\255\2\0\4\0\232\3\0\0\4\0\4\0\255\255\255\255\16\0\4\0\255\255\255\255\32\0\0\0\255\255\255\255"
  local DEFAULT = "\2\0\0\0\1\0\7\0\255\255\255\255\4\0\5\0\255\255\255\255\32\0\5\0\255\255\255\255"
  local RICH = {
    tar.dir("d/", { mode = oct "2755", mtime = 1500000007, xattrs = { ["system.posix_acl_default"] = DEFAULT } }),
    tar.file("d/noted", "1", { mode = oct "444", mtime = 1500000008, xattrs = { ["user.note"] = "hi\0\xff" } }),
    tar.hardlink("d/again", "d/noted"),
    tar.file("d/acl", "2", { mode = oct "640", xattrs = { ["system.posix_acl_access"] = ACL } }),
    tar.file("d/ping", "3", { mode = oct "755", xattrs = { ["security.capability"] = NET_RAW } }),
    tar.file("d/su", "4", { mode = oct "6755", uid = 5, gid = 6 }), tar.dir("d/t/", { mode = oct "1777", uid = 5, gid = 6 }),
    tar.char("d/null", 1, 3), tar.char("d/zero", 1, 5), tar.fifo "d/p", tar.hardlink("d/p2", "d/p"),
    tar.symlink("d/l", "noted"), tar.hardlink("d/l2", "d/l"),
  }

  local function attributes_of(path)
    return (sh.check("getfattr -h -d -m - --absolute-names -e hex " .. sh.quote(path)):gsub("#[^\n]*\n", ""):gsub("\n+$", ""))
  end

  it("keeps what gives nobody rights, and names what it does not keep", function()
    local reason = need.all(need.root(), need.program("getfattr", "getfacl"))
    if reason then return pending(reason) end
    local path, dest = scratch:path "rich.ext4", scratch:fresh()
    engine.image(path, nil, RICH)
    local got = run { "extract", path, "/d", dest }
    assert.same({ out = "", code = 0, err = ([[
banger-lua: skipped 2 character devices: /d/null, /d/zero (--owner keeps it, as root)
banger-lua: not kept: security.capability of /d/ping (--owner keeps it, as root)
banger-lua: not kept: the mode 6755 of /d/su, 2755 of /d (--owner keeps it, as root)
banger-lua: not kept: the owner 5:6 of 2 files (--owner keeps it, as root)
banger-lua: %s: 4 B in 4 files, 2 directories, 4 links
]]):format(dest) }, got)
    assert.equal("user.note=0x686900ff", attributes_of(dest .. "/noted"))
    assert.equal("", attributes_of(dest .. "/ping"))
    assert.equal("user::rw-\nuser:1000:r--\ngroup::r--\nmask::r--\nother::---\n\n", sh.check(("getfacl -cpn %s/acl"):format(dest)))
    assert.equal("user::rwx\ngroup::r-x\nother::r-x\ndefault:user::rwx\ndefault:group::r-x\ndefault:other::r-x\n\n",
      sh.check("getfacl -cpn " .. dest))
    -- What is in it was there before its default ACL, and has none.
    assert.equal("", sh.check(("cd %s && getfacl -sn noted ping su t p"):format(dest)))
    assert.equal("444 2 1500000008\n640 1 1500000000\n755 1 1500000000\n755 1 1500000000\n1777 2 1500000000\n644 2 1500000000\n755 3 1500000007\n",
      sh.check(("cd %s && stat -c '%%a %%h %%Y' noted acl ping su t p ."):format(dest)))
    assert.equal("fifo\nfifo\nsymbolic link\n", sh.check(("cd %s && stat -c %%F p p2 l2"):format(dest)))
    assert.equal(sh.check(("cd %s && stat -c %%i noted p l"):format(dest)), sh.check(("cd %s && stat -c %%i again p2 l2"):format(dest)))
    assert.equal("acl\nagain\nl\nl2\nnoted\np\np2\nping\nsu\nt\n", sh.check("LC_ALL=C ls -A " .. dest))
    local all = object("extract", "--json", path, "/d", scratch:fresh())
    local why = "--owner keeps it, as root"
    assert.same({
      owners = { { uid = 5, gid = 6, count = 2, path = "/d/su" } },
      modes = { { path = "/d/su", mode = "6755" }, { path = "/d", mode = "2755" } },
      xattrs = { { path = "/d/ping", name = "security.capability", why = why } },
    }, all.lost)
    assert.same({ { path = "/d/null", type = "char", why = why }, { path = "/d/zero", type = "char", why = why } }, all.skipped)
    assert.same({ 4, 4, 2, 2, 3 }, { all.files, all.bytes, all.directories, all.symlinks + 1, all.hardlinks })
    fails(1, "/d/null: a character device, which has no content", "extract", path, "/d/null", scratch:fresh())
    fails(1, "/d/null: a character device, which has no content", "cat", path, "/d/null")
  end)

  it("keeps all of it for root who asks for that", function()
    local reason = need.all(need.root(), need.program "getfattr")
    if reason then return pending(reason) end
    local path, dest = scratch:path "rich-owner.ext4", scratch:fresh()
    engine.image(path, nil, RICH)
    local probe = scratch:fresh()
    local may_make = select(2, sh.run(("mknod %s c 1 3 2>/dev/null"):format(probe))) == 0
    local got = run { "extract", "--owner", path, "/d", dest }
    assert.same({ "", 0 }, { got.out, got.code })
    assert.equal("security.capability=0x0100000200200000000000000000000000000000", attributes_of(dest .. "/ping"))
    assert.equal("6755 5:6\n1777 5:6\n2755 0:0\n", sh.check(("cd %s && stat -c '%%a %%u:%%g' su t ."):format(dest)))
    if may_make then
      assert.equal(("banger-lua: %s: 4 B in 4 files, 2 directories, 4 links\n"):format(dest), got.err)
      assert.equal("character special file 1 3 1500000000\n", sh.check(("cd %s && stat -c '%%F %%t %%T %%Y' null"):format(dest)))
    else
      assert.matches("skipped 2 character devices: /d/null, /d/zero %(Operation not permitted%)", got.err)
    end
  end)

  it("keeps as an ordinary user what such a user may have", function()
    local reason = need.all(need.root(), need.program("setpriv", "getfattr"))
    if reason then return pending(reason) end
    local path, dir = scratch:path "rich-user.ext4", scratch:mkdir "user"
    engine.image(path, nil, RICH)
    sh.check(("chmod 711 %s && chmod 644 %s && chown 4242:4242 %s"):format(scratch.dir, path, dir))
    local as_user = "setpriv --reuid 4242 --regid 4242 --clear-groups"
    local got = run({ "extract", path, "/d", dir .. "/d" }, as_user)
    assert.same({ "", 0 }, { got.out, got.code })
    assert.matches("\nbanger%-lua: not kept: the owner 0:0 of 6 files, 5:6 of 2 files %(%-%-owner keeps it, as root%)\n", got.err)
    assert.equal("user.note=0x686900ff", attributes_of(dir .. "/d/noted"))
    assert.equal("444 4242\n755 4242\n", sh.check(("cd %s/d && stat -c '%%a %%u' again su"):format(dir)))
    local refused = run({ "extract", "--owner", path, "/d", dir .. "/e" }, as_user)
    assert.same({ "", 1, "banger-lua: owners can be set by root only; leave out --owner\n" }, { refused.out, refused.code, refused.err })
    assert.equal("d\n", sh.check("ls -A " .. dir))
  end)

  it("says why it could not keep an attribute", function()
    local path, entries = scratch:path "xattrs.ext4", {}
    -- Linux has user. attributes on files and directories only.
    for i = 1, 5 do entries[i] = tar.fifo("d/" .. i, { uid = 0, gid = 0, xattrs = { ["user.\27"] = "1" } }) end
    engine.image(path, nil, entries)
    local got = run { "extract", path, "/d", scratch:fresh() }
    assert.equal(0, got.code)
    assert.matches("^banger%-lua: not kept: user%.\\033 of /d/1, /d/2, /d/3 and 2 more %(Operation not permitted%)\n", got.err)
  end)

  it("says which file found no space, and ends with 7", function()
    local reason = need.all(need.root(), need.namespace())
    if reason then return pending(reason) end
    local got, code = sh.run(("unshare -m sh -c 'mount -t tmpfs -o size=512k none /mnt && %s extract %s /big /mnt/x; code=$?; "
      .. "ls -A /mnt; exit $code' 2>&1"):format(sh.banger(), "oci:" .. layout .. ":t --layer 1"))
    assert.same({ "banger-lua: write /big: No space left on device\n", 7 }, { got, code })
  end)

  it("overwrites nothing, unless told", function()
    local dir = scratch:mkdir "there"
    sh.write_file(dir .. "/f", "mine")
    sh.check(("mkdir %s/su && ln -s nowhere %s/link"):format(dir, dir))
    fails(1, dir .. "/f is there; --force replaces it", "extract", image, "/bin/su", dir .. "/f")
    fails(1, dir .. "/link is there; --force replaces it", "extract", image, "/bin/su", dir .. "/link")
    fails(1, dir .. "/su is a directory that is there; remove it, or give another name", "extract", image, "/bin/su", dir)
    fails(1, dir .. "/su is a directory that is there; remove it, or give another name", "extract", "--force", image, "/bin/su", dir)
    fails(1, dir .. "/f is there, and is no directory; remove it, or give another name", "extract", "--force", image, "/bin", dir .. "/f")
    fails(1, dir .. " is there; name a directory that is to be made", "extract", image, "/", dir)
    fails(1, dir .. "/none/: no such directory", "extract", image, "/bin/su", dir .. "/none/")
    fails(1, ("cannot write output %s/none/x: No such file or directory"):format(dir),
      "extract", image, "/bin", dir .. "/none/x")
    fails(2, "/none: not in " .. image, "extract", image, "/none", dir .. "/x")
    assert.equal("mine", sh.read_file(dir .. "/f"))
    fails(1, "files cannot go to stdout: name one (./- is one of that name); cat prints a file (see --help)", "extract", image, "/bin/su", "-")
    assert.equal("f\nlink\nsu\n", sh.check("ls -A " .. dir))
    assert.equal("", out("extract", "-q", "--force", image, "/etc/passwd", dir .. "/f"))
    assert.equal("", out("extract", "-q", "--force", image, "/etc/passwd", dir .. "/link"))
    assert.same({ PASSWD, "regular file\n" }, { sh.read_file(dir .. "/f"), sh.check("stat -c %F " .. dir .. "/link") })
  end)

  it("never takes the place of what is no file, not even when told to", function()
    local dir = scratch:mkdir "nodes"
    local function refused(name, what)
      for _, words in ipairs { { "extract" }, { "extract", "--force" } } do
        table.move({ image, "/etc/passwd", dir .. "/" .. name }, 1, 3, #words + 1, words)
        fails(1, ("%s/%s is a %s; name another file"):format(dir, name, what), table.unpack(words))
      end
    end
    sh.check(("mkfifo %s/pipe"):format(dir))
    refused("pipe", "pipe")
    assert.equal("fifo\n", sh.check(("stat -c %%F %s/pipe"):format(dir)))
    if select(2, sh.run(("python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"%s/socket\")'"):format(dir))) == 0 then
      refused("socket", "socket")
      assert.equal("socket\n", sh.check(("stat -c %%F %s/socket"):format(dir)))
    end
    -- A node of our own of the null device, where this machine lets us make one.
    if select(2, sh.run(("mknod %s/null c 1 3 2>&1"):format(dir))) == 0 then
      refused("null", "character device")
      assert.equal("character special file 1 3\n", sh.check(("stat -c '%%F %%t %%T' %s/null"):format(dir)))
    end
    assert.equal("", sh.check(("ls -A %s | grep -v -x -e pipe -e socket -e null || true"):format(dir)))
  end)

  it("never leaves the directory that it makes, whatever the image holds", function()
    -- A directory with one name twice: first a link that leads out, then a directory.
    local outside, path, source = scratch:mkdir "outside", scratch:path "twice.ext4", scratch:mkdir "source"
    local dest = scratch:mkdir "inside"
    sh.check(("mkdir -p %s/a/e && ln -s %s %s/a/d && echo 1 >%s/a/e/f"):format(source, outside, source, source))
    sh.check(SBIN .. ("mke2fs -q -t ext4 -O ^metadata_csum -d %s %s 8M"):format(source, path))
    local raw = sh.read_file(path)
    local at = assert(raw:find("\1\2e", 1, true), "the name was not found in its directory")
    sh.write_file(path, raw:sub(1, at + 1) .. "d" .. raw:sub(at + 3))
    assert.equal("d\nd\n", out("ls", path, "/a"))
    fails(1, "/a/d is there twice: the image is in use, or damaged; if nothing uses it, run e2fsck -fy on it", "extract", path, "/a", dest .. "/x")
    assert.equal("", sh.check("ls -A " .. outside) .. sh.check("ls -A " .. dest))
  end)

  it("leaves nothing behind when it fails on the way", function()
    local path, dir = scratch:path "long.ext4", scratch:mkdir "fail"
    local deep = (("d"):rep(200) .. "/"):rep(25)
    engine.image(path, nil, { tar.file("a/first", "1"), tar.dir("a/ro/", { mode = oct "0" }), tar.file("a/z/" .. deep .. "f", "1") })
    local got = run { "extract", path, "/a", dir .. "/x" }
    assert.same({ "", 1 }, { got.out, got.code })
    assert.equal("banger-lua: /a has paths of 4096 bytes and more, which this machine does not take\n", got.err)
    assert.equal("", sh.check("ls -A " .. dir))
  end)
end)

-- ---- inspect -----------------------------------------------------------------------------

describe("inspect", function()
  local pulled
  setup(function()
    pulled = scratch:path "pulled.ext4"
    sh.check(sh.line(sh.banger(), "pull", "-q", "--label", "app", ref, pulled) .. " 2>/dev/null")
  end)

  it("says of an image what dumpe2fs says", function()
    local shown = sh.check(SBIN .. "dumpe2fs -h " .. pulled .. " 2>/dev/null")
    local function field(name) return shown:match("\n" .. name .. ":%s+([^\n]*)") end
    local super = object("inspect", "--json", pulled).superblock
    assert.equal(field "Filesystem features":gsub(" +$", ""), table.concat(super.features, " "))
    assert.same({ field "Filesystem UUID", "app", field "Filesystem state", field "Errors behavior":lower() },
      { super.uuid, super.label, super.state, super.errors })
    local function number(name) return tonumber(field(name)) end
    assert.same({ number "Block count", number "Free blocks", number "Reserved block count", number "Block size", number "Inode count",
      number "Free inodes", number "Inode size" }, { super.blocks, super.blocks_free, super.blocks_reserved, super.block_size, super.inodes,
      super.inodes_free, super.inode_size })
    assert.equal("Thu Jan  2 03:04:05 2020", field "Filesystem created")
    assert.equal(1577934245, super.made)
    local text = out("inspect", pulled)
    assert.matches("\nlabel       app\nuuid        " .. super.uuid:gsub("%-", "%%-") .. "\n", text)
    assert.matches("\nmade        2020%-01%-02 03:04:05 UTC\n", text)
    assert.matches("\nmounted     never\n", text)
  end)

  it("says of an image what it was made of, and what was added", function()
    local record = object("inspect", "--json", pulled).record
    assert.equal(cjson.decode(sh.read_file(layout .. "/index.json")).manifests[1].digest, record.digest)
    assert.same({ "linux/amd64", "banger", "/.banger/init" }, { record.platform, record.init.kind, record.init.path })
    local paths = {}
    for _, entry in ipairs(record.injected) do paths[entry.path] = entry.item end
    assert.equal("hostname", paths["/etc/hostname"])
    local text = out("inspect", pulled)
    assert.matches("\ndigest      sha256:%x+\nplatform    linux/amd64\nmade by     banger%-lua ", text)
    assert.matches(("\n%d entries were injected\n"):format(#record.injected), text)
    assert.matches("\n  file     /etc/hostname  %(hostname: [^\n]*%)\n", text)
    assert.matches("\ninit        banger /%.banger/init: ", text)
    assert.is_nil(object("inspect", "--json", image).record)
    -- An image that has no init has no path of one.
    local bare = scratch:path "bare.ext4"
    sh.check(("%s pull -q --progress none --init none %s %s"):format(sh.banger(), ref, bare))
    assert.matches("\ninit        none: ", out("inspect", bare))
  end)

  it("says of a reference all that its documents say", function()
    local index = cjson.decode(sh.read_file(layout .. "/index.json")).manifests[1]
    local manifest = cjson.decode(sh.read_file(layout .. "/blobs/sha256/" .. index.digest:sub(8)))
    local want = ([[
reference   oci:%s:t
digest      %s
media type  application/vnd.oci.image.manifest.v1+json
platform    linux/amd64
config      %s
created     2020-01-02T03:04:05Z
entrypoint  /bin/su
cmd         -x 'two words'
user        web
env         A=1
env         B=\033[31m

2 layers, %.1f KiB (%d bytes) compressed
  1    %.1f KiB  %s
  2       %d B  %s

history
  1  2020-01-01T00:00:00  COPY a b
  -  -  ENV A=1
  2  -  RUN x
]]):format(layout, index.digest, manifest.config.digest, (manifest.layers[1].size + manifest.layers[2].size) / 1024,
      manifest.layers[1].size + manifest.layers[2].size, manifest.layers[1].size / 1024, manifest.layers[1].digest, manifest.layers[2].size,
      manifest.layers[2].digest)
    local function squeeze(text) return (text:gsub(" +", " ")) end
    local got = out("inspect", ref)
    assert.equal(squeeze(want):gsub("1%.1 MiB", ""):gsub("%d+%.%d KiB", ""), squeeze(got):gsub("%d+%.%d MiB", ""):gsub("%d+%.%d KiB", ""))
    local all = object("inspect", "--json", ref)
    assert.same({ manifest, "web", 2, "RUN x" }, { all.manifest, all.config.config.User, #all.layers, all.history[3].created_by })
  end)

  it("lists the platforms of an index", function()
    local dir = scratch:path "platforms"
    local function build(architecture)
      local layer = { tar = tar.archive { tar.file("a", architecture) } }
      return oci.image(dir, { platform = { os = "linux", architecture = architecture }, layers = { layer } }).manifest
    end
    local amd, arm = build "amd64", build "arm64"
    oci.index(dir, { oci.tagged(oci.nested(dir, { amd, arm }), "t") })
    local got = out("inspect", "--platform", "linux/arm64", "oci:" .. dir .. ":t")
    assert.matches("\nplatform    linux/arm64\navailable   linux/amd64      " .. amd.digest .. "\n"
      .. "available   linux/arm64      " .. arm.digest .. "\n", got)
    assert.equal("arm64", out("cat", "--platform", "linux/arm64", "oci:" .. dir .. ":t", "/a"))
    fails(5, "oci:" .. dir .. ":t: no image for linux/s390x; there are: linux/amd64, linux/arm64", "inspect", "--platform", "linux/s390x",
      "oci:" .. dir .. ":t")
  end)
end)

-- ---- layers ------------------------------------------------------------------------------

describe("layers", function()
  it("says what each does", function()
    local got = out("layers", ref)
    local rows = {}
    for line in got:gmatch "[^\n]+" do rows[#rows + 1] = line:gsub(" +", " ") end
    -- 1: passwd, group, 6 + 5000 + 12345 + 70000 + 1048576; what the second hides of it is big and etc/app.conf.
    assert.matches("^ 1 %S+ MiB 1%.1 MiB 15 0 0 1%.0 MiB COPY a b$", rows[2])
    assert.matches("^ 2 %d+ B 16 B 6 1 1 0 B RUN x$", rows[3])
    local all = object("layers", "--json", ref)
    local first = #PASSWD + #GROUP + 6 + 5000 + 12345 + 70000 + 1048576
    assert.same({ first, 1048576 + 6, 16, 0, first + 16, 1048582 }, { all.layers[1].bytes, all.layers[1].wasted, all.layers[2].bytes,
      all.layers[2].wasted, all.bytes, all.wasted_bytes })
    assert.same({ { path = "/big", bytes = 1048576, total = 1048576, count = 2, layers = { 1, 2 }, hidden = { { layer = 1, bytes = 1048576 } } },
      { path = "/etc/app.conf", bytes = 6, total = 18, count = 2, layers = { 1, 2 }, hidden = { { layer = 1, bytes = 6 } } } }, all.wasted)
    assert.near((first + 16 - 1048576 - 12) / (first + 16), all.efficiency, 1e-5)
    assert.matches("\nwasted 1%.0 MiB of 1%.1 MiB %(92%.3 %%%), efficiency 0%.0770\n"
      .. " *1%.0 MiB  /big %(layers 1, 2%)\n *6 B  /etc/app%.conf %(layers 1, 2%)\n$", got)
  end)

  it("lists files, and no more of the worst than wanted", function()
    local got = out("layers", "--files", "--worst", "1", ref):gsub(" +", " ")
    assert.matches("\n %- 1%.0 MiB /big\n %+ 0 B /dangling\n %+ 0 B /empty\n ~ 12 B /etc/app%.conf\n %+ 0 B /etc/self\n", got)
    assert.matches(" /big %(layers 1, 2%)\n$", got)
  end)

  it("comes to the sums that the tars come to", function()
    local reason = need.program "python3"
    if reason then return pending(reason) end
    for seed = 1, 8 do
      local random, lists = random_layers.random(seed), {}
      for i = 1, 6 do
        local entries = { tar.dir "a/", tar.dir "b/", tar.dir "b/c/" }
        local dirs = random:shuffle { "", "a/", "b/", "b/c/" }
        if i > 1 and random:chance(30) then entries[#entries + 1] = tar.file(dirs[1] ~= "" and dirs[1] .. ".wh..wh..opq" or ".wh.a", "") end
        for _, dir in ipairs(dirs) do
          for name = 1, 6 do
            if random:chance(40) then
              entries[#entries + 1] = tar.file(dir .. name, bytes(random:upto(9000) - 1))
            elseif i > 1 and random:chance(15) then
              entries[#entries + 1] = tar.file(dir .. ".wh." .. name, "")
            end
          end
        end
        lists[i] = { tar = tar.archive(entries) }
      end
      local dir = scratch:fresh()
      oci.write(dir, { layers = lists })
      local want = cjson.decode(sh.check(sh.line("python3", "tests/support/layer_sums.py", dir)))
      local got = object("layers", "--json", "--worst", "1000", "oci:" .. dir)
      local brought, lost, wasted = {}, {}, {}
      for i, layer in ipairs(got.layers) do brought[i], lost[i] = layer.bytes, layer.wasted end
      for i, waste in ipairs(got.wasted) do wasted[i] = { waste.path, waste.bytes } end
      assert.same({ want.bytes, want.final, want.brought, want.lost }, { got.bytes, got.final_bytes, brought, lost })
      assert.same(want.wasted, wasted)
      assert.is_true(#wasted > 10)
      assert.near(want.efficiency, got.efficiency, 1e-6)
    end
  end)

  it("fails on demand", function()
    local function fails_with(message, ...)
      local got = run { "layers", ref, ... }
      assert.same({ 1, message ~= "" and ("banger-lua: %s: %s\n"):format(ref, message) or "" }, { got.code, got.err })
      assert.matches("\nwasted ", got.out)
    end
    fails_with("1.0 MiB (92.3 %) are wasted, more than --max-wasted 1M", "--max-wasted", "1M")
    -- The verdict is no note: --quiet leaves it.
    fails_with("1.0 MiB (92.3 %) are wasted, more than --max-wasted 1M", "-q", "--max-wasted", "1M")
    local verdict = cjson.decode(run({ "layers", "--json", ref, "--max-wasted", "5%", "--min-efficiency", "0.5" }).out)
    assert.same({ false, { ref .. ": 1.0 MiB (92.3 %) are wasted, more than --max-wasted 5%",
      ref .. ": the efficiency is 0.0770, less than --min-efficiency 0.5" } }, { verdict.passed, verdict.failures })
    assert.same({ true, {} }, { object("layers", "--json", ref).passed, object("layers", "--json", ref).failures })
    fails_with("1.0 MiB (92.3 %) are wasted, more than --max-wasted 92%", "--max-wasted", "92%")
    fails_with("the efficiency is 0.0770, less than --min-efficiency 0.95", "--min-efficiency", "0.95")
    out("layers", "--max-wasted", "2M", "--min-efficiency", "0.07", ref)
    out("layers", "--max-wasted", "93%", ref)
    fails(1, "--max-wasted: 'much' is neither a size such as 10M nor a part such as 5% (see --help)", "layers", "--max-wasted", "much", ref)
    fails(1, "--max-wasted: '101%' is more than 100% (see --help)", "layers", "--max-wasted", "101%", ref)
    fails(1, "--min-efficiency: '95' is no number from 0 to 1 (see --help)", "layers", "--min-efficiency", "95", ref)
    fails(1, image .. " is an ext4 image, which has no layers; name the reference it was made of", "layers", image)
  end)
end)

-- ---- diff --------------------------------------------------------------------------------

describe("diff", function()
  local other
  setup(function()
    other = scratch:path "other.ext4"
    sh.check(sh.line("cp", "--sparse=always", image, other))
    banger.inject(other, {
      { path = "/empty", type = "remove" }, { path = "/new", content = "1", mtime = 0 },
      { path = "/etc/app.conf", content = "a = 2\nb = 4\n", mode = oct "600", gid = 33, mtime = 1500000000 },
      { path = "/bin/ping", content = bytes(5000, "p"), mode = oct "755", mtime = 1, xattrs = { ["user.\27"] = "1" } },
      { path = "/bin/sh", type = "symlink", target = "su" }, { path = "/tmp", type = "remove" }, { path = "/tmp", content = "no directory" },
    })
  end)

  it("finds nothing between an image and the reference it is of", function()
    assert.equal("", out("diff", image, ref))
    assert.equal("", out("diff", "--times", ref, image))
    assert.equal("", out("diff", image, image))
    assert.same({ same = true, added = {}, removed = {}, changed = {} }, object("diff", "--json", image, ref))
  end)

  it("says what differs, and ends with 1", function()
    local want = [[
changed  /bin/ping (xattr security.capability cap_net_raw=ep -> none, xattr user.\033 none -> "1")
changed  /bin/sh (target ping -> su)
removed  /empty
changed  /etc/app.conf (mode 0640 -> 0600, content)
added    /new
changed  /tmp (type dir -> file, mode 1777 -> 0644)
]]
    assert.same({ out = want, code = 1, err = "" }, run { "diff", image, other })
    assert.same({ out = want, code = 1, err = "" }, run { "diff", ref, other })
    assert.same({ out = "", code = 1, err = "" }, run { "diff", "-q", ref, other })
    assert.equal((want:gsub(", content", "")), run({ "diff", "--no-content", image, other }).out)
    assert.matches("changed  /bin/ping %([^\n]*, mtime 2017%-07%-14 02:40:00%.000000000 %-> 1970%-01%-01 00:00:01%.000000000%)\n",
      run({ "diff", "--times", image, other }).out)
    assert.equal("changed  /etc/app.conf (mode 0640 -> 0600, content)\n", run({ "diff", "--path", "/etc", image, other }).out)
    local all = run { "diff", "--json", image, other }
    assert.equal(1, all.code)
    local found = cjson.decode(all.out)
    assert.same({ { path = "/new", type = "file" } }, found.added)
    assert.same({ { path = "/empty", type = "file" } }, found.removed)
    assert.same({ path = "/bin/sh", attributes = { { name = "target", a = "ping", b = "su" } } }, found.changed[2])
    assert.is_false(found.same)
    -- Values are as `stat --json` has them, and no text for people.
    assert.same({ path = "/bin/ping", attributes = {
      { name = "xattr", key = "security.capability", a = { text = "cap_net_raw=ep", hex = "0100000200200000000000000000000000000000" } },
      { name = "xattr", key = "user.\27", b = { text = '"1"', hex = "31" } } } }, found.changed[1])
    local one, two = scratch:path "json-a.ext4", scratch:path "json-b.ext4"
    engine.image(one, nil, { tar.file("f", "12345", { uid = 5 }), tar.symlink("l", "a\\b\xff") })
    engine.image(two, nil, { tar.file("f", "123", { gid = 6 }), tar.symlink("l", "a") })
    assert.same({
      { path = "/f", attributes = { { name = "owner", a = { uid = 5, gid = 0 }, b = { uid = 0, gid = 6 } }, { name = "size", a = 5, b = 3 } } },
      { path = "/l", attributes = { { name = "target", a = "a\\b\u{FFFD}", a_escaped = "a\\\\b\\377", b = "a" } } },
    }, cjson.decode(run({ "diff", "--json", one, two }).out).changed)
  end)

  it("goes through names in the order of a walk", function()
    local a, b = scratch:path "order-a.ext4", scratch:path "order-b.ext4"
    engine.image(a, nil, { tar.file("x/1", "1"), tar.file("x-y", "1"), tar.file("x.z/2", "1"), tar.file("xa", "1") })
    engine.image(b, nil, { tar.file("x/2", "1"), tar.file("x-y", "2"), tar.file("x.z/2", "1"), tar.file("x0", "1") })
    assert.equal("removed  /x/1\nadded    /x/2\nchanged  /x-y (content)\nadded    /x0\nremoved  /xa\n", run({ "diff", a, b }).out)
  end)

  it("tells trouble from a difference", function()
    fails(2, "/none: in neither of the two", "diff", "--path", "/none", image, ref)
    fails(2, "/none.ext4: no such file", "diff", image, "/none.ext4")
    fails(1, "--ignore: 'time' is none of type, mode, owner, size, content, target, device, xattr, links, mtime (see --help)",
      "diff", "--ignore", "mode,time", image, ref)
    fails(1, "--layer-b: '0' is no number from 1 on (see --help)", "diff", "--layer-b", "0", image, ref)
    fails(1, ("%s is an ext4 image, which has no layers; name the reference it was made of"):format(image),
      "diff", "--layer", "1", image, ref)
    fails(1, ("%s has 2 layers: there is no layer 3"):format(ref), "diff", "--layer-b", "3", ref, ref)
  end)

  it("goes by paths, also by those that one of them lacks", function()
    assert.equal("added    /new\n", run({ "diff", "--path", "/new", image, other }).out)
    assert.equal("removed  /new\n", run({ "diff", "--path", "/new", other, image }).out)
    assert.equal("changed  /bin/sh (target ping -> su)\nadded    /new\n",
      run({ "diff", "--path", "/new", "--path", "/bin/sh", "--path", "/bin//sh", "--path", "new", image, other }).out)
    assert.equal("changed  /etc/app.conf (mode 0640 -> 0600, content)\n",
      run({ "diff", "--path", "/etc/app.conf", "--path", "/etc", "--path", "/usr", image, other }).out)
    assert.equal("", out("diff", "--path", "/usr", "--path", "/var", image, other))
  end)

  it("leaves out what is to be ignored", function()
    assert.equal("removed  /empty\nchanged  /etc/app.conf (content)\nadded    /new\nchanged  /tmp (type dir -> file)\n",
      run({ "diff", "--ignore", "mode,xattr", "--ignore", "target", image, other }).out)
    assert.equal("", out("diff", "--ignore", "mode,content", "--path", "/etc", image, other))
    assert.equal("", out("diff", "--times", "--ignore", "mtime,xattr", "--path", "/bin/ping", image, other))
    local a, b = scratch:path "ignore-a.ext4", scratch:path "ignore-b.ext4"
    engine.image(a, nil, { tar.file("f", "1") })
    engine.image(b, nil, { tar.file("f", "12") })
    assert.equal("changed  /f (size 1 -> 2)\n", run({ "diff", a, b }).out)
    assert.equal("changed  /f (content)\n", run({ "diff", "--ignore", "size", a, b }).out)
    assert.equal("", out("diff", "--ignore", "size,content", a, b))
  end)

  it("tells names of one file from copies", function()
    local a, b = scratch:path "links-a.ext4", scratch:path "links-b.ext4"
    engine.image(a, nil, { tar.file("a", "1"), tar.hardlink("b", "a"), tar.hardlink("c", "a"), tar.hardlink("gone", "a"), tar.file("d", "1"),
      tar.symlink("l", "x"), tar.hardlink("m", "l"), tar.file("pair", "2"), tar.hardlink("single", "pair") })
    engine.image(b, nil, { tar.file("a", "1"), tar.hardlink("b", "a"), tar.file("c", "1"), tar.hardlink("d", "c"), tar.hardlink("new", "d"),
      tar.symlink("l", "x"), tar.symlink("m", "x"), tar.file("single", "2") })
    assert.equal([[
changed  /c (links /a -> none)
changed  /d (links none -> /c)
removed  /gone
changed  /m (links /l -> none)
added    /new
removed  /pair
]], run({ "diff", a, b }).out)
    assert.equal("removed  /gone\nadded    /new\nremoved  /pair\n", run({ "diff", "--ignore", "links", a, b }).out)
    assert.same({ { path = "/c", attributes = { { name = "links", a = "/a" } } } },
      cjson.decode(run({ "diff", "--json", "--path", "/c", "--path", "/a", a, b }).out).changed)
    -- Below a path, names elsewhere do not count.
    assert.equal("", out("diff", "--path", "/c", a, b))
    assert.equal("", out("diff", a, a))
  end)

  it("compares contents to the last byte, whatever their size", function()
    local a, b, file = scratch:path "large-a.ext4", scratch:path "large-b.ext4", scratch:path "large"
    sh.check("head -c 3145731 /dev/urandom >" .. file)
    local bytes_of = sh.read_file(file)
    local last = bytes_of:byte(-1) == 65 and "B" or "A"
    engine.image(a, nil, { tar.file("f", bytes_of), tar.hardlink("g", "f") })
    engine.image(b, nil, { tar.file("f", bytes_of:sub(1, -2) .. last), tar.hardlink("g", "f") })
    assert.equal("changed  /f (content)\nchanged  /g (content)\n", run({ "diff", a, b }).out)
    assert.equal("", out("diff", "--no-content", a, b))
  end)

  it("compares single layers, with what they hide", function()
    local dir = scratch:path "layers-of-two"
    local base = { tar.dir("etc/", { mode = oct "755" }), tar.file("etc/x", "1"), tar.dir "opt/", tar.file("opt/a", "1"),
      tar.file("opt/b", "2"), tar.file("etc/y", "1"), tar.dir "srv/", tar.file("srv/f", "f") }
    local other_base = { tar.dir("etc/", { mode = oct "700" }), tar.file("etc/x", "0"), tar.dir "opt/", tar.file("opt/a", "1"),
      tar.file("etc/y", "1"), tar.dir "srv/", tar.file("srv/f", "f") }
    oci.write(dir .. "1", { layers = { { tar = tar.archive(base) },
      { tar = tar.archive { tar.file("etc/z", "same"), tar.file "etc/.wh.x", tar.file ".wh.opt", tar.file("n", "1"),
        tar.file("srv", "no directory") } } } })
    oci.write(dir .. "2", { layers = { { tar = tar.archive(other_base) },
      { tar = tar.archive { tar.file("etc/z", "same"), tar.file "etc/.wh.x", tar.file "etc/.wh.y", tar.file("n", "2"), tar.file("opt/a", "3"),
        tar.file("srv", "no directory") } } } })
    local one, two = "oci:" .. dir .. "1", "oci:" .. dir .. "2"
    -- The directory /etc is of another mode below both layers: that is not theirs.
    local want = "added    /etc/y (whiteout)\nchanged  /n (content)\nremoved  /opt (whiteout)\nadded    /opt/a\n"
    assert.same({ out = want, code = 1, err = "" }, run { "diff", "--layer", "2", one, two })
    assert.same({ out = "added    /etc/y (whiteout)\n", code = 1, err = "" }, run { "diff", "--layer", "2", "--path", "/etc", one, two })
    assert.same({ { path = "/etc/y", type = "whiteout" }, { path = "/opt/a", type = "file" } },
      cjson.decode(run({ "diff", "--layer", "2", "--json", one, two }).out).added)
    local function opt(...) return run({ "diff", "--layer", "2", "--path", "/opt", ... }).out end
    assert.equal("removed  /opt (whiteout)\nadded    /opt/a\n", opt(one, two))
    assert.equal("added    /opt (whiteout)\nremoved  /opt/a\n", opt(two, one))
    assert.equal("", out("diff", "--layer", "2", one, one))
    assert.equal("", out("diff", "--layer-a", "1", "--layer-b", "1", one, one))
    -- A layer of each, or of one only.
    assert.equal("changed  /etc/x (content)\n", run({ "diff", "--layer", "1", "--path", "/etc/x", one, two }).out)
    assert.equal("removed  /etc/x\n", run({ "diff", "--layer-a", "1", "--path", "/etc/x", one, one }).out)
    assert.equal("changed  /etc/x (type file -> whiteout)\n",
      run({ "diff", "--layer-a", "1", "--layer-b", "2", "--path", "/etc/x", one, one }).out)
  end)
end)

-- ---- edit --------------------------------------------------------------------------------

describe("edit", function()
  local path
  before_each(function()
    path = scratch:fresh ".ext4"
    engine.image(path, nil, LAYERS[1], { tar.file("etc/two", "2"), tar.hardlink("etc/zwei", "etc/two") })
  end)

  local function edit(editor, ...)
    local before = { sh.check("sha256sum <" .. path), os.time() }
    local got = run({ "edit", ... }, "EDITOR=" .. sh.quote(editor))
    got.same = before[1] == sh.check("sha256sum <" .. path)
    got.begun = before[2]
    return got
  end

  local function clean() return (sh.check(SBIN .. "e2fsck -fn " .. path .. " 2>&1")) end

  it("writes back what the editor leaves, and keeps the rest", function()
    local got = edit("sed -i s/a/A/", path, "/etc/app.conf")
    assert.same({ "", "banger-lua: /etc/app.conf: changed, 6 bytes\n", 0 }, { got.out, got.err, got.code })
    assert.equal("A = 1\n", out("cat", path, "/etc/app.conf"))
    local st = object("stat", "--json", path, "/etc/app.conf")[1]
    assert.same({ "0640", 0, 33 }, { st.mode, st.uid, st.gid })
    assert.is_true(st.mtime >= got.begun and st.mtime <= os.time())
    clean()
    got = edit("truncate -s 2", path, "/bin/ping")
    assert.equal("banger-lua: /bin/ping: changed, 2 bytes\n", got.err)
    st = object("stat", "--json", path, "/bin/ping")[1]
    assert.same({ "0755", "cap_net_raw=ep" }, { st.mode, st.xattrs[1].text })
    clean()
  end)

  it("shows the editor a private copy with the name's end", function()
    local seen = scratch:fresh()
    local got = edit(("f() { basename \"$1\"; cat \"$1\"; stat -c %%a \"$1\" \"$(dirname \"$1\")\"; }; f >%s"):format(seen), path, "/etc/app.conf")
    assert.same({ 0, true, "banger-lua: /etc/app.conf: unchanged\n" }, { got.code, got.same, got.err })
    assert.equal("app.conf\na = 1\n600\n700\n", sh.read_file(seen))
  end)

  it("changes nothing when the content is the same or the editor fails", function()
    local got = edit("true", path, "/etc/app.conf")
    assert.same({ 0, true, "banger-lua: /etc/app.conf: unchanged\n" }, { got.code, got.same, got.err })
    got = edit("f() { echo more >>\"$1\"; return 3; }; f", path, "/etc/app.conf")
    assert.same({ 1, true }, { got.code, got.same })
    local kept = got.err:match "^banger%-lua: the editor '[^\n]*' ended with 3: /etc/app%.conf is as it was; what you typed is in (/%S+/app%.conf)\n$"
    assert.equal("a = 1\nmore\n", sh.read_file(kept))
    sh.check("rm -r " .. kept:match "^/%S*/banger%-edit%.[^/]+")
    got = edit("rm", path, "/etc/app.conf")
    assert.same({ 1, true, "banger-lua: the editor 'rm' left no file: /etc/app.conf is as it was\n" }, { got.code, got.same, got.err })
    local gone = [[f() { rm -r "${1%/*}"; }; f]]
    got = edit(gone, path, "/etc/app.conf")
    assert.same({ 1, true, ("banger-lua: the editor '%s' left no file: /etc/app.conf is as it was\n"):format(gone) }, { got.code, got.same, got.err })
    got = edit("no-such-editor", path, "/etc/app.conf")
    assert.same({ 1, true }, { got.code, got.same })
    assert.matches("\nbanger%-lua: the editor 'no%-such%-editor' ended with 127: /etc/app%.conf is as it was\n$", got.err)
  end)

  it("takes VISUAL before EDITOR, and --editor before both", function()
    local got = run({ "edit", path, "/etc/app.conf" }, "VISUAL='sed -i s/1/2/' EDITOR=false")
    assert.same({ "banger-lua: /etc/app.conf: changed, 6 bytes\n", 0 }, { got.err, got.code })
    got = run({ "edit", "--editor", "sed -i s/2/3/", path, "/etc/app.conf" }, "VISUAL=false EDITOR=false")
    assert.equal(0, got.code)
    assert.equal("a = 3\n", out("cat", path, "/etc/app.conf"))
  end)

  it("makes a file on demand", function()
    local got = edit("false", path, "/etc/new")
    assert.same({ 2, true, ("banger-lua: /etc/new: not in %s; --create makes it\n"):format(path) }, { got.code, got.same, got.err })
    got = edit("true", "--create", path, "/etc/new")
    assert.same({ 0, true, "banger-lua: /etc/new: unchanged\n" }, { got.code, got.same, got.err })
    got = edit("f() { echo hi >\"$1\"; }; f", "--create", "--json", path, "/etc/new")
    assert.same({ 0, '{"changed":true,"path":"/etc/new","size":3}\n', "" }, { got.code, got.out, got.err })
    local st = object("stat", "--json", path, "/etc/new")[1]
    assert.same({ "0644", 0, 0, 3 }, { st.mode, st.uid, st.gid, st.size })
    clean()
  end)

  it("makes an empty file where the editor leaves one, and no directories", function()
    local got = edit(": >", "--create", path, "/lib/empty")
    assert.same({ 0, "banger-lua: /usr/lib/empty: changed, 0 bytes\n" }, { got.code, got.err })
    assert.equal(0, object("stat", "--json", path, "/usr/lib/empty")[1].size)
    got = edit("false", "--create", path, "/nope/x")
    assert.same({ 2, true, ("banger-lua: /nope/x: there is no directory /nope in %s\n"):format(path) }, { got.code, got.same, got.err })
    got = edit("false", "--create", path, "/etc/passwd/x")
    assert.same({ 2, true, ("banger-lua: /etc/passwd/x: there is no directory /etc/passwd in %s\n"):format(path) }, { got.code, got.same, got.err })
    clean()
  end)

  it("changes a file under all its names", function()
    local got = edit("f() { echo new >\"$1\"; }; f", path, "/etc/two")
    assert.equal("banger-lua: /etc/two: changed, 4 bytes, under all its 2 names\n", got.err)
    assert.equal("new\nnew\n", out("cat", path, "/etc/two", "/etc/zwei"))
    local two, zwei = object("stat", "--json", path, "/etc/two")[1], object("stat", "--json", path, "/etc/zwei")[1]
    assert.same({ 2, zwei.ino }, { two.nlink, two.ino })
    clean()
  end)

  local function kept_in(err)
    local copy = assert(err:match "; what you typed is in (%S+)\n$", err)
    local content = sh.read_file(copy)
    sh.check("rm -r " .. sh.quote(copy:match "^(.*)/"))
    return content
  end

  it("keeps what was typed when it cannot be written", function()
    local temp = scratch:mkdir "typed"
    local got = run({ "edit", "--editor", "f() { echo mine >\"$1\"; truncate -s 3000 " .. path .. "; }; f", path, "/etc/app.conf" },
      "TMPDIR=" .. temp)
    assert.equal(1, got.code)
    assert.equal("mine\n", kept_in(got.err))
    assert.equal("", sh.check("ls -A " .. temp))
    local small = scratch:path "small.ext4"
    engine.image(small, { size = "min" }, { tar.file("f", "1") })
    got = run({ "edit", "--editor", "head -c 90000000 /dev/zero >", small, "/f" }, "TMPDIR=" .. temp)
    assert.equal(1, got.code)
    assert.equal(90000000, #kept_in(got.err))
  end)

  it("is refused before anybody types where it cannot be", function()
    local typed = scratch:fresh()
    sh.check(SBIN .. sh.line("debugfs", "-w", "-R", "feature needs_recovery", path) .. " >/dev/null 2>&1")
    local got = edit("touch " .. typed .. " #", path, "/etc/app.conf")
    assert.same({ 1, true }, { got.code, got.same })
    assert.equal(("banger-lua: %s: it is in use, or was not unmounted: stop what uses it; if nothing does, run e2fsck -fy on it\n"):format(path),
      got.err)
    assert.is_false(sh.exists(typed))
  end)

  it("is refused while a machine has the image", function()
    local reason = need.program "python3"
    if reason then return pending(reason) end
    -- The locks of QEMU: read locks on the bytes of what it does, 101 for writing.
    local function with_lock(byte, length)
      local script = ("import fcntl, struct, subprocess, sys\n" .. "f = open(sys.argv[1], 'r+b')\n"
        .. "fcntl.fcntl(f, 37, struct.pack('hhqqi4x', %s, 0, %d, %d, 0))\n"
        .. "sys.exit(subprocess.run(sys.argv[2:]).returncode)"):format(length == 1 and "fcntl.F_RDLCK" or "fcntl.F_WRLCK", byte, length)
      return (sh.run(sh.line("python3", "-c", script, path, sh.banger(), "edit", "--editor", "sed -i s/1/5/", path, "/etc/app.conf") .. " 2>&1"))
    end
    local busy = ("banger-lua: %s is in use: a machine, or another program, holds a lock on it; stop that first, or change a running machine's "
      .. "files with banger-lua exec\n"):format(path)
    assert.equal(busy, with_lock(101, 1))
    assert.equal(busy, with_lock(0, 0))
    -- One that only reads would not see the change.
    assert.equal(busy, with_lock(100, 1))
    assert.equal("a = 1\n", out("cat", path, "/etc/app.conf"))
  end)

  it("loses nothing when several write at once", function()
    local commands = {}
    for i = 1, 6 do
      local line = sh.line(sh.banger(), "edit", "-q", "--create", "--editor", ("sleep 0.3; echo %d >"):format(i), path, "/etc/n" .. i)
      commands[i] = ("%s & p%d=$!;"):format(line, i)
    end
    sh.check(table.concat(commands, " ") .. " for p in $p1 $p2 $p3 $p4 $p5 $p6; do wait $p || exit 1; done")
    assert.equal("1\n2\n3\n4\n5\n6\n", out("cat", path, "/etc/n1", "/etc/n2", "/etc/n3", "/etc/n4", "/etc/n5", "/etc/n6"))
    clean()
  end)

  it("follows links inside the image", function()
    assert.equal(0, edit("sed -i s/p/q/", path, "/bin/sh").code)
    assert.equal("ping", object("stat", "--json", path, "/bin/sh")[1].target)
    assert.equal("q", out("cat", path, "/bin/ping"):sub(1, 1))
  end)

  it("writes nothing over what was changed meanwhile", function()
    local meanwhile = ("f() { %s edit --editor 'sed -i s/1/8/' %s /etc/app.conf; echo mine >\"$1\"; }; f"):format(sh.banger(), path)
    local got = edit(meanwhile, path, "/etc/app.conf")
    assert.equal(1, got.code)
    assert.matches(("\nbanger%%-lua: %s: /etc/app%%.conf was changed by something else meanwhile; nothing was written; "):format(
      path:gsub("%p", "%%%0")), got.err)
    assert.equal("mine\n", kept_in(got.err))
    assert.equal("a = 8\n", out("cat", path, "/etc/app.conf"))
  end)

  it("gives the editor the terminal, and keeps stdout for data", function()
    local got = edit("f() { echo shown; echo b >\"$1\"; }; f", "--json", path, "/etc/app.conf")
    assert.same({ '{"changed":true,"path":"/etc/app.conf","size":2}\n', "shown\n" }, { got.out, got.err })
    local reason = need.program "script"
    if reason then return pending(reason) end
    local editor = 'f() { test -t 0 && test -t 1 && test -t 2 && echo typed >"$1"; }; f'
    local line = sh.line(sh.banger(), "edit", "--editor", editor, path, "/etc/app.conf")
    local screen = sh.check(("timeout 60 script -qec %s /dev/null </dev/null"):format(sh.quote(line)))
    assert.equal("banger-lua: /etc/app.conf: changed, 6 bytes\n", (screen:gsub("\r", "")))
    assert.equal("typed\n", out("cat", path, "/etc/app.conf"))
  end)

  it("says what cannot be edited", function()
    fails(1, "/etc: a directory; only files can be edited", "edit", path, "/etc")
    fails(1, "'etc/' is no path of a file in the image, from / on", "edit", path, "etc/")
    fails(1, "'etc/passwd' is no path of a file in the image, from / on", "edit", path, "etc/passwd")
    fails(1, "oci:x:t is no file; only an ext4 image can be edited", "edit", "oci:x:t", "/etc/passwd")
    fails(2, "/none.ext4: no such file", "edit", "/none.ext4", "/etc/passwd")
  end)
end)

-- ---- what is hostile, or no target -------------------------------------------------------

local BAD = "a\nb\27[31m\xff\\"
local WIDE = "\u{9B}2J\u{202E}\u{2028}"

describe("a hostile image", function()
  local path
  setup(function()
    path = scratch:path "hostile.ext4"
    engine.image(path, nil, { tar.dir "d/", tar.file("d/" .. BAD, "x"), tar.symlink("d/link", "\27]0;t\7"),
      tar.file("etc/passwd", "\27[2J:x:5:5::/:/\n"),
      tar.file("d/own", "x", { uid = 5 }), tar.file("wide/" .. WIDE, "x") })
  end)

  it("has names that are bytes where they go on, and escaped on a terminal", function()
    assert.equal(BAD .. "\nlink\nown\n", out("ls", path, "/d"))
    assert.equal("a\\nb\\033[31m\\377\\\\\nlink\nown\n", out("ls", "-b", path, "/d"))
    assert.equal("/d/" .. BAD .. "\0", out("find", path, "-name", "a*", "-0"))
    local reason = need.program "script"
    if reason then return pending(reason) end
    local function terminal(...)
      return (sh.check(sh.line("script", "-qec", sh.line(sh.banger(), ...), "/dev/null") .. " </dev/null"):gsub("\r", ""))
    end
    assert.equal("a\\nb\\033[31m\\377\\\\\nlink\nown\n", terminal("ls", path, "/d"))
    assert.equal("/d/a\\nb\\033[31m\\377\\\\\n", terminal("find", path, "-name", "a*"))
  end)

  it("cannot write to the terminal through what is for people", function()
    for _, words in ipairs { { "ls", "-lb", path, "/d" }, { "tree", "--ascii", path },
      { "stat", path, "/d/" .. BAD, "/d/link", "/d/own" }, { "inspect", path } } do
      assert.is_nil(out(table.unpack(words)):gsub("\n", ""):find "[%c\128-\255]")
    end
    assert.matches("owner     5:0 %(\\033%[2J:%?%)", out("stat", path, "/d/own"))
  end)

  it("is valid JSON, with all bytes", function()
    local list = object("ls", "--json", path, "/d")
    assert.same({ "/d/a\nb\27[31m\u{FFFD}\\", "/d/a\\nb\\033[31m\\377\\\\" }, { list[1].path, list[1].path_escaped })
    assert.same({ "/d/link", "\27]0;t\7" }, { list[2].path, list[2].target })
    for _, words in ipairs { { "ls", "--json", path, "/wide" }, { "find", "--json", path, "/wide", "-type", "f" },
      { "stat", "--json", path, "/wide/" .. WIDE } } do
      assert.equal("/wide/" .. WIDE, object(table.unpack(words))[1].path)
      assert.matches([["path":"/wide/\u009b2J\u202e\u2028"]], out(table.unpack(words)))
    end
  end)

  it("cannot write to the terminal through its documents", function()
    local hostile = scratch:path "documents"
    oci.write(hostile, { tag = "t", layers = { { tar = tar.archive { tar.file("a", "b") } } }, config = { author = WIDE } })
    local text = out("inspect", "--json", "oci:" .. hostile .. ":t")
    assert.is_nil(text:gsub("\n$", ""):find "[%c\128-\255]")
    assert.equal(WIDE, cjson.decode(text).config.author)
  end)

  it("may be 10,000 directories deep", function()
    local deep = scratch:path "deep.ext4"
    local rootfs <close> = banger.rootfs { near = deep }
    local at = ("/d"):rep(10000)
    local layer = oci.layers(scratch:path "deep", { { tar = tar.archive { tar.file(at:sub(2) .. "/f", "deep") } } })[1]
    local blob <close> = banger.fetch_blob { digest = layer.digest, size = layer.size, path = layer.path }
    banger.flatten_layer(rootfs, blob, { limits = { depth = 20000 } })
    banger.mkext4(rootfs, deep)
    assert.equal(at .. "/f\n", out("find", deep, "-name", "f"))
    assert.equal("deep", out("cat", deep, at .. "/f"))
    assert.equal("", out("diff", deep, deep))
    assert.equal("/\n├── d\n│   └── d\n└── lost+found\n\n3 directories, 0 files\n", out("tree", "-L", "2", deep))
    assert.matches("content     4 B in 1 file, 10,002 directories", out("inspect", deep))
  end)

  it("may be cut off", function()
    local cut = scratch:path "cut.ext4"
    for _, size in ipairs { 1200, 3000, 8192, 100000 } do
      sh.check(("head -c %d %s >%s"):format(size, image, cut))
      for _, words in ipairs { { "ls", cut }, { "inspect", cut }, { "find", cut }, { "diff", cut, cut }, { "extract", cut, "/", scratch:fresh() } } do
        local got = run(words)
        assert.same({ "", 1 }, { got.out, got.code })
        assert.matches("^banger%-lua: " .. cut:gsub("%p", "%%%0") .. "[^\n]*\n$", got.err)
      end
    end
  end)
end)

describe("a reader that has enough", function()
  it("ends the output, and nothing is said of it", function()
    local err = scratch:fresh ".err"
    -- More than a pipe holds.
    local path = scratch:path "many.ext4"
    local entries = {}
    for i = 1, 5000 do entries[i] = tar.file(("%05d"):format(i) .. bytes(50), "") end
    engine.image(path, nil, entries)
    local got = sh.check(("{ %s find %s; echo $? >>%s; } 2>>%s | head -n 1"):format(sh.quote(sh.banger()), path, err, err))
    assert.same({ "/\n", "141\n" }, { got, sh.read_file(err) })
  end)
end)

describe("a path", function()
  it("that ends with a slash is one of a directory", function()
    both(function(target)
      for _, name in ipairs { "ls", "cat", "stat", "find", "tree" } do
        for _, path in ipairs { "/etc/passwd/", "/etc/passwd/." } do
          if not (name == "find" and path:find "%.$") then
            fails(2, ("%s: not a directory in %s"):format(path, target), name, target, path)
          end
        end
      end
      fails(2, ("/bin/sh/: not a directory in %s"):format(target), "extract", target, "/bin/sh/", scratch:fresh())
      assert.equal("also.so\nold.so\n", out("ls", target, "/lib/"))
      assert.equal("also.so\nold.so\n", out("ls", target, "/usr/lib/."))
    end)
  end)
end)

describe("a target", function()
  it("is told apart, and what is none is named", function()
    sh.check("mkfifo " .. scratch:path "pipe")
    fails(1, scratch:path "pipe" .. " is no ext4 image, for it is no regular file", "ls", scratch:path "pipe")
    local file, dir = scratch:path "file", scratch:mkdir "dir"
    sh.write_file(file, "no image")
    for _, name in ipairs { "ls", "df", "tree", "find", "inspect" } do
      fails(1, ("%s is no ext4 image; an archive is named oci-archive:%s or docker-archive:%s"):format(file, file, file), name, file)
      fails(1, ("%s is a directory; a layout is named oci:%s"):format(dir, dir), name, dir)
      fails(2, "/none/x: no such file", name, "/none/x")
      fails(2, "none.ext4: no such file", name, "none.ext4")
    end
    fails(2, "there is no OCI layout at /none", "ls", "oci:/none")
  end)

  it("has layers, or has none", function()
    fails(1, ("%s is an ext4 image, which has no layers; name the reference it was made of"):format(image), "ls", "--layer", "1", image)
    fails(1, ("%s has 2 layers: there is no layer 3"):format(ref), "ls", "--layer", "3", ref)
    fails(1, "--layer: '0' is no number from 1 on (see --help)", "ls", "--layer", "0", ref)
    fails(1, "--layer: 'x' is no number from 1 on (see --help)", "cat", "--layer", "x", ref, "/a")
  end)

  it("leaves nothing behind", function()
    local temp = scratch:mkdir "temp"
    for _, words in ipairs { { "ls", ref }, { "layers", ref }, { "diff", ref, ref }, { "cat", ref, "/etc" },
      { "edit", "--editor", "false", image, "/etc/passwd" } } do
      run(words, "TMPDIR=" .. temp)
    end
    assert.equal("", sh.check("ls -A " .. temp))
  end)

  it("may be an archive on standard input", function()
    local archive = scratch:path "archive.tar"
    sh.check(("tar -cf %s -C %s ."):format(archive, layout))
    assert.equal("a = 2\nb = 3\n", out("cat", "oci-archive:" .. archive, "/etc/app.conf"))
    assert.equal("a = 2\nb = 3\n", sh.check(("%s cat - /etc/app.conf <%s"):format(sh.banger(), archive)))
  end)

  it("was not unmounted: that is said once", function()
    local dirty = scratch:path "dirty.ext4"
    sh.check(sh.line("cp", "--sparse=always", image, dirty))
    sh.check(SBIN .. sh.line("debugfs", "-w", "-R", "feature needs_recovery", dirty) .. " >/dev/null 2>&1")
    local got = run { "ls", dirty, "/var" }
    assert.same({ "www\n",
      ("banger-lua: %s is in use, or was not unmounted: its journal holds changes that are not seen here; stop what uses it, "
        .. "and if nothing does, run e2fsck -fy on it\n"):format(dirty) },
      { got.out, got.err })
    assert.equal(got.err, run({ "ls", "-q", dirty, "/var" }).err)
    assert.equal("", run({ "ls", "--log-level", "error", dirty, "/var" }).err)
  end)
end)

describe("an image in a registry", function()
  it("is looked into through the cache, and without the registry afterwards", function()
    local reason = registry.missing()
    if reason then return pending(reason) end
    local hub <close> = setmetatable({ server = registry.start { scratch = scratch } }, { __close = function(self) self.server:stop() end })
    local digest = hub.server:push(layout, "t", "library/app:1")
    local client, cache = registry.client(scratch), scratch:fresh ".cache"
    local name = hub.server.host .. "/library/app:1"
    local function ask(words) return table.pack(client:run(words .. " " .. name, cache)) end
    local got = cjson.decode(ask("inspect --json")[1])
    assert.same({ digest, name, 2 }, { got.digest, got.reference, #got.layers })
    -- Manifest and config tell that; no layer was fetched for it.
    assert.equal("0\n", sh.check(("find %s -type f -size +20k | wc -l"):format(cache)))
    assert.same({ "app.conf\ngroup\npasswd\nself\n", 0, "", n = 3 }, table.pack(client:run("ls " .. name .. " /etc", cache)))
    assert.same({ "", 2, ("banger-lua: %s/library/app:2 is not in the registry (manifest unknown)\n"):format(hub.server.host), n = 3 },
      table.pack(client:run(("ls %s/library/app:2"):format(hub.server.host), cache)))
    hub.server:stop()
    assert.same({ "a = 2\nb = 3\n", 0, "", n = 3 }, table.pack(client:run("cat --offline " .. name .. " /etc/app.conf", cache)))
    assert.equal(1048582, cjson.decode(ask("layers --offline --json")[1]).wasted_bytes)
    assert.same({ "", 0, "", n = 3 }, table.pack(client:run(("diff --offline %s %s"):format(name, image), cache)))
  end)
end)
