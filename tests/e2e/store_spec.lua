-- The cache of blobs: what is in it, who else can read it, what a pull that finds
-- it warm asks the network, and that it comes to no harm: two pulls at once, pulls
-- that are killed, disks that are full.
package.path = "tests/?.lua;" .. package.path
local cjson = require "cjson"
local need = require "support.need"
local registry = require "support.registry"
local sh = require "support.sh"

local USAGE, NOT_FOUND, CORRUPT, NO_SPACE = 1, 2, 6, 7

local missing = registry.missing()
if missing then
  it("needs a registry", function() return pending(missing) end)
  return
end

local scratch = sh.scratch()
local hub = registry.start { scratch = scratch }
local proxy = registry.faults { scratch = scratch, upstream = hub }
local client = registry.client(scratch)
local assert_pulled, assert_refused = registry.assert_pulled, registry.assert_refused
teardown(function()
  proxy:stop()
  hub:stop()
  scratch:remove()
end)

local SIZE = 1500000
local small = registry.publish(hub, scratch, "library/small:1", { { "a", "content of a\n" }, { "b", "content of b\n" } })
local big = registry.publish(hub, scratch, "library/big:1", {
  { "first", "the first layer\n" }, { "noise", registry.noise(SIZE) }, { "more", registry.noise(SIZE // 3) },
})
local SMALL, BIG = proxy.host .. "/library/small:1", proxy.host .. "/library/big:1"
local SMALL_DIGEST = proxy.host .. "/library/small@" .. small.digest
local NOISE = big.layers[2]

--- A cache with an image in it.
local function warm(ref, made)
  proxy:rules {}
  local result = client:pull(ref or SMALL)
  assert_pulled(result, (made or small).files)
  proxy:clear()
  return result.cache
end

local function blob_path(cache, digest)
  return cache .. "/blobs/sha256/" .. digest:sub(8)
end

--- Every blob is what its name says; returns their number.
local function assert_sound(cache)
  local count = 0
  for hex in sh.check("ls " .. cache .. "/blobs/sha256"):gmatch "%x+" do
    assert.are.equal(hex, (sh.sha256(cache .. "/blobs/sha256/" .. hex)))
    count = count + 1
  end
  -- The locks beside them are there to stay.
  assert.are.equal("", sh.check(("ls -A %s/partial 2>/dev/null | grep -vx -e lock -e users || :"):format(cache)), "partial downloads")
  return count
end

local function flip(path, at)
  local data = sh.read_file(path)
  sh.check("chmod u+w " .. path)
  sh.write_file(path, data:sub(1, at - 1) .. string.char(data:byte(at) ~ 1) .. data:sub(at + 1))
end

describe("what is cached", function()
  it("is an OCI layout", function()
    local cache = warm()
    assert.are.equal("1.0.0", cjson.decode(sh.read_file(cache .. "/oci-layout")).imageLayoutVersion)
    local index = cjson.decode(sh.read_file(cache .. "/index.json"))
    assert.are.equal(2, index.schemaVersion)
    assert.are.equal(1, #index.manifests)
    local entry = index.manifests[1]
    assert.are.equal(small.digest, entry.digest)
    assert.are.equal(small.manifest.size, entry.size)
    assert.are.equal("application/vnd.oci.image.manifest.v1+json", entry.mediaType)
    assert.are.equal(SMALL, entry.annotations["org.opencontainers.image.ref.name"])
    assert.are.equal(4, assert_sound(cache)) -- manifest, config, two layers
  end)

  it("is read by skopeo", function()
    local cache = warm()
    sh.check(("skopeo inspect --raw oci:%s:%s >%s"):format(cache, SMALL, scratch:path "raw"))
    assert.are.equal(small.digest, "sha256:" .. sh.sha256(scratch:path "raw"))
    local copy = scratch:fresh()
    sh.check(("skopeo copy -q oci:%s:%s dir:%s"):format(cache, SMALL, copy))
    for _, layer in ipairs(small.layers) do
      assert.are.equal(layer.digest:sub(8), (sh.sha256(copy .. "/" .. layer.digest:sub(8))))
    end
  end)

  it("is read by umoci", function()
    local reason = need.program "umoci"
    if reason then return pending(reason) end
    local cache = warm()
    assert.are.equal(SMALL .. "\n", sh.check("umoci ls --layout " .. cache))
    -- umoci takes no tag with a colon: so the layout is looked at by another name.
    local copy = scratch:fresh()
    sh.check(("cp -r %s %s && sed -i 's|%s|t|' %s/index.json"):format(cache, copy, SMALL, copy))
    sh.check(("umoci raw unpack --rootless --image %s:t %s/unpacked"):format(copy, copy))
    assert.are.equal("content of b\n", sh.read_file(copy .. "/unpacked/b"))
  end)

  it("names each reference once, and the newest digest of a tag", function()
    local cache = warm()
    registry.assert_pulled(client:pull(BIG, { cache = cache }), big.files)
    registry.assert_pulled(client:pull(SMALL, { cache = cache }), small.files)
    local names = {}
    for _, entry in ipairs(cjson.decode(sh.read_file(cache .. "/index.json")).manifests) do
      local name = entry.annotations["org.opencontainers.image.ref.name"]
      assert.is_nil(names[name], "twice: " .. name)
      names[name] = entry.digest
    end
    assert.are.same({ [SMALL] = small.digest, [BIG] = big.digest }, names)
  end)

  for _, case in ipairs {
    { "--cache-dir before all", "--cache-dir @/given", "BANGER_CACHE=@/env XDG_CACHE_HOME=@/xdg", "given" },
    { "$BANGER_CACHE", "", "BANGER_CACHE=@/env XDG_CACHE_HOME=@/xdg", "env" },
    { "$XDG_CACHE_HOME", "", "XDG_CACHE_HOME=@/xdg", "xdg/banger/oci" },
    { "~/.cache", "", "", ".cache/banger/oci" },
  } do
    it("is in the place of " .. case[1], function()
      local own = registry.client(scratch)
      local function fill(text) return (text:gsub("@", own.home)) end
      assert_pulled(own:pull(SMALL, { cache = false, args = fill(case[2]), env = fill(case[3]) }), small.files)
      assert.are.equal(4, assert_sound(own.home .. "/" .. case[4]))
      local others = sh.check(("find %s -name oci-layout"):format(own.home))
      assert.are.equal(own.home .. "/" .. case[4] .. "/oci-layout\n", others)
    end)
  end

  it("is nothing with --no-cache", function()
    proxy:rules {}
    local result = client:pull(SMALL, { args = "--no-cache" })
    assert_pulled(result, small.files, small.digest)
    assert.are.equal("", sh.check(("find %s -type f 2>/dev/null || :"):format(result.cache)))
    -- And what is there is not used.
    local cache = warm()
    assert_pulled(client:pull(SMALL, { args = "--no-cache", cache = cache }), small.files)
    assert.are.equal(3, #proxy:log { kind = "blob" }, proxy:story())
  end)

  it("is shared by images that have layers in common", function()
    local cache = warm(BIG, big)
    hub:push(big.layout, "t", "library/twin:1")
    assert_pulled(client:pull(proxy.host .. "/library/twin:1", { cache = cache }), big.files, big.digest)
    assert.are.equal(0, #proxy:log { kind = "blob" }, proxy:story())
  end)
end)

describe("a warm pull", function()
  it("by digest asks nobody", function()
    local cache = warm(SMALL_DIGEST)
    assert_pulled(client:pull(SMALL_DIGEST, { cache = cache }), small.files, small.digest)
    assert.are.equal(0, #proxy:log(), proxy:story())
  end)

  it("by digest asks nobody when a tag brought it", function()
    local cache = warm()
    assert_pulled(client:pull(SMALL_DIGEST, { cache = cache }), small.files, small.digest)
    assert_pulled(client:pull(SMALL .. "@" .. small.digest, { cache = cache }), small.files, small.digest)
    assert.are.equal(0, #proxy:log(), proxy:story())
  end)

  it("by tag is one HEAD", function()
    local cache = warm()
    assert_pulled(client:pull(SMALL, { cache = cache }), small.files, small.digest)
    local seen = proxy:log()
    assert.are.equal(1, #seen, proxy:story())
    assert.are.equal("HEAD", seen[1].method)
    assert.are.equal("/v2/library/small/manifests/1", seen[1].path)
  end)

  it("by a tag that has moved fetches what is new", function()
    hub:push(small.layout, "t", "library/moving:1")
    local ref = proxy.host .. "/library/moving:1"
    local cache = warm(ref)
    hub:push(big.layout, "t", "library/moving:1")
    assert_pulled(client:pull(ref, { cache = cache }), big.files, big.digest)
    -- The older image is still known by its digest, and asks nobody.
    proxy:clear()
    assert_pulled(client:pull(proxy.host .. "/library/moving@" .. small.digest, { cache = cache }), small.files, small.digest)
    assert.are.equal(0, #proxy:log(), proxy:story())
  end)

  it("by a tag without its digest in the headers", function()
    local cache = warm()
    proxy:rules { { kind = "manifest", headers = { ["Docker-Content-Digest"] = false } } }
    assert_pulled(client:pull(SMALL, { cache = cache }), small.files, small.digest)
    assert.are.equal(0, #proxy:log { kind = "blob" }, proxy:story())
  end)

  it("by a tag that is gone is an error, not the older image", function()
    local cache = warm()
    proxy:rules { { kind = "manifest", status = 404 } }
    assert_refused(client:pull(SMALL, { cache = cache }), NOT_FOUND, SMALL)
  end)
end)

describe("--offline", function()
  it("asks nobody", function()
    local cache = warm()
    for _, ref in ipairs { SMALL, SMALL_DIGEST } do
      assert_pulled(client:pull(ref, { cache = cache, args = "--offline" }), small.files, small.digest)
    end
    assert.are.equal(0, #proxy:log(), proxy:story())
  end)

  it("works when nobody is there", function()
    local gone = registry.faults { scratch = scratch, upstream = hub }
    local ref = gone.host .. "/library/small:1"
    local result = client:pull(ref)
    gone:stop()
    assert_pulled(client:pull(ref, { cache = result.cache, args = "--offline" }), small.files, small.digest)
    assert_refused(client:pull(ref, { cache = result.cache }), 4, gone.host)
  end)

  it("says what is not there", function()
    proxy:rules {}
    assert_refused(client:pull(SMALL, { args = "--offline" }), NOT_FOUND, SMALL, "cache")
    local cache = warm()
    os.remove(blob_path(cache, small.layers[2].digest))
    assert_refused(client:pull(SMALL, { args = "--offline", cache = cache }), NOT_FOUND, SMALL, "layer 2")
    assert.are.equal(0, #proxy:log(), proxy:story())
  end)

  it("does not take a damaged blob", function()
    local cache = warm()
    flip(blob_path(cache, small.layers[1].digest), 30)
    assert_refused(client:pull(SMALL, { args = "--offline", cache = cache }), { NOT_FOUND, CORRUPT }, SMALL, "layer 1")
  end)
end)

describe("--pull", function()
  it("missing asks nobody for a tag that is there", function()
    local cache = warm()
    assert_pulled(client:pull(SMALL, { cache = cache, args = "--pull missing" }), small.files, small.digest)
    assert.are.equal(0, #proxy:log(), proxy:story())
  end)

  it("missing fetches what is not there", function()
    proxy:rules {}
    assert_pulled(client:pull(SMALL, { args = "--pull missing" }), small.files, small.digest)
  end)

  it("never takes what is there and nothing else", function()
    local cache = warm()
    assert_pulled(client:pull(SMALL, { cache = cache, args = "--pull never" }), small.files, small.digest)
    assert_refused(client:pull(BIG, { cache = cache, args = "--pull never" }), NOT_FOUND, BIG)
    assert.are.equal(0, #proxy:log(), proxy:story())
  end)

  it("always looks at the tag", function()
    local cache = warm()
    assert_pulled(client:pull(SMALL, { cache = cache, args = "--pull always" }), small.files, small.digest)
    assert.is_true(#proxy:log { kind = "manifest" } >= 1)
    assert.are.equal(0, #proxy:log { kind = "blob" }, proxy:story())
  end)

  it("of another kind is a usage error", function()
    assert_refused(client:pull(SMALL, { args = "--pull sometimes" }), USAGE, "--pull")
  end)
end)

describe("a damaged cache", function()
  for name, damage in pairs {
    ["a blob with another byte"] = function(path) flip(path, 40) end,
    ["a blob cut short"] = function(path) sh.check(("chmod u+w %s; truncate -s 10 %s"):format(path, path)) end,
    ["a blob of nothing"] = function(path) sh.check(("chmod u+w %s; truncate -s 0 %s"):format(path, path)) end,
    ["a blob that is longer"] = function(path) sh.check(("chmod u+w %s; truncate -s +1 %s"):format(path, path)) end,
    ["a blob that is not there"] = function(path) os.remove(path) end,
  } do
    for what, digest in pairs { layer = small.layers[2].digest, config = small.config.digest, manifest = small.digest } do
      it(("with %s: the %s is fetched again"):format(name, what), function()
        local cache = warm()
        damage(blob_path(cache, digest))
        assert_pulled(client:pull(SMALL, { cache = cache }), small.files, small.digest)
        for fetched in pairs(proxy:downloads()) do assert.are.equal(digest, fetched) end
        assert.are.equal(4, assert_sound(cache))
      end)
    end
  end

  it("with every layer damaged", function()
    local cache = warm()
    for _, layer in ipairs(small.layers) do flip(blob_path(cache, layer.digest), 40) end
    assert_pulled(client:pull(SMALL, { cache = cache }), small.files, small.digest)
    assert.are.equal(4, assert_sound(cache))
  end)

  it("with an index.json that is no JSON is written anew", function()
    local cache = warm()
    for _, text in ipairs { "", "{ nonsense", "[]", "42" } do
      sh.write_file(cache .. "/index.json", text)
      assert_pulled(client:pull(SMALL, { cache = cache }), small.files, small.digest)
      assert.is_truthy(sh.read_file(cache .. "/index.json"):find(SMALL, 1, true))
    end
  end)

  it("with a directory where a blob should be", function()
    local cache = warm()
    local path = blob_path(cache, small.layers[1].digest)
    sh.check(("rm -f %s && mkdir %s"):format(path, path))
    local result = client:pull(SMALL, { cache = cache })
    assert.is_true(result.code ~= 0)
    assert_refused(result, result.code, small.layers[1].digest:sub(8, 19))
  end)

  it("that is a file", function()
    local path = scratch:fresh()
    sh.write_file(path, "text")
    local result = client:pull(SMALL, { cache = path })
    assert.is_true(result.code ~= 0)
    assert_refused(result, result.code, path)
    assert.are.equal("text", sh.read_file(path))
  end)

  it("that is a layout of tomorrow is left alone", function()
    local cache = warm()
    sh.write_file(cache .. "/oci-layout", '{"imageLayoutVersion":"2.0.0"}')
    local result = client:pull(SMALL, { cache = cache })
    assert.is_true(result.code ~= 0)
    assert_refused(result, result.code, "2.0.0")
  end)
end)

--- A shell command that holds once so many bytes of NOISE are in the cache.
local function has_come(bytes, cache)
  return ("[ $(stat -c %%s %s/partial/%s) -ge %d ]"):format(cache, NOISE.digest:sub(8), bytes)
end

local function signal_when(signal, condition)
  return "tests/support/" .. sh.line("signal-when.sh", signal, condition)
end

--- Several pulls of one reference and one cache at once, as shell jobs.
---@return table[] results code, err, path
local function at_once(count, ref, cache, wraps)
  local jobs, results = {}, {}
  for i = 1, count do
    local dir = scratch:fresh()
    sh.check("mkdir " .. dir)
    results[i] = { path = dir .. "/x.ext4", dir = dir, cache = cache }
    jobs[i] = ("(%s %s %s pull -q --no-inject --size 16M %s %s/x.ext4 >%s.out 2>%s.err </dev/null; echo $? >%s.code) &"):format(
      client:environment(cache), wraps and wraps[i] or "timeout -k 1 40", sh.quote(sh.banger()), ref, dir, dir, dir, dir)
  end
  sh.check(table.concat(jobs, "\n") .. "\nwait")
  for _, r in ipairs(results) do
    r.code, r.out, r.err = tonumber(sh.read_file(r.dir .. ".code")), sh.read_file(r.dir .. ".out"), sh.read_file(r.dir .. ".err")
  end
  return results
end

describe("pulls at once", function()
  for _, count in ipairs { 2, 5 } do
    it(("%d of one image download each blob once"):format(count), function()
      proxy:rules({}, 2000000) -- so that they are at it at once
      local cache = scratch:fresh ".cache"
      for _, result in ipairs(at_once(count, BIG, cache)) do assert_pulled(result, big.files, big.digest) end
      local seen = proxy:downloads()
      for i, layer in ipairs(big.layers) do
        local d = seen[layer.digest]
        assert.are.equal(1, d.gets, "layer " .. i .. "\n" .. proxy:story())
        assert.are.equal(1, d.whole)
      end
      assert_sound(cache)
      assert.are.equal(1, #cjson.decode(sh.read_file(cache .. "/index.json")).manifests)
    end)
  end

  it("where the first is killed: the second goes on from there", function()
    proxy:rules({}, 500000)
    local cache = scratch:fresh ".cache"
    local begun = has_come(1, cache)
    local results = at_once(2, BIG, cache, {
      signal_when("KILL", has_come(200000, cache)),
      sh.line("sh", "-c", ('until %s; do sleep 0.02; done 2>/dev/null; exec timeout -k 1 60 "$@"'):format(begun), "sh"),
    })
    assert.are.equal(137, results[1].code, results[1].err)
    assert_pulled(results[2], big.files, big.digest)
    local noise = proxy:downloads()[NOISE.digest]
    assert.is_true(noise.gets >= 2, proxy:story())
    local ranges = 0
    for _, entry in ipairs(proxy:log { digest = NOISE.digest }) do
      if entry.range and entry.range ~= "bytes=0-" then ranges = ranges + 1 end
    end
    assert.is_true(ranges >= 1, proxy:story())
    assert_sound(cache)
  end)

  it("of several images name them all", function()
    proxy:rules {}
    local cache = scratch:fresh ".cache"
    local script = {}
    for i = 1, 6 do
      hub:push(small.layout, "t", "library/many:" .. i)
      script[i] = ("%s timeout -k 1 40 %s pull -q --no-inject --size 16M %s/library/many:%d %s >/dev/null &"):format(
        client:environment(cache), sh.quote(sh.banger()), proxy.host, i, scratch:fresh ".ext4")
    end
    sh.check(table.concat(script, "\n") .. "\nwait")
    local names = {}
    for _, entry in ipairs(cjson.decode(sh.read_file(cache .. "/index.json")).manifests) do
      names[#names + 1] = entry.annotations["org.opencontainers.image.ref.name"]
    end
    table.sort(names)
    local want = {}
    for i = 1, 6 do want[i] = proxy.host .. "/library/many:" .. i end
    assert.are.same(want, names)
  end)
end)

describe("a pull that is ended", function()
  it("by KILL at any moment harms nothing", function()
    proxy:rules({}, 6000000)
    local cache = scratch:fresh ".cache"
    for i = 1, 20 do
      local delay = i * 0.0125
      local result = client:pull(BIG, { cache = cache, wrap = ("timeout -s KILL %.4f"):format(delay) })
      local context = ("number %d, after %.4f s: exit %d %s"):format(i, delay, result.code, result.err)
      assert.is_true(result.code == 137 or result.code == 0, context)
      -- What has its name in the cache is whole, now as later.
      for hex in sh.check(("ls %s/blobs/sha256 2>/dev/null || :"):format(cache)):gmatch "%x+" do
        assert.are.equal(hex, (sh.sha256(cache .. "/blobs/sha256/" .. hex)), context)
      end
      if result.code == 0 then cache = scratch:fresh ".cache" end
    end
    proxy:rules {}
    assert_pulled(client:pull(BIG, { cache = cache }), big.files, big.digest)
    assert.are.equal(5, assert_sound(cache))
    local _, code, err = client:run("cache verify", cache)
    assert.are.equal(0, code, err)
  end)

  for _, case in ipairs { { "INT", 130 }, { "TERM", 143 } } do
    it(("by %s ends at once, and what had come is kept"):format(case[1]), function()
      proxy:rules({}, 20000) -- the whole would take minutes
      local cache = scratch:fresh ".cache"
      local result = client:pull(BIG, { cache = cache, env = "BANGER_STALL_SECONDS=60",
        wrap = "timeout 60 " .. signal_when(case[1], has_come(1, cache)) })
      assert.are.equal(case[2], result.code, result.err)
      assert.is_nil(result.err:find("traceback", 1, true), result.err)
      assert.are.equal("", sh.check("ls -A " .. result.dir))
      proxy:rules {}
      assert_pulled(client:pull(BIG, { cache = cache }), big.files, big.digest)
      local resumed = 0
      for _, entry in ipairs(proxy:log { kind = "blob" }) do
        if entry.range and entry.range ~= "bytes=0-" then resumed = resumed + 1 end
      end
      assert.is_true(resumed >= 1, proxy:story())
      assert_sound(cache)
    end)
  end

  it("by INT with --no-cache leaves nothing", function()
    proxy:rules({}, 20000)
    local tmp = scratch:fresh ".tmp"
    sh.check("mkdir " .. tmp)
    -- The layers are asked for once the manifest and the config are there.
    local asked = ("[ $(tail -c +%d %s | grep -c '\"begin\"') -ge 5 ]"):format(proxy.log_from + 1, proxy.log_file)
    local result = client:pull(BIG, { args = "--no-cache", env = "BANGER_STALL_SECONDS=60 TMPDIR=" .. tmp,
      wrap = "timeout 60 " .. signal_when("INT", asked) })
    assert.are.equal(130, result.code, result.err)
    assert.are.equal("", sh.check(("ls -A %s; ls -A %s"):format(result.dir, tmp)))
    assert.is_false(sh.exists(result.cache .. "/oci-layout"))
  end)
end)

describe("a cache that cannot be written", function()
  --- A command that runs the rest with a file system mounted for it alone.
  local function mounted(how)
    local script = scratch:fresh ".sh"
    sh.write_file(script, how .. '\nexec "$@"\n')
    return "timeout -k 1 40 unshare -m sh " .. script
  end

  it("but holds all that is needed", function()
    local reason = need.mount()
    if reason then return pending(reason) end
    local cache = warm()
    local result = client:pull(SMALL, { cache = cache,
      wrap = mounted(("mount --bind %s %s && mount -o remount,ro,bind %s || exit 99"):format(cache, cache, cache)) })
    assert_pulled(result, small.files, small.digest)
    assert.are.equal(0, #proxy:log { kind = "blob" }, proxy:story())
  end)

  it("and holds nothing is an error that names it", function()
    local reason = need.mount()
    if reason then return pending(reason) end
    proxy:rules {}
    local cache = scratch:mkdir "read-only-cache"
    local result = client:pull(SMALL, { cache = cache, wrap = mounted(("mount -t tmpfs -o ro none %s || exit 99"):format(cache)) })
    assert.is_true(result.code > 0 and result.code < 8, result.err)
    assert_refused(result, result.code, cache)
    -- What the message may well propose works.
    result = client:pull(SMALL, { cache = cache, args = "--no-cache",
      wrap = mounted(("mount -t tmpfs -o ro none %s || exit 99"):format(cache)) })
    assert_pulled(result, small.files, small.digest)
  end)

  it("because the disk is full", function()
    local reason = need.mount()
    if reason then return pending(reason) end
    proxy:rules {}
    local cache = scratch:mkdir "full-cache"
    local result = client:pull(BIG, { cache = cache, wrap = mounted(("mount -t tmpfs -o size=1M none %s || exit 99"):format(cache)) })
    assert_refused(result, NO_SPACE, cache)
  end)

  it("in a directory of somebody else", function()
    if sh.is_root() then return pending "root may write everywhere" end
    local cache = scratch:mkdir "locked"
    sh.check("chmod 555 " .. cache)
    local result = client:pull(SMALL, { cache = cache .. "/below" })
    assert.is_true(result.code ~= 0)
    assert_refused(result, result.code, cache)
  end)
end)

describe("cache", function()
  it("path says where it is", function()
    local cache = scratch:fresh ".cache"
    local out, code = client:run("cache path", cache)
    assert.are.equal(0, code)
    assert.are.equal(cache .. "\n", out)
    local own = registry.client(scratch)
    assert.are.equal(own.home .. "/.cache/banger/oci\n", (own:run "cache path"))
  end)

  it("list tells references, digests and sizes", function()
    local cache = warm()
    local out, code, err = client:run("cache list", cache)
    assert.are.equal(0, code, err)
    assert.is_truthy(out:find(SMALL, 1, true), out)
    assert.is_truthy(out:find(small.digest:sub(8, 19), 1, true), out)
  end)

  it("list of a cache that is not there is nothing", function()
    local cache = scratch:fresh ".cache"
    local _, code, err = client:run("cache list", cache)
    assert.are.equal(0, code, err)
    assert.is_nil(err:find("traceback", 1, true))
  end)

  it("verify finds what is damaged, and a pull mends it", function()
    local cache = warm()
    local _, code, err = client:run("cache verify", cache)
    assert.are.equal(0, code, err)
    flip(blob_path(cache, small.layers[1].digest), 30)
    local out
    out, code, err = client:run("cache verify", cache)
    assert.are.equal(CORRUPT, code, out .. err)
    assert.is_truthy((out .. err):find(small.layers[1].digest:sub(8, 19), 1, true), out .. err)
    assert.is_nil((out .. err):find(small.layers[2].digest:sub(8, 19), 1, true), out .. err)
    assert_pulled(client:pull(SMALL, { cache = cache }), small.files, small.digest)
    _, code, err = client:run("cache verify", cache)
    assert.are.equal(0, code, err)
  end)

  it("prune of what nothing names keeps what is named", function()
    local cache = warm()
    assert_pulled(client:pull(BIG, { cache = cache }), big.files)
    local stray = "this is a blob of nobody\n"
    sh.write_file(scratch:path "stray", stray)
    local hex = sh.sha256(scratch:path "stray")
    sh.write_file(cache .. "/blobs/sha256/" .. hex, stray)
    -- A blob that has just come may be of a pull that is not done yet.
    sh.check(("touch -d '3 days ago' %s/blobs/sha256/%s"):format(cache, hex))
    local _, code, err = client:run("cache prune --unreferenced", cache)
    assert.are.equal(0, code, err)
    assert.is_false(sh.exists(cache .. "/blobs/sha256/" .. hex))
    assert.are.equal(9, assert_sound(cache))
    for _, ref in ipairs { SMALL, BIG } do
      assert.are.equal(0, client:pull(ref, { cache = cache, args = "--offline" }).code)
    end
  end)

  it("prune to a total size drops what was used longest ago", function()
    local cache = warm(BIG, big)
    sh.run "sleep 1.1"
    assert_pulled(client:pull(SMALL, { cache = cache }), small.files)
    local _, code, err = client:run("cache prune --keep-bytes 100000", cache)
    assert.are.equal(0, code, err)
    assert.are.equal(0, client:pull(SMALL, { cache = cache, args = "--offline" }).code)
    assert.are.equal(NOT_FOUND, client:pull(BIG, { cache = cache, args = "--offline" }).code)
    local left = tonumber(sh.check(("find %s/blobs -type f -printf '%%s\n' | awk '{ s += $1 } END { print s + 0 }'"):format(cache)))
    assert.is_true(left <= 100000, left)
    assert.is_nil(sh.read_file(cache .. "/index.json"):find(BIG, 1, true))
  end)

  it("prune to nothing", function()
    local cache = warm()
    local _, code, err = client:run("cache prune --keep-bytes 0", cache)
    assert.are.equal(0, code, err)
    assert.are.equal(0, assert_sound(cache))
    assert_pulled(client:pull(SMALL, { cache = cache }), small.files, small.digest)
  end)

  it("with words that are none", function()
    for _, words in ipairs { "cache", "cache frobnicate", "cache prune --keep-bytes lots" } do
      local out, code, err = client:run(words, scratch:fresh ".cache")
      assert.are.equal(USAGE, code, words .. out .. err)
      assert.is_nil(err:find("traceback", 1, true), err)
    end
  end)
end)
