---The documents of an image: what its manifest, its config and its index say.
local banger = require "banger"
local json = require "banger.json"
local manifest = require "banger.manifest"
local platform = require "banger.platform"
local reference = require "banger.reference"

local M = {}

---@class banger.inspect.documents
---@field manifest banger.manifest
---@field manifest_object table # as it was written
---@field config_object table
---@field manifest_text? string # the same on one line; nil where it is no UTF-8
---@field config_text? string

local function decode(text, what)
  local object, message = json.decode(text)
  return object or banger.error("layer", ("%s %s"):format(what, message))
end

-- Line breaks are nothing but space between the words of JSON.
local function one_line(text)
  return utf8.len(text) and (text:gsub("[\r\n]", " ")) or nil
end

---Read the manifest and the config of an image.
---@param image banger.image
---@return banger.inspect.documents
---@example
---```lua
---reference.documents(source.resolve "oci:app:latest").config_object.created
---```
---Raises `not_found`, `digest`, `layer`, `network`.
function M.documents(image)
  local what = "manifest " .. image.digest
  local text = image.source:read(image.entry, manifest.max_manifest, what)
  local parsed, message = manifest.parse(text, image.entry.media_type)
  if not parsed then
    banger.error("layer", ("%s %s"):format(what, message))
  end
  local config = image.source:read(parsed.config, manifest.max_config, "config " .. parsed.config.digest)
  return {
    manifest = parsed, manifest_object = decode(text, what), manifest_text = one_line(text),
    config_object = decode(config, "config " .. parsed.config.digest), config_text = one_line(config),
  }
end

local function string_or_nil(value)
  return type(value) == "string" and value or nil
end

---@class banger.inspect.history
---@field layer? integer # nil: it made none
---@field created? string
---@field created_by? string
---@field comment? string

---What a config says about how the image was made, step by step.
---@param config table # as it was written
---@param layers integer # how many there are; where the history tells of another number, no step has a layer
---@return banger.inspect.history[]
---@example
---```lua
---for _, step in ipairs(reference.history(documents.config_object, #image.layers)) do print(step.created_by) end
---```
function M.history(config, layers)
  local list, count = {}, 0
  for _, step in ipairs(type(config.history) == "table" and config.history or {}) do
    if type(step) == "table" then
      count = count + (step.empty_layer and 0 or 1)
      list[#list + 1] = {
        layer = not step.empty_layer and count or nil, created = string_or_nil(step.created),
        created_by = string_or_nil(step.created_by), comment = string_or_nil(step.comment),
      }
    end
  end
  for _, step in ipairs(count ~= layers and list or {}) do
    step.layer = nil
  end
  return list
end

local function add_platforms(source, entries, list, depth, digests)
  for _, entry in ipairs(entries) do
    local kind = manifest.kind(entry.media_type)
    if kind == "index" and depth < manifest.max_depth and not digests[entry.digest] then
      digests[entry.digest] = true
      local parsed = manifest.parse(source:read(entry, manifest.max_manifest, "index " .. entry.digest), entry.media_type)
      add_platforms(source, parsed and parsed.entries or {}, list, depth + 1, digests)
    elseif entry.platform and #list < manifest.max_entries then
      list[#list + 1] = { platform = platform.format(entry.platform), digest = entry.digest, size = entry.size }
    end
  end
end

---The platforms that a reference has images for, as its index lists them.
---@param image banger.image
---@param text string # the reference
---@return { platform: string, digest: string, size: integer }[] # empty where there is no index
---@example
---```lua
---for _, entry in ipairs(reference.platforms(image, "nginx")) do print(entry.platform) end
---```
function M.platforms(image, text)
  local list = {}
  add_platforms(image.source, image.source:find(reference.parse(text)), list, 1, {})
  return list
end

return M
