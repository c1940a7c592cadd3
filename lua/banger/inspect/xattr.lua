---Extended attributes as people read them: capabilities, ACLs, everything else as text or
---hexadecimal. Pure.
local text = require "banger.inspect.text"

local M = {}

-- linux/capability.h, from bit 0 on.
local CAPABILITIES = {
  "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
  "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot",
  "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease",
  "audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
  "perfmon", "bpf", "checkpoint_restore",
}

local function capability_name(bit)
  return CAPABILITIES[bit + 1] and "cap_" .. CAPABILITIES[bit + 1] or ("cap_%d"):format(bit)
end

-- vfs_cap_data: revision and the effective flag, then permitted and inheritable, 32 bits at
-- a time; revision 3 has the user namespace's root.
local REVISIONS = { [0x01000000] = 12, [0x02000000] = 20, [0x03000000] = 24 }

local function parse_capability(value)
  local magic = #value >= 4 and ("<I4"):unpack(value)
  if not magic or REVISIONS[magic & 0xFF000000] ~= #value then
    return nil
  end
  local permitted, inheritable = ("<I4I4"):unpack(value, 5)
  local root
  if #value >= 20 then
    local permitted_high, inheritable_high = ("<I4I4"):unpack(value, 13)
    permitted, inheritable = permitted | permitted_high << 32, inheritable | inheritable_high << 32
  end
  if #value == 24 then
    root = ("<I4"):unpack(value, 21)
  end
  return { permitted = permitted, inheritable = inheritable, effective = magic & 1 ~= 0, root = root }
end

---security.capability as `getcap` writes it.
---@param value string
---@return string? # such as "cap_net_bind_service=ep"; nil for what is none
---@example
---```lua
---xattr.capability(st.xattrs["security.capability"])
---```
function M.capability(value)
  local data = parse_capability(value)
  if not data then
    return nil
  end
  local by_flags, order = {}, {}
  for bit = 0, 63 do
    local p, i = data.permitted >> bit & 1 ~= 0, data.inheritable >> bit & 1 ~= 0
    if p or i then
      local flags = (data.effective and "e" or "") .. (i and "i" or "") .. (p and "p" or "")
      if not by_flags[flags] then
        by_flags[flags] = {}
        order[#order + 1] = flags
      end
      table.insert(by_flags[flags], capability_name(bit))
    end
  end
  local clauses = {}
  for i, flags in ipairs(order) do
    clauses[i] = table.concat(by_flags[flags], ",") .. "=" .. flags
  end
  if #clauses == 0 then
    clauses[1] = "="
  end
  return table.concat(clauses, " ") .. (data.root and data.root ~= 0 and (" [rootid=%d]"):format(data.root) or "")
end

local ACL_TAGS = {
  [0x01] = "user", [0x02] = "user", [0x04] = "group", [0x08] = "group", [0x10] = "mask", [0x20] = "other",
}
local ACL_NAMED = { [0x02] = "users", [0x08] = "groups" }

---A POSIX ACL as `getfacl -c` writes it.
---@param value string # as getxattr(2) has it
---@param owners? banger.inspect.owners
---@return string[]? # nil for what is none
---@example
---```lua
---xattr.acl(st.xattrs["system.posix_acl_access"])  --> { "user::rw-", "user:1000:r--", ... }
---```
function M.acl(value, owners)
  if #value < 4 or (#value - 4) % 8 ~= 0 or ("<I4"):unpack(value) ~= 2 then
    return nil
  end
  local list = {}
  for at = 5, #value, 8 do
    local tag, bits, id = ("<I2I2I4"):unpack(value, at)
    if not ACL_TAGS[tag] then
      return nil
    end
    local names = ACL_NAMED[tag]
    local who = names and (owners and owners[names][id] or tostring(id)) or ""
    list[#list + 1] = ("%s:%s:%s%s%s"):format(ACL_TAGS[tag], who, bits & 4 ~= 0 and "r" or "-", bits & 2 ~= 0 and "w" or "-",
      bits & 1 ~= 0 and "x" or "-")
  end
  return list
end

local function hex(value)
  return "0x" .. value:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
end

---An attribute's value in one line.
---@param name string
---@param value string
---@param owners? banger.inspect.owners
---@return string
---@example
---```lua
---xattr.describe("user.note", "hello")  --> '"hello"'
---```
function M.describe(name, value, owners)
  if name == "security.capability" then
    return M.capability(value) or hex(value)
  elseif name == "system.posix_acl_access" or name == "system.posix_acl_default" then
    local acl = M.acl(value, owners)
    return acl and text.escape(table.concat(acl, ",")) or hex(value)
  end
  local plain = value:gsub("\0$", "")
  if plain:find "[\0-\8\14-\31\127]" or not utf8.len(plain) then
    return hex(value)
  end
  return '"' .. text.escape(plain):gsub('"', '\\"') .. '"'
end

---An attribute's value for JSON.
---@param name string
---@param value string
---@param owners? banger.inspect.owners
---@return { text: string, hex: string }
---@example
---```lua
---xattr.object("user.note", "hi")  --> { text = '"hi"', hex = "6869" }
---```
function M.object(name, value, owners)
  return { text = M.describe(name, value, owners), hex = hex(value):sub(3) }
end

---All attributes of a file, sorted by name, for JSON.
---@param st banger.stat
---@param owners? banger.inspect.owners
---@return { name: string, text: string, hex: string }[]
---@example
---```lua
---json.encode(xattr.list(st))
---```
function M.list(st, owners)
  local list = {}
  for name, value in pairs(st.xattrs) do
    local item = M.object(name, value, owners)
    text.put(item, "name", name)
    list[#list + 1] = item
  end
  table.sort(list, function(a, b)
    return (a.name_escaped or a.name) < (b.name_escaped or b.name)
  end)
  return list
end

return M
