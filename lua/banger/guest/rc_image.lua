---What an image whose init is busybox's, sysvinit's or OpenRC's needs to be a machine: an
---inittab with a login on the serial console, and the services that a container has no
---need of.
local inittab = require "banger.guest.inittab"
local login = require "banger.guest.login"
local systemd_image = require "banger.guest.systemd_image"

local M = {}

local INITTAB <const> = "/etc/inittab"
local OPENRC = { "/sbin/openrc", "/usr/sbin/openrc", "/usr/bin/openrc", "/bin/openrc" }
local GETTY = { "/sbin/getty", "/usr/sbin/getty", "/bin/getty", "/usr/bin/getty" }
local AGETTY = { "/sbin/agetty", "/usr/sbin/agetty", "/usr/bin/agetty" }
local LOGIN = { "/bin/login", "/usr/bin/login" }

---@class banger.rc_image
---@field system string
---@field program string # where the init is, links resolved
---@field tty string
---@field ttys string[]
---@field openrc? string # its path

local function describe(plan, architecture, init)
  local serial = systemd_image.console_of(architecture)
  return {
    system = init.system,
    program = plan.rootfs:resolve(init.path),
    tty = serial.any and serial.tty or "console",
    ttys = serial.any and serial.ttys or { "console", table.unpack(serial.ttys) },
    openrc = plan:find_program(OPENRC),
  }
end

-- The command on the terminal; nil where nothing asks for a name and a password.
local function getty_of(plan, image, options)
  local asks, is_busybox = plan:find_program(LOGIN), image.system == "busybox"
  local agetty = plan:find_program(AGETTY)
  if not asks then
    return nil
  elseif options.autologin and not (agetty and not is_busybox) then
    return asks .. " -f root"
  elseif is_busybox then
    return ("%s -L 115200 %s vt100"):format(plan:find_program(GETTY) or image.program .. " getty", image.tty)
  end
  agetty = agetty or plan:find_program(GETTY)
  return agetty and ("%s %s-L 115200 %s vt100"):format(agetty, options.autologin and "--autologin root " or "", image.tty)
end

local function parts_of(plan, image, options)
  return {
    busybox = image.system == "busybox" and image.program or nil,
    openrc = image.openrc,
    rc = plan:is_program "/etc/init.d/rc" and plan:is_program "/etc/init.d/rcS",
    rcs = plan:is_program "/etc/init.d/rcS",
    tty = image.tty,
    getty = getty_of(plan, image, options),
  }
end

local function new_inittab(plan, parts)
  local text = inittab.make(parts)
  if not text then
    return plan:warn("there is no %s, and nothing in the image that it could start", INITTAB)
  end
  plan:own_file(INITTAB, text, plan:entry_at(INITTAB) and "is empty" or "is absent")
end

-- One line more, where the image's own inittab lets nobody in on the serial console.
local function add_console(plan, parts, found, text)
  plan:add({
    path = plan.rootfs:resolve(INITTAB), type = "file", mode = found.mode, uid = found.uid, gid = found.gid,
    content = text .. (text:find "\n$" and "" or "\n") .. inittab.console_line(parts, text),
  }, "starts nothing on the serial console")
end

local function add_inittab(plan, image, options)
  local parts = parts_of(plan, image, options)
  if not parts.getty then
    plan:warn "there is no getty or no login in the image: nobody logs in on the console"
  end
  local found, text = plan:at(INITTAB), plan:text(INITTAB)
  local ttys = { console = true }
  for _, tty in ipairs(image.ttys) do
    ttys[tty] = true
  end
  if found and not text then
    return plan:warn("%s is a %s or too large: left as it is", INITTAB, found.type)
  elseif not text or not text:find "%S" then
    new_inittab(plan, parts)
  elseif not inittab.has_console(text, ttys, parts.busybox ~= nil) then
    add_console(plan, parts, found, text)
  elseif options.autologin then
    plan:warn("autologin is left out: %s has a line for the console already", INITTAB)
  end
end

-- What a container leaves out. Only those that the image has, and no runlevel yet.
local SERVICES = {
  { "sysinit", { "devfs", "dmesg", "procfs", "sysfs" } },
  { "boot", { "root", "localmount", "hostname", "loopback", "networking", "sysctl", "bootmisc", "seedrng", "urandom" } },
  { "default", { "local" } },
  { "shutdown", { "killprocs", "mount-ro", "savecache" } },
}
local RUNLEVELS = { "sysinit", "boot", "default", "nonetwork", "shutdown" }

local function in_runlevel(plan, service)
  for _, level in ipairs(RUNLEVELS) do
    if plan:entry_at(("/etc/runlevels/%s/%s"):format(level, service)) then
      return level ~= "nonetwork"
    end
  end
  return false
end

local function runlevels(plan)
  for _, group in ipairs(SERVICES) do
    plan:absent_dir("/etc/runlevels/" .. group[1])
    for _, service in ipairs(group[2]) do
      local script = "/etc/init.d/" .. service
      if plan:is_program(script) and not in_runlevel(plan, service) then
        plan:replace_link(("/etc/runlevels/%s/%s"):format(group[1], service), script, "a machine needs it")
      end
    end
  end
end

-- openrc-init has no inittab: its gettys are services, named by their terminal.
local function getty_service(plan, image, options)
  local agetty <const> = "/etc/init.d/agetty"
  if not plan:is_program(agetty) then
    return plan:warn("there is no %s in the image: nobody can log in on the console", agetty)
  end
  local name = "agetty." .. image.tty
  plan:replace_link("/etc/init.d/" .. name, "agetty", "a login on the serial console")
  plan:replace_link("/etc/runlevels/default/" .. name, "/etc/init.d/" .. name, "a login on the serial console")
  if options.autologin then
    plan:begin("console", options.by and options.by.autologin)
    plan:own_file("/etc/conf.d/" .. name, 'agetty_options="--autologin root"\n', "root is to be logged in")
  else
    login.warn(plan)
  end
end

-- In rc.conf, OpenRC is told what it runs in: with "docker" or "lxc" it starts nothing of
-- what a machine needs.
local function unmark(plan)
  local path <const> = "/etc/rc.conf"
  local found, text = plan:at(path), plan:text(path)
  local changed, count = ("\n" .. (text or "")):gsub("\n([ \t]*)rc_sys=[^\n]*", '\n%1rc_sys=""')
  if count > 0 and changed:sub(2) ~= text then
    plan:add({
      path = plan.rootfs:resolve(path), type = "file", content = changed:sub(2), mode = found.mode, uid = found.uid, gid = found.gid,
    }, "its rc_sys names a container; this will be a machine")
  end
end

local IFUP = { "/sbin/ifup", "/usr/sbin/ifup", "/etc/init.d/networking" }
local INTERFACES = "auto lo\niface lo inet loopback\n"

---Add what the image needs.
---@param plan banger.plan
---@param architecture string
---@param init banger.init_choice # its system is "busybox", "sysvinit" or "openrc"
---@param options banger.guest_options
function M.add(plan, architecture, init, options)
  local image = describe(plan, architecture, init)
  if image.system ~= "openrc" and plan:begin "inittab" then
    add_inittab(plan, image, options)
    if not options.autologin then
      login.warn(plan)
    end
  end
  if image.openrc and plan:begin "runlevels" then
    runlevels(plan)
  end
  if image.system == "openrc" and plan:begin "console" then
    getty_service(plan, image, options)
  end
  if image.openrc and plan:begin "container-marks" then
    unmark(plan)
  end
  if plan:find_program(IFUP) and plan:begin "interfaces" then
    plan:file("/etc/network/interfaces", INTERFACES)
  end
  login.add_securetty(plan, image.ttys)
end

return M
