local size = require "banger.size"

describe("sizes", function()
  it("are bytes, or numbers with a power of 1024", function()
    for text, bytes in pairs {
      ["0"] = 0, ["1"] = 1, ["4096"] = 4096, ["1K"] = 1024, ["1k"] = 1024, ["1KiB"] = 1024, ["512M"] = 536870912,
      ["4G"] = 4294967296, ["4GiB"] = 4294967296, ["2T"] = 2199023255552, ["1.5G"] = 1610612736, ["0.5K"] = 512,
      ["10B"] = 10,
    } do
      assert.equal(bytes, (size.parse(text)))
      assert.equal("integer", math.type(size.parse(text)))
    end
  end)

  it("stay what they are when they are numbers", function()
    assert.equal(4096, (size.parse(4096)))
    assert.equal(4096, (size.parse(4096.0)))
  end)

  it("that make no sense are refused", function()
    for _, text in ipairs { "3Q", "", "G", "-1", "-4G", "1 G", "4GB", "1e9", "0x10", "4G ", "min", "4GiBs", "1,5G", ".5G" } do
      assert.same({ nil, ("'%s' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected"):format(text) },
        { size.parse(text) })
    end
    assert.same({ nil, "'1.3' is no whole number of bytes" }, { size.parse "1.3" })
    assert.same({ nil, "'99999999T' is too large a size" }, { size.parse "99999999T" })
  end)

  it("are written for people", function()
    assert.equal("0 B", size.format(0))
    assert.equal("1023 B", size.format(1023))
    assert.equal("1.0 KiB", size.format(1024))
    assert.equal("479.0 MiB", size.format(479 * 1024 * 1024))
    assert.equal("9.9 KiB", size.format(10137))
    assert.equal("1023.9 KiB", size.format(1048524))
    assert.equal("1.0 MiB", size.format(1048525))
    assert.equal("1.2 GiB", size.format(1288490188))
    assert.equal("2048.0 TiB", size.format(2 ^ 51))
  end)
end)
