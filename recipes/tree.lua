-- Draws the tree of an image, or a part of it:
--
--     banger-lua tree -L 2 -s out.ext4 /usr
local argparse = require "argparse"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"
local trees = require "banger.inspect.tree"

local parser = argparse("banger-lua tree", "Draw the tree of an image.")
inspect.target(parser)
parser:argument("path", "Where to begin; default: /."):args "?"
parser:option("-L --depth", "How deep to go."):argname("N"):convert(cli.number("--depth", 1))
parser:flag("-s --size", "Sizes too; a directory's is that of all below it, a file of several names counted once.")
parser:flag("-d --directories", "Only directories.")
parser:flag("--ascii", "Draw with ASCII.")
inspect.options(parser)
local options = cli.parse(parser, { ... })

local tree <close> = inspect.open(options.target, options)
local path = options.path or "/"
if not options.json then
  local counts = trees.each(tree, path, options, trees.drawer(options, cli.write))
  return cli.write("\n", trees.summary(counts, options), "\n")
end
local list = {}
trees.each(tree, path, options, function(entry)
  local object = { type = entry.type, size = entry.size, depth = entry.depth }
  text.put(object, "path", entry.path)
  list[#list + 1] = json.encode(object) -- a text takes less than a table
end)
cli.write("[", table.concat(list, ","), "]\n")
