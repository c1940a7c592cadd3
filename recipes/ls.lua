-- Lists what is in an image, as ls does:
--
--     banger-lua ls -l out.ext4 /etc
--     banger-lua ls -lR oci:app:latest /usr/local
local argparse = require "argparse"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"

local parser = argparse("banger-lua ls", "List files of an image. Dot files are listed too."):add_help "--help"
inspect.target(parser)
parser:argument("path", "Paths in the image; default: /."):args "*"
parser:flag("-l --long", "Mode, links, owner, group, size and time (UTC) too.")
parser:flag("-R --recursive", "Everything below, too.")
parser:flag("-d --directory", "A directory itself, not what is in it.")
parser:flag("-a --all", "Nothing more: all names but . and .. are listed anyway.")
parser:flag("-h --human-readable", "Sizes such as 1.5K.")
parser:flag("-n --numeric", "Owners as numbers; else the names that the image has for them.")
parser:flag("-b --escape", "Escape control characters and the like in names, as on a terminal.")
inspect.options(parser)
local options = cli.parse(parser, { ... })

local target <close> = inspect.open(options.target, options)
local tree = target.tree
local owners = options.numeric and { users = {}, groups = {} } or text.owners(tree)
local shown = text.printer(options.escape)

local function base(path)
  return path == "/" and path or path:match ".*/(.*)"
end

-- What a listing of one directory is: a heading, and entries.
local function children(path)
  local list = {}
  for found, st in tree:walk(path, { depth = 1 }) do
    list[#list + 1] = found ~= path and st or nil
  end
  return list
end

local function add_tree(groups, path)
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

-- Files that were named come first, together; then each directory.
local function collect()
  local files, groups = { entries = {} }, {}
  for _, path in ipairs(options.path[1] and options.path or { "/" }) do
    local st = inspect.stat(target, path, not options.long or path:find "/$" ~= nil)
    if st.type ~= "dir" or options.directory then
      st.shown = path
      table.insert(files.entries, st)
    elseif options.recursive then
      add_tree(groups, st.path)
    else
      groups[#groups + 1] = { path = st.path, entries = children(st.path) }
    end
  end
  if #files.entries > 0 then
    table.insert(groups, 1, files)
  end
  return groups
end

local function size_of(st)
  if st.major then
    return ("%d, %d"):format(st.major, st.minor)
  end
  return options.human_readable and text.size(st.size) or tostring(st.size)
end

local function long_row(st)
  local user, group = owners.users[st.uid] or tostring(st.uid), owners.groups[st.gid] or tostring(st.gid)
  local name = shown(st.shown or base(st.path))
  return {
    text.mode(st), tostring(st.nlink), text.escape(user), text.escape(group), size_of(st), text.time(st.mtime):sub(1, 16),
    st.target and name .. " -> " .. shown(st.target) or name,
  }
end

local RIGHT = { [2] = true, [5] = true }

local function write_long(entries)
  local rows, widths = {}, {}
  for i, st in ipairs(entries) do
    rows[i] = long_row(st)
    for column = 1, 6 do
      widths[column] = math.max(widths[column] or 0, #rows[i][column])
    end
  end
  for _, row in ipairs(rows) do
    for column = 1, 6 do
      local pad = (" "):rep(widths[column] - #row[column])
      row[column] = RIGHT[column] and pad .. row[column] or row[column] .. pad
    end
    cli.write(table.concat(row, " "), "\n")
  end
end

local function write_group(group)
  if options.long then
    return write_long(group.entries)
  end
  for _, st in ipairs(group.entries) do
    cli.write(shown(st.shown or base(st.path)), "\n")
  end
end

local groups = collect()
if options.json then
  local list = {}
  for _, group in ipairs(groups) do
    for _, st in ipairs(group.entries) do
      list[#list + 1] = text.object(st, owners)
    end
  end
  return cli.write(json.encode(list), "\n")
end
for i, group in ipairs(groups) do
  if group.path and #groups > 1 then
    cli.write(i > 1 and "\n" or "", shown(group.path), ":\n")
  end
  write_group(group)
end
