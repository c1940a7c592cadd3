--- The conformance suite for people and other tools:
--
--   banger-lua tests/conformance/run.lua check [PATTERN]
--   lua5.4     tests/conformance/run.lua list
--   lua5.4     tests/conformance/run.lua export DIR
--   lua5.4     tests/conformance/run.lua compare DIR/CASE IMAGE.ext4|DIRECTORY
--
-- Run from the top of the source tree. README.md says what export writes.
package.path = "tests/?.lua;" .. package.path
local check = require "conformance.check"
local export = require "conformance.export"
local suite = require "conformance.suite"
local sh = require "support.sh"
local tree = require "support.tree"

local M = {}

--- Runs the cases whose name matches; prints one line a case.
function M.check(pattern)
  local banger = require "banger"
  local passed, failed = 0, 0
  for _, case in ipairs(suite.load()) do
    if not pattern or case.id:find(pattern) then
      local problems = case.pull_only and check.pull(case) or check.run(banger, case)
      if case.pull and not case.pull_only then
        table.move(check.pull(case), 1, 99, #problems + 1, problems)
      end
      print((#problems == 0 and "ok      " or "FAILED  ") .. case.id)
      for _, problem in ipairs(problems) do print("        " .. problem) end
      if #problems == 0 then passed = passed + 1 else failed = failed + 1 end
    end
  end
  print(("%d passed, %d failed"):format(passed, failed))
  return failed == 0
end

function M.list()
  for _, case in ipairs(suite.load()) do print(case.id) end
  return true
end

--- Writes every case below a directory.
function M.export(dir)
  local cases = suite.load()
  for number, case in ipairs(cases) do export.write(case, dir, number) end
  print(("%d cases in %s"):format(#cases, dir))
  return true
end

--- Compares what another tool made of an exported case.
function M.compare(case_dir, result)
  local problems = export.compare(case_dir, result)
  for _, problem in ipairs(problems) do print(problem) end
  if #problems == 0 then print "equal" end
  return #problems == 0
end

local NEEDS = { check = 0, list = 0, export = 1, compare = 2 }

local command = arg[1]
if not NEEDS[command] or #arg - 1 < NEEDS[command] then
  io.stderr:write(sh.read_file(arg[0]):match "^%-%-%- (.-)\npackage", "\n")
  os.exit(1)
end
if not M[command](table.unpack(arg, 2)) then
  io.stderr:write(tree.message { "not as expected" }, "\n")
  os.exit(1, true)
end
