---A page about an image, and what is known for it.
local banger = require "banger"
local cli = require "banger.cli"
local handles = require "banger.inspect.handle"
local image_file = require "banger.inspect.image_file"
local image_recipe = require "banger.image_recipe"
local layers = require "banger.inspect.layers"
local models = require "banger.html.model"
local output = require "banger.output"
local plan = require "banger.plan"
local reference = require "banger.reference"
local pages = require "banger.html.page"

local M = {}

---@class banger.inspect.report_options
---@field title? string # what stands at its top; default: the image's name
---@field no_image_recipes? boolean # of a reference: leave out what image recipes add to it

-- What hooks are told that pull would make.
local function output_for(name)
  return reference.parse(name).path:match "([^/]*)/*$" .. ".ext4"
end

-- What pull would add is found out as pull does, with the image recipes that are for this
-- reference; the tree that they change is not kept.
local function plan_for(handle, rootfs, options)
  local recipes = image_recipe.load(handle.name, {
    only_named = options.no_image_recipes, globals = cli.recipe_globals(banger),
  })
  local build = { image = handle.image, recipes = recipes, settings = recipes:settings(), out = output_for(handle.name) }
  recipes:call("after_resolve", build)
  plan.make(build, rootfs)
  return build.guest
end

local function of_reference(handle, options)
  local shown <close> = handles.progress(handle)
  local analysis, rootfs <close> = layers.analyse(handle.image, shown, { files = true })
  return models.reference(handle.image, analysis, plan_for(handle, rootfs, options))
end

---What is known of an image.
---@param tree banger.image_file|banger.inspect.handle
---@param options? banger.inspect.report_options
---@return banger.html.model
---@example
---```lua
---local page = pages.page(report.model(banger.inspect "nginx"))
---```
---Raises `usage` for a rootfs; what analysing layers or reading an image does.
function M.model(tree, options)
  options = options or {}
  if not handles.is(tree) and not tree.path then
    banger.error("usage", "a rootfs has no report yet; banger.mkext4 makes an image of it, which has")
  end
  local model = handles.is(tree) and of_reference(tree, options) or models.image(image_file.read(tree:path()), tree)
  model.title = options.title or model.title
  return model
end

-- What a page begins with: see html.page.
local BEGINNING = "<!doctype html>"

local function begins_as_page(path)
  local file <close> = io.open(path, "rb")
  local bytes = file and file:read(#BEGINNING)
  return bytes == nil or bytes == BEGINNING
end

---Refuse a name that no page should be written to: an older page may be replaced, an image may not.
---@param path string
---@example
---```lua
---report.check_output "report.html"
---```
---Raises `usage`.
function M.check_output(path)
  local there, dir = banger.host.stat(path), path:match "^(.+)/[^/]*$" or path:find "^/" and "/" or "."
  if there and there.type == "dir" then
    banger.error("usage", ("%s is a directory: name a file in it"):format(path))
  elseif there and there.type == "file" and not begins_as_page(path) then
    banger.error("usage", ("%s is there and is no page of HTML: name another file, or remove it"):format(path))
  elseif not there and not banger.host.stat(dir) then
    banger.error("usage", ("cannot write output %s: No such file or directory"):format(path))
  end
end

---Write the page about an image.
---@param tree banger.image_file|banger.inspect.handle
---@param path string # an older page is replaced, nothing else
---@param options? banger.inspect.report_options
---@return { path: string, size: integer }
---@example
---```lua
---report.write(banger.inspect "nginx", "nginx.html")
---```
---Raises `usage` (something else is there), `not_found`, `no_space`, `io`; what `report.model` does.
function M.write(tree, path, options)
  M.check_output(path)
  local page = pages.page(M.model(tree, options))
  output.write(path, page)
  return { path = path, size = #page }
end

return M
