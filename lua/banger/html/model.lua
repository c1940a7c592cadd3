---What a report tells of an image, from what is known of it: a reference whose layers were
---looked at, or a finished ext4 image.
local sections = require "banger.html.sections"
local shell = require "banger.shell"
local size = require "banger.size"
local text = require "banger.html.text"

local M = {}

local MOST_DIRECTORIES = 11
local MOST_SPLITS, LEAST_PART = 7, 0.04

-- Documents of an image are hostile: what is not of the type it should be is left out.
local function put(rows, name, value, kind)
  if type(value) == (kind or "string") and value ~= "" and (type(value) ~= "table" or next(value) ~= nil) then
    rows[#rows + 1] = { name, value }
  end
end

local function strings(list)
  local out = {}
  for _, value in ipairs(type(list) == "table" and list or {}) do
    out[#out + 1] = (type(value) == "string" or type(value) == "number") and tostring(value) or nil
  end
  return out
end

-- The keys of an object, with their values where those are texts.
local function pairs_of(object)
  local out = {}
  for name, value in pairs(type(object) == "table" and object or {}) do
    out[#out + 1] = type(value) == "string" and ("%s=%s"):format(name, value) or tostring(name)
  end
  table.sort(out)
  return out
end

local function config_facts(config)
  local rows = {}
  put(rows, "Entrypoint", shell.quote(strings(config.Entrypoint)))
  put(rows, "Cmd", shell.quote(strings(config.Cmd)))
  put(rows, "User", config.User)
  put(rows, "WorkingDir", config.WorkingDir)
  put(rows, "StopSignal", config.StopSignal)
  put(rows, "Env", strings(config.Env), "table")
  put(rows, "ExposedPorts", pairs_of(config.ExposedPorts), "table")
  put(rows, "Volumes", pairs_of(config.Volumes), "table")
  put(rows, "Labels", pairs_of(config.Labels), "table")
  return { title = "Config", rows = rows }
end

local function sized(bytes)
  return ("%s (%s bytes)"):format(size.format(bytes), text.number(bytes))
end

local function count(files)
  local names, dirs = 0, 0
  for _, file in ipairs(files) do
    if file.type == "dir" then
      dirs = dirs + 1
    else
      names = names + 1
    end
  end
  return names, dirs
end

local function directories(number)
  return "in " .. text.count(number, "directory", "directories")
end

-- ---- a reference ---------------------------------------------------------------------------------

local function layer_groups(layers)
  local groups = {}
  for i, layer in ipairs(layers) do
    local command = text.show(text.cut(sections.command(layer.created_by), 300))
    groups[i] = { label = tostring(i), name = command ~= "" and command or nil, bytes = layer.bytes - layer.wasted }
  end
  return groups
end

local function image_facts(image, analysis)
  local rows, compressed = {}, 0
  for _, layer in ipairs(analysis.layers) do
    compressed = compressed + layer.size
  end
  put(rows, "Reference", image.reference)
  put(rows, "Digest", image.digest)
  put(rows, "Platform", image.platform)
  if image.config.created then
    put(rows, "Created", text.utc(image.config.created))
  end
  put(rows, "Download", sized(compressed))
  put(rows, "Contents of all layers", sized(analysis.bytes))
  put(rows, "Contents of the image", sized(analysis.final_bytes))
  put(rows, "Efficiency", ("%.4f"):format(analysis.efficiency))
  return { title = "Image", rows = rows }, compressed
end

---The report on a reference.
---@param image banger.image
---@param analysis banger.inspect.analysis # with its files
---@param plan? banger.guest_plan # what pull would add
---@return banger.html.model
---@example
---```lua
---local analysis, rootfs <close> = layers.analyse(image, shown, { files = true })
---local page = pages.page(model.reference(image, analysis, guest.prepare(rootfs, image.config)))
---```
function M.reference(image, analysis, plan)
  local files, dirs = count(analysis.files)
  local facts, compressed = image_facts(image, analysis)
  return {
    title = image.reference, sub = { image.platform, image.digest },
    figures = {
      { "Contents", size.format(analysis.final_bytes), ("of %s in layers"):format(size.format(analysis.bytes)) },
      { "Files", text.number(files), directories(dirs) },
      { "Layers", text.number(#analysis.layers), size.format(compressed) .. " to download" },
      { "Wasted", size.format(analysis.wasted_bytes), text.percent(analysis.wasted_bytes, analysis.bytes) .. " of all layers" },
      { "Efficiency", ("%.1f %%"):format(analysis.efficiency * 100), text.count(#analysis.wasted, "path") .. " hidden" },
    },
    noun = "layer", groups = layer_groups(analysis.layers), files = analysis.files,
    group_of = function(file)
      return file.layer and file.layer <= #analysis.layers and file.layer or nil
    end,
    wasted = analysis.wasted, wasted_bytes = analysis.wasted_bytes, layers = analysis.layers,
    plan = plan and {
      title = "What pull adds", lead = "The least that makes the image boot as a machine. <code>--without ITEM</code> leaves one out.",
      init = plan.init, cmdline = plan.cmdline, entries = plan.entries, warnings = plan.warnings,
    },
    about = { facts, config_facts(image.config.config) },
  }
end

-- ---- a finished image ----------------------------------------------------------------------------

-- As layers.analyse lists files: a file of several names is counted at its first.
local function list_files(tree)
  local files, seen = {}, {}
  for path, st in tree:walk() do
    local again = st.type == "file" and st.nlink > 1 and st.ino and seen[st.ino]
    if st.type == "file" and st.nlink > 1 and st.ino then
      seen[st.ino] = true
    end
    files[#files + 1] = { path = path, type = st.type, size = st.type == "file" and not again and st.size or 0,
      hardlink = again or nil, wasted = 0 }
  end
  return files
end

local function parent_of(path)
  return path:match "^(.+)/[^/]*$" or "/"
end

-- Bytes below each directory, and which directories with some are in it.
local function sum_up(files)
  local totals, children = { ["/"] = 0 }, {}
  for i = #files, 1, -1 do -- what is in a directory comes behind it
    local file = files[i]
    local bytes = file.type == "dir" and (totals[file.path] or 0) or file.size
    if file.path ~= "/" and bytes > 0 then
      local parent = parent_of(file.path)
      totals[parent] = (totals[parent] or 0) + bytes
      if file.type == "dir" then
        children[parent] = children[parent] or {}
        table.insert(children[parent], file.path)
      end
    end
  end
  return totals, children
end

-- The key that has most; of several the first by name.
local function largest(map)
  local best
  for name, bytes in pairs(map) do
    if not best or bytes > map[best] or bytes == map[best] and name < best then
      best = name
    end
  end
  return best
end

-- Which group to split, and the directory in it that becomes one of its own.
local function next_split(own, totals, children)
  local parts, part_of = {}, {}
  for group, bytes in pairs(own) do
    local inside = {}
    for _, dir in ipairs(group ~= "/" and children[group] or {}) do
      inside[dir] = not own[dir] and totals[dir] >= totals["/"] * LEAST_PART and totals[dir] or nil
    end
    part_of[group] = largest(inside)
    parts[group] = part_of[group] and bytes or nil
  end
  local group = largest(parts)
  return group, group and part_of[group]
end

-- Directories at the top say little where all is in /usr: the large ones are split. What of it is in
-- none of its parts stays with a directory.
local function own_bytes(totals, children)
  local own, split = { ["/"] = totals["/"] }, {}
  for _, dir in ipairs(children["/"] or {}) do
    own[dir], own["/"] = totals[dir], own["/"] - totals[dir]
  end
  for _ = 1, MOST_SPLITS do
    local group, part = next_split(own, totals, children)
    if not group then
      break
    end
    own[part], own[group], split[group] = totals[part], own[group] - totals[part], true
  end
  return own, split
end

local function by_size(own)
  local order = {}
  for dir in pairs(own) do
    order[#order + 1] = dir
  end
  table.sort(order, function(a, b)
    if own[a] ~= own[b] then
      return own[a] > own[b]
    end
    return a < b
  end)
  return order
end

-- The largest directories, in order; then one group for what is left.
local function directory_groups(files)
  local totals, children = sum_up(files)
  local own, split = own_bytes(totals, children)
  local groups, index, rest = {}, {}, { label = "all else", bytes = 0 }
  for _, dir in ipairs(by_size(own)) do
    if #groups < MOST_DIRECTORIES and dir ~= "/" and own[dir] > 0 then
      groups[#groups + 1] = { label = text.show(text.cut(dir, 100)) .. (split[dir] and " (rest)" or ""), bytes = own[dir] }
      index[dir] = #groups
    else
      rest.bytes = rest.bytes + own[dir]
      index[dir] = 0
    end
  end
  groups[#groups + 1] = rest.bytes > 0 and rest or nil
  return groups, function(file)
    local dir = file.type == "dir" and file.path or parent_of(file.path)
    local known = dir
    while not index[known] do
      known = parent_of(known)
    end
    index[dir] = index[known] -- of a deep tree, each step is gone once
    return index[dir] > 0 and index[dir] or rest.bytes > 0 and #groups or nil
  end
end

local function record_plan(record)
  return {
    title = "What was added", lead = "By pull, so that the image boots as a machine; the image remembers it.",
    init = record.init and record.init.kind and record.init or nil, cmdline = record.cmdline, recipes = record.recipes,
    entries = record.injected,
  }
end

local function origin_facts(record)
  local rows = {}
  put(rows, "Made of", record.digest)
  put(rows, "Platform", record.platform)
  put(rows, "Made by", record.banger and "banger-lua " .. record.banger)
  return { title = "Origin", rows = rows }
end

local function space_facts(super, df)
  local rows = {}
  put(rows, "Label", super.label)
  put(rows, "UUID", super.uuid)
  put(rows, "Size", sized(df.size))
  put(rows, "Used", sized(df.used))
  put(rows, "Free", sized(df.free))
  put(rows, "Inodes", ("%s, %s used"):format(text.number(df.inodes), text.number(df.inodes_used)))
  return { title = "File system", rows = rows }
end

---The report on a finished image.
---@param file banger.inspect.image_file # what it says of itself
---@param tree banger.tree
---@return banger.html.model
---@example
---```lua
---local tree <close> = banger.open "out.ext4"
---local page = pages.page(model.image(image_file.read "out.ext4", tree))
---```
---Raises what the tree raises.
function M.image(file, tree)
  local files, df, record = list_files(tree), file.usage, file.record
  local groups, group_of = directory_groups(files)
  local names, dirs = count(files)
  return {
    title = file.path:match "[^/]+$" or file.path, sub = { "ext4 image", record and record.digest },
    figures = {
      { "Contents", size.format(file.content.bytes) },
      { "Files", text.number(names), directories(dirs) },
      { "Image", size.format(df.size), size.format(df.used) .. " used" },
      { "Free", size.format(df.free), text.percent(df.free, df.size) },
      { "Inodes free", text.number(df.inodes_free), ("of %s"):format(text.number(df.inodes)) },
    },
    noun = "directory", groups = groups, group_of = group_of, files = files, wasted = {}, wasted_bytes = 0,
    plan = record and record_plan(record) or nil, about = { space_facts(file.superblock, df), record and origin_facts(record) },
  }
end

return M
