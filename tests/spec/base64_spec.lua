-- Expected values are RFC 4648's (section 10), and those of coreutils' base64.
package.path = "tests/?.lua;" .. package.path
local base64 = require "banger.base64"
local sh = require "support.sh"

local VECTORS = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" }

describe("base64", function()
  it("is what the RFC has, and comes back", function()
    for plain, coded in pairs(VECTORS) do
      assert.equal(coded, base64.encode(plain))
      assert.equal(plain, base64.decode(coded))
      assert.equal(plain, base64.decode((coded:gsub("=", ""))))
    end
  end)

  it("is that of all bytes", function()
    local bytes = {}
    for i = 0, 255 do bytes[i + 1] = string.char(i) end
    local all, scratch = table.concat(bytes), sh.scratch()
    sh.write_file(scratch:path "all", all)
    local coded = sh.check("base64 -w0 " .. sh.quote(scratch:path "all"))
    scratch:remove()
    assert.equal(coded, base64.encode(all))
    assert.equal(all, base64.decode(coded))
    assert.equal(all, base64.decode((coded:gsub(("."):rep(76), "%0\n"))))
  end)

  it("is nothing else", function()
    for _, text in ipairs { "x", "Zg===", "Zm9v=x", "Zm9*", "Zm9-", "Zm9vZ", "====", "Zg==Zg==" } do
      assert.is_nil(base64.decode(text), text)
    end
  end)
end)
