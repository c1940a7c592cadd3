--- A program on a real pseudo-terminal, which tmux emulates: what a person types,
-- and what the screen shows.
local sh = require "support.sh"

local M = {}

local Terminal = {}
Terminal.__index = Terminal

-- Busy machines: nothing here depends on how long something takes, only on whether it comes.
local PATIENCE = tonumber(os.getenv "TERMINAL_PATIENCE" or "60")

function Terminal:tmux(...)
  return sh.check(("env -u TMUX tmux -S %s -f %s -u %s"):format(sh.quote(self.socket), sh.quote(self.config), sh.line(...)))
end

--- Starts a program.
---@param scratch table # of sh.scratch
---@param command string # for the shell
---@param options? { width?: integer, height?: integer, env?: table<string, string>, dir?: string }
function M.open(scratch, command, options)
  options = options or {}
  local self = setmetatable({ socket = scratch:fresh ".tmux", config = scratch:fresh ".conf" }, Terminal)
  sh.write_file(self.config, "set -g remain-on-exit on\nset -g default-terminal screen-256color\nset -s escape-time 0\n"
    .. "set -g history-limit 5000\nset -g status off\n")
  -- tmux may miss that a program ends: its status is told by a shell, which signals from the terminal do not end.
  local script, words = self.config .. ".sh", { "unset TMUX NO_COLOR;", "cd", sh.quote(options.dir or "."), "&&" }
  for name, value in pairs(options.env or {}) do words[#words + 1] = ("export %s=%s &&"):format(name, sh.quote(value)) end
  sh.write_file(script, ("echo $$ >%s.pid\n%s exec %s\n"):format(script, table.concat(words, " "), command))
  self.script = script
  self:tmux("new-session", "-d", "-x", tostring(options.width or 80), "-y", tostring(options.height or 40),
    ("trap : INT; sh %s; echo $? >%s.status"):format(sh.quote(script), sh.quote(script)))
  return self
end

--- Types text as it is.
function Terminal:type(text)
  self:tmux("send-keys", "-l", "--", (text:gsub(";$", "\\;"))) -- else tmux takes it as the end of its command
  return self
end

--- Presses keys by tmux's names: "Enter", "C-c", "Tab".
function Terminal:press(...)
  self:tmux("send-keys", ...)
  return self
end

--- Types a line and ends it.
function Terminal:enter(text)
  return self:type(text):press "Enter"
end

--- Pastes text, as a terminal does that was asked to mark what is pasted.
function Terminal:paste(text)
  local path = self.config .. ".paste"
  sh.write_file(path, text)
  self:tmux("load-buffer", path)
  self:tmux("paste-buffer", "-p")
  return self
end

--- What the screen shows, and what has scrolled off it, without blanks at ends of lines.
function Terminal:screen()
  local shown = self:tmux("capture-pane", "-p", "-J", "-S", "-")
  return (shown:gsub("[ \t]+\n", "\n"):gsub("\n+$", "\n"))
end

--- What the screen shows, without what has scrolled off it.
function Terminal:visible()
  return self:tmux("capture-pane", "-p", "-J")
end

--- All of it with colours.
function Terminal:colours()
  return self:tmux("capture-pane", "-p", "-e", "-S", "-")
end

--- Waits until the screen shows a text; the screen.
---@param text string # plain
---@param times? integer # it is to be seen, default 1
function Terminal:expect(text, times)
  local limit = os.time() + PATIENCE
  while true do
    local screen, at, count = self:screen(), 1, 0
    while true do
      local found, last = screen:find(text, at, true)
      if not found then break end
      count, at = count + 1, last + 1
    end
    if count >= (times or 1) then return screen end
    if os.time() > limit then
      error(("not on the screen (%d times): %s\n--- the screen:\n%s---"):format(times or 1, text, screen), 2)
    end
    sh.run "sleep 0.05"
  end
end

--- Waits until the program has ended; its exit status, as a shell has it.
function Terminal:status()
  local limit = os.time() + PATIENCE
  while true do
    local status = sh.exists(self.script .. ".status") and sh.read_file(self.script .. ".status"):match "^(%d+)\n"
    if status then return tonumber(status) end
    if os.time() > limit then error("still running; the screen:\n" .. self:screen(), 2) end
    sh.run "sleep 0.05"
  end
end

--- Sends the program a signal.
function Terminal:kill(signal)
  sh.check(("kill -%s $(cat %s.pid)"):format(signal, sh.quote(self.script)))
end

function Terminal:close()
  if self.socket then
    -- The leak checker of a sanitized program does not survive the terminal's end: it spins.
    if not sh.exists(self.script .. ".status") then
      sh.run(("kill -KILL $(cat %s.pid) 2>/dev/null"):format(sh.quote(self.script)))
    end
    sh.run(("tmux -S %s kill-server 2>/dev/null"):format(sh.quote(self.socket)))
    self.socket = nil
  end
end

Terminal.__gc = Terminal.close
Terminal.__close = Terminal.close

return M
