---How a machine ended, by the end of what its console showed. Pure.
local M = {}

---@class banger.ending
---@field code? integer # the guest's exit code, by banger-init's last line
---@field signal? integer # what killed the guest's program; 0: nothing did
---@field oom? boolean # the kernel killed it for want of memory
---@field cut_off? boolean # somebody at the terminal had QEMU end: its own last words
---@field panic? string # why the kernel gave up, where that came after

local LINE = "banger%-init: exit=(%d+) signal=(%d+) oom=([01])%s"
local CUT_OFF = "QEMU: Terminated[\r\n]*$"
local PANIC = "Kernel panic %- not syncing: ([^\r\n]*)"

-- What the last match captures, and where it ends.
local function last(text, pattern)
  local found, at = nil, 1
  while true do
    local captures = table.pack(text:find(pattern, at))
    if not captures[1] then
      return found, at
    end
    found, at = captures, captures[2]
  end
end

---@param tail string # the end of the console's bytes
---@return banger.ending
---@example
---```lua
---console.ending("banger-init: exit=3 signal=0 oom=0\r\n").code --> 3
---```
function M.ending(tail)
  local line, at = last(tail .. "\n", LINE)
  local panic = last(tail:sub(at), PANIC)
  local ending = { panic = panic and (panic[3]:gsub("[%c\127-\255]", "?")) }
  ending.cut_off = tail:find(CUT_OFF) and true or nil
  if line and #line[3] < 4 then
    ending.code, ending.signal, ending.oom = tonumber(line[3]) & 0xff, tonumber(line[4]), line[5] == "1"
  end
  return ending
end

return M
