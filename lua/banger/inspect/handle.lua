---An image reference, to be looked into as a finished image is. Its layers are fetched and put
---on top of each other, in an unnamed file, when the first of its files is asked for.
local banger = require "banger"
local methods = require "banger.methods"
local text = require "banger.text"

local M = {}

-- What is nobody else's: by handle, so that who looks at one sees only what it is for.
---@type table<banger.inspect.handle, banger.inspect.handle_state>
local private = setmetatable({}, { __mode = "k" })

---@class banger.inspect.handle_state
---@field progress fun(): banger.progress # a new one, to be closed
---@field make fun(shown: banger.progress): banger.tree
---@field opened? banger.tree # what it made
---@field closed? boolean

---@class banger.inspect.handle: banger.tree # closed by <close> or `:close()`
---@field name string # the reference as it was given
---@field image banger.image
---@field layer? integer # only what this one brings is seen
local Handle = {}
methods.add(Handle)

---What messages call a handle.
---@param handle banger.inspect.handle
---@return string
---@example
---```lua
---handles.label(banger.inspect("oci:app:1", { layer = 2 }))  --> "oci:app:1, layer 2"
---```
function M.label(handle)
  return handle.layer and ("%s, layer %d"):format(handle.name, handle.layer) or handle.name
end

---Refuse a handle that was closed.
---@param handle banger.inspect.handle
---@example
---```lua
---handles.check_open(handle)
---```
---Raises `usage`.
function M.check_open(handle)
  if private[handle].closed then
    banger.error("usage", M.label(handle) .. " is closed")
  end
end

local function tree_of(self)
  local own = private[self]
  M.check_open(self)
  if not own.opened then
    local shown <close> = own.progress()
    own.opened = own.make(shown)
  end
  return own.opened
end

for _, name in ipairs { "stat", "list", "read", "data", "walk", "exists", "resolve", "df" } do
  Handle[name] = function(self, ...)
    local tree = tree_of(self)
    return tree[name](tree, ...)
  end
end

---Let go of it, and of what was unpacked for it. Closing twice is fine; so is `<close>`.
---@example
---```lua
---handle:close()
---```
function Handle:close()
  local own = private[self]
  own.closed = true
  if own.opened then
    own.opened:close()
  end
end

local META = { __index = Handle, __close = Handle.close, __name = "banger.inspect.handle" }
debug.getregistry()[META.__name] = META -- as the handles of the core have theirs

function META:__tostring()
  if private[self].closed then
    return "reference: closed"
  end
  local count = #self.image.layers
  return ("reference %s: %s, %s, %s"):format(M.label(self), self.layer and "of " .. count or text.count(count, "layer"), self.image.platform,
    self.image.digest)
end

---@param name string # the reference as it was given
---@param image banger.image
---@param progress fun(): banger.progress # to be closed; for what fetches layers
---@param make fun(shown: banger.progress): banger.tree # puts the layers there; called once, when they are needed
---@param layer? integer # where that is what only this layer brings
---@return banger.inspect.handle
---@example
---```lua
---local handle <close> = handles.new(ref, image, new_progress, function(shown) return inspect.flatten(image, shown) end)
---```
function M.new(name, image, progress, make, layer)
  local handle = setmetatable({ name = name, image = image, layer = layer }, META)
  private[handle] = { progress = progress, make = make }
  return handle
end

---Whether a value is such a handle.
---@param value any
---@return boolean
---@example
---```lua
---handles.is(banger.open "out.ext4")  --> false
---```
function M.is(value)
  return type(value) == "table" and debug.getmetatable(value) == META
end

---Whether its layers are there by now, so that looking into it takes no time.
---@param handle banger.inspect.handle
---@return boolean
---@example
---```lua
---if handles.is_open(handle) then print(#handle:list "/") end
---```
function M.is_open(handle)
  return private[handle].opened ~= nil and not private[handle].closed
end

---How the fetching of its layers is shown.
---@param handle banger.inspect.handle
---@return banger.progress # a new one, to be closed
---@example
---```lua
---local shown <close> = handles.progress(handle)
---```
function M.progress(handle)
  return private[handle].progress()
end

return M
