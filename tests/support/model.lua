--- The layer rules as plainly as they can be said, to compare with.
-- Written from the rules alone, on Lua tables, with no thought for speed: no
-- bytes are parsed here, the entries are those that support.tar writes.
--
--   local model = require "support.model".new()
--   model:apply { tar.file("a", "x"), tar.file ".wh.b" }
--   local tree = model:tree()
--
-- Where a layer does what the rules leave open, model.open is set; where it does
-- what a peer is known to fail at, model.hard says what.
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
  return setmetatable({ root = made(), layer = 0, followed = {}, sources = {} }, M)
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
        self.followed[#self.followed + 1] = { dir = here, name = name, inode = inode, layer = slot.layer, slot = slot }
        hops = hops + 1
        if hops > MAX_LINKS then
          self.hard, self.looped = "a loop of links", true
          return nil
        end
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

--- The inode that a hard link's target names, not followed; or nil. And the
--- name's slot.
function M:target(e)
  local names, last = split(e.link)
  self.looped = false
  local parent = self:find(names)
  local slot = parent and last and parent.names[last]
  if self.looped then self.open = true end -- a loop now, perhaps not at the end
  return slot and slot.inode, slot
end

--- Gives the link's name to the target's inode; to a stand-in when there is no
--- target yet: the name is taken from here on, the inode comes at the end.
function M:place_link(e)
  local inode, source = self:target(e)
  if inode and inode.type == "dir" then bad("hard link to a directory") end
  self.sources[#self.sources + 1] = source
  local waits = not inode or inode.type == "awaited"
  local names, last = split(e.name)
  local parent = self:make(names)
  if source and parent.names[last] == source then self.open = true end -- a link to itself
  local slot = { inode = waits and { type = "awaited", entry = e } or inode, layer = self.layer }
  parent.names[last] = slot
  if waits then
    self.hard = "a link before its target"
    return { name = e.name, slot = slot }
  end
end

--- Targets whose names this layer took away after, or by, linking to them.
function M:check_sources(hidden)
  for _, slot in ipairs(self.sources) do
    if hidden[slot] then self.open = true end
    if not self:reaches(slot) then self.hard = "a link to a name that its layer takes away" end
  end
end

--- True when a name is still part of the image.
function M:reaches(slot)
  local todo = { self.root }
  while #todo > 0 do
    for _, other in pairs(table.remove(todo).names) do
      if other == slot then return true end
      if other.inode.names then todo[#todo + 1] = other.inode end
    end
  end
  return false
end

function M:place(e)
  local names, last = split(e.name)
  if e.type == "dir" then return self:place_dir(e, names, last) end
  if not last then bad("the root is no directory") end
  self:make(names).names[last] = { inode = inode_of(e), layer = self.layer }
end

--- Links whose target came later in the layer: as long as one is found,
--- another may be.
function M:resolve_later(waiting)
  local progress = true
  while progress and #waiting > 0 do
    local rest = {}
    for _, w in ipairs(waiting) do
      local inode = self:target(w.slot.inode.entry)
      if not self:reaches(w.slot) then
        self.open = true -- something took the link's name, or its place
      elseif inode and inode.type == "dir" then
        bad("hard link to a directory")
      elseif inode and inode.type ~= "awaited" then
        w.slot.inode = inode
      else
        rest[#rest + 1] = w
      end
    end
    progress, waiting = #rest < #waiting, rest
  end
  if #waiting > 0 then bad("%s: no target", waiting[1].name) end
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

--- A link that an entry went through and a marker of the same layer hides.
function M:check_hidden_links(actions)
  for _, f in ipairs(self.followed) do
    for _, action in ipairs(actions) do
      if action.dir == f.dir and (not action.name or action.name == f.name) then self.open = true end
    end
  end
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
  self:check_hidden_links(actions)
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
function M:check_followed(hidden)
  for _, f in ipairs(self.followed) do
    if hidden[f.slot] then self.open = true end
  end
  for _, f in ipairs(table.move(self.foreseen, 1, #self.foreseen, #self.followed + 1, self.followed)) do
    local slot = f.dir.names[f.name]
    if not slot or (slot.inode ~= f.inode and slot.inode.type ~= "dir") then self.open = true end
    if slot and slot.inode ~= f.inode then self.hard = "a marker or an entry through a link that becomes a directory" end
  end
end

local function kind(path)
  local names = components(path)
  for i, name in ipairs(names) do
    if name:sub(1, 8) == ".wh..wh." and not (name == OPAQUE and i == #names) then return "skip" end
  end
  return names[#names] and names[#names]:sub(1, 4) == ".wh." and "marker" or "entry"
end

--- Adds a name and all below it to a set.
local function collect(set, slot)
  local todo = { slot }
  while #todo > 0 do
    local one = table.remove(todo)
    set[one] = true
    for _, child in pairs(one.inode.names or {}) do todo[#todo + 1] = child end
  end
end

--- The names of lower layers that this layer's markers are about, looked up
--- before any entry acts: a peer that acts on markers at once would do so.
function M:foresee(entries)
  local hidden = {}
  for _, e in ipairs(entries) do
    if kind(e.name) == "marker" then
      local names, name = marker(e.name)
      local dir = self:find(names)
      for child, slot in pairs(dir and dir.names or {}) do
        if not name or child == name then collect(hidden, slot) end
      end
    end
  end
  self.foreseen, self.followed = self.followed, {}
  return hidden
end

--- Applies one layer, a list of entries as support.tar takes them.
---@param entries table[]
function M:apply(entries)
  self.layer = self.layer + 1
  self.open, self.hard, self.followed, self.sources = false, false, {}, {}
  local hidden = self:foresee(entries)
  local markers, later = {}, {}
  for _, e in ipairs(entries) do
    local what = kind(e.name)
    if what == "marker" then
      markers[#markers + 1] = e.name
    elseif what == "entry" and e.type == "hardlink" then
      later[#later + 1] = self:place_link(e)
    elseif what == "entry" then
      self:place(e)
    end
  end
  self:resolve_later(later)
  self:apply_markers(markers)
  self:check_followed(hidden)
  self:check_sources(hidden)
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
