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
local guest = require "banger.guest"
local image_file = require "banger.inspect.image_file"
local image_recipe = require "banger.image_recipe"
local inspect = require "banger.inspect"
local json = require "banger.json"
local layers = require "banger.inspect.layers"
local models = require "banger.html.model"
local report_html = require "banger.report_html"
local size = require "banger.size"
local source = require "banger.source"

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
  models.check_output(output)
end

-- 2. What is known of the image. What pull would add is found out as pull does, with the image recipes
--    that are for this reference; the tree that they change is not kept.
local function plan_for(image, rootfs)
  local function inject(entries)
    banger.inject(rootfs, entries)
  end
  local recipes = image_recipe.load(options.target, {
    only_named = options.no_image_recipes, globals = cli.recipe_globals(banger),
  })
  local build = { image = image, recipes = recipes, settings = recipes:settings() }
  recipes:call("after_resolve", build)
  recipes:call("after_flatten", rootfs, build)
  build.settings = recipes:settings()
  recipes:close()
  local files = recipes:put_files(rootfs, inject)
  build.guest = guest.prepare(rootfs, image_recipe.config(image.config, build.settings), build.settings)
  recipes:extend(rootfs, build)
  recipes:change_plan(rootfs, build)
  build.guest.entries = table.move(build.guest.entries, 1, #build.guest.entries, #files + 1, files)
  return build.guest
end

local function reference()
  local shown <close> = inspect.progress(options)
  local image = source.resolve(options.target, inspect.source_options(options, shown))
  local analysis, rootfs <close> = layers.analyse(image, shown, { files = true })
  return models.reference(image, analysis, plan_for(image, rootfs))
end

local function finished_image()
  local tree <close> = inspect.open(options.target, options)
  return models.image(image_file.read(options.target), tree)
end

local model = inspect.kind(options.target) == "image" and finished_image() or reference()
model.title = options.title or model.title

-- 3. Write it.
if options.json then
  cli.write(json.encode(report_html.object(model)), "\n")
end
if output == "-" then
  cli.write(report_html.page(model))
elseif output then
  local page = report_html.page(model)
  models.write(output, page)
  cli.note("%s: %s", output, size.format(#page))
end
