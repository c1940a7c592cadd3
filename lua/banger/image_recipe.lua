---Image recipes: small Lua files that tweak what pull does, for an image. Their keys are
---in image_recipe/schema.lua; recipes/README.md is their manual.
local applied = require "banger.image_recipe.applied"
local banger = require "banger"
local changes = require "banger.image_recipe.changes"
local core = require "banger.core"
local entries = require "banger.image_recipe.entries"
local files = require "banger.image_recipe.files"
local guest = require "banger.guest"
local match = require "banger.image_recipe.match"
local nearest = require "banger.nearest"
local recipe_path = require "banger.recipe"
local sandbox = require "banger.image_recipe.sandbox"
local sorted = require "banger.sorted"
local source = require "banger.source"

local M = {}

local BUILT_IN = "recipes/images/"
local MAX_TEXT = 1024 * 1024

---@class banger.image_recipes
---@field list banger.image_recipe[] # in the order in which they apply; of two that say the same the later counts
---@field package changed banger.guest_entry[] # by hooks, and not in the plan yet
---@field package told? fun(list: banger.guest_entry[])
local Recipes = {}
Recipes.__index = Recipes

-- ---- where recipes are --------------------------------------------------------------------

local function dir_of(path)
  return path:match "^(.+)/[^/]*$" or (path:find "^/" and "/") or "."
end

-- The name has no folder: it is written into images, which are the same everywhere.
local function from_file(path)
  return { name = path:match "([^/]*)$":gsub("%.lua$", ""), path = path, dir = dir_of(path), text = core.host.read_file(path, MAX_TEXT) }
end

local function from_binary(name)
  local path = BUILT_IN .. name .. ".lua"
  local text = core.resource(path)
  return text and { name = name, path = path, text = text }
end

local function name_in(list)
  local names = {}
  for _, path in ipairs(list) do
    names[#names + 1] = path:match("^" .. BUILT_IN .. "([%w_-]+)%.lua$")
  end
  table.sort(names)
  return names
end

---The names of the recipes that are built in.
---@return string[]
function M.built_in()
  return name_in(core.resources())
end

local function own_dir()
  local home = recipe_path.config_home()
  return home and home .. "/banger/recipes"
end

-- A file, by its path; else by name one of the user's own, else one that is built in.
local function find(name)
  if name:find "/" or name:find "%.lua$" then
    if not core.host.stat(name) then
      core.error("not_found", ("%s: there is no such recipe"):format(name))
    end
    return from_file(name)
  end
  local path = own_dir() and ("%s/%s.lua"):format(own_dir(), name)
  if path and core.host.stat(path) then
    return from_file(path)
  end
  local known = M.built_in()
  local near = nearest(name, known)
  return from_binary(name) or core.error("not_found", ("no image recipe is named '%s'%s (known: %s; a file is given with its path or .lua)"):format(
    name, near and ("; did you mean '%s'?"):format(near) or "", table.concat(known, ", ")))
end

-- The user's folder may hold other recipes too: only one with a line that begins with
-- match = may apply by itself.
local function says_match(text)
  return ("\n" .. text):find "\nmatch%s*="
end

local function contains(list, wanted)
  for _, name in ipairs(list) do
    if name == wanted then
      return true
    end
  end
  return false
end

-- One of the user's own takes the place of one that is built in, as in `find`.
local function candidates()
  local list, dir = {}, own_dir()
  local own = dir and core.host.list(dir) or {}
  for _, name in ipairs(M.built_in()) do
    if not contains(own, name .. ".lua") then
      list[#list + 1] = from_binary(name)
    end
  end
  for _, name in ipairs(own) do
    local st = name:find "^[^.].*%.lua$" and core.host.stat(dir .. "/" .. name)
    if st and st.type == "file" then
      list[#list + 1] = from_file(dir .. "/" .. name)
    end
  end
  return list
end

-- ---- loading ------------------------------------------------------------------------------

local Loader = {}
Loader.__index = Loader

function Loader:run(recipe, variables)
  return sandbox.run(recipe, variables, self.globals)
end

-- However its path is written, a file is one recipe.
local function identity(recipe)
  return recipe.dir and core.host.realpath(recipe.path) or recipe.path
end

-- Paths are relative to the recipe that says them.
local function find_used(recipe, name)
  local relative = recipe.dir and name:find "^[^/]" and (name:find "/" or name:find "%.lua$")
  local ok, found = pcall(find, relative and sandbox.beside(recipe, name) or name)
  if ok then
    return found
  elseif not core.is_error(found) or found.code == "interrupted" then
    error(found, 0)
  end
  sandbox.fail(recipe, "use", { name }, found.message, found.code)
end

-- What a recipe uses goes before it, and nothing twice.
function Loader:add(recipe, stack)
  local id = identity(recipe)
  if self.loaded[id] then
    return
  end
  stack[id] = true
  self:run(recipe, self.variables)
  for _, name in ipairs(recipe.values.use or {}) do
    local used = find_used(recipe, name)
    if stack[identity(used)] then
      sandbox.fail(recipe, "use", { name }, ("'%s' uses this recipe itself"):format(name))
    end
    self:add(used, stack)
  end
  stack[id] = nil
  self.loaded[id] = true
  self.list[#self.list + 1] = recipe
end

function Loader:add_matching(ref)
  local quiet = setmetatable({ note = function() end }, { __index = self.globals })
  for _, recipe in ipairs(candidates()) do
    if says_match(recipe.text) then
      sandbox.run(recipe, {}, quiet) -- whether -D is for it shows then
      for _, pattern in ipairs(recipe.values.match or {}) do
        if match.matches(pattern, ref) then
          self:add(recipe, {})
          break
        end
      end
    end
  end
end

function Loader:check_variables()
  local known = {}
  for _, recipe in ipairs(self.list) do
    for _, variable in ipairs(recipe.variables) do
      known[#known + 1], known[variable.name] = variable.name, true
    end
  end
  for _, name in ipairs(sorted(self.variables)) do
    if not known[name] then
      local near = nearest(name, known)
      local hint = #known == 0 and "the recipes that apply have no variables"
        or near and ("did you mean '%s'?"):format(near) or "known: " .. table.concat(known, ", ")
      core.error("usage", ("-D %s: no recipe that applies has such a variable; %s"):format(name, hint))
    end
  end
end

---Load the recipes for a reference: those that match it by themselves (built in, then
---the user's own), then those asked for.
---@param text string # the reference
---@param options { names?: string[], variables?: table<string, string>, only_named?: boolean, globals?: table<string, any> }
---@return banger.image_recipes
---Raises `usage` (a mistake in a recipe, with its line), `not_found`.
function M.load(text, options)
  local ref = source.parse(text)
  local loader = setmetatable({
    list = {}, loaded = {}, variables = options.variables or {}, globals = options.globals or {},
  }, Loader)
  if not options.only_named then
    loader:add_matching(ref)
  end
  for _, name in ipairs(options.names or {}) do
    loader:add(find(name), {})
  end
  loader:check_variables()
  return setmetatable({ list = loader.list, changed = {} }, Recipes)
end

---Load one recipe, to look at it.
---@param name string # or path
---@param globals? table<string, any> # what it can use besides Lua's
---@return banger.image_recipe
function M.read(name, globals)
  return sandbox.run(find(name), {}, globals or {})
end

---The text of a recipe, whatever it holds.
---@param name string # or path
---@return string
---@example
---```lua
---io.write(image_recipe.source "nginx")
---```
---Raises `not_found`.
function M.source(name)
  return find(name).text
end

---Load all recipes that can be named: those that are built in, then the user's own, but
---for those of the user that are recipes of another kind.
---@param globals? table<string, any>
---@return banger.image_recipe[]
function M.all(globals)
  local list = {}
  for _, recipe in ipairs(candidates()) do
    if not recipe.dir or says_match(recipe.text) then
      list[#list + 1] = sandbox.run(recipe, {}, globals or {})
    end
  end
  return list
end

-- ---- what they say together ------------------------------------------------------------------

local OF_IMAGE = { "platform", "size", "free", "label" }
local OF_GUEST = {
  "init", "command", "user", "workdir", "stop_signal", "stop_timeout", "hostname", "agent", "overlay", "autologin",
}

---@class banger.recipe_settings: banger.guest_options # what recipes and the command line say, put together
---@field platform? string
---@field size? integer|string # bytes, "4G", or "min"
---@field free? integer|string
---@field label? string
---@field environment string[] # "NAME=value", sorted
---@field items table<string, boolean>
---@field cmdline string[] # words
---@field debugfs string[][]

-- Size and free exclude each other: the later of two recipes decides.
local function take_scalars(settings, values, by)
  if values.size then
    settings.free = nil
  elseif values.free then
    settings.size = nil
  end
  for _, name in ipairs(OF_IMAGE) do
    if values[name] ~= nil then
      settings[name] = values[name]
    end
  end
  for _, name in ipairs(OF_GUEST) do
    if values[name] ~= nil then
      settings[name], settings.by[name] = values[name], by
    end
  end
end

local function take_lists(settings, values, by)
  if next(values.environment or {}) then
    local before = settings.by.environment
    settings.by.environment = before and ("%s, %s"):format(before, by) or by
  end
  for name, value in pairs(values.environment or {}) do
    settings.environment[name] = value
  end
  for name, on in pairs(values.guest or {}) do
    settings.items[name] = on
  end
  table.move(values.cmdline or {}, 1, #(values.cmdline or {}), #settings.cmdline + 1, settings.cmdline)
  table.move(values.debugfs or {}, 1, #(values.debugfs or {}), #settings.debugfs + 1, settings.debugfs)
end

local function assignments(map)
  local list = {}
  for i, name in ipairs(sorted(map)) do
    list[i] = ("%s=%s"):format(name, map[name])
  end
  return list
end

---What the recipes say together.
---@return banger.recipe_settings
function Recipes:settings()
  local settings = { environment = {}, items = {}, cmdline = {}, debugfs = {}, by = {} }
  for _, recipe in ipairs(self.list) do
    if recipe.values.size and recipe.values.free then
      sandbox.fail(recipe, "free", {}, "size and free exclude each other")
    end
    take_scalars(settings, recipe.values, recipe.name)
    take_lists(settings, recipe.values, recipe.name)
  end
  settings.environment = assignments(settings.environment)
  return settings
end

---The config with what recipes say of the program in it; the image's own stays.
---@param config banger.config
---@param settings banger.recipe_settings
---@return banger.config
function M.config(config, settings)
  local own, copy = {}, {}
  for name, value in pairs(config.config) do
    own[name] = value
  end
  if settings.command then
    own.Entrypoint, own.Cmd = settings.command, nil
  end
  own.User = settings.user or own.User
  own.WorkingDir = settings.workdir or own.WorkingDir
  own.StopSignal = settings.stop_signal or own.StopSignal
  own.StopTimeout = settings.stop_timeout or own.StopTimeout
  for name, value in pairs(config) do
    copy[name] = value
  end
  copy.config = own
  return copy
end

---From here on what the recipes say is acted on, and they may say no more.
function Recipes:close()
  for _, recipe in ipairs(self.list) do
    recipe.closed = true
  end
end

---The names of the recipes, in order.
---@return string[]
function Recipes:names()
  local names = {}
  for i, recipe in ipairs(self.list) do
    names[i] = recipe.name
  end
  return names
end

local function append(list, more)
  table.move(more, 1, #more, #list + 1, list)
end

local OF_ROOTFS = { after_flatten = true, before_mkext4 = true }

-- What a recipe's hook changes by itself is remembered.
local function call_hook(recipes, recipe, hook, rootfs, ...)
  local arguments = table.pack(...)
  append(recipes.changed, changes.of(rootfs, { item = hook, by = recipe.name }, function()
    sandbox.call(recipe, recipe.values[hook], table.unpack(arguments, 1, arguments.n))
  end))
end

---Call a hook of every recipe that has it.
---@param hook string
---@param ... any
function Recipes:call(hook, ...)
  for _, recipe in ipairs(self.list) do
    if recipe.values[hook] then
      call_hook(self, recipe, hook, OF_ROOTFS[hook] and (...) or nil, ...)
    end
  end
  if self.told and #self.changed > 0 then
    self.told(self:take_changes())
  end
end

---What hooks have changed by themselves since this was asked last: entries without bytes.
---@return banger.guest_entry[]
function Recipes:take_changes()
  local list = self.changed
  self.changed = {}
  return list
end

---Have what hooks change by themselves from now on told, after each of them.
---@param act fun(list: banger.guest_entry[])
function Recipes:tell_changes(act)
  self.told = act
end

---Whether any recipe says something of a key.
---@param key string
---@return boolean
function Recipes:has(key)
  for _, recipe in ipairs(self.list) do
    if recipe.values[key] then
      return true
    end
  end
  return false
end

-- What cannot be put in names the recipe's line.
local function inject_for(recipe, done, list, names)
  local ok, problem = pcall(done.put, done, list)
  if ok then
    return
  elseif core.is_error(problem) and problem.code ~= "interrupted" and problem.code ~= "no_space" then
    for _, entry in ipairs(list) do
      local prefix = ("inject %s: "):format(entry.path)
      if problem.message:sub(1, #prefix) == prefix then
        sandbox.fail(recipe, entry.item, { names[entry] }, problem.message:sub(8), problem.code)
      end
    end
  end
  error(problem, 0)
end

-- What a guest would get at a path as the rootfs is now.
local function guest_file(rootfs, build, path)
  local config = M.config(build.image.config, build.settings)
  for _, entry in ipairs(guest.prepare(rootfs, config, build.settings).entries) do
    if entry.path == path and entry.type == "file" and entry.content then
      return entry
    end
  end
end

---Remove what the recipes say, add users, and put files in, each on top of those before
---it: the files of a recipe may belong to its users.
---@param rootfs banger.tree
---@param done banger.applied # by which they go in
---@param build banger.build_plan
function Recipes:put_files(rootfs, done, build)
  local function own(path)
    return guest_file(rootfs, build, path)
  end
  for _, recipe in ipairs(self.list) do
    for _, step in ipairs(files.STEPS) do
      local list, names = step(rootfs, recipe, own)
      inject_for(recipe, done, list, names)
    end
  end
end

local function unit_entries(rootfs, recipe, key, plan)
  for _, unit in ipairs(recipe.values[key] or {}) do
    local where = { (unit:gsub("%.service$", "")) } -- a recipe may leave that out
    if key == "enable" and not guest.systemd.exists(rootfs, unit) then
      sandbox.fail(recipe, key, where, ("there is no unit %s in the image"):format(unit))
    end
    local list, warnings = guest.systemd[key](rootfs, unit)
    for _, entry in ipairs(list) do
      entry.item, entry.by = key, recipe.name
    end
    append(plan.entries, list)
    for _, warning in ipairs(warnings) do
      plan.warnings[#plan.warnings + 1] = ("%s: %s"):format(sandbox.place(recipe, key, where), warning)
    end
  end
end

-- The name of the machine is the one thing that counts more than a recipe's file.
local function warn_of_hostname(rootfs, plan, put)
  local is_named = {}
  for _, entry in ipairs(plan.entries) do
    if entry.item == "hostname" then
      is_named[entry.path], is_named[rootfs:resolve(entry.path) or entry.path] = true, true
    end
  end
  for _, entry in ipairs(put) do
    if entry.item == "inject" and (is_named[entry.path] or is_named[rootfs:resolve(entry.path)]) then
      plan.warnings[#plan.warnings + 1] = ("%s: what the recipe %s injects gives way to the hostname that is asked for; leave out one of the two")
        :format(entry.path, entry.by)
    end
  end
end

-- Units, and words for the kernel.
local function extend(recipes, rootfs, build)
  local plan = build.guest
  append(plan.cmdline, build.settings.cmdline)
  for _, recipe in ipairs(recipes.list) do
    unit_entries(rootfs, recipe, "enable", plan)
    unit_entries(rootfs, recipe, "mask", plan)
  end
end

-- What after_plan makes of the plan.
local function change_plan(recipes, rootfs, build, done)
  for _, recipe in ipairs(recipes.list) do
    if recipe.values.after_plan then
      call_hook(recipes, recipe, "after_plan", rootfs, build.guest, rootfs, build)
      local message = entries.complete(build.guest.entries, recipe.name) or done:check(build.guest.entries)
      if message then
        sandbox.fail(recipe, "after_plan", {}, message)
      end
    end
  end
end

---Put into a rootfs what the recipes say and what a guest needs besides, as their
---after_plan leaves it. `build.guest` becomes the plan, with all that was put in.
---@param rootfs banger.rootfs
---@param build banger.build_plan
---Raises what injecting and the hooks do, and `usage` for what cannot be put in and for a
---plan that is none any more.
function Recipes:apply(rootfs, build)
  local done = applied.new(rootfs, function(list)
    banger.inject(rootfs, list)
  end, self:has "after_plan")
  self:put_files(rootfs, done, build)
  build.guest = guest.prepare(rootfs, M.config(build.image.config, build.settings), build.settings)
  extend(self, rootfs, build)
  local all = done:entries()
  warn_of_hostname(rootfs, build.guest, all)
  append(all, build.guest.entries)
  build.guest.entries = all
  change_plan(self, rootfs, build, done)
  done:settle(build.guest.entries)
end

-- Each recipe's commands by themselves, so that an error names it.
local function run_debugfs(recipe, path)
  local ok, problem = pcall(core.debugfs_batch, path, recipe.values.debugfs, { write = true })
  if ok then
    return
  elseif not core.is_error(problem) or problem.code == "interrupted" then
    error(problem, 0)
  end
  sandbox.fail(recipe, "debugfs", {}, problem.message, problem.code)
end

---What is to be done with the finished image before it gets its name; nil for nothing.
---@param build banger.build_plan
---@return fun(path: string)?
function Recipes:finisher(build)
  if not self:has "debugfs" and not self:has "after_mkext4" then
    return nil
  end
  return function(path)
    for _, recipe in ipairs(self.list) do
      if recipe.values.debugfs then
        run_debugfs(recipe, path)
      end
    end
    self:call("after_mkext4", path, build)
  end
end

return M
