package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"
local oci = require "support.oci"
local layout = require "banger.layout"
local banger = require "banger"

local scratch

setup(function()
  scratch = sh.scratch()
end)

teardown(function()
  scratch:remove()
end)

local function raises(code, message, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(banger.is_error(err), tostring(err))
  assert.same({ code, (message:gsub("DIR", function() return scratch.dir end)) }, { err.code, err.message })
end

local function entry(char, name, fields)
  local made = { mediaType = "application/vnd.oci.image.manifest.v1+json", digest = "sha256:" .. char:rep(64), size = 1 }
  made.annotations = name and { ["org.opencontainers.image.ref.name"] = name }
  for key, value in pairs(fields or {}) do
    made[key] = value
  end
  return made
end

local function write(...)
  local dir = scratch:mkdir(scratch:fresh():match "[^/]+$")
  oci.index(dir, { ... })
  return dir
end

local function open(...)
  return layout.open(write(...))
end

describe("a layout", function()
  it("that is none is refused", function()
    raises("not_found", "there is no OCI layout at DIR/nosuch", layout.open, scratch:path "nosuch")
    local empty = scratch:mkdir "empty"
    raises("not_found", "DIR/empty is no OCI layout: a directory with a file oci-layout expected", layout.open, empty)
    sh.write_file(scratch:path "file", "x")
    raises("not_found", "DIR/file is no OCI layout: a directory with a file oci-layout expected",
      layout.open, scratch:path "file")
    sh.write_file(empty .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
    raises("not_found", "DIR/empty is no OCI layout: it has no index.json", layout.open, empty)
  end)

  it("that is malformed is refused", function()
    local dir = write()
    local name = dir:match "[^/]+$"
    sh.write_file(dir .. "/oci-layout", "1.0.0")
    raises("layer", ("DIR/%s/oci-layout is not JSON: Expected the end but found invalid token at character 4"):format(name),
      layout.open, dir)
    sh.write_file(dir .. "/oci-layout", '{"imageLayoutVersion":"2.0.0"}')
    raises("layer", ("DIR/%s/oci-layout has the imageLayoutVersion '2.0.0'; 1.0.0 expected"):format(name), layout.open, dir)
    sh.write_file(dir .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
    sh.write_file(dir .. "/index.json", "[")
    raises("layer", ("DIR/%s/index.json is not JSON: Expected value but found T_END at character 2"):format(name),
      layout.open, dir)
    sh.write_file(dir .. "/index.json", '{"schemaVersion":2,"config":{"digest":"sha256:'
      .. ("a"):rep(64) .. '","size":1},"layers":[]}')
    raises("layer", ("DIR/%s/index.json is no index"):format(name), layout.open, dir)
  end)
end)

describe("an image in a layout", function()
  local function digests(entries)
    local list = {}
    for i, found in ipairs(entries) do
      list[i] = found.digest:sub(8, 8)
    end
    return table.concat(list, " ")
  end

  it("is found by its tag", function()
    local two = open(entry("a", "one"), entry("b", "two"))
    assert.equal("b", digests(two:find { tag = "two" }))
  end)

  it("is found by its full name, or the tag at its end", function()
    local one = open(entry("a", "example.com:5000/x/y:1.0"), entry("b", "2.0"),
      entry("c", "3.0", { annotations = { ["io.containerd.image.name"] = "example.com/z:3.1" } }))
    assert.equal("a", digests(one:find { tag = "example.com:5000/x/y:1.0" }))
    assert.equal("a", digests(one:find { tag = "1.0" }))
    assert.equal("c", digests(one:find { tag = "example.com/z:3.1" }))
    assert.equal("c", digests(one:find { tag = "3.1" }))
    raises("not_found", ("the layout %s has no image '5000/x/y:1.0'; the tags are: 2.0, example.com/z:3.1, " ..
      "example.com:5000/x/y:1.0"):format(one.path), one.find, one, { tag = "5000/x/y:1.0" })
  end)

  it("may be there for several platforms under one tag", function()
    local platforms = open(
      entry("a", "t", { platform = { os = "linux", architecture = "amd64" } }),
      entry("b", "t", { platform = { os = "linux", architecture = "arm64" } }))
    assert.equal("a b", digests(platforms:find { tag = "t" }))
    assert.equal("a b", digests(platforms:find {}))
  end)

  it("is found without a tag where it is the only one", function()
    assert.equal("a", digests(open(entry("a", "t")):find {}))
    assert.equal("a", digests(open(entry "a"):find {}))
    assert.equal("a", digests(open(entry "a", entry("b", nil, { platform = { os = "unknown", architecture = "unknown" } })):find {}))
  end)

  it("is found by its digest, in index.json or not", function()
    local one = open(entry("a", "t"))
    assert.equal("a", digests(one:find { digest = "sha256:" .. ("a"):rep(64) }))
    local blob = oci.blob(one.path, "four")
    assert.same({ { digest = blob.digest, size = 4, annotations = {} } }, one:find { digest = blob.digest })
    raises("not_found", ("the layout %s has no image sha256:%s"):format(one.path, ("f"):rep(64)),
      one.find, one, { digest = "sha256:" .. ("f"):rep(64) })
  end)

  it("that is not there is told from those that are", function()
    local none = open()
    raises("not_found", ("the layout %s has no images"):format(none.path), none.find, none, {})
    raises("not_found", ("the layout %s has no image 'x'; it has no tags, only digests"):format(none.path),
      none.find, none, { tag = "x" })
    local two = open(entry("a", "two"), entry("b", "one"))
    raises("not_found", ("the layout %s has no image 'x'; the tags are: one, two"):format(two.path), two.find, two, { tag = "x" })
    raises("usage", ("the layout %s has 2 images, name one by its tag; the tags are: one, two"):format(two.path),
      two.find, two, {})
    local untagged = open(entry "a", entry "b")
    raises("usage", ("the layout %s has 2 images, name one by its tag; it has no tags, only digests"):format(untagged.path),
      untagged.find, untagged, {})
    local same = open(entry("a", "x:t"), entry("b", "y:t"))
    raises("usage", ("'t' names 2 images in the layout %s; the tags are: x:t, y:t"):format(same.path),
      same.find, same, { tag = "t" })
  end)
end)

describe("a blob in a layout", function()
  local one, blob

  setup(function()
    one = open(entry("a", "t"))
    blob = oci.blob(one.path, "hello")
  end)

  it("is read and verified", function()
    assert.equal("hello", one:read({ digest = blob.digest, size = 5 }, 10, "thing"))
    assert.equal(one.path .. "/blobs/sha256/" .. blob.digest:sub(8), one:locate({ digest = blob.digest, size = 5 }, "thing").path)
  end)

  it("that is missing, wrong or too large is refused", function()
    local digest = "sha256:" .. ("e"):rep(64)
    raises("not_found", ("thing is missing: no blob %s in %s"):format(digest, one.path),
      one.read, one, { digest = digest, size = 5 }, 10, "thing")
    raises("digest", ("thing (%s) has 5 bytes; 6 expected"):format(blob.digest),
      one.read, one, { digest = blob.digest, size = 6 }, 10, "thing")
    raises("layer", ("thing (%s) has 5 bytes; at most 4 are accepted"):format(blob.digest),
      one.read, one, { digest = blob.digest, size = 5 }, 4, "thing")
    sh.write_file(one.path .. "/blobs/sha256/" .. blob.digest:sub(8), "hallo")
    raises("digest", ("thing is corrupt: %s expected, its bytes are sha256:%s"):format(blob.digest,
      "d3751d33f9cd5049c4af2b462735457e4d3baf130bcbb87f389e349fbaeb20b9"),
      one.read, one, { digest = blob.digest, size = 5 }, 10, "thing")
  end)

  it("cannot be outside of it", function()
    assert.has_error(function() one:has_blob "sha256:../../../etc/passwd" end)
  end)
end)
