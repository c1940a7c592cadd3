-- Whatever the network and the other side do, a pull ends with the right image or
-- with one line that says what is wrong: never with another image, never with
-- something left behind, never without an end. Between a registry and the client is
-- a proxy that does wrong (tests/support/servers/faults.py); what it saw says how
-- the client went about it.
package.path = "tests/?.lua;" .. package.path
local registry = require "support.registry"
local sh = require "support.sh"

local NOT_FOUND, AUTH, NETWORK, CORRUPT = 2, 3, 4, 6

local missing = registry.missing()
if missing then
  it("needs a registry", function() return pending(missing) end)
  return
end

local scratch = sh.scratch()
local hub = registry.start { scratch = scratch }
local proxy = registry.faults { scratch = scratch, upstream = hub }
local client = registry.client(scratch)
teardown(function()
  proxy:stop()
  hub:stop()
  scratch:remove()
end)

local SIZE = 600000
local thing = registry.publish(hub, scratch, "library/thing:1", {
  { "first", "the first layer\n" }, { "big", registry.noise(SIZE) }, { "last", "the last layer\n" },
})
local REF = proxy.host .. "/library/thing:1"
local BY_DIGEST = proxy.host .. "/library/thing@" .. thing.digest
local BIG = thing.layers[2]
local CONFIG = thing.config.digest

--- Pulls past the rules; the log is of this pull alone.
local function pull(rules, options, ref)
  proxy:rules(rules)
  return client:pull(ref or REF, options)
end

--- The image came, and the faults did happen.
local function assert_right(result)
  registry.assert_pulled(result, thing.files, thing.digest)
  local seen = false
  for _, entry in ipairs(proxy:log()) do seen = seen or entry.rule ~= nil end
  assert.is_true(seen, "no rule was used:\n" .. proxy:story())
end

local function assert_refused(result, code, ...)
  local ok, message = pcall(registry.assert_refused, result, code, ...)
  if not ok then error(tostring(message) .. "\nrequests:\n" .. proxy:story(), 2) end
end

local function gets(digest, more)
  local filter = { method = "GET", digest = digest, listener = "main" }
  for k, v in pairs(more or {}) do filter[k] = v end
  return proxy:log(filter)
end

--- Where a request wants a blob to begin.
local function start_of(entry)
  return math.tointeger(tonumber((entry.range or "bytes=0-"):match "^bytes=(%d+)%-")) or error("odd range " .. entry.range)
end

--- Every blob of the cache is what its name says, and of what was refused nothing
--- is half there: but for the network's sake, to go on with, as of other blobs that
--- were on their way then.
local function assert_clean_cache(result)
  local names = sh.check(("cd %s && find blobs partial -type f 2>/dev/null || :"):format(result.cache))
  for name in names:gmatch "[^\n]+" do
    local hex, partial = name:match "^blobs/sha256/(%x+)$", name:match "^partial/(%x+)$"
    if hex then
      assert.are.equal(hex, (sh.sha256(result.cache .. "/" .. name)), "in the cache: " .. name)
    else
      assert.is_truthy(partial, "in the cache: " .. name)
      assert.is_true(result.code == NETWORK or not result.err:find(partial, 1, true), "in the cache: " .. name)
    end
  end
end

describe("a connection that is cut", function()
  for tenth = 1, 9 do
    it(("after %d tenths of a blob goes on from there"):format(tenth), function()
      local at = BIG.size * tenth // 10
      local result = pull { { kind = "blob", digest = BIG.digest, cut = at, times = 1 } }
      assert_right(result)
      local seen = gets(BIG.digest)
      assert.are.equal(2, #seen, proxy:story())
      assert.are.equal(at, start_of(seen[2]))
      assert.are.equal(BIG.size, seen[1].bytes + seen[2].bytes)
      assert_clean_cache(result)
    end)
  end

  it("nine times on its way goes on nine times", function()
    local piece = BIG.size // 10
    assert_right(pull { { kind = "blob", digest = BIG.digest, cut = piece, times = 9 } })
    local seen, total = gets(BIG.digest), 0
    assert.are.equal(10, #seen, proxy:story())
    for i, entry in ipairs(seen) do
      assert.are.equal((i - 1) * piece, start_of(entry))
      total = total + entry.bytes
    end
    assert.are.equal(BIG.size, total)
  end)

  it("by a reset", function()
    -- What had not been read yet is lost, so where it goes on is not known.
    assert_right(pull { { kind = "blob", digest = BIG.digest, cut = BIG.size // 2, reset = true, times = 1 } })
  end)

  it("before the first byte", function()
    assert_right(pull { { kind = "blob", digest = BIG.digest, cut = 0, times = 2 } })
  end)

  it("before the answer, for each kind of request", function()
    for _, kind in ipairs { "manifest", "blob" } do
      assert_right(pull { { kind = kind, drop = true, times = 1 } })
      assert_right(pull { { kind = kind, reset = true, drop = true, times = 1 } })
    end
  end)

  it("in the middle of the headers", function()
    assert_right(pull { { kind = "blob", digest = BIG.digest, raw = "HTTP/1.1 200 OK\r\nContent-Le", times = 1 } })
  end)

  it("in the middle of a manifest", function()
    assert_right(pull { { kind = "manifest", method = "GET", cut = 100, times = 1 } })
  end)

  it("every time, without a new byte, ends after five attempts", function()
    local result = pull { { kind = "blob", digest = BIG.digest, cut = 0 } }
    assert_refused(result, NETWORK)
    assert.equal("banger-lua: " .. REF .. ": layer 2", result.err:match "^(.* layer %d+)")
    assert.are.equal(5, #gets(BIG.digest), proxy:story())
  end)

  it("for each request ends after five attempts", function()
    assert_refused(pull { { drop = true } }, NETWORK, proxy.host)
    local per_path = {}
    for _, entry in ipairs(proxy:log()) do
      local key = entry.method .. entry.path
      per_path[key] = (per_path[key] or 0) + 1
      assert.is_true(per_path[key] <= 5, proxy:story())
    end
  end)

  it("goes on from there in a later run", function()
    local at = BIG.size * 4 // 10
    local result = pull { { kind = "blob", digest = BIG.digest, cut = at, times = 1 },
      { kind = "blob", digest = BIG.digest, drop = true } }
    assert_refused(result, NETWORK)
    proxy:rules {}
    registry.assert_pulled(client:pull(REF, { cache = result.cache }), thing.files, thing.digest)
    local seen = gets(BIG.digest)
    assert.are.equal(1, #seen, proxy:story())
    assert.are.equal(at, start_of(seen[1]))
    assert_clean_cache(result)
  end)

  it("goes on with --no-cache too", function()
    assert_right(pull({ { kind = "blob", digest = BIG.digest, cut = 200000, times = 1 } }, { args = "--no-cache" }))
    assert.are.equal(BIG.size, gets(BIG.digest)[1].bytes + gets(BIG.digest)[2].bytes, proxy:story())
  end)

  it("is told of in the progress", function()
    proxy:rules { { kind = "blob", digest = BIG.digest, cut = 200000, times = 1 } }
    local _, code, err = client:run(("pull --no-inject --progress plain --size 16M %s %s"):format(REF,
      scratch:fresh ".ext4"), scratch:fresh ".cache")
    assert.are.equal(0, code, err)
    assert.matches("retr[yi]", err)
  end)
end)

describe("a transfer that stalls", function()
  it("is cut and goes on", function()
    local result = pull { { kind = "blob", digest = BIG.digest, stall = 300000, times = 1 } }
    assert_right(result)
    assert.are.equal(300000, start_of(gets(BIG.digest)[2]), proxy:story())
  end)

  it("is cut when it only trickles", function()
    local result = pull { { kind = "blob", digest = BIG.digest, stall = 1000, trickle = 100, times = 1 } }
    -- What trickled in were wrong bytes: so this ends with a second look or so.
    assert_right(result)
  end)

  it("before the headers", function()
    assert_right(pull { { kind = "manifest", method = "GET", delay = 2.5, times = 1 } })
  end)

  it("every time comes to an end", function()
    assert_refused(pull { { kind = "blob", digest = BIG.digest, stall = 0 } }, NETWORK)
    assert.are.equal(5, #gets(BIG.digest), proxy:story())
  end)
end)

describe("a server that is busy", function()
  for _, status in ipairs { 408, 429, 500, 502, 503, 504 } do
    it(("with %d, twice, gets asked again"):format(status), function()
      assert_right(pull {
        { kind = "blob", digest = BIG.digest, status = status, body = "wait", times = 2 },
        { kind = "manifest", method = "GET", status = status, times = 2 },
      })
      assert.are.equal(3, #gets(BIG.digest), proxy:story())
    end)
  end

  it("with 503 for ever is given up after five attempts", function()
    assert_refused(pull { { kind = "blob", digest = BIG.digest, status = 503 } }, NETWORK, "503")
    assert.are.equal(5, #gets(BIG.digest), proxy:story())
  end)

  it("with 429 for ever is given up after five attempts", function()
    assert_refused(pull { { kind = "manifest", status = 429 } }, NETWORK, "429")
    assert.is_true(#proxy:log { kind = "manifest" } <= 10, proxy:story())
  end)

  it("is left alone for the seconds of Retry-After", function()
    assert_right(pull { { kind = "blob", digest = BIG.digest, status = 429, headers = { ["Retry-After"] = "1" }, times = 1 } })
    local seen = gets(BIG.digest)
    assert.are.equal(2, #seen)
    local waited = seen[2].at - seen[1].at
    assert.is_true(waited >= 0.99, waited)
  end)

  it("is left alone until the date of Retry-After", function()
    assert_right(pull { { kind = "blob", digest = BIG.digest, status = 503, date_after = 2, times = 1 } })
    local seen = gets(BIG.digest)
    local waited = seen[2].at - seen[1].at
    -- A date has no fractions: two seconds later is one at the least.
    assert.is_true(waited >= 0.99, waited)
  end)

  it("is asked soon again when Retry-After is nonsense", function()
    for _, value in ipairs { "soon", "-5", "", "Wed, 99 Foo 2020", "1e9x" } do
      local result = pull { { kind = "blob", digest = BIG.digest, status = 429, headers = { ["Retry-After"] = value }, times = 1 } }
      assert_right(result)
      assert.are.equal(2, #gets(BIG.digest), value)
    end
  end)

  it("that wants a day is not waited for", function()
    local result = pull { { kind = "blob", digest = BIG.digest, status = 429, headers = { ["Retry-After"] = "86400" } } }
    assert_refused(result, NETWORK, "429")
  end)
end)

describe("a server that says no", function()
  it("with 404 for a manifest: the reference as it was given", function()
    assert_refused(pull { { kind = "manifest", status = 404 } }, NOT_FOUND, REF)
    assert.is_true(#proxy:log { kind = "manifest" } <= 2, proxy:story())
  end)

  it("with 404 for a blob", function()
    assert_refused(pull { { kind = "blob", digest = BIG.digest, status = 404 } }, NOT_FOUND, BIG.digest:sub(1, 19))
    assert.are.equal(1, #gets(BIG.digest), proxy:story())
  end)

  it("with 403 is not asked again", function()
    assert_refused(pull { { kind = "manifest", status = 403 } }, AUTH)
    assert.is_true(#proxy:log { kind = "manifest" } <= 2, proxy:story())
  end)

  it("with 401 for ever is not stormed", function()
    assert_refused(pull { { status = 401, headers = { ["WWW-Authenticate"] = 'Basic realm="x"' } } }, AUTH)
    assert.is_true(#proxy:log() <= 4, proxy:story())
  end)

  it("with 401 and no challenge", function()
    assert_refused(pull { { status = 401 } }, AUTH)
    assert.is_true(#proxy:log() <= 4, proxy:story())
  end)

  it("with 401 and a challenge that is none", function()
    for _, challenge in ipairs { "", "Bearer", "Bearer realm=", 'Bearer realm="not a url"', 'Bearer realm="ftp://127.0.0.1/"',
      'Bearer realm="file:///etc/passwd"', "Negotiate", '"', ("x"):rep(8000) } do
      local result = pull { { status = 401, headers = { ["WWW-Authenticate"] = challenge } } }
      assert_refused(result, AUTH)
      assert.is_true(#proxy:log() <= 4, proxy:story())
    end
  end)

  for _, status in ipairs { 400, 405, 410, 418, 451, 501, 600 } do
    it(("with %d comes to an end"):format(status), function()
      assert_refused(pull { { kind = "manifest", status = status } }, { NOT_FOUND, NETWORK }, tostring(status))
    end)
  end
end)

describe("a redirect", function()
  local CREDENTIALS = '{"auths":{"%s":{"auth":"Ym9iOnNlY3JldA=="}}}' -- bob:secret
  local basic = registry.start { scratch = scratch, users = { bob = "secret" }, storage = hub.storage }
  local guarded = registry.faults { scratch = scratch, upstream = basic }
  teardown(function()
    guarded:stop()
    basic:stop()
  end)

  it("to another host takes no credentials and no cookies there", function()
    local authfile = client:write("auth.json", CREDENTIALS:format(guarded.host))
    guarded:rules { { kind = "blob", redirect = "other", headers = { ["Set-Cookie"] = "session=secret; Path=/" } },
      { listener = "main", kind = "manifest", headers = { ["Set-Cookie"] = "early=secret; Path=/" } } }
    local result = client:pull(guarded.host .. "/library/thing:1", { args = "--authfile " .. authfile })
    registry.assert_pulled(result, thing.files, thing.digest)
    local there = guarded:log { listener = "other" }
    assert.are.equal(4, #there, guarded:story()) -- the config and three layers
    for _, entry in ipairs(there) do
      assert.is_nil(entry.authorization)
      assert.is_nil(entry.cookie)
    end
    assert.are.equal("Basic", guarded:log({ listener = "main", kind = "blob" })[1].authorization)
  end)

  it("to a host that asks for credentials gets none", function()
    local authfile = client:write("auth.json", CREDENTIALS:format(guarded.host))
    for _, kind in ipairs { "blob", "manifest" } do
      guarded:rules { { listener = "main", kind = kind, redirect = "other" },
        { listener = "other", status = 401, headers = { ["WWW-Authenticate"] = 'Basic realm="x"' } } }
      local result = client:pull(guarded.host .. "/library/thing:1", { args = "--authfile " .. authfile })
      registry.assert_refused(result, 3, guarded.other)
      assert.is_true(#guarded:log { listener = "other" } > 0, guarded:story())
      for _, entry in ipairs(guarded:log { listener = "other" }) do assert.is_nil(entry.authorization) end
    end
  end)

  it("is not shown with its query, which may be a signature", function()
    local result = pull { { kind = "blob", status = 307,
      headers = { Location = "http://" .. proxy.other .. "/v2/x/blobs/y?Signature=SESAME" } } }
    assert_refused(result, { 2, NETWORK })
    assert.is_nil(result.err:find("SESAME", 1, true), result.err)
  end)

  it("for manifests too", function()
    assert_right(pull { { kind = "manifest", redirect = "other" } })
    assert.is_true(#proxy:log { listener = "other", kind = "manifest" } >= 1)
  end)

  for _, status in ipairs { 301, 302, 303, 307, 308 } do
    it(("with %d"):format(status), function()
      assert_right(pull { { kind = "blob", redirect = "other", status = status } })
    end)
  end

  it("does not keep a transfer from going on where it was cut", function()
    assert_right(pull { { kind = "blob", redirect = "other" },
      { listener = "other", digest = BIG.digest, cut = 123456, times = 1 } })
    local there = gets(BIG.digest, { listener = "other" })
    assert.are.equal(2, #there, proxy:story())
    assert.are.equal(123456, start_of(there[2]))
  end)

  it("in a circle comes to an end", function()
    local result = pull { { kind = "blob", status = 307,
      headers = { Location = "/v2/library/thing/blobs/" .. BIG.digest } } }
    assert_refused(result, NETWORK, "redirect")
    assert.is_true(#proxy:log { kind = "blob" } < 250, #proxy:log { kind = "blob" })
  end)

  it("to nowhere", function()
    assert_refused(pull { { kind = "blob", digest = BIG.digest, status = 307 } }, NETWORK)
  end)

  it("to another protocol is not followed", function()
    for _, to in ipairs { "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x", "ldap://127.0.0.1/" } do
      assert_refused(pull { { kind = "blob", digest = BIG.digest, status = 307, headers = { Location = to } } }, NETWORK)
    end
  end)

  it("by a path alone", function()
    local result = pull { { kind = "blob", digest = BIG.digest, status = 307, times = 1,
      headers = { Location = "/v2/library/thing/blobs/" .. BIG.digest } } }
    assert_right(result)
  end)
end)

describe("bytes that are wrong", function()
  it("once are fetched again", function()
    local result = pull { { digest = BIG.digest, flip = 1234, times = 1 } }
    assert_right(result)
    assert_clean_cache(result)
  end)

  it("once in the last byte", function()
    assert_right(pull { { digest = BIG.digest, flip = BIG.size - 1, times = 1 } })
  end)

  it("every time: both digests, and nothing kept", function()
    local wrong = sh.read_file(BIG.path)
    wrong = wrong:sub(1, 1234) .. string.char(wrong:byte(1235) ~ 1) .. wrong:sub(1236)
    sh.write_file(scratch:path "wrong", wrong)
    local result = pull { { digest = BIG.digest, flip = 1234 } }
    assert_refused(result, CORRUPT, BIG.digest, (sh.sha256(scratch:path "wrong")))
    local count = #gets(BIG.digest)
    assert.is_true(count >= 2 and count <= 3, proxy:story())
    assert_clean_cache(result)
    assert.is_false(sh.exists(result.cache .. "/blobs/sha256/" .. BIG.digest:sub(8)))
  end)

  it("with --no-cache as well", function()
    assert_refused(pull({ { digest = BIG.digest, flip = 1234 } }, { args = "--no-cache" }), CORRUPT, BIG.digest)
  end)

  it("in the config", function()
    assert_right(pull { { digest = CONFIG, flip = 10, times = 1 } })
    assert_refused(pull { { digest = CONFIG, flip = 10 } }, CORRUPT, CONFIG)
  end)

  it("in a manifest asked for by its digest", function()
    assert_refused(pull({ { kind = "manifest", flip = 30 } }, nil, BY_DIGEST), CORRUPT, thing.digest)
  end)

  it("in a manifest asked for by its tag", function()
    assert_refused(pull { { kind = "manifest", flip = 30 } }, CORRUPT, thing.digest)
  end)

  it("in a manifest, once", function()
    assert_right(pull({ { kind = "manifest", method = "GET", flip = 30, times = 1 } }, nil, BY_DIGEST))
  end)

  it("a manifest that says it is another", function()
    local zeros = "sha256:" .. ("0"):rep(64)
    local result = pull { { kind = "manifest", headers = { ["Docker-Content-Digest"] = zeros } } }
    assert_refused(result, { NETWORK, CORRUPT }, zeros)
  end)

  it("a manifest that does not say which it is", function()
    assert_right(pull { { kind = "manifest", headers = { ["Docker-Content-Digest"] = false } } })
  end)

  it("where a later run goes on", function()
    -- What was there when it broke off was wrong: the whole is fetched again.
    local result = pull { { digest = BIG.digest, flip = 1000, cut = 200000, times = 1 }, { digest = BIG.digest, drop = true } }
    assert_refused(result, NETWORK)
    proxy:rules {}
    registry.assert_pulled(client:pull(REF, { cache = result.cache }), thing.files, thing.digest)
    assert_clean_cache(result)
  end)
end)

describe("a length that is wrong", function()
  local FAULTS = {
    ["a Content-Length too small"] = { length = -5 },
    ["a body that is shorter and says so"] = { short = 5 },
    ["a body that is longer and says so"] = { extra = 5 },
    ["a body of nothing"] = { short = SIZE * 2 },
    ["a body much longer than the descriptor"] = { extra = 3000000 },
  }
  for name, fault in pairs(FAULTS) do
    local function rule(times)
      local out = { digest = BIG.digest, times = times }
      for k, v in pairs(fault) do out[k] = v end
      return out
    end

    it(name .. ", once", function()
      assert_right(pull { rule(1) })
    end)

    it(name .. ", every time", function()
      local result = pull { rule() }
      assert_refused(result, { NETWORK, CORRUPT })
      assert.is_true(#gets(BIG.digest) <= 6, proxy:story())
      assert_clean_cache(result)
    end)
  end

  it("a Content-Length too small: what is left over is not the next answer", function()
    -- Whether the rest has come when the connection is used again is luck.
    for _ = 1, 8 do assert_right(pull { { digest = BIG.digest, length = -5, times = 2 } }) end
  end)

  it("a Content-Length too large: all is there, or it is refused", function()
    assert_right(pull { { digest = BIG.digest, length = 5, times = 1 } })
    local result = pull { { digest = BIG.digest, length = 5 } }
    if result.code == 0 then assert_right(result) else assert_refused(result, { NETWORK, CORRUPT }) end
  end)

  it("in a manifest", function()
    assert_refused(pull({ { kind = "manifest", extra = 1 } }, nil, BY_DIGEST), CORRUPT, thing.digest)
    assert_refused(pull({ { kind = "manifest", short = 1 } }, nil, BY_DIGEST), CORRUPT, thing.digest)
  end)

  it("a body without end is left", function()
    local result = pull { { digest = BIG.digest, fill = { size = 1 << 30, chunked = true } } }
    assert_refused(result, { NETWORK, CORRUPT })
    for _, entry in ipairs(gets(BIG.digest)) do
      assert.is_true(entry.bytes < BIG.size + (16 << 20), entry.bytes)
    end
  end)
end)

describe("an answer without a length", function()
  it("in chunks", function()
    assert_right(pull { { method = "GET", chunked = true } })
  end)

  it("until the connection ends", function()
    assert_right(pull { { method = "GET", unsized = true } })
  end)

  it("in chunks, cut", function()
    assert_right(pull { { digest = BIG.digest, chunked = true, cut = 100000, times = 1 }, { chunked = true } })
    assert.are.equal(100000, start_of(gets(BIG.digest)[2]), proxy:story())
  end)

  it("cut, so that nothing tells that it was", function()
    -- The end of the connection is the end of the body, but not of the blob.
    assert_right(pull { { digest = BIG.digest, unsized = true, cut = 100000, times = 1 } })
  end)
end)

describe("ranges", function()
  local CUT = { digest = BIG.digest, cut = 300000, times = 1 }

  it("that a server does not know: it starts over", function()
    local cut = { digest = BIG.digest, cut = 300000, times = 1, no_range = true }
    assert_right(pull { cut, { digest = BIG.digest, no_range = true } })
    assert.are.equal(200, gets(BIG.digest)[2].status)
    assert.are.equal(BIG.size, gets(BIG.digest)[2].bytes, proxy:story())
  end)

  it("that a server refuses: it starts over", function()
    assert_right(pull { CUT, { digest = BIG.digest, range = true, status = 416 } })
    local last = gets(BIG.digest)
    assert.is_nil(last[#last].range, proxy:story())
  end)

  it("of other bytes than asked for are not taken for those", function()
    for _, fault in ipairs { { shift = 7 }, { headers = { ["Content-Range"] = "bytes 0-9/10" } },
      { headers = { ["Content-Range"] = false } }, { headers = { ["Content-Range"] = "nonsense" } } } do
      fault.digest, fault.range, fault.times = BIG.digest, true, 1
      assert_right(pull { CUT, fault })
      fault.times = nil
      local result = pull { CUT, fault }
      if result.code == 0 then assert_right(result) else assert_refused(result, { NETWORK, CORRUPT }) end
    end
  end)

  it("that lie about the bytes end with both digests", function()
    local rules = { CUT, { digest = BIG.digest, range = true, flip = 400000, times = 1 } }
    assert_right(pull(rules))
  end)
end)

describe("an answer that is no registry's", function()
  local HTML = { status = 200, headers = { ["Content-Type"] = "text/html" }, body = "<html><body>Log in to the hotel</body></html>" }

  it("a captive portal", function()
    assert_refused(pull { HTML }, NETWORK, "web page")
  end)

  it("a captive portal for the manifest alone", function()
    local rule = { kind = "manifest" }
    for k, v in pairs(HTML) do rule[k] = v end
    assert_refused(pull { rule }, NETWORK, "web page")
  end)

  it("a captive portal for a blob, once and for ever", function()
    local rule = { digest = BIG.digest }
    for k, v in pairs(HTML) do rule[k] = v end
    assert_refused(pull { rule }, { NETWORK, CORRUPT })
    rule.times = 1
    local result = pull { rule }
    if result.code == 0 then assert_right(result) else assert_refused(result, NETWORK, "web page") end
  end)

  it("a manifest without a type", function()
    assert_right(pull { { kind = "manifest", headers = { ["Content-Type"] = false } } })
  end)

  it("a manifest of an unknown type", function()
    assert_refused(pull { { kind = "manifest", headers = { ["Content-Type"] = "application/vnd.example+json" } } }, NETWORK,
      "application/vnd.example+json")
  end)

  it("a manifest that is no JSON", function()
    local rule = { kind = "manifest", status = 200, body = "this is no JSON",
      headers = { ["Content-Type"] = "application/vnd.oci.image.manifest.v1+json" } }
    assert_refused(pull { rule }, NETWORK)
  end)

  it("a manifest of 64 MiB is not read to the end", function()
    for _, chunked in ipairs { false, true } do
      local result = pull { { kind = "manifest", method = "GET", fill = { size = 64 << 20, chunked = chunked },
        headers = { ["Content-Type"] = "application/vnd.oci.image.manifest.v1+json" } } }
      assert_refused(result, NETWORK, "4 MiB")
      local seen = proxy:log { kind = "manifest", method = "GET" }
      assert.is_true(#seen >= 1 and #seen <= 2, proxy:story())
      -- What was sent is what was read and what the kernel had room for.
      assert.is_true(seen[1].bytes < 24 << 20, seen[1].bytes)
      assert.is_false(seen[1].whole)
    end
  end)

  it("a config of 64 MiB", function()
    local result = pull { { digest = CONFIG, fill = { size = 64 << 20 } } }
    assert_refused(result, { NETWORK, CORRUPT })
    assert.is_false(gets(CONFIG)[1].whole)
  end)

  it("headers without end", function()
    for _, kind in ipairs { "manifest", "blob" } do
      local result = pull { { kind = kind, endless = "headers" } }
      assert_refused(result, NETWORK)
      for _, entry in ipairs(proxy:log { kind = kind }) do
        assert.is_true(entry.bytes < 16 << 20, entry.bytes)
      end
    end
  end)

  it("something that does not speak HTTP", function()
    assert_refused(pull { { raw = "SSH-2.0-OpenSSH_9.2\r\n" } }, NETWORK, proxy.host)
  end)

  it("nobody there", function()
    local result = client:pull("127.0.0.1:1/library/thing:1")
    assert_refused(result, NETWORK, "127.0.0.1:1")
  end)

  it("a name that leads nowhere", function()
    assert_refused(client:pull "registry.invalid/library/thing:1", NETWORK, "registry.invalid")
  end)
end)

describe("nothing wrong", function()
  it("is one request for each thing", function()
    proxy:rules {}
    local result = client:pull(REF)
    registry.assert_pulled(result, thing.files, thing.digest)
    for digest, d in pairs(proxy:downloads()) do
      assert.are.equal(1, d.gets, digest)
      assert.are.equal(1, d.whole, digest)
    end
    assert.are.equal(4, #proxy:log { kind = "blob" }, proxy:story())
    assert_clean_cache(result)
  end)

  it("uses few connections", function()
    proxy:rules {}
    registry.assert_pulled(client:pull(REF, { args = "--jobs 1" }), thing.files)
    local connections, count = {}, 0
    for _, entry in ipairs(proxy:log()) do
      if not connections[entry.connection] then count = count + 1 end
      connections[entry.connection] = true
    end
    assert.is_true(count <= 3, count .. " connections:\n" .. proxy:story())
  end)
end)
