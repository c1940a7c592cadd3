---ELF files, as far as the kernel and a dynamic loader look at them before they run one.
---Pure: bytes come from a function that is passed in. Nothing in a file is trusted; every
---count has a bound.
local M = {}

---@class banger.elf
---@field class 32|64
---@field endian "<"|">" # as string.unpack has it
---@field machine integer # e_machine
---@field architecture string # as image configs call it; "machine 999" for what we have no name for
---@field type "program"|"shared" # ET_EXEC; ET_DYN, which a position-independent program is too
---@field interpreter? string # PT_INTERP: the loader's path; none in a static program
---@field needed string[] # DT_NEEDED, in order
---@field rpath? string
---@field runpath? string
---@field damaged? string # what is wrong with the dynamic section, where something is

-- What the kernel takes at most.
local MAX_HEADERS = 65536
local MAX_PATH = 4096
-- Ours: what real files are far below.
local MAX_DYNAMIC = 65536
local MAX_NEEDED = 256
local MAX_NAME = 4096

local PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
local DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 1, 5, 10, 15, 29
local TYPES = { [2] = "program", [3] = "shared" }
local OTHER_TYPES = { [0] = "of no type", "an object file", [4] = "a core dump" }

local LAYOUT = {
  [32] = { header = 52, program = 32, phoff = "I4", phoff_at = 0x1D, counts_at = 0x2B, dynamic = 8, word = "I4" },
  [64] = { header = 64, program = 56, phoff = "I8", phoff_at = 0x21, counts_at = 0x37, dynamic = 16, word = "I8" },
}

-- By e_machine; two names where the class decides, a pair by byte order.
local MACHINES = {
  [3] = "386", [40] = "arm", [183] = "arm64", [243] = { [32] = "riscv32", [64] = "riscv64" },
  [62] = { [32] = "x32", [64] = "amd64" }, [22] = { [32] = "s390", [64] = "s390x" },
  [20] = "ppc", [21] = { ["<"] = "ppc64le", [">"] = "ppc64" }, [258] = "loong64",
}

local function architecture(machine, class, endian)
  local name = MACHINES[machine]
  if type(name) == "table" then
    name = name[class] or name[endian]
  end
  if machine == 8 then
    name = "mips" .. (class == 64 and "64" or "") .. (endian == "<" and "le" or "")
  end
  return name or ("machine %d"):format(machine)
end

-- All of the bytes, or nil. Numbers of 64 bits may come out negative.
local function exactly(read, offset, size)
  if offset < 0 or size < 0 or offset > math.maxinteger - size then
    return nil
  end
  local bytes = read(offset, size)
  return bytes and #bytes == size and bytes or nil
end

local function parse_header(read)
  local head = read(0, 64) or ""
  if head:sub(1, 4) ~= "\127ELF" then
    return nil, "is no ELF file"
  end
  local class = ({ 32, 64 })[head:byte(5)]
  local endian = ({ "<", ">" })[head:byte(6)]
  if not class or not endian then
    return nil, "is an ELF file of a class or byte order that does not exist"
  elseif #head < LAYOUT[class].header then
    return nil, "is an ELF file that is cut off in its header"
  end
  local layout = LAYOUT[class]
  local kind, machine = (endian .. "I2I2"):unpack(head, 17)
  local phoff = (endian .. layout.phoff):unpack(head, layout.phoff_at)
  local phentsize, phnum = (endian .. "I2I2"):unpack(head, layout.counts_at)
  if not TYPES[kind] then
    return nil, ("is no program: an ELF file that is %s"):format(OTHER_TYPES[kind] or "of type " .. kind)
  end
  local elf = { class = class, endian = endian, machine = machine, type = TYPES[kind], needed = {},
    architecture = architecture(machine, class, endian) }
  return elf, { offset = phoff, size = phentsize, count = phnum }
end

local function parse_segment(elf, bytes, at)
  if elf.class == 64 then
    local kind, _, offset, vaddr, _, filesz = (elf.endian .. "I4I4i8i8i8i8"):unpack(bytes, at)
    return { kind = kind, offset = offset, vaddr = vaddr, size = filesz }
  end
  local kind, offset, vaddr, _, filesz = (elf.endian .. "I4I4I4I4I4"):unpack(bytes, at)
  return { kind = kind, offset = offset, vaddr = vaddr, size = filesz }
end

local function parse_segments(read, elf, headers)
  local size = LAYOUT[elf.class].program
  if headers.count == 0 then
    return nil, "is an ELF file without program headers"
  elseif headers.size ~= size then
    return nil, ("is an ELF file whose program headers have %d bytes, not %d"):format(headers.size, size)
  elseif headers.count * size > MAX_HEADERS then
    return nil, ("is an ELF file of %d program headers, more than the kernel takes"):format(headers.count)
  end
  local bytes = exactly(read, headers.offset, headers.count * size)
  if not bytes then
    return nil, "is an ELF file whose program headers lie beyond its end"
  end
  local segments = {}
  for i = 1, headers.count do
    segments[i] = parse_segment(elf, bytes, (i - 1) * size + 1)
  end
  return segments
end

local function first(segments, kind)
  for _, segment in ipairs(segments) do
    if segment.kind == kind then
      return segment
    end
  end
end

local function parse_interpreter(read, segment)
  if segment.size < 2 or segment.size > MAX_PATH then
    return nil, "is an ELF file whose loader has a name of impossible length"
  end
  local bytes = exactly(read, segment.offset, segment.size)
  if not bytes then
    return nil, "is an ELF file whose loader's name lies beyond its end"
  elseif bytes:byte(-1) ~= 0 then
    return nil, "is an ELF file whose loader's name has no end"
  end
  return bytes:match "^[^\0]*"
end

-- Where in the file an address is.
local function offset_of(segments, address)
  for _, segment in ipairs(segments) do
    local into = address - segment.vaddr
    if segment.kind == PT_LOAD and into >= 0 and into < segment.size then
      return segment.offset + into
    end
  end
end

local function parse_tags(elf, bytes)
  local layout, tags, needed = LAYOUT[elf.class], {}, {}
  local format = elf.endian .. layout.word .. layout.word
  for at = 1, #bytes - layout.dynamic + 1, layout.dynamic do
    local tag, value = format:unpack(bytes, at)
    if tag == 0 then
      break
    elseif tag ~= DT_NEEDED then
      tags[tag] = value
    elseif #needed < MAX_NEEDED then
      needed[#needed + 1] = value
    end
  end
  return tags, needed
end

local function parse_dynamic(read, elf, segments, segment)
  if segment.size < 0 or segment.size > MAX_DYNAMIC then
    return "its dynamic section is too large"
  end
  local bytes = exactly(read, segment.offset, segment.size)
  if not bytes then
    return "its dynamic section lies beyond its end"
  end
  local tags, needed = parse_tags(elf, bytes)
  local strings = tags[DT_STRTAB] and offset_of(segments, tags[DT_STRTAB])
  local size = tags[DT_STRSZ] or 0
  local function text(at)
    if not strings or not at or at < 0 or at >= size or strings < 0 or strings + at < 0 then
      return nil
    end
    return (read(strings + at, math.min(size - at, MAX_NAME)) or ""):match "^([^\0]+)\0"
  end
  for _, at in ipairs(needed) do
    local name = text(at)
    if not name then
      return "its dynamic section names libraries that are not in it"
    end
    elf.needed[#elf.needed + 1] = name
  end
  elf.rpath, elf.runpath = text(tags[DT_RPATH]), text(tags[DT_RUNPATH])
end

---What a program or library says about itself.
---@param read fun(offset: integer, size: integer): string? # fewer bytes at the file's end
---@return banger.elf?
---@return string? message # why the kernel would not run it, to follow the file's name
---@example
---```lua
---local found = elf.parse(function(offset, size)
---  return image:read("/sbin/init", { offset = offset, size = size })
---end)
---print(found.architecture, found.interpreter)  --> amd64  /lib64/ld-linux-x86-64.so.2
---```
function M.parse(read)
  local elf, headers = parse_header(read)
  if not elf then
    return nil, headers
  end
  local segments, message = parse_segments(read, elf, headers)
  if not segments then
    return nil, message
  elseif not first(segments, PT_LOAD) then
    return nil, "is an ELF file with nothing to load"
  end
  local named = first(segments, PT_INTERP)
  if named then
    elf.interpreter, message = parse_interpreter(read, named)
    if not elf.interpreter then
      return nil, message
    end
  end
  local dynamic = first(segments, PT_DYNAMIC)
  elf.damaged = dynamic and parse_dynamic(read, elf, segments, dynamic)
  return elf
end

return M
