--- ELF files made by hand, sound ones and hostile ones; readelf judges the sound ones
--- (tests/spec/elf_spec.lua).
local M = {}

local MACHINE = { amd64 = 62, arm64 = 183, ["386"] = 3, arm = 40, s390x = 22, riscv64 = 243, ppc64le = 21 }
local NARROW = { ["386"] = true, arm = true }
local BASE = 0x400000

local function strings(list)
  local at, bytes = {}, "\0"
  for _, text in ipairs(list) do
    at[#at + 1] = #bytes
    bytes = bytes .. text .. "\0"
  end
  return at, bytes
end

-- Of class 64 and of class 32: what struct elfhdr, elf_phdr and elf_dyn are.
local function header(e, s)
  local word = s.wide and "I8" or "I4"
  return "\127ELF" .. string.char(s.wide and 2 or 1, s.endian == "<" and 1 or 2, 1) .. ("\0"):rep(9)
    .. (s.endian .. "I2I2I4" .. word:rep(3) .. "I4I2I2I2I2I2I2"):pack(e.type or 2, e.machine or MACHINE[e.architecture or "amd64"], 1, BASE,
      e.phoff or s.head, 0, 0, s.head, e.phentsize or s.phsize, e.phnum or #s.segments, 0, 0, 0)
end

local function segment(s, kind, offset, size)
  if s.wide then
    return (s.endian .. "I4I4I8I8I8I8I8I8"):pack(kind, 5, offset, BASE + offset, BASE + offset, size, size, 1)
  end
  return (s.endian .. "I4I4I4I4I4I4I4I4"):pack(kind, offset, BASE + offset, BASE + offset, size, size, 5, 1)
end

--- An ELF file.
---@param e table architecture, type (2 program, 3 shared), interpreter, needed, runpath, rpath; and what is to be
---   wrong: machine, phoff, phentsize, phnum, interpreter_size, interpreter_at, dynamic_size, strsz, no_load
function M.make(e)
  e = e or {}
  local s = { wide = not NARROW[e.architecture or "amd64"], endian = e.architecture == "s390x" and ">" or "<", segments = {} }
  s.head, s.phsize = s.wide and 64 or 52, s.wide and 56 or 32
  local names = table.move(e.needed or {}, 1, #(e.needed or {}), 1, {})
  local count = #names
  names[#names + 1] = e.runpath or e.rpath
  local at, table_bytes = strings(names)
  local kinds = { e.no_load and 4 or 1, e.interpreter and 3 or nil }
  if #names > 0 then kinds[#kinds + 1] = 2 end
  local offset = s.head + #kinds * s.phsize
  local interpreter = e.interpreter and e.interpreter .. "\0" or ""
  local string_at = offset + #interpreter
  local dynamic_at, dynamic = string_at + #table_bytes, {}
  local function tag(number, value)
    dynamic[#dynamic + 1] = (s.endian .. (s.wide and "I8I8" or "I4I4")):pack(number, value)
  end
  for i = 1, count do tag(1, at[i]) end
  if names[count + 1] then tag(e.runpath and 29 or 15, at[count + 1]) end
  tag(5, e.strtab or BASE + string_at)
  tag(10, e.strsz or #table_bytes)
  tag(0, 0)
  local tags = table.concat(dynamic)
  for i, kind in ipairs(kinds) do
    local from, size = 0, dynamic_at + #tags
    if kind == 3 then from, size = e.interpreter_at or offset, e.interpreter_size or #interpreter end
    if kind == 2 then from, size = e.dynamic_at or dynamic_at, e.dynamic_size or #tags end
    s.segments[i] = segment(s, kind, from, size)
  end
  return header(e, s) .. table.concat(s.segments) .. interpreter .. table_bytes .. tags
end

return M
