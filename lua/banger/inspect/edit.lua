---Editing a file inside a finished image or a rootfs: by a function, or with the user's editor
---on a copy.
local arguments = require "banger.inspect.arguments"
local banger = require "banger"
local inspect = require "banger.inspect"
local output = require "banger.output"
local text = require "banger.inspect.text"

local M = {}

local host = banger.host
local LIMIT = 64 << 20
local TRIES = 20 -- of a change, while others change the same image

---@class banger.inspect.edit_options
---@field editor? string # a shell command, such as "vi" or "code --wait"; default $VISUAL, $EDITOR or vi
---@field change? fun(content: string): string # instead of an editor: what becomes of the content
---@field create? boolean # make the file where it is missing
---@field in_script? boolean # messages name options as scripts do

---@class banger.inspect.edited
---@field path string # without links
---@field changed boolean
---@field size integer # bytes now
---@field names? integer # of a changed file: how many it has, all of which have the new content

local function given(value)
  return value ~= "" and value or nil
end

-- What is there: its metadata and content. Nil for nothing.
local function look_at(tree, path, options)
  local name = inspect.name(tree)
  local st = tree:stat(path, { follow = true })
  if not st then
    if tree:stat(path) then
      banger.error("not_found", ("%s: a link that leads nowhere in %s"):format(path, name))
    elseif not options.create then
      banger.error("not_found", ("%s: not in %s; %s makes it"):format(path, name, arguments.flag(options, "create")))
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

-- Where a file that is not there would be, without links.
local function new_path(tree, path)
  local dir, base = path:match "^(.*)/([^/]+)$"
  local parent = tree:stat(dir == "" and "/" or dir, { follow = true })
  if base == "." or base == ".." then
    banger.error("usage", ("'%s' is no path of a file in the image, from / on"):format(path))
  elseif not parent or parent.type ~= "dir" then
    banger.error("not_found", ("%s: there is no directory %s in %s"):format(path, dir, inspect.name(tree)))
  end
  return (parent.path == "/" and "" or parent.path) .. "/" .. base
end

-- The other names of a file.
local function other_names(tree, st)
  local names = {}
  if st.nlink > 1 then
    for path, other in tree:walk "/" do
      if other.id == st.id and path ~= st.path then
        names[#names + 1] = path
      end
    end
  end
  return names
end

-- What makes a file of that content of what is there, under all its names.
local function entries_for(where, tree, path, content, st)
  local is = st or {}
  local list = { {
    path = path, type = "file", content = content, mode = is.mode, uid = is.uid, gid = is.gid, xattrs = is.xattrs,
    mtime = type(where) == "string" and os.time() or nil, keep = true,
  } }
  for _, name in ipairs(st and other_names(tree, st) or {}) do
    list[#list + 1] = { path = name, type = "hardlink", target = path }
  end
  return list
end

-- Call `act` with the tree that `where` names, or is.
local function with_tree(where, act)
  if type(where) ~= "string" then
    return act(where)
  end
  local image <close> = banger.open(where)
  return act(image)
end

-- ---- the copy ----------------------------------------------------------------------------

-- The editor sees the name's end, which tells it what kind of file it is.
local function copy_name(path)
  local base = path:match "[^/]*$"
  return base:find "^[%w_][%w._-]*$" and #base < 100 and base or "file"
end

local function write_private(path, content)
  output.write(path, content)
  host.set_attributes(path, { mode = tonumber("600", 8) })
end

-- A private directory with a copy, if there is anything to copy. Removed when closed, unless `keep` is set.
local function new_copy(path, content)
  local dir = host.make_temp_dir((given(os.getenv "TMPDIR") or "/tmp") .. "/banger-edit.")
  local copy = setmetatable({ path = dir .. "/" .. copy_name(path), dir = dir, content = content }, { __close = function(self)
    if not self.keep then
      pcall(host.run, { "rm", "-rf", "--", dir })
    end
  end })
  if content then
    local ok, problem = pcall(write_private, copy.path, content)
    if not ok then
      local _ <close> = copy
      error(problem, 0)
    end
  end
  return copy
end

-- Whether there is more than what was there at first.
local function holds_text(copy)
  local names = host.list(copy.dir) or {}
  if #names ~= 1 or not host.lstat(copy.path) then
    return #names > 0
  end
  local ok, content = pcall(host.read_file, copy.path, LIMIT)
  return not ok or content ~= copy.content
end

-- Where the editor shows itself: stdout is for what programs read.
local function screen()
  return host.isatty(2) and ">&2" or host.isatty(1) and ">/dev/tty" or ">&2"
end

-- What the editor leaves; nil where there was nothing and still is.
local function run_editor(copy, path, options)
  local editor = given(options.editor) or given(os.getenv "VISUAL") or given(os.getenv "EDITOR") or "vi"
  -- Ctrl-C is for the editor: neither we nor the shell in between end at it.
  local script = ('trap : INT QUIT\n{ %s "$1"\n} %s'):format(editor, screen())
  local result = host.foreground({ "sh", "-c", script, "sh", copy.path }, { has_keys = true })
  if result.status ~= 0 then
    banger.error("io", ("the editor '%s' ended with %d: %s is as it was"):format(editor, result.status, path))
  elseif host.lstat(copy.path) then
    return host.read_file(copy.path, LIMIT)
  elseif copy.content then
    banger.error("io", ("the editor '%s' left no file: %s is as it was"):format(editor, path))
  end
end

-- ---- the edit ----------------------------------------------------------------------------

-- Before anything is typed, whether it could be written at all. What will be typed may well
-- need less room than there is.
local function check_image(image, entries)
  local ok, problem = pcall(banger.inject, image, entries, { dry_run = true })
  if not ok and not (banger.is_error(problem) and problem.code == "no_space") then
    error(problem, 0)
  end
end

-- Everything that is to be known first.
local function prepare(where, path, options)
  return with_tree(where, function(tree)
    local before = look_at(tree, path, options)
    local real = before and before.path or new_path(tree, path)
    local entries = entries_for(where, tree, real, before and before.content or "", before)
    if type(where) == "string" then
      check_image(where, entries)
    end
    return before, real
  end)
end

local function unchanged_meanwhile(before, now)
  if not before or not now then
    return before == now
  end
  return before.ino == now.ino and before.content == now.content and before.mtime == now.mtime and before.mode == now.mode
    and before.uid == now.uid and before.gid == now.gid
end

-- One try: what came of it, false when the image came to be another between the look and the change.
local function put(where, path, content, before)
  return with_tree(where, function(tree)
    local now = look_at(tree, path, { create = true })
    if not unchanged_meanwhile(before, now) then
      banger.error("changed", ("%s: %s was changed by something else meanwhile; nothing was written"):format(inspect.name(tree), path))
    end
    local entries = entries_for(where, tree, path, content, now)
    local ok, problem = pcall(banger.inject, where, entries, tree ~= where and { seen = tree } or nil)
    if not ok and not (banger.is_error(problem) and problem.code == "changed") then
      error(problem, 0)
    end
    return ok and { path = path, changed = true, size = #content, names = #entries }
  end)
end

local function write_back(where, path, content, before)
  if content == nil or before and content == before.content then
    return { path = path, changed = false, size = before and #before.content or 0 }
  end
  for _ = 1, TRIES do
    local edited = put(where, path, content, before)
    if edited then
      return edited
    end
  end
  banger.error("changed", ("%s is written by something else all the time; nothing was written to it"):format(where))
end

-- The error again, which says where the text is.
local function raise_with_text(problem, copy)
  copy.keep = true
  local place = "; what you typed is in " .. copy.path
  if not banger.is_error(problem) then
    error(tostring(problem) .. place, 0)
  end
  local fields = {}
  for name, value in pairs(problem) do
    fields[name] = name ~= "code" and name ~= "message" and value or nil
  end
  banger.error(problem.code, problem.message .. place, fields)
end

local function edit_copy(where, path, before, options)
  local copy <close> = new_copy(path, before and before.content)
  local ok, result = pcall(function()
    return write_back(where, path, run_editor(copy, path, options), before)
  end)
  if ok then
    return result
  elseif banger.is_error(result) and result.code == "interrupted" or holds_text(copy) then
    raise_with_text(result, copy)
  end
  error(result, 0)
end

---Change a file of an image, and write back what comes out: whole or not at all, and not when
---it is what it was. Mode, owner, extended attributes, what chattr set and all of its names
---stay. In a finished image the time of modification becomes now, since an edit is no build
---that has to come out the same twice. What the editor left is kept in a file that the error
---names, if it cannot be written.
---@param where string|banger.rootfs # the path of an ext4 image, or a rootfs
---@param path string # links are followed
---@param options banger.inspect.edit_options
---@return banger.inspect.edited
---@example
---```lua
---edit.edit("out.ext4", "/etc/motd", { editor = "vi", create = true })
---```
---Raises `not_found`, `usage` (no file, too long), `io` (the image is in use, the editor failed), `changed`
---(the file, meanwhile), `no_space`, `ext4`.
function M.edit(where, path, options)
  if not path:find "^/" or path:find "/$" then
    banger.error("usage", ("'%s' is no path of a file in the image, from / on"):format(path))
  end
  local before, real = prepare(where, path, options)
  if not options.change then
    return edit_copy(where, real, before, options)
  end
  local content = options.change(before and before.content or "")
  if type(content) ~= "string" then
    banger.error("usage", ("%s: the function returned a %s instead of the new content; nothing was written"):format(real, type(content)))
  end
  return write_back(where, real, content, before)
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
