package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"
local banger = require "banger"
local certs = require "banger.certs"

-- `dirs`: names by directory; false where it may not be read
local function find(domain, dirs, home)
  return certs.find(domain, {
    getenv = function(name)
      return name == "HOME" and home or nil
    end,
    list = function(path)
      if dirs[path] == false then
        banger.error("io", "read directory " .. path .. ": Permission denied")
      end
      return dirs[path]
    end,
  })
end

describe("certificates of a registry", function()
  it("are there or not", function()
    assert.same({ ca = {} }, find("a.b", {}, "/h"))
    assert.same({ ca = {} }, find("a.b", { ["/etc/docker/certs.d/a.b:5000"] = { "ca.crt" }, ["/etc/docker/certs.d/b"] = { "ca.crt" } }))
    assert.same({ ca = {} }, find("a.b", { ["/etc/docker/certs.d/a.b"] = {} }))
  end)

  it("are found by their endings", function()
    assert.same({
      ca = { "/etc/docker/certs.d/a.b:5000/.crt", "/etc/docker/certs.d/a.b:5000/a.crt", "/etc/docker/certs.d/a.b:5000/b.x.crt" },
      cert = "/etc/docker/certs.d/a.b:5000/client.x.cert",
      key = "/etc/docker/certs.d/a.b:5000/client.x.key",
    }, find("a.b:5000", { ["/etc/docker/certs.d/a.b:5000"] = {
      ".crt", "README", "a.crt", "a.crt.old", "a.pem", "b.x.crt", "cert", "client.x.cert", "client.x.key", "key", "x.CRT",
    } }))
  end)

  it("are the first pair's, by name", function()
    local found = find("a.b", { ["/etc/containers/certs.d/a.b"] = { "a.cert", "a.key", "b.cert", "b.key" } })
    assert.same({ {}, "/etc/containers/certs.d/a.b/a.cert", "/etc/containers/certs.d/a.b/a.key" }, { found.ca, found.cert, found.key })
  end)

  it("come from the first directory that there is", function()
    local dirs = {
      ["/h/.config/containers/certs.d/a.b"] = { "user.crt" },
      ["/etc/containers/certs.d/a.b"] = { "containers.crt" },
      ["/etc/docker/certs.d/a.b"] = { "docker.crt" },
    }
    local function first(home)
      return (find("a.b", dirs, home).ca[1] or "none"):match "[^/]*$"
    end
    assert.equal("user.crt", first "/h")
    assert.equal("containers.crt", first())
    assert.equal("containers.crt", first "")
    dirs["/h/.config/containers/certs.d/a.b"] = {}
    assert.equal("none", first "/h")
    dirs["/h/.config/containers/certs.d/a.b"] = false
    assert.equal("containers.crt", first "/h")
    dirs["/etc/containers/certs.d/a.b"] = nil
    assert.equal("docker.crt", first "/h")
  end)

  it("are refused where half of a pair is missing", function()
    local function refused(names, why)
      assert.same({ nil, why }, { find("a.b", { ["/etc/docker/certs.d/a.b"] = names }) })
    end
    refused({ "ca.crt", "x.cert" },
      "/etc/docker/certs.d/a.b/x.cert has no key: x.key is missing beside it (CA certificates end in .crt)")
    refused({ "a.cert", "a.key", "x.cert" },
      "/etc/docker/certs.d/a.b/x.cert has no key: x.key is missing beside it (CA certificates end in .crt)")
    refused({ "x.crt", "x.key" }, "/etc/docker/certs.d/a.b/x.key has no certificate: x.cert is missing beside it")
    refused({ "x.cert", "y.key" },
      "/etc/docker/certs.d/a.b/x.cert has no key: x.key is missing beside it (CA certificates end in .crt)")
  end)

  it("are looked for nowhere else", function()
    for _, domain in ipairs { "", ".", "..", "../a", "a/b", "/etc" } do
      assert.same({ nil, ("'%s' is no registry's host name"):format(domain) }, { find(domain, {}) })
    end
  end)

  it("let all other errors through", function()
    assert.error_matches(function()
      certs.find("a.b", { getenv = os.getenv, list = function() banger.error("interrupted", "interrupted") end })
    end, "interrupted")
  end)
end)

describe("listing a directory", function()
  local list = banger.host.list
  local scratch

  setup(function()
    scratch = sh.scratch()
  end)
  teardown(function()
    scratch:remove()
  end)

  it("gives all names, sorted by their bytes", function()
    scratch:mkdir "some"
    for _, name in ipairs { "b", "a", "B", ".hidden", "10", "9", "...", "\255", "a b\n" } do
      sh.write_file(scratch:path("some/" .. name), "")
    end
    scratch:mkdir "some/dir"
    assert.same({ "...", ".hidden", "10", "9", "B", "a", "a b\n", "b", "dir", "\255" }, list(scratch:path "some"))
  end)

  it("may give none", function()
    scratch:mkdir "empty"
    assert.same({}, list(scratch:path "empty"))
  end)

  it("gives nil where there is no directory", function()
    sh.write_file(scratch:path "file", "")
    assert.is_nil(list(scratch:path "nosuch"))
    assert.is_nil(list(scratch:path "file"))
    assert.is_nil(list(scratch:path "file/x"))
    assert.is_nil(list "")
  end)

  it("fails where it may not be read", function()
    scratch:mkdir "loop"
    sh.check(("ln -s a %s && ln -s b %s"):format(sh.quote(scratch:path "loop/b"), sh.quote(scratch:path "loop/a")))
    local ok, err = pcall(list, scratch:path "loop/a")
    assert.is_false(ok)
    assert.same({ "io", "read directory " .. scratch:path "loop/a" .. ": Too many levels of symbolic links" }, { err.code, err.message })
  end)
end)
