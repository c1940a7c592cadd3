---From an image, a kernel and what was asked for to the machine that is run.
local core = require "banger.core"

local M = {}

local host = core.host

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

---Words as a shell takes them.
---@param argv string[]
---@return string
---@example
---```lua
---plan.quote { "echo", "it's" } --> "echo 'it'\\''s'"
---```
function M.quote(argv)
  local words = {}
  for i, word in ipairs(argv) do
    words[i] = word:find "^[%w@%%+=:,./_%-]+$" and word or "'" .. word:gsub("'", "'\\''") .. "'"
  end
  return table.concat(words, " ")
end

return M
