-- Says what differs between two images:
--
--     banger-lua diff old.ext4 new.ext4
--     banger-lua diff oci:app:1 oci:app:2 --times
--
-- The exit status is 0 when nothing does, 1 when something does.
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local diff = require "banger.inspect.diff"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"
local xattr = require "banger.inspect.xattr"

local parser = argparse("banger-lua diff", "Say what differs between two images: files added, removed, changed.")
parser:argument("a", "A file of ext4, or an image reference as pull takes them.")
parser:argument("b", "Another.")
parser:option("--path", "Compare only what is here and below."):argname "PATH"
parser:flag("--times", "Times of modification count too.")
parser:flag("--no-content", "Do not compare the bytes of files of the same size.")
inspect.options(parser, { layer = true })
parser:epilog("The exit status is 0 when nothing differs, 1 when something does (or the command line is wrong, which stderr says), and 2 or "
  .. "more for trouble, as everywhere. With --quiet that is all that is said, and the first difference ends it. A link's mode, hard links "
  .. "and the empty /lost+found of ext4 do not count.")
local options = cli.parse(parser, { ... })

local a <close> = inspect.open(options.a, options)
local b <close> = inspect.open(options.b, options)

-- A path that only one of them has is a difference of its own.
local walk_options = { times = options.times, content = not options.no_content, path = options.path }
if options.path and not (a:stat(options.path) and b:stat(options.path)) then
  local st, other = a:stat(options.path), b:stat(options.path)
  local missing = not st and a or b
  if not st and not other then
    banger.error("not_found", ("%s: neither in %s nor in %s"):format(options.path, inspect.name(a), inspect.name(b)))
  end
  banger.error("not_found", ("%s: not in %s"):format(options.path, inspect.name(missing)))
end

local function value(attribute, side)
  local found = attribute[side]
  if attribute.name == "xattr" and found then
    return xattr.describe(attribute.key, found)
  end
  return found and text.escape(found) or "none"
end

local function describe(attribute)
  if attribute.name == "content" then
    return "content"
  end
  local name = attribute.name == "xattr" and "xattr " .. text.escape(attribute.key) or attribute.name
  return ("%s %s -> %s"):format(name, value(attribute, "a"), value(attribute, "b"))
end

local function object(difference)
  local result = {}
  text.put(result, "path", difference.path)
  if difference.kind ~= "changed" then
    result.type = (difference.a or difference.b).type
    return result
  end
  result.attributes = {}
  for i, attribute in ipairs(difference.attributes) do
    local item = { name = attribute.name, a = attribute.a and value(attribute, "a"), b = attribute.b and value(attribute, "b") }
    text.put(item, "key", attribute.key)
    result.attributes[i] = item
  end
  return result
end

local found = { added = {}, removed = {}, changed = {} }
local same = true
for difference in diff.each(a, b, walk_options) do
  same = false
  if options.json then
    table.insert(found[difference.kind], object(difference))
  elseif options.quiet then
    break
  elseif difference.kind == "changed" then
    local parts = {}
    for i, attribute in ipairs(difference.attributes) do
      parts[i] = describe(attribute)
    end
    cli.write(("changed  %s (%s)\n"):format(text.escape(difference.path), table.concat(parts, ", ")))
  else
    cli.write(("%-8s %s\n"):format(difference.kind, text.escape(difference.path)))
  end
end
if options.json then
  found.same = same
  cli.write(json.encode(found), "\n")
end
if not same then
  os.exit(1)
end
