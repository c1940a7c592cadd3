---What a recipe's after_plan left of the plan: entries as `inject` takes them. Pure.
local nearest = require "banger.nearest"
local sorted = require "banger.sorted"

local M = {}

local FIELDS = {
  path = "string", type = "string", content = "string", source = "string", target = "string", why = "string", item = "string",
  by = "string", mode = "integer", uid = "integer", gid = "integer", major = "integer", minor = "integer", mtime = "number", xattrs = "table",
}

local function check_field(name, value)
  local wanted = FIELDS[name]
  if not wanted then
    local near = nearest(tostring(name), sorted(FIELDS))
    return ("'%s' is no field of an entry%s"):format(name, near and ("; did you mean '%s'?"):format(near) or "")
  elseif wanted == "integer" and math.type(value) ~= "integer" or wanted ~= "integer" and type(value) ~= wanted then
    return ("%s: %s %s expected, not a %s"):format(name, wanted == "integer" and "an" or "a", wanted, type(value))
  end
end

local function check(at, entry)
  if type(entry) ~= "table" then
    return ("entry %d is a %s, not a table"):format(at, type(entry))
  elseif type(entry.path) ~= "string" then
    return ("entry %d has no path"):format(at)
  end
  for _, name in ipairs(sorted(entry)) do
    local message = check_field(name, entry[name])
    if message then
      return ("%s: %s"):format(entry.path, message)
    end
  end
end

---What `inject` would take it for.
---@param entry banger.entry
---@return string?
function M.type_of(entry)
  return entry.type or entry.target and "symlink" or (entry.content or entry.source) and "file" or nil
end

-- What would be left out in silence.
local function after_hole(entries)
  local count = 0
  while entries[count + 1] ~= nil do
    count = count + 1
  end
  for _, at in ipairs(sorted(entries)) do
    if math.type(at) ~= "integer" or at < 1 or at > count then
      return at
    end
  end
end

---Check entries, and say of new ones where they come from.
---@param entries any
---@param by string # the recipe
---@return string? message # nil: all is well
function M.complete(entries, by)
  if type(entries) ~= "table" then
    return ("its entries are a %s, not a list"):format(type(entries))
  end
  local hole = after_hole(entries)
  if hole ~= nil then
    return ("its entries are no list: one is at '%s', and none before it; table.remove leaves no hole"):format(tostring(hole))
  end
  for at, entry in ipairs(entries) do
    local message = check(at, entry)
    if message then
      return message
    end
    entry.type = M.type_of(entry)
    if not entry.item then
      entry.item, entry.by, entry.why = "after_plan", by, entry.why or "asked for"
    end
  end
end

return M
