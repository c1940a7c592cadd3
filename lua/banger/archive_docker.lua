---What `docker save` writes. The classic form has a manifest.json that names the
---config and the layers of each image by their place in the archive; no manifest of
---a registry's is in it. Today's form is an OCI layout with such a manifest.json
---beside it: there the layout is what counts, for it has all platforms, and the
---manifest whose digest people know.
local core = require "banger.core"
local config = require "banger.config"
local digest = require "banger.digest"
local json = require "banger.json"
local layout = require "banger.layout"
local manifest = require "banger.manifest"
local reference = require "banger.reference"

local M = {}

---@class banger.saved_image # of manifest.json
---@field index integer # from 0
---@field config string # a name in the archive
---@field layers string[] # likewise, oldest first
---@field tags string[] # as docker shows them
---@field names table<string, true> # the same in full

---@class banger.docker_archive: banger.source
---@field files banger.files
---@field layout? banger.layout # of today's form
---@field images banger.saved_image[]
---@field texts table<string, string> # by digest: the manifest that was made, and its config
---@field layers table<string, banger.fetch_options> # by diff_id
local Saved = {}
Saved.__index = Saved

local host = core.host

---- manifest.json ---------------------------------------------------------------------

local function strings(list)
  if list == nil then
    return {}
  elseif type(list) ~= "table" then
    return nil
  end
  for key, value in pairs(list) do
    if math.type(key) ~= "integer" or type(value) ~= "string" then
      return nil
    end
  end
  return list
end

local function full_names(tags)
  local names = {}
  for _, tag in ipairs(tags) do
    names[reference.full_name(tag) or tag] = true
  end
  return names
end

local function parse_image(value, i)
  if type(value) ~= "table" or type(value.Config) ~= "string" then
    return nil, ("image @%d has no Config"):format(i - 1)
  end
  local layers, tags = strings(value.Layers), strings(value.RepoTags)
  if not layers or not tags then
    return nil, ("the %s of image @%d are no list of names"):format(layers and "RepoTags" or "Layers", i - 1)
  elseif #layers > manifest.max_layers then
    return nil, ("image @%d has %d layers; at most %d are accepted"):format(i - 1, #layers, manifest.max_layers)
  end
  return { index = i - 1, config = value.Config, layers = layers, tags = tags, names = full_names(tags) }
end

local function parse_images(text)
  local list, message = json.decode(text)
  if not list then
    return nil, message
  elseif next(list) and #list == 0 then
    return nil, "is no list of images"
  elseif #list > manifest.max_entries then
    return nil, ("lists %d images; at most %d are accepted"):format(#list, manifest.max_entries)
  end
  local images = {}
  for i, value in ipairs(list) do
    images[i], message = parse_image(value, i)
    if not images[i] then
      return nil, "is malformed: " .. message
    end
  end
  return images
end

---Open what `docker save` wrote.
---@param files banger.files # with a manifest.json
---@return banger.docker_archive
---Raises `not_found`, `layer`.
function M.open(files)
  local images, message = parse_images(files:read("manifest.json", manifest.max_manifest))
  if not images then
    core.error("layer", ("%s %s"):format(files:label "manifest.json", message))
  end
  local has_layout = files:exists "oci-layout" and files:exists "index.json"
  return setmetatable({
    files = files,
    layout = has_layout and layout.open_files(files) or nil,
    images = images,
    texts = {},
    layers = {},
  }, Saved)
end

---- which image -----------------------------------------------------------------------

local function describe(images)
  local list = {}
  for i, image in ipairs(images) do
    local tags = #image.tags > 0 and table.concat(image.tags, " ") or "without a name"
    list[i] = ("@%d %s"):format(image.index, tags)
  end
  return #list > 0 and "there are: " .. table.concat(list, ", ") or "there are none"
end

function Saved:complain(code, text, ...)
  core.error(code, ("%s has %s; %s"):format(self.files.title, text:format(...), describe(self.images)))
end

function Saved:named(name)
  for _, image in ipairs(self.images) do
    if image.names[name] then
      return image
    end
  end
  return self:complain("not_found", "no image '%s'", name)
end

-- The image that is asked for, as manifest.json has it.
function Saved:choose(ref)
  if ref.index then
    return self.images[ref.index + 1] or self:complain("not_found", "no image @%d", ref.index)
  elseif ref.name or ref.tag then
    return self:named(ref.name or ref.tag)
  elseif #self.images == 0 then
    return core.error("not_found", self.files.title .. " has no images")
  elseif #self.images > 1 then
    return self:complain("usage", "%d images, one is to be named by its name or its @index", #self.images)
  end
  return self.images[1]
end

---- the classic form ------------------------------------------------------------------

-- Writers name configs by their digest, where they do not call them config.json.
local patterns = { "^(%x+)%.json$", "^sha256:(%x+)$", "^blobs/sha256/(%x+)$" }

local function digest_of_name(name)
  for _, pattern in ipairs(patterns) do
    local hash = "sha256:" .. (name:match(pattern) or "")
    if digest.valid(hash) then
      return hash
    end
  end
end

function Saved:range(name, what)
  local range, why = self.files:range(name)
  if not range then
    core.error("not_found", ("%s: %s is missing: '%s' %s"):format(self.files.name, what, name, why))
  end
  return range
end

function Saved:read_config(image)
  local what = ("the config of image @%d"):format(image.index)
  self:range(image.config, what)
  local text = self.files:read(image.config, manifest.max_config)
  local hash, expected = host.sha256(text), digest_of_name(image.config)
  if expected and hash ~= expected then
    core.error("digest", ("%s: %s is corrupt: %s expected, its bytes are %s"):format(
      self.files.name, what, expected, hash))
  end
  return text, hash
end

function Saved:parse_config(image, text)
  local parsed, message = config.parse(text)
  if parsed and #parsed.diff_ids ~= #image.layers then
    message = ("has %d diff_ids; manifest.json has %d layers"):format(#parsed.diff_ids, #image.layers)
  end
  if message then
    core.error("layer", ("%s: the config of image @%d %s"):format(self.files.name, image.index, message))
  end
  return parsed
end

local function descriptor_text(kind, size, hash)
  return ('{"mediaType":"application/vnd.docker.%s","size":%d,"digest":"%s"}'):format(kind, size, hash)
end

-- Nobody states the digest of a compressed layer; its diff_id vouches for it.
function Saved:add_layer(image, i, diff_id)
  local name = image.layers[i]
  local source = self:range(name, ("layer %d of %d"):format(i, #image.layers))
  source.digest = not self.files:is_compressed(name) and diff_id or nil
  self.layers[diff_id] = source
  return descriptor_text("image.rootfs.diff.tar.gzip", source.size, diff_id)
end

-- There is no manifest, so one is made, byte for byte as skopeo makes it: its digest
-- is the image's in reports, as `skopeo inspect` has it, except where layers are
-- links or compressed: skopeo has 0 or the unpacked size then. No registry knows it.
function Saved:make_manifest(image)
  local text, hash = self:read_config(image)
  local parsed = self:parse_config(image, text)
  local layers = {}
  for i, diff_id in ipairs(parsed.diff_ids) do
    layers[i] = self:add_layer(image, i, diff_id)
  end
  local media_type = "application/vnd.docker.distribution.manifest.v2+json"
  local made = ('{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}'):format(
    media_type, descriptor_text("container.image.v1+json", #text, hash), table.concat(layers, ","))
  local descriptor = { media_type = media_type, digest = host.sha256(made), size = #made, annotations = {} }
  self.texts[hash], self.texts[descriptor.digest] = text, made
  return descriptor
end

---- today's form ----------------------------------------------------------------------

-- Whether the manifest of a descriptor, or one that its index leads to, is about this
-- config. Not all of an index's images are saved, and none is looked at twice.
function Saved:leads_to(entry, config_digest, seen, depth)
  if seen[entry.digest] or depth > manifest.max_depth or not self.layout:has_blob(entry.digest) then
    return false
  end
  seen[entry.digest] = true
  local text = self.layout:read(entry, manifest.max_manifest, "manifest " .. entry.digest)
  local found = manifest.parse(text, entry.media_type)
  if not found or found.kind == "manifest" then
    return found ~= nil and found.config.digest == config_digest
  end
  for _, nested in ipairs(found.entries) do
    if self:leads_to(nested, config_digest, seen, depth + 1) then
      return true
    end
  end
  return false
end

-- The entries of index.json for an image of manifest.json: by its name, or else,
-- for an image may have none, by its config.
function Saved:find_in_layout(image)
  for _, tag in ipairs(image.tags) do
    local name = reference.full_name(tag) or tag
    if #self.layout:named(name) > 0 then
      return self.layout:find_tag(name)
    end
  end
  local _, hash = self:read_config(image)
  local seen = {}
  for _, entry in ipairs(self.layout.entries) do
    if self:leads_to(entry, hash, seen, 1) then
      return { entry }
    end
  end
end

---- as a source -----------------------------------------------------------------------

-- The layout may have images that docker has no line for: those of other platforms.
function Saved:asks_layout(ref)
  local name = ref.name or ref.tag
  if not self.layout or ref.index then
    return false
  elseif name then
    return #self.layout:named(name) > 0
  end
  return ref.digest ~= nil or (#self.images <= 1 and #self.layout.entries > 0)
end

---Find an image.
---@param ref banger.reference
---@return banger.descriptor[]
---Raises `not_found`, or `usage` when it could be several images; both list them.
function Saved:find(ref)
  if self:asks_layout(ref) then
    return self.layout:find { tag = ref.name or ref.tag, digest = ref.digest }
  elseif ref.digest then
    self:complain("not_found", "no image %s: docker saved no digests", ref.digest)
  end
  local image = self:choose(ref)
  return self.layout and self:find_in_layout(image) or { self:make_manifest(image) }
end

function Saved:layout_for(descriptor, what)
  return self.layout or core.error("not_found", ("%s is missing: no blob %s in %s"):format(
    what, descriptor.digest, self.files.name))
end

---Read a manifest or config.
---@param descriptor banger.descriptor
---@param limit integer # bytes
---@param what string # for messages
---@return string
---Raises `not_found`, `digest`, or `layer` when it is larger than the limit.
function Saved:read(descriptor, limit, what)
  local text = self.texts[descriptor.digest]
  if text and #text <= limit then
    return text
  end
  return self:layout_for(descriptor, what):read(descriptor, limit, what)
end

---@param descriptor banger.descriptor
---@param what string # for messages
---@return banger.fetch_options
---Raises `not_found` or `digest`.
function Saved:locate(descriptor, what)
  return self.layers[descriptor.digest] or self:layout_for(descriptor, what):locate(descriptor, what)
end

return M
