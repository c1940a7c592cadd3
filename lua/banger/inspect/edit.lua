---Editing a file inside a finished image, with the user's editor on a copy.
local banger = require "banger"

local M = {}

local host = banger.host
local LIMIT = 64 << 20

---@class banger.inspect.edit_options
---@field editor string # a shell command, such as "vi" or "code --wait"
---@field create? boolean # make the file where it is missing
---@field note? fun(text: string) # told of what the user should know before

---@class banger.inspect.edited
---@field path string # without links
---@field changed boolean
---@field size integer # bytes now

-- What is there: its metadata and content. Nil for nothing.
local function look(image, path, options)
  local tree <close> = banger.open(image)
  local st = tree:stat(path, { follow = true })
  if not st then
    if tree:stat(path) then
      banger.error("not_found", ("%s: a link that leads nowhere in %s"):format(path, image))
    elseif not options.create then
      banger.error("not_found", ("%s: not in %s; --create makes it"):format(path, image))
    end
    return nil
  elseif st.type ~= "file" then
    banger.error("usage", ("%s: a %s; only files can be edited"):format(st.path, st.type == "dir" and "directory" or st.type))
  elseif st.size > LIMIT then
    banger.error("usage", ("%s: %d bytes are too many to edit; at most %d are accepted"):format(st.path, st.size, LIMIT))
  end
  st.content = tree:read(st.path)
  return st
end

-- The editor sees the name's end, which tells it what kind of file it is.
local function copy_name(path)
  local base = path:match "[^/]*$"
  return base:find "^[%w_][%w._-]*$" and #base < 100 and base or "file"
end

local function write_private(path, content)
  local file = assert(io.open(path, "wb"))
  local ok, message = file:write(content)
  ok, message = file:close() and ok, message
  if not ok then
    banger.error("io", ("write %s: %s"):format(path, message or "it failed"))
  end
  host.set_attributes(path, { mode = tonumber("600", 8) })
end

-- Where the editor shows itself: stdout is for what programs read.
local function screen()
  return host.isatty(2) and ">&2" or host.isatty(1) and ">/dev/tty" or ">&2"
end

-- What the editor leaves of `content`.
local function run_editor(path, content, options)
  local dir = host.make_temp_dir((os.getenv "TMPDIR" or "/tmp") .. "/banger-edit.")
  local _ <close> = setmetatable({}, { __close = function()
    pcall(host.run, { "rm", "-rf", "--", dir })
  end })
  local copy = dir .. "/" .. copy_name(path)
  write_private(copy, content)
  local result = host.foreground { "sh", "-c", ('{ %s "$1"\n} %s'):format(options.editor, screen()), "sh", copy }
  if result.status ~= 0 then
    banger.error("io", ("the editor '%s' ended with %d: %s is as it was"):format(options.editor, result.status, path))
  elseif not host.lstat(copy) then
    banger.error("io", ("the editor '%s' left no file: %s is as it was"):format(options.editor, path))
  end
  return host.read_file(copy, LIMIT)
end

local function unchanged_meanwhile(before, now)
  if not before or not now then
    return before == now
  end
  return before.ino == now.ino and before.content == now.content and before.mtime == now.mtime and before.mode == now.mode
    and before.uid == now.uid and before.gid == now.gid
end

---Open a file of an image in an editor, and write back what comes out: whole or not at all,
---and not when it is what it was. Mode, owner and extended attributes stay; the time of
---modification becomes now, since an edit is no build that has to come out the same twice.
---@param image string # the path of an ext4 image
---@param path string # links are followed
---@param options banger.inspect.edit_options
---@return banger.inspect.edited
---@example
---```lua
---edit.edit("out.ext4", "/etc/motd", { editor = "vi", create = true })
---```
---Raises `not_found`, `usage` (no file, too long), `io` (the editor failed), `no_space`, `ext4`.
function M.edit(image, path, options)
  local before = look(image, path, options)
  if before and before.nlink > 1 and options.note then
    options.note(("%s has %d names; only this one is changed"):format(before.path, before.nlink))
  end
  local real = before and before.path or path
  local old = before and before.content or ""
  local content = run_editor(real, old, options)
  if content == old then
    return { path = real, changed = false, size = #old }
  elseif not unchanged_meanwhile(before, look(image, path, { create = true })) then
    banger.error("io", ("%s: %s was changed by something else meanwhile; nothing was written"):format(image, real))
  end
  before = before or {}
  banger.inject(image, { {
    path = real, type = "file", content = content, mode = before.mode, uid = before.uid, gid = before.gid, xattrs = before.xattrs,
    mtime = os.time(),
  } })
  return { path = real, changed = true, size = #content }
end

return M
