-- What an image with busybox's init, sysvinit or OpenRC is given, decided through the
-- read side of a real rootfs.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local guest = require "banger.guest"
local inittab = require "banger.guest.inittab"
local sh = require "support.sh"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

local X = tonumber("755", 8)
local function program(path) return { path = path, content = "\127ELF", mode = X } end
local function link(path, target) return { path = path, type = "symlink", target = target } end
local function file(path, content) return { path = path, content = content } end
local function without(path) return { path = path, type = "remove" } end

local SHADOW = file("/etc/shadow", "root:$6$abcdefghijklmn:1::::::\n")
local BUSYBOX = { program "/bin/busybox", link("/sbin/init", "../bin/busybox"), link("/sbin/getty", "/bin/busybox"),
  link("/bin/login", "busybox"), SHADOW }
local SYSVINIT = { program "/sbin/init", program "/sbin/agetty", program "/bin/login", program "/etc/init.d/rc",
  program "/etc/init.d/rcS", SHADOW }
local OPENRC_INIT = { program "/sbin/openrc-init", link("/sbin/init", "openrc-init"), program "/sbin/openrc", program "/bin/login",
  program "/sbin/agetty", program "/etc/init.d/agetty", SHADOW }

local OFF = {}
for _, name in ipairs { "directories", "devices", "hostname", "hosts", "resolv.conf", "fstab" } do OFF[name] = false end

-- Lines of what is injected, warnings, the plan; `base` and `changes` make the image.
local function prepare(base, changes, options, architecture)
  local rootfs <close> = banger.rootfs { near = scratch:path "x.ext4" }
  banger.inject(rootfs, base)
  banger.inject(rootfs, changes or {})
  local asked = { items = {} }
  for name, value in pairs(options or {}) do asked[name] = value end
  local items = { table.unpack(asked.items) }
  for _, from in ipairs { OFF, asked.items } do
    for name, value in pairs(from) do items[name] = value end
  end
  asked.items = items
  local plan = guest.prepare(rootfs, { platform = { os = "linux", architecture = architecture or "amd64" },
    config = { Cmd = { "/sbin/init" } } }, asked)
  banger.inject(rootfs, plan.entries) -- all of it fits
  local lines = {}
  for i, entry in ipairs(plan.entries) do
    assert.is_true(#entry.why > 5)
    local what = entry.target and " -> " .. entry.target or entry.content and "|" .. entry.content:gsub("\n", "|") or ""
    lines[i] = ("%s: %s %s%s"):format(entry.item, entry.type, entry.path, what)
  end
  return lines, plan.warnings, plan
end

local MOUNTS = "::sysinit:/bin/busybox mount -t proc proc /proc|::sysinit:/bin/busybox mount -t sysfs sysfs /sys|"
  .. "::sysinit:/bin/busybox mount -o remount,rw /|::sysinit:/bin/busybox mkdir -p /dev/pts /dev/shm|"
  .. "::sysinit:/bin/busybox mount -t devpts devpts /dev/pts|::sysinit:/bin/busybox mount -t tmpfs shm /dev/shm|"
  .. "::sysinit:/bin/busybox mount -t tmpfs run /run|::sysinit:/bin/busybox hostname -F /etc/hostname|"
  .. "::sysinit:/bin/busybox ifconfig lo up|"
local HALT = "::ctrlaltdel:/bin/busybox reboot|::shutdown:/bin/busybox umount -a -r|"
local GETTY = "ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100|"

describe("an image with busybox's init", function()
  it("has an inittab that mounts, lets people in and ends", function()
    local lines, warnings, plan = prepare(BUSYBOX)
    assert.same({ "inittab: file /etc/inittab|" .. MOUNTS .. GETTY .. HALT }, lines)
    assert.same({ {}, "busybox", { "rw" } }, { warnings, plan.init.system, plan.cmdline })
    assert.same(lines, (prepare(BUSYBOX, { file("/etc/inittab", " \n") })))
    -- busybox's init gives what holds one of these to a shell, which may not be there.
    assert.is_nil(lines[1]:gsub("^.-|", ""):gsub("|", "\n"):find "[~`!$^&*()=|\\{}%[%];\"'<>?]")
  end)

  it("runs the image's own rcS", function()
    assert.same({ "inittab: file /etc/inittab|" .. MOUNTS .. "::sysinit:/etc/init.d/rcS|" .. GETTY .. HALT },
      (prepare(BUSYBOX, { program "/etc/init.d/rcS" })))
  end)

  it("keeps its inittab, and gets a line more where that starts nothing on the serial console", function()
    local text = "::sysinit:/etc/rc\ntty1::respawn:/sbin/getty 38400 tty1\n#ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\n"
    local want = "inittab: file /etc/inittab|" .. text:gsub("\n", "|") .. GETTY
    assert.same({ want }, (prepare(BUSYBOX, { file("/etc/inittab", text) })))
    assert.same({ want }, (prepare(BUSYBOX, { file("/etc/inittab", text:sub(1, -2)) })))
    assert.same({ (want:gsub("/etc/inittab", "/conf/tab", 1)) },
      (prepare(BUSYBOX, { link("/etc/inittab", "../conf/tab"), file("/conf/tab", text) })))
    for _, line in ipairs { "::askfirst:/bin/sh", "ttyS0::respawn:/sbin/getty -L 0 ttyS0", "console::respawn:/bin/sh",
      "tty1::respawn:/sbin/getty 115200 /dev/ttyS0" } do
      assert.same({}, (prepare(BUSYBOX, { file("/etc/inittab", text .. line .. "\n") })))
    end
    for _, line in ipairs { "::once:/bin/sh", "ttyS1::respawn:/bin/sh", "x:ttyS0" } do
      assert.equal(1, #prepare(BUSYBOX, { file("/etc/inittab", text .. line .. "\n") }))
    end
  end)

  it("logs root in when that is asked for, and only then", function()
    local lines = prepare(BUSYBOX, {}, { autologin = true })
    assert.matches("|ttyS0::respawn:/bin/login -f root|", lines[1], 1, true)
    local _, warnings = prepare(BUSYBOX, { file("/etc/inittab", "::askfirst:/bin/sh\n") }, { autologin = true })
    assert.same({ "autologin is left out: /etc/inittab has a line for the console already" }, warnings)
  end)

  it("asks on the console of arm64, whatever that is called", function()
    local lines = prepare(BUSYBOX, { file("/etc/securetty", "tty1\nttyS0\n") }, nil, "arm64")
    assert.matches("|console::respawn:/sbin/getty -L 115200 console vt100|", lines[1], 1, true)
    assert.equal("securetty: file /etc/securetty|tty1|ttyS0|console|ttyAMA0|", lines[2])
  end)

  it("has busybox's own shell where nothing asks for a name", function()
    local lines, warnings = prepare(BUSYBOX, { without "/bin/login" })
    assert.matches("|::askfirst:/bin/sh|", lines[1], 1, true)
    assert.same({ "there is no getty or no login in the image: nobody logs in on the console" }, warnings)
  end)

  it("says when nobody can log in, and what is left out", function()
    local _, warnings = prepare(BUSYBOX, { file("/etc/shadow", "root:!:1\n") }, { environment = { "A=1" } })
    assert.same({
      "nobody can log in on the console: no account in /etc/shadow has a password (autologin lets root in without one)",
      "environment is left out: /sbin/init passes none on",
    }, warnings)
  end)

  it("has lo configured where something reads the file", function()
    local lines = prepare(BUSYBOX, { link("/sbin/ifup", "/bin/busybox") })
    assert.equal("interfaces: file /etc/network/interfaces|auto lo|iface lo inet loopback|", lines[2])
    lines = prepare(BUSYBOX, { link("/sbin/ifup", "/bin/busybox"), file("/etc/network/interfaces", "auto eth0\n") })
    assert.equal(1, #lines)
  end)

  it("stands what is hostile", function()
    local function stands(...)
      return prepare(BUSYBOX, { ... })
    end
    local lines, warnings = stands { path = "/etc/inittab/x", content = "" }
    assert.same({ {}, { "/etc/inittab is a dir or too large: left as it is" } }, { lines, warnings })
    lines, warnings = stands(file("/etc/inittab", ("x"):rep(2 << 20)))
    assert.same({ {}, { "/etc/inittab is a file or too large: left as it is" } }, { lines, warnings })
    assert.matches("^inittab: remove /etc/inittab$", (stands(link("/etc/inittab", "/proc/self/mem")))[1])
    assert.matches("^inittab: remove /etc/inittab$", (stands(link("/etc/inittab", "inittab")))[1])
    stands(without "/etc", file("/etc", "x"))
    stands(file("/etc/network", "x"), link("/sbin/ifup", "/bin/busybox"))
    stands(link("/etc/network", "network"), link("/sbin/ifup", "/bin/busybox"))
  end)
end)

describe("an image with OpenRC", function()
  local OPENRC = { program "/bin/busybox", link("/sbin/init", "/bin/busybox"), program "/sbin/openrc", link("/bin/login", "busybox"),
    link("/sbin/getty", "/bin/busybox"), SHADOW, program "/etc/init.d/devfs", program "/etc/init.d/hostname",
    program "/etc/init.d/mount-ro", file("/etc/init.d/sysctl", "not executable"), program "/etc/init.d/nginx" }
  local DIRS = { "runlevels: dir /etc/runlevels/sysinit", "runlevels: dir /etc/runlevels/boot", "runlevels: dir /etc/runlevels/default",
    "runlevels: dir /etc/runlevels/shutdown" }
  local TAB = "inittab: file /etc/inittab|::sysinit:/sbin/openrc sysinit|::sysinit:/sbin/openrc boot|::wait:/sbin/openrc default|"
    .. GETTY .. "::ctrlaltdel:/bin/busybox reboot|::shutdown:/sbin/openrc shutdown|"

  it("has an inittab, and in its runlevels what a machine needs and the image has", function()
    assert.same({ TAB, DIRS[1], "runlevels: symlink /etc/runlevels/sysinit/devfs -> /etc/init.d/devfs",
      DIRS[2], "runlevels: symlink /etc/runlevels/boot/hostname -> /etc/init.d/hostname", DIRS[3],
      DIRS[4], "runlevels: symlink /etc/runlevels/shutdown/mount-ro -> /etc/init.d/mount-ro" }, (prepare(OPENRC)))
  end)

  it("keeps what is in a runlevel", function()
    assert.same({ TAB, "runlevels: symlink /etc/runlevels/boot/hostname -> /etc/init.d/hostname" }, (prepare(OPENRC, {
      link("/etc/runlevels/boot/devfs", "/etc/init.d/devfs"), link("/etc/runlevels/shutdown/mount-ro", "/etc/init.d/mount-ro"),
      { path = "/etc/runlevels/sysinit", type = "dir" }, { path = "/etc/runlevels/default", type = "dir" },
    })))
  end)

  it("is told no more that it is in a container", function()
    local function conf(text)
      local lines = prepare(OPENRC, { file("/etc/rc.conf", text) }, { items = { inittab = false, runlevels = false } })
      return lines[1]
    end
    assert.equal('container-marks: file /etc/rc.conf|# x|rc_sys=""|rc_y=1|', conf '# x\nrc_sys="docker"\nrc_y=1\n')
    assert.is_nil(conf '#rc_sys="docker"\nrc_sys=""\n')
    assert.is_nil(conf 'my_rc_sys="lxc"\n')
    assert.is_nil(conf(("\n"):rep(1000000))) -- would take hours if it were quadratic
  end)

  it("as PID 1 starts its getty as a service", function()
    assert.same({ DIRS[1], DIRS[2], DIRS[3], DIRS[4], "console: symlink /etc/init.d/agetty.ttyS0 -> agetty",
      "console: symlink /etc/runlevels/default/agetty.ttyS0 -> /etc/init.d/agetty.ttyS0" }, (prepare(OPENRC_INIT)))
    local lines = prepare(OPENRC_INIT, {}, { autologin = true, items = { runlevels = false } })
    assert.equal('console: file /etc/conf.d/agetty.ttyS0|agetty_options="--autologin root"|', lines[3])
    assert.same({ "there is no /etc/init.d/agetty in the image: nobody can log in on the console" },
      select(2, prepare(OPENRC_INIT, { without "/etc/init.d/agetty" })))
    assert.equal("openrc", select(3, prepare(OPENRC_INIT)).init.system)
  end)

  it("is an application image where it is not installed", function()
    local rootfs <close> = banger.rootfs { near = scratch:path "x.ext4" }
    banger.inject(rootfs, BUSYBOX)
    local plan = guest.prepare(rootfs, { platform = { os = "linux", architecture = "amd64" }, config = { Cmd = { "/bin/sh" } } })
    assert.same({ "banger" }, { plan.init.kind, plan.init.system })
    for _, entry in ipairs(plan.entries) do assert.not_equal("/etc/inittab", entry.path) end
  end)

  it("stands runlevels that are something else", function()
    local lines, warnings = prepare(OPENRC, { file("/etc/runlevels", "x") })
    assert.same({ TAB }, lines)
    assert.same("/etc/runlevels/sysinit/devfs cannot be made a link: something else is in its place", warnings[1])
    prepare(OPENRC, { link("/etc/runlevels", "runlevels") })
    prepare(OPENRC, { file("/etc/runlevels/sysinit", "x") })
  end)

  it("has switches", function()
    assert.same({ TAB }, (prepare(OPENRC, {}, { items = { runlevels = false } })))
    assert.equal(7, #prepare(OPENRC, {}, { items = { inittab = false } }))
  end)
end)

describe("an image with sysvinit", function()
  local TAB = "inittab: file /etc/inittab|id:2:initdefault:|si::sysinit:/etc/init.d/rcS|l0:0:wait:/etc/init.d/rc 0|l1:1:wait:/etc/init.d/rc 1|"
    .. "l2:2:wait:/etc/init.d/rc 2|l3:3:wait:/etc/init.d/rc 3|l4:4:wait:/etc/init.d/rc 4|l5:5:wait:/etc/init.d/rc 5|"
    .. "l6:6:wait:/etc/init.d/rc 6|ca:12345:ctrlaltdel:/sbin/shutdown -r now|S0:12345:respawn:/sbin/agetty -L 115200 ttyS0 vt100|"

  it("has an inittab as Debian's", function()
    local lines, warnings, plan = prepare(SYSVINIT)
    assert.same({ { TAB }, {}, "sysvinit" }, { lines, warnings, plan.init.system })
  end)

  it("gets a line with an id of its own", function()
    local lines = prepare(SYSVINIT, { file("/etc/inittab", "S0:2:respawn:/sbin/getty 38400 tty1\n") }, { autologin = true })
    assert.same({ "inittab: file /etc/inittab|S0:2:respawn:/sbin/getty 38400 tty1|"
      .. "S1:12345:respawn:/sbin/agetty --autologin root -L 115200 ttyS0 vt100|" }, lines)
    assert.same({}, (prepare(SYSVINIT, { file("/etc/inittab", "T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n") })))
  end)

  it("starts OpenRC where that is in the place of Debian's rc", function()
    local lines = prepare(SYSVINIT, { without "/etc/init.d/rc", program "/sbin/openrc", file("/usr/share/sysvinit/inittab", "x") },
      { items = { runlevels = false } })
    assert.same({ "inittab: file /etc/inittab|id:3:initdefault:|si::sysinit:/sbin/openrc sysinit|rc::bootwait:/sbin/openrc boot|"
      .. "l0:0:wait:/sbin/openrc shutdown|l1:1:wait:/sbin/openrc single|l2:2:wait:/sbin/openrc nonetwork|"
      .. "l3:3:wait:/sbin/openrc default|l4:4:wait:/sbin/openrc default|l5:5:wait:/sbin/openrc default|"
      .. "l6:6:wait:/sbin/openrc reboot|ca:12345:ctrlaltdel:/sbin/shutdown -r now|"
      .. "S0:12345:respawn:/sbin/agetty -L 115200 ttyS0 vt100|" }, lines)
  end)

  it("says when there is nothing to start", function()
    local lines, warnings = prepare(SYSVINIT, { without "/etc/init.d/rc" })
    assert.same({ {}, { "there is no /etc/inittab, and nothing in the image that it could start" } }, { lines, warnings })
  end)

  it("has its network interface named as the kernel does", function()
    local function names(change)
      return (prepare(SYSVINIT, { change }, { items = { inittab = false } }))
    end
    assert.same({ "interface-names: symlink /etc/systemd/network/99-default.link -> /dev/null" },
      names(program "/usr/lib/systemd/systemd-udevd"))
    assert.same({ "interface-names: symlink /etc/udev/rules.d/80-net-name-slot.rules -> /dev/null" },
      names(file("/lib/udev/rules.d/80-net-name-slot.rules", "x")))
    assert.same({}, names(file("/lib/systemd/systemd-udevd", "no program")))
  end)

  it("that is none is left alone", function()
    local lines, _, plan = prepare({ program "/sbin/init" })
    assert.same({ {}, "other" }, { lines, plan.init.system })
    lines, _, plan = prepare({ program "/usr/bin/tini", link("/sbin/init", "/usr/bin/tini"), file("/etc/inittab", "x") })
    assert.same({ {}, "other" }, { lines, plan.init.system })
  end)
end)

describe("an inittab", function()
  it("is read line by line", function()
    assert.same({ { id = "", action = "sysinit", process = "/a b:c" }, { id = "t", action = "respawn", process = "" } },
      inittab.parse "# c\n::sysinit:/a b:c\r\n\nt:2:respawn:\nbroken:line\n  #::x:y\n")
  end)
end)
