-- Every case that succeeds as a finished image: e2fsck finds nothing, and
-- debugfs and the kernel's mount see the tree that was expected. Cases marked
-- so go through the command line too.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local check = require "conformance.check"
local suite = require "conformance.suite"
local sh = require "support.sh"
local tree = require "support.tree"

local function report(problems)
  if #problems > 0 then error(tree.message(problems, 12), 0) end
end

describe("layers.md on ext4", function()
  for _, case in ipairs(suite.load()) do
    -- The other orders of a case are the same tree: the rootfs says so.
    if case.expect and not case.pull_only and (case.order or 1) == 1 then
      it(case.id, function() report(check.run(banger, case)) end)
    end
  end

  it("the kernel mounts every one of these images", function()
    if not sh.can_mount() then pending "mounting needs root and a loop device" end
  end)
end)

describe("layers.md by pull", function()
  for _, case in ipairs(suite.load()) do
    if case.pull then
      it(case.id, function() report(check.pull(case)) end)
    end
  end
end)
