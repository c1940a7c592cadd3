---The names that udev gives.

local M = {}

local UDEVD = { "/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd" }
local OLD_RULES <const> = "80-net-name-slot.rules"
local RULES = { "/usr/lib/udev/rules.d/", "/lib/udev/rules.d/" }

---Whether systemd's udev is installed, whichever init starts it.
---@param plan banger.plan
---@return boolean
function M.is_there(plan)
  return plan:find_program(UDEVD) ~= nil
end

---Without a policy for names the kernel's eth0 stays, which its command line names.
---@param plan banger.plan
function M.keep_names(plan)
  local why <const> = "keeps the name eth0"
  if M.is_there(plan) then
    return plan:absent_link("/etc/systemd/network/99-default.link", "/dev/null", why)
  end
  for _, dir in ipairs(RULES) do -- eudev, and udev before systemd 209
    if plan:is_file(dir .. OLD_RULES) then
      return plan:absent_link("/etc/udev/rules.d/" .. OLD_RULES, "/dev/null", why)
    end
  end
end

return M
