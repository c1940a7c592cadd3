---/etc/inittab, of busybox's init and of sysvinit: pure text.

local M = {}

---@class banger.inittab_line
---@field id string # busybox: the terminal, none is the console; sysvinit: four letters at most
---@field action string
---@field process string

---The lines that say something.
---@param text string
---@return banger.inittab_line[]
function M.parse(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "%s*([^\n]-)\r?\n" do
    local id, _, action, process = line:match "^([^#:]*):([^:]*):([^:]*):(.*)$"
    if id then
      lines[#lines + 1] = { id = id, action = action, process = process }
    end
  end
  return lines
end

local LASTING = { respawn = true, askfirst = true }

---Whether somebody is let in on the serial console.
---@param text string
---@param ttys table<string, boolean> # what it may be called
---@param is_busybox boolean
---@return boolean
function M.has_console(text, ttys, is_busybox)
  for _, line in ipairs(M.parse(text)) do
    if LASTING[line.action] then
      if is_busybox and (line.id == "" or ttys[line.id]) then
        return true
      end
      for word in line.process:gmatch "[%w/]+" do
        if ttys[word:match "[^/]*$"] then
          return true
        end
      end
    end
  end
  return false
end

---@class banger.inittab_parts
---@field busybox? string # its path, of busybox's init
---@field openrc? string # its path
---@field rc? boolean # Debian's /etc/init.d/rc and rcS are there
---@field rcs? boolean # /etc/init.d/rcS is there
---@field tty string
---@field getty? string # what to run on the terminal; nil: a shell

---The line that lets somebody in.
---@param parts banger.inittab_parts
---@param text? string # the lines that are there already, for an id of its own
---@return string
function M.console_line(parts, text)
  if parts.busybox then
    return parts.getty and ("%s::respawn:%s\n"):format(parts.tty, parts.getty) or "::askfirst:/bin/sh\n"
  end
  local used = {}
  for _, line in ipairs(M.parse(text or "")) do
    used[line.id] = true
  end
  local number = 0
  while used["S" .. number] do
    number = number + 1
  end
  return ("S%d:12345:respawn:%s\n"):format(number, parts.getty or "/sbin/sulogin")
end

-- What no service does. Words with "=" or quotes would need a shell.
local MOUNTS = {
  "mount -t proc proc /proc",
  "mount -t sysfs sysfs /sys",
  "mount -o remount,rw /",
  "mkdir -p /dev/pts /dev/shm",
  "mount -t devpts devpts /dev/pts",
  "mount -t tmpfs shm /dev/shm",
  "mount -t tmpfs run /run",
  "hostname -F /etc/hostname",
  "ifconfig lo up",
}

local function of_busybox(parts)
  local lines = {}
  for _, command in ipairs(MOUNTS) do
    lines[#lines + 1] = ("::sysinit:%s %s\n"):format(parts.busybox, command)
  end
  if parts.rcs then
    lines[#lines + 1] = "::sysinit:/etc/init.d/rcS\n"
  end
  lines[#lines + 1] = M.console_line(parts)
  lines[#lines + 1] = ("::ctrlaltdel:%s reboot\n"):format(parts.busybox)
  lines[#lines + 1] = ("::shutdown:%s umount -a -r\n"):format(parts.busybox)
  return table.concat(lines)
end

local function of_busybox_with_openrc(parts)
  return ("::sysinit:%s sysinit\n::sysinit:%s boot\n::wait:%s default\n"):format(parts.openrc, parts.openrc, parts.openrc)
    .. M.console_line(parts)
    .. ("::ctrlaltdel:%s reboot\n::shutdown:%s shutdown\n"):format(parts.busybox, parts.openrc)
end

local CTRL_ALT_DEL <const> = "ca:12345:ctrlaltdel:/sbin/shutdown -r now\n"

local function of_debian(parts)
  local lines = { "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\n" }
  for level = 0, 6 do
    lines[#lines + 1] = ("l%d:%d:wait:/etc/init.d/rc %d\n"):format(level, level, level)
  end
  return table.concat(lines) .. CTRL_ALT_DEL .. M.console_line(parts)
end

local LEVELS = { [0] = "shutdown", "single", "nonetwork", "default", "default", "default", "reboot" }

local function of_openrc(parts)
  local lines = { ("id:3:initdefault:\nsi::sysinit:%s sysinit\nrc::bootwait:%s boot\n"):format(parts.openrc, parts.openrc) }
  for level = 0, 6 do
    lines[#lines + 1] = ("l%d:%d:wait:%s %s\n"):format(level, level, parts.openrc, LEVELS[level])
  end
  return table.concat(lines) .. CTRL_ALT_DEL .. M.console_line(parts)
end

---A whole inittab.
---@param parts banger.inittab_parts
---@return string? # nil: there is nothing that could be started
function M.make(parts)
  if parts.busybox then
    return (parts.openrc and of_busybox_with_openrc or of_busybox)(parts)
  elseif parts.rc then
    return of_debian(parts)
  end
  return parts.openrc and of_openrc(parts) or nil
end

return M
