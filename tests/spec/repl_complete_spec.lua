-- What Tab completes: names, fields, methods, modules, paths here and in images.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local complete = require "banger.repl.complete"
local handles = require "banger.inspect.handle"
local sh = require "support.sh"

local scratch, image, rootfs, variables

setup(function()
  scratch = sh.scratch()
  local dir = scratch:mkdir "host/sub dir"
  sh.write_file(dir .. "/file one", "")
  sh.write_file(scratch:path "host/say \"hi\"", "")
  sh.write_file(scratch:path "host/.hidden", "")
  sh.write_file(scratch:path "host/bad\xff", "")
  local from = scratch:mkdir "from/etc"
  for _, name in ipairs { "passwd", "passwd-", "profile" } do sh.write_file(from .. "/" .. name, "") end
  sh.check("cd " .. scratch:path "from" .. " && mkdir -p usr/lib && ln -s usr/lib lib && touch usr/lib/libc.so")
  sh.check("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -d " .. scratch:path "from" .. " " .. scratch:path "i.ext4" .. " 32M")
  image = banger.open(scratch:path "i.ext4")
  rootfs = banger.rootfs { near = scratch:path "r.ext4" }
  banger.inject(rootfs, { { path = "/srv/www/index.html", content = "" } })
  variables = {
    banger = banger, image = image, rootfs = rootfs, io = io, string = string,
    images = { { it = image }, by_name = { ["a b"] = image } },
    object = setmetatable({ own = 1, ["not a name"] = 2, ["end"] = 3 }, { __index = { method = print, inherited = 5 } }),
    trap = setmetatable({}, { __index = function() error "called" end }),
    name = "text", number = 5, nameless = true,
  }
  -- Nothing is behind it: neither an image nor progress is asked for.
  variables.unopened = handles.new("x", {}, error, error)
  variables.reference = handles.new("x", {}, function() return setmetatable({}, { __close = function() end }) end, function() return image end)
  variables.reference:list "/"
end)
teardown(function()
  image:close()
  rootfs:close()
  scratch:remove()
end)

local scope = {
  get = function(name) return variables[name] end,
  names = function()
    local list = {}
    for name in pairs(variables) do list[#list + 1] = name end
    return list
  end,
}

local function gives(name, want, code, list)
  it(name, function()
    code = code:gsub("HOST", scratch:path "host")
    local insert, listing = complete.complete(code, scope, 80)
    assert.same({ want, list }, { insert, listing })
  end)
end

describe("names:", function()
  gives("a global", "er", "bang")
  gives("a global in the middle", "er", "print(1 + bang")
  gives("a global after ..", "er", "'a'..bang")
  gives("as much as they share", "e", "nam")
  gives("a list where that is all", nil, "name", "name      nameless\n")
  gives("a keyword", "tion", "func")
  gives("nothing that is not there", nil, "zzz")
  gives("nothing in a comment", nil, "x = 1 -- bang")
  gives("nothing in a long comment", nil, "--[[ bang\nbang")
  gives("code after a comment", "er", "x = 1 -- y\nbang")
  gives("code after a string", "er", "x = 'it\\'s' .. bang")
  gives("code after a long string", "er", "x = [==[ ' ]] ]==] .. bang")
end)

describe("fields and methods:", function()
  gives("a field", "t4", "banger.mkex")
  gives("a field of a field", "atty", "banger.host.is")
  gives("of an element of a list", "olve", "images[1].it:res")
  gives("by a string for an index", "olve", 'images.by_name["a b"]:res')
  gives("by a string, without looking for a path", "olve", "images.by_name['a b']:res")
  gives("methods only after a colon", "method", "object:")
  gives("of a metatable's __index", "d", "object.inherite")
  gives("those that are no names are left out", nil, "object.", "inherited  method     own\n")
  gives("an image's", nil, "image:re", "read     refresh  report   resolve\n")
  gives("a rootfs's", nil, "rootfs:c", "cat       chain_id  close\n")
  gives("a reference's", nil, "reference:re", "read     report   resolve\n")
  gives("a reference's name", "me", "reference.na")
  gives("a string's", "r", "name:uppe")
  gives("a file's", "ite", "io.stdout:wr")
  gives("nothing of a number", nil, "number.x")
  gives("nothing of what is not there", nil, "zzz.x")
  gives("nothing of a call", nil, "banger.open('x').re")
  gives("nobody's functions are called", nil, "trap.x")
  gives("nor deep ones", nil, "trap.x.y:z")
end)

describe("methods after a colon", function()
  it("are functions", function()
    local insert, listing = complete.complete("object:m", scope, 80)
    assert.same({ "ethod" }, { insert, listing })
  end)
end)

describe("modules:", function()
  gives("ours", "ence'", "require 'banger.refer")
  gives("with brackets", 'rse"', 'local x = require("argpa')
  gives("one that is loaded", 'g"', 'require "strin')
  it("files on package.path", function()
    local before = package.path
    sh.write_file(scratch:path "my_own_module.lua", "")
    package.path = scratch:path "?.lua"
    local insert = complete.complete('require "my_o', scope, 80)
    package.path = before
    assert.equal('wn_module"', insert)
  end)
end)

describe("a large directory", function()
  local core = require "banger.core"
  local many = scratch:mkdir "many"
  for i = 1, 1000 do sh.write_file(("%s/f%04d"):format(many, i), "") end

  local function with_stat(stat, act)
    local before = core.host.stat
    core.host.stat = function(...) -- luacheck: ignore
      return stat(before, ...)
    end
    local result = table.pack(pcall(act))
    core.host.stat = before -- luacheck: ignore
    return table.unpack(result, 1, result.n)
  end

  it("is asked about what is shown only", function()
    local asked = 0
    local ok, insert, listing = with_stat(function(stat, ...)
      asked = asked + 1
      return stat(...)
    end, function() return complete.complete('io.open("' .. many .. '/f', scope, 80) end)
    assert.same({ true, nil, true }, { ok, insert, listing:find("... 800 more\n", 1, true) ~= nil })
    assert.equal(200, asked)
  end)

  it("is no longer asked after Ctrl-C", function()
    local asked = 0
    local ok, problem = with_stat(function()
      asked = asked + 1
      core.error("interrupted", "interrupted")
    end, function() return complete.complete('io.open("' .. many .. '/f', scope, 80) end)
    assert.same({ false, "interrupted", 1 }, { ok, problem.code, asked })
  end)
end)

describe("paths of this machine:", function()
  gives("a directory gets a slash", "dir/", 'io.open("HOST/sub ')
  gives("a file gets the quote", 'one"', 'io.open("HOST/sub dir/file ')
  gives("or the brackets", "one]]", "x = [[HOST/sub dir/file ")
  gives("quotes are escaped", [[y \"hi\""]], 'io.open "HOST/sa')
  gives("in other quotes they need not be", [[y "hi"']], "io.open 'HOST/sa")
  gives("hidden ones when they are begun", 'dden"', '"HOST/.hi')
  gives("hidden ones and bad names are not listed", nil, '"HOST/s', 'say "hi"  sub dir/\n')
  gives("nothing where there is nothing", nil, '"HOST/no/such')
end)

describe("paths in an image:", function()
  gives("of a method", nil, 'image:read "/etc/passwd', "passwd   passwd-\n")
  gives("with brackets", 'ile"', 'image:stat("/etc/prof')
  gives("a directory", "tc/", 'image:list "/e')
  gives("without the slash at the front", "tc/", 'image:list "e')
  gives("through links", 'so"', 'image:read "/lib/libc.')
  gives("of what lists", "tc/", 'image:ls "/e')
  gives("of what prints", 'ile"', 'image:cat("/etc/prof')
  gives("of what finds", "tc/", 'image:find("/e')
  gives("of what changes", 'ile"', 'image:edit("/etc/prof')
  gives("of what puts them here", "tc/", 'image:extract("/e')
  gives("of what draws", "ww/", 'rootfs:tree "/srv/w')
  gives("a link to a directory gets a slash", "/", 'image:walk "/lib')
  gives("of a rootfs", "www/", 'rootfs:exists "/srv/')
  gives("of a handle in a table", "www/", 'x = images.none or rootfs:list "/srv/')
  gives("of a reference", 'ile"', 'reference:cat "/etc/prof')
  gives("of one that would have to be fetched there are none", nil, 'unopened:cat "/et')
  gives("no other method's", nil, 'image:close "/usr/lib/libc.s')
  gives("nothing where there is nothing", nil, 'image:read "/no/such')
  it("names that would do something to the terminal, or end the string, are written so that they do not", function()
    local hostile = banger.rootfs { near = scratch:path "hostile.ext4" }
    banger.inject(hostile, { { path = "/cr\rback", content = "" }, { path = "/bad\xFFname", content = "" },
      { path = "/dir\27[31m/in", content = "" }, { path = "/over\u{202E}ride", content = "" }, { path = "/end]]", content = "" } })
    variables.hostile = hostile
    local function first(code) return (complete.complete(code, scope, 80)) end
    assert.equal('\\rback"', first 'hostile:exists "/cr')
    assert.equal('\\xFFname"', first 'hostile:exists "/bad')
    assert.equal('\\u{202E}ride"', first 'hostile:exists "/over')
    assert.equal("\\x1B[31m/", first "hostile:exists '/dir")
    assert.equal('in"', first 'hostile:exists "/dir\\x1B[31m/')
    assert.equal('in"', first 'hostile:exists "/dir\\27[31m/')
    assert.is_nil(first "hostile:exists [[/cr")
    assert.is_nil(first "hostile:exists [[/en")
    assert.equal(']]"', first 'hostile:exists "/end')
    hostile:close()
  end)
  it("of a closed handle there are none", function()
    local closed = banger.rootfs { near = scratch:path "c.ext4" }
    closed:close()
    variables.closed = closed
    assert.is_nil((complete.complete('closed:read "/', scope, 80)))
  end)
end)

describe("long lists", function()
  it("are cut", function()
    local many = {}
    for i = 1, 1000 do many[("k%04d"):format(i)] = i end
    variables.many = many
    local _, listing = complete.complete("many.k0", scope, 80)
    assert.matches("k0001  k0020", listing)
    assert.matches("\n%.%.%. 799 more\n$", listing)
  end)
end)

describe("the state of a text", function()
  local function is(name, code, ...)
    local want = { ... }
    it(name, function() assert.same(want, { complete.state(code) }) end)
  end
  is("empty", "", "code")
  is("in a string", 'f("a', "string", 4, '"')
  is("after a string", 'f("a"', "code")
  is("an escaped quote", [[f("\"]], "string", 4, '"')
  is("an escaped backslash", [[f("\\"]], "code")
  is("a string ends with its line", "f('a\n", "code")
  is("a long string", "f([==[ ]] ", "string", 7, "[==[")
  is("an index is no long string", "a[b[1", "code")
  is("a comment", "-- 'x", "comment")
  is("a long comment", "--[=[ x ]] ", "comment", 6, "[=[")
  is("after a long comment", "--[[ x ]] ", "code")
end)
