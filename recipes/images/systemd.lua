-- systemd for a microVM that is to be up at once and is thrown away at the end.
--
--     banger-lua pull --recipe systemd -D autologin=true debian-systemd vm.ext4
--
-- What every systemd image gets anyway (machine-id, console, masks) is not here: see
-- banger-lua pull --print-plan.
description = "systemd: the network by DHCP, logs in memory, no timers, short waits"
init = "native"

autologin = var("autologin", false, "Let root in on the console without a password.")
local dhcp = var("dhcp", true, "Configure the network by DHCP, with systemd-networkd where it is there.")
local logs = var("logs", "16M", "Memory for the journal; it is gone at the end.")
local timers = var("timers", false, "Keep what runs once a day: updates, file system checks, rotations.")

inject = {
  ["/etc/systemd/journald.conf.d/50-banger.conf"] = ("[Journal]\nStorage=volatile\nRuntimeMaxUse=%s\n"):format(logs),
  ["/etc/systemd/system.conf.d/50-banger.conf"] = "[Manager]\nDefaultTimeoutStartSec=30s\nDefaultTimeoutStopSec=10s\n",
}

local DAILY = {
  "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer", "logrotate.timer",
  "man-db.timer", "motd-news.timer", "dnf-makecache.timer", "unbound-anchor.timer",
}
local UNIT_DIRS = { "/usr/lib/systemd/system/", "/lib/systemd/system/", "/etc/systemd/system/" }
local NETWORKD = { "/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd" }

local function exists(rootfs, dirs, name)
  for _, dir in ipairs(dirs) do
    if rootfs:exists(dir .. name) then
      return true
    end
  end
  return false
end

function after_flatten(rootfs)
  if not timers then
    for _, timer in ipairs(DAILY) do
      if exists(rootfs, UNIT_DIRS, timer) then
        mask[#mask + 1] = timer
      end
    end
  end
  if dhcp and exists(rootfs, NETWORKD, "") then
    inject["/etc/systemd/network/80-banger.network"] = "[Match]\nName=e*\n\n[Network]\nDHCP=yes\n"
    enable[#enable + 1] = "systemd-networkd.service"
  elseif dhcp then
    note "systemd: the image has no systemd-networkd: the network is whatever the image makes of it"
  end
end
