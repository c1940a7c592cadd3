--- Random stacks of layers from a seed: the same on every machine.
-- A small set of names makes collisions likely. What the rules leave open
-- (tests/conformance/README.md) is not made: the model says when it was.
local model = require "support.model"
local tar = require "support.tar"

local M = {}

-- ---- randomness that does not depend on the Lua version -----------------------

local Random = {}
Random.__index = Random

--- A generator (splitmix64).
---@param seed integer
function M.random(seed)
  return setmetatable({ state = seed }, Random)
end

--- An integer from 1 to n.
function Random:upto(n)
  self.state = self.state + 0x9E3779B97F4A7C15
  local z = self.state
  z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
  z = (z ~ (z >> 27)) * 0x94D049BB133111EB
  return ((z ~ (z >> 31)) >> 1) % n + 1
end

function Random:chance(percent) return self:upto(100) <= percent end
function Random:pick(list) return list[self:upto(#list)] end

function Random:shuffle(list)
  for i = #list, 2, -1 do
    local j = self:upto(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

-- ---- entries -------------------------------------------------------------------

local NAMES = { "a", "b", "c", "d", "e", "lib", "x y", "\xc3\xa9", ("n"):rep(120) }

local function path(r, max)
  local parts = {}
  for i = 1, r:upto(max or 4) do parts[i] = NAMES[r:upto(r:chance(80) and 3 or #NAMES)] end
  return table.concat(parts, "/")
end

--- The same name as a careless tool writes it.
local function spelled(r, name)
  if r:chance(10) then name = "./" .. name end
  if r:chance(3) then name = name:gsub("/", "//", 1) end
  if r:chance(3) then name = name:gsub("/", "/./", 1) end
  return name
end

local function metadata(r, kind, tame)
  local attrs = { mode = r:pick { 420, 384, 493, 448, 2541, 1005, 511 }, mtime = 1000000000 + r:upto(500000000) }
  if kind == "symlink" then attrs.mode = 511 end
  -- An ordinary user cannot look into a directory it may not enter.
  if tame and tame.rootless and kind == "dir" then attrs.mode = r:pick { 493, 448, 511 } end
  if r:chance(30) then attrs.uid, attrs.gid = r:upto(70000), r:upto(70000) end
  if kind ~= "symlink" and r:chance(15) then
    attrs.xattrs = { ["user.k" .. r:upto(3)] = ("v"):rep(r:upto(60)) }
  end
  -- The kernel has no user.* there.
  if kind == "char" or kind == "block" or kind == "fifo" then attrs.xattrs = nil end
  return attrs
end

local function content(r)
  if r:chance(10) then return "" end
  if r:chance(5) then return ("\0"):rep(r:upto(3) * 4096) .. "end" end
  return ("content %d "):format(r:upto(1000000)):rep(r:chance(10) and 700 or 1)
end

local function target(r)
  local t = path(r, 3)
  if r:chance(30) then return "/" .. t end
  if r:chance(30) then return "../" .. t end
  if r:chance(10) then return "." end
  return t
end

local MAKE = {
  file = function(r, name, attrs) return tar.file(name, content(r), attrs) end,
  dir = function(r, name, attrs) return tar.dir(name .. (r:chance(80) and "/" or ""), attrs) end,
  symlink = function(r, name, attrs) return tar.symlink(name, target(r), attrs) end,
  char = function(r, name, attrs) return tar.char(name, r:upto(300), r:upto(300), attrs) end,
  fifo = function(_, name, attrs) return tar.fifo(name, attrs) end,
}

local KINDS = {
  "file", "file", "file", "file", "dir", "dir", "dir", "symlink", "symlink", "fifo", "char",
  "hardlink", "hardlink", "hardlink", "hardlink",
}

--- A hard link has its target's metadata, as every tar program writes it.
--- `fresh` are this layer's entries by name, `m` knows the layers below.
local function hardlink(r, name, m, known, fresh)
  if #known == 0 then return nil end
  local link = r:pick(known)
  local ok, inode = pcall(m.target, m, { link = link })
  local source = fresh[link] or (ok and inode)
  if not source or source.type == "dir" then return nil end
  return tar.hardlink(name, link, {
    mode = source.mode, uid = source.uid, gid = source.gid, mtime = source.mtime, xattrs = source.xattrs,
  })
end

local function random_entry(r, m, known, fresh, tame)
  local kind = r:pick(KINDS)
  local name = path(r)
  if kind == "hardlink" then return hardlink(r, name, m, known, fresh) end
  if tame and tame.rootless and kind == "char" then kind = "file" end
  known[#known + 1] = name
  fresh[name] = MAKE[kind](r, spelled(r, name), metadata(r, kind, tame))
  return fresh[name]
end

local function random_marker(r)
  local name = path(r, 3)
  local dir, last = name:match "^(.*/)([^/]*)$"
  if not dir then dir, last = "", name end
  if r:chance(30) then return tar.file(spelled(r, (r:chance(90) and name .. "/" or "") .. ".wh..wh..opq")) end
  return tar.file(spelled(r, dir .. ".wh." .. last))
end

-- ---- layers ----------------------------------------------------------------------

local function draft(r, m, known, tame)
  local entries, markers, fresh = {}, {}, {}
  for _ = 1, r:upto(12) do entries[#entries + 1] = random_entry(r, m, known, fresh, tame) end
  if m.layer > 0 then
    for _ = 1, r:upto(5) - 1 do markers[#markers + 1] = random_marker(r) end
  end
  if tame then return table.move(entries, 1, #entries, #markers + 1, markers) end
  local all = table.move(markers, 1, #markers, #entries + 1, entries)
  return r:chance(70) and r:shuffle(all) or all
end

--- True when the model takes the layer on top of these and finds nothing open.
local function accepted(layers, layer)
  local m = model.new()
  for _, below in ipairs(layers) do m:apply(below) end
  return (pcall(m.apply, m, layer)) and not m.open and m
end

--- A stack of layers.
---@param seed integer
---@param tame? { rootless?: boolean } what umoci agrees on: markers first, no
--- forward links; rootless: nothing that needs root
---@return table[] layers lists of entries
function M.stack(seed, tame)
  local r = M.random(seed)
  local layers, known, m = {}, {}, model.new()
  for _ = 1, 1 + r:upto(4) do
    for _ = 1, 20 do
      local layer = draft(r, m, known, tame)
      local after = accepted(layers, layer)
      if after and not (tame and after.hard) then
        layers[#layers + 1], m = layer, after
        break
      end
    end
  end
  return layers
end

-- ---- for people --------------------------------------------------------------------

local function show_entry(e)
  local parts = { e.type, ("%q"):format(e.name) }
  if e.link then parts[#parts + 1] = ("-> %q"):format(e.link) end
  if e.content and #e.content > 0 then parts[#parts + 1] = ("(%d bytes)"):format(#e.content) end
  return table.concat(parts, " ")
end

--- The stack as text.
function M.show(layers)
  local lines = {}
  for i, layer in ipairs(layers) do
    lines[#lines + 1] = "layer " .. i
    for _, e in ipairs(layer) do lines[#lines + 1] = "  " .. show_entry(e) end
  end
  return table.concat(lines, "\n")
end

local function without(layers, i, j)
  local out = {}
  for k, layer in ipairs(layers) do
    out[k] = table.move(layer, 1, #layer, 1, {})
    if k == i then table.remove(out[k], j) end
  end
  return out
end

local function valid(layers, tame)
  local below = {}
  for _, layer in ipairs(layers) do
    local after = accepted(below, layer)
    if not after or (tame and after.hard) then return false end
    below[#below + 1] = layer
  end
  return true
end

--- Takes entries away as long as the stack still fails.
---@param layers table[]
---@param fails fun(layers: table[]): boolean
---@param tame? table as for stack
function M.shrink(layers, fails, tame)
  local again = true
  while again do
    again = false
    for i = #layers, 1, -1 do
      for j = #layers[i], 1, -1 do
        local fewer = without(layers, i, j)
        if valid(fewer, tame) and fails(fewer) then layers, again = fewer, true end
      end
    end
  end
  return layers
end

return M
