---Image configs: pure.
local digest = require "banger.digest"
local json = require "banger.json"
local platform = require "banger.platform"

-- The last second that ext4's superblock can hold, in 2106.
local LATEST = (1 << 32) - 1

local M = {}

---@class banger.config
---@field platform banger.platform
---@field created? integer # seconds since 1970, fraction dropped; negative before
---@field diff_ids string[] # one a layer, oldest first
---@field config table # Entrypoint, Cmd, Env, User, WorkingDir, StopSignal ... as the image has them

-- Days from 1970-01-01 to a date of the Gregorian calendar. Years start in March,
-- so that the leap day comes last.
local function days_from_civil(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local era = year // 400
  local year_of_era = year - era * 400
  local day_of_year = (153 * (month - 3) + 2) // 5 + day - 1
  return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
end

local month_days = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function days_in(year, month)
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  return month == 2 and leap and 29 or month_days[month]
end

local function in_range(year, month, day, hour, minute, second)
  return month >= 1 and month <= 12 and day >= 1 and day <= days_in(year, month)
    and hour <= 23 and minute <= 59 and second <= 60
end

-- Seconds to take off for "Z", "+02:00", "-0330".
local function parse_offset(text)
  if text == "Z" or text == "z" then
    return 0
  end
  local sign, hours, minutes = text:match "^([+-])(%d%d):?(%d%d)$"
  if not sign or tonumber(hours) > 23 or tonumber(minutes) > 59 then
    return nil
  end
  return (sign == "-" and -60 or 60) * (hours * 60 + minutes) // 1
end

---Parse a time of RFC 3339, such as 2024-02-29T12:00:00.5+02:00.
---@param text string
---@return integer? seconds # since 1970, fraction dropped
---@return string? message # when `seconds` is nil
function M.parse_time(text)
  local date, rest = text:match "^(%d%d%d%d%-%d%d%-%d%d[Tt ]%d%d:%d%d:%d%d)(.*)$"
  local offset = date and parse_offset((rest:gsub("^%.%d+", "")))
  if offset then
    local fields = {}
    for field in date:gmatch "%d+" do
      fields[#fields + 1] = math.tointeger(tonumber(field))
    end
    local year, month, day, hour, minute, second = table.unpack(fields)
    if in_range(year, month, day, hour, minute, second) then
      local days = days_from_civil(year, month, day)
      return math.tointeger(days * 86400 + hour * 3600 + minute * 60 + second - offset)
    end
  end
  return nil, ("'%s' is no time as RFC 3339 has it"):format(text)
end

local function parse_diff_ids(rootfs)
  if type(rootfs) ~= "table" or type(rootfs.diff_ids) ~= "table" then
    return nil, "has no rootfs.diff_ids"
  end
  if rootfs.type ~= nil and rootfs.type ~= "layers" then
    return nil, ("has a rootfs of type '%s'; 'layers' expected"):format(tostring(rootfs.type))
  end
  local ids = {}
  for i, id in ipairs(rootfs.diff_ids) do
    if not digest.valid(id) then
      return nil, ("has '%s' as diff_id %d; sha256 and 64 lowercase hexadecimal digits expected"):format(
        tostring(id), i)
    end
    ids[i] = id
  end
  return ids
end

local function parse_platform(object)
  local os, architecture, variant = object.os, object.architecture, object.variant
  if type(os) ~= "string" or type(architecture) ~= "string" then
    return nil, "does not say its os and architecture"
  end
  return platform.normalise(os, architecture, type(variant) == "string" and variant or nil)
end

---Parse a config.
---@param text string
---@return banger.config?
---@return string? message # what is wrong, fit to follow the config's name, when the config is nil
function M.parse(text)
  local object, message = json.decode(text)
  if not object then
    return nil, message
  end
  local config = { config = type(object.config) == "table" and object.config or {} }
  config.diff_ids, message = parse_diff_ids(object.rootfs)
  if config.diff_ids then
    config.platform, message = parse_platform(object)
  end
  if config.platform and object.created ~= nil then
    config.created, message = M.parse_time(tostring(object.created))
    message = message and "has a bad 'created': " .. message
  end
  if message then
    return nil, message
  end
  return config
end

---Check that a config and a manifest are about the same layers.
---@param config banger.config
---@param manifest banger.manifest
---@return boolean? ok
---@return string? message # fit to follow the config's name, when not ok
function M.check_layers(config, manifest)
  local ids, layers = #config.diff_ids, #manifest.layers
  if ids == layers then
    return true
  end
  return nil, ("has %d diff_ids; the manifest has %d layers"):format(ids, layers)
end

---Check that an image with no index is for the platform that was asked for.
---@param config banger.config
---@param want banger.platform
---@return boolean? ok
---@return string? message # when not ok
function M.check_platform(config, want)
  if platform.matches(want, config.platform) then
    return true
  end
  return nil, ("no image for %s; there are: %s"):format(platform.format(want), platform.format(config.platform))
end

---The time that stands for "now" in an image, so that it is the same on every
---run: SOURCE_DATE_EPOCH, else when the image was created, else 1970.
---@param config banger.config
---@param source_date_epoch? string # the variable's value; nil or "" when it is not set
---@return integer? seconds # since 1970
---@return string? message # when the variable's value is no time
function M.epoch(config, source_date_epoch)
  if not source_date_epoch or source_date_epoch == "" then
    return math.min(math.max(config.created or 0, 0), LATEST)
  end
  local seconds = source_date_epoch:find "^%d+$" and math.tointeger(tonumber(source_date_epoch))
  if not seconds then
    return nil, ("SOURCE_DATE_EPOCH is '%s'; whole seconds since 1970 expected"):format(source_date_epoch)
  end
  return seconds
end

return M
