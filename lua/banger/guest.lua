---What an image needs to boot: pure decisions over the read side of a rootfs.
local contract = require "banger.guest.contract"
local core = require "banger.core"
local nearest = require "banger.nearest"
local Plan = require "banger.guest.plan"
local program = require "banger.guest.program"
local rc_image = require "banger.guest.rc_image"
local systemd_image = require "banger.guest.systemd_image"
local sorted = require "banger.sorted"
local udev = require "banger.guest.udev"

local M = { detect_init = program.detect, systemd = require "banger.guest.systemd" }

---What `prepare` decides about, in its order: each can be switched off by its name.
---@type { name: string, help: string }[]
M.ITEMS = {
  { name = "directories", help = "/dev /proc /sys /run /tmp /etc /root, where they are absent" },
  { name = "devices", help = "/dev/console and /dev/null, where they are absent" },
  { name = "hostname", help = "/etc/hostname, where it is absent or empty, or a name is asked for" },
  { name = "hosts", help = "/etc/hosts, where it is absent or empty" },
  { name = "resolv.conf", help = "/etc/resolv.conf, where it is absent, empty or a dangling link" },
  { name = "fstab", help = "/etc/fstab, where it is absent" },
  { name = "container-marks", help = "/.dockerenv and /run/.containerenv are removed" },
  { name = "init", help = "banger-init, where the image's program is no init, and a link to the init at /sbin/init" },
  { name = "agent", help = "banger-init serves commands from the host, when that is asked for" },
  { name = "overlay", help = "the root file system stays as it is, when that is asked for" },
  { name = "machine-id", help = "systemd: an empty /etc/machine-id, for an id of the machine's own" },
  { name = "updated", help = "systemd: /etc/.updated and /var/.updated, since the packages are set up" },
  { name = "masks", help = "systemd: units that wait, ask or fail in such a machine" },
  { name = "wants", help = "systemd: units that are taken out of images for containers" },
  { name = "default-target", help = "systemd: default.target, where it is absent" },
  { name = "console", help = "systemd, OpenRC as PID 1: a login on the serial console" },
  { name = "inittab", help = "busybox, sysvinit: /etc/inittab where it is absent, and a login on the serial console" },
  { name = "runlevels", help = "OpenRC: the services that every machine needs are in their runlevels" },
  { name = "interfaces", help = "busybox, sysvinit, OpenRC: /etc/network/interfaces with lo, where it is absent" },
  { name = "securetty", help = "root may log in on the serial console, where /etc/securetty says who may" },
  { name = "environment", help = "systemd: the environment that is asked for, for all services" },
  { name = "interface-names", help = "udev leaves the first network interface its name eth0" },
  { name = "record", help = "/.banger/build.json: what was made and added" },
}

local function item_names()
  local names = {}
  for i, item in ipairs(M.ITEMS) do
    names[i] = item.name
  end
  return names
end

---Check the name of an item.
---@param name string
---@return string? name
---@return string? message # names the nearest item, or all
---@example
---```lua
---assert(guest.check_item "hosts")
---```
function M.check_item(name)
  local names = item_names()
  for _, known in ipairs(names) do
    if known == name then
      return name
    end
  end
  local meant = nearest(name, names)
  return nil, ("there is no item '%s' to inject; %s"):format(name,
    meant and ("did you mean '%s'?"):format(meant) or "there are " .. table.concat(names, ", "))
end

---What to inject so that a rootfs meets the contract of a bootable one, and no
---more: directories, device nodes, hostname, hosts, resolv.conf and fstab where
---the image has none, and container marks removed. What the image has is kept.
---@param rootfs banger.tree # its read side: stat, read, resolve
---@param config? banger.config
---@return banger.guest_entry[] entries # for `inject`, in this order
---@return string[] warnings # what could not be had without destroying something
---@example
---```lua
---banger.inject(rootfs, (guest.contract(rootfs, image.config)))
---```
function M.contract(rootfs, config)
  local plan = Plan.new(rootfs)
  contract.add(plan, config)
  return plan.entries, plan.warnings
end

local INITS = { auto = true, native = true, banger = true, none = true }

---Check what `prepare` takes as `init`.
---@param text string
---@return string?
---@return string? message
function M.init_option(text)
  if INITS[text] or text:find "^/" then
    return text
  end
  return nil, ("--init: '%s' is neither auto, native, banger, none nor a path in the image from / on"):format(text)
end

---@class banger.guest_options
---@field init? string # "auto" (the default), "native", "banger", "none", or the path of a program in the image
---@field hostname? string # in place of the image's own
---@field items? table<string, boolean> # name of an item -> false: switched off
---@field environment? string[] # "NAME=value" each, over the image's Env
---@field agent? true|{ port: integer } # serve commands from the host; default: not
---@field overlay? string # where writes go: "tmpfs", or a block device as /dev/NAME, LABEL=TEXT or UUID=TEXT; default: into the image
---@field by? table<string, string> # which image recipe asked for which of these, or of what the config says, as its
---  key (command, user, workdir, stop_signal, stop_timeout): for the reasons
---@field autologin? boolean # root is logged in on the console without a password; default false

local function refuse(format, ...)
  core.error("usage", format:format(...))
end

local function check_environment(list)
  for _, text in ipairs(list or {}) do
    if type(text) ~= "string" or not text:find "^[^=%z]+=[^%z]*$" then
      refuse("environment: '%s' is not of the form NAME=value", text)
    end
  end
end

local function check_agent(agent)
  local port = type(agent) == "table" and agent.port or nil
  if port and (math.type(port) ~= "integer" or port < 1 or port > 0xfffffffe) then
    refuse("agent: the port %s is no number from 1 to 4294967294", port)
  end
end

local OVERLAYS = { "^tmpfs$", "^/dev/%w[%w/_-]*$", "^LABEL=[^%c%s]+$", "^UUID=%x[%x-]*$" }

---Whether a text says where the writes below an overlay can go.
---@param text string
---@return boolean
function M.is_overlay(text)
  for _, pattern in ipairs(OVERLAYS) do
    if text:find(pattern) then
      return true
    end
  end
  return false
end

local function check(options)
  for _, name in ipairs(sorted(options.items or {})) do
    local known, message = M.check_item(name)
    if not known then
      refuse("%s", message)
    end
  end
  if options.init then
    local known, message = M.init_option(options.init)
    if not known then
      refuse("%s", message)
    end
  end
  if options.hostname and not contract.is_hostname(options.hostname) then
    refuse("hostname: '%s' is no name of a machine: letters, digits, '-' and '.', 64 at most", options.hostname)
  end
  if options.overlay and not M.is_overlay(options.overlay) then
    refuse("overlay: '%s' is neither tmpfs nor a block device, as /dev/vdb, LABEL=data or UUID=...", options.overlay)
  end
  check_environment(options.environment)
  check_agent(options.agent)
end

-- What only banger-init does.
local SERVED = { "agent", "overlay" }

-- The options with what is switched off left out.
local function without_switched_off(options)
  local result, items = {}, options.items or {}
  for name, value in pairs(options) do
    result[name] = value
  end
  for _, name in ipairs(SERVED) do
    if items[name] == false or not result[name] then
      result[name] = nil
    end
  end
  return result
end

-- The options with what banger-init does left out, where it is not to be in the image.
local function wanted(options)
  local result = without_switched_off(options)
  for _, name in ipairs((options.items or {}).init == false and SERVED or {}) do
    result[name] = nil
  end
  return result
end

local function choose(rootfs, config, want, by)
  if want == "none" then
    return { kind = "none", argv = program.argv(config), why = by and by.init and "asked for by the recipe " .. by.init or "asked for" }
  end
  return program.detect(rootfs, config, want, by)
end

-- Whether the image's own init mounts the root for writing: its fstab names it.
local function names_root(plan)
  for line in ((plan:text "/etc/fstab" or "") .. "\n"):gmatch "([^\n]*)\n" do
    if line:match "^%s*[^#%s]%S*%s+(%S+)" == "/" then
      return true
    end
  end
  return false
end

-- Words for the kernel's command line. Without "rw" the root is read-only, and an init
-- leaves it so unless the fstab says otherwise; banger-init mounts it for writing itself.
-- Below an overlay not even the superblock may change: "ro", since "rw" is usual.
local function words_for(plan, init, options, words)
  local own = init.kind == "native" or init.kind == "path"
  if options.overlay and init.kind ~= "none" then
    words[#words + 1] = "ro"
  elseif own and init.path ~= program.S6 and not names_root(plan) then
    words[#words + 1] = "rw"
  end
  return words
end

-- What the kernel runs first, and how it gets there.
local function add_init(plan, config, init, options)
  local switched_on = plan:begin "init"
  if init.kind == "none" then
    return init, {}
  elseif not program.is_first(init, options) then
    return init, program.lead_kernel(plan, init.path, switched_on)
  elseif not switched_on then
    return { kind = "none", argv = init.argv, why = "the item init is switched off" }, {}
  end
  local added, message = program.add(plan, config, init, options)
  if not added then
    return { kind = "none", argv = init.argv, why = message }, {}
  end
  plan:begin "init"
  if init.kind ~= "banger" then
    return init, program.lead_kernel(plan, program.BANGER, false)
  elseif program.is_absent_init(plan, init.argv[1]) then
    plan:warn(options.by and options.by.command and "%s runs %s, which is not in the image" or "%s runs %s, which is not in it",
      program.who(options.by), init.argv[1])
  end
  return init, program.lead_kernel(plan, program.BANGER, not program.is_shadowed(plan, init.argv[1]))
end

-- An init that was asked for by name is had, or there is no image.
local function check_asked(init, options)
  local want = options.init or "auto"
  if init.kind == "none" and want ~= "auto" and want ~= "none" then
    local by = options.by and options.by.init
    core.error("not_found", ("init %s%s: %s; auto finds out what there is"):format(want, by and " of the recipe " .. by or "", init.why))
  end
end

-- What was asked for, and is not had because banger-init is not there, or nothing is.
local function warn_left_out(plan, init, options)
  local is_none = init.kind == "none"
  if is_none and options.init ~= "none" then
    plan:warn("%s; it does not boot by itself (--init names a program in it)", init.why)
  end
  for _, name in ipairs((is_none or not plan:begin "init") and SERVED or {}) do
    if options[name] then
      plan:warn("%s is left out: it is banger-init's, which is not in this image", name)
    end
  end
  if is_none and #(options.environment or {}) > 0 then
    plan:warn "environment is left out: nothing in this image passes it on"
  end
end

local RC_SYSTEMS = { busybox = true, sysvinit = true, openrc = true }

-- What the image's own init needs.
local function add_system(plan, config, init, options)
  if init.system == "systemd" then
    systemd_image.add(plan, config.platform.architecture, options)
  elseif RC_SYSTEMS[init.system] then
    rc_image.add(plan, config.platform.architecture, init, options)
  end
  if init.system and plan:begin "interface-names" then
    udev.keep_names(plan)
  end
  if init.system and init.system ~= "systemd" and #(options.environment or {}) > 0 and init.path ~= program.S6 then
    plan:warn("environment is left out: %s passes none on", init.path)
  end
end

---@class banger.guest_plan
---@field entries banger.guest_entry[] # for `inject`, in this order
---@field warnings string[]
---@field init? banger.init_choice # nil: nothing is injected
---@field cmdline string[] # what the kernel's command line needs besides root=

---Everything to inject so that a rootfs boots and does what the image is for: the
---contract, banger-init where the image's program is no init, and else what its own init
---needs in a machine.
---@param rootfs banger.tree # its read side
---@param config banger.config
---@param options? banger.guest_options
---@return banger.guest_plan
---@example
---```lua
---local plan = guest.prepare(rootfs, image.config, { hostname = "web", items = { fstab = false } })
---banger.inject(rootfs, plan.entries)
---```
---Raises `usage` (an option that makes no sense), `not_found` (an init that is asked for).
function M.prepare(rootfs, config, options)
  options = options or {}
  check(options)
  local plan, asked = Plan.new(rootfs, options.items), without_switched_off(options)
  options = wanted(options)
  local init = choose(rootfs, config, options.init, options.by)
  init.system = program.system(plan, init)
  contract.add(plan, config, {
    hostname = options.hostname,
    hostname_by = options.by and options.by.hostname,
    keeps_resolv_conf = init.system == "systemd" and function(target)
      return systemd_image.keeps_resolv_conf(plan, target)
    end or nil,
  })
  if plan:begin "init" or plan:begin "record" then
    program.clear(plan)
  end
  local cmdline
  init, cmdline = add_init(plan, config, init, options)
  check_asked(init, options)
  add_system(plan, config, init, options)
  warn_left_out(plan, init, asked)
  return { entries = plan.entries, warnings = plan.warnings, init = init, cmdline = words_for(plan, init, options, cmdline) }
end

return M
