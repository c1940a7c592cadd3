-- A real systemd image, as the distribution's packages make it: its login prompt comes,
-- nothing failed on the way, and what was injected is what it finds.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local distro = require "boot.distro"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

-- A unit of the test's own that tells what the machine is like once it is up.
local UNIT = [[
[Unit]
After=multi-user.target serial-getty@ttyS0.service planted.service
[Service]
Type=oneshot
ExecStart=/bin/sh /report
]]

-- One that fails, so that "no other failed" says something.
local PLANTED = [[
[Unit]
Description=planted
[Service]
Type=oneshot
ExecStart=/bin/false
]]

local REPORT = [[
exec >/dev/console 2>&1
say() { echo "report $1=[$(echo $2)]"; }
say failed "$(systemctl list-units --failed --no-legend --plain)"
say hostname "$(cat /proc/sys/kernel/hostname)"
say resolv.conf "$(grep -v '^#' /etc/resolv.conf)"
say machine-id "$(grep -x '[0-9a-f]\{32\}' /etc/machine-id)"
say container "$(systemd-detect-virt --container)"
say init "$(readlink /proc/1/exe)"
say root "$(findmnt -no FSTYPE,OPTIONS / | cut -d, -f1)"
say masked "$(systemctl is-enabled systemd-firstboot systemd-networkd-wait-online e2scrub_reap)"
say eth0 "$(cat /sys/class/net/eth0/operstate; hostname -I | cut -d ' ' -f 1)"
say end
]]

--- What the unit told.
local function report_of(result)
  local out = {}
  for name, value in result.out:gmatch "report (%S+)=%[([^\n]*)%]\n" do out[name] = value end
  return out
end

--- Entries that put a unit into the image and enable it.
local function unit(name, text)
  local path, wants = "/etc/systemd/system/" .. name, "/etc/systemd/system/multi-user.target.wants/" .. name
  return { path = path, content = text }, { path = wants, type = "symlink", target = path }
end

local function read(path, name)
  local image <close> = banger.open(path)
  return image:read(name, { size = 4096 })
end

describe("a systemd image", function()
  it("reaches its login prompt with no failed unit", function()
    local path = scratch:path "systemd.ext4"
    local reason = distro.reason() or select(2, distro.pull("systemd", path, "--hostname vm --free 128M"))
    if reason then return pending(reason) end
    assert.are.equal("", read(path, "/etc/machine-id"))
    banger.inject(path, { { path = "/report", content = REPORT } })
    banger.inject(path, { unit("report.service", UNIT) })
    banger.inject(path, { unit("planted.service", PLANTED) })
    local result = distro.boot("systemd", path, {
      steps = { { "report end=" }, { "vm login: ", act = "tell 'sendkey ctrl-alt-delete'" } },
    })
    distro.assert_console("vm login: ", result)
    local report = report_of(result)
    assert.are.equal("planted.service loaded failed failed planted", report.failed, result.out)
    assert.are.equal("vm", report.hostname)
    assert.are.equal("none", report.container)
    assert.are.equal("/usr/lib/systemd/systemd", report.init)
    assert.are.equal("ext4 rw", report.root)
    assert.are.equal("masked masked masked", report.masked)
    -- Network: the card keeps the kernel's name, and the name server is there.
    assert.are.equal("up 10.0.2.15", report.eth0)
    assert.are.equal("nameserver 10.0.2.3", report["resolv.conf"])
    -- Asks nobody anything, and calls itself anew.
    assert.is_nil(result.out:find("Please enter", 1, true) or result.out:find("press any key", 1, true))
    assert.are.equal(report["machine-id"] .. "\n", read(path, "/etc/machine-id"))
    distro.assert_console("reboot: Restarting system", result)
    distro.assert_clean(path)
  end)
end)
