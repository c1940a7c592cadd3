---Files of an image, put on this machine: into a new directory of this user's alone, which
---gets its name when all is in it. So no link of the image is ever followed, and what is
---there appears whole or not at all.
local arguments = require "banger.inspect.arguments"
local banger = require "banger"
local output = require "banger.output"
local size_text = require "banger.size"
local sorted = require "banger.sorted"
local text = require "banger.inspect.text"

local M = {}

local host = banger.host
local CHUNK = 1 << 20
local PATH_MAX = 4096 -- Linux's
local HOLE = ("\0"):rep(4096)
local SET_ID, ALL_MODES = tonumber("6000", 8), tonumber("7777", 8)

---What files are called that have no content.
M.TYPE_NAMES = { char = "character device", block = "block device", fifo = "pipe", socket = "socket" }
local TYPE_NAMES = M.TYPE_NAMES

local function root_only(options)
  return arguments.flag(options, "owner") .. " keeps it, as root"
end

---@class banger.inspect.extract_options
---@field force? boolean # replace a file or a link that is there, nothing else
---@field owner? boolean # owners too, and what only root may have: set-id bits, file capabilities, device nodes
---@field in_script? boolean # messages name options as scripts do

---@class banger.inspect.extracted
---@field path string # where it is now
---@field files integer
---@field directories integer
---@field symlinks integer
---@field hardlinks integer # names of files that are counted already
---@field bytes integer
---@field skipped { path: string, type: string, why?: string }[] # sockets, and devices that were not made
---@field lost banger.inspect.lost

---@class banger.inspect.lost # what could not be kept of the files that are there
---@field owners { uid: integer, gid: integer, count: integer, path: string }[] # path: of the first
---@field modes { path: string, mode: string }[] # set-id bits: the mode that is in the image
---@field xattrs { path: string, name: string, why: string }[]

---@class banger.inspect.extractor
local Extractor = {}
Extractor.__index = Extractor

local function is_hole(chunk, at)
  return chunk:byte(at) == 0 and chunk:sub(at, at + #HOLE - 1) == HOLE
end

-- The next part of a chunk that is to be written: from where to where, without the blocks of zeros.
local function next_data(chunk, from)
  while is_hole(chunk, from) do
    from = from + #HOLE
  end
  local past = from
  while past <= #chunk and not is_hole(chunk, past) do
    past = past + #HOLE
  end
  return from, math.min(past - 1, #chunk)
end

-- Holes stay holes, and other blocks of zeros become some, as with `cp --sparse=always`.
local function write_content(tree, st, path)
  local file <close> = output.check(st.path, io.open(path, "wb"))
  local function check(...)
    output.check(st.path, ...)
  end
  local written = 0
  local function write_chunk(offset, length)
    local chunk = tree:read(st.path, { offset = offset, size = length })
    local from, to = next_data(chunk, 1)
    while from <= #chunk do
      check(file:seek("set", offset + from - 1))
      check(file:write(chunk:sub(from, to)))
      written = offset + to
      from, to = next_data(chunk, to + 1)
    end
  end
  local start, past = tree:data(st.path, 0)
  while start do
    for offset = start, past - 1, CHUNK do
      write_chunk(offset, math.min(CHUNK, past - offset))
    end
    start, past = tree:data(st.path, past)
  end
  if written < st.size then
    check(file:seek("set", st.size - 1))
    check(file:write "\0")
  end
  check(file:close())
end

-- Nothing is written where something is: in a damaged image one name may be there twice.
local function check_absent(st, path)
  if host.lstat(path) then
    banger.error("ext4", ("%s is there twice: the image is in use, or damaged; if nothing uses it, run e2fsck -fy on it"):format(st.path))
  end
end

-- Owners first: changing one takes set-id bits and capabilities away.
function Extractor:set_owner(st, path)
  if self.options.owner then
    local ok, problem = pcall(host.set_attributes, path, { uid = st.uid, gid = st.gid })
    if not ok and banger.is_error(problem) and problem.message:find "^set the owner of " then
      banger.error("io", "owners can be set by root only; leave out " .. arguments.flag(self.options, "owner"))
    end
    return ok or error(problem, 0)
  end
  if st.uid == self.me.uid and st.gid == self.me.gid then
    return
  end
  local id, owners = ("%d:%d"):format(st.uid, st.gid), self.result.lost.owners
  if not self.owners[id] then
    self.owners[id] = { uid = st.uid, gid = st.gid, count = 0, path = st.path }
    owners[#owners + 1] = self.owners[id]
  end
  self.owners[id].count = self.owners[id].count + 1
end

-- What gives nobody more rights than the mode does.
local function is_harmless(name)
  return name:find "^user%." or name == "system.posix_acl_access" or name == "system.posix_acl_default"
end

function Extractor:set_xattrs(st, path)
  for _, name in ipairs(sorted(st.xattrs)) do
    local kept, why = false, root_only(self.options)
    if self.options.owner or is_harmless(name) then
      kept, why = host.set_xattr(path, name, st.xattrs[name])
    end
    if not kept then
      table.insert(self.result.lost.xattrs, { path = st.path, name = name, why = why })
    end
  end
end

-- While the file can be written to: its own mode comes after the attributes.
function Extractor:set_attributes(st, path)
  self:set_owner(st, path)
  self:set_xattrs(st, path)
  local attributes = { mtime = st.mtime, mtime_nsec = st.mtime_nsec }
  if st.type ~= "symlink" then
    attributes.mode = st.mode & (self.options.owner and ALL_MODES or ~SET_ID)
    if attributes.mode ~= st.mode then
      table.insert(self.result.lost.modes, { path = st.path, mode = ("%04o"):format(st.mode) })
    end
  end
  host.set_attributes(path, attributes)
end

-- Pipes are made, devices for root who asks for them, sockets never: false where nothing is.
function Extractor:put_node(st, path)
  local made, why = false, nil
  if st.type == "fifo" or self.options.owner and st.type ~= "socket" then
    made, why = host.make_node(path, st.type, st.major, st.minor)
  elseif st.type ~= "socket" then
    why = root_only(self.options)
  end
  if not made then
    table.insert(self.result.skipped, { path = st.path, type = st.type, why = why })
  end
  return made
end

-- What is no directory and has no name here yet: false where it gets none.
function Extractor:put_new(st, path)
  if st.type == "symlink" then
    host.make_symlink(st.target, path)
    self.result.symlinks = self.result.symlinks + 1
  elseif st.type == "file" then
    write_content(self.tree, st, path)
    self.result.files, self.result.bytes = self.result.files + 1, self.result.bytes + st.size
  elseif not self:put_node(st, path) then
    return false
  end
  self:set_attributes(st, path)
  return true
end

function Extractor:put_dir(st, path)
  if path ~= self.root then
    check_absent(st, path)
    host.make_dir(path)
  end
  -- Its attributes come last: making what is in it changes the time, and needs the mode.
  table.insert(self.directories, { path = path, st = st })
  self.result.directories = self.result.directories + 1
end

function Extractor:put(st, path)
  if #path >= PATH_MAX then
    banger.error("io", ("%s has paths of %d bytes and more, which this machine does not take"):format(self.top.path, PATH_MAX))
  elseif st.type == "dir" then
    return self:put_dir(st, path)
  end
  check_absent(st, path)
  local known = st.nlink > 1 and self.made[st.id]
  if known then
    host.make_hardlink(known, path)
    self.result.hardlinks = self.result.hardlinks + 1
  elseif self:put_new(st, path) and st.nlink > 1 then
    self.made[st.id] = path
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
    self:set_attributes(self.directories[i].st, self.directories[i].path)
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

-- A directory of no name that lasts, beside what is made.
local function make_place(path)
  local ok, made = pcall(host.make_temp_dir, parent_of(path) .. ".banger-extract.")
  if ok then
    return made
  elseif not banger.is_error(made) or made.code == "interrupted" then
    error(made, 0)
  end
  local code = made.code == "not_found" and "usage" or made.code -- as where an image is written
  banger.error(code, ("cannot write output %s: %s"):format(path, made.message:match ": ([^:]*)$" or made.message))
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
    banger.error("usage", ("%s: no such directory"):format(dest))
  end
  return (dest:gsub("/*$", "")) .. "/" .. base_of(top.path)
end

local function check_free(path, top, options)
  local found = host.lstat(path)
  if not found then
    return
  elseif TYPE_NAMES[found.type] then
    banger.error("usage", ("%s is a %s; name another file"):format(path, TYPE_NAMES[found.type]))
  elseif found.type == "dir" then
    banger.error("usage", ("%s is a directory that is there; remove it, or give another name"):format(path))
  elseif top.type == "dir" then
    banger.error("usage", ("%s is there, and is no directory; remove it, or give another name"):format(path))
  elseif not options.force then
    banger.error("usage", ("%s is there; %s replaces it"):format(path, arguments.flag(options, "force")))
  end
end

local function publish(from, to, top, options)
  if options.force and host.lstat(to) then
    check_free(to, top, options) -- what is there may be another by now
    local ok, message = os.rename(from, to)
    if not ok then
      banger.error("io", ("replace %s: %s"):format(to, message))
    end
    return
  end
  if not host.place(from, to) then
    banger.error("usage", ("%s is there by now; %s replaces it"):format(to, arguments.flag(options, "force")))
  end
end

---Put a file, or a directory with all below it, on this machine: contents, modes, times, links,
---`user.` attributes and ACLs. What needs root is kept with `owner` only, so that nobody's program gets rights
---for having been looked at; what could not be kept is in the result.
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
    banger.error("usage", ("%s: a %s, which has no content"):format(top.path, TYPE_NAMES[top.type] or top.type))
  end
  local path = name_for(top, dest)
  check_free(path, top, options)
  local temp = make_place(path)
  local _ <close> = setmetatable({}, { __close = function()
    remove_tree(temp)
  end })
  local self = setmetatable({
    tree = tree, top = top, options = options, me = host.lstat(temp), owners = {}, made = {}, directories = {},
    result = {
      path = path, files = 0, directories = 0, symlinks = 0, hardlinks = 0, bytes = 0, skipped = {},
      lost = { owners = {}, modes = {}, xattrs = {} },
    },
  }, Extractor)
  if top.type == "dir" then
    -- The directory itself gets the name: one that nobody may write to cannot be moved.
    self:put_tree(top, temp)
    publish(temp, path, top, options)
  else
    self:put(top, temp .. "/file")
    publish(temp .. "/file", path, top, options)
  end
  return self.result
end

local MOST_NAMES = 3

-- The first few of a list, and how many more there are.
local function name_some(list, name_of)
  local names = {}
  for i = 1, math.min(#list, MOST_NAMES) do
    names[i] = name_of(list[i])
  end
  return table.concat(names, ", ") .. (#list > MOST_NAMES and (" and %d more"):format(#list - MOST_NAMES) or "")
end

-- Lists of those that have the same name, and the same reason, in the order in which they come.
local function gather(list, name_of)
  local groups, by_key = {}, {}
  for _, item in ipairs(list) do
    local name = name_of(item)
    local key = name .. "\0" .. (item.why or "")
    if not by_key[key] then
      by_key[key] = { name = name, why = item.why, items = {} }
      groups[#groups + 1] = by_key[key]
    end
    table.insert(by_key[key].items, item)
  end
  return groups
end

local function path_of(item)
  return text.escape(item.path)
end

local function xattr_name(item)
  return text.escape(item.name)
end

local function type_name(item)
  return TYPE_NAMES[item.type]
end

local function owner_name(item)
  return ("%d:%d of %s"):format(item.uid, item.gid, item.count == 1 and path_of(item) or text.count(item.count, "file"))
end

local function mode_name(item)
  return ("%s of %s"):format(item.mode, path_of(item))
end

---What could not be kept, in a few lines for people.
---@param result banger.inspect.extracted
---@param options? banger.inspect.extract_options # it was extracted with
---@return string[]
---@example
---```lua
---for _, line in ipairs(extract.losses(result)) do cli.note("%s", line) end
---```
function M.losses(result, options)
  local lines, lost = {}, result.lost
  local function say(form, ...)
    lines[#lines + 1] = form:format(...)
  end
  for _, group in ipairs(gather(result.skipped, type_name)) do
    say("skipped %s: %s%s", text.count(#group.items, group.name), name_some(group.items, path_of), group.why and " (" .. group.why .. ")" or "")
  end
  for _, group in ipairs(gather(lost.xattrs, xattr_name)) do
    say("not kept: %s of %s (%s)", group.name, name_some(group.items, path_of), group.why)
  end
  if #lost.modes > 0 then
    say("not kept: the mode %s (%s)", name_some(lost.modes, mode_name), root_only(options or {}))
  end
  if #lost.owners > 0 then
    say("not kept: the owner %s (%s)", name_some(lost.owners, owner_name), root_only(options or {}))
  end
  return lines
end

---What was put on this machine, in a line.
---@param result banger.inspect.extracted
---@return string
---@example
---```lua
---print(extract.summary(result))
---```
function M.summary(result)
  local links = result.symlinks + result.hardlinks
  return ("%s: %s in %s, %s%s"):format(text.escape(result.path), size_text.format(result.bytes), text.count(result.files, "file"),
    text.count(result.directories, "directory", "directories"), links > 0 and ", " .. text.count(links, "link") or "")
end

return M
