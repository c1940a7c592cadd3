-- An image of Alpine's shape: busybox's init, whose inittab has no serial console, runs
-- OpenRC. All three runlevels are gone through, and the serial console has its getty.
package.path = "tests/?.lua;" .. package.path
local distro = require "boot.distro"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

describe("an image with OpenRC", function()
  it("reaches the runlevel default and its getty, and shuts down in order", function()
    local path = scratch:path "openrc.ext4"
    local reason = distro.reason() or select(2, distro.pull("openrc", path, "--hostname alp"))
    if reason then return pending(reason) end
    local result = distro.boot("openrc", path, {
      steps = {
        { "alp login: ", act = "keys root" },
        { "~ # ", act = "keys 'echo runlevel $(rc-status -r), crashed [$(rc-status -c)]'" },
        { "runlevel default, ", act = "tell 'sendkey ctrl-alt-delete'" },
      },
    })
    distro.assert_console("runlevel default, crashed []", result)
    for _, name in ipairs { "hostname", "bootmisc", "networking", "killprocs", "mount-ro" } do
      distro.assert_console((" * Starting %s ... [ ok ]"):format(name), result)
    end
    assert.is_nil(result.out:find("ERROR:", 1, true), result.out)
    distro.assert_console("reboot: Restarting system", result)
    distro.assert_clean(path)
  end)
end)
