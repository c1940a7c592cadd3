--- Programs and scratch directories for the tests.
-- Everything the tests compare against comes from programs that are not
-- ours, so there is one careful way to run them.
local M = {}

--- Quotes one argument for the shell.
---@param s string
---@return string
function M.quote(s)
  return "'" .. tostring(s):gsub("'", "'\\''") .. "'"
end

--- Joins arguments to a command line: each is quoted.
---@param ... string
---@return string
function M.line(...)
  local words = {}
  for i, word in ipairs { ... } do words[i] = M.quote(word) end
  return table.concat(words, " ")
end

--- Runs a shell command. stdout is returned; stderr goes where the caller's
--- redirections say, else to ours.
---@param command string
---@return string out, integer code 128+N when a signal ended it
function M.run(command)
  local pipe = assert(io.popen(command, "r"))
  local out = pipe:read("a")
  local _, how, code = pipe:close()
  if how == "signal" then code = 128 + code end
  return out, code
end

--- Runs a command that has to succeed; otherwise raises with its output.
---@param command string
---@return string out
function M.check(command)
  local out, code = M.run("{ " .. command .. "\n} 2>&1")
  if code ~= 0 then
    error(("exit %d from: %s\n%s"):format(code, command, out), 2)
  end
  return out
end

---@param path string
---@return string
function M.read_file(path)
  local file = assert(io.open(path, "rb"))
  local data = file:read("a")
  file:close()
  return data
end

---@param path string
---@param data string
function M.write_file(path, data)
  local file = assert(io.open(path, "wb"))
  assert(file:write(data))
  assert(file:close())
end

---@param path string
---@return boolean
function M.exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

--- The sha256 of files, hexadecimal, from one run of sha256sum.
---@param ... string paths
---@return string ... one digest a path
function M.sha256(...)
  local out = M.check("sha256sum -z " .. M.line(...))
  local digests = {}
  for digest in out:gmatch("(%x+) [ *][^\0]*\0") do digests[#digests + 1] = digest end
  assert(#digests == select("#", ...), "sha256sum: " .. out)
  return table.unpack(digests)
end

local Scratch = {}
Scratch.__index = Scratch

--- A path inside the scratch directory.
---@param name string
---@return string
function Scratch:path(name)
  return self.dir .. "/" .. name
end

--- Makes a directory inside the scratch directory.
---@param name string
---@return string path
function Scratch:mkdir(name)
  M.check("mkdir -p " .. M.quote(self:path(name)))
  return self:path(name)
end

--- A file name in the scratch directory that was not given out before.
---@param suffix? string
---@return string path
function Scratch:fresh(suffix)
  self.count = self.count + 1
  return ("%s/%d%s"):format(self.dir, self.count, suffix or "")
end

function Scratch:remove()
  if not self.dir then return end
  os.execute("rm -rf " .. M.quote(self.dir))
  self.dir = nil
end

Scratch.__gc = Scratch.remove
Scratch.__close = Scratch.remove

--- A scratch directory, removed on close, collection or exit.
---@param near? string directory to make it in; default $TMPDIR or /tmp
function M.scratch(near)
  near = near or os.getenv "TMPDIR" or "/tmp"
  local dir = M.check("mktemp -d " .. M.quote(near .. "/banger-test.XXXXXXXX"))
  return setmetatable({ dir = dir:gsub("\n$", ""), count = 0 }, Scratch)
end

local memo = {}

local function once(name, command)
  if memo[name] == nil then memo[name] = (M.run(command)) end
  return memo[name]
end

--- True when the tests run as root.
function M.is_root()
  return once("uid", "id -u") == "0\n"
end

--- True when a program can be found.
---@param name string
function M.has(name)
  return once("has " .. name, "PATH=$PATH:/usr/sbin:/sbin command -v " .. M.quote(name)) ~= ""
end

local TRY_MOUNT = [[
d=$(mktemp -d) || exit 0
truncate -s 8M $d/i; mkdir $d/m; PATH=$PATH:/usr/sbin:/sbin
mke2fs -q -t ext4 $d/i && unshare -m mount -o ro,loop $d/i $d/m && printf yes
rm -rf $d
]]

--- True when an ext4 file can be mounted here: root, and loop devices.
function M.can_mount()
  return M.is_root() and once("mount", "{ " .. TRY_MOUNT .. "} 2>/dev/null") == "yes"
end

--- The banger-lua under test: the one that runs the tests, if one does.
function M.banger()
  local given = os.getenv "BANGER_LUA"
  if given then return given end
  -- A build that replaced it while it ran leaves " (deleted)" behind.
  local exe = once("exe", "readlink /proc/$PPID/exe"):gsub("\n$", ""):gsub(" %(deleted%)$", "")
  return exe:match "/banger%-lua$" and exe or "build/banger-lua"
end

return M
