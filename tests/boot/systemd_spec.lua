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

-- What the commands in the other test say.
local SAID = [[
running
-- exit 0
systemd
-- exit 0
-- exit 1
42
-- exit 0
started as nobody
-- exit 0
Failed to start absent.service: Unit absent.service not found.
-- exit 5
-- exit 0
]]

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

  it("with the agent is asked, given a unit, and switched off from outside", function()
    local path, socket, unit_file = scratch:path "agent.ext4", scratch:path "agent.sock", scratch:path "hello.service"
    local reason = distro.reason() or select(2, distro.pull("systemd", path, "--agent --hostname vm --free 128M"))
    if reason then return pending(reason) end
    sh.write_file(unit_file, "[Service]\nType=oneshot\nUser=nobody\nStandardOutput=file:/run/said\n"
      .. "ExecStart=/bin/sh -c 'echo started as $(id -un); exit $((40 + 2))'\n")
    sh.write_file(scratch:path "script", ([[
      exec 2>&1
      ask() { %s exec unix:%s "$@" </dev/null; echo "-- exit $?"; }
      ask --wait 50 -- sh -c 'until [ -S /run/systemd/private ]; do sleep 1; done; systemctl is-system-running --wait'
      ask -- cat /proc/1/comm
      ask --put %s /etc/systemd/system/hello.service -- systemctl start hello.service 2>/dev/null
      ask -- systemctl show -P ExecMainStatus hello.service
      ask -- cat /run/said
      ask -- systemctl start absent.service
      ask -- systemctl --no-block poweroff
    ]]):format(sh.quote(sh.banger()), socket, unit_file))
    local result = distro.boot("systemd-agent", path, {
      run = { "--agent", socket },
      steps = { { "vm login: ", act = ("sh %s >%s"):format(scratch:path "script", scratch:path "said") } },
    })
    assert.are.equal(SAID, sh.read_file(scratch:path "said"), result.out)
    distro.assert_console("reboot: Power down", result)
    assert.are.equal(0, result.code)
    distro.assert_clean(path)
  end)
end)
