---Configurations for Firecracker, as its --config-file takes them. Pure.
local json = require "banger.json"

local M = {}

-- The context of the machine in vsock addresses; up to 2 they are taken.
local CID = 3

---@param machine banger.machine # tap: the name of a network device of this machine
---@return string # JSON
---@example
---```lua
---cli.write(firecracker.config(machine), "\n")
---```
function M.config(machine)
  local drives = {}
  for i, path in ipairs(machine.disks) do
    drives[i] = { drive_id = i == 1 and "rootfs" or ("disk%d"):format(i - 1), path_on_host = path,
      is_root_device = i == 1, is_read_only = false }
  end
  return json.encode {
    ["boot-source"] = { kernel_image_path = machine.kernel, initrd_path = machine.initrd, boot_args = machine.cmdline },
    drives = drives,
    ["machine-config"] = { vcpu_count = machine.cpus, mem_size_mib = machine.memory },
    ["network-interfaces"] = machine.tap and { { iface_id = "eth0", host_dev_name = machine.tap } } or nil,
    vsock = machine.agent and { guest_cid = CID, uds_path = machine.agent } or nil,
  }
end

return M
