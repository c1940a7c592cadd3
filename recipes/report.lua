-- Makes a page to look at what takes the space in an image:
--
--     banger-lua report nginx -o nginx.html
--     banger-lua report web.ext4 -o web.html
--
-- It is complete in itself: a map of all files, what layers waste, what is added so that the
-- image boots, and what is known besides.
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local outputs = require "banger.output"
local report = require "banger.inspect.report"
local pages = require "banger.html.page"
local size = require "banger.size"

local parser = argparse("banger-lua report", "Make a page of HTML to look at what takes the space in an image.")
inspect.target(parser)
parser:option("-o --output", "The page to write; - for stdout."):argname "FILE"
parser:option("--title", "What stands at its top; default: the image's name."):argname("TEXT"):convert(cli.text("--title", 200))
parser:flag("--no-image-recipes", "Of a reference: leave out what image recipes add to it.")
inspect.options(parser, { layer = true })
local options = cli.parse(parser, { ... })

-- 1. Where the page goes to: never in the place of an image.
local output = options.output
if not output and not options.json then
  banger.error("usage", "no page to write: say -o FILE, or --json for the figures alone (see --help)")
elseif output == "-" and options.json then
  banger.error("usage", "-o - and --json would both be on stdout: name a file")
end
if output and output ~= "-" then
  report.check_output(output)
end

-- 2. What is known of the image.
local tree <close> = inspect.open(options.target, options)
local model = report.model(tree, options)

-- 3. Write it.
if options.json then
  cli.write(json.encode(pages.object(model)), "\n")
end
if output == "-" then
  cli.write(pages.page(model))
elseif output then
  local page = pages.page(model)
  outputs.write(output, page)
  cli.note("%s: %s", output, size.format(#page))
end
