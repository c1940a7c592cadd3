-- The contract is decided through a read side only, so a table of paths will do.
local guest = require "banger.guest"

-- A read side over { [path] = stat }, without links in parents.
local function tree(nodes)
  nodes["/"] = nodes["/"] or { type = "dir" }
  local function follow(path)
    local node = nodes[path]
    while node and node.type == "symlink" do
      path = node.target
      node = nodes[path]
    end
    return node and path, node
  end
  return {
    stat = function(_, path, options)
      if options and options.follow then
        return select(2, follow(path))
      end
      return nodes[path]
    end,
    resolve = function(_, path)
      return (follow(path))
    end,
    exists = function(_, path)
      return follow(path) ~= nil
    end,
    read = function(_, path)
      return select(2, follow(path)).content
    end,
  }
end

local function file(content)
  return { type = "file", size = #content, content = content, mode = tonumber("640", 8), uid = 3, gid = 4 }
end

local function link(target)
  return { type = "symlink", target = target }
end

local DIR, DEVICE = { type = "dir" }, { type = "char" }

-- An image that lacks nothing.
local function complete(changes)
  local nodes = {
    ["/dev"] = DIR, ["/proc"] = DIR, ["/sys"] = DIR, ["/run"] = DIR, ["/tmp"] = DIR, ["/etc"] = DIR, ["/root"] = DIR,
    ["/dev/console"] = DEVICE, ["/dev/null"] = DEVICE,
    ["/etc/hostname"] = file "own\n", ["/etc/hosts"] = file "127.0.0.1 localhost\n",
    ["/etc/resolv.conf"] = file "nameserver 192.0.2.1\n", ["/etc/fstab"] = file "",
  }
  for path, node in pairs(changes or {}) do
    nodes[path] = node or nil
  end
  return tree(nodes)
end

local function summary(rootfs, config)
  local entries, warnings = guest.contract(rootfs, config)
  local lines = {}
  for i, entry in ipairs(entries) do
    assert.is_string(entry.why)
    lines[i] = entry.type .. " " .. entry.path
  end
  return lines, warnings, entries
end

local function octal(text)
  return tonumber(text, 8)
end

describe("the contract of a bootable rootfs", function()
  it("adds nothing to an image that keeps it", function()
    assert.same({ {}, {} }, { guest.contract(complete()) })
  end)

  it("gives an empty image everything", function()
    local entries, warnings = guest.contract(tree {})
    assert.same({}, warnings)
    local want = {
      { path = "/dev", type = "dir", mode = octal "755" },
      { path = "/proc", type = "dir", mode = octal "555" },
      { path = "/sys", type = "dir", mode = octal "555" },
      { path = "/run", type = "dir", mode = octal "755" },
      { path = "/tmp", type = "dir", mode = octal "1777" },
      { path = "/etc", type = "dir", mode = octal "755" },
      { path = "/root", type = "dir", mode = octal "700" },
      { path = "/dev/console", type = "char", major = 5, minor = 1, mode = octal "600" },
      { path = "/dev/null", type = "char", major = 1, minor = 3, mode = octal "666" },
      { path = "/etc/hostname", type = "file", mode = octal "644", content = "banger\n" },
      { path = "/etc/hosts", type = "file", mode = octal "644",
        content = "127.0.0.1\tlocalhost\n127.0.1.1\tbanger\n::1\tlocalhost ip6-localhost ip6-loopback\n" },
      { path = "/etc/resolv.conf", type = "file", mode = octal "644",
        content = "# No name server was known when this image was built.\n" },
      { path = "/etc/fstab", type = "file", mode = octal "644",
        content = "# The kernel mounts the root file system, by root= on its command line.\n" },
    }
    local items = { "directories", "directories", "directories", "directories", "directories", "directories", "directories",
      "devices", "devices", "hostname", "hosts", "resolv.conf", "fstab" }
    for i, entry in ipairs(want) do
      entry.uid, entry.gid, entry.why, entry.item = 0, 0, "is absent", items[i]
    end
    assert.same(want, entries)
  end)

  it("fills empty files where they are, and keeps their owner and mode", function()
    local lines, _, entries = summary(complete { ["/etc/hosts"] = link "/conf/hosts", ["/conf/hosts"] = file "" })
    assert.same({ "file /conf/hosts" }, lines)
    assert.same({ octal "640", 3, 4 }, { entries[1].mode, entries[1].uid, entries[1].gid })
    assert.same({ "file /etc/resolv.conf" }, (summary(complete { ["/etc/resolv.conf"] = file "" })))
  end)

  it("leaves an fstab alone, empty or a link that dangles", function()
    assert.same({}, (summary(complete { ["/etc/fstab"] = file "" })))
    assert.same({}, (summary(complete { ["/etc/fstab"] = link "/nowhere" })))
    assert.same({ "file /etc/fstab" }, (summary(complete { ["/etc/fstab"] = false })))
  end)

  it("replaces a resolv.conf that dangles, and only that", function()
    assert.same({ "remove /etc/resolv.conf", "file /etc/resolv.conf" },
      (summary(complete { ["/etc/resolv.conf"] = link "/run/systemd/resolve/stub-resolv.conf" })))
    assert.same({}, (summary(complete { ["/etc/resolv.conf"] = link "/etc/hosts" })))
    assert.same({}, (summary(complete { ["/etc/hosts"] = link "/nowhere" })))
    assert.same({}, (summary(complete { ["/etc/hostname"] = link "/nowhere" })))
  end)

  it("uses the name the image or its config has", function()
    local function hosts(changes, config)
      changes["/etc/hosts"] = false
      local entries = guest.contract(complete(changes), config)
      return entries[#entries].content:match "127%.0%.1%.1\t(%S+)"
    end
    assert.equal("own", hosts({}))
    assert.equal("conf.example", hosts({ ["/etc/hostname"] = file "" }, { config = { Hostname = "conf.example" } }))
    assert.equal("banger", hosts({ ["/etc/hostname"] = file "no_name!\n" }, { config = { Hostname = "-bad\nname" } }))
    assert.equal("banger", hosts({ ["/etc/hostname"] = DIR }, { config = {} }))
  end)

  it("removes the marks of containers", function()
    assert.same({ "remove /.dockerenv", "remove /run/.containerenv" },
      (summary(complete { ["/.dockerenv"] = file "", ["/run/.containerenv"] = file "x" })))
  end)

  it("makes the directory that a link leads to, and keeps the link", function()
    local nodes = { ["/run"] = link "/var/run", ["/tmp"] = link "../var/./tmp", ["/var"] = DIR }
    assert.same({ "dir /var/run", "dir /var/tmp" }, (summary(complete(nodes))))
  end)

  it("takes a directory behind a link", function()
    assert.same({}, (summary(complete { ["/tmp"] = link "/var/tmp", ["/var/tmp"] = DIR })))
  end)

  it("puts devices in the place of the empty files of container engines", function()
    assert.same({ "remove /dev/console", "char /dev/console" }, (summary(complete { ["/dev/console"] = file "" })))
  end)

  it("destroys nothing, and says what it could not do", function()
    local function left(changes, ...)
      local lines, warnings = summary(complete(changes))
      assert.same({}, lines)
      assert.same({ ... }, warnings)
    end
    left({ ["/tmp"] = file "precious" }, "/tmp is a file, not a directory: left as it is")
    left({ ["/tmp"] = link "/a", ["/a"] = { type = "fifo" } },
      "/tmp is a fifo, not a directory: left as it is")
    left({ ["/dev/console"] = file "precious" }, "/dev/console cannot be made a device: something else is there")
    left({ ["/dev/null"] = DIR }, "/dev/null cannot be made a device: something else is there")
    left({ ["/etc/hosts"] = DIR, ["/etc/hostname"] = DIR })
    left({ ["/dev"] = file "x", ["/dev/console"] = false, ["/dev/null"] = false },
      "/dev is a file, not a directory: left as it is",
      "/dev/console cannot be made a device: something else is there",
      "/dev/null cannot be made a device: something else is there")
  end)
end)

describe("what makes an image boot", function()
  local PROGRAM = { type = "file", size = 1, mode = tonumber("755", 8) }
  local function config(own, architecture)
    return { platform = { os = "linux", architecture = architecture or "amd64" }, config = own or {} }
  end
  -- Lines as summary's, the whole plan.
  local function prepare(changes, own, options, architecture)
    local plan = guest.prepare(complete(changes), config(own, architecture), options)
    local lines = {}
    for i, entry in ipairs(plan.entries) do lines[i] = entry.type .. " " .. entry.path end
    return lines, plan
  end
  local BANGER = { "dir /.banger", "file /.banger/init", "file /.banger/argv", "symlink /sbin/init" }

  it("is banger-init for a program, and a link where the kernel looks", function()
    local lines, plan = prepare(nil, { Cmd = { "/app" } })
    assert.same(BANGER, lines)
    assert.same({ "banger", "/.banger/init" }, { plan.init.kind, plan.init.path })
    assert.same({ {}, {} }, { plan.warnings, plan.cmdline })
  end)

  it("leaves an init that is there alone, and tells the kernel", function()
    local lines, plan = prepare({ ["/sbin/init"] = PROGRAM }, { Cmd = { "/app" } })
    assert.same({ "dir /.banger", "file /.banger/init", "file /.banger/argv" }, lines)
    assert.same({ "init=/.banger/init" }, plan.cmdline)
    for _, there in ipairs { link "/gone", file "#!", { type = "dir" } } do
      assert.same({ "init=/.banger/init" }, select(2, prepare({ ["/sbin/init"] = there }, { Cmd = { "/app" } })).cmdline)
    end
  end)

  it("is not told to run itself where the image runs an init that it has not", function()
    for _, name in ipairs { "/sbin/init", "/usr/sbin/init", "/init", "/lib/systemd/systemd" } do
      local lines, plan = prepare(nil, { Cmd = { name } })
      assert.same({ "banger", { "the image runs " .. name .. ", which is not in it" } }, { plan.init.kind, plan.warnings })
      local is_init = name ~= "/lib/systemd/systemd"
      assert.same(is_init and { BANGER[1], BANGER[2], BANGER[3] } or BANGER, lines)
      assert.same(is_init and { "init=/.banger/init" } or {}, plan.cmdline)
    end
    -- In PATH, or by a link, it would be found too.
    for _, name in ipairs { "init", "./init", "/start" } do
      local lines, plan = prepare({ ["/start"] = link "/sbin/init" }, { Cmd = { name } })
      assert.same({ { BANGER[1], BANGER[2], BANGER[3] }, { "init=/.banger/init" }, {} }, { lines, plan.cmdline, plan.warnings })
    end
    -- A program of that name is one like any other.
    local lines, plan = prepare({ ["/app/init"] = PROGRAM }, { Cmd = { "/app/init" } })
    assert.same({ BANGER, {}, {} }, { lines, plan.cmdline, plan.warnings })
  end)

  it("is the image's own init, found by the kernel or by its command line", function()
    local none, plan = prepare({ ["/sbin/init"] = PROGRAM }, { Cmd = { "/sbin/init" } })
    assert.same({ {}, "native", { "rw" } }, { none, plan.init.kind, plan.cmdline })
    local lines
    lines, plan = prepare({ ["/lib/systemd/systemd"] = PROGRAM }, { Cmd = { "/lib/systemd/systemd" } }, { items = { init = false } })
    assert.same({ { "file /etc/machine-id" }, { "init=/lib/systemd/systemd", "rw" } }, { lines, plan.cmdline })
    plan = select(2, prepare({ ["/opt/boot"] = PROGRAM, ["/sbin/init"] = PROGRAM }, {}, { init = "/opt/boot" }))
    assert.same({ "path", { "init=/opt/boot", "rw" } }, { plan.init.kind, plan.cmdline })
    plan = select(2, prepare({ ["/opt/boot"] = PROGRAM, ["/sbin/init"] = link "/opt/boot" }, {}, { init = "/opt/boot" }))
    assert.same({ "rw" }, plan.cmdline)
  end)

  it("has its root mounted for writing, by the kernel where no fstab says so", function()
    local function words(fstab, options)
      local _, plan = prepare({ ["/sbin/init"] = PROGRAM, ["/etc/fstab"] = file(fstab) }, { Cmd = { "/sbin/init" } }, options)
      return plan.cmdline
    end
    assert.same({ "rw" }, words "# UNCONFIGURED FSTAB\n#/dev/vda / ext4 defaults 0 1\n/dev/vdb /data ext4\n")
    assert.same({}, words "# x\n\tUUID=1 / ext4 defaults 0 1")
    assert.same({ "init=/.banger/init", "ro" }, words("", { overlay = "tmpfs" }))
    assert.same({ "ro" }, select(2, prepare(nil, { Cmd = { "/app" } }, { overlay = "LABEL=data" })).cmdline)
  end)

  it("is both where banger-init has something to do first", function()
    local native = { "dir /.banger", "file /.banger/init", "file /.banger/native" }
    for _, options in ipairs { { agent = true }, { overlay = "tmpfs" } } do
      local lines, plan = prepare({ ["/sbin/init"] = PROGRAM }, { Cmd = { "/sbin/init" } }, options)
      assert.same({ native[1], native[2], native[3], "file /.banger/" .. next(options) }, lines)
      assert.same({ "native", "/sbin/init", { "init=/.banger/init", options.agent and "rw" or "ro" } },
        { plan.init.kind, plan.init.path, plan.cmdline })
    end
    local lines, plan = prepare({ ["/init"] = PROGRAM }, { Entrypoint = { "/init" } })
    assert.same({ "dir /.banger", "file /.banger/init", "file /.banger/argv", "file /.banger/native" }, lines)
    assert.same({ "init=/.banger/init" }, plan.cmdline)
  end)

  it("is said to be missing when there is nothing to run", function()
    local lines, plan = prepare()
    assert.same({ {}, "none", {} }, { lines, plan.init.kind, plan.cmdline })
    assert.same({ "the image names no program to run: it has neither Entrypoint nor Cmd; it does not boot by itself "
      .. "(--init names a program in it)" }, plan.warnings)
    lines, plan = prepare(nil, { Cmd = { "/app" } }, { agent = true }, "s390x")
    assert.same({ {}, "none" }, { lines, plan.init.kind })
    assert.matches("^there is no banger%-init for s390x; it does not boot", plan.warnings[1])
    assert.equal("agent is left out: it is banger-init's, which is not in this image", plan.warnings[2])
  end)

  it("is an error where it is asked for and is not there", function()
    local function refused(message, changes, own, options, architecture)
      local ok, problem = pcall(prepare, changes, own, options, architecture)
      assert.same({ false, "not_found", message .. "; auto finds out what there is" }, { ok, problem.code, problem.message })
    end
    local app = { Cmd = { "/app" } }
    refused("init /nope: there is no program /nope in the image", nil, app, { init = "/nope" })
    refused("init /etc/fstab of the recipe web: there is no program /etc/fstab in the image", nil, app,
      { init = "/etc/fstab", by = { init = "web" } })
    refused("init native: the image has no init of its own: no /sbin/init, no /lib/systemd/systemd, no /usr/lib/systemd/systemd", nil, app,
      { init = "native" })
    refused("init banger: the image names no program to run: it has neither Entrypoint nor Cmd", nil, {}, { init = "banger" })
    refused("init banger: there is no banger-init for s390x", nil, app, { init = "banger" }, "s390x")
    refused("init banger: the item init is switched off", nil, app, { init = "banger", items = { init = false } })
  end)

  it("says who runs it", function()
    local function why(changes, own, options)
      return select(2, prepare(changes, own, options)).init.why
    end
    local app, by = { Cmd = { "/app" } }, { command = "web", init = "base" }
    assert.equal("the image runs /app, which is no init", why(nil, app))
    assert.equal("the recipe web runs /app, which is no init", why(nil, app, { by = by }))
    assert.equal("the recipe web runs /sbin/init", why({ ["/sbin/init"] = PROGRAM }, { Cmd = { "/sbin/init" } }, { by = by }))
    assert.equal("asked for by the recipe base", why({ ["/sbin/init"] = PROGRAM }, app, { init = "/sbin/init", by = by }))
    assert.equal("asked for by the recipe base", why(nil, app, { init = "none", by = by }))
    assert.same({ "the recipe web runs /sbin/init, which is not in the image" },
      select(2, prepare(nil, { Cmd = { "/sbin/init" } }, { by = by })).warnings)
  end)

  it("is nothing when that is asked for", function()
    local lines, plan = prepare(nil, { Cmd = { "/app" } }, { init = "none" })
    assert.same({ {}, {}, "none", {} }, { lines, plan.warnings, plan.init.kind, plan.cmdline })
  end)

  it("says what it leaves out with banger-init", function()
    local agent = "agent is left out: it is banger-init's, which is not in this image"
    local overlay = "overlay is left out: it is banger-init's, which is not in this image"
    local function warned(program, options)
      options.agent, options.overlay = true, "tmpfs"
      local lines, plan = prepare({ [program] = PROGRAM }, { Cmd = { program } }, options)
      assert.same({}, lines)
      return plan.warnings
    end
    assert.same({ agent, overlay }, warned("/app", { init = "none" }))
    assert.same({ agent, overlay }, warned("/sbin/init", { init = "none" }))
    assert.same({ agent, overlay }, warned("/sbin/init", { items = { init = false } }))
    assert.same({ "the item init is switched off; it does not boot by itself (--init names a program in it)", agent, overlay },
      warned("/app", { items = { init = false } }))
    assert.same({ overlay }, warned("/app", { init = "none", items = { agent = false } }))
    assert.same({}, warned("/app", { init = "none", items = { agent = false, overlay = false } }))
    local plan = select(2, prepare(nil, { Cmd = { "/app" } }, { init = "none", environment = { "A=1" } }))
    assert.same({ "environment is left out: nothing in this image passes it on" }, plan.warnings)
  end)

  it("can be chosen by a word or a path", function()
    for _, text in ipairs { "auto", "native", "banger", "none", "/opt/init" } do
      assert.equal(text, guest.init_option(text))
    end
    for _, text in ipairs { "", "systemd", "opt/init", "Auto" } do
      local value, message = guest.init_option(text)
      assert.is_nil(value)
      assert.equal(("--init: '%s' is neither auto, native, banger, none nor a path in the image from / on"):format(text), message)
    end
  end)

  it("takes a name for the machine, and sets it where the image has one", function()
    local function named(there)
      local plan = guest.prepare(complete { ["/etc/hostname"] = there }, config(), { init = "none", hostname = "web-1" })
      local lines = {}
      for i, entry in ipairs(plan.entries) do
        assert.equal("hostname", entry.item)
        lines[i] = ("%s %s %s"):format(entry.type, entry.path, entry.content)
      end
      return lines, plan.warnings
    end
    assert.same({ "file /etc/hostname web-1\n" }, (named(file "own\n")))
    assert.same({ "file /etc/hostname web-1\n" }, (named(file "")))
    assert.same({ "file /etc/hostname web-1\n" }, (named(false)))
    assert.same({}, (named(file "web-1\n")))
    assert.same({}, (named(file "web-1\n# ours\n")))
    assert.same({ "file /etc/hostname web-1\n" }, (named(file "web-10\n")))
    assert.same({ "file /etc/hostname web-1\n" }, (named(file "# ours\nweb-1\n")))
    assert.same({ "remove /etc/hostname nil", "file /etc/hostname web-1\n" }, (named(link "/nowhere")))
    assert.same({ "remove /etc/hostname nil", "file /etc/hostname web-1\n" }, (named { type = "fifo" }))
    local lines, warnings = named(DIR)
    assert.same({ {}, { "/etc/hostname cannot be made a file: a directory is there, or a file is above it" } }, { lines, warnings })
  end)
end)

describe("the items of a plan", function()
  local APP = { platform = { os = "linux", architecture = "amd64" }, config = { Cmd = { "/app" } } }

  it("are named in every entry, and can be switched off one by one", function()
    local rootfs = tree { ["/.dockerenv"] = file "" }
    local wanted = { agent = true, overlay = "tmpfs" }
    local all, items = guest.prepare(rootfs, APP, wanted).entries, {}
    for _, entry in ipairs(all) do items[entry.item] = (items[entry.item] or 0) + 1 end
    assert.same({ directories = 7, devices = 2, hostname = 1, hosts = 1, ["resolv.conf"] = 1, fstab = 1, ["container-marks"] = 1,
      init = 4, agent = 1, overlay = 1 }, items)
    for name, count in pairs(items) do
      wanted.items = { [name] = false }
      local gone = name == "init" and 6 or count -- agent and overlay are banger-init's
      local plan = guest.prepare(rootfs, APP, wanted)
      assert.equal(#all - gone, #plan.entries)
      for _, entry in ipairs(plan.entries) do assert.not_equal(name, entry.item) end
    end
  end)

  it("have names and help", function()
    local names = {}
    for i, item in ipairs(guest.ITEMS) do
      assert.is_true(#item.help > 10)
      names[i] = item.name
      assert.equal(item.name, guest.check_item(item.name))
    end
    assert.same({ "directories", "devices", "hostname", "hosts", "resolv.conf", "fstab", "container-marks", "init" },
      { table.unpack(names, 1, 8) })
  end)

  it("are refused by a wrong name", function()
    local name, message = guest.check_item "hostnmae"
    assert.is_nil(name)
    assert.equal("there is no item 'hostnmae' to inject; did you mean 'hostname'?", message)
    message = select(2, guest.check_item "kernel")
    assert.matches("^there is no item 'kernel' to inject; there are directories, devices, hostname, hosts,", message)
  end)

  it("and options that make no sense are refused", function()
    local function refused(options)
      local ok, err = pcall(guest.prepare, tree {}, APP, options)
      assert.is_false(ok)
      assert.equal("usage", err.code)
      return err.message
    end
    assert.equal("there is no item 'host' to inject; did you mean 'hosts'?", refused { items = { hosts = false, host = false } })
    assert.equal("hostname: '-x' is no name of a machine: letters, digits, '-' and '.', 64 at most", refused { hostname = "-x" })
    for _, text in ipairs { "vdb", "/dev/../etc", "LABEL=", "LABEL=a b", "UUID=xyz", "" } do
      assert.equal(("overlay: '%s' is neither tmpfs nor a block device, as /dev/vdb, LABEL=data or UUID=..."):format(text),
        refused { overlay = text })
    end
    assert.is_table(guest.prepare(tree {}, APP, { overlay = "UUID=0a1b-2c" }))
    assert.equal("environment: 'A' is not of the form NAME=value", refused { environment = { "B=", "A" } })
    assert.equal("environment: '=b' is not of the form NAME=value", refused { environment = { "=b" } })
    assert.equal("agent: the port 0 is no number from 1 to 4294967294", refused { agent = { port = 0 } })
    assert.matches("^%-%-init: 'systemd' is neither", refused { init = "systemd" })
  end)
end)
