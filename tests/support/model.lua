--- The layer rules as plainly as they can be said, to compare with.
-- Written from the rules alone, on Lua tables, with no thought for speed: no
-- bytes are parsed here, the entries are those that support.tar writes.
--
--   local model = require "support.model".new()
--   model:apply { tar.file("a", "x"), tar.file ".wh.b" }
--   local tree = model:tree()
--
-- Where a layer does what the rules leave open, model.open is set; where a link
-- came before its target, model.forward.
--
-- A directory is { names = { name -> { inode, layer } } }: `layer` is the one
-- that put the name there, which is what a marker asks about.
local M = {}
M.__index = M

local OPAQUE = ".wh..wh..opq"
local MAX_LINKS = 40

local function oct(digits) return tonumber(digits, 8) end

--- A directory that no entry describes.
local function made()
  return { type = "dir", names = {}, mode = oct "755", uid = 0, gid = 0, xattrs = {} }
end

function M.new()
  return setmetatable({ root = made(), layer = 0, followed = {} }, M)
end

--- The components of a path; "." and empty ones are none.
local function components(path)
  local out = {}
  for name in path:gmatch "[^/]+" do
    if name ~= "." then out[#out + 1] = name end
  end
  return out
end

local function bad(...) error({ model = true, message = string.format(...) }, 0) end

--- Walks the components from the root, links followed, ".." stopping there.
--- `missing(directory, name)` says what to go on with where nothing is, or
--- returns nil to give up. Returns the inode, or nil.
function M:walk(names, missing)
  local stack, todo, hops = { self.root }, {}, 0
  for i = #names, 1, -1 do todo[#todo + 1] = names[i] end
  while #todo > 0 do
    local name, here = table.remove(todo), stack[#stack]
    if name == ".." then
      if #stack > 1 then stack[#stack] = nil end
    else
      local slot = here.names[name]
      local inode = slot and slot.inode or missing(here, name)
      if not inode then return nil end
      if inode.type == "symlink" then
        self.followed[#self.followed + 1] = { dir = here, name = name, inode = inode, layer = slot.layer }
        hops = hops + 1
        if hops > MAX_LINKS then return nil end
        if inode.target:sub(1, 1) == "/" then stack = { self.root } end
        local more = components(inode.target)
        for i = #more, 1, -1 do todo[#todo + 1] = more[i] end
      elseif inode.type == "dir" then
        stack[#stack + 1] = inode
      else
        return nil
      end
    end
  end
  return stack[#stack]
end

--- The directory of these components, made where it is missing.
function M:make(names)
  local dir = self:walk(names, function(here, name)
    here.names[name] = { inode = made(), layer = self.layer }
    return here.names[name].inode
  end)
  return dir or bad("a parent is no directory, or a loop of links")
end

function M:find(names)
  return self:walk(names, function() return nil end)
end

--- The components of an entry's name, less the last, and the last.
local function split(path)
  local names = components(path)
  for _, name in ipairs(names) do
    if name == ".." then bad("..") end
  end
  local last = table.remove(names)
  return names, last
end

-- ---- entries ------------------------------------------------------------------

local function describe(inode, e)
  inode.mode = (e.mode or (e.type == "dir" and oct "755") or (e.type == "symlink" and oct "777") or oct "644") & oct "7777"
  inode.uid, inode.gid = e.uid or 0, e.gid or 0
  inode.mtime, inode.nsec = e.mtime or 1500000000, 0
  inode.xattrs = e.xattrs or {}
  return inode
end

local function inode_of(e)
  return describe({
    type = e.type, content = e.content, target = e.type == "symlink" and e.link or nil,
    major = e.major, minor = e.minor, names = e.type == "dir" and {} or nil,
  }, e)
end

function M:place_dir(e, names, last)
  if not last then return describe(self.root, e) end
  local parent = self:make(names)
  local slot = parent.names[last]
  if slot and slot.inode.type == "dir" then
    describe(slot.inode, e)
    slot.layer = self.layer
  else
    parent.names[last] = { inode = inode_of(e), layer = self.layer }
  end
end

--- The inode that a hard link's target names, not followed; or nil.
function M:target(e)
  local names, last = split(e.link)
  local parent = self:find(names)
  local slot = parent and last and parent.names[last]
  return slot and slot.inode
end

function M:place_link(e)
  local inode = self:target(e)
  if not inode then return false end
  if inode.type == "dir" then bad("hard link to a directory") end
  local names, last = split(e.name)
  self:make(names).names[last] = { inode = inode, layer = self.layer }
  return true
end

function M:place(e)
  local names, last = split(e.name)
  if e.type == "dir" then return self:place_dir(e, names, last) end
  if not last then bad("the root is no directory") end
  self:make(names).names[last] = { inode = inode_of(e), layer = self.layer }
end

--- True when this layer already has the name.
function M:is_ours(path)
  local names, last = split(path)
  local dir = self:find(names)
  local slot = dir and dir.names[last]
  return slot and slot.layer == self.layer
end

--- Links whose target comes later in the layer: as long as one resolves,
--- another may.
function M:place_later(links)
  local progress = true
  while progress and #links > 0 do
    local rest = {}
    for _, e in ipairs(links) do
      if self:is_ours(e.name) then self.open = true end
      if not self:place_link(e) then rest[#rest + 1] = e end
    end
    progress, links = #rest < #links, rest
  end
  if #links > 0 then bad("%s: no target %s", links[1].name, links[1].link) end
end

-- ---- markers --------------------------------------------------------------------

--- Takes away from a directory what this layer did not bring. Returns true
--- when something is left.
function M:hide_children(dir)
  local kept = false
  for name in pairs(dir.names) do
    if self:hide(dir, name) then kept = true end
  end
  return kept
end

--- Takes a name away unless this layer brought it, or brought something below
--- it: then it is a directory as this layer alone would have made it.
function M:hide(dir, name)
  local slot = dir.names[name]
  local ours = slot.layer == self.layer
  local kept = slot.inode.type == "dir" and self:hide_children(slot.inode)
  if ours then return true end
  if not kept then
    dir.names[name] = nil
    return false
  end
  local fresh = made()
  fresh.names = slot.inode.names
  dir.names[name] = { inode = fresh, layer = self.layer }
  return true
end

--- What a marker is about: a directory and a name in it, or all of it.
local function marker(path)
  local names, last = split(path)
  if last == OPAQUE then return names, nil end
  local name = last:match "^%.wh%.(.*)$"
  if name == "" or name == "." or name == ".." then bad("whiteout of %q", name) end
  return names, name
end

--- Markers act on the layer as it is when all its entries are in. All are
--- looked up before the first acts.
function M:apply_markers(markers)
  local actions, before = {}, #self.followed
  for _, path in ipairs(markers) do
    local names, name = marker(path)
    actions[#actions + 1] = { dir = self:find(names), name = name }
  end
  for i = before + 1, #self.followed do
    if self.followed[i].layer == self.layer then self.open = true end
  end
  for _, action in ipairs(actions) do
    if action.dir and not action.name then
      self:hide_children(action.dir)
    elseif action.dir and action.dir.names[action.name] then
      self:hide(action.dir, action.name)
    end
  end
end

--- Links that were followed and are no more: hidden, or replaced by anything
--- but a directory, in the same layer.
function M:check_followed()
  for _, f in ipairs(self.followed) do
    local slot = f.dir.names[f.name]
    if not slot or (slot.inode ~= f.inode and slot.inode.type ~= "dir") then self.open = true end
  end
end

local function kind(path)
  local names = components(path)
  for i, name in ipairs(names) do
    if name:sub(1, 8) == ".wh..wh." and not (name == OPAQUE and i == #names) then return "skip" end
  end
  return names[#names] and names[#names]:sub(1, 4) == ".wh." and "marker" or "entry"
end

--- Applies one layer, a list of entries as support.tar takes them.
---@param entries table[]
function M:apply(entries)
  self.layer = self.layer + 1
  self.open, self.forward, self.followed = false, false, {}
  local markers, later = {}, {}
  for _, e in ipairs(entries) do
    local what = kind(e.name)
    if what == "marker" then
      markers[#markers + 1] = e.name
    elseif what == "entry" and e.type == "hardlink" then
      if not self:place_link(e) then later[#later + 1] = e end
    elseif what == "entry" then
      self:place(e)
    end
  end
  self.forward = #later > 0
  self:place_later(later)
  self:apply_markers(markers)
  self:check_followed()
end

--- The image as a tree (support.tree).
function M:tree()
  local out, todo = {}, { { "", self.root } }
  while #todo > 0 do
    local path, inode = table.unpack(table.remove(todo))
    local node = { id = inode }
    for k, v in pairs(inode) do node[k] = v end
    node.names = nil
    node.size = node.content and #node.content or node.target and #node.target or nil
    out[path] = node
    for name, slot in pairs(inode.names or {}) do
      todo[#todo + 1] = { path == "" and name or path .. "/" .. name, slot.inode }
    end
  end
  return require "support.tree".count_links(out)
end

return M
