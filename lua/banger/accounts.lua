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

-- All lines, blank ones too: what is not understood stays as it is.
local function split_lines(text)
  local lines = {}
  if text and text ~= "" then
    for line in text:gmatch "([^\n]*)\n?" do
      lines[#lines + 1] = line
    end
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

---The id of a user or a group, by its name or number. The name root is 0 everywhere.
---@param kind "passwd"|"group"
---@param name string
---@return integer? # nil: nobody has that name
---@return integer? gid # of a user, its own group's
function M:id(kind, name)
  local _, fields = find(self[kind], name)
  if fields then
    return id(fields[3]), kind == "passwd" and id(fields[4]) or nil
  end
  if name == "root" then
    return 0, kind == "passwd" and 0 or nil
  end
  return id(name), nil
end

---Who is who: the names that ids have, of several the first.
---@param kind "passwd"|"group"
---@return table<integer, string>
---@example
---```lua
---known:names("passwd")[0] --> "root"
---```
function M:names(kind)
  local names = {}
  for _, line in ipairs(self[kind]) do
    local name, number = line:match "^([^:]+):[^:]*:(%d+)%f[:\0]"
    number = id(number)
    if number and not names[number] then
      names[number] = name
    end
  end
  return names
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

local THIRD = "^[^:]*:[^:]*:(%d+)%f[:\0]"

local function taken(lines)
  local ids = {}
  for _, line in ipairs(lines) do
    local number = id(line:match(THIRD))
    if number then
      ids[number] = true
    end
  end
  return ids
end

-- The same number for a user and a group of its own; nil when all are taken.
local function free_id(self)
  local users, groups = taken(self.passwd), taken(self.group)
  for number = FIRST, LAST do
    if not users[number] and not groups[number] then
      return number
    end
  end
end

-- A group of the system that happens to have a new user's name may do what the user is
-- not meant to.
local function system_group(self, user)
  local gid = user.name ~= "root" and not user.gid and self:id("group", user.name)
  return gid and gid < FIRST and not user.name:find "^%d+$" and gid or nil
end

local function make_account(self, user, shell)
  local uid = user.uid or user.name == "root" and 0 or free_id(self)
  local gid = user.gid or self:id("group", user.name) or uid
  local home = user.home or (user.name == "root" and "/root" or "/home/" .. user.name)
  return { user.name, "x", tostring(uid), tostring(gid), user.comment or "", home, user.shell or shell or "/bin/sh" }
end

-- A password goes to /etc/shadow, which counts only where an x is in its place.
local function change_account(fields, user)
  local wanted = {
    [2] = user.password and "x", [3] = user.uid, [4] = user.gid, [5] = user.comment, [6] = user.home, [7] = user.shell,
  }
  for i = 1, 7 do
    fields[i] = wanted[i] and tostring(wanted[i]) or fields[i] or ""
  end
  return fields
end

-- A group for the number, unless it has one; or what stands against it.
local function add_group(self, user, gid)
  if taken(self.group)[gid] then
    return nil
  elseif find(self.group, user.name) then
    return ("the group %d is nobody's, and the image's group '%s' is another"):format(gid, user.name)
  end
  self.group[#self.group + 1] = ("%s:x:%d:"):format(user.name, gid)
end

-- Whose a uid is, besides that name's.
local function other_of(self, uid, name)
  for _, line in ipairs(self.passwd) do
    if id(line:match(THIRD)) == uid and line:sub(1, #name + 1) ~= name .. ":" then
      return line:match "^[^:]*"
    end
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
  if not id(fields[3]) then
    return nil, ("/etc/group is malformed: '%s'"):format(self.group[at])
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
---uid and a group of its own from 1000 on, /home/NAME, no password.
---@param user table # of a recipe: name, uid, gid, groups, home, shell, comment, password (a hash)
---@param shell? string # of a new one that does not say its own; default /bin/sh
---@return banger.account?
---@return string? message # after it, the texts are of no more use
function M:add(user, shell)
  local at, fields = find(self.passwd, user.name)
  local system = not at and system_group(self, user)
  if system then
    return nil, ("the image has a group of that name, of the system's: say gid = %d if it is meant, or another"):format(system)
  end
  fields = fields and change_account(fields, user) or make_account(self, user, shell)
  local uid, gid = id(fields[3]), id(fields[4])
  if not uid or not gid then
    return nil, at and ("/etc/passwd is malformed: '%s'"):format(self.passwd[at])
      or ("no uid from %d to %d is free"):format(FIRST, LAST)
  end
  local other = (user.uid or not at) and other_of(self, uid, user.name)
  if other then
    return nil, ("the uid %d is that of '%s' in the image"):format(uid, other)
  end
  self.passwd[at or #self.passwd + 1] = table.concat(fields, ":")
  local problem = add_group(self, user, gid)
  if problem then
    return nil, problem
  end
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

-- A line without the options before its key: blanks in them are quoted.
local function skip_options(line)
  local quoted = false
  for at = 1, #line do
    local char = line:sub(at, at)
    if char == '"' and line:sub(at - 1, at - 1) ~= "\\" then
      quoted = not quoted
    elseif char:find "[ \t]" and not quoted then
      return line:sub(at):match "^[ \t]+(.*)$"
    end
  end
  return ""
end

local function begins_with_key(line)
  for _, pattern in ipairs(KEY_TYPES) do
    if line:find(pattern) then
      return line:find "^%S+[ \t]+AAAA[%w+/]+=*%f[%s\0]" ~= nil
    end
  end
  return false
end

---Whether a text is a public key of OpenSSH, as a line of authorized_keys; options may
---be before it.
---@param text string
---@return boolean
function M.is_key(text)
  local line = text:gsub("[\r\n]+$", "")
  return not line:find "[\r\n]" and (begins_with_key(line) or begins_with_key(skip_options(line)))
end

return M
