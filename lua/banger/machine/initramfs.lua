---The first file system of a machine: banger-init as /init, and the modules that the
---kernel needs to find its root. See src/guest/initramfs.h for what is done with it.
local core = require "banger.core"
local cpio = require "banger.machine.cpio"
local modules = require "banger.machine.modules"

local M = {}

local host = core.host
local TEXT_LIMIT, MODULE_LIMIT = 64 << 20, 64 << 20
local EXECUTABLE = tonumber("755", 8)

-- Without these there is no root; one of the buses is enough.
local ROOT = { pci = { "virtio_pci" }, mmio = { "virtio_mmio" } }
local NEEDED = { "virtio_blk", "ext4" }
-- What is good to have: the image seldom has modules of this kernel.
local WELCOME = { "virtio_pci", "virtio_mmio", "virtio_net", "virtio_rng", "virtio_console", "overlay",
  "vmw_vsock_virtio_transport", "af_packet", "button", "evdev" }

local function join(...)
  local all = {}
  for _, list in ipairs { ... } do
    table.move(list, 1, #list, #all + 1, all)
  end
  return all
end

local function read(path)
  return host.stat(path) and host.read_file(path, TEXT_LIMIT) or nil
end

local function load_index(dir)
  local builtin = read(dir .. "/modules.builtin")
  local index = modules.parse {
    dep = host.read_file(dir .. "/modules.dep", TEXT_LIMIT),
    builtin = builtin,
    softdep = read(dir .. "/modules.softdep"),
    alias = read(dir .. "/modules.alias"),
  }
  return index, builtin ~= nil
end

---The files of modules that a kernel has to load before it can have its root, and
---those for the other devices of a machine.
---@param kernel banger.kernel # with modules
---@param bus "pci"|"mmio"
---@return string[] paths # of this machine; empty where all is built in
---Raises `not_found` where a driver of the root is neither there nor built in.
function M.modules(kernel, bus)
  local index, sure = load_index(kernel.modules)
  local wanted = join(ROOT[bus], NEEDED)
  local _, missing = modules.order(index, wanted)
  if sure and #missing > 0 then
    core.error("not_found", ("the kernel %s has no driver %s: not in %s, and not built in"):format(
      kernel.path, table.concat(missing, ", "), kernel.modules))
  end
  local files = modules.order(index, join(wanted, WELCOME))
  for i, file in ipairs(files) do
    files[i] = kernel.modules .. "/" .. file
  end
  return files
end

---Put an initramfs together. The same files give the same bytes.
---@param init string # the program banger-init
---@param files string[] # of modules, in the order of loading
---@return string
---Raises `not_found`, `io`.
function M.make(init, files)
  local entries, order = {}, {}
  for _, name in ipairs { "dev", "modules", "proc", "root", "sys" } do
    entries[#entries + 1] = cpio.directory(name)
  end
  entries[#entries + 1] = cpio.file("init", init, EXECUTABLE)
  for i, path in ipairs(files) do
    local name = path:match "[^/]*$"
    order[i] = name .. "\0"
    entries[#entries + 1] = cpio.file("modules/" .. name, host.read_file(path, MODULE_LIMIT))
  end
  entries[#entries + 1] = cpio.file("modules/order", table.concat(order))
  return cpio.archive(entries)
end

---The initramfs that a kernel needs on a machine.
---@param kernel banger.kernel
---@param bus "pci"|"mmio"
---@param arch string # of the image
---@return string? archive # nil: the kernel needs none, or nothing is known of its modules
---Raises `not_found`, `platform`, `io`.
function M.build(kernel, bus, arch)
  if not kernel.modules then
    return nil
  end
  local files = M.modules(kernel, bus)
  if #files == 0 then
    return nil
  end
  local init = core.resource("guest/banger-init-" .. arch)
    or core.error("platform", ("there is no banger-init for %s, which an initramfs needs: give one with --initrd"):format(arch))
  return M.make(init, files)
end

return M
