---Who can log in on the console.

local M = {}

-- A field of /etc/shadow or /etc/passwd that some password fits: empty, or a hash.
local function opens(field)
  return field == "" or #field >= 13 and field:find "^[^!*]" ~= nil
end

---Whether an account can log in with a password, or without one.
---@param passwd string # the text of /etc/passwd
---@param shadow string # the text of /etc/shadow
---@return boolean
function M.is_possible(passwd, shadow)
  for _, text in ipairs { shadow, passwd } do
    for field in ("\n" .. text):gmatch "\n[^:\n]+:([^:\n]*):" do
      if opens(field) then
        return true
      end
    end
  end
  return false
end

---Say so when a login prompt would let nobody in.
---@param plan banger.plan
function M.warn(plan)
  if not M.is_possible(plan:text "/etc/passwd" or "", plan:text "/etc/shadow" or "") then
    plan:warn("nobody can log in on the console: no account in /etc/shadow has a password (autologin lets root in without one)")
  end
end

---Let root log in on a terminal, where a list of such terminals is kept.
---@param plan banger.plan
---@param ttys string[]
function M.add_securetty(plan, ttys)
  local path <const> = "/etc/securetty"
  local found, text = plan:at(path), plan:text(path)
  if not text or not plan:begin "securetty" then
    return
  end
  local lines = ""
  for _, tty in ipairs(ttys) do
    if not ("\n" .. text .. "\n"):find("\n" .. tty .. "\n", 1, true) then
      lines = lines .. tty .. "\n"
    end
  end
  if lines ~= "" then
    plan:add({
      path = plan.rootfs:resolve(path) or path, type = "file", mode = found.mode, uid = found.uid, gid = found.gid,
      content = text .. ((text == "" or text:find "\n$") and "" or "\n") .. lines,
    }, "does not name the serial console")
  end
end

return M
