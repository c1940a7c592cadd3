---What runs first, and what that runs: the init, and behind banger-init the image's own
---program or init.
local program = require "banger.check.program"
local view = require "banger.check.view"

local M = {}

local BANGER = "/.banger/init"
-- Where the kernel looks by itself. /bin/sh comes last there, and is no init.
local KERNEL = { "/sbin/init", "/etc/init", "/bin/init" }
local SHELL = "/bin/sh"
local MAX_LISTED = 8
local MAX_PATH = 4095

---@class banger.check.init
---@field path string # as the kernel is told, or finds it
---@field kind "banger"|"systemd"|"busybox"|"openrc"|"sysv"|"other"
---@field native? string # the init that banger-init hands over to
---@field cmdline? string # what the kernel has to be told, where it would find another

local function kind_of(check, path)
  local real = check.view:resolve(path) or path
  local name = view.base(real)
  if real == BANGER then
    return "banger"
  elseif name == "systemd" or name == "busybox" then
    return name
  elseif name == "openrc-init" then
    return "openrc"
  elseif name == "init" and check.view:at "/etc/inittab" then
    return "sysv"
  end
  return "other"
end

-- What the kernel is told to run; nil where it has to find it.
local function requested(check)
  local record = check.facts.record or {}
  local init = type(record.init) == "table" and record.init or {}
  if check.facts.init then
    return check.facts.init, "which is asked for"
  elseif type(init.path) == "string" and init.path:find "^/" then
    return init.path, "which /.banger/build.json says runs first"
  elseif check.view:at(BANGER) and check.view:at "/.banger/argv" then
    return BANGER, "which runs the image's program"
  end
end

-- What the kernel has to be told to run this one.
local function cmdline_for(check, path)
  for _, name in ipairs(KERNEL) do
    if check.view:at(name) then
      return check.view:resolve(name) ~= check.view:resolve(path) and "init=" .. path or nil
    end
  end
  return "init=" .. path
end

-- Report a path that leads nowhere; `because` says who wants it.
local function report_absent(check, path, because)
  local entry = check.view:entry(path)
  if entry and entry.type == "symlink" then
    check:error("dangling-init", path, ("%s is a link to %s, which is not there"):format(path, entry.target),
      "install what it links to, or pull with --init naming a program that is there")
  elseif not program.report_unmerged(check, path, "is to run first") then
    check:error("no-init", path, ("%s, %s, is not there"):format(path, because), "pull the image anew, or name another with --init")
  end
end

-- Why pull gave it none.
local function noted(check)
  local init = check.facts.record and check.facts.record.init
  local why = type(init) == "table" and init.kind == "none" and init.why
  return type(why) == "string" and "; pull noted: " .. why or ""
end

local function choose(check)
  local path, because = requested(check)
  if path then
    if check.view:at(path) then
      return path
    end
    return report_absent(check, path, because)
  end
  for _, name in ipairs(KERNEL) do
    if check.view:at(name) then
      return name
    elseif check.view:entry(name) or program.merged_twin(check, name) then
      return report_absent(check, name)
    end
  end
  check:error("no-init", KERNEL[1], ("there is no init: no %s%s%s"):format(table.concat(KERNEL, ", no "),
    check.view:at(SHELL) and "; the kernel would run /bin/sh as one" or "", noted(check)),
    "pull the image with --init banger, or install an init")
end

---The init.
---@param check banger.check.state
function M.init(check)
  local path = choose(check)
  if not path then
    return
  end
  check.init = { path = path, kind = kind_of(check, path), cmdline = cmdline_for(check, path) }
  program.check(check, path)
  if check.init.kind ~= "banger" then
    check.main = check.init
  end
end

-- ---- what banger-init runs ------------------------------------------------------------

-- An init that banger-init hands over to.
local function check_native(check, path)
  if not check.view:at(path) then
    return report_absent(check, path, "which /.banger/native names")
  end
  check.init.native = path
  check.main = { path = path, kind = kind_of(check, path) }
  program.check(check, path)
end

local function check_argv(check)
  local name = check.view:strings "/.banger/argv"[1]
  if not name or name == "" then
    return check:error("no-program", "/.banger/argv", "/.banger/argv names no program for banger-init to run",
      "pull the image anew: its config needs an Entrypoint or Cmd")
  end
  local path, other = program.find(check, name)
  if path and check.view:resolve(path) == BANGER then
    return check:error("program-not-found", name, ("the image runs %s, which is not there: %s leads to banger-init itself"):format(name, path),
      "install it, or pull an image that has it")
  elseif path or other then
    return program.check(check, path or other)
  end
  local where = name:find "/" and "which is not there" or "which is not in PATH=" .. check:path()
  if not (name:find "^/" and program.report_unmerged(check, name, "the image runs")) then
    check:error("program-not-found", name, ("the image runs %s, %s"):format(name, where), "install it, or pull an image that has it")
  end
end

-- WorkingDir is made where it is missing, but not over something else.
local function check_directory(check)
  local path, above = check:directory(), ""
  if #path > MAX_PATH then
    return check:error("working-directory", "/.banger/cwd", ("the image runs in a directory whose name has %d bytes"):format(#path),
      "give the image another WorkingDir")
  end
  for name in path:gmatch "[^/]+" do
    above = above .. "/" .. name
    local found = check.view:at(above)
    local link = not found and check.view:entry(above)
    if found and found.type ~= "dir" or link then
      local what = link and "link to " .. tostring(link.target) .. ", which is not there" or found.type .. ", not a directory"
      return check:error("working-directory", above, ("the image runs in %s, %s is a %s"):format(path,
        above == path and "which" or "and " .. above, what), "give the image another WorkingDir")
    end
  end
end

-- The kernel's limits: of one string with its end, and of all, a quarter of the stack.
local MAX_STRING <const> = 128 * 1024
local MAX_STRINGS <const> = 2 * 1024 * 1024

local function check_lengths(check)
  local total = 0
  for _, path in ipairs { "/.banger/argv", "/.banger/env" } do
    local found, strings = check.view:at(path), check.view:strings(path)
    total = total + (found and found.type == "file" and found.size or 0) + 8 * #strings
    for i, text in ipairs(strings) do
      if #text >= MAX_STRING then
        return check:error("argument-too-long", path, ("string %d of %s is longer than the 131071 bytes that the kernel takes"):format(i, path),
          "give it to the program in a file")
      end
    end
  end
  if total > MAX_STRINGS then
    check:error("argument-too-long", "/.banger/argv", "the image's command and environment are more than the 2 MiB that the kernel takes",
      "give them to the program in a file")
  end
end

-- ---- as whom --------------------------------------------------------------------------

local function names_in(check, path)
  local names, listed = {}, {}
  for line in (check.view:text(path) or ""):gmatch "[^\n]+" do
    local name, number = line:match "^([^:]+):[^:]*:?([^:]*)"
    if name then
      names[name], names[number] = true, true
      listed[#listed + 1] = #listed < MAX_LISTED and name or nil
    end
  end
  return names, #listed > 0 and "has " .. table.concat(listed, ", ") or "has nobody"
end

local function check_name(check, key, path, what)
  local number = key:find "^%d+$" and math.tointeger(tonumber(key))
  if key == "" or number and number < 4294967295 then
    return
  end
  local names, listed = names_in(check, path)
  if not names[key] then
    check:error("unknown-user", path, ("the image runs as the %s %s, which is not in %s: that %s"):format(what, key, path, listed),
      ("add the %s, or name a number"):format(what))
  end
end

local function check_user(check)
  local spec = check.view:strings "/.banger/user"[1] or ""
  local user, group = spec:match "^([^:]*):?(.*)$"
  check_name(check, user, "/etc/passwd", "user")
  check_name(check, group, "/etc/group", "group")
end

---What banger-init runs.
---@param check banger.check.state
function M.program(check)
  if not check.init or check.init.kind ~= "banger" then
    return
  end
  check.mounted = true
  check_lengths(check)
  local native = check.view:strings "/.banger/native"[1]
  if native and native ~= "" then
    return check_native(check, native)
  end
  check.environment_list = check.view:strings "/.banger/env"
  check_directory(check)
  check_argv(check)
  check_user(check)
end

return M
