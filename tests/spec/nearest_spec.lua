local nearest = require "banger.nearest"

local WORDS = { "hosts", "hostname", "resolv.conf", "size", "init" }

describe("the nearest word", function()
  it("is found over one slip of the fingers", function()
    for typed, meant in pairs {
      hostnmae = "hostname", -- two swapped
      hostame = "hostname", -- one left out
      hosstname = "hostname", -- one twice
      hostnane = "hostname", -- one other
      ["resolv.cnof"] = "resolv.conf", size = "size", siez = "size", inti = "init", host = "hosts",
    } do
      assert.equal(meant, nearest(typed, WORDS))
    end
  end)

  it("is nil where more than a third differs", function()
    assert.is_nil(nearest("console", WORDS))
    assert.is_nil(nearest("ab", { "ac" }))
    assert.is_nil(nearest("", { "", "a" }) ~= "" or nil)
    assert.is_nil(nearest("hostname", {}))
    assert.is_nil(nearest("abcdef", { "abcxyz" }))
    assert.equal("abcdxy", nearest("abcdef", { "abcdxy" }))
  end)

  it("is the first of two that are as near", function()
    assert.equal("cat", nearest("cab", { "cat", "car" }))
    assert.equal("car", nearest("cab", { "car", "cat" }))
    assert.equal("cab", nearest("cab", { "car", "cab" }))
  end)
end)
