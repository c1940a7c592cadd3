---What a recipe says of files, as entries for `inject`: contents, files and whole
---directories of this machine, removals.
local accounts = require "banger.accounts"
local core = require "banger.core"
local sandbox = require "banger.image_recipe.sandbox"
local sorted = require "banger.sorted"

local M = {}

local MAX_DEPTH = 64
local PROGRAM = tonumber("100", 8)
local MODES = { file = tonumber("644", 8), program = tonumber("755", 8), dir = tonumber("755", 8) }
local MAX_TEXT = 16 * 1024 * 1024
local MAX_ACCOUNTS = 4 * 1024 * 1024 -- of 60,000 people
local MAX_COPY = 256 * 1024 * 1024 -- in memory
local MAX_KEYS = 1024 * 1024
local PRIVATE = tonumber("700", 8)

-- Entries in the making, of one recipe.
local Files = {}
Files.__index = Files

-- What cannot be put at a path, which the recipe may not name itself.
local function fail(self, path, format, ...)
  local recipe, given = self.recipe, self.given
  sandbox.fail(recipe, "inject", { given }, ("%s: %s"):format(path, format:format(...)))
end

local function fail_user(recipe, user, format, ...)
  sandbox.fail(recipe, "users", { user.name }, ("'%s': %s"):format(user.name, format:format(...)))
end

-- A text that will be written again: all of it, or nothing at all.
local function read_text(rootfs, path, limit)
  local found = rootfs:stat(path, { follow = true })
  if not found then
    return ""
  elseif found.type ~= "file" then
    return nil, ("%s is a %s in the image, not a file"):format(path, found.type)
  elseif found.size > (limit or MAX_TEXT) then
    return nil, ("%s has %d bytes, which no text of its kind has"):format(path, found.size)
  end
  return rootfs:read(path, { size = MAX_TEXT })
end

-- A link to a file stays: the file it leads to is meant.
local function end_of(rootfs, path)
  return rootfs:exists(path) and rootfs:resolve(path) or path
end

local ACCOUNT_FILES = {
  { name = "passwd", path = "/etc/passwd", mode = tonumber("644", 8) },
  { name = "group", path = "/etc/group", mode = tonumber("644", 8) },
  { name = "shadow", path = "/etc/shadow", mode = tonumber("600", 8) },
}
local IS_ACCOUNT_FILE = {}
for _, file in ipairs(ACCOUNT_FILES) do
  IS_ACCOUNT_FILE[file.path] = true
end

-- The accounts of the image, read when they are first asked for.
function Files:accounts(key)
  if not self.known then
    local texts = {}
    for _, file in ipairs(ACCOUNT_FILES) do
      local message
      texts[file.name], message = read_text(self.rootfs, file.path, MAX_ACCOUNTS)
      if message then
        sandbox.fail(self.recipe, key, {}, message)
      end
    end
    self.known = accounts.new(texts)
  end
  return self.known
end

-- Whether a path comes from the command line: it means what it means there.
local function is_given(recipe, path)
  for _, variable in ipairs(recipe.variables) do
    local value = variable.given and variable.value
    if value == path or type(value) == "string" and value ~= "" and path:sub(1, #value + 1) == value .. "/" then
      return true
    end
  end
  return false
end

-- Relative to the recipe, but for one that is built in.
function Files:host_path(text)
  if text:sub(1, 2) == "~/" then
    return (os.getenv "HOME" or "~") .. text:sub(2)
  elseif text:sub(1, 1) == "/" or not self.recipe.dir or is_given(self.recipe, text) then
    return text
  end
  return sandbox.beside(self.recipe, text)
end

-- Its attributes: what is said, what one of its kind has there already, the default.
function Files:attributes(path, kind, want, mode)
  local found = self.rootfs:stat(path, { follow = true })
  if found and found.type ~= kind then
    found = nil
  end
  mode = want.mode and tonumber(want.mode, 8) or found and found.mode or mode
  if want.owner then
    local uid, gid = self:accounts("inject"):owner(want.owner)
    if not uid then
      sandbox.fail(self.recipe, "inject", { self.given, want.owner }, ("%s: %s"):format(path, gid))
    end
    return mode, uid, gid
  end
  return mode, found and found.uid or 0, found and found.gid or 0
end

-- A link to a directory is what keeps /lib and the like in their places.
function Files:check_place(entry)
  local own = entry.type == "file" and self.rootfs:stat(entry.path)
  if own and own.type == "symlink" and (self.rootfs:stat(entry.path, { follow = true }) or {}).type == "dir" then
    fail(self, entry.path, "a link to a directory is in its place; remove it first, if that is meant")
  end
end

function Files:add(entry, want, mode)
  self:check_place(entry)
  entry.mode, entry.uid, entry.gid = self:attributes(entry.path, entry.type, want, mode)
  entry.item, entry.by, entry.why = "inject", self.recipe.name, "asked for"
  self.entries[#self.entries + 1], self.names[entry] = entry, self.given
end

function Files:add_link(path, target, owner)
  self:add({ path = path, type = "symlink", target = target }, { owner = owner }, nil)
  self.entries[#self.entries].mode = nil
end

-- A pattern of the paths in a directory: * stops at a slash, ** does not.
local function compile(glob)
  local pattern = glob:gsub("%p", "%%%0"):gsub("%%%*%%%*", "\1"):gsub("%%%*", "[^/]*"):gsub("\1", ".*")
  return "^" .. pattern .. "$"
end

-- The last of the patterns that fits counts, in their order by bytes; but the path
-- itself counts most.
function Files:of_pattern(patterns, path)
  local found
  for _, name in ipairs(sorted(patterns)) do
    if path == name or path:find(compile(name)) then
      found = patterns[name]
      self.used[name] = true
    end
  end
  return patterns and patterns[path] or found
end

-- What names nothing is misspelt.
function Files:check_patterns(path, want)
  for _, key in ipairs { "modes", "owners" } do
    for _, name in ipairs(sorted(want[key])) do
      if not self.used[name] then
        sandbox.fail(self.recipe, "inject", { path, key, name }, ("%s: %s: nothing in %s goes to '%s'"):format(path, key, want.dir, name))
      end
    end
  end
end

local function below(path, name)
  return (path == "/" and "" or path) .. "/" .. name
end

-- Modes do not depend on the umask of who checked the directory out.
function Files:host_entry(path, host, want, depth)
  local st = core.host.lstat(host) or fail(self, path, "%s is not there", host)
  local own = { owner = self:of_pattern(want.owners, path) or want.owner, mode = self:of_pattern(want.modes, path) }
  if st.type == "file" then
    self:add({ path = path, type = "file", source = host }, own, st.mode & PROGRAM ~= 0 and MODES.program or MODES.file)
  elseif st.type == "symlink" then
    self:add_link(path, st.target, own.owner)
  elseif st.type ~= "dir" then
    fail(self, path, "%s is a %s, which cannot be copied", host, st.type)
  elseif depth > MAX_DEPTH then
    fail(self, path, "%s has more than %d directories in each other", host, MAX_DEPTH)
  else
    if path ~= "/" then
      self:add({ path = path, type = "dir" }, own, MODES.dir)
    end
    for _, name in ipairs(core.host.list(host)) do
      self:host_entry(below(path, name), host .. "/" .. name, want, depth + 1)
    end
  end
end

-- nil: it climbs, or is the root.
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

-- What a guest would get at a path that holds a text: a name that is asked for takes the
-- place of the image's own, all else is left out where a file is.
local function guest_text(self, path, text)
  local own = self.guest_file("/" .. table.concat(parts_of(path) or {}, "/"))
  return own and (text == "" or own.item == "hostname") and own or nil
end

-- Where the image has no such file, or an empty one, it goes after what a guest would get
-- there.
function Files:append(path, want)
  local text, message = read_text(self.rootfs, path)
  if not text then
    fail(self, path, "nothing can be appended: %s", message)
  end
  path = end_of(self.rootfs, path)
  local found = self.rootfs:stat(path)
  local own = guest_text(self, path, text)
  text = own and own.content or text
  if text ~= "" and text:sub(-1) ~= "\n" then
    text = text .. "\n"
  end
  self:add({ path = path, type = "file", content = text .. want.append, xattrs = found and found.xattrs }, want,
    own and own.mode or MODES.file)
  if own then
    self.entries[#self.entries].why = ("asked for, after what the item %s puts there"):format(own.item)
  end
end

function Files:file(path, want)
  local host = self:host_path(want.file)
  local st = core.host.lstat(core.host.realpath(host) or host) or fail(self, path, "%s is not there", host)
  if st.type == "dir" then
    fail(self, path, "%s is a directory: say dir = instead of file =", host)
  elseif st.type ~= "file" then
    fail(self, path, "%s is a %s, which cannot be copied", host, st.type)
  end
  self:add({ path = path, type = "file", source = host }, want, st.mode & PROGRAM ~= 0 and MODES.program or MODES.file)
end

function Files:dir(path, want)
  local host = self:host_path(want.dir)
  local st = core.host.stat(host)
  if not st or st.type ~= "dir" then
    fail(self, path, st and "%s is no directory" or "%s is not there", host)
  end
  self.used = {}
  self:host_entry(path, core.host.realpath(host), want, 1)
  self:check_patterns(path, want)
end

function Files:inject(given, want)
  local path = given:find "^/+$" and "/" or given:gsub("/+$", "")
  local directory = path ~= given
  self.given = given
  if want.dir then
    self:dir(path, want)
  elseif directory and (want.symlink or want.append or want.file or want.content) then
    fail(self, given, "a path that ends in '/' is a directory's")
  elseif want.symlink then
    self:add_link(path, want.symlink, want.owner)
  elseif want.append then
    self:append(path, want)
  elseif want.file then
    self:file(path, want)
  elseif want.content then
    self:add({ path = path, type = "file", content = want.content }, want, MODES.file)
  elseif directory then
    self:add({ path = path, type = "dir" }, want, MODES.dir)
  elseif want.mode or want.owner then
    self:change(path, want)
  else
    fail(self, path, "nothing is said of it: content, file, dir, symlink, append, mode or owner expected")
  end
end

-- Only attributes: of what is there. A file is put in anew, under that name alone.
function Files:change(path, want)
  local found = self.rootfs:stat(path, { follow = true })
  if not found then
    fail(self, path, "it is not in the image; a directory's path ends in '/'")
  end
  path = self.rootfs:resolve(path) or path
  if found.type == "dir" then
    return self:add({ path = path, type = "dir" }, want, found.mode)
  elseif found.type ~= "file" then
    fail(self, path, "it is a %s, whose mode and owner stay", found.type)
  elseif found.nlink > 1 or found.size > MAX_COPY then
    fail(self, path, "it %s; say debugfs = { { 'set_inode_field', '%s', 'mode', '0100644' } }, and uid and gid likewise",
      found.nlink > 1 and ("has %d names"):format(found.nlink) or "is too large to be put in anew", path)
  end
  self:add({
    path = path, type = "file", content = self.rootfs:read(path), xattrs = found.xattrs, mtime = found.mtime,
  }, want, found.mode)
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

-- ---- users --------------------------------------------------------------------------

local function best_shell(rootfs)
  for _, path in ipairs { "/bin/bash", "/bin/sh" } do
    if rootfs:exists(path) then
      return path
    end
  end
  return "/bin/sh"
end

-- Keys are given as they are, or as a file of this machine that holds them.
local function keys_text(files, user, text)
  if text:find "\n" or accounts.is_key(text) then
    return text, "the text"
  end
  local path = files:host_path(text)
  local st = core.host.stat(path)
  if not st then
    fail_user(files.recipe, user, "'%s' is neither a public key nor a file", text)
  elseif st.type ~= "file" or st.size > MAX_KEYS then
    fail_user(files.recipe, user, "%s is no file of public keys", path)
  end
  return core.host.read_file(path, MAX_KEYS), path
end

local function keys_of(files, user)
  local lines = {}
  for _, given in ipairs(user.authorized_keys) do
    local text, from = keys_text(files, user, given)
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

-- The text with those lines at its end that it has not.
local function with_lines(text, lines)
  local has = {}
  for line in text:gmatch "[^\n]+" do
    has[line] = true
  end
  if text ~= "" and text:sub(-1) ~= "\n" then
    text = text .. "\n"
  end
  for _, line in ipairs(lines) do
    text = text .. (has[line] and "" or line .. "\n")
    has[line] = true
  end
  return text
end

local function fail_unless_text(files, user, path)
  local text, message = read_text(files.rootfs, path)
  return text or fail_user(files.recipe, user, "%s", message)
end

local function add_keys(files, user, account)
  local dir = (account.home == "/" and "" or account.home) .. "/.ssh"
  local path = dir .. "/authorized_keys"
  local lines = keys_of(files, user)
  local present = files.keys[path] or fail_unless_text(files, user, path)
  files:add_of_user(user, account, { path = dir, type = "dir", mode = PRIVATE }, "keys of %s")
  files.keys[path] = with_lines(present, lines)
  files:add_of_user(user, account, {
    path = end_of(files.rootfs, path), type = "file", content = files.keys[path], mode = tonumber("600", 8),
  }, "keys of %s")
end

function Files:add_of_user(user, account, entry, why)
  entry.uid, entry.gid = account.uid, account.gid
  entry.item, entry.by, entry.why = "users", self.recipe.name, why:format(user.name)
  self.entries[#self.entries + 1], self.names[entry] = entry, user.name
end

local function add_user(files, user)
  local known = files:accounts "users"
  local account, message = known:add(user, best_shell(files.rootfs))
  if not account then
    fail_user(files.recipe, user, "%s", message)
  end
  local home = account.home
  if not home:find "^/" and (user.authorized_keys or home ~= "") then
    fail_user(files.recipe, user, "its home '%s' in /etc/passwd is no path from / on: say home =", home)
  end
  local found = home ~= "" and files.rootfs:stat(home, { follow = true })
  if not found and home ~= "" then
    files:add_of_user(user, account, { path = home, type = "dir", mode = PRIVATE }, "home of %s")
  end
  if user.authorized_keys then
    add_keys(files, user, account)
  end
end

-- The account files that are not as they were.
function Files:add_account_files(before)
  local after = self.known:texts()
  for _, file in ipairs(ACCOUNT_FILES) do
    if after[file.name] ~= before[file.name] then
      local path = end_of(self.rootfs, file.path)
      local found = self.rootfs:stat(path)
      self:add({ path = path, type = "file", content = after[file.name], xattrs = found and found.xattrs }, {}, file.mode)
      local entry = self.entries[#self.entries]
      entry.item, entry.why = "users", "has the recipe's users"
    end
  end
end

-- ---- in steps --------------------------------------------------------------------------

local function add_removals(files)
  for _, pattern in ipairs(files.recipe.values.remove or {}) do
    files:remove(pattern)
  end
end

local function add_users(files)
  local users = files.recipe.values.users or {}
  if #users == 0 then
    return
  end
  local before = files:accounts("users"):texts()
  for _, user in ipairs(users) do
    add_user(files, user)
  end
  files:add_account_files(before)
end

local function kind_of(path, want)
  return IS_ACCOUNT_FILE[path] and "accounts" or want.append and "append" or "others"
end

local function add_injected(files, kind)
  local inject = files.recipe.values.inject
  for _, path in ipairs(sorted(inject)) do
    if kind_of(path, inject[path]) == kind then
      files:inject(path, inject[path])
    end
  end
end

local function step(add, kind)
  return function(rootfs, recipe, guest_file)
    local files = setmetatable({
      rootfs = rootfs, recipe = recipe, guest_file = guest_file, entries = {}, names = {}, keys = {},
    }, Files)
    add(files, kind)
    return files.entries, files.names
  end
end

---What a recipe does to files, in steps: each is decided by what those before it left.
---Users come before the files that may be theirs, and after the account files that the
---recipe gives; what is appended comes last.
---They are told what a guest would get at a path, and give with the entries the names in
---the recipe that asked for them.
---@alias banger.guest_file fun(path: string): banger.guest_entry?
---@alias banger.recipe_step fun(rootfs: banger.tree, recipe: banger.image_recipe, guest_file: banger.guest_file):
---  banger.guest_entry[], table<banger.guest_entry, string>
---@type banger.recipe_step[]
---They raise `usage` for what cannot be, naming the recipe.
M.STEPS = {
  step(add_removals), step(add_injected, "accounts"), step(add_users), step(add_injected, "others"), step(add_injected, "append"),
}

return M
