-- What `banger-lua pull` makes boots, with nothing but the root on the kernel's
-- command line, and does what the image is for.
package.path = "tests/?.lua;" .. package.path
local guest = require "boot.guest"
local image = require "support.image"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local reason = guest.boot_reason()
local function it_boots(name, act)
  it(name, function()
    if reason then return pending(reason) end
    act()
  end)
end

local function busybox(name)
  return tar.file(name, sh.read_file((sh.check "command -v busybox":gsub("\n", ""))), { mode = tonumber("755", 8) })
end

-- Pulls an image of these entries and boots it.
local function run(name, entries, config, cmdline)
  local layout, path = scratch:fresh ".layout", scratch:fresh ".ext4"
  oci.write(layout, { tag = "t", layers = { { tar = tar.archive(entries), compress = "gzip" } }, config = { config = config } })
  sh.check(("%s pull -q oci:%s:t %s"):format(sh.quote(sh.banger()), layout, path))
  local result = guest.boot(name, { built = true, cmdline = cmdline }, path)
  assert.is_true(image.fsck(path))
  return result, path
end

local function assert_console(text, result)
  if not result.out:find(text, 1, true) then
    error(("%s: no %q in the console:\n%s"):format(result.log, text, result.out:sub(-3000)), 2)
  end
end

describe("a pulled image", function()
  it_boots("of one static program runs it, with its Env, User and WorkingDir", function()
    local result = run("pull-scratch", { busybox "app/busybox" }, {
      Entrypoint = { "/app/busybox", "sh", "-c" },
      Cmd = { 'b=/app/busybox; echo "$GREET from $PWD as $($b id -u):$($b id -g) on $($b hostname) [$0][$1]"; exit 42',
        "", "two words" },
      Env = { "GREET=hello", "NOEQUALS" }, WorkingDir = "/srv/missing", User = "1234:5",
    })
    assert_console("hello from /srv/missing as 1234:5 on banger [][two words]", result)
    assert.are.equal("exit=42 signal=0 oom=0", result.exit)
  end)

  it_boots("with an init of its own boots that", function()
    local result, path = run("pull-native", {
      busybox "bin/busybox", tar.symlink("sbin/init", "../bin/busybox"),
      tar.file("etc/inittab", "::sysinit:/bin/busybox mount -t proc proc /proc\n::sysinit:/bin/busybox echo own init here\n"
        .. "::sysinit:/bin/busybox mount -o remount,ro /\n::once:/bin/busybox poweroff -f\n"),
    }, { Cmd = { "/sbin/init" } })
    assert_console("own init here", result)
    assert.is_nil(result.exit)
    assert.is_nil(image.read(path)[".banger/init"])
  end)

  it_boots("whose program is not there says so", function()
    local result = run("pull-missing", { busybox "bin/busybox" }, { Entrypoint = { "nginx" } })
    assert_console("banger-init: nginx: not found in PATH=", result)
    assert.are.equal("exit=127 signal=0 oom=0", result.exit)
  end)

  it_boots("that has not the init that it runs says so, and does not take banger-init for it", function()
    local result = run("pull-no-init", { busybox "bin/busybox" }, { Cmd = { "/sbin/init" } }, "rw init=/.banger/init")
    assert_console("banger-init: /sbin/init: ", result)
    assert.are.equal("exit=127 signal=0 oom=0", result.exit)
  end)
end)
