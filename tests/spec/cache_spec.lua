package.path = "tests/?.lua;" .. package.path
local cjson = require "cjson"
local json = require "support.json"
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local banger = require "banger"
local cache = require "banger.cache"

local MANIFEST = "application/vnd.oci.image.manifest.v1+json"
local CONFIG = "application/vnd.oci.image.config.v1+json"
local LAYER = "application/vnd.oci.image.layer.v1.tar"
local AMD64 = { os = "linux", architecture = "amd64" }
local ARM64 = { os = "linux", architecture = "arm64" }

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
  assert.same({ code, message }, { err.code, err.message })
end

--- A new cache; nobody else in this process has it open.
local function new()
  return cache.open(scratch:fresh())
end

local function path_of(store)
  return store.store:dir()
end

local function blob_path(store, digest)
  return path_of(store) .. "/blobs/sha256/" .. digest:sub(8)
end

local function here(store, digest)
  return sh.exists(blob_path(store, digest))
end

--- The blobs of an image, put there by other programs, and what `record` takes.
local function image(store, name, layers, fields)
  local dir = path_of(store)
  local config = oci.blob(dir, json.encode { os = "linux", architecture = "amd64", name = name }, CONFIG)
  local list = {}
  for i, bytes in ipairs(layers) do
    list[i] = oci.blob(dir, bytes, LAYER)
  end
  local made = oci.blob(dir, json.encode { schemaVersion = 2, mediaType = MANIFEST, config = config, layers = json.array(list) })
  local result = {
    name = name,
    resolved = made.digest,
    entry = { media_type = MANIFEST, digest = made.digest, size = made.size, platform = AMD64 },
    config = config,
    layers = list,
  }
  for key, value in pairs(fields or {}) do
    result[key] = value
  end
  return result
end

--- An entry of the index alone.
local function entry(char, platform)
  return { media_type = MANIFEST, digest = "sha256:" .. char:rep(64), size = 1, platform = platform }
end

local function index_of(store)
  return cjson.decode(sh.read_file(path_of(store) .. "/index.json"))
end

--- "name char" of what is in the index, in its order.
local function names(store)
  local list = {}
  for i, found in ipairs(store:list()) do
    list[i] = ("%s %s"):format(found.name, found.entry.digest:sub(8, 8))
  end
  return table.concat(list, ", ")
end

describe("the place of the cache", function()
  local function dir(given, env)
    return cache.dir(given, function(name)
      return env[name]
    end)
  end

  it("is what is given, then the environment's, then the home's", function()
    local env = { BANGER_CACHE = "/named", XDG_CACHE_HOME = "/xdg", HOME = "/home" }
    assert.equal("given", dir("given", env))
    assert.equal("/named", dir(nil, env))
    env.BANGER_CACHE = nil
    assert.equal("/xdg/banger/oci", dir(nil, env))
    env.XDG_CACHE_HOME = nil
    assert.equal("/home/.cache/banger/oci", dir(nil, env))
  end)

  it("is not named by what is empty", function()
    assert.equal("/home/.cache/banger/oci", dir("", { BANGER_CACHE = "", XDG_CACHE_HOME = "", HOME = "/home" }))
  end)

  it("is not named by an XDG_CACHE_HOME that is relative", function()
    assert.equal("/home/.cache/banger/oci", dir(nil, { XDG_CACHE_HOME = "xdg", HOME = "/home" }))
    assert.equal("/home/.cache/banger/oci", dir(nil, { XDG_CACHE_HOME = "./xdg", HOME = "/home" }))
  end)

  it("is nowhere without a home", function()
    local message = "there is no HOME to keep the cache in: --cache-dir names a place, --no-cache goes without"
    assert.same({ n = 2, nil, message }, table.pack(dir(nil, {})))
    assert.same({ n = 2, nil, message }, table.pack(dir(nil, { HOME = "", XDG_CACHE_HOME = "xdg" })))
  end)
end)

describe("a cache", function()
  it("is made where it is missing, and empty then", function()
    local store = cache.open(scratch:path "deep/in/here")
    assert.same({}, store:list())
    assert.same({}, store:all_blobs())
    assert.equal(scratch:path "deep/in/here", path_of(store))
    assert.same({ imageLayoutVersion = "1.0.0" }, cjson.decode(sh.read_file(scratch:path "deep/in/here/oci-layout")))
  end)

  it("of a version that is not known is left alone", function()
    for name, text in pairs { two = '{"imageLayoutVersion":"2.0.0"}', none = "{}", text = "1.0.0", list = "[]" } do
      local dir = scratch:mkdir(name)
      sh.write_file(dir .. "/oci-layout", text)
      raises("io", ("the cache %s is a layout of version %s, which this program does not know"):format(dir,
        name == "two" and "2.0.0" or "nil"), cache.open, dir)
      assert.equal("oci-layout\n", sh.check("ls -A " .. dir))
    end
    local dir = scratch:mkdir "one"
    sh.write_file(dir .. "/oci-layout", '{"imageLayoutVersion":"1.7.0"}')
    assert.equal(dir, path_of(cache.open(dir)))
  end)
end)

describe("what was pulled", function()
  it("is recorded as OCI tools read it", function()
    local store = new()
    store:record({ name = "example.com/a:1", resolved = "sha256:" .. ("f"):rep(64),
      entry = { media_type = MANIFEST, digest = "sha256:" .. ("a"):rep(64), size = 7,
        platform = { os = "linux", architecture = "arm", variant = "v7" } } }, 1700000000)
    assert.same({
      schemaVersion = 2, mediaType = "application/vnd.oci.image.index.v1+json",
      manifests = { {
        mediaType = MANIFEST, digest = "sha256:" .. ("a"):rep(64), size = 7,
        platform = { os = "linux", architecture = "arm", variant = "v7" },
        annotations = {
          ["org.opencontainers.image.ref.name"] = "example.com/a:1",
          ["banger-lua.resolved"] = "sha256:" .. ("f"):rep(64),
          ["banger-lua.used"] = "1700000000",
        },
      } },
    }, index_of(store))
    local found = store:list()[1]
    assert.equal("example.com/a:1", found.name)
    assert.equal("sha256:" .. ("f"):rep(64), found.resolved)
    assert.equal(1700000000, found.used)
    assert.equal("integer", math.type(found.used))
    assert.equal("sha256:" .. ("a"):rep(64), found.entry.digest)
    assert.equal("v7", found.entry.platform.variant)
  end)

  it("replaces what has its name and its platform, and nothing else", function()
    local store = new()
    store:record({ name = "x/b:1", entry = entry("b", AMD64) }, 1)
    store:record({ name = "x/a:1", entry = entry("a", AMD64) }, 2)
    store:record({ name = "x/a:1", entry = entry("c", ARM64) }, 3)
    store:record({ name = "x/a:1", entry = entry "d" }, 4)
    assert.equal("x/a:1 d, x/a:1 a, x/a:1 c, x/b:1 b", names(store))
    store:record({ name = "x/a:1", entry = entry("e", { os = "linux", architecture = "amd64" }) }, 5)
    assert.equal("x/a:1 d, x/a:1 e, x/a:1 c, x/b:1 b", names(store))
    store:record({ name = "x/a:1", entry = entry "f" }, 6)
    assert.equal("x/a:1 f, x/a:1 e, x/a:1 c, x/b:1 b", names(store))
    store:record({ name = "x/b:1", entry = entry("b", AMD64) }, 7)
    assert.equal("x/a:1 f, x/a:1 e, x/a:1 c, x/b:1 b", names(store))
    assert.equal(7, store:list()[4].used)
  end)

  it("keeps what other programs have put there", function()
    local store = new()
    local theirs = oci.tagged({ mediaType = MANIFEST, digest = "sha256:" .. ("a"):rep(64), size = 1 }, "theirs")
    theirs.annotations["example.com/note"] = "kept"
    oci.index(path_of(store), { theirs })
    store:record({ name = "x/b:1", entry = entry("b", AMD64) }, 1)
    assert.equal("theirs a, x/b:1 b", names(store))
    assert.is_nil(store:list()[1].used)
    assert.is_nil(store:list()[1].resolved)
    assert.same({ ["org.opencontainers.image.ref.name"] = "theirs", ["example.com/note"] = "kept" },
      index_of(store).manifests[1].annotations)
  end)

  it("is resolved to what was used last", function()
    local store = new()
    local function record(name, char, platform, at)
      store:record({ name = name, resolved = "sha256:" .. char:rep(64), entry = entry("0", platform) }, at)
    end
    assert.is_nil(store:resolved "x/a:1")
    record("x/a:1", "a", AMD64, 20)
    record("x/a:1", "b", ARM64, 10)
    record("x/b:1", "c", AMD64, 30)
    assert.equal("sha256:" .. ("a"):rep(64), store:resolved "x/a:1")
    record("x/a:1", "d", ARM64, 21)
    assert.equal("sha256:" .. ("d"):rep(64), store:resolved "x/a:1")
    assert.equal("sha256:" .. ("c"):rep(64), store:resolved "x/b:1")
    assert.is_nil(store:resolved "x/a")
    store:record({ name = "x/c:1", entry = entry("e", AMD64) }, 40)
    assert.is_nil(store:resolved "x/c:1")
  end)

  it("is not known where the index is damaged, and a pull begins a new one", function()
    for text, message in pairs {
      [""] = "is not JSON: Expected value but found T_END at character 1",
      ["[]"] = "has the schemaVersion nil; 2 expected",
      ["42"] = "is not a JSON object",
      ['{"schemaVersion":2,"config":{"digest":"sha256:' .. ("a"):rep(64) .. '","size":1},"layers":[]}'] = "is no index",
    } do
      local store = new()
      local path = path_of(store) .. "/index.json"
      local blob = oci.blob(path_of(store), "a blob")
      sh.write_file(path, text)
      message = ("%s %s; the next pull writes it anew"):format(path, message)
      raises("io", message, store.list, store)
      raises("io", message, store.prune, store, { all = true })
      assert.is_nil(store:resolved "x/a:1")
      assert.equal(text, sh.read_file(path))
      assert.is_true(here(store, blob.digest))
      store:record({ name = "x/a:1", entry = entry "a" }, 1)
      assert.equal("x/a:1 a", names(store))
    end
    local store = new()
    os.remove(path_of(store) .. "/index.json")
    raises("io", path_of(store) .. "/index.json is missing; the next pull writes it anew", store.list, store)
    store:record({ name = "x/a:1", entry = entry "a" }, 1)
    assert.equal("x/a:1 a", names(store))
  end)
end)

describe("documents", function()
  it("are read back, verified", function()
    local store = new()
    store:put "hello"
    local digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert.equal("hello", store:read(digest, 5))
    assert.equal("hello", sh.read_file(blob_path(store, digest)))
    assert.is_nil(store:read(digest, 4))
    assert.is_nil(store:read("sha256:" .. ("0"):rep(64), 5))
  end)

  it("that are damaged are removed", function()
    local store = new()
    local blob = oci.blob(path_of(store), "hello")
    sh.write_file(blob_path(store, blob.digest), "hallo")
    assert.is_nil(store:read(blob.digest, 5))
    assert.is_false(here(store, blob.digest))
  end)
end)

describe("the blobs of an image", function()
  it("are its manifest, config, layers and what its name stood for", function()
    local store = new()
    local made = image(store, "x/a:1", { "one", "three" })
    local index = oci.blob(path_of(store), "an index")
    made.resolved = index.digest
    assert.same({
      [index.digest] = 8,
      [made.entry.digest] = made.entry.size,
      [made.config.digest] = made.config.size,
      [made.layers[1].digest] = 3,
      [made.layers[2].digest] = 5,
    }, store:blobs(made))
  end)

  it("are those of every image in an index that other programs have put there", function()
    local store = new()
    local a, b = image(store, "x/a:1", { "one" }), image(store, "x/b:1", { "three" })
    local index = oci.blob(path_of(store), json.encode {
      schemaVersion = 2, mediaType = "application/vnd.oci.image.index.v1+json",
      manifests = json.array {
        { mediaType = MANIFEST, digest = a.entry.digest, size = a.entry.size },
        { mediaType = MANIFEST, digest = b.entry.digest, size = b.entry.size },
      },
    })
    local sizes = store:blobs { entry = { digest = index.digest } }
    assert.equal(index.size, sizes[index.digest])
    assert.equal(3, sizes[a.layers[1].digest])
    assert.equal(5, sizes[b.layers[1].digest])
    assert.equal(b.config.size, sizes[b.config.digest])
  end)

  it("are those that are here", function()
    local store = new()
    local made = image(store, "x/a:1", { "one", "three" })
    os.remove(blob_path(store, made.layers[1].digest))
    os.remove(blob_path(store, made.config.digest))
    assert.same({ [made.entry.digest] = made.entry.size, [made.layers[2].digest] = 5 }, store:blobs(made))
    os.remove(blob_path(store, made.entry.digest))
    assert.same({}, store:blobs(made))
  end)

  it("are none where the manifest is none", function()
    local store = new()
    local blob = oci.blob(path_of(store), "no manifest")
    assert.same({ [blob.digest] = 11 }, store:blobs { entry = { digest = blob.digest } })
  end)

  it("are among all blobs, which are sorted and nothing else", function()
    local store = new()
    oci.blob(path_of(store), "hello")
    oci.blob(path_of(store), "abc")
    sh.write_file(path_of(store) .. "/blobs/sha256/README", "x")
    sh.write_file(path_of(store) .. "/blobs/sha256/" .. ("A"):rep(64), "x")
    sh.check("mkdir " .. path_of(store) .. "/blobs/sha256/" .. ("b"):rep(64))
    assert.same({
      { digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", size = 5 },
      { digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", size = 3 },
    }, store:all_blobs())
  end)
end)

describe("pruning", function()
  --- Images of ten, a hundred and a thousand KB, used in this order.
  local function three()
    local store = new()
    local old = image(store, "x/old:1", { ("o"):rep(10000) })
    local middle = image(store, "x/middle:1", { ("m"):rep(100000) })
    local latest = image(store, "x/latest:1", { ("l"):rep(1000000) })
    store:record(old, 100)
    store:record(middle, 200)
    store:record(latest, 300)
    return store, old, middle, latest
  end

  local function left(store)
    local list = {}
    for i, found in ipairs(store:list()) do
      list[i] = found.name
    end
    return table.concat(list, " ")
  end

  it("removes what no image needs", function()
    local store, old = three()
    local stray = oci.blob(path_of(store), "stray")
    local removed = store:prune {}
    assert.same({ images = {}, blobs = 1, bytes = 5 }, removed)
    assert.is_false(here(store, stray.digest))
    assert.equal("x/latest:1 x/middle:1 x/old:1", left(store))
    assert.equal(9, #store:all_blobs())
    assert.is_true(here(store, old.layers[1].digest))
    assert.same({ images = {}, blobs = 0, bytes = 0 }, store:prune {})
  end)

  it("removes images not used since", function()
    local store, old, middle, latest = three()
    local removed = store:prune { before = 200 }
    assert.equal(1, #removed.images)
    assert.equal("x/old:1", removed.images[1].name)
    assert.equal(3, removed.blobs)
    assert.equal(10000 + old.config.size + old.entry.size, removed.bytes)
    assert.equal("x/latest:1 x/middle:1", left(store))
    assert.is_false(here(store, old.layers[1].digest))
    assert.is_false(here(store, old.config.digest))
    assert.is_false(here(store, old.entry.digest))
    assert.is_true(here(store, middle.layers[1].digest))
    store:prune { before = 301 }
    assert.equal("", left(store))
    assert.is_false(here(store, latest.layers[1].digest))
    assert.same({}, store:all_blobs())
  end)

  it("takes an image of which nobody knows when it was used for old", function()
    local store = new()
    oci.index(path_of(store), { oci.tagged({ mediaType = MANIFEST, digest = "sha256:" .. ("a"):rep(64), size = 1 }, "theirs") })
    store:prune {}
    assert.equal("theirs", left(store))
    store:prune { before = 1 }
    assert.equal("", left(store))
  end)

  it("removes those least recently used until what is left is small enough", function()
    local store = three()
    store:prune { keep_bytes = 1200000 }
    assert.equal("x/latest:1 x/middle:1 x/old:1", left(store))
    store:prune { keep_bytes = 1105000 }
    assert.equal("x/latest:1 x/middle:1", left(store))
    store:prune { keep_bytes = 1100000 } -- without room for the manifests
    assert.equal("x/latest:1", left(store))
    store:prune { keep_bytes = 0 }
    assert.equal("", left(store))
    assert.same({}, store:all_blobs())
  end)

  it("counts once what images share", function()
    local store = new()
    local layer = ("s"):rep(100000)
    local a, b = image(store, "x/a:1", { layer, "a" }), image(store, "x/b:1", { layer, "b" })
    store:record(a, 1)
    store:record(b, 2)
    store:prune { keep_bytes = 110000 }
    assert.equal("x/a:1 x/b:1", left(store))
    store:prune { before = 2 }
    assert.equal("x/b:1", left(store))
    assert.is_true(here(store, a.layers[1].digest))
    assert.is_false(here(store, a.layers[2].digest))
    assert.is_true(here(store, b.layers[2].digest))
  end)

  it("removes all", function()
    local store = three()
    assert.equal(3, #store:prune({ all = true }).images)
    assert.equal("", left(store))
    assert.same({}, store:all_blobs())
    assert.same({}, index_of(store).manifests)
  end)

  it("removes what is left of downloads and of writing, and nothing else", function()
    local store = three()
    local partial = path_of(store) .. "/partial/"
    for _, name in ipairs { ("a"):rep(64), ".123-0xabc", "note", ".hidden" } do
      sh.write_file(partial .. name, "x")
    end
    store:prune {}
    assert.equal(".hidden\nnote\n", sh.check("ls -A " .. partial))
  end)

  it("keeps nothing of an image whose manifest is damaged but its name", function()
    local store, old = three()
    local path = blob_path(store, old.entry.digest)
    sh.write_file(path, (sh.read_file(path):gsub("sha256", "sha257")))
    store:prune {}
    assert.equal("x/latest:1 x/middle:1 x/old:1", left(store))
    assert.is_false(here(store, old.entry.digest))
    assert.is_false(here(store, old.layers[1].digest))
    assert.equal(6, #store:all_blobs())
  end)

  it("waits for no other process that has the cache open", function()
    local store = three()
    oci.blob(path_of(store), "stray")
    local held = scratch:fresh()
    local script = scratch:fresh ".lua"
    sh.write_file(script, [[
      local store = require("banger.cache").open(arg[1])
      io.open(arg[2], "w"):close()
      io.read "a"
      assert(store)
    ]])
    local other = assert(io.popen(("exec timeout 60 %s"):format(sh.line(sh.banger(), script, path_of(store), held)), "w"))
    sh.check(("for i in $(seq 1000); do [ -e %s ] && exit 0; sleep 0.01; done; exit 1"):format(held))
    raises("io", ("the cache %s is in use by another process; try again when it is done"):format(path_of(store)),
      store.prune, store, { all = true })
    assert.equal("x/latest:1 x/middle:1 x/old:1", left(store))
    assert.equal(10, #store:all_blobs())
    assert.is_true(other:close())
    store:prune { all = true }
    assert.same({}, store:all_blobs())
  end)

  it("of a cache that cannot be written is refused", function()
    local reason = need.mount()
    if reason then return pending(reason) end
    local store = three()
    local dir = path_of(store)
    local script = scratch:fresh ".lua"
    sh.write_file(script, [[
      local store = require("banger.cache").open(arg[1])
      store:put "not kept"
      store:record({ name = "x/new:1", entry = {} }, 1)
      print(#store:list(), store.store:writable(), select(2, pcall(store.prune, store, { all = true })))
    ]])
    assert.equal(("3\tfalse\tthe cache %s cannot be written\n"):format(dir),
      sh.check(("unshare -m sh -c 'mount --bind %s %s && mount -o remount,ro,bind %s && exec timeout 60 %s %s %s'"):format(
        dir, dir, dir, sh.banger(), script, dir)))
  end)
end)
