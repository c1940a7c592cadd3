---The contract of a bootable root file system: what every machine needs, whatever its
---init is.

local M = {}

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

local function directory(plan, want)
  local found = plan:at(want.path)
  if found and found.type == "dir" then
    return
  elseif found then
    return plan:warn("%s is a %s, not a directory: left as it is", want.path, found.type)
  end
  local path = plan:dangling_end(want.path)
  if not path or not plan:has_parent(path) then
    return plan:warn("%s is a link that leads nowhere: left as it is", want.path)
  end
  local why = path == want.path and "is absent" or want.path .. " is a link to it, and it is absent"
  plan:add({ path = path, type = "dir", mode = want.mode }, why)
end

local function device(plan, want)
  local found = plan:entry_at(want.path)
  if found and found.type == "char" then
    return
  end
  -- Container engines leave an empty file where they mount the device.
  local placeholder = found and found.type == "file" and found.size == 0
  if found and not placeholder or not plan:has_parent(want.path) then
    return plan:warn("%s cannot be made a device: something else is there", want.path)
  end
  if placeholder then
    plan:add({ path = want.path, type = "remove" }, "is an empty file in a device's place")
  end
  plan:add({
    path = want.path, type = "char", major = want.major, minor = want.minor, mode = want.mode,
  }, placeholder and "takes its place" or "is absent")
end

local function resolv_conf(plan, content, kept)
  local path = "/etc/resolv.conf"
  local entry = plan:entry_at(path)
  if not entry or entry.type ~= "symlink" or plan:at(path) then
    return plan:file(path, content)
  elseif kept and kept(entry.target) then
    return
  end
  -- Through the link the file would land in /run or worse, and be gone at boot.
  plan:add({ path = path, type = "remove" }, "is a dangling link")
  plan:add({ path = path, type = "file", content = content, mode = FILE_MODE }, "takes the link's place")
end

---Whether a text can be the name of a machine: what the kernel and every init take.
---@param text any
---@return boolean
function M.is_hostname(text)
  return type(text) == "string" and #text <= 64 and text:find "^%w[%w.-]*$" ~= nil
end

-- The name the image has for itself, else the config's, else ours.
local function own_hostname(plan, config)
  local found = plan:at "/etc/hostname"
  local own = found and found.type == "file"
    and plan.rootfs:read("/etc/hostname", { size = 256 }):match "^%s*(%S+)"
  for _, name in ipairs { own or "", config and config.config.Hostname or "" } do
    if M.is_hostname(name) then
      return name
    end
  end
  return HOSTNAME
end

local function hostname(plan, name, asked)
  local path = "/etc/hostname"
  local found = plan:at(path)
  local has = found and found.type == "file" and found.size > 0
  if not asked or not has and not plan:entry_at(path) or found and found.type == "file" and found.size == 0 then
    return plan:file(path, name .. "\n", asked and "asked for" or nil)
  end
  -- What comes after its line, a recipe has appended.
  if has and plan.rootfs:read(path, { size = 256 }):match "^[^\n]*" == name then
    return
  end
  plan:own_file(path, name .. "\n", "asked for")
end

local HOSTS = "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n"
local RESOLV = "# No name server was known when this image was built.\n"
local FSTAB = "# The kernel mounts the root file system, by root= on its command line.\n"

local function each(plan, list, work)
  for _, want in ipairs(list) do
    work(plan, want)
  end
end

local function unmark(plan, path)
  if plan:entry_at(path) then
    plan:add({ path = path, type = "remove" }, "marks a container; this will be a machine")
  end
end

---@class banger.contract_options
---@field hostname? string # in place of the image's own
---@field hostname_by? string # the image recipe that asks for it
---@field keeps_resolv_conf? fun(target: string): boolean # whether a dangling link is right, since its target is made at boot

---Add what a rootfs lacks of the contract. What the image has is kept.
---@param plan banger.plan
---@param config? banger.config
---@param options? banger.contract_options
function M.add(plan, config, options)
  options = options or {}
  if plan:begin "directories" then
    each(plan, DIRECTORIES, directory)
  end
  if plan:begin "devices" then
    each(plan, DEVICES, device)
  end
  local name = options.hostname or own_hostname(plan, config)
  if plan:begin("hostname", options.hostname_by) then
    hostname(plan, name, options.hostname ~= nil)
  end
  if plan:begin "hosts" then
    plan:file("/etc/hosts", HOSTS:format(name))
  end
  if plan:begin "resolv.conf" then
    resolv_conf(plan, RESOLV, options.keeps_resolv_conf)
  end
  if plan:begin "fstab" then
    plan:absent_file("/etc/fstab", FSTAB)
  end
  if plan:begin "container-marks" then
    each(plan, CONTAINER_MARKS, unmark)
  end
end

return M
