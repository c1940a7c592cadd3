-- Finds files of an image:
--
--     banger-lua find out.ext4 /etc -name '*.conf' -size +10K
--     banger-lua find out.ext4 -perm /6000 -type f
--
-- What find has with one dash may have one or two. All conditions must hold.
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local find = require "banger.inspect.find"
local inspect = require "banger.inspect"
local json = require "banger.json"
local sorted = require "banger.sorted"
local text = require "banger.inspect.text"

-- What was given, as a condition; the option is named where it makes none.
local function condition(name)
  return function(given)
    local made, message = find.conditions[name](given)
    return made, message and ("-%s: %s"):format(name, message)
  end
end

local parser = argparse("banger-lua find", "Find files of an image. All conditions must hold.")
inspect.target(parser)
parser:argument("path", "Where to look; default: everywhere."):args "*"
parser:option("--name", "The name fits a pattern: *, ?, [a-z]."):argname("PATTERN"):convert(condition "name")
parser:option("--iname", "The same, whatever the case of its letters."):argname("PATTERN"):convert(condition "iname")
parser:option("--path", "The whole path fits a pattern."):argname("PATTERN"):target("whole"):convert(condition "path")
parser:option("--type", "The type: f, d, l, c, b, p or s, several with commas."):argname("TYPES"):convert(condition "type")
parser:option("--size", "Bytes, such as 100, +10M for more than, -1K for less than that."):argname("[+-]SIZE"):convert(condition "size")
parser:option("--user", "The owner, a name that the image has or a number."):argname "USER"
parser:option("--group", "The group."):argname "GROUP"
parser:option("--uid", "The owner's number, or +N, -N."):argname("[+-]N"):convert(condition "uid")
parser:option("--gid", "The group's number, or +N, -N."):argname("[+-]N"):convert(condition "gid")
parser:option("--perm", "The mode is so; -MODE: all these bits, /MODE: any."):argname("[-/]MODE"):convert(condition "perm")
parser:option("--links", "The number of names, or +N, -N."):argname("[+-]N"):convert(condition "links")
parser:option("--newer", "Modified after this file of the image."):argname "PATH"
parser:option("--xattr", "Has an extended attribute whose name fits a pattern, such as security.*."):argname("PATTERN"):convert(condition "xattr")
parser:flag("--empty", "Files and directories with nothing in them.")
parser:option("--maxdepth", "How deep to go; 0 is the paths themselves."):argname("N"):convert(condition "maxdepth")
parser:flag("-0 --print0", "End each path with a zero byte, as it is; else with a line break, escaped on a terminal.")
parser:flag("-b --escape", "Escape control characters and the like, as on a terminal.")
inspect.options(parser)

local FLAGS = { empty = true, print0 = true, print = false }
local SHORT = "^%-[hqvb0]+$"

-- What find has with one dash; other words of one dash are none of letters, as they would be elsewhere.
local function check_known(word, name)
  if name and not word:find "^%-%-" and not word:find(SHORT) then
    banger.error("usage", ("%s is no condition here; there are -%s, -empty (see --help)"):format(word,
      table.concat(sorted(find.conditions), ", -")))
  end
end

-- -name X becomes --name=X, so that X may begin with a dash.
local function two_dashes(words)
  local out, i = {}, 1
  while i <= #words do
    local name = words[i]:match "^%-%-?(%l+0?)$"
    if name and find.conditions[name] then
      out[#out + 1] = ("--%s=%s"):format(name, words[i + 1] or banger.error("usage", ("-%s needs a value (see --help)"):format(name)))
      i = i + 1
    elseif name and FLAGS[name] then
      out[#out + 1] = "--" .. name
    elseif not name or FLAGS[name] == nil then
      check_known(words[i], name)
      out[#out + 1] = words[i]
    end
    i = i + 1
  end
  return out
end

local options = cli.parse(parser, two_dashes { ... })
local tree <close> = inspect.open(options.target, options)
local wanted = setmetatable({ path = options.whole or false }, { __index = options })
local shown = options.print0 and tostring or text.printer(options.escape)
local ending = options.print0 and "\0" or "\n"
local owners = options.json and text.owners(tree)
local list = {}
find.each(tree, options.path[1] and options.path or { "/" }, wanted, function(path, st)
  if options.json then
    list[#list + 1] = json.encode(text.object(st, owners)) -- a text takes less than a table
  else
    cli.write(shown(path), ending)
  end
end)
if options.json then
  cli.write("[", table.concat(list, ","), "]\n")
end
