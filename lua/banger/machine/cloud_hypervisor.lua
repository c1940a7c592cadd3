---Command lines for cloud-hypervisor. Pure.
local M = {}

-- The context of the machine in vsock addresses; up to 2 they are taken.
local CID = 3

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
    -- A value with a comma is quoted there.
    add(path:find "," and ('path="%s"'):format(path) or "path=" .. path)
  end
  add("--serial", "tty", "--console", "off", "--rng", "src=/dev/urandom")
  if machine.tap then
    add("--net", "tap=" .. machine.tap)
  end
  if machine.agent then
    add("--vsock", ("cid=%d,socket=%s"):format(CID, machine.agent))
  end
  return argv
end

return M
