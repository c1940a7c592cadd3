-- Draws the tree of an image, or a part of it:
--
--     banger-lua tree -L 2 -s out.ext4 /usr
local argparse = require "argparse"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"

local function depth(given)
  local number = given:find "^%d+$" and #given < 9 and math.tointeger(tonumber(given))
  if not number or number < 1 then
    return nil, ("--depth: '%s' is no number from 1 on"):format(given)
  end
  return number
end

local parser = argparse("banger-lua tree", "Draw the tree of an image.")
inspect.target(parser)
parser:argument("path", "Where to begin; default: /."):args "?"
parser:option("-L --depth", "How deep to go."):argname("N"):convert(depth)
parser:flag("-s --size", "Sizes too; a directory's is that of all below it, a file of several names counted once.")
parser:flag("-d --directories", "Only directories.")
parser:flag("--ascii", "Draw with ASCII.")
inspect.options(parser)
local options = cli.parse(parser, { ... })

local target <close> = inspect.open(options.target, options)
local top = inspect.stat(target, options.path or "/", true)
local limit = options.depth or math.huge

-- The walk is taken twice: first for what is only known at a directory's end. Entries are
-- known by their number, which takes less than their paths.
local function wanted(st)
  return not options.directories or st.type == "dir"
end

local function level(path)
  return path == "/" and 0 or select(2, path:gsub("/", ""))
end

-- Calls visit(number, parent's number, depth, stat) for each entry.
local function each(visit)
  local above, count = {}, 0
  local base = level(top.path)
  for path, st in target.tree:walk(top.path, { depth = not options.size and options.depth or nil }) do
    local at = level(path) - base
    count = count + 1
    above[at] = count
    visit(count, above[at - 1], at, st, above)
  end
end

local last, sizes, seen = {}, {}, {}
each(function(number, parent, at, st, above)
  if parent and wanted(st) then
    last[parent] = number
  end
  if options.size and st.type == "file" and not seen[st.id] then
    seen[st.id] = st.nlink > 1 or nil
    for i = 0, at do
      sizes[above[i]] = (sizes[above[i]] or 0) + st.size
    end
  end
end)

local DRAWING = options.ascii and { "|-- ", "`-- ", "|   ", "    " } or { "├── ", "└── ", "│   ", "    " }
local drawn, list, directories, files = {}, {}, 0, 0

local function label(st, number)
  local name = text.escape(number == 1 and st.path or st.path:match ".*/(.*)")
  local size = options.size and (st.type == "dir" or st.type == "file")
    and ("%6s  "):format(text.size(sizes[number] or st.type == "file" and st.size or 0)) or ""
  return size .. name .. (st.target and " -> " .. text.escape(st.target) or "")
end

each(function(number, parent, at, st)
  if at > limit or not wanted(st) then
    return
  end
  if st.type == "dir" then
    directories = directories + (at > 0 and 1 or 0)
  else
    files = files + 1
  end
  if options.json then
    local object = { type = st.type, size = options.size and (sizes[number] or 0) or st.size, depth = at }
    text.put(object, "path", st.path)
    list[#list + 1] = object
    return
  end
  local is_last = parent and last[parent] == number
  drawn[at] = parent and (is_last and DRAWING[4] or DRAWING[3]) or nil
  cli.write(table.concat(drawn, "", 1, math.max(at - 1, 0)), parent and (is_last and DRAWING[2] or DRAWING[1]) or "",
    label(st, number), "\n")
end)
if options.json then
  return cli.write(json.encode(list), "\n")
end
cli.write("\n", text.count(directories, "directory", "directories"), options.directories and "" or ", "
  .. text.count(files, "file"), "\n")
