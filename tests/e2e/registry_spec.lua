-- Pulls from a real registry: which image a reference means, how credentials and
-- tokens are come by, TLS, proxies, mirrors. Digests are what skopeo and sha256sum
-- say; what was asked of whom is in the logs of the servers.
package.path = "tests/?.lua;" .. package.path
local image = require "support.image"
local json = require "support.json"
local need = require "support.need"
local oci = require "support.oci"
local registry = require "support.registry"
local sh = require "support.sh"
local tar = require "support.tar"

local USAGE, NOT_FOUND, AUTH, NETWORK, PLATFORM = 1, 2, 3, 4, 5

local missing = registry.missing()
if missing then
  it("needs a registry", function() return pending(missing) end)
  return
end

local scratch = sh.scratch()
local servers = {}
local function keep(server)
  servers[#servers + 1] = server
  return server
end
teardown(function()
  for i = #servers, 1, -1 do servers[i]:stop() end
  scratch:remove()
end)

local hub = keep(registry.start { scratch = scratch })
local client = registry.client(scratch)
local assert_pulled, assert_refused = registry.assert_pulled, registry.assert_refused

local plain = registry.publish(hub, scratch, "library/plain:1", { { "a", "content of a\n" }, { "b", "content of b\n" } })
local other = registry.publish(hub, scratch, "library/plain:other", { { "c", "content of c\n" } })
hub:push(plain.layout, "t", "library/plain")
local eight = {}
for i = 1, 8 do eight[i] = { "file" .. i, registry.noise(20000) } end
eight = registry.publish(hub, scratch, "deep/er/eight:v1.2_x-3", eight)

local OCI_INDEX = "application/vnd.oci.image.index.v1+json"

--- A layout with an index of platforms, each with one file that names it.
local function platforms(list)
  local dir = scratch:fresh ".layout"
  local descriptors = {}
  for i, p in ipairs(list) do
    local text = p.architecture .. (p.variant or "")
    descriptors[i] = oci.image(dir, { platform = p, layers = { { tar = tar.archive { tar.file("arch", text) }, compress = "gzip" } } }).manifest
  end
  oci.index(dir, { oci.tagged(oci.nested(dir, descriptors), "t") })
  return dir, descriptors
end

local multi_layout, multi = platforms {
  { os = "linux", architecture = "amd64" }, { os = "linux", architecture = "arm64", variant = "v8" },
  { os = "linux", architecture = "arm", variant = "v7" }, { os = "linux", architecture = "arm", variant = "v6" },
}
hub:push(multi_layout, "t", "library/multi:1", "--all")

--- Settings that only one test sees.
local function fresh_client()
  return registry.client(scratch)
end

local function auth_json(host, user, password)
  local encoded = sh.check("printf %s " .. sh.quote(user .. ":" .. password) .. " | base64 -w0")
  return json.encode { auths = { [host] = { auth = encoded } } }
end

describe("a reference", function()
  it("with a tag", function()
    assert_pulled(client:pull(hub.host .. "/library/plain:1"), plain.files, (hub:inspect "library/plain:1"))
  end)

  it("without a tag is latest", function()
    assert_pulled(client:pull(hub.host .. "/library/plain"), plain.files, (hub:inspect "library/plain:latest"))
  end)

  it("with docker:// in front", function()
    assert_pulled(client:pull("docker://" .. hub.host .. "/library/plain:other"), other.files, other.digest)
  end)

  it("with a digest", function()
    assert_pulled(client:pull(hub.host .. "/library/plain@" .. plain.digest), plain.files, plain.digest)
  end)

  it("with tag and digest: the digest decides", function()
    assert_pulled(client:pull(hub.host .. "/library/plain:other@" .. plain.digest), plain.files, plain.digest)
    assert_pulled(client:pull(hub.host .. "/library/plain:nonesuch@" .. plain.digest), plain.files, plain.digest)
  end)

  it("with a long path and an odd tag", function()
    assert_pulled(client:pull(hub.host .. "/deep/er/eight:v1.2_x-3"), eight.files, eight.digest)
  end)

  it("with localhost for a host", function()
    assert_pulled(client:pull("localhost:" .. hub.port .. "/library/plain:1"), plain.files, plain.digest)
  end)

  it("that leads to Docker's schema 2", function()
    local docker = registry.publish(hub, scratch, "library/docker:1", { { "d", "content of d\n" } },
      { push = "--format v2s2" })
    local digest, raw = hub:inspect "library/docker:1"
    assert.matches("application/vnd.docker.distribution.manifest.v2%+json", raw)
    assert_pulled(client:pull(hub.host .. "/library/docker:1"), docker.files, digest)
  end)

  it("that leads to layers of zstd and of nothing", function()
    -- Blobs of a registry are just blobs: skopeo would compress the plain one.
    local layout = scratch:fresh ".layout"
    local made = oci.write(layout, { tag = "t", layers = {
      { tar = tar.archive { tar.file("z", "by zstd") }, compress = "zstd" },
      { tar = tar.archive { tar.file("g", "by gzip") }, compress = "gzip" },
    } })
    hub:push(layout, "t", "library/zstd:1")
    assert_pulled(client:pull(hub.host .. "/library/zstd:1"), { z = "by zstd", g = "by gzip" }, made.manifest.digest)
  end)

  it("that leads to an image of no layers", function()
    local layout = scratch:fresh ".layout"
    oci.write(layout, { tag = "t", layers = {} })
    local digest = hub:push(layout, "t", "library/none:1")
    assert_pulled(client:pull(hub.host .. "/library/none:1"), {}, digest)
  end)

  for _, case in ipairs {
    { "an unknown repository", "/library/nonesuch:1" },
    { "an unknown tag", "/library/plain:nonesuch" },
    { "an unknown digest", "/library/plain@sha256:" .. ("0"):rep(64) },
    { "latest, where there is none", "/deep/er/eight" },
  } do
    it("to " .. case[1], function()
      assert_refused(client:pull(hub.host .. case[2]), NOT_FOUND, hub.host .. case[2])
    end)
  end

  for _, ref in ipairs { "/Library/plain", "/library/plain:", "/library/plain@", "/library/plain@sha256:abc", "/library/plain:-x",
    "/library//plain", "/", "/library/plain:" .. ("t"):rep(129), "/library/plain@md5:d41d8cd98f00b204e9800998ecf8427e" } do
    it("that is none: " .. ref:sub(1, 40), function()
      local before = hub:requests "/v2/"
      assert_refused(client:pull(hub.host .. ref), USAGE)
      assert.are.equal(before, hub:requests "/v2/")
    end)
  end
end)

describe("a platform", function()
  local REF = hub.host .. "/library/multi:1"

  for arguments, expected in pairs {
    ["linux/amd64"] = { 1, "amd64" }, ["linux/arm64"] = { 2, "arm64v8" }, ["linux/arm64/v8"] = { 2, "arm64v8" },
    ["linux/arm/v7"] = { 3, "armv7" }, ["linux/arm/v6"] = { 4, "armv6" },
  } do
    it(arguments .. " is chosen from an index", function()
      local result = client:pull(REF, { args = "--platform " .. arguments })
      assert_pulled(result, { arch = expected[2] }, multi[expected[1]].digest)
    end)
  end

  it("of this machine is the default", function()
    local machine = sh.check "uname -m":gsub("\n", "")
    if machine ~= "x86_64" then return pending("this is an " .. machine) end
    assert_pulled(client:pull(REF), { arch = "amd64" }, multi[1].digest)
  end)

  it("that is not there lists those that are", function()
    assert_refused(client:pull(REF, { args = "--platform linux/s390x" }), PLATFORM, "linux/s390x", "linux/amd64", "linux/arm64", "linux/arm/v7")
  end)

  it("of an image without an index is what its config says", function()
    assert_refused(client:pull(hub.host .. "/library/plain:1", { args = "--platform linux/arm64" }), PLATFORM, "linux/arm64", "linux/amd64")
  end)

  it("of an index by its digest", function()
    local digest = hub:inspect "library/multi:1"
    assert_pulled(client:pull(hub.host .. "/library/multi@" .. digest, { args = "--platform linux/amd64" }), { arch = "amd64" }, multi[1].digest)
  end)

  it("of one manifest of an index by its digest", function()
    local result = client:pull(hub.host .. "/library/multi@" .. multi[2].digest, { args = "--platform linux/arm64" })
    assert_pulled(result, { arch = "arm64v8" }, multi[2].digest)
  end)

  it("from an index in an index", function()
    local _, raw = hub:inspect "library/multi:1"
    local digest = hub:inspect "library/multi:1"
    hub:put("library/multi:nested", OCI_INDEX, json.encode {
      schemaVersion = 2, mediaType = OCI_INDEX,
      manifests = json.array { { mediaType = OCI_INDEX, digest = digest, size = #raw } },
    })
    assert_pulled(client:pull(hub.host .. "/library/multi:nested", { args = "--platform linux/arm64" }), { arch = "arm64v8" }, multi[2].digest)
  end)

  it("from Docker's manifest list", function()
    local list = "application/vnd.docker.distribution.manifest.list.v2+json"
    local docker = registry.publish(hub, scratch, "library/list:amd64", { { "e", "content of e\n" } },
      { push = "--format v2s2" })
    local digest, raw = hub:inspect "library/list:amd64"
    hub:put("library/list:1", list, json.encode { schemaVersion = 2, mediaType = list, manifests = json.array { {
      mediaType = "application/vnd.docker.distribution.manifest.v2+json", digest = digest, size = #raw,
      platform = { os = "linux", architecture = "amd64" },
    } } })
    assert_pulled(client:pull(hub.host .. "/library/list:1", { args = "--platform linux/amd64" }), docker.files, digest)
  end)

  it("from an empty index", function()
    hub:put("library/multi:empty", OCI_INDEX, json.encode { schemaVersion = 2, mediaType = OCI_INDEX, manifests = json.array {} })
    local result = client:pull(hub.host .. "/library/multi:empty")
    assert_refused(result, PLATFORM)
    assert.equal(("banger-lua: %s/library/multi:empty: no image for linux/amd64; the index names no platform\n"):format(hub.host), result.err)
  end)
end)

describe("layers that say where they are", function()
  local FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
  local proxy = keep(registry.faults { scratch = scratch, upstream = hub })

  --- An image whose layer the repository does not have, but another place does.
  local function foreign(name, url)
    local layout = scratch:fresh ".layout"
    local made = oci.write(layout, { tag = "t", layers = { { tar = tar.archive { tar.file("f", "from afar") }, compress = "gzip" } } })
    hub:push(layout, "t", "elsewhere/" .. name .. ":1")
    -- Its config is in the repository through an image of its own.
    local blank = scratch:fresh ".layout"
    sh.check(("cp -r %s %s"):format(layout, blank))
    local config = made.config
    local decoy = oci.blob(blank, json.encode { schemaVersion = 2, mediaType = "application/vnd.oci.image.manifest.v1+json",
      config = config, layers = json.array {} }, "application/vnd.oci.image.manifest.v1+json")
    oci.index(blank, { oci.tagged(decoy, "t") })
    hub:push(blank, "t", name .. ":config")
    return hub:put(name .. ":1", "application/vnd.oci.image.manifest.v1+json", json.encode {
      schemaVersion = 2, mediaType = "application/vnd.oci.image.manifest.v1+json", config = config,
      layers = json.array { { mediaType = FOREIGN, digest = made.layers[1].digest, size = made.layers[1].size,
        urls = json.array { url:format(made.layers[1].digest) } } },
    }), made
  end

  it("are fetched from there when the registry has them not", function()
    local digest, made = foreign("foreign", "http://" .. proxy.other .. "/v2/elsewhere/foreign/blobs/%s")
    proxy:rules {}
    assert_pulled(client:pull(proxy.host .. "/foreign:1"), { f = "from afar" }, digest)
    local own = fresh_client()
    own:write(".docker/config.json", json.encode { auths = { [proxy.host] = { auth = "YW5uOnNlY3JldA==" } } })
    proxy:rules { { listener = "other", status = 401, headers = { ["WWW-Authenticate"] = 'Basic realm="x"' } } }
    assert_refused(own:pull(proxy.host .. "/foreign:1"), AUTH, proxy.other)
    assert.is_true(#proxy:log { listener = "other" } > 0)
    for _, entry in ipairs(proxy:log { listener = "other" }) do assert.is_nil(entry.authorization) end
    proxy:rules {}
    assert_pulled(client:pull(proxy.host .. "/foreign:1"), { f = "from afar" }, digest)
    local seen = proxy:log { kind = "blob", digest = made.layers[1].digest }
    assert.are.equal("main", seen[1].listener, proxy:story())
    assert.are.equal(404, seen[1].status)
    assert.are.equal("other", seen[2].listener)
  end)

  it("are verified like any", function()
    local _, made = foreign("forged", "http://" .. proxy.other .. "/v2/elsewhere/forged/blobs/%s")
    proxy:rules { { listener = "other", kind = "blob", flip = 3 } }
    assert_refused(client:pull(proxy.host .. "/forged:1"), 6, made.layers[1].digest)
  end)
end)

describe("passwords", function()
  local reason = need.program "htpasswd"
  if reason then
    it("need htpasswd", function() return pending(reason) end)
    return
  end
  local SECRET = "s3cr3t:with%colon"
  local guarded = keep(registry.start { scratch = scratch, users = { bob = SECRET }, storage = hub.storage })
  local REF = guarded.host .. "/library/plain:1"
  local RIGHT, WRONG = auth_json(guarded.host, "bob", SECRET), auth_json(guarded.host, "bob", "wr0ng")
  local OTHERS = auth_json("registry.example.test", "bob", SECRET)

  -- In the order in which they are looked at.
  local PLACES = {
    { name = "--authfile", file = "given.json", args = "--authfile %s" },
    { name = "$REGISTRY_AUTH_FILE", file = "env.json", env = "REGISTRY_AUTH_FILE=%s" },
    { name = "$DOCKER_CONFIG", file = "docker/config.json", env = "DOCKER_CONFIG=%s" },
    { name = "$XDG_RUNTIME_DIR", file = "run/containers/auth.json", env = "XDG_RUNTIME_DIR=%s" },
    { name = "$XDG_CONFIG_HOME", file = "config/containers/auth.json", env = "XDG_CONFIG_HOME=%s" },
    { name = "~/.docker/config.json", file = ".docker/config.json" },
  }

  --- Pulls with files in some of the places.
  ---@param contents table<integer, string>
  local function pull(contents, ref)
    local own, args, env = fresh_client(), "", ""
    for i, place in ipairs(PLACES) do
      if contents[i] then
        local path = own:write(place.file, contents[i])
        local value = place.name:find "XDG" and path:gsub("/containers/auth.json$", "")
          or place.name == "$DOCKER_CONFIG" and path:gsub("/config.json$", "") or path
        if place.args then args = args .. " " .. place.args:format(value) end
        if place.env then env = env .. " " .. place.env:format(value) end
      end
    end
    return own:pull(ref or REF, { args = args, env = env }), own
  end

  for i, place in ipairs(PLACES) do
    it("from " .. place.name, function()
      assert_pulled(pull { [i] = RIGHT }, plain.files, plain.digest)
    end)
    if i < #PLACES then
      it(("from %s before those from %s"):format(place.name, PLACES[i + 1].name), function()
        assert_pulled(pull { [i] = RIGHT, [i + 1] = WRONG }, plain.files)
        assert_refused(pull { [i] = WRONG, [i + 1] = RIGHT }, AUTH)
      end)
    end
  end

  it("from the first file that has some for this registry", function()
    assert_pulled(pull { OTHERS, OTHERS, '{"auths":{}}', "{}", OTHERS, RIGHT }, plain.files)
  end)

  it("from ~/.config when XDG_CONFIG_HOME is not set", function()
    local own = fresh_client()
    own:write(".config/containers/auth.json", RIGHT)
    assert_pulled(own:pull(REF), plain.files)
  end)

  it("of the most specific path", function()
    local function auths(list)
      local out = {}
      for key, password in pairs(list) do
        out[key] = { auth = (sh.check("printf %s " .. sh.quote("bob:" .. password) .. " | base64 -w0")) }
      end
      return json.encode { auths = out }
    end
    local h = guarded.host
    assert_pulled(pull { auths { [h] = "wr0ng", [h .. "/library"] = "wr0ng", [h .. "/library/plain"] = SECRET } }, plain.files)
    assert_pulled(pull { auths { [h] = "wr0ng", [h .. "/library"] = SECRET, [h .. "/lib"] = "wr0ng" } }, plain.files)
    assert_pulled(pull { auths { [h] = SECRET, [h .. "/lib"] = "wr0ng", [h .. "/library/plai"] = "wr0ng" } }, plain.files)
    assert_refused(pull { auths { [h] = SECRET, [h .. "/library"] = "wr0ng" } }, AUTH)
  end)

  it("of a key with a scheme and a path, as Docker has written them", function()
    assert_pulled(pull { auth_json("http://" .. guarded.host .. "/v2/", "bob", SECRET) }, plain.files)
    assert_pulled(pull { auth_json("https://" .. guarded.host, "bob", SECRET) }, plain.files)
  end)

  it("as username and password", function()
    assert_pulled(pull { json.encode { auths = { [guarded.host] = { username = "bob", password = SECRET } } } }, plain.files)
  end)

  --- stderr names all of these files, and nothing that is secret.
  local function assert_told(result, own, files)
    local parts = {}
    for i, file in ipairs(files) do parts[i] = own.home .. "/" .. file end
    assert_refused(result, AUTH, guarded.host, table.unpack(parts))
    for _, secret in ipairs { SECRET, "wr0ng", (RIGHT:match '"auth":"([^"]+)"'), (WRONG:match '"auth":"([^"]+)"') } do
      assert.is_nil(result.err:find(secret, 1, true), result.err)
    end
  end

  it("that are wrong: what was tried, and no secret", function()
    local result, own = pull { OTHERS, WRONG, RIGHT }
    assert_told(result, own, { "given.json", "env.json" })
  end)

  it("that are not there: every file that was looked for", function()
    local own = fresh_client()
    assert_told(own:pull(REF), own, { ".config/containers/auth.json", ".docker/config.json" })
  end)

  it("in a file that is not one", function()
    for _, text in ipairs { "", "{", "[]", "null", '{"auths":[]}', '{"auths":{"%s":{"auth":"!!!"}}}', '{"auths":{"%s":"x"}}',
      '{"auths":{"%s":{"auth":"bm9jb2xvbg=="}}}' } do
      local result = pull { (text:gsub("%%s", guarded.host)) }
      assert.is_true(result.code == AUTH or result.code == USAGE, text .. result.err)
      assert.is_nil(result.err:find("traceback", 1, true), result.err)
      assert.are.equal("", sh.check("ls -A " .. result.dir))
    end
  end)

  it("in a file that is not there", function()
    local result = client:pull(hub.host .. "/library/plain:1", { args = "--authfile /no/such/file.json" })
    assert_refused(result, NOT_FOUND)
    assert.equal(("banger-lua: %s/library/plain:1: --authfile names /no/such/file.json, which is not there\n"):format(hub.host), result.err)
  end)

  it("are not sent where none are asked for", function()
    local proxy <close> = registry.faults { scratch = scratch, upstream = hub }
    local own = fresh_client()
    own:write(".docker/config.json", auth_json(proxy.host, "bob", SECRET))
    assert_pulled(own:pull(proxy.host .. "/library/plain:1"), plain.files)
    for _, entry in ipairs(proxy:log()) do
      assert.is_nil(entry.authorization, proxy:story())
    end
  end)

  describe("from a helper", function()
    --- A helper that answers for one host, and writes down what it was asked.
    local function helper(own, name, answer)
      local path = own:write("bin/docker-credential-" .. name, ([[#!/bin/sh
read -r host
echo "$1 $host" >>%s/asked
case $host in %s|http*://%s*) %s ;; *) echo "credentials not found in native keychain"; exit 1 ;; esac
]]):format(own.home, guarded.host, guarded.host, answer))
      sh.check("chmod +x " .. path)
    end
    local ANSWER = ([[echo '{"ServerURL":"x","Username":"bob","Secret":"%s"}']]):format(SECRET)

    it("for one registry", function()
      local own = fresh_client()
      helper(own, "test", ANSWER)
      own:write(".docker/config.json", json.encode { credHelpers = { [guarded.host] = "test" } })
      assert_pulled(own:pull(REF), plain.files)
      assert.matches("^get ", sh.read_file(own.home .. "/asked"))
    end)

    it("for all of them", function()
      local own = fresh_client()
      helper(own, "test", ANSWER)
      own:write(".docker/config.json", json.encode { credsStore = "test" })
      assert_pulled(own:pull(REF), plain.files)
    end)

    it("for one before that for all", function()
      local own = fresh_client()
      helper(own, "test", ANSWER)
      helper(own, "wrong", "echo '{\"Username\":\"bob\",\"Secret\":\"wr0ng\"}'")
      own:write(".docker/config.json", json.encode { credHelpers = { [guarded.host] = "test" }, credsStore = "wrong" })
      assert_pulled(own:pull(REF), plain.files)
    end)

    it("that knows none goes on to the next file", function()
      local own = fresh_client()
      helper(own, "test", "echo 'credentials not found in native keychain'; exit 1")
      own:write(".config/containers/auth.json", json.encode { credHelpers = { [guarded.host] = "test" } })
      own:write(".docker/config.json", RIGHT)
      local result = own:pull(REF)
      assert.are.equal(0, result.code, result.err)
    end)

    for name, answer in pairs {
      ["fails"] = "echo broken >&2; exit 3", ["says nothing"] = ":", ["talks nonsense"] = "echo nonsense",
      ["dies"] = "kill -9 $$", ["answers a number"] = "echo 42", ["answers in part"] = "echo '{\"Username\":\"bob\"}'",
      ["floods"] = "yes x | head -c 20000000",
    } do
      it(("that %s is a warning, and the pull goes on without"):format(name), function()
        local own = fresh_client()
        helper(own, "bad", answer)
        own:write(".docker/config.json", json.encode { credHelpers = { [guarded.host] = "bad" } })
        local result = own:pull(REF)
        assert.are.equal(AUTH, result.code, result.err)
        assert.is_truthy(result.err:find("docker-credential-bad", 1, true), result.err)
        assert.is_nil(result.err:find("traceback", 1, true), result.err)
        assert.is_true(#result.err < 4000, #result.err)
      end)
    end

    it("that is not installed", function()
      local own = fresh_client()
      own:write(".docker/config.json", json.encode { credsStore = "nonesuch" })
      local result = own:pull(REF)
      assert.are.equal(AUTH, result.code, result.err)
      assert.is_truthy(result.err:find("docker-credential-nonesuch", 1, true), result.err)
      result = own:pull(hub.host .. "/library/plain:1")
      assert.are.equal(0, result.code, result.err)
    end)

    it("with a name that would lead elsewhere is not run", function()
      local own = fresh_client()
      local evil = own:write("evil", "#!/bin/sh\ntouch " .. own.home .. "/ran\n")
      sh.check("chmod +x " .. evil)
      for _, name in ipairs { "../../.." .. evil, "x; " .. evil, "$(" .. evil .. ")", "x\n" .. evil } do
        own:write(".docker/config.json", json.encode { credsStore = name })
        local result = own:pull(REF)
        assert.are.equal(AUTH, result.code, result.err)
        assert.is_false(sh.exists(own.home .. "/ran"))
      end
    end)
  end)
end)

describe("tokens", function()
  local SECRET, IDENTITY = "t0ken-s3cret", "1dentity-t0ken"
  local SETTINGS = { users = { ann = SECRET }, identity = { [IDENTITY] = "ann" }, anonymous = true }
  local tokens = keep(registry.tokens { scratch = scratch, settings = SETTINGS })
  local guarded = keep(registry.start { scratch = scratch, tokens = tokens, storage = hub.storage })
  local proxy = keep(registry.faults { scratch = scratch, upstream = guarded })
  local REF = proxy.host .. "/deep/er/eight:v1.2_x-3"

  --- Pulls with settings of the token server, and faults before the registry.
  local function pull(settings, rules, options, own)
    local all = {}
    for k, v in pairs(SETTINGS) do all[k] = v end
    for k, v in pairs(settings or {}) do all[k] = v end
    tokens:set(all)
    tokens:clear()
    proxy:rules(rules)
    return (own or client):pull(REF, options)
  end

  local function with(auth)
    local own = fresh_client()
    own:write(".docker/config.json", json.encode { auths = { [proxy.host] = auth } })
    return own
  end

  local BASIC = { auth = (sh.check("printf %s ann:" .. SECRET .. " | base64 -w0")) }

  it("without credentials: one for eight layers, one challenge", function()
    assert_pulled(pull(), eight.files, eight.digest)
    local asked = tokens:log()
    assert.are.equal(1, #asked)
    assert.are.same({ "repository:deep/er/eight:pull" }, asked[1].scope)
    assert.are.equal("registry.tests", asked[1].service)
    assert.is_nil(asked[1].authorization)
    assert.is_true(#proxy:log { status = 401 } <= 1, proxy:story())
    assert.are.equal(9, #proxy:log { kind = "blob", authorization = "Bearer" }, proxy:story())
  end)

  it("with a password, which the registry never sees", function()
    assert_pulled(pull({ anonymous = false }, nil, nil, with(BASIC)), eight.files, eight.digest)
    local asked = tokens:log()
    assert.are.equal(1, #asked)
    assert.are.equal("Basic", asked[1].authorization)
    assert.are.equal("ann", asked[1].user)
    assert.are.equal(0, #proxy:log { authorization = "Basic" }, proxy:story())
  end)

  it("are in no log, though every request is with --log-level debug", function()
    local own = with(BASIC)
    local result = pull({ anonymous = false }, nil, { args = "--no-cache --log-level debug" }, own)
    assert.equal(0, result.code, result.err)
    local logged = {}
    for line in result.err:gmatch "banger%-lua: debug: ([^\n]+)" do logged[#logged + 1] = line end
    assert.is_true(#logged >= 12, result.err) -- the manifest twice, a token, the config, the layers
    local host = proxy.host:gsub("%p", "%%%0")
    assert.matches("debug: GET http://" .. host .. "/v2/deep/er/eight/manifests/v1%.2_x%-3: 401, %d+ bytes, %d+%.%d%d s\n", result.err)
    assert.matches("debug: GET http://[^ ]+%?service=registry%.tests&scope=repository%%3Adeep%%2Fer%%2Feight%%3Apull&account=%.%.%.: 200, ",
      result.err)
    local blobs = 0
    for _, line in ipairs(logged) do
      blobs = blobs + (line:find "^GET http://[^ ]+/blobs/sha256:%x+: 200, 2%d%d%d%d bytes, %d+%.%d%d s$" and 1 or 0)
    end
    assert.equal(8, blobs, result.err)
    for _, secret in ipairs { SECRET, BASIC.auth, "Bearer", "Authorization", "ann" } do
      assert.is_nil(result.err:find(secret, 1, true), result.err)
    end
    assert.equal("", pull({ anonymous = false }, nil, { args = "--no-cache" }, own).err)
  end)

  describe("and other secrets are in no message", function()
    local SIGNED = "X-Amz-Credential=cr3dential&X-Amz-Signature=s1gnature&sig=s1g&token=t0k"
    local HIDDEN = { SECRET, IDENTITY, BASIC.auth, ":s3cret", "me:", "cr3dential", "s1gnature", "s1g", "t0k", "pr0xy", "fr4gment" }

    local function assert_hidden(result)
      for _, secret in ipairs(HIDDEN) do
        assert.is_nil(result.err:find(secret, 1, true), secret .. " in\n" .. result.err)
      end
      return result
    end

    local function debug_pull(rules, env, settings)
      return assert_hidden(pull(settings or {}, rules, { args = "--no-cache --log-level debug", env = env }, with(BASIC)))
    end

    -- Where layers, and what else is asked for, are said to be.
    local function elsewhere(host, kind)
      return { { kind = kind, status = 307,
        headers = { Location = ("http://me:s3cret@%s/v2/x/blobs/sha256:0?%s#fr4gment"):format(host, SIGNED) } } }
    end

    it("of signed URLs that a redirect leads to", function()
      for _, kind in ipairs { "blob", "manifest" } do
        local result = debug_pull(elsewhere(hub.host, kind))
        assert.is_true(result.code ~= 0)
        assert.matches("debug: GET http://", result.err)
      end
    end)

    it("of those that lead nowhere", function()
      for _, kind in ipairs { "blob", "manifest", "token" } do
        local result = debug_pull(elsewhere("127.0.0.1:9", kind))
        assert.equal(kind == "token" and 0 or NETWORK, result.code, result.err)
      end
    end)

    it("of a redirect that works", function()
      local result = debug_pull { { kind = "blob", redirect = "other", times = 3 } }
      assert.equal(0, result.code, result.err)
    end)

    it("of a token server that is asked with a user in its URL", function()
      local realm = ('Bearer realm="http://me:s3cret@%s/token?key=t0k",service="registry.tests"'):format(tokens.host)
      local result = debug_pull { { kind = "manifest", status = 401, headers = { ["WWW-Authenticate"] = realm } } }
      assert.equal(AUTH, result.code, result.err)
      assert.matches("the registry wants credentials, but its challenge has a realm that is no http or https URL without a user\n", result.err)
    end)

    it("of a token server that is asked with a key in its URL", function()
      local realm = ('Bearer realm="http://%s/token?key=t0k",service="registry.tests"'):format(tokens.host)
      local result = debug_pull { { kind = "manifest", times = 2, status = 401, headers = { ["WWW-Authenticate"] = realm } } }
      assert.matches("debug: GET http://" .. tokens.host:gsub("%p", "%%%0") .. "/token%?key=%.%.%.&", result.err)
    end)

    it("of a token server that refuses, whatever it says", function()
      local result = debug_pull(nil, nil, { users = { ann = "another" }, anonymous = false })
      assert.equal(AUTH, result.code, result.err)
    end)

    it("of a proxy", function()
      for name, env in pairs {
        ["that is not there"] = "HTTP_PROXY=http://me:pr0xy@127.0.0.1:9 http_proxy=http://me:pr0xy@127.0.0.1:9",
        ["that is no URL"] = "http_proxy=http://me:pr0xy@:x/",
      } do
        tokens:clear()
        local result = assert_hidden(with(BASIC):pull("registry.invalid/a/b:1",
          { args = "--no-cache --log-level debug --tls-verify=false", env = env }))
        assert.is_true(result.code ~= 0, name)
      end
      -- One that works and wants a password.
      local host = proxy.host:gsub(":", ":")
      proxy:rules(nil)
      local result = assert_hidden(with(BASIC):pull("registry.invalid/deep/er/eight:v1.2_x-3", { args = "--no-cache -v --tls-verify=false",
        env = ("http_proxy=http://me:pr0xy@%s"):format(host) }))
      assert.matches("debug: GET ", result.err)
    end)

    it("of a reference with a user in it", function()
      local result = assert_hidden(with(BASIC):pull("docker://me:s3cret@" .. proxy.host .. "/a/b", { args = "-v" }))
      assert.equal(1, result.code, result.err)
    end)
  end)

  it("with an identity token, by OAuth2", function()
    -- Docker writes no user, and "auth" of "<token>:" beside it or nothing.
    for _, auth in ipairs { { identitytoken = IDENTITY }, { auth = BASIC.auth, identitytoken = IDENTITY } } do
      assert_pulled(pull({ anonymous = false }, nil, nil, with(auth)), eight.files, eight.digest)
      local asked = tokens:log()
      assert.are.equal(1, #asked)
      assert.are.equal("POST", asked[1].method)
      assert.are.equal("refresh_token", asked[1].grant_type)
      assert.are.equal("registry.tests", asked[1].service)
      assert.are.same({ "repository:deep/er/eight:pull" }, asked[1].scope)
      assert.is_truthy(asked[1].client_id)
      assert.is_nil(asked[1].path:find(IDENTITY, 1, true))
    end
  end)

  it("with an identity token goes nowhere else", function()
    local elsewhere <close> = registry.tokens { scratch = scratch, settings = SETTINGS }
    local result = pull({ anonymous = false,
      rules = { { method = "POST", status = 307, headers = { Location = "http://" .. elsewhere.host .. "/token" } } } },
      nil, nil, with { identitytoken = IDENTITY })
    assert_refused(result, { AUTH, NETWORK }, tokens.host)
    assert.are.equal(1, #tokens:log())
    assert.are.equal(0, #elsewhere:log())
  end)

  it("with an identity token from a helper", function()
    local own = fresh_client()
    sh.check("chmod +x " .. own:write("bin/docker-credential-id",
      ("#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"%s\"}'\n"):format(IDENTITY)))
    own:write(".docker/config.json", json.encode { credsStore = "id" })
    assert_pulled(pull({ anonymous = false }, nil, nil, own), eight.files, eight.digest)
    assert.are.equal("refresh_token", tokens:log()[1].grant_type)
  end)

  for name, settings in pairs {
    ["as token"] = { field = "token" }, ["as access_token"] = { field = "access_token" },
    ["without a lifetime"] = { expires_in = false }, ["with a lifetime of nothing"] = { expires_in = 0 },
    ["with a lifetime below nothing"] = { expires_in = -100 }, ["with a lifetime of ages"] = { expires_in = 1e15 },
    ["with a lifetime that is text"] = { expires_in = "soon" },
  } do
    it(name, function()
      assert_pulled(pull(settings), eight.files, eight.digest)
    end)
  end

  it("that expire midway are renewed, and shared again", function()
    -- Each token is good for four requests.
    assert_pulled(pull(nil, { { after_uses = 4, unauthorize = true } }), eight.files, eight.digest)
    local asked = #tokens:log()
    assert.is_true(asked >= 3 and asked <= 6, asked .. " tokens\n" .. proxy:story())
  end)

  it("that expire midway, one layer at a time", function()
    assert_pulled(pull(nil, { { after_uses = 4, unauthorize = true } }, { args = "--jobs 1" }), eight.files, eight.digest)
    local asked = #tokens:log()
    assert.is_true(asked >= 3 and asked <= 4, asked .. " tokens\n" .. proxy:story())
  end)

  it("that have expired by the clock are renewed", function()
    -- A token lives for a second or two, and one request is longer on its way.
    assert_pulled(pull({ lifetime = 1 }, { { kind = "blob", delay = 2.2, times = 1 } },
      { args = "--jobs 1", env = "BANGER_STALL_SECONDS=9" }), eight.files)
    assert.is_true(#tokens:log() >= 2)
  end)

  it("that expire where a blob was cut go on there", function()
    local digest = eight.layers[4].digest
    assert_pulled(pull(nil, { { digest = digest, cut = 5000, times = 1 }, { digest = digest, range = true, unauthorize = true, times = 1 } }),
      eight.files)
    local seen = proxy:log { digest = digest }
    assert.are.equal(3, #seen, proxy:story())
    assert.are.equal(401, seen[2].status)
    assert.are.equal("bytes=5000-", seen[3].range)
    assert.are.equal(2, #tokens:log())
  end)

  it("that nobody honours are no storm", function()
    assert_refused(pull(nil, { { unauthorize = true } }), AUTH, proxy.host)
    assert.is_true(#tokens:log() <= 2)
    assert.is_true(#proxy:log() <= 4, proxy:story())
  end)

  it("that are refused for a wrong password", function()
    local own = with { auth = (sh.check "printf ann:wr0ng | base64 -w0") }
    local result = pull(nil, nil, nil, own)
    assert_refused(result, AUTH, proxy.host, own.home .. "/.docker/config.json")
    assert.is_nil(result.err:find("wr0ng", 1, true))
    assert.is_true(#tokens:log() <= 2)
  end)

  it("that are refused without credentials", function()
    assert_refused(pull { anonymous = false }, AUTH, proxy.host)
  end)

  it("that allow nothing", function()
    -- A token comes, but it is not good for this repository, as on Docker's hub.
    tokens:set { users = { ann = SECRET } }
    proxy:rules {}
    tokens:clear()
    assert_refused(client:pull(REF), AUTH, proxy.host)
    assert.is_true(#tokens:log() <= 2)
  end)

  it("whose server is busy at first", function()
    for _, status in ipairs { 429, 503 } do
      assert_pulled(pull { rules = { { status = status, times = 2 } } }, eight.files)
      assert.are.equal(3, #tokens:log())
    end
  end)

  it("whose server stays down", function()
    assert_refused(pull { rules = { { status = 503 } } }, NETWORK, "503")
    assert.are.equal(5, #tokens:log())
  end)

  for name, rule in pairs {
    ["HTML"] = { body = "<html>", headers = { ["Content-Type"] = "text/html" } }, ["nothing"] = { body = "" },
    ["no token"] = { body = "{}" }, ["a number"] = { body = '{"token":42}' }, ["an empty token"] = { body = '{"token":""}' },
    ["a list"] = { body = "[]" }, ["more than 1 MiB"] = { size = 2 << 20 },
    ["a token with lines in it"] = { body = '{"token":"x\\r\\nX-Evil: 1"}' },
  } do
    it("whose server answers with " .. name, function()
      local result = pull { rules = { rule } }
      assert_refused(result, { AUTH, NETWORK })
      assert.is_true(#tokens:log() <= 5)
    end)
  end

  it("whose server is not there", function()
    local gone = registry.tokens { scratch = scratch, settings = SETTINGS }
    local orphan <close> = registry.start { scratch = scratch, tokens = gone, storage = hub.storage }
    local host = gone.host
    gone:stop()
    assert_refused(client:pull(orphan.host .. "/library/plain:1"), NETWORK, host)
  end)
end)

describe("TLS", function()
  local pki = registry.authority(scratch)
  local secure = keep(registry.start { scratch = scratch, tls = pki, storage = hub.storage })
  local REF = secure.host .. "/library/plain:1"

  --- A client that trusts the tests' authority for a host.
  local function trusting(host, with_client)
    local own = fresh_client()
    local dir = ".config/containers/certs.d/" .. host
    own:write(dir .. "/ca.crt", sh.read_file(pki.ca))
    if with_client then
      own:write(dir .. "/client.cert", sh.read_file(pki.client))
      own:write(dir .. "/client.key", sh.read_file(pki.client_key))
    end
    return own
  end

  it("of an unknown authority is refused, and not tried again", function()
    local function handshakes()
      return select(2, sh.read_file(secure.log_file):gsub("TLS handshake error", ""))
    end
    local before = handshakes()
    assert_refused(client:pull(REF), NETWORK, secure.host, "certificate")
    assert.are.equal(before + 1, handshakes())
  end)

  it("of an authority in certs.d", function()
    assert_pulled(trusting(secure.host):pull(REF), plain.files, plain.digest)
  end)

  it("of an authority in certs.d for another host", function()
    assert_refused(trusting("127.0.0.1:1"):pull(REF), NETWORK, "certificate")
  end)

  it("is HTTP/2 where it is offered", function()
    local before = secure:requests "HTTP/2.0"
    assert_pulled(trusting(secure.host):pull(secure.host .. "/deep/er/eight:v1.2_x-3"), eight.files)
    assert.is_true(secure:requests "HTTP/2.0" - before >= 10)
  end)

  it("of an authority in SSL_CERT_FILE", function()
    assert_pulled(client:pull(REF, { env = "SSL_CERT_FILE=" .. pki.ca }), plain.files, plain.digest)
  end)

  it("without verifying", function()
    assert_pulled(client:pull(REF, { args = "--tls-verify=false" }), plain.files, plain.digest)
  end)

  it("to a registry that asks for a certificate", function()
    local strict <close> = registry.start { scratch = scratch, tls = pki, client = true, storage = hub.storage }
    local ref = strict.host .. "/library/plain:1"
    assert_pulled(trusting(strict.host, true):pull(ref), plain.files, plain.digest)
    assert_refused(trusting(strict.host):pull(ref), { AUTH, NETWORK }, strict.host)
  end)

  it("and a file in certs.d that is no certificate", function()
    local own = fresh_client()
    local path = own:write(".config/containers/certs.d/" .. secure.host .. "/ca.crt", "this is none\n")
    local result = own:pull(REF)
    assert.is_true(result.code == NETWORK or result.code == USAGE, result.err)
    assert.is_truthy(result.err:find(path, 1, true), result.err)
  end)

  it("and half a client's certificate", function()
    local own = fresh_client()
    own:write(".config/containers/certs.d/" .. secure.host .. "/ca.crt", sh.read_file(pki.ca))
    own:write(".config/containers/certs.d/" .. secure.host .. "/client.cert", sh.read_file(pki.client))
    local result = own:pull(REF)
    assert.is_true(result.code == NETWORK or result.code == USAGE, result.err)
    assert.is_truthy(result.err:find("client.key", 1, true), result.err)
  end)

  describe("and redirects", function()
    local proxy = keep(registry.faults { scratch = scratch, upstream = secure, tls = pki })

    it("to plain HTTP are refused", function()
      proxy:rules { { kind = "blob", redirect = "plain" } }
      assert_refused(trusting(proxy.host):pull(proxy.host .. "/library/plain:1"), NETWORK, "redirect", "http")
      assert.are.equal(0, #proxy:log { listener = "plain" })
    end)

    it("to plain HTTP are refused without verifying too", function()
      proxy:rules { { kind = "blob", redirect = "plain" } }
      assert_refused(client:pull(proxy.host .. "/library/plain:1", { args = "--tls-verify=false" }), NETWORK, "redirect", "http")
      assert.are.equal(0, #proxy:log { listener = "plain" })
    end)

    it("to another host of TLS are followed", function()
      proxy:rules { { kind = "blob", redirect = "other" } }
      local result = trusting(proxy.host):pull(proxy.host .. "/library/plain:1")
      assert_pulled(result, plain.files, plain.digest)
      assert.are.equal(3, #proxy:log { listener = "other" }, proxy:story())
    end)
  end)

  it("where there is only HTTP says so", function()
    local proxy <close> = registry.faults { scratch = scratch, upstream = hub }
    local result = client:pull("registry.example.test/library/plain:1", { env = "HTTPS_PROXY=http://" .. proxy.host })
    assert_refused(result, NETWORK, "registry.example.test", "HTTP", "--tls-verify=false")
    assert.are.equal(0, #proxy:log { kind = "manifest" }, proxy:story())
  end)
end)

describe("a proxy of the environment", function()
  local proxy = keep(registry.faults { scratch = scratch, upstream = hub })
  local REF = "registry.example.test:5000/library/plain:1"

  it("is used for plain HTTP", function()
    proxy:rules {}
    -- HTTPS is tried first; the other end of that tunnel does not speak it.
    local result = client:pull(REF, { args = "--tls-verify=false", env = ("http_proxy=http://%s https_proxy=http://%s"):format(
      proxy.host, proxy.host) })
    assert_pulled(result, plain.files, plain.digest)
    assert.matches("^http://registry.example.test:5000/v2/", proxy:log({ kind = "manifest" })[1].path)
  end)

  it("is used for HTTPS, verified", function()
    local pki = registry.authority(scratch)
    local secure <close> = registry.start { scratch = scratch, tls = pki, storage = hub.storage }
    -- A plain proxy before a TLS registry: CONNECT leads there.
    local tunnel <close> = registry.faults { scratch = scratch, upstream = secure }
    local own = fresh_client()
    own:write(".config/containers/certs.d/registry.example.test:5000/ca.crt", sh.read_file(pki.ca))
    for _, name in ipairs { "HTTPS_PROXY", "https_proxy" } do
      assert_pulled(own:pull(REF, { env = ("%s=http://%s"):format(name, tunnel.host) }), plain.files, plain.digest)
    end
    assert.are.equal("registry.example.test:5000", tunnel:log({ method = "CONNECT" })[1].path)
  end)

  it("is not used for what NO_PROXY names", function()
    proxy:rules {}
    for _, names in ipairs { "127.0.0.1", "example.org,127.0.0.1", "*" } do
      local result = client:pull(hub.host .. "/library/plain:1", { env = ("http_proxy=http://%s NO_PROXY=%s"):format(proxy.host, names) })
      assert_pulled(result, plain.files, plain.digest)
    end
    assert.are.equal(0, #proxy:log(), proxy:story())
  end)

  it("that is not there", function()
    local result = client:pull(REF, { args = "--tls-verify=false", env = "http_proxy=http://127.0.0.1:1 HTTPS_PROXY=http://127.0.0.1:1" })
    assert_refused(result, NETWORK, "127.0.0.1")
  end)
end)

describe("registries.conf", function()
  --- A client with these settings.
  local function with(text)
    local own = fresh_client()
    own:write(".config/containers/registries.conf", text)
    return own
  end

  it("says where a registry is", function()
    local own = with(('[[registry]]\nprefix = "registry.example.test/team"\nlocation = "%s/library"\ninsecure = true\n'):format(hub.host))
    assert_pulled(own:pull "registry.example.test/team/plain:1", plain.files, plain.digest)
  end)

  it("says where Docker's hub is", function()
    local own = with(('[[registry]]\nprefix = "docker.io"\nlocation = "%s"\ninsecure = true\n'):format(hub.host))
    assert_pulled(own:pull "plain:1", plain.files, plain.digest)
    assert_pulled(own:pull "plain", plain.files, plain.digest)
    assert_pulled(own:pull "docker.io/library/plain:1", plain.files, plain.digest)
    assert_pulled(own:pull("plain@" .. plain.digest), plain.files, plain.digest)
  end)

  it("takes the longest prefix", function()
    local own = with(([==[
[[registry]]
prefix = "registry.example.test"
location = "127.0.0.1:1"
[[registry]]
prefix = "registry.example.test/team"
location = "%s/library"
insecure = true
[[registry]]
prefix = "registry.example.test/te"
blocked = true
]==]):format(hub.host))
    assert_pulled(own:pull "registry.example.test/team/plain:1", plain.files)
  end)

  it("blocks a registry", function()
    local own = with '[[registry]]\nlocation = "registry.example.test"\nblocked = true\n'
    local result = own:pull "registry.example.test/library/plain:1"
    assert.is_true(result.code ~= 0)
    assert_refused(result, result.code, "registry.example.test", "blocked")
  end)

  it("names mirrors, which come first", function()
    local mirror <close> = registry.faults { scratch = scratch, upstream = hub }
    local main <close> = registry.faults { scratch = scratch, upstream = hub }
    local own = with(('[[registry]]\nlocation = "%s"\ninsecure = true\n[[registry.mirror]]\nlocation = "127.0.0.1:1"\ninsecure = true\n' ..
      '[[registry.mirror]]\nlocation = "%s"\ninsecure = true\n'):format(main.host, mirror.host))
    local result = own:pull(main.host .. "/library/plain:1")
    assert.are.equal(0, result.code, result.err)
    assert.are.equal(0, #main:log(), main:story())
    assert.is_true(#mirror:log { kind = "manifest" } >= 1)
    -- What the mirror lacks comes from the registry itself.
    mirror:rules { { kind = "manifest", status = 404 } }
    result = own:pull(main.host .. "/library/plain:1")
    assert.are.equal(0, result.code, result.err)
    assert.is_true(#main:log { kind = "manifest" } >= 1)
  end)

  -- A port that nothing listens on, and a name that nobody has: RFC 6761.
  local CLOSED, NOBODY = "127.0.0.1:1", "nobody.invalid"

  it("is told of in errors: what was given, and what mirrors said", function()
    local mirror <close> = registry.faults { scratch = scratch, upstream = hub }
    local own = with(('[[registry]]\nprefix = "docker.io"\nlocation = "%s"\n[[registry.mirror]]\nlocation = "%s"\ninsecure = true\n' ..
      '[[registry.mirror]]\nlocation = "%s"\ninsecure = true\n'):format(NOBODY, mirror.host, CLOSED))
    local result = own:pull "nosuch/thing:1"
    assert_refused(result, NETWORK)
    local message, refused = result.err:match "^(.*; )127%.0%.0%.1:1: (.*)\n$"
    assert.equal(("banger-lua: nosuch/thing:1: %s: no such host is known, or no name server answers; asked before, as its mirrors: %s answers 404; ")
      :format(NOBODY, mirror.host), message)
    assert.matches("onnect", refused)
  end)

  it("is told of where the registry itself has it not", function()
    local mirror <close> = registry.faults { scratch = scratch, upstream = hub }
    mirror:rules { { kind = "manifest", status = 500 } }
    local own = with(('[[registry]]\nlocation = "%s"\ninsecure = true\n[[registry.mirror]]\nlocation = "%s"\ninsecure = true\n')
      :format(hub.host, mirror.host))
    local result = own:pull(hub.host .. "/nosuch/thing:1")
    assert_refused(result, NOT_FOUND)
    assert.matches(("^banger%%-lua: %s/nosuch/thing:1 is not in the registry .*; asked before, as its mirror: %s answers 500\n$")
      :format(hub.host:gsub("%p", "%%%0"), (mirror.host:gsub("%p", "%%%0"))), result.err)
  end)

  it("that is wrong is told of with its line", function()
    local own = with "[[registry]]\nlocation = \n"
    local result = own:pull(hub.host .. "/library/plain:1")
    assert_refused(result, USAGE, "registries.conf", "2")
  end)
end)

describe("what came out", function()
  it("is the image that the layout makes", function()
    -- umoci unpacks what skopeo fetched; names and contents are the same.
    local reason = need.program "umoci"
    if reason then return pending(reason) end
    local copy = scratch:fresh ".copy"
    sh.check(("skopeo copy -q --src-tls-verify=false docker://%s/deep/er/eight:v1.2_x-3 oci:%s:t"):format(hub.host, copy))
    local unpacked = scratch:fresh ".unpacked"
    sh.check(("umoci raw unpack --rootless --image %s:t %s"):format(copy, unpacked))
    local result = client:pull(hub.host .. "/deep/er/eight:v1.2_x-3")
    assert.are.equal(0, result.code, result.err)
    local got, want = image.read(result.path), image.directory(unpacked)
    for path, node in pairs(want) do
      if path ~= "" then assert.are.equal(node.content, got[path] and got[path].content, path) end
    end
    for path in pairs(got) do assert.is_truthy(want[path], path) end
  end)
end)
