---Command lines for QEMU. Pure.
local M = {}

---What runs: all that a virtual machine monitor has to be told.
---@class banger.machine
---@field arch "amd64"|"arm64"
---@field kind "q35"|"microvm"|"virt"
---@field accel "kvm"|"tcg"
---@field memory integer # MiB
---@field cpus integer
---@field kernel string # path
---@field initrd? string # path
---@field cmdline string # of the kernel
---@field disks string[] # absolute paths: vda, vdb, ...
---@field snapshot? boolean # nothing is written into the disks
---@field forwards? { host: integer, guest: integer }[] # TCP ports of this machine's loopback; nil: no network
---@field agent? string # path of the socket to make for banger-init's agent
---@field console "tty"|"plain" # tty: raw, with QEMU's own keys behind Ctrl-A
---@field log? string # path of a copy of what the console shows
---@field control? integer # the descriptor of a socket that QEMU takes commands from
---@field extra? string[] # more arguments

local PROGRAMS = { amd64 = "qemu-system-x86_64", arm64 = "qemu-system-aarch64" }
local MACHINES = { q35 = "q35", microvm = "microvm,acpi=on,rtc=on,auto-kernel-cmdline=off", virt = "virt" }
local CPUS = { amd64 = "max,la57=off", arm64 = "cortex-a72" }

---The bus that a machine's virtio devices are on.
---@param kind "q35"|"microvm"|"virt"
---@return "pci"|"mmio"
---@example
---```lua
---qemu.bus "microvm" --> "mmio"
---```
function M.bus(kind)
  return kind == "microvm" and "mmio" or "pci"
end

---The program for an architecture.
---@param arch string
---@return string? # nil: none is known
---@example
---```lua
---qemu.program "arm64" --> "qemu-system-aarch64"
---```
function M.program(arch)
  return PROGRAMS[arch]
end

-- In QEMU's options a comma within a value is doubled.
local function value(text)
  return (text:gsub(",", ",,"))
end

local Line = {}
Line.__index = Line

function Line:add(...)
  for _, word in ipairs { ... } do
    self[#self + 1] = word
  end
end

-- A virtio device. The kernel of a microvm numbers them in the order given here, as long
-- as QEMU deals out the slots: it begins at the last. The first has no working interrupt
-- (in QEMU 7.2, interrupt 0 of any I/O APIC becomes its 2).
function Line:device(name, rest)
  self:add("-device", ("%s-%s%s"):format(name, self.bus == "pci" and "pci" or "device", rest or ""))
end

function Line:console(machine)
  local log = machine.log and (",logfile=%s"):format(value(machine.log)) or ""
  if machine.console == "tty" then
    self:add("-chardev", "stdio,id=console,mux=on,signal=off" .. log, "-serial", "chardev:console",
      "-mon", "chardev=console,mode=readline")
  else
    self:add("-chardev", "stdio,id=console,signal=off" .. log, "-serial", "chardev:console")
  end
end

function Line:control(machine)
  if machine.control then
    self:add("-chardev", ("socket,id=control,fd=%d"):format(machine.control), "-mon", "chardev=control,mode=readline")
  end
end

---What QEMU is told, by that socket, so that the guest stops by itself: the keys that every
---init knows, or the power button where a machine has no keyboard.
---@param kind "q35"|"microvm"|"virt"
---@return string
---@example
---```lua
---qemu.farewell "q35" --> "sendkey ctrl-alt-delete\n"
---```
function M.farewell(kind)
  return kind == "q35" and "sendkey ctrl-alt-delete\n" or "system_powerdown\n"
end

function Line:disks(machine)
  for i, path in ipairs(machine.disks) do
    self:add("-drive", ("file=%s,if=none,id=disk%d,format=raw%s"):format(value(path), i - 1, machine.snapshot and ",snapshot=on" or ""))
    self:device("virtio-blk", (",drive=disk%d"):format(i - 1))
  end
end

function Line:network(machine)
  if not machine.forwards then
    return
  end
  local user = "user,id=net0"
  for _, forward in ipairs(machine.forwards) do
    user = user .. (",hostfwd=tcp:127.0.0.1:%d-:%d"):format(forward.host, forward.guest)
  end
  self:add("-netdev", user)
  -- Nothing boots from the network: no program for that is to be looked for.
  self:device("virtio-net", ",netdev=net0" .. (self.bus == "pci" and ",romfile=" or ""))
end

function Line:agent(machine)
  if not machine.agent then
    return
  end
  self:add("-chardev", ("socket,id=agent,path=%s,server=on,wait=off"):format(value(machine.agent)))
  self:device("virtio-serial", ",id=serial0")
  self:add("-device", "virtserialport,bus=serial0.0,chardev=agent,name=banger.agent")
end

---@param machine banger.machine
---@return string[] argv
---@example
---```lua
---local argv = qemu.argv(machine)
---```
function M.argv(machine)
  local line = setmetatable({ bus = M.bus(machine.kind) }, Line)
  line:add(PROGRAMS[machine.arch], "-no-user-config", "-nodefaults", "-no-reboot", "-display", "none")
  line:add("-M", MACHINES[machine.kind], "-accel", machine.accel, "-cpu", machine.accel == "kvm" and "host" or CPUS[machine.arch])
  line:add("-m", ("%dM"):format(machine.memory), "-smp", tostring(machine.cpus))
  line:console(machine)
  line:add("-kernel", machine.kernel)
  if machine.initrd then
    line:add("-initrd", machine.initrd)
  end
  line:add("-append", machine.cmdline)
  line:disks(machine)
  line:network(machine)
  line:device "virtio-rng"
  line:agent(machine)
  line:control(machine)
  line:add(table.unpack(machine.extra or {}))
  return table.move(line, 1, #line, 1, {})
end

return M
