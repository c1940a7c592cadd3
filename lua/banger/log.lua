---What is said on stderr, and how much of it: errors alone, warnings too, what is being done
--- (`info`, the default), or every request as well (`debug`). `--log-level` and `BANGER_LOG` say.
local core = require "banger.core"
local escape = require("banger.text").escape

local M = {}

---@alias banger.log_level "error"|"warn"|"info"|"debug"

---The levels, from the quietest on.
---@type banger.log_level[]
M.LEVELS = { "error", "warn", "info", "debug" }

local RANK = {}
for rank, name in ipairs(M.LEVELS) do
  RANK[name] = rank
end

local current

local function from_environment()
  local told = os.getenv "BANGER_LOG"
  if not told or told == "" then
    return "info"
  elseif not RANK[told] then
    core.error("usage", ("BANGER_LOG: '%s' is no level; there are %s"):format(told, table.concat(M.LEVELS, ", ")))
  end
  return told
end

---Say how much is to be said from now on.
---@param level? banger.log_level # nil: what BANGER_LOG says, else info
---@example
---```lua
---log.set "debug"
---```
---Raises `usage` when BANGER_LOG is none of them.
function M.set(level)
  assert(not level or RANK[level], "no such level")
  current = level or from_environment()
end

---Whether what is said at a level is shown.
---@param level banger.log_level
---@return boolean
---@example
---```lua
---if log.shows "debug" then log.say("debug", "%d entries", count()) end
---```
---Raises `usage` when BANGER_LOG is none of them.
function M.shows(level)
  if not current then
    M.set()
  end
  return RANK[level] <= RANK[current]
end

---Say a line, if it is to be shown.
---@param level banger.log_level
---@param format string # of string.format
---@param ... any
---@example
---```lua
---log.say("info", "boots %s", path) --> banger-lua: boots out.ext4
---```
---Raises `usage` when BANGER_LOG is no level.
function M.say(level, format, ...)
  if M.shows(level) then
    io.stderr:write("banger-lua: ", level == "debug" and "debug: " or "", escape(format:format(...)), "\n")
  end
end

-- Parameters that say what is asked for. Every other one may be a secret: those of signed
-- URLs have many names.
local HARMLESS = { service = true, scope = true, n = true, last = true, ns = true }

local function hide_value(name, value)
  return name .. "=" .. (HARMLESS[name] and value or "...")
end

---A URL without what may be a secret: a user and password, and values of its query.
---@param url string
---@return string
---@example
---```lua
---log.url "https://me:pw@host/v2/?scope=pull&token=x" --> "https://host/v2/?scope=pull&token=..."
---```
function M.url(url)
  url = url:gsub("#.*$", "")
  local place, query = url:match "^([^?]*)%??(.*)$"
  place = place:gsub("^(%a[%w+.-]*://)[^/]*@", "%1")
  if query == "" then
    return place
  end
  local shown = {}
  for part in query:gmatch "[^&]+" do
    local name, value = part:match "^([^=]*)=(.*)$"
    shown[#shown + 1] = name and hide_value(name, value) or "..."
  end
  return place .. "?" .. table.concat(shown, "&")
end

---A text whose URLs are without what may be a secret.
---@param text string
---@return string
---@example
---```lua
---log.redact "GET https://me:pw@host/x?token=y failed" --> "GET https://host/x?token=... failed"
---```
function M.redact(text)
  return (text:gsub("%a[%w+.-]*://[^%s'\"]+", M.url))
end

return M
