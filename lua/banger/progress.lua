---Shows how far the layers are, on stderr.
local digest = require "banger.digest"
local host = require("banger.core").host
local log = require "banger.log"
local size = require "banger.size"

local M = {}

local STDERR = 2
local FALLBACK_WIDTH = 80

---@class banger.progress
local Progress = {}
Progress.__index = Progress

---@param mode "auto"|"tty"|"plain"|"none"
---@return "tty"|"plain"|"none"
local function decide(mode)
  if mode ~= "auto" then
    return mode
  elseif not log.shows "info" then
    return "none"
  end
  return host.isatty(STDERR) and os.getenv "TERM" ~= "dumb" and "tty" or "plain"
end

---@class banger.progress_options
---@field layers? integer # how many there are; `start` may say so too
---@field what? string # what they are called; default "layer"
---@field mode? "auto"|"tty"|"plain"|"none" # tty redraws a line per layer in place, plain prints one
---  per finished layer; auto, the default, is tty on a terminal and else plain
---@field out? file* # default stderr; this and what follows are for tests
---@field clock? fun(): number
---@field columns? fun(): integer?

---Start to show progress.
---@param options banger.progress_options
---@return banger.progress
function M.new(options)
  return setmetatable({
    mode = decide(options.mode or "auto"),
    count = options.layers,
    what = options.what or "layer",
    out = options.out or io.stderr,
    clock = options.clock or host.clock,
    columns = options.columns or function()
      return host.columns(STDERR)
    end,
  }, Progress)
end

local function format_time(seconds)
  seconds = math.ceil(seconds)
  if seconds >= 3600 then
    return ("%d:%02d:%02d"):format(seconds // 3600, seconds % 3600 // 60, seconds % 60)
  end
  return ("%d:%02d"):format(seconds // 60, seconds % 60)
end

local function describe(layer, done, seconds)
  local rate = seconds > 0 and done / seconds or 0
  local text = size.format(done)
  if layer.size then
    text = ("%s / %s"):format(text, size.format(layer.size))
  end
  if rate > 0 then
    text = ("%s  %s/s"):format(text, size.format(rate))
    if layer.size and layer.size > done then
      text = ("%s  %s left"):format(text, format_time((layer.size - done) / rate))
    end
  end
  return text
end

function Progress:label(layer)
  return ("%s %d/%d %s"):format(self.what, layer.number, self.count, digest.short(layer.digest))
end

-- The last column stays free: some terminals wrap when it is written.
function Progress:draw(text)
  local width = (self.columns() or FALLBACK_WIDTH) - 1
  self.out:write("\r\27[K", text:sub(1, width))
  self.out:flush()
end

-- An attempt that failed is progress.
function Progress:tell_attempts(lines)
  for line in (lines or ""):gmatch "[^\n]+" do
    self:say(("%s: %s"):format(self:label(self.layer), line))
  end
end

-- Requests go to the log.
function Progress:tell_requests(lines)
  if lines and self.mode == "tty" then
    self:draw ""
  end
  for line in (lines or ""):gmatch "[^\n]+" do
    log.say("debug", "%s", log.redact(line))
  end
end

---Begin a layer.
---@param number integer # from 1
---@param layer { digest: string, size?: integer } # size: compressed bytes
---@param count? integer # how many there are
---@return fun(p: { bytes: integer, size?: integer, note?: string, log?: string, requests?: string }) update # for `flatten_layer`'s `progress`
function Progress:start(number, layer, count)
  self.count = count or self.count
  self.layer = { number = number, digest = layer.digest, size = layer.size, begun = self.clock() }
  return function(p)
    self:tell_attempts(p.log)
    self:tell_requests(p.requests)
    if self.mode == "tty" then
      local seconds = self.clock() - self.layer.begun
      self:draw(("%s  %s"):format(self:label(self.layer), p.note or describe(self.layer, p.bytes, seconds)))
    end
  end
end

---Say something that stays, above what is being drawn.
---@param text string # one line
function Progress:say(text)
  if self.mode == "tty" then
    self:draw ""
  end
  if self.mode ~= "none" then
    self.out:write(text, "\n")
  end
end

---Say what is being waited for, such as a second attempt.
---@param text string # "": nothing any more
function Progress:note(text)
  if text ~= "" and self.mode == "none" then
    log.say("info", "%s", text) -- who waits wants to know why, also in a log of CI
  elseif text ~= "" then
    self:say(text)
  end
end

---The layer that was begun is done: its line stays.
function Progress:finish()
  local layer = self.layer
  local seconds = self.clock() - layer.begun
  local text = ("%s  %s in %.1f s"):format(self:label(layer), size.format(layer.size or 0), seconds)
  self.layer = nil
  if self.mode == "tty" then
    self:draw(text)
    self.out:write "\n"
  elseif self.mode == "plain" then
    self.out:write(text, "\n")
  end
end

---Leave the cursor on a line of its own, as an error message wants it.
function Progress:close()
  if self.layer and self.mode == "tty" then
    self.out:write "\n"
    self.layer = nil
  end
end
Progress.__close = Progress.close

return M
