---Whether this machine's KVM is of use.
local core = require "banger.core"

local M = {}

local host = core.host

-- A BIOS for x86 of one program: it goes from the reset vector to long mode, counts to
-- a million there, and ends QEMU through isa-debug-exit. Hosts that are virtual machines
-- themselves may have a /dev/kvm that does all but 64-bit code, or emulates it a
-- thousand times too slowly; a kernel shows nothing at all there. In assembler:
--
--       xor  %ax, %ax              # at f000:ff00
--       mov  %ax, %ds
--       movl $0x2003, 0x1000       # page tables: the first 2 MiB as they are
--       movl $0x3003, 0x2000
--       movl $0x83, 0x3000
--       lgdtl %cs:gdtr
--       mov  $0x1000, %eax;     mov %eax, %cr3
--       mov  $0x20, %eax;       mov %eax, %cr4       # PAE
--       mov  $0xc0000080, %ecx; xor %edx, %edx
--       mov  $0x100, %eax;      wrmsr                # EFER.LME
--       mov  $0x80000001, %eax; mov %eax, %cr0       # PG, PE
--       ljmpl $8, $long_mode
--     long_mode:
--       mov  $1000000, %ecx
--     1: dec %ecx
--       jnz  1b
--       mov  $0x10, %al
--       out  %al, $0xf4
--       hlt
--     gdt:  .quad 0, 0x00209a0000000000
--     gdtr: .word 15; .long gdt
--     at f000:fff0: ljmpw $0xf000, $0xff00
local CODE = "31c08ed866c70600100320000066c70600200330000066c7060030830000002e660f011678ff66b80010"
  .. "00000f22d866b8200000000f22e066b9800000c06631d266b8000100000f3066b8010000800f22c066ea5aff0f00"
  .. "0800b940420f00ffc975fcb010e6f4f4000000000000000000000000009a20000f0068ff0f00"
local RESET = "ea00ff00f0"
local SIZE, START, VECTOR = 0x10000, 0xff00, 0xfff0
local STATUS = 0x10 << 1 | 1 -- what isa-debug-exit makes of 0x10
local SECONDS = 3

local function bytes(hex)
  return (hex:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

---The program that shows whether 64-bit code runs, as a BIOS.
---@return string # 64 KiB
---@example
---```lua
---local image = accel.bios()
---```
function M.bios()
  local code, reset = bytes(CODE), bytes(RESET)
  local image = ("\0"):rep(START) .. code .. ("\0"):rep(VECTOR - START - #code) .. reset
  return image .. ("\0"):rep(SIZE - #image)
end

local function try(program, arch)
  if arch ~= "amd64" then
    -- There is no such door on other machines: whether QEMU can begin has to do.
    return host.run({ program, "-M", "virt", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none",
      "-m", "16M", "-S", "-monitor", "stdio" }, "quit\n", { timeout = SECONDS }).status == 0
  end
  return host.run({ program, "-M", "q35", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none", "-no-reboot",
    "-m", "16M", "-bios", "/dev/stdin", "-device", "isa-debug-exit,iobase=0xf4,iosize=4" }, M.bios(),
    { timeout = SECONDS }).status == STATUS
end

---What to run a machine with. KVM is tried: that a device is there says little.
---@param program string # QEMU
---@param arch string # of the machine
---@return "kvm"|"tcg"
---@return string? why # why it is not kvm, where that may surprise
---@example
---```lua
---local accel = accel.choose("qemu-system-x86_64", "amd64")
---```
---Raises `not_found` (no such program), `interrupted`.
function M.choose(program, arch)
  if arch ~= host.arch() or not host.stat "/dev/kvm" then
    return "tcg"
  end
  local device = io.open("/dev/kvm", "r+")
  if not device then
    return "tcg", "/dev/kvm may not be opened by this user"
  end
  device:close()
  local ok, works = pcall(try, program, arch)
  if not ok and works.code ~= "io" then
    error(works, 0)
  elseif not ok or not works then
    return "tcg", "/dev/kvm is there, but does not run 64-bit code"
  end
  return "kvm"
end

return M
