---The functions that are running, as tracebacks show them, and their variables.
local text = require "banger.text"

local M = {}

local function name_in_modules(func)
  for _, module in ipairs { "_G", "string", "table", "io", "os", "coroutine", "debug", "math", "utf8", "banger", "banger.core" } do
    for name, member in pairs(package.loaded[module] or {}) do
      if member == func and type(name) == "string" then
        return module == "_G" and name or module .. "." .. name
      end
    end
  end
end

---What runs, for people: "function 'build'".
---@param info table # of debug.getinfo, with "Snf"
---@return string
---@example
---```lua
---frames.name(debug.getinfo(1, "Snf"))
---```
function M.name(info)
  local known = info.func and name_in_modules(info.func)
  if known then
    return ("function '%s'"):format(known)
  elseif info.what == "main" then
    return "main chunk"
  elseif info.namewhat and info.namewhat ~= "" then
    return ("%s '%s'"):format(info.namewhat, text.escape(info.name))
  elseif info.what ~= "C" then
    return ("function <%s:%d>"):format(text.escape(info.short_src), info.linedefined)
  end
  return "?"
end

---Where it is: "recipe.lua:12", or "[C]".
---@param info table # of debug.getinfo, with "Sl"
---@return string
---@example
---```lua
---frames.place(debug.getinfo(1, "Sl"))
---```
function M.place(info)
  local source = text.escape(info.short_src)
  return info.currentline > 0 and ("%s:%d"):format(source, info.currentline) or source
end

---Whether a function is compiled into the binary, as opposed to a file that somebody wrote.
---@param info table # of debug.getinfo, with "S"
---@return boolean
---@example
---```lua
---frames.is_embedded(debug.getinfo(1, "S"))
---```
function M.is_embedded(info)
  return (debug.getregistry()["banger.embedded_chunks"] or {})[info.source] == true
end

---Whether a function is the prompt's own.
---@param info table # of debug.getinfo, with "S"
---@return boolean
---@example
---```lua
---frames.is_prompt(debug.getinfo(1, "S"))
---```
function M.is_prompt(info)
  return info.source:find "^@lua/banger/repl" ~= nil
end

-- ---- frames that stay put -------------------------------------------------------------
-- A level counts from what runs now; a frame here counts from the bottom, and so is the
-- same while more is called on top of it.

---@class banger.frame
---@field thread thread
---@field index integer # from the bottom, which is 1
---@field info table # of debug.getinfo, with "Slnftu"

-- The levels from the caller's (1) to the bottom. Found by doubling: each look takes as
-- long as it is deep.
local function count_levels(thread, above)
  local low, high = 0, 1
  while debug.getinfo(thread, high + above, "l") do
    low, high = high, high * 2
  end
  while high - low > 1 do
    local middle = (low + high) // 2
    if debug.getinfo(thread, middle + above, "l") then
      low = middle
    else
      high = middle
    end
  end
  return low
end

local SHOWN = 22

---How many functions are running, the caller included.
---@return integer
---@example
---```lua
---local depth = frames.depth()
---```
function M.depth()
  local depth = count_levels(coroutine.running(), 2)
  return depth
end

---A traceback of the running thread.
---@param level integer # where it begins: 1 is the caller
---@param below? integer # of the functions at the bottom this many are left out, default 0
---@return string # lines; none where there is nothing
---@example
---```lua
---xpcall(chunk, function() print(frames.traceback(2)) end)
---```
function M.traceback(level, below)
  local last = count_levels(coroutine.running(), 2) - (below or 0)
  local lines = {}
  for i = level, math.min(last, level + SHOWN - 1) do
    local info = debug.getinfo(i + 1, "Slnft")
    if not M.is_prompt(info) then -- such as what looks names up
      lines[#lines + 1] = ("\t%s: in %s\n"):format(M.place(info), M.name(info))
    end
    if info.istailcall then
      lines[#lines + 1] = "\t(...tail calls...)\n"
    end
  end
  if last - level + 1 > SHOWN then
    lines[#lines + 1] = ("\t... (%s more)\n"):format(text.number(last - level + 1 - SHOWN))
  end
  return table.concat(lines)
end

-- In another thread nothing of ours is on the stack, and its top is level 0.
local function level_of(frame)
  if frame.thread == coroutine.running() then
    -- 1 is this function's caller, as its caller's caller will see it: see `read`.
    return count_levels(frame.thread, 2) - frame.index + 1
  end
  return count_levels(frame.thread, 0) + 1 - frame.index
end

---The frames of the running thread.
---@param level integer # where they begin: 1 is the caller
---@return banger.frame[] # innermost first
---@example
---```lua
---for _, frame in ipairs(frames.capture(1)) do print(frame.info.short_src) end
---```
function M.capture(level)
  local thread = coroutine.running()
  local count = count_levels(thread, 2)
  local list = {}
  for i = level, math.min(count, level + 999) do
    list[#list + 1] = { thread = thread, index = count - i + 1, info = debug.getinfo(i + 1, "Slnftu") }
  end
  return list
end

-- Each of these is one call deep, with its level found by one more: no tail calls here.

local function local_at(frame, number)
  local level = level_of(frame)
  local name, value = debug.getlocal(frame.thread, level, number)
  return name, value
end

local function set_local_at(frame, number, value)
  local level = level_of(frame)
  local name = debug.setlocal(frame.thread, level, number, value)
  return name
end

---@class banger.variable
---@field name string
---@field value any
---@field set fun(value: any)
---@field kind "local"|"upvalue"

-- Lua does not tell which variables are <close>.
local function has_close(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__close") ~= nil
end

local function add_locals(frame, list)
  local number = 1
  while true do
    local name, value = local_at(frame, number)
    if not name then
      return
    end
    if not name:find "^%(" then
      local index = number
      list[#list + 1] = { name = name, value = value, kind = "local", set = function(new)
        if has_close(value) and not has_close(new) then
          error(("'%s' may be closed at the end of its block, and what has no __close cannot"):format(name), 0)
        end
        set_local_at(frame, index, new)
      end }
    end
    number = number + 1
  end
end

local function add_upvalues(func, list)
  local number = 1
  while true do
    local name, value = debug.getupvalue(func, number)
    if not name then
      return
    end
    if name ~= "" and not name:find "^%(" then
      local index = number
      list[#list + 1] = { name = name, value = value, kind = "upvalue", set = function(new)
        debug.setupvalue(func, index, new)
      end }
    end
    number = number + 1
  end
end

---The variables that code in a frame can name: its locals in order, then its upvalues.
---@param frame banger.frame
---@return banger.variable[]
---@example
---```lua
---for _, variable in ipairs(frames.variables(frame)) do print(variable.name) end
---```
function M.variables(frame)
  local list = {}
  add_locals(frame, list)
  add_upvalues(frame.info.func, list)
  return list
end

---What a name stands for in a frame: of locals of one name the last one that counts.
---@param frame banger.frame
---@param name string
---@return banger.variable?
---@example
---```lua
---local found = frames.find(frame, "count")
---```
function M.find(frame, name)
  local found
  for _, variable in ipairs(M.variables(frame)) do
    if variable.name == name and (variable.kind == "local" or not found) then
      found = variable
    end
  end
  return found
end

---The arguments beyond those that have names.
---@param frame banger.frame
---@return table # with n
---@example
---```lua
---local more = frames.varargs(frame)
---```
function M.varargs(frame)
  local list = { n = 0 }
  while frame.info.isvararg do
    local name, value = local_at(frame, -list.n - 1)
    if not name then
      break
    end
    list.n = list.n + 1
    list[list.n] = value
  end
  return list
end

return M
