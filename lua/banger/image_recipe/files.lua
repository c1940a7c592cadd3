---What a recipe says of files, as entries for `inject`: contents, files and whole
---directories of this machine, removals.
local accounts = require "banger.accounts"
local core = require "banger.core"
local sandbox = require "banger.image_recipe.sandbox"

local M = {}

local MAX_DEPTH = 64
local PROGRAM = tonumber("100", 8)
local MODES = { file = tonumber("644", 8), program = tonumber("755", 8), dir = tonumber("755", 8) }
local MAX_TEXT = 16 * 1024 * 1024

-- Entries in the making, of one recipe.
local Files = {}
Files.__index = Files

-- What cannot be put at a path.
local function fail(recipe, path, format, ...)
  sandbox.fail(recipe, "inject", { path }, ("%s: %s"):format(path, format:format(...)))
end

local function fail_user(recipe, user, format, ...)
  sandbox.fail(recipe, "users", { user.name }, ("'%s': %s"):format(user.name, format:format(...)))
end

local function read_text(rootfs, path)
  local found = rootfs:stat(path, { follow = true })
  return found and found.type == "file" and rootfs:read(path, { size = MAX_TEXT }) or nil
end

---The accounts of an image.
---@param rootfs banger.tree
---@return banger.accounts
function M.accounts(rootfs)
  return accounts.new {
    passwd = read_text(rootfs, "/etc/passwd"),
    group = read_text(rootfs, "/etc/group"),
    shadow = read_text(rootfs, "/etc/shadow"),
  }
end

function Files:host_path(text)
  if text:sub(1, 2) == "~/" then
    return (os.getenv "HOME" or "~") .. text:sub(2)
  elseif text:sub(1, 1) == "/" or not self.recipe.dir then
    return text
  end
  return self.recipe.dir .. "/" .. text
end

-- Its attributes: what is said, what is there already, the default.
function Files:attributes(path, want, mode)
  local found = self.rootfs:stat(path, { follow = true })
  if want.owner then
    local uid, gid = self.accounts:owner(want.owner)
    if not uid then
      fail(self.recipe, path, "%s", gid)
    end
    return want.mode or found and found.mode or mode, uid, gid
  end
  return want.mode or found and found.mode or mode, found and found.uid or 0, found and found.gid or 0
end

function Files:add(entry, want, mode)
  entry.mode, entry.uid, entry.gid = self:attributes(entry.path, want, mode)
  entry.item, entry.by = "inject", self.recipe.name
  entry.why = entry.why or "asked for"
  self.entries[#self.entries + 1] = entry
end

-- The last of the patterns that fits counts; they are sorted.
local function of_pattern(patterns, path)
  local found
  local names = {}
  for name in pairs(patterns or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if path == name or path:find("^" .. name:gsub("%p", "%%%0"):gsub("%%%*", "[^/]*") .. "$") then
      found = patterns[name]
    end
  end
  return found
end

local function below(path, name)
  return (path == "/" and "" or path) .. "/" .. name
end

-- Modes do not depend on the umask of who checked the directory out.
function Files:host_entry(path, host, want, depth)
  local st = core.host.lstat(host) or fail(self.recipe, path, "%s is not there", host)
  local own = { owner = of_pattern(want.owners, path) or want.owner, mode = of_pattern(want.modes, path) }
  if st.type == "file" then
    self:add({ path = path, type = "file", source = host }, own, st.mode & PROGRAM ~= 0 and MODES.program or MODES.file)
  elseif st.type == "symlink" then
    self:add({ path = path, type = "symlink", target = st.target }, { owner = own.owner }, nil)
    self.entries[#self.entries].mode = nil
  elseif st.type ~= "dir" then
    fail(self.recipe, path, "%s is a %s, which cannot be copied", host, st.type)
  elseif depth > MAX_DEPTH then
    fail(self.recipe, path, "%s has more than %d directories in each other", host, MAX_DEPTH)
  else
    if path ~= "/" then
      self:add({ path = path, type = "dir" }, own, MODES.dir)
    end
    for _, name in ipairs(core.host.list(host)) do
      self:host_entry(below(path, name), host .. "/" .. name, want, depth + 1)
    end
  end
end

function Files:append(path, want)
  local text = read_text(self.rootfs, path) or ""
  if text ~= "" and text:sub(-1) ~= "\n" then
    text = text .. "\n"
  end
  self:add({ path = path, type = "file", content = text .. want.append }, want, MODES.file)
end

function Files:inject(path, want)
  local directory = path:sub(-1) == "/" and path ~= "/"
  path = directory and path:gsub("/+$", "") or path
  if want.dir then
    local host = self:host_path(want.dir)
    local st = core.host.stat(host)
    if not st or st.type ~= "dir" then
      fail(self.recipe, path, "%s is no directory", host)
    end
    return self:host_entry(path, host, want, 1)
  elseif want.symlink then
    self:add({ path = path, type = "symlink", target = want.symlink }, { owner = want.owner }, nil)
    self.entries[#self.entries].mode = nil
  elseif want.append then
    self:append(path, want)
  elseif want.file then
    local host = self:host_path(want.file)
    local st = core.host.lstat(core.host.realpath(host) or host) or fail(self.recipe, path, "%s is not there", host)
    self:add({ path = path, type = "file", source = host }, want, st.mode & PROGRAM ~= 0 and MODES.program or MODES.file)
  elseif want.content then
    self:add({ path = path, type = "file", content = want.content }, want, MODES.file)
  elseif directory then
    self:add({ path = path, type = "dir" }, want, MODES.dir)
  elseif want.mode or want.owner then
    self:change(path, want)
  else
    fail(self.recipe, path, "nothing is said of it: content, file, dir, symlink, append, mode or owner expected")
  end
end

-- Only attributes: of what is there.
function Files:change(path, want)
  local found = self.rootfs:stat(path, { follow = true })
  if not found then
    fail(self.recipe, path, "it is not in the image; a directory's path ends in '/'")
  end
  path = self.rootfs:resolve(path) or path
  if found.type == "dir" then
    return self:add({ path = path, type = "dir" }, want, found.mode)
  elseif found.type ~= "file" then
    fail(self.recipe, path, "it is a %s, whose mode and owner stay", found.type)
  end
  self:add({ path = path, type = "file", content = self.rootfs:read(path), xattrs = found.xattrs }, want, found.mode)
end

-- ---- removal ------------------------------------------------------------------------

local function component_pattern(part)
  return "^" .. part:gsub("%p", "%%%0"):gsub("%%%*", ".*") .. "$"
end

-- The paths that a pattern stands for; links on the way are not followed.
local function expand(rootfs, parts, at, path, out)
  local part = parts[at]
  if not part then
    out[#out + 1] = path
    return
  end
  if not part:find("*", 1, true) then
    local next_path = below(path, part)
    if rootfs:stat(next_path) then
      expand(rootfs, parts, at + 1, next_path, out)
    end
    return
  end
  local found = rootfs:stat(path)
  local pattern = component_pattern(part)
  for _, name in ipairs(found and found.type == "dir" and rootfs:list(path) or {}) do
    if name:find(pattern) then
      expand(rootfs, parts, at + 1, below(path, name), out)
    end
  end
end

local function parts_of(path)
  local parts = {}
  for part in path:gmatch "[^/]+" do
    if part == ".." then
      return nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return #parts > 0 and parts or nil
end

function Files:remove(pattern)
  local parts, found = parts_of(pattern), {}
  if not parts then
    sandbox.fail(self.recipe, "remove", { pattern }, ("'%s' is no path below /"):format(pattern))
  end
  expand(self.rootfs, parts, 1, "/", found)
  for _, path in ipairs(found) do
    self.entries[#self.entries + 1] = { path = path, type = "remove", item = "remove", by = self.recipe.name, why = "asked for" }
  end
end

local function sorted_names(map)
  local names = {}
  for name in pairs(map or {}) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

---What a recipe removes, then what it puts in.
---@param rootfs banger.tree
---@param recipe banger.image_recipe
---@return banger.guest_entry[]
---Raises `usage` for what cannot be, naming the recipe.
function M.entries(rootfs, recipe)
  local files = setmetatable({
    rootfs = rootfs, recipe = recipe, entries = {}, accounts = M.accounts(rootfs),
  }, Files)
  for _, pattern in ipairs(recipe.values.remove or {}) do
    files:remove(pattern)
  end
  for _, path in ipairs(sorted_names(recipe.values.inject)) do
    files:inject(path, recipe.values.inject[path])
  end
  return files.entries
end

-- ---- users --------------------------------------------------------------------------

local ACCOUNT_FILES = {
  { name = "passwd", path = "/etc/passwd", mode = tonumber("644", 8) },
  { name = "group", path = "/etc/group", mode = tonumber("644", 8) },
  { name = "shadow", path = "/etc/shadow", mode = tonumber("600", 8) },
}

local function best_shell(rootfs)
  for _, path in ipairs { "/bin/bash", "/bin/sh" } do
    if rootfs:exists(path) then
      return path
    end
  end
  return "/bin/sh"
end

-- Keys are given as they are, or as files of this machine that hold them.
local function keys_of(files, user)
  local lines = {}
  for _, text in ipairs(user.authorized_keys) do
    local from = text
    if not accounts.is_key(text) then
      from = files:host_path(text)
      if not core.host.stat(from) then
        fail_user(files.recipe, user, "'%s' is neither a public key nor a file", text)
      end
      text = core.host.read_file(from, 1024 * 1024)
    end
    for line in text:gmatch "[^\r\n]+" do
      if not line:find "^%s*#" and line:find "%S" then
        if not accounts.is_key(line) then
          fail_user(files.recipe, user, "%s holds what is no public key", from)
        end
        lines[#lines + 1] = line
      end
    end
  end
  return lines
end

local function add_keys(files, user, account)
  local dir = account.home .. "/.ssh"
  local path = dir .. "/authorized_keys"
  local lines = keys_of(files, user)
  local present = files.keys[path] or read_text(files.rootfs, path) or ""
  if present ~= "" and present:sub(-1) ~= "\n" then
    present = present .. "\n"
  end
  local function entry(fields)
    fields.uid, fields.gid = account.uid, account.gid
    fields.item, fields.by, fields.why = "users", files.recipe.name, ("keys of %s"):format(user.name)
    files.entries[#files.entries + 1] = fields
  end
  entry { path = dir, type = "dir", mode = tonumber("700", 8) }
  files.keys[path] = present .. table.concat(lines, "\n") .. "\n"
  entry { path = path, type = "file", content = files.keys[path], mode = tonumber("600", 8) }
end

local function add_user(files, user)
  user.shell = user.shell or not files.accounts:id("passwd", user.name) and best_shell(files.rootfs) or nil
  local account, message = files.accounts:add(user)
  if not account then
    fail_user(files.recipe, user, "%s", message)
  end
  if not files.rootfs:stat(account.home, { follow = true }) then
    files.entries[#files.entries + 1] = {
      path = account.home, type = "dir", mode = tonumber("700", 8), uid = account.uid, gid = account.gid,
      item = "users", by = files.recipe.name, why = ("home of %s"):format(user.name),
    }
  end
  if user.authorized_keys then
    add_keys(files, user, account)
  end
end

---The users that recipes add or change.
---@param rootfs banger.tree
---@param recipes banger.image_recipe[]
---@return banger.guest_entry[]
---Raises `usage` for what cannot be, naming the recipe.
function M.users(rootfs, recipes)
  local files = setmetatable({ rootfs = rootfs, entries = {}, accounts = M.accounts(rootfs), keys = {} }, Files)
  local before = files.accounts:texts()
  for _, recipe in ipairs(recipes) do
    files.recipe = recipe
    for _, user in ipairs(recipe.values.users or {}) do
      add_user(files, user)
    end
  end
  local after, own = files.accounts:texts(), files.entries
  files.entries = {}
  for _, file in ipairs(ACCOUNT_FILES) do
    if after[file.name] ~= before[file.name] then
      files:add({ path = file.path, type = "file", content = after[file.name], why = "has users of recipes" }, {}, file.mode)
      local entry = files.entries[#files.entries]
      entry.item, entry.by = "users", nil
    end
  end
  return table.move(own, 1, #own, #files.entries + 1, files.entries)
end

return M
