--- One form for a file tree, however it was come by, and the comparison.
-- A tree maps a path without leading slash ("" is the root) to a node:
--   type ("file dir symlink hardlink char block fifo"), mode, uid, gid, size,
--   mtime, nsec, nlink, target, major, minor, xattrs (name -> value),
--   content, id (equal for names of one inode), stored (bytes of data blocks)
-- What a reader cannot know it leaves out; what is absent on either side is
-- not compared.
local M = {}

local FIELDS = {
  "type", "mode", "uid", "gid", "size", "mtime", "nsec", "nlink", "target", "major", "minor",
  "content", "stored",
}

--- Bytes for people: printable, and cut.
local function show(v)
  if type(v) == "number" or type(v) == "boolean" or v == nil then return tostring(v) end
  if #v > 120 then return ("%q... (%d bytes)"):format(v:sub(1, 100), #v):gsub("\\\n", "\\n") end
  return (("%q"):format(v):gsub("\\\n", "\\n"))
end

local function show_field(key, v)
  if key == "mode" and math.type(v) == "integer" then return ("%04o"):format(v) end
  return show(v)
end

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end
M.sorted = sorted

local function compare_xattrs(say, want, got)
  for _, name in ipairs(sorted(want)) do
    if got[name] ~= want[name] then
      say(("xattr %s: want %s, got %s"):format(name, show(want[name]), show(got[name])))
    end
  end
  for _, name in ipairs(sorted(got)) do
    if want[name] == nil then say(("xattr %s: not wanted, got %s"):format(name, show(got[name]))) end
  end
end

local function compare_node(say, want, got, ignore)
  for _, key in ipairs(FIELDS) do
    local w, g = want[key], got[key]
    if w ~= nil and g ~= nil and w ~= g and not ignore[key] then
      say(("%s: want %s, got %s"):format(key, show_field(key, w), show_field(key, g)))
    end
  end
  if want.xattrs and got.xattrs and not ignore.xattrs then
    compare_xattrs(say, want.xattrs, got.xattrs)
  end
end

--- The names of each inode, sorted: what has to be equal is the grouping,
--- not the numbers.
local function groups(tree)
  local by_id, of_path = {}, {}
  for _, path in ipairs(sorted(tree)) do
    local id = tree[path].id
    if id and tree[path].type ~= "dir" then
      by_id[id] = by_id[id] or {}
      table.insert(by_id[id], path)
      of_path[path] = by_id[id]
    end
  end
  return of_path
end

local function compare_groups(out, want, got)
  local w, g = groups(want), groups(got)
  if not next(w) or not next(g) then return end
  for _, path in ipairs(sorted(w)) do
    local one, two = table.concat(w[path], " = "), g[path] and table.concat(g[path], " = ")
    if two and one ~= two then
      out[#out + 1] = ("%s: same inode: want %s, got %s"):format(show(path), show(one), show(two))
    end
  end
end

--- Compares two trees.
---@param want table expected
---@param got table found
---@param ignore? table<string, boolean> fields not to compare
---@return string[] differences, empty when equal
function M.compare(want, got, ignore)
  local out = {}
  ignore = ignore or {}
  for _, path in ipairs(sorted(want)) do
    if not got[path] then
      out[#out + 1] = ("%s: missing (%s)"):format(show(path), want[path].type)
    else
      compare_node(function(what) out[#out + 1] = show(path) .. ": " .. what end,
        want[path], got[path], ignore)
    end
  end
  for _, path in ipairs(sorted(got)) do
    if not want[path] then
      out[#out + 1] = ("%s: not wanted (%s)"):format(show(path), got[path].type)
    end
  end
  if not ignore.id then compare_groups(out, want, got) end
  return out
end

--- The differences as one message, at most `limit` of them.
---@param differences string[]
---@param limit? integer
function M.message(differences, limit)
  limit = limit or 20
  local lines = table.move(differences, 1, math.min(limit, #differences), 1, {})
  if #differences > limit then
    lines[#lines + 1] = ("... and %d more"):format(#differences - limit)
  end
  return table.concat(lines, "\n")
end

--- Counts that follow from a tree alone: links of directories and files.
--- Fills in nlink: 2 + subdirectories, or the number of names of the inode.
function M.count_links(tree)
  local names = {}
  for path, node in pairs(tree) do
    if node.type == "dir" then
      node.nlink = (node.nlink or 0) + 2
      if path ~= "" then
        local parent = tree[path:match "^(.*)/[^/]*$" or ""]
        if parent then parent.nlink = (parent.nlink or 0) + 1 end
      end
    elseif node.id then
      names[node.id] = (names[node.id] or 0) + 1
    end
  end
  for _, node in pairs(tree) do
    if node.type ~= "dir" then node.nlink = node.id and names[node.id] or 1 end
    -- ext4 with dir_nlink says 1 once a directory has more than it can count.
    if node.type == "dir" and node.nlink >= 65000 then node.nlink = 1 end
  end
  return tree
end

return M
