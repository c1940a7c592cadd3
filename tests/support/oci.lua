--- OCI layouts for the tests, right or broken in one chosen place.
--
--   local image = oci.write(dir, { tag = "t", layers = { { tar = bytes, compress = "gzip" } } })
--   image.layers[1].path, .digest, .size, .diff_id     image.manifest.digest
--
-- A layer: tar (its bytes), file (a tar file on disk) or blob (a compressed one, with its
-- diff_id: the layout gets a link to it), compress (a name of oci.compressors or a
-- function), and what to break:
--   corrupt   function(blob) -> blob, before the digest is taken: the digest is right
--   tamper    function(blob) -> blob, after it: the digest is wrong
--   missing   the blob is not written
--   digest, size, diff_id, media_type    what the manifest or config claims
-- An image: tag, layers, config (merged into the config), platform, docker
-- (Docker's media types), and diff_ids = function(list) -> list.
-- All digests come from sha256sum, all compression from its own program.
local sh = require "support.sh"
local json = require "support.json"

local M = {}

local OCI = "application/vnd.oci.image."
local DOCKER = "application/vnd.docker."

--- Bytes through a program.
local function filter(program, bytes, scratch)
  local from, to = scratch:fresh(".in"), scratch:fresh(".out")
  sh.write_file(from, bytes)
  sh.check(("%s <%s >%s"):format(program, sh.quote(from), sh.quote(to)))
  local out = sh.read_file(to)
  os.remove(from)
  os.remove(to)
  return out
end

--- Splits bytes into n pieces of about the same size.
local function pieces(bytes, n)
  local out, size = {}, math.max(1, (#bytes + n - 1) // n)
  for first = 1, #bytes, size do out[#out + 1] = bytes:sub(first, first + size - 1) end
  return out
end

local function each(program, bytes, n, scratch, between)
  local out = {}
  for i, piece in ipairs(pieces(bytes, n)) do out[i] = filter(program, piece, scratch) end
  return table.concat(out, between)
end

--- A zstd skippable frame.
local function skippable(payload)
  return ("<I4s4"):pack(0x184D2A53, payload)
end

--- A gzip header with extra field, name and comment, before the deflate data
--- of an ordinary member.
local function dressed(member)
  local plain = member:sub(11)
  local head = "\x1f\x8b\x08\x1c" .. member:sub(5, 10) .. "\6\0AB\2\0xy" .. "layer.tar\0" .. "a comment\0"
  return head .. plain
end

M.compressors = {
  none = function(bytes) return bytes end,
  gzip = function(bytes, s) return filter("gzip -n", bytes, s) end,
  ["gzip-1"] = function(bytes, s) return filter("gzip -n -1", bytes, s) end,
  ["gzip-9"] = function(bytes, s) return filter("gzip -n -9", bytes, s) end,
  ["gzip-fields"] = function(bytes, s) return dressed(filter("gzip -n", bytes, s)) end,
  ["gzip-members"] = function(bytes, s) return each("gzip -n", bytes, 7, s) end,
  ["gzip-member-a-block"] = function(bytes, s) return each("gzip -n", bytes, #bytes // 512, s) end,
  ["gzip-empty-members"] = function(bytes, s)
    local empty = filter("gzip -n", "", s)
    return empty .. each("gzip -n", bytes, 3, s, empty) .. empty
  end,
  ["gzip-padded"] = function(bytes, s) return each("gzip -n", bytes, 3, s, ("\0"):rep(777)) end,
  ["gzip-padded-end"] = function(bytes, s)
    return filter("gzip -n", bytes, s) .. ("\0"):rep(5000)
  end,
  pigz = function(bytes, s) return filter("pigz -n -p 4 -b 128", bytes, s) end,
  ["pigz-independent"] = function(bytes, s) return filter("pigz -n -i -p 4 -b 128", bytes, s) end,
  zstd = function(bytes, s) return filter("zstd -q -c", bytes, s) end,
  ["zstd-19"] = function(bytes, s) return filter("zstd -q -19 -c", bytes, s) end,
  ["zstd-no-checksum"] = function(bytes, s) return filter("zstd -q --no-check -c", bytes, s) end,
  ["zstd-frames"] = function(bytes, s) return each("zstd -q -c", bytes, 7, s) end,
  ["zstd-skip-first"] = function(bytes, s)
    return skippable("first") .. filter("zstd -q -c", bytes, s)
  end,
  ["zstd-skip-last"] = function(bytes, s)
    return filter("zstd -q -c", bytes, s) .. skippable(("last"):rep(1000))
  end,
  ["zstd-skip-between"] = function(bytes, s)
    return each("zstd -q -c", bytes, 4, s, skippable("") .. skippable("between"))
  end,
}

local function compress(spec, scratch)
  local how = spec.compress or "none"
  if type(how) == "function" then
    return how(spec.tar, function(program, bytes) return filter(program, bytes, scratch) end)
  end
  return assert(M.compressors[how], how)(spec.tar, scratch)
end

--- The blob and the tar of one layer as files, digests still unknown.
local function stage_layer(spec, scratch)
  local layer = { tar = spec.file, blob = scratch:fresh ".blob", spec = spec }
  if spec.blob then
    layer.tar = spec.blob
    sh.check(("ln -s %s %s"):format(sh.quote(spec.blob), sh.quote(layer.blob)))
    return layer
  end
  if spec.file then
    local program = ({ none = "cat", gzip = "gzip -n -6", pigz = "pigz -n", zstd = "zstd -q -c" })
    sh.check(("%s <%s >%s"):format(program[spec.compress or "none"], sh.quote(spec.file),
      sh.quote(layer.blob)))
    return layer
  end
  layer.tar = scratch:fresh ".tar"
  sh.write_file(layer.tar, spec.tar)
  local blob = compress(spec, scratch)
  sh.write_file(layer.blob, spec.corrupt and spec.corrupt(blob) or blob)
  return layer
end

--- Moves a blob to its place in the layout and breaks it as asked.
local function place_layer(dir, layer, digest, diff_id)
  local spec = layer.spec
  layer.digest = "sha256:" .. digest
  layer.diff_id = spec.diff_id or "sha256:" .. diff_id
  layer.path = dir .. "/blobs/sha256/" .. digest
  local file = assert(io.open(layer.blob, "rb"))
  layer.size = spec.size or file:seek("end")
  file:close()
  assert(os.rename(layer.blob, layer.path))
  if spec.tamper then sh.write_file(layer.path, spec.tamper(sh.read_file(layer.path))) end
  if spec.missing then os.remove(layer.path) end
  if spec.digest then layer.digest = spec.digest end
  if not (spec.file or spec.blob) then os.remove(layer.tar) end
end

--- Writes only the layers' blobs; enough for fetch_blob and flatten_layer.
---@param dir string layout directory, made when absent
---@param specs table[] layers
---@return table[] layers each with path, digest, size, diff_id
function M.layers(dir, specs)
  sh.check("mkdir -p " .. sh.quote(dir .. "/blobs/sha256"))
  local scratch <close> = sh.scratch(dir)
  local layers, files = {}, {}
  for i, spec in ipairs(specs) do
    layers[i] = stage_layer(spec, scratch)
    files[#files + 1] = layers[i].blob
    files[#files + 1] = layers[i].tar
  end
  local digests = #files > 0 and { sh.sha256(table.unpack(files)) } or {}
  for i, layer in ipairs(layers) do
    place_layer(dir, layer, digests[2 * i - 1], digests[2 * i])
  end
  return layers
end

--- Writes a blob and returns its descriptor.
function M.blob(dir, bytes, media_type)
  sh.check("mkdir -p " .. sh.quote(dir .. "/blobs/sha256"))
  local path = dir .. "/blobs/sha256/new"
  sh.write_file(path, bytes)
  local digest = sh.sha256(path)
  assert(os.rename(path, dir .. "/blobs/sha256/" .. digest))
  return { mediaType = media_type, digest = "sha256:" .. digest, size = #bytes }
end

local function media_type(spec, docker)
  if spec.media_type then return spec.media_type end
  local how = type(spec.compress) == "string" and spec.compress or "none"
  local kind = how:match "^zstd" or (how:match "gz" and "gzip")
  if docker then return DOCKER .. "image.rootfs.diff.tar" .. (kind and ".gzip" or "") end
  return OCI .. "layer.v1.tar" .. (kind and "+" .. kind or "")
end

local function merge(into, from)
  for k, v in pairs(from or {}) do into[k] = v end
  return into
end

--- Writes config and manifest of an image whose layers are in place.
local function manifest(dir, image, layers)
  local docker = image.docker
  local diff_ids, descriptors = json.array {}, json.array {}
  for i, layer in ipairs(layers) do
    diff_ids[i] = layer.diff_id
    descriptors[i] = {
      mediaType = media_type(layer.spec, docker), digest = layer.digest, size = layer.size,
    }
  end
  if image.diff_ids then diff_ids = json.array(image.diff_ids(diff_ids)) end
  local platform = image.platform or { os = "linux", architecture = "amd64" }
  local config = merge({
    created = "2020-01-02T03:04:05Z", os = platform.os, architecture = platform.architecture,
    variant = platform.variant,
    config = { Cmd = json.array { "/bin/sh" } },
    rootfs = { type = "layers", diff_ids = diff_ids },
  }, image.config)
  local types = docker and { DOCKER .. "container.image.v1+json", DOCKER .. "distribution.manifest.v2+json" }
    or { OCI .. "config.v1+json", OCI .. "manifest.v1+json" }
  local config_descriptor = M.blob(dir, image.config_bytes or json.encode(config), types[1])
  local body = merge({
    schemaVersion = 2, mediaType = types[2], config = config_descriptor, layers = descriptors,
  }, image.manifest)
  local descriptor = M.blob(dir, image.manifest_bytes or json.encode(body), types[2])
  descriptor.platform = image.platform
  return descriptor, config_descriptor
end

--- Writes an index as a blob: for several platforms, or indexes in indexes.
---@return table descriptor
function M.nested(dir, descriptors)
  return M.blob(dir, json.encode {
    schemaVersion = 2, mediaType = OCI .. "index.v1+json", manifests = json.array(descriptors),
  }, OCI .. "index.v1+json")
end

--- Gives a descriptor the tag under which a layout knows it.
function M.tagged(descriptor, tag)
  descriptor.annotations = { ["org.opencontainers.image.ref.name"] = tag }
  return descriptor
end

--- Writes index.json and oci-layout over the given descriptors.
function M.index(dir, descriptors)
  sh.write_file(dir .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
  sh.write_file(dir .. "/index.json", json.encode {
    schemaVersion = 2, mediaType = OCI .. "index.v1+json", manifests = json.array(descriptors),
  })
end

--- Writes an image into a layout, without touching index.json.
---@return table image manifest (a descriptor), config (a descriptor), layers
function M.image(dir, image)
  local layers = M.layers(dir, image.layers or {})
  local descriptor, config = manifest(dir, image, layers)
  return { manifest = descriptor, config = config, layers = layers, dir = dir }
end

--- Writes a layout with one tagged image.
---@param dir string
---@param image table see the top of this file
---@return table image
function M.write(dir, image)
  local made = M.image(dir, image)
  M.index(dir, { M.tagged(made.manifest, image.tag or "latest") })
  return made
end

return M
