---What a build adds to an image: how that is found out and put in, how people and programs
---read it, and how the image itself remembers it below /.banger.
local banger = require "banger"
local escape = require("banger.text").escape
local json = require "banger.json"
local size = require "banger.size"

local M = {}

local DIRECTORY <const> = "/.banger"
M.RECORD = DIRECTORY .. "/build.json"
local RECORD_VERSION = 1

---What is known of a build before it is made.
---@class banger.build_plan
---@field image banger.image
---@field recipes banger.image_recipes
---@field settings banger.recipe_settings
---@field out string # what is made
---@field guest? banger.guest_plan # all entries, those of recipes too

local function describe_init(init)
  return { kind = init.kind, path = init.path, why = init.why }
end

-- An entry without its bytes.
local function describe(entry)
  return { path = entry.path, type = entry.type, why = entry.why, item = entry.item, by = entry.by }
end

---Entries without their bytes.
---@param entries banger.guest_entry[]
---@return table[]
function M.describe(entries)
  local list = {}
  for i, entry in ipairs(entries) do
    list[i] = describe(entry)
  end
  return list
end

local function has_directory(build)
  for _, entry in ipairs(build.guest.entries) do
    if entry.path == DIRECTORY and entry.type == "dir" then
      return true
    end
  end
  return false
end

---The entries that put the record into the image: JSON, the same bytes for the same
---image, recipes and version. It lists all entries but these. None where that item is
---switched off.
---@param build banger.build_plan
---@return banger.guest_entry[]
function M.record(build)
  if build.settings.items.record == false then
    return {}
  end
  local platform = build.image.config.platform
  local text = json.encode {
    version = RECORD_VERSION,
    banger = banger.version,
    digest = build.image.digest,
    platform = { os = platform.os, architecture = platform.architecture, variant = platform.variant },
    init = build.guest.init and describe_init(build.guest.init),
    cmdline = build.guest.cmdline,
    recipes = build.recipes:names(),
    injected = M.describe(build.guest.entries),
  }
  local entries = {
    { path = M.RECORD, type = "file", content = text .. "\n", mode = tonumber("644", 8), uid = 0, gid = 0,
      item = "record", why = "tells what was added" },
  }
  if not has_directory(build) then
    table.insert(entries, 1, { path = DIRECTORY, type = "dir", mode = tonumber("755", 8), uid = 0, gid = 0,
      item = "record", why = "holds the record" })
  end
  return entries
end

---Add the record to the plan, which is complete but for it.
---@param build banger.build_plan
---@return banger.guest_entry[] # what was added
function M.add_record(build)
  local entries, all = M.record(build), build.guest.entries
  table.move(entries, 1, #entries, #all + 1, all)
  return entries
end

-- What hooks have changed by themselves goes before the record, which is written anew if
-- there is one.
local function add_changes(build, rootfs, list)
  local all, kept = build.guest.entries, {}
  for _, entry in ipairs(all) do
    kept[#kept + 1] = entry.item ~= "record" and entry or nil
  end
  local has_record = #kept < #all
  build.guest.entries = table.move(list, 1, #list, #kept + 1, kept)
  if has_record then
    banger.inject(rootfs, M.add_record(build))
  end
end

---Put into a tree what a machine needs and a container does not, and what image recipes say.
---Their hooks of before and after that are called, and from then on they may say no more.
---@param build banger.build_plan # gets its settings anew, for hooks may have said more, and its guest
---@param rootfs banger.rootfs # all layers
---@param options? { adjust?: fun(settings: banger.recipe_settings): banger.recipe_settings, nothing?: boolean }
---  # adjust: what counts more than recipes; nothing: nothing is to be added
---@example
---```lua
---plan.make({ image = image, recipes = recipes, settings = recipes:settings(), out = "out.ext4" }, rootfs)
---```
---Raises what `guest.prepare`, `banger.inject` and hooks do.
function M.make(build, rootfs, options)
  local adjust = options and options.adjust
  build.recipes:call("after_flatten", rootfs, build)
  local settings = build.recipes:settings()
  build.settings = adjust and adjust(settings) or settings
  build.recipes:close()
  build.guest = { entries = {}, warnings = {}, cmdline = build.settings.cmdline }
  local nothing = options and options.nothing
  if not nothing then
    build.recipes:apply(rootfs, build)
  end
  add_changes(build, rootfs, build.recipes:take_changes())
  if not nothing then
    banger.inject(rootfs, M.add_record(build))
  end
  build.recipes:tell_changes(function(list)
    add_changes(build, rootfs, list)
  end)
end

local function describe_variables(recipes)
  local list = {}
  for _, recipe in ipairs(recipes.list) do
    for _, variable in ipairs(recipe.variables) do
      list[#list + 1] = { recipe = recipe.name, name = variable.name, value = variable.value, help = variable.help }
    end
  end
  return list
end

local HOOKS = { "after_resolve", "after_flatten", "after_plan", "before_mkext4", "after_mkext4" }

local function describe_hooks(recipes)
  local list = {}
  for _, recipe in ipairs(recipes.list) do
    for _, hook in ipairs(HOOKS) do
      local act = recipe.values[hook]
      if act then
        local info = debug.getinfo(act, "S")
        list[#list + 1] = { recipe = recipe.name, hook = hook, line = info.linedefined }
      end
    end
  end
  return list
end

---The whole plan as a table, as `--dry-run --json` prints it.
---@param build banger.build_plan
---@return table
function M.object(build)
  local settings, plan = build.settings, build.guest
  return {
    reference = build.image.reference,
    digest = build.image.digest,
    platform = build.image.platform,
    recipes = build.recipes:names(),
    variables = describe_variables(build.recipes),
    hooks = describe_hooks(build.recipes),
    init = plan.init and describe_init(plan.init),
    cmdline = plan.cmdline,
    size = settings.size,
    free = settings.free,
    label = settings.label,
    debugfs = settings.debugfs,
    entries = M.describe(plan.entries),
    warnings = plan.warnings,
  }
end

local function describe_size(settings)
  if settings.size then
    return type(settings.size) == "number" and size.format(settings.size) or "as little as it takes"
  elseif settings.free then
    return ("the contents, and %s free"):format(size.format(settings.free))
  end
  return "the contents, a tenth of them, and 64 MiB"
end

local function describe_variable(variable)
  local help = variable.help ~= "" and "  " .. variable.help or ""
  return ("%s=%s%s (%s)"):format(variable.name, tostring(variable.value), help, variable.recipe)
end

-- Words as debugfs reads them.
local function describe_command(words)
  local list = {}
  for i, word in ipairs(words) do
    list[i] = word:find '[%s"]' and '"' .. word:gsub('"', '""') .. '"' or word
  end
  return table.concat(list, " ")
end

local function head_rows(build)
  local plan, rows = build.guest, {}
  local function row(name, text)
    rows[#rows + 1] = ("%-10s %s"):format(name, text)
  end
  row("image", build.image.reference)
  row("digest", build.image.digest)
  row("platform", build.image.platform)
  if #build.recipes.list > 0 then
    row("recipes", table.concat(build.recipes:names(), ", "))
  end
  for _, variable in ipairs(describe_variables(build.recipes)) do
    row("variable", describe_variable(variable))
  end
  for _, hook in ipairs(describe_hooks(build.recipes)) do
    row("hook", ("%s (%s, line %d)"):format(hook.hook, hook.recipe, hook.line))
  end
  if plan.init then
    row("init", ("%s%s: %s"):format(plan.init.kind, plan.init.path and " " .. plan.init.path or "", plan.init.why))
  end
  if #plan.cmdline > 0 then
    row("cmdline", table.concat(plan.cmdline, " "))
  end
  row("size", describe_size(build.settings))
  for _, command in ipairs(build.settings.debugfs) do
    row("debugfs", describe_command(command))
  end
  return rows
end

local function entry_row(entry)
  local attributes = ""
  if entry.type ~= "remove" then
    attributes = ("%s %d:%d"):format(entry.mode and ("%04o"):format(entry.mode) or "-", entry.uid or 0, entry.gid or 0)
  end
  local what = entry.type == "symlink" and ("%s -> %s"):format(entry.path, entry.target) or entry.path
  local by = entry.by and ("%s, by %s"):format(entry.item, entry.by) or entry.item
  return ("%-8s %-13s %s  (%s: %s)"):format(entry.type or "file", attributes, what, by, entry.why)
end

---The plan as text, a line each thing.
---@param build banger.build_plan
---@return string
function M.text(build)
  local rows = head_rows(build)
  rows[#rows + 1] = ("%d entries"):format(#build.guest.entries)
  for _, entry in ipairs(build.guest.entries) do
    rows[#rows + 1] = "  " .. entry_row(entry)
  end
  for i, row in ipairs(rows) do
    rows[i] = escape(row)
  end
  return table.concat(rows, "\n") .. "\n"
end

return M
