---What a recipe has in the place of stdout, which is for what the command makes: a program
---may be reading that. Text goes on line by line, to where `note` says it.
local M = {}

---@class banger.recipe_stdout
---@field package note fun(line: string)
---@field package begun string # of a line that has not ended
local Stdout = { __name = "FILE*" }
Stdout.__index = Stdout

---@param note fun(line: string)
---@return banger.recipe_stdout
function M.new(note)
  return setmetatable({ note = note, begun = "" }, Stdout)
end

---Write texts and numbers, as a file does.
---@param ... string|number
---@return banger.recipe_stdout
function Stdout:write(...)
  local words = table.pack(...)
  for i = 1, words.n do
    local kind = type(words[i])
    if kind ~= "string" and kind ~= "number" then
      error(("bad argument #%d to 'write' (string expected, got %s)"):format(i, kind == "nil" and "no value" or kind), 2)
    end
  end
  local text = self.begun .. table.concat(words, "", 1, words.n)
  local at = 1
  for line, after in text:gmatch "([^\n]*)\n()" do
    self.note(line)
    at = after
  end
  self.begun = text:sub(at)
  return self
end

---Say a line that has not ended, when nothing more is to come.
function Stdout:finish()
  local line = self.begun
  self.begun = ""
  if line ~= "" then
    self.note(line)
  end
end

---Lines go on as they end.
---@return banger.recipe_stdout
function Stdout:flush()
  return self
end

---@return boolean
function Stdout:setvbuf() -- luacheck: ignore self
  return true
end

---@return nil, string
function Stdout:close() -- luacheck: ignore self
  return nil, "stdout stays open"
end

---@return nil, string
function Stdout:read() -- luacheck: ignore self
  return nil, "nothing can be read from stdout"
end
Stdout.seek = Stdout.read

---Lua's `io`, with this for its stdout. What is made its output is the recipe's alone.
---@param stdout banger.recipe_stdout
---@return table
function M.io(stdout)
  local output = stdout
  local own = { stdout = stdout }
  function own.output(file)
    if type(file) == "string" then
      local opened, message = io.open(file, "w")
      output = opened or error(message, 0)
    elseif file ~= nil then
      output = file
    end
    return output
  end
  function own.write(...)
    return output:write(...)
  end
  function own.close(file)
    return (file or output):close()
  end
  function own.type(value)
    return getmetatable(value) == Stdout and "file" or io.type(value)
  end
  return setmetatable(own, { __index = io })
end

return M
