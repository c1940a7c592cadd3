-- ELF headers: real programs as readelf sees them, and files that lie.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local elf = require "banger.elf"
local make = require("support.elf").make
local need = require "support.need"
local sh = require "support.sh"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

-- The parser over bytes; `counts` is told of every read.
local function parse(bytes, counts)
  return elf.parse(function(offset, size)
    assert(offset >= 0 and size >= 0, "a read out of range")
    if counts then counts.reads, counts.bytes = (counts.reads or 0) + 1, math.max(counts.bytes or 0, size) end
    return bytes:sub(offset + 1, offset + size)
  end)
end

local function parse_file(path) return parse(sh.read_file(path)) end

local NAMES = {
  ["Advanced Micro Devices X86-64"] = "amd64", AArch64 = "arm64", ["Intel 80386"] = "386", ARM = "arm",
  ["IBM S/390"] = "s390x", ["RISC-V"] = "riscv64", ["PowerPC64"] = "ppc64le",
}

--- What readelf says of a file.
local function readelf(path)
  local out = sh.check("LC_ALL=C readelf -W -h -l -d " .. sh.quote(path))
  local found = { needed = {} }
  found.class = math.tointeger(tonumber(out:match "Class: +ELF(%d+)"))
  found.architecture = NAMES[out:match "Machine: +([^\n]-)\n"]
  found.type = out:match "Type: +EXEC" and "program" or "shared"
  found.interpreter = out:match "%[Requesting program interpreter: ([^%]]+)%]"
  for name in out:gmatch "Shared library: %[([^%]]*)%]" do found.needed[#found.needed + 1] = name end
  found.runpath, found.rpath = out:match "Library runpath: %[([^%]]*)%]", out:match "Library rpath: %[([^%]]*)%]"
  return found
end

local function same_as_readelf(path)
  local got = assert(parse_file(path))
  got.endian, got.machine = nil, nil
  assert.same(readelf(path), got)
end

describe("an ELF file", function()
  it("is what readelf says, for the programs of this machine", function()
    local reason = need.program "readelf"
    if reason then return pending(reason) end
    local count = 0
    for path in sh.check "ls /bin/true /bin/busybox /lib/*/libc.so.6 /lib/systemd/systemd /usr/sbin/e2fsck 2>/dev/null || :":gmatch "[^\n]+" do
      same_as_readelf(path)
      count = count + 1
    end
    assert.is_true(count >= 2)
  end)

  it("is what readelf says, for one of another machine", function()
    local reason = need.program("readelf", "aarch64-linux-gnu-gcc")
    if reason then return pending(reason) end
    sh.write_file(scratch:path "a.c", "int main(void) { return 0; }\n")
    sh.check(("cd %s && aarch64-linux-gnu-gcc -o dynamic -Wl,-rpath,/opt/x a.c && aarch64-linux-gnu-gcc -static -o static a.c"):format(
      scratch.dir))
    same_as_readelf(scratch:path "dynamic")
    same_as_readelf(scratch:path "static")
    assert.equal("/lib/ld-linux-aarch64.so.1", parse_file(scratch:path "dynamic").interpreter)
    assert.is_nil(parse_file(scratch:path "static").interpreter)
  end)

  it("is what readelf says, for what these tests make by hand", function()
    local reason = need.program "readelf"
    if reason then return pending(reason) end
    for _, architecture in ipairs { "amd64", "arm64", "386", "arm", "s390x", "riscv64", "ppc64le" } do
      local path = scratch:fresh()
      sh.write_file(path, make { architecture = architecture, interpreter = "/lib/ld.so", needed = { "liba.so", "libb.so.1" },
        runpath = "$ORIGIN/../lib" })
      same_as_readelf(path)
      assert.equal(architecture, parse_file(path).architecture)
    end
  end)

  it("may have a name for a machine that is not known", function()
    assert.equal("machine 999", parse(make { machine = 999 }).architecture)
  end)

  it("is read in a few small reads", function()
    local counts = {}
    assert(parse(make { interpreter = "/lib/ld.so", needed = { "liba.so" } } .. ("x"):rep(1000000), counts))
    assert.is_true(counts.reads <= 8)
    assert.is_true(counts.bytes <= 65536)
  end)
end)

local function refused(message, bytes)
  local found, got = parse(bytes)
  assert.is_nil(found)
  assert.equal(message, got)
end

describe("a file that the kernel would not run", function()
  it("is no ELF file", function()
    refused("is no ELF file", "")
    refused("is no ELF file", "#!/bin/sh\n")
    refused("is no ELF file", "\127EL")
  end)

  it("is cut off, at any byte, without an error", function()
    local bytes = make { interpreter = "/lib/ld.so", needed = { "liba.so" } }
    refused("is an ELF file of a class or byte order that does not exist", bytes:sub(1, 4))
    refused("is an ELF file that is cut off in its header", bytes:sub(1, 63))
    refused("is an ELF file whose program headers lie beyond its end", bytes:sub(1, 64))
    refused("is an ELF file whose loader's name lies beyond its end", bytes:sub(1, 64 + 3 * 56 + 5))
    for n = 0, #bytes do
      local found = parse(bytes:sub(1, n))
      assert.equal(n >= 64 + 3 * 56 + 11, found ~= nil)
    end
  end)

  it("is of a class or byte order that does not exist", function()
    refused("is an ELF file of a class or byte order that does not exist", "\127ELF\3" .. make():sub(6))
    refused("is an ELF file of a class or byte order that does not exist", "\127ELF\2\0" .. make():sub(7))
  end)

  it("is no program", function()
    refused("is no program: an ELF file that is an object file", make { type = 1 })
    refused("is no program: an ELF file that is a core dump", make { type = 4 })
    refused("is no program: an ELF file that is of type 65535", make { type = 65535 })
  end)

  it("has headers of no size, of another size, none, or too many", function()
    refused("is an ELF file whose program headers have 0 bytes, not 56", make { phentsize = 0 })
    refused("is an ELF file whose program headers have 65535 bytes, not 56", make { phentsize = 65535 })
    refused("is an ELF file whose program headers have 56 bytes, not 32", make { architecture = "386", phentsize = 56 })
    refused("is an ELF file without program headers", make { phnum = 0 })
    refused("is an ELF file of 65535 program headers, more than the kernel takes", make { phnum = 65535 })
  end)

  it("has headers beyond its end, far beyond and before its beginning", function()
    for _, at in ipairs { 1000, math.maxinteger, math.maxinteger - 10, -1, math.mininteger } do
      refused("is an ELF file whose program headers lie beyond its end", make { phoff = at })
    end
  end)

  it("names a loader that is not in it", function()
    refused("is an ELF file whose loader has a name of impossible length", make { interpreter = "x", interpreter_size = 1 })
    refused("is an ELF file whose loader has a name of impossible length", make { interpreter = "x", interpreter_size = 4097 })
    refused("is an ELF file whose loader has a name of impossible length", make { interpreter = "x", interpreter_size = -1 })
    refused("is an ELF file whose loader's name lies beyond its end", make { interpreter = "x", interpreter_at = math.maxinteger })
    refused("is an ELF file whose loader's name has no end", make { interpreter = "/lib/ld.so", interpreter_size = 10 })
  end)

  it("loads nothing", function()
    refused("is an ELF file with nothing to load", make { no_load = true })
  end)
end)

-- What this machine's kernel says of it; nil where it runs, however that ends.
local function exec(bytes)
  local path = scratch:fresh()
  sh.write_file(path, bytes)
  sh.check("chmod +x " .. path)
  local ok, err = pcall(banger.host.run, { path })
  return not ok and tostring(err):match "^run [^:]*: (.*)$" or nil
end

describe("this machine's kernel", function()
  it("refuses what the parser refuses, and takes what it takes", function()
    if banger.host.arch() ~= "amd64" then return pending "needs amd64" end
    local bytes = make { interpreter = "/lib64/ld-linux-x86-64.so.2", needed = { "liba.so" } }
    local takes = { make(), make { type = 3 }, bytes, make { needed = { "x" }, strsz = 0 } }
    for i, taken in ipairs(takes) do
      assert.is_table(parse(taken), "parser, case " .. i)
      assert.is_nil(exec(taken), "kernel, case " .. i)
    end
    local refuses = {
      bytes:sub(1, 63), bytes:sub(1, 64), bytes:sub(1, 100), make { type = 1 }, make { type = 4 }, make { phentsize = 0 },
      make { phentsize = 32 }, make { phnum = 0 }, make { phnum = 65535 }, make { phoff = 100000 }, make { phoff = -1 },
      make { interpreter = "x", interpreter_size = 1 }, make { interpreter = "/lib/ld.so", interpreter_size = 4097 },
      make { interpreter = "/lib/ld.so", interpreter_at = 100000 }, make { interpreter = "/lib/ld.so", interpreter_size = 10 },
    }
    for i, refused_one in ipairs(refuses) do
      assert.is_nil(parse(refused_one), "parser, case " .. i)
      local said = exec(refused_one)
      assert(said == "Exec format error" or said == "Input/output error", ("kernel, case %d: %s"):format(i, said))
    end
  end)
end)

describe("a dynamic section that lies", function()
  local function damaged(message, e)
    e.needed, e.interpreter = { "liba.so" }, "/lib/ld.so"
    local found = assert(parse(make(e)))
    assert.equal(message, found.damaged)
    assert.same({}, found.needed)
  end

  it("is told of, and the program is read all the same", function()
    damaged("its dynamic section is too large", { dynamic_size = 1 << 40 })
    damaged("its dynamic section is too large", { dynamic_size = -1 })
    damaged("its dynamic section lies beyond its end", { dynamic_at = 1 << 40 })
    damaged("its dynamic section names libraries that are not in it", { strtab = 1 })
    damaged("its dynamic section names libraries that are not in it", { strsz = 0 })
    damaged("its dynamic section names libraries that are not in it", { strsz = -1 })
    damaged("its dynamic section names libraries that are not in it", { strtab = math.mininteger })
  end)

  it("has so many names and no more", function()
    local needed = {}
    for i = 1, 1000 do needed[i] = ("lib%d.so"):format(i) end
    assert.equal(256, #assert(parse(make { needed = needed })).needed)
  end)
end)

describe("any other nonsense", function()
  it("is an answer and not an error", function()
    math.randomseed(7)
    local bytes = make { interpreter = "/lib/ld.so", needed = { "liba.so", "libb.so" }, runpath = "/x" }
    local counts = { reads = 0 }
    for _ = 1, 20000 do
      local at = math.random(5, #bytes)
      local other = bytes:sub(1, at - 1) .. string.char(math.random(0, 255)) .. bytes:sub(at + 1)
      local found, message = parse(other, counts)
      assert.equal(found == nil, type(message) == "string")
      bytes = math.random(10) > 1 and other or make { interpreter = "/lib/ld.so", needed = { "liba.so", "libb.so" } }
    end
    assert.is_true(counts.bytes <= 65536)
  end)
end)
