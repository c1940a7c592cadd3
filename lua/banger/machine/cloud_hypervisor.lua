---Command lines for cloud-hypervisor. Pure.
local M = {}

-- The context of the machine in vsock addresses; up to 2 they are taken.
local CID = 3

-- A value with a comma is quoted there.
local function value(key, text)
  return text:find "," and ('%s="%s"'):format(key, text) or ("%s=%s"):format(key, text)
end

---@param machine banger.machine # tap: the name of a network device of this machine
---@return string[] argv
---@example
---```lua
---local argv = cloud_hypervisor.argv(machine)
---```
function M.argv(machine)
  local argv = { "cloud-hypervisor", "--kernel", machine.kernel }
  local function add(...)
    table.move({ ... }, 1, select("#", ...), #argv + 1, argv)
  end
  if machine.initrd then
    add("--initramfs", machine.initrd)
  end
  add("--cmdline", machine.cmdline, "--cpus", ("boot=%d"):format(machine.cpus), "--memory", ("size=%dM"):format(machine.memory))
  add "--disk"
  for _, path in ipairs(machine.disks) do
    add(value("path", path))
  end
  add("--serial", "tty", "--console", "off", "--rng", "src=/dev/urandom")
  if machine.tap then
    add("--net", value("tap", machine.tap))
  end
  if machine.agent then
    add("--vsock", ("cid=%d,%s"):format(CID, value("socket", machine.agent)))
  end
  return argv
end

return M
