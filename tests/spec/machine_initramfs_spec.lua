-- The order of modules, the archive's format, and the first file system made of both.
package.path = "tests/?.lua;" .. package.path
local cpio = require "banger.machine.cpio"
local initramfs = require "banger.machine.initramfs"
local modules = require "banger.machine.modules"
local sh = require "support.sh"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

local X = tonumber("755", 8)

describe("the order of modules", function()
  local DEP = "k/ring.ko:\nk/virtio.ko: k/ring.ko\nk/virtio-pci.ko.xz: k/modern.ko k/virtio.ko k/ring.ko\nk/modern.ko:\n"
    .. "k/virtio_blk.ko: k/virtio.ko k/ring.ko\nk/ext4.ko: k/jbd2.ko\nk/jbd2.ko:\nk/crc32c_generic.ko:\nk/crc32c-intel.ko:\n"
  local function order(wanted, more)
    local texts = { dep = DEP, builtin = more and more.builtin, softdep = more and more.softdep, alias = more and more.alias }
    return modules.order(modules.parse(texts), wanted)
  end

  it("has what a module needs before it, each once", function()
    assert.same({ "k/ring.ko", "k/virtio.ko", "k/modern.ko", "k/virtio-pci.ko.xz", "k/virtio_blk.ko" },
      (order { "virtio_pci", "virtio_blk" }))
  end)

  it("leaves out what is built in, and names what is nowhere", function()
    local files, missing = order({ "virtio_pci", "ext4", "overlay", "virtio_net" },
      { builtin = "kernel/fs/ext4/ext4.ko\nkernel/a/virtio-net.ko\n" })
    assert.same({ "k/ring.ko", "k/virtio.ko", "k/modern.ko", "k/virtio-pci.ko.xz" }, files)
    assert.same({ "overlay" }, missing)
  end)

  it("has soft dependencies first, by name or by alias, where they are there", function()
    assert.same({ "k/crc32c_generic.ko", "k/crc32c-intel.ko", "k/jbd2.ko", "k/ext4.ko" }, (order({ "ext4" }, {
      softdep = "# comment\nsoftdep ext4 pre: crc32c nonesuch post: overlay\n",
      alias = "alias crypto-crc32c crc32c_intel\nalias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias pci:v* ext4\n",
    })))
    assert.same({ "k/jbd2.ko", "k/ext4.ko" }, (order({ "ext4" }, { softdep = "softdep ext4 pre: jbd2\n" })))
  end)

  it("ends where modules need each other", function()
    local index = modules.parse { dep = "a.ko: b.ko\nb.ko: a.ko\n", softdep = "softdep a pre: b\nsoftdep b pre: a\n" }
    assert.same({ "b.ko", "a.ko" }, (modules.order(index, { "a" })))
  end)

  it("follows no name out of the directory", function()
    local index = modules.parse { dep = "../../etc/a.ko:\n/b.ko:\nc/../../d.ko:\ne.ko: ../f.ko /g.ko\n" }
    assert.same({ { "e.ko" }, { "a", "b", "d" } }, { modules.order(index, { "e", "a", "b", "d" }) })
  end)

  it("is modprobe's", function()
    local dir = "build/cache/kernel"
    if not sh.exists(dir .. "/kernel") or not sh.has "modprobe" then return pending("no kernel in " .. dir) end
    local version = sh.read_file(dir .. "/version"):gsub("\n", "")
    local base = ("%s/lib/modules/%s/"):format(dir, version)
    local index = modules.parse { dep = sh.read_file(base .. "modules.dep"), builtin = sh.read_file(base .. "modules.builtin"),
      softdep = sh.read_file(base .. "modules.softdep"), alias = sh.read_file(base .. "modules.alias") }
    for _, name in ipairs { "virtio_pci", "virtio_net", "ext4", "btrfs", "vmw_vsock_virtio_transport", "overlay" } do
      local want = {}
      for file in sh.check(("PATH=$PATH:/usr/sbin:/sbin modprobe -d %s -S %s --show-depends %s"):format(dir, version, name))
        :gmatch "insmod (%S+)" do
        want[file:match "/([^/]+)$"] = true
      end
      local got, seen = modules.order(index, { name }), {}
      for _, file in ipairs(got) do
        -- Whatever a file needs has to be loaded when its turn comes.
        local needs = sh.read_file(base .. "modules.dep"):match("\n" .. file:gsub("%p", "%%%0") .. ": ?([^\n]*)")
        for need in (needs or ""):gmatch "%S+" do assert.is_true(seen[need], file .. " before " .. need) end
        seen[file] = true
      end
      for file in pairs(want) do
        local found = false
        for other in pairs(seen) do found = found or other:match "[^/]+$" == file end
        assert.is_true(found, name .. " lacks " .. file)
      end
    end
  end)
end)

describe("a cpio archive", function()
  it("is what cpio unpacks", function()
    local path = scratch:path "a.cpio"
    sh.write_file(path, cpio.archive {
      cpio.directory "dev", cpio.directory "dev/deep", cpio.file("init", "program", X), cpio.file("empty", ""),
      cpio.file("dev/deep/odd length name", ("x"):rep(1025)),
    })
    assert.equal("dev\ndev/deep\ninit\nempty\ndev/deep/odd length name\n", sh.check(("cpio -t --quiet < %s"):format(path)))
    local dir = scratch:mkdir "unpacked"
    sh.check(("cd %s && cpio -id --quiet < %s"):format(dir, path))
    assert.equal("755 directory dev\n755 directory dev/deep\n755 regular file init\n644 regular empty file empty\n",
      sh.check(("cd %s && stat -c '%%a %%F %%n' dev dev/deep init empty"):format(dir)))
    assert.equal("program", sh.read_file(dir .. "/init"))
    assert.equal(("x"):rep(1025), sh.read_file(dir .. "/dev/deep/odd length name"))
  end)

  it("is what cpio makes, byte for byte", function()
    local dir = scratch:mkdir "same"
    sh.check(("cd %s && mkdir d && printf hello > d/f && chmod 755 d && chmod 644 d/f && touch -d @0 d/f d"):format(dir))
    -- cpio writes the inodes of the disk: --renumber-inodes begins at 1 as ours. The directory's links are 2.
    sh.check(("cd %s && printf 'd\\nd/f\\n' | cpio -o -H newc --quiet -R 0:0 --renumber-inodes --reproducible > ../same.cpio"):format(dir))
    local ours, theirs = cpio.archive { cpio.directory "d", cpio.file("d/f", "hello") }, sh.read_file(scratch:path "same.cpio")
    assert.equal(#theirs, #ours)
    -- Its inode numbers may begin elsewhere.
    local function without_inodes(text) return (text:gsub("070701%x%x%x%x%x%x%x%x", "070701")) end
    assert.equal(without_inodes(theirs), without_inodes(ours))
  end)

  it("refuses names that are none", function()
    for _, path in ipairs { "", "/init", "a\0b" } do
      assert.has_error(function() cpio.archive { cpio.file(path, "") } end, "cpio: a relative path expected")
    end
  end)
end)

describe("an initramfs", function()
  -- A directory of modules: files named by their content.
  local function machine(name, dep, builtin)
    local dir = scratch:mkdir(name)
    sh.write_file(dir .. "/modules.dep", dep)
    if builtin then sh.write_file(dir .. "/modules.builtin", builtin) end
    for path in dep:gmatch "([^\n:]+):" do sh.write_file(dir .. "/" .. path, "content of " .. path) end
    return { path = "/boot/vmlinuz", modules = dir, format = "bzImage", arch = "amd64" }
  end
  local ALL = "virtio.ko:\nvirtio_pci.ko: virtio.ko\nvirtio_mmio.ko: virtio.ko\nvirtio_blk.ko: virtio.ko\next4.ko.xz:\nvirtio_net.ko: virtio.ko\n"

  it("holds banger-init and the modules in their order", function()
    local kernel = machine("all", ALL, "")
    local path = scratch:path "i.cpio"
    sh.write_file(path, assert(initramfs.build(kernel, "pci", "amd64")))
    local dir = scratch:mkdir "i"
    sh.check(("cd %s && cpio -id --quiet < %s"):format(dir, path))
    assert.equal("virtio.ko\0virtio_pci.ko\0virtio_blk.ko\0ext4.ko.xz\0virtio_mmio.ko\0virtio_net.ko\0", sh.read_file(dir .. "/modules/order"))
    assert.equal("content of ext4.ko.xz", sh.read_file(dir .. "/modules/ext4.ko.xz"))
    assert.equal("755\n", sh.check(("stat -c %%a %s/init"):format(dir)))
    assert.equal(sh.read_file "build/guest/banger-init-amd64", sh.read_file(dir .. "/init"))
    assert.equal("dev\ninit\nmodules\nproc\nroot\nsys\n", sh.check(("ls %s"):format(dir)))
  end)

  it("is the same every time", function()
    local kernel = machine("twice", ALL, "")
    assert.equal(initramfs.build(kernel, "pci", "arm64"), initramfs.build(kernel, "pci", "arm64"))
  end)

  it("is not made where nothing has to be loaded", function()
    assert.is_nil(initramfs.build(machine("builtin", "x.ko:\n", "virtio_pci.ko\nvirtio_blk.ko\next4.ko\n"), "pci", "amd64"))
    assert.is_nil(initramfs.build({ path = "/k", format = "vmlinux", arch = "amd64" }, "pci", "amd64"))
  end)

  it("cannot be made without the drivers of the root", function()
    local kernel = machine("lacking", "virtio_pci.ko:\n", "virtio_blk.ko\n")
    local ok, err = pcall(initramfs.build, kernel, "mmio", "amd64")
    assert.is_false(ok)
    assert.equal(("the kernel /boot/vmlinuz has no driver virtio_mmio, ext4: not in %s, and not built in"):format(kernel.modules), err.message)
    assert.equal("not_found", err.code)
  end)

  it("cannot be made for a machine without banger-init", function()
    local ok, err = pcall(initramfs.build, machine("riscv", ALL, ""), "pci", "riscv64")
    assert.is_false(ok)
    assert.equal("there is no banger-init for riscv64, which an initramfs needs: give one with --initrd", err.message)
    assert.equal("platform", err.code)
  end)

  it("says which module's file is missing", function()
    local kernel = machine("gone", ALL, "")
    os.remove(kernel.modules .. "/virtio_blk.ko")
    local ok, err = pcall(initramfs.build, kernel, "pci", "amd64")
    assert.is_false(ok)
    assert.equal(("open %s/virtio_blk.ko: No such file or directory"):format(kernel.modules), err.message)
  end)
end)
