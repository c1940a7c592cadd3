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

  it("may say that they are docker's", function()
    parses("docker://debian", "docker.io", "library/debian", "latest")
    parses("docker://localhost:5000/a:1", "localhost:5000", "a", "1")
    parses("docker:24", "docker.io", "library/docker", "24")
  end)

  it("are refused with a reason", function()
    local function refused(text, why)
      assert.same({ nil, ("'%s' is no image reference: %s"):format(text, why) }, { reference.parse(text) })
    end
    refused("", "it is empty")
    refused("docker://", "the repository name has an empty part")
    refused("docker:///a", "the repository name has an empty part")
    refused("docker://docker://a", "'docker:' is no registry's host name")
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

describe("references to an archive", function()
  local function parses(text, transport, fields)
    fields.transport = transport
    assert.same(fields, reference.parse(text))
  end

  it("of a layout are a path, and perhaps a tag or digest", function()
    parses("oci-archive:a.tar", "oci-archive", { path = "a.tar" })
    parses("oci-archive:/x/a.tar:example.com:5000/a:1", "oci-archive",
      { path = "/x/a.tar", tag = "example.com:5000/a:1" })
    parses("oci-archive:a.tar@" .. DIGEST, "oci-archive", { path = "a.tar", digest = DIGEST })
  end)

  it("of docker's are a path, and perhaps a name with docker's defaults, or an index", function()
    parses("docker-archive:a.tar", "docker-archive", { path = "a.tar" })
    parses("docker-archive:a.tar:alpine", "docker-archive",
      { path = "a.tar", name = "docker.io/library/alpine:latest" })
    parses("docker-archive:/x y/a.tar:localhost:5000/a/b:1", "docker-archive",
      { path = "/x y/a.tar", name = "localhost:5000/a/b:1" })
    parses("docker-archive:a.tar:@0", "docker-archive", { path = "a.tar", index = 0 })
    parses("docker-archive:a.tar:@17", "docker-archive", { path = "a.tar", index = 17 })
    parses("docker-archive:a.tar:@99999999999999999999", "docker-archive",
      { path = "a.tar", index = math.maxinteger })
  end)

  it("on standard input are a dash, and perhaps what names an image in either kind", function()
    parses("-", "stdin", { path = "-" })
    parses("-:Tag.1", "stdin", { path = "-", tag = "Tag.1" })
    parses("-:alpine:3", "stdin", { path = "-", tag = "alpine:3", name = "docker.io/library/alpine:3" })
    parses("-:@1", "stdin", { path = "-", index = 1 })
    parses("-@" .. DIGEST, "stdin", { path = "-", digest = DIGEST })
  end)

  it("are refused with a reason", function()
    local function refused(text, why)
      assert.same({ nil, ("'%s' is no image reference: %s"):format(text, why) }, { reference.parse(text) })
    end
    refused("oci-archive:", "the path of the archive is empty")
    refused("oci-archive::tag", "the path of the archive is empty")
    refused("oci-archive:a.tar:", "the tag is empty")
    refused("oci-archive:a@sha256:beef", "'sha256:beef' is no digest: sha256 and 64 lowercase hexadecimal digits expected")
    refused("docker-archive:", "the path of the archive is empty")
    refused("docker-archive::alpine", "the path of the archive is empty")
    refused("docker-archive:a.tar:", "the repository name has an empty part")
    refused("docker-archive:a.tar:Alpine", "the repository name must be lowercase")
    refused("docker-archive:a.tar:@x", "the repository name has an empty part")
    refused("docker-archive:a.tar:a@" .. DIGEST, "images in the archives of docker have names, no digests")
    refused("-:", "the tag is empty")
    refused("-@sha256:12", "'sha256:12' is no digest: sha256 and 64 lowercase hexadecimal digits expected")
    refused("-x", "'-x' cannot be part of a repository name")
  end)
end)

describe("references to a directory of skopeo's", function()
  it("are its path, whatever is in it", function()
    assert.same({ transport = "dir", path = "a:b@c" }, reference.parse "dir:a:b@c")
    assert.same({ nil, "'dir:' is no image reference: the path of the directory is empty" }, { reference.parse "dir:" })
  end)
end)

it("names get docker's defaults", function()
  assert.equal("docker.io/library/alpine:latest", reference.full_name "alpine")
  assert.equal("localhost:5000/a:1", reference.full_name "localhost:5000/a:1")
  assert.is_nil(reference.full_name "Alpine")
  assert.is_nil(reference.full_name("alpine@" .. DIGEST))
end)

it("references are written in full, and read back as they were", function()
  for text, full in pairs {
    debian = "docker.io/library/debian:latest",
    ["docker://debian"] = "docker.io/library/debian:latest",
    ["a.b/c:1@" .. DIGEST] = "a.b/c:1@" .. DIGEST,
    ["oci:x:y"] = "oci:x:y",
    ["oci:x"] = "oci:x",
    ["oci-archive:x.tar:y@" .. DIGEST] = "oci-archive:x.tar:y@" .. DIGEST,
    ["docker-archive:x.tar:y"] = "docker-archive:x.tar:docker.io/library/y:latest",
    ["docker-archive:x.tar:@3"] = "docker-archive:x.tar:@3",
    ["docker-archive:x.tar"] = "docker-archive:x.tar",
    ["dir:/a:b"] = "dir:/a:b",
    ["-"] = "-",
    ["-:alpine"] = "-:alpine",
    ["-:@0"] = "-:@0",
    ["-@" .. DIGEST] = "-@" .. DIGEST,
  } do
    local ref = reference.parse(text)
    assert.equal(full, reference.format(ref))
    assert.same(ref, reference.parse(full))
  end
end)
