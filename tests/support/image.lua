--- Reads a finished ext4 image with programs that are not ours.
--- fsck() is e2fsck, read() is debugfs, mounted() is the kernel. Both readers
--- return a tree (support.tree); one process each, whatever the image holds.
local sh = require "support.sh"

local M = {}

local function int(digits) return digits and math.tointeger(tonumber(digits)) end

local SBIN = "PATH=$PATH:/usr/sbin:/sbin; export LC_ALL=C TZ=UTC; "

--- e2fsck -fn: nothing to repair, nothing to say.
---@param path string
---@return boolean clean, string output
function M.fsck(path)
  local out, code = sh.run(SBIN .. "e2fsck -fn " .. sh.quote(path) .. " 2>&1")
  return code == 0 and not out:find "Fix%?" and not out:find "[Ww]arning", out
end

-- ---- what the superblock says ------------------------------------------------

local function read_at(file, offset, size)
  file:seek("set", offset)
  return file:read(size)
end

--- The geometry needed to find the inode bitmaps, and what df would say.
---@param path string
function M.superblock(path)
  local file <close> = assert(io.open(path, "rb"))
  local sb = read_at(file, 1024, 1024)
  assert(("<I2"):unpack(sb, 0x39) == 0xEF53, path .. ": no ext4 superblock")
  local function u32(at) return (("<I4"):unpack(sb, at + 1)) end
  return {
    inodes = u32(0), blocks = u32(4), free_blocks = u32(0xC), free_inodes = u32(0x10),
    block_size = 1024 << u32(0x18), blocks_per_group = u32(0x20), inodes_per_group = u32(0x28),
    compat = u32(0x5C), incompat = u32(0x60), ro_compat = u32(0x64), uuid = sb:sub(0x69, 0x78),
    label = sb:sub(0x79, 0x88):match "^[^\0]*", desc_size = ("<I2"):unpack(sb, 0xFF),
    reserved_blocks = u32(8), mkfs_time = u32(0x108), journal_inode = u32(0xE0),
    hash_seed = sb:sub(0xED, 0xFC), reserved_gdt = ("<I2"):unpack(sb, 0xCF),
  }
end

local INODE_UNINIT = 1

local ROOT, FIRST_FREE = 2, 11

--- The numbers of the inodes that the bitmaps call used, without those that
--- ext4 keeps for itself (journal, resize inode: theirs are no files).
local function used_inodes(path)
  local sb = M.superblock(path)
  local file <close> = assert(io.open(path, "rb"))
  local used = {}
  local table_at = sb.block_size == 1024 and 2048 or sb.block_size
  for group = 0, (sb.inodes + sb.inodes_per_group - 1) // sb.inodes_per_group - 1 do
    local desc = read_at(file, table_at + group * sb.desc_size, sb.desc_size)
    local low, flags, high = ("<I4"):unpack(desc, 5), ("<I2"):unpack(desc, 0x13), ("<I4"):unpack(desc, 0x25)
    if flags & INODE_UNINIT == 0 then
      local bitmap = read_at(file, (low | high << 32) * sb.block_size, sb.inodes_per_group // 8)
      for i = 1, #bitmap do
        local byte = bitmap:byte(i)
        for bit = 0, byte == 0 and -1 or 7 do
          local ino = group * sb.inodes_per_group + (i - 1) * 8 + bit + 1
          if byte >> bit & 1 == 1 and (ino == ROOT or ino >= FIRST_FREE) then used[#used + 1] = ino end
        end
      end
    end
  end
  return used
end

-- ---- debugfs ----------------------------------------------------------------

local TYPES = {
  regular = "file", directory = "dir", symlink = "symlink", ["character special"] = "char",
  ["block special"] = "block", FIFO = "fifo", socket = "socket",
}

--- A value as debugfs prints it: quoted text with escapes, or hex pairs.
local function xattr_value(printed)
  local quoted = printed:match '^"(.*)"$'
  if not quoted then
    return (printed:gsub("(%x%x) ?", function(h) return string.char(tonumber(h, 16)) end))
  end
  return (quoted:gsub("\\(%d%d%d)", function(o) return string.char(tonumber(o, 8)) end)
    :gsub('\\(["\\])', "%1"))
end

local ACL_SHORT = { [1] = true, [4] = true, [0x10] = true, [0x20] = true }

--- ea_get converts an ACL itself, but leaves 0 where the kernel says "no id".
local function acl_ids(value)
  return value:sub(1, 4) .. value:sub(5):gsub("(..)(..)(....)", function(tag, perm)
    if ACL_SHORT[("<I2"):unpack(tag)] then return tag .. perm .. "\xff\xff\xff\xff" end
  end)
end

--- ext4's own form of an ACL as the form that getxattr returns. Anything else
--- stays as it is, and so differs from what is expected.
local function acl(disk)
  if #disk < 4 or ("<I4"):unpack(disk) ~= 1 then return disk end
  local out, at = { ("<I4"):pack(2) }, 5
  while at + 3 <= #disk do
    local tag, perm = ("<I2I2"):unpack(disk, at)
    local id = 0xFFFFFFFF
    at = at + 4
    if not ACL_SHORT[tag] then id, at = ("<I4"):unpack(disk, at) end
    out[#out + 1] = ("<I2I2I4"):pack(tag, perm, id)
  end
  return table.concat(out)
end

--- debugfs prints no value of more than a few bytes; it is asked for again.
local LONG = {}

local function parse_xattrs(text)
  local xattrs = {}
  local block = text:match "\nExtended attributes:\n(.-)\nInode checksum:"
  for line in (block or ""):gmatch "  ([^\n]*)" do
    local name, size, printed = line:match "^(.-) %((%d+)%) = (.*)$"
    if not name then name, size = line:match "^(.-) %((%d+)%)$" end
    if printed or size == "0" then
      local value = xattr_value(printed or "")
      assert(#value == int(size), "debugfs xattr: " .. line)
      xattrs[name] = name:match "^system%.posix_acl" and acl(value) or value
    else
      xattrs[name] = LONG
    end
  end
  return xattrs
end

--- Blocks of data, from the extent list; extent tree blocks (ETB) left out.
local function data_blocks(text)
  local blocks = 0
  for first, last in (text:match "\nEXTENTS:\n(.*)" or ""):gmatch "%((%d+)%-?(%d*)[^%)]*%):" do
    blocks = blocks + (last == "" and 1 or int(last) - int(first) + 1)
  end
  return blocks
end

local function signed(low) return low >= 1 << 31 and low - (1 << 32) or low end

local function parse_stat(text, block_size)
  local kind, mode = text:match "Type: (.-) +Mode: +(%d+)"
  local uid, gid, size = text:match "\nUser: +(%-?%d+) +Group: +(%-?%d+).- +Size: (%d+)"
  local low, extra = text:match "\n *mtime: 0x(%x+):?(%x*)"
  local node = {
    type = TYPES[kind] or kind, mode = tonumber(mode, 8),
    uid = int(uid) & 0xFFFFFFFF, gid = int(gid) & 0xFFFFFFFF, size = int(size),
    nlink = int(text:match "\nLinks: (%d+)"), xattrs = parse_xattrs(text),
    flags = tonumber(text:match "Flags: 0x(%x+)", 16),
  }
  extra = extra == "" and 0 or tonumber(extra, 16)
  node.mtime, node.nsec = signed(tonumber(low, 16)) + ((extra & 3) << 32), extra >> 2
  if node.type == "file" then node.stored = data_blocks(text) * block_size end
  if node.type == "symlink" then
    local _, at = text:find('\nFast link dest: "', 1, true)
    node.target = at and text:sub(at + 1, at + node.size)
  end
  local major, minor = text:match "major/minor number: (%d+):(%d+)"
  node.major, node.minor = int(major), int(minor)
  return node
end

local function parse_list(text)
  local names = {}
  for ino, name in text:gmatch "/(%d+)/%d+/%-?%d+/%-?%d+/([^/]*)/%d*/\n" do
    if ino ~= "0" and name ~= "." and name ~= ".." then
      names[#names + 1] = { name = name, ino = int(ino) }
    end
  end
  return names
end

local function debugfs(path, inodes, scratch, options)
  local commands = {}
  for _, ino in ipairs(inodes) do
    commands[#commands + 1] = ("stat <%d>\nls -p <%d>"):format(ino, ino)
    if options.content ~= false then
      commands[#commands + 1] = ("dump <%d> %s/%d"):format(ino, scratch.dir, ino)
    end
  end
  local script = scratch:path "commands"
  sh.write_file(script, table.concat(commands, "\n") .. "\n")
  return (sh.run(SBIN .. ("debugfs -f %s %s 2>/dev/null"):format(script, sh.quote(path))))
end

local function parse_inodes(out, block_size)
  local nodes, lists = {}, {}
  local at = out:find("debugfs: stat <", 1, true)
  while at do
    local next_at = out:find("\ndebugfs: stat <", at, true)
    local part = out:sub(at, next_at or #out)
    local ino = int(part:match "^debugfs: stat <(%d+)>")
    local stat, list = part:match "^(.-)\ndebugfs: ls %-p <%d+>\n(.*)$"
    nodes[ino] = parse_stat(stat, block_size)
    if nodes[ino].type == "dir" then lists[ino] = parse_list(list) end
    at = next_at and next_at + 1
  end
  return nodes, lists
end

--- The values that the first run left out, in a second one. ea_get converts
--- ACLs itself.
local function read_long_xattrs(path, nodes, scratch)
  local commands, wanted = {}, {}
  for ino, node in pairs(nodes) do
    for name, value in pairs(node.xattrs) do
      if value == LONG then
        wanted[#wanted + 1] = { node.xattrs, name }
        commands[#commands + 1] = ('ea_get -f %s/x%d <%d> "%s"'):format(scratch.dir, #wanted, ino, (name:gsub('"', '""')))
      end
    end
  end
  if #wanted == 0 then return end
  sh.write_file(scratch:path "commands", table.concat(commands, "\n") .. "\n")
  sh.run(SBIN .. ("debugfs -f %s %s >/dev/null 2>&1"):format(scratch:path "commands", sh.quote(path)))
  for i, want in ipairs(wanted) do
    local value = sh.read_file(scratch:path("x" .. i))
    want[1][want[2]] = want[2]:match "^system%.posix_acl" and acl_ids(value) or value
  end
end

--- The digests of all that debugfs dumped, by inode.
local function dumped_sums(scratch)
  local sums = {}
  local out = sh.check("cd " .. scratch.dir .. " && find . -name '[0-9]*' -exec sha256sum -- {} +")
  for digest, ino in out:gmatch "(%x+)  %./(%d+)\n" do sums[int(ino)] = digest end
  return sums
end

local function with_content(node, ino, scratch, sums)
  if node.type ~= "file" and not (node.type == "symlink" and not node.target) then return end
  if sums and node.type == "file" then
    node.content = sums[ino]
    return
  end
  local data = sh.read_file(("%s/%d"):format(scratch.dir, ino))
  if node.type == "file" then node.content = data else node.target = data end
end

--- One node a path; names of one inode share its id.
local function assemble(nodes, lists, load)
  local tree, todo = {}, { { "", 2 } }
  while #todo > 0 do
    local path, ino = table.unpack(table.remove(todo))
    local node = {}
    for k, v in pairs(assert(nodes[ino], "no inode " .. ino)) do node[k] = v end
    node.id = ino
    load(node, ino)
    tree[path] = node
    for _, child in ipairs(lists[ino] or {}) do
      todo[#todo + 1] = { path == "" and child.name or path .. "/" .. child.name, child.ino }
    end
  end
  return tree
end

--- What mke2fs would have made: an empty lost+found nobody asked for.
local function drop_lost_found(tree)
  local node = tree["lost+found"]
  if not node or node.type ~= "dir" or node.mode ~= tonumber("700", 8) then return end
  for path in pairs(tree) do
    if path:sub(1, 11) == "lost+found/" then return end
  end
  tree["lost+found"] = nil
  if tree[""].nlink then tree[""].nlink = tree[""].nlink - 1 end
end

--- The tree of an image, through debugfs.
---@param path string
---@param options? { content?: boolean|"sha256", lost_found?: boolean } content=false
--- leaves it out, "sha256" puts the digest in its place; lost_found=true keeps an
--- empty /lost+found
function M.read(path, options)
  options = options or {}
  local scratch <close> = sh.scratch()
  local out = debugfs(path, used_inodes(path), scratch, options)
  local nodes, lists = parse_inodes(out, M.superblock(path).block_size)
  read_long_xattrs(path, nodes, scratch)
  local sums = options.content == "sha256" and dumped_sums(scratch)
  local tree = assemble(nodes, lists, function(node, ino)
    if options.content ~= false then with_content(node, ino, scratch, sums) end
  end)
  if not options.lost_found then drop_lost_found(tree) end
  return tree
end

-- ---- the kernel ---------------------------------------------------------------

-- List, device numbers, contents and xattrs of the tree in the current
-- directory. A name that the kernel cannot be given in one piece fails cat
-- and getfattr, which only a test that says so puts up with.
local SURVEY = [[
find . -fprintf $S/list '%P\0%y\0%m\0%U\0%G\0%s\0%n\0%i\0%T@\0%l\0' || exit 1
find . \( -type b -o -type c \) -exec stat --printf '%n\0%t\0%T\0' {} + >$S/devices || exit 1
if [ "$CONTENT" = sha256 ]; then find . -type f -exec sha256sum -z -- {} + >$S/sums || exit 1
elif [ "$CONTENT" ]; then find . -type f -exec cat -- {} + >$S/content || [ "$DEEP" ] || exit 1; fi
getfattr -R -P -h -d -m - -e hex . >$S/xattrs 2>$S/err || [ "$DEEP" ] || { cat $S/err >&2; exit 1; }
]]

local FIND_TYPES = {
  f = "file", d = "dir", l = "symlink", c = "char", b = "block", p = "fifo", s = "socket",
}

local function fields(data)
  local iterator = data:gmatch "([^\0]*)\0"
  return function(n)
    local row = {}
    for i = 1, n do row[i] = iterator() end
    return row[1] and row
  end
end

local function parse_find(data)
  local tree, order = {}, {}
  local next_row = fields(data)
  for row in function() return next_row(10) end do
    local sec, nsec = row[9]:match "^(%-?%d+)%.(%d%d%d%d%d%d%d%d%d)"
    local kind = FIND_TYPES[row[2]]
    tree[row[1]] = {
      type = kind, mode = tonumber(row[3], 8), uid = int(row[4]),
      gid = int(row[5]), size = int(row[6]), nlink = int(row[7]),
      id = int(row[8]), mtime = int(sec), nsec = int(nsec),
      target = kind == "symlink" and row[10] or nil, xattrs = {},
    }
    order[#order + 1] = row[1]
  end
  return tree, order
end

local function parse_devices(tree, data)
  local next_row = fields(data)
  for row in function() return next_row(3) end do
    local node = tree[row[1]:sub(3)]
    node.major, node.minor = tonumber(row[2], 16), tonumber(row[3], 16)
  end
end

local function unoctal(s)
  return (s:gsub("\\(%d%d%d)", function(o) return string.char(tonumber(o, 8)) end))
end

local function unhex(s)
  return (s:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

local function parse_getfattr(tree, data)
  for block in (data .. "\n"):gmatch "(# file: .-\n)\n" do
    local name = unoctal(block:match "^# file: ([^\n]*)")
    local node = tree[name == "." and "" or name:gsub("^%./", "")]
    for line in block:gmatch "\n([^#\n][^\n]*)" do
      local key, value = line:match "^(.-)=0x(%x*)$"
      if not key then key, value = line, "" end
      if node then node.xattrs[unoctal(key)] = unhex(value) end
    end
  end
end

--- "digest  name" of each file.
local function parse_sums(tree, data)
  for digest, path in data:gmatch "(%x+)  %./([^\0]*)\0" do tree[path].content = digest end
end

local function parse_content(tree, order, data)
  local at = 1
  for _, path in ipairs(order) do
    local node = tree[path]
    if node.type == "file" then
      node.content = data:sub(at, at + node.size - 1)
      at = at + node.size
    end
  end
  assert(at == #data + 1, "the contents do not add up to the sizes")
end

--- The tree below a directory of this machine.
---@param prepare string shell commands that end in that directory
---@param options? { content?: boolean|"sha256", deep?: boolean }
local function survey(prepare, options)
  options = options or {}
  local scratch <close> = sh.scratch()
  local script = ("%sS=%s; CONTENT=%s; DEEP=%s\n%s\n%s"):format(SBIN, sh.quote(scratch.dir),
    options.content == nil and "1" or options.content or "", options.deep and "1" or "", prepare, SURVEY)
  sh.write_file(scratch:path "survey.sh", script)
  sh.check(("mkdir %s/m; %s sh %s/survey.sh"):format(scratch.dir,
    options.private and "unshare -m" or "", scratch.dir))
  local tree, order = parse_find(sh.read_file(scratch:path "list"))
  parse_devices(tree, sh.read_file(scratch:path "devices"))
  if options.content == "sha256" then
    parse_sums(tree, sh.read_file(scratch:path "sums"))
  elseif options.content ~= false and not options.deep then
    parse_content(tree, order, sh.read_file(scratch:path "content"))
  end
  parse_getfattr(tree, sh.read_file(scratch:path "xattrs"))
  return tree
end

--- The tree below a directory of this machine.
function M.directory(path, options)
  return survey("cd " .. sh.quote(path) .. " || exit 1", options)
end

--- The tree of an image as the kernel's own ext4 sees it. Needs root. The
--- mount lives in a namespace of its own, so nothing stays mounted.
---@param path string
---@param options? { content?: boolean|"sha256", deep?: boolean, lost_found?: boolean }
--- deep: paths are longer than PATH_MAX, so contents and xattrs are left out
function M.mounted(path, options)
  options = options or {}
  local tree = survey(("mount -t ext4 -o ro,noload,loop %s $S/m && cd $S/m || exit 1"):format(
    sh.quote(path)), { content = options.content, deep = options.deep, private = true })
  if options.deep then
    for _, node in pairs(tree) do node.xattrs = nil end
  end
  if not options.lost_found then drop_lost_found(tree) end
  return tree
end

--- Runs shell commands in the root directory of an image that the kernel has
--- mounted, writable unless options says otherwise. Needs root.
---@param path string
---@param script string runs with set -e; $IMAGE is the file
---@param options? string mount options besides loop
---@return string out of the script; raises when it fails
function M.in_mount(path, script, options)
  local scratch <close> = sh.scratch()
  local file = scratch:path "script.sh"
  sh.write_file(file, ("%sset -e\nIMAGE=%s\nmount -t ext4 -o loop,%s $IMAGE %s/m\ncd %s/m\n%s\ncd /\numount %s/m\n"):format(
    SBIN, sh.quote(path), options or "rw", scratch.dir, scratch.dir, script, scratch.dir))
  return sh.check(("mkdir %s/m; unshare -m sh %s"):format(scratch.dir, file))
end

return M
