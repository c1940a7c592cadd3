-- Lists image recipes, and says what each can be told:
--
--     banger-lua recipes
--     banger-lua recipes nginx
--     banger-lua recipes --source nginx > web.lua
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local image_recipe = require "banger.image_recipe"
local json = require "banger.json"
local schema = require "banger.image_recipe.schema"

local parser = argparse("banger-lua recipes", "List image recipes: those that are built in and your own; or show one.")
parser:argument("recipe", "Its name, or the path of one."):args "?"
parser:flag("--keys", "List the keys that a recipe may have.")
parser:mutex(
  parser:flag("--source", "Print the recipe itself, to copy it."),
  parser:flag("--json", "Print JSON.")
)
parser:flag("-q --quiet", "Say nothing on stderr but warnings and errors; print only names, a line each, without --json.")
local options = cli.parse(parser, { ... })

-- A name, and what it is: of that only the name with -q.
local function row(name, text)
  cli.write(options.quiet and name or ("%-14s %s"):format(name, text), "\n")
end

local function print_keys()
  local list = {}
  for i, name in ipairs(schema.names) do
    list[i] = { name = name, help = schema.keys[name].help }
  end
  if options.json then
    return cli.write(json.encode(list), "\n")
  end
  for _, key in ipairs(list) do
    row(key.name, key.help)
  end
end

local function describe(recipe)
  return {
    name = recipe.name, path = recipe.dir and recipe.path, built_in = not recipe.dir,
    description = recipe.values.description, match = recipe.values.match,
    variables = recipe.variables,
  }
end

-- One that is built in has no file.
local function place(recipe)
  return recipe.dir and recipe.path or ("built in; --source %s prints it"):format(recipe.name)
end

local function print_list(list)
  for _, recipe in ipairs(list) do
    local applies = recipe.values.match and " (by itself for " .. table.concat(recipe.values.match, ", ") .. ")" or ""
    row(recipe.name, (recipe.values.description or place(recipe)) .. applies)
  end
end

local function print_one(recipe)
  print_list { recipe }
  if options.quiet then
    return
  end
  row("path", place(recipe))
  for _, variable in ipairs(recipe.variables) do
    cli.write(("-D %s=%s\n    %s\n"):format(variable.name, tostring(variable.default), variable.help))
  end
end

if options.source and not options.recipe then
  banger.error("usage", "--source: whose is missing: say the recipe's name")
elseif options.source then
  cli.write(image_recipe.source(options.recipe))
elseif options.keys then
  print_keys()
elseif options.recipe then
  local recipe = image_recipe.read(options.recipe, cli.recipe_globals(banger))
  if options.json then
    cli.write(json.encode(describe(recipe)), "\n")
  else
    print_one(recipe)
  end
else
  local list = image_recipe.all(cli.recipe_globals(banger))
  if options.json then
    local objects = {}
    for i, recipe in ipairs(list) do
      objects[i] = describe(recipe)
    end
    cli.write(json.encode(objects), "\n")
  else
    print_list(list)
  end
end
