---What an image needs to boot: pure decisions over the read side of a rootfs.
local guest_init = require "banger.guest_init"

local M = { detect_init = guest_init.detect }

---@class banger.guest_entry: banger.entry
---@field why string # one reason, for reports

local HOSTNAME = "banger"
local DIRECTORIES = {
  { path = "/dev", mode = tonumber("755", 8) },
  { path = "/proc", mode = tonumber("555", 8) },
  { path = "/sys", mode = tonumber("555", 8) },
  { path = "/run", mode = tonumber("755", 8) },
  { path = "/tmp", mode = tonumber("1777", 8) },
  { path = "/etc", mode = tonumber("755", 8) },
  { path = "/root", mode = tonumber("700", 8) },
}
local DEVICES = {
  { path = "/dev/console", major = 5, minor = 1, mode = tonumber("600", 8) },
  { path = "/dev/null", major = 1, minor = 3, mode = tonumber("666", 8) },
}
local CONTAINER_MARKS = { "/.dockerenv", "/run/.containerenv" }
local FILE_MODE = tonumber("644", 8)
local MAX_LINKS = 40

-- One contract in the making: what to inject, what had to be left undone, and
-- the read side that decides.
local Plan = {}
Plan.__index = Plan

function Plan:add(entry, why)
  entry.uid, entry.gid, entry.why = 0, 0, why
  self.entries[#self.entries + 1] = entry
end

function Plan:warn(format, ...)
  self.warnings[#self.warnings + 1] = format:format(...)
end

-- What is at the path, links followed; nil for nothing and for a dangling link.
function Plan:at(path)
  return self.rootfs:stat(path, { follow = true })
end

-- The path's own entry, be it a link.
function Plan:entry_at(path)
  return self.rootfs:stat(path)
end

local function parent_of(path)
  return path:match "^(.+)/[^/]+$" or "/"
end

-- A link's target as a path from the root. Components that are links themselves
-- are left to whoever walks the result.
local function join(parent, target)
  local parts = {}
  for part in (target:sub(1, 1) == "/" and target or parent .. "/" .. target):gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

-- Where the directory of a dangling link would have to be.
function Plan:dangling_end(path)
  for _ = 1, MAX_LINKS do
    local entry = self:entry_at(path)
    if not entry then
      return path
    elseif entry.type ~= "symlink" then
      return nil
    end
    path = join(self.rootfs:resolve(parent_of(path)) or parent_of(path), entry.target)
  end
  return nil
end

function Plan:directory(want)
  local found = self:at(want.path)
  if found and found.type == "dir" then
    return
  elseif found then
    return self:warn("%s is a %s, not a directory: left as it is", want.path, found.type)
  end
  local path = self:dangling_end(want.path)
  if not path then
    return self:warn("%s is a link that leads nowhere: left as it is", want.path)
  end
  local why = path == want.path and "is absent" or want.path .. " is a link to it, and it is absent"
  self:add({ path = path, type = "dir", mode = want.mode }, why)
end

-- Whether something can be made at the path: its directory is there or will be.
function Plan:has_parent(path)
  local parent = self:at(parent_of(path))
  return parent == nil or parent.type == "dir"
end

function Plan:device(want)
  local found = self:entry_at(want.path)
  if found and found.type == "char" then
    return
  end
  -- Container engines leave an empty file where they mount the device.
  local placeholder = found and found.type == "file" and found.size == 0
  if found and not placeholder or not self:has_parent(want.path) then
    return self:warn("%s cannot be made a device: something else is there", want.path)
  end
  if placeholder then
    self:add({ path = want.path, type = "remove" }, "is an empty file in a device's place")
  end
  self:add({
    path = want.path, type = "char", major = want.major, minor = want.minor, mode = want.mode,
  }, placeholder and "takes its place" or "is absent")
end

-- An empty file is filled where it is, through links, with the attributes it has.
function Plan:fill(path, found, content)
  self:add({
    path = self.rootfs:resolve(path) or path,
    type = "file", content = content, mode = found.mode,
  }, "is empty")
  local entry = self.entries[#self.entries]
  entry.uid, entry.gid = found.uid, found.gid
end

function Plan:file(path, content)
  local found = self:at(path)
  if found and found.type == "file" and found.size == 0 then
    return self:fill(path, found, content)
  end
  if not self:entry_at(path) and self:has_parent(path) then
    self:add({ path = path, type = "file", content = content, mode = FILE_MODE }, "is absent")
  end
end

function Plan:resolv_conf(content)
  local path = "/etc/resolv.conf"
  local entry = self:entry_at(path)
  if not entry or entry.type ~= "symlink" or self:at(path) then
    return self:file(path, content)
  end
  -- Through the link the file would land in /run or worse, and be gone at boot.
  self:add({ path = path, type = "remove" }, "is a dangling link")
  self:add({ path = path, type = "file", content = content, mode = FILE_MODE }, "takes the link's place")
end

function Plan:fstab(content)
  local path = "/etc/fstab"
  if not self:entry_at(path) and self:has_parent(path) then
    self:add({ path = path, type = "file", content = content, mode = FILE_MODE }, "is absent")
  end
end

function Plan:unmark(path)
  if self:entry_at(path) then
    self:add({ path = path, type = "remove" }, "marks a container; this will be a machine")
  end
end

local function is_name(text)
  return type(text) == "string" and #text <= 64 and text:find "^%w[%w.-]*$" ~= nil
end

-- The name the image has for itself, else the config's, else ours.
function Plan:hostname(config)
  local found = self:at "/etc/hostname"
  local own = found and found.type == "file"
    and self.rootfs:read("/etc/hostname", { size = 256 }):match "^%s*(%S+)"
  for _, name in ipairs { own or "", config and config.config.Hostname or "" } do
    if is_name(name) then
      return name
    end
  end
  return HOSTNAME
end

local HOSTS = "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n"
local RESOLV = "# No name server was known when this image was built.\n"
local FSTAB = "# The kernel mounts the root file system, by root= on its command line.\n"

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
  local plan = setmetatable({ rootfs = rootfs, entries = {}, warnings = {} }, Plan)
  for _, want in ipairs(DIRECTORIES) do
    plan:directory(want)
  end
  for _, want in ipairs(DEVICES) do
    plan:device(want)
  end
  local hostname = plan:hostname(config)
  plan:file("/etc/hostname", hostname .. "\n")
  plan:file("/etc/hosts", HOSTS:format(hostname))
  plan:resolv_conf(RESOLV)
  plan:fstab(FSTAB)
  for _, path in ipairs(CONTAINER_MARKS) do
    plan:unmark(path)
  end
  return plan.entries, plan.warnings
end

-- Where the kernel looks for an init by itself, if nothing is there.
local function link_init(rootfs, entries)
  if rootfs:stat "/sbin/init" then
    return
  end
  entries[#entries + 1] = { path = "/sbin/init", type = "symlink", target = "/.banger/init", uid = 0, gid = 0,
    why = "is absent, and is what the kernel runs" }
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

---@class banger.guest_plan
---@field entries banger.guest_entry[] # for `inject`, in this order
---@field warnings string[]
---@field init banger.init_choice

---Everything to inject so that a rootfs boots and does what the image is for: the
---contract, and banger-init where the image's program is no init.
---@param rootfs banger.tree # its read side
---@param config banger.config
---@param options? { init?: string } # "auto" (the default), "native", "banger", "none", or the path of a program in the image
---@return banger.guest_plan
---@example
---```lua
---local plan = guest.prepare(rootfs, image.config)
---banger.inject(rootfs, plan.entries)
---```
function M.prepare(rootfs, config, options)
  local entries, warnings = M.contract(rootfs, config)
  local want = options and options.init
  local init = want == "none" and { kind = "none", argv = guest_init.argv(config), why = "asked for" }
    or M.detect_init(rootfs, config, want)
  if init.kind == "banger" then
    local more, message = guest_init.entries(config, {})
    for _, entry in ipairs(more or {}) do
      entries[#entries + 1] = entry
    end
    if more then
      link_init(rootfs, entries)
    else
      init = { kind = "none", argv = init.argv, why = message }
    end
  end
  if init.kind == "none" and want ~= "none" then
    warnings[#warnings + 1] = init.why .. "; it does not boot by itself (--init names a program in it)"
  end
  return { entries = entries, warnings = warnings, init = init }
end

return M
