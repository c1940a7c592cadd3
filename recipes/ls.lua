-- Lists what is in an image, as ls does:
--
--     banger-lua ls -l out.ext4 /etc
--     banger-lua ls -lR oci:app:latest /usr/local
local argparse = require "argparse"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local ls = require "banger.inspect.ls"
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

local tree <close> = inspect.open(options.target, options)
local listing = ls.collect(tree, options.path[1] and options.path or { "/" }, options)
if not options.json then
  return ls.write(listing, options, text.printer(options.escape), cli.write)
end
local list = ls.entries(listing)
for i, st in ipairs(list) do
  list[i] = text.object(st, listing.owners)
end
cli.write(json.encode(list), "\n")
