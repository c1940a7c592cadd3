-- What files of kernels are, and which one is taken of those that a machine has.
package.path = "tests/?.lua;" .. package.path
local kernel = require "banger.machine.kernel"
local sh = require "support.sh"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

-- The parts of a bzImage that its protocol names: magic, version of it, where the
-- kernel's version is, xloadflags.
local function bzimage(version, flags)
  local text = version .. " (builder@host) #1 SMP\0"
  local head = ("\0"):rep(0x202) .. "HdrS" .. ("<I2"):pack(0x20f) .. ("\0"):rep(6) .. ("<I2"):pack(0x300)
  return head .. ("\0"):rep(0x236 - #head) .. ("<I2"):pack(flags or 1) .. ("\0"):rep(0x500 - 0x238) .. text
end

local function elf(machine, big)
  local order = big and ">I2I2" or "<I2I2"
  return "\127ELF\2" .. (big and "\2" or "\1") .. "\1" .. ("\0"):rep(9) .. order:pack(2, machine)
end

local function message_of(act)
  local ok, err = pcall(act)
  assert.is_false(ok)
  return tostring(err), err.code
end

describe("a kernel's file", function()
  it("is a bzImage with its version", function()
    assert.same({ format = "bzImage", arch = "amd64", version = "6.1.0-18-cloud-amd64" },
      kernel.identify(bzimage "6.1.0-18-cloud-amd64"))
    assert.same({ format = "bzImage", arch = "386", version = "5.4.1" }, kernel.identify(bzimage("5.4.1", 0)))
  end)

  it("is an arm64 Image, which does not tell its version", function()
    assert.same({ format = "Image", arch = "arm64" }, kernel.identify(("\0"):rep(0x38) .. "ARM\x64" .. ("\0"):rep(64)))
  end)

  it("is an ELF file", function()
    assert.same({ format = "vmlinux", arch = "amd64" }, kernel.identify(elf(62)))
    assert.same({ format = "vmlinux", arch = "arm64" }, kernel.identify(elf(183)))
    assert.same({ format = "vmlinux", arch = "unknown" }, kernel.identify(elf(22, true)))
  end)

  it("is packed", function()
    local pe = "MZ" .. ("\0"):rep(0x3a) .. ("<I4"):pack(0x80) .. ("\0"):rep(0x40) .. "PE\0\0" .. ("<I2"):pack(0xaa64) .. ("\0"):rep(99)
    assert.same({ format = "zImage", arch = "arm64" }, kernel.identify(pe))
    assert.same({ format = "zImage", arch = "unknown" }, kernel.identify "\x1f\x8b\8\0")
  end)

  it("is none", function()
    for _, bytes in ipairs { "", "#!/bin/sh\n", "MZ", "MZ" .. ("\xff"):rep(100), ("\0"):rep(0x202) .. "HdrS", "\127EL" } do
      assert.is_nil(kernel.identify(bytes))
    end
  end)

  it("has no version where that is no name", function()
    assert.is_nil(kernel.identify(bzimage "../../etc").version)
    assert.is_nil(kernel.identify(bzimage(("9"):rep(200))).version)
    -- A place outside of what was read.
    local head = bzimage "1.2":sub(1, 0x20e) .. "\xff\xff" .. bzimage "1.2":sub(0x211)
    assert.is_nil(kernel.identify(head).version)
  end)

  it("of this suite is what file(1) would say", function()
    local path = "build/cache/kernel/kernel"
    if not sh.exists(path) then return pending("no " .. path) end
    assert.same({ format = "bzImage", arch = "amd64", version = sh.read_file "build/cache/kernel/version":gsub("\n", "") .. "" },
      kernel.identify(sh.read_file(path):sub(1, 65536)))
  end)
end)

describe("the order of versions", function()
  it("takes numbers as numbers", function()
    for _, pair in ipairs {
      { "6.1.9-1", "6.1.10-1" }, { "5.10.0", "6.1.0" }, { "6.1.0-9-amd64", "6.1.0-18-amd64" }, { "6.1", "6.1.1" },
      { "6.1.0-18-amd64", "6.1.0-18-cloud-amd64" }, { "6.08", "6.9" }, { "6.1.99999999999999999998", "6.1.99999999999999999999" },
    } do
      assert.is_true(kernel.is_older(pair[1], pair[2]), pair[1])
      assert.is_false(kernel.is_older(pair[2], pair[1]), pair[2])
    end
    assert.is_false(kernel.is_older("6.1", "6.1"))
  end)
end)

describe("a kernel that is asked for", function()
  it("has the modules beside it, links followed", function()
    local dir = scratch:mkdir "given"
    sh.check(("mkdir -p %s/boot %s/lib/modules/6.1.5-x; : > %s/lib/modules/6.1.5-x/modules.dep; ln -s boot/vmlinuz-6.1.5-x %s/kernel")
      :format(dir, dir, dir, dir))
    sh.write_file(dir .. "/boot/vmlinuz-6.1.5-x", bzimage "6.1.5-x")
    local real = sh.check("realpath " .. dir):gsub("\n", "")
    assert.same({ format = "bzImage", arch = "amd64", version = "6.1.5-x", path = real .. "/boot/vmlinuz-6.1.5-x",
      modules = real .. "/lib/modules/6.1.5-x" }, kernel.open(dir .. "/kernel"))
  end)

  it("may have modules in which depmod has not been", function()
    local dir = scratch:mkdir "unindexed"
    sh.check(("mkdir -p %s/boot %s/lib/modules/6.1.5-x/kernel"):format(dir, dir))
    sh.write_file(dir .. "/boot/vmlinuz-6.1.5-x", bzimage "6.1.5-x")
    local found = kernel.open(dir .. "/boot/vmlinuz-6.1.5-x")
    assert.is_nil(found.modules)
    assert.matches("/unindexed/lib/modules/6%.1%.5%-x$", found.unindexed)
  end)

  it("has a version by its name, where the file tells none", function()
    local path = scratch:path "vmlinux-4.19.7"
    sh.write_file(path, elf(62))
    local found = kernel.open(path, { root = scratch.dir })
    assert.same({ "vmlinux", "4.19.7" }, { found.format, found.version })
    assert.is_nil(found.modules)
  end)

  it("takes its modules from where one says", function()
    local path, dir = scratch:path "vmlinuz", scratch:mkdir "mods/1.2-y"
    sh.write_file(path, bzimage "1.2-y")
    sh.write_file(dir .. "/modules.dep", "")
    local real = sh.check("realpath " .. dir):gsub("\n", "")
    assert.equal(real, kernel.open(path, { modules = dir }).modules)
    assert.equal(real, kernel.open(path, { modules = scratch:path "mods" }).modules)
    assert.same({ ("--modules %s: there is no modules.dep in it, nor in a directory 1.2-y of it (depmod makes it)"):format(scratch:mkdir "empty"),
      "not_found" }, { message_of(function() kernel.open(path, { modules = scratch:path "empty" }) end) })
  end)

  it("is refused by its name", function()
    assert.same({ "--kernel /no/kernel: there is no such file", "not_found" },
      { message_of(function() kernel.open "/no/kernel" end) })
    assert.same({ "--kernel /tmp: is no file", "usage" }, { message_of(function() kernel.open "/tmp" end) })
    local path = scratch:path "text"
    sh.write_file(path, "hello")
    assert.same({ ("--kernel %s: is no Linux kernel: neither bzImage, vmlinux nor Image"):format(path), "usage" },
      { message_of(function() kernel.open(path) end) })
  end)
end)

describe("a machine's kernels", function()
  local notes
  local function find(root, arch)
    notes = {}
    return kernel.find { root = root, arch = arch or "amd64", note = function(format, ...) notes[#notes + 1] = format:format(...) end }
  end

  local function machine(name, versions)
    local root = scratch:mkdir(name)
    sh.check(("mkdir -p %s/boot"):format(root))
    for version, has_modules in pairs(versions) do
      sh.write_file(("%s/boot/vmlinuz-%s"):format(root, version), bzimage(version))
      if has_modules then
        sh.check(("mkdir -p %s/lib/modules/%s; : > %s/lib/modules/%s/modules.dep"):format(root, version, root, version))
      end
    end
    return root
  end

  it("are taken newest first", function()
    assert.equal("6.1.10-1", find(machine("a", { ["6.1.9-1"] = true, ["6.1.10-1"] = true, ["5.19"] = true })).version)
  end)

  it("are taken with modules rather than newer without", function()
    assert.equal("5.19", find(machine("b", { ["6.1.9-1"] = false, ["5.19"] = true })).version)
    assert.equal("6.1.9-1", find(machine("c", { ["6.1.9-1"] = false, ["5.19"] = false })).version)
  end)

  it("may lie with their modules", function()
    local root = scratch:mkdir "fedora"
    sh.check(("mkdir -p %s/lib/modules/6.9.7-200; : > %s/lib/modules/6.9.7-200/modules.dep"):format(root, root))
    sh.write_file(root .. "/lib/modules/6.9.7-200/vmlinuz", bzimage "6.9.7-200")
    assert.matches("/lib/modules/6%.9%.7%-200$", find(root).modules)
  end)

  it("that are no kernels or for others are passed over", function()
    local root = machine("d", { ["5.19"] = true })
    sh.write_file(root .. "/boot/vmlinuz-9.9", "text")
    sh.write_file(root .. "/boot/vmlinuz-9.8", elf(183))
    assert.equal("5.19", find(root).version)
    assert.equal("9.8", find(root, "arm64").version)
  end)

  it("that cannot be read are said", function()
    local root = machine("e", { ["5.19"] = true })
    -- Root reads everything; a directory nobody does.
    sh.check(("mkdir %s/boot/vmlinuz-6.1"):format(root))
    assert.equal("5.19", find(root).version)
    assert.same({ root .. "/boot/vmlinuz-6.1 is skipped: Is a directory" }, notes)
  end)

  it("may be none", function()
    local none = scratch:mkdir "none"
    local text, code = message_of(function() find(none) end)
    assert.equal("not_found", code)
    assert.equal(("there is no kernel for amd64 in %s/boot that can be read: give one with --kernel or $BANGER_KERNEL "):format(none)
      .. "(`make kernel` in banger-lua's sources unpacks one without root)", text)
    -- How to do without make is in the manual.
    local page = sh.check(sh.quote(sh.banger()) .. " help --man run"):gsub("\\", ""):gsub("\n", " ")
    assert.is_truthy(page:find("apt-get download linux-image-VERSION ", 1, true), page)
    assert.is_truthy(page:find("dpkg-deb -x FILE.deb DIR, depmod -b DIR VERSION, then --kernel DIR/boot/vmlinuz-VERSION.", 1, true), page)
  end)
end)
