local reference = require "banger.reference"

local HEX = ("0123456789abcdef"):rep(4)
local DIGEST = "sha256:" .. HEX

describe("registry references", function()
  local function parses(text, domain, path, tag, digest)
    assert.same({ transport = "registry", domain = domain, path = path, tag = tag, digest = digest },
      reference.parse(text))
  end

  it("get their defaults", function()
    parses("debian", "docker.io", "library/debian", "latest")
    parses("debian:12", "docker.io", "library/debian", "12")
    parses("someone/thing", "docker.io", "someone/thing", "latest")
    parses("docker.io/debian", "docker.io", "library/debian", "latest")
    parses("index.docker.io/debian", "docker.io", "library/debian", "latest")
  end)

  it("name a registry where the first part could be nothing else", function()
    parses("example.com/a/b:1", "example.com", "a/b", "1")
    parses("localhost/a", "localhost", "a", "latest")
    parses("localhost:5000/a/b", "localhost:5000", "a/b", "latest")
    parses("host:5000/a:tag", "host:5000", "a", "tag")
    parses("127.0.0.1:5000/a", "127.0.0.1:5000", "a", "latest")
    parses("[2001:db8::1]:5000/a", "[2001:db8::1]:5000", "a", "latest")
    parses("Registry/a", "Registry", "a", "latest")
    parses("host/a", "docker.io", "host/a", "latest")
  end)

  it("may have a digest, with or without a tag", function()
    parses("debian@" .. DIGEST, "docker.io", "library/debian", nil, DIGEST)
    parses("a.b/c:1@" .. DIGEST, "a.b", "c", "1", DIGEST)
  end)

  it("may have separators in their parts", function()
    parses("a.b/c_d/e__f/g---h/i.j", "a.b", "c_d/e__f/g---h/i.j", "latest")
    parses("a.b/c:" .. ("t"):rep(128), "a.b", "c", ("t"):rep(128))
    parses("a.b/c:_T.x-1", "a.b", "c", "_T.x-1")
  end)

  it("are refused with a reason", function()
    local function refused(text, why)
      assert.same({ nil, ("'%s' is no image reference: %s"):format(text, why) }, { reference.parse(text) })
    end
    refused("", "it is empty")
    refused("Debian", "the repository name must be lowercase")
    refused("a.b/C", "the repository name must be lowercase")
    refused("a//b", "the repository name has an empty part")
    refused("a.b/", "the repository name has an empty part")
    refused("/a", "the repository name has an empty part")
    refused("a..b/c/d", "'a..b' is no registry's host name")
    refused("-a.b/c", "'-a.b' is no registry's host name")
    refused("a.b:99999/c", "'a.b:99999' is no registry's host name")
    refused("a.b:x/c", "'a.b:x' is no registry's host name")
    refused("a___b", "'a___b' cannot be part of a repository name")
    refused("a._b", "'a._b' cannot be part of a repository name")
    refused("_a", "'_a' cannot be part of a repository name")
    refused("a-", "'a-' cannot be part of a repository name")
    refused("a b", "'a b' cannot be part of a repository name")
    refused("a.b/../c", "'..' cannot be part of a repository name")
    refused(HEX, "64 hexadecimal digits name no image; a digest is written NAME@sha256:...")
    refused("a:-x", "'-x' is no tag: up to 128 letters, digits, '_', '.', '-' expected")
    refused("a:", "'' is no tag: up to 128 letters, digits, '_', '.', '-' expected")
    refused("a:" .. ("t"):rep(129), ("'%s' is no tag: up to 128 letters, digits, '_', '.', '-' expected"):format(("t"):rep(129)))
    refused("a@sha256:12", "'sha256:12' is no digest: sha256 and 64 lowercase hexadecimal digits expected")
    refused("a@sha256:" .. HEX:upper(),
      "'sha256:" .. HEX:upper() .. "' is no digest: sha256 and 64 lowercase hexadecimal digits expected")
    refused("a@sha512:" .. HEX .. HEX, "digests by sha512 are not supported, only sha256")
    refused("a@", "'' is no digest: sha256 and 64 lowercase hexadecimal digits expected")
    refused("a.b/" .. ("x"):rep(300), "the name is longer than 255 characters")
  end)
end)

describe("layout references", function()
  local function parses(text, path, tag, digest)
    assert.same({ transport = "oci", path = path, tag = tag, digest = digest }, reference.parse(text))
  end

  it("are a path, and perhaps a tag or digest", function()
    parses("oci:images", "images")
    parses("oci:/a/b c", "/a/b c")
    parses("oci:images:debian", "images", "debian")
    parses("oci:../i:example.com:5000/a/b:1.0", "../i", "example.com:5000/a/b:1.0")
    parses("oci:images@" .. DIGEST, "images", nil, DIGEST)
    parses("oci:images:debian@" .. DIGEST, "images", "debian", DIGEST)
    parses("oci:me@home:tag", "me@home", "tag")
  end)

  it("are refused with a reason", function()
    local function refused(text, why)
      assert.same({ nil, ("'%s' is no image reference: %s"):format(text, why) }, { reference.parse(text) })
    end
    refused("oci:", "the path of the layout is empty")
    refused("oci::tag", "the path of the layout is empty")
    refused("oci:images:", "the tag is empty")
    refused("oci:images@sha256:beef", "'sha256:beef' is no digest: sha256 and 64 lowercase hexadecimal digits expected")
    refused("oci:images@sha512:beef", "digests by sha512 are not supported, only sha256")
  end)
end)

it("references are written in full", function()
  for text, full in pairs {
    debian = "docker.io/library/debian:latest",
    ["a.b/c:1@" .. DIGEST] = "a.b/c:1@" .. DIGEST,
    ["oci:x:y"] = "oci:x:y",
    ["oci:x"] = "oci:x",
  } do
    assert.equal(full, reference.format(reference.parse(text)))
  end
end)
