-- Will it boot: for each finding a tree that has it and one that has it not, through the
-- read side of a real rootfs; what only a finished image has is in e2e/check_spec.lua.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local check = require "banger.check"
local filesystem = require "banger.check.filesystem"
local make = require("support.elf").make
local need = require "support.need"
local sh = require "support.sh"

local oct = function(digits) return tonumber(digits, 8) end

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

-- ---- trees -----------------------------------------------------------------------------

local function file(path, content, mode) return { path = path, content = content, mode = mode and oct(mode) or oct "644" } end
local function program(path, elf) return file(path, type(elf) == "string" and elf or make(elf), "755") end
local function link(path, target) return { path = path, type = "symlink", target = target } end
local function dir(path, mode) return { path = path, type = "dir", mode = oct(mode or "755") } end
local function gone(path) return { path = path, type = "remove" } end

-- What a machine needs, but for an init.
local CONTRACT = {
  dir "/dev", dir "/proc", dir "/sys", dir "/run", dir("/tmp", "1777"), dir "/etc", dir "/root",
  { path = "/dev/console", type = "char", major = 5, minor = 1, mode = oct "600" },
  { path = "/dev/null", type = "char", major = 1, minor = 3, mode = oct "666" },
}

local function with(...)
  local all = table.move(CONTRACT, 1, #CONTRACT, 1, {})
  for _, list in ipairs { ... } do
    table.move(list.path and { list } or list, 1, #(list.path and { list } or list), #all + 1, all)
  end
  return all
end

local function run(entries, facts)
  local rootfs <close> = banger.rootfs { near = scratch:path "x.ext4" }
  for _, entry in ipairs(entries) do
    banger.inject(rootfs, { entry }) -- one by one: what is made may be removed again
  end
  return check.run(rootfs, facts)
end

local function lines(result)
  local out = {}
  for i, finding in ipairs(result.findings) do out[i] = check.line(finding) end
  return out
end

--- The contract with these entries has these findings and no others.
local function finds(want, entries, facts)
  local result = run(with(entries), facts)
  assert.same(want, lines(result))
  return result
end

local function is_fine(entries, facts) return finds({}, entries, facts) end

local INIT = program "/sbin/init"

-- ---- init --------------------------------------------------------------------------------

local NO_INIT = "error: no-init: there is no init: no /sbin/init, no /etc/init, no /bin/init; "
local PULL_BANGER = "pull the image with --init banger, or install an init"

describe("the init", function()
  it("is where the kernel looks", function()
    for _, path in ipairs { "/sbin/init", "/etc/init", "/bin/init" } do
      local result = is_fine { program(path) }
      assert.same({ path = path, kind = "other" }, result.init)
      assert.equal("amd64", result.architecture)
      assert.same({ 0, 0 }, { result.errors, result.warnings })
    end
  end)

  it("is missing", function()
    local result = finds({ NO_INIT .. PULL_BANGER }, {})
    assert.is_nil(result.init)
    finds({ NO_INIT:sub(1, -3) .. "; pull noted: it names no program; " .. PULL_BANGER },
      { file("/.banger/build.json", '{"init":{"kind":"none","why":"it names no program"}}') })
    assert.same({ level = "error", id = "no-init", path = "/sbin/init", remedy = PULL_BANGER,
      message = "there is no init: no /sbin/init, no /etc/init, no /bin/init" }, result.findings[1])
    finds({ NO_INIT:sub(1, -3) .. "; the kernel would run /bin/sh as one; " .. PULL_BANGER }, { program "/bin/sh" })
  end)

  it("is a link to nothing, or a circle", function()
    local remedy = "; install what it links to, or pull with --init naming a program that is there"
    finds({ "error: dangling-init: /sbin/init is a link to ../lib/systemd/systemd, which is not there" .. remedy },
      { link("/sbin/init", "../lib/systemd/systemd"), program "/bin/sh" })
    finds({ "error: dangling-init: /sbin/init is a link to /sbin/init, which is not there" .. remedy }, { link("/sbin/init", "/sbin/init") })
    is_fine { link("/sbin/init", "/bin/busybox"), program "/bin/busybox" }
  end)

  it("cannot be executed", function()
    finds({ "error: not-executable: /sbin/init is not executable; give it the mode 0755" }, { file("/sbin/init", make()) })
    finds({ "error: not-executable: /sbin/init is a dir, not a program; put the program in its place" }, { dir "/sbin/init" })
    is_fine { file("/sbin/init", make(), "100") }
  end)

  it("is no program", function()
    finds({ "error: bad-program: /sbin/init is empty; install it anew" }, { program("/sbin/init", "") })
    finds({ "error: bad-program: /sbin/init is neither an ELF program nor a script; begin a script with #!/bin/sh" },
      { program("/sbin/init", "echo hello\n") })
    finds({ "error: bad-program: /sbin/init is an ELF file without program headers; install it anew" },
      { program("/sbin/init", { phnum = 0 }) })
    finds({ "error: bad-program: /sbin/init is an ELF file that is cut off in its header; install it anew" },
      { program("/sbin/init", "\127ELF\2\1") })
  end)

  it("is what the kernel is told, before all else", function()
    local entries = { program "/opt/first", file("/.banger/build.json", '{"init":{"kind":"path","path":"/opt/first"}}') }
    assert.equal("/opt/first", is_fine(entries).init.path)
    assert.equal("/opt/first", is_fine({ entries[1] }, { init = "/opt/first" }).init.path)
    assert.equal("/opt/first", is_fine({ entries[1] }, { record = { init = { path = "/opt/first" } } }).init.path)
    finds({ "error: no-init: /opt/first, which /.banger/build.json says runs first, is not there; "
      .. "pull the image anew, or name another with --init" }, { INIT, entries[2] })
    finds({ "error: no-init: /x, which is asked for, is not there; pull the image anew, or name another with --init" }, { INIT },
      { init = "/x" })
  end)

  it("may need a word to the kernel", function()
    local first, facts = program "/opt/first", { init = "/opt/first" }
    assert.equal("init=/opt/first", is_fine({ first }, facts).init.cmdline)
    assert.equal("init=/opt/first", is_fine({ first, program "/bin/init" }, facts).init.cmdline)
    assert.is_nil(is_fine({ first, link("/sbin/init", "../opt/first") }, facts).init.cmdline)
    assert.is_nil(is_fine({ INIT }, { init = "/sbin/init" }).init.cmdline)
  end)

  it("is found without a record that makes no sense", function()
    for _, text in ipairs { "{}", '{"init":7,"platform":8}', '{"init":{"path":9},"platform":{"architecture":1}}', '{"init":{"path":"x"}}' } do
      is_fine { INIT, file("/.banger/build.json", text) }
    end
    local result = run(with { INIT, file("/.banger/build.json", "{") })
    assert.equal("bad-record", result.findings[1].id)
    assert.same({ 0, 1 }, { result.errors, result.warnings })
    assert.equal("/sbin/init", result.init.path)
  end)
end)

describe("the loader of the init", function()
  local LD = "/lib64/ld-linux-x86-64.so.2"
  local loader = program(LD, { type = 3 })
  local dynamic = program("/sbin/init", { type = 3, interpreter = LD })

  it("is there", function()
    is_fine { dynamic, loader }
    is_fine { dynamic, link("/lib64", "usr/lib64"), program("/usr" .. LD, { type = 3 }) }
    is_fine { dynamic, link(LD, "../opt/ld.so"), program("/opt/ld.so", { type = 3 }) }
  end)

  it("is missing", function()
    local remedy = "; install the C library in the image, or build init static"
    finds({ "error: missing-interpreter: /sbin/init needs /lib64/ld-linux-x86-64.so.2, which is not there" .. remedy }, { dynamic })
    finds({ "error: missing-interpreter: /sbin/init needs /lib64/ld-linux-x86-64.so.2, which is a link to ld-2.36.so, and that is not there"
      .. remedy }, { dynamic, link(LD, "ld-2.36.so") })
    finds({ "error: missing-interpreter: /sbin/init needs /lib/ld-musl-x86_64.so.1, which is not there; "
      .. "install musl in the image, or build init static" }, { program("/sbin/init", { interpreter = "/lib/ld-musl-x86_64.so.1" }) })
    finds({ "error: missing-interpreter: /sbin/init needs /opt/run, which is not there; add the package that has it" },
      { program("/sbin/init", { interpreter = "/opt/run" }) })
  end)

  it("is out of reach in a merged-usr image that lost a link", function()
    finds({ "error: broken-merged-usr: /lib64/ld-linux-x86-64.so.2 is not there, which /sbin/init needs, though "
      .. "/usr/lib64/ld-linux-x86-64.so.2 is: /lib64 is a directory of its own, not a link to usr/lib64; "
      .. "move what is in /lib64 to /usr/lib64 and make it a link" }, { dynamic, dir "/lib64", program("/usr" .. LD, { type = 3 }) })
    finds({ "error: broken-merged-usr: /lib64/ld-linux-x86-64.so.2 is not there, which /sbin/init needs, though "
      .. "/usr/lib64/ld-linux-x86-64.so.2 is: /lib64 is missing; move what is in /lib64 to /usr/lib64 and make it a link" },
      { dynamic, program("/usr" .. LD, { type = 3 }) })
    finds({ "error: broken-merged-usr: /sbin/init is not there, which is to run first, though /usr/sbin/init is: "
      .. "/sbin is a directory of its own, not a link to usr/sbin; move what is in /sbin to /usr/sbin and make it a link" },
      { dir "/sbin", program "/usr/sbin/init" })
    is_fine { link("/sbin", "usr/sbin"), program "/usr/sbin/init" }
  end)

  it("is no loader", function()
    finds({ "error: bad-program: /lib64/ld-linux-x86-64.so.2, which /sbin/init needs, is no ELF file; install it anew" },
      { dynamic, program(LD, "text") })
    finds({ "error: bad-program: /lib64/ld-linux-x86-64.so.2, which /sbin/init needs, is no ELF file; install it anew" },
      { dynamic, dir(LD) })
    finds({ "error: not-executable: /lib64/ld-linux-x86-64.so.2, which /sbin/init needs, is not executable; give it the mode 0755" },
      { dynamic, file(LD, make { type = 3 }) })
  end)

  it("is for another machine", function()
    finds({ "error: wrong-architecture: /sbin/init is a program for amd64; its loader /lib64/ld-linux-x86-64.so.2 is for arm64; "
      .. "layers of two platforms were mixed: build the image for one" }, { dynamic, program(LD, { architecture = "arm64" }) })
  end)
end)

describe("the architecture of the init", function()
  local arm = program("/sbin/init", { architecture = "arm64" })
  local record = file("/.banger/build.json", '{"platform":{"architecture":"amd64","os":"linux"}}')

  it("is the image's", function()
    is_fine { INIT, record }
    assert.equal("arm64", is_fine { arm }.architecture)
    is_fine({ arm }, { architecture = "arm64" })
  end)

  it("is not the image's", function()
    local line = "error: wrong-architecture: /sbin/init is a program for arm64; the image is for amd64; "
      .. "pull the image for the platform that it is to run on"
    finds({ line }, { arm, record })
    finds({ line }, { arm }, { architecture = "amd64" })
    finds({ "error: wrong-architecture: /sbin/init is a program for machine 999; the image is for amd64; "
      .. "pull the image for the platform that it is to run on" }, { program("/sbin/init", { machine = 999 }), record })
  end)

  it("is one that the kernel may emulate", function()
    finds({ "warning: wrong-architecture: /sbin/init is a program for 386, and the image is for amd64; "
      .. "give it a kernel with 32-bit emulation" }, { program("/sbin/init", { architecture = "386" }), record })
  end)
end)

describe("an init that is a script", function()
  local function script(text) return program("/sbin/init", text) end

  it("runs by its interpreter", function()
    is_fine { script "#!/bin/sh\nexec /x\n", program "/bin/sh" }
    is_fine { script "#! /bin/sh -e", program "/bin/sh" }
    is_fine { script "#!/usr/bin/env sh\n", program "/usr/bin/env", program "/bin/sh" }
    is_fine { script "#!/usr/bin/env -S sh -e\n", program "/usr/bin/env", program "/bin/sh" }
  end)

  it("lacks its interpreter", function()
    finds({ "error: missing-interpreter: /sbin/init needs /bin/bash, which is not there; add the package that has it" },
      { script "#!/bin/bash\n" })
    finds({ "error: missing-interpreter: /sbin/init has the line '#!/bin/sh\\r', which ends in a carriage return; "
      .. "save it with the line ends of Unix" }, { script "#!/bin/sh\r\n", program "/bin/sh" })
    finds({ "error: missing-interpreter: /sbin/init needs python3, which is not in "
      .. "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; add the package that has it" },
      { script "#!/usr/bin/env python3\n", program "/usr/bin/env" })
    finds({ "error: bad-program: /sbin/init is a script that names no interpreter; begin it with #!/bin/sh" }, { script "#!\n" })
  end)

  it("has an interpreter that lacks its own", function()
    finds({ "error: missing-interpreter: /bin/sh needs /lib/ld-linux-aarch64.so.1, which is not there; "
      .. "install the C library in the image, or build sh static" },
      { script "#!/bin/sh\n", program("/bin/sh", { architecture = "arm64", interpreter = "/lib/ld-linux-aarch64.so.1" }) })
    finds({ "error: not-executable: /bin/sh is not executable; give it the mode 0755" },
      { script "#!/bin/sh\n", file("/bin/sh", make()) })
  end)

  it("is its own interpreter", function()
    finds({ "error: bad-program: /sbin/init is a script for a script, more than 5 times; name a program behind #!" },
      { script "#!/sbin/init\n" })
  end)
end)

-- ---- libraries ---------------------------------------------------------------------------

describe("the libraries of the init", function()
  local LD = program("/lib64/ld-linux-x86-64.so.2", { type = 3 })
  local function init(more)
    local e = { interpreter = "/lib64/ld-linux-x86-64.so.2" }
    for k, v in pairs(more) do e[k] = v end
    return program("/sbin/init", e)
  end
  local function library(path, e) return file(path, make(e or { type = 3 })) end
  local function missing(text)
    return { ("warning: missing-library: /sbin/init needs %s, which is in none of the loader's directories; "):format(text)
      .. "install the package that has it" }
  end

  it("are in the loader's directories", function()
    for _, at in ipairs { "/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu" } do
      is_fine { LD, init { needed = { "libx.so.1" } }, library(at .. "/libx.so.1") }
    end
    is_fine { LD, init { needed = { "ld-linux-x86-64.so.2" } } }
    is_fine { LD, init { needed = { "/opt/libx.so" } }, library "/opt/libx.so" }
  end)

  it("are where the loader was built to look, and nowhere else then", function()
    local debian = program("/lib64/ld-linux-x86-64.so.2", make { type = 3 } .. "\0/lib/x86_64-linux-gnu/\0/usr/lib/\0/usr/share/\0lib/\0/lib\0")
    for _, at in ipairs { "/lib/x86_64-linux-gnu", "/usr/lib" } do
      is_fine { debian, init { needed = { "libx.so.1" } }, library(at .. "/libx.so.1") }
    end
    for _, at in ipairs { "/lib", "/lib64", "/usr/share" } do
      finds(missing "libx.so.1", { debian, init { needed = { "libx.so.1" } }, library(at .. "/libx.so.1") })
    end
  end)

  it("are where ld.so.conf says, once ldconfig has read it", function()
    local entries = { LD, init { needed = { "libx.so.1" } }, library "/opt/x/libx.so.1" }
    local cache = file("/etc/ld.so.cache", "glibc-ld.so.cache1.1\0libx.so.1\0/opt/x/libx.so.1\0")
    local function and_these(...) return { entries[1], entries[2], entries[3], ... } end
    local uncached = { "warning: missing-library: /sbin/init needs libx.so.1; /opt/x/libx.so.1 is not in /etc/ld.so.cache; "
      .. "run ldconfig in the image" }
    finds(missing "libx.so.1", entries)
    finds(missing "libx.so.1", and_these(cache))
    is_fine(and_these(cache, file("/etc/ld.so.conf", "# comment\n/opt/x\n")))
    finds(uncached, and_these(file("/etc/ld.so.conf", "# comment\n/opt/x\n")))
    finds(uncached, and_these(file("/etc/ld.so.conf", "/opt/x\n"), file("/etc/ld.so.cache", "\0libx.so.12\0")))
    is_fine(and_these(cache, file("/etc/ld.so.conf", "include ld.so.conf.d/*.conf\n"), file("/etc/ld.so.conf.d/10-x.conf", "/opt/x # here\n")))
    finds(missing "libx.so.1", and_these(cache, file("/etc/ld.so.conf", "include ld.so.conf.d/*.conf\n"),
      file("/etc/ld.so.conf.d/10-x.off", "/opt/x\n")))
  end)

  it("are where the program says", function()
    is_fine { LD, init { needed = { "libx.so" }, runpath = "/nowhere:/opt/x" }, library "/opt/x/libx.so" }
    is_fine { LD, init { needed = { "libx.so" }, rpath = "/opt" }, library "/opt/libx.so" }
    is_fine { LD, init { needed = { "libx.so" }, rpath = "/opt/$LIB" }, library "/opt/lib64/libx.so" }
  end)

  it("are beside the program, where it knows its place", function()
    for _, path in ipairs { "$ORIGIN/../opt", "/x:${ORIGIN}/../opt" } do
      finds({ "warning: missing-library: /sbin/init needs libx.so, which is in none of the loader's directories; "
        .. "name its directory without $ORIGIN, which means nothing before /proc is mounted" },
        { LD, init { needed = { "libx.so" }, runpath = path }, library "/opt/libx.so" })
      is_fine { LD, program "/.banger/init", file("/.banger/argv", "/bin/app\0"), library "/opt/libx.so",
        program("/bin/app", { interpreter = "/lib64/ld-linux-x86-64.so.2", needed = { "libx.so" }, rpath = path }) }
    end
    is_fine { LD, init { needed = { "liba.so" } }, library("/lib/liba.so", { needed = { "libx.so" }, runpath = "$ORIGIN/x" }),
      library "/lib/x/libx.so" }
  end)

  it("need libraries too, and pass RPATH on but not RUNPATH", function()
    local more = { LD, library("/opt/liba.so", { type = 3, needed = { "libb.so" } }), library "/opt/libb.so" }
    is_fine { init { needed = { "liba.so" }, rpath = "/opt" }, table.unpack(more) }
    finds(missing "libb.so, for /opt/liba.so", { init { needed = { "liba.so" }, runpath = "/opt" }, table.unpack(more) })
  end)

  it("are missing, or for another machine", function()
    finds(missing "libx.so.1", { LD, init { needed = { "libx.so.1" } } })
    finds(missing "libx.so.1", { LD, init { needed = { "libx.so.1" } }, library("/lib/libx.so.1", { architecture = "arm64" }) })
    finds(missing "libx.so.1", { LD, init { needed = { "libx.so.1" } }, file("/lib/libx.so.1", "text") })
  end)

  it("are told of a few at a time", function()
    local needed = {}
    for i = 1, 200 do needed[i] = "lib" .. i .. ".so" end
    assert.equal(4, run(with { LD, init { needed = needed } }).warnings)
  end)

  it("may need each other", function()
    is_fine { LD, init { needed = { "liba.so" } }, library("/lib/liba.so", { needed = { "libb.so" } }),
      library("/lib/libb.so", { needed = { "liba.so" } }) }
  end)

  it("are musl's, which is its loader", function()
    local musl = program("/lib/ld-musl-x86_64.so.1", { type = 3 })
    local function alpine(needed) return program("/sbin/init", { interpreter = "/lib/ld-musl-x86_64.so.1", needed = needed }) end
    is_fine { musl, alpine { "libc.musl-x86_64.so.1" } }
    is_fine { musl, alpine { "libc.so", "libpthread.so" } }
    is_fine { musl, alpine { "libz.so.1" }, library "/usr/local/lib/libz.so.1" }
    is_fine { musl, alpine { "libz.so.1" }, library "/opt/libz.so.1", file("/etc/ld-musl-x86_64.path", "/opt\n") }
    finds(missing "libz.so.1", { musl, alpine { "libz.so.1" }, library "/usr/lib/x86_64-linux-gnu/libz.so.1" })
  end)

  it("are named by a section that lies", function()
    finds({ "warning: bad-program: /sbin/init is damaged: its dynamic section is too large; install it anew" },
      { LD, init { needed = { "liba.so" }, dynamic_size = 1 << 40 } })
  end)

  it("are not looked for without end", function()
    local entries = { LD, init { needed = { "liba.so" }, rpath = ("/a/$LIB:"):rep(400) .. "/lib" } }
    local conf = { "include ld.so.conf.d/*", "include /etc/ld.so.conf", "include /etc/" .. ("*a"):rep(40) }
    for i = 1, 3000 do conf[#conf + 1] = "/dir" .. i end
    entries[#entries + 1] = file("/etc/ld.so.conf", table.concat(conf, "\n"))
    entries[#entries + 1] = file("/etc/ld.so.conf.d/x", "include /etc/ld.so.conf.d/x\n")
    entries[#entries + 1] = file("/etc/" .. ("a"):rep(250), "/y\n")
    entries[#entries + 1] = library("/lib/liba.so", { needed = { "liba.so", "libb.so", "libc.so" } })
    local begun = os.clock()
    assert.equal(2, run(with(entries)).warnings)
    assert.is_true(os.clock() - begun < 30)
  end)
end)

-- ---- real programs -----------------------------------------------------------------------

describe("a real program", function()
  local function real(path) return { path = "/sbin/init", source = path, mode = oct "755" } end

  it("that is static runs alone", function()
    local reason = need.program "busybox"
    if reason then return pending(reason) end
    assert.equal(banger.host.arch(), is_fine { real "/bin/busybox" }.architecture)
  end)

  it("of another machine is told from this one's", function()
    local init = assert(require("banger.core").resource "guest/banger-init-arm64")
    finds({ "error: wrong-architecture: /sbin/init is a program for arm64; the image is for amd64; "
      .. "pull the image for the platform that it is to run on" }, { program("/sbin/init", init) }, { architecture = "amd64" })
    is_fine({ program("/sbin/init", init) }, { architecture = "arm64" })
  end)

  it("needs what ldd says, and no more", function()
    local reason = need.program("ldd", "e2fsck")
    if reason then return pending(reason) end
    local entries = { real "/usr/sbin/e2fsck" }
    local libraries = {}
    for path in sh.check "ldd /usr/sbin/e2fsck":gmatch "(/%S+) %(0x" do
      entries[#entries + 1] = { path = path, source = path, mode = oct "755" }
      libraries[#libraries + 1] = path
    end
    assert.is_true(#libraries >= 3)
    is_fine(entries)
    local loader, last
    for i = #entries, 2, -1 do
      if entries[i].path:find "/ld%-linux" then loader = entries[i] else last = entries[i] end
    end
    local result = run(with { entries[1], loader })
    assert.same({ 0, 4 }, { result.errors, result.warnings })
    assert.equal("missing-library", result.findings[1].id)
    for i, entry in ipairs(entries) do
      if entry == last then table.remove(entries, i) break end
    end
    result = run(with(entries))
    assert.same({ 0, 1 }, { result.errors, result.warnings })
    assert.matches(last.path:match "[^/]*$", result.findings[1].message, 1, true)
  end)
end)

-- ---- banger-init ---------------------------------------------------------------------------

local function banger_files(files)
  local entries = { program "/.banger/init", link("/sbin/init", "/.banger/init") }
  for name, list in pairs(files) do
    entries[#entries + 1] = file("/.banger/" .. name, table.concat(list, "\0") .. (#list > 0 and "\0" or ""))
  end
  return entries
end

describe("an image with banger-init", function()
  local function image(files, more)
    local entries = banger_files(files)
    return table.move(more or {}, 1, #(more or {}), #entries + 1, entries)
  end

  it("runs a program of its own", function()
    local result = is_fine(image({ argv = { "/app", "" } }, { program "/app" }))
    assert.same({ path = "/.banger/init", kind = "banger" }, result.init)
    is_fine(image({ argv = { "app" } }, { program "/usr/local/bin/app" }))
    is_fine(image({ argv = { "app" }, env = { "PATH=/opt/bin:/x" } }, { program "/opt/bin/app" }))
    is_fine(image({ argv = { "./app" }, cwd = { "/srv" } }, { program "/srv/app" }))
    is_fine(image({ argv = { "app" }, cwd = { "srv/" }, env = { "PATH=." } }, { program "/srv/app" }))
  end)

  it("is told of even where /sbin/init is the image's own", function()
    local entries = image({ argv = { "/app" } }, { program "/app" })
    entries[2] = program("/sbin/init", "nonsense")
    assert.equal("/.banger/init", is_fine(entries).init.path)
  end)

  it("has no program to run", function()
    local line = "error: no-program: /.banger/argv names no program for banger-init to run; "
      .. "pull the image anew: its config needs an Entrypoint or Cmd"
    finds({ line }, image {})
    finds({ line }, image { argv = {} })
    finds({ line }, image { argv = { "", "x" } })
  end)

  it("lacks its program", function()
    finds({ "error: program-not-found: the image runs /app, which is not there; install it, or pull an image that has it" },
      image { argv = { "/app" } })
    finds({ "error: program-not-found: the image runs app, which is not in PATH=/opt; install it, or pull an image that has it" },
      image({ argv = { "app" }, env = { "PATH=/bin", "PATH=/opt", "PATH" } }, { program "/bin/app" }))
    finds({ "error: broken-merged-usr: /bin/app is not there, which the image runs, though /usr/bin/app is: /bin is missing; "
      .. "move what is in /bin to /usr/bin and make it a link" }, image({ argv = { "/bin/app" } }, { program "/usr/bin/app" }))
  end)

  it("has a program that does not run", function()
    finds({ "error: not-executable: /usr/bin/app is not executable; give it the mode 0755" },
      image({ argv = { "app" } }, { file("/usr/bin/app", make()) }))
    is_fine(image({ argv = { "app" } }, { file("/usr/bin/app", make()), program "/bin/app" }))
    finds({ "error: missing-interpreter: /app needs /lib/ld-musl-x86_64.so.1, which is not there; "
      .. "install musl in the image, or build app static" },
      image({ argv = { "/app" } }, { program("/app", { interpreter = "/lib/ld-musl-x86_64.so.1" }) }))
    finds({ "error: wrong-architecture: /app is a program for arm64; the image is for amd64; "
      .. "pull the image for the platform that it is to run on" },
      image({ argv = { "/app" } }, { program("/app", { architecture = "arm64" }) }))
  end)

  it("finds libraries by the image's environment", function()
    local more = { program("/app", { interpreter = "/lib64/ld-linux-x86-64.so.2", needed = { "libx.so" } }),
      program("/lib64/ld-linux-x86-64.so.2", { type = 3 }), file("/opt/libx.so", make { type = 3 }) }
    is_fine(image({ argv = { "/app" }, env = { "LD_LIBRARY_PATH=/a:/opt" } }, more))
    finds({ "warning: missing-library: /app needs libx.so, which is in none of the loader's directories; install the package that has it" },
      image({ argv = { "/app" } }, more))
  end)

  it("runs as a user that it has", function()
    local passwd = file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\n")
    local group = file("/etc/group", "root:x:0:\nweb:x:33:\n")
    for _, user in ipairs { "web", "web:web", "33", "1234:5678", "4294967294", "web:5678", "0:web", "" } do
      is_fine(image({ argv = { "/app" }, user = { user } }, { program "/app", passwd, group }))
    end
  end)

  it("runs as a user that it has not", function()
    local passwd = file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\n")
    finds({ "error: unknown-user: the image runs as the user nginx, which is not in /etc/passwd: that has root, web; "
      .. "add the user, or name a number" }, image({ argv = { "/app" }, user = { "nginx" } }, { program "/app", passwd }))
    finds({ "error: unknown-user: the image runs as the group staff, which is not in /etc/group: that has nobody; "
      .. "add the group, or name a number" }, image({ argv = { "/app" }, user = { "web:staff" } }, { program "/app", passwd }))
    finds({ "error: unknown-user: the image runs as the user 4294967295, which is not in /etc/passwd: that has root, web; "
      .. "add the user, or name a number" }, image({ argv = { "/app" }, user = { "4294967295" } }, { program "/app", passwd }))
  end)

  it("runs in a directory, which may be missing", function()
    is_fine(image({ argv = { "/app" }, cwd = { "/srv/x" } }, { program "/app" }))
    is_fine(image({ argv = { "/app" }, cwd = { "srv//" } }, { program "/app", dir "/srv" }))
    finds({ "error: working-directory: the image runs in /srv, which is a file, not a directory; give the image another WorkingDir" },
      image({ argv = { "/app" }, cwd = { "/srv" } }, { program "/app", file("/srv", "") }))
  end)

  it("cannot make its directory below what is none", function()
    local remedy = "; give the image another WorkingDir"
    local app = program "/app"
    finds({ "error: working-directory: the image runs in /w/x, and /w is a file, not a directory" .. remedy },
      image({ argv = { "/app" }, cwd = { "/w/x" } }, { app, file("/w", "") }))
    finds({ "error: working-directory: the image runs in /w/x/y, and /w/x is a link to /none, which is not there" .. remedy },
      image({ argv = { "/app" }, cwd = { "/w/x/y" } }, { app, link("/w/x", "/none") }))
    finds({ "error: working-directory: the image runs in a directory whose name has 5001 bytes" .. remedy },
      image({ argv = { "/app" }, cwd = { "/" .. ("x"):rep(5000) } }, { app }))
    is_fine(image({ argv = { "/app" }, cwd = { "/w/x/y" } }, { app, link("/w", "/srv"), dir "/srv" }))
  end)

  it("has arguments of a length that the kernel takes", function()
    local remedy = "; give it to the program in a file"
    local app, longest = program "/app", ("x"):rep(131071)
    is_fine(image({ argv = { "/app", longest }, env = { longest } }, { app }))
    finds({ "error: argument-too-long: string 2 of /.banger/argv is longer than the 131071 bytes that the kernel takes" .. remedy },
      image({ argv = { "/app", longest .. "x" } }, { app }))
    finds({ "error: argument-too-long: string 1 of /.banger/env is longer than the 131071 bytes that the kernel takes" .. remedy },
      image({ argv = { "/app" }, env = { ("x"):rep(3000000) } }, { app }))
    local many = { "/app" }
    for i = 2, 18 do many[i] = longest end
    finds({ "error: argument-too-long: the image's command and environment are more than the 2 MiB that the kernel takes; "
      .. "give them to the program in a file" }, image({ argv = many }, { app }))
  end)

  it("is not the program that it runs", function()
    finds({ "error: program-not-found: the image runs /sbin/init, which is not there: /sbin/init leads to banger-init itself; "
      .. "install it, or pull an image that has it" }, image { argv = { "/sbin/init" } })
    finds({ "error: program-not-found: the image runs init, which is not there: /sbin/init leads to banger-init itself; "
      .. "install it, or pull an image that has it" }, image { argv = { "init" } })
  end)

  it("hands over to an init that is there", function()
    local result = is_fine(image({ native = { "/sbin/openrc-init" } }, { program "/sbin/openrc-init" }))
    assert.equal("/sbin/openrc-init", result.init.native)
    finds({ "error: no-init: /lib/systemd/systemd, which /.banger/native names, is not there; "
      .. "pull the image anew, or name another with --init" }, image { native = { "/lib/systemd/systemd" } })
  end)
end)

-- ---- systemd -------------------------------------------------------------------------------

local UNIT = "/usr/lib/systemd/system/"
local SYSTEMD = {
  program "/usr/lib/systemd/systemd", link("/lib", "usr/lib"), link("/sbin", "usr/sbin"), program "/usr/sbin/agetty",
  link("/usr/sbin/init", "../lib/systemd/systemd"), file("/etc/machine-id", ""), program "/usr/lib/systemd/systemd-udevd",
  link(UNIT .. "default.target", "graphical.target"), file(UNIT .. "graphical.target", "[Unit]\n"),
  file(UNIT .. "console-getty.service", "[Service]\n"), file(UNIT .. "serial-getty@.service", "[Service]\n"),
}
local MASK = link("/etc/systemd/system/serial-getty@ttyS0.service", "/dev/null")
local CONSOLE = link("/etc/systemd/system/getty.target.wants/console-getty.service", UNIT .. "console-getty.service")

local function systemd(...)
  local all = table.move(SYSTEMD, 1, #SYSTEMD, 1, {})
  return table.move({ ... }, 1, select("#", ...), #all + 1, all)
end

describe("systemd", function()
  it("comes up and has a login", function()
    assert.same({ path = "/sbin/init", kind = "systemd" }, is_fine(systemd()).init)
    is_fine(systemd(MASK, CONSOLE))
    is_fine(systemd(gone "/usr/lib/systemd/systemd-udevd", MASK, CONSOLE))
  end)

  it("is without udev", function()
    local line = "warning: systemd-without-udev: systemd is there without udev: device units never appear, so "
      .. "serial-getty@ttyS0.service and mounts of fstab wait 90 seconds for theirs; "
      .. "install udev, or mask serial-getty@ttyS0.service and enable console-getty.service"
    finds({ line }, systemd(gone "/usr/lib/systemd/systemd-udevd"))
    finds({ line }, systemd(gone "/usr/lib/systemd/systemd-udevd", MASK))
    finds({ line }, systemd(gone "/usr/lib/systemd/systemd-udevd", CONSOLE))
  end)

  it("has no login on the console", function()
    local line = "warning: no-console-login: serial-getty@ttyS0.service is masked and console-getty.service is not enabled: "
      .. "the console has no login; unmask the one or enable the other"
    finds({ line }, systemd(MASK))
    finds({ line }, systemd(link("/etc/systemd/system/serial-getty@.service", "/dev/null")))
    finds({ line }, systemd(MASK, CONSOLE, link("/etc/systemd/system/console-getty.service", "/dev/null")))
    finds({ "warning: no-console-login: there is no agetty: the console has no login; install util-linux" },
      systemd(gone "/usr/sbin/agetty"))
  end)

  it("has no target to reach", function()
    finds({ "error: no-default-target: systemd has no default.target: it ends in a rescue shell; "
      .. "link /etc/systemd/system/default.target to /usr/lib/systemd/system/multi-user.target" }, systemd(gone(UNIT .. "default.target")))
    finds({ "error: no-default-target: /usr/lib/systemd/system/default.target leads nowhere: systemd ends in a rescue shell; "
      .. "link it to /usr/lib/systemd/system/multi-user.target" }, systemd(gone(UNIT .. "graphical.target")))
    finds({ "error: no-default-target: /etc/systemd/system/default.target is masked: systemd ends in a rescue shell; "
      .. "link it to /usr/lib/systemd/system/multi-user.target" }, systemd(link("/etc/systemd/system/default.target", "/dev/null")))
  end)

  it("asks for a machine-id that is empty", function()
    finds({ "warning: missing-machine-id: /etc/machine-id is not there, so systemd asks questions at the first boot; make an empty file" },
      systemd(gone "/etc/machine-id"))
    is_fine(systemd(file("/etc/machine-id", "uninitialized\n")))
  end)

  it("has a machine-id of its own", function()
    local rest = " is not empty: every machine made of this image is the same one; "
    local id = "0123456789abcdef0123456789abcdef\n"
    local first, second = "warning: machine-id: /etc/machine-id" .. rest .. "empty the file; it is filled at the first boot",
      "warning: machine-id: /var/lib/dbus/machine-id" .. rest .. "make it a link to /etc/machine-id"
    local cloned = systemd(file("/etc/machine-id", id), file("/var/lib/dbus/machine-id", id))
    finds({ first, second }, cloned)
    finds({ second }, systemd(file("/var/lib/dbus/machine-id", id)))
    is_fine(systemd(file("/etc/machine-id", "\n"), link("/var/lib/dbus/machine-id", "/etc/machine-id")))
    -- What pull made runs, and has one then.
    local emptied = { injected = { "x", { item = "machine-id", path = "/etc/machine-id" } } }
    is_fine(cloned, { record = emptied })
    finds({ first, second }, cloned, { record = { injected = { { item = "masks" } } } })
    finds({ first, second }, cloned, { record = { injected = "x" }, superblock = { mounted = false } })
    is_fine(cloned, { record = { injected = {} }, superblock = { mounted = true } })
    finds({ first, second }, cloned, { superblock = { mounted = true } })
  end)

  it("is looked at behind banger-init too", function()
    local entries = systemd(MASK, program "/.banger/init", file("/.banger/native", "/usr/lib/systemd/systemd\0"))
    finds({ "warning: no-console-login: serial-getty@ttyS0.service is masked and console-getty.service is not enabled: "
      .. "the console has no login; unmask the one or enable the other" }, entries, { init = "/.banger/init" })
  end)
end)

-- ---- inittab -------------------------------------------------------------------------------

describe("an inittab", function()
  local function busybox(text, ...)
    return { link("/sbin/init", "/bin/busybox"), program "/bin/busybox", link("/sbin/getty", "/bin/busybox"),
      link("/bin/sh", "/bin/busybox"), file("/etc/inittab", text), ... }
  end
  local function sysv(text) return { INIT, program "/sbin/getty", file("/etc/inittab", text) } end
  local none = "warning: no-console-login: /etc/inittab has no getty on the console: nobody can log in there; "
  local add = none .. "add ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100"

  it("has a login on the console", function()
    is_fine(busybox "ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n")
    is_fine(busybox "# comment\n\n::respawn:/sbin/getty -L 115200 hvc0\n")
    is_fine(busybox "::askfirst:-/bin/sh\n")
    is_fine(busybox "ttyAMA0::askfirst:-/bin/sh\n")
    is_fine(sysv "id:3:initdefault:\nS0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100\n")
    is_fine(sysv "c:2345:respawn:/sbin/getty 38400 /dev/console\n")
  end)

  it("has none", function()
    finds({ add }, busybox "tty1::respawn:/sbin/getty 38400 tty1\ntty2::askfirst:-/bin/sh\n")
    finds({ add }, busybox "#ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n")
    finds({ add }, busybox "ttyS0::sysinit:/sbin/getty -L ttyS0 115200 vt100\n")
    finds({ add }, busybox "garbage\n")
    finds({ none .. "add S0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100" }, sysv "1:2345:respawn:/sbin/getty 38400 tty1\n")
  end)

  it("runs what is not there", function()
    finds({ "warning: inittab-program: /etc/inittab runs /sbin/openrc, which is not there; install it, or remove the line" },
      busybox "::sysinit:/sbin/openrc sysinit\n::respawn:-/bin/sh\n")
    is_fine(busybox("::sysinit:/sbin/openrc sysinit\n::respawn:-/bin/sh\n", program "/sbin/openrc"))
  end)

  it("is of no use to other inits", function()
    is_fine(systemd(file("/etc/inittab", "tty1::respawn:/nowhere\n")))
  end)
end)

-- ---- files ---------------------------------------------------------------------------------

describe("what a machine needs of its root", function()
  local PULL = "pull the image without --no-inject"

  it("is missing", function()
    for _, path in ipairs { "/dev", "/proc", "/sys" } do
      local want = { ("error: missing-directory: %s is not there; %s"):format(path, PULL) }
      if path == "/dev" then
        want[2] = "warning: missing-device: /dev/console is not there; " .. PULL
        want[3] = "warning: missing-device: /dev/null is not there; " .. PULL
      end
      finds(want, { INIT, gone(path) })
    end
    for _, path in ipairs { "/run", "/tmp", "/root" } do
      finds({ ("warning: missing-directory: %s is not there; %s"):format(path, PULL) }, { INIT, gone(path) })
    end
  end)

  it("is something else, or a link", function()
    finds({ "error: missing-directory: /proc is a file, not a directory; make it a directory" },
      { INIT, gone "/proc", file("/proc", "") })
    finds({ "warning: missing-directory: /tmp is a link to /var/tmp, which is not there; " .. PULL },
      { INIT, gone "/tmp", link("/tmp", "/var/tmp") })
    is_fine { INIT, gone "/tmp", link("/tmp", "/var/tmp"), dir("/var/tmp", "1777") }
    finds({ "warning: tmp-mode: /tmp has the mode 0755; give it the mode 1777, or only root can use it" }, { INIT, dir "/tmp" })
  end)

  it("has device nodes", function()
    finds({ "warning: missing-device: /dev/console is not the device 5:1; remove it and " .. PULL },
      { INIT, gone "/dev/console", file("/dev/console", "") })
    finds({ "warning: missing-device: /dev/null is not the device 1:3; remove it and " .. PULL },
      { INIT, gone "/dev/null", { path = "/dev/null", type = "char", major = 1, minor = 5, mode = oct "666" } })
  end)

  it("has no marks of a container", function()
    for _, path in ipairs { "/.dockerenv", "/run/.containerenv" } do
      finds({ ("warning: container-mark: %s says that this is a container; remove it: inits leave things out for it"):format(path) },
        { INIT, file(path, "") })
    end
  end)

  it("may have a machine-id, which only systemd would fill", function()
    local id = "0123456789abcdef0123456789abcdef\n"
    is_fine { INIT, file("/etc/machine-id", id), file("/var/lib/dbus/machine-id", id) }
    is_fine { INIT, program "/app", program "/.banger/init", file("/.banger/argv", "/app\0"), file("/etc/machine-id", id) }
  end)

  it("knows name servers", function()
    local function dangles(target) return { INIT, link("/etc/resolv.conf", target) } end
    finds({ "warning: dangling-resolv.conf: /etc/resolv.conf is a link to /nowhere, which nothing makes; "
      .. "make it a file, or no name is found" }, dangles "/nowhere")
    finds({ "warning: dangling-resolv.conf: /etc/resolv.conf is a link to ../run/systemd/resolve/stub-resolv.conf, which nothing makes; "
      .. "make it a file, or no name is found" }, dangles "../run/systemd/resolve/stub-resolv.conf")
    local resolved = dangles "../run/systemd/resolve/stub-resolv.conf"
    resolved[3] = program "/usr/lib/systemd/systemd-resolved"
    is_fine(resolved)
    is_fine { INIT, link("/etc/resolv.conf", "/etc/r"), file("/etc/r", "") }
    is_fine { INIT, file("/etc/resolv.conf", "") }
  end)

  it("knows what localhost is", function()
    for _, text in ipairs {
      "", "10.0.0.2 db\n", "# 127.0.0.1 localhost\n", "127.0.0.1 # localhost\n", "127.0.0.1 localhost.lan\n", "localhost 127.0.0.1",
    } do
      finds({ "warning: no-localhost: /etc/hosts has no line for localhost, so programs do not find the machine itself; "
        .. "add the line '127.0.0.1 localhost'" }, { INIT, file("/etc/hosts", text) })
    end
    for _, text in ipairs { "127.0.0.1\tlocalhost", "10.0.0.2 db\n  ::1 ip6-localhost LocalHost # this\n" } do
      is_fine { INIT, file("/etc/hosts", text) }
    end
    is_fine { INIT, gone "/etc/hosts" }
  end)
end)

-- ---- fstab ---------------------------------------------------------------------------------

describe("fstab", function()
  local UUID = "01234567-89ab-cdef-0123-456789abcdef"
  local SUPER = { superblock = { uuid = UUID, label = "root" } }

  it("may name what a machine of one disk has", function()
    local text = table.concat({
      "# UUID=1 /boot ext4 defaults 0 2", "/dev/vda / ext4 defaults 0 1", "UUID=" .. UUID:upper() .. " / ext4 defaults 0 1",
      "LABEL=root / ext4 defaults 0 1", "/dev/vdb /data ext4 defaults", "tmpfs /tmp tmpfs size=1G 0 0", "proc /proc proc defaults",
      "/dev/sdb1 /x ext4 noauto 0 0", "UUID=5 /y ext4 rw,nofail 0 0", "host:/x /z nfs defaults 0 0", "share /s 9p trans=virtio 0 0",
      "/swapfile none swap sw 0 0", "/dev/sr0 /cd iso9660 ro,noauto 0 0", "  ", "x",
    }, "\n")
    is_fine({ INIT, file("/etc/fstab", text), file("/swapfile", "") }, SUPER)
    is_fine(systemd(file("/etc/fstab", text), file("/swapfile", "")), SUPER)
  end)

  local function has(what, more) return ("fstab-device: /etc/fstab has %s; %s"):format(what, more or "remove the line, or add the option nofail") end

  it("may name what is absent", function()
    local function warns(line, ...) finds({ "warning: " .. has(...) }, { INIT, file("/etc/fstab", line .. "\n") }, SUPER) end
    warns("/dev/sda1 /data ext4 defaults 0 2", "/data on /dev/sda1, which the machine does not have")
    warns("/dev/vda1 /boot ext4 defaults 0 2", "/boot on /dev/vda1, which the machine does not have")
    warns("/dev/mapper/x /d\\040d ext4", "/d d on /dev/mapper/x, which the machine does not have")
    warns("UUID=1-2 /boot vfat", "/boot on UUID=1-2, which is another file system, and this one is " .. UUID)
    warns("LABEL=UEFI /boot/efi vfat", "/boot/efi on LABEL=UEFI, which is another file system, and this one is root")
    warns('UUID="1-2" / ext4', '/ on UUID="1-2", which is another file system, and this one is ' .. UUID,
      "name it /dev/vda, or remove the line")
    warns("PARTUUID=1-2 /boot vfat", "/boot on PARTUUID=1-2, and the disk has no partitions")
    warns("UUID=1-2 none swap sw", "swap on UUID=1-2, which is another file system, and this one is " .. UUID)
    warns("/swapfile none swap sw", "swap on /swapfile, which is not in the image")
    warns("/dev/\27[31m\u{9b}x\u{202e}\xff /x ext4", "/x on /dev/\\x1B[31m\\u{9B}x\\u{202E}\\xFF, which the machine does not have")
  end)

  it("keeps systemd from coming up", function()
    local function says(level, line, ...) finds({ level .. ": " .. has(...) }, systemd(file("/etc/fstab", line .. "\n")), SUPER) end
    says("error", "/dev/sda1 /data ext4 defaults 0 2", "/data on /dev/sda1, which the machine does not have; "
      .. "systemd waits 90 seconds for it and ends in emergency mode")
    says("warning", "/dev/sda2 none swap sw 0 0", "swap on /dev/sda2, which the machine does not have; systemd waits 90 seconds for it")
    finds({ "warning: fstab-device: /etc/fstab has / on /dev/sda1, which the machine does not have; systemd leaves the root read-only; "
      .. "name it /dev/vda, or remove the line" }, systemd(file("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n")), SUPER)
  end)

  it("is nothing to banger-init", function()
    local entries = banger_files { argv = { "/app" } }
    entries[#entries + 1] = program "/app"
    entries[#entries + 1] = file("/etc/fstab", "/dev/sda1 /data ext4 defaults 0 2\n")
    is_fine(entries, SUPER)
  end)

  it("of a rootfs that has no name yet may name any as its root", function()
    is_fine { INIT, file("/etc/fstab", "UUID=1-2 / ext4 defaults 0 1\nLABEL=x / ext4\n") }
  end)

  it("of any length has so many findings and no more", function()
    local result = run(with { INIT, file("/etc/fstab", ("/dev/sda1 /data ext4 defaults\n"):rep(50000)) })
    assert.same({ 0, 16 }, { result.errors, result.warnings })
  end)
end)

-- ---- the file system -----------------------------------------------------------------------

-- A tree that is a table: what a real one answers to what these tests ask of it.
local function broken(raise, df)
  local tree = {}
  for _, name in ipairs { "stat", "list", "read", "resolve" } do
    tree[name] = function(_, path) return raise(name, path) end
  end
  function tree.df() return df or {} end
  return tree
end

describe("a tree that cannot be read", function()
  it("has that as a finding, each once", function()
    local result = check.run(broken(function(_, path)
      if path:find "^/etc" then banger.error("ext4", "image: block 7 of inode 12 is damaged") end
    end))
    local found = {}
    for _, finding in ipairs(result.findings) do
      if finding.id == "unreadable" then found[#found + 1] = check.line(finding) end
    end
    assert.same({ "error: unreadable: /etc/init cannot be read: image: block 7 of inode 12 is damaged; run e2fsck -fy on the image" }, found)
  end)

  it("has no findings that follow from that, and it comes first", function()
    local result = check.run(broken(function() banger.error("ext4", "image: the group descriptors are damaged") end))
    assert.same({ "unreadable" }, { result.findings[1].id, result.findings[2] and result.findings[2].id })
    assert.same({ 1, 0 }, { result.errors, result.warnings })
    result = check.run(broken(function(_, path)
      if path:find "^/dev" then banger.error("ext4", "image: block 7 is damaged") end
    end))
    local ids = {}
    for i, finding in ipairs(result.findings) do ids[i] = finding.level .. " " .. finding.id .. " " .. finding.path end
    assert.equal("error unreadable /dev", ids[1])
    assert.same({ "error no-init /sbin/init", "error missing-directory /proc" }, { ids[2], ids[3] })
    for _, id in ipairs(ids) do assert.is_nil(id:find "missing%-%w+ /dev") end
  end)

  it("passes on what is no finding", function()
    for _, code in ipairs { "interrupted", "no_memory" } do
      local ok, err = pcall(check.run, broken(function() banger.error(code, "stop") end))
      assert.is_false(ok)
      assert.equal(code, err.code)
    end
  end)
end)

describe("room in the file system", function()
  local function warned(df, facts)
    local out = {}
    for _, finding in ipairs(check.run(broken(function() end, df), facts).findings) do
      if finding.id:find "^low" then out[#out + 1] = check.line(finding) end
    end
    return out
  end
  local function df(free, inodes_free) return { size = 1000 << 20, free = free << 20, inodes = 1000, inodes_free = inodes_free } end

  it("is enough", function()
    assert.same({}, warned(df(50, 50)))
    assert.same({}, warned(df(0, 0), { free = 0 }))
    assert.same({}, warned {})
    assert.same({}, warned { size = 0, free = 0, inodes = 0, inodes_free = 0 })
  end)

  it("is of no use where nothing is written to it", function()
    local full = df(0, 0)
    local function ids(overlay)
      local rootfs <close> = banger.rootfs { near = scratch:path "x.ext4" }
      banger.inject(rootfs, with { program "/.banger/init", program "/app", file("/.banger/argv", "/app\0"), file("/.banger/overlay", overlay) })
      local tree = setmetatable({ df = function() return full end }, { __index = function(_, method)
        return function(_, ...) return rootfs[method](rootfs, ...) end
      end })
      local out = {}
      for i, finding in ipairs(check.run(tree).findings) do out[i] = finding.id end
      return out
    end
    assert.same({}, ids "tmpfs\0")
    assert.same({ "low-space", "low-inodes" }, ids "")
  end)

  it("is short", function()
    assert.same({ "warning: low-space: 49.0 MiB of 1000.0 MiB is free, less than 5 %; "
      .. "pull with a larger --size, or grow it with resize2fs" }, warned(df(49, 50)))
    assert.same({ "warning: low-inodes: 49 of 1000 inodes are free, less than 5 %; pull with a larger --size" }, warned(df(50, 49)))
    assert.equal(2, #warned(df(499, 499), { free = 50 }))
  end)
end)

describe("a superblock", function()
  it("is one by its magic number and length", function()
    assert.is_nil(filesystem.parse "")
    assert.is_nil(filesystem.parse(("\0"):rep(1024)))
    assert.is_nil(filesystem.parse(("\0"):rep(56) .. "\x53\xEF" .. ("\0"):rep(965)))
    assert.is_table(filesystem.parse(("\0"):rep(56) .. "\x53\xEF" .. ("\0"):rep(966)))
  end)

  it("has a state", function()
    local function state(super) return lines(run(with { INIT }, { superblock = super, name = "x.ext4" })) end
    assert.same({}, state { uuid = "", label = "", clean = true, errors = false, recover = false })
    assert.same({ "error: fs-errors: x.ext4 is marked as having errors; run e2fsck -fy on it" },
      state { uuid = "", label = "", clean = false, errors = true })
    assert.same({ "warning: journal: x.ext4 was not unmounted: its journal holds changes that are not in place; "
      .. "if nothing uses it, run e2fsck -fy on it; or do not give it to the machine read-only" },
      state { uuid = "", label = "", clean = true, recover = true })
    assert.same({ "warning: not-clean: x.ext4 is in use, or was not unmounted; if nothing uses it, run e2fsck -fy on it" },
      state { uuid = "", label = "", clean = false })
  end)
end)

describe("e2fsck", function()
  local host = require("banger.core").host
  local stat, execute = host.stat, host.run
  after_each(function() host.stat, host.run = stat, execute end)

  -- What is found when it ends like this.
  local function ends(result, super)
    host.run = function()
      return result.status and result or banger.error(result[1], result[2])
    end
    local tree = broken(function() end)
    local found = {}
    for _, finding in ipairs(check.run(tree, { superblock = super }, function(state) filesystem.fsck(state, "x.ext4") end).findings) do
      if finding.id:find "fsck" then found[#found + 1] = check.line(finding) end
    end
    return found
  end

  it("is content", function()
    assert.same({}, ends { status = 0, out = "x: 11/8192 files\n", err = "e2fsck 1.47.0 (5-Feb-2023)\n" })
  end)

  it("complains, and its first complaint is told without the question", function()
    local passes = "Pass 1: Checking inodes, blocks, and sizes\n"
    for said, told in pairs {
      ["Inode 12 ref count is 7, should be 1.  Fix? no\n\nmore\n"] = "Inode 12 ref count is 7, should be 1",
      ["Entry 'x' in / (2) has deleted/unused inode 14.  Clear? no\n"] = "Entry 'x' in / (2) has deleted/unused inode 14",
      ["Free blocks count wrong (24210, counted=24209).\nFix? no\n"] = "Free blocks count wrong (24210, counted=24209)",
      ["Inode 9 has a bad\27 name.  Clear inode? no\n"] = "Inode 9 has a bad\\x1B name",
      [""] = "it does not say why",
    } do
      assert.same({ ("error: fsck: e2fsck finds errors: %s; run e2fsck -fy on it"):format(told) },
        ends { status = 4, out = passes .. said, err = "" })
    end
    assert.same({ "warning: fsck: e2fsck finds errors: Free blocks count wrong; "
      .. "run e2fsck -fy on it: they may be gone with the journal" },
      ends({ status = 4, out = "Warning: skipping journal recovery because doing a read-only filesystem check.\n" .. passes
        .. "Free blocks count wrong.\n", err = "" }, { uuid = "", label = "", clean = true, recover = true }))
  end)

  it("fails, hangs or says too much", function()
    for _, status in ipairs { 8, 12, 16, 139 } do
      assert.same({ "error: fsck: e2fsck could not check x.ext4: Superblock invalid; run e2fsck -fn on it to see all" },
        ends { status = status, out = "", err = "e2fsck 1.47.0 (5-Feb-2023)\ne2fsck: Superblock invalid\n" })
    end
    assert.same({ "error: fsck: e2fsck could not check x.ext4: run env: took more than 21600 seconds; run e2fsck -fn on it to see all" },
      ends { "io", "run env: took more than 21600 seconds" })
    assert.has_error(function() ends { "interrupted", "stop" } end)
  end)

  it("is not installed", function()
    host.stat = function() end
    assert.same({ "warning: no-e2fsck: e2fsck is not installed: the file system's structure was not checked; "
      .. "install e2fsprogs, or pass --no-fsck" }, ends { status = 0, out = "", err = "" })
  end)
end)

describe("garbage", function()
  local PATHS = { "/etc/fstab", "/etc/inittab", "/etc/passwd", "/etc/group", "/etc/ld.so.conf", "/etc/machine-id", "/etc/resolv.conf",
    "/.banger/argv", "/.banger/env", "/.banger/cwd", "/.banger/user", "/.banger/native", "/.banger/build.json", "/sbin/init",
    "/.banger/init", "/bin/app", "/lib64/ld.so" }
  local WORDS = { "\0", "\n", "/", "#!", "/bin/app", ":", "\127ELF", "{", "}", "include /etc/*", "%", "[", "\255", " ", "UUID=", "PATH=", "web",
    "::respawn:", "(", "\\777", "$ORIGIN", make { interpreter = "/lib64/ld.so", needed = { "a[%z]" }, runpath = "$ORIGIN/%1:$LIB" } }

  it("in every file is no error", function()
    math.randomseed(11)
    for _ = 1, 60 do
      local entries = {}
      for i, path in ipairs(PATHS) do
        local words = {}
        for j = 1, math.random(0, 6) do words[j] = WORDS[math.random(#WORDS)] end
        entries[i] = math.random(8) == 1 and link(path, PATHS[math.random(#PATHS)]) or program(path, table.concat(words))
      end
      local result = run(with(entries))
      for _, line in ipairs(lines(result)) do assert.is_nil(line:find "%c") end
      assert.equal(#result.findings, result.errors + result.warnings)
    end
  end)
end)

describe("the findings", function()
  it("have errors first, and are the same every time", function()
    local entries = { file("/.dockerenv", ""), gone "/proc", gone "/run" }
    local first = run(with(entries))
    assert.same({ "error", "error", "warning", "warning" }, { first.findings[1].level, first.findings[2].level,
      first.findings[3].level, first.findings[4].level })
    assert.same({ 2, 2 }, { first.errors, first.warnings })
    assert.same(first, run(with(entries)))
  end)

  it("take a check of the caller's", function()
    local rootfs <close> = banger.rootfs { near = scratch:path "x.ext4" }
    local result = check.run(rootfs, nil, function(state) state:warn("mine", "/x", "x is odd", "mend it") end)
    assert.equal("warning: mine: x is odd; mend it", check.line(result.findings[#result.findings]))
  end)
end)
