-- Turns a container image into a bootable ext4 image:
--
--     banger-lua pull REF out.ext4
--
-- Copy this file as a start for a recipe of your own. To tweak what it makes of an
-- image, write an image recipe instead: see recipes/README.md.
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local config = require "banger.config"
local finish = require "banger.finish"
local image_recipe = require "banger.image_recipe"
local plan = require "banger.plan"
local progress = require "banger.progress"
local report = require "banger.build_report"
local source = require "banger.source"

local parser = argparse("banger-lua pull", "Turn a container image into a bootable ext4 image.")
parser:argument("ref", "The image: NAME[:TAG] or NAME@DIGEST in a registry, oci:PATH[:TAG], oci-archive:FILE[:TAG], "
  .. "docker-archive:FILE[:NAME], dir:PATH, or - for an archive on standard input.")
parser:argument("out", "The file to make. An older one is replaced when the new one is whole."):convert(cli.output)
parser:mutex(
  parser:option("--size", "Size of the file, such as 4G, or min."):argname("SIZE"):convert(cli.size("--size", { min = true })),
  parser:option("--free", "Free space to leave in it, such as 512M."):argname("SIZE"):convert(cli.size "--free")
)
parser:option("--label", "Name of the file system, at most 16 bytes."):argname("NAME"):convert(cli.text("--label", 16))
parser:option("--platform", "Platform, such as linux/arm64; default: this machine's."):argname "OS/ARCH"
parser:option("--paths", "Names that climb out by '..': safe refuses them, clamp stops them at the root, strict refuses absolute ones too.")
  :choices { "safe", "clamp", "strict" }
cli.guest_options(parser)
cli.recipe_options(parser)
parser:flag("--strict", "Refuse layers that hold anything to take note of.")
cli.registry_options(parser)
parser:flag("--json", "Print the result as one JSON object.")
parser:flag("-q --quiet", "Say nothing on stderr but warnings and errors; print only the digest of the manifest, without --json.")
parser:option("--progress", "How to show progress.", "auto"):choices { "auto", "tty", "plain", "none" }
local options = cli.parse(parser, { ... })
local begun = banger.host.clock()
local shown <close> = progress.new { mode = options.quiet and "none" or options.progress }

-- 1. Find out what the image is made of, and which image recipes are for it. What the
--    command line says counts more than what they say.
local recipes = image_recipe.load(options.ref, cli.recipe_choice(options, cli.recipe_globals(banger)))
cli.check_no_inject(options, recipes)
local settings = cli.settings(recipes:settings(), options)
local image = source.resolve(options.ref, cli.source_options(options, settings.platform, shown))
local epoch = cli.check(config.epoch(image.config, os.getenv "SOURCE_DATE_EPOCH"))
local build = { image = image, recipes = recipes, settings = settings, out = options.out }
recipes:call("after_resolve", build)

-- 2. Fetch all layers at once, and put them on top of each other as they arrive,
--    oldest first; anew if bytes come damaged.
local rootfs <close>, layers = image:retry(function()
  local tree, reports, blobs = banger.rootfs { near = options.out }, {}, {}
  for i, layer in ipairs(image.layers) do
    blobs[i] = banger.fetch_blob(layer.source)
  end
  for i, layer in ipairs(image.layers) do
    reports[i] = banger.flatten_layer(tree, blobs[i], {
      diff_id = layer.diff_id,
      paths = options.paths or (options.strict and "strict" or "safe"),
      strict = options.strict,
      progress = shown:start(i, layer, #image.layers),
    })
    blobs[i]:close()
    shown:finish()
  end
  return tree, reports
end)
image:remember()
local flattened = banger.host.clock()

-- 3. Add what a machine needs and a container does not, and what recipes say.
plan.make(build, rootfs, {
  adjust = function(said)
    return cli.settings(said, options)
  end,
  nothing = options.no_inject,
})
settings = build.settings
recipes:call("before_mkext4", rootfs, build)
if options.dry_run or options.print_plan and not (options.json or options.quiet) then
  report.plan(options.json and "json" or "text", build)
end
if options.dry_run then
  return report.notes(layers, build.guest.warnings)
end

-- 4. Write ext4's own metadata around the contents, and give the file its name.
local info = finish.mkext4(rootfs, options.out, {
  size = settings.size,
  free = settings.free,
  label = settings.label,
  epoch = epoch,
  seed = image.digest,
}, recipes:finisher(build))

-- 5. Say what came out.
local ended = banger.host.clock()
report.notes(layers, build.guest.warnings)
report.print(options.json and "json" or options.quiet and "digest" or "text", {
  image = image,
  info = info,
  layers = layers,
  plan = build.guest,
  recipes = recipes:names(),
  seconds = ended - begun,
  seconds_finish = ended - flattened,
})
