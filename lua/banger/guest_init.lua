---What runs first in a machine made of an image: pure decisions over the read side of
---a rootfs. banger-init is described in src/guest/config.h.
local core = require "banger.core"

local M = {}

---@class banger.init_choice
---@field kind "native"|"banger"|"path"|"none"
---@field path? string # what the kernel has to run
---@field argv string[] # the image's Entrypoint and Cmd
---@field why string

local DEFAULT = "/sbin/init"
-- What an image runs that brings its own init: systemd by its names.
local NATIVE = { DEFAULT, "/lib/systemd/systemd", "/usr/lib/systemd/systemd" }
local BANGER = "/.banger/init"
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

local function is_program(rootfs, path)
  local found = rootfs:stat(path, { follow = true })
  return found ~= nil and found.type == "file" and found.mode & EXECUTABLE ~= 0
end

-- Two names of one file, links followed.
local function is_same(rootfs, a, b)
  local resolved = is_program(rootfs, a) and is_program(rootfs, b) and rootfs:resolve(a)
  return resolved and resolved == rootfs:resolve(b)
end

local function native_name(rootfs, argv)
  local program = argv[1]
  if program == "/init" then
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

local function choose_native(rootfs, argv)
  local named = native_name(rootfs, argv)
  if named then
    return { kind = "native", path = named, argv = argv, why = ("the image runs %s"):format(named) }
  end
  for _, name in ipairs(NATIVE) do
    if is_program(rootfs, name) then
      return { kind = "native", path = name, argv = argv, why = ("%s is there"):format(name) }
    end
  end
  return none(argv, "the image has no init of its own: no %s", table.concat(NATIVE, ", no "))
end

local function choose_banger(argv)
  if #argv == 0 then
    return none(argv, "the image names no program to run: it has neither Entrypoint nor Cmd")
  end
  return { kind = "banger", path = BANGER, argv = argv, why = ("the image runs %s, which is no init"):format(argv[1]) }
end

local function choose_path(rootfs, argv, path)
  if not is_program(rootfs, path) then
    return none(argv, "there is no program %s in the image", path)
  end
  return { kind = "path", path = path, argv = argv, why = "asked for" }
end

---Which init an image is to be booted with. The command that the image runs decides,
---not what happens to be installed: a web server in an image with systemd is to be run,
---not systemd.
---@param rootfs banger.tree # its read side: stat, resolve
---@param config banger.config
---@param want? string # "auto" (the default), "native", "banger", or the path of a program in the image
---@return banger.init_choice # of kind "none", with why, where there is nothing to run
---@example
---```lua
---print(guest.detect_init(rootfs, image.config).path)
---```
function M.detect(rootfs, config, want)
  local argv = M.argv(config)
  want = want or "auto"
  if want == "native" then
    return choose_native(rootfs, argv)
  elseif want == "banger" then
    return choose_banger(argv)
  elseif want ~= "auto" then
    return choose_path(rootfs, argv, want)
  end
  if native_name(rootfs, argv) or #argv == 0 and is_program(rootfs, DEFAULT) then
    return choose_native(rootfs, argv)
  end
  return choose_banger(argv)
end

-- Strings as banger-init reads them.
local function strings(list)
  for i, text in ipairs(list) do
    list[i] = text:gsub("\0.*", "") .. "\0"
  end
  return table.concat(list)
end

local function texts(value)
  local list = {}
  for _, text in ipairs(type(value) == "table" and value or {}) do
    list[#list + 1] = tostring(text)
  end
  return list
end

local function one(value)
  return type(value) == "string" and value ~= "" and { value } or {}
end

local FILES = { "argv", "env", "cwd", "user", "stop-signal", "hostname" }

---The files of banger-init for an image.
---@param config banger.config
---@param options { hostname?: string }
---@return banger.guest_entry[]? entries # for `inject`, in this order
---@return string? message # when there is no banger-init for the image's architecture
function M.entries(config, options)
  local architecture = config.platform.architecture
  local program = core.resource("guest/banger-init-" .. architecture)
  if not program then
    return nil, ("there is no banger-init for %s"):format(architecture)
  end
  local own = config.config
  local values = {
    argv = M.argv(config),
    env = texts(own.Env),
    cwd = one(own.WorkingDir),
    user = one(own.User),
    ["stop-signal"] = one(own.StopSignal),
    hostname = one(options.hostname),
  }
  local entries = {
    { path = "/.banger", type = "dir", mode = tonumber("755", 8), uid = 0, gid = 0, why = "banger-init and what it is told" },
    { path = BANGER, type = "file", content = program, mode = tonumber("755", 8), uid = 0, gid = 0,
      why = "the image's program is no init" },
  }
  for _, name in ipairs(FILES) do
    if #values[name] > 0 then
      entries[#entries + 1] = { path = "/.banger/" .. name, type = "file", content = strings(values[name]),
        mode = tonumber("644", 8), uid = 0, gid = 0, why = "from the image's config" }
    end
  end
  return entries
end

return M
