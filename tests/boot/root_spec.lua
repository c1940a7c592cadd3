-- What is between the kernel and the image's program: the initramfs, the network that ip=
-- names, and a root that stays as it is below an overlay.
package.path = "tests/?.lua;" .. package.path
local distro = require "boot.distro"
local guest = require "boot.guest"
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local function it_boots(name, test)
  it(name, function()
    local reason = need.time() or guest.boot_reason()
    if reason then return pending(reason) end
    test(scratch:fresh ".ext4")
  end)
end

local boot, assert_console, assert_off = guest.boot_clean, guest.assert_console, guest.assert_off
local BUSYBOX = "/bin/busybox"

-- ---- the network ------------------------------------------------------------------

--- A web server of this host with one file; its port.
local function serve(name, content)
  local dir = scratch:mkdir "web"
  sh.write_file(dir .. "/" .. name, content)
  local said = sh.check(([[
    timeout 100 python3 -u -m http.server 0 --bind 127.0.0.1 --directory %s >%s.log 2>&1 </dev/null & echo $! >%s.pid
    for i in $(seq 100); do grep -o 'port [0-9]*' %s.log && exit; sleep 0.1; done; exit 1]]):format(dir, dir, dir, dir))
  finally(function() sh.check(("kill $(cat %s.pid)"):format(dir)) end)
  return said:match "port (%d+)"
end

describe("the network", function()
  local STATIC = "ip=10.0.2.15::10.0.2.2:255.255.255.0:name-of-ip:eth0:off:10.0.2.3:10.0.2.4"

  it_boots("is what ip= says, and reaches a server", function(path)
    local port = serve("page", "from the host\n")
    local result = boot("network", {
      network = "user", cmdline = "rw " .. STATIC,
      files = { ["/etc/resolv.conf"] = "# Nothing was known.\noptions rotate", ["/etc/hostname"] = "from-image\n" },
      argv = { BUSYBOX, "sh", "-c", ([[
        b=/bin/busybox; $b ifconfig eth0; $b route -n; $b cat /etc/resolv.conf; $b hostname
        $b wget -q -O - http://10.0.2.2:%s/page]]):format(port) },
    }, path)
    for _, text in ipairs {
      "inet addr:10.0.2.15  Bcast:10.0.2.255  Mask:255.255.255.0\n", "UP BROADCAST ",
      "\n0.0.0.0         10.0.2.2        0.0.0.0         UG    0      0        0 eth0\n",
      "\n# Nothing was known.\noptions rotate\n# banger-init, of this boot:\nnameserver 10.0.2.3\nnameserver 10.0.2.4\n",
      "\nfrom-image\nfrom the host\n",
    } do assert_console(text, result) end
    assert_off("exit=0 signal=0 oom=0", result)
  end)

  it_boots("is what DHCP gives, also where the initramfs could write nothing", function(path)
    local port = serve("page", "from the host\n")
    local spec = {
      network = "user", cmdline = "ro ip=dhcp", overlay = "tmpfs",
      argv = { BUSYBOX, "sh", "-c", ([[
        b=/bin/busybox; $b ifconfig eth0; $b route -n; $b cat /etc/resolv.conf
        $b wget -q -O - http://10.0.2.2:%s/page]]):format(port) },
    }
    local result = boot("dhcp", spec, path)
    for _, text in ipairs {
      "inet addr:10.0.2.15  Bcast:10.0.2.255  Mask:255.255.255.0\n",
      "\n0.0.0.0         10.0.2.2        0.0.0.0         UG    0      0        0 eth0\n",
      "\n# banger-init, of this boot:\nnameserver 10.0.2.3\nfrom the host\n",
    } do assert_console(text, result) end
    assert_off("exit=0 signal=0 oom=0", result)
    assert.is_nil(result.out:find("banger-init: ip=", 1, true), result.out)
  end)

  it_boots("is nothing where no DHCP server answers, which is said once", function(path)
    local result = boot("dhcp-none", { network = "hubport,hubid=0", cmdline = "rw ip=dhcp", argv = { BUSYBOX, "ifconfig" } }, path)
    assert_console("banger-init: ip=: no DHCP server answers on eth0\neth0  ", result)
    assert.are.equal(1, select(2, result.out:gsub("banger%-init: ip=", "")))
    assert_off("exit=0 signal=0 oom=0", result)
  end)

  it_boots("has the first interface and a class's netmask where ip= names none", function(path)
    local result = boot("network-short", {
      network = "user", cmdline = "rw ip=10.0.2.15", files = { ["/etc/resolv.conf"] = "nameserver 9.9.9.9\n" },
      argv = { BUSYBOX, "sh", "-c", "b=/bin/busybox; $b ifconfig eth0; $b route -n; $b cat /etc/resolv.conf" },
    }, path)
    assert_console("inet addr:10.0.2.15  Bcast:10.255.255.255  Mask:255.0.0.0\n", result)
    assert_console("\nnameserver 9.9.9.9\nbanger-init: exit=0", result)
    assert.is_nil(result.out:find(" UG ", 1, true), result.out)
  end)

  it_boots("says what of ip= cannot be, and goes on", function(path)
    local result = boot("network-none", { cmdline = "rw ip=10.0.2.15::::guest:eth7:off", argv = { BUSYBOX, "true" } }, path)
    assert_console("banger-init: ip=: there is no network interface eth7\n", result)
    assert_off("exit=0 signal=0 oom=0", result)
    result = boot("network-wrong", { network = "user", cmdline = "rw ip=10.0.2.15::10.9.9.9:255.255.255.0", argv = { BUSYBOX, "true" } }, path)
    assert_console("banger-init: ip=: the gateway cannot be: Network unreachable\n", result)
    assert_off("exit=0 signal=0 oom=0", result)
  end)
end)

-- ---- the initramfs ----------------------------------------------------------------

describe("an initramfs", function()
  -- What the machine says of a boot that cannot be.
  local function assert_fails(text, name, spec, path)
    local result = guest.boot(name, spec, path)
    assert_console("banger-init: " .. text .. "\n", result)
    assert_off("exit=125 signal=0 oom=0", result)
  end

  local function init(script)
    return { "#!/bin/busybox sh\n" .. script .. "\nexec /bin/busybox poweroff -f\n", tonumber("755", 8) }
  end

  it_boots("hands the kernel's arguments to the root's init, and the mounts", function(path)
    local result = boot("handover", {
      argv = { "none" }, cmdline = "init=/etc/start rw WORD -- one 'two'",
      files = { ["/etc/start"] = init [[echo "I am $$ $0 with $*"; b=/bin/busybox; $b mount; $b ls -a /; $b grep Sig /proc/1/status
        $b mount -o remount,ro /]] },
    }, path)
    assert_console("I am 1 /etc/start with WORD one 'two'\n", result)
    assert_console("/dev/vda on / type ext4 (rw,", result)
    for _, line in ipairs { "proc on /proc ", "devtmpfs on /dev ", "sysfs on /sys ", "tmpfs on /run " } do
      assert_console("\n" .. line, result)
    end
    assert_console("SigBlk:\t0000000000000000\n", result)
    assert.is_nil(result.out:find("modules", 1, true), result.out)
  end)

  it_boots("finds the root by its label and by its UUID, the init as the kernel does", function(path)
    local spec = { argv = { "none" }, built = true, cmdline = "root=LABEL=some_root rootflags=noload",
      files = { ["/bin/init"] = init "echo started as $0; /bin/busybox mount", ["/sbin/init"] = "no program" } }
    guest.image(path, spec)
    sh.check(("PATH=$PATH:/usr/sbin:/sbin tune2fs -L some_root -U 01234567-89ab-cdef-0123-456789ABCDEF %s"):format(path))
    local result = boot("label", spec, path)
    assert_console("banger-init: run /sbin/init: Permission denied\n", result)
    assert_console("started as /bin/init\n", result)
    assert_console("/dev/vda on / type ext4 (ro,relatime,norecovery)", result)
    spec.cmdline = "root=UUID=01234567-89ab-cdef-0123-456789abcdef"
    assert_console("started as /bin/init\n", boot("uuid", spec, path))
  end)

  it_boots("says which root is not there, and what is", function(path)
    assert_fails("root=/dev/vdx: no such disk after 10 s; there is: vda", "noroot",
      { argv = { "none" }, cmdline = "root=/dev/vdx banger.exit=poweroff" }, path)
  end)

  it_boots("says that a root cannot be named so", function(path)
    assert_fails("root=PARTUUID=1-2: not /dev/NAME, LABEL=TEXT or UUID=TEXT", "partuuid",
      { argv = { "none" }, cmdline = "root=PARTUUID=1-2" }, path)
  end)

  it_boots("says that the root is no ext4", function(path)
    sh.check("truncate -s 1M " .. path)
    assert_fails("root=/dev/vda: holds no ext4 file system", "noext4", { built = true, cmdline = "" }, path)
  end)

  it_boots("says what of the root's mount the kernel refuses", function(path)
    assert_fails("mount root=/dev/vda as nofs: the kernel has no such file system", "notype",
      { argv = { "none" }, cmdline = "rootfstype=nofs" }, path)
    assert_fails("mount root=/dev/vda as ext4 with rootflags=wrong: Invalid argument", "noflags",
      { argv = { "none" }, cmdline = "rootflags=wrong" }, path)
  end)

  it_boots("says that the init is not there, or its interpreter", function(path)
    assert_fails("init=/sbin/start: not found", "noinit", { argv = { "none" }, cmdline = "init=/sbin/start" }, path)
    assert.is_true(image.fsck(path))
    local files = { ["/sbin/init"] = { "#!/bin/bash\n", tonumber("755", 8) } }
    local spec = { argv = { "none" }, built = true, cmdline = "", files = files }
    guest.image(path, spec)
    local result = boot("nointerpreter", spec, path)
    assert_console("banger-init: /sbin/init: is there, but not its interpreter /bin/bash\n"
      .. "banger-init: the root file system has no init: say which with init=\n", result)
    assert_off("exit=125 signal=0 oom=0", result)
  end)

  it_boots("goes on without a module that is not there or is none", function(path)
    local result = boot("modules", { argv = { BUSYBOX, "true" },
      modules = { ["gone.ko"] = false, ["garbage.ko"] = "no module\n", ["packed.ko.xz"] = "no module either\n" } }, path)
    assert_console("banger-init: load module gone.ko: No such file or directory\n", result)
    assert_console("banger-init: load module garbage.ko: Exec format error\n", result)
    assert_console("banger-init: load module packed.ko.xz: this kernel does not inflate modules\n", result)
    assert_off("exit=0 signal=0 oom=0", result)
  end)
end)

-- ---- a root that stays as it is ---------------------------------------------------

describe("an overlay", function()
  local WRITE = [[
    b=/bin/busybox; $b cat /etc/written /new/file; echo written >/etc/written; $b mkdir -p /new; echo new >/new/file
    $b rm -f /etc/hosts; $b ls /run/initramfs/banger/lower/etc; $b mount]]

  it_boots("in memory is gone after the machine, and the image is the same bytes", function(path)
    local spec = { built = true, overlay = "tmpfs", argv = { BUSYBOX, "sh", "-c", WRITE }, cmdline = "ro init=/.banger/init" }
    guest.image(path, spec)
    local before = sh.sha256(path)
    for i = 1, 2 do
      local result = boot("overlay-tmpfs" .. i, spec, path)
      assert_console("cat: can't open '/etc/written': No such file or directory\n"
        .. "cat: can't open '/new/file': No such file or directory\n", result)
      assert_console("hostname     hosts        resolv.conf\n", result)
      assert_console("\noverlay on / type overlay (rw,", result)
      assert_console("\n/dev/vda on /run/initramfs/banger/lower type ext4 (ro,", result)
      for _, dir in ipairs { "/dev", "/dev/pts", "/proc", "/sys", "/run" } do assert_console(" on " .. dir .. " type ", result) end
      assert_off("exit=0 signal=0 oom=0", result)
      assert.are.equal(before, sh.sha256(path))
    end
  end)

  it_boots("on a disk is there again, and the disk is clean", function(path)
    local disk = scratch:fresh ".disk"
    sh.check(("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -L over %s 16M"):format(disk))
    local spec = { built = true, overlay = "LABEL=over", disk = disk, argv = { BUSYBOX, "sh", "-c", WRITE },
      cmdline = "ro init=/.banger/init" }
    guest.image(path, spec)
    local before = sh.sha256(path)
    boot("overlay-disk1", spec, path)
    assert.is_true(image.fsck(disk))
    local result = boot("overlay-disk2", spec, path)
    assert_console("written\nnew\n", result)
    assert_console("/dev/vdb on /run/initramfs/banger/upper type ext4 (rw,", result)
    assert_off("exit=0 signal=0 oom=0", result)
    assert.is_true(image.fsck(disk))
    assert.are.equal(before, sh.sha256(path))
    assert.are.equal("written\n", image.read(disk)["upper/etc/written"].content)
  end)

  it_boots("on a disk is clean after systemd, which unmounts what it can", function(path)
    local recipe, disk = scratch:fresh ".lua", scratch:fresh ".disk"
    sh.check(("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 %s 64M"):format(disk))
    sh.write_file(recipe, 'overlay = "/dev/vdb" autologin = true hostname = "over"')
    local pulled, reason = distro.pull("systemd", path, "--recipe " .. recipe)
    if not pulled then return pending(reason) end
    local before = sh.sha256(path)
    local result = distro.boot("overlay-systemd", path, {
      disks = { disk },
      steps = {
        { "root@over:~# ", act = [[keys 'echo kept >/kept; echo root=$(findmnt -no FSTYPE /) ready']] },
        { "root=overlay ready", act = "tell system_powerdown" },
      },
    })
    assert_console("reboot: Power down", result)
    assert.are.equal(before, sh.sha256(path))
    assert.is_true(image.fsck(disk))
    assert.is_nil(sh.check("PATH=$PATH:/usr/sbin:/sbin dumpe2fs -h " .. disk):find("needs_recovery", 1, true))
    assert.are.equal("kept\n", image.read(disk)["upper/kept"].content)
  end)

  local function assert_fails(text, name, spec, path)
    local result = boot(name, spec, path)
    assert_console("banger-init: overlay: " .. text .. "\nbanger-init: exit=125 signal=0 oom=0\n", result)
  end

  it_boots("says that its disk is not there, or not formatted", function(path)
    assert_fails("/dev/vdb: no such disk after 10 s; there is: vda", "overlay-none",
      { overlay = "/dev/vdb", argv = { "none" }, cmdline = "ro" }, path)
    local disk = scratch:fresh ".disk"
    sh.check("truncate -s 1M " .. disk)
    assert_fails("/dev/vdb: holds no ext4 file system: make one with mkfs.ext4", "overlay-empty",
      { overlay = "/dev/vdb", disk = disk, argv = { "none" }, cmdline = "rw" }, path)
  end)

  it_boots("says that the kernel has none", function(path)
    assert_fails("the kernel has no overlay file system: load its module in the initramfs", "overlay-kernel",
      { overlay = "tmpfs", without = "overlay", argv = { "none" }, cmdline = "rw" }, path)
  end)
end)
