local cjson = require "cjson"
local json = require "banger.json"

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

  it("is written with nothing that a terminal would act on, and is the same value", function()
    local hostile = "\u{80}\u{9B}2J\u{9F}\u{200E}\u{200F}\u{2028}\u{2029}\u{202A}\u{202E}\u{2066}\u{2069}\u{FEFF}"
    local written = [["\u0080\u009b2J\u009f\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff"]]
    assert.equal(written, json.encode(hostile))
    assert.equal(hostile, cjson.decode(written))
    assert.equal('"\u{A0}\u{2027}\u{202F}\u{2065}\u{206A}\u{1F600}"', json.encode "\u{A0}\u{2027}\u{202F}\u{2065}\u{206A}\u{1F600}")
    assert.equal([[{"\u009b":1}]], json.encode { ["\u{9B}"] = 1 })
  end)

  it("of others is made harmless without another change", function()
    assert.equal('{\n\t"é": "\\u009b\\u202e\\n\\u007f", "x": {}, "y": []}\r\n',
      json.harmless '{\n\t"é": "\u{9B}\u{202E}\\n\127", "x": {}, "y": []}\r\n')
    assert.equal('{"a": "plain"}', json.harmless '{"a": "plain"}')
  end)
end)
