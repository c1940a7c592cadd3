-- Which init an image gets, and what banger-init is told. Decided through the read
-- side of a real rootfs.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local guest_init = require "banger.guest_init"
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
  local choice = guest_init.detect(rootfs, config(own), want)
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
    assert.same({ "native", "/sbin/init" }, detect(SYSTEMD, { Cmd = { "nginx" } }, "native"))
    assert.same({ "none" }, detect({}, { Cmd = { "nginx" } }, "native"))
    assert.same({ "banger", "/.banger/init" }, detect(SYSTEMD, { Cmd = { "/sbin/init" } }, "banger"))
    assert.same({ "none" }, detect(SYSTEMD, {}, "banger"))
  end)
end)

describe("banger-init", function()
  it("is told what the image's config says", function()
    local entries = guest_init.entries(config {
      Entrypoint = { "/run me", "" }, Cmd = { "a\nb", "z\0hidden" }, Env = { "A=1", "B=x y" }, WorkingDir = "/srv/app",
      User = "app:www", StopSignal = "SIGQUIT",
    }, { hostname = "web" })
    local files = {}
    for _, entry in ipairs(entries) do
      assert.is_string(entry.why)
      assert.same({ 0, 0 }, { entry.uid, entry.gid })
      if entry.type == "file" and entry.path ~= "/.banger/init" then files[entry.path:sub(10)] = entry.content end
    end
    assert.same({
      argv = "/run me\0\0a\nb\0z\0", env = "A=1\0B=x y\0", cwd = "/srv/app\0", user = "app:www\0",
      ["stop-signal"] = "SIGQUIT\0", hostname = "web\0",
    }, files)
    assert.same({ "/.banger", "/.banger/init" }, { entries[1].path, entries[2].path })
    assert.equal(X, entries[2].mode)
  end)

  it("is an ELF program of the image's architecture", function()
    for architecture, machine in pairs { amd64 = 62, arm64 = 183 } do -- e_machine, elf.h
      local entries = guest_init.entries({ platform = { os = "linux", architecture = architecture }, config = { Cmd = { "x" } } }, {})
      assert.equal("\127ELF", entries[2].content:sub(1, 4))
      assert.equal(machine, (("<I2"):unpack(entries[2].content, 19)))
    end
  end)

  it("is not there for every architecture", function()
    local entries, message = guest_init.entries({ platform = { os = "linux", architecture = "s390x" }, config = { Cmd = { "x" } } }, {})
    assert.is_nil(entries)
    assert.equal("there is no banger-init for s390x", message)
  end)

  it("is told nothing of what the config does not say", function()
    assert.equal(3, #guest_init.entries(config { Cmd = { "sh" }, WorkingDir = "", User = "" }, {}))
  end)
end)
