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

---@class banger.inspect.edited
---@field path string # without links
---@field changed boolean
---@field size integer # bytes now
---@field names? integer # of a changed file: how many it has, all of which have the new content

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

-- The directories that a new file is in are there, and its path has no links.
local function real_path(where, path)
  local dir, name = path:match "^(.*)/([^/]+)$"
  local image <close> = type(where) == "string" and banger.open(where) or nil
  local tree = image or where
  local real = tree:resolve(dir == "" and "/" or dir)
  if not real or tree:stat(real).type ~= "dir" then
    banger.error("not_found", ("%s: there is no directory %s in %s"):format(path, dir, inspect.name(tree)))
  end
  return (real == "/" and "" or real) .. "/" .. name
end

-- All names of a file.
local function names_of(where, st)
  local image <close> = type(where) == "string" and banger.open(where) or nil
  local names = {}
  for path, found in (image or where):walk() do
    if found.id == st.id and path ~= st.path then
      names[#names + 1] = path
    end
  end
  return names
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

-- Whether the copy is another by now: that is not thrown away because it could not be written.
local function is_typed(copy, content)
  local ok, found = pcall(host.read_file, copy, LIMIT)
  return host.lstat(copy) and not (ok and found == content)
end

-- Have `content` (nil: there is no file yet) edited, and give `use` what comes of it: nil for no file.
local function run_editor(path, content, options, use)
  local dir = host.make_temp_dir((given(os.getenv "TMPDIR") or "/tmp") .. "/banger-edit.")
  local copy = dir .. "/" .. copy_name(path)
  local kept = false
  local _ <close> = setmetatable({}, { __close = function()
    if not kept then
      pcall(host.run, { "rm", "-rf", "--", dir })
    end
  end })
  if content then
    write_private(copy, content)
  end
  local editor = given(options.editor) or given(os.getenv "VISUAL") or given(os.getenv "EDITOR") or "vi"
  local status
  local ok, result = pcall(function()
    status = host.foreground({ "sh", "-c", ('{ %s "$1"\n} %s'):format(editor, screen()), "sh", copy }).status
    if status ~= 0 then
      banger.error("io", ("the editor '%s' ended with %d: %s is as it was"):format(editor, status, path))
    end
    local left = host.lstat(copy)
    if content and not left then
      banger.error("io", ("the editor '%s' left no file: %s is as it was"):format(editor, path))
    end
    return use(left and host.read_file(copy, LIMIT) or nil)
  end)
  if not ok then
    -- An editor that failed was left on purpose; one that was interrupted was not.
    kept = (status or 0) == 0 and is_typed(copy, content)
    if kept and banger.is_error(result) then
      banger.error(result.code, ("%s; what you typed is in %s"):format(result.message, copy))
    end
    error(result, 0)
  end
  return result
end

local function unchanged_meanwhile(before, now)
  if not before or not now then
    return before == now
  end
  return before.ino == now.ino and before.content == now.content and before.mtime == now.mtime and before.mode == now.mode
    and before.uid == now.uid and before.gid == now.gid
end

local function change(path, content, options, use)
  if not options.change then
    return run_editor(path, content, options, use)
  end
  local new = options.change(content or "")
  if type(new) ~= "string" then
    banger.error("usage", ("%s: the function returned a %s instead of the new content; nothing was written"):format(path, type(new)))
  end
  return use(new)
end

-- The file with its new content, and its other names.
local function entries_for(real, content, before, names, mtime)
  local entries = { {
    path = real, type = "file", content = content, mode = before.mode, uid = before.uid, gid = before.gid, xattrs = before.xattrs,
    mtime = mtime,
  } }
  for i, name in ipairs(names) do
    entries[i + 1] = { path = name, type = "hardlink", target = real }
  end
  return entries
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
  local real = before and before.path or real_path(where, path)
  local names = before and before.nlink > 1 and names_of(where, before) or {}
  local old = before and before.content
  local is_image = type(where) == "string"
  if is_image then
    banger.inject(where, {}) -- what can never be changed is said before anybody types
  end
  return change(real, old, options, function(content)
    if content == old then
      return { path = real, changed = false, size = #(old or "") }
    elseif not unchanged_meanwhile(before, look(where, path, { create = true })) then
      banger.error("io", ("%s: %s was changed by something else meanwhile; nothing was written"):format(
        is_image and where or "the image", real))
    end
    banger.inject(where, entries_for(real, content, before or {}, names, is_image and os.time() or nil))
    return { path = real, changed = true, size = #content, names = #names + 1 }
  end)
end

---What an edit came to, in a line.
---@param edited banger.inspect.edited
---@return string
---@example
---```lua
---edit.summary { path = "/etc/motd", changed = true, size = 3, names = 1 }  --> "/etc/motd: changed, 3 bytes"
---```
function M.summary(edited)
  if not edited.changed then
    return ("%s: unchanged"):format(text.escape(edited.path))
  end
  return ("%s: changed, %s%s"):format(text.escape(edited.path), text.count(edited.size, "byte"),
    edited.names > 1 and (", under all its %d names"):format(edited.names) or "")
end

return M
