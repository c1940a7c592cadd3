-- How the prompt prints values, and what it says they are.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local format = require "banger.repl.format"
local sh = require "support.sh"
local text = require "banger.text"

local function shows(name, want, value, options)
  it(name, function() assert.equal(want, format.value(value, options)) end)
end

describe("a value", function()
  shows("a number", "42", 42)
  shows("a float", "1.5", 1.5)
  shows("nil", "nil", nil)
  shows("false", "false", false)
  shows("a string, as Lua reads it", [["say \"hi\" \\ \t\r"]], 'say "hi" \\ \t\r')
  shows("several lines in a table are quoted", [[{ "a\nb" }]], { "a\nb" })
  shows("stray bytes behind others", [["a\x9B1m\x80ž\x80"]], "a\x9b1m\x80ž\x80")
  shows("a string of a terminal's commands", [["\x1B[31mred\x07\x9B1m\u{202E}\u{9B}"]], "\27[31mred\7\x9b1m\u{202e}\u{9b}")
  shows("a string of other languages", [["žluťoučký 猫"]], "žluťoučký 猫")
  shows("a string that is no UTF-8", [["a\xFFb\xC3"]], "a\xffb\xc3")
  shows("a text of several lines, as it is", "[[\na\nb\n]]", "a\nb\n")
  shows("a text that holds the brackets", "[=[\na]]\nb]=]", "a]]\nb")
  shows("several lines with an escape are quoted", [["a\n\x1B"]], "a\n\27")
  shows("a long string is cut", '"' .. ("x"):rep(4000) .. '" ... 6,000 bytes more', ("x"):rep(10000))
  shows("a long text is cut between characters", "[[\n" .. ("é\n"):rep(1333) .. "]] ... 4 bytes more", ("é\n"):rep(1333) .. "猫!")
  shows("what is no text is cut anywhere", '"' .. ("\\x80"):rep(3997) .. '" ... 4 bytes more', ("\x80"):rep(4001))
  shows("a long string in a table is cut earlier", '{ "' .. ("x"):rep(400) .. '" ... 1 byte more }', { ("x"):rep(401) }, { width = 1000 })
  shows("a function of a library", "function string.format (C)", string.format)
  shows("a function of ours", "function banger.size.parse (lua/banger/size.lua:16)", require "banger.size".parse)
  shows("a closed file", "file (closed)", (function() local file = io.tmpfile() file:close() return file end)())
end)

describe("a table", function()
  shows("none in it", "{}", {})
  shows("in a line, keys sorted", '{ 1, 2, a = "x", b = false, ["b c"] = 3, ["end"] = 4, [-1] = 0 }',
    { 1, 2, b = false, a = "x", ["b c"] = 3, ["end"] = 4, [-1] = 0 })
  shows("in lines when it is wide", '{\n  aaaaaaaa = "bbbbbbbbbbbbbbbbbbbb",\n  cccccccc = "dddddddddddddddddddd",\n}',
    { aaaaaaaa = ("b"):rep(20), cccccccc = ("d"):rep(20) }, { width = 40 })
  shows("short ones of a list share lines", "{\n  100, 200, 300,\n  400, 500,\n}", { 100, 200, 300, 400, 500 }, { width = 18 })
  shows("deep ones are left out", "{ a = { a = { a = { a = { ... } } } } }", { a = { a = { a = { a = { a = {} } } } } })
  shows("long ones are cut", "{\n  1, 2,\n  ... 8 more\n}", { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, { items = 2, width = 10 })
  shows("many keys are cut", "{ a = 1, b = 2, ... 1 more }", { a = 1, b = 2, c = 3 }, { items = 2 })
  it("there is a limit on all of a value", function()
    local function nest(depth)
      local t = {}
      for i = 1, 20 do t["key" .. i] = depth > 0 and nest(depth - 1) or i end
      return t
    end
    local shown = format.value({ nest(3), nest(3), b = nest(1), c = {}, d = "last" })
    local _, lines = shown:gsub("\n", "")
    assert.is_true(lines > 100 and lines < 600, lines)
    assert.matches("\n  b = { %.%.%. },\n  c = {},\n  d = \"last\",\n}$", shown)
  end)
  shows("inside they are cut earlier", "{ { 1, 2, ... 1 more } }", { { 1, 2, 3 } }, { items = 10 })

  it("a cycle", function()
    local t = { name = "t" }
    t.self, t.list = t, { t }
    assert.equal('{ list = { <the same as above: cycle> }, name = "t", self = <the same as above: cycle> }', format.value(t, { width = 200 }))
  end)

  it("the same twice is no cycle", function()
    local t = { 1 }
    assert.equal("{ { 1 }, { 1 } }", format.value { t, t })
  end)

  it("with a __tostring says that, escaped", function()
    assert.equal("mine\\x1B", format.value(setmetatable({}, { __tostring = function() return "mine\27" end })))
    assert.equal("a table that cannot be printed", format.value(setmetatable({}, { __tostring = function() error "no" end })))
    local _, err = pcall(banger.error, "not_found", "there is none")
    assert.equal("there is none", format.value(err))
  end)

  it("with __pairs shows what that gives; __index is not asked", function()
    assert.equal("{ a = 1 }", format.value(setmetatable({}, { __pairs = function() return next, { a = 1 } end })))
    assert.equal("{}", format.value(setmetatable({}, { __index = function() error "asked" end, __len = function() error "asked" end })))
  end)

  it("with keys of all kinds is sorted the same each time", function()
    local shown = format.value({ [true] = 1, [2.5] = 2, x = 3, [false] = 4 }, { width = 80 })
    assert.equal("{ x = 3, [2.5] = 2, [false] = 4, [true] = 1 }", shown)
  end)

  it("has colours only when asked for, and they take no room", function()
    assert.equal('{ \27[36m1\27[0m, \27[32m"a"\27[0m, b = \27[33mnil\27[0m }' , (format.value({ 1, "a" }, { colour = true, width = 10 })
      :gsub(" }$", ", b = \27[33mnil\27[0m }")))
    assert.is_nil(format.value({ 1, "a", {}, print }, {}):find "\27")
  end)
end)

describe("several results", function()
  it("share a line where they fit", function()
    assert.equal('nil, "no such file"', format.values(table.pack(nil, "no such file")))
    assert.equal('"aaaaaaaa"\n"bbbbbbbb"', format.values(table.pack("aaaaaaaa", "bbbbbbbb"), { width = 20 }))
    assert.equal("", format.values(table.pack()))
  end)
end)

describe("what numbers mean", function()
  local function st(more)
    local out = { path = "/bin/su", type = "file", mode = 2541, uid = 0, gid = 5, size = 71912, nlink = 1, xattrs = {} }
    out.mtime, out.mtime_nsec = 1700000000, 5
    for k, v in pairs(more or {}) do out[k] = v end
    return out
  end

  it("is beside them in a stat result", function()
    assert.equal([[
{
  gid = 5,
  mode = 2541, -- 4755 -rwsr-xr-x
  mtime = 1700000000, -- 2023-11-14 22:13:20 UTC
  mtime_nsec = 5,
  nlink = 1,
  path = "/bin/su",
  size = 71912, -- 70.2 KiB
  type = "file",
  uid = 0,
  xattrs = {},
}]], format.value(st()))
  end)

  it("lists of them are as ls has them", function()
    assert.equal('{\n  -rwsr-xr-x 0:5 70.2 KiB 2023-11-14 22:13:20 UTC "/bin/su",\n'
      .. '  lrwxrwxrwx 0:0 - 1970-01-01 00:00:00 UTC "/bin" -> "usr/bin\\x1B",\n'
      .. '  crw------- 0:5 5, 1 2023-11-14 22:13:20 UTC "/dev/console",\n}', format.value {
        st(), st { path = "/bin", type = "symlink", mode = 511, gid = 0, mtime = 0, target = "usr/bin\27" },
        st { path = "/dev/console", type = "char", mode = 384, major = 5, minor = 1 },
      })
  end)

  it("is told of other tables too", function()
    assert.equal("{\n  crtime = 0, -- 1970-01-01 00:00:00 UTC\n  free = 1024, -- 1.0 KiB\n  layers = 2048,\n  used = 1023,\n}",
      format.value { crtime = 0, free = 1024, used = 1023, layers = 2048 })
  end)

  it("a time out of range is told as a number", function()
    assert.matches("mtime = 9223372036854775807, %-%- 9223372036854775807 seconds since 1970", format.value(st { mtime = math.maxinteger }))
  end)
end)

describe("numbers for people", function()
  it("counts", function()
    local want = { [0] = "0", [999] = "999", [1000] = "1,000", [13626] = "13,626", [1234567] = "1,234,567", [-1000] = "-1,000" }
    for number, shown in pairs(want) do assert.equal(shown, text.number(number)) end
    assert.equal("1 entry", text.count(1, "entry", "entries"))
    assert.equal("0 layers", text.count(0, "layer"))
  end)
  it("modes", function()
    assert.equal("drwxrwxrwt", text.mode(tonumber("1777", 8), "dir"))
    assert.equal("-rwSr-Sr-T", text.mode(tonumber("7644", 8), "file"))
    assert.equal("brw-rw----", text.mode(tonumber("660", 8), "block"))
  end)
  it("columns", function()
    assert.equal("a   c\nbb  d\n", text.columns({ "a", "bb", "c", "d" }, 8))
    assert.equal("aaaa\nb\n", text.columns({ "aaaa", "b" }, 3))
    assert.equal("", text.columns({}, 80))
  end)
end)

describe("handles", function()
  local scratch
  setup(function() scratch = sh.scratch() end)
  teardown(function() scratch:remove() end)

  it("an image says what it is", function()
    local path = scratch:path "some.ext4"
    sh.check("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -L 'my disk' " .. path .. " 64M")
    local image = banger.open(path)
    local free = sh.check("PATH=$PATH:/usr/sbin:/sbin dumpe2fs -h " .. path .. " 2>/dev/null | sed -n 's/^Free blocks: *//p'")
    local block = sh.check("PATH=$PATH:/usr/sbin:/sbin dumpe2fs -h " .. path .. " 2>/dev/null | sed -n 's/^Block size: *//p'")
    local mib = ("%.1f"):format(tonumber(free) * tonumber(block) / 1024 ^ 2)
    assert.equal(('image %s: ext4 64.0 MiB, %s MiB free, "my disk"'):format(path, mib), format.value(image))
    image:close()
    assert.equal("image: closed", format.value(image))
  end)

  it("an image without a label has none", function()
    local path = scratch:path "none.ext4"
    sh.check("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 " .. path .. " 64M")
    local image <close> = banger.open(path)
    assert.matches(" MiB free$", format.value(image))
  end)

  it("a rootfs says how much is in it", function()
    local rootfs <close> = banger.rootfs { near = scratch:path "x.ext4" }
    banger.inject(rootfs, { { path = "/a/b", content = ("x"):rep(20000) } })
    assert.equal("rootfs: 0 layers, 2 entries, 20.0 KiB staged", format.value(rootfs))
    rootfs:close()
    assert.equal("rootfs: closed", format.value(rootfs))
  end)

  it("a blob says how large it is", function()
    sh.write_file(scratch:path "blob", ("x"):rep(3000))
    local digest = "sha256:" .. sh.sha256(scratch:path "blob")
    local blob <close> = banger.fetch_blob { path = scratch:path "blob", digest = digest, size = 3000 }
    assert.equal("blob: " .. digest .. ", 2.9 KiB", format.value(blob))
    local unnamed <close> = banger.fetch_blob { path = scratch:path "blob", offset = 0, size = 3000 }
    assert.equal(("blob: %s, 3000 bytes"):format(scratch:path "blob"), format.value(unnamed))
    unnamed:close()
    assert.equal("blob: closed", format.value(unnamed))
  end)

  it("an image whose file is gone, or another's, says what it is", function()
    local path = scratch:path "gone.ext4"
    sh.check("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -L kept " .. path .. " 64M")
    local image <close> = banger.open(path)
    os.remove(path)
    assert.matches('^image [^ ]*/gone%.ext4: ext4 64%.0 MiB, [%d.]+ MiB free, "kept"$', format.value(image))
  end)
end)
