---Kernels: what a file of one is, and where this machine has some with their modules.
local core = require "banger.core"

local M = {}

local host = core.host

---@class banger.kernel_kind
---@field format "bzImage"|"Image"|"vmlinux"|"zImage" # zImage: compressed by its own unpacker, or gzip
---@field arch string # as in image configs; "unknown" where the file does not tell
---@field version? string # such as "6.1.0-18-cloud-amd64", where the file tells

---@class banger.kernel : banger.kernel_kind
---@field path string # absolute, without links
---@field modules? string # the directory that holds modules.dep
---@field unindexed? string # a directory of its modules in which depmod has not been yet

-- As much as is looked at; the version of a bzImage is in its setup code, which is less.
local HEAD = 64 * 1024
local ELF_MACHINES = { [3] = "386", [40] = "arm", [62] = "amd64", [183] = "arm64", [243] = "riscv64" }
local EFI_MACHINES = { [0x8664] = "amd64", [0xaa64] = "arm64" }

---The architecture of an ELF file.
---@param head string # its first bytes, 20 at least
---@return string? arch # nil: no ELF file; "unknown" for one of another machine
---@example
---```lua
---local arch = kernel.elf_arch(image:read("/sbin/init", { size = 64 }))
---```
function M.elf_arch(head)
  if head:sub(1, 4) ~= "\127ELF" or #head < 20 then
    return nil
  end
  local order = head:byte(6) == 2 and ">I2" or "<I2"
  return ELF_MACHINES[(order):unpack(head, 19)] or "unknown"
end

-- The name of a release, as a directory of modules can have it.
local function version_word(text)
  local word = text:match "^[%w][%w%._+~%-]*"
  return word and #word <= 128 and word or nil
end

local function identify_x86(head)
  local at = ("<I2"):unpack(head, 0x20e + 1)
  local text = at > 0 and head:sub(at + 0x200 + 1, at + 0x200 + 256) or ""
  -- A 64-bit kernel says so in xloadflags, since version 2.12 of the protocol.
  local protocol, flags = ("<I2"):unpack(head, 0x206 + 1), ("<I2"):unpack(head, 0x236 + 1)
  local arch = protocol >= 0x20c and flags & 1 == 0 and "386" or "amd64"
  return { format = "bzImage", arch = arch, version = version_word(text) }
end

-- What the loader of EFI wants: the kernel is inside, packed.
local function identify_efi(head)
  local at = #head >= 0x40 and ("<I4"):unpack(head, 0x3c + 1) or #head
  if at + 6 <= #head and head:sub(at + 1, at + 4) == "PE\0\0" then
    return { format = "zImage", arch = EFI_MACHINES[("<I2"):unpack(head, at + 5)] or "unknown" }
  end
end

---What a kernel's file is, by its first bytes.
---@param head string # 64 KiB of them, or all there are
---@return banger.kernel_kind? # nil: no kernel
---@example
---```lua
---print(kernel.identify(bytes).version)
---```
function M.identify(head)
  if #head >= 0x240 and head:sub(0x202 + 1, 0x206) == "HdrS" then
    return identify_x86(head)
  elseif head:sub(0x38 + 1, 0x3c) == "ARM\x64" then
    return { format = "Image", arch = "arm64" }
  elseif head:sub(1, 4) == "\127ELF" then
    return { format = "vmlinux", arch = M.elf_arch(head) or "unknown" }
  elseif head:sub(1, 2) == "\x1f\x8b" then
    return { format = "zImage", arch = "unknown" }
  elseif head:sub(1, 2) == "MZ" then
    return identify_efi(head)
  end
end

---The order of two versions: numbers count as numbers, all else by its bytes.
---@param a string
---@param b string
---@return boolean # a is older
---@example
---```lua
---kernel.is_older("6.1.9-1", "6.1.10-1") --> true
---```
function M.is_older(a, b)
  local i, j = 1, 1
  while i <= #a and j <= #b do
    local x, y = a:match("^%d+", i), b:match("^%d+", j)
    if x and y then
      local p, q = x:gsub("^0+", ""), y:gsub("^0+", "")
      if p ~= q then
        return #p < #q or #p == #q and p < q
      end
      i, j = i + #x, j + #y
    else
      local c, d = a:sub(i, i), b:sub(j, j)
      if c ~= d then
        return c < d
      end
      i, j = i + 1, j + 1
    end
  end
  return #a - i < #b - j
end

local function read_head(path)
  local file, message = io.open(path, "rb")
  if not file then
    return nil, message
  end
  local head, why = file:read(HEAD)
  file:close()
  return head or (not why and "") or nil, why
end

-- The directory that holds modules.dep, of those where a version's modules may be; else
-- nil and the one that should.
local function find_modules(candidates)
  local unindexed
  for _, dir in ipairs(candidates) do
    if host.stat(dir .. "/modules.dep") then
      return host.realpath(dir)
    elseif not unindexed and host.stat(dir .. "/kernel") then
      unindexed = dir
    end
  end
  return nil, unindexed
end

local function modules_near(path, version, root)
  local near = path:match "^(.*)/[^/]*/[^/]*$" or ""
  return find_modules {
    path:match "^(.*)/",
    ("%s/lib/modules/%s"):format(near, version),
    ("%s/usr/lib/modules/%s"):format(near, version),
    ("%s/lib/modules/%s"):format(root, version),
    ("%s/usr/lib/modules/%s"):format(root, version),
  }
end

local function asked_modules(dir, version)
  local found = find_modules { dir, version and ("%s/%s"):format(dir, version), version and ("%s/lib/modules/%s"):format(dir, version) }
  return found or core.error("not_found", ("--modules %s: there is no modules.dep in it%s (depmod makes it)"):format(
    dir, version and (", nor in a directory %s of it"):format(version) or ""))
end

local function version_of(path, kind)
  return kind.version or version_word(path:match "/vmlinu[xz]%-([^/]+)$" or path:match "/Image%-([^/]+)$"
    or path:match "/modules/([^/]+)/vmlinu[xz]$" or "")
end

local function describe(path, kind, modules, root)
  kind.path = path
  kind.version = version_of(path, kind)
  if modules then
    kind.modules = asked_modules(modules, kind.version)
  elseif kind.version then
    kind.modules, kind.unindexed = modules_near(path, kind.version, root)
  end
  return kind
end

---A kernel that is asked for.
---@param path string
---@param options? { modules?: string, root?: string, asked?: string } # modules: a directory to take
---them from; asked: what names the kernel, for messages (default: `--kernel`)
---@return banger.kernel
---Raises `not_found`, `io`, `usage` (no kernel).
function M.open(path, options)
  options = options or {}
  local asked = (options.asked or "--kernel") .. " " .. path
  local found = host.stat(path)
  if not found then
    core.error("not_found", asked .. ": there is no such file")
  elseif found.type ~= "file" then
    core.error("usage", asked .. ": is no file")
  end
  local head, why = read_head(path)
  if not head then
    core.error("io", ("%s cannot be read: %s"):format(asked, why:match ": ([^:]*)$" or why))
  end
  local kind = M.identify(head)
  if not kind then
    core.error("usage", asked .. ": is no Linux kernel: neither bzImage, vmlinux nor Image")
  end
  return describe(host.realpath(path), kind, options.modules, options.root or "")
end

-- Where distributions put kernels: in /boot, or with the modules.
local function installed(root)
  local paths = {}
  for _, name in ipairs(host.list(root .. "/boot") or {}) do
    local version = name:match "^vmlinuz%-(.+)$"
    if version then
      paths[#paths + 1] = { path = ("%s/boot/%s"):format(root, name), version = version }
    end
  end
  for _, dir in ipairs { root .. "/lib/modules", root .. "/usr/lib/modules" } do
    for _, version in ipairs(host.list(dir) or {}) do
      local path = ("%s/%s/vmlinuz"):format(dir, version)
      if host.stat(path) then
        paths[#paths + 1] = { path = path, version = version }
      end
    end
  end
  table.sort(paths, function(a, b)
    if a.version ~= b.version then
      return M.is_older(b.version, a.version)
    end
    return a.path < b.path
  end)
  return paths
end

-- The manual page of run tells how to do without make.
local ADVICE = "give one with --kernel or $BANGER_KERNEL (`make kernel` in banger-lua's sources unpacks one without root)"

---The newest kernel that this machine has for an architecture, of those that have
---their modules if any has.
---@param options { arch: string, modules?: string, root?: string, note: fun(format: string, ...) } # root: of the machine, default ""
---@return banger.kernel
---Raises `not_found`, with how to get one.
function M.find(options)
  local root, first = options.root or "", nil
  for _, candidate in ipairs(installed(root)) do
    local head, why = read_head(candidate.path)
    local kind = head and M.identify(head)
    if not head then
      options.note("%s is skipped: %s", candidate.path, why:match ": ([^:]*)$" or why)
    elseif kind and (kind.arch == options.arch or kind.arch == "unknown") then
      kind.version = kind.version or candidate.version
      local kernel = describe(host.realpath(candidate.path), kind, options.modules, root)
      if kernel.modules then
        return kernel
      end
      first = first or kernel
    end
  end
  return first or core.error("not_found", ("there is no kernel for %s in %s/boot that can be read: %s"):format(
    options.arch, root, ADVICE))
end

---What to do about a kernel whose modules are of no use.
---@param kernel banger.kernel
---@return string? # nil: nothing
function M.advice(kernel)
  if kernel.unindexed then
    local base, version = kernel.unindexed:match "^(.*)/lib/modules/([^/]*)$"
    return ("%s has no modules.dep, and its modules are not used: depmod -b %s %s makes it"):format(kernel.unindexed,
      base or "/", version or "VERSION")
  elseif not kernel.modules then
    return ("%s: its modules were not found (--modules DIR); virtio and ext4 have to be built in"):format(kernel.path)
  end
end

return M
