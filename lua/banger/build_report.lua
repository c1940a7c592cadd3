---What a build tells at its end.
local cli = require "banger.cli"
local json = require "banger.json"
local plan = require "banger.plan"
local size = require "banger.size"

local M = {}

---@class banger.build
---@field image banger.image
---@field info banger.mkext4_info
---@field layers banger.layer_report[]
---@field plan banger.guest_plan # without `init` where nothing was injected
---@field recipes? string[] # names
---@field seconds number
---@field seconds_finish number # of these, after the last layer

local SHOWN_NOTES = 5

-- All notes as lines, and how many there were that the core did not keep.
local function describe_notes(layers)
  local lines, dropped = {}, 0
  for i, layer in ipairs(layers) do
    dropped = dropped + layer.notes_dropped
    for _, note in ipairs(layer.notes) do
      lines[#lines + 1] = ("layer %d: %s %s: %s"):format(i, note.entry, note.action, note.reason)
    end
  end
  return lines, dropped
end

---Sum up on stderr what is worth knowing: entries that were skipped or altered,
---the first few and how many more, and what injection left as it was.
---@param layers banger.layer_report[]
---@param warnings string[]
function M.notes(layers, warnings)
  local lines, dropped = describe_notes(layers)
  local shown = math.min(#lines, SHOWN_NOTES)
  for i = 1, shown do
    cli.warn("%s", lines[i])
  end
  local more = #lines - shown + dropped
  if more > 0 then
    cli.warn("and %d more notes like these (--json lists them)", more)
  end
  for _, warning in ipairs(warnings) do
    cli.warn("%s", warning)
  end
end

local function describe_layers(build)
  local list = {}
  for i, layer in ipairs(build.layers) do
    local copy = { digest = build.image.layers[i].digest }
    for name, value in pairs(layer) do
      copy[name] = value
    end
    list[i] = copy
  end
  return list
end

---The whole result as a table, as `--json` prints it.
---@param build banger.build
---@return table
function M.object(build)
  local object = {
    reference = build.image.reference,
    digest = build.image.digest,
    platform = build.image.platform,
    layers = describe_layers(build),
    injected = plan.describe(build.plan.entries),
    warnings = build.plan.warnings,
    cmdline = build.plan.cmdline,
    recipes = build.recipes,
    init = build.plan.init and { kind = build.plan.init.kind, path = build.plan.init.path, why = build.plan.init.why },
    seconds = build.seconds,
    seconds_finish = build.seconds_finish,
  }
  for name, value in pairs(build.info) do
    object[name] = value
  end
  return object
end

local function describe_size(bytes)
  return ("%s (%d bytes)"):format(size.format(bytes), bytes)
end

local function list_row(name, list, separator)
  return list and #list > 0 and { name, table.concat(list, separator or ", ") } or false
end

local function text(build)
  local info = build.info
  local rows = {
    { "path", info.path },
    { "size", describe_size(info.size) },
    { "used", describe_size(info.used) },
    { "free", describe_size(info.free) },
    { "inodes", ("%d, %d used"):format(info.inodes, info.inodes_used) },
    { "digest", build.image.digest },
    list_row("recipes", build.recipes),
    list_row("cmdline", build.plan.cmdline, " "),
    { "seconds", ("%.2f"):format(build.seconds) },
  }
  local lines = {}
  for _, row in ipairs(rows) do
    lines[#lines + 1] = row and ("%-8s %s\n"):format(row[1], row[2]) or nil
  end
  return table.concat(lines)
end

---Print what is added to an image on stdout.
---@param form "text"|"json"
---@param build banger.build_plan
---Raises `io`.
function M.plan(form, build)
  cli.write(form == "json" and json.encode(plan.object(build)) .. "\n" or plan.text(build))
end

---Print the result on stdout.
---@param form "text"|"json"|"digest"
---@param build banger.build
---Raises `io`.
function M.print(form, build)
  if form == "digest" then
    cli.write(build.image.digest, "\n")
  elseif form == "json" then
    cli.write(json.encode(M.object(build)), "\n")
  else
    cli.write(text(build))
  end
end

return M
