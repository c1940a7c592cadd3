---Lists what is in an image, as ls does.
local inspect = require "banger.inspect"
local sizes = require "banger.size"
local text = require "banger.inspect.text"

local M = {}

---@class banger.inspect.ls_options
---@field long? boolean # mode, links, owner, group, size and time (UTC) are printed too
---@field recursive? boolean # everything below, too
---@field directory? boolean # a directory itself, not what is in it
---@field human_readable? boolean # sizes such as 1.5K are printed
---@field numeric? boolean # owners are printed as numbers; else as the names that the image has for them

---@class banger.inspect.listing
---@field owners banger.inspect.owners
---@field groups { path?: string, entries: banger.stat[] }[] # a directory each; those that were named without one first
---@field given table<banger.stat, string> # how a file was named, for those

-- What a listing of one directory is: a heading, and entries.
local function children(tree, path)
  local list = {}
  for found, st in tree:walk(path, { depth = 1 }) do
    list[#list + 1] = found ~= path and st or nil
  end
  return list
end

local function add_tree(tree, groups, path)
  local group = { path = path, entries = {} }
  local by_path = { [path] = group }
  local first = true
  groups[#groups + 1] = group
  for found, st in tree:walk(path) do
    if not first then
      table.insert(by_path[found:match "^(.+)/[^/]*$" or "/"].entries, st)
    end
    if st.type == "dir" and not first then
      by_path[found] = { path = found, entries = {} }
      groups[#groups + 1] = by_path[found]
    end
    first = false
  end
end

---What is there, in the order in which it is printed.
---@param tree banger.tree
---@param paths string[]
---@param options banger.inspect.ls_options
---@return banger.inspect.listing
---@example
---```lua
---local listing = ls.collect(image, { "/etc" }, { long = true })
---```
---Raises `not_found`.
function M.collect(tree, paths, options)
  local files, groups, given = { entries = {} }, {}, {}
  for _, path in ipairs(paths) do
    local st = inspect.stat(tree, path, not options.long or path:find "/$" ~= nil)
    if st.type ~= "dir" or options.directory then
      given[st] = path
      table.insert(files.entries, st)
    elseif options.recursive then
      add_tree(tree, groups, st.path)
    else
      groups[#groups + 1] = { path = st.path, entries = children(tree, st.path) }
    end
  end
  if #files.entries > 0 then
    table.insert(groups, 1, files)
  end
  return { groups = groups, given = given, owners = options.numeric and { users = {}, groups = {} } or text.owners(tree) }
end

---All entries of a listing.
---@param listing banger.inspect.listing
---@return banger.stat[]
---@example
---```lua
---for _, st in ipairs(ls.entries(listing)) do print(st.path) end
---```
function M.entries(listing)
  local list = {}
  for _, group in ipairs(listing.groups) do
    table.move(group.entries, 1, #group.entries, #list + 1, list)
  end
  return list
end

local function name_of(listing, st)
  return listing.given[st] or st.path == "/" and st.path or st.path:match ".*/(.*)"
end

local function size_of(st, options)
  if st.major then
    return ("%d, %d"):format(st.major, st.minor)
  end
  return options.human_readable and sizes.short(st.size) or tostring(st.size)
end

local function long_row(listing, st, options, shown)
  local owners = listing.owners
  local user, group = owners.users[st.uid] or tostring(st.uid), owners.groups[st.gid] or tostring(st.gid)
  local name = shown(name_of(listing, st))
  return {
    text.mode(st), tostring(st.nlink), text.escape(user), text.escape(group), size_of(st, options), text.time(st.mtime):sub(1, 16),
    st.target and name .. " -> " .. shown(st.target) or name,
  }
end

local RIGHT = { [2] = true, [5] = true }

local function write_long(listing, entries, options, shown, out)
  local rows, widths = {}, {}
  for i, st in ipairs(entries) do
    rows[i] = long_row(listing, st, options, shown)
    for column = 1, 6 do
      widths[column] = math.max(widths[column] or 0, #rows[i][column])
    end
  end
  for _, row in ipairs(rows) do
    for column = 1, 6 do
      local pad = (" "):rep(widths[column] - #row[column])
      row[column] = RIGHT[column] and pad .. row[column] or row[column] .. pad
    end
    out(table.concat(row, " "), "\n")
  end
end

---Print a listing.
---@param listing banger.inspect.listing
---@param options banger.inspect.ls_options
---@param shown fun(name: string): string # how names are printed, of `text.printer`
---@param out fun(...: string) # called for each line
---@example
---```lua
---ls.write(listing, { long = true }, text.printer(), io.write)
---```
function M.write(listing, options, shown, out)
  for i, group in ipairs(listing.groups) do
    if group.path and #listing.groups > 1 then
      out(i > 1 and "\n" or "", shown(group.path), ":\n")
    end
    if options.long then
      write_long(listing, group.entries, options, shown, out)
    else
      for _, st in ipairs(group.entries) do
        out(shown(name_of(listing, st)), "\n")
      end
    end
  end
end

return M
