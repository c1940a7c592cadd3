---Devices that /etc/fstab names and a machine of one whole disk does not have.
local M = {}

local PATH = "/etc/fstab"
local NO_DEVICE = {}
for name in ([[
  proc sysfs tmpfs ramfs devpts devtmpfs cgroup cgroup2 mqueue hugetlbfs debugfs tracefs securityfs configfs fusectl bpf
  efivarfs binfmt_misc pstore overlay 9p virtiofs nfs nfs4 cifs smb3 ceph glusterfs none
]]):gmatch "%S+" do
  NO_DEVICE[name] = true
end

local function unescape(field)
  return (field:gsub("\\([0-3][0-7][0-7])", function(digits)
    return string.char(tonumber(digits, 8))
  end))
end

local function parse(line)
  local fields = {}
  for field in line:gmatch "%S+" do
    fields[#fields + 1] = unescape(field)
  end
  return { spec = fields[1], target = fields[2] or "", type = fields[3] or "", options = "," .. (fields[4] or "") .. "," }
end

local function is_wanted(entry)
  return not (entry.options:find(",noauto,", 1, true) or entry.options:find(",nofail,", 1, true)
    or NO_DEVICE[entry.type] or entry.type:find "^fuse")
end

-- A whole disk of virtio, the kernel's own devices, or what is no device at all.
local function is_there(path)
  return path == "/dev/root" or path:find "^/dev/vd%l$" or path:find "^/dev/ram%d" or path:find "^/dev/loop%d"
    or path:find "^/dev/zram%d"
end

-- Why the device is absent; nil where it is not, or nobody knows.
local function absence(check, entry)
  local super = check.facts.superblock
  local tag, value = entry.spec:match "^(%u+)=\"?([^\"]*)\"?$"
  local known = { UUID = super and super.uuid, LABEL = super and super.label }
  if tag == "UUID" or tag == "LABEL" then
    if not known[tag] and entry.target == "/" or known[tag] and known[tag]:lower() == value:lower() then
      return nil
    end
    local own = known[tag] and (known[tag] == "" and "and this one has none" or "and this one is " .. known[tag])
    return "which is another file system" .. (own and ", " .. own or "")
  elseif tag == "PARTUUID" or tag == "PARTLABEL" then
    return "and the disk has no partitions"
  elseif entry.spec:find "^/dev/" and not is_there(entry.spec) then
    return "which the machine does not have"
  elseif entry.spec:find "^/" and not entry.spec:find "^/dev/" and not check.view:at(entry.spec) then
    return "which is not in the image"
  end
end

local function consequence(check, entry)
  if check.main.kind ~= "systemd" then
    return false, ""
  elseif entry.type == "swap" then
    return false, "; systemd waits 90 seconds for it"
  elseif entry.target == "/" then
    return false, "; systemd leaves the root read-only"
  end
  return true, "; systemd waits 90 seconds for it and ends in emergency mode"
end

---@param check banger.check.state
function M.check(check)
  if not check.main then
    return -- banger-init mounts what a program expects, and reads no fstab
  end
  for _, line in ipairs(check.view:lines(PATH)) do
    local entry = parse(line)
    local why = is_wanted(entry) and absence(check, entry)
    if why then
      local is_fatal, effect = consequence(check, entry)
      local what = entry.type == "swap" and "swap" or entry.target
      local report = is_fatal and check.error or check.warn
      report(check, "fstab-device", PATH, ("%s has %s on %s, %s%s"):format(PATH, what, entry.spec, why, effect),
        entry.target == "/" and "name it /dev/vda, or remove the line" or "remove the line, or add the option nofail")
    end
  end
end

return M
