---What recipes need to be commands: arguments in, results out.
local core = require "banger.core"
local size = require "banger.size"

-- What mkext4 makes at most; just over, so that the core has the last word.
local MAX_BYTES = 2 * 1024 ^ 4

local M = {}

---Parse a recipe's arguments. `--help` prints the help and exits 0.
---@param parser table # of argparse
---@param args string[]
---@return table<string, any>
---@example
---```lua
---local options = cli.parse(argparse "banger-lua pull", { ... })
---```
---Raises `usage` with one line that says what is wrong.
function M.parse(parser, args)
  -- Not pparse: it makes a string of every error that passes, of a signal too.
  function parser.error(_, message)
    core.error("usage", ("%s (see --help)"):format(message:gsub("%s*\n%s*", "; ")))
  end
  return parser:parse(args)
end

---A converter for argparse: a size such as 4G to bytes.
---@param option string # its name, for messages
---@param words? table<string, true> # taken as they are, such as { min = true }; then 0 is no size either
---@return fun(text: string): integer|string|nil, string?
function M.size(option, words)
  return function(text)
    if words and words[text] then
      return text
    end
    local bytes, message = size.parse(text)
    if bytes and bytes > MAX_BYTES then
      bytes, message = nil, ("'%s' is more than the 2 TiB an image can have"):format(text)
    elseif words and bytes == 0 then
      bytes, message = nil, ("'%s' is no size: more than 0 expected"):format(text)
    end
    return bytes, message and ("%s: %s"):format(option, message)
  end
end

---A converter for argparse: a text that may not be longer than some bytes.
---@param option string # its name, for messages
---@param limit integer # bytes
---@return fun(text: string): string?, string?
function M.text(option, limit)
  return function(text)
    if #text > limit then
      return nil, ("%s: '%s' has %d bytes; at most %d fit"):format(option, text, #text, limit)
    end
    return text
  end
end

---Pass a value on; nil and a message are a usage error.
---@generic T
---@param value T?
---@param message? string
---@return T
---Raises `usage`.
function M.check(value, message)
  if value == nil then
    core.error("usage", message)
  end
  return value
end

---Write results to stdout, and make sure that they arrived.
---@param ... string
---Raises `io`.
function M.write(...)
  local ok, message = io.stdout:write(...)
  if ok then
    ok, message = io.stdout:flush()
  end
  if not ok then
    core.error("io", "write to stdout: " .. message)
  end
end

---Say something to people, on stderr.
---@param format string
---@param ... any
function M.note(format, ...)
  io.stderr:write("banger-lua: ", format:format(...), "\n")
end

return M
