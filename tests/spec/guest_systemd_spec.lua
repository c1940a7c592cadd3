-- What an image with systemd is given, decided through the read side of a real rootfs.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local guest = require "banger.guest"
local sh = require "support.sh"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

local X = tonumber("755", 8)
local function program(path) return { path = path, content = "\127ELF", mode = X } end
local function link(path, target) return { path = path, type = "symlink", target = target } end
local function file(path, content) return { path = path, content = content } end

local function rootfs_of(entries)
  local rootfs = banger.rootfs { near = scratch:path "x.ext4" }
  banger.inject(rootfs, entries)
  return rootfs
end

local LIB = "/usr/lib/systemd/system/"
local GETTY = "[Unit]\nDescription=x\n[Install]\nWantedBy=getty.target\n"

-- A merged-usr image with systemd that lacks nothing; each entry of `changes` goes over it.
local function systemd_image(changes)
  local entries = {
    program "/usr/lib/systemd/systemd", link("/lib", "usr/lib"), link("/sbin", "usr/sbin"), link("/bin", "usr/bin"),
    link("/usr/sbin/init", "../lib/systemd/systemd"), program "/usr/lib/systemd/systemd-udevd", program "/usr/sbin/agetty",
    file("/etc/machine-id", ""), file("/etc/shadow", "root:$y$j9T$abcdefghijkl:1::::::\n"),
    file(LIB .. "serial-getty@.service", GETTY), file(LIB .. "console-getty.service", GETTY),
    file(LIB .. "multi-user.target", "[Unit]\n"), link(LIB .. "default.target", "multi-user.target"),
    file(LIB .. "systemd-udevd.service", "[Service]\n"),
    link(LIB .. "sysinit.target.wants/systemd-udevd.service", "../systemd-udevd.service"),
    link("/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", LIB .. "serial-getty@.service"),
    file("/etc/systemd/system-preset/00-banger-serial-getty@ttyS0.service.preset", "enable serial-getty@.service ttyS0\n"),
    link("/etc/systemd/network/99-default.link", "/dev/null"),
  }
  for _, change in ipairs(changes or {}) do entries[#entries + 1] = change end
  return rootfs_of(entries)
end

-- The entries of the contract are another spec's.
local CONTRACT = {}
for _, name in ipairs { "directories", "devices", "hostname", "hosts", "resolv.conf", "fstab", "container-marks" } do
  CONTRACT[name] = false
end

local function lines_of(entries)
  local lines = {}
  for i, entry in ipairs(entries) do
    assert.is_true(#entry.why > 5)
    local what = entry.target and " -> " .. entry.target or entry.content and " " .. entry.content:gsub("\n", "|") or ""
    lines[i] = ("%s: %s %s%s"):format(entry.item, entry.type, entry.path, what)
  end
  return lines
end

local function prepare(changes, options, architecture)
  local rootfs <close> = systemd_image(changes)
  options = options or {}
  local items = { table.unpack(options.items or {}) }
  for name, off in pairs(CONTRACT) do items[name] = off end
  for name, off in pairs(options.items or {}) do items[name] = off end
  options.items = items
  local plan = guest.prepare(rootfs, { platform = { os = "linux", architecture = architecture or "amd64" },
    config = { Cmd = { "/sbin/init" } } }, options)
  banger.inject(rootfs, plan.entries) -- all of it fits
  return lines_of(plan.entries), plan.warnings, plan
end

local REMOVE = { type = "remove" }
local function without(path) return { path = path, type = REMOVE.type } end

describe("an image with systemd", function()
  it("is given nothing where it lacks nothing", function()
    local lines, warnings, plan = prepare()
    assert.same({ {}, {}, { "rw" } }, { lines, warnings, plan.cmdline })
    assert.same({ "native", "/sbin/init", "systemd" }, { plan.init.kind, plan.init.path, plan.init.system })
  end)

  it("has an empty machine-id, whatever it had", function()
    local empty = "machine-id: file /etc/machine-id "
    local function id(change) return (prepare { without "/etc/machine-id", change }) end
    assert.same({ empty }, id())
    assert.same({ empty }, id(file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")))
    assert.same({ empty }, id(file("/etc/machine-id", "uninitialized\n")))
    assert.same({ "machine-id: remove /etc/machine-id", empty }, id(link("/etc/machine-id", "/var/lib/dbus/machine-id")))
    assert.same({ "machine-id: remove /etc/machine-id", empty },
      id { path = "/etc/machine-id", type = "char", major = 1, minor = 9 })
    local lines, warnings = prepare { without "/etc/machine-id", { path = "/etc/machine-id/x", content = "" } }
    assert.same({}, lines)
    assert.same({ "/etc/machine-id cannot be made a file: a directory is there, or a file is above it" }, warnings)
  end)

  it("has no copy of a machine-id", function()
    assert.same({ "machine-id: remove /var/lib/dbus/machine-id", "machine-id: symlink /var/lib/dbus/machine-id -> /etc/machine-id" },
      (prepare { file("/var/lib/dbus/machine-id", "0123456789abcdef0123456789abcdef\n") }))
    assert.same({}, (prepare { link("/var/lib/dbus/machine-id", "/etc/machine-id") }))
  end)

  it("is told that its packages are set up, as old as /usr at least", function()
    local function made(nsec, ...)
      local _, _, plan = prepare { { path = "/usr", type = "dir", mtime = 1700000000 + nsec }, file("/etc/ld.so.cache", "x"),
        file("/etc/passwd", "root:x:0:0::/:\n"), { path = "/var", type = "dir" }, ... }
      local lines = {}
      for i, entry in ipairs(plan.entries) do lines[i] = ("%s %s %s %d"):format(entry.item, entry.path, entry.content, entry.mtime) end
      return lines
    end
    assert.same({ "updated /etc/.updated  1700000000", "updated /var/.updated  1700000000" }, made(0))
    assert.same({ "updated /etc/.updated  1700000001", "updated /var/.updated  1700000001" }, made(0.5))
    assert.same({ "updated /var/.updated  1700000000" }, made(0, file("/etc/.updated", "")))
    assert.same({}, made(0, without "/etc/ld.so.cache"))
    assert.same({}, made(0, without "/etc/passwd"))
    assert.same({ "updated /etc/.updated  1700000000" }, made(0, without "/var", file("/var", "x")))
  end)

  it("has units masked that wait or ask, where they exist", function()
    assert.same({
      "masks: symlink /etc/systemd/system/systemd-firstboot.service -> /dev/null",
      "masks: remove /etc/systemd/system/systemd-networkd-wait-online.service",
      "masks: symlink /etc/systemd/system/systemd-networkd-wait-online.service -> /dev/null",
      "masks: symlink /etc/systemd/system/proc-sys-fs-binfmt_misc.automount -> /dev/null",
    }, (prepare {
      file(LIB .. "systemd-firstboot.service", "[Unit]\n"), file(LIB .. "proc-sys-fs-binfmt_misc.automount", "[Unit]\n"),
      file(LIB .. "systemd-networkd-wait-online.service", "[Unit]\n"),
      link("/etc/systemd/system/systemd-networkd-wait-online.service", LIB .. "systemd-networkd-wait-online.service"),
      file(LIB .. "systemd-binfmt.service", "[Unit]\n"), link("/etc/systemd/system/systemd-binfmt.service", "/dev/null"),
    }))
    local lines, warnings = prepare { file("/etc/systemd/system/systemd-firstboot.service", "[Unit]\n") }
    assert.same({}, lines)
    assert.same({ "systemd-firstboot.service cannot be masked: a file is in its place" }, warnings)
  end)

  it("is given back what was taken out for a container", function()
    assert.same({
      "wants: symlink /etc/systemd/system/sysinit.target.wants/systemd-udevd.service -> /usr/lib/systemd/system/systemd-udevd.service",
      "wants: remove /etc/systemd/system/multi-user.target.wants/getty.target",
      "wants: symlink /etc/systemd/system/multi-user.target.wants/getty.target -> /usr/lib/systemd/system/getty.target",
    }, (prepare {
      without(LIB .. "sysinit.target.wants/systemd-udevd.service"), file(LIB .. "getty.target", "[Unit]\n"),
      link("/etc/systemd/system/multi-user.target.wants/getty.target", "/nowhere"),
      file(LIB .. "systemd-logind.service", "[Unit]\n"), link("/etc/systemd/system/systemd-logind.service", "/dev/null"),
    }))
  end)

  it("has a default.target", function()
    local usual = "default-target: symlink /etc/systemd/system/default.target -> /usr/lib/systemd/system/multi-user.target"
    assert.same({ usual }, (prepare { without(LIB .. "default.target") }))
    assert.same({ "default-target: remove /etc/systemd/system/default.target", usual },
      (prepare { without(LIB .. "default.target"), link("/etc/systemd/system/default.target", "/nowhere") }))
    assert.same({}, (prepare { file(LIB .. "graphical.target", "[Unit]\n"),
      link("/etc/systemd/system/default.target", LIB .. "graphical.target") }))
    assert.same({ "default.target is masked: systemd stops at its rescue shell" },
      select(2, prepare { link("/etc/systemd/system/default.target", "/dev/null") }))
    assert.same({ "there is no default.target in the image: systemd stops at its emergency shell" },
      select(2, prepare { without(LIB .. "default.target"), without(LIB .. "multi-user.target") }))
  end)

  local BARE = {
    without "/etc/systemd/system/getty.target.wants", without "/etc/systemd/system-preset", without "/etc/systemd/network",
  }

  it("has a login on the serial console where udev announces it", function()
    assert.same({
      "console: symlink /etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service -> /usr/lib/systemd/system/serial-getty@.service",
      "console: file /etc/systemd/system-preset/00-banger-serial-getty@ttyS0.service.preset enable serial-getty@.service ttyS0|",
      "interface-names: symlink /etc/systemd/network/99-default.link -> /dev/null",
    }, (prepare(BARE)))
  end)

  it("leaves the console of arm64 to the generator, where there is one", function()
    local generator = program "/usr/lib/systemd/system-generators/systemd-getty-generator"
    assert.same({ "interface-names: symlink /etc/systemd/network/99-default.link -> /dev/null" },
      (prepare({ BARE[1], BARE[2], BARE[3], generator }, nil, "arm64")))
    assert.equal("console: symlink /etc/systemd/system/getty.target.wants/serial-getty@ttyAMA0.service -> "
      .. "/usr/lib/systemd/system/serial-getty@.service", prepare(BARE, nil, "arm64")[1])
  end)

  it("has a login on the console itself without udev", function()
    local want = {
      "console: symlink /etc/systemd/system/serial-getty@ttyS0.service -> /dev/null",
      "console: symlink /etc/systemd/system/getty.target.wants/console-getty.service -> /usr/lib/systemd/system/console-getty.service",
      "console: file /etc/systemd/system-preset/00-banger-console-getty.service.preset enable console-getty.service|",
    }
    assert.same(want, (prepare { BARE[1], BARE[2], BARE[3], without "/usr/lib/systemd/systemd-udevd" }))
    -- A unit that is masked runs no more than one that is absent.
    want[4] = "interface-names: symlink /etc/systemd/network/99-default.link -> /dev/null"
    assert.same(want, (prepare { BARE[1], BARE[2], BARE[3], link("/etc/systemd/system/systemd-udevd.service", "/dev/null") }))
  end)

  it("logs root in when that is asked for, and only then", function()
    assert.same({
      "console: file /etc/systemd/system/serial-getty@.service.d/00-banger-autologin.conf "
        .. "[Service]|ExecStart=|ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud %I 115200,57600,38400,9600 $TERM|",
      "console: file /etc/systemd/system/console-getty.service.d/00-banger-autologin.conf "
        .. "[Service]|ExecStart=|ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud console 115200,57600,38400,9600 $TERM|",
    }, (prepare({}, { autologin = true })))
  end)

  it("says when nobody can log in", function()
    local warning = "nobody can log in on the console: no account in /etc/shadow has a password (autologin lets root in without one)"
    for _, shadow in ipairs { "root:*:1::::::\nuser:!$y$j9T$abcdefghijkl:1::::::\n", "", "root:x:1:\n" } do
      assert.same({ warning }, select(2, prepare { file("/etc/shadow", shadow) }))
    end
    assert.same({}, select(2, prepare({ file("/etc/shadow", "root:*:1::::::\n") }, { autologin = true })))
    assert.same({}, select(2, prepare { file("/etc/shadow", "root:*:1:\nuser::1:\n") }))
    assert.same({ "there is no agetty in the image: nobody can log in on the console" },
      select(2, prepare { without "/usr/sbin/agetty" }))
  end)

  it("lets root in on the serial console where there is a list", function()
    assert.same({ "securetty: file /etc/securetty console|tty1|ttyS0|" }, (prepare { file("/etc/securetty", "console\ntty1") }))
    assert.same({}, (prepare { file("/etc/securetty", "ttyS0\n") }))
    assert.same({}, (prepare { { path = "/etc/securetty/x", content = "" } }))
  end)

  it("keeps resolved's link, where resolved runs", function()
    local options = { items = { ["resolv.conf"] = true } }
    local stub = link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
    local unit = file(LIB .. "systemd-resolved.service", "[Unit]\n")
    local wanted = link("/etc/systemd/system/multi-user.target.wants/systemd-resolved.service", LIB .. "systemd-resolved.service")
    assert.same({}, (prepare({ stub, unit, wanted }, options)))
    local replaced = { "resolv.conf: remove /etc/resolv.conf",
      "resolv.conf: file /etc/resolv.conf # No name server was known when this image was built.|" }
    assert.same(replaced, (prepare({ stub, unit }, options)))
    assert.same(replaced, (prepare({ stub, wanted }, options)))
    assert.same(replaced, (prepare({ link("/etc/resolv.conf", "/run/resolvconf/resolv.conf"), unit, wanted }, options)))
    assert.same(replaced, (prepare({ stub, unit, wanted, link("/etc/systemd/system/systemd-resolved.service", "/dev/null") }, options)))
  end)

  it("says when a policy would stop the boot", function()
    local policy = { path = "/etc/selinux/targeted/policy/policy.33", content = "x" }
    local function warned(text, ...)
      return select(2, prepare { file("/etc/selinux/config", text), ... })
    end
    assert.same({ "/etc/selinux/config says enforcing, and the image's files have no labels: "
      .. "enforcing=0 on the kernel's command line lets it boot" }, warned("SELINUX=enforcing\nSELINUXTYPE=targeted\n", policy))
    assert.same({}, warned("#SELINUX=enforcing\nSELINUX=permissive\nSELINUXTYPE=targeted\n", policy))
    assert.same({}, warned "SELINUX=enforcing\nSELINUXTYPE=targeted\n")
    assert.same({}, warned("SELINUX=enforcing\nSELINUXTYPE=../targeted\n", policy))
  end)

  it("is given an environment for its services", function()
    assert.same({ 'environment: file /etc/systemd/system.conf.d/00-banger.conf [Manager]|DefaultEnvironment="A=1" "B=a \\"b\\" \\\\ 100%%"|' },
      (prepare({}, { environment = { "A=1", 'B=a "b" \\ 100%' } })))
  end)

  it("is linked where the kernel looks", function()
    local lines, _, plan = prepare({ without "/usr/sbin/init" }, { init = "native" })
    assert.same({ "init: symlink /sbin/init -> /lib/systemd/systemd" }, lines)
    assert.same({ "/lib/systemd/systemd", { "rw" } }, { plan.init.path, plan.cmdline })
  end)

  it("has a switch for every item", function()
    local changes = {
      without "/etc/machine-id", file(LIB .. "systemd-firstboot.service", "[Unit]\n"), BARE[1], BARE[2], BARE[3],
      without(LIB .. "sysinit.target.wants/systemd-udevd.service"), without(LIB .. "default.target"), file("/etc/securetty", ""),
    }
    local counts = { ["machine-id"] = 1, masks = 1, wants = 1, ["default-target"] = 1, console = 2, securetty = 1,
      ["interface-names"] = 1, environment = 1 }
    local all = #prepare(changes, { environment = { "A=1" } })
    for name, count in pairs(counts) do
      local lines = prepare(changes, { environment = { "A=1" }, items = { [name] = false } })
      for _, line in ipairs(lines) do assert.not_equal(name, line:match "^[^:]+") end
      assert.equal(all - (name == "console" and 3 or count), #lines) -- securetty goes with the console
    end
  end)

  it("stands what is hostile", function()
    local function stands(...)
      local lines = prepare { ... }
      assert.is_table(lines)
      return lines
    end
    stands(without "/etc/systemd", link("/etc/systemd", "/etc/systemd"))
    stands(without "/etc/systemd", file("/etc/systemd", "x"))
    stands(without "/etc", file("/etc", "x"))
    stands(without "/etc/systemd", link("/etc/systemd", "/elsewhere"))
    stands(without "/etc/machine-id", link("/etc/machine-id", "machine-id"))
    stands(BARE[1], file("/etc/systemd/system/getty.target.wants", "x"))
    stands(link("/etc/systemd/system/default.target", "default.target"))
    stands(without "/usr/lib/systemd/systemd-udevd", link("/usr/lib/systemd/systemd-udevd", "systemd-udevd"))
    stands({ path = "/etc/securetty", content = ("x"):rep(2 << 20) })
  end)
end)

describe("enabling a unit", function()
  local function enable(unit, entries)
    local rootfs <close> = rootfs_of(entries)
    local added, warnings = guest.systemd.enable(rootfs, unit)
    banger.inject(rootfs, added)
    return lines_of(added), warnings
  end
  local function web(text, unit) return { file(LIB .. (unit or "web.service"), text) } end
  local function refused(message, unit, entries)
    assert.same({ {}, { message } }, { enable(unit, entries) })
  end

  it("makes the links that [Install] asks for, and a preset", function()
    assert.same({
      "units: symlink /etc/systemd/system/multi-user.target.wants/web.service -> /usr/lib/systemd/system/web.service",
      "units: symlink /etc/systemd/system/a.target.wants/web.service -> /usr/lib/systemd/system/web.service",
      "units: symlink /etc/systemd/system/b.service.requires/web.service -> /usr/lib/systemd/system/web.service",
      "units: symlink /etc/systemd/system/www.service -> /usr/lib/systemd/system/web.service",
      "units: file /etc/systemd/system-preset/00-banger-web.service.preset enable web.service|",
    }, (enable("web", web [[
[Unit]
WantedBy=not.target
[Install]
# WantedBy=comment.target
WantedBy=gone.target
WantedBy=
WantedBy = multi-user.target \
  a.target
RequiredBy=b.service
Alias=www.service
[Service]
WantedBy=other.target
]])))
  end)

  it("takes along what comes with it, even in a circle", function()
    local entries = web "[Install]\nWantedBy=a.target\nAlso=web.socket web.service\n"
    entries[2] = file(LIB .. "web.socket", "[Install]\nWantedBy=sockets.target\nAlso=web.service\n")
    local lines = enable("web.service", entries)
    assert.equal("units: symlink /etc/systemd/system/a.target.wants/web.service -> /usr/lib/systemd/system/web.service", lines[1])
    local seen = 0
    for _, line in ipairs(lines) do
      if line:find("sockets.target.wants/web.socket", 1, true) then seen = seen + 1 end
    end
    assert.equal(1, seen)
    assert.equal(4, #lines)
  end)

  it("knows templates and their instances", function()
    local entries = web("[Install]\nWantedBy=getty.target\nAlias=login-%i.service\nDefaultInstance=tty1\n", "getty@.service")
    assert.same({
      "units: symlink /etc/systemd/system/getty.target.wants/getty@tty2.service -> /usr/lib/systemd/system/getty@.service",
      "units: symlink /etc/systemd/system/login-tty2.service -> /usr/lib/systemd/system/getty@.service",
      "units: file /etc/systemd/system-preset/00-banger-getty@tty2.service.preset enable getty@.service tty2|",
    }, (enable("getty@tty2", entries)))
    assert.matches("getty.target.wants/getty@tty1.service", (enable("getty@.service", entries))[1], 1, true)
    refused("/usr/lib/systemd/system/x@.service is a template: it is enabled with an instance, as in x@NAME.service",
      "x@.service", web("[Install]\nWantedBy=a.target\n", "x@.service"))
  end)

  it("leaves links that are there, and replaces those that lead nowhere", function()
    local entries = web "[Install]\nWantedBy=a.target b.target\n"
    entries[2] = link("/etc/systemd/system/a.target.wants/web.service", "../../../../usr/lib/systemd/system/web.service")
    entries[3] = link("/etc/systemd/system/b.target.wants/web.service", "/gone")
    entries[4] = file("/etc/systemd/system-preset/00-banger-web.service.preset", "enable web.service\n")
    assert.same({
      "units: remove /etc/systemd/system/b.target.wants/web.service",
      "units: symlink /etc/systemd/system/b.target.wants/web.service -> /usr/lib/systemd/system/web.service",
    }, (enable("web", entries)))
  end)

  it("is refused where it makes no sense", function()
    refused("there is no unit web.service in the image", "web", {})
    refused("'../web' is no name of a unit", "../web", {})
    refused("'' is no name of a unit", "", {})
    refused("'@x' is no name of a unit", "@x", {})
    refused("web.service is masked: it cannot be enabled", "web", { link("/etc/systemd/system/web.service", "/dev/null") })
    refused("web.service is masked: it cannot be enabled", "web", web "")
    refused("/usr/lib/systemd/system/web.service has no section [Install]: it cannot be enabled, others start it", "web",
      web "[Service]\nExecStart=/bin/true\n")
  end)

  it("stands hostile units", function()
    refused("/usr/lib/systemd/system/web.service is too large for a unit: it is not enabled", "web",
      web("[Install]\nWantedBy=a.target\n" .. ("#"):rep(10 << 20)))
    local lines, warnings = enable("web", web "[Install]\nWantedBy=../../../x a/b %z.target ok.target\nAlias=../web.service\n")
    assert.same({ "symlink", "file" }, { lines[1]:match ": (%w+)", lines[2]:match ": (%w+)" })
    assert.same({
      "/usr/lib/systemd/system/web.service: WantedBy=../../../x is no name of a unit: it is passed over",
      "/usr/lib/systemd/system/web.service: WantedBy=a/b is no name of a unit: it is passed over",
      "/usr/lib/systemd/system/web.service: WantedBy=%z.target is no name of a unit: it is passed over",
      "/usr/lib/systemd/system/web.service: Alias=../web.service is no name of a unit: it is passed over",
    }, warnings)
    lines = enable("web", web("[Install]\nWantedBy=" .. ("x.target "):rep(100000)))
    assert.equal(2, #lines)
    -- What would take hours if it were quadratic.
    assert.equal(3, #enable("web", web("[Install]\nWantedBy=a.target" .. (" "):rep(900000) .. "x.target\n")))
    local chain = {}
    for i = 1, 300 do
      chain[i] = file(("%su%d.service"):format(LIB, i), ("[Install]\nWantedBy=a.target\nAlso=u%d.service\n"):format(i + 1))
    end
    assert.equal(128, #enable("u1", chain))
    local entries = web "[Install]\nWantedBy=a.target\n"
    entries[2] = file("/etc/systemd/system/a.target.wants", "x")
    warnings = select(2, enable("web", entries))
    assert.same({ "/etc/systemd/system/a.target.wants/web.service cannot be made a link: something else is in its place" }, warnings)
  end)
end)

describe("masking a unit", function()
  local function mask(unit, entries)
    local rootfs <close> = rootfs_of(entries or {})
    local added, warnings = guest.systemd.mask(rootfs, unit)
    return lines_of(added), warnings
  end

  it("is a link to nowhere", function()
    assert.same({ "units: symlink /etc/systemd/system/web.service -> /dev/null" }, (mask "web"))
    assert.same({ "units: symlink /etc/systemd/system/apt.timer -> /dev/null" }, (mask "apt.timer"))
    assert.same({}, (mask("web", { link("/etc/systemd/system/web.service", "/dev/null") })))
  end)

  it("never takes a file of the image's own", function()
    assert.same({ {}, { "web.service cannot be masked: a file is in its place" } },
      { mask("web", { file("/etc/systemd/system/web.service", "[Unit]\n") }) })
    assert.same({ {}, { "'a/b' is no name of a unit" } }, { mask "a/b" })
  end)
end)
