---The accounts of an image: /etc/passwd, /etc/group and /etc/shadow as texts. Pure.
---passwd(5), group(5), shadow(5).
local M = {}
M.__index = M

local FIRST, LAST = 1000, 59999 -- of login.defs: people, not services
local KEY_TYPES = { "^ssh%-", "^ecdsa%-", "^sk%-" }

---@class banger.account
---@field name string
---@field uid integer
---@field gid integer
---@field home string
---@field shell string

local function split_lines(text)
  local lines = {}
  for line in (text or ""):gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  return lines
end

local function fields_of(line)
  local fields = {}
  for field in (line .. ":"):gmatch "([^:]*):" do
    fields[#fields + 1] = field
  end
  return fields
end

local function find(lines, name)
  for i, line in ipairs(lines) do
    if line:sub(1, #name + 1) == name .. ":" then
      return i, fields_of(line)
    end
  end
end

local function id(text)
  local number = text and #text <= 10 and text:find "^%d+$" and math.tointeger(tonumber(text))
  return number and number <= 4294967295 and number or nil
end

---@param texts { passwd?: string, group?: string, shadow?: string } # of the image, nil where absent
---@return banger.accounts
function M.new(texts)
  ---@class banger.accounts
  return setmetatable({
    passwd = split_lines(texts.passwd),
    group = split_lines(texts.group),
    shadow = split_lines(texts.shadow),
  }, M)
end

---The id of a user or a group, by its name or number.
---@param kind "passwd"|"group"
---@param name string
---@return integer? # nil: nobody has that name
---@return integer? gid # of a user, its own group's
function M:id(kind, name)
  local _, fields = find(self[kind], name)
  if fields then
    return id(fields[3]), kind == "passwd" and id(fields[4]) or nil
  end
  return id(name), nil
end

---The ids that an owner such as "postgres", "1000:1000" or "www-data:adm" stands for.
---A user alone brings its own group; a number that nobody has, group 0.
---@param owner string
---@return integer? uid
---@return integer|string gid # or what is wrong
function M:owner(owner)
  local user, group = owner:match "^([^:]+):?(.*)$"
  local uid, own = self:id("passwd", user)
  if not uid then
    return nil, ("the image has no user '%s'"):format(user)
  end
  local gid = group == "" and (own or 0) or group ~= "" and self:id("group", group) or nil
  if not gid then
    return nil, ("the image has no group '%s'"):format(group)
  end
  return uid, gid
end

local function taken(lines)
  local ids = {}
  for _, line in ipairs(lines) do
    local number = id(fields_of(line)[3])
    if number then
      ids[number] = true
    end
  end
  return ids
end

-- The same number for a user and a group of its own.
local function free_id(self)
  local users, groups = taken(self.passwd), taken(self.group)
  for number = FIRST, LAST do
    if not users[number] and not groups[number] then
      return number
    end
  end
end

local function make_account(self, user)
  local uid = user.uid or user.name == "root" and 0 or free_id(self)
  local gid = user.gid or self:id("group", user.name) or uid
  local home = user.home or (user.name == "root" and "/root" or "/home/" .. user.name)
  return { user.name, "x", tostring(uid), tostring(gid), user.comment or "", home, user.shell or "/bin/sh" }
end

local function change_account(fields, user)
  local wanted = { [3] = user.uid, [4] = user.gid, [5] = user.comment, [6] = user.home, [7] = user.shell }
  for i = 1, 7 do
    fields[i] = wanted[i] and tostring(wanted[i]) or fields[i] or ""
  end
  return fields
end

local function has_id(lines, number)
  return taken(lines)[number] ~= nil
end

local function add_group(self, user, gid)
  if not has_id(self.group, gid) then
    self.group[#self.group + 1] = ("%s:x:%d:"):format(user.name, gid)
  end
end

local function join_group(self, name, member)
  local at, fields = find(self.group, name)
  if not at then
    return nil, ("the image has no group '%s'"):format(name)
  end
  for other in (fields[4] or ""):gmatch "[^,]+" do
    if other == member then
      return true
    end
  end
  fields[4] = (fields[4] or "") == "" and member or fields[4] .. "," .. member
  self.group[at] = table.concat(fields, ":", 1, 4)
  return true
end

-- "*": no password fits, which unlike "!" does not lock the account for keys.
local function set_password(self, name, password)
  local at, fields = find(self.shadow, name)
  fields = fields or { name, "*", "", "", "", "", "", "", "" }
  fields[2] = password or fields[2]
  self.shadow[at or #self.shadow + 1] = table.concat(fields, ":")
end

---Add a user, or change the one that has the name. What is not said of a new one:
---uid and a group of its own from 1000 on, /home/NAME, /bin/sh, no password.
---@param user table # of a recipe: name, uid, gid, groups, home, shell, comment, password (a hash)
---@return banger.account?
---@return string? message
function M:add(user)
  local at, fields = find(self.passwd, user.name)
  fields = fields and change_account(fields, user) or make_account(self, user)
  local uid, gid = id(fields[3]), id(fields[4])
  if not uid or not gid then
    return nil, ("/etc/passwd is malformed: '%s'"):format(table.concat(fields, ":"))
  end
  self.passwd[at or #self.passwd + 1] = table.concat(fields, ":")
  add_group(self, user, gid)
  for _, name in ipairs(user.groups or {}) do
    local ok, message = join_group(self, name, user.name)
    if not ok then
      return nil, message
    end
  end
  if user.password or not at then
    set_password(self, user.name, user.password)
  end
  return { name = user.name, uid = uid, gid = gid, home = fields[6], shell = fields[7] }
end

---The texts as they are now.
---@return { passwd: string, group: string, shadow: string }
function M:texts()
  local texts = {}
  for _, name in ipairs { "passwd", "group", "shadow" } do
    texts[name] = #self[name] > 0 and table.concat(self[name], "\n") .. "\n" or ""
  end
  return texts
end

---Whether a text is a public key of OpenSSH, as a line of authorized_keys.
---@param text string
---@return boolean
function M.is_key(text)
  for _, pattern in ipairs(KEY_TYPES) do
    if text:find(pattern) then
      return text:find "^%S+ [%w+/]+=*%f[%s\0]" ~= nil and not text:find "\n."
    end
  end
  return false
end

return M
