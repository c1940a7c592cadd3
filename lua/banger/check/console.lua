---Whether an init of the image's own comes up, and somebody can log in on the console.
local view = require "banger.check.view"

local M = {}

local UNITS = { "/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
  "/lib/systemd/system" }
local UDEV = { "/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd", "/sbin/udevd", "/usr/sbin/udevd" }
local AGETTY = { "/sbin/agetty", "/usr/sbin/agetty", "/bin/agetty", "/usr/bin/agetty" }
local WANTS = { "getty.target", "multi-user.target", "default.target", "basic.target" }
-- The consoles of QEMU, Firecracker and cloud-hypervisor.
local CONSOLES = { "console", "ttyS0", "hvc0", "ttyAMA0" }

local function any(check, paths)
  for _, path in ipairs(paths) do
    if check.view:at(path) then
      return true
    end
  end
  return false
end

-- The unit file that counts, and whether it is masked.
local function unit(check, name)
  for _, dir in ipairs(UNITS) do
    local entry = check.view:entry(dir .. "/" .. name)
    if entry then
      local masked = entry.type == "symlink" and entry.target == "/dev/null" or entry.type == "file" and entry.size == 0
      return dir .. "/" .. name, masked
    end
  end
end

local function is_masked(check, name)
  local _, masked = unit(check, name)
  return masked
end

local function is_wanted(check, name)
  for _, target in ipairs(WANTS) do
    if check.view:entry(("/etc/systemd/system/%s.wants/%s"):format(target, name)) then
      return true
    end
  end
  return false
end

local function check_target(check)
  local path, masked = unit(check, "default.target")
  if not path then
    check:error("no-default-target", UNITS[1] .. "/default.target", "systemd has no default.target: it ends in a rescue shell",
      "link /etc/systemd/system/default.target to /usr/lib/systemd/system/multi-user.target")
  elseif masked or not check.view:at(path) then
    check:error("no-default-target", path, ("%s %s: systemd ends in a rescue shell"):format(path, masked and "is masked" or "leads nowhere"),
      "link it to /usr/lib/systemd/system/multi-user.target")
  end
end

---@param check banger.check.state
function M.systemd(check)
  if not check.main or check.main.kind ~= "systemd" then
    return
  end
  check_target(check)
  local masked = is_masked(check, "serial-getty@ttyS0.service") or is_masked(check, "serial-getty@.service")
  local console = is_wanted(check, "console-getty.service") and not is_masked(check, "console-getty.service")
  local pty = check.main.path
  if not any(check, UDEV) and not (masked and console) then
    check:warn("systemd-without-udev", pty, "systemd is there without udev: device units never appear, "
      .. "so serial-getty@ttyS0.service and mounts of fstab wait 90 seconds for theirs",
      "install udev, or mask serial-getty@ttyS0.service and enable console-getty.service")
  elseif masked and not console then
    check:warn("no-console-login", "/etc/systemd/system", "serial-getty@ttyS0.service is masked and console-getty.service is not enabled: "
      .. "the console has no login", "unmask the one or enable the other")
  elseif not any(check, AGETTY) then
    check:warn("no-console-login", AGETTY[1], "there is no agetty: the console has no login", "install util-linux")
  end
end

-- ---- inittab --------------------------------------------------------------------------

local function is_console(id, command)
  for _, name in ipairs(CONSOLES) do
    if id == name or (" " .. command .. " "):gsub("/dev/", ""):find("[%s]" .. name .. "[%s]") then
      return true
    end
  end
  return false
end

-- A line's program is there; busybox's applets in scripts are not looked into.
local function check_command(check, command)
  local path = command:match "^%-?(/%S+)"
  if path and not check.view:at(path) then
    check:warn("inittab-program", "/etc/inittab", ("/etc/inittab runs %s, which is not there"):format(path),
      "install it, or remove the line")
  end
end

-- The first field is a terminal to busybox, and a mere name to sysvinit.
local function offers_login(is_busybox, id, action, command)
  if action ~= "respawn" and action ~= "askfirst" and action ~= "once" and action ~= "wait" then
    return false
  end
  local program = view.base(command:match "^%-?(%S+)" or "")
  local is_shell = program == "sh" or program == "ash" or program == "bash" or program == "login" or program == "sulogin"
  if program:find "getty$" then
    return is_console(is_busybox and id or "", command)
  end
  return is_shell and (id == "" or not is_busybox or is_console(id, ""))
end

local function check_inittab(check, is_busybox)
  local login = false
  for _, line in ipairs(check.view:lines "/etc/inittab") do
    local id, action, command = line:match "^%s*([^:]*):[^:]*:([^:]*):%s*(.-)%s*$"
    if id then
      check_command(check, command)
      login = login or offers_login(is_busybox, id, action, command)
    end
  end
  if not login then
    check:warn("no-console-login", "/etc/inittab", "/etc/inittab has no getty on the console: nobody can log in there",
      is_busybox and "add ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100" or "add S0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100")
  end
end

---busybox without an inittab has shells on the console; sysvinit without one asks for a
---runlevel.
---@param check banger.check.state
function M.inittab(check)
  local kind = check.main and check.main.kind
  if (kind == "busybox" or kind == "sysv") and check.view:at "/etc/inittab" then
    check_inittab(check, kind == "busybox")
  end
end

return M
