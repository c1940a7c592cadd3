---What each layer of an image adds, changes and removes, and what it wastes: bytes that a
---later layer hides. The layers are put on top of each other one by one, and the tree is
---walked in between; what is remembered of it is a few numbers a path.
local handles = require "banger.inspect.handle"
local inspect = require "banger.inspect"
local reference = require "banger.inspect.reference"
local size_text = require "banger.size"
local sorted = require "banger.sorted"
local text = require "banger.inspect.text"

local M = {}

---@class banger.inspect.change
---@field path string
---@field kind "added"|"changed"|"removed"
---@field type string # removed: what it was is not remembered, "file" for what had bytes, else "other"
---@field size integer # bytes that it brings, or that go with it

---@class banger.inspect.sum
---@field count integer # of names
---@field bytes integer

---@class banger.inspect.layer
---@field layer integer
---@field digest string
---@field size integer # bytes, compressed
---@field created_by? string
---@field added banger.inspect.sum
---@field changed banger.inspect.sum
---@field removed banger.inspect.sum # bytes: of lower layers, hidden by this one's whiteouts
---@field bytes integer # of contents that it brings
---@field wasted integer # of these: hidden by later layers
---@field files? banger.inspect.change[] # when asked for: sorted by path

---@class banger.inspect.waste
---@field path string
---@field bytes integer # hidden
---@field total integer # of all that layers brought under this path
---@field count integer # how many layers brought or removed it
---@field layers integer[] # which
---@field hidden { layer: integer, bytes: integer }[] # whose bytes are hidden

---@class banger.inspect.file
---@field path string
---@field type string
---@field size integer # of a file, with all its names once; of others 0
---@field layer? integer
---@field hardlink? boolean # another name of a file that is counted elsewhere
---@field wasted integer # bytes of older versions

---@class banger.inspect.analysis
---@field layers banger.inspect.layer[]
---@field wasted banger.inspect.waste[] # most bytes first
---@field files? banger.inspect.file[] # the finished tree, when asked for
---@field bytes integer # of all contents that layers bring
---@field wasted_bytes integer # of these: not in the finished tree
---@field final_bytes integer # the others
---@field efficiency number # 0 to 1, as dive has it

---@class banger.inspect.state
local State = {}
State.__index = State

-- What is known of a path, in tables of their own: that takes less than a table a path.
local function new_state(want_changes)
  return setmetatable({
    -- The root is there before the first layer, as the core makes it.
    seen = { ["/"] = 0 }, -- the walk that saw it last, and the layer that brought it: walk << 16 | layer
    size = {}, -- bytes that are counted here; nil for none
    facts = { ["/"] = "493 0 0" }, -- of a directory: owner, mode, attributes
    counted_at = {}, -- of a file of several names: the one that is counted
    versions = {}, -- of a path that more than one layer touched
    wasted_of = {}, -- bytes of a layer that are hidden by now
    layers = {}, bytes = 0, wasted_bytes = 0, want_changes = want_changes,
  }, State)
end

local function layer_of(seen)
  return seen & 0xFFFF
end

local function new_layer(i)
  local function sum()
    return { count = 0, bytes = 0 }
  end
  return { layer = i, added = sum(), changed = sum(), removed = sum(), bytes = 0 }
end

-- Layers list a directory again for whatever is in it: that alone is no change, and a new
-- time is none either.
local function directory_facts(st)
  local parts = { st.mode, st.uid, st.gid }
  for _, name in ipairs(sorted(st.xattrs)) do
    parts[#parts + 1] = ("%q=%q"):format(name, st.xattrs[name])
  end
  return table.concat(parts, " ")
end

-- A layer brings another version of a path, or takes it away (nil bytes).
function State:touch(path, i, bytes, was_bytes, was_layer)
  local versions = self.versions[path]
  if not versions then
    if not was_layer then
      return
    end
    versions = { total = was_bytes, least = was_bytes, layers = { was_layer }, hidden = 0, hidden_of = {} }
    self.versions[path] = versions
  end
  versions.total = versions.total + (bytes or 0)
  versions.least = math.min(versions.least, bytes or 0)
  table.insert(versions.layers, i)
end

-- What was counted at a path is not to be seen any more.
function State:hide(path, bytes, was_layer)
  self.wasted_bytes = self.wasted_bytes + bytes
  self.wasted_of[was_layer] = (self.wasted_of[was_layer] or 0) + bytes
  local versions = self.versions[path]
  versions.hidden = versions.hidden + bytes
  versions.hidden_of[was_layer] = (versions.hidden_of[was_layer] or 0) + bytes
end

local function note(self, layer, kind, path, kind_of_file, bytes)
  local sum = layer[kind]
  sum.count, sum.bytes = sum.count + 1, sum.bytes + bytes
  if self.want_changes then
    table.insert(self.changes, { path = path, kind = kind, type = kind_of_file, size = bytes })
  end
end

-- The name at which a file of several names is counted. Content that a lower layer has
-- brought stays counted where it was, or moves to another of its names.
function State:choose_name(names, i)
  local first_old
  for _, item in ipairs(names) do
    local before = self.seen[item.path]
    if item.layer < i and before then
      first_old = first_old or item.path
      if self.counted_at[item.path] == item.path then
        return item.path, true
      end
    end
  end
  return first_old or names[1].path, first_old ~= nil
end

-- Files of several names are looked at together, after the others: sizes by path.
function State:count_links(groups, i)
  local sizes, survived = {}, {}
  for _, names in pairs(groups) do
    local chosen, old = self:choose_name(names, i)
    local was = old and (self.counted_at[chosen] or chosen)
    if was and was ~= chosen then
      survived[was] = chosen
    end
    for _, item in ipairs(names) do
      sizes[item.path] = item.path == chosen and item.size or 0
      item.chosen = chosen
    end
  end
  return sizes, survived
end

local NONE = {}

-- Walk what is there now: what this layer brought, and of the rest that it is still there.
-- Files that have or had several names are left for later.
function State:walk(tree, i, layer)
  local brought, groups = {}, {}
  for path, st in tree:walk() do
    local file = st.type == "file"
    -- The last name of what had several may be where its bytes are counted from now on.
    if file and (st.nlink > 1 or self.counted_at[path] and st.layer ~= i) then
      groups[st.id] = groups[st.id] or {}
      table.insert(groups[st.id], { path = path, layer = st.layer or 0, size = st.size })
    end
    if st.layer == i then
      local size, facts = file and st.size or 0, st.type == "dir" and directory_facts(st) or nil
      if self.counted_at[path] or file and st.nlink > 1 then
        brought[#brought + 1] = { path = path, type = st.type, size = size, facts = facts }
      else
        self:bring(path, st.type, facts, i, layer, size, NONE)
      end
    else
      local before = self.seen[path]
      self.seen[path] = i << 16 | (before and layer_of(before) or st.layer or 0)
      if st.type == "dir" and not self.facts[path] then
        self.facts[path] = directory_facts(st)
      end
    end
  end
  return brought, groups
end

function State:bring(path, kind, facts, i, layer, bytes, survived)
  local before = self.seen[path]
  local was_bytes = before and not survived[path] and self.size[path] or 0
  if before and facts and self.facts[path] == facts then
    self.seen[path] = i << 16 | layer_of(before)
    return
  end
  note(self, layer, before and "changed" or "added", path, kind, bytes)
  self:touch(path, i, bytes, was_bytes, before and not survived[path] and layer_of(before) or nil)
  if was_bytes > 0 then
    self:hide(path, was_bytes, layer_of(before))
  end
  layer.bytes = layer.bytes + bytes
  self.bytes = self.bytes + bytes
  self.seen[path] = i << 16 | i
  self.size[path] = bytes > 0 and bytes or nil
  self.facts[path] = facts
  self.counted_at[path] = nil
end

function State:drop_unseen(i, layer, survived)
  for path, seen in pairs(self.seen) do
    if seen >> 16 < i then
      local bytes = self.size[path] or 0
      local gone = survived[path] and 0 or bytes
      note(self, layer, "removed", path, self.size[path] and "file" or self.facts[path] and "dir" or "other", gone)
      if gone > 0 then
        self:touch(path, i, nil, bytes, layer_of(seen))
        self:hide(path, gone, layer_of(seen))
      end
      self.seen[path], self.size[path], self.facts[path], self.counted_at[path] = nil, nil, nil, nil
    end
  end
end

---One more layer is in.
function State:add(tree, i)
  local layer = new_layer(i)
  self.layers[i], self.changes = layer, {}
  local brought, groups = self:walk(tree, i, layer)
  local sizes, survived = self:count_links(groups, i)
  local moved = {}
  for was, chosen in pairs(survived) do
    moved[chosen] = self.size[was]
  end
  for _, item in ipairs(brought) do
    self:bring(item.path, item.type, item.facts, i, layer, sizes[item.path] or item.size, survived)
  end
  self:drop_unseen(i, layer, survived)
  for chosen, bytes in pairs(moved) do
    self.size[chosen] = bytes
  end
  for _, names in pairs(groups) do
    for _, item in ipairs(names) do
      self.counted_at[item.path] = item.chosen
    end
  end
  if self.want_changes then
    table.sort(self.changes, function(a, b)
      return a.path < b.path
    end)
    layer.files = self.changes
  end
end

local function more_wasted(a, b)
  if a.bytes ~= b.bytes then
    return a.bytes > b.bytes
  end
  return a.path < b.path
end

local function by_layer(hidden_of)
  local list = {}
  for layer, bytes in pairs(hidden_of) do
    list[#list + 1] = { layer = layer, bytes = bytes }
  end
  table.sort(list, function(a, b)
    return a.layer < b.layer
  end)
  return list
end

function State:wasted()
  local list, lost = {}, 0
  for path, versions in pairs(self.versions) do
    lost = lost + versions.total - versions.least
    if versions.hidden > 0 then
      list[#list + 1] = { path = path, bytes = versions.hidden, total = versions.total, count = #versions.layers,
        layers = versions.layers, hidden = by_layer(versions.hidden_of) }
    end
  end
  table.sort(list, more_wasted)
  return list, self.bytes > 0 and (self.bytes - lost) / self.bytes or 1
end

function State:files(tree)
  local list = {}
  for path, st in tree:walk() do
    local versions = self.versions[path]
    local at = self.counted_at[path]
    list[#list + 1] = {
      path = path, type = st.type, layer = st.layer, size = st.type == "file" and (not at or at == path) and st.size or 0,
      hardlink = at ~= nil and at ~= path or nil, wasted = versions and versions.hidden or 0,
    }
  end
  return list
end

---Put the layers of an image on top of each other, and say what each does.
---@param image banger.image
---@param shown banger.progress
---@param options? { files?: boolean, changes?: boolean } # files: list the finished tree; changes: list what each layer does
---@return banger.inspect.analysis
---@return banger.rootfs # the finished tree, to be closed
---@example
---```lua
---local analysis, rootfs <close> = layers.analyse(source.resolve(ref), inspect.progress {})
---print(analysis.efficiency, analysis.wasted[1].path)
---```
---Raises what `banger.flatten_layer` does.
function M.analyse(image, shown, options)
  options = options or {}
  local state
  local rootfs = inspect.flatten(image, shown, nil, function(tree, i)
    state = i == 1 and new_state(options.changes) or state
    state:add(tree, i)
  end)
  state = state or new_state()
  local history = {}
  for _, step in ipairs(reference.history(reference.documents(image).config_object, #image.layers)) do
    if step.layer then
      history[step.layer] = step.created_by
    end
  end
  for i, layer in ipairs(state.layers) do
    layer.digest, layer.size = image.layers[i].digest, image.layers[i].size
    layer.created_by, layer.wasted = history[i], state.wasted_of[i] or 0
  end
  local wasted, efficiency = state:wasted()
  return {
    layers = state.layers, wasted = wasted, efficiency = efficiency, bytes = state.bytes, wasted_bytes = state.wasted_bytes,
    final_bytes = state.bytes - state.wasted_bytes, files = options.files and state:files(rootfs) or nil,
  }, rootfs
end

---What each layer of a reference does; see `analyse`.
---@param tree banger.inspect.handle
---@param options? { files?: boolean } # files: list what each layer does
---@return banger.inspect.analysis
---@example
---```lua
---print(layers.of(banger.inspect "nginx").efficiency)
---```
---Raises `usage` for what is no reference; what `banger.flatten_layer` does.
function M.of(tree, options)
  local handle = inspect.reference(tree)
  local shown <close> = handles.progress(handle)
  local analysis, rootfs = M.analyse(handle.image, shown, { changes = options and options.files })
  rootfs:close()
  return analysis
end

---How much of an image is wasted.
---@param analysis banger.inspect.analysis
---@return number # 0 to 100
---@example
---```lua
---layers.percent { wasted_bytes = 1, bytes = 4 }  --> 25.0
---```
function M.percent(analysis)
  return analysis.bytes > 0 and analysis.wasted_bytes * 100 / analysis.bytes or 0
end

M.WORST = 10 -- of the paths that waste most, so many are printed unless told otherwise

local SIGNS = { added = "+", changed = "~", removed = "-" }
local ROW = "%3s  %10s  %10s  %8s  %8s  %8s  %10s  %s\n"

local function write_layer(i, layer, out)
  local made = text.escape((layer.created_by or "-"):gsub("%s+", " "))
  out(ROW:format(i, size_text.format(layer.size), size_text.format(layer.bytes), layer.added.count, layer.changed.count,
    layer.removed.count, size_text.format(layer.wasted), #made > 60 and made:sub(1, 57) .. "..." or made))
  for _, change in ipairs(layer.files or {}) do
    out(("     %s %10s  %s\n"):format(SIGNS[change.kind], size_text.format(change.size), text.escape(change.path)))
  end
end

---Print what was found: a table of the layers, and what is wasted.
---@param analysis banger.inspect.analysis
---@param options { worst?: integer } # how many of the paths that waste most
---@param out fun(...: string) # called for each line
---@example
---```lua
---layers.write(analysis, { worst = 3 }, io.write)
---```
function M.write(analysis, options, out)
  out(ROW:format("#", "compressed", "bytes", "added", "changed", "removed", "wasted", "created by"))
  for i, layer in ipairs(analysis.layers) do
    write_layer(i, layer, out)
  end
  out(("\nwasted %s of %s (%.1f %%), efficiency %.4f\n"):format(size_text.format(analysis.wasted_bytes), size_text.format(analysis.bytes),
    M.percent(analysis), analysis.efficiency))
  for i = 1, math.min(options.worst or M.WORST, #analysis.wasted) do
    local waste = analysis.wasted[i]
    out(("%10s  %s (layers %s)\n"):format(size_text.format(waste.bytes), text.escape(waste.path), table.concat(waste.layers, ", ")))
  end
end

return M
