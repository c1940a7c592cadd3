-- Which init an image gets, and what banger-init is told. Decided through the read
-- side of a real rootfs.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local Plan = require "banger.guest.plan"
local program_of = require "banger.guest.program"
local sh = require "support.sh"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

local X = tonumber("755", 8)

local function program(path) return { path = path, content = "\127ELF", mode = X } end
local function link(path, target) return { path = path, type = "symlink", target = target } end

local function rootfs_of(entries)
  local rootfs = banger.rootfs { near = scratch:path "x.ext4" }
  banger.inject(rootfs, entries)
  return rootfs
end

local function config(own)
  return { platform = { os = "linux", architecture = "amd64" }, config = own or {} }
end

-- { kind, path } for an image.
local function detect(entries, own, want)
  local rootfs <close> = rootfs_of(entries)
  local choice = program_of.detect(rootfs, config(own), want)
  assert.is_true(#choice.why > 0)
  return { choice.kind, choice.path }, choice
end

local SYSTEMD = {
  program "/usr/lib/systemd/systemd", link("/lib", "usr/lib"), link("/sbin", "usr/sbin"),
  link("/usr/sbin/init", "../lib/systemd/systemd"),
}

describe("the init of an image", function()
  it("is its own when that is what it runs", function()
    for _, name in ipairs { "/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/usr/sbin/init" } do
      assert.same({ "native", name }, detect(SYSTEMD, { Cmd = { name } }))
    end
    assert.same({ "native", "/sbin/init" }, detect({ program "/sbin/init" }, { Entrypoint = { "/sbin/init" }, Cmd = { "3" } }))
  end)

  it("is its own when it says nothing and has one", function()
    assert.same({ "native", "/sbin/init" }, detect(SYSTEMD))
    assert.same({ "native", "/sbin/init" }, detect { program "/sbin/init" })
  end)

  it("is banger-init for an application, even where systemd is installed", function()
    local found, choice = detect(SYSTEMD, { Entrypoint = { "/entry.sh" }, Cmd = { "nginx", "-g", "daemon off;" } })
    assert.same({ "banger", "/.banger/init" }, found)
    assert.same({ "/entry.sh", "nginx", "-g", "daemon off;" }, choice.argv)
  end)

  it("is /init only as the Entrypoint", function()
    assert.same({ "native", "/init" }, detect({ program "/init" }, { Entrypoint = { "/init" } }))
    assert.same({ "banger", "/.banger/init" }, detect({ program "/init" }, { Cmd = { "sh" } }))
    assert.same({ "none" }, detect { program "/init" })
  end)

  it("is none where there is nothing to run", function()
    local _, choice = detect {}
    assert.equal("none", choice.kind)
    assert.equal("the image names no program to run: it has neither Entrypoint nor Cmd", choice.why)
    -- A file that nobody may run is no init, nor is a link that leads nowhere.
    assert.same({ "none" }, detect { { path = "/sbin/init", content = "x", mode = tonumber("644", 8) } })
    assert.same({ "none" }, detect { link("/sbin/init", "/lib/none") })
  end)

  it("is what is asked for, if it is there", function()
    assert.same({ "path", "/opt/boot" }, detect({ program "/opt/boot" }, { Cmd = { "sh" } }, "/opt/boot"))
    local _, choice = detect({}, { Cmd = { "sh" } }, "/opt/boot")
    assert.equal("there is no program /opt/boot in the image", choice.why)
    assert.equal("asked for", select(2, detect({ program "/opt/boot" }, nil, "/opt/boot")).why)
    assert.same({ "native", "/sbin/init" }, detect(SYSTEMD, { Cmd = { "nginx" } }, "native"))
    assert.same({ "none" }, detect({}, { Cmd = { "nginx" } }, "native"))
    assert.same({ "banger", "/.banger/init" }, detect(SYSTEMD, { Cmd = { "/sbin/init" } }, "banger"))
    assert.same({ "none" }, detect(SYSTEMD, {}, "banger"))
  end)
end)

-- What banger-init is told: name -> content, and all entries.
local function told(own, options, init, nodes, architecture)
  local rootfs <close> = rootfs_of(nodes or {})
  local plan = Plan.new(rootfs)
  local image = { platform = { os = "linux", architecture = architecture or "amd64" }, config = own }
  local added, message = program_of.add(plan, image, init or { kind = "banger", path = "/.banger/init" }, options or {})
  local files = {}
  for _, entry in ipairs(plan.entries) do
    assert.is_string(entry.why)
    assert.same({ 0, 0 }, { entry.uid, entry.gid })
    if entry.type == "file" and entry.path ~= "/.banger/init" then files[entry.path:sub(10)] = entry.content end
  end
  return files, plan.entries, added, message
end

describe("a link that leads below a file, or in circles", function()
  local guest = require "banger.guest"
  -- What the plan warns of; all that it injects fits.
  local function warned(...)
    local rootfs <close> = rootfs_of { program "/app", ... }
    local plan = guest.prepare(rootfs, config { Cmd = { "/app" } })
    banger.inject(rootfs, plan.entries)
    return plan.warnings
  end

  it("stops no plan", function()
    assert.same({ "/tmp is a link that leads nowhere: left as it is" }, warned(link("/tmp", "/app/tmp")))
    assert.same({ "/tmp is a link that leads nowhere: left as it is" },
      warned(link("/tmp", "/a/tmp"), link("/a", "/b/c"), link("/b", "/app/d")))
    assert.same({ "/tmp is a link that leads nowhere: left as it is" }, warned(link("/tmp", "/a/tmp"), link("/a", "a")))
    assert.same({ "/dev is a link that leads nowhere: left as it is",
      "/dev/console cannot be made a device: something else is there", "/dev/null cannot be made a device: something else is there" },
      warned(link("/dev", "/app/dev")))
    assert.same({}, warned(link("/tmp", "/a/tmp"), link("/a", "/b/c"), link("/b", "/d")))
  end)
end)

describe("banger-init", function()
  it("is told what the image's config says", function()
    local files, entries = told {
      Entrypoint = { "/run me", "" }, Cmd = { "a\nb", "z\0hidden" }, Env = { "A=1", "B=x y" }, WorkingDir = "/srv/app",
      User = "app:www", StopSignal = "SIGQUIT",
    }
    assert.same({
      argv = "/run me\0\0a\nb\0z\0", env = "A=1\0B=x y\0", cwd = "/srv/app\0", user = "app:www\0",
      ["stop-signal"] = "SIGQUIT\0",
    }, files)
    assert.same({ "/.banger", "/.banger/init" }, { entries[1].path, entries[2].path })
    assert.equal(X, entries[2].mode)
  end)

  it("is told a time to stop in, where it is a number of seconds up to a day", function()
    assert.equal("45\0", told({ StopTimeout = 45.0 })["stop-timeout"])
    assert.equal("0\0", told({ StopTimeout = 0 })["stop-timeout"])
    for _, value in ipairs { -1, 86401, 1.5, "10", {} } do
      assert.is_nil(told({ StopTimeout = value })["stop-timeout"])
    end
  end)

  it("is an ELF program of the image's architecture", function()
    for architecture, machine in pairs { amd64 = 62, arm64 = 183 } do -- e_machine, elf.h
      local _, entries = told({ Cmd = { "x" } }, nil, nil, nil, architecture)
      assert.equal("\127ELF", entries[2].content:sub(1, 4))
      assert.equal(machine, (("<I2"):unpack(entries[2].content, 19)))
    end
  end)

  it("is not there for every architecture", function()
    local _, entries, added, message = told({ Cmd = { "x" } }, nil, nil, nil, "s390x")
    assert.same({}, entries)
    assert.is_nil(added)
    assert.equal("there is no banger-init for s390x", message)
  end)

  it("is told nothing of what the config does not say", function()
    assert.same({ argv = "sh\0" }, (told { Cmd = { "sh" }, WorkingDir = "", User = "" }))
  end)

  it("is told what is asked for, after what the image has", function()
    local files = told({ Cmd = { "sh" }, Env = { "A=1", "B=2" } }, { environment = { "A=3", "C=" } })
    assert.equal("A=1\0B=2\0A=3\0C=\0", files.env)
    files = told({ Cmd = { "sh" } }, { agent = true, overlay = "/dev/vdb" })
    assert.same({ argv = "sh\0", agent = "vsock:1024\0port:banger.agent\0", overlay = "/dev/vdb\0" }, files)
    files = told({ Cmd = { "sh" } }, { agent = { port = 77 } })
    assert.equal("vsock:77\0port:banger.agent\0", files.agent)
  end)

  it("goes before an init of the image's own, and names it", function()
    local systemd = { kind = "native", path = "/sbin/init" }
    assert.same({ native = "/sbin/init\0", agent = "vsock:1024\0port:banger.agent\0" },
      (told({ Cmd = { "/sbin/init" }, Env = { "A=1" }, User = "web" }, { agent = true }, systemd)))
    -- s6-overlay's /init is given its command and its environment.
    assert.same({ native = "/init\0", argv = "/init\0nginx\0", env = "PUID=7\0" },
      (told({ Entrypoint = { "/init" }, Cmd = { "nginx" }, Env = { "PUID=7" } }, {}, { kind = "native", path = "/init" })))
  end)

  it("finds nothing of another build, nor of anything else in its place", function()
    local guest = require "banger.guest"
    -- What is below /.banger and in /etc after all is in, and what the plan does there before it adds.
    local function made(own, options, ...)
      local rootfs <close> = rootfs_of { program "/app", program "/lib/systemd/systemd", { path = "/etc/passwd", content = "own" }, ... }
      local plan, removed, there = guest.prepare(rootfs, config(own), options), {}, {}
      for _, entry in ipairs(plan.entries) do
        if entry.type == "remove" then removed[#removed + 1] = ("%s %s: %s"):format(entry.item, entry.path, entry.why) end
      end
      banger.inject(rootfs, plan.entries)
      for _, name in ipairs(rootfs:exists "/.banger" and rootfs:list "/.banger" or {}) do there[#there + 1] = name end
      assert.equal("own", rootfs:read "/etc/passwd")
      assert.is_nil(rootfs:stat "/etc/init")
      return table.concat(there, " "), removed
    end
    local app, native = { Cmd = { "/app" } }, { Cmd = { "/lib/systemd/systemd" } }
    local older = "init /.banger: is of another build"
    for _, there in ipairs {
      { path = "/.banger/user", content = "x" }, { path = "/.banger/argv/x", content = "x" }, { path = "/.banger/native", target = "/none" },
      { path = "/.banger/evil", content = "\127ELF", mode = tonumber("6755", 8) }, { path = "/.banger/sub/agent", type = "fifo" },
      { path = "/.banger/init", target = "/etc/passwd" },
    } do
      assert.same({ "argv init", { older } }, { made(app, nil, there) })
      assert.same({ "", { older } }, { made(native, nil, there) })
      assert.same({ "", { (older:gsub("init", "record", 1)) } }, { made(native, { items = { init = false } }, there) })
      assert.same({}, select(2, made(native, { items = { init = false, record = false } }, there)))
    end
    for what, there in pairs { ["a file"] = { path = "/.banger", content = "x" }, ["a symlink"] = link("/.banger", "/etc"), ["a fifo"] = {
      path = "/.banger", type = "fifo" } } do
      assert.same({ "argv init", { "init /.banger: is " .. what } }, { made(app, nil, there) })
      assert.same({ "", { "init /.banger: is " .. what } }, { made(native, nil, there) })
    end
  end)

  it("of another build is no init of the image's own", function()
    local older = { program "/.banger/init", link("/sbin/init", "/.banger/init") }
    assert.same({ "none" }, detect(older))
    assert.same({ "banger", "/.banger/init" }, detect(older, { Cmd = { "/sbin/init" } }))
    assert.same({ "none" }, detect(older, { Cmd = { "/app" } }, "/sbin/init"))
  end)
end)
