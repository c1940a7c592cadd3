---Editing a file inside a finished image or a rootfs: by a function, or with the user's editor
---on a copy.
local banger = require "banger"
local inspect = require "banger.inspect"
local output = require "banger.output"
local text = require "banger.inspect.text"

local M = {}

local host = banger.host
local LIMIT = 64 << 20

---@class banger.inspect.edit_options
---@field editor? string # a shell command, such as "vi" or "code --wait"; default $VISUAL, $EDITOR or vi
---@field change? fun(content: string): string # instead of an editor: what becomes of the content
---@field create? boolean # make the file where it is missing
---@field note? fun(text: string) # told of what the user should know before

---@class banger.inspect.edited
---@field path string # without links
---@field changed boolean
---@field size integer # bytes now

-- What is there: its metadata and content. Nil for nothing.
local function look_at(tree, path, options)
  local name = inspect.name(tree)
  local st = tree:stat(path, { follow = true })
  if not st then
    if tree:stat(path) then
      banger.error("not_found", ("%s: a link that leads nowhere in %s"):format(path, name))
    elseif not options.create then
      banger.error("not_found", ("%s: not in %s; --create makes it"):format(path, name))
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

local function look(where, path, options)
  if type(where) ~= "string" then
    return look_at(where, path, options)
  end
  local image <close> = banger.open(where)
  return look_at(image, path, options)
end

-- The editor sees the name's end, which tells it what kind of file it is.
local function copy_name(path)
  local base = path:match "[^/]*$"
  return base:find "^[%w_][%w._-]*$" and #base < 100 and base or "file"
end

local function write_private(path, content)
  output.write(path, content)
  host.set_attributes(path, { mode = tonumber("600", 8) })
end

local function given(value)
  return value ~= "" and value or nil
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
  local editor = given(options.editor) or given(os.getenv "VISUAL") or given(os.getenv "EDITOR") or "vi"
  local result = host.foreground { "sh", "-c", ('{ %s "$1"\n} %s'):format(editor, screen()), "sh", copy }
  if result.status ~= 0 then
    banger.error("io", ("the editor '%s' ended with %d: %s is as it was"):format(editor, result.status, path))
  elseif not host.lstat(copy) then
    banger.error("io", ("the editor '%s' left no file: %s is as it was"):format(editor, path))
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

local function change(path, content, options)
  if not options.change then
    return run_editor(path, content, options)
  end
  local new = options.change(content)
  if type(new) ~= "string" then
    banger.error("usage", ("%s: the function returned a %s instead of the new content; nothing was written"):format(path, type(new)))
  end
  return new
end

---Change a file of an image, and write back what comes out: whole or not at all, and not when
---it is what it was. Mode, owner and extended attributes stay. In a finished image the time
---of modification becomes now, since an edit is no build that has to come out the same twice.
---@param where string|banger.rootfs # the path of an ext4 image, or a rootfs
---@param path string # links are followed
---@param options banger.inspect.edit_options
---@return banger.inspect.edited
---@example
---```lua
---edit.edit("out.ext4", "/etc/motd", { editor = "vi", create = true })
---```
---Raises `not_found`, `usage` (no file, too long), `io` (the editor failed), `no_space`, `ext4`.
function M.edit(where, path, options)
  if not path:find "^/" or path:find "/$" then
    banger.error("usage", ("'%s' is no path of a file in the image, from / on"):format(path))
  end
  local before = look(where, path, options)
  if before and before.nlink > 1 and options.note then
    options.note(("%s has %d names; only this one is changed"):format(before.path, before.nlink))
  end
  local real = before and before.path or path
  local old = before and before.content or ""
  local content = change(real, old, options)
  if content == old then
    return { path = real, changed = false, size = #old }
  elseif not unchanged_meanwhile(before, look(where, path, { create = true })) then
    banger.error("io", ("%s: %s was changed by something else meanwhile; nothing was written"):format(
      type(where) == "string" and where or "the image", real))
  end
  before = before or {}
  banger.inject(where, { {
    path = real, type = "file", content = content, mode = before.mode, uid = before.uid, gid = before.gid, xattrs = before.xattrs,
    mtime = type(where) == "string" and os.time() or nil,
  } })
  return { path = real, changed = true, size = #content }
end

---What an edit came to, in a line.
---@param edited banger.inspect.edited
---@return string
---@example
---```lua
---edit.summary { path = "/etc/motd", changed = true, size = 3 }  --> "/etc/motd: changed, 3 bytes"
---```
function M.summary(edited)
  return ("%s: %s"):format(text.escape(edited.path), edited.changed and "changed, " .. text.count(edited.size, "byte") or "unchanged")
end

return M
