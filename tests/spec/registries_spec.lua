local registries = require "banger.registries"

local DIGEST = "sha256:" .. ("0123456789abcdef"):rep(4)

local function parse(text)
  local conf, message = registries.parse(text, "r.conf")
  assert.is_nil(message)
  return conf
end

-- Where a reference is asked for: "+" insecure, "m:" mirror; or the message.
local function resolve(conf, name, digest)
  local domain, path = name:match "^([^/]+)/(.*)$"
  local list, message = registries.resolve(conf, { domain = domain, path = path, digest = digest })
  if not list then
    return message
  end
  local out = {}
  for i, at in ipairs(list) do
    out[i] = ("%s%s/%s%s"):format(at.mirror and "m:" or "", at.domain, at.path, at.insecure and "+" or "")
  end
  return table.concat(out, " ")
end

describe("registries.conf", function()
  it("may say nothing", function()
    for _, text in ipairs { "", "# x", "unqualified-search-registries = ['a']\nshort-name-mode = 'enforcing'\n[aliases]\na = 'b/c'",
      "[registries.search]\nregistries = ['a']\n[registries.insecure]\nregistries = []\n[registries.block]\nregistries = ['b.c']",
      "registry = []", "credential-helpers = ['x']" } do
      assert.same({ registries = {} }, parse(text))
      assert.equal("b.c/d", resolve(parse(text), "b.c/d"))
    end
  end)

  it("has registries with all their fields", function()
    assert.same({ registries = {
      { prefix = "a.b/c", location = "d.e:5000/f", insecure = true, blocked = false, source = "r.conf", mirrors = {
        { location = "m1", insecure = false, pull = "all" },
        { location = "[::1]:5000/x", insecure = true, pull = "tag-only" },
        { location = "m3/y", insecure = false, pull = "digest-only" },
      } },
      { prefix = "g.h", location = "g.h", insecure = false, blocked = true, source = "r.conf", mirrors = {} },
      { prefix = "*.i.j", insecure = false, blocked = false, source = "r.conf", mirrors = {
        { location = "m4", insecure = false, pull = "digest-only" },
      } },
    } }, parse [=[
      [[registry]]
      prefix = "a.b/c/"
      location = "d.e:5000/f/"
      insecure = true
      [[registry.mirror]]
      location = "m1"
      [[registry.mirror]]
      location = "[::1]:5000/x"
      insecure = true
      pull-from-mirror = "tag-only"
      [[registry.mirror]]
      location = "m3/y"
      pull-from-mirror = "digest-only"
      [[registry]]
      location = "g.h"
      blocked = true
      [[registry]]
      prefix = "*.i.j"
      mirror-by-digest-only = true
      mirror = [ { location = "m4" } ]
    ]=])
  end)

  it("is refused with its name, the line and a reason", function()
    local function refused(text, why)
      assert.same({ nil, "r.conf: " .. why }, { registries.parse(text, "r.conf") })
    end
    refused("[[registry]\n", "line 1: ']]' is expected, not ']'")
    refused("\n[[registry]]\nlocation = x", "line 3: a value is expected, not 'x'")
    refused("[[registry]]\nlocation = 'a'\nlocation = 'b'", "line 3: 'location' is there already")
    refused("\n[[registry]]\n", "line 2: a registry has neither prefix nor location")
    refused("[[registry]]\nprefix = ''\nlocation = ''", "line 1: a registry has neither prefix nor location")
    refused("\n\n[[registry]]\nlocation = 5", "line 3: location is no string")
    refused("[[registry]]\nlocation = 'a'\ninsecure = 'true'", "line 1: insecure is no boolean")
    refused("[[registry]]\nlocation = 'a'\nblocked = 1", "line 1: blocked is no boolean")
    refused("[[registry]]\nlocation = 'a'\nmirror-by-digest-only = 'x'", "line 1: mirror-by-digest-only is no boolean")
    refused("[[registry]]\nlocation = 'a'\npull-from-mirror = 'all'", "line 1: pull-from-mirror is for mirrors only")
    refused("[[registry]]\nlocation = 'a'\n\n[[registry.mirror]]\n", "line 4: a mirror has no location")
    refused("[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='tag'",
      "line 3: pull-from-mirror is 'tag'; all, digest-only or tag-only expected")
    refused("[[registry]]\nlocation = 'a'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='all'",
      "line 4: pull-from-mirror and mirror-by-digest-only exclude each other")
    refused("[[registry]]\nlocation = 'https://a'", "line 1: the location 'https://a' has a scheme; host[:port][/path] expected")
    refused("[[registry]]\nlocation='a'\nmirror=[{location='http://m'}]",
      "line 1: the location 'http://m' has a scheme; host[:port][/path] expected")
    refused("\n[registry]\nlocation = 'a'", "line 2: registry is no array of tables")
    refused("registry = ['a']", "line 1: registry is no array of tables")
    refused("registry = 'a'", "line 1: registry is no table")
    refused("[[registry]]\nlocation='a'\nmirror = ['m']", "line 1: mirror is no array of tables")
    for _, bad in ipairs { "/", "/a", "a b", "a//b", "a/b:1", "a/b@" .. DIGEST, "*.a", "a.*.b", "..", "u@a" } do
      refused(("[[registry]]\nlocation = '%s'"):format(bad), ("line 1: '%s' is no location: host[:port][/path] expected"):format(bad))
    end
    for _, bad in ipairs { "*", "*.", "a.*.b", "*a.b", "a/*", "a.b/c:1", "*.*.a" } do
      refused(("[[registry]]\nlocation = 'a'\nprefix = '%s'"):format(bad),
        ("line 1: '%s' is no prefix: host[:port][/path] expected"):format(bad))
    end
  end)
end)

describe("resolving", function()
  it("without an entry leaves all as it is", function()
    assert.equal("a.b/c", resolve(parse "", "a.b/c"))
    assert.equal("a.b/c", resolve(parse "[[registry]]\nlocation = 'x.y'\ninsecure = true", "a.b/c", DIGEST))
  end)

  it("puts the location for the prefix", function()
    local conf = parse "[[registry]]\nprefix = 'a.b/c'\nlocation = 'd.e:5000/f'\ninsecure = true"
    assert.equal("d.e:5000/f/x/y+", resolve(conf, "a.b/c/x/y"))
    assert.equal("d.e:5000/f+", resolve(conf, "a.b/c"))
    assert.equal("a.b/x", resolve(conf, "a.b/x"))
    conf = parse "[[registry]]\nprefix = 'docker.io'\nlocation = 'hub.local/proxy'"
    assert.equal("hub.local/proxy/library/nginx", resolve(conf, "docker.io/library/nginx"))
    conf = parse "[[registry]]\nprefix = 'a.b/c'\ninsecure = true"
    assert.equal("a.b/c/d+", resolve(conf, "a.b/c/d"))
  end)

  it("matches whole parts only", function()
    local conf = parse "[[registry]]\nlocation = 'a.b/c'\ninsecure = true\n[[registry]]\nlocation = 'd.e'\ninsecure = true"
    for name, at in pairs {
      ["a.b/c"] = "a.b/c+", ["a.b/c/d"] = "a.b/c/d+", ["a.b/cd"] = "a.b/cd", ["a.b/c-d/e"] = "a.b/c-d/e",
      ["d.e/f"] = "d.e/f+", ["d.e:5000/f"] = "d.e:5000/f", ["d.ef/g"] = "d.ef/g", ["x.d.e/f"] = "x.d.e/f", ["d.e2/f"] = "d.e2/f",
      ["D.e/f"] = "D.e/f",
    } do
      assert.equal(at, resolve(conf, name))
    end
    assert.equal("d.e:5000/f+", resolve(parse "[[registry]]\nlocation = 'd.e:5000'\ninsecure = true", "d.e:5000/f"))
  end)

  it("matches all of a domain by a wildcard", function()
    local conf = parse "[[registry]]\nprefix = '*.a.b'\ninsecure = true"
    for name, at in pairs {
      ["x.a.b/c"] = "x.a.b/c+", ["x.y.a.b/c"] = "x.y.a.b/c+", ["a.b/c"] = "a.b/c", ["xa.b/c"] = "xa.b/c", ["x.a.bc/d"] = "x.a.bc/d",
      ["x.a.b.c/d"] = "x.a.b.c/d", ["d.e/x.a.b"] = "d.e/x.a.b", ["x.a.b:5000/c"] = "x.a.b:5000/c",
    } do
      assert.equal(at, resolve(conf, name))
    end
    assert.equal("z/q/c", resolve(parse "[[registry]]\nprefix = '*.a.b'\nlocation = 'z/q'", "x.a.b/c"))
    assert.equal("x.a.b:1/c+", resolve(parse "[[registry]]\nprefix = '*.a.b:1'\ninsecure = true", "x.a.b:1/c"))
  end)

  it("takes the longest prefix, wherever it stands", function()
    local conf = parse [=[
      [[registry]]
      prefix = "*.b"
      location = "wild"
      [[registry]]
      prefix = "a.b/c/d"
      location = "long/x"
      [[registry]]
      prefix = "a.b"
      location = "short"
      [[registry]]
      prefix = "a.b/c"
      location = "middle/x"
    ]=]
    for name, at in pairs {
      ["a.b/c/d/e"] = "long/x/e", ["a.b/c/d"] = "long/x", ["a.b/c/e"] = "middle/x/e", ["a.b/e"] = "short/e", ["x.b/e"] = "wild/e",
    } do
      assert.equal(at, resolve(conf, name))
    end
  end)

  it("puts mirrors first, in their order", function()
    local conf = parse [=[
      [[registry]]
      prefix = "a.b/c"
      location = "d.e/f"
      [[registry.mirror]]
      location = "m1:5000/x"
      insecure = true
      [[registry.mirror]]
      location = "m2/c"
    ]=]
    assert.equal("m:m1:5000/x/i+ m:m2/c/i d.e/f/i", resolve(conf, "a.b/c/i"))
    assert.equal("m:m1:5000/x/i+ m:m2/c/i d.e/f/i", resolve(conf, "a.b/c/i", DIGEST))
  end)

  it("asks mirrors only for what they are for", function()
    local conf = parse [=[
      [[registry]]
      location = "a.b"
      mirror = [ { location = "all", pull-from-mirror = "all" }, { location = "tag", pull-from-mirror = "tag-only" },
                 { location = "digest", pull-from-mirror = "digest-only" } ]
      [[registry]]
      location = "c.d"
      mirror-by-digest-only = true
      mirror = [ { location = "m" } ]
    ]=]
    assert.equal("m:all/i m:tag/i a.b/i", resolve(conf, "a.b/i"))
    assert.equal("m:all/i m:digest/i a.b/i", resolve(conf, "a.b/i", DIGEST))
    assert.equal("c.d/i", resolve(conf, "c.d/i"))
    assert.equal("m:m/i c.d/i", resolve(conf, "c.d/i", DIGEST))
  end)

  it("refuses what is blocked, and says by what", function()
    local conf = parse "[[registry]]\nlocation = 'a.b'\nblocked = true\n[[registry]]\nlocation = 'a.b/c'"
    assert.equal("a.b/d is blocked by r.conf (prefix a.b)", resolve(conf, "a.b/d"))
    assert.equal("a.b/c/d", resolve(conf, "a.b/c/d"))
    assert.equal("x.y/z is blocked by r.conf (prefix *.y)", resolve(parse "[[registry]]\nprefix = '*.y'\nblocked = true", "x.y/z"))
  end)

  it("refuses a place without a repository", function()
    assert.equal("r.conf: 'd.e' names a registry, but no repository in it",
      resolve(parse "[[registry]]\nprefix = 'a.b/c'\nlocation = 'd.e'", "a.b/c"))
    assert.equal("r.conf: 'm' names a registry, but no repository in it",
      resolve(parse "[[registry]]\nlocation = 'a.b/c'\nmirror = [{location = 'm'}]", "a.b/c"))
  end)
end)

it("of several files the last entry for a prefix counts", function()
  local merged = registries.merge(parse "[[registry]]\nlocation = 'a'\ninsecure = true\nmirror=[{location='m'}]\n[[registry]]\nlocation = 'b'",
    parse "", parse "[[registry]]\nlocation = 'c'\n[[registry]]\nprefix = 'a'\nlocation = 'd'")
  assert.equal("d/x", resolve(merged, "a/x"))
  assert.equal("b/x", resolve(merged, "b/x"))
  assert.equal(3, #merged.registries)
  assert.same({ registries = {} }, registries.merge())
end)

describe("loading", function()
  local USER, SYSTEM = "/h/.config/containers/registries.conf", "/etc/containers/registries.conf"

  -- Which file's entry `a.b` has, by its location; the files say nothing else.
  local function load(files, env)
    local conf, message = registries.load {
      getenv = function(name)
        return (env or { HOME = "/h" })[name]
      end,
      read_file = function(path)
        if files[path] == false then
          return nil, "open " .. path .. ": Permission denied"
        end
        return files[path]
      end,
      list = function(dir)
        local names = {}
        for path in pairs(files) do
          names[#names + 1] = path:match("^" .. dir:gsub("%p", "%%%0") .. "/([^/]+)$")
        end
        table.sort(names)
        return #names > 0 and names or nil
      end,
    }
    return conf and resolve(conf, "a.b/c") or message
  end
  local function to(place)
    return ("[[registry]]\nprefix = 'a.b'\nlocation = '%s'"):format(place)
  end

  it("takes the file that is named, else the user's, else the system's", function()
    local files = { ["/x"] = to "named", [USER] = to "user", [SYSTEM] = to "system" }
    assert.equal("named/c", load(files, { HOME = "/h", CONTAINERS_REGISTRIES_CONF = "/x" }))
    assert.equal("user/c", load(files))
    assert.equal("user/c", load(files, { HOME = "/h", CONTAINERS_REGISTRIES_CONF = "" }))
    assert.equal("system/c", load(files, {}))
    files[USER] = nil
    assert.equal("system/c", load(files))
    assert.equal("a.b/c", load {})
    files[USER] = ""
    assert.equal("a.b/c", load(files))
  end)

  it("adds drop-ins, the system's first, by name", function()
    local files = { [SYSTEM] = to "main", [SYSTEM .. ".d/10.conf"] = to "ten" }
    assert.equal("ten/c", load(files))
    files[SYSTEM .. ".d/9.conf"] = to "nine"
    assert.equal("nine/c", load(files))
    files[SYSTEM .. ".d/99.bak"] = "nonsense"
    files[USER .. ".d/1.conf"] = to "user"
    assert.equal("user/c", load(files))
    assert.equal("nine/c", load(files, {}))
    files[SYSTEM] = nil
    assert.equal("nine/c", load(files, {}))
  end)

  it("does without the system's drop-ins where the user has a file", function()
    local files = { [USER] = to "main", [SYSTEM .. ".d/1.conf"] = to "system", ["/x"] = to "named" }
    assert.equal("main/c", load(files))
    files[USER .. ".d/1.conf"] = to "own"
    assert.equal("own/c", load(files))
    assert.equal("system/c", load(files, { CONTAINERS_REGISTRIES_CONF = "/x" }))
  end)

  it("fails with the file that is wrong", function()
    assert.equal("/etc/containers/registries.conf: line 1: a registry has neither prefix nor location",
      load { [SYSTEM] = "[[registry]]" })
    assert.equal("/h/.config/containers/registries.conf: line 2: '=' is expected after the key 'x', not the end",
      load { [USER] = "\nx", [SYSTEM] = "" })
    assert.equal("/etc/containers/registries.conf.d/1.conf: line 1: a key is expected, not '?'",
      load { [SYSTEM .. ".d/1.conf"] = "?" })
    assert.equal("/h/.config/containers/registries.conf.d/1.conf: line 1: a key is expected, not '?'",
      load { [USER .. ".d/1.conf"] = "?" })
    assert.equal("$CONTAINERS_REGISTRIES_CONF names /x, which is not there", load({}, { CONTAINERS_REGISTRIES_CONF = "/x" }))
    assert.equal("/x: line 1: a key is expected, not '?'", load({ ["/x"] = "?" }, { CONTAINERS_REGISTRIES_CONF = "/x" }))
    assert.equal("open /x: Permission denied", load({ ["/x"] = false }, { CONTAINERS_REGISTRIES_CONF = "/x" }))
    assert.equal("open /etc/containers/registries.conf: Permission denied", load { [SYSTEM] = false })
    assert.equal("open /h/.config/containers/registries.conf: Permission denied", load { [USER] = false, [SYSTEM] = "" })
  end)
end)
