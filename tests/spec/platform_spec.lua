local platform = require "banger.platform"

local function parse(text)
  local parsed, message = platform.parse(text)
  return parsed and platform.format(parsed) or message
end

describe("platforms", function()
  it("have one way to be written", function()
    for text, normal in pairs {
      ["linux/amd64"] = "linux/amd64", ["linux/x86_64"] = "linux/amd64", ["Linux/AMD64"] = "linux/amd64",
      ["linux/amd64/v1"] = "linux/amd64", ["linux/amd64/v3"] = "linux/amd64/v3",
      ["linux/aarch64"] = "linux/arm64", ["linux/arm64/v8"] = "linux/arm64", ["linux/arm64/8"] = "linux/arm64",
      ["linux/arm64/v9"] = "linux/arm64/v9",
      ["linux/arm"] = "linux/arm/v7", ["linux/arm/7"] = "linux/arm/v7", ["linux/arm/v6"] = "linux/arm/v6",
      ["linux/armhf"] = "linux/arm/v7", ["linux/armel"] = "linux/arm/v6", ["linux/i686"] = "linux/386",
      ["linux/riscv64"] = "linux/riscv64", ["windows/amd64"] = "windows/amd64",
    } do
      assert.equal(normal, parse(text))
    end
  end)

  it("that are none are refused", function()
    for _, text in ipairs { "", "amd64", "linux", "linux/", "/amd64", "linux/arm/", "linux/arm/v7/x", "linux amd64", "li nux/a" } do
      assert.equal(("'%s' is no platform: os/architecture[/variant] expected, such as linux/amd64"):format(text), parse(text))
    end
  end)

  it("match what runs on them", function()
    local function matches(want, have)
      return platform.matches(platform.parse(want), platform.parse(have))
    end
    assert.is_true(matches("linux/arm64", "linux/arm64/v8"))
    assert.is_true(matches("linux/arm/v7", "linux/arm/v6"))
    assert.is_true(matches("linux/amd64/v3", "linux/amd64"))
    assert.is_false(matches("linux/arm/v6", "linux/arm/v7"))
    assert.is_false(matches("linux/amd64", "linux/amd64/v2"))
    assert.is_false(matches("linux/arm64", "linux/arm"))
    assert.is_false(matches("linux/amd64", "windows/amd64"))
  end)
end)

describe("choosing from an index", function()
  local function entry(name, annotations)
    return { digest = name, platform = name ~= "" and platform.parse(name) or nil, annotations = annotations or {} }
  end
  local function unknown()
    return { digest = "attestation", platform = platform.normalise("unknown", "unknown"), annotations = {} }
  end
  local function select(want, ...)
    local found, message = platform.select({ ... }, platform.parse(want))
    return found and found.digest or message
  end

  it("takes the platform asked for", function()
    assert.equal("linux/arm64", select("linux/arm64", entry "linux/amd64", entry "linux/arm64"))
    assert.equal("linux/arm64/v8", select("linux/arm64", entry "linux/amd64", entry "linux/arm64/v8"))
  end)

  it("takes the best variant, wherever it stands", function()
    local list = { entry "linux/arm/v5", entry "linux/arm/v7", entry "linux/arm/v6" }
    assert.equal("linux/arm/v7", select("linux/arm", table.unpack(list)))
    assert.equal("linux/arm/v6", select("linux/arm/v6", table.unpack(list)))
    assert.equal("linux/arm/v5", select("linux/arm/v5", table.unpack(list)))
  end)

  it("takes the first of equals", function()
    local first = entry "linux/amd64"
    first.digest = "first"
    assert.equal("first", select("linux/amd64", first, entry "linux/amd64"))
  end)

  it("passes over attestations", function()
    assert.equal("linux/amd64", select("linux/amd64", unknown(), entry "linux/amd64"))
    assert.equal("linux/amd64", select("linux/amd64",
      entry("linux/amd64", { ["vnd.docker.reference.type"] = "attestation-manifest" }), entry "linux/amd64"))
  end)

  it("takes the only image where none says its platform", function()
    assert.equal("", select("linux/amd64", entry ""))
    assert.equal("", select("linux/amd64", unknown(), entry ""))
  end)

  it("lists what there is when there is no match", function()
    assert.equal("no image for linux/s390x; there are: linux/amd64, linux/arm64",
      select("linux/s390x", entry "linux/amd64", unknown(), entry "linux/arm64/v8", entry "linux/amd64"))
    assert.equal("no image for linux/arm/v6; there are: linux/arm/v7", select("linux/arm/v6", entry "linux/arm/v7"))
    assert.equal("no image for linux/amd64; the index names no platform", select("linux/amd64", entry "", entry ""))
    assert.equal("no image for linux/amd64; the index names no platform", select("linux/amd64", unknown()))
    assert.equal("no image for linux/amd64; the index names no platform", select("linux/amd64"))
  end)
end)
