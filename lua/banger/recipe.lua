---Finds recipes by name, for `banger-lua NAME args`.
local core = require "banger.core"

local M = {}

local function add_dirs(dirs, list)
  for dir in (list or ""):gmatch "[^:]+" do
    dirs[#dirs + 1] = dir
  end
end

---A directory of the user's, as the XDG base directory specification has it.
---@param variable string # counts when it is an absolute path
---@param default string # below the home
---@return string? # nil without a home
---@example
---```lua
---recipe.user_dir("XDG_STATE_HOME", ".local/state")
---```
function M.user_dir(variable, default)
  local dir, home = os.getenv(variable), os.getenv "HOME"
  if dir and dir:sub(1, 1) == "/" then
    return dir
  end
  return home and home ~= "" and home .. "/" .. default or nil
end

---Where the user's own settings are: `$XDG_CONFIG_HOME`, else `~/.config`.
---@return string? # nil without a home
function M.config_home()
  return M.user_dir("XDG_CONFIG_HOME", ".config")
end

---The directories that are searched, in order.
---@param ignore_environment? boolean # as `lua -E` asks for; default false
---@return string[]
function M.path(ignore_environment)
  local dirs = {}
  if not ignore_environment then
    add_dirs(dirs, os.getenv "BANGER_RECIPES")
  end
  dirs[#dirs + 1] = "./recipes"
  local home = not ignore_environment and M.config_home()
  if home then
    dirs[#dirs + 1] = home .. "/banger/recipes"
  end
  dirs[#dirs + 1] = core.prefix .. "/share/banger-lua/recipes"
  return dirs
end

local function load_file(path)
  if not core.host.stat(path) then
    return nil
  end
  local recipe, message = loadfile(path)
  return recipe or core.error("usage", message)
end

---Load a recipe: the first directory of the path that has `name .. ".lua"`,
---else the one compiled in. The literal path of one that is compiled in, such
---as `recipes/pull.lua`, works too.
---@param name string # such as "pull" or "images/debian"
---@param ignore_environment? boolean
---@return function? recipe # nil: this cannot be the name of a recipe
---@example
---```lua
---local pull = recipe.load "pull"
---pull("oci:image:latest", "out.ext4")
---```
---Raises a `usage` error: naming the places when there is no such recipe, the line when it does not parse.
function M.load(name, ignore_environment)
  if name:find "^recipes/[%w_%-/]+%.lua$" then
    return core.embedded(name)
  end
  if not name:find "^[%w_][%w_%-/]*$" then
    return nil
  end
  local dirs = M.path(ignore_environment)
  for _, dir in ipairs(dirs) do
    local found = load_file(("%s/%s.lua"):format(dir, name))
    if found then
      return found
    end
  end
  local built_in = core.embedded(("recipes/%s.lua"):format(name))
  if built_in then
    return built_in
  end
  local meant = require "banger.commands".nearest(name, ignore_environment)
  core.error("usage", ("no file and no recipe is named '%s'%s (looked in %s, and at the built-in ones)"):format(
    name, meant and ("; did you mean '%s'?"):format(meant) or "", table.concat(dirs, ", ")))
end

return M
