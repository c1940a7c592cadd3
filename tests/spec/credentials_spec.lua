package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"
local banger = require "banger"
local credentials = require "banger.credentials"

local HOME_FILE = "/home/u/.docker/config.json"

-- A machine: files by path (a table: { unreadable = message }), the environment and
-- helpers by name, each a function of the server, or a table of answers by server.
local function machine(files, env, helpers)
  local self = { warnings = {}, asked = {} }
  local function run(argv, input)
    table.insert(self.asked, table.concat(argv, " ") .. " < " .. input)
    local helper = (helpers or {})[argv[1]:match "^docker%-credential%-(.*)$"]
    if not helper then
      banger.error("not_found", "there is no program " .. argv[1])
    end
    if type(helper) == "function" then
      return helper(input)
    end
    local answer = helper[input]
    if answer then
      return { status = 0, out = answer, err = "" }
    end
    return { status = 1, out = "credentials not found in native keychain\n", err = "" }
  end
  function self.store(authfile)
    return credentials.new {
      authfile = authfile, run = run,
      getenv = function(name)
        return (env or { HOME = "/home/u" })[name]
      end,
      read_file = function(path)
        local file = files[path]
        if type(file) == "table" then
          return nil, file.unreadable
        end
        return file
      end,
      warn = function(message)
        table.insert(self.warnings, message)
      end,
    }
  end
  return self
end

-- What one file, docker's own, has for a reference.
local function find(text, domain, path, helpers)
  local on = machine({ [HOME_FILE] = text }, nil, helpers)
  local found, message = on.store():find(domain or "a.b", path or "c/d")
  assert.is_nil(message)
  return found, on
end

local function user(name, password)
  return { username = name, password = password }
end

-- base64 by hand: u:p is dTpw
describe("an entry of auths", function()
  local function entry(text)
    return (find('{"auths":{"a.b":' .. text .. "}}"))
  end

  it("has base64 of user and password", function()
    for auth, expected in pairs {
      ["dTpw"] = user("u", "p"),
      ["dXNlcjpwYXNzd29yZA=="] = user("user", "password"),
      ["dXNlcjpwYXNzd29yZA"] = user("user", "password"),
      ["dXNlcjpw\\nYXNzd29yZA==\\n"] = user("user", "password"),
      ["dTpwOnE6cg=="] = user("u", "p:q:r"),
      ["dTo="] = user("u", ""),
      ["OnA="] = user("", "p"),
      ["dTpwAAA="] = user("u", "p"),
      ["dTpwAHEA"] = user("u", "p\0q"),
      ["dTr/+/8="] = user("u", "\255\251\255"),
    } do
      assert.same(expected, entry(('{"auth":"%s"}'):format(auth)))
    end
  end)

  it("has fields of their own", function()
    assert.same(user("u", "p"), entry '{"username":"u","password":"p"}')
    assert.same(user("u", ""), entry '{"username":"u"}')
    assert.same(user("u", "p"), entry '{"auth":"dTpw","username":"x","password":"y"}')
  end)

  it("has an identity token", function()
    assert.same({ identity_token = "t" }, entry '{"identitytoken":"t"}')
    assert.same({ identity_token = "t" }, entry '{"auth":"dTpw","identitytoken":"t"}')
    assert.same(user("u", "p"), entry '{"auth":"dTpw","identitytoken":""}')
  end)

  it("says nothing when it is empty", function()
    for _, text in ipairs { "{}", '{"auth":""}', '{"email":"a@b"}', '{"password":"p"}', '{"auth":"Og=="}', '{"auth":null}' } do
      assert.is_nil(entry(text))
    end
  end)

  it("that is malformed is passed over with a warning, without what is in it", function()
    local function passed_over(text, why)
      local found, on = find('{"auths":{"a.b":' .. text .. "}}")
      assert.is_nil(found)
      assert.same({ HOME_FILE .. " is malformed: the entry for a.b" .. why .. "; it is passed over" }, on.warnings)
    end
    for _, auth in ipairs { "c2VjcmV0", "c2Vjc*V0", "x", "=", "dTpw=x", "dTpw====", "c2VjcmV0OnA_" } do
      passed_over(('{"auth":"%s"}'):format(auth), ": its auth is not base64 of a user name, ':' and a password")
    end
    passed_over('"dTpw"', " is no object")
    passed_over("7", " is no object")
  end)
end)

describe("the key of an entry", function()
  local function matches(key, domain, path)
    local found = find(('{"auths":{"%s":{"auth":"dTpw"}}}'):format(key), domain, path)
    return found ~= nil
  end

  it("may be a registry, or an URL of it", function()
    for _, key in ipairs { "a.b", "https://a.b", "http://a.b", "https://a.b/", "https://a.b/v1/", "https://a.b/v2/", "a.b/v1/",
      "a.b/v2/", "a.b/", "https://a.b/x/y" } do
      assert.is_true(matches(key, "a.b", "c/d"), key)
    end
    assert.is_true(matches("a.b:5000", "a.b:5000", "c"))
    assert.is_true(matches("https://localhost:5000/v2/", "localhost:5000", "c"))
  end)

  it("may be a repository, or a part of its path", function()
    for _, key in ipairs { "a.b/c", "a.b/c/d", "a.b/c/d/e" } do
      assert.is_true(matches(key, "a.b", "c/d/e"), key)
    end
  end)

  it("is no other registry's or repository's", function()
    for _, key in ipairs { "a.bc", "x.a.b", "a.b:5000", "a", "a.b/c/d/e/f", "a.b/c/x", "a.b/c/", "A.B", "ftp://a.b",
      "a.b/c/d:1", "https://u@a.b", "https://a.b:5000/", "a.b/v3/", "" } do
      assert.is_false(matches(key, "a.b", "c/d/e"), key)
    end
    assert.is_false(matches("a.b", "a.b:5000", "c"))
  end)

  it("may be any of Docker Hub's names", function()
    for _, key in ipairs { "docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", "https://docker.io",
      "https://index.docker.io/v2/", "index.docker.io/v1/", "https://registry-1.docker.io/v2/", "docker.io/library",
      "docker.io/library/nginx" } do
      assert.is_true(matches(key, "docker.io", "library/nginx"), key)
    end
    for _, key in ipairs { "hub.docker.com", "docker.com", "docker.io/nginx", "index.docker.io/library", "library/nginx" } do
      assert.is_false(matches(key, "docker.io", "library/nginx"), key)
    end
    assert.is_false(matches("https://index.docker.io/v1/", "a.b", "c"))
  end)

  it("counts the more the more it says", function()
    local text = [[{"auths":{
      "a.b":{"username":"host"}, "https://a.b/v2/":{"username":"url"}, "a.b/c":{"username":"part"}, "a.b/c/d":{"username":"all"},
      "docker.io":{}, "index.docker.io":{"username":"index"}, "https://index.docker.io/v1/":{"username":"hub"},
      "http://x":{"username":"second"}, "https://x":{"username":"third"}, "http://x/":{}}}]]
    for ref, name in pairs {
      ["a.b c/d"] = "all", ["a.b c/d/e"] = "all", ["a.b c/e"] = "part", ["a.b c"] = "part", ["a.b d"] = "host",
      ["docker.io library/x"] = "hub", ["x y"] = "second",
    } do
      assert.equal(name, find(text, ref:match "^(%S+) (%S+)$").username, ref)
    end
  end)
end)

describe("the files", function()
  local env = {
    HOME = "/h", REGISTRY_AUTH_FILE = "/reg", DOCKER_CONFIG = "/docker", XDG_RUNTIME_DIR = "/run/u", XDG_CONFIG_HOME = "/conf",
  }
  local order = {
    "/opt", "/reg", "/docker/config.json", "/run/u/containers/auth.json", "/conf/containers/auth.json", "/h/.docker/config.json",
  }
  local function all(text)
    local files = {}
    for _, path in ipairs(order) do
      files[path] = (text:gsub("PATH", path))
    end
    return files
  end

  it("are asked in order, past those without a match", function()
    local files = all '{"auths":{"a.b":{"username":"PATH"}}}'
    for i, path in ipairs(order) do
      assert.equal(path, machine(files, env).store("/opt"):find("a.b", "c").username)
      files[path] = i % 2 == 0 and "{}" or '{"auths":{"x.y":{"auth":"dTpw"}}}'
    end
    local store = machine(files, env).store("/opt")
    assert.same({ nil, nil }, { store:find("a.b", "c") })
    local tried = {}
    for i, path in ipairs(order) do
      tried[i] = { path = path, why = "nothing for a.b" }
    end
    assert.same(tried, store:tried())
  end)

  it("are where the environment says, each once", function()
    local function tried(variables, authfile)
      local on = machine({ ["/x"] = "{}" }, variables)
      local store = on.store(authfile)
      local found, message = store:find("a.b", "c")
      assert.same({ nil, nil, {} }, { found, message, on.warnings })
      local list = {}
      for i, item in ipairs(store:tried "a.b") do
        list[i] = ("%s %s"):format(item.path, item.why)
      end
      return list
    end
    assert.same({ "/h/.config/containers/auth.json not there", "/h/.docker/config.json not there" }, tried { HOME = "/h" })
    assert.same({}, tried {})
    assert.same({}, tried { HOME = "", DOCKER_CONFIG = "", XDG_RUNTIME_DIR = "", XDG_CONFIG_HOME = "", REGISTRY_AUTH_FILE = "" })
    assert.same({ "/h/.docker/config.json not there", "/c/containers/auth.json not there" },
      tried { HOME = "/h", DOCKER_CONFIG = "/h/.docker", XDG_CONFIG_HOME = "/c" })
    assert.same({ "/x nothing for a.b" }, tried({ REGISTRY_AUTH_FILE = "/x" }, "/x"))
  end)

  it("that the user named have to be there, and well-formed", function()
    local function fails(files, variables, authfile, why)
      local on = machine(files, variables)
      assert.same({ nil, why }, { on.store(authfile):find("a.b", "c") })
      assert.same({}, on.warnings)
    end
    fails({}, {}, "/x", "--authfile names /x, which is not there")
    fails({}, { REGISTRY_AUTH_FILE = "/x" }, nil, "$REGISTRY_AUTH_FILE names /x, which is not there")
    fails({ ["/x"] = "{}" }, { REGISTRY_AUTH_FILE = "/y" }, "/x", "$REGISTRY_AUTH_FILE names /y, which is not there")
    fails({ ["/x"] = "secret" }, {}, "/x", "/x is not JSON: Expected value but found invalid token at character 1")
    fails({ ["/x"] = '"secret"' }, {}, "/x", "/x is not a JSON object")
    fails({ ["/x"] = '{"auths":"secret"}' }, {}, "/x", "/x is malformed: auths is no object")
    fails({ ["/x"] = '{"credHelpers":true}' }, {}, "/x", "/x is malformed: credHelpers is no object")
    fails({ ["/x"] = '{"auths":{"a.b":{"auth":"c2VjcmV0"}}}' }, {}, "/x",
      "/x is malformed: the entry for a.b: its auth is not base64 of a user name, ':' and a password")
    fails({ ["/x"] = { unreadable = "open /x: Permission denied" } }, {}, "/x", "open /x: Permission denied")
  end)

  it("that are found are passed over when they are malformed", function()
    local path = "/h/.config/containers/auth.json"
    for text, why in pairs {
      ["{"] = path .. " is not JSON: Expected object key string but found T_END at character 2",
      ['{"auths":[]}x'] = path .. " is not JSON: Expected the end but found invalid token at character 13",
      ['{"auths":3}'] = path .. " is malformed: auths is no object",
    } do
      local on = machine({ [path] = text, ["/h/.docker/config.json"] = '{"auths":{"a.b":{"auth":"dTpw"}}}' }, { HOME = "/h" })
      local store = on.store()
      assert.same(user("u", "p"), store:find("a.b", "c"))
      assert.same(user("u", "p"), store:find("a.b", "c"))
      assert.same({ why .. "; it is passed over" }, on.warnings)
      assert.same({ { path = path, why = "cannot be used" }, { path = "/h/.docker/config.json", why = "credentials for a.b" } },
        store:tried())
    end
  end)

  it("may be empty", function()
    local on = machine({ ["/dev/null"] = "" }, {})
    assert.same({ nil, nil }, { on.store("/dev/null"):find("a.b", "c") })
    assert.same({}, on.warnings)
  end)
end)

describe("credential helpers", function()
  local PAIR = '{"ServerURL":"a.b","Username":"u","Secret":"p"}'

  it("are asked for the registries that credHelpers names", function()
    local text = '{"credHelpers":{"a.b":"one","x.y:5000":"two"},"auths":{"a.b":{"auth":"eDp5"}}}'
    local found, on = find(text, "a.b", "c", { one = { ["a.b"] = PAIR } })
    assert.same(user("u", "p"), found)
    assert.same({ "docker-credential-one get < a.b" }, on.asked)
    found, on = find(text, "x.y:5000", "c", { two = { ["x.y:5000"] = PAIR } })
    assert.same(user("u", "p"), found)
    assert.same({ "docker-credential-two get < x.y:5000" }, on.asked)
    found, on = find(text, "other", "c")
    assert.is_nil(found)
    assert.same({}, on.asked)
  end)

  it("are asked for all others by credsStore", function()
    local text = '{"credsStore":"all","credHelpers":{"a.b":"one"},"auths":{"x.y":{}}}'
    local found, on = find(text, "x.y", "c", { all = { ["x.y"] = PAIR } })
    assert.same(user("u", "p"), found)
    assert.same({ "docker-credential-all get < x.y" }, on.asked)
    found, on = find(text, "a.b", "c", { all = { ["a.b"] = PAIR }, one = {} })
    assert.is_nil(found)
    assert.same({ "docker-credential-one get < a.b" }, on.asked)
    assert.same({}, on.warnings)
  end)

  it("give identity tokens", function()
    assert.same({ identity_token = "t" },
      find('{"credsStore":"all"}', "a.b", "c", { all = { ["a.b"] = '{"Username":"<token>","Secret":"t"}' } }))
  end)

  it("know Docker Hub by its old address, or its name", function()
    local text = '{"credsStore":"all"}'
    local found, on = find(text, "docker.io", "library/x", { all = { ["https://index.docker.io/v1/"] = PAIR } })
    assert.same(user("u", "p"), found)
    assert.equal(1, #on.asked)
    found, on = find(text, "docker.io", "library/x", { all = { ["docker.io"] = PAIR } })
    assert.same(user("u", "p"), found)
    assert.same({ "docker-credential-all get < https://index.docker.io/v1/", "docker-credential-all get < docker.io" }, on.asked)
    assert.same(user("u", "p"), find('{"credHelpers":{"https://index.docker.io/v1/":"one"}}', "docker.io", "library/x",
      { one = { ["https://index.docker.io/v1/"] = PAIR } }))
  end)

  it("that have nothing leave it to the entries", function()
    local text = '{"credsStore":"all","credHelpers":{"x.y":"all"},"auths":{"a.b":{"auth":"dTpw"},"x.y":{"auth":"dTpw"}}}'
    for _, domain in ipairs { "a.b", "x.y" } do
      for _, helper in ipairs {
        {},
        { [domain] = '{"Username":"","Secret":""}' },
        function() return { status = 1, out = "", err = "Error: Credentials not found in native keychain" } end,
      } do
        local found, on = find(text, domain, "c", { all = helper })
        assert.same(user("u", "p"), found)
        assert.same({}, on.warnings)
      end
    end
  end)

  it("come after an entry for a part of the path, when they are for all", function()
    local text = '{"credsStore":"all","auths":{"a.b/c":{"auth":"eDp5"},"a.b":{"auth":"eDp6"}}}'
    assert.same(user("x", "y"), find(text, "a.b", "c/d", { all = { ["a.b"] = PAIR } }))
    assert.same(user("u", "p"), find(text, "a.b", "e", { all = { ["a.b"] = PAIR } }))
  end)

  it("that are missing or broken warn once, without what they said, and are passed over", function()
    local function broken(helper, why)
      local on = machine({ [HOME_FILE] = '{"credsStore":"all","auths":{"a.b":{"auth":"dTpw"}}}' },
        { DOCKER_CONFIG = "/home/u/.docker" }, { all = helper })
      local store = on.store()
      assert.same(user("u", "p"), store:find("a.b", "c"))
      assert.same({ "the credential helper docker-credential-all gave nothing for a.b: " .. why }, on.warnings)
      assert.same({ { path = "docker-credential-all", why = why .. " for a.b" }, { path = HOME_FILE, why = "credentials for a.b" } },
        store:tried "a.b")
      store:find("a.b", "d")
      assert.equal(1, #on.warnings)
    end
    local function says(out, status)
      return function()
        return { status = status or 0, out = out, err = "secret" }
      end
    end
    broken(nil, "it is not in PATH")
    broken(says("secret", 1), "it failed with status 1")
    broken(says("", 139), "it failed with status 139")
    for _, out in ipairs { "", "secret", "[]", "{}", '{"Username":"u"}', '{"Secret":"secret"}', '{"Username":1,"Secret":"secret"}',
      '{"Username":"u","Secret":{}}', '{"Username":"u","Secret":"secret"' } do
      broken(says(out), "its answer is no JSON object with Username and Secret")
    end
    broken(function() banger.error("io", "docker-credential-all has not ended after 60 seconds") end,
      "docker-credential-all has not ended after 60 seconds")
  end)

  it("are not asked for Docker Hub twice when they are broken", function()
    local _, on = find('{"credsStore":"all"}', "docker.io", "library/x")
    assert.equal(1, #on.asked)
    assert.equal(1, #on.warnings)
  end)

  it("have names that lead nowhere else", function()
    for _, name in ipairs { "../x", "a/b", "/bin/sh", "-x", "a b", "a;b", ".x", "a\\u0000b", "$x" } do
      local found, on = find(('{"credsStore":"%s"}'):format(name))
      assert.is_nil(found)
      assert.same({}, on.asked)
      assert.same({ "a credential helper's name is not made of letters, digits, '_', '.' and '-'; it is passed over" }, on.warnings)
    end
    local found, on = find '{"credHelpers":{"a.b":{}}}'
    assert.is_nil(found)
    assert.equal(1, #on.warnings)
  end)

  it("let an interruption through", function()
    assert.error_matches(function()
      find('{"credsStore":"all"}', "a.b", "c", { all = function() banger.error("interrupted", "interrupted") end })
    end, "interrupted")
    assert.error_matches(function()
      find('{"credsStore":"all"}', "a.b", "c", { all = function() error "a mistake of ours" end })
    end, "a mistake of ours")
  end)
end)

describe("running a program", function()
  local run = banger.host.run

  local function sh_run(script, input, options)
    return run({ "sh", "-c", script }, input, options)
  end

  local function fails(code, message, ...)
    local ok, err = pcall(run, ...)
    assert.is_false(ok)
    assert.is_true(banger.is_error(err), tostring(err))
    assert.same({ code, message }, { err.code, err.message })
  end

  it("gives what it says, apart", function()
    assert.same({ status = 0, out = "a\0b\n", err = "c\n" }, sh_run [[printf 'a\0b\n'; echo c >&2]])
    assert.same({ status = 0, out = "", err = "" }, run { "true" })
    assert.same({ status = 3, out = "x", err = "" }, sh_run "printf x; exit 3")
    assert.same({ status = 143, out = "", err = "" }, sh_run "kill -TERM $$")
  end)

  it("feeds it", function()
    assert.same({ status = 0, out = "a\0b", err = "" }, run({ "cat" }, "a\0b"))
    assert.equal("line\n", sh_run("read -r x; echo $x", "line\n").out)
    assert.equal("line\n", sh_run("cat /dev/stdin", "line\n").out)
    local long = ("0123456789abcdef"):rep(60000)
    assert.equal(long, run({ "cat" }, long).out)
  end)

  it("does not mind one that does not read", function()
    assert.same({ status = 0, out = "x", err = "" }, sh_run("exec <&-; printf x", ("y"):rep(4 << 20)))
  end)

  it("takes arguments as they are", function()
    assert.equal("$HOME|a b|*|", run({ "printf", "%s|", "$HOME", "a b", "*" }).out)
  end)

  it("ends what takes too long, and all that it started", function()
    local begun = banger.host.clock()
    fails("io", "sh has not ended after 0.3 seconds", { "sh", "-c", "sleep 600 & sleep 600" }, "", { timeout = 0.3 })
    assert.is_true(banger.host.clock() - begun < 300)
    fails("io", "sh has not ended after 0.3 seconds", { "sh", "-c", "exec >&- 2>&-; sleep 60" }, "", { timeout = 0.3 })
    fails("io", "sh has not ended after 0.3 seconds", { "sh", "-c", "while :; do echo x >&2; done" }, "", { timeout = 0.3 })
  end)

  it("does not wait for what it leaves behind", function()
    local begun = banger.host.clock()
    assert.same({ status = 0, out = "x", err = "" }, sh_run "sleep 100 & printf x")
    assert.is_true(banger.host.clock() - begun < 90)
  end)

  it("refuses more than the limit on stdout; of stderr it keeps the beginning", function()
    assert.equal("12345", run({ "printf", "12345" }, "", { limit = 5 }).out)
    fails("io", "printf printed more than 5 bytes", { "printf", "123456" }, "", { limit = 5 })
    fails("io", "yes printed more than 1048576 bytes", { "yes" })
    assert.same({ status = 0, out = "", err = "12345" }, sh_run("printf 12345678 >&2", "", { limit = 5 }))
  end)

  it("says when there is none", function()
    fails("not_found", "there is no program docker-credential-nosuch", { "docker-credential-nosuch", "get" })
    fails("not_found", "there is no program ./nosuch", { "./nosuch" })
    fails("io", "run /dev/null: Permission denied", { "/dev/null" })
  end)

  it("leaves no process and no descriptor behind", function()
    local function count()
      local fds = #banger.host.list "/proc/self/fd"
      local children = sh.read_file("/proc/self/stat"):match "^(%d+)"
      local zombies = 0
      for _, pid in ipairs(banger.host.list "/proc") do
        local file = pid:find "^%d+$" and io.open("/proc/" .. pid .. "/stat")
        local stat = file and file:read "a" or ""
        if file then
          file:close()
        end
        if stat:match "%) %a (%d+)" == children then
          zombies = zombies + 1
        end
      end
      return { fds, zombies }
    end
    run { "true" }
    local before = count()
    for _ = 1, 20 do
      run({ "cat" }, "x")
      pcall(run, { "nosuch-program" })
      pcall(run, { "sleep", "60" }, "", { timeout = 0.01 })
      pcall(run, { "yes" }, "", { limit = 10 })
    end
    assert.same(before, count())
  end)

  it("keeps our descriptors from it", function()
    local function pipes()
      local list = {}
      for target in run({ "sh", "-c", "for i in /proc/self/fd/*; do readlink $i; done" }).out:gmatch "[^\n]+" do
        list[#list + 1] = target:match "^/memfd" or target:match "^pipe"
      end
      table.sort(list)
      return list
    end
    -- Each is gone with its program; it has its input once, not ours too.
    local before = pipes()
    assert.equal("/memfd", before[1])
    assert.not_equal("/memfd", before[2])
    assert.same(before, pipes())
  end)

  it("works where our own stdin and stdout are closed", function()
    local code = [[
      local got = require "banger".host.run({ "sh", "-c", "cat; echo err >&2" }, "in")
      io.stderr:write(got.out, "|", got.err)]]
    assert.equal("in|err\n", sh.run(("{ %s -e %s <&- 2>&1 >&-; }"):format(sh.quote(sh.banger()), sh.quote(code))))
  end)

  it("stops at a signal, and the program with it", function()
    local scratch <close> = setmetatable({}, { __close = function(self) self.dir:remove() end })
    scratch.dir = sh.scratch()
    local mark = scratch.dir:path "pid"
    local code = ("require 'banger'.host.run { 'sh', '-c', 'echo $$ >%s; exec sleep 60' }"):format(mark)
    local out, status = sh.run(([[
      %s -e %s 2>&1 & pid=$!
      while ! test -s %s; do sleep 0.05; done
      kill -TERM $pid; wait $pid; code=$?
      kill -0 $(cat %s) 2>/dev/null && echo "still there"
      exit $code]]):format(sh.quote(sh.banger()), sh.quote(code), sh.quote(mark), sh.quote(mark)))
    assert.same({ "banger-lua: interrupted\n", 143 }, { out, status })
  end)

  it("works where whoever started us ignores the end of programs", function()
    local code = [[
      local host = require "banger".host
      print(host.run({ "sh", "-c", "sleep 0.1; exit 3" }).status, host.foreground({ "sh", "-c", "sleep 0.1; exit 4" }).status)]]
    assert.equal("3\t4\n", sh.run(("timeout -s KILL 60 env --ignore-signal=CHLD %s -e %s 2>&1"):format(sh.quote(sh.banger()), sh.quote(code))))
  end)

  it("checks its arguments", function()
    for message, args in pairs {
      ["bad argument #1 to 'run' (a program expected)"] = { {} },
      ["bad argument #1 to 'run' (a list of strings expected)"] = { { "true", 1 } },
      ["bad argument #1 to 'run' (a string holds a zero byte)"] = { { "true", "a\0b" } },
      ["bad argument #1 to 'run' (the program's name is empty)"] = { { "" } },
      ["bad argument #3 to 'run' (timeout out of range)"] = { { "true" }, "", { timeout = 0 } },
      ["bad argument #3 to 'run' (limit out of range)"] = { { "true" }, "", { limit = -1 } },
    } do
      assert.has_error(function() run(table.unpack(args)) end, message)
    end
  end)
end)
