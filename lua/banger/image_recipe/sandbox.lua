---Runs one image recipe: a Lua file whose globals are the keys of schema.lua. What is
---wrong is an error there and then, so that it names the file and the line.
local core = require "banger.core"
local log = require "banger.log"
local nearest = require "banger.nearest"
local schema = require "banger.image_recipe.schema"
local sorted = require "banger.sorted"
local stdout = require "banger.image_recipe.stdout"

local M = {}

---@class banger.image_recipe
---@field name string # for people: the path, or the name of one that is built in
---@field path string
---@field dir? string # host paths in it are relative to this; nil for one that is built in
---@field values table<string, any> # checked, by key
---@field variables banger.recipe_variable[] # in order of declaration
---@field text string
---@field lines table<string, integer> # where each key was said last
---@field package out banger.recipe_stdout
---@field ran? boolean # from here on only its hooks do
---@field closed? boolean # what it says has been acted on: to say more is an error

---@class banger.recipe_variable
---@field name string
---@field value string|number|boolean
---@field default string|number|boolean
---@field help string
---@field given boolean # by -D

-- ---- where a mistake is -----------------------------------------------------------

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line
  end
  return lines
end

local function find_line(lines, pattern, from, to)
  for number = from, to do
    if lines[number] and lines[number]:find(pattern) then
      return number
    end
  end
end

-- In quotes, else as a whole word, else anywhere.
local function find_word(lines, word, from, to)
  word = tostring(word):gsub("%p", "%%%0")
  return find_line(lines, "[\"']" .. word .. "[\"']", from, to) or find_line(lines, "%f[%w_]" .. word .. "%f[^%w_]", from, to)
    or find_line(lines, word, from, to)
end

-- Lua knows the line where a statement ends. What is wrong in a table of several
-- lines is looked for by the names that lead to it.
local function line_of(text, last, key, where)
  local lines, at = lines_of(text), where and last or 0
  while at > 0 and not (lines[at] or ""):find("%f[%w_]" .. key .. "%s*[=%[.]") do
    at = at - 1
  end
  if at == 0 then
    return last
  end
  for _, name in ipairs(where) do
    at = type(name) ~= "table" and find_word(lines, name, at, last) or at
  end
  return at
end

-- The innermost line of the recipe that is running.
local function current_line(chunk)
  for level = 2, 64 do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return nil
    elseif info.source == chunk then
      return info.currentline
    end
  end
end

local function fail_at(recipe, line, key, where, message, code)
  line = key and line_of(recipe.text, line, key, where) or line
  core.error(code or "usage", ("%s:%d: %s"):format(recipe.path, line, message))
end

local function fail_here(recipe, message, key, where)
  fail_at(recipe, current_line("@" .. recipe.path) or 0, key, where, message)
end

---Where a recipe said something of a key, and of what: "web.lua:3: enable".
---@param recipe banger.image_recipe
---@param key string
---@param where any[] # the names in its value that lead there
---@return string
function M.place(recipe, key, where)
  return ("%s:%d: %s"):format(recipe.path, line_of(recipe.text, recipe.lines[key] or 0, key, where), key)
end

---The path of a file that a recipe names, beside it.
---@param recipe banger.image_recipe # not built in
---@param path string # relative
---@return string
function M.beside(recipe, path)
  local count
  repeat
    path, count = path:gsub("^%./+", "")
  until count == 0
  return recipe.dir .. (recipe.dir == "/" and "" or "/") .. path
end

---Raise an error about what a recipe said of a key.
---@param recipe banger.image_recipe
---@param key string
---@param where any[] # the names in its value that lead there
---@param message string
---@param code? banger.code # default usage
function M.fail(recipe, key, where, message, code)
  fail_at(recipe, recipe.lines[key] or 0, key, where, ("%s: %s"):format(key, message), code)
end

-- ---- tables that a recipe may add to --------------------------------------------------

local Container = {}

local function unwrap(value)
  local meta = type(value) == "table" and getmetatable(value)
  return meta and meta.container == Container and meta.stored or value
end

local function check_element(recipe, name, key, value)
  local spec = schema.keys[name]
  if value == nil then
    if spec.kind == "list" and math.type(key) == "integer" and key < #recipe.values[name] then
      fail_here(recipe, ("%s is a list: table.remove leaves no hole in it"):format(name))
    end
    return key, nil
  end
  local message, where
  if spec.kind == "list" and (math.type(key) ~= "integer" or key < 1 or key > #recipe.values[name] + 1) then
    return fail_here(recipe, ("%s is a list of %d: it has no '%s'"):format(name, #recipe.values[name], tostring(key)))
  elseif spec.kind == "map" then
    key, message = spec.check_name(key)
    if key == nil then
      return fail_here(recipe, ("%s: %s"):format(name, message))
    end
  end
  value, message, where = spec.check(unwrap(value))
  if value == nil and spec.kind == "map" then
    return fail_here(recipe, ("%s: %s: %s"):format(name, key, message), name, { key, table.unpack(where or {}) })
  elseif value == nil then
    return fail_here(recipe, ("%s: %s"):format(name, message), name, where)
  end
  return key, value
end

-- What counts before the first hook.
local EARLY = { platform = true, match = true, use = true }

local function check_open(recipe, name)
  if recipe.ran and EARLY[name] then
    fail_here(recipe, ("%s: too late: it counts before the hooks are called; say it outside of them"):format(name))
  elseif recipe.closed then
    fail_here(recipe, ("%s: too late: the plan is made; say it in after_flatten or before"):format(name))
  end
end

local function note_line(recipe, name)
  recipe.lines[name] = current_line("@" .. recipe.path)
end

-- What a recipe makes of a loop is the same every time.
local function in_order(shown, store)
  local names, at = sorted(store), 0
  return function()
    at = at + 1
    if names[at] ~= nil then
      return names[at], shown[names[at]]
    end
  end
end

-- An element as it was checked; one that was changed would not be.
local function frozen(recipe, name, element)
  if type(element) ~= "table" then
    return element
  end
  return setmetatable({}, {
    container = Container,
    stored = element,
    __index = function(_, key)
      return frozen(recipe, name, element[key])
    end,
    __len = function()
      return #element
    end,
    __pairs = function(self)
      return in_order(self, element)
    end,
    __newindex = function()
      fail_here(recipe, ("%s: what is in it can be replaced as a whole, not changed"):format(name))
    end,
  })
end

-- What a recipe writes is checked, and kept aside so that all writing is seen.
local function container(recipe, name, store)
  return setmetatable({}, {
    __name = name,
    container = Container,
    stored = store,
    __index = function(_, key)
      return frozen(recipe, name, store[key])
    end,
    __len = function()
      return #store
    end,
    __pairs = function(self)
      return in_order(self, store)
    end,
    __newindex = function(_, key, value)
      check_open(recipe, name)
      local checked, element = check_element(recipe, name, key, value)
      note_line(recipe, name)
      store[checked] = element
    end,
  })
end

-- ---- variables ------------------------------------------------------------------------

local BOOLEANS = { ["true"] = true, ["false"] = false, yes = true, no = false, ["1"] = true, ["0"] = false }

local function convert(text, default)
  if type(default) == "boolean" then
    return BOOLEANS[text], "true or false expected"
  elseif type(default) == "number" then
    local number = tonumber(text)
    if math.type(default) == "integer" then
      number = math.tointeger(number)
    end
    return number, math.type(default) == "integer" and "a whole number expected" or "a number expected"
  end
  return text
end

local KINDS = { string = true, number = true, boolean = true }

-- var(name, default, help): a value that -D sets.
local function declare(recipe, given, name, default, help)
  if type(name) ~= "string" or not name:find "^[%a_][%w_-]*$" then
    fail_here(recipe, "var: a name of letters, digits and '_' expected first")
  elseif not KINDS[type(default)] then
    fail_here(recipe, ("var '%s': a default is missing: a text, a number, true or false"):format(name))
  elseif help ~= nil and type(help) ~= "string" then
    fail_here(recipe, ("var '%s': the third is its help, a text"):format(name))
  end
  for _, variable in ipairs(recipe.variables) do
    if variable.name == name then
      fail_here(recipe, ("var '%s' is declared twice"):format(name))
    end
  end
  local value = default
  if given[name] then
    local message
    value, message = convert(given[name], default)
    if value == nil then
      fail_here(recipe, ("-D %s=%s: %s"):format(name, given[name], message))
    end
  end
  recipe.variables[#recipe.variables + 1] = {
    name = name, value = value, default = default, help = help or "", given = given[name] ~= nil,
  }
  return value
end

-- ---- the environment ------------------------------------------------------------------

local function note_in_log(text)
  log.say("info", "%s", text)
end

local function print_to(out)
  return function(...)
    local words = table.pack(...)
    for i = 1, words.n do
      words[i] = tostring(words[i])
    end
    out:write(table.concat(words, "  "), "\n")
  end
end

local function read_global(recipe, extras, name)
  if extras[name] ~= nil then
    return extras[name]
  end
  local spec = schema.keys[name]
  if spec and (spec.kind == "list" or spec.kind == "map") then
    recipe.values[name] = recipe.values[name] or {}
    return container(recipe, name, recipe.values[name])
  elseif spec then
    return recipe.values[name]
  elseif _G[name] ~= nil then
    return _G[name]
  end
  local near = nearest(name, schema.names)
  fail_here(recipe, ("'%s' is not defined%s"):format(tostring(name), near and ("; did you mean '%s'?"):format(near) or ""))
end

local function write_global(recipe, name, value)
  local spec = schema.keys[name]
  if not spec then
    local near = nearest(name, schema.names)
    local hint = near and ("did you mean '%s'?"):format(near) or ("a name of your own is 'local %s'"):format(name)
    return fail_here(recipe, ("unknown key '%s'; %s"):format(name, hint))
  end
  check_open(recipe, name)
  if value == nil then
    recipe.values[name] = nil
    return
  end
  local checked, message, where = (spec.whole or spec.check)(unwrap(value))
  if checked == nil then
    return fail_here(recipe, ("%s: %s"):format(name, message), name, where)
  end
  recipe.values[name] = checked
  note_line(recipe, name)
end

-- A text error says file and line already; Lua shortens long paths.
local function describe(recipe, problem)
  local short = debug.getinfo(load("", "@" .. recipe.path), "S").short_src
  local text = tostring(problem)
  if type(problem) == "table" and not (getmetatable(problem) or {}).__tostring then
    text = "an error that is a table was raised; a text expected"
  end
  if text:sub(1, #short + 1) == short .. ":" then
    return recipe.path .. text:sub(#short + 1)
  end
  return text
end

local function rebuild(recipe, problem, line)
  if core.is_error(problem) then
    local position = ("%s:%d: "):format(recipe.path, line or 0)
    if problem.code == "interrupted" or not line or problem.message:sub(1, #recipe.path + 1) == recipe.path .. ":" then
      return problem
    end
    local fields = {}
    for name, value in pairs(problem) do
      fields[name] = value
    end
    return select(2, pcall(core.error, problem.code, position .. problem.message, fields))
  end
  local text = describe(recipe, problem)
  if line and text:sub(1, #recipe.path + 1) ~= recipe.path .. ":" then
    text = ("%s:%d: %s"):format(recipe.path, line, text)
  end
  return select(2, pcall(core.error, "usage", text))
end

---Call a function of a recipe; what it raises names the recipe's line.
---@param recipe banger.image_recipe
---@param act function
---@param ... any
---@return any
---Raises what `act` does, texts as `usage`.
function M.call(recipe, act, ...)
  local chunk = "@" .. recipe.path
  local function handle(problem)
    local rebuilt = rebuild(recipe, problem, current_line(chunk))
    if debug.getregistry()["banger.debug_on_error"] then
      local debugger = require "banger.repl.debugger"
      debugger.post_mortem(problem)
      debugger.mark(rebuilt)
    end
    return rebuilt
  end
  local result = table.pack(xpcall(act, handle, ...))
  recipe.out:finish()
  if not result[1] then
    error(result[2], 0)
  end
  return table.unpack(result, 2, result.n)
end

local function key_names()
  local names = {}
  for _, name in ipairs(schema.names) do
    names[name] = true
  end
  return names
end

---Run a recipe's text.
---@param recipe { name: string, path: string, dir?: string, text: string }
---@param given table<string, string> # what -D says
---@param extras table<string, any> # more globals, such as banger
---@return banger.image_recipe
---Raises `usage` with the file, the line, and what is wrong there.
function M.run(recipe, given, extras)
  recipe.values, recipe.variables, recipe.lines, recipe.ran = {}, {}, {}, nil
  recipe.out = stdout.new(extras.note or note_in_log)
  local globals = setmetatable({
    print = print_to(recipe.out),
    io = stdout.io(recipe.out),
    var = function(...)
      return declare(recipe, given, ...)
    end,
  }, { __index = extras })
  local env = setmetatable({}, {
    __index = function(_, name)
      return read_global(recipe, globals, name)
    end,
    __newindex = function(_, name, value)
      write_global(recipe, name, value)
    end,
    __pairs = function() -- for who looks around in a debugger
      return next, key_names()
    end,
  })
  local chunk, message = load(recipe.text, "@" .. recipe.path, "t", env)
  if not chunk then
    message = describe(recipe, message)
    local known = message:sub(1, #recipe.path + 1) == recipe.path .. ":"
    core.error("usage", known and message or ("%s: %s"):format(recipe.path, message))
  end
  M.call(recipe, chunk)
  recipe.ran = true
  return recipe
end

return M
