-- Every case of the suite through the primitives, in every order: the tree,
-- the report, the error. What the finished image holds is image_spec.lua's.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local check = require "conformance.check"
local suite = require "conformance.suite"
local tree = require "support.tree"

describe("layers.md", function()
  for _, case in ipairs(suite.load()) do
    if not case.pull_only then
      it(case.id, function()
        local problems = check.run(banger, case, { image = false })
        if #problems > 0 then error(tree.message(problems, 12), 0) end
      end)
    end
  end

  it("has a case for every row of the table", function()
    local rows = {}
    for _, case in ipairs(suite.load()) do rows[case.row] = true end
    local missing = {}
    for row = 1, 41 do
      if not rows[tostring(row)] then missing[#missing + 1] = row end
    end
    for _, row in ipairs { "6b", "22b", "24b", "limits", "report" } do
      if not rows[row] then missing[#missing + 1] = row end
    end
    assert.are.same({}, missing)
  end)
end)
