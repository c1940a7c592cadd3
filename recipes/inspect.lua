-- Says what an image is. Of a reference: manifest, config, platforms, layers and history;
-- of an ext4 image: the file system, and what went into it.
--
--     banger-lua inspect docker.io/library/nginx:1.27
--     banger-lua inspect out.ext4
local argparse = require "argparse"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local summary = require "banger.inspect.summary"

local parser = argparse("banger-lua inspect", "Say what an image reference or an ext4 image is made of.")
inspect.target(parser)
inspect.options(parser, { layer = true })
local options = cli.parse(parser, { ... })

local tree <close> = inspect.open(options.target, options)
local found, documents = summary.of(tree)
if options.json then
  cli.write(summary.json(found, documents), "\n")
else
  summary.write(found, cli.write)
end
