-- Finds files of an image:
--
--     banger-lua find out.ext4 /etc -name '*.conf' -size +10K
--     banger-lua find out.ext4 -perm /6000 -type f
--
-- What find has with one dash may have one or two. All conditions must hold.
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local glob = require "banger.inspect.glob"
local inspect = require "banger.inspect"
local json = require "banger.json"
local sizes = require "banger.size"
local text = require "banger.inspect.text"

local TYPES = { f = "file", d = "dir", l = "symlink", c = "char", b = "block", p = "fifo", s = "socket" }

local function types(given)
  local set = {}
  for letter in (given .. ","):gmatch "([^,]*)," do
    if not TYPES[letter] then
      return nil, ("-type: '%s' is no type; f, d, l, c, b, p, s expected, several with commas"):format(letter)
    end
    set[TYPES[letter]] = true
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
  return bytes and compare(sign, bytes), message and "-size: " .. message
end

local function number_test(option)
  return function(given)
    local sign, digits = given:match "^([+-]?)(%d+)$"
    if not sign or #digits > 10 then
      return nil, ("%s: '%s' is no number"):format(option, given)
    end
    return compare(sign, math.tointeger(tonumber(digits)))
  end
end

local function perm_test(given)
  local sign, digits = given:match "^([/-]?)([0-7]+)$"
  local bits = digits and #digits <= 5 and tonumber(digits, 8)
  if not bits or bits > 4095 then
    return nil, ("-perm: '%s' is no mode; octal digits expected, after / for any of the bits, after - for all of them"):format(given)
  end
  return function(mode)
    if sign == "/" then
      return bits == 0 or mode & bits ~= 0
    end
    return sign == "-" and mode & bits == bits or sign == "" and mode == bits
  end
end

local function depth(given)
  local number = given:find "^%d+$" and #given < 9 and math.tointeger(tonumber(given))
  if not number then
    return nil, ("-maxdepth: '%s' is no number"):format(given)
  end
  return number
end

local parser = argparse("banger-lua find", "Find files of an image. All conditions must hold.")
inspect.target(parser)
parser:argument("path", "Where to look; default: everywhere."):args "*"
parser:option("--name", "The name fits a pattern: *, ?, [a-z]."):argname("PATTERN"):convert(glob.compile)
parser:option("--path", "The whole path fits a pattern."):argname("PATTERN"):target("whole"):convert(glob.compile)
parser:option("--type", "The type: f, d, l, c, b, p or s, several with commas."):argname("TYPES"):convert(types)
parser:option("--size", "Bytes, such as 100, +10M for more than, -1K for less than that."):argname("[+-]SIZE"):convert(size_test)
parser:option("--user", "The owner, a name that the image has or a number."):argname "USER"
parser:option("--group", "The group."):argname "GROUP"
parser:option("--uid", "The owner's number, or +N, -N."):argname("[+-]N"):convert(number_test "-uid")
parser:option("--gid", "The group's number, or +N, -N."):argname("[+-]N"):convert(number_test "-gid")
parser:option("--perm", "The mode is so; -MODE: all these bits, /MODE: any."):argname("[-/]MODE"):convert(perm_test)
parser:option("--links", "The number of names, or +N, -N."):argname("[+-]N"):convert(number_test "-links")
parser:option("--newer", "Modified after this file of the image."):argname "PATH"
parser:option("--xattr", "Has an extended attribute whose name fits a pattern, such as security.*."):argname("PATTERN"):convert(glob.compile)
parser:flag("--empty", "Files and directories with nothing in them.")
parser:option("--maxdepth", "How deep to go; 0 is the paths themselves."):argname("N"):convert(depth)
parser:flag("-0 --print0", "End each path with a zero byte, as it is; else with a line break, escaped on a terminal.")
parser:flag("-b --escape", "Escape control characters and the like, as on a terminal.")
inspect.options(parser)

local WITH_VALUE = {
  name = true, path = true, type = true, size = true, user = true, group = true, uid = true, gid = true, perm = true, links = true,
  newer = true, xattr = true, maxdepth = true,
}
local FLAGS = { empty = true, print0 = true, print = false }

-- -name X becomes --name=X, so that X may begin with a dash.
local function two_dashes(words)
  local out, i = {}, 1
  while i <= #words do
    local name = words[i]:match "^%-%-?(%l+0?)$"
    if name and WITH_VALUE[name] and words[i + 1] then
      out[#out + 1] = ("--%s=%s"):format(name, words[i + 1])
      i = i + 1
    elseif name and FLAGS[name] then
      out[#out + 1] = "--" .. name
    elseif not name or FLAGS[name] == nil then
      out[#out + 1] = words[i]
    end
    i = i + 1
  end
  return out
end

local options = cli.parse(parser, two_dashes { ... })
local target <close> = inspect.open(options.target, options)
local owners = text.owners(target.tree)

local function id_of(names, given, what)
  if not given then
    return nil
  end
  for id, name in pairs(names) do
    if name == given then
      return id
    end
  end
  return given:find "^%d+$" and math.tointeger(tonumber(given))
    or banger.error("not_found", ("-%s: %s has no %s '%s'"):format(what, target.name, what, given))
end

local uid, gid = id_of(owners.users, options.user, "user"), id_of(owners.groups, options.group, "group")
local newer = options.newer and inspect.stat(target, options.newer, true)

local function has_attribute(st)
  for name in pairs(st.xattrs) do
    if options.xattr(name) then
      return true
    end
  end
  return false
end

local function is_empty(st)
  return st.type == "file" and st.size == 0 or st.type == "dir" and #target.tree:list(st.path) == 0
end

local function is_newer(st)
  return st.mtime > newer.mtime or st.mtime == newer.mtime and st.mtime_nsec > newer.mtime_nsec
end

local function fits(path, st)
  return (not options.type or options.type[st.type] or false)
    and (not options.name or options.name(path == "/" and path or path:match ".*/(.*)"))
    and (not options.whole or options.whole(path))
    and (not options.size or st.type == "file" and options.size(st.size))
    and (not uid or st.uid == uid) and (not gid or st.gid == gid)
    and (not options.uid or options.uid(st.uid)) and (not options.gid or options.gid(st.gid))
    and (not options.perm or options.perm(st.mode))
    and (not options.links or options.links(st.nlink))
    and (not newer or is_newer(st))
    and (not options.xattr or has_attribute(st))
    and (not options.empty or is_empty(st))
end

-- A walk follows a link that it begins with; what was named is the link.
local function walk(top)
  if top.type == "dir" then
    return target.tree:walk(top.path, { depth = options.maxdepth })
  end
  return function(_, last)
    if not last then
      return top.path, top
    end
  end
end

local shown = options.print0 and tostring or text.printer(options.escape)
local ending = options.print0 and "\0" or "\n"
local list = {}
for _, start in ipairs(options.path[1] and options.path or { "/" }) do
  local top = inspect.stat(target, start, start:find "/$" ~= nil)
  for path, st in walk(top) do
    if fits(path, st) then
      if options.json then
        list[#list + 1] = text.object(st, owners)
      else
        cli.write(shown(path), ending)
      end
    end
  end
end
if options.json then
  cli.write(json.encode(list), "\n")
end
