---What an image recipe may say: its keys, and what their values have to be. Pure.
local guest = require "banger.guest"
local kernel_words = require "banger.kernel_words"
local nearest = require "banger.nearest"
local platform = require "banger.platform"
local size = require "banger.size"
local sorted = require "banger.sorted"
local texts = require "banger.text"

local M = {}

local MAX_BYTES = 2 * 1024 ^ 4

-- A check takes a value and gives it back as it is to be used; or nil, a message and
-- the keys that lead to what is wrong.
---@alias banger.recipe_check fun(value: any): any, string?, any[]?

---@class banger.recipe_key
---@field kind "scalar"|"list"|"map"|"hook"
---@field check banger.recipe_check # of a scalar, or of one element
---@field check_name? banger.recipe_check # of an element's name in a map
---@field help string

local SHOWN = 200

-- A value in a message: short, and without what would end it.
local function kind_of(value)
  if type(value) ~= "string" then
    return ("a %s"):format(type(value))
  end
  local shown = #value > SHOWN and value:sub(1, SHOWN) .. "..." or value
  return ("'%s'"):format(texts.replace(shown, texts.hex))
end

local function text(what, pattern, limit)
  return function(value)
    if type(value) ~= "string" or value:find "%z" or pattern and not value:find(pattern) or #value > (limit or math.huge) then
      return nil, ("%s expected, not %s"):format(what, kind_of(value))
    end
    return value
  end
end

local function boolean(value)
  if type(value) ~= "boolean" then
    return nil, ("true or false expected, not %s"):format(kind_of(value))
  end
  return value
end

local function whole(least, most)
  return function(value)
    local number = math.type(value) == "integer" and value
    if not number or number < least or number > most then
      local given = type(value) == "number" and tostring(value) or kind_of(value)
      return nil, ("a number from %d to %d expected, not %s"):format(least, most, given)
    end
    return number
  end
end

local function any_of(what, ...)
  local checks = { ... }
  return function(value)
    for _, check in ipairs(checks) do
      local found = check(value)
      if found ~= nil then
        return found
      end
    end
    return nil, ("%s expected, not %s"):format(what, kind_of(value))
  end
end

local function bytes(words)
  return function(value)
    if words and words[value] then
      return value
    end
    local number, message = nil, ("a size such as '4G' expected, not %s"):format(kind_of(value))
    if type(value) == "string" or math.type(value) == "integer" then
      number, message = size.parse(value)
    end
    if number and number > MAX_BYTES then
      return nil, ("'%s' is more than the 2 TiB an image can have"):format(value)
    elseif number == 0 and words then
      return nil, ("'%s' is no size: more than 0 expected"):format(value)
    end
    return number, message
  end
end

-- A text, since Lua has no octal numbers. It stays one: what was checked can be given
-- again.
local function mode(value)
  if type(value) == "number" then
    return nil, ("a mode such as '0644' expected, not the number %s: Lua reads 0644 as 644"):format(value)
  elseif type(value) ~= "string" or not value:find "^0?[0-7][0-7][0-7][0-7]?$" then
    return nil, ("a mode such as '0644' expected, not %s"):format(kind_of(value))
  end
  return value
end

-- Names are looked up in the image's /etc/passwd and /etc/group.
local function owner(value)
  if type(value) == "string" and (value:find "^[%w_.-]+$" or value:find "^[%w_.-]+:[%w_.-]+$") then
    return value
  end
  return nil, ("an owner such as '1000:1000' or 'www-data' expected, not %s"):format(kind_of(value))
end

local path = text("a path in the image, from / on,", "^/")
local host_path = text("a path on this machine", ".")
local account_path = text("a path from / on, without ':',", "^/[^:\n]*$") -- a field of /etc/passwd

local function is_list(value)
  local count = 0
  for name in pairs(value) do
    if math.type(name) ~= "integer" or name < 1 or name > #value then
      return false
    end
    count = count + 1
  end
  return count == #value
end

-- A table of named fields.
local function record(fields, required)
  local names = sorted(fields)
  return function(value)
    if type(value) ~= "table" then
      return nil, ("a table expected, not %s"):format(kind_of(value))
    end
    local out = {}
    for _, name in ipairs(sorted(value)) do
      if not fields[name] then
        return nil, M.unknown(name, names), { name }
      end
      local checked, message, where = fields[name](value[name])
      if checked == nil then
        return nil, ("%s: %s"):format(name, message), { name, table.unpack(where or {}) }
      end
      out[name] = checked
    end
    for _, name in ipairs(required or {}) do
      if out[name] == nil then
        return nil, ("%s is missing"):format(name)
      end
    end
    return out
  end
end

local function not_a_list(value)
  for _, name in ipairs(sorted(value)) do
    if type(name) == "string" then
      return ("a list expected, not a table with '%s': { { %s = ... } } is a list of one"):format(name, name)
    end
  end
  return "a list expected, without holes"
end

-- A text stands for a list of one.
local function list_of(check)
  return function(value)
    if type(value) == "string" then
      value = { value }
    elseif type(value) ~= "table" then
      return nil, ("a list expected, not %s"):format(kind_of(value))
    elseif not is_list(value) then
      return nil, not_a_list(value)
    end
    local out = {}
    for i, item in ipairs(value) do
      local checked, message, where = check(item)
      if checked == nil then
        return nil, message, { item, table.unpack(where or {}) }
      end
      out[i] = checked
    end
    return out
  end
end

-- A program and its arguments: a text with blanks would be taken for one word.
local function words_of(check)
  local list = list_of(check)
  return function(value)
    if type(value) ~= "table" then
      return nil, ("a list of words such as { 'rm', '/x' } expected, not %s"):format(kind_of(value))
    elseif #value == 0 then
      return nil, "a list of words is empty"
    end
    return list(value)
  end
end

local function map_of(check_name, check)
  return function(value)
    if type(value) ~= "table" then
      return nil, ("a table expected, not %s"):format(kind_of(value))
    end
    local out = {}
    for _, name in ipairs(sorted(value)) do
      local item = value[name]
      local named, message = check_name(name)
      if named == nil then
        return nil, message, { name }
      end
      local where
      out[named], message, where = check(item)
      if out[named] == nil then
        return nil, ("%s: %s"):format(name, message), { name, table.unpack(where or {}) }
      end
    end
    return out
  end
end

---What to say of a name that is none.
---@param name any
---@param known string[]
---@return string
function M.unknown(name, known)
  local near = type(name) == "string" and nearest(name, known)
  local hint = near and ("; did you mean '%s'?"):format(near) or (" (known: %s)"):format(table.concat(known, ", "))
  return ("unknown key '%s'%s"):format(tostring(name), hint)
end

-- ---- what is injected -----------------------------------------------------------

local CONTENTS = { "content", "file", "dir", "symlink", "append" }

local injection = record {
  content = text "the file's content",
  append = text "text",
  file = host_path,
  dir = host_path,
  symlink = text("a link's target", "."),
  mode = mode,
  owner = owner,
  modes = map_of(path, mode),
  owners = map_of(path, owner),
}

-- What banger-init is told is cleared and written anew by the plan.
local function inject_path(value)
  if type(value) == "string" and ("/" .. value .. "/"):find "^/+%.banger/" then
    return nil, ("%s is banger-init's; what it is told can be changed in after_plan"):format(value)
  end
  return path(value)
end

local function inject(value)
  if type(value) == "string" then
    return { content = value }
  end
  local found, message, where = injection(value)
  if not found then
    return nil, message, where
  end
  local given = {}
  for _, name in ipairs(CONTENTS) do
    given[#given + 1] = found[name] and name
  end
  if #given > 1 then
    return nil, ("%s exclude each other"):format(table.concat(given, " and "))
  elseif found.symlink and found.mode then
    return nil, "a link has no mode"
  elseif (found.modes or found.owners) and not found.dir then
    return nil, "modes and owners go with dir"
  end
  return found
end

-- ---- the keys -------------------------------------------------------------------

local function init(value)
  if type(value) == "string" and guest.init_option(value) then
    return value
  end
  return nil, ("'auto', 'native', 'banger', 'none' or a path in the image expected, not %s"):format(kind_of(value))
end

local function platform_name(value)
  if type(value) ~= "string" then
    return nil, ("a platform such as 'linux/arm64' expected, not %s"):format(kind_of(value))
  end
  local found, message = platform.parse(value)
  return found and value, message
end

local function overlay(value)
  if type(value) == "string" and guest.is_overlay(value) then
    return value
  end
  return nil, ("'tmpfs' or a disk such as '/dev/vdb' or 'LABEL=data' expected, not %s"):format(kind_of(value))
end

local UNIT = "^[%w@:_.\\-]+%.%l+$"
local function unit(value)
  if type(value) == "string" and value:find "^[%w@:_\\-]+$" then
    value = value .. ".service"
  end
  return text("the name of a systemd unit", UNIT)(value)
end

local agent = any_of("true, false or { port = N }", boolean, record({ port = whole(1, 4294967294) }, { "port" }))
local variable = text("the name of a variable", "^[%a_][%w_.-]*$")
local env_value = any_of("a text or a whole number", text "a text", function(value)
  return math.type(value) == "integer" and tostring(value) or nil
end)

local function item(value)
  if type(value) ~= "string" then
    return nil, ("the name of an item expected, not %s"):format(kind_of(value))
  end
  return guest.check_item(value)
end

local user = record({
  name = text("a user's name", "^[%l_][%w_.-]*$", 32),
  uid = whole(0, 4294967294),
  gid = whole(0, 4294967294),
  groups = list_of(text("a group's name", "^[%w_.-]+$")),
  home = account_path,
  shell = account_path,
  comment = text("a comment without ':'", "^[^:\n]*$"),
  password = text("a password's hash, as `openssl passwd -6` prints it, or '' for none,", "^[^:\n]*$"),
  authorized_keys = list_of(text("a public key, or the path of a file of them,", ".")),
}, { "name" })

local scalar = function(check, help)
  return { kind = "scalar", check = check, help = help }
end
local list = function(check, help)
  return { kind = "list", check = check, whole = list_of(check), help = help }
end
local map = function(check_name, check, help)
  return { kind = "map", check_name = check_name, check = check, whole = map_of(check_name, check), help = help }
end
local hook = function(help)
  return { kind = "hook", help = help, check = function(value)
    if type(value) ~= "function" then
      return nil, ("a function expected, not %s"):format(kind_of(value))
    end
    return value
  end }
end

---@type table<string, banger.recipe_key>
M.keys = {
  description = scalar(text "a text", "One line on what the recipe does."),
  match = list(text("a pattern such as 'nginx' or 'ghcr.io/org/*'", "."), "References that it applies to by itself; * is anything."),
  use = list(text("the name or path of a recipe", "."), "Recipes to apply before this one."),

  platform = scalar(platform_name, "Which image of several, such as 'linux/arm64'."),
  size = scalar(bytes { min = true }, "Size of the file, such as '4G', or 'min'."),
  free = scalar(bytes(), "Free space to leave in it, such as '512M'."),
  label = scalar(text("a label of at most 16 bytes", nil, 16), "Name of the file system."),

  init = scalar(init, "What the kernel runs first: 'auto', 'native', 'banger', 'none' or a path in the image."),
  command = scalar(words_of(text "an argument"), "What banger-init runs, instead of Entrypoint and Cmd."),
  user = scalar(text("a user such as 'web' or '1000:1000'", "."), "As whom, instead of the image's User."),
  workdir = scalar(path, "Where, instead of the image's WorkingDir."),
  stop_signal = scalar(text("a signal such as 'SIGTERM'", "^[%w+-]+$"), "How it is stopped, instead of the image's StopSignal."),
  stop_timeout = scalar(whole(0, 86400), "Seconds until it is killed then."),
  environment = map(variable, env_value, "Variables for the program, over the image's Env."),
  hostname = scalar(text("a host name of letters, digits, '-' and '.'", "^%w[%w.-]*$", 64), "The machine's name."),
  cmdline = scalar(kernel_words.parse, "What the kernel's command line needs; run adds it."),
  agent = scalar(agent, "Whether the guest runs the agent that `banger-lua exec` talks to; { port = N } for vsock."),
  overlay = scalar(overlay, "Where writes go, the root file system being read-only."),
  autologin = scalar(boolean, "Whether the console is root's without a password."),
  guest = map(item, boolean, "Items of what a guest needs, switched off with false."),

  users = list(user, "Users to add or change."),
  inject = map(inject_path, inject, "Files to put into the image: path -> content, or a table that says more."),
  remove = list(path, "Paths to remove; * is anything but a slash."),
  enable = list(unit, "systemd units to enable."),
  mask = list(unit, "systemd units to mask."),
  debugfs = list(words_of(text("a debugfs command's word", ".")), "debugfs commands for the finished image."),

  after_resolve = hook "Called with (build) once the image is known, before anything is fetched.",
  after_flatten = hook "Called with (rootfs, build) once the layers are in, before anything is added.",
  after_plan = hook "Called with (plan, rootfs, build): all that is added, to be changed.",
  before_mkext4 = hook "Called with (rootfs, build) when all is added.",
  after_mkext4 = hook "Called with (image, build): the path of the finished image, which gets its name afterwards.",
}
M.names = {}
for name in pairs(M.keys) do
  M.names[#M.names + 1] = name
end
table.sort(M.names)

return M
