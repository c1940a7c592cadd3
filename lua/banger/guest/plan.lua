---A plan in the making: what to inject, what had to be left undone, and the read side
---that decides. The rooms of this folder add to it.

---@class banger.guest_entry: banger.entry
---@field item string # the switch it belongs to, a name in `guest.ITEMS`
---@field why string # one reason, for reports
---@field by? string # the image recipe that wants it

---@class banger.plan
---@field rootfs banger.tree
---@field entries banger.guest_entry[]
---@field warnings string[]
---@field package off table<string, boolean> # items that are switched off: false
---@field package linked table<string, boolean> # what `replace_link` made
---@field package item string # whose entries are being added
---@field package by? string # and who wants them
local Plan = {}
Plan.__index = Plan

local FILE_MODE = tonumber("644", 8)
local DIR_MODE = tonumber("755", 8)
local EXECUTABLE = tonumber("111", 8)
local MAX_LINKS = 40
local MAX_TEXT = 1 << 20

---@param rootfs banger.tree # its read side
---@param items? table<string, boolean> # name of an item -> false: switched off
---@return banger.plan
---@example
---```lua
---local plan = Plan.new(rootfs)
---```
function Plan.new(rootfs, items)
  return setmetatable({ rootfs = rootfs, entries = {}, warnings = {}, linked = {}, off = items or {}, item = "" }, Plan)
end

---Whether an item is wanted; from now on entries belong to it.
---@param name string
---@param by? string # the image recipe that asks for what comes
---@return boolean
---@example
---```lua
---if plan:begin "hosts" then plan:file("/etc/hosts", text) end
---```
function Plan:begin(name, by)
  self.item, self.by = name, by
  return self.off[name] ~= false
end

---@param entry banger.entry # root's, unless it says otherwise
---@param why string
function Plan:add(entry, why)
  entry.uid, entry.gid = entry.uid or 0, entry.gid or 0
  entry.item, entry.why, entry.by = self.item, why, self.by
  self.entries[#self.entries + 1] = entry
end

---@param format string
---@param ... any
function Plan:warn(format, ...)
  self.warnings[#self.warnings + 1] = format:format(...)
end

---What is at a path, links followed; nil for nothing and for a dangling link.
---@param path string
---@return banger.stat?
function Plan:at(path)
  return self.rootfs:stat(path, { follow = true })
end

---The path's own entry, be it a link.
---@param path string
---@return banger.stat?
function Plan:entry_at(path)
  return self.rootfs:stat(path)
end

---@param path string
---@return boolean
function Plan:is_dir(path)
  local found = self:at(path)
  return found ~= nil and found.type == "dir"
end

---@param path string
---@return boolean
function Plan:is_file(path)
  local found = self:at(path)
  return found ~= nil and found.type == "file"
end

---@param path string
---@return boolean
function Plan:is_program(path)
  local found = self:at(path)
  return found ~= nil and found.type == "file" and found.mode & EXECUTABLE ~= 0
end

---The first of some paths that is a program.
---@param paths string[]
---@return string?
function Plan:find_program(paths)
  for _, path in ipairs(paths) do
    if self:is_program(path) then
      return path
    end
  end
end

---A text file's content; nil where there is none, or one too large to be true.
---@param path string
---@return string?
function Plan:text(path)
  local found = self:at(path)
  if found and found.type == "file" and found.size <= MAX_TEXT then
    return self.rootfs:read(path, { size = MAX_TEXT })
  end
end

local function parent_of(path)
  return path:match "^(.+)/[^/]+$" or "/"
end

-- A link's target as a path from the root. Components that are links themselves
-- are left to whoever walks the result.
local function join(parent, target)
  local parts = {}
  for part in (target:sub(1, 1) == "/" and target or parent .. "/" .. target):gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return "/" .. table.concat(parts, "/")
end

---Where a dangling link leads: the path that would have to be made. The path itself
---where nothing is; nil where something is, or links go in a circle.
---@param path string
---@return string?
function Plan:dangling_end(path)
  for _ = 1, MAX_LINKS do
    local entry = self:entry_at(path)
    if not entry then
      return path
    elseif entry.type ~= "symlink" then
      return nil
    end
    path = join(self.rootfs:resolve(parent_of(path)) or parent_of(path), entry.target)
  end
  return nil
end

-- Whether what is above a path is a directory, or can be made one, be it at the end of
-- dangling links.
local function has_parent(plan, path, hops)
  repeat
    path = parent_of(path)
  until path == "/" or plan:entry_at(path)
  local found = plan:at(path)
  if found then
    return found.type == "dir"
  end
  local target = plan:dangling_end(path)
  return target ~= nil and hops < MAX_LINKS and has_parent(plan, target, hops + 1)
end

---Whether something can be made at the path: what is above it is a directory, or can
---be made one.
---@param path string
---@return boolean
function Plan:has_parent(path)
  return has_parent(self, path, 0)
end

-- An empty file is filled where it is, through links, with the attributes it has.
local function fill(plan, path, found, content, why)
  plan:add({
    path = plan.rootfs:resolve(path) or path,
    type = "file", content = content, mode = found.mode, uid = found.uid, gid = found.gid,
  }, why or "is empty")
end

---A directory where there is nothing.
---@param path string
function Plan:absent_dir(path)
  if not self:entry_at(path) and self:has_parent(path) then
    self:add({ path = path, type = "dir", mode = DIR_MODE }, "is absent")
  end
end

---A file where there is none or an empty one.
---@param path string
---@param content string
---@param why? string # default: what is wrong with what is there
function Plan:file(path, content, why)
  local found = self:at(path)
  if found and found.type == "file" and found.size == 0 then
    return fill(self, path, found, content, why)
  end
  self:absent_file(path, content, why)
end

---A file where there is nothing, not even an empty one.
---@param path string
---@param content string
---@param why? string # default "is absent"
function Plan:absent_file(path, content, why)
  if not self:entry_at(path) and self:has_parent(path) then
    self:add({ path = path, type = "file", content = content, mode = FILE_MODE }, why or "is absent")
  end
end

---A file of ours, whatever is there but a directory.
---@param path string
---@param content string
---@param why string
---@param mode? integer # default 0644
function Plan:own_file(path, content, why, mode)
  local entry = self:entry_at(path)
  if entry and entry.type == "dir" or not self:has_parent(path) then
    return self:warn("%s cannot be made a file: a directory is there, or a file is above it", path)
  end
  if entry and entry.type ~= "file" then
    self:add({ path = path, type = "remove" }, ("is a %s"):format(entry.type))
  end
  self:add({ path = path, type = "file", content = content, mode = mode or FILE_MODE }, why)
end

---A link where there is nothing.
---@param path string
---@param target string
---@param why string
function Plan:absent_link(path, target, why)
  if not self:entry_at(path) and self:has_parent(path) then
    self:add({ path = path, type = "symlink", target = target }, why)
  end
end

---A link of ours where nothing is, or in the place of one that leads nowhere.
---@param path string
---@param target string
---@param why string
function Plan:replace_link(path, target, why)
  local entry = self:entry_at(path)
  if self:at(path) or self.linked[path] then
    return
  elseif not self:has_parent(path) or entry and entry.type ~= "symlink" then
    return self:warn("%s cannot be made a link: something else is in its place", path)
  elseif entry then
    self:add({ path = path, type = "remove" }, "is a link that leads nowhere")
  end
  self.linked[path] = true
  self:add({ path = path, type = "symlink", target = target }, why)
end

return Plan
