---Units of systemd in a rootfs: finding, enabling and masking them, as systemctl does,
---by the files alone.
local Plan = require "banger.guest.plan"

local M = {}

local OWN <const> = "/etc/systemd/system"
local DIRECTORIES = { OWN, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system" }
local PRESETS <const> = "/etc/systemd/system-preset"
local NOWHERE <const> = "/dev/null"
local TYPES = {
  service = true, socket = true, target = true, mount = true, automount = true, swap = true, timer = true, path = true,
  slice = true, scope = true, device = true,
}
local MAX_NAME <const> = 255
local MAX_WORDS <const> = 64
local MAX_UNITS <const> = 64 -- that one brings along

---A unit's name with its type; ".service" where it has none.
---@param text string
---@return string? # nil: it is no name of a unit
---@example
---```lua
---systemd.unit_name "nginx"  --> "nginx.service"
---```
function M.unit_name(text)
  if #text > MAX_NAME or not text:find "^[%w:_.\\@-]+$" or text:find "^[.@]" then
    return nil
  end
  local kind = text:match "%.(%a+)$"
  if kind and TYPES[kind] then
    return text
  end
  return text .. ".service"
end

local function is_masked(plan, path)
  local entry, found = plan:entry_at(path), plan:at(path)
  return entry and entry.type == "symlink" and entry.target == NOWHERE
    or found and (found.type == "char" or found.type == "file" and found.size == 0)
end

-- "getty@.service", "getty@", "tty1", ".service" of "getty@tty1.service".
local function template(unit)
  local prefix, instance, kind = unit:match "^([^@]+@)(.*)(%.%a+)$"
  if prefix then
    return prefix .. kind, prefix, instance, kind
  end
end

---Where a unit's file is.
---@param plan banger.plan
---@param unit string # with its type
---@return string? path # nil where there is none
---@return true? masked
function M.find(plan, unit)
  for _, name in ipairs { unit, (template(unit)) } do
    for _, dir in ipairs(DIRECTORIES) do
      local path = dir .. "/" .. name
      if is_masked(plan, path) then
        return nil, true
      elseif plan:is_file(path) then
        return path
      end
    end
  end
end

---Whether something wants a unit: a link in a directory such as "sysinit.target.wants".
---@param plan banger.plan
---@param unit string
---@param by string # the name of the unit that wants it
---@return boolean
function M.is_wanted(plan, unit, by)
  for _, dir in ipairs(DIRECTORIES) do
    for _, how in ipairs { "wants", "requires" } do
      if plan:at(("%s/%s.%s/%s"):format(dir, by, how, unit)) then
        return true
      end
    end
  end
  return false
end

local LISTS = { WantedBy = true, RequiredBy = true, UpheldBy = true, Alias = true, Also = true }

---What a unit's file says of its installation: lists of words by their keys.
---@param text string
---@return table<string, string[]>? # nil: there is no section [Install]
---@return string? instance # of a template, when it is enabled without one
function M.install_of(text)
  local install, section, instance
  for raw in (text:gsub("\\\r?\n", " ") .. "\n"):gmatch "[ \t]*([^\n]*)\n" do
    local line = raw:match "^.*%S" or ""
    local key, value = line:match "^([%w-]+)[ \t]*=[ \t]*(.*)$"
    if line:find "^%[.*%]$" then
      section = line
      install = section == "[Install]" and (install or {}) or install
    elseif section == "[Install]" and key == "DefaultInstance" then
      instance = value
    elseif section == "[Install]" and key and LISTS[key] then
      local list = value ~= "" and install[key] or {}
      install[key] = list
      for word in value:gmatch "%S+" do
        list[#list + 1] = #list < MAX_WORDS and word or nil
      end
    end
  end
  return install, instance
end

-- The specifiers that names in [Install] use; nil for others.
local function expand(word, unit)
  local _, prefix, instance = template(unit)
  local stem = unit:match "^(.*)%.%a+$"
  local known = { n = unit, N = stem, i = instance or "", p = prefix and prefix:sub(1, -2) or stem, ["%"] = "%" }
  local unknown = false
  local text = word:gsub("%%(.?)", function(letter)
    unknown = unknown or not known[letter]
    return known[letter]
  end)
  return not unknown and text or nil
end

-- The presets of a distribution may turn the unit off on the first boot.
local function put_preset(plan, unit)
  local generic, _, instance = template(unit)
  local line = generic and ("enable %s %s\n"):format(generic, instance) or ("enable %s\n"):format(unit)
  local path = ("%s/00-banger-%s.preset"):format(PRESETS, unit:gsub("\\", "_"))
  if plan:text(path) ~= line then
    plan:own_file(path, line, "keeps it enabled")
  end
end

local enable

local LINKS = { { "WantedBy", "wants" }, { "RequiredBy", "requires" }, { "UpheldBy", "upholds" } }

local function install(plan, unit, path, words, why, seen)
  local function each(key, work)
    for _, word in ipairs(words[key] or {}) do
      local name = expand(word, unit)
      if name and M.unit_name(name) == name then
        work(name)
      else
        plan:warn("%s: %s=%s is no name of a unit: it is passed over", path, key, word:sub(1, MAX_NAME))
      end
    end
  end
  for _, kind in ipairs(LINKS) do
    each(kind[1], function(by)
      plan:replace_link(("%s/%s.%s/%s"):format(OWN, by, kind[2], unit), path, why)
    end)
  end
  each("Alias", function(alias)
    plan:replace_link(OWN .. "/" .. alias, path, ("is another name of %s"):format(unit))
  end)
  put_preset(plan, unit)
  each("Also", function(other)
    enable(plan, other, ("comes with %s"):format(unit), seen)
  end)
end

-- `seen`: units that are done, or were begun.
function enable(plan, unit, why, seen)
  if seen[unit] or #seen >= MAX_UNITS then
    return
  end
  seen[unit], seen[#seen + 1] = true, unit
  local path, masked = M.find(plan, unit)
  if masked then
    return plan:warn("%s is masked: it cannot be enabled", unit)
  elseif not path then
    return plan:warn("there is no unit %s in the image", unit)
  end
  local text = plan:text(path)
  if not text then
    return plan:warn("%s is too large for a unit: it is not enabled", path)
  end
  local words, default = M.install_of(text)
  local _, prefix, instance, kind = template(unit)
  if instance == "" then
    unit = default and M.unit_name(prefix .. default .. kind)
    if not unit or template(unit) == unit then
      return plan:warn("%s is a template: it is enabled with an instance, as in %sNAME%s", path, prefix, kind)
    end
  end
  if not words then
    return plan:warn("%s has no section [Install]: it cannot be enabled, others start it", path)
  end
  install(plan, unit, path, words, why, seen)
end

---Enable a unit, as `systemctl enable` does: links where its [Install] says, its other
---names, and a preset, since a first boot may take back what no preset names.
---@param plan banger.plan
---@param unit string
---@param why string
function M.add_enabled(plan, unit, why)
  local name = M.unit_name(unit)
  if not name then
    return plan:warn("'%s' is no name of a unit", unit)
  end
  enable(plan, name, why, {})
end

---Mask a unit: nothing starts it.
---@param plan banger.plan
---@param unit string
---@param why string
function M.add_masked(plan, unit, why)
  local name = M.unit_name(unit)
  if not name then
    return plan:warn("'%s' is no name of a unit", unit)
  end
  local path = OWN .. "/" .. name
  local entry = plan:entry_at(path)
  if entry and is_masked(plan, path) then
    return
  elseif entry and entry.type ~= "symlink" or not plan:has_parent(path) then
    return plan:warn("%s cannot be masked: %s is in its place", name, entry and "a " .. entry.type or "something else")
  elseif entry then
    plan:add({ path = path, type = "remove" }, "is a link to the unit")
  end
  plan:add({ path = path, type = "symlink", target = NOWHERE }, why)
end

local function planned(work, rootfs, unit)
  local plan = Plan.new(rootfs)
  plan:begin "units"
  work(plan, unit, "asked for")
  return plan.entries, plan.warnings
end

---Whether there is such a unit, be it masked.
---@param rootfs banger.tree # its read side
---@param unit string # with its type
---@return boolean
---@example
---```lua
---if guest.systemd.exists(rootfs, "ssh.service") then print "it has sshd" end
---```
function M.exists(rootfs, unit)
  local path, masked = M.find(Plan.new(rootfs), unit)
  return path ~= nil or masked == true
end

---Enable a unit, as `systemctl enable` does.
---@param rootfs banger.tree # its read side
---@param unit string # "nginx", "nginx.service", "getty@tty2.service"
---@return banger.guest_entry[] entries # for `inject`
---@return string[] warnings # why it could not be
---@example
---```lua
---banger.inject(rootfs, (guest.systemd.enable(rootfs, "nginx")))
---```
function M.enable(rootfs, unit)
  return planned(M.add_enabled, rootfs, unit)
end

---Mask a unit, as `systemctl mask` does: nothing starts it.
---@param rootfs banger.tree # its read side
---@param unit string
---@return banger.guest_entry[] entries # for `inject`
---@return string[] warnings
---@example
---```lua
---banger.inject(rootfs, (guest.systemd.mask(rootfs, "apt-daily.timer")))
---```
function M.mask(rootfs, unit)
  return planned(M.add_masked, rootfs, unit)
end

return M
