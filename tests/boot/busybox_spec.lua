-- An image of busybox alone with its own init: it comes up to a prompt on the serial
-- console, one can log in, and the machine goes off as it is told to.
package.path = "tests/?.lua;" .. package.path
local distro = require "boot.distro"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

describe("an image with busybox's init", function()
  it("has a login on the serial console, and powers off", function()
    local path = scratch:path "busybox.ext4"
    local reason = distro.reason() or select(2, distro.pull("busybox", path, "--hostname tiny"))
    if reason then return pending(reason) end
    local result = distro.boot("busybox", path, {
      steps = {
        { "tiny login: ", act = "keys root" },
        { "~ # ", act = "keys 'echo in as $(id -u) with $(cat /proc/1/comm); poweroff'" },
      },
    })
    distro.assert_console("\nin as 0 with init", result)
    distro.assert_console("reboot: Power down", result)
    assert.is_nil(result.exit)
    assert.are.equal(0, result.code)
    distro.assert_clean(path)
  end)
end)
