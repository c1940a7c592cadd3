--- What a test needs of the machine. Each returns nil when it is there, else
--- the reason, which skips the test and is counted:
---   local reason = need.root() if reason then return pending(reason) end
local sh = require "support.sh"

local M = {}

function M.program(...)
  for _, name in ipairs { ... } do
    if not sh.has(name) then return name .. " is not installed" end
  end
end

function M.root()
  if not sh.is_root() then return "needs root" end
end

--- A mount namespace of one's own; in a plain chroot even root cannot have one.
function M.namespace()
  local _, code = sh.run "unshare -m true 2>/dev/null"
  if code ~= 0 then return "needs root and a mount namespace" end
end

function M.mount()
  if not sh.can_mount() then return "mounting needs root and a loop device" end
end

local CAPABILITIES = { CAP_SYS_RESOURCE = 24 }

--- A capability that even root may lack in a container.
function M.capability(name)
  local effective = tonumber(sh.read_file "/proc/self/status":match "CapEff:%s*(%x+)", 16)
  if effective >> CAPABILITIES[name] & 1 == 0 then return "needs " .. name end
end

--- The sanitized run of CI leaves out what looks at the guest's own program, which is built
--- without sanitizers and has had its tests in the plain run. What `run` and `exec` do on this
--- side, spec/machine_run_spec and spec/agent_spec try there.
function M.time()
  if os.getenv "QUICK" then return "QUICK is set" end
end

--- The first reason of several, or nil.
function M.all(...)
  for i = 1, select("#", ...) do
    local reason = select(i, ...)
    if reason then return reason end
  end
end

return M
