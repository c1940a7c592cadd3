-- What virtual machine monitors are told, what an image tells, and how a console ends.
package.path = "tests/?.lua;" .. package.path
local accel = require "banger.machine.accel"
local banger = require "banger"
local cloud_hypervisor = require "banger.machine.cloud_hypervisor"
local console = require "banger.machine.console"
local firecracker = require "banger.machine.firecracker"
local images = require "banger.machine.image"
local plan = require "banger.machine.plan"
local qemu = require "banger.machine.qemu"
local sh = require "support.sh"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

local function machine(more)
  local m = { arch = "amd64", kind = "q35", accel = "tcg", memory = 512, cpus = 1, kernel = "/k", initrd = "/i", cmdline = "a b",
    disks = { "/img" }, forwards = {}, console = "plain" }
  for key, value in pairs(more or {}) do m[key] = value or nil end
  return m
end

local function error_of(act, ...)
  local ok, err = pcall(act, ...)
  assert.is_false(ok)
  return { err.code, err.message }
end

local function line(more) return table.concat(qemu.argv(machine(more)), " ") end

local function assert_has(text, all) assert.is_truthy(all:find(text, 1, true), all) end

describe("QEMU's command line", function()
  it("is a q35 with everything on PCI", function()
    assert.equal("qemu-system-x86_64 -no-user-config -nodefaults -no-reboot -display none -M q35 -accel tcg -cpu max,la57=off"
      .. " -m 512M -smp 1 -chardev stdio,id=console,signal=off -serial chardev:console -kernel /k -initrd /i -append a b"
      .. " -drive file=/img,if=none,id=disk0,format=raw -device virtio-blk-pci,drive=disk0"
      .. " -netdev user,id=net0 -device virtio-net-pci,netdev=net0,romfile= -device virtio-rng-pci", line())
  end)

  it("is a microvm with everything on virtio-mmio", function()
    local all = line { kind = "microvm", agent = "/s" }
    assert_has("-M microvm,acpi=on,rtc=on,auto-kernel-cmdline=off ", all)
    assert_has("-device virtio-blk-device,drive=disk0 ", all)
    assert_has("-device virtio-net-device,netdev=net0 -device virtio-rng-device ", all)
    assert_has("-device virtio-serial-device,id=serial0 ", all)
    assert.is_falsy(all:find("-pci", 1, true), all)
  end)

  it("is an arm64 virt", function()
    local all = line { arch = "arm64", kind = "virt" }
    assert.matches("^qemu%-system%-aarch64 .* %-M virt %-accel tcg %-cpu cortex%-a72 ", all)
  end)

  it("has the host's processor under KVM", function()
    assert_has("-accel kvm -cpu host -m 2048M -smp 3 ", line { accel = "kvm", memory = 2048, cpus = 3 })
  end)

  it("has disks in their order, a snapshot of each if asked for", function()
    assert_has("-drive file=/img,if=none,id=disk0,format=raw,snapshot=on -device virtio-blk-pci,drive=disk0"
      .. " -drive file=/b,,c,if=none,id=disk1,format=raw,snapshot=on -device virtio-blk-pci,drive=disk1 ",
      line { disks = { "/img", "/b,c" }, snapshot = true })
  end)

  it("forwards ports of the loopback alone", function()
    assert_has("-netdev user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:2222-:22 -device",
      line { forwards = { { host = 8080, guest = 80 }, { host = 2222, guest = 22 } } })
  end)

  it("has no network if not wanted", function()
    assert.is_falsy(line { forwards = false }:find "net")
  end)

  it("has a port for the agent", function()
    assert_has("-chardev socket,id=agent,path=/run/a,,b,server=on,wait=off -device virtio-serial-pci,id=serial0"
      .. " -device virtserialport,bus=serial0.0,chardev=agent,name=banger.agent", line { agent = "/run/a,b" })
  end)

  it("has QEMU's keys on a terminal, and a log", function()
    assert_has("-chardev stdio,id=console,mux=on,signal=off,logfile=/x,,y -serial chardev:console -mon chardev=console,mode=readline ",
      line { console = "tty", log = "/x,y" })
  end)

  it("needs no initramfs, and ends with what was added", function()
    assert.matches(" %-kernel /k %-append a b .* %-device virtio%-rng%-pci %-name x y$", line { initrd = false, extra = { "-name", "x y" } })
  end)

  it("is one that QEMU takes", function()
    if not sh.has "qemu-system-x86_64" then return pending "no QEMU" end
    sh.write_file(scratch:path "d", ("\0"):rep(4096))
    for _, kind in ipairs { "q35", "microvm" } do
      local argv = qemu.argv(machine { kind = kind, disks = { scratch:path "d", scratch:path "d" }, snapshot = true, kernel = false, initrd = false,
        console = "plain", agent = scratch:path "s", extra = { "-S", "-monitor", "unix:" .. scratch:path "m" .. ",server=on,wait=off" } })
      -- Without a kernel and stopped: it has only to start, and to end.
      for i = #argv, 1, -1 do if argv[i] == "-kernel" or argv[i] == "-append" then table.remove(argv, i) end end
      for i = #argv, 1, -1 do if argv[i] == "a b" then table.remove(argv, i) end end
      local result = banger.host.run({ "timeout", "-s", "TERM", "2", table.unpack(argv) }, "")
      assert.equal("", (result.err:gsub("qemu%-system%-x86_64: terminating on signal 15[^\n]*\n", "")), result.err)
      assert.equal(124, result.status)
    end
  end)
end)

describe("Firecracker's configuration", function()
  it("is what its --config-file takes", function()
    assert.equal('{"boot-source":{"boot_args":"a b","initrd_path":"/i","kernel_image_path":"/k"},'
      .. '"drives":[{"drive_id":"rootfs","is_read_only":false,"is_root_device":true,"path_on_host":"/img"},'
      .. '{"drive_id":"disk1","is_read_only":false,"is_root_device":false,"path_on_host":"/two"}],'
      .. '"machine-config":{"mem_size_mib":512,"vcpu_count":1}}', firecracker.config(machine { disks = { "/img", "/two" } }))
  end)

  it("has a network and vsock if asked for", function()
    local text = firecracker.config(machine { tap = "tap0", agent = "/s", initrd = false })
    assert_has('"network-interfaces":[{"host_dev_name":"tap0","iface_id":"eth0"}]', text)
    assert_has('"vsock":{"guest_cid":3,"uds_path":"/s"}', text)
    assert.is_falsy(text:find "initrd")
  end)
end)

describe("cloud-hypervisor's command line", function()
  it("has what it needs", function()
    assert.equal("cloud-hypervisor --kernel /k --initramfs /i --cmdline a b --cpus boot=1 --memory size=512M --disk path=/img path=\"/b,c\""
      .. " --serial tty --console off --rng src=/dev/urandom --net tap=t0 --vsock cid=3,socket=/s",
      table.concat(cloud_hypervisor.argv(machine { disks = { "/img", "/b,c" }, tap = "t0", agent = "/s" }), " "))
  end)
end)

describe("the kernel's command line", function()
  local facts = { cmdline = { "init=/.banger/init" } }

  it("is one known to work", function()
    assert.equal("console=ttyS0 quiet panic=-1 no_timer_check root=/dev/vda rw "
      .. "ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3 init=/.banger/init x y=z",
      plan.cmdline("qemu", "q35", facts, { network = true, append = { "x", "y=z" } }))
    assert.equal("console=ttyS0 quiet panic=-1 tsc_early_khz=2600000 root=/dev/vda rw",
      plan.cmdline("qemu", "microvm", { cmdline = {} }, { tsc_khz = 2600000 }))
    assert.equal("console=ttyAMA0 quiet panic=-1 root=/dev/vda rw", plan.cmdline("qemu", "virt", { cmdline = {} }, {}))
    assert.equal("console=ttyS0 reboot=k panic=1 pci=off root=/dev/vda rw init=/.banger/init",
      plan.cmdline("firecracker", "q35", facts, {}))
    assert.equal("console=ttyS0 quiet panic=-1 root=/dev/vda rw init=/.banger/init",
      plan.cmdline("cloud-hypervisor", "q35", facts, {}))
  end)

  it("goes with a machine that there is", function()
    assert.equal("q35", plan.kind "amd64")
    assert.equal("microvm", plan.kind("amd64", "microvm"))
    assert.equal("virt", plan.kind "arm64")
    assert.same({ "usage", "--machine q35: for arm64 images there is virt" }, error_of(plan.kind, "arm64", "q35"))
    assert.same({ "platform", "there is no machine for s390x images: only for amd64 and arm64" }, error_of(plan.kind, "s390x"))
  end)
end)

describe("files given", function()
  it("are checked by their names", function()
    assert.same({ "not_found", "--disk /no/disk: there is no such file" }, error_of(plan.disk, "/no/disk", "--disk"))
    assert.same({ "usage", "--disk /tmp: is neither a file nor a block device" }, error_of(plan.disk, "/tmp", "--disk"))
    sh.write_file(scratch:path "file", "")
    assert.same({ "usage", ("--agent %s: is there already, and no socket"):format(scratch:path "file") },
      error_of(plan.socket, scratch:path "file"))
    local long = "/" .. ("x"):rep(107)
    assert.same({ "usage", ("--agent %s: a socket's path has at most 107 bytes"):format(long) }, error_of(plan.socket, long))
    assert.equal("/new/socket", plan.socket "/new/socket")
  end)
end)

describe("a console", function()
  it("ends with banger-init's line, the last of them", function()
    assert.same({ code = 42, signal = 0, oom = false },
      console.ending "text\r\nbanger-init: exit=1 signal=0 oom=0\r\nmore\r\nbanger-init: exit=42 signal=0 oom=0\r\n[ 1.0] reboot: Power down\r\n")
    assert.same({ code = 137, signal = 9, oom = true }, console.ending "no newlinebanger-init: exit=137 signal=9 oom=1")
  end)

  it("tells that somebody cut it off", function()
    assert.is_true(console.ending("login: QEMU: Terminated\n\r").cut_off)
    assert.is_nil(console.ending("QEMU: Terminated\n\rlogin: ").cut_off)
  end)

  it("may end without one", function()
    for _, text in ipairs { "", "login: ", "banger-init: exit=1 signal=0 oom=", "banger-init: exit=99999 signal=0 oom=0\n",
      "banger-init: exit=x signal=0 oom=0\n" } do
      assert.same({}, console.ending(text))
    end
  end)

  it("tells that the kernel gave up", function()
    assert.same({ panic = "VFS: Unable to mount root fs on unknown-block(0,0)?[31m" },
      console.ending "[    1.0] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\27[31m\r\n")
    -- What came before the end is over.
    assert.same({ code = 3, signal = 0, oom = false },
      console.ending "Kernel panic - not syncing: says the guest\r\nbanger-init: exit=3 signal=0 oom=0\r\n")
  end)
end)

describe("an image", function()
  local function facts(entries)
    local rootfs <close> = banger.rootfs { near = scratch:path "x.ext4" }
    banger.inject(rootfs, entries)
    return images.facts(rootfs, "x.ext4")
  end
  local function record(text) return { path = "/.banger/build.json", content = text } end
  local ARM = "\127ELF\2\1\1" .. ("\0"):rep(9) .. "\2\0\183\0" .. ("\0"):rep(44)

  it("tells by its record", function()
    assert.same({ arch = "arm64", cmdline = { "init=/.banger/init", "a.b=c" }, init = "/.banger/init" }, facts { record(
      [[{"version":1,"platform":{"os":"linux","architecture":"arm64"},"init":{"kind":"banger","path":"/.banger/init"},]]
      .. [["cmdline":["init=/.banger/init","a.b=c"]}]]) })
  end)

  it("tells by its init, links followed", function()
    assert.same({ arch = "arm64", cmdline = {} }, facts {
      { path = "/usr/lib/systemd/systemd", content = ARM }, { path = "/sbin/init", type = "symlink", target = "../usr/lib/systemd/systemd" } })
    assert.same({ arch = "arm64", cmdline = {} }, facts { { path = "/sbin/init", content = "#!/bin/sh\n" }, { path = "/bin/sh", content = ARM } })
  end)

  it("may tell nothing", function()
    assert.same({ cmdline = {} }, facts { { path = "/etc/hostname", content = "x\n" }, { path = "/sbin/init", type = "symlink", target = "init" } })
    assert.same({ cmdline = {} }, facts { record '{"cmdline":"x","platform":[],"init":7}' })
  end)

  it("is refused where its record is damaged or hostile", function()
    for text, message in pairs {
      ["{"] = "its /.banger/build.json cannot be used: is not JSON",
      ['{"cmdline":["init=/a b"]}'] = "/.banger/build.json: cmdline: entry 1 is no word for a kernel's command line",
      ['{"cmdline":["x","a\\nb"]}'] = "/.banger/build.json: cmdline: entry 2 is no word for a kernel's command line",
      ['{"cmdline":[7]}'] = "/.banger/build.json: cmdline: entry 1 is no word for a kernel's command line",
      ['{"cmdline":["' .. ("x"):rep(1100) .. '"]}'] = "/.banger/build.json: cmdline has 1101 bytes; at most 1024 are accepted",
    } do
      local err = error_of(facts, { record(text) })
      assert.equal("layer", err[1])
      assert_has("x.ext4: " .. message, err[2])
    end
  end)
end)

describe("the trial of KVM", function()
  it("runs 64-bit code in a machine", function()
    if not sh.has "qemu-system-x86_64" then return pending "no QEMU" end
    -- Emulated: 33 is what isa-debug-exit makes of 0x10.
    local result = banger.host.run({ "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-nodefaults", "-display", "none", "-no-reboot",
      "-m", "16M", "-bios", "/dev/stdin", "-device", "isa-debug-exit,iobase=0xf4,iosize=4" }, accel.bios())
    assert.equal(33, result.status, result.err)
  end)

  it("is not made for other machines than this one", function()
    assert.same({ n = 1, "tcg" }, table.pack(accel.choose("no-such-program", "riscv64")))
  end)
end)
