package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"
local oci = require "support.oci"
local json = require "support.json"
local banger = require "banger"
local source = require "banger.source"

local scratch

setup(function()
  scratch = sh.scratch()
end)

teardown(function()
  scratch:remove()
end)

local function dir()
  return scratch:mkdir(scratch:fresh():match "[^/]+$")
end

local function raises(code, message, ...)
  local ok, err = pcall(source.resolve, ...)
  assert.is_false(ok)
  assert.is_true(banger.is_error(err), tostring(err))
  assert.same({ code, message }, { err.code, err.message })
end

local LAYERS = { { tar = ("\0"):rep(1024) }, { tar = ("\0"):rep(2048), compress = "gzip" } }
local INDEX = "application/vnd.oci.image.index.v1+json"

local function image(at, fields)
  fields = fields or {}
  fields.layers = fields.layers or LAYERS
  return oci.image(at, fields)
end

local function tagged(descriptor, tag)
  descriptor.annotations = { ["org.opencontainers.image.ref.name"] = tag or "t" }
  return descriptor
end

local function index(at, descriptors)
  return oci.blob(at, json.encode { schemaVersion = 2, mediaType = INDEX, manifests = json.array(descriptors) }, INDEX)
end

describe("resolving", function()
  it("gives everything a build needs", function()
    local at = dir()
    local made = oci.write(at, { tag = "t", layers = LAYERS })
    local found = source.resolve("oci:" .. at .. ":t")
    assert.equal("oci:" .. at .. ":t", found.reference)
    assert.equal(made.manifest.digest, found.digest)
    assert.equal("linux/amd64", found.platform)
    assert.equal(1577934245, found.config.created)
    assert.equal(2, #found.layers)
    for i, layer in ipairs(made.layers) do
      assert.same({
        digest = layer.digest, size = layer.size, diff_id = layer.diff_id,
        source = { digest = layer.digest, size = layer.size, path = layer.path },
      }, found.layers[i])
    end
  end)

  it("reads Docker's formats", function()
    local at = dir()
    local made = oci.write(at, { layers = LAYERS, docker = true })
    assert.equal(made.manifest.digest, source.resolve("oci:" .. at).digest)
  end)

  it("chooses the platform from an index, and from one in it", function()
    local at = dir()
    local amd64 = image(at, { platform = { os = "linux", architecture = "amd64" } })
    local arm64 = image(at, { platform = { os = "linux", architecture = "arm64", variant = "v8" } })
    local attestation = { digest = amd64.config.digest, size = 1, mediaType = amd64.manifest.mediaType,
      platform = { os = "unknown", architecture = "unknown" } }
    local inner = index(at, { attestation, amd64.manifest, arm64.manifest })
    oci.index(at, { tagged(index(at, { inner }), "nested"), tagged(inner, "flat") })
    for _, tag in ipairs { "flat", "nested" } do
      local text = "oci:" .. at .. ":" .. tag
      assert.equal(arm64.manifest.digest, source.resolve(text, { platform = "linux/arm64" }).digest)
      assert.equal(amd64.manifest.digest, source.resolve(text, { platform = "linux/x86_64" }).digest)
      raises("platform", text .. ": no image for linux/s390x; there are: linux/amd64, linux/arm64", text, { platform = "linux/s390x" })
    end
    assert.equal(arm64.manifest.digest, source.resolve("oci:" .. at .. "@" .. arm64.manifest.digest).digest)
  end)

  it("follows an index that names itself no more than once", function()
    local at = dir()
    local made = image(at)
    local inner = index(at, { made.manifest })
    oci.index(at, { tagged(index(at, { inner, inner, inner })) })
    assert.equal(made.manifest.digest, source.resolve("oci:" .. at).digest)
  end)

  it("does not follow indexes for ever", function()
    local at = dir()
    local nested = index(at, { image(at).manifest })
    for _ = 1, 4 do
      nested = index(at, { nested })
    end
    oci.index(at, { tagged(nested) })
    raises("layer", "indexes are nested deeper than 4", "oci:" .. at)
  end)

  it("checks an image without index against the platform asked for", function()
    local at = dir()
    oci.write(at, { layers = LAYERS, config = { architecture = "riscv64" } })
    assert.equal("linux/riscv64", source.resolve("oci:" .. at).platform)
    assert.equal("linux/riscv64", source.resolve("oci:" .. at, { platform = "linux/riscv64" }).platform)
    raises("platform", "oci:" .. at .. ": no image for linux/amd64; there are: linux/riscv64", "oci:" .. at, { platform = "linux/amd64" })
  end)
end)

describe("what cannot be resolved:", function()
  it("references that are none", function()
    raises("usage", "'oci:' is no image reference: the path of the layout is empty", "oci:")
    raises("usage", "'Debian' is no image reference: the repository name must be lowercase", "Debian")
  end)

  it("platforms that are none", function()
    raises("usage", "'amd64' is no platform: os/architecture[/variant] expected, such as linux/amd64",
      "oci:x", { platform = "amd64" })
  end)

  it("layers that are missing or of the wrong size", function()
    local at = dir()
    local made = oci.write(at, { layers = LAYERS })
    sh.write_file(made.layers[2].path, "short")
    raises("digest", ("layer 2 of 2 (%s) has 5 bytes; %d expected"):format(made.layers[2].digest, made.layers[2].size), "oci:" .. at)
    os.remove(made.layers[2].path)
    raises("not_found", ("layer 2 of 2 is missing: no blob %s in %s"):format(made.layers[2].digest, at), "oci:" .. at)
  end)

  it("configs that do not fit the manifest", function()
    for _, case in ipairs { { 1, { "a" } }, { 3, { "a", "b", "c" } } } do
      local at = dir()
      local made = oci.write(at, { layers = LAYERS, diff_ids = function()
        local ids = {}
        for i, char in ipairs(case[2]) do
          ids[i] = "sha256:" .. char:rep(64)
        end
        return ids
      end })
      raises("layer", ("config %s has %d diff_ids; the manifest has 2 layers"):format(made.config.digest, case[1]), "oci:" .. at)
    end
  end)

  it("manifests and configs that are corrupt or malformed", function()
    local at = dir()
    local made = oci.write(at, { layers = LAYERS, manifest_bytes = "{}" })
    raises("layer", ("manifest %s has the schemaVersion nil; 2 expected"):format(made.manifest.digest), "oci:" .. at)

    at = dir()
    made = oci.write(at, { layers = LAYERS, config_bytes = "[]" })
    raises("layer", ("config %s has no rootfs.diff_ids"):format(made.config.digest), "oci:" .. at)

    at = dir()
    made = oci.write(at, { layers = LAYERS })
    sh.write_file(at .. "/blobs/sha256/" .. made.manifest.digest:sub(8), ("x"):rep(made.manifest.size))
    local ok, err = pcall(source.resolve, "oci:" .. at)
    assert.is_false(ok)
    assert.equal("digest", err.code)
    assert.matches("^manifest sha256:%x+ is corrupt: sha256:%x+ expected, its bytes are sha256:%x+$", err.message)
  end)
end)

it("a transport is one entry in a table", function()
  local at = dir()
  local made = oci.write(at, { layers = LAYERS })
  source.transports.registry = function(ref)
    assert.equal("library/debian", ref.path)
    return source.transports.oci { path = at }
  end
  local ok, found = pcall(source.resolve, "debian:latest")
  source.transports.registry = nil
  assert.is_true(ok)
  assert.equal(made.manifest.digest, found.digest)
end)
