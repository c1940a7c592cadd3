---The blob store's policy: where it is, what was pulled, what may go.
---
---The store is an OCI layout. Its index.json names the manifest of every image that
---was pulled, once for each platform, by the image's full reference.
local core = require "banger.core"
local digest = require "banger.digest"
local json = require "banger.json"
local manifest = require "banger.manifest"
local platform = require "banger.platform"

local M = {}

local NAME = "org.opencontainers.image.ref.name"
-- Ours: the digest that the reference stood for (an index's, often), and when the
-- image was last used, in seconds since 1970.
local RESOLVED = "banger-lua.resolved"
local USED = "banger-lua.used"

-- index.json is our own: it may be larger than what a registry may send.
local LIMITS = { bytes = 256 * 1024 * 1024, entries = 1000000 }

---@class banger.cache
---@field store table # core.store
local Cache = {}
Cache.__index = Cache

local function set(value)
  return value ~= nil and value ~= "" and value or nil
end

---Where the cache is.
---@param given? string # --cache-dir
---@param getenv fun(name: string): string?
---@return string? path
---@return string? message
function M.dir(given, getenv)
  local named = set(given) or set(getenv "BANGER_CACHE")
  if named then
    return named
  end
  local base = set(getenv "XDG_CACHE_HOME")
  -- The specification: a path that is not absolute is ignored.
  if not (base and base:find "^/") then
    local home = set(getenv "HOME")
    base = home and home .. "/.cache"
  end
  if not base then
    return nil, "there is no HOME to keep the cache in: --cache-dir names a place, --no-cache goes without"
  end
  return base .. "/banger/oci"
end

---Open the cache; it is made where it is missing.
---@param path string
---@return banger.cache
---Raises `io`, `no_space`.
function M.open(path)
  local marker = path .. "/oci-layout"
  if core.host.stat(marker) then
    local object = json.decode(core.host.read_file(marker, 4096))
    local version = object and object.imageLayoutVersion
    if type(version) ~= "string" or not version:find "^1%." then
      core.error("io", ("the cache %s is a layout of version %s, which this program does not know"):format(
        path, tostring(version)))
    end
  end
  return setmetatable({ store = core.store(path) }, Cache)
end

-- ---- the index --------------------------------------------------------------------

---@class banger.cached # an image in the cache
---@field name? string # its reference in full, as it was pulled
---@field resolved? string # the digest that the reference stood for
---@field used? integer # seconds since 1970
---@field entry banger.descriptor # of the manifest

local function describe(entry)
  local notes = entry.annotations
  return {
    name = notes[NAME],
    resolved = notes[RESOLVED],
    used = math.tointeger(tonumber(notes[USED] or "")),
    entry = entry,
  }
end

local function read_index(path)
  if not core.host.stat(path) then
    return nil, "is missing"
  end
  local index, message = manifest.parse(core.host.read_file(path, LIMITS.bytes), nil, LIMITS)
  if index and index.kind == "index" then
    return index
  end
  return nil, message or "is no index"
end

---What was pulled, in the order of the index.
---@param lenient? boolean # an index that is damaged is as one that is empty: names are lost, blobs are not
---@return banger.cached[]
---Raises `io` where the index is damaged.
function Cache:list(lenient)
  local path = self.store:dir() .. "/index.json"
  local index, message = read_index(path)
  if not index and lenient then
    return {}
  elseif not index then
    core.error("io", ("%s %s; the next pull writes it anew"):format(path, message))
  end
  local list = {}
  for i, entry in ipairs(index.entries) do
    list[i] = describe(entry)
  end
  return list
end

local function encode_entry(image)
  local entry = image.entry
  local at = entry.platform
  -- What other tools have noted there stays.
  local notes = {}
  for name, value in pairs(entry.annotations or {}) do
    notes[name] = value
  end
  notes[NAME] = image.name
  notes[RESOLVED] = image.resolved
  notes[USED] = image.used and ("%d"):format(image.used) or nil
  return {
    mediaType = entry.media_type,
    digest = entry.digest,
    size = entry.size,
    platform = at and { os = at.os, architecture = at.architecture, variant = at.variant } or nil,
    annotations = notes,
  }
end

local function sort_key(image)
  local at = image.entry.platform
  return ("%s\0%s\0%s"):format(image.name or "", at and platform.format(at) or "", image.entry.digest)
end

function Cache:write(images)
  table.sort(images, function(a, b)
    return sort_key(a) < sort_key(b)
  end)
  local list = {}
  for i, image in ipairs(images) do
    list[i] = encode_entry(image)
  end
  self.store:write_index(json.encode {
    schemaVersion = 2, mediaType = "application/vnd.oci.image.index.v1+json", manifests = list,
  })
end

local function same_platform(a, b)
  return (a and platform.format(a)) == (b and platform.format(b))
end

---Remember that an image is here, and used now. In a cache that cannot be written
---nothing happens.
---@param image banger.cached # without `used`
---@param now integer # seconds since 1970
function Cache:record(image, now)
  if not self.store:writable() then
    return
  end
  local lock <close> = self.store:lock() -- luacheck: ignore
  local kept = {}
  for _, other in ipairs(self:list(true)) do
    if other.name ~= image.name or not same_platform(other.entry.platform, image.entry.platform) then
      kept[#kept + 1] = other
    end
  end
  image.used = now
  kept[#kept + 1] = image
  self:write(kept)
end

---What a reference stood for when it was last pulled.
---@param name string # in full
---@return string? digest
function Cache:resolved(name)
  local latest
  for _, image in ipairs(self:list(true)) do
    if image.name == name and image.resolved and (not latest or (image.used or 0) > (latest.used or 0)) then
      latest = image
    end
  end
  return latest and latest.resolved
end

-- ---- documents ----------------------------------------------------------------------

---A manifest or config, verified; nil where it is not here. One that is damaged is
---removed.
---@param hash string
---@param limit integer
---@return string?
function Cache:read(hash, limit)
  local size = self.store:size(hash)
  if not size or size > limit then
    return nil
  end
  local text = core.host.read_file(self.store:path(hash), limit)
  if core.host.sha256(text) == hash then
    return text
  end
  if self.store:writable() then
    self.store:remove(hash)
  end
  return nil
end

---Keep a document. In a cache that cannot be written nothing happens.
---@param text string
function Cache:put(text)
  if self.store:writable() then
    self.store:put(text)
  end
end

-- ---- what is of use --------------------------------------------------------------------

local function mark_manifest(cache, hash, sizes, depth)
  sizes[hash] = cache.store:size(hash)
  local text = cache:read(hash, manifest.max_manifest)
  local parsed = text and manifest.parse(text)
  if not parsed then
    return
  elseif parsed.kind == "index" then
    for _, entry in ipairs(depth < manifest.max_depth and parsed.entries or {}) do
      mark_manifest(cache, entry.digest, sizes, depth + 1)
    end
    return
  end
  sizes[parsed.config.digest] = cache.store:size(parsed.config.digest)
  for _, layer in ipairs(parsed.layers) do
    sizes[layer.digest] = cache.store:size(layer.digest)
  end
end

local function total(sizes)
  local sum = 0
  for _, size in pairs(sizes) do
    sum = sum + size
  end
  return sum
end

---The blobs of an image that are here.
---@param image banger.cached
---@return table<string, integer> sizes # bytes by digest
function Cache:blobs(image)
  local sizes = {}
  if image.resolved then
    sizes[image.resolved] = self.store:size(image.resolved)
  end
  mark_manifest(self, image.entry.digest, sizes, 0)
  return sizes
end

---The bytes that an image takes here; what it shares with others counts too.
---@param image banger.cached
---@return integer
function Cache:size(image)
  return total(self:blobs(image))
end

---All blobs that are here.
---@return { digest: string, size: integer }[] # sorted
function Cache:all_blobs()
  local list = {}
  for _, name in ipairs(core.host.list(self.store:dir() .. "/blobs/sha256") or {}) do
    local hash = "sha256:" .. name
    local size = digest.valid(hash) and self.store:size(hash)
    if size then
      list[#list + 1] = { digest = hash, size = size }
    end
  end
  return list
end

---@class banger.prune_options
---@field before? integer # images last used before, in seconds since 1970, go
---@field keep_bytes? integer # then those least recently used, until what is left is no more
---@field all? boolean # every image goes

-- Which images stay, most recently used first.
local function choose(cache, options)
  local images = cache:list()
  table.sort(images, function(a, b)
    if a.used ~= b.used then
      return (a.used or 0) > (b.used or 0)
    end
    return sort_key(a) < sort_key(b)
  end)
  local kept, gone, sizes, full = {}, {}, {}, false
  for _, image in ipairs(images) do
    local with = {}
    for hash, size in pairs(sizes) do
      with[hash] = size
    end
    for hash, size in pairs(cache:blobs(image)) do
      with[hash] = size
    end
    local old = options.all or (options.before and (image.used or 0) < options.before)
    -- Once one does not fit, what was used before it has no claim to stay.
    full = full or (options.keep_bytes and total(with) > options.keep_bytes)
    if old or full then
      gone[#gone + 1] = image
    else
      kept[#kept + 1], sizes = image, with
    end
  end
  return kept, gone, sizes
end

function Cache:remove_partial()
  local dir = self.store:dir() .. "/partial"
  for _, name in ipairs(core.host.list(dir) or {}) do
    if #name == 64 or name:find "^%.%d" then
      os.remove(dir .. "/" .. name)
    end
  end
end

---Remove images by age and size, and then every blob that no image needs.
---@param options banger.prune_options
---@return { images: banger.cached[], blobs: integer, bytes: integer } removed
---Raises `io` when the cache is in use by another process, or cannot be written.
function Cache:prune(options)
  local dir = self.store:dir()
  if not self.store:writable() then
    core.error("io", ("the cache %s cannot be written"):format(dir))
  elseif not self.store:alone() then
    core.error("io", ("the cache %s is in use by another process; try again when it is done"):format(dir))
  end
  local kept, gone, needed = choose(self, options)
  -- First the names, then what they named: never the other way about.
  self:write(kept)
  local removed = { images = gone, blobs = 0, bytes = 0 }
  for _, blob in ipairs(self:all_blobs()) do
    if not needed[blob.digest] then
      self.store:remove(blob.digest)
      removed.blobs, removed.bytes = removed.blobs + 1, removed.bytes + blob.size
    end
  end
  self:remove_partial()
  return removed
end

return M
