---The prompt inside of a function that is running, or that failed.
local core = require "banger.core"
local frames = require "banger.repl.frames"
local repl = require "banger.repl"
local text = require "banger.text"

local M = {}

-- ---- names in a frame ----------------------------------------------------------------

-- The globals of the code in a frame: what its _ENV is, a recipe's for example. A function
-- that uses none has no _ENV; those around it of the same file do.
local function globals_of(state)
  if state.globals then
    return state.globals
  end
  local source = state.frame.info.source
  for number = state.number, #state.frames do
    local frame = state.frames[number]
    local found = frame.info.source == source and frames.find(frame, "_ENV")
    if found and type(found.value) == "table" then
      return found.value
    end
  end
  return _G
end

-- What the prompt adds; a variable of that name counts more.
local function new_extras()
  local extras = {}
  for name, value in pairs(repl.names) do
    extras[name] = value
  end
  extras.banger, extras.help = require "banger", repl.help
  return extras
end

-- Functions that were made at the prompt may be called when the frames are gone.
local function find(state, name)
  if state.globals then
    return nil
  end
  local found = frames.find(state.frame, name)
  return found
end

local function leave(state)
  state.globals = globals_of(state)
end

local function read_name(state, name)
  local found = find(state, name)
  if found then
    return found.value
  elseif state.extras[name] ~= nil then
    return state.extras[name]
  end
  return globals_of(state)[name]
end

local function write_name(state, name, value)
  local found = find(state, name)
  if found then
    found.set(value)
  elseif state.extras[name] ~= nil then
    state.extras[name] = value
  else
    globals_of(state)[name] = value
  end
end

local function new_env(state)
  return setmetatable({}, {
    __index = function(_, name)
      local value = read_name(state, name)
      return value
    end,
    __newindex = function(_, name, value)
      write_name(state, name, value)
    end,
  })
end

-- For completion: nothing may be raised, and nobody else's code run.
local function peek(state, name)
  local found = frames.find(state.frame, name)
  if found then
    return found.value
  elseif state.extras[name] ~= nil then
    return state.extras[name]
  end
  local value = rawget(globals_of(state), name)
  return value == nil and rawget(_G, name) or value
end

local function all_names(state)
  local seen, list = {}, {}
  local function add(name)
    if type(name) == "string" and not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  for _, variable in ipairs(frames.variables(state.frame)) do
    add(variable.name)
  end
  for _, names in ipairs { state.extras, globals_of(state), _G } do
    pcall(function()
      for name in pairs(names) do
        add(name)
      end
    end)
  end
  return list
end

-- ---- where it is --------------------------------------------------------------------

local SOURCE_LIMIT = 4 * 1024 * 1024

-- The lines of what a function was compiled from; nil when they cannot be had.
local function source_lines(info)
  local source = info.source
  if source:sub(1, 1) == "@" then
    local path = source:sub(2)
    local inside = path:gsub("^lua/", "")
    local ok, content = pcall(core.host.read_file, path, SOURCE_LIMIT)
    source = not frames.is_embedded(info) and ok and content or core.resource(inside)
  elseif source:sub(1, 1) == "=" then
    source = nil
  end
  if not source then
    return nil
  end
  local lines = {}
  for line in (source .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = line
  end
  return lines
end

local function show_source(frame, around)
  local lines = source_lines(frame.info)
  local current = frame.info.currentline
  if not lines or current < 1 then
    return around > 2 and repl.say("the source is not there\n", "error")
  end
  for number = math.max(1, current - around), math.min(#lines, current + around) do
    local line = ("%s %4d  %s\n"):format(number == current and ">" or " ", number, text.escape(lines[number], "\t"))
    if number == current then
      repl.say(line, "strong")
    else
      repl.write(line)
    end
  end
end

local function frame_line(state, number)
  local info = state.frames[number].info
  return ("%s %2d  %s: in %s\n"):format(number == state.number and ">" or " ", number - 1, frames.place(info), frames.name(info))
end

local BACKTRACE_MOST = 50

local function backtrace(state)
  for number = 1, math.min(#state.frames, BACKTRACE_MOST) do
    repl.say(frame_line(state, number), number == state.number and "strong" or nil)
    if state.frames[number].info.istailcall then
      repl.say("      (...tail calls...)\n", "dim")
    end
  end
  if #state.frames > BACKTRACE_MOST then
    repl.say(("      ... %s more; :frame N goes to one\n"):format(text.number(#state.frames - BACKTRACE_MOST)), "dim")
  end
end

-- A module is known by its name.
local function shown_value(value)
  for name, module in pairs(type(value) == "table" and package.loaded or {}) do
    if rawequal(module, value) then
      return "module " .. text.escape(tostring(name))
    end
  end
  return repl.format(value, true)
end

local function show_locals(state)
  local list = frames.variables(state.frame)
  local shown = {}
  for i = #list, 1, -1 do -- of one name only the last counts
    local variable = list[i]
    local hidden = shown[variable.name] or variable.name == "_ENV"
    shown[variable.name] = true
    if hidden then
      table.remove(list, i)
    end
  end
  if #list == 0 then
    return repl.say("no variables here\n", "dim")
  end
  for _, variable in ipairs(list) do
    repl.write(text.escape(variable.name), " = ", shown_value(variable.value))
    repl.say(variable.kind == "upvalue" and "  -- upvalue\n" or "\n", "dim")
  end
end

local function go_to(state, number)
  if not state.frames[number] then
    return repl.say(number < 1 and "this is the innermost\n" or "this is the outermost\n", "error")
  end
  state.number, state.frame = number, state.frames[number]
  repl.write(frame_line(state, number))
  show_source(state.frame, 0)
end

-- ---- commands -----------------------------------------------------------------------

local HELP = [[
:bt         the functions that are running, innermost first    :up  :down   to the caller, and back
:locals     the variables here, and what they are              :frame N     to one of :bt's
:source     the code around here                               :continue    go on (so does Ctrl-D)
:quit       leave the program                                  help()       about banger
Anything else is Lua: variables are read and set by their names, ... are the arguments without one.
]]

local function commands_of(state)
  local commands = {
    bt = function()
      backtrace(state)
    end,
    up = function()
      go_to(state, state.number + 1)
    end,
    down = function()
      go_to(state, state.number - 1)
    end,
    frame = function(rest)
      local number = math.tointeger(tonumber(rest))
      if not number or number < 0 or number >= #state.frames then
        return repl.say((":frame: a number from 0 to %d expected\n"):format(#state.frames - 1), "error")
      end
      go_to(state, number + 1)
    end,
    locals = function()
      show_locals(state)
    end,
    source = function()
      show_source(state.frame, 8)
    end,
    continue = function()
      return "continue"
    end,
    quit = function()
      return "quit"
    end,
    help = function()
      repl.write(HELP)
    end,
  }
  for short, long in pairs { b = "bt", u = "up", d = "down", l = "locals", s = "source", c = "continue", q = "quit" } do
    commands[short] = commands[long]
  end
  return commands
end

-- ---- opening it ----------------------------------------------------------------------

-- The frames that a person wants to see: not the prompt's own below them.
local function without_ours(list)
  local kept = {}
  for i, frame in ipairs(list) do
    local below = list[i + 1]
    local calls_chunk = frame.info.what == "C" and below and frames.is_prompt(below.info)
    if not frames.is_prompt(frame.info) and not calls_chunk then
      kept[#kept + 1] = frame
    end
  end
  return kept
end

local function new_session(state)
  return {
    env = new_env(state),
    prompt = function(first)
      return first and "debug> " or "debug>> "
    end,
    scope = {
      get = function(name)
        local value = peek(state, name)
        return value
      end,
      names = function()
        local names = all_names(state)
        return names
      end,
    },
    commands = commands_of(state),
    keep = function(value)
      state.extras._ = value
    end,
    arguments = function()
      local arguments = frames.varargs(state.frame)
      return arguments
    end,
  }
end

-- Where to begin: in the innermost function that somebody wrote, else of Lua.
local function first_frame(list)
  local innermost
  for number, frame in ipairs(list) do
    if frame.info.what ~= "C" then
      innermost = innermost or number
      if not frames.is_embedded(frame.info) then
        return number, true
      end
    end
  end
  return innermost or 1, false
end

-- `what` is said first; the frames begin where something happened.
local function open(what, list)
  local number = first_frame(list)
  local state = { frames = list, extras = {}, number = number, frame = list[number] }
  if not state.frame then
    return nil
  end
  repl.open(nil, true)
  state.extras = new_extras()
  repl.say(what .. "\n", "error")
  repl.write(("at %s, in %s\n"):format(frames.place(state.frame.info), frames.name(state.frame.info)))
  show_source(state.frame, 2)
  repl.say(":help lists the commands, Ctrl-D goes on\n", "dim")
  local left <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
    leave(state)
  end })
  local result = repl.talk(new_session(state))
  return result
end

-- For logs: what a person would have looked at.
local function print_trace(message, level)
  io.stderr:write(message, "\nstack traceback:\n", (frames.traceback(level + 1)))
end

---Open the prompt in the function that called `banger.breakpoint`.
---@example
---```lua
---require("banger.repl.debugger").breakpoint()  -- use banger.breakpoint(), which says where it was called
---```
---Without a terminal this prints a traceback and raises a `usage` error.
function M.breakpoint()
  if not repl.has_terminal() then
    local message = frames.place(debug.getinfo(3, "Sl")) .. ": banger.breakpoint(): there is no terminal to debug on"
    print_trace(message, 3)
    core.error("usage", message)
  end
  local result = open("breakpoint", without_ours(frames.capture(3)))
  if result == "quit" then
    if repl.at_top then
      repl.leave "quit"
    end
    os.exit(1, true)
  end
end

-- Errors that were looked at: each passes several handlers on its way out.
local seen = setmetatable({}, { __mode = "k" })

---Open the prompt where an error was raised. To be called by a message handler, with
---nothing between. Without a terminal it prints the traceback, which Lua adds to texts alone.
---For signals, for an error that was looked at already and for a mistake in a command line
---this does nothing.
---@param problem any
---@example
---```lua
---xpcall(build, function(problem)
---  debugger.post_mortem(problem)
---  return problem
---end)
---```
function M.post_mortem(problem)
  local is_object = core.is_error(problem)
  if is_object and problem.code == "interrupted" or type(problem) == "table" and seen[problem] then
    return
  end
  local list = without_ours(frames.capture(3))
  local _, is_theirs = first_frame(list)
  if is_object and problem.code == "usage" and not is_theirs then
    return
  end
  M.mark(problem)
  if repl.has_terminal() then
    open("error: " .. repl.message(problem), list)
  elseif is_object then
    print_trace("error: " .. repl.message(problem), 3)
  end
end

---Remember that an error was looked at.
---@param problem any
---@example
---```lua
---debugger.mark(rebuilt)
---```
function M.mark(problem)
  if type(problem) == "table" then
    seen[problem] = true
  end
end

return M
