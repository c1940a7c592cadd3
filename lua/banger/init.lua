---banger-lua's API: `local banger = require "banger"`. The primitives are in C and
---documented in meta/core.lua; what is here is on top of them.
local changes = require "banger.image_recipe.changes"
local core = require "banger.core"
local methods = require "banger.methods"
local size = require "banger.size"

---@class banger: banger.core
local M = {}

for name, value in pairs(core) do
  M[name] = value
end

-- What handles can do besides what is in C.
for _, handle in ipairs { "banger.Image", "banger.Rootfs" } do
  methods.add(debug.getregistry()[handle].__index)
end

-- A UUID of version 8 (RFC 9562: whatever the maker likes) out of a digest, so
-- that the same input names its file system the same way.
local function uuid_of(text)
  local hex = core.host.sha256(text):sub(8)
  local variant = ("89ab"):sub(tonumber(hex:sub(17, 17), 16) % 4 + 1):sub(1, 1)
  return ("%s-%s-8%s-%s%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(14, 16), variant, hex:sub(18, 20), hex:sub(21, 32))
end

local FOR_REPORTS = { why = true, item = true, by = true }

local function plain(entry)
  local copy = {}
  for name, value in pairs(entry) do
    copy[name] = not FOR_REPORTS[name] and value or nil
  end
  return copy
end

---Put entries into a rootfs or a finished image. An entry may say `why` it is
---there, which `item` of a plan it belongs to and `by` whom it is, for reports; everything else is as
---in the primitive (see meta/core.lua).
---@param where banger.rootfs|string # a rootfs, or the path of an image
---@param entries banger.entry[]
---@param options? banger.inject_options # of an image
---@return { injected: integer }
---@example
---```lua
---banger.inject(rootfs, { { path = "/init", source = "init", mode = tonumber("755", 8), why = "starts the machine" } })
---```
---Raises `usage`, `not_found` (a source), `no_space`, `ext4`, `io` (the image is in use, for one), `changed`,
---`interrupted`.
function M.inject(where, entries, options)
  local copies = {}
  for i, entry in ipairs(entries) do
    copies[i] = plain(entry)
  end
  local result = core.inject(where, copies, options)
  changes.tell(where, entries)
  return result
end

local function parse_size(options, name)
  local value = options[name]
  if value == nil or name == "size" and value == "min" then
    return value
  end
  local bytes, message = size.parse(value)
  return bytes or core.error("usage", ("%s: %s"):format(name, message))
end

---Finish a rootfs as an ext4 image. Sizes may be written "4G"; everything else is
---as in the primitive (see meta/core.lua).
---@param rootfs banger.rootfs # closed afterwards
---@param path string # appears whole or not at all; an older file is replaced
---@param options? banger.mkext4_options
---@return banger.mkext4_info
---@example
---```lua
---local info = banger.mkext4(rootfs, "out.ext4", { size = "4G", label = "root" })
---```
---Raises `usage`, `no_space` (with `needed` and `given`), `ext4`, `io`, `interrupted`.
function M.mkext4(rootfs, path, options)
  local copy = {}
  for name, value in pairs(options or {}) do
    copy[name] = value
  end
  if copy.size and copy.free then
    core.error("usage", "size and free exclude each other: one sets the whole, the other what is left")
  end
  copy.size = parse_size(copy, "size")
  copy.free = parse_size(copy, "free")
  -- What is random elsewhere follows from the input; the layers name it best.
  local seed = copy.seed or rootfs:chain_id()
  copy.uuid = copy.uuid or uuid_of("uuid " .. seed)
  copy.hash_seed = copy.hash_seed or uuid_of("hash seed " .. seed)
  return core.mkext4(rootfs, path, copy)
end

---Look into an image, finished or not: everything of `banger.open`, for references too. Of
---these the layers are fetched, and put on top of each other in an unnamed file (in $TMPDIR, else
---/var/tmp: all contents, uncompressed), when the first of their files is asked for.
---@param target string # a file of ext4, or an image reference as pull takes them
---@param options? banger.inspect_options
---@return banger.image_file|banger.inspect.handle
---@example
---```lua
---local image <close> = banger.inspect("nginx:1.27", { platform = "linux/arm64" })
---print(image:cat "/etc/os-release")
---```
---Raises what `banger.open` does for a file; `usage`, `not_found`, `auth`, `network`, `platform`,
---`digest`, `layer` for a reference.
function M.inspect(target, options)
  return require("banger.inspect").for_scripts(target, options)
end

---Stop here and look around: the prompt opens in the function that calls this, whose
---variables can be read and set by their names. `:help` there lists what else it can do;
---Ctrl-D goes on.
---@example
---```lua
---for i, layer in ipairs(image.layers) do
---  if not layer.diff_id then banger.breakpoint() end
---end
---```
---Without a terminal this prints a traceback and raises a `usage` error.
function M.breakpoint()
  require("banger.repl.debugger").breakpoint()
end

-- The type bits of a mode, which debugfs sets together with the permissions.
local type_bits = {
  fifo = tonumber("10000", 8),
  char = tonumber("20000", 8),
  dir = tonumber("40000", 8),
  block = tonumber("60000", 8),
  file = tonumber("100000", 8),
  symlink = tonumber("120000", 8),
  socket = tonumber("140000", 8),
}

local function ownership_commands(image, path, entry, commands)
  local found = image:stat(entry.path)
  if not found then
    core.error("not_found", ("%s has no %s"):format(path, entry.path))
  end
  local function set(field, format, value)
    if value then
      commands[#commands + 1] = { "set_inode_field", entry.path, field, format:format(value) }
    end
  end
  set("uid", "%d", entry.uid)
  set("gid", "%d", entry.gid)
  set("mode", "0%o", entry.mode and entry.mode | type_bits[found.type])
end

---Restore owners and modes in a finished image, in one batch: for images that
---another tool built unprivileged. All paths are looked up before any is changed.
---@param path string # of the image
---@param entries { path: string, uid?: integer, gid?: integer, mode?: integer }[] # mode: permissions only, 0 to 07777; links are not followed
---@return integer count # of the entries
---@example
---```lua
---banger.apply_ownership("out.ext4", { { path = "/etc/shadow", gid = 42, mode = tonumber("640", 8) } })
---```
---Raises `not_found`, `ext4`, `io`.
function M.apply_ownership(path, entries)
  local commands = {}
  do
    local image <close> = core.open(path)
    for _, entry in ipairs(entries) do
      ownership_commands(image, path, entry, commands)
    end
  end
  if #commands > 0 then
    core.debugfs_batch(path, commands, { write = true })
  end
  return #entries
end

return M
