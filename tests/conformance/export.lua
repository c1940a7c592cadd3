--- Cases as files for tools written in any language: an OCI layout and the
--- expected outcome as JSON.
local check = require "conformance.check"
local suite = require "conformance.suite"
local image = require "support.image"
local json = require "support.json"
local sh = require "support.sh"
local tree = require "support.tree"

local M = {}

--- A folder name for a case: its number in the suite, row and name.
local function folder(case, number)
  local name = case.id:gsub("[^%w]+", "-"):gsub("^%-+", ""):gsub("%-+$", "")
  return ("%04d-%s"):format(number, name:sub(1, 120))
end

local SCALARS = { "type", "mode", "uid", "gid", "size", "mtime", "nsec", "nlink", "major", "minor", "stored" }

--- Longer contents become files of their own.
local INLINE = 4096

local function export_content(out, content, path, count)
  if #content <= INLINE then
    out.content = json.percent(content)
    return count
  end
  if count == 0 then sh.check("mkdir -p " .. sh.quote(path .. "/contents")) end
  count = count + 1
  out.content_file = "contents/" .. count
  sh.write_file(path .. "/" .. out.content_file, content)
  return count
end

local function exported_node(n)
  local out = { xattrs = {} }
  for _, key in ipairs(SCALARS) do out[key] = n[key] end
  for name, value in pairs(n.xattrs) do out.xattrs[json.percent(name)] = json.percent(value) end
  if n.target then out.target = json.percent(n.target) end
  if n.type ~= "dir" then out.inode = json.percent(n.id) end
  return out
end

local function exported_tree(case, path)
  local out, files = {}, 0
  for name, n in pairs(suite.expected_tree(case.expect)) do
    local node = exported_node(n)
    if n.content then files = export_content(node, n.content, path, files) end
    out[json.percent(name)] = node
  end
  return out
end

local function expectation(case, path)
  local out = {
    row = case.row, name = json.percent(case.name), options = case.options, mkext4 = case.mkext4,
    notes = case.notes and json.array(case.notes),
  }
  if case.error then
    out.error = case.error
  else
    out.tree = exported_tree(case, path)
  end
  if case.partial then out.partial = json.array(case.partial) end
  if out.notes then
    for i, note in ipairs(out.notes) do out.notes[i] = suite.with(note, "entry", json.percent(note.entry)) end
  end
  if out.error and out.error.entry then
    out.error = suite.with(out.error, "entry", json.percent(out.error.entry))
  end
  return out
end

--- Writes DIR/<case>/layout and DIR/<case>/expected.json.
function M.write(case, dir, number)
  local path = dir .. "/" .. folder(case, number)
  check.layout(case, path .. "/layout")
  sh.write_file(path .. "/expected.json", json.encode(expectation(case, path), true) .. "\n")
end

-- ---- comparing what another tool made ---------------------------------------------

local function imported(case_dir, text)
  local cjson = require "cjson"
  local expected = cjson.decode(text)
  local out = {}
  for path, n in pairs(expected.tree or {}) do
    for key, value in pairs(n) do
      if math.type(value) == "float" then n[key] = math.tointeger(value) or value end
    end
    local xattrs = {}
    for name, value in pairs(n.xattrs) do xattrs[json.unpercent(name)] = json.unpercent(value) end
    n.xattrs, n.id = xattrs, n.inode
    n.content, n.target = n.content and json.unpercent(n.content), n.target and json.unpercent(n.target)
    if n.content_file then n.content = sh.read_file(case_dir .. "/" .. n.content_file) end
    out[json.unpercent(path)] = n
  end
  return out, expected
end

--- Compares an ext4 image or a directory with an exported expectation.
---@return string[] problems
function M.compare(case_dir, result)
  local want, expected = imported(case_dir, sh.read_file(case_dir .. "/expected.json"))
  if expected.error then return { "the case has to fail: " .. tostring(expected.error.code) } end
  local directory = select(2, sh.run("test -d " .. sh.quote(result))) == 0
  if not directory then return tree.compare(want, image.read(result, { lost_found = want["lost+found"] ~= nil })) end
  -- A directory of this machine has its own ideas of link counts and blocks.
  local got = image.directory(result)
  return tree.compare(want, got, { stored = true, size = true })
end

return M
