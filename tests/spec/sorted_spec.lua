-- The keys of a table in an order.
local sorted = require "banger.sorted"

describe("the keys of a table", function()
  it("come in the order of their bytes", function()
    assert.same({ "", "A", "a", "a-b", "ab", "b", "\xc3\xa4" },
      sorted { b = 1, ["a-b"] = 1, [""] = 1, ab = 1, a = 1, A = 1, ["\xc3\xa4"] = 1 })
  end)

  it("may be few", function()
    assert.same({}, sorted {})
    assert.same({}, (sorted(nil)))
  end)

  it("may be of any type", function()
    assert.same({ 1, "1", 10, 2, "b", true }, sorted { "x", "y", [10] = 1, ["1"] = 1, [true] = 1, b = 1 })
  end)
end)
