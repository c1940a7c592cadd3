---Indexes and manifests, OCI's and Docker's (version 2, schema 2): pure.
local digest = require "banger.digest"
local json = require "banger.json"
local platform = require "banger.platform"

local M = {}

---@class banger.descriptor
---@field media_type? string
---@field digest string
---@field size integer # bytes
---@field platform? banger.platform # in an index
---@field annotations table<string, string>
---@field urls string[] # other places to fetch it from

---@class banger.manifest
---@field kind "index"|"manifest"
---@field media_type? string
---@field entries? banger.descriptor[] # of an index
---@field config? banger.descriptor # of a manifest
---@field layers? banger.descriptor[] # of a manifest, oldest first

M.max_manifest = 4 * 1024 * 1024 -- bytes of a manifest or index
M.max_config = 8 * 1024 * 1024 -- bytes of a config
M.max_layers = 512
M.max_entries = 4096 -- of an index, all that it nests included
M.max_depth = 4 -- of indexes in indexes

local kinds = {
  ["application/vnd.oci.image.index.v1+json"] = "index",
  ["application/vnd.docker.distribution.manifest.list.v2+json"] = "index",
  ["application/vnd.oci.image.manifest.v1+json"] = "manifest",
  ["application/vnd.docker.distribution.manifest.v2+json"] = "manifest",
}

local configs = {
  ["application/vnd.oci.image.config.v1+json"] = true,
  ["application/vnd.docker.container.image.v1+json"] = true,
}

-- How a layer is compressed is found out from its bytes; here it only matters
-- that it is a file system layer at all.
local layers = {
  "^application/vnd%.oci%.image%.layer%.v1%.tar$",
  "^application/vnd%.oci%.image%.layer%.v1%.tar%+[%w-]+$",
  "^application/vnd%.oci%.image%.layer%.nondistributable%.v1%.tar$",
  "^application/vnd%.oci%.image%.layer%.nondistributable%.v1%.tar%+[%w-]+$",
  "^application/vnd%.docker%.image%.rootfs%.diff%.tar$",
  "^application/vnd%.docker%.image%.rootfs%.diff%.tar%.[%w-]+$",
  "^application/vnd%.docker%.image%.rootfs%.foreign%.diff%.tar%.[%w-]+$",
}

---What a media type announces.
---@param media_type? string
---@return "index"|"manifest"|nil kind # nil: neither of them
function M.kind(media_type)
  return media_type and kinds[media_type]
end

local function is_layer(media_type)
  for _, pattern in ipairs(layers) do
    if media_type:find(pattern) then
      return true
    end
  end
  return false
end

local function string_or_nil(value)
  return type(value) == "string" and value or nil
end

-- An integer as JSON has it; the decoder knows only floats, exact up to 2^53.
local function size_of(value)
  local size = type(value) == "number" and math.tointeger(value)
  return size and size >= 0 and size <= 2 ^ 53 and size or nil
end

local function parse_platform(value)
  if type(value) ~= "table" or type(value.os) ~= "string" or type(value.architecture) ~= "string" then
    return nil
  end
  return platform.normalise(value.os, value.architecture, string_or_nil(value.variant))
end

-- Only such as this program fetches from; whatever else stands there is ignored.
local function parse_urls(value)
  local urls = {}
  for _, url in ipairs(type(value) == "table" and value or {}) do
    if type(url) == "string" and url:find "^https?://" and not url:find "%c" then
      urls[#urls + 1] = url
    end
  end
  return urls
end

local function parse_descriptor(value, what)
  if type(value) ~= "table" then
    return nil, what .. " is missing"
  end
  if not digest.valid(value.digest) then
    return nil, ("%s has the digest '%s'; sha256 and 64 lowercase hexadecimal digits expected"):format(
      what, tostring(value.digest))
  end
  local size = size_of(value.size)
  if not size then
    return nil, ("%s has the size '%s'; a whole number of bytes expected"):format(what, tostring(value.size))
  end
  return {
    media_type = string_or_nil(value.mediaType),
    digest = value.digest,
    size = size,
    platform = parse_platform(value.platform),
    annotations = type(value.annotations) == "table" and value.annotations or {},
    urls = parse_urls(value.urls),
  }
end

local function parse_list(values, what, limit)
  if type(values) ~= "table" then
    return nil, ("the list of %ss is missing"):format(what)
  end
  if #values > limit then
    return nil, ("there are %d %ss; at most %d are accepted"):format(#values, what, limit)
  end
  local list = {}
  for i, value in ipairs(values) do
    local descriptor, message = parse_descriptor(value, ("%s %d of %d"):format(what, i, #values))
    if not descriptor then
      return nil, message
    end
    list[i] = descriptor
  end
  return list
end

local function check_media_types(config, list)
  if config.media_type and not configs[config.media_type] then
    return nil, ("its config is %s: this is an artifact, no image"):format(config.media_type)
  end
  for i, layer in ipairs(list) do
    if layer.media_type and not is_layer(layer.media_type) then
      return nil, ("layer %d of %d is %s, which is no file system layer"):format(i, #list, layer.media_type)
    end
  end
  return true
end

local function parse_image(object, media_type)
  local config, message = parse_descriptor(object.config, "the config")
  if not config then
    return nil, message
  end
  local list
  list, message = parse_list(object.layers, "layer", M.max_layers)
  if not list then
    return nil, message
  end
  local ok
  ok, message = check_media_types(config, list)
  if not ok then
    return nil, message
  end
  return { kind = "manifest", media_type = media_type, config = config, layers = list }
end

local function parse_index(object, media_type, limit)
  local entries, message = parse_list(object.manifests, "manifest", limit)
  if not entries then
    return nil, message
  end
  return { kind = "index", media_type = media_type, entries = entries }
end

-- The document's own media type, the one it was announced with and its fields
-- must tell one story, or two readers would see two images in it.
local function kind_of(object, announced)
  local media_type = string_or_nil(object.mediaType) or announced
  if announced and media_type ~= announced then
    return nil, ("says it is %s; %s expected"):format(media_type, announced)
  end
  if object.manifests and (object.layers or object.config) then
    return nil, "is a manifest and an index at once"
  end
  local kind = M.kind(media_type) or (not media_type and (object.manifests and "index" or "manifest"))
  if not kind then
    return nil, ("is %s, which is no image"):format(media_type)
  end
  return kind, media_type
end

---Parse a manifest or an index.
---@param text string
---@param media_type? string # what it was announced as
---@param limits? { bytes: integer, entries: integer } # default max_manifest, max_entries
---@return banger.manifest?
---@return string? message # what is wrong, fit to follow the document's name, when the manifest is nil
function M.parse(text, media_type, limits)
  limits = limits or { bytes = M.max_manifest, entries = M.max_entries }
  if #text > limits.bytes then
    return nil, ("has %d bytes; at most %d are accepted"):format(#text, limits.bytes)
  end
  local object, message = json.decode(text)
  if not object then
    return nil, message
  end
  if object.schemaVersion ~= 2 then
    return nil, ("has the schemaVersion %s; 2 expected"):format(
      size_of(object.schemaVersion) or tostring(object.schemaVersion))
  end
  local kind, found = kind_of(object, media_type)
  if not kind then
    return nil, found
  end
  local result
  if kind == "index" then
    result, message = parse_index(object, found, limits.entries)
  else
    result, message = parse_image(object, found)
  end
  return result, message and "is malformed: " .. message
end

return M
