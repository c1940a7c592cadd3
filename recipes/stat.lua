-- Says what an image knows of a file, besides its content:
--
--     banger-lua stat out.ext4 /usr/bin/ping
local argparse = require "argparse"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"
local xattr = require "banger.inspect.xattr"

local parser = argparse("banger-lua stat", "Print what an image knows of files: owner, mode, times, extended attributes.")
inspect.target(parser)
parser:argument("path", "Paths in the image."):args "+"
parser:flag("-L --dereference", "Follow a link at the end of a path.")
inspect.options(parser)
local options = cli.parse(parser, { ... })

local tree <close> = inspect.open(options.target, options)
local owners = text.owners(tree)

local TIMES = { { "modified", "mtime" }, { "accessed", "atime" }, { "changed", "ctime" }, { "created", "crtime" } }

local function object(st)
  local result = text.object(st, owners)
  for _, name in ipairs { "atime", "ctime", "crtime" } do
    result[name], result[name .. "_nsec"] = st[name], st[name .. "_nsec"]
  end
  result.blocks, result.mode_text, result.xattrs = st.blocks, text.mode(st), xattr.list(st, owners)
  return result
end

local function owner_row(st)
  local user, group = owners.users[st.uid], owners.groups[st.gid]
  return ("%d:%d (%s:%s)"):format(st.uid, st.gid, text.escape(user or "?"), text.escape(group or "?"))
end

local function write(st)
  local function row(name, value)
    if value then
      cli.write(("%-9s %s\n"):format(name, value))
    end
  end
  row("path", text.escape(st.path))
  row("type", st.type)
  row("target", st.target and text.escape(st.target))
  row("device", st.major and ("%d, %d"):format(st.major, st.minor))
  row("mode", ("%04o %s"):format(st.mode, text.mode(st)))
  row("owner", owner_row(st))
  row("size", st.size)
  row("blocks", st.blocks)
  row("inode", st.ino)
  row("links", st.nlink)
  row("layer", st.layer)
  for _, time in ipairs(TIMES) do
    local seconds = st[time[2]]
    row(time[1], seconds and ("%s (%d)"):format(text.utc(seconds, st[time[2] .. "_nsec"]), seconds))
  end
  for _, item in ipairs(xattr.list(st, owners)) do
    row("xattr", ("%s = %s"):format(text.escape(item.name), item.text))
  end
end

local found = {}
for i, path in ipairs(options.path) do
  found[i] = inspect.stat(tree, path, options.dereference)
end
if options.json then
  for i, st in ipairs(found) do
    found[i] = object(st)
  end
  return cli.write(json.encode(found), "\n")
end
for i, st in ipairs(found) do
  cli.write(i > 1 and "\n" or "")
  write(st)
end
