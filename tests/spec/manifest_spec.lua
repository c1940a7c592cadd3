local manifest = require "banger.manifest"

local function hash(char)
  return "sha256:" .. char:rep(64)
end

local OCI = "application/vnd.oci.image."
local DOCKER = "application/vnd.docker."
local TAR = OCI .. "layer.v1.tar+gzip"

local function descriptor(char, media_type, size)
  return ('{"mediaType":"%s","digest":"%s","size":%s}'):format(media_type, hash(char), size or 7)
end

local function image(fields)
  fields = fields or {}
  return ('{"schemaVersion":%s,%s"config":%s,"layers":%s}'):format(
    fields.version or "2",
    fields.media_type and ('"mediaType":"%s",'):format(fields.media_type) or "",
    fields.config or descriptor("c", OCI .. "config.v1+json"),
    fields.layers or "[" .. descriptor("1", TAR) .. "," .. descriptor("2", TAR, 0) .. "]")
end

local function refused(text, message, media_type)
  assert.same({ nil, message }, { manifest.parse(text, media_type) })
end

describe("manifests", function()
  it("of OCI", function()
    local parsed = assert(manifest.parse(image { media_type = OCI .. "manifest.v1+json" }))
    assert.equal("manifest", parsed.kind)
    assert.equal(hash "c", parsed.config.digest)
    assert.same({ hash "1", hash "2" }, { parsed.layers[1].digest, parsed.layers[2].digest })
    assert.same({ 7, 0 }, { parsed.layers[1].size, parsed.layers[2].size })
    assert.equal("integer", math.type(parsed.layers[1].size))
  end)

  it("of Docker", function()
    local text = image {
      media_type = DOCKER .. "distribution.manifest.v2+json",
      config = descriptor("c", DOCKER .. "container.image.v1+json"),
      layers = "[" .. descriptor("1", DOCKER .. "image.rootfs.diff.tar.gzip") .. "]",
    }
    assert.equal("manifest", manifest.parse(text).kind)
  end)

  it("without a media type, by what they hold or were announced as", function()
    assert.equal("manifest", manifest.parse(image()).kind)
    assert.equal("manifest", manifest.parse(image(), OCI .. "manifest.v1+json").kind)
  end)

  it("with every media type of a layer", function()
    for _, media_type in ipairs {
      OCI .. "layer.v1.tar", OCI .. "layer.v1.tar+gzip", OCI .. "layer.v1.tar+zstd",
      OCI .. "layer.nondistributable.v1.tar+gzip", DOCKER .. "image.rootfs.diff.tar",
      DOCKER .. "image.rootfs.diff.tar.gzip", DOCKER .. "image.rootfs.diff.tar.zstd",
      DOCKER .. "image.rootfs.foreign.diff.tar.gzip",
    } do
      assert.is_table(manifest.parse(image { layers = "[" .. descriptor("1", media_type) .. "]" }))
    end
  end)

  it("with no layers at all", function()
    assert.same({}, manifest.parse(image { layers = "[]" }).layers)
  end)

  it("that are no JSON", function()
    refused("", "is not JSON: Expected value but found T_END at character 1")
    refused("{", "is not JSON: Expected object key string but found T_END at character 2")
    refused("3", "is not a JSON object")
    refused('{"schemaVersion":NaN}', "is not JSON: Expected value but found invalid token at character 18")
  end)

  it("of a version that is not 2", function()
    refused(image { version = "1" }, "has the schemaVersion 1; 2 expected")
    refused(image { version = "null" }, "has the schemaVersion nil; 2 expected")
    refused(image { version = '"2"' }, "has the schemaVersion 2; 2 expected")
    refused("{}", "has the schemaVersion nil; 2 expected")
  end)

  it("that are something else", function()
    refused(image { media_type = "text/html" }, "is text/html, which is no image")
    refused(image(), "is text/html, which is no image", "text/html")
    refused(image { media_type = OCI .. "manifest.v1+json" },
      "says it is application/vnd.oci.image.manifest.v1+json; application/vnd.oci.image.index.v1+json expected",
      OCI .. "index.v1+json")
    refused('{"schemaVersion":2,"manifests":[],"layers":[]}', "is a manifest and an index at once")
    refused(image { config = descriptor("c", "application/vnd.cncf.helm.config.v1+json") },
      "is malformed: its config is application/vnd.cncf.helm.config.v1+json: this is an artifact, no image")
    refused(image { layers = "[" .. descriptor("1", TAR) .. "," .. descriptor("2", "text/plain") .. "]" },
      "is malformed: layer 2 of 2 is text/plain, which is no file system layer")
    refused(image { layers = "[" .. descriptor("1", TAR .. "+encrypted") .. "]" },
      "is malformed: layer 1 of 1 is application/vnd.oci.image.layer.v1.tar+gzip+encrypted, which is no file system layer")
  end)

  it("with parts missing", function()
    refused('{"schemaVersion":2}', "is malformed: the config is missing")
    refused(image { config = "null" }, "is malformed: the config is missing")
    refused(image { layers = "null" }, "is malformed: the list of layers is missing")
    refused(image { layers = "[" .. descriptor("1", TAR) .. ",null]" }, "is malformed: layer 2 of 2 is missing")
    refused(image { layers = "[null," .. descriptor("1", TAR) .. "]" }, "is malformed: layer 1 of 2 is missing")
    refused(image { layers = "[7]" }, "is malformed: layer 1 of 1 is missing")
  end)

  it("with digests that are none", function()
    for _, digest in ipairs { "", "sha256:beef", hash "A", hash "g", hash "1" .. "0", "md5:" .. ("1"):rep(32), "sha256:../../etc/passwd" } do
      refused(image { layers = ('[{"digest":"%s","size":1}]'):format(digest) },
        ("is malformed: layer 1 of 1 has the digest '%s'; sha256 and 64 lowercase hexadecimal digits expected"):format(digest))
    end
    refused(image { layers = '[{"size":1}]' },
      "is malformed: layer 1 of 1 has the digest 'nil'; sha256 and 64 lowercase hexadecimal digits expected")
  end)

  it("with sizes that are none", function()
    for text, shown in pairs { ["-1"] = "-1.0", ["1.5"] = "1.5", ['"7"'] = "7", ["1e300"] = "1e+300", ["null"] = "nil" } do
      refused(image { config = descriptor("c", OCI .. "config.v1+json", text) },
        ("is malformed: the config has the size '%s'; a whole number of bytes expected"):format(shown))
    end
  end)

  it("over the limits", function()
    refused((" "):rep(4 * 1024 * 1024 + 1), "has 4194305 bytes; at most 4194304 are accepted")
    local layer = descriptor("1", TAR)
    assert.equal(512, #manifest.parse(image { layers = "[" .. (layer .. ","):rep(511) .. layer .. "]" }).layers)
    refused(image { layers = "[" .. (layer .. ","):rep(512) .. layer .. "]" },
      "is malformed: there are 513 layers; at most 512 are accepted")
  end)
end)

describe("indexes", function()
  local function index(media_type)
    return ('{"schemaVersion":2,%s"manifests":[{"mediaType":"%smanifest.v1+json","digest":"%s","size":9,'
      .. '"platform":{"os":"linux","architecture":"arm64","variant":"v8"},"annotations":{"a":"b"},"urls":["https://a/b","file:///etc/passwd",7]},'
      .. '{"digest":"%s","size":8}]}'):format(
      media_type and ('"mediaType":"%s",'):format(media_type) or "", OCI, hash "a", hash "b")
  end

  it("of OCI and Docker, and without a media type", function()
    for _, media_type in ipairs { OCI .. "index.v1+json", DOCKER .. "distribution.manifest.list.v2+json", false } do
      local parsed = manifest.parse(index(media_type))
      assert.equal("index", parsed.kind)
      assert.same({
        { media_type = OCI .. "manifest.v1+json", digest = hash "a", size = 9,
          platform = { os = "linux", architecture = "arm64" }, annotations = { a = "b" }, urls = { "https://a/b" } },
        { digest = hash "b", size = 8, annotations = {}, urls = {} },
      }, parsed.entries)
    end
  end)

  it("with wrong entries", function()
    refused('{"schemaVersion":2,"manifests":7}', "is malformed: the list of manifests is missing")
    refused('{"schemaVersion":2,"manifests":[{}]}',
      "is malformed: manifest 1 of 1 has the digest 'nil'; sha256 and 64 lowercase hexadecimal digits expected")
  end)
end)
