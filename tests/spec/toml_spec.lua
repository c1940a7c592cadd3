local toml = require "banger.toml"

local function parses(text, expected)
  local document, message = toml.parse(text)
  assert.same(expected, document or message)
end

-- `a = TEXT`
local function is(text, expected)
  parses("a = " .. text, { a = expected })
end

local function refused(text, why)
  local document, message = toml.parse(text)
  assert.same({ nil, why }, { document, message })
end

describe("TOML", function()
  it("may hold nothing", function()
    parses("", {})
    parses("\n# a\n\n\t # b\r\n", {})
    parses("\u{feff}a = 1", { a = 1 })
  end)

  it("has bare, quoted and dotted keys", function()
    parses("a-b_1 = 1\n'c d' = 2\n\"e\\n\" = 3\n\"\" = 4\n12 = 5",
      { ["a-b_1"] = 1, ["c d"] = 2, ["e\n"] = 3, [""] = 4, ["12"] = 5 })
    parses("a.b.c = 1\na . b . d = 2\na.'b.x' = 3", { a = { b = { c = 1, d = 2 }, ["b.x"] = 3 } })
    parses("a=1#c", { a = 1 })
    parses("  a = 1\t# c\tc é\r\nb = 2\r\n", { a = 1, b = 2 })
  end)

  it("has basic strings", function()
    is([["b\tc\n\"\\ \u00e9\U0001F600 #"]], "b\tc\n\"\\ é😀 #")
    is([[""]], "")
    is("\"a\tb é\"", "a\tb é")
    is([["\b\f\r"]], "\b\f\r")
  end)

  it("has literal strings", function()
    is([['C:\a\"b"']], [[C:\a\"b"]])
    is("''", "")
  end)

  it("has strings of several lines", function()
    is('"""b\nc"""', "b\nc")
    is('"""\nb\n"""', "b\n")
    is('"""\r\nb\r\n"""', "b\r\n")
    is('"""a \\\n   \n  b\\  \n c"""', "a bc")
    is('""""a"" b"""""', '"a"" b""')
    is('""""""', "")
    is([["""\u0041\\"""]], "A\\")
    is("'''\na\\\n'b'''''", "a\\\n'b''")
    is("''''''", "")
  end)

  it("has integers and booleans", function()
    for text, value in pairs {
      ["0"] = 0, ["-0"] = 0, ["+7"] = 7, ["1_000"] = 1000, ["-17"] = -17, ["0xDead_beef"] = 0xdeadbeef,
      ["0o755"] = 493, ["0b101"] = 5, ["0x00"] = 0,
      ["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
      ["0x7fffffffffffffff"] = math.maxinteger,
    } do
      is(text, value)
      assert.equal("integer", math.type(toml.parse("a = " .. text).a))
    end
    is("true", true)
    is("false", false)
  end)

  it("has arrays", function()
    is("[]", {})
    is("[ 1, 'b', [true,[]] ,{c=1}, ]", { 1, "b", { true, {} }, { c = 1 } })
    is("[ # x\n 1 # y\n , # z\n\n 2,\r\n # end\n]", { 1, 2 })
  end)

  it("has inline tables", function()
    is("{}", {})
    is("{ }", {})
    is("{ b = 1, c.d = 'x', c.e = [\n1,\n2], 'f' = { g = true } }", { b = 1, c = { d = "x", e = { 1, 2 } }, f = { g = true } })
  end)

  it("has tables", function()
    parses("x = 1\n[a]\ny = 2\n[ b . 'c d' ]\nz = 3\n[e]", { x = 1, a = { y = 2 }, b = { ["c d"] = { z = 3 } }, e = {} })
    parses("[a.b]\nx = 1\n[a]\ny = 2", { a = { b = { x = 1 }, y = 2 } })
    parses("[a]\nb.c = 1\n[a.b.d]\ne = 2", { a = { b = { c = 1, d = { e = 2 } } } })
  end)

  it("has arrays of tables, and tables below their last", function()
    parses([=[
      unqualified-search-registries = ["docker.io"]
      [[registry]]
      location = "a"
      [[registry.mirror]]
      location = "m1"
      [[registry.mirror]]
      location = "m2"
      insecure = true
      [[registry]]
      location = "b"
      [registry.x]
      y = 1
    ]=], {
      ["unqualified-search-registries"] = { "docker.io" },
      registry = {
        { location = "a", mirror = { { location = "m1" }, { location = "m2", insecure = true } } },
        { location = "b", x = { y = 1 } },
      },
    })
    parses("[[a]]\n[[a]]\n[[a.b]]", { a = { {}, { b = { {} } } } })
  end)

  it("tells where the tables of headers begin", function()
    local document, lines = toml.parse "\n[a]\nx = 1\n\n[[b]]\n[[b]]\n[b.c]\n"
    assert.same({ 2, 5, 6, 7 }, { lines[document.a], lines[document.b[1]], lines[document.b[2]], lines[document.b[2].c] })
  end)
end)

describe("TOML that is none is refused:", function()
  it("lines", function()
    refused("a", "line 1: '=' is expected after the key 'a', not the end")
    refused("\na.b\n", "line 2: '=' is expected after the key 'a.b', not the end of the line")
    refused("a = ", "line 1: a value is expected, not the end")
    refused("a =\n1", "line 1: a value is expected, not the end of the line")
    refused("= 1", "line 1: a key is expected, not '='")
    refused("a. = 1", "line 1: a key is expected, not '='")
    refused("a = 1 b = 2", "line 1: 'b' is not expected here")
    refused("a = 1\nb = 2 c", "line 2: 'c' is not expected here")
    refused("\"a = 1", "line 1: a string does not end")
    refused('"""a""" = 1', "line 1: '=' is expected after the key '', not '\"'")
    refused("é = 1", "line 1: a key is expected, not the byte 0xc3")
    refused("a = 1\rb = 2", "line 1: the byte 0x0d is not expected here")
    refused("# a\1", "line 1: a key is expected, not the byte 0x01")
    refused("a = 1 # a\1", "line 1: the byte 0x01 is not expected here")
    refused("a = 1\n\nb = \255", "line 3: this is not UTF-8")
  end)

  it("strings", function()
    refused('a = "b', "line 1: a string does not end")
    refused('a = "b\n"', "line 1: a string does not end on its line")
    refused("a = 'b\n'", "line 1: a string does not end on its line")
    refused('\na = "\1"', "line 2: the byte 0x01 is in a string")
    refused([[a = "\x41"]], "line 1: a backslash is followed by 'x41', which is no escape")
    refused('a = "\\', "line 1: a backslash is followed by the end, which is no escape")
    refused([[a = "\u12"]], "line 1: '\\u' is followed by no character's number")
    refused([[a = "\ud800"]], "line 1: '\\u' is followed by no character's number")
    refused([[a = "\U00110000"]], "line 1: '\\U' is followed by no character's number")
    refused('\na = """b\n\nc', "line 2: the string that begins here does not end")
    refused("a = '''b", "line 1: the string that begins here does not end")
    refused('a = """\n\0"""', "line 2: the byte 0x00 is in a string")
    refused('a = """b""""""', "line 1: too many quotes end a string")
  end)

  it("numbers and words", function()
    for _, word in ipairs { "01", "1__0", "_1", "1_", "+0x1", "0xg", "0o8", "0b2", "0x", "1a", "yes", "True", "b.c", "--1" } do
      refused("a = " .. word, ("line 1: a value is expected, not '%s'"):format(word))
    end
    for _, word in ipairs { "1.5", "-1e3", "inf", "+nan", "1979-05-27", "1979-05-27T07:32:00Z", "07:32:00" } do
      refused("a = " .. word, ("line 1: floats, dates and times are not supported ('%s')"):format(word))
    end
    refused("a = 9223372036854775808", "line 1: 9223372036854775808 is too large a number")
    refused("a = -9223372036854775809", "line 1: -9223372036854775809 is too large a number")
    refused("a = 0x8000000000000000", "line 1: 0x8000000000000000 is too large a number")
  end)

  it("arrays and inline tables", function()
    refused("a = [1 2]", "line 1: ',' or ']' is expected in an array, not '2'")
    refused("a = [\n1,\n", "line 3: a value is expected, not the end")
    refused("a = [,]", "line 1: a value is expected, not ','")
    refused("a = [1,,2]", "line 1: a value is expected, not ','")
    refused("a = {b = 1 c = 2}", "line 1: ',' or '}' is expected in an inline table, not 'c'")
    refused("a = {b = 1,}", "line 1: a key is expected, not '}'")
    refused("a = {\nb = 1}", "line 1: a key is expected, not the end of the line")
    refused("a = {b = 1, b = 2}", "line 1: 'b' is there already")
    refused("a = {b", "line 1: '=' is expected after the key 'b', not the end")
    refused("a = " .. ("["):rep(65), "line 1: values are nested more than 64 deep")
    refused("a = " .. ("{b="):rep(100000), "line 1: values are nested more than 64 deep")
  end)

  it("headers", function()
    refused("[a", "line 1: ']' is expected, not the end")
    refused("[a]]", "line 1: ']' is not expected here")
    refused("[[a]", "line 1: ']]' is expected, not ']'")
    refused("[[a] ]", "line 1: ']]' is expected, not ']'")
    refused("[]", "line 1: a key is expected, not ']'")
    refused("[a.]", "line 1: a key is expected, not ']'")
    refused("[a] b = 1", "line 1: 'b' is not expected here")
  end)

  it("what is there twice", function()
    refused("a = 1\na = 2", "line 2: 'a' is there already")
    refused("a = 1\n'a' = 2", "line 2: 'a' is there already")
    refused("a = false\na = 2", "line 2: 'a' is there already")
    refused("a = 1\na.b = 2", "line 2: 'a' is there already")
    refused("a.b = 1\na = 2", "line 2: 'a' is there already")
    refused("a = {}\na.b = 2", "line 2: 'a' is there already")
    refused("[a]\n[a]", "line 2: 'a' is there already")
    refused("a = 1\n[a]", "line 2: 'a' is there already")
    refused("a = {}\n[a.b]", "line 2: 'a' is there already, and no table to add to")
    refused("a = []\n[[a]]", "line 2: 'a' is there already, and no array of tables")
    refused("a = [{}]\n[a.b]", "line 2: 'a' is there already, and no table to add to")
    refused("[a]\n[[a]]", "line 2: 'a' is there already, and no array of tables")
    refused("[[a]]\n[a]", "line 2: 'a' is there already")
    refused("[a]\nb.c = 1\n[a.b]", "line 3: 'a.b' is there already")
    refused("[a.b.c]\n[a]\nb.d = 1", "line 3: 'b' is there already")
    refused("[a.b]\n[a]\nb = 1", "line 3: 'b' is there already")
  end)

  it("and takes no time", function()
    for _, part in ipairs { "[[a]]\n", "a", "a.", "'", '"""', "\\", "[", "{", " ", "\n", "#", "[a]\nb=", "1_" } do
      local begun = os.clock()
      toml.parse(part:rep(200000 // #part))
      toml.parse('a = """' .. part:rep(200000 // #part))
      assert.is_true(os.clock() - begun < 60, part)
    end
  end)
end)
