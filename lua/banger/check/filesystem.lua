---The ext4 itself: room, the superblock's state, and what e2fsck says.
local core = require "banger.core"
local size = require "banger.size"

local M = {}

local FREE = 5
local FSCK_SECONDS = 6 * 3600
local FSCK_BYTES = 16 * 1024 * 1024

---@class banger.check.superblock
---@field uuid string
---@field label string # "" for none
---@field clean? boolean # it was unmounted
---@field errors? boolean # the kernel found errors
---@field recover? boolean # the journal holds changes
---@field mounted? boolean # for writing, since it was made

---What 1024 bytes from 1024 on say.
---@param bytes string
---@return banger.check.superblock?
function M.parse(bytes)
  if #bytes < 1024 or ("<I2"):unpack(bytes, 0x39) ~= 0xEF53 then
    return nil
  end
  local state = ("<I2"):unpack(bytes, 0x3B)
  local hex = bytes:sub(0x69, 0x78):gsub(".", function(char)
    return ("%02x"):format(char:byte())
  end)
  return {
    uuid = ("%s-%s-%s-%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16), hex:sub(17, 20), hex:sub(21, 32)),
    label = bytes:sub(0x79, 0x88):match "^[^\0]*",
    clean = state & 1 ~= 0,
    errors = state & 2 ~= 0,
    recover = ("<I4"):unpack(bytes, 0x61) & 4 ~= 0,
    mounted = ("<I2"):unpack(bytes, 0x35) > 0,
  }
end

---@param check banger.check.state
function M.state(check)
  local super = check.facts.superblock or {}
  local name = check.facts.name or "the file system"
  if super.errors then
    check:error("fs-errors", "/", ("%s is marked as having errors"):format(name), "run e2fsck -fy on it")
  elseif super.recover then
    check:warn("journal", "/", ("%s was not unmounted: its journal holds changes that are not in place"):format(name),
      "if nothing uses it, run e2fsck -fy on it; or do not give it to the machine read-only")
  elseif super.clean == false then
    check:warn("not-clean", "/", ("%s is in use, or was not unmounted"):format(name), "if nothing uses it, run e2fsck -fy on it")
  end
end

local function percent(part, whole)
  return part * 100 / whole
end

---@param check banger.check.state
function M.space(check)
  local overlay = check.init and check.init.kind == "banger" and check.view:strings "/.banger/overlay"[1]
  if overlay and overlay ~= "" then
    return -- nothing is ever written to it
  end
  local df = check.view.tree:df()
  local want = check.facts.free or FREE
  if not df.size or df.size == 0 then
    return -- a rootfs has no size yet
  end
  if percent(df.free, df.size) < want then
    check:warn("low-space", "/", ("%s of %s is free, less than %g %%"):format(size.format(df.free), size.format(df.size), want),
      "pull with a larger --size, or grow it with resize2fs")
  end
  if df.inodes > 0 and percent(df.inodes_free, df.inodes) < want then
    check:warn("low-inodes", "/", ("%d of %d inodes are free, less than %g %%"):format(df.inodes_free, df.inodes, want),
      "pull with a larger --size")
  end
end

-- ---- e2fsck ---------------------------------------------------------------------------

-- It is in directories that are in root's PATH only.
local function find_program(name)
  for dir in ((os.getenv "PATH" or "") .. ":/usr/local/sbin:/usr/sbin:/sbin"):gmatch "[^:]+" do
    local found = core.host.stat(dir .. "/" .. name)
    if found and found.type == "file" then
      return dir .. "/" .. name
    end
  end
end

local function run(program, path)
  local ok, result = pcall(core.host.run, { "env", "LC_ALL=C", program, "-fn", path }, "",
    { timeout = FSCK_SECONDS, limit = FSCK_BYTES })
  if ok then
    return result
  elseif core.is_error(result) and (result.code == "io" or result.code == "not_found") then
    return nil, result.message
  end
  error(result, 0)
end

-- The first line that is neither a heading nor progress.
local function complaint(text)
  for line in text:gmatch "[^\n]+" do
    if not line:find "^Pass %d" and not line:find "^e2fsck %d" and not line:find "^Warning! " and not line:find "^%s*$"
      and not line:find "skipping journal recovery" then
      return (line:gsub("%s*%u[%l ]*%? no%s*$", ""):gsub("^%S*e2fsck: ", ""):gsub("%.$", ""))
    end
  end
  return "it does not say why"
end

---Run e2fsck -fn, which reads everything and changes nothing.
---@param check banger.check.state
---@param path string # of the image
function M.fsck(check, path)
  local program = find_program "e2fsck"
  if not program then
    return check:warn("no-e2fsck", "/", "e2fsck is not installed: the file system's structure was not checked",
      "install e2fsprogs, or pass --no-fsck")
  end
  local result, message = run(program, core.host.realpath(path) or path)
  if not result or result.status & ~4 ~= 0 then
    check:error("fsck", "/", ("e2fsck could not check %s: %s"):format(path, message or complaint(result.err .. result.out)),
      "run e2fsck -fn on it to see all")
  elseif result.status == 4 then
    local recover = check.facts.superblock and check.facts.superblock.recover
    local report = recover and check.warn or check.error
    report(check, "fsck", "/", ("e2fsck finds errors: %s"):format(complaint(result.out)),
      recover and "run e2fsck -fy on it: they may be gone with the journal" or "run e2fsck -fy on it")
  end
end

return M
