---What runs first in a machine made of an image: pure decisions over the read side of
---a rootfs. banger-init is described in src/guest/config.h.
local core = require "banger.core"

local M = { BANGER = "/.banger/init", S6 = "/init" }

---@class banger.init_choice
---@field kind "native"|"banger"|"path"|"none"
---@field path? string # what the kernel has to run
---@field argv string[] # the image's Entrypoint and Cmd
---@field why string
---@field system? string # what the image's own init is: "systemd", "busybox", "sysvinit", "openrc" or "other"

local DEFAULT = "/sbin/init"
-- What an image runs that brings its own init: systemd by its names.
local NATIVE = { DEFAULT, "/lib/systemd/systemd", "/usr/lib/systemd/systemd" }
local DIRECTORY = "/.banger"
local BANGER = M.BANGER
local S6 = M.S6
local EXECUTABLE = tonumber("111", 8)

---The command of an image: Entrypoint, then Cmd.
---@param config banger.config
---@return string[]
function M.argv(config)
  local argv = {}
  for _, list in ipairs { config.config.Entrypoint or {}, config.config.Cmd or {} } do
    for _, word in ipairs(type(list) == "table" and list or {}) do
      argv[#argv + 1] = tostring(word)
    end
  end
  return argv
end

-- What another build left is none of the image's own.
local function is_program(rootfs, path)
  local found = rootfs:stat(path, { follow = true })
  return found ~= nil and found.type == "file" and found.mode & EXECUTABLE ~= 0
    and not (rootfs:resolve(path) or path):find("^" .. DIRECTORY:gsub("%p", "%%%0") .. "/")
end

-- Two names of one file, links followed.
local function is_same(rootfs, a, b)
  local resolved = is_program(rootfs, a) and is_program(rootfs, b) and rootfs:resolve(a)
  return resolved and resolved == rootfs:resolve(b)
end

local function native_name(rootfs, argv)
  local program = argv[1]
  if program == S6 then
    return is_program(rootfs, program) and program -- s6-overlay, as the Entrypoint only
  end
  for _, name in ipairs(NATIVE) do
    if program and program:find "^/" and is_same(rootfs, program, name) then
      return program
    end
  end
end

local function none(argv, format, ...)
  return { kind = "none", argv = argv, why = format:format(...) }
end

local function choose_native(rootfs, argv, who)
  local named = native_name(rootfs, argv)
  if named then
    return { kind = "native", path = named, argv = argv, why = ("%s runs %s"):format(who, named) }
  end
  for _, name in ipairs(NATIVE) do
    if is_program(rootfs, name) then
      return { kind = "native", path = name, argv = argv, why = ("%s is there"):format(name) }
    end
  end
  return none(argv, "the image has no init of its own: no %s", table.concat(NATIVE, ", no "))
end

local function choose_banger(argv, who)
  if #argv == 0 then
    return none(argv, "the image names no program to run: it has neither Entrypoint nor Cmd")
  end
  return { kind = "banger", path = BANGER, argv = argv, why = ("%s runs %s, which is no init"):format(who, argv[1]) }
end

---Who says what is run.
---@param by? table<string, string> # as `guest.prepare` has it
---@return string
function M.who(by)
  return by and by.command and "the recipe " .. by.command or "the image"
end

local function choose_path(rootfs, argv, path, by)
  if not is_program(rootfs, path) then
    return none(argv, "there is no program %s in the image", path)
  end
  return { kind = "path", path = path, argv = argv, why = by and by.init and "asked for by the recipe " .. by.init or "asked for" }
end

---Which init an image is to be booted with. The command that the image runs decides,
---not what happens to be installed: a web server in an image with systemd is to be run,
---not systemd.
---@param rootfs banger.tree # its read side: stat, resolve
---@param config banger.config
---@param want? string # "auto" (the default), "native", "banger", or the path of a program in the image
---@param by? table<string, string> # as `prepare` has it
---@return banger.init_choice # of kind "none", with why, where there is nothing to run
---@example
---```lua
---print(guest.detect_init(rootfs, image.config).path)
---```
function M.detect(rootfs, config, want, by)
  local argv, who = M.argv(config), M.who(by)
  want = want or "auto"
  if want == "native" then
    return choose_native(rootfs, argv, who)
  elseif want == "banger" then
    return choose_banger(argv, who)
  elseif want ~= "auto" then
    return choose_path(rootfs, argv, want, by)
  end
  if native_name(rootfs, argv) or #argv == 0 and is_program(rootfs, DEFAULT) then
    return choose_native(rootfs, argv, who)
  end
  return choose_banger(argv, who)
end

local SYSTEMS = {
  { "^systemd$", "systemd" },
  { "^busybox", "busybox" },
  { "^openrc%-init$", "openrc" },
}
local SYSVINIT = { "/etc/inittab", "/usr/share/sysvinit/inittab", "/etc/init.d/rcS" }

---What kind of init the image has of its own, by what its links lead to.
---@param plan banger.plan
---@param init banger.init_choice
---@return string? # nil where banger-init runs the image's program
function M.system(plan, init)
  if init.kind ~= "native" and init.kind ~= "path" then
    return nil
  end
  local name = (plan.rootfs:resolve(init.path) or init.path):match "[^/]*$"
  for _, system in ipairs(SYSTEMS) do
    if name:find(system[1]) then
      return system[2]
    end
  end
  for _, path in ipairs(name == "init" and init.path ~= S6 and SYSVINIT or {}) do
    if plan:is_file(path) then
      return "sysvinit"
    end
  end
  return "other"
end

---Whether banger-init has to go before an init of the image's own: it has something to
---do first, or the init expects what a container engine does. s6-overlay's /init mounts
---nothing, and lives of the image's Env and Cmd.
---@param init banger.init_choice
---@param options { agent?: any, overlay?: string }
---@return boolean
function M.is_first(init, options)
  if init.kind == "native" or init.kind == "path" then
    return options.agent ~= nil or options.overlay ~= nil or init.path == S6
  end
  return init.kind == "banger"
end

-- Strings as banger-init reads them.
local function strings(list)
  for i, text in ipairs(list) do
    list[i] = text:gsub("\0.*", "") .. "\0"
  end
  return table.concat(list)
end

local function texts(value, more)
  local list = {}
  for _, texts_of in ipairs { type(value) == "table" and value or {}, more or {} } do
    for _, text in ipairs(texts_of) do
      list[#list + 1] = tostring(text)
    end
  end
  return list
end

local function one(value)
  return type(value) == "string" and value ~= "" and { value } or {}
end

local FROM_CONFIG <const> = "from the image's config"
local ASKED <const> = "asked for"
-- All there are, in the order in which they are written: the switch of each, where what it
-- says is from, and the key of image recipes that says it instead.
local FILES = {
  { name = "argv", item = "init", why = FROM_CONFIG, key = "command" },
  { name = "env", item = "init", why = FROM_CONFIG, key = "environment", asked = "asked for, over the image's config" },
  { name = "cwd", item = "init", why = FROM_CONFIG, key = "workdir" },
  { name = "user", item = "init", why = FROM_CONFIG, key = "user" },
  { name = "stop-signal", item = "init", why = FROM_CONFIG, key = "stop_signal" },
  { name = "stop-timeout", item = "init", why = FROM_CONFIG, key = "stop_timeout" },
  { name = "native", item = "init", why = "the image's own init, which comes next" },
  { name = "agent", item = "agent", why = ASKED, key = "agent" },
  { name = "overlay", item = "overlay", why = ASKED, key = "overlay" },
}

local AGENT_PORT <const> = 1024

local function agent_addresses(agent)
  if not agent then
    return {}
  end
  local port = type(agent) == "table" and agent.port or AGENT_PORT
  return { ("vsock:%d"):format(port), "port:banger.agent" }
end

local MAX_STOP_TIMEOUT <const> = 86400

-- Docker's extension of the config; what banger-init would not take is left out.
local function stop_timeout(value)
  local seconds = type(value) == "number" and math.tointeger(value)
  return seconds and seconds >= 0 and seconds <= MAX_STOP_TIMEOUT and { tostring(seconds) } or {}
end

-- What the files hold: lists of strings.
local function values_of(config, init, options)
  local own = config.config
  local values = { agent = agent_addresses(options.agent), overlay = one(options.overlay) }
  if init.kind ~= "banger" then
    values.native = { init.path }
  end
  if init.kind == "banger" or init.path == S6 then
    values.argv = M.argv(config)
    values.env = texts(own.Env, options.environment)
  end
  if init.kind == "banger" then
    values.cwd = one(own.WorkingDir)
    values.user = one(own.User)
    values["stop-signal"] = one(own.StopSignal)
    values["stop-timeout"] = stop_timeout(own.StopTimeout)
  end
  return values
end

---Take away what the image has in our directory's place: another build, or whatever it is,
---would have a say in this one.
---@param plan banger.plan
function M.clear(plan)
  local found = plan:entry_at(DIRECTORY)
  if found then
    plan:add({ path = DIRECTORY, type = "remove" }, found.type == "dir" and "is of another build" or ("is a %s"):format(found.type))
  end
end

local function file(plan, name, list, why)
  if #list > 0 then
    plan:add({ path = DIRECTORY .. "/" .. name, type = "file", content = strings(list), mode = tonumber("644", 8) }, why)
  end
end

---Add banger-init, and what it is told.
---@param plan banger.plan
---@param config banger.config
---@param init banger.init_choice
---@param options banger.guest_options
---@return true? # nil: nothing was added
---@return string? message # when there is no banger-init for the image's architecture
function M.add(plan, config, init, options)
  local architecture = config.platform.architecture
  local program = core.resource("guest/banger-init-" .. architecture)
  if not program then
    return nil, ("there is no banger-init for %s"):format(architecture)
  end
  local by = options.by or {}
  plan:begin "init"
  plan:add({ path = DIRECTORY, type = "dir", mode = tonumber("755", 8) }, "banger-init and what it is told")
  local whose = by.command and "the program of the recipe " .. by.command or "the image's program"
  plan:add({ path = BANGER, type = "file", content = program, mode = tonumber("755", 8) },
    init.kind == "banger" and whose .. " is no init" or "goes before the image's own init")
  local values = values_of(config, init, options)
  for _, known in ipairs(FILES) do
    local asked = by[known.key]
    plan:begin(known.item, asked)
    file(plan, known.name, values[known.name] or {}, asked and (known.asked or ASKED) or known.why)
  end
  return true
end

---Whether the image runs an init that is not in it.
---@param plan banger.plan
---@param name string # its program
---@return boolean
function M.is_absent_init(plan, name)
  local known = name:find "^/" and name:match "[^/]*$" == "init"
  for _, native in ipairs(NATIVE) do
    known = known or name == native
  end
  return known and not is_program(plan.rootfs, name)
end

---Whether a link at /sbin/init could be taken for the image's program, which is not there
---or is looked for in PATH: banger-init would run itself.
---@param plan banger.plan
---@param name string # the program
---@return boolean
function M.is_shadowed(plan, name)
  if name:find "^/" then
    name = not plan:at(name) and plan:dangling_end(name) or ""
  end
  return name:match "[^/]*$" == "init"
end

-- Whether the kernel comes to a program by itself: it looks at /sbin/init first.
local function is_default(rootfs, path)
  return rootfs:exists(DEFAULT) and rootfs:resolve(DEFAULT) == (rootfs:resolve(path) or path)
end

---Where the kernel looks for an init by itself, a link, if nothing is there; else the
---words for its command line.
---@param plan banger.plan
---@param path string # what it has to run
---@param may_link boolean
---@return string[]
function M.lead_kernel(plan, path, may_link)
  if path == DEFAULT or is_default(plan.rootfs, path) then
    return {}
  end
  if may_link and not plan:entry_at(DEFAULT) and plan:has_parent(DEFAULT) then
    plan:add({ path = DEFAULT, type = "symlink", target = path }, "is absent, and is what the kernel runs")
    return {}
  end
  return { "init=" .. path }
end

return M
