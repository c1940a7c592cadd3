---What hooks of recipes put into a rootfs by themselves, for the plan: each `banger.inject` into
---it comes by here, and so does each edit.
local entries = require "banger.image_recipe.entries"

local M = {}

local watched = setmetatable({}, { __mode = "k" }) -- rootfs -> who is to be told

---Say that entries went into a rootfs, or an image.
---@param where any
---@param list banger.entry[]
function M.tell(where, list)
  local note = watched[where]
  if note then
    note(list)
  end
end

---Call `act`, and list what it puts into a rootfs meanwhile, without the bytes.
---@param rootfs any # nothing is listed for what is no rootfs
---@param origin { item: string, by: string } # whose it is
---@param act function
---@return banger.guest_entry[]
---Raises what `act` does.
function M.of(rootfs, origin, act)
  local list = {}
  local _ <close> = setmetatable({}, { __close = function()
    if rootfs ~= nil then
      watched[rootfs] = nil
    end
  end })
  if rootfs ~= nil then
    watched[rootfs] = function(put)
      for _, entry in ipairs(put) do
        list[#list + 1] = {
          path = entry.path, type = entries.type_of(entry) or "file", target = entry.target, mode = entry.mode, uid = entry.uid, gid = entry.gid,
          item = origin.item, by = origin.by, why = entry.why or "changed by the hook",
        }
      end
    end
  end
  act()
  return list
end

return M
