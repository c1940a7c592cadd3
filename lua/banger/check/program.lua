---Whether the kernel would run a program of an image: what it looks at, from the file's
---mode to the loader of the interpreter of a script.
local library = require "banger.check.library"
local view = require "banger.check.view"

local M = {}

-- The kernel's limits: of a script's first line, and of interpreters of interpreters.
local LINE = 256
local DEPTH = 5

local DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

-- What also runs, where the kernel has 32-bit emulation.
local COUSINS = { amd64 = { ["386"] = true, x32 = true }, arm64 = { arm = true } }

---Where a merged-/usr image would have the path: nil where it has nothing there.
---@param check banger.check.state
---@param path string
---@return string? twin
---@return string? top # the directory that should be a link, such as /lib64
function M.merged_twin(check, path)
  local top = path:match "^/[^/]+"
  if not (top == "/bin" or top == "/sbin" or top and top:find "^/lib%w*$") or not check.view:at("/usr" .. path) then
    return nil
  end
  local entry = check.view:entry(top)
  if entry and entry.type == "symlink" then
    return nil
  end
  return "/usr" .. path, top
end

---Report that a path is missing whose twin below /usr is there. False where it is not.
function M.report_unmerged(check, path, needed_by)
  local twin, top = M.merged_twin(check, path)
  if twin then
    check:error("broken-merged-usr", top, ("%s is not there, which %s, though %s is: %s is %s"):format(path, needed_by, twin, top,
      check.view:entry(top) and "a directory of its own, not a link to usr" .. top or "missing"),
      ("move what is in %s to /usr%s and make it a link"):format(top, top))
  end
  return twin ~= nil
end

-- The loader or interpreter that `path` names is not there.
local function report_missing(check, path, interpreter)
  if check.view:has_failed(interpreter) then
    return
  end
  local shown = interpreter:gsub("\r$", "")
  if shown ~= interpreter then
    return check:error("missing-interpreter", path, ("%s has the line '#!%s', which ends in a carriage return"):format(path, interpreter),
      "save it with the line ends of Unix")
  elseif M.report_unmerged(check, interpreter, path .. " needs") then
    return
  end
  local link = check.view:entry(interpreter)
  local how = link and link.type == "symlink" and ", which is a link to %s, and that is not there" or ", which is not there"
  local musl = interpreter:find("ld-musl-", 1, true)
  local remedy = "add the package that has it"
  if interpreter:find "^/lib" and interpreter:find("ld-", 1, true) then
    remedy = ("install %s in the image, or build %s static"):format(musl and "musl" or "the C library", view.base(path))
  end
  check:error("missing-interpreter", path, ("%s needs %s" .. how):format(path, interpreter, link and link.target), remedy)
end

local function runs_on(want, got)
  return want == got or COUSINS[want] ~= nil and COUSINS[want][got] ~= nil
end

local function check_architecture(check, path, found)
  local want = check.architecture
  if not want then
    check.architecture = found.architecture
  elseif not runs_on(want, found.architecture) then
    check:error("wrong-architecture", path, ("%s is a program for %s; the image is for %s"):format(path, found.architecture, want),
      "pull the image for the platform that it is to run on")
  elseif want ~= found.architecture then
    check:warn("wrong-architecture", path, ("%s is a program for %s, and the image is for %s"):format(path, found.architecture, want),
      "give it a kernel with 32-bit emulation")
  end
end

local function check_loader(check, path, found)
  local loader = found.interpreter
  if not check.view:at(loader) then
    return report_missing(check, path, loader)
  end
  local parsed, message = check.view:elf(loader)
  if not check.view:is(loader, "file") or not parsed then
    return check:error("bad-program", loader, ("%s, which %s needs, %s"):format(loader, path, message or "is no file"),
      "install it anew")
  elseif not view.is_executable(check.view:at(loader)) then
    return check:error("not-executable", loader, ("%s, which %s needs, is not executable"):format(loader, path), "give it the mode 0755")
  elseif parsed.machine ~= found.machine or parsed.class ~= found.class then
    return check:error("wrong-architecture", path, ("%s is a program for %s; its loader %s is for %s"):format(path, found.architecture,
      loader, parsed.architecture), "layers of two platforms were mixed: build the image for one")
  end
  library.check(check, path, found)
end

local function check_elf(check, path)
  local found, message = check.view:elf(path)
  if not found then
    return check:error("bad-program", path, ("%s %s"):format(path, message), "install it anew")
  end
  check_architecture(check, path, found)
  if found.interpreter then
    check_loader(check, path, found)
  end
end

-- `#!/usr/bin/env NAME`: the interpreter is what NAME is in PATH.
local function check_env(check, path, interpreter, argument)
  if view.base(interpreter) ~= "env" then
    return
  end
  local name = argument:match "^%-S%s+(%S+)" or argument:match "^[^%s=-]+"
  if name and not name:find "=" and not M.find(check, name) then
    check:error("missing-interpreter", path, ("%s needs %s, which is not in PATH=%s"):format(path, name, check:path()),
      "add the package that has it")
  end
end

local function check_script(check, path, head, depth)
  local line = head:match "^#!([^\n]*)"
  local interpreter, argument = line:match "^[ \t]*([^ \t]+)[ \t]*(.*)$"
  if not interpreter then
    return check:error("bad-program", path, ("%s is a script that names no interpreter"):format(path), "begin it with #!/bin/sh")
  elseif depth >= DEPTH then
    return check:error("bad-program", path, ("%s is a script for a script, more than %d times"):format(path, DEPTH),
      "name a program behind #!")
  elseif not check.view:at(interpreter) then
    return report_missing(check, path, interpreter)
  end
  M.check(check, interpreter, depth + 1)
  check_env(check, path, interpreter, argument)
end

---Check a file that is there.
---@param check banger.check.state
---@param path string
---@param depth? integer
function M.check(check, path, depth)
  local found = check.view:at(path)
  if found.type ~= "file" then
    return check:error("not-executable", path, ("%s is a %s, not a program"):format(path, found.type), "put the program in its place")
  elseif not view.is_executable(found) then
    return check:error("not-executable", path, ("%s is not executable"):format(path), "give it the mode 0755")
  end
  local head = check.view:read(path, 0, LINE)
  if not head then
    return -- unreadable, which is told elsewhere
  elseif head:sub(1, 4) == "\127ELF" then
    check_elf(check, path)
  elseif head:sub(1, 2) == "#!" then
    check_script(check, path, head, depth or 0)
  else
    check:error("bad-program", path, ("%s is %s"):format(path, #head == 0 and "empty" or "neither an ELF program nor a script"),
      #head == 0 and "install it anew" or "begin a script with #!/bin/sh")
  end
end

---Where a program is, as banger-init looks for it.
---@param check banger.check.state
---@param name string # a path, or a name for PATH
---@return string? path # the first that is executable
---@return string? other # what is there and is not executable
function M.find(check, name)
  if name:find "/" then
    local path = name:find "^/" and name or (check:directory() .. "/" .. name):gsub("^//", "/")
    return check.view:at(path) and path
  end
  local other
  for dir in (check:path() .. ":"):gmatch "([^:]*):" do
    local path = (dir:find "^/" and dir or check:directory() .. "/" .. dir):gsub("/*$", "") .. "/" .. name
    local found = check.view:at(path)
    if view.is_executable(found) then
      return path
    end
    other = other or found and path
  end
  return nil, other
end

M.DEFAULT_PATH = DEFAULT_PATH

return M
