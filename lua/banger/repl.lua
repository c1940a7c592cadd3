---The prompt on a terminal: reads chunks, runs them, prints what they give. Without a
---terminal src/repl/repl.c does what `lua -i` does.
local complete = require "banger.repl.complete"
local core = require "banger.core"
local format = require "banger.repl.format"
local frames = require "banger.repl.frames"
local help = require "banger.repl.help"
local recipe = require "banger.recipe"
local sorted = require "banger.sorted"
local text = require "banger.text"

local M = {}

---@class banger.session
---@field env table # what chunks run in
---@field scope banger.scope # for completion
---@field prompt fun(first: boolean): string
---@field commands table<string, fun(rest: string): any?> # by name, without the colon; what they return ends the session
---@field arguments? fun(): table # what `...` is, with n
---@field keep fun(value: any) # remembers the last value

-- ---- the terminal ------------------------------------------------------------------

local terminal -- { editor=, out=, fd=, session= }, once it is open

local SIGINT = 2

local function ignore_environment()
  return debug.getregistry().LUA_NOENV
end

-- What was typed is kept with -E too, where it is kept without the variable.
local function history_path()
  local state = recipe.user_dir(not ignore_environment() and "XDG_STATE_HOME" or "", ".local/state")
  return state and state .. "/banger/history"
end

local function width()
  return core.host.columns(terminal.fd) or 80
end

local function has_colour()
  local no_colour, kind = os.getenv "NO_COLOR", os.getenv "TERM"
  return (not no_colour or no_colour == "") and kind ~= nil and kind ~= "" and kind ~= "dumb"
end

---Write to the person at the terminal.
---@param ... string
---@example
---```lua
---repl.write("breakpoint\n")
---```
function M.write(...)
  terminal.out:write(...)
  terminal.out:flush()
end

---Write something that is said, not asked for, in its colour.
---@param words string # lines
---@param style? "error"|"dim"|"strong"
---@example
---```lua
---repl.say("no such variable\n", "error")
---```
function M.say(words, style)
  local code = has_colour() and ({ error = "31", dim = "2", strong = "1" })[style]
  if words ~= "" then
    M.write(code and ("\27[%sm"):format(code) or "", words, code and "\27[0m" or "")
  end
end

---Print a value as results are.
---@param value any
---@param brief? boolean # default false
---@return string
---@example
---```lua
---repl.write(repl.format(image), "\n")
---```
function M.format(value, brief)
  local options = { width = width(), colour = has_colour() }
  if brief then
    options.depth, options.items, options.bytes = 2, 10, 200
  end
  return format.value(value, options)
end

-- A history that cannot be had is no reason not to start.
local function open_editor(fd)
  local options = { terminal = os.getenv "TERM", fd = fd, history = history_path() }
  options.complete = function(before)
    local session = terminal.session
    return complete.complete((session.typed or "") .. before, session.scope, width())
  end
  local editor = require "banger.editor"
  local ok, opened = pcall(editor.open, options)
  if ok then
    return opened
  end
  io.stderr:write("banger-lua: ", tostring(opened), "\n")
  options.history = nil
  return editor.open(options)
end

---Whether a person can be talked to: on stdin, and on stdout or stderr.
---@return boolean
---@example
---```lua
---if not repl.has_terminal() then error "no terminal" end
---```
function M.has_terminal()
  return core.host.isatty(0) and (core.host.isatty(1) or core.host.isatty(2))
end

local function open_terminal()
  if terminal then
    return false
  end
  local fd = core.host.isatty(1) and 1 or 2
  terminal = { fd = fd, out = fd == 1 and io.stdout or io.stderr }
  terminal.editor = open_editor(fd)
  return true
end

-- ---- errors -------------------------------------------------------------------------

local function is_interrupted(problem)
  return core.is_error(problem) and problem.code == "interrupted" and (problem.signal or SIGINT) == SIGINT
end

-- Signals to leave, and what a session is left with, are no errors to show.
local function must_pass(problem)
  return core.is_error(problem) and problem.code == "interrupted" and not is_interrupted(problem)
    or type(problem) == "table" and rawget(problem, "leave_session") ~= nil
end

---What an error says, escaped.
---@param problem any
---@return string
---@example
---```lua
---repl.message(setmetatable({}, { __tostring = function() return "mine" end }))  --> "mine"
---```
function M.message(problem)
  local meta = debug.getmetatable(problem)
  if type(problem) ~= "string" and type(problem) ~= "number" and not (type(meta) == "table" and rawget(meta, "__tostring")) then
    return ("(error object is a %s value)"):format(type(problem))
  end
  local ok, said = pcall(tostring, problem)
  return ok and text.escape(said, "\n\t") or "(error object that cannot be printed)"
end

local function show_error(problem, trace)
  if is_interrupted(problem) then
    return M.say("\ninterrupted\n", "error") -- the terminal has shown ^C
  end
  M.say(M.message(problem) .. "\n", "error")
  if type(problem) == "table" and not core.is_error(problem) then
    M.write(M.format(problem, true), "\n")
  end
  if trace and trace ~= "" then
    M.say("stack traceback:\n" .. trace, "dim")
  end
end

-- ---- reading -------------------------------------------------------------------------

local function remember(entry)
  local ok, problem = pcall(terminal.editor.remember, terminal.editor, entry)
  if not ok and not terminal.history_failed then
    terminal.history_failed = true
    M.say(("the history is not kept: %s\n"):format(M.message(problem)), "dim")
  end
end

local function compile(code, env)
  return load(code, "=stdin", "t", env)
end

-- A string in quotes goes on in the next line only behind a backslash.
local function is_incomplete(code, message)
  if message:sub(-5) ~= "<eof>" then
    return false
  end
  return not message:find ": unfinished string near <eof>$" or code:find "\\z?%s*$" ~= nil
end

-- A line that ends in a semicolon prints nothing.
local function strip_semicolon(code)
  local last = code:find "[^;%s][;%s]*$" or #code
  local stripped = code:sub(1, last)
  if code:find(";", last + 1, true) and complete.state(stripped) == "code" then
    return stripped, true
  end
  return code, false
end

-- The chunk (nil when it does not compile), what is wrong with it, and whether it is quiet.
local function compile_typed(code, env)
  local expression, quiet = strip_semicolon(code)
  expression = expression:gsub("^%s*=", "") -- as Lua 5.2 had it
  local chunk, unfinished = compile("return " .. expression, env)
  if chunk and expression:find "%S" then
    return chunk, nil, quiet
  end
  local statements, message = compile(code, env)
  if not statements and not is_incomplete(code, message) and unfinished and is_incomplete(code, unfinished) then
    message = unfinished
  end
  return statements, message, quiet
end

local function is_command(code)
  return code:find "^%s*:%s*%a" ~= nil
end

-- A chunk of as many lines as it takes: its text, the function (or nil), what is wrong with it, and whether it is quiet.
local function read_chunk(session)
  local code
  while true do
    terminal.session, session.typed = session, code and code .. "\n"
    local line, why = terminal.editor:read(session.prompt(code == nil))
    if not line and why == "dropped" then
      return ""
    elseif not line and not code then
      return nil
    elseif not line then -- the message says what is missing
      remember(code)
      return code, compile_typed(code, session.env)
    end
    code = code and code .. "\n" .. line or line
    if is_command(code) then
      remember(code)
      return code
    end
    local chunk, message, quiet = compile_typed(code, session.env)
    if chunk or not is_incomplete(code, message) then
      if code:find "%S" then
        remember(code)
      end
      return code, chunk, message, quiet
    end
  end
end

-- ---- running --------------------------------------------------------------------------

local function print_results(session, results, quiet)
  if results.n == 0 then
    return
  end
  session.keep(results[1])
  if not quiet then
    M.write(format.values(results, { width = width(), colour = has_colour() }), "\n")
  end
end

local function run_chunk(session, chunk, quiet)
  local trace
  local depth = frames.depth() + 1 -- and xpcall
  local arguments = session.arguments and session.arguments() or { n = 0 }
  local results = table.pack(xpcall(chunk, function(problem)
    if not must_pass(problem) then
      trace = frames.traceback(2, depth)
    end
    return problem
  end, table.unpack(arguments, 1, arguments.n)))
  if not results[1] then
    if must_pass(results[2]) then
      error(results[2], 0)
    end
    return show_error(results[2], trace)
  end
  print_results(session, table.pack(table.unpack(results, 2, results.n)), quiet)
end

local function run_command(session, code)
  local name, rest = code:match "^%s*:%s*([%w_]*)%s*(.-)%s*$"
  local command = session.commands[name]
  if command then
    return command(rest)
  end
  local names = {}
  for _, known in ipairs(sorted(session.commands)) do
    names[#names + 1] = #known > 1 and ":" .. known or nil
  end
  M.say(("no command is named ':%s'; there are %s\n"):format(text.escape(name), table.concat(names, " ")), "error")
end

-- The names that a chunk declares and nothing else: they are gone when it ends.
local function declared_locals(code)
  local names, rest = code:match "^%s*local%s+([%a_][%w_%s,<>]*)=(.*)$"
  if not names then
    names, rest = code:match "^%s*local%s+function%s+([%a_][%w_]*)(.*)$"
    rest = rest and "function" .. rest
  end
  if names and compile("return " .. rest, {}) then
    return (names:gsub("%s*<[^>]*>", ""):gsub("%s+$", ""))
  end
end

local function hint_at_locals(code)
  local names = declared_locals(code)
  if names then
    M.say(("%s %s gone: a local lasts as long as its chunk; without 'local' it stays\n"):format(names,
      names:find(",", 1, true) and "are" or "is"), "dim")
  end
end

-- True and a value when the session is over.
local function step(session)
  local code, chunk, message, quiet = read_chunk(session)
  if not code then
    return true
  elseif is_command(code) then
    local result = run_command(session, code)
    return result ~= nil, result
  elseif chunk then
    run_chunk(session, chunk, quiet)
    hint_at_locals(code)
  elseif code:find "%S" then
    M.say(text.escape(message, "\n\t") .. "\n", "error")
  end
  return false
end

---Talk until the person leaves. Errors are shown; signals to leave are raised.
---@param session banger.session
---@return any # what a command ended it with; nil after Ctrl-D
---@example
---```lua
---local result = repl.talk(session)
---```
function M.talk(session)
  local outer = terminal.session
  while true do
    local ok, over, result = pcall(step, session)
    if not ok and must_pass(over) then
      terminal.session = outer
      error(over, 0)
    elseif not ok then
      pcall(show_error, over)
    elseif over then
      terminal.session = outer
      return result
    end
  end
end

-- ---- the session at top level ------------------------------------------------------------

---`help` as it is at the prompt.
M.help = setmetatable({}, {
  __tostring = function()
    return "help() lists what there is; help(banger.mkext4) says all about one"
  end,
  __call = function(_, ...)
    M.write(help.describe(width(), math.min(1, select("#", ...)), (...)))
  end,
})

local function sorted_names(of)
  local names = {}
  for name in next, of do
    if type(name) == "string" then
      names[#names + 1] = name
    end
  end
  return names
end

local function prompt_of(first)
  local given = rawget(_G, first and "_PROMPT" or "_PROMPT2")
  local ok, said = pcall(tostring, given)
  return given ~= nil and ok and said or first and "> " or ">> "
end

-- The user's own file; what is wrong with it is said, no more.
local function run_rc(env)
  local home = not ignore_environment() and recipe.config_home()
  local path = home and home .. "/banger/rc.lua"
  if not path or not core.host.stat(path) then
    return
  end
  local chunk, message = loadfile(path, "t", env)
  if not chunk then
    return M.say(text.escape(message) .. "\n", "error")
  end
  local depth = frames.depth() + 1
  local ok, problem = xpcall(chunk, function(problem)
    return { problem = problem, trace = frames.traceback(2, depth) }
  end)
  if not ok then
    show_error(problem.problem, problem.trace)
  end
end

---What rc.lua defined in a debugger: the program's own globals stay as they are.
---@type table<string, any>
M.names = {}

---Get a terminal ready: the editor, and the user's rc.lua when it is the first time.
---@param welcome? string # to say first
---@param apart? boolean # what rc.lua defines goes to `names`, not to the globals
---@example
---```lua
---repl.open()
---```
function M.open(welcome, apart)
  if not open_terminal() then
    return
  end
  M.say(welcome or "", "dim")
  if apart then
    M.names.banger, M.names.help = require "banger", M.help
    setmetatable(M.names, { __index = _G })
  end
  run_rc(apart and M.names or _G)
end

---Give a session that is left from inside its value.
---@param value any
---@example
---```lua
---repl.leave "quit"
---```
function M.leave(value)
  error({ leave_session = value }, 0)
end

local function talk_at_top()
  local session = {
    env = _G,
    prompt = prompt_of,
    scope = {
      get = function(name)
        return rawget(_G, name)
      end,
      names = function()
        return sorted_names(_G)
      end,
    },
    keep = function(value)
      rawset(_G, "_", value)
    end,
    commands = {
      help = function()
        M.help()
      end,
      quit = function()
        return "quit"
      end,
    },
  }
  session.commands.q = session.commands.quit
  repeat
    -- A debugger that is left by :quit comes back here.
    local ok, result = pcall(M.talk, session)
    if not ok and not (type(result) == "table" and rawget(result, "leave_session")) then
      error(result, 0)
    end
  until ok
end

---The prompt, until the person leaves.
---@example
---```lua
---require("banger.repl").run()
---```
function M.run()
  for name, value in pairs { banger = require "banger", help = M.help } do
    rawset(_G, name, rawget(_G, name) or value)
  end
  for name, value in next, M.names do -- a debugger was here before
    rawset(_G, name, rawget(_G, name) or value)
  end
  M.open(("banger-lua %s, %s: help() tells what there is, Ctrl-D leaves\n"):format(core.version, _VERSION))
  M.at_top = true
  talk_at_top()
end

return M
