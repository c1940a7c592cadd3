local json = require "banger.json"
local cjson = require "cjson"

describe("JSON", function()
  it("is read with nulls left out of objects, and kept in arrays", function()
    assert.same({ a = { 1, cjson.null, { c = 2 } } }, json.decode '{"a":[1,null,{"b":null,"c":2}],"d":null}')
  end)

  it("is refused with a reason", function()
    assert.same({ nil, "is not a JSON object" }, { json.decode '"text"' })
    assert.same({ nil, "is not JSON: Expected the end but found invalid token at character 4" }, { json.decode "{} x" })
    assert.same({ nil, "is not JSON: Expected value but found invalid number at character 6" }, { json.decode '{"a":0x1}' })
    local deep = ("["):rep(65) .. ("]"):rep(65)
    assert.matches("^is not JSON: Found too many nested data structures", select(2, json.decode(deep)))
  end)

  it("is written with sorted keys", function()
    assert.equal('{"a":1,"b":[true,false],"c":{"x":"y"},"d":0.123457,"e":[]}',
      json.encode { e = {}, d = 0.1234567, c = { x = "y" }, b = { true, false }, a = 1 })
  end)

  it("is written with strings escaped, and as UTF-8 whatever they hold", function()
    assert.equal([["\" \\ \n \t \r \u0001 \u007f / é"]], json.encode "\" \\ \n \t \r \1 \127 / é")
    assert.equal('"a\u{FFFD}b\u{FFFD}"', json.encode "a\xffb\xc3")
    assert.equal('"\u{FFFD}\u{FFFD}"', json.encode "\x80\x80")
    assert.equal('"é\u{FFFD}x"', json.encode "é\xedx")
  end)
end)
