---Files of an image, put on this machine: into a new directory of this user's alone, which
---gets its name when all is in it. So no link of the image is ever followed, and what is
---there appears whole or not at all.
local banger = require "banger"

local M = {}

local host = banger.host
local CHUNK = 1 << 20
local PATH_MAX = 4096 -- Linux's
local ZEROS = ("\0"):rep(CHUNK)
local PERMISSIONS, ALL_MODES = tonumber("777", 8), tonumber("7777", 8)

---@class banger.inspect.extract_options
---@field force? boolean # replace a file that is there
---@field owner? boolean # owners and set-id bits too, which needs root

---@class banger.inspect.extracted
---@field path string # where it is now
---@field files integer
---@field directories integer
---@field symlinks integer
---@field hardlinks integer # names of files that are counted already
---@field bytes integer
---@field skipped { path: string, type: string }[] # devices, sockets and pipes

---@class banger.inspect.extractor
local Extractor = {}
Extractor.__index = Extractor

local function write_content(tree, st, path)
  local file <close> = assert(io.open(path, "wb"))
  local function check(ok, message)
    if not ok then
      banger.error(message:find "No space" and "no_space" or "io", ("write %s"):format(message))
    end
  end
  for offset = 0, st.size - 1, CHUNK do
    local part = tree:read(st.path, { offset = offset, size = CHUNK })
    if part == ZEROS and offset + #part < st.size then
      check(file:seek("cur", CHUNK)) -- a hole
    else
      check(file:write(part))
    end
  end
  check(file:close())
end

-- Nothing is written where something is: in a damaged image one name may be there twice.
local function check_absent(st, path)
  if host.lstat(path) then
    banger.error("ext4", ("%s is there twice: the image is damaged, run e2fsck -fy on it"):format(st.path))
  end
end

function Extractor:attributes(st)
  local attributes = { mtime = st.mtime, mtime_nsec = st.mtime_nsec }
  if st.type ~= "symlink" then
    attributes.mode = st.mode & (self.options.owner and ALL_MODES or PERMISSIONS)
  end
  if self.options.owner then
    attributes.uid, attributes.gid = st.uid, st.gid
  end
  return attributes
end

function Extractor:set(path, attributes)
  local ok, problem = pcall(host.set_attributes, path, attributes)
  if ok then
    return
  elseif self.options.owner and banger.is_error(problem) and problem.message:find "^set the owner of " then
    banger.error("io", "owners can be set by root only; leave out --owner")
  end
  error(problem, 0)
end

function Extractor:put_file(st, path)
  local known = st.nlink > 1 and self.made[st.id]
  if known then
    host.make_hardlink(known, path)
    self.result.hardlinks = self.result.hardlinks + 1
    return
  end
  write_content(self.tree, st, path)
  self:set(path, self:attributes(st))
  self.made[st.id] = st.nlink > 1 and path or nil
  self.result.files, self.result.bytes = self.result.files + 1, self.result.bytes + st.size
end

function Extractor:put(st, path)
  if #path >= PATH_MAX then
    banger.error("io", ("%s has paths of %d bytes and more, which this machine does not take"):format(self.top.path, PATH_MAX))
  end
  if st.type == "dir" then
    if path ~= self.root then
      check_absent(st, path)
      host.make_dir(path)
    end
    -- Theirs come last: making what is in them changes the time, and needs the mode.
    table.insert(self.directories, { path = path, attributes = self:attributes(st) })
    self.result.directories = self.result.directories + 1
    return
  end
  if st.type ~= "file" and st.type ~= "symlink" then
    table.insert(self.result.skipped, { path = st.path, type = st.type })
    return
  end
  check_absent(st, path)
  if st.type == "symlink" then
    host.make_symlink(st.target, path)
    self:set(path, self:attributes(st))
    self.result.symlinks = self.result.symlinks + 1
  else
    self:put_file(st, path)
  end
end

-- Below `path`, each entry of the image's walk.
function Extractor:put_tree(top, path)
  self.root = path
  local skip = top.path == "/" and 1 or #top.path + 1
  for found, st in self.tree:walk(top.path) do
    self:put(st, found == top.path and path or path .. "/" .. found:sub(skip):gsub("^/", ""))
  end
  for i = #self.directories, 1, -1 do
    self:set(self.directories[i].path, self.directories[i].attributes)
  end
end

local function remove_tree(path)
  if host.lstat(path) then
    pcall(host.run, { "chmod", "-R", "u+rwX", "--", path })
    pcall(host.run, { "rm", "-rf", "--", path })
  end
end

local function parent_of(path)
  return path:match "^(.*/)[^/]+$" or "./"
end

local function base_of(path)
  return path:match "[^/]*$"
end

-- The name that it will get: the one that was given, or in that directory its own.
local function name_for(top, dest)
  local found = host.stat(dest)
  if not (found and found.type == "dir") and not dest:find "/$" then
    return dest
  elseif top.path == "/" then
    banger.error("usage", ("%s is there; name a directory that is to be made"):format(dest))
  elseif not found then
    banger.error("not_found", ("%s: no such directory"):format(dest))
  end
  return (dest:gsub("/*$", "")) .. "/" .. base_of(top.path)
end

local function check_free(path, top, options)
  local found = host.lstat(path)
  if not found then
    return
  elseif found.type == "dir" then
    banger.error("usage", ("%s is a directory that is there; remove it, or give another name"):format(path))
  elseif top.type == "dir" then
    banger.error("usage", ("%s is there, and is no directory; remove it, or give another name"):format(path))
  elseif not options.force then
    banger.error("usage", ("%s is there; --force replaces it"):format(path))
  end
end

local function publish(from, to, options)
  if options.force and host.lstat(to) then
    local ok, message = os.rename(from, to)
    if not ok then
      banger.error("io", ("replace %s: %s"):format(to, message))
    end
    return
  end
  if not host.place(from, to) then
    banger.error("usage", ("%s is there by now; --force replaces it"):format(to))
  end
end

M.TYPE_NAMES = { char = "character device", block = "block device", fifo = "pipe", socket = "socket" }

---Put a file, or a directory with all below it, on this machine. Extended attributes are
---left out; devices, sockets and pipes are skipped.
---@param tree banger.tree
---@param top banger.stat # what is to be extracted
---@param dest string # the name it gets; or a directory that is there
---@param options? banger.inspect.extract_options
---@return banger.inspect.extracted
---@example
---```lua
---extract.extract(image, image:stat "/etc", "etc-of-the-image")
---```
---Raises `usage` (something is there; a device), `not_found`, `io`, `no_space`, `ext4`.
function M.extract(tree, top, dest, options)
  options = options or {}
  if top.type ~= "dir" and top.type ~= "file" and top.type ~= "symlink" then
    banger.error("usage", ("%s: a %s, which has no content"):format(top.path, M.TYPE_NAMES[top.type] or top.type))
  end
  local path = name_for(top, dest)
  check_free(path, top, options)
  local temp = host.make_temp_dir(parent_of(path) .. ".banger-extract.")
  local _ <close> = setmetatable({}, { __close = function()
    remove_tree(temp)
  end })
  local self = setmetatable({
    tree = tree, top = top, options = options, made = {}, directories = {},
    result = { path = path, files = 0, directories = 0, symlinks = 0, hardlinks = 0, bytes = 0, skipped = {} },
  }, Extractor)
  if top.type == "dir" then
    -- The directory itself gets the name: one that nobody may write to cannot be moved.
    self:put_tree(top, temp)
    publish(temp, path, options)
  else
    self:put(top, temp .. "/file")
    publish(temp .. "/file", path, options)
  end
  return self.result
end

return M
