---Finds files of an image by conditions, which are written as find(1) has them.
local banger = require "banger"
local cli = require "banger.cli"
local glob = require "banger.inspect.glob"
local inspect = require "banger.inspect"
local sizes = require "banger.size"
local text = require "banger.inspect.text"

local M = {}

---@class banger.inspect.conditions # all must hold; numbers may be written as numbers
---@field name? string # the name fits a pattern: *, ?, [a-z]
---@field iname? string # the same, whatever the case of its letters
---@field path? string # the whole path fits a pattern
---@field type? string # f, d, l, c, b, p or s, several with commas; or as in `banger.stat`
---@field size? integer|string # bytes, such as 100, "+10M" for more than, "-1K" for less than that
---@field user? integer|string # the owner, a name that the image has or a number
---@field group? integer|string # the group
---@field uid? integer|string # the owner's number, or "+N", "-N"
---@field gid? integer|string # the group's number, or "+N", "-N"
---@field perm? integer|string # the mode is so; "-4000": all these bits, "/6000": any
---@field links? integer|string # the number of names, or "+N", "-N"
---@field newer? string # modified after this file of the image
---@field xattr? string # has an extended attribute whose name fits a pattern
---@field empty? boolean # files and directories with nothing in them
---@field maxdepth? integer|string # how deep to go; 0 is the paths themselves

local TYPES = { f = "file", d = "dir", l = "symlink", c = "char", b = "block", p = "fifo", s = "socket" }
local IS_TYPE = {}
for _, name in pairs(TYPES) do
  IS_TYPE[name] = true
end

local function types(given)
  local set = {}
  for word in (given .. ","):gmatch "([^,]*)," do
    local name = TYPES[word] or IS_TYPE[word] and word
    if not name then
      return nil, ("'%s' is no type; f, d, l, c, b, p, s expected, several with commas"):format(word)
    end
    set[name] = true
  end
  return set
end

-- A number with a sign: more than it, less than it.
local function compare(sign, wanted)
  return function(value)
    if sign == "+" then
      return value > wanted
    end
    return sign == "-" and value < wanted or sign == "" and value == wanted
  end
end

local function size_test(given)
  local sign, rest = given:match "^([+-]?)(.*)$"
  local bytes, message = sizes.parse(rest)
  return bytes and compare(sign, bytes), message
end

local function number_test(given)
  local sign, digits = given:match "^([+-]?)(%d+)$"
  if not sign or #digits > 10 then
    return nil, ("'%s' is no number"):format(given)
  end
  return compare(sign, math.tointeger(tonumber(digits)))
end

local function perm_test(given)
  local sign, digits = given:match "^([/-]?)([0-7]+)$"
  local bits = digits and #digits <= 5 and tonumber(digits, 8)
  if not bits or bits > 4095 then
    return nil, ("'%s' is no mode; octal digits expected, after / for any of the bits, after - for all of them"):format(given)
  end
  return function(mode)
    if sign == "/" then
      return bits == 0 or mode & bits ~= 0
    end
    return sign == "-" and mode & bits == bits or sign == "" and mode == bits
  end
end

local function any_case(pattern)
  local fits = glob.compile(pattern:lower())
  return function(name)
    return fits(name:lower())
  end
end

local function text_itself(given)
  return given
end

---What each condition becomes: what `find.each` takes, or nil and a message.
---@type table<string, fun(given: string): any, string?>
M.conditions = {
  name = glob.compile, iname = any_case, path = glob.compile, xattr = glob.compile,
  type = types, size = size_test, perm = perm_test, uid = number_test,
  gid = number_test, links = number_test, maxdepth = cli.number(nil, 0), user = text_itself, group = text_itself, newer = text_itself,
}

local function id_of(tree, names, given, what)
  if not given then
    return nil
  end
  for id, name in pairs(names) do
    if name == given then
      return id
    end
  end
  return given:find "^%d+$" and math.tointeger(tonumber(given))
    or banger.error("not_found", ("%s has no %s '%s'"):format(inspect.name(tree), what, given))
end

local function has_attribute(st, fits)
  for name in pairs(st.xattrs) do
    if fits(name) then
      return true
    end
  end
  return false
end

local function is_empty(tree, st)
  return st.type == "file" and st.size == 0 or st.type == "dir" and #tree:list(st.path) == 0
end

local function is_newer(st, other)
  return st.mtime > other.mtime or st.mtime == other.mtime and st.mtime_nsec > other.mtime_nsec
end

-- A function of a path and what is there. What conditions name is looked up once.
local function test_of(tree, wanted)
  local owners = (wanted.user or wanted.group) and text.owners(tree)
  local uid = owners and id_of(tree, owners.users, wanted.user, "user")
  local gid = owners and id_of(tree, owners.groups, wanted.group, "group")
  local newer = wanted.newer and inspect.stat(tree, wanted.newer, true)
  return function(path, st)
    local name = path == "/" and path or path:match ".*/(.*)"
    return (not wanted.type or wanted.type[st.type] or false)
      and (not wanted.name or wanted.name(name)) and (not wanted.iname or wanted.iname(name))
      and (not wanted.path or wanted.path(path))
      and (not wanted.size or st.type == "file" and wanted.size(st.size))
      and (not uid or st.uid == uid) and (not gid or st.gid == gid)
      and (not wanted.uid or wanted.uid(st.uid)) and (not wanted.gid or wanted.gid(st.gid))
      and (not wanted.perm or wanted.perm(st.mode))
      and (not wanted.links or wanted.links(st.nlink))
      and (not newer or is_newer(st, newer))
      and (not wanted.xattr or has_attribute(st, wanted.xattr))
      and (not wanted.empty or is_empty(tree, st))
  end
end

-- A walk follows a link that it begins with; what was named is the link.
local function walk(tree, top, levels)
  if top.type == "dir" then
    return tree:walk(top.path, { depth = levels })
  end
  return function(_, last)
    if not last then
      return top.path, top
    end
  end
end

---Call a function for each file that fits, in the order of a walk.
---@param tree banger.tree
---@param paths string[] # where to look
---@param wanted table<string, any> # what `find.conditions` made
---@param found fun(path: string, st: banger.stat)
---@example
---```lua
---find.each(image, { "/etc" }, { name = find.conditions.name "*.conf" }, print)
---```
---Raises `not_found`.
function M.each(tree, paths, wanted, found)
  local fits = test_of(tree, wanted)
  for _, start in ipairs(paths) do
    local top = inspect.stat(tree, start, start:find "/$" ~= nil)
    for path, st in walk(tree, top, wanted.maxdepth) do
      if fits(path, st) then
        found(path, st)
      end
    end
  end
end

return M
