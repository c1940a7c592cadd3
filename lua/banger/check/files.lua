---Files and directories that a machine needs, and those that only a container has.
local view = require "banger.check.view"

local M = {}

local DIRECTORIES = { { "/dev", true }, { "/proc", true }, { "/sys", true }, { "/run" }, { "/tmp" }, { "/etc" }, { "/root" } }
local DEVICES = { { "/dev/console", 5, 1 }, { "/dev/null", 1, 3 } }
local PULL = "pull the image without --no-inject"

---Where the kernel and the init mount what a program expects.
---@param check banger.check.state
function M.directories(check)
  for _, want in ipairs(DIRECTORIES) do
    local path, needed = want[1], want[2]
    local found = check.view:at(path)
    local report = needed and check.error or check.warn
    if not found then
      local link = check.view:entry(path)
      report(check, "missing-directory", path, link and ("%s is a link to %s, which is not there"):format(path, link.target)
        or ("%s is not there"):format(path), PULL)
    elseif found.type ~= "dir" then
      report(check, "missing-directory", path, ("%s is a %s, not a directory"):format(path, found.type), "make it a directory")
    end
  end
  local tmp = check.view:at "/tmp"
  if tmp and tmp.type == "dir" and tmp.mode ~= tonumber("1777", 8) then
    check:warn("tmp-mode", "/tmp", ("/tmp has the mode %04o"):format(tmp.mode), "give it the mode 1777, or only root can use it")
  end
end

---What the kernel opens before there is anything else.
---@param check banger.check.state
function M.devices(check)
  for _, want in ipairs(DEVICES) do
    local path, major, minor = want[1], want[2], want[3]
    local found = check.view:at(path)
    if not found then
      check:warn("missing-device", path, ("%s is not there"):format(path), PULL)
    elseif found.type ~= "char" or found.major ~= major or found.minor ~= minor then
      check:warn("missing-device", path, ("%s is not the device %d:%d"):format(path, major, minor), "remove it and " .. PULL)
    end
  end
end

---@param check banger.check.state
function M.container_marks(check)
  for _, path in ipairs { "/.dockerenv", "/run/.containerenv" } do
    if check.view:entry(path) then
      check:warn("container-mark", path, ("%s says that this is a container"):format(path), "remove it: inits leave things out for it")
    end
  end
end

-- Who makes the file behind a link to /run when the machine is up.
local MAKERS = {
  { "^/run/systemd/resolve/", "/usr/lib/systemd/systemd-resolved", "/lib/systemd/systemd-resolved" },
  { "^/run/NetworkManager/", "/usr/sbin/NetworkManager", "/sbin/NetworkManager" },
  { "^/run/resolvconf/", "/usr/sbin/resolvconf", "/sbin/resolvconf" },
  { "^/run/connman/", "/usr/sbin/connmand", "/sbin/connmand" },
}

local function is_made(check, target)
  target = target:gsub("^/[^/]+/%.%./", "/"):gsub("^/var/run/", "/run/")
  for _, maker in ipairs(MAKERS) do
    for i = 2, target:find(maker[1]) and #maker or 0 do
      if check.view:at(maker[i]) then
        return true
      end
    end
  end
  return false
end

---@param check banger.check.state
function M.resolv_conf(check)
  local path = "/etc/resolv.conf"
  local entry = check.view:entry(path)
  if entry and entry.type == "symlink" and not check.view:at(path) and not is_made(check, view.target(path, entry)) then
    check:warn("dangling-resolv.conf", path, ("%s is a link to %s, which nothing makes"):format(path, entry.target),
      "make it a file, or no name is found")
  end
end

-- Whether a line of /etc/hosts, without its comment, is for that name.
local function names(line, wanted)
  local _, stop = line:find "^%s*%S+"
  for name in line:sub((stop or #line) + 1):gmatch "%S+" do
    if name:lower() == wanted then
      return true
    end
  end
  return false
end

---Most programs find localhost nowhere else.
---@param check banger.check.state
function M.hosts(check)
  local path = "/etc/hosts"
  local text = check.view:text(path)
  for line in (text or ""):gmatch "[^\n]+" do
    if names(line:gsub("#.*", ""), "localhost") then
      return
    end
  end
  if text then
    check:warn("no-localhost", path, ("%s has no line for localhost, so programs do not find the machine itself"):format(path),
      "add the line '127.0.0.1 localhost'")
  end
end

-- What systemd takes for an id; "uninitialized" and anything else it replaces.
local function machine_id(check, path)
  return (check.view:text(path) or ""):match "^%x+%s*$"
end

-- Whether the machine has run, and has an id that is its own: pull left none in it.
local function is_in_use(check)
  local record = check.facts.record
  local injected = record and type(record.injected) == "table" and record.injected or {}
  for _, entry in ipairs(injected) do
    if type(entry) == "table" and entry.item == "machine-id" then
      return true
    end
  end
  return record ~= nil and check.facts.superblock ~= nil and check.facts.superblock.mounted == true
end

---systemd's identity, which it makes itself where the file is empty. Nobody else fills it:
---a program that banger-init runs is better off with what its image has.
---@param check banger.check.state
function M.machine_id(check)
  local path, dbus = "/etc/machine-id", "/var/lib/dbus/machine-id"
  local found = check.view:at(path)
  if not check.main or check.main.kind ~= "systemd" or found and is_in_use(check) then
    return
  elseif machine_id(check, path) then
    check:warn("machine-id", path, ("%s is not empty: every machine made of this image is the same one"):format(path),
      "empty the file; it is filled at the first boot")
  elseif not found then
    check:warn("missing-machine-id", path, ("%s is not there, so systemd asks questions at the first boot"):format(path),
      "make an empty file")
  end
  local entry = check.view:entry(dbus)
  if entry and entry.type == "file" and machine_id(check, dbus) then
    check:warn("machine-id", dbus, ("%s is not empty: every machine made of this image is the same one"):format(dbus),
      "make it a link to /etc/machine-id")
  end
end

return M
