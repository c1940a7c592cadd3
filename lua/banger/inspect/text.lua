---What is in an image, for people: names that a terminal can take, modes, times, owners.
local accounts = require "banger.accounts"
local core = require "banger.core"
local shared = require "banger.text"

local M = { count = shared.count, time = shared.time, utc = shared.utc }

local STDOUT = 1
local NAMED = { ["\a"] = "\\a", ["\b"] = "\\b", ["\t"] = "\\t", ["\n"] = "\\n", ["\v"] = "\\v", ["\f"] = "\\f", ["\r"] = "\\r" }

local function octal(bytes)
  return NAMED[bytes] or (bytes:gsub(".", function(byte)
    return ("\\%03o"):format(byte:byte())
  end))
end

---A name as `ls -b` shows it, but for spaces: control characters, backslashes and what is no
---UTF-8 become escapes as C has them. What comes out has no line break, and can be undone.
---@param text string
---@return string
---@example
---```lua
---text.escape "a\nb"  --> a\nb, in one line
---```
function M.escape(text)
  return shared.replace((text:gsub("\\", "\\\\")), octal)
end

---How to print names on stdout: escaped on a terminal, else as they are.
---@param always? boolean # escaped wherever they go
---@return fun(name: string): string
---@example
---```lua
---local shown = text.printer()
---io.write(shown(name), "\n")
---```
function M.printer(always)
  if always or core.host.isatty(STDOUT) then
    return M.escape
  end
  return function(name)
    return name
  end
end

---Put bytes into a table that becomes JSON. Where they are no UTF-8, `NAME_escaped` has
---them too, as `text.escape` writes them.
---@param object table
---@param name string
---@param bytes? string
---@example
---```lua
---text.put(object, "path", st.path)
---```
function M.put(object, name, bytes)
  object[name] = bytes
  if bytes and not utf8.len(bytes) then
    object[name .. "_escaped"] = M.escape(bytes)
  end
end

---Type and mode, as `ls -l` has them.
---@param st banger.stat
---@return string # such as "drwxr-xr-x"
---@example
---```lua
---text.mode(rootfs:stat "/tmp")  --> "drwxrwxrwt"
---```
function M.mode(st)
  return shared.mode(st.mode, st.type)
end

local ACCOUNTS_LIMIT = 4 * 1024 * 1024

local function read(tree, path)
  local ok, content = pcall(tree.read, tree, path, { size = ACCOUNTS_LIMIT })
  return ok and content or nil
end

---@class banger.inspect.owners # the names that an image has for its ids
---@field users table<integer, string>
---@field groups table<integer, string>

---Who is who in an image, by its own /etc/passwd and /etc/group.
---@param tree banger.tree
---@return banger.inspect.owners
---@example
---```lua
---text.owners(rootfs).users[0]  --> "root"
---```
function M.owners(tree)
  local known = accounts.new { passwd = read(tree, "/etc/passwd"), group = read(tree, "/etc/group") }
  return { users = known:names "passwd", groups = known:names "group" }
end

---What is known of a file, as JSON has it.
---@param st banger.stat
---@param owners? banger.inspect.owners
---@return table
---@example
---```lua
---json.encode(text.object(rootfs:stat "/etc/passwd"))
---```
function M.object(st, owners)
  local object = {
    type = st.type, mode = ("%04o"):format(st.mode), uid = st.uid, gid = st.gid, size = st.size, mtime = st.mtime,
    mtime_nsec = st.mtime_nsec, nlink = st.nlink, ino = st.ino, major = st.major, minor = st.minor, layer = st.layer,
    user = owners and owners.users[st.uid], group = owners and owners.groups[st.gid],
  }
  M.put(object, "path", st.path)
  M.put(object, "target", st.target)
  return object
end

return M
