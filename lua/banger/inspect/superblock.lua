---The superblock of ext2, ext3 and ext4: 1024 bytes from 1024 on. Pure.
local M = {}

M.OFFSET, M.SIZE = 1024, 1024

-- As e2fsprogs has them, by their bit. What has no name there has none here.
local FEATURES = {
  { at = 0x5C, letter = "C", names = { [0] = "dir_prealloc", "imagic_inodes", "has_journal", "ext_attr", "resize_inode", "dir_index",
    "lazy_bg", [8] = "snapshot_bitmap", [9] = "sparse_super2", [10] = "fast_commit", [11] = "stable_inodes", [12] = "orphan_file" } },
  { at = 0x60, letter = "I", names = { [0] = "compression", "filetype", "needs_recovery", "journal_dev", "meta_bg", [6] = "extent",
    [7] = "64bit", [8] = "mmp", [9] = "flex_bg", [10] = "ea_inode", [12] = "dirdata", [13] = "metadata_csum_seed",
    [14] = "large_dir", [15] = "inline_data", [16] = "encrypt", [17] = "casefold" } },
  { at = 0x64, letter = "R", names = { [0] = "sparse_super", "large_file", [3] = "huge_file", [4] = "uninit_bg", [5] = "dir_nlink",
    [6] = "extra_isize", [8] = "quota", [9] = "bigalloc", [10] = "metadata_csum", [11] = "replica", [12] = "read-only",
    [13] = "project", [14] = "shared_blocks", [15] = "verity", [16] = "orphan_present" } },
}

local ERRORS = { "continue", "remount-ro", "panic" }

---@class banger.inspect.superblock
---@field label string # "" for none
---@field uuid string
---@field features string[] # named as e2fsprogs names them
---@field block_size integer
---@field blocks integer
---@field blocks_free integer
---@field blocks_reserved integer
---@field inodes integer
---@field inodes_free integer
---@field inode_size integer
---@field groups integer
---@field state string # "clean", "not clean", "clean with errors", ...
---@field errors string # what the kernel does about errors: "continue", "remount-ro", "panic"
---@field made integer # seconds since 1970; 0: unknown, as of the next
---@field written integer
---@field mounted integer
---@field checked integer
---@field mounts integer # since it was checked
---@field last_mounted string # where; "" for nowhere
---@field journal boolean

local function features(bytes)
  local list = {}
  for _, set in ipairs(FEATURES) do
    local bits = ("<I4"):unpack(bytes, set.at + 1)
    for bit = 0, 31 do
      if bits >> bit & 1 ~= 0 then
        list[#list + 1] = set.names[bit] or ("FEATURE_%s%d"):format(set.letter, bit)
      end
    end
  end
  return list
end

local function uuid(bytes)
  local hex = bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  return ("%s-%s-%s-%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 16), hex:sub(17, 20), hex:sub(21, 32))
end

local function describe_state(bits)
  return (bits & 1 ~= 0 and "clean" or "not clean") .. (bits & 2 ~= 0 and " with errors" or "")
end

local function has(list, name)
  for _, item in ipairs(list) do
    if item == name then
      return true
    end
  end
  return false
end

---Parse a superblock. Only what could not be computed with is refused.
---@param bytes string # 1024 of them
---@return banger.inspect.superblock?
---@return string? message # what is wrong, when the first is nil
---@example
---```lua
---local file <close> = io.open("out.ext4", "rb")
---file:seek("set", superblock.OFFSET)
---print(superblock.parse(file:read(superblock.SIZE)).label)
---```
function M.parse(bytes)
  if #bytes < M.SIZE then
    return nil, ("the superblock is cut off after %d bytes"):format(#bytes)
  elseif ("<I2"):unpack(bytes, 0x39) ~= 0xEF53 then
    return nil, "there is no ext4 superblock"
  end
  local function u16(at)
    return (("<I2"):unpack(bytes, at + 1))
  end
  local function u32(at)
    return (("<I4"):unpack(bytes, at + 1))
  end
  local list = features(bytes)
  local wide = has(list, "64bit")
  local function blocks(at, high)
    return u32(at) | (wide and u32(high) << 32 or 0)
  end
  -- Since Linux 4.18 a byte each has the upper bits of the times.
  local function time(at, high)
    return u32(at) | bytes:byte(high + 1) << 32
  end
  local shift, per_group = u32(0x18), u32(0x20)
  if shift > 6 then
    return nil, ("its block size is 2 to the %d"):format(shift + 10)
  elseif per_group == 0 then
    return nil, "its groups have no blocks"
  end
  local count = blocks(0x4, 0x150)
  return {
    label = bytes:sub(0x79, 0x88):match "^[^\0]*", uuid = uuid(bytes:sub(0x69, 0x78)), features = list,
    block_size = 1024 << shift, blocks = count, blocks_free = blocks(0xC, 0x158), blocks_reserved = blocks(0x8, 0x154),
    inodes = u32(0x0), inodes_free = u32(0x10), inode_size = u32(0x4C) == 0 and 128 or u16(0x58),
    groups = (count - u32(0x14) + per_group - 1) // per_group,
    state = describe_state(u16(0x3A)), errors = ERRORS[u16(0x3C)] or "unknown",
    made = time(0x108, 0x276), written = time(0x30, 0x274), mounted = time(0x2C, 0x275), checked = time(0x40, 0x277),
    mounts = u16(0x34), last_mounted = bytes:sub(0x89, 0xC8):match "^[^\0]*", journal = has(list, "has_journal"),
  }
end

return M
