-- Image recipes: what they may say, what is said of mistakes, and what they do to files.
package.path = "tests/?.lua;" .. package.path
local applied = require "banger.image_recipe.applied"
local banger = require "banger"
local engine = require "support.engine"
local image_recipe = require "banger.image_recipe"
local sh = require "support.sh"
local tar = require "support.tar"

local scratch

setup(function()
  scratch = sh.scratch()
end)

teardown(function()
  scratch:remove()
end)

local function octal(text)
  return tonumber(text, 8)
end

-- Loads recipes that are given as texts by file name; those of `names` are asked for.
local function load_files(texts, names, options)
  local dir = scratch:fresh()
  sh.check("mkdir " .. sh.quote(dir))
  for name, text in pairs(texts) do
    if name:find "/" then
      sh.check("mkdir -p " .. sh.quote(dir .. "/" .. name:match "^(.*)/"))
    end
    sh.write_file(dir .. "/" .. name, text)
  end
  local paths = {}
  for i, name in ipairs(names) do
    paths[i] = dir .. "/" .. name
  end
  local all = { names = paths, only_named = true, globals = { banger = banger } }
  for name, value in pairs(options or {}) do
    all[name] = value
  end
  return image_recipe.load("oci:layout", all), dir
end

local function load_text(text, variables)
  return load_files({ ["r.lua"] = text }, { "r.lua" }, { variables = variables })
end

-- What is raised, with the folder of the recipe left out.
local function problem_of(act, ...)
  local ok, problem = pcall(act, ...)
  assert(not ok, "nothing was raised")
  assert(banger.is_error(problem), tostring(problem))
  return (problem.message:gsub("[^ ']*/%d+/", "")), problem.code
end

-- ---- mistakes ---------------------------------------------------------------------------

-- Each is a recipe, the line, and what is said of it.
local mistakes = {
  { "size = '4G'\nhostnme = 'x'", 2, "unknown key 'hostnme'; did you mean 'hostname'?" },
  { "\n\nport = 80", 3, "unknown key 'port'; a name of your own is 'local port'" },
  { "free = nonsense", 1, "'nonsense' is not defined" },
  { "free = siz", 1, "'siz' is not defined; did you mean 'size'?" },
  { "size = '4Q'", 1, "size: '4Q' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected" },
  { "size = true", 1, "size: a size such as '4G' expected, not a boolean" },
  { "size = 1.5", 1, "size: a size such as '4G' expected, not a number" },
  { "size = 0", 1, "size: '0' is no size: more than 0 expected" },
  { "size = '3T'", 1, "size: '3T' is more than the 2 TiB an image can have" },
  { "free = 'min'", 1, "free: 'min' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected" },
  { "size = '1G'\nfree = '1G'\nhostname = 'x'", 2, "free: size and free exclude each other" },
  { "label = '12345678901234567'", 1, "label: a label of at most 16 bytes expected, not '12345678901234567'" },
  { "platform = 'amd64'", 1, "platform: 'amd64' is no platform: os/architecture[/variant] expected, such as linux/amd64" },
  { "platform = 3", 1, "platform: a platform such as 'linux/arm64' expected, not a number" },
  { "init = 'sysv'", 1, "init: 'auto', 'native', 'banger', 'none' or a path in the image expected, not 'sysv'" },
  { "label = 'a\\0b'", 1, "label: a label of at most 16 bytes expected, not 'a\\x00b'" },
  { "label = 'a\\0\\u{9B}\\xffé'", 1, "label: a label of at most 16 bytes expected, not 'a\\x00\\xc2\\x9b\\xffé'" },
  { "hostname = ('x'):rep(1000)", 1, "hostname: a host name of letters, digits, '-' and '.' expected, not '" .. ("x"):rep(200) .. "...'" },
  { "hostname = '-x'", 1, "hostname: a host name of letters, digits, '-' and '.' expected, not '-x'" },
  { "hostname = 7", 1, "hostname: a host name of letters, digits, '-' and '.' expected, not a number" },
  { "cmdline = 'foo=\"a b\"'", 1, "cmdline: 'foo=\"a' is no word for the kernel's command line: printable ASCII without quotes expected" },
  { "cmdline = ('x'):rep(1024)", 1, "cmdline: the words for the kernel's command line have 1025 bytes; at most 1024 are accepted" },
  { "inject = { ['/.banger/argv'] = 'x' }", 1, "inject: /.banger/argv is banger-init's; what it is told can be changed in after_plan" },
  { "inject['/.banger'] = { symlink = '/x' }", 1, "inject: /.banger is banger-init's; what it is told can be changed in after_plan" },
  { "cmdline = { 'quiet' }", 1, "cmdline: words for the kernel's command line expected, not a table" },
  { "command = 'nginx -g x'", 1, "command: a list of words such as { 'rm', '/x' } expected, not 'nginx -g x'" },
  { "command = {}", 1, "command: a list of words is empty" },
  { "command = { 'a', nil, 'b' }", 1, "command: a list expected, without holes" },
  { "workdir = 'srv'", 1, "workdir: a path in the image, from / on, expected, not 'srv'" },
  { "stop_timeout = '10'", 1, "stop_timeout: a number from 0 to 86400 expected, not '10'" },
  { "stop_timeout = -1", 1, "stop_timeout: a number from 0 to 86400 expected, not -1" },
  { "environment = { 'A=b' }", 1, "environment: the name of a variable expected, not a number" },
  { "environment = {\n  A = 'b',\n  DEBUG = true,\n}", 3, "environment: DEBUG: a text or a whole number expected, not a boolean" },
  { "environment.A = 1.5", 1, "environment: A: a text or a whole number expected, not a number" },
  { "environment = { ['A B'] = 1 }", 1, "environment: the name of a variable expected, not 'A B'" },
  { "agent = { prt = 1 }", 1, "agent: true, false or { port = N } expected, not a table" },
  { "overlay = '/mnt'", 1, "overlay: 'tmpfs' or a disk such as '/dev/vdb' or 'LABEL=data' expected, not '/mnt'" },
  { "autologin = 'yes'", 1, "autologin: true or false expected, not 'yes'" },
  { "guest = { hots = false }", 1, "guest: there is no item 'hots' to inject; did you mean 'hosts'?" },
  { "guest = { hosts = 'no' }", 1, "guest: hosts: true or false expected, not 'no'" },
  { "users = { name = 'dev' }", 1, "users: a list expected, not a table with 'name': { { name = ... } } is a list of one" },
  { "users = { { uid = 1 } }", 1, "users: name is missing" },
  { "users = {\n  { name = 'a' },\n  { name = 'b', shel = '/bin/sh' },\n}", 3, "users: unknown key 'shel'; did you mean 'shell'?" },
  { "users = {\n  { name = 'a',\n    uid = '1000' },\n}", 3, "users: uid: a number from 0 to 4294967294 expected, not '1000'" },
  { "users = { { name = 'a:b' } }", 1, "users: name: a user's name expected, not 'a:b'" },
  { "users = { { name = 'a', home = '/x:y' } }", 1, "users: home: a path from / on, without ':', expected, not '/x:y'" },
  { "users = { { name = 'a', shell = '/x\\n' } }", 1, "users: shell: a path from / on, without ':', expected, not '/x\\x0a'" },
  { "users = { { name = 'a', home = 'x' } }", 1, "users: home: a path from / on, without ':', expected, not 'x'" },
  { "users = { { name = 'a', groups = { 'b', 7 } } }", 1, "users: groups: a group's name expected, not a number" },
  { "users = { { name = 'a', password = 'a:b' } }", 1,
    "users: password: a password's hash, as `openssl passwd -6` prints it, or '' for none, expected, not 'a:b'" },
  { "inject = { 'x' }", 1, "inject: a path in the image, from / on, expected, not a number" },
  { "inject['etc/x'] = 'x'", 1, "inject: a path in the image, from / on, expected, not 'etc/x'" },
  { "inject['/x'] = 7", 1, "inject: /x: a table expected, not a number" },
  { "inject = {\n  ['/a'] = { content = 'x',\n    mod = '0644' },\n}", 3, "inject: /a: unknown key 'mod'; did you mean 'mode'?" },
  { "inject['/x'] = { mode = 0644 }", 1, "inject: /x: mode: a mode such as '0644' expected, not the number 644: Lua reads 0644 as 644" },
  { "inject['/x'] = { mode = '888' }", 1, "inject: /x: mode: a mode such as '0644' expected, not '888'" },
  { "inject['/x'] = { mode = '10644' }", 1, "inject: /x: mode: a mode such as '0644' expected, not '10644'" },
  { "inject['/x'] = { content = 'x', owner = 1000 }", 1,
    "inject: /x: owner: an owner such as '1000:1000' or 'www-data' expected, not a number" },
  { "inject['/x'] = { content = 'x', owner = 'a b' }", 1,
    "inject: /x: owner: an owner such as '1000:1000' or 'www-data' expected, not 'a b'" },
  { "inject['/x'] = { content = 'x', file = 'y' }", 1, "inject: /x: content and file exclude each other" },
  { "inject['/x'] = { file = 'y', modes = {} }", 1, "inject: /x: modes and owners go with dir" },
  { "inject['/x'] = { symlink = 'y', mode = '0644' }", 1, "inject: /x: a link has no mode" },
  { "inject['/x'] = { symlink = '' }", 1, "inject: /x: symlink: a link's target expected, not ''" },
  { "inject['/x'] = 'x'\ninject['/x'].mode = '0600'", 2, "inject: what is in it can be replaced as a whole, not changed" },
  { "remove = { '/a', 'b' }", 1, "remove: a path in the image, from / on, expected, not 'b'" },
  { "remove = { '/a' }\nremove[3] = '/b'", 2, "remove is a list of 1: it has no '3'" },
  { "remove = { '/a', '/b' }\nremove[1] = nil", 2, "remove is a list: table.remove leaves no hole in it" },
  { "inject['/x'] = 'x'\nfor _, entry in pairs(inject) do\n entry.mode = '0600'\nend", 3,
    "inject: what is in it can be replaced as a whole, not changed" },
  { "users = { { name = 'a', groups = { 'b' } } }\nusers[1].groups[1] = 'x y'", 2,
    "users: what is in it can be replaced as a whole, not changed" },
  { "remove.x = '/b'", 1, "remove is a list of 0: it has no 'x'" },
  { "enable = { 'ssh.service', 'a b' }", 1, "enable: the name of a systemd unit expected, not 'a b'" },
  { "mask = '../x'", 1, "mask: the name of a systemd unit expected, not '../x'" },
  { "debugfs = { 'rm /x' }", 1, "debugfs: a list of words such as { 'rm', '/x' } expected, not 'rm /x'" },
  { "debugfs = { { 'rm', '' } }", 1, "debugfs: a debugfs command's word expected, not ''" },
  { "after_flatten = 'x'", 1, "after_flatten: a function expected, not 'x'" },
  { "function after_flaten() end", 1, "unknown key 'after_flaten'; did you mean 'after_flatten'?" },
  { "local x = var()", 1, "var: a name of letters, digits and '_' expected first" },
  { "local x = var('x')", 1, "var 'x': a default is missing: a text, a number, true or false" },
  { "local x = var('x', 1, 2)", 1, "var 'x': the third is its help, a text" },
  { "local x = var('x', 1)\nlocal y = var('x', 2)", 2, "var 'x' is declared twice" },
  { "use = 'nosuch.lua'", 1, "use: nosuch.lua: there is no such recipe" },
  { "use = './r.lua'", 1, "use: './r.lua' uses this recipe itself" },
  { "size = \n'4G\n'", 2, "unfinished string near ''4G'" },
  { "size = = 1", 1, "unexpected symbol near '='" },
  { "local x\nx.y = 1", 2, "attempt to index a nil value (local 'x')" },
  { "\nerror 'no good'", 2, "no good" },
  { "\nerror { 'no good' }", 2, "an error that is a table was raised; a text expected" },
  { "local s = ('x'):rep(-1) .. nil", 1, "attempt to concatenate a nil value" },
}

describe("a mistake", function()
  for _, case in ipairs(mistakes) do
    it("of its line: " .. case[3], function()
      local message, code = problem_of(function()
        load_text(case[1]):settings()
      end)
      local wanted = ("r.lua:%d: %s"):format(case[2], case[3])
      if case[3]:find "^use: nosuch" then
        code = "usage"
      end
      assert.same({ wanted, "usage" }, { message, code })
    end)
  end

  it("in a recipe with a long path names the whole of it", function()
    local name = ("a"):rep(100) .. ".lua"
    assert.equal(name .. ":1: unexpected symbol near '='", (problem_of(load_files, { [name] = "size = = 1" }, { name })))
    assert.equal(name .. ":1: oh", (problem_of(load_files, { [name] = "error 'oh'" }, { name })))
  end)

  it("of a recipe that is used names that one", function()
    local message = problem_of(load_files, { ["a.lua"] = "use = 'b.lua'", ["b.lua"] = "\nsise = 1" }, { "a.lua" })
    assert.equal("b.lua:2: unknown key 'sise'; did you mean 'size'?", message)
  end)

  it("is bytecode, a folder, or a file that is too large", function()
    assert.equal("r.lua: attempt to load a binary chunk (mode is 't')", (problem_of(load_text, string.dump(load "size = 1"))))
    assert.equal("read d.lua: Is a directory", (problem_of(load_files, { ["d.lua/x"] = "" }, { "d.lua" })))
    assert.equal("r.lua is larger than 1048576 bytes", (problem_of(load_text, (" "):rep(1024 * 1024 + 1))))
  end)

  it("is a name that nobody has", function()
    local function load_named(name)
      return problem_of(image_recipe.load, "oci:layout", { names = { name }, only_named = true })
    end
    local message, code = load_named "nosuch-recipe"
    assert.matches("^no image recipe is named 'nosuch%-recipe' %(known: .*; a file is given with its path or %.lua%)$", message)
    assert.equal("not_found", code)
    assert.same({ "./nosuch: there is no such recipe", "not_found" }, { load_named "./nosuch" })
  end)
end)

-- ---- what recipes say together ------------------------------------------------------------

describe("the settings", function()
  it("are what is said", function()
    local settings = load_text([[
      size = "4G" label = "root" platform = "linux/arm64" init = "banger" hostname = "web"
      command = { "/a b", "" } user = "web" workdir = "/srv" stop_signal = "SIGINT" stop_timeout = 3
      environment = { B = 2, ["a.b"] = "x=y" } environment.C = ""
      cmdline = " quiet  ro" agent = { port = 99 } overlay = "tmpfs" autologin = true guest = { fstab = false }
      debugfs = { { "rm", "/x y" } }
    ]]):settings()
    assert.same({
      size = 4294967296, label = "root", platform = "linux/arm64", init = "banger", hostname = "web",
      command = { "/a b", "" }, user = "web", workdir = "/srv", stop_signal = "SIGINT", stop_timeout = 3,
      environment = { "B=2", "C=", "a.b=x=y" }, cmdline = { "quiet", "ro" }, agent = { port = 99 }, overlay = "tmpfs",
      autologin = true, items = { fstab = false }, debugfs = { { "rm", "/x y" } },
      by = {
        init = "r", hostname = "r", command = "r", user = "r", workdir = "r", stop_signal = "r", stop_timeout = "r", environment = "r",
        agent = "r", overlay = "r", autologin = "r",
      },
    }, settings)
  end)

  it("of two recipes are the later's, and lists add up", function()
    local recipes = load_files({
      ["a.lua"] = "size = '4G' hostname = 'a' label = 'a' cmdline = 'x' environment = { A = 1, B = 1 } guest = { hosts = false }",
      ["b.lua"] = "free = '1M' hostname = 'b' cmdline = 'y' environment = { B = 2 } guest = { hosts = true } agent = false",
    }, { "a.lua", "b.lua" })
    assert.same({
      free = 1048576, hostname = "b", label = "a", cmdline = { "x", "y" }, environment = { "A=1", "B=2" }, items = { hosts = true },
      agent = false, debugfs = {}, by = { hostname = "b", environment = "a, b", agent = "b" },
    }, recipes:settings())
    local sized = load_files({ ["a.lua"] = "free = '4G'", ["b.lua"] = "size = 'min'" }, { "a.lua", "b.lua" }):settings()
    assert.same({ size = "min", environment = {}, items = {}, cmdline = {}, debugfs = {}, by = {} }, sized)
  end)

  it("go without what is taken back", function()
    local recipes = load_text [[
      size = "4G" size = nil
      environment = { A = 1, B = 2 } environment.A = nil
      inject = { ["/x"] = "x", ["/y"] = "y" } inject["/x"] = nil
      remove = { "/a" } remove = nil
    ]]
    assert.same({ environment = { "B=2" }, items = {}, cmdline = {}, debugfs = {}, by = { environment = "r" } }, recipes:settings())
    assert.same({ environment = { B = "2" }, inject = { ["/y"] = { content = "y" } } }, recipes.list[1].values)
  end)

  it("can be read where they are written", function()
    load_text [[
      assert(size == nil) size = "1K" assert(size == 1024)
      inject["/x"] = { content = "x", mode = "0600" }
      assert(inject["/x"].mode == "0600" and inject["/y"] == nil)
      inject["/y"] = inject["/x"] inject = inject
      table.insert(remove, "/a") remove[#remove + 1] = "/b" remove[2] = "/c"
      assert(#remove == 2 and table.concat(remove, " ") == "/a /c")
      users = { { name = "a", groups = "b" } } users[2] = users[1]
      assert(#users == 2 and users[2].groups[1] == "b")
      inject["/a"] = "" inject["/0"] = "" inject["/z"] = ""
      local names = {} for path in pairs(inject) do names[#names + 1] = path end
      assert(table.concat(names, " ") == "/0 /a /x /y /z")
      table.insert(remove, 1, "/0") table.remove(remove, 2) remove[#remove] = nil table.insert(remove, "/1") table.sort(remove)
      assert(table.concat(remove, " ") == "/0 /1")
    ]]
  end)

  it("are put into a config, and the image's own stays", function()
    local own = { created = "x", config = { Entrypoint = { "/e" }, Cmd = { "c" }, User = "u", WorkingDir = "/w", Env = { "A=b" } } }
    local changed = image_recipe.config(own, { command = { "/new" }, user = "web", stop_signal = "SIGINT", stop_timeout = 5 })
    assert.same({
      created = "x",
      config = { Entrypoint = { "/new" }, User = "web", WorkingDir = "/w", Env = { "A=b" }, StopSignal = "SIGINT", StopTimeout = 5 },
    }, changed)
    assert.same({ "/e" }, own.config.Entrypoint)
    assert.same({ "c" }, own.config.Cmd)
    assert.same({ Entrypoint = { "/e" }, Cmd = { "c" } }, image_recipe.config({ config = { Entrypoint = { "/e" }, Cmd = { "c" } } }, {}).config)
  end)
end)

describe("variables", function()
  it("have a default, and take the kind of it", function()
    local text = [[
      hostname = var("host", "h") stop_timeout = var("n", 5, "Seconds.") autologin = var("on", false)
      free = var("half", 0.5) == 0.25 and "1M" or "2M"
    ]]
    local settings = load_text(text):settings()
    assert.same({ "h", 5, false, 2097152 }, { settings.hostname, settings.stop_timeout, settings.autologin, settings.free })
    local recipes = load_text(text, { host = "x", n = "7", on = "yes", half = ".25" })
    settings = recipes:settings()
    assert.same({ "x", 7, true, 1048576 }, { settings.hostname, settings.stop_timeout, settings.autologin, settings.free })
    assert.same({ name = "n", value = 7, default = 5, help = "Seconds.", given = true }, recipes.list[1].variables[2])
  end)

  it("of one name in two recipes are both set", function()
    local recipes = load_files({ ["a.lua"] = "hostname = var('x', 'a')", ["b.lua"] = "label = var('x', 'b')" }, { "a.lua", "b.lua" },
      { variables = { x = "new" } })
    assert.same({ "new", "new" }, { recipes:settings().hostname, recipes:settings().label })
  end)

  local function refused(message, text, variables)
    it("are refused: " .. message, function()
      assert.same({ message, "usage" }, { problem_of(load_text, text, variables) })
    end)
  end
  refused("r.lua:1: -D n=x: a whole number expected", "local n = var('n', 5)", { n = "x" })
  refused("r.lua:1: -D n=1.5: a whole number expected", "local n = var('n', 5)", { n = "1.5" })
  refused("r.lua:1: -D n=: a number expected", "local n = var('n', 5.0)", { n = "" })
  refused("r.lua:1: -D b=maybe: true or false expected", "local b = var('b', true)", { b = "maybe" })
  refused("-D prot: no recipe that applies has such a variable; did you mean 'port'?", "local p = var('port', 5)", { prot = "1" })
  refused("-D x: no recipe that applies has such a variable; known: port", "local p = var('port', 5)", { x = "1" })
  refused("-D x: no recipe that applies has such a variable; the recipes that apply have no variables", "", { x = "1" })
end)

describe("use", function()
  it("puts what is used before, and nothing twice", function()
    local recipes = load_files({
      ["a.lua"] = "use = { 'sub/b.lua', './sub/../c.lua' }", ["sub/b.lua"] = "use = '../c.lua'", ["c.lua"] = "",
    }, { "a.lua", "c.lua", "./sub/b.lua" })
    assert.same({ "c", "b", "a" }, recipes:names())
  end)

  it("does not go in circles, however paths are written", function()
    local message = problem_of(load_files, { ["a.lua"] = "use = 'sub/b.lua'", ["sub/b.lua"] = "\nuse = '../sub/../a.lua'" }, { "a.lua" })
    assert.equal("sub/b.lua:2: use: '../sub/../a.lua' uses this recipe itself", message)
  end)
end)

-- ---- files ----------------------------------------------------------------------------

local BASE = {
  tar.dir "etc/",
  tar.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/false\n"),
  tar.file("etc/group", "root:x:0:\nweb:x:34:\n"),
  tar.file("etc/app.conf", "old", { mode = octal "640", uid = 33, gid = 34, xattrs = { ["user.k"] = "v" } }),
  tar.symlink("etc/motd", "../usr/lib/motd"), tar.symlink("etc/none", "/nowhere"),
  tar.dir("usr/", { mode = octal "750", uid = 5 }), tar.dir "usr/lib/", tar.symlink("lib", "usr/lib"), tar.symlink("out", "../../../usr"),
  tar.file("usr/lib/motd", "hi", { mode = octal "600" }), tar.file "usr/lib/a.so", tar.file "usr/lib/b.so", tar.file "usr/lib/c.txt",
  tar.dir "empty/", tar.char("dev0", 1, 3),
}

-- What a build is told of the image.
local function build_of(recipes)
  return {
    recipes = recipes, settings = recipes:settings(),
    image = { config = { config = { Cmd = { "/bin/app" } }, platform = { os = "linux", architecture = "amd64" } } },
  }
end

-- Puts in what recipes say.
local function put(recipes, ...)
  local rootfs = engine.rootfs(scratch:path "x", ...)
  local done = applied.new(rootfs, function(entries)
    banger.inject(rootfs, entries)
  end)
  recipes:put_files(rootfs, done, build_of(recipes))
  return rootfs, done:entries()
end

local function put_text(text, layer)
  return put(load_text(text), layer or BASE)
end

local function look(rootfs, path)
  local st = rootfs:stat(path)
  if not st then
    return nil
  end
  return ("%s %04o %d:%d%s"):format(st.type, st.mode, st.uid, st.gid,
    st.target and " " .. st.target or st.type == "file" and " " .. rootfs:read(path) or "")
end

local function same(expected, rootfs)
  local found = {}
  for path in pairs(expected) do
    found[path] = look(rootfs, path) or "nothing"
  end
  assert.same(expected, found)
end

describe("inject", function()
  it("puts texts, links and directories in", function()
    local rootfs <close> = put_text [[inject = {
      ["/new/text"] = "t", ["/new/empty"] = "", ["/new/link"] = { symlink = "text" }, ["/new/dir/"] = { owner = "web", mode = "0700" },
      ["/new/own"] = { content = "c", mode = "4755", owner = "1:2" }, ["/new/plain/"] = {},
    }]]
    same({
      ["/new"] = "dir 0755 0:0", ["/new/text"] = "file 0644 0:0 t", ["/new/empty"] = "file 0644 0:0 ", ["/new/link"] = "symlink 0777 0:0 text",
      ["/new/dir"] = "dir 0700 33:34", ["/new/own"] = "file 4755 1:2 c", ["/new/plain"] = "dir 0755 0:0",
    }, rootfs)
  end)

  it("keeps mode and owner of what is there", function()
    local rootfs <close> = put_text [[inject = {
      ["/etc/app.conf"] = "new", ["/usr/"] = { owner = "7" }, ["/usr/lib/motd"] = { content = "x", owner = "web" },
    }]]
    same({ ["/etc/app.conf"] = "file 0640 33:34 new", ["/usr"] = "dir 0750 7:0", ["/usr/lib/motd"] = "file 0600 33:34 x" }, rootfs)
  end)

  it("does not keep the mode of what is of another kind", function()
    local rootfs <close> = put_text [[remove = "/lib" inject = {
      ["/etc/app.conf/"] = {}, ["/lib"] = "x", ["/dev0"] = "x", ["/empty"] = { symlink = "x" },
    }]]
    same({
      ["/etc/app.conf"] = "dir 0755 0:0", ["/lib"] = "file 0644 0:0 x", ["/dev0"] = "file 0644 0:0 x", ["/empty"] = "symlink 0777 0:0 x",
    }, rootfs)
  end)

  it("walks links on the way, inside the image", function()
    local rootfs <close> = put_text [[inject = { ["/lib/new"] = "x", ["/out/new"] = "y", ["/lib/"] = { mode = "0711" } }]]
    same({
      ["/lib"] = "symlink 0777 0:0 usr/lib", ["/usr/lib/new"] = "file 0644 0:0 x", ["/usr/new"] = "file 0644 0:0 y",
      ["/usr/lib"] = "dir 0711 0:0",
    }, rootfs)
  end)

  it("changes what is there where nothing but mode or owner is said", function()
    local rootfs <close> = put_text [[inject = {
      ["/etc/app.conf"] = { mode = "0400" }, ["/empty"] = { owner = "web" }, ["/etc/motd"] = { mode = "0644" }, ["/"] = { mode = "0700" },
    }]]
    same({
      ["/etc/app.conf"] = "file 0400 33:34 old", ["/empty"] = "dir 0755 33:34", ["/usr/lib/motd"] = "file 0644 0:0 hi",
      ["/etc/motd"] = "symlink 0777 0:0 ../usr/lib/motd", ["/"] = "dir 0700 0:0",
    }, rootfs)
    assert.equal("v", rootfs:stat "/etc/app.conf".xattrs["user.k"])
    assert.equal(tar.MTIME, rootfs:stat "/etc/app.conf".mtime)
  end)

  it("appends lines, through links, and keeps the rest", function()
    local rootfs <close> = put_text [[inject = {
      ["/etc/app.conf"] = { append = "more\n" }, ["/etc/motd"] = { append = "there" }, ["/fresh"] = { append = "first\n" },
      ["/etc/none"] = { append = "x" },
    }]]
    same({
      ["/etc/app.conf"] = "file 0640 33:34 old\nmore\n", ["/usr/lib/motd"] = "file 0600 0:0 hi\nthere",
      ["/etc/motd"] = "symlink 0777 0:0 ../usr/lib/motd", ["/fresh"] = "file 0644 0:0 first\n", ["/etc/none"] = "file 0644 0:0 x",
    }, rootfs)
    assert.equal("v", rootfs:stat "/etc/app.conf".xattrs["user.k"])
  end)

  it("appends what several recipes say", function()
    local rootfs <close> = put(load_files({
      ["a.lua"] = [[inject["/x"] = { append = "a" }]], ["b.lua"] = [[inject["/x"] = { append = "b", mode = "0600" }]],
      ["c.lua"] = [[inject["/x"] = { append = "c" }]],
    }, { "a.lua", "b.lua", "c.lua" }), BASE)
    same({ ["/x"] = "file 0600 0:0 a\nb\nc" }, rootfs)
  end)

  local HOSTS = "127.0.0.1\tlocalhost\n127.0.1.1\tvm\n::1\tlocalhost ip6-localhost ip6-loopback\n"

  it("appends to what a guest would get, where the image has nothing", function()
    local rootfs <close>, done = put_text [[hostname = "vm" inject = {
      ["/etc//hosts"] = { append = "10.0.0.2 db\n" }, ["/etc/fstab"] = { append = "/dev/vdb /srv ext4\n", mode = "0600" },
      ["/etc/resolv.conf"] = { append = "nameserver 10.0.0.1\n" },
    }]]
    same({
      ["/etc/hosts"] = "file 0644 0:0 " .. HOSTS .. "10.0.0.2 db\n",
      ["/etc/fstab"] = "file 0600 0:0 # The kernel mounts the root file system, by root= on its command line.\n/dev/vdb /srv ext4\n",
      ["/etc/resolv.conf"] = "file 0644 0:0 # No name server was known when this image was built.\nnameserver 10.0.0.1\n",
    }, rootfs)
    local reasons = {}
    for i, entry in ipairs(done) do
      reasons[i] = ("%s: %s"):format(entry.path, entry.why)
    end
    assert.same({
      "/etc//hosts: asked for, after what the item hosts puts there", "/etc/fstab: asked for, after what the item fstab puts there",
      "/etc/resolv.conf: asked for, after what the item resolv.conf puts there",
    }, reasons)
  end)

  it("appends to what a guest would get once, whoever appends, in an empty file or at a dangling link too", function()
    local rootfs <close> = put(load_files({
      ["a.lua"] = [[inject = { ["/etc/hosts"] = { append = "10.0.0.2 db" }, ["/etc/hostname"] = "vm\n" }
        inject["/etc/resolv.conf"] = { append = "a" }]],
      ["b.lua"] = [[inject["/etc/hosts"] = { append = "10.0.0.3 web\n" }]],
    }, { "a.lua", "b.lua" }), { tar.file("etc/hosts", "", { mode = octal "640", uid = 7 }), tar.symlink("etc/resolv.conf", "/run/nothing") })
    same({
      ["/etc/hosts"] = "file 0640 7:0 " .. HOSTS .. "10.0.0.2 db\n10.0.0.3 web\n",
      ["/etc/resolv.conf"] = "file 0644 0:0 # No name server was known when this image was built.\na",
    }, rootfs)
  end)

  it("appends to nothing where the item is switched off, and to no more than what is there", function()
    local rootfs <close> = put_text([[guest = { hosts = false } inject = {
      ["/etc/hosts"] = { append = "10.0.0.2 db\n" }, ["/etc/fstab"] = { append = "more" }, ["/etc/passwd"] = { append = "a:x:1:1::/:/bin/sh\n" },
    }]], { tar.file("etc/fstab", "# own\n") })
    same({
      ["/etc/hosts"] = "file 0644 0:0 10.0.0.2 db\n", ["/etc/fstab"] = "file 0644 0:0 # own\nmore",
      ["/etc/passwd"] = "file 0644 0:0 a:x:1:1::/:/bin/sh\n",
    }, rootfs)
  end)

  it("appends to what else the recipe puts there", function()
    local recipes = load_files({
      ["r.lua"] = [[inject = { ["/"] = { dir = "over" }, ["/etc/app.conf"] = { append = "more\n" } }]], ["over/etc/app.conf"] = "new",
    }, { "r.lua" })
    local rootfs <close> = put(recipes, BASE)
    same({ ["/etc/app.conf"] = "file 0640 33:34 new\nmore\n" }, rootfs)
  end)

  it("takes the later of two recipes", function()
    local rootfs <close> = put(load_files({
      ["a.lua"] = [[inject["/x"] = { content = "a", owner = "web" }]], ["b.lua"] = [[remove = "/y" inject["/x"] = "b"]],
      ["0.lua"] = [[inject["/y"] = "y"]],
    }, { "0.lua", "a.lua", "b.lua" }), BASE)
    same({ ["/x"] = "file 0644 33:34 b", ["/y"] = "nothing" }, rootfs)
  end)

  it("takes a file beside the recipe", function()
    local recipes, dir = load_files({
      ["r.lua"] = [[inject = { ["/a"] = { file = "f" }, ["/b"] = { file = "sub/p" }, ["/c"] = { file = "link", mode = "0600", owner = "web" } }]],
      ["f"] = "F", ["sub/p"] = "P",
    }, { "r.lua" })
    sh.check(("cd %s && chmod 0666 f && chmod 0700 sub/p && ln -s f link"):format(sh.quote(dir)))
    local rootfs <close> = put(recipes, BASE)
    same({ ["/a"] = "file 0644 0:0 F", ["/b"] = "file 0755 0:0 P", ["/c"] = "file 0600 33:34 F" }, rootfs)
  end)

  it("puts a directory over what is there", function()
    local recipes, dir = load_files({
      ["r.lua"] = [[inject["/"] = { dir = "over", owner = "web",
        modes = { ["/opt/*"] = "0700", ["/opt/keep"] = "0600", ["/lib/d"] = "0711", ["/opt/a b"] = "0604", ["/opt/a*"] = "0606" },
        owners = { ["/opt/*"] = "1:2", ["/etc"] = "0:0" } }]],
      ["over/etc/app.conf"] = "new", ["over/lib/d/x"] = "x", ["over/opt/keep"] = "k", ["over/opt/tool"] = "t", ["over/opt/deep/er"] = "e",
      ["over/opt/a b"] = "", ["over/opt/ab"] = "",
    }, { "r.lua" })
    sh.check(("cd %s/over && umask 077 && mkdir void && ln -s /nowhere opt/link && chmod 0400 opt/keep"):format(sh.quote(dir)))
    local rootfs <close> = put(recipes, BASE)
    same({
      ["/etc"] = "dir 0755 0:0", ["/etc/app.conf"] = "file 0640 33:34 new", ["/lib"] = "symlink 0777 0:0 usr/lib",
      ["/usr/lib/d"] = "dir 0711 33:34", ["/usr/lib/d/x"] = "file 0644 33:34 x", ["/opt/keep"] = "file 0600 1:2 k",
      ["/opt/tool"] = "file 0700 1:2 t", ["/opt/deep"] = "dir 0700 1:2", ["/opt/deep/er"] = "file 0644 33:34 e",
      ["/opt/link"] = "symlink 0777 1:2 /nowhere", ["/opt/a b"] = "file 0604 1:2 ", ["/opt/ab"] = "file 0606 1:2 ",
      ["/void"] = "dir 0755 33:34", ["/usr/lib/motd"] = "file 0600 0:0 hi",
      ["/"] = "dir 0755 0:0",
    }, rootfs)
  end)

  it("follows a link to the directory, but none in it", function()
    local recipes, dir = load_files({ ["r.lua"] = [[inject["/o"] = { dir = "l" }]], ["over/x"] = "x" }, { "r.lua" })
    sh.check(("cd %s && ln -s over l && ln -s . over/loop"):format(sh.quote(dir)))
    local rootfs <close> = put(recipes, BASE)
    same({ ["/o"] = "dir 0755 0:0", ["/o/x"] = "file 0644 0:0 x", ["/o/loop"] = "symlink 0777 0:0 ." }, rootfs)
  end)

  local function refused(message, text, prepare)
    it("is refused: " .. message, function()
      local recipes, dir = load_files({ ["r.lua"] = "\ninject = {\n" .. text .. "\n}", ["over/x"] = "x" }, { "r.lua" })
      sh.check(("cd %s; %s"):format(sh.quote(dir), prepare or ""))
      assert.equal("r.lua:3: inject: " .. message, (problem_of(put, recipes, BASE)))
    end)
  end
  refused("/x: the image has no user 'nobody'", [[["/x"] = { content = "", owner = "nobody" }]])
  refused("/x: the image has no group 'wheel'", [[["/x"] = { content = "", owner = "web:wheel" }]])
  refused("/x: nothing is said of it: content, file, dir, symlink, append, mode or owner expected", [[["/x"] = {}]])
  refused("/x: it is not in the image; a directory's path ends in '/'", [[["/x"] = { mode = "0600" }]])
  refused("/dev0: it is a char, whose mode and owner stay", [[["/dev0"] = { mode = "0600" }]])
  refused("/x/: a path that ends in '/' is a directory's", [[["/x/"] = "text"]])
  refused("/x: f is not there", [[["/x"] = { file = "f" }]])
  refused("/x: over is a directory: say dir = instead of file =", [[["/x"] = { file = "over" }]])
  refused("/x: pipe is a fifo, which cannot be copied", [[["/x"] = { file = "pipe" }]], "mkfifo pipe")
  refused("/x: d is not there", [[["/x"] = { dir = "d" }]])
  refused("/x: r.lua is no directory", [[["/x"] = { dir = "r.lua" }]])
  refused("/x/p: over/p is a fifo, which cannot be copied", [[["/x"] = { dir = "over" }]], "mkfifo over/p")
  refused("/x: modes: nothing in over goes to '/y'", [[["/x"] = { dir = "over", modes = { ["/y"] = "0600" } }]])
  refused("/x: owners: nothing in over goes to '/x/*/x'", [[["/x"] = { dir = "over", owners = { ["/x/*/x"] = "0:0" } }]])
  refused("/usr: a directory that is not empty is in its place", [[["/usr"] = "x"]])
  refused("/usr/lib: a directory that is not empty is in its place", [[["/"] = { dir = "over" }]], "mkdir over/usr; touch over/usr/lib")
  refused("/" .. ("n"):rep(256) .. ": a name in it has 256 bytes, over 255", '["/' .. ("n"):rep(256) .. '"] = "x"')
  refused("/lib: a link to a directory is in its place; remove it first, if that is meant", [[["/lib"] = "x"]])
  refused("/lib: a link to a directory is in its place; remove it first, if that is meant", [[["/"] = { dir = "over" }]], "touch over/lib")
  refused("/dev0: nothing can be appended: /dev0 is a char in the image, not a file", [[["/dev0"] = { append = "x" }]])
  refused("/usr: nothing can be appended: /usr is a dir in the image, not a file", [[["/usr"] = { append = "x" }]])

  local ADVICE = "; say debugfs = { { 'set_inode_field', '/f', 'mode', '0100644' } }, and uid and gid likewise"

  it("does not change the mode of one of several names, or of too large a file", function()
    local recipes = load_text [[inject["/f"] = { mode = "0600" }]]
    assert.equal("r.lua:1: inject: /f: it has 2 names" .. ADVICE,
      (problem_of(put, recipes, { tar.file("f", "x"), tar.hardlink("g", "f") })))
    local huge = { type = "file", size = 256 * 1024 * 1024 + 1, nlink = 1, mode = 0, uid = 0, gid = 0, xattrs = {} }
    local tree = { stat = function() return huge end, resolve = function(_, path) return path end }
    assert.equal("r.lua:1: inject: /f: it is too large to be put in anew" .. ADVICE,
      (problem_of(recipes.put_files, recipes, tree, applied.new(tree, function() end))))
  end)

  it("is refused where a directory has too many in each other", function()
    local recipes, dir = load_files({ ["r.lua"] = [[inject["/x"] = { dir = "d" }]] }, { "r.lua" })
    sh.check(("mkdir -p %s/d%s"):format(sh.quote(dir), ("/d"):rep(70)))
    local message = problem_of(put, recipes, BASE)
    assert.matches("^r%.lua:1: inject: /x/d/d.* has more than 64 directories in each other$", message)
  end)

  it("is refused for texts that are too large to be any", function()
    local layer = { tar.dir "etc/", tar.file("etc/big", ("x"):rep(16 * 1024 * 1024 + 1)) }
    assert.equal("r.lua:1: inject: /etc/big: nothing can be appended: /etc/big has 16777217 bytes, which no text of its kind has",
      (problem_of(put_text, [[inject["/etc/big"] = { append = "x" }]], layer)))
  end)
end)

describe("remove", function()
  it("takes paths and patterns, and lets what is absent be", function()
    local rootfs <close> = put_text [[remove = { "/usr/lib/*.so", "/etc/app.conf", "/nothing/*/x", "/no", "/empty/" }]]
    assert.same({ "c.txt", "motd" }, rootfs:list "/usr/lib")
    same({ ["/etc/app.conf"] = "nothing", ["/empty"] = "nothing", ["/etc/passwd"] = look(rootfs, "/etc/passwd") }, rootfs)
  end)

  it("takes links themselves, and patterns do not look behind them", function()
    local rootfs <close> = put_text [[remove = { "/lib/*", "/out/*", "/etc/mo*" }]]
    assert.same({ "a.so", "b.so", "c.txt", "motd" }, rootfs:list "/usr/lib")
    same({ ["/etc/motd"] = "nothing", ["/lib"] = "symlink 0777 0:0 usr/lib" }, rootfs)
  end)

  it("does not take other signs for patterns", function()
    local rootfs <close> = put_text([[remove = { "/d/%a", "/d/[ab]", "/d/?", "/d/a.", "/d/+*" }]],
      { tar.dir "d/", tar.file "d/a", tar.file "d/ab", tar.file "d/+x", tar.file "d/?" })
    assert.same({ "a", "ab" }, rootfs:list "/d")
  end)

  it("comes before what is put in", function()
    local rootfs <close> = put_text [[remove = "/etc/*" inject["/etc/new"] = "x"]]
    assert.same({ "new" }, rootfs:list "/etc")
  end)

  for _, path in ipairs { "/", "//", "/.", "/usr/../etc", "/.." } do
    it("refuses " .. path, function()
      assert.equal(("r.lua:1: remove: '%s' is no path below /"):format(path), (problem_of(put_text, ("remove = '%s'"):format(path))))
    end)
  end
end)

describe("users", function()
  local KEY, KEY2 = "ssh-ed25519 AAAAC3NzaC1 one", "ssh-rsa AAAAB3Nza two"

  it("are there for the files of the same recipe", function()
    local rootfs <close> = put_text [[
      users = { { name = "dev" } }
      inject = { ["/home/dev/x"] = { content = "x", owner = "dev" }, ["/opt/x"] = { content = "y", owner = "dev:web" } }
    ]]
    same({
      ["/home"] = "dir 0755 0:0", ["/home/dev"] = "dir 0700 1000:1000", ["/home/dev/x"] = "file 0644 1000:1000 x",
      ["/opt/x"] = "file 0644 1000:34 y",
      ["/etc/passwd"] = "file 0644 0:0 root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/false\ndev:x:1000:1000::/home/dev:/bin/sh\n",
      ["/etc/group"] = "file 0644 0:0 root:x:0:\nweb:x:34:\ndev:x:1000:\n", ["/etc/shadow"] = "file 0600 0:0 dev:*:::::::\n",
    }, rootfs)
  end)

  it("are there for later recipes, and come after account files that are put in", function()
    local rootfs <close> = put(load_files({
      ["a.lua"] = [[inject["/etc/passwd"] = "a:x:1000:1000::/:/bin/sh\n" users = { { name = "dev" } }]],
      ["b.lua"] = [[inject["/x"] = { content = "x", owner = "dev" } users = { { name = "dev", groups = "root", home = "/h" } }]],
    }, { "a.lua", "b.lua" }), BASE)
    same({
      ["/etc/passwd"] = "file 0644 0:0 a:x:1000:1000::/:/bin/sh\ndev:x:1001:1001::/h:/bin/sh\n", ["/x"] = "file 0644 1001:1001 x",
      ["/etc/group"] = "file 0644 0:0 root:x:0:dev\nweb:x:34:\ndev:x:1001:\n", ["/h"] = "dir 0700 1001:1001",
    }, rootfs)
  end)

  it("get the image's shell", function()
    local rootfs <close> = put_text([[users = { { name = "dev" } }]], { tar.dir "bin/", tar.file "bin/bash" })
    assert.equal("dev:x:1000:1000::/home/dev:/bin/bash\n", rootfs:read "/etc/passwd")
  end)

  it("get keys from texts and files, each once", function()
    local recipes = load_files({
      ["r.lua"] = ([[users = {
        { name = "root", authorized_keys = { "keys.pub", "%s", "# old\n\n%s\n" } },
        { name = "web", authorized_keys = "%s" },
      }]]):format(KEY, KEY2, KEY),
      ["keys.pub"] = "# mine\r\n" .. KEY2 .. "\r\n\n",
    }, { "r.lua" })
    local layer = table.move(BASE, 1, #BASE, 1, {})
    table.move({
      tar.dir("root/", { mode = octal "755" }), tar.dir("root/.ssh/", { mode = octal "755" }),
      tar.file("root/.ssh/authorized_keys", "ssh-rsa AAAAold x", { mode = octal "644" }),
    }, 1, 3, #layer + 1, layer)
    local rootfs <close> = put(recipes, layer)
    same({
      ["/root"] = "dir 0755 0:0", ["/root/.ssh"] = "dir 0700 0:0",
      ["/root/.ssh/authorized_keys"] = ("file 0600 0:0 ssh-rsa AAAAold x\n%s\n%s\n"):format(KEY2, KEY),
      ["/srv"] = "dir 0700 33:34", ["/srv/.ssh/authorized_keys"] = ("file 0600 33:34 %s\n"):format(KEY),
    }, rootfs)
  end)

  it("leave account files alone where nothing is new", function()
    local rootfs <close>, done = put_text [[users = { { name = "root" } }]]
    assert.is_nil(rootfs:stat "/etc/shadow")
    assert.same({ "/root" }, { done[1].path, done[2] and done[2].path })
  end)

  it("go into the file that /etc/passwd is a link to", function()
    local rootfs <close> = put_text([[users = { { name = "dev" } }]],
      { tar.dir "etc/", tar.symlink("etc/passwd", "../../usr/passwd"), tar.dir "usr/", tar.file("usr/passwd", "a:x:1:1::/:/\n") })
    same({
      ["/etc/passwd"] = "symlink 0777 0:0 ../../usr/passwd",
      ["/usr/passwd"] = "file 0644 0:0 a:x:1:1::/:/\ndev:x:1000:1000::/home/dev:/bin/sh\n",
    }, rootfs)
  end)

  local function refused(message, text, layer)
    it("are refused: " .. message, function()
      local recipes, dir = load_files({ ["r.lua"] = "\nusers = {\n" .. text .. "\n}" }, { "r.lua" })
      sh.write_file(dir .. "/bad.pub", KEY .. "\nnonsense\n")
      assert.equal("r.lua:" .. message, (problem_of(put, recipes, layer or BASE)))
    end)
  end
  refused("3: users: 'dev': the image has no group 'wheel'", "{ name = 'dev', groups = { 'wheel' } }")
  refused("3: users: 'dev': the uid 33 is that of 'web' in the image", "{ name = 'dev', uid = 33 }")
  refused("3: users: 'dev': 'nosuch.pub' is neither a public key nor a file", "{ name = 'dev', authorized_keys = 'nosuch.pub' }")
  refused("3: users: 'dev': . is no file of public keys", "{ name = 'dev', authorized_keys = '.' }")
  refused("3: users: 'dev': bad.pub holds what is no public key", "{ name = 'dev', authorized_keys = 'bad.pub' }")
  refused("3: users: 'dev': the text holds what is no public key", "{ name = 'dev', authorized_keys = 'ssh-rsa AAAA\\nx\\n' }")
  refused("3: users: 'a': /etc/passwd is malformed: 'a:x:1'", "{ name = 'a' }", { tar.dir "etc/", tar.file("etc/passwd", "a:x:1\n") })
  refused("3: users: 'a': its home 'h' in /etc/passwd is no path from / on: say home =", "{ name = 'a' }",
    { tar.dir "etc/", tar.file("etc/passwd", "a:x:1:1::h:/\n") })
  refused("3: users: 'a': its home '' in /etc/passwd is no path from / on: say home =",
    "{ name = 'a', authorized_keys = 'ssh-rsa AAAA' }", { tar.dir "etc/", tar.file("etc/passwd", "a:x:1:1:::\n") })
  refused("2: users: /etc/passwd is a dir in the image, not a file", "{ name = 'a' }", { tar.dir "etc/", tar.dir "etc/passwd/" })
  refused("2: users: /etc/shadow has 4194305 bytes, which no text of its kind has", "{ name = 'a' }",
    { tar.dir "etc/", tar.file("etc/shadow", ("x:\n"):rep(1398101) .. "yy") })
end)

-- ---- hooks -------------------------------------------------------------------------------

describe("hooks", function()
  it("are called in the order of the recipes, with what they are given", function()
    local seen = {}
    local recipes = load_files({
      ["a.lua"] = "function after_flatten(...) log('a', ...) end", ["b.lua"] = "function after_resolve(...) log('b', ...) end",
      ["c.lua"] = "function after_flatten(...) log('c', ...) end",
    }, { "c.lua", "b.lua", "a.lua" })
    for _, recipe in ipairs(recipes.list) do
      local hook = recipe.values.after_flatten or recipe.values.after_resolve
      for at = 1, 9 do
        if debug.getupvalue(hook, at) == "_ENV" then
          debug.setupvalue(hook, at, { log = function(...) seen[#seen + 1] = table.pack(...) end })
        end
      end
    end
    recipes:call("after_flatten", 1, nil, 3)
    assert.same({ { "c", 1, nil, 3, n = 4 }, { "a", 1, nil, 3, n = 4 } }, seen)
  end)

  it("may still say what happens to files", function()
    local recipes = load_text [[
      remove = "/empty"
      function after_resolve() users = { { name = "dev" } } end
      function after_flatten(rootfs)
        assert(rootfs == 7)
        inject["/x"] = { content = "x", owner = "dev" }
        remove[#remove + 1] = "/etc/motd"
      end]]
    recipes:call("after_resolve", 5)
    recipes:call("after_flatten", 7)
    local rootfs <close> = put(recipes, BASE)
    same({ ["/x"] = "file 0644 1000:1000 x", ["/empty"] = "nothing", ["/etc/motd"] = "nothing" }, rootfs)
  end)

  local function refused(message, hook, text)
    it("are refused: " .. message, function()
      local recipes = load_text(("\nfunction %s()\n%s\nend"):format(hook, text))
      assert.equal(message, (problem_of(recipes.call, recipes, hook)))
    end)
  end
  refused("r.lua:3: platform: too late: it counts before the hooks are called; say it outside of them", "after_resolve", "platform = 'linux/arm64'")
  refused("r.lua:3: use: too late: it counts before the hooks are called; say it outside of them", "after_flatten", "use[1] = 'x'")
  refused("r.lua:3: inject: /x: a table expected, not a number", "after_flatten", "inject['/x'] = 3")
  refused("r.lua:3: unknown key 'x'; a name of your own is 'local x'", "after_flatten", "x = 3")
  refused("r.lua:3: stop", "after_mkext4", "error 'stop'")
  refused("r.lua:3: stop", "after_mkext4", "error('stop', 0)")
  refused("r.lua:3: attempt to call a nil value (field 'nosuch')", "after_mkext4", "banger.nosuch()")
  refused("r.lua:3: bad argument #1 to 'open' (string expected, got no value)", "after_mkext4", "banger.open()")

  it("may say nothing more when the plan is made", function()
    local said = { size = "size = '1G'", environment = "environment.A = 1", inject = "inject['/x'] = 'x'", after_mkext4 = "after_mkext4 = nil" }
    for name, text in pairs(said) do
      local recipes = load_text("function after_plan()\n" .. text .. "\nend")
      recipes:close()
      assert.equal(("r.lua:2: %s: too late: the plan is made; say it in after_flatten or before"):format(name),
        (problem_of(recipes.call, recipes, "after_plan")))
    end
  end)

  -- The plan that recipes make for an image, with a rootfs that has it.
  local function apply(text, layer)
    local recipes = load_text(text)
    local rootfs = engine.rootfs(scratch:path "x", layer or BASE)
    local build = build_of(recipes)
    recipes:apply(rootfs, build)
    return rootfs, build.guest.entries, build.guest.warnings
  end

  -- All that the plan says of a path, and of its warnings those that name it.
  local function said_of(path, text, layer)
    local rootfs, list, warnings = apply(text, layer)
    local said = { look(rootfs, path) or "nothing" }
    rootfs:close()
    for _, entry in ipairs(list) do
      said[#said + 1] = entry.path == path and ("%s %s: %s"):format(entry.type, entry.item, entry.why) or nil
    end
    for _, warning in ipairs(warnings) do
      said[#said + 1] = warning:find(path, 1, true) == 1 and warning or nil
    end
    return said
  end

  it("and hostname: what is appended to its file comes after it, and is in the plan once", function()
    local APPENDED = [[hostname = "vm" inject["/etc/hostname"] = { append = "# ours\n" }]]
    local expected = { "file 0644 0:0 vm\n# ours\n", "file inject: asked for, after what the item hostname puts there" }
    assert.same(expected, said_of("/etc/hostname", APPENDED, {}))
    assert.same(expected, said_of("/etc/hostname", APPENDED, { tar.file("etc/hostname", "") }))
    assert.same(expected, said_of("/etc/hostname", APPENDED, { tar.file("etc/hostname", "own\n") }))
    assert.same({ "file 0644 0:0 vm\n# ours\n", "file inject: asked for" },
      said_of("/etc/hostname", APPENDED, { tar.file("etc/hostname", "vm\n") }))
    assert.same({ "file 0644 0:0 own\n# ours\n", "file inject: asked for" },
      said_of("/etc/hostname", [[inject["/etc/hostname"] = { append = "# ours\n" }]], { tar.file("etc/hostname", "own\n") }))
    assert.same({ "file 0644 0:0 own\n# ours\n", "file inject: asked for" },
      said_of("/etc/hostname", APPENDED .. " guest = { hostname = false }", { tar.file("etc/hostname", "own\n") }))
  end)

  it("and hostname: a file in its place gives way, with a warning", function()
    local WARNING = "/etc/hostname: what the recipe r injects gives way to the hostname that is asked for; leave out one of the two"
    assert.same({ "file 0644 0:0 vm\n", "file inject: asked for", "file hostname: asked for", WARNING },
      said_of("/etc/hostname", [[hostname = "vm" inject["/etc/hostname"] = "other\n"]], {}))
    assert.same({ "file 0644 0:0 vm\n", "symlink inject: asked for", "remove hostname: is a symlink", "file hostname: asked for", WARNING },
      said_of("/etc/hostname", [[hostname = "vm" inject["/etc/hostname"] = { symlink = "/nowhere" }]], {}))
    assert.same({ "file 0644 0:0 vm\n# ours\n", "file inject: asked for" },
      said_of("/etc/hostname", [[hostname = "vm" inject["/etc/hostname"] = "vm\n# ours\n"]], {}))
    assert.same({ "file 0644 0:0 other\n", "file inject: asked for" },
      said_of("/etc/hostname", [[inject["/etc/hostname"] = "other\n"]], {}))
  end)

  local CHANGED = [[
    inject = { ["/etc/app.conf"] = "recipe", ["/opt/a/b"] = "b", ["/opt/c"] = "c", ["/lib/d/"] = { mode = "0700" }, ["/usr/"] = { mode = "0711" },
      ["/etc/motd"] = "mine", ["/etc/hosts"] = { append = "10.0.0.2 db\n" } }
    users = { { name = "dev" } }
    remove = "/usr/lib/*.so"
    function after_plan(plan)
      local list = plan.entries
      for at = #list, 1, -1 do
        local entry = list[at]
        %s
      end
    end]]

  it("get all that is added in the plan, that of recipes first", function()
    local rootfs <close>, list = apply(CHANGED:format "assert(entry.path)")
    same({ ["/etc/app.conf"] = "file 0640 33:34 recipe", ["/usr/lib/a.so"] = "nothing" }, rootfs)
    local paths = {}
    for at = 1, 12 do
      paths[at] = list[at].path
    end
    assert.same({ "/usr/lib/a.so", "/usr/lib/b.so", "/home/dev", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/app.conf", "/etc/motd",
      "/lib/d", "/opt/a/b", "/opt/c", "/usr" }, paths)
  end)

  it("is given reasons that name the recipe", function()
    local function reasons(text, layer)
      local rootfs, list = apply(text, layer)
      rootfs:close()
      local found = {}
      for _, entry in ipairs(list) do
        found[entry.path] = ("%s: %s"):format(entry.by or "-", entry.why)
      end
      return found
    end
    local found = reasons([[command = { "/app" } user = "web" environment = { A = 1 } stop_signal = "SIGINT" agent = true hostname = "vm"]], {})
    for name, reason in pairs {
      ["/.banger/argv"] = "r: asked for", ["/.banger/user"] = "r: asked for", ["/.banger/env"] = "r: asked for, over the image's config",
      ["/.banger/stop-signal"] = "r: asked for", ["/.banger/agent"] = "r: asked for", ["/etc/hostname"] = "r: asked for",
      ["/.banger/init"] = "-: the program of the recipe r is no init", ["/etc/hosts"] = "-: is absent",
      ["/.banger"] = "-: banger-init and what it is told",
    } do
      assert.equal(reason, found[name], name)
    end
    found = reasons("workdir = '/srv'", {})
    assert.same({ "-: from the image's config", "r: asked for", "-: the image's program is no init", "-: is absent" },
      { found["/.banger/argv"], found["/.banger/cwd"], found["/.banger/init"], found["/etc/hostname"] })
  end)

  it("may change what a recipe puts in", function()
    local rootfs <close> = apply(CHANGED:format [[
      if entry.path == "/etc/app.conf" or entry.path == "/etc/hosts" or entry.path == "/etc/passwd" then entry.content = entry.content .. "+" end
      if entry.path == "/opt/a/b" then entry.path, entry.mode = "/opt/z/b", 420 end
      if entry.path == "/opt/c" then entry.type, entry.mode, entry.content, entry.target = nil, nil, nil, "z" end
      if entry.path == "/usr" then entry.mode = 448 end]])
    same({
      ["/etc/app.conf"] = "file 0640 33:34 recipe+", ["/opt/a"] = "nothing", ["/opt/z/b"] = "file 0644 0:0 b", ["/opt/c"] = "symlink 0777 0:0 z",
      ["/usr"] = "dir 0700 5:0", ["/usr/lib/a.so"] = "nothing",
      ["/etc/hosts"] = "file 0644 0:0 127.0.0.1\tlocalhost\n127.0.1.1\tbanger\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.2 db\n+",
      ["/etc/passwd"] = "file 0644 0:0 root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/false\ndev:x:1000:1000::/home/dev:/bin/sh\n+",
    }, rootfs)
  end)

  it("may take out what a recipe puts in: what was there comes back", function()
    local rootfs <close>, list = apply(CHANGED:format [[
      if entry.by and entry.type ~= "remove" then table.remove(list, at) end]])
    same({
      ["/etc/app.conf"] = "file 0640 33:34 old", ["/opt"] = "nothing", ["/home"] = "nothing", ["/usr/lib/d"] = "nothing", ["/usr"] = "dir 0750 5:0",
      ["/etc/motd"] = "symlink 0777 0:0 ../usr/lib/motd", ["/usr/lib/motd"] = "file 0600 0:0 hi",
      ["/etc/group"] = "file 0644 0:0 root:x:0:\nweb:x:34:\n", ["/etc/shadow"] = "nothing", ["/etc/hosts"] = "nothing",
      ["/dev/null"] = "char 0666 0:0",
    }, rootfs)
    assert.equal("v", rootfs:stat "/etc/app.conf".xattrs["user.k"])
    assert.equal(tar.MTIME, rootfs:stat "/etc/app.conf".mtime)
    assert.equal("/usr/lib/b.so", list[2].path)
    assert.is_nil(list[3].by)
  end)

  it("may add anywhere in the plan, and the later counts", function()
    local rootfs <close> = apply [[inject = { ["/x"] = "x", ["/y"] = "y" }
      function after_plan(plan)
        table.insert(plan.entries, 1, { path = "/x", content = "first" })
        plan.entries[#plan.entries + 1] = { path = "/y", content = "last" }
      end]]
    same({ ["/x"] = "file 0644 0:0 x", ["/y"] = "file 0644 0:0 last" }, rootfs)
  end)

  it("may not bring back what is removed, nor leave holes", function()
    local function refused_plan(message, text, layer)
      assert.equal("r.lua:1: after_plan: " .. message, (problem_of(apply, text, layer)))
    end
    refused_plan("/usr/lib/a.so: it is gone by now, so that its entry cannot be taken out; change remove of r in after_flatten",
      [[remove = "/usr/lib/a.so" function after_plan(plan) table.remove(plan.entries, 1) end]])
    refused_plan("/f: what was there has 2 names in the image, and one alone is not brought back, so that its entry cannot be taken out; "
      .. "change inject of r in after_flatten",
      [[inject["/f"] = "x" function after_plan(plan) table.remove(plan.entries, 1) end]], { tar.file("f", "x"), tar.hardlink("g", "f") })
    refused_plan("/f: what was there has 16777217 bytes, which are too many to keep, so that its entry cannot be taken out; "
      .. "change inject of r in after_flatten",
      [[inject["/f"] = "x" function after_plan(plan) table.remove(plan.entries, 1) end]], { tar.file("f", ("x"):rep(16 * 1024 * 1024 + 1)) })
    refused_plan("its entries are no list: one is at '3', and none before it; table.remove leaves no hole",
      [[function after_plan(plan) plan.entries = { [3] = { path = "/x", content = "x" } } end]])
    refused_plan("its entries are no list: one is at 'x', and none before it; table.remove leaves no hole",
      [[function after_plan(plan) plan.entries.x = { path = "/x", content = "x" } end]])
  end)

  it("print where note goes, line by line", function()
    local notes = {}
    local globals = { banger = banger, note = function(text) notes[#notes + 1] = text end }
    local recipes = load_files({ ["r.lua"] = "print() function after_flatten() print('a', nil, 1.5, true) print 'two\\nlines' end" },
      { "r.lua" }, { globals = globals })
    recipes:call "after_flatten"
    assert.same({ "", "a  nil  1.5  true", "two", "lines" }, notes)
  end)

  -- What is noted of a recipe's text and its hook.
  local function notes_of(text)
    local notes = {}
    local globals = { banger = banger, note = function(line) notes[#notes + 1] = line end }
    local recipes = load_files({ ["r.lua"] = text }, { "r.lua" }, { globals = globals })
    local ok, problem = pcall(recipes.call, recipes, "after_flatten")
    return notes, not ok and (problem.message:gsub("[^ ']*/%d+/", "")) or nil
  end

  it("write where note goes, be it io.write or io.stdout", function()
    assert.same({ "top", "a1b", "", "c  d", "e", "f2.5", "left" }, (notes_of [[
      io.write "top"
      function after_flatten()
        io.write("a", 1):write("b\n", "\n")
        print("c", "d")
        io.stdout:write "e\nf" io.output():write(2.5, "\n")
        assert(io.stdout:flush() == io.stdout and io.type(io.stdout) == "file" and io.stdout:setvbuf "no")
        assert(not io.stdout:close() and not io.stdout:read "l" and not io.stdout:seek "set")
        io.write("left")
      end]]))
    assert.same({ { "before" }, "r.lua:1: no" }, { notes_of "function after_flatten() io.write('before') error 'no' end" })
  end)

  it("write files as ever, and an output of theirs is theirs alone", function()
    local path = scratch:path "out.txt"
    local notes = notes_of(([[
      function after_flatten()
        local file <close> = assert(io.open(%q, "w"))
        assert(io.type(file) == "file" and io.type(1) == nil)
        io.output(file)
        io.write("one\n")
        print "said"
        io.output(io.stdout)
        io.write "two\n"
      end]]):format(path))
    assert.same({ "said", "two" }, notes)
    assert.equal("one\n", sh.read_file(path))
    assert.equal(io.stdout, io.output())
    local text = "function after_flatten() io.output(%q) io.write 'y' io.close() io.output(io.stdout) io.write 'x' end"
    assert.same({ "x" }, (notes_of(text:format(path))))
    assert.equal("y", sh.read_file(path))
  end)

  it("write texts and numbers alone", function()
    assert.same({ {}, "r.lua:1: bad argument #2 to 'write' (string expected, got table)" },
      { notes_of "function after_flatten() io.stdout:write('a', {}) end" })
    assert.same({ {}, "r.lua:1: bad argument #1 to 'write' (string expected, got no value)" },
      { notes_of "function after_flatten() io.write(nil) end" })
    assert.equal("r.lua:1: /no/such/x: No such file or directory", select(2, notes_of "function after_flatten() io.output '/no/such/x' end"))
  end)

  it("raise errors of the world as they are, with the line", function()
    local recipes = load_text "\nfunction after_flatten()\n banger.error('no_space', 'too small', { needed = 5 }) end"
    local ok, problem = pcall(recipes.call, recipes, "after_flatten")
    assert.is_false(ok)
    assert.same({ "no_space", 5 }, { problem.code, problem.needed })
    assert.matches("/r%.lua:3: too small$", problem.message)
  end)

  it("let a signal pass", function()
    local recipes = load_text "function after_flatten() banger.error('interrupted', 'interrupted', { signal = 2 }) end"
    local ok, problem = pcall(recipes.call, recipes, "after_flatten")
    assert.same({ false, "interrupted", "interrupted", 2 }, { ok, problem.code, problem.message, problem.signal })
  end)
end)

-- ---- match --------------------------------------------------------------------------------

describe("match", function()
  local match = require "banger.image_recipe.match"
  local reference = require "banger.reference"
  local digest = "sha256:" .. ("a"):rep(64)

  local cases = {
    { "nginx", "nginx", true }, { "nginx", "nginx:1.27", true }, { "nginx", "docker.io/library/nginx@" .. digest, true },
    { "nginx", "docker://nginx:1", true }, { "docker://nginx", "nginx", true }, { "nginx", "me/nginx", false }, { "nginx", "nginxx", false },
    { "nginx", "ghcr.io/library/nginx", false }, { "nginx:1.*", "nginx:1.27", true }, { "nginx:1.*", "nginx:2", false },
    { "nginx:1.*", "nginx:1x", false }, { "me/nginx", "docker.io/me/nginx:3", true }, { "ghcr.io/org/*", "ghcr.io/org/a/b:1", true },
    { "ghcr.io/org/*", "ghcr.io/organ/a", false }, { "*/nginx", "quay.io/x/nginx:1", true }, { "*/nginx", "nginx", true },
    { "*/nginx", "quay.io/x/nginxx", false }, { "localhost/a", "localhost/a:1", true }, { "localhost:5000/a:t", "localhost:5000/a:t", true },
    { "localhost:5000/a", "localhost:5000/a:t", true }, { "localhost:5000/a", "localhost:5001/a:t", false }, { "*", "nginx", true },
    { "*", "ghcr.io/a/b:1", true },
    { "*:edge", "ghcr.io/a/b:edge", true }, { "*:edge", "alpine:3", false }, { "*nginx", "quay.io/x/nginx", true }, { "n*x", "nginx", true },
    { "n*x", "quay.io/n/x", false },
    { "a%a", "aaa", false }, { "n.inx", "nginx", false },
    { "oci:*:nginx", "oci:some/dir:nginx", true }, { "oci:*:nginx", "oci:dir:other", false }, { "oci:dir", "oci:dir", true },
    { "nginx", "oci:dir:nginx", false }, { "nginx", "oci:dir:docker.io/library/nginx:1", true }, { "*", "oci:dir", false },
    { "oci:*", "oci:dir", true }, { "dir:*", "dir:/x", true }, { "nginx", "docker-archive:x.tar:nginx:1", true },
  }
  for _, case in ipairs(cases) do
    it(("%s %s %s"):format(case[1], case[3] and "fits" or "does not fit", case[2]), function()
      assert.equal(case[3], match.matches(case[1], assert(reference.parse(case[2]))))
    end)
  end
end)
