package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"
local shell = require "banger.shell"

describe("words for a shell", function()
  it("are read by it as they were", function()
    local words = { "plain-1", "two words", "it's", "", "$(x)`y`\\", "a=b,c:/d", "\n", "~", "*", "a;b", "#", "\xff" }
    assert.equal("[" .. table.concat(words, "][") .. "]", sh.check(("printf '[%%s]' %s"):format(shell.quote(words))))
  end)

  it("are quoted where that is needed only", function()
    assert.equal("plain-1 'two words' ''", shell.quote { "plain-1", "two words", "" })
    assert.equal([['it'\''s']], shell.quote { "it's" })
    assert.equal("/a_b.c@d%e+f=g:h,i", shell.quote { "/a_b.c@d%e+f=g:h,i" })
    assert.equal("", shell.quote {})
  end)
end)
