---OCI layouts, in a directory or a tar archive. Reads are verified against the
---digest and size they were asked for by, and no name but a valid digest makes a path.
local core = require "banger.core"
local digest = require "banger.digest"
local files_of = require "banger.files"
local json = require "banger.json"
local manifest = require "banger.manifest"
local platform = require "banger.platform"

local M = {}

---@class banger.layout
---@field path string
---@field files banger.files
---@field entries banger.descriptor[] # of index.json, attestations left out
local Layout = {}
Layout.__index = Layout

local host = core.host
local EACCES = 13
local NAME = "org.opencontainers.image.ref.name"
local FULL_NAME = "io.containerd.image.name"

-- What is out of sight is not said to be missing.
local function check_sight(path)
  local file <close>, message, number = io.open(path .. "/oci-layout", "rb")
  if not file and number == EACCES then
    core.error("io", ("%s cannot be read: %s"):format(path, message:match ": ([^:]*)$"))
  end
end

local function check_marker(files)
  if not files:exists "oci-layout" then
    core.error("not_found", ("%s is no OCI layout: %s with a file oci-layout expected"):format(
      files.name, files.is_archive and "an archive" or "a directory"))
  end
  local marker = files:label "oci-layout"
  local object, message = json.decode(files:read("oci-layout", 4096))
  local version = object and object.imageLayoutVersion
  if not object then
    core.error("layer", ("%s %s"):format(marker, message))
  elseif type(version) ~= "string" or not version:find "^1%.%d+%.%d+$" then
    core.error("layer", ("%s has the imageLayoutVersion '%s'; 1.0.0 expected"):format(marker, tostring(version)))
  end
end

---Open a layout by its files.
---@param files banger.files
---@return banger.layout
---Raises `not_found` where there is none, `layer` where it is malformed.
function M.open_files(files)
  check_marker(files)
  if not files:exists "index.json" then
    core.error("not_found", ("%s is no OCI layout: it has no index.json"):format(files.name))
  end
  local index, message = manifest.parse(files:read("index.json", manifest.max_manifest))
  if index and index.kind ~= "index" then
    index, message = nil, "is no index"
  end
  if not index then
    core.error("layer", ("%s %s"):format(files:label "index.json", message))
  end
  return setmetatable({ path = files.name, files = files, entries = platform.images(index.entries) }, Layout)
end

---Open a layout in a directory.
---@param path string
---@return banger.layout
---@example
---```lua
---local images = layout.open "images"
---local entry = images:find({ tag = "debian" })[1]
---```
---Raises `not_found` where there is none, `layer` where it is malformed.
function M.open(path)
  check_sight(path)
  if not host.stat(path) then
    core.error("not_found", ("there is no OCI layout at %s"):format(path))
  end
  return M.open_files(files_of.directory(path))
end

local function blob_name(hash)
  assert(digest.valid(hash))
  return "blobs/sha256/" .. digest.hex(hash)
end

---Whether a blob is there, of whatever size.
---@param hash string # a valid digest
---@return boolean
function Layout:has_blob(hash)
  return self.files:exists(blob_name(hash))
end

---Read a blob that fits in memory, verified.
---@param descriptor banger.descriptor
---@param limit integer # bytes
---@param what string # for messages
---@return string
---Raises `not_found`, `digest`, or `layer` when it is larger than the limit.
function Layout:read(descriptor, limit, what)
  return self.files:read_blob(blob_name(descriptor.digest), descriptor, limit, what)
end

---@param descriptor banger.descriptor
---@param what string # for messages, such as "layer 2 of 6"
---@return banger.fetch_options # where the core finds a layer
---Raises `not_found` or `digest`.
function Layout:locate(descriptor, what)
  return self.files:locate(blob_name(descriptor.digest), descriptor, what)
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
    core.error("not_found", ("%s has no images"):format(self.files.title))
  end
  if not is_one_image(self.entries) then
    core.error("usage", ("%s has %d images, name one by its tag; %s"):format(
      self.files.title, #self.entries, describe_tags(self.entries)))
  end
  return self.entries
end

---The entries that have exactly this name.
---@param name string
---@return banger.descriptor[]
function Layout:named(name)
  return filter(self.entries, has_name, name)
end

function Layout:find_tag(tag)
  local found = self:named(tag)
  if #found == 0 then
    found = filter(self.entries, has_short_name, tag)
  end
  if #found == 0 then
    core.error("not_found", ("%s has no image '%s'; %s"):format(
      self.files.title, tag, describe_tags(self.entries)))
  end
  if not is_one_image(found) then
    core.error("usage", ("'%s' names %d images in %s; %s"):format(
      tag, #found, self.files.title, describe_tags(found)))
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
  local blob = self.files:range(blob_name(hash))
  if not blob then
    core.error("not_found", ("%s has no image %s"):format(self.files.title, hash))
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
