---Where images come from: a reference in, everything needed to build it out.
local config = require "banger.config"
local core = require "banger.core"
local archive = require "banger.archive"
local dir = require "banger.dir"
local layout = require "banger.layout"
local manifest = require "banger.manifest"
local platform = require "banger.platform"
local reference = require "banger.reference"
local registry = require "banger.registry"

local M = {}

---@class banger.source # what a transport gives
---@field find fun(self, ref: banger.reference): banger.descriptor[] # one, or one a platform
---@field read fun(self, descriptor: banger.descriptor, limit: integer, what: string): string # verified
---@field locate fun(self, descriptor: banger.descriptor, what: string): banger.fetch_options
---@field malformed? string # the error code for a document that is none, default "layer"
---@field remember? fun(self, descriptor: banger.descriptor) # the image is whole now

---@class banger.image
---@field reference string # in full
---@field given string # the reference as it was given
---@field digest string # of the manifest
---@field config banger.config
---@field platform string
---@field layers banger.layer[] # oldest first
local Image = {}
Image.__index = Image

---@class banger.layer
---@field digest string
---@field size integer # bytes, compressed
---@field diff_id string # digest of the unpacked tar
---@field source banger.fetch_options # what `fetch_blob` wants

---How to reach images, by the transport of their reference. A function gets the
---reference and what `resolve` was given, and returns a `banger.source`.
---@type table<string, fun(ref: banger.reference, options: table): banger.source>
M.transports = {
  registry = registry.open,
  oci = function(ref)
    return layout.open(ref.path)
  end,
  ["oci-archive"] = archive.open,
  ["docker-archive"] = archive.open,
  stdin = archive.open,
  dir = dir.open,
}

local function read_manifest(source, descriptor)
  local what = "manifest " .. descriptor.digest
  local text = source:read(descriptor, manifest.max_manifest, what)
  local parsed, message = manifest.parse(text, descriptor.media_type)
  if not parsed then
    core.error(source.malformed or "layer", ("%s %s"):format(what, message))
  end
  return parsed
end

-- Put the manifests below `entries` into `found`, in order. Indexes in indexes
-- are followed, each once; what announces itself as something else is no image.
local function collect(source, entries, found, depth)
  if depth > manifest.max_depth then
    core.error("layer", ("indexes are nested deeper than %d"):format(manifest.max_depth))
  end
  for _, entry in ipairs(platform.images(entries)) do
    local kind = manifest.kind(entry.media_type)
    if kind == "index" and not found[entry.digest] then
      found[entry.digest] = true
      collect(source, read_manifest(source, entry).entries, found, depth + 1)
    elseif kind == "manifest" or not entry.media_type then
      found[#found + 1] = entry
    end
    if #found > manifest.max_entries then
      core.error("layer", ("there are more than %d images in the index"):format(manifest.max_entries))
    end
  end
end

local function select(source, entries, want)
  local found = {}
  collect(source, entries, found, 1)
  local entry, message = platform.select(found, want)
  if not entry then
    core.error("platform", message)
  end
  return entry
end

-- The manifest to build. The second value says whether an index has settled the
-- platform; without one the config is all that tells it.
local function find_manifest(source, ref, want)
  local entries = source:find(ref)
  local settled = #entries > 1
  local entry = settled and select(source, entries, want) or entries[1]
  local found = read_manifest(source, entry)
  if found.kind == "index" then
    entry, settled = select(source, found.entries, want), true
    found = read_manifest(source, entry)
  end
  if found.kind ~= "manifest" then
    core.error("layer", ("manifest %s is an index in disguise"):format(entry.digest))
  end
  return found, entry, settled and entry.platform ~= nil
end

local function read_config(source, found)
  local what = "config " .. found.config.digest
  local parsed, message = config.parse(source:read(found.config, manifest.max_config, what))
  if parsed then
    local ok
    ok, message = config.check_layers(parsed, found)
    parsed = ok and parsed
  end
  if not parsed then
    core.error(source.malformed or "layer", ("%s %s"):format(what, message))
  end
  return parsed
end

local function list_layers(found, diff_ids)
  local list = {}
  for i, layer in ipairs(found.layers) do
    list[i] = { digest = layer.digest, size = layer.size, diff_id = diff_ids[i] }
  end
  return list
end

---Find out anew where the layers are.
---Raises `not_found` for a layer that is missing.
function Image:locate()
  for i, layer in ipairs(self.layers) do
    layer.source = self.source:locate(self.descriptors[i], ("layer %d of %d"):format(i, #self.layers))
  end
end

---The image is whole: remember it where images are kept.
function Image:remember()
  if self.source.remember then
    self.source:remember(self.entry)
  end
end

-- The blob that an error says is not what its digest says.
local function damaged_blob(problem)
  if core.is_error(problem) and problem.code == "digest" then
    return problem.message:match "blob (sha256:%x+)"
  end
end

-- Errors of a registry name a host or a layer, those of a platform nothing: where many
-- images are made at once, nobody knows of which.
local function about(problem, transport, given, full)
  if not core.is_error(problem) or transport ~= "registry" and problem.code ~= "platform" then
    return problem
  end
  local message = problem.message
  if message:find(given, 1, true) or message:find(full, 1, true) then
    return problem
  end
  local fields = {}
  for name, value in pairs(problem) do
    fields[name] = value
  end
  local _, named = pcall(core.error, problem.code, ("%s: %s"):format(given, message), fields)
  return named
end

---Do something that reads all layers, anew when bytes turn out to be damaged: a
---download may go wrong, or a disk. What was found to be wrong is not used again, and
---what is wrong a second time is an error.
---@generic T, U
---@param act fun(): T, U
---@return T
---@return U
---Raises what `act` does.
function Image:retry(act)
  local failed = {}
  while true do
    local hash
    do
      local result = table.pack(pcall(act))
      if result[1] then
        return table.unpack(result, 2, result.n)
      end
      hash = self.source.remember and damaged_blob(result[2])
      if not hash or failed[hash] then
        error(about(result[2], self.transport, self.given, self.reference), 0)
      end
    end
    failed[hash] = true
    collectgarbage() -- what this try holds, on the disk above all
    self:locate()
  end
end

local function wanted_platform(text)
  if not text then
    return platform.normalise("linux", core.host.arch())
  end
  local want, message = platform.parse(text)
  return want or core.error("usage", message)
end

local function find_image(ref, text, want, options)
  local source = M.transports[ref.transport](ref, setmetatable({ text = text }, { __index = options }))
  local found, entry, settled = find_manifest(source, ref, want)
  local parsed = read_config(source, found)
  if not settled and (options.platform or source.remember) then
    local ok, message = config.check_platform(parsed, want)
    if not ok then
      core.error("platform", message)
    end
  end
  local image = setmetatable({
    reference = reference.format(ref),
    given = text,
    transport = ref.transport,
    digest = entry.digest,
    config = parsed,
    platform = platform.format(parsed.platform),
    layers = list_layers(found, parsed.diff_ids),
    source = source,
    descriptors = found.layers,
    entry = {
      -- A manifest that does not say what it is: only OCI's may do that.
      media_type = entry.media_type or found.media_type or "application/vnd.oci.image.manifest.v1+json",
      digest = entry.digest,
      size = entry.size,
      platform = parsed.platform,
    },
  }, Image)
  image:locate()
  return image
end

local function is_ext4(path)
  local ok, image = pcall(core.open, path)
  if ok then
    image:close()
  end
  return ok
end

-- What a file of this machine that was named as it is should have been called. Where the
-- name could be an image's, only a file's that ends as files do is meant so.
local function file_hint(text, certain)
  local found = core.host.stat(text)
  if not found or not certain and (found.type == "dir" or not text:find "%.%l+4?$") then
    return nil
  elseif found.type == "dir" then
    return ("%s is a directory; a layout is named oci:%s"):format(text, text)
  elseif found.type == "file" and is_ext4(text) then
    return ("%s is an ext4 image; what one is made of is a reference, such as debian:12"):format(text)
  end
  return ("%s is a file; an archive is named oci-archive:%s or docker-archive:%s"):format(text, text, text)
end

---What a text refers to. A file of this machine without the word for what it is, such as
---app.tar for oci-archive:app.tar, is told from an image's name.
---@param text string
---@return banger.reference
---@example
---```lua
---source.parse("debian").domain  --> "docker.io"
---```
---Raises `usage`.
function M.parse(text)
  local ref, message = reference.parse(text)
  local meant = file_hint(text, not ref)
  if not ref or meant and ref.transport == "registry" then
    core.error("usage", meant or message)
  end
  return ref
end

---Find out what an image is made of.
---@param text string # an image reference
---@param options? table # platform: default Linux on this machine's architecture where an index has several;
---  for registries what `banger.registry_options` has
---@return banger.image
---@example
---```lua
---local image = source.resolve("oci:images:debian", { platform = "linux/arm64" })
---print(image.digest, #image.layers)
---```
---Raises `usage` (no reference, no platform), `not_found`, `platform` (lists what
---there is), `digest`, `layer` (a manifest or config that is malformed), and what registries do
---(`auth`, `network`): each names the image.
function M.resolve(text, options)
  options = options or {}
  local want = wanted_platform(options.platform)
  local ref = M.parse(text)
  local ok, result = pcall(find_image, ref, text, want, options)
  if not ok then
    error(about(result, ref.transport, text, reference.format(ref)), 0)
  end
  return result
end

return M
