-- `banger-lua check` from the outside: images of pull and of mke2fs, sound and damaged.
-- What a file system is said to be was made so by debugfs.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local cjson = require "cjson"
local need = require "support.need"
local sh = require "support.sh"

local SBIN = "PATH=$PATH:/usr/sbin:/sbin "
local oct = function(digits) return tonumber(digits, 8) end

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

local reason = need.program("e2fsck", "debugfs", "mke2fs", "busybox")
if reason then
  it("needs programs", function() return pending(reason) end)
  return
end

local BOOTS = {
  { path = "/dev", type = "dir", mode = oct "755" }, { path = "/proc", type = "dir", mode = oct "555" },
  { path = "/sys", type = "dir", mode = oct "555" }, { path = "/run", type = "dir", mode = oct "755" },
  { path = "/tmp", type = "dir", mode = oct "1777" }, { path = "/etc", type = "dir", mode = oct "755" },
  { path = "/root", type = "dir", mode = oct "700" },
  { path = "/dev/console", type = "char", major = 5, minor = 1, mode = oct "600" },
  { path = "/dev/null", type = "char", major = 1, minor = 3, mode = oct "666" },
  { path = "/bin/busybox", source = "/bin/busybox", mode = oct "755" },
  { path = "/sbin/init", type = "symlink", target = "/bin/busybox" },
}

--- An image that boots, with these entries too.
local function make(...)
  local path = scratch:fresh ".ext4"
  local rootfs <close> = banger.rootfs { near = path }
  banger.inject(rootfs, BOOTS)
  banger.inject(rootfs, { ... })
  banger.mkext4(rootfs, path, { epoch = 1600000000, uuid = "01234567-89ab-cdef-0123-456789abcdef", label = "root" })
  return path
end

local function debugfs(path, command) sh.check(SBIN .. sh.line("debugfs", "-w", "-R", command, path)) end

--- Runs check; `setup` is shell before it.
local function run(arguments, before)
  local err = scratch:fresh ".err"
  local out, code = sh.run(("%s %s check %s 2>%s"):format(before or "", sh.quote(sh.banger()), arguments, err))
  return { out = out, code = code, err = sh.read_file(err) }
end

local function says(path, out, code, summary)
  local got = run(sh.quote(path))
  assert.same({ out = out, code = code, err = ("banger-lua: %s: %s\n"):format(path, summary) }, got)
end

describe("check", function()
  it("finds nothing in an image that boots", function()
    says(make(), "", 0, "0 errors, 0 warnings")
  end)

  it("says what keeps an image from booting, and what to do", function()
    local path = make({ path = "/sbin/init", type = "remove" }, { path = "/.dockerenv", content = "" })
    says(path, "error: no-init: there is no init: no /sbin/init, no /etc/init, no /bin/init; "
      .. "pull the image with --init banger, or install an init\n"
      .. "warning: container-mark: /.dockerenv says that this is a container; remove it: inits leave things out for it\n",
      1, "1 error, 1 warning")
    assert.same({ out = "", code = 0, err = "" }, run("-q --no-fsck --init /bin/busybox " .. path))
    assert.equal(("banger-lua: %s: 0 errors, 1 warning; the kernel needs init=/bin/busybox\n"):format(path),
      run("--init /bin/busybox " .. path).err)
    local quiet = run("-q " .. path)
    assert.same({ 1, "" }, { quiet.code, quiet.err })
    assert.matches("^error: no%-init: [^\n]*\n$", quiet.out)
  end)

  it("ends well with mere warnings", function()
    says(make { path = "/etc/fstab", content = "/dev/sda1 /data ext4 defaults 0 2\nUUID=01234567-89ab-cdef-0123-456789abcdef / ext4 rw\n"
      .. "LABEL=boot /boot ext4 rw\n" },
      "warning: fstab-device: /etc/fstab has /data on /dev/sda1, which the machine does not have; "
      .. "remove the line, or add the option nofail\n"
      .. "warning: fstab-device: /etc/fstab has /boot on LABEL=boot, which is another file system, and this one is root; "
      .. "remove the line, or add the option nofail\n", 0, "0 errors, 2 warnings")
  end)

  it("is JSON too", function()
    local path = make { path = "/sbin/init", type = "symlink", target = "/nowhere" }
    local got = run("--json " .. path)
    assert.equal(1, got.code)
    assert.equal(("banger-lua: %s: 1 error, 0 warnings\n"):format(path), got.err)
    assert.same({
      image = path, boots = false, errors = 1, warnings = 0,
      findings = { {
        level = "error", id = "dangling-init", path = "/sbin/init", message = "/sbin/init is a link to /nowhere, which is not there",
        remedy = "install what it links to, or pull with --init naming a program that is there",
      } },
    }, cjson.decode(got.out))
    local sound = cjson.decode(run("--json " .. make()).out)
    assert.is_true(sound.boots)
    assert.same({ path = "/sbin/init", kind = "busybox" }, sound.init)
    assert.equal(banger.host.arch(), sound.architecture)
  end)

  it("shows no control characters of an image", function()
    local got = run(make { path = "/sbin/init", type = "symlink", target = "/\27[31m\n\127\u{9b}x" })
    assert.equal("error: dangling-init: /sbin/init is a link to /\\x1B[31m\\n\\x7F\\u{9B}x, which is not there; "
      .. "install what it links to, or pull with --init naming a program that is there\n", got.out)
  end)

  it("refuses what it does not understand", function()
    local path = make()
    for arguments, message in pairs {
      ["--free 101 " .. path] = "--free: '101' is no number from 0 to 100",
      ["--free=-1 " .. path] = "--free: '-1' is no number from 0 to 100",
      ["--init sbin/init " .. path] = "--init: 'sbin/init' is no path in the image, from / on",
      [""] = "missing argument 'image'",
    } do
      local got = run(arguments)
      assert.same({ 1, "" }, { got.code, got.out })
      assert.equal(("banger-lua: %s (see --help)\n"):format(message), got.err)
    end
  end)
end)

-- ---- the kernel's word -----------------------------------------------------------------

--- A directory and a rootfs of the same files: path -> { source } or "content", all executable; "-> target" is a link.
local function twins(files)
  local root = scratch:fresh()
  local entries = {}
  for path, what in pairs(files) do
    sh.check(("mkdir -p %s"):format(sh.quote((root .. path):match "^(.*)/")))
    local target = type(what) == "string" and what:match "^%-> (.*)"
    if target then
      sh.check(sh.line("ln", "-s", target, root .. path))
      entries[#entries + 1] = { path = path, type = "symlink", target = target }
    elseif type(what) == "table" then
      sh.check(sh.line("install", "-m", what.mode or "755", what[1], root .. path))
      entries[#entries + 1] = { path = path, source = what[1], mode = oct(what.mode or "755") }
    else
      sh.write_file(root .. path, what)
      sh.check(sh.line("chmod", "755", root .. path))
      entries[#entries + 1] = { path = path, content = what, mode = oct "755" }
    end
  end
  return root, entries
end

--- Whether /sbin/init runs to its end in a root of these files, and what check finds.
local function verdicts(files)
  local root, entries = twins(files)
  local _, code = sh.run(("chroot %s /sbin/init >/dev/null 2>&1"):format(root))
  local tree <close> = banger.rootfs { near = scratch:path "x.ext4" }
  banger.inject(tree, BOOTS)
  banger.inject(tree, { { path = "/bin/busybox", type = "remove" }, { path = "/sbin/init", type = "remove" } })
  banger.inject(tree, entries)
  local ids = {}
  for _, finding in ipairs(require("banger.check").run(tree).findings) do ids[#ids + 1] = finding.id end
  return code == 0, table.concat(ids, " ")
end

local function compile(name, with, more)
  sh.write_file(scratch:path "zero.c", "int main(void) { return 0; }\n")
  local path = scratch:path(name)
  sh.check(("%s -o %s %s %s"):format(with, path, scratch:path "zero.c", more or ""))
  return path
end

describe("the kernel, in a root of the same files,", function()
  local lacking = need.all(need.root(), need.program("cc", "chroot", "aarch64-linux-gnu-gcc"))
    or banger.host.arch() ~= "amd64" and "needs amd64" or nil
  if lacking then
    it("has a word to say", function() return pending(lacking) end)
    return
  end

  local static = compile("static", "cc", "-static")
  local dynamic = compile("dynamic", "cc")
  local arm = compile("arm", "aarch64-linux-gnu-gcc", "-static")
  local LD = { sh.check "realpath /lib64/ld-linux-x86-64.so.2":sub(1, -2) }
  local LIBC = { sh.check "realpath /lib/x86_64-linux-gnu/libc.so.6":sub(1, -2) }

  local function scripts(count)
    local files = { ["/sbin/init"] = "#!/s1\n", ["/s" .. count] = { static } }
    for i = 1, count - 1 do files["/s" .. i] = ("#!/s%d\n"):format(i + 1) end
    return files
  end

  it("runs what nothing is found in", function()
    for name, files in pairs {
      static = { ["/sbin/init"] = { static } },
      dynamic = { ["/sbin/init"] = { dynamic }, ["/lib64/ld-linux-x86-64.so.2"] = LD, ["/lib/x86_64-linux-gnu/libc.so.6"] = LIBC },
      ["merged usr"] = { ["/usr/sbin/init"] = { dynamic }, ["/usr/lib64/ld-linux-x86-64.so.2"] = LD,
        ["/usr/lib/x86_64-linux-gnu/libc.so.6"] = LIBC, ["/lib64"] = "-> usr/lib64", ["/lib"] = "-> usr/lib", ["/sbin"] = "-> /usr/sbin" },
      runpath = { ["/sbin/init"] = { compile("runpath", "cc", "-Wl,-rpath,/opt") },
        ["/lib64/ld-linux-x86-64.so.2"] = LD, ["/opt/libc.so.6"] = LIBC },
      script = { ["/sbin/init"] = "#!/bin/true with words\n", ["/bin/true"] = { static } },
      ["execute only"] = { ["/sbin/init"] = { static, mode = "100" } },
      links = { ["/sbin/init"] = "-> ../a", ["/a"] = "-> /b/../c", ["/c"] = { static }, ["/b/x"] = "" },
      ["five scripts"] = scripts(5),
    } do
      local runs, found = verdicts(files)
      assert.same({ name, true, "" }, { name, runs, found })
    end
  end)

  it("runs what ldconfig has seen", function()
    local root = twins { ["/opt/libc.so.6"] = LIBC, ["/etc/ld.so.conf"] = "/opt\n" }
    sh.check(SBIN .. "ldconfig -r " .. root)
    assert.same({ true, "" }, { verdicts { ["/sbin/init"] = { dynamic }, ["/lib64/ld-linux-x86-64.so.2"] = LD, ["/opt/libc.so.6"] = LIBC,
      ["/etc/ld.so.conf"] = "/opt\n", ["/etc/ld.so.cache"] = { root .. "/etc/ld.so.cache", mode = "644" } } })
  end)

  it("refuses what there are findings in", function()
    for name, case in pairs {
      ["no loader"] = { "missing-interpreter", { ["/sbin/init"] = { dynamic } } },
      ["no link to the loader"] = { "broken-merged-usr", { ["/sbin/init"] = { dynamic }, ["/usr/lib64/ld-linux-x86-64.so.2"] = LD } },
      ["no library"] = { "missing-library", { ["/sbin/init"] = { dynamic }, ["/lib64/ld-linux-x86-64.so.2"] = LD } },
      ["a library beside a program that cannot know its place"] = { "missing-library", {
        ["/sbin/init"] = { compile("origin", "cc", "-Wl,-rpath,'$ORIGIN/../opt'") }, ["/lib64/ld-linux-x86-64.so.2"] = LD,
        ["/opt/libc.so.6"] = LIBC } },
      ["a library where this loader does not look"] = { "missing-library", { ["/sbin/init"] = { dynamic },
        ["/lib64/ld-linux-x86-64.so.2"] = LD, ["/lib64/libc.so.6"] = LIBC } },
      ["a library that ldconfig has not seen"] = { "missing-library", { ["/sbin/init"] = { dynamic },
        ["/lib64/ld-linux-x86-64.so.2"] = LD, ["/opt/libc.so.6"] = LIBC, ["/etc/ld.so.conf"] = "/opt\n" } },
      ["a loader that is text"] = { "bad-program", { ["/sbin/init"] = { dynamic }, ["/lib64/ld-linux-x86-64.so.2"] = "text" } },
      ["a loader for another machine"] = { "wrong-architecture", { ["/sbin/init"] = { dynamic },
        ["/lib64/ld-linux-x86-64.so.2"] = { arm } } },
      ["not executable"] = { "not-executable", { ["/sbin/init"] = { static, mode = "644" } } },
      ["text"] = { "bad-program", { ["/sbin/init"] = "exit 0\n" } },
      ["a line of DOS"] = { "missing-interpreter", { ["/sbin/init"] = "#!/bin/true\r\n", ["/bin/true"] = { static } } },
      ["no interpreter"] = { "missing-interpreter", { ["/sbin/init"] = "#!/bin/sh\n" } },
      ["no name"] = { "bad-program", { ["/sbin/init"] = "#! \n" } },
      ["six scripts"] = { "bad-program", scripts(6) },
      ["a circle"] = { "dangling-init", { ["/sbin/init"] = "-> /a", ["/a"] = "-> /sbin/init" } },
    } do
      local runs, found = verdicts(case[2])
      assert.same({ name, false, case[1] }, { name, runs, found })
    end
  end)

  it("is not asked about other machines, whose libraries are looked for all the same", function()
    local out = sh.check "aarch64-linux-gnu-gcc -print-file-name=libc.so.6; aarch64-linux-gnu-gcc -print-file-name=ld-linux-aarch64.so.1"
    local libc, ld = out:match "^(/[^\n]*)\n(/[^\n]*)\n"
    local files = { ["/sbin/init"] = { compile("arm-dynamic", "aarch64-linux-gnu-gcc") }, ["/lib/ld-linux-aarch64.so.1"] = { ld },
      ["/lib/aarch64-linux-gnu/libc.so.6"] = { libc } }
    assert.same({ false, "" }, { verdicts(files) })
    files["/lib/aarch64-linux-gnu/libc.so.6"] = LIBC
    assert.same({ false, "missing-library" }, { verdicts(files) })
  end)
end)

describe("what is no image of ours", function()
  it("is an error of one line", function()
    local text = scratch:path "text"
    sh.write_file(text, "no file system\n")
    local got = run(text)
    assert.same({ code = 1, out = "", err = ("banger-lua: %s: not an ext4 image: it has only 15 bytes\n"):format(text) }, got)
    got = run "/nowhere/x.ext4"
    assert.same({ code = 2, out = "", err = "banger-lua: open /nowhere/x.ext4: No such file or directory\n" }, got)
  end)

  it("is read all the same where it is ext4", function()
    local path = scratch:path "mke2fs.ext4"
    sh.check(SBIN .. "mke2fs -q -t ext4 " .. path .. " 8M")
    local got = run(path)
    assert.equal(1, got.code)
    assert.matches("^error: no%-init: ", got.out)
    assert.matches("\nerror: missing%-directory: /proc is not there; pull the image without %-%-no%-inject\n", got.out)
  end)
end)

describe("a file system", function()
  it("with errors inside is found by e2fsck, whose first word is told", function()
    local path = make()
    debugfs(path, "set_inode_field /bin/busybox links_count 7")
    local line = "error: fsck: e2fsck finds errors: Inode %d+ ref count is 7, should be 1; run e2fsck %-fy on it\n"
    local got = run(path)
    assert.equal(1, got.code)
    assert.matches("^" .. line .. "$", got.out)
    assert.same({ out = "", code = 0, err = ("banger-lua: %s: 0 errors, 0 warnings\n"):format(path) }, run("--no-fsck " .. path))
  end)

  it("with a damaged file or directory is unreadable there, and nowhere else", function()
    for path, read in pairs { ["/etc"] = "/etc/inittab", ["/bin/busybox"] = "/sbin/init" } do
      local image = make()
      debugfs(image, ("set_inode_field %s block[0] 0xffffffff"):format(path))
      local got = run("--no-fsck " .. image)
      assert.equal(1, got.code)
      assert.matches(("^error: unreadable: %s cannot be read: %%S+: find block 0 of inode %%d+: [^\n]*; run e2fsck %%-fy on the image\n$"):format(
        read), got.out)
    end
  end)

  it("whose directory has lost a name is as one without", function()
    local path = make()
    debugfs(path, "clri /sbin")
    local got = run(path)
    assert.equal(1, got.code)
    assert.matches("^error: no%-init: there is no init: no /sbin/init, no /etc/init, no /bin/init; [^\n]*\n"
      .. "error: fsck: e2fsck finds errors: Entry 'sbin' in / %(2%) has deleted/unused inode %d+; run e2fsck %-fy on it\n$", got.out)
  end)

  it("that was not unmounted is told of", function()
    local path = make()
    debugfs(path, "set_super_value state 0")
    assert.equal(("warning: not-clean: %s is in use, or was not unmounted; "
      .. "if nothing uses it, run e2fsck -fy on it\n"):format(path), run("--no-fsck " .. path).out)
    debugfs(path, "set_super_value state 2")
    local got = run("--no-fsck " .. path)
    assert.same({ 1, ("error: fs-errors: %s is marked as having errors; run e2fsck -fy on it\n"):format(path) }, { got.code, got.out })
    path = make()
    debugfs(path, "feature needs_recovery")
    assert.equal(("warning: journal: %s was not unmounted: its journal holds changes that are not in place; "
      .. "if nothing uses it, run e2fsck -fy on it; or do not give it to the machine read-only\n"):format(path), run("--no-fsck " .. path).out)
  end)

  it("that was mounted since pull made it has an id of its own", function()
    local path = make({ path = "/sbin/init", type = "remove" }, { path = "/sbin/init", target = "/lib/systemd/systemd" },
      { path = "/lib/systemd/systemd", source = "/bin/busybox", mode = oct "755" }, { path = "/.banger/build.json", content = "{}" },
      { path = "/etc/machine-id", content = "0123456789abcdef0123456789abcdef\n" })
    assert.matches("warning: machine-id: /etc/machine-id is not empty", run(path).out, 1, true)
    debugfs(path, "ssv mnt_count 1")
    assert.is_nil(run(path).out:find("machine-id:", 1, true))
  end)

  it("that is nearly full is told of", function()
    local path = scratch:fresh ".ext4"
    do
      local rootfs <close> = banger.rootfs { near = path }
      banger.inject(rootfs, BOOTS)
      banger.inject(rootfs, { { path = "/full", content = ("x"):rep(40 << 20) } })
      banger.mkext4(rootfs, path, { epoch = 1600000000, free = "1M" })
    end
    local got = run(path)
    assert.equal(0, got.code)
    assert.matches("^warning: low%-space: 1.0 MiB of [%d.]+ MiB is free, less than 5 %%; "
      .. "pull with a larger %-%-size, or grow it with resize2fs\n$", got.out)
    assert.equal("", run("--free 0 " .. path).out)
    assert.matches("less than 99.5 %%", run("--free 99.5 " .. path).out)
  end)

  it("is not looked into where there is no e2fsck, or it fails", function()
    local path = make()
    local fake = scratch:mkdir "bin"
    sh.write_file(fake .. "/e2fsck", "#!/bin/sh\necho 'e2fsck: out of memory' >&2\nexit 8\n")
    sh.check("chmod +x " .. fake .. "/e2fsck")
    local got = run(path, ("PATH=%s:$PATH"):format(fake))
    assert.same({ 1, ("error: fsck: e2fsck could not check %s: out of memory; run e2fsck -fn on it to see all\n"):format(path) },
      { got.code, got.out })
  end)
end)
