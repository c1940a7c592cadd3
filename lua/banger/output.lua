---Files that are written on this machine.
local core = require "banger.core"

local M = {}

local FULL = { [28] = true, [122] = true } -- ENOSPC, EDQUOT

---Raise what a function of io gave.
---@param what string # was being written
---@param message string
---@param number integer # errno
---@example
---```lua
---local file, message, number = io.open(path, "wb")
---if not file then output.fail(path, message, number) end
---```
---Raises `no_space`, `io`.
function M.fail(what, message, number)
  core.error(FULL[number] and "no_space" or "io", ("write %s: %s"):format(what, (message:gsub("^.*: ", ""))))
end

---Pass on what a function of io gave, unless it is an error.
---@generic T
---@param what string # is being written
---@param result T?
---@param message? string
---@param number? integer
---@return T
---@example
---```lua
---local file <close> = output.check(path, io.open(path, "wb"))
---output.check(path, file:write "text")
---output.check(path, file:close())
---```
---Raises `no_space`, `io`.
function M.check(what, result, message, number)
  if not result then
    M.fail(what, message, number)
  end
  return result
end

---Write a whole file, or nothing: it gets its name when it is complete, and a link is followed. What is
---there and no file, such as a pipe, is written as it goes.
---@param path string
---@param content string
---@example
---```lua
---output.write("report.html", page)
---```
---Raises `usage` (a directory), `no_space`, `io`.
function M.write(path, content)
  local found = core.host.stat(path)
  if not found or found.type == "file" or found.type == "dir" then
    return core.host.publish(path, content)
  end
  local file <close> = M.check(path, io.open(path, "wb"))
  M.check(path, file:write(content))
  M.check(path, file:close())
end

return M
