---Checks what the methods of images are given: a mistake is named, and what was meant.
local banger = require "banger"
local nearest = require "banger.nearest"
local sorted = require "banger.sorted"

local M = {}

local WORDS = { boolean = "true or false", string = "a text", integer = "a whole number" }

local function kind_of(value)
  return math.type(value) == "integer" and "integer" or type(value)
end

local function article(kind)
  return kind == "nil" and kind or (kind:find "^[aeiou]" and "an " or "a ") .. kind
end

local function contains(list, value)
  for _, item in ipairs(list) do
    if item == value then
      return true
    end
  end
  return false
end

local function check_value(method, name, value, wanted)
  if type(wanted) == "table" and not contains(wanted, value) then
    banger.error("usage", ("%s: '%s' is one of %s"):format(method, name, table.concat(wanted, ", ")))
  elseif type(wanted) == "string" and kind_of(value) ~= wanted then
    banger.error("usage", ("%s: '%s' must be %s, not %s"):format(method, name, WORDS[wanted], article(type(value))))
  end
end

---The options of a call, which is told what is wrong with them.
---@param method string # its name, for messages
---@param given? table
---@param known table<string, string|string[]|true> # names, and the kind of each: boolean, string, integer; what it may be; true: any
---@return table # empty for nil
---@example
---```lua
---local options = arguments.options("ls", { long = true }, { long = "boolean" })
---```
---Raises `usage`.
function M.options(method, given, known)
  if given == nil then
    return {}
  elseif type(given) ~= "table" then
    banger.error("usage", ("%s: options are a table, such as { %s = ... }, not %s"):format(method, sorted(known)[1],
      article(type(given))))
  end
  for _, name in ipairs(sorted(given)) do
    if not known[name] then
      local meant = type(name) == "string" and nearest(name, sorted(known))
      banger.error("usage", ("%s: unknown option '%s'; %s"):format(method, tostring(name), meant and ("did you mean '%s'?"):format(meant)
        or "there is " .. table.concat(sorted(known), ", ")))
    end
    check_value(method, name, given[name], known[name])
  end
  return given
end

---What messages call an option that is a flag: as it is typed, or as a script writes it.
---@param options { in_script?: boolean } # of the call
---@param name string
---@return string
---@example
---```lua
---arguments.flag({}, "force")                      --> "--force"
---arguments.flag({ in_script = true }, "force")    --> "{ force = true }"
---```
function M.flag(options, name)
  return (options.in_script and "{ %s = true }" or "--%s"):format(name)
end

---A text, such as a path; nil where a default is given.
---@param method string
---@param what string # it is
---@param value any
---@param default? string
---@return string
---@example
---```lua
---path = arguments.text("ls", "path", path, "/")
---```
---Raises `usage`.
function M.text(method, what, value, default)
  if value == nil and default then
    return default
  elseif type(value) ~= "string" then
    banger.error("usage", ("%s: the %s must be a text, not %s"):format(method, what, article(type(value))))
  end
  return value
end

return M
