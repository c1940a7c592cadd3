-- Lists image recipes, and says what each can be told:
--
--     banger-lua recipes
--     banger-lua recipes nginx
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local image_recipe = require "banger.image_recipe"
local json = require "banger.json"
local schema = require "banger.image_recipe.schema"

local parser = argparse("banger-lua recipes", "List image recipes: those that are built in and your own; or show one.")
parser:argument("recipe", "Its name, or the path of one."):args "?"
parser:flag("--keys", "List the keys that a recipe may have.")
parser:flag("--json", "Print JSON.")
local options = cli.parse(parser, { ... })

local function print_keys()
  for _, name in ipairs(schema.names) do
    cli.write(("%-14s %s\n"):format(name, schema.keys[name].help))
  end
end

local function describe(recipe)
  return {
    name = recipe.name, path = recipe.path, description = recipe.values.description, match = recipe.values.match,
    variables = recipe.variables,
  }
end

local function print_list(list)
  for _, recipe in ipairs(list) do
    local applies = recipe.values.match and " (by itself for " .. table.concat(recipe.values.match, ", ") .. ")" or ""
    cli.write(("%-14s %s%s\n"):format(recipe.name, recipe.values.description or "", applies))
  end
end

local function print_one(recipe)
  print_list { recipe }
  cli.write(("%-14s %s\n"):format("path", recipe.path))
  for _, variable in ipairs(recipe.variables) do
    cli.write(("-D %s=%s\n    %s\n"):format(variable.name, tostring(variable.default), variable.help))
  end
end

if options.keys then
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
