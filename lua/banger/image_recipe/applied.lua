---What recipes have put into a rootfs, remembered so that after_plan can still change it:
---what the guest needs is decided by what is there, and so by what they put in.
local M = {}

local MAX_FILE = 16 * 1024 * 1024 -- bytes of one file, in memory
local MAX_KEPT = 256 * 1024 * 1024 -- and of all

---@class banger.applied
---@field package rootfs banger.rootfs
---@field package inject fun(entries: banger.guest_entry[])
---@field package keep? boolean
---@field package room integer # bytes that may still be kept
---@field package done { entry: banger.guest_entry, was: table, undo: banger.entry?, why_not: string? }[]
local Applied = {}
Applied.__index = Applied

---@param rootfs banger.rootfs
---@param inject fun(entries: banger.entry[])
---@param keep? boolean # whether anything may be changed afterwards
---@return banger.applied
function M.new(rootfs, inject, keep)
  return setmetatable({ rootfs = rootfs, inject = inject, keep = keep, room = MAX_KEPT, done = {} }, Applied)
end

local function copy(entry)
  local result = {}
  for name, value in pairs(entry) do
    result[name] = type(value) == "table" and copy(value) or value
  end
  return result
end

local function is_same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for name, value in pairs(a) do
    if not is_same(value, b[name]) then
      return false
    end
  end
  for name in pairs(b) do
    if a[name] == nil then
      return false
    end
  end
  return true
end

local function parent_of(path)
  return path:match "^(.+)/[^/]+/*$" or "/"
end

-- Where nothing is, the directories above that will be made go with it.
local function removal(rootfs, path)
  while parent_of(path) ~= "/" and not rootfs:stat(parent_of(path)) do
    path = parent_of(path)
  end
  return { path = path, type = "remove" }
end

-- The entry that brings back what is at the place of another; nil where that cannot be,
-- and why.
local function undo_of(self, entry)
  local rootfs = self.rootfs
  local path, found = entry.path, rootfs:stat(entry.path)
  if entry.type == "remove" then
    return nil, "it is gone by now"
  elseif not found then
    return removal(rootfs, path)
  elseif entry.type == "dir" and found.type == "symlink" then
    local behind = rootfs:stat(path, { follow = true })
    if behind and behind.type == "dir" then
      path, found = rootfs:resolve(path), behind
    end
  end
  local is_file = found.type == "file"
  if found.type ~= "dir" and found.nlink > 1 then
    return nil, ("what was there has %d names in the image, and one alone is not brought back"):format(found.nlink)
  elseif is_file and found.size > math.min(MAX_FILE, self.room) then
    return nil, ("what was there has %d bytes, which are too many to keep"):format(found.size)
  end
  self.room = self.room - (is_file and found.size or 0)
  return {
    path = path, type = found.type, mode = found.type ~= "symlink" and found.mode or nil, uid = found.uid, gid = found.gid,
    mtime = found.mtime, xattrs = found.xattrs, target = found.target, major = found.major, minor = found.minor,
    content = is_file and rootfs:read(path) or nil,
  }
end

---Put entries in.
---@param entries banger.guest_entry[]
---Raises what injecting does.
function Applied:put(entries)
  if not self.keep then
    for _, entry in ipairs(entries) do
      self.done[#self.done + 1] = { entry = entry }
    end
    return self.inject(entries)
  end
  for _, entry in ipairs(entries) do
    local undo, why_not = undo_of(self, entry)
    self.done[#self.done + 1] = { entry = entry, was = copy(entry), undo = undo, why_not = why_not }
    self.inject { entry }
  end
end

---All that was put in, in order.
---@return banger.guest_entry[]
function Applied:entries()
  local list = {}
  for i, one in ipairs(self.done) do
    list[i] = one.entry
  end
  return list
end

-- How many of the first were left as they are: they need not be put in again.
local function count_same(done, entries)
  local count = 0
  while done[count + 1] and done[count + 1].entry == entries[count + 1]
    and (not done[count + 1].was or is_same(done[count + 1].was, entries[count + 1])) do
    count = count + 1
  end
  return count
end

-- Those that are not to be in any more, the last first.
local function taken_out(done, entries, same)
  local listed, list = {}, {}
  for _, entry in ipairs(entries) do
    listed[entry] = true
  end
  for i = #done, same + 1, -1 do
    if not listed[done[i].entry] or done[i].entry.path ~= done[i].was.path then
      list[#list + 1] = done[i]
    end
  end
  return list
end

---Whether the plan can still become this.
---@param entries banger.guest_entry[]
---@return string? message # nil: it can
function Applied:check(entries)
  for _, one in ipairs(taken_out(self.done, entries, count_same(self.done, entries))) do
    if not one.undo then
      return ("%s: %s, so that its entry cannot be taken out; change %s of %s in after_flatten"):format(one.was.path,
        one.why_not, one.was.item, one.was.by)
    end
  end
end

---Make the rootfs what the plan has become: take back what is not in it any more, and put
---in the rest, anew from the first change on.
---@param entries banger.guest_entry[]
---Raises what injecting does.
function Applied:settle(entries)
  local same = count_same(self.done, entries)
  for _, one in ipairs(taken_out(self.done, entries, same)) do
    self.inject { one.undo }
  end
  self.inject(table.move(entries, same + 1, #entries, 1, {}))
end

return M
