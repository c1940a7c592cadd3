package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"
local need = require "support.need"
local oci = require "support.oci"
local tar = require "support.tar"
local json = require "support.json"
local archive = require "banger.archive"
local banger = require "banger"
local core = require "banger.core"
local dir = require "banger.dir"
local decode = require "banger.json".decode
local reference = require "banger.reference"
local source_of = require "banger.source"

local scratch, layout, image, layers

local function shell(text, ...)
  return sh.check(text:format(...))
end

setup(function()
  scratch = sh.scratch()
  layout = scratch:mkdir "layout"
  layers = {
    tar.archive { tar.dir "etc/", tar.file("etc/hostname", "one\n") },
    tar.archive { tar.file("etc/hostname", "two\n"), tar.file("big", ("0123456789"):rep(20000)) },
  }
  image = oci.write(layout, { tag = "demo", layers = { { tar = layers[1], compress = "gzip" }, { tar = layers[2], compress = "gzip" } } })
end)

teardown(function()
  scratch:remove()
end)

local function parse(text)
  return assert(reference.parse((text:gsub("DIR", function() return scratch.dir end))))
end

local function open(text)
  local ref = parse(text)
  return (ref.transport == "dir" and dir or archive).open(ref), ref
end

local function find(text)
  local source, ref = open(text)
  return source:find(ref), source
end

local function raises(code, message, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(banger.is_error(err), tostring(err))
  assert.same({ code, (message:gsub("DIR", function() return scratch.dir end)) }, { err.code, err.message })
end

local function refuses(text, code, message)
  raises(code, message, find, text)
end

-- What `fetch_blob` would read.
local function bytes(where)
  local file = assert(io.open(where.path, "rb"))
  file:seek("set", where.offset or 0)
  local data = file:read(where.size)
  file:close()
  return data
end

local function sha256(data)
  local path = scratch:fresh()
  sh.write_file(path, data)
  return "sha256:" .. sh.sha256(path)
end

-- The image behind a reference: its manifest, its config, the tar of its layers.
local function read(text)
  local entries, source = find(text)
  assert.equal(1, #entries)
  local manifest = decode(source:read(entries[1], 1 << 20, "manifest"))
  local config = decode(source:read(manifest.config, 1 << 20, "config"))
  local tars = {}
  for i, layer in ipairs(manifest.layers) do
    local where = source:locate(layer, "layer")
    assert.equal(layer.size, where.size)
    if where.digest then
      assert.equal(where.digest, sha256(bytes(where)))
    end
    local path = scratch:fresh()
    sh.write_file(path, bytes(where))
    local magic = bytes(where):sub(1, 2)
    tars[i] = magic == "\x1f\x8b" and shell("gzip -dc %s", path) or bytes(where)
  end
  return { digest = entries[1].digest, manifest = manifest, config = config, tars = tars }
end

local function is_demo(text)
  local found = read(text)
  assert.same(layers, found.tars)
  assert.same({ image.layers[1].diff_id, image.layers[2].diff_id }, { table.unpack(found.config.rootfs.diff_ids) })
  return found
end

---- what skopeo writes ------------------------------------------------------------------

describe("an archive of skopeo's", function()
  setup(function()
    local from = "skopeo copy -q oci:" .. layout .. ":demo "
    shell(from .. "oci-archive:%s:demo", scratch:path "oci.tar")
    shell(from .. "docker-archive:%s:demo:1", scratch:path "docker.tar")
    shell(from .. "dir:%s", scratch:path "dir")
  end)

  it("of an OCI layout is read", function()
    assert.equal(image.manifest.digest, is_demo("oci-archive:DIR/oci.tar:demo").digest)
    assert.equal(image.manifest.digest, is_demo("oci-archive:DIR/oci.tar").digest)
    assert.equal(image.manifest.digest, is_demo("oci-archive:DIR/oci.tar@" .. image.manifest.digest).digest)
  end)

  it("of docker's is read", function()
    local found = is_demo "docker-archive:DIR/docker.tar:demo:1"
    assert.equal(shell("skopeo inspect --format '{{.Digest}}' docker-archive:%s", scratch:path "docker.tar"), found.digest .. "\n")
    assert.equal(found.digest, is_demo("docker-archive:DIR/docker.tar").digest)
    assert.equal(found.digest, is_demo("docker-archive:DIR/docker.tar:@0").digest)
    assert.equal(found.digest, is_demo("docker-archive:DIR/docker.tar:docker.io/library/demo:1").digest)
    assert.equal(image.config.digest, found.manifest.config.digest)
  end)

  it("in a directory is read", function()
    assert.equal(image.manifest.digest, is_demo("dir:DIR/dir").digest)
  end)

  it("is told what it is not", function()
    refuses("oci-archive:DIR/docker.tar", "not_found",
      "DIR/docker.tar is no OCI archive; docker-archive:DIR/docker.tar may be meant")
    refuses("docker-archive:DIR/oci.tar", "not_found",
      "DIR/oci.tar is no archive of docker's; oci-archive:DIR/oci.tar may be meant")
    refuses("oci-archive:DIR/oci.tar:other", "not_found",
      "the archive DIR/oci.tar has no image 'other'; the tags are: demo")
    refuses("docker-archive:DIR/docker.tar:demo", "not_found", "the archive DIR/docker.tar has no image " ..
      "'docker.io/library/demo:latest'; there are: @0 docker.io/library/demo:1")
    refuses("docker-archive:DIR/docker.tar:@1", "not_found",
      "the archive DIR/docker.tar has no image @1; there are: @0 docker.io/library/demo:1")
    refuses("oci-archive:DIR/nosuch", "not_found", "open DIR/nosuch: No such file or directory")
    refuses("oci-archive:DIR/layout", "usage", "DIR/layout is a directory; an archive expected")
  end)

  it("may be compressed", function()
    for _, name in ipairs { "oci", "docker" } do
      shell("cd %s && gzip -k %s.tar && zstd -q -k %s.tar", scratch.dir, name, name)
      is_demo(name .. "-archive:DIR/" .. name .. ".tar.gz")
      is_demo(name .. "-archive:DIR/" .. name .. ".tar.zst")
    end
  end)

  it("leaves no file behind where it is unpacked", function()
    local temporary = scratch:mkdir "temporary"
    sh.write_file(scratch:path "unpack.lua", [[
      local archive, reference = require "banger.archive", require "banger.reference"
      local ref = assert(reference.parse("docker-archive:" .. arg[1]))
      local source = archive.open(ref)
      local found = source:find(ref)
      os.execute("ls -A " .. arg[2])
      print(found and "found")]])
    assert.equal("found\n", shell("TMPDIR=%s %s %s %s %s", temporary, sh.banger(), scratch:path "unpack.lua",
      scratch:path "docker.tar.gz", temporary))
    local _, source = find "docker-archive:DIR/docker.tar.gz"
    local where = source:locate({ digest = image.layers[2].diff_id }, "layer")
    assert.truthy(where.path:find "^/proc/self/fd/%d+$")
    assert.equal(layers[2], bytes(where))
  end)

  it("stays open as long as anyone has the place of a layer", function()
    local _, source = find "docker-archive:DIR/docker.tar.gz"
    local where = source:locate({ digest = image.layers[2].diff_id }, "layer")
    source = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal(layers[2], bytes(where))
  end)
end)

describe("standard input", function()
  -- The program under test, its input from a shell command.
  local function run(input, ref)
    local code = ([[
      local ref = assert(require "banger.reference".parse(%q))
      local source = require "banger.archive".open(ref)
      local entry = source:find(ref)[1]
      local manifest = require "banger.json".decode(source:read(entry, 1 << 20, "manifest"))
      for _, layer in ipairs(manifest.layers) do
        local where = source:locate({ digest = layer.digest, size = math.tointeger(layer.size) }, "layer")
        local file = io.open(where.path, "rb")
        file:seek("set", where.offset)
        print(require "banger.core".host.sha256(file:read(where.size)))
      end]]):format(ref)
    return (sh.run(("{ %s; } | timeout 20 %s -e %s 2>&1"):format(input, sh.banger(), sh.quote(code))))
  end

  local function lines(...)
    return table.concat({ ... }, "\n") .. "\n"
  end

  it("may be any archive, compressed or not", function()
    local saved = lines(image.layers[1].diff_id, image.layers[2].diff_id)
    local packed = lines(image.layers[1].digest, image.layers[2].digest)
    assert.equal(saved, run("cat " .. scratch:path "docker.tar", "-"))
    assert.equal(saved, run("gzip -c " .. scratch:path "docker.tar", "-"))
    assert.equal(saved, run("zstd -q -c " .. scratch:path "docker.tar", "-"))
    assert.equal(saved, run("sleep 1; cat " .. scratch:path "docker.tar", "-:demo:1"))
    assert.equal(packed, run("cat " .. scratch:path "oci.tar", "-"))
    assert.equal(packed, run("gzip -c " .. scratch:path "oci.tar", "-:demo"))
    assert.equal(packed, run("zstd -q -c " .. scratch:path "oci.tar", "oci-archive:-@" .. image.manifest.digest))
  end)

  it("may be a file, or the rest of one", function()
    local saved = lines(image.layers[1].diff_id, image.layers[2].diff_id)
    assert.equal(saved, run("exec <" .. scratch:path "docker.tar" .. "; cat", "-"))
    local code = [[
      local a = require "banger.core".archive "-"
      print(a.name, #a:read("manifest.json", 4096) > 0, a.path:match "^/proc/self/fd/%d+$" ~= nil)]]
    local command = sh.banger() .. " -e " .. sh.quote(code)
    assert.equal("standard input\ttrue\ttrue\n", shell("%s < %s", command, scratch:path "docker.tar"))
    shell("{ echo; cat %s; } > %s", scratch:path "docker.tar", scratch:path "rest")
    assert.equal("standard input\ttrue\ttrue\n", shell("{ read line; %s; } < %s", command, scratch:path "rest"))
  end)

  it("that is no archive is refused", function()
    local function says(input, ref, message)
      assert.truthy(run(input, ref):find(message, 1, true), run(input, ref))
    end
    says("true", "-", "standard input is empty")
    says("echo text", "-", "standard input is no tar archive")
    says("echo text | gzip", "-", "standard input is no tar archive")
    says("gzip -c " .. scratch:path "docker.tar" .. " | head -c 200", "-", "standard input: ")
    says("cat " .. scratch:path "docker.tar" .. " | head -c 9000", "-", "standard input: bad tar: ")
    says("tar -C / -c etc/hostname", "-",
      "standard input is no archive of images; there is neither oci-layout nor manifest.json in it")
    says("cat " .. scratch:path "oci.tar", "-:other", "standard input has no image 'other'; the tags are: demo")
    says("cat " .. scratch:path "oci.tar", "-:@1",
      "standard input is an OCI archive: its images have tags and digests, no index")
    says("cat " .. scratch:path "docker.tar", "-:other",
      "standard input has no image 'docker.io/library/other:latest'; there are: @0 docker.io/library/demo:1")
    says("cat " .. scratch:path "docker.tar", "-@sha256:" .. ("0"):rep(64),
      "docker saved no digests; there are: @0 docker.io/library/demo:1")
    says("cat " .. scratch:path "docker.tar", "oci-archive:-",
      "standard input is no OCI archive; '-' alone finds out what it is")
  end)

  it("does not outlive a signal", function()
    local begun = scratch:path "begun"
    local code = ('io.open(%q, "w"):close() require "banger.core".archive "-"'):format(begun)
    -- A pipe that never ends.
    local out, status = sh.run(("mkfifo %s; exec 4<>%s; tests/support/%s <&4 2>&1"):format(scratch:path "pipe", scratch:path "pipe",
      sh.line("signal-when.sh", "INT", "[ -e " .. begun .. " ]", sh.banger(), "-e", code)))
    assert.same({ 130, "banger-lua: interrupted\n" }, { status, out })
  end)

  it("that does not fit says where it went", function()
    local code = [[print(select(2, pcall(require "banger.core".archive, "-")).code)]]
    local out = sh.run(("ulimit -f 8; cat %s | TMPDIR=%s %s -e %s"):format(
      scratch:path "docker.tar", scratch.dir, sh.banger(), sh.quote(code)))
    assert.equal("no_space\n", out)
    if need.namespace() then return end
    local small = scratch:mkdir "small"
    local full = sh.run(("unshare -m sh -c 'mount -t tmpfs -o size=64k none %s && cat %s | TMPDIR=%s %s -e \"$0\"' %s 2>&1"):format(
      small, scratch:path "docker.tar", small, sh.banger(), sh.quote [[
        local err = select(2, pcall(require "banger.core".archive, "-")) print(err.code, err.message)]]))
    assert.equal(("no_space\tunpack standard input into %s ($TMPDIR): No space left on device\n"):format(small), full)
  end)
end)

---- what docker writes -------------------------------------------------------------------

-- Entries of an archive, written as they are.
local function write(entries, options)
  local path = scratch:fresh ".tar"
  sh.write_file(path, tar.archive(entries, options))
  return path
end

local CONFIG = json.encode {
  os = "linux", architecture = "amd64", config = {},
  rootfs = { type = "layers", diff_ids = json.array {} },
}

local function config_of(...)
  local ids = json.array {}
  for i, bytes_of in ipairs { ... } do
    ids[i] = sha256(bytes_of)
  end
  return json.encode { os = "linux", architecture = "amd64", config = {}, rootfs = { type = "layers", diff_ids = ids } }
end

local function images(list)
  return tar.file("manifest.json", json.encode(json.array(list)))
end

describe("what docker saved before", function()
  local path

  -- Two images that share a layer, which the second has as a link; and one by its id.
  setup(function()
    path = write {
      tar.dir "aaaa/", tar.file("aaaa/VERSION", "1.0"), tar.file("aaaa/layer.tar", layers[1]),
      tar.dir "bbbb/", tar.symlink("bbbb/layer.tar", "../aaaa/layer.tar"),
      tar.file("cccc/layer.tar", layers[2]),
      tar.file("one.json", config_of(layers[1], layers[2])),
      tar.file("two.json", config_of(layers[1])),
      tar.file("three.json", config_of()),
      images {
        { Config = "one.json", RepoTags = json.array { "alpine:3", "example.com/a:1" },
          Layers = json.array { "aaaa/layer.tar", "cccc/layer.tar" } },
        { Config = "two.json", RepoTags = json.array { "busybox:latest" }, Layers = json.array { "bbbb/layer.tar" } },
        { Config = "three.json", Layers = json.array {} },
      },
      tar.file("repositories", "{}"),
    }
  end)

  it("is found by names with docker's defaults, and by index", function()
    local ref = "docker-archive:" .. path
    local one = read(ref .. ":alpine:3")
    assert.same(layers, one.tars)
    assert.same(one, read(ref .. ":@0"))
    assert.same(one, read(ref .. ":example.com/a:1"))
    assert.same(one, read(ref .. ":docker.io/library/alpine:3"))
    assert.same({ layers[1] }, read(ref .. ":busybox").tars)
    assert.same({ layers[1] }, read(ref .. ":@1").tars)
    assert.same({}, read(ref .. ":@2").tars)
  end)

  -- Of a layer that is a link skopeo takes the link's own size, 0.
  it("gets the manifest that skopeo makes of it", function()
    for _, name in ipairs { ":alpine:3", ":example.com/a:1", ":@0", ":@2" } do
      local entries, source = find("docker-archive:" .. path .. name)
      local text = source:read(entries[1], 1 << 20, "manifest")
      assert.equal(shell("skopeo inspect --raw docker-archive:%s", path .. name), text)
      assert.equal(shell("skopeo inspect --format '{{.Digest}}' docker-archive:%s", path .. name), entries[1].digest .. "\n")
    end
  end)

  it("lists its images when it has several", function()
    refuses("docker-archive:" .. path, "usage", ("the archive %s has 3 images, one is to be named by its name or its " ..
      "@index; there are: @0 alpine:3 example.com/a:1, @1 busybox:latest, @2 without a name"):format(path))
    refuses("docker-archive:" .. path .. ":alpine", "not_found", ("the archive %s has no image " ..
      "'docker.io/library/alpine:latest'; there are: @0 alpine:3 example.com/a:1, @1 busybox:latest, " ..
      "@2 without a name"):format(path))
    refuses("docker-archive:" .. write { images {} }, "not_found",
      ("the archive %s has no images"):format(scratch.dir .. "/" .. scratch.count .. ".tar"))
  end)

  it("may have layers that are compressed, which only their diff_id vouches for", function()
    local packed = write {
      tar.file("x.tar.gz", oci.compressors.gzip(layers[1], scratch)),
      tar.file("x.tar.zst", oci.compressors.zstd(layers[2], scratch)),
      tar.file("config.json", config_of(layers[1], layers[2])),
      images { { Config = "config.json", Layers = json.array { "x.tar.gz", "x.tar.zst" } } },
    }
    local entries, source = find("docker-archive:" .. packed)
    local manifest = decode(source:read(entries[1], 1 << 20, "manifest"))
    for i, magic in ipairs { "\x1f\x8b", "\x28\xb5" } do
      local where = source:locate(manifest.layers[i], "layer")
      assert.is_nil(where.digest)
      assert.equal(magic, bytes(where):sub(1, 2))
    end
  end)

  it("verifies configs that are named by their digest", function()
    local config = config_of(layers[1])
    local hex = sha256(config):sub(8)
    for _, name in ipairs { hex .. ".json", "sha256:" .. hex, "blobs/sha256/" .. hex } do
      local function saved(text)
        return "docker-archive:" .. write {
          tar.file("l", layers[1]), tar.file(name, text), images { { Config = name, Layers = json.array { "l" } } },
        }
      end
      assert.equal("sha256:" .. hex, read(saved(config)).manifest.config.digest)
      local other = config:gsub("amd64", "arm64")
      local ref = saved(other)
      refuses(ref, "digest", ("%s: the config of image @0 is corrupt: sha256:%s expected, its bytes are %s"):format(
        ref:match ":(.*)$", hex, sha256(other)))
    end
  end)
end)

describe("what docker saves today", function()
  local path, one, two

  -- An OCI layout with nested indexes, of which not all is there, and manifest.json.
  setup(function()
    local root = scratch:mkdir "docker"
    one = oci.image(root, { layers = { { tar = layers[1] }, { tar = layers[2] } },
      platform = { os = "linux", architecture = "amd64" } })
    two = oci.image(root, { layers = { { tar = layers[2] } } })
    local absent = { mediaType = "application/vnd.oci.image.manifest.v1+json", digest = "sha256:" .. ("0"):rep(64),
      size = 7, platform = { os = "linux", architecture = "s390x" } }
    local nested = oci.nested(root, { absent, one.manifest })
    nested.annotations = { ["io.containerd.image.name"] = "docker.io/library/alpine:latest",
      ["org.opencontainers.image.ref.name"] = "latest" }
    local function line(made, tags)
      local names = json.array {}
      for i, layer in ipairs(made.layers) do names[i] = "blobs/sha256/" .. layer.digest:sub(8) end
      return { Config = "blobs/sha256/" .. made.config.digest:sub(8), RepoTags = tags, Layers = names }
    end
    oci.index(root, { nested, two.manifest })
    sh.write_file(root .. "/manifest.json", json.encode(json.array {
      line(two), line(one, json.array { "alpine:latest" }),
    }))
    path = scratch:path "today.tar"
    shell("tar -C %s -cf %s .", root, path)
  end)

  it("is found by name, and gives the index with its platforms", function()
    local entries, source = find("docker-archive:" .. path .. ":alpine")
    local index = decode(source:read(entries[1], 1 << 20, "index"))
    assert.equal(one.manifest.digest, index.manifests[2].digest)
    assert.same(entries, (find("docker-archive:" .. path .. ":@1")))
    local where = source:locate({ digest = one.layers[2].digest, size = one.layers[2].size }, "layer")
    assert.equal(layers[2], bytes(where))
    assert.equal(one.layers[2].digest, where.digest)
  end)

  it("has the manifest's own digest, by name or by index", function()
    assert.equal(two.manifest.digest, read("docker-archive:" .. path .. ":@0").digest)
    assert.same({ layers[2] }, read("docker-archive:" .. path .. ":@0").tars)
  end)

  it("lists its images when it has several", function()
    refuses("docker-archive:" .. path, "usage", ("the archive %s has 2 images, one is to be named by its name or its " ..
      "@index; there are: @0 without a name, @1 alpine:latest"):format(path))
  end)

  it("is read as before where no manifest is about an image of manifest.json", function()
    local root = scratch:mkdir "mixed"
    oci.index(root, { oci.image(root, { layers = { { tar = layers[2] } } }).manifest })
    local blob = oci.blob(root, layers[1])
    local config = oci.blob(root, config_of(layers[1]))
    sh.write_file(root .. "/manifest.json", json.encode(json.array { {
      Config = "blobs/sha256/" .. config.digest:sub(8), RepoTags = json.array { "other:1" },
      Layers = json.array { "blobs/sha256/" .. blob.digest:sub(8) },
    } }))
    local mixed = scratch:path "mixed.tar"
    shell("tar -C %s -cf %s .", root, mixed)
    assert.same({ layers[1] }, read("docker-archive:" .. mixed .. ":other:1").tars)
    assert.same({ layers[2] }, read("docker-archive:" .. mixed).tars)
  end)

  it("is an OCI archive, too", function()
    assert.equal(two.manifest.digest, read("oci-archive:" .. path .. "@" .. two.manifest.digest).digest)
  end)
end)

---- directories --------------------------------------------------------------------------

describe("a blob that is not in the archive", function()
  it("is missing", function()
    local blob = { digest = "sha256:" .. ("b"):rep(64), size = 5 }
    for _, name in ipairs { "oci", "docker" } do
      local _, source = find(name .. "-archive:DIR/" .. name .. ".tar")
      local message = ("thing is missing: no blob %s in DIR/%s.tar"):format(blob.digest, name)
      raises("not_found", message, source.read, source, blob, 100, "thing")
      raises("not_found", message, source.locate, source, blob, "thing")
    end
  end)
end)

describe("a directory of skopeo's", function()
  local function make(files)
    local path = scratch:mkdir(scratch:fresh():match "[^/]+$")
    for name, text in pairs(files) do sh.write_file(path .. "/" .. name, text) end
    return path
  end

  it("may hold an index with its images", function()
    local root = scratch:mkdir "multi"
    local amd = oci.image(root, { layers = { { tar = layers[1] } }, platform = { os = "linux", architecture = "amd64" } })
    local arm = oci.image(root, { layers = { { tar = layers[2] } }, platform = { os = "linux", architecture = "arm64" } })
    local index = oci.tagged(oci.nested(root, { amd.manifest, arm.manifest }), "all")
    oci.index(root, { index })
    shell("skopeo copy -q --all oci:%s:all dir:%s", root, scratch:path "all")
    local entries, source = find "dir:DIR/all"
    assert.equal(index.digest, entries[1].digest)
    local found = decode(source:read(entries[1], 1 << 20, "index"))
    assert.equal(arm.manifest.digest, found.manifests[2].digest)
    local manifest = decode(source:read(found.manifests[2], 1 << 20, "manifest"))
    assert.equal(layers[2], bytes(source:locate(manifest.layers[1], "layer")))
  end)

  it("that is none is refused", function()
    refuses("dir:DIR/nosuch", "not_found", "there is no directory DIR/nosuch")
    local path = make {}
    refuses("dir:" .. path, "not_found", path .. " is no directory of skopeo's: one with a file manifest.json expected")
    path = make { version = "Directory Transport Version: 2.0\n", ["manifest.json"] = "{}" }
    refuses("dir:" .. path, "layer",
      path .. "/version says 'Directory Transport Version: 2.0'; 'Directory Transport Version: 1.1' expected")
    path = make { ["manifest.json"] = (" "):rep(4 * 1024 * 1024 + 1) }
    refuses("dir:" .. path, "usage", path .. "/manifest.json is larger than 4194304 bytes")
  end)

  it("whose blobs are missing or wrong is refused", function()
    local path = make { ["manifest.json"] = "{}", [("a"):rep(64)] = "four" }
    local _, source = find("dir:" .. path)
    local blob = { digest = "sha256:" .. ("a"):rep(64), size = 4 }
    raises("digest", ("thing is corrupt: %s expected, its bytes are " ..
      "sha256:04efaf080f5a3e74e1c29d1ca6a48569382cbbcd324e8d59d2b83ef21c039f00"):format(blob.digest),
      source.read, source, blob, 100, "thing")
    raises("digest", ("layer (%s) has 4 bytes; 5 expected"):format(blob.digest),
      source.locate, source, { digest = blob.digest, size = 5 }, "layer")
    local other = "sha256:" .. ("b"):rep(64)
    raises("not_found", ("layer is missing: no blob %s in %s"):format(other, path),
      source.locate, source, { digest = other, size = 5 }, "layer")
    raises("layer", ("thing (%s) has 4 bytes; at most 3 are accepted"):format(blob.digest),
      source.read, source, blob, 3, "thing")
  end)
end)

---- from end to end ----------------------------------------------------------------------

describe("an image is built", function()
  local function build(text)
    local made = source_of.resolve((text:gsub("DIR", function() return scratch.dir end)), { platform = "linux/amd64" })
    local rootfs <close> = banger.rootfs { near = scratch:path "out.ext4" }
    local blobs = {}
    for i, layer in ipairs(made.layers) do blobs[i] = banger.fetch_blob(layer.source) end
    for i, layer in ipairs(made.layers) do
      banger.flatten_layer(rootfs, blobs[i], { diff_id = layer.diff_id })
    end
    assert.equal("two\n", rootfs:read "/etc/hostname")
    assert.equal(200000, rootfs:stat("/big").size)
    return made
  end

  local function saved(first, second)
    return "docker-archive:" .. write {
      tar.file("one", first), tar.file("two", second), tar.file("c", config_of(layers[1], layers[2])),
      images { { Config = "c", RepoTags = json.array { "a:1" }, Layers = json.array { "one", "two" } } },
    }
  end

  it("from archives and directories", function()
    for _, text in ipairs {
      "oci-archive:DIR/oci.tar", "oci-archive:DIR/oci.tar.gz", "oci-archive:DIR/oci.tar.zst:demo", "dir:DIR/dir",
    } do
      assert.equal(image.manifest.digest, build(text).digest)
    end
    local digest = build("docker-archive:DIR/docker.tar").digest
    assert.equal(digest, build("docker-archive:DIR/docker.tar.gz").digest)
    assert.equal(digest, build("docker-archive:DIR/docker.tar.zst:demo:1").digest)
    assert.equal("docker-archive:" .. scratch:path "docker.tar" .. ":docker.io/library/demo:1",
      build("docker-archive:DIR/docker.tar:demo:1").reference)
  end)

  it("from layers that are compressed in an archive", function()
    build(saved(oci.compressors.gzip(layers[1], scratch), oci.compressors.zstd(layers[2], scratch)))
  end)

  it("by another platform's name only when it is for that", function()
    local text = saved(layers[1], layers[2])
    raises("platform", text .. ": no image for linux/arm64; there are: linux/amd64", function()
      source_of.resolve(text, { platform = "linux/arm64" })
    end)
  end)

  it("never from layers that are not what the config says", function()
    local other = layers[2]:gsub("0123456789", "9876543210", 1)
    for _, text in ipairs { other, oci.compressors.gzip(other, scratch) } do
      local ok, err = pcall(build, saved(layers[1], text))
      assert.is_false(ok)
      assert.equal("digest", err.code, tostring(err))
    end
  end)
end)

---- what is hostile ----------------------------------------------------------------------

describe("a hostile archive", function()
  local function saved(entries)
    local path = write(entries)
    return "docker-archive:" .. path, path
  end

  it("whose manifest.json is no list of images is refused", function()
    local function says(text, message, code)
      local ref, path = saved { tar.file("manifest.json", text) }
      refuses(ref, code or "layer", path .. ": manifest.json " .. message)
    end
    says("", "is not JSON: Expected value but found T_END at character 1")
    says("{}x", "is not JSON: Expected the end but found invalid token at character 3")
    says('"x"', "is not a JSON object")
    says('{"a":1}', "is no list of images")
    says("[1]", "is malformed: image @0 has no Config")
    says("[null]", "is malformed: image @0 has no Config")
    says('[{"Config":1}]', "is malformed: image @0 has no Config")
    says('[{"Config":"c","Layers":"x"}]', "is malformed: the Layers of image @0 are no list of names")
    says('[{"Config":"c","Layers":[null]}]', "is malformed: the Layers of image @0 are no list of names")
    says('[{"Config":"c","Layers":[],"RepoTags":[1]}]', "is malformed: the RepoTags of image @0 are no list of names")
    says('[{"Config":"c","Layers":[' .. ('"x",'):rep(512) .. '"x"]}]',
      "is malformed: image @0 has 513 layers; at most 512 are accepted")
    says("[" .. ('{"Config":"c"},'):rep(4096) .. '{"Config":"c"}]', "lists 4097 images; at most 4096 are accepted")
    says((" "):rep(4 * 1024 * 1024 + 1), "has 4194305 bytes; at most 4194304 are accepted")
    local ref, path = saved { tar.dir "manifest.json" }
    refuses(ref, "not_found", path .. " is no archive of docker's; there is neither oci-layout nor manifest.json in it")
  end)

  it("whose config is missing, too large or about other layers is refused", function()
    local function says(name, entries, code, message)
      local ref, path = saved { images { { Config = name, Layers = json.array { "l" } } }, tar.file("l", "x"), table.unpack(entries) }
      refuses(ref, code, path .. ": " .. message)
    end
    says("c", {}, "not_found", "the config of image @0 is missing: 'c' is not in it")
    says("../c", { tar.file("../c", CONFIG) }, "not_found", "the config of image @0 is missing: '../c' is not in it")
    says("c", { tar.dir "c/" }, "not_found", "the config of image @0 is missing: 'c' is a directory")
    says("c", { tar.file("c", (" "):rep(8 * 1024 * 1024 + 1)) }, "layer",
      "c has 8388609 bytes; at most 8388608 are accepted")
    says("c", { tar.file("c", "{}") }, "layer", "the config of image @0 has no rootfs.diff_ids")
    says("c", { tar.file("c", CONFIG) }, "layer", "the config of image @0 has 0 diff_ids; manifest.json has 1 layers")
  end)

  it("whose layers are no files in it is refused", function()
    local function says(name, message, ...)
      local ref, path = saved {
        images { { Config = "c", Layers = json.array { name } } }, tar.file("c", config_of "x"), ...,
      }
      refuses(ref, "not_found", ("%s: layer 1 of 1 is missing: '%s' %s"):format(path, name, message))
    end
    says("l", "is not in it")
    says("", "is not in it", tar.dir "./")
    says("../l", "is not in it", tar.file("../l", "x"), tar.file("l", "x"))
    says("/etc/passwd", "is not in it")
    says("d", "is a directory", tar.dir "d/")
    says("p", "is no plain file", tar.fifo "p")
    says("a", "is a link in a circle", tar.symlink("a", "b"), tar.symlink("b", "a"))
    says("a", "is a link in a circle", tar.symlink("a", "a"))
    says("a", "is a link to what is not in it", tar.symlink("a", "/etc/passwd"))
    says("d/a", "is a link to what is not in it", tar.symlink("d/a", "../../etc/passwd"))
    says("a", "is a link to what is not in it", tar.symlink("a", "x"))
    says("a", "is a link to what is not in it", tar.hardlink("a", "a"))
    says("a", "is a link to what is not in it", tar.hardlink("a", "b"), tar.hardlink("b", "a"))
    says("s", "is no plain file", { type = "file", name = "s", sparse = { size = 4096, { 1024, "x" }, format = "1.0" } })
  end)

  it("is read as tar would unpack it", function()
    local path = write {
      tar.file("./a", "first"), tar.hardlink("b", "a"), tar.file("a", "second"), tar.hardlink("c", "b"),
      tar.symlink("e/f", "../a"), tar.symlink("g", "e/f"), tar.file("/h//i", "third"), tar.dir "d/",
      tar.hardlink("j", "g"),
    }
    local file <close> = core.archive(path)
    assert.same({ "a", "b", "c", "e/f", "g", "h/i", "j" }, file:names())
    for name, content in pairs {
      a = "second", ["./a"] = "second", b = "first", c = "first", ["e/f"] = "second", g = "second",
      ["h/i"] = "third", ["/h/i"] = "third", j = "second",
    } do
      assert.equal(content, file:read(name, 100))
    end
  end)

  it("that is truncated or no tar is refused", function()
    local function says(data, message)
      local path = scratch:fresh ".tar"
      sh.write_file(path, data)
      raises("layer", path .. message, core.archive, path)
    end
    local whole = tar.archive { tar.file("manifest.json", ("x"):rep(5000)), tar.file("b", "y") }
    says("", " is empty")
    says("x", " is no tar archive")
    says(("x"):rep(10000), " is no tar archive")
    says(whole:sub(1, 300), " is no tar archive")
    says(whole:sub(1, 3000), ": bad tar: Truncated input file (needed 5120 bytes, only 2488 available)")
    says(whole:sub(1, 512 + 5120 + 100), ": bad tar: Truncated tar archive")
    says(tar.archive { tar.file("a", "x", { size = 1 << 62 }) },
      ": bad tar: Truncated input file (needed 4611686018427387904 bytes, only 1536 available)")
    says(tar.archive { tar.file("a", "x", { pax = { { "size", "9223372036854775807" } } }) },
      ": bad tar: Tar size attribute overflow")
  end)

  it("with too many entries is refused", function()
    local path = scratch:fresh ".tar"
    local file = assert(io.open(path, "wb"))
    local entry = tar.entry(tar.file("a", ""))
    for _ = 1, 100001 do file:write(entry) end
    file:write(("\0"):rep(1024))
    file:close()
    raises("layer", path .. " has more than 100000 entries: no image archive has", core.archive, path)
  end)
end)

describe("the handle of an archive", function()
  local path

  setup(function()
    path = write { tar.file("a", "text"), tar.file("z", oci.compressors.gzip("text", scratch)), tar.file("e", "") }
  end)

  it("gives names, places and contents", function()
    local file = core.archive(path)
    assert.equal(path, file.path)
    assert.equal(path, file.name)
    assert.equal("archive: " .. path, tostring(file))
    assert.same({ "a", "e", "z" }, file:names())
    assert.same({ offset = 512, size = 4 }, file:find "a")
    assert.same({ nil, "is not in it" }, { file:find "b" })
    assert.equal("text", file:read("a", 4))
    assert.equal("", file:read("e", 0))
    assert.same({ false, false, true }, { file:is_compressed "a", file:is_compressed "e", file:is_compressed "z" })
    raises("layer", path .. ": a has 4 bytes; at most 3 are accepted", file.read, file, "a", 3)
    raises("not_found", path .. ": b is not in it", file.read, file, "b", 3)
    raises("not_found", path .. ": b is not in it", file.is_compressed, file, "b")
  end)

  it("is closed once, as often as one likes", function()
    local file = core.archive(path)
    file:close()
    file:close()
    assert.equal("archive: closed", tostring(file))
    for _, method in ipairs { "find", "read", "names", "is_compressed" } do
      assert.has_error(function() file[method](file, "a", 1) end,
        "bad argument #1 to '?' (the archive is closed)")
    end
  end)

  it("sees that the file became shorter", function()
    local copy = scratch:fresh ".tar"
    sh.write_file(copy, sh.read_file(path))
    local file <close> = core.archive(copy)
    shell("truncate -s 513 %s", copy)
    raises("layer", copy .. ": a is cut short: the file has changed", file.read, file, "a", 100)
  end)
end)
