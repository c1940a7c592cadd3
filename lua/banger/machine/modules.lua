---Kernel modules: which files have to be loaded, in which order. Pure: the texts of a
---modules directory go in.
local M = {}

---@class banger.module_index
---@field files table<string, string> # a module's name -> its file, below the directory
---@field needs table<string, string[]> # a file -> the files to load before it, in this order
---@field builtin table<string, true> # names of what is in the kernel
---@field before table<string, string[]> # a name -> the names of soft dependencies, loaded where they are there
---@field aliases table<string, string[]> # a name -> the modules that go by it

---The name of a module by its file: "kernel/a/virtio-rng.ko.xz" is "virtio_rng".
---@param path string
---@return string
---@example
---```lua
---modules.name "kernel/drivers/block/virtio_blk.ko" --> "virtio_blk"
---```
function M.name(path)
  return (path:match "[^/]*$":gsub("%.ko.*$", ""):gsub("-", "_"))
end

-- What leads out of the directory is not followed: nothing makes such names.
local function is_below(path)
  return path ~= "" and path:sub(1, 1) ~= "/" and not ("/" .. path .. "/"):find("/../", 1, true)
end

local function reversed(text)
  local list = {}
  for path in text:gmatch "%S+" do
    if is_below(path) then
      table.insert(list, 1, path)
    end
  end
  return list
end

local function add(lists, key, value)
  lists[key] = lists[key] or {}
  table.insert(lists[key], value)
end

---@param texts { dep: string, builtin?: string, softdep?: string, alias?: string } # modules.dep and so on
---@return banger.module_index
---@example
---```lua
---local index = modules.parse { dep = "a.ko: b.ko\nb.ko:\n" }
---```
function M.parse(texts)
  local index = { files = {}, needs = {}, builtin = {}, before = {}, aliases = {} }
  for path, needs in texts.dep:gmatch "([^\n:]+):([^\n]*)" do
    if is_below(path) then
      index.files[M.name(path)] = path
      -- modprobe loads what is named last first.
      index.needs[path] = reversed(needs)
    end
  end
  for path in (texts.builtin or ""):gmatch "[^\n]+" do
    index.builtin[M.name(path)] = true
  end
  for name, rest in (texts.softdep or ""):gmatch "softdep%s+(%S+)([^\n]*)" do
    for soft in (rest:match "pre:(.*)$" or ""):gsub("post:.*$", ""):gmatch "%S+" do
      add(index.before, name:gsub("-", "_"), (soft:gsub("-", "_")))
    end
  end
  for alias, name in (texts.alias or ""):gmatch "alias%s+([%w_%-]+)%s+(%S+)" do
    add(index.aliases, (alias:gsub("-", "_")), (name:gsub("-", "_")))
  end
  return index
end

-- An order in the making: the list, and what is in it or on the way.
local Order = {}
Order.__index = Order

function Order:add_file(path)
  if self.seen[path] then
    return
  end
  self.seen[path] = true
  local name = M.name(path)
  for _, soft in ipairs(self.index.before[name] or {}) do
    self:add_soft(soft)
  end
  for _, need in ipairs(self.index.needs[path] or {}) do
    self:add_file(need)
  end
  self.list[#self.list + 1] = path
end

-- A soft dependency is often an alias, which several modules may have; none is fine.
function Order:add_soft(name)
  if self.index.builtin[name] then
    return
  elseif self.index.files[name] then
    return self:add_file(self.index.files[name])
  end
  for _, module in ipairs(self.index.aliases[name] or {}) do
    if self.index.files[module] then
      self:add_file(self.index.files[module])
    end
  end
end

---What has to be loaded for some modules, in this order.
---@param index banger.module_index
---@param wanted string[] # names
---@return string[] files # below the modules directory; nothing of what is built in
---@return string[] missing # the wanted ones that are neither there nor built in
---@example
---```lua
---local files, missing = modules.order(index, { "virtio_pci", "virtio_blk", "ext4" })
---```
function M.order(index, wanted)
  local order, missing = setmetatable({ index = index, seen = {}, list = {} }, Order), {}
  for _, name in ipairs(wanted) do
    if index.files[name] and not index.builtin[name] then
      order:add_file(index.files[name])
    elseif not index.builtin[name] then
      missing[#missing + 1] = name
    end
  end
  return order.list, missing
end

return M
