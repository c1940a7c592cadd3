-- A systemd image as it is made for container engines: without udev, and without the links
-- that an engine has no use for. Its root file system stays as it is, below a tmpfs.
package.path = "tests/?.lua;" .. package.path
local distro = require "boot.distro"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

-- What the usual Dockerfiles delete.
local RECIPE = [[
overlay = "tmpfs"
autologin = true
hostname = "lean"
remove = {
  "/usr/lib/systemd/systemd-udevd", "/usr/bin/udevadm", "/usr/lib/systemd/system/systemd-udev*",
  "/usr/lib/systemd/system/sysinit.target.wants/systemd-journal*", "/usr/lib/systemd/system/sysinit.target.wants/systemd-update-utmp.service",
  "/usr/lib/systemd/system/sysinit.target.wants/systemd-udev*", "/usr/lib/systemd/system/sysinit.target.wants/systemd-sysctl.service",
  "/usr/lib/systemd/system/sockets.target.wants/systemd-udev*", "/usr/lib/systemd/system/multi-user.target.wants/*",
  "/usr/lib/systemd/system/default.target", "/etc/systemd/system/getty.target.wants",
}
]]

local SAY = "'failed=$(systemctl list-units --failed --no-legend --plain | wc -l)' 'state=$(systemctl is-system-running --wait)' "
  .. "'tty=$(tty)' 'root=$(findmnt -no FSTYPE /)' 'logind=$(systemctl is-active systemd-logind)'"

describe("a systemd image without udev, below an overlay", function()
  it("reaches a login on the console with no failed unit, and is not changed", function()
    local path, recipe = scratch:path "lean.ext4", scratch:path "lean.lua"
    sh.write_file(recipe, RECIPE)
    local reason = distro.reason() or select(2, distro.pull("systemd", path, "--recipe " .. recipe))
    if reason then return pending(reason) end
    local before = sh.sha256(path)
    local result = distro.boot("systemd-lean", path, {
      steps = {
        { "root@lean:~# ", act = "keys " .. sh.quote("echo " .. SAY:gsub("'", '"') .. ' $(touch /written && echo wrote) end') },
        { " wrote end", act = "keys 'systemctl poweroff'" },
      },
    })
    distro.assert_console("failed=0 state=running tty=/dev/console root=overlay logind=active wrote end", result)
    distro.assert_console("reboot: Power down", result)
    assert.is_nil(result.out:find("serial-getty@ttyS0", 1, true), "nothing waits for a device that nobody announces")
    assert.equal(before, sh.sha256(path))
    distro.assert_clean(path)
  end)
end)
