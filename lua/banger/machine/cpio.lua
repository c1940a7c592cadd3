---Archives of cpio's "newc" format, which the kernel unpacks as its first file system.
---The same entries give the same bytes. Pure.
local M = {}

---@class banger.cpio_entry
---@field path string # relative; parents come before what is in them
---@field mode integer # type and permissions, as stat has them
---@field content? string # of a file

local MAGIC, TRAILER, BLOCK = "070701", "TRAILER!!!", 512
local MAX_FILE = 0xffffffff
local DIRECTORY, FILE = tonumber("40755", 8), tonumber("100644", 8)

local function pad(length, unit)
  return ("\0"):rep(-length % unit)
end

-- Fields: inode, mode, uid, gid, links, mtime, size, device, its kind, name with its zero, no sum.
local function record(number, path, mode, links, content)
  local head = ("%s%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X"):format(
    MAGIC, number, mode, 0, 0, links, 0, #content, 0, 0, 0, 0, #path + 1, 0)
  local name = head .. path .. "\0"
  return name .. pad(#name, 4) .. content .. pad(#content, 4)
end

---@param path string
---@return banger.cpio_entry
---@example
---```lua
---cpio.directory "dev"
---```
function M.directory(path)
  return { path = path, mode = DIRECTORY }
end

---@param path string
---@param content string
---@param permissions? integer # default 0644
---@return banger.cpio_entry
---@example
---```lua
---cpio.file("init", program, tonumber("755", 8))
---```
function M.file(path, content, permissions)
  return { path = path, mode = permissions and FILE & ~tonumber("777", 8) | permissions or FILE, content = content }
end

---@param entries banger.cpio_entry[] # kept in this order
---@return string
---@example
---```lua
---local archive = cpio.archive { cpio.directory "dev", cpio.file("init", program, tonumber("755", 8)) }
---```
function M.archive(entries)
  local out, size = {}, 0
  for i, entry in ipairs(entries) do
    local content = entry.content or ""
    assert(entry.path ~= "" and not entry.path:find "\0" and not entry.path:find "^/", "cpio: a relative path expected")
    assert(#content <= MAX_FILE, "cpio: a file of more than 4 GiB")
    out[i] = record(i, entry.path, entry.mode, entry.content and 1 or 2, content)
    size = size + #out[i]
  end
  out[#out + 1] = record(0, TRAILER, 0, 1, "")
  out[#out + 1] = pad(size + #out[#out], BLOCK)
  return table.concat(out)
end

return M
