---OCI layouts: images in a directory. Reads are verified against the digest and
---size they were asked for by, and no name but a valid digest makes a path.
local core = require "banger.core"
local digest = require "banger.digest"
local json = require "banger.json"
local manifest = require "banger.manifest"
local platform = require "banger.platform"

local M = {}

---@class banger.layout
---@field path string
---@field entries banger.descriptor[] # of index.json, attestations left out
local Layout = {}
Layout.__index = Layout

local host = core.host
local NAME = "org.opencontainers.image.ref.name"
local FULL_NAME = "io.containerd.image.name"

local function check_marker(path)
  local found = host.stat(path)
  if not found then
    core.error("not_found", ("there is no OCI layout at %s"):format(path))
  end
  local marker = path .. "/oci-layout"
  if found.type ~= "dir" or not host.stat(marker) then
    core.error("not_found", ("%s is no OCI layout: a directory with a file oci-layout expected"):format(path))
  end
  local object, message = json.decode(host.read_file(marker, 4096))
  local version = object and object.imageLayoutVersion
  if not object then
    core.error("layer", ("%s %s"):format(marker, message))
  elseif type(version) ~= "string" or not version:find "^1%.%d+%.%d+$" then
    core.error("layer", ("%s has the imageLayoutVersion '%s'; 1.0.0 expected"):format(marker, tostring(version)))
  end
end

---Open a layout.
---@param path string # of the directory
---@return banger.layout
---@example
---```lua
---local images = layout.open "images"
---local entry = images:find({ tag = "debian" })[1]
---```
---Raises `not_found` where there is none, `layer` where it is malformed.
function M.open(path)
  check_marker(path)
  local file = path .. "/index.json"
  if not host.stat(file) then
    core.error("not_found", ("%s is no OCI layout: it has no index.json"):format(path))
  end
  local index, message = manifest.parse(host.read_file(file, manifest.max_manifest))
  if index and index.kind ~= "index" then
    index, message = nil, "is no index"
  end
  if not index then
    core.error("layer", ("%s %s"):format(file, message))
  end
  return setmetatable({ path = path, entries = platform.images(index.entries) }, Layout)
end

---Where a blob is, or would be.
---@param hash string # a valid digest
---@return string
function Layout:blob_path(hash)
  assert(digest.valid(hash))
  return ("%s/blobs/sha256/%s"):format(self.path, digest.hex(hash))
end

---Check that a blob is there with its size, without reading it.
---@param descriptor banger.descriptor
---@param what string # for messages, such as "layer 2 of 6"
---@return string path
---Raises `not_found` or `digest`.
function Layout:check_blob(descriptor, what)
  local path = self:blob_path(descriptor.digest)
  local found = host.stat(path)
  if not found or found.type ~= "file" then
    core.error("not_found", ("%s is missing: no blob %s in %s"):format(what, descriptor.digest, self.path))
  end
  if found.size ~= descriptor.size then
    core.error("digest", ("%s (%s) has %d bytes; %d expected"):format(
      what, descriptor.digest, found.size, descriptor.size))
  end
  return path
end

---Read a blob that fits in memory, verified.
---@param descriptor banger.descriptor
---@param limit integer # bytes
---@param what string # for messages
---@return string
---Raises `not_found`, `digest`, or `layer` when it is larger than the limit.
function Layout:read(descriptor, limit, what)
  if descriptor.size > limit then
    core.error("layer", ("%s (%s) has %d bytes; at most %d are accepted"):format(
      what, descriptor.digest, descriptor.size, limit))
  end
  local data = host.read_file(self:check_blob(descriptor, what), limit)
  local hash = host.sha256(data)
  if hash ~= descriptor.digest then
    core.error("digest", ("%s is corrupt: %s expected, its bytes are %s"):format(what, descriptor.digest, hash))
  end
  return data
end

---@return banger.fetch_options # where the core finds a layer
function Layout:locate(descriptor, what)
  return { digest = descriptor.digest, size = descriptor.size, path = self:check_blob(descriptor, what) }
end

-- Tags as index.json has them: skopeo and umoci write a bare tag, containerd and
-- docker save a full name, sometimes both in two annotations.
local function names_of(entry)
  return { entry.annotations[NAME], entry.annotations[FULL_NAME] }
end

local function has_name(entry, tag)
  for _, name in pairs(names_of(entry)) do
    if name == tag then
      return true
    end
  end
  return false
end

local function has_short_name(entry, tag)
  for _, name in pairs(names_of(entry)) do
    if tostring(name):match ":([^:/]+)$" == tag then
      return true
    end
  end
  return false
end

local function filter(entries, test, value)
  local list = {}
  for _, entry in ipairs(entries) do
    if test(entry, value) then
      list[#list + 1] = entry
    end
  end
  return list
end

local function tag_list(entries)
  local tags, seen = {}, {}
  for _, entry in ipairs(entries) do
    local tag = entry.annotations[NAME] or entry.annotations[FULL_NAME]
    if type(tag) == "string" and not seen[tag] then
      seen[tag] = true
      tags[#tags + 1] = tag
    end
  end
  table.sort(tags)
  return tags
end

local function describe_tags(entries)
  local tags = tag_list(entries)
  return #tags > 0 and "the tags are: " .. table.concat(tags, ", ") or "it has no tags, only digests"
end

-- One image in several platforms is one image; different ones are not.
local function is_one_image(entries)
  local tags = tag_list(entries)
  if #entries <= 1 then
    return true
  elseif #tags > 1 then
    return false
  end
  for _, entry in ipairs(entries) do
    if not entry.platform then
      return false
    end
  end
  return true
end

function Layout:find_only()
  if #self.entries == 0 then
    core.error("not_found", ("the layout %s has no images"):format(self.path))
  end
  if not is_one_image(self.entries) then
    core.error("usage", ("the layout %s has %d images, name one by its tag; %s"):format(
      self.path, #self.entries, describe_tags(self.entries)))
  end
  return self.entries
end

function Layout:find_tag(tag)
  local found = filter(self.entries, has_name, tag)
  if #found == 0 then
    found = filter(self.entries, has_short_name, tag)
  end
  if #found == 0 then
    core.error("not_found", ("the layout %s has no image '%s'; %s"):format(
      self.path, tag, describe_tags(self.entries)))
  end
  if not is_one_image(found) then
    core.error("usage", ("'%s' names %d images in the layout %s; %s"):format(
      tag, #found, self.path, describe_tags(found)))
  end
  return found
end

-- A digest need not be in index.json: it may be one image of a nested index.
function Layout:find_digest(hash)
  local found = filter(self.entries, function(entry)
    return entry.digest == hash
  end)
  if #found > 0 then
    return { found[1] }
  end
  local blob = host.stat(self:blob_path(hash))
  if not blob then
    core.error("not_found", ("the layout %s has no image %s"):format(self.path, hash))
  end
  return { { digest = hash, size = blob.size, annotations = {} } }
end

---Find the entries an image reference stands for: one, or one a platform.
---@param ref { tag?: string, digest?: string } # neither: the only image
---@return banger.descriptor[]
---Raises `not_found`, or `usage` when it could be several images; both list the tags.
function Layout:find(ref)
  if ref.digest then
    return self:find_digest(ref.digest)
  elseif ref.tag then
    return self:find_tag(ref.tag)
  end
  return self:find_only()
end

return M
