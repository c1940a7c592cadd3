---From an image, a kernel and what was asked for to the machine that is run.
local accel = require "banger.machine.accel"
local core = require "banger.core"
local qemu = require "banger.machine.qemu"

local M = {}

local host = core.host

local MIB = 1024 * 1024

local CONSOLES = { q35 = "ttyS0", microvm = "ttyS0", virt = "ttyAMA0" }
local KINDS = { amd64 = { "q35", "microvm" }, arm64 = { "virt" } }
-- The first address of QEMU's own network, its router and its name server.
local USER_NETWORK = "ip=10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3"

---The kinds of machines there are for an architecture, the usual one first.
---@param arch string
---@param asked? string
---@return "q35"|"microvm"|"virt"
---Raises `platform`, `usage`.
function M.kind(arch, asked)
  local kinds = KINDS[arch] or core.error("platform", ("there is no machine for %s images: only for amd64 and arm64"):format(arch))
  if not asked then
    return kinds[1]
  end
  for _, kind in ipairs(kinds) do
    if kind == asked then
      return kind
    end
  end
  core.error("usage", ("--machine %s: for %s images there is %s"):format(asked, arch, table.concat(kinds, ", ")))
end

---The kernel's command line.
---@param monitor "qemu"|"firecracker"|"cloud-hypervisor"
---@param kind string # of the machine
---@param facts banger.boot_facts
---@param options { network?: boolean, append?: string[], tsc_khz?: integer } # tsc_khz: tell the kernel its frequency
---@return string
---@example
---```lua
---plan.cmdline("qemu", "q35", { cmdline = {} }, { network = true })
---```
function M.cmdline(monitor, kind, facts, options)
  local words = { "console=" .. CONSOLES[kind] }
  if monitor == "firecracker" then
    -- It ends when the guest reboots, and has no PCI; reboot=k is how x86 does that.
    table.move({ "reboot=k", "panic=1", "pci=off" }, 1, 3, 2, words)
  else
    table.move({ "quiet", "panic=-1" }, 1, 2, 2, words)
  end
  if kind == "q35" and monitor == "qemu" then
    -- On a busy machine the kernel takes the emulated timer for broken, and panics.
    words[#words + 1] = "no_timer_check"
  end
  if options.tsc_khz then
    words[#words + 1] = ("tsc_early_khz=%d"):format(options.tsc_khz)
  end
  words[#words + 1] = "root=/dev/vda"
  words[#words + 1] = "rw"
  if options.network then
    words[#words + 1] = USER_NETWORK
  end
  for _, list in ipairs { facts.cmdline, options.append or {} } do
    table.move(list, 1, #list, #words + 1, words)
  end
  return table.concat(words, " ")
end

---A file that becomes a disk of the machine.
---@param path string
---@param option string # for messages
---@param written? boolean # the machine is to write into it
---@return string # absolute
---Raises `not_found`, `usage`, `io`.
function M.disk(path, option, written)
  local found = host.stat(path)
  if not found then
    core.error("not_found", ("%s %s: there is no such file"):format(option, path))
  elseif found.type ~= "file" and found.type ~= "block" then
    core.error("usage", ("%s %s: is neither a file nor a block device"):format(option, path))
  end
  local file, message = io.open(path, written and "r+" or "r")
  if not file then
    core.error("io", ("%s %s: may not be %s (%s)%s"):format(option, path, written and "written" or "read",
      message:match ": ([^:]*)$" or message, written and "; with --snapshot nothing is" or ""))
  end
  file:close()
  return host.realpath(path)
end

---A socket is made at this path: what else is there is not to be lost.
---@param path? string
---@return string?
---Raises `usage`.
function M.socket(path)
  local found = path and host.stat(path)
  if found and found.type ~= "socket" then
    core.error("usage", ("--agent %s: is there already, and no socket"):format(path))
  elseif path and #path > 107 then
    core.error("usage", ("--agent %s: a socket's path has at most 107 bytes"):format(path))
  end
  return path
end

---A path that means the same elsewhere, whether or not something is there.
---@param path? string
---@return string?
---@example
---```lua
---plan.absolute "agent.sock" --> "/home/me/agent.sock"
---```
function M.absolute(path)
  local dir, name = (path or ""):match "^(.-)([^/]+)$"
  local real = path and host.realpath(dir == "" and "." or dir)
  return real and (real == "/" and "" or real) .. "/" .. name or path
end

---The bus that the virtio devices of a machine are on.
---@param monitor "qemu"|"firecracker"|"cloud-hypervisor"
---@param kind string
---@return "pci"|"mmio"
function M.bus(monitor, kind)
  if monitor == "qemu" then
    return qemu.bus(kind)
  end
  return monitor == "firecracker" and "mmio" or "pci"
end

local function disks_of(options)
  local written = not options.snapshot and not options.print_cmdline
  local disks = { M.disk(options.image, "image", written) }
  for i, path in ipairs(options.disk) do
    disks[i + 1] = M.disk(path, "--disk", written)
  end
  return disks
end

local function initrd_of(options, archive)
  if options.initrd then
    return M.disk(options.initrd, "--initrd")
  end
  return M.absolute(options.initrd_out) or archive and "initramfs.cpio"
end

---@class banger.machine_parts
---@field arch string
---@field kind "q35"|"microvm"|"virt"
---@field facts banger.boot_facts
---@field kernel banger.kernel
---@field archive? string # the initramfs that was made
---@field extra string[] # arguments for QEMU

---The machine, of what was asked for and what was found.
---@param options table # run's
---@param parts banger.machine_parts
---@return banger.machine
---@return string? why # why it is emulated, where that may surprise
---Raises `not_found`, `usage`, `io`, `interrupted`.
function M.machine(options, parts)
  local monitor, arch, kind = options.print_cmdline or "qemu", parts.arch, parts.kind
  local initrd, disks = initrd_of(options, parts.archive), disks_of(options)
  local network = monitor == "qemu" and not options.no_network
  local program, how, why = qemu.program(arch), options.accel, nil
  if not options.print_cmdline then
    M.installed(program, arch, os.getenv "PATH")
  end
  if how == "auto" and monitor == "qemu" then
    how, why = accel.choose(program, arch)
  end
  -- An emulated microvm has no other clock to measure this by than one that stumbles on a busy machine.
  local tsc_khz = kind == "microvm" and how == "tcg" and monitor == "qemu" and host.tsc_khz() or nil
  -- What is printed is for any directory; a socket's name may not be long.
  local place = options.print_cmdline and M.absolute or function(path) return path end
  return {
    arch = arch, kind = kind, accel = how, memory = options.memory // MIB, cpus = options.cpus,
    kernel = parts.kernel.path, initrd = initrd,
    cmdline = M.cmdline(monitor, kind, parts.facts, { network = network, append = options.append, tsc_khz = tsc_khz }),
    disks = disks, snapshot = options.snapshot,
    forwards = network and options.forward or nil, tap = options.tap, agent = M.socket(place(options.agent)),
    console = host.has_terminal() and "tty" or "plain", log = place(options.log), extra = parts.extra,
  }, why
end

local PACKAGES = { amd64 = "qemu-system-x86", arm64 = "qemu-system-arm" }

---A program has to be somewhere in PATH.
---@param program string
---@param arch string # that it is for
---@param path? string # as $PATH has it
---Raises `not_found`, with the package that has it.
function M.installed(program, arch, path)
  for dir in (path or ""):gmatch "[^:]+" do
    if host.stat(dir .. "/" .. program) then
      return
    end
  end
  core.error("not_found", ("%s is not installed: on Debian and Ubuntu it is in the package %s"):format(program, PACKAGES[arch]))
end

return M
