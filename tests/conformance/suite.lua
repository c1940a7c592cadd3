--- The conformance suite: loads the cases and makes their meaning explicit.
-- A case file returns { title=, cases={ case, ... } }; README.md has the form
-- of a case. The names of this module are what case files write with.
local tar = require "support.tar"
local tree = require "support.tree"

local M = {
  file = tar.file, dir = tar.dir, symlink = tar.symlink, hardlink = tar.hardlink,
  char = tar.char, block = tar.block, fifo = tar.fifo, tar = tar,
}

--- Case files, in the order of the table they cover.
M.FILES = {
  "whiteouts", "opaque", "markers", "hardlinks", "replacing", "paths", "devices", "xattrs",
  "numbers", "names", "formats", "sparse", "compression", "streams", "broken", "limits", "report",
}

--- An octal literal: oct "644".
function M.oct(digits) return tonumber(digits, 8) end

-- ---- expected nodes -----------------------------------------------------------

M.is = {}

local function node(kind, attrs, more)
  local n = { type = kind }
  for k, v in pairs(more or {}) do n[k] = v end
  for k, v in pairs(attrs or {}) do n[k] = v end
  return n
end

function M.is.file(content, attrs) return node("file", attrs, { content = content }) end
function M.is.dir(attrs) return node("dir", attrs) end
function M.is.symlink(target, attrs) return node("symlink", attrs, { target = target }) end
function M.is.char(major, minor, attrs) return node("char", attrs, { major = major, minor = minor }) end
function M.is.block(major, minor, attrs) return node("block", attrs, { major = major, minor = minor }) end
function M.is.fifo(attrs) return node("fifo", attrs) end

--- A further name of the inode that `path` names.
function M.is.same(path) return { same = path } end

--- A directory that no entry describes: 0:0 0755, its time is nobody's business.
M.MADE = { type = "dir", mtime = false }

-- ---- from literals to whole trees ------------------------------------------------

local MODE = { file = M.oct "644", dir = M.oct "755", symlink = M.oct "777" }

local function complete(n, path)
  if type(n) == "string" then n = { type = "file", content = n } end
  local full = { mode = MODE[n.type] or MODE.file, uid = 0, gid = 0, xattrs = {}, id = path }
  for k, v in pairs(n) do full[k] = v end
  if full.mtime == nil then full.mtime, full.nsec = tar.MTIME, full.nsec or 0 end
  if full.mtime == false then
    full.mtime, full.nsec = nil, nil
  else
    full.nsec = full.nsec or 0
  end
  if full.content then full.size = #full.content end
  if full.target then full.size = #full.target end
  return full
end

--- Adds the parents that no key names.
local function add_parents(expect)
  local full = {}
  for path, n in pairs(expect) do
    full[path] = n
    local parent = path:match "^(.*)/[^/]*$"
    while parent and not expect[parent] and not full[parent] do
      full[parent] = M.MADE
      parent = parent:match "^(.*)/[^/]*$"
    end
  end
  return full
end

--- A copy of a table with one more field.
function M.with(t, key, value)
  local copy = {}
  for k, v in pairs(t) do copy[k] = v end
  copy[key] = value
  return copy
end

--- The whole tree that an expectation stands for: parents, defaults, links.
---@param expect table<string, table|string>
---@return table tree see support.tree
function M.expected_tree(expect)
  local out = {}
  local full = add_parents(M.with(expect, "", expect[""] or M.MADE))
  for path in pairs(full) do
    local source = path
    while type(full[source]) == "table" and full[source].same do source = full[source].same end
    out[path] = complete(full[source], source)
  end
  return tree.count_links(out)
end

-- ---- orders -----------------------------------------------------------------------

local function permutations(n)
  local out = {}
  local function extend(prefix, used)
    if #prefix == n then out[#out + 1] = table.move(prefix, 1, n, 1, {}) end
    for i = 1, n do
      if not used[i] then
        used[i], prefix[#prefix + 1] = true, i
        extend(prefix, used)
        used[i], prefix[#prefix] = nil, nil
      end
    end
  end
  extend({}, {})
  return out
end

local function reordered(layer, order)
  local copy = {}
  for k, v in pairs(layer) do copy[k] = v end
  for i, from in ipairs(order) do copy[i] = layer[from] end
  return copy
end

--- A case with any_order = k stands for one case each order of layer k's entries.
local function orders(case)
  if not case.any_order then return { case } end
  local out = {}
  for i, order in ipairs(permutations(#case.layers[case.any_order])) do
    local one = M.with(case, "layers", table.move(case.layers, 1, #case.layers, 1, {}))
    one.layers[case.any_order] = reordered(case.layers[case.any_order], order)
    one.name = ("%s [order %s]"):format(case.name, table.concat(order, " "))
    one.order = i
    out[i] = one
  end
  return out
end

-- ---- layers ------------------------------------------------------------------------

--- What support.oci needs for a layer of a case.
function M.layer_spec(layer)
  if type(layer) == "function" then layer = layer() end
  local spec = {}
  for k, v in pairs(layer) do
    if type(k) == "string" then spec[k] = v end
  end
  spec.tar = layer.tar or tar.archive(layer, layer)
  return spec
end

function M.layer_specs(case)
  local specs = {}
  for i, layer in ipairs(case.layers) do specs[i] = M.layer_spec(layer) end
  return specs
end

--- All cases, orders spelled out, in a fixed order.
---@param dir? string folder of case files
---@return table[] cases
function M.load(dir)
  dir = dir or "tests/conformance/cases"
  local cases, seen = {}, {}
  for _, name in ipairs(M.FILES) do
    local group = assert(dofile(dir .. "/" .. name .. ".lua"))
    for _, case in ipairs(group.cases) do
      for _, one in ipairs(orders(case)) do
        one.id = ("%s: %s"):format(one.row, one.name)
        one.group = name
        assert(not seen[one.id], "two cases are called " .. one.id)
        seen[one.id] = true
        cases[#cases + 1] = one
      end
    end
  end
  return cases
end

return M
