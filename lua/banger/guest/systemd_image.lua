---What an image whose init is systemd needs to be a machine: an identity of its own, a
---login on the serial console, and nothing that waits for what such a machine has not.
local login = require "banger.guest.login"
local systemd = require "banger.guest.systemd"
local udev = require "banger.guest.udev"

local M = {}

local OWN <const> = "/etc/systemd/system"
local READ_ONLY = tonumber("444", 8)

---@class banger.console
---@field tty string # the serial console of the architecture's usual machine
---@field ttys string[] # all that it may be called
---@field any boolean # whether it is there in every such machine

---What a serial console is called. On a PC there is always a ttyS0; elsewhere it depends on the monitor.
---@param architecture string
---@return banger.console
function M.console_of(architecture)
  if architecture == "arm64" or architecture == "arm" then
    return { tty = "ttyAMA0", ttys = { "ttyAMA0", "ttyS0" }, any = false }
  end
  return { tty = "ttyS0", ttys = { "ttyS0" }, any = true }
end

-- An empty file: systemd fills it with an id of the machine's own at each boot, and
-- takes the boot for no first one, which would ask questions and apply presets. An
-- absent file or the word "uninitialized" would make it a first boot.
local function machine_id(plan)
  local path <const> = "/etc/machine-id"
  local entry = plan:entry_at(path)
  if not entry then
    plan:own_file(path, "", "is absent, which would make the first boot ask", READ_ONLY)
  elseif entry.type ~= "file" or entry.size > 0 then
    plan:own_file(path, "", "holds an id that all machines of this image would share", READ_ONLY)
  end
  local dbus <const> = "/var/lib/dbus/machine-id"
  local copy = plan:entry_at(dbus)
  if copy and copy.type == "file" and copy.size > 0 then
    plan:add({ path = dbus, type = "remove" }, "is a copy of the id")
    plan:add({ path = dbus, type = "symlink", target = path }, "takes the copy's place")
  end
end

-- systemd takes a /usr that is newer than these files for an upgrade, and where they are
-- absent rebuilds the loader's cache, the hardware database and the journal's catalog on
-- the first boot. A package manager has done all that when it made the image.
local UPDATED = { "/etc/.updated", "/var/.updated" }

local function updated(plan)
  local usr = plan:at "/usr"
  if not usr or not plan:is_file "/etc/ld.so.cache" or not plan:is_file "/etc/passwd" then
    return
  end
  for _, path in ipairs(UPDATED) do
    if not plan:entry_at(path) and plan:has_parent(path) then
      plan:add({
        path = path, type = "file", content = "", mode = tonumber("644", 8),
        mtime = usr.mtime > 0 and usr.mtime + (usr.mtime_nsec > 0 and 1 or 0) or nil,
      }, "is absent, which makes the first boot set up what the packages have set up")
    end
  end
end

-- What waits, asks or fails in a machine without a screen, a second boot loader or a
-- network that somebody manages.
local MASKED = {
  { "systemd-firstboot.service", "would ask on the console" },
  { "systemd-homed-firstboot.service", "would ask on the console" },
  { "systemd-networkd-wait-online.service", "waits two minutes where networkd manages nothing" },
  { "systemd-binfmt.service", "wants a module that the kernel may not have" },
  { "proc-sys-fs-binfmt_misc.automount", "wants another" },
  { "e2scrub_reap.service", "looks for LVM snapshots" },
}

local function masks(plan)
  for _, unit in ipairs(MASKED) do
    if systemd.find(plan, unit[1]) then
      systemd.add_masked(plan, unit[1], unit[2])
    end
  end
end

-- Images made for container engines often delete the links of what an engine does
-- itself. A machine has nobody else to do it.
local WANTED = {
  { "sysinit.target", {
    "systemd-journald.service", "systemd-journal-flush.service", "systemd-machine-id-commit.service",
    "systemd-modules-load.service", "systemd-random-seed.service", "systemd-sysctl.service", "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service", "systemd-tmpfiles-setup.service", "systemd-udev-trigger.service",
    "systemd-udevd.service", "systemd-update-utmp.service", "dev-mqueue.mount", "kmod-static-nodes.service",
  } },
  { "sockets.target", {
    "systemd-journald-dev-log.socket", "systemd-journald.socket", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
  } },
  { "multi-user.target", { "getty.target", "systemd-logind.service", "systemd-user-sessions.service" } },
  { "timers.target", { "systemd-tmpfiles-clean.timer" } },
}

local function wants(plan)
  for _, group in ipairs(WANTED) do
    local by = group[1]
    for _, unit in ipairs(group[2]) do
      local path = systemd.find(plan, unit)
      if path and not systemd.is_wanted(plan, unit, by) then
        plan:replace_link(("%s/%s.wants/%s"):format(OWN, by, unit), path, "was taken out of " .. by .. ", as for a container")
      end
    end
  end
end

local function default_target(plan)
  local path, masked = systemd.find(plan, "default.target")
  local usual = systemd.find(plan, "multi-user.target")
  if masked then
    plan:warn "default.target is masked: systemd stops at its rescue shell"
  elseif not path and usual then
    plan:replace_link(OWN .. "/default.target", usual, "there is no default.target")
  elseif not path then
    plan:warn "there is no default.target in the image: systemd stops at its emergency shell"
  end
end

---Whether udev runs, without which no device unit ever appears.
---@param plan banger.plan
---@return boolean
function M.has_udev(plan)
  return udev.is_there(plan) and systemd.find(plan, "systemd-udevd.service") ~= nil
end

local AGETTY = { "/sbin/agetty", "/usr/sbin/agetty", "/usr/bin/agetty" }
local AUTOLOGIN = "[Service]\nExecStart=\nExecStart=-%s --autologin root --noclear --keep-baud %s $TERM\n"

-- A drop-in, which a later version of the unit keeps.
local function autologin(plan, agetty, unit, tty)
  plan:own_file(("%s/%s.d/00-banger-autologin.conf"):format(OWN, unit),
    AUTOLOGIN:format(agetty, tty .. " 115200,57600,38400,9600"), "root is to be logged in")
end

local GENERATORS = { "/usr/lib/systemd/system-generators/systemd-getty-generator", "/lib/systemd/system-generators/systemd-getty-generator" }

local function console(plan, architecture, options)
  local serial, agetty = M.console_of(architecture), plan:find_program(AGETTY)
  if not agetty then
    return plan:warn "there is no agetty in the image: nobody can log in on the console"
  end
  if not M.has_udev(plan) then
    for _, tty in ipairs(serial.ttys) do
      systemd.add_masked(plan, ("serial-getty@%s.service"):format(tty), "waits 90 seconds for a device that only udev announces")
    end
    systemd.add_enabled(plan, "console-getty.service", "a login without udev")
  elseif serial.any or not plan:find_program(GENERATORS) then
    -- Elsewhere the generator starts one where the kernel has its console.
    systemd.add_enabled(plan, ("serial-getty@%s.service"):format(serial.tty), "a login on the serial console")
  end
  if options.autologin then
    plan:begin("console", options.by and options.by.autologin)
    autologin(plan, agetty, "serial-getty@.service", "%I")
    autologin(plan, agetty, "console-getty.service", "console")
  else
    login.warn(plan)
  end
  login.add_securetty(plan, serial.ttys)
end

-- Layers hold no labels, and without them an enforcing policy stops the boot.
local function warn_of_selinux(plan)
  local text = "\n" .. (plan:text "/etc/selinux/config" or "")
  local policy = text:match "\nSELINUXTYPE=([%w_-]+)"
  if text:find "\nSELINUX=enforcing" and policy and plan:is_dir(("/etc/selinux/%s/policy"):format(policy)) then
    plan:warn "/etc/selinux/config says enforcing, and the image's files have no labels: enforcing=0 on the kernel's command line lets it boot"
  end
end

local function quote(text)
  return '"' .. text:gsub('[\\"]', "\\%0"):gsub("%%", "%%%%") .. '"'
end

-- What a container's environment is to its services.
local function environment(plan, list)
  local words = {}
  for i, text in ipairs(list) do
    words[i] = quote(text)
  end
  plan:own_file("/etc/systemd/system.conf.d/00-banger.conf",
    ("[Manager]\nDefaultEnvironment=%s\n"):format(table.concat(words, " ")), "asked for")
end

---Whether a dangling link at /etc/resolv.conf is right: systemd-resolved makes its target.
---@param plan banger.plan
---@param target string
---@return boolean
function M.keeps_resolv_conf(plan, target)
  local unit <const> = "systemd-resolved.service"
  return target:find "run/systemd/resolve/[%w-]+%.conf$" ~= nil and systemd.find(plan, unit) ~= nil
    and (systemd.is_wanted(plan, unit, "multi-user.target") or systemd.is_wanted(plan, unit, "sysinit.target"))
end

---Add what the image needs.
---@param plan banger.plan
---@param architecture string
---@param options banger.guest_options
function M.add(plan, architecture, options)
  local steps = {
    { "machine-id", machine_id },
    { "updated", updated },
    { "masks", masks },
    { "wants", wants },
    { "default-target", default_target },
    { "console", console },
  }
  for _, step in ipairs(steps) do
    if plan:begin(step[1]) then
      step[2](plan, architecture, options)
    end
  end
  if #(options.environment or {}) > 0 and plan:begin("environment", options.by and options.by.environment) then
    environment(plan, options.environment)
  end
  warn_of_selinux(plan)
end

return M
