-- Says what differs between two images:
--
--     banger-lua diff old.ext4 new.ext4
--     banger-lua diff oci:app:1 oci:app:2 --times
--     banger-lua diff oci:app:1 oci:app:2 --layer 3 --ignore owner    # one layer of each
--
-- The exit status is 0 when nothing does, 1 when something does.
local argparse = require "argparse"
local cli = require "banger.cli"
local diff = require "banger.inspect.diff"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"
local xattr = require "banger.inspect.xattr"

local function ignore(given)
  local set, message = diff.ignored(given)
  return set, message and "--ignore: " .. message
end

local parser = argparse("banger-lua diff", "Say what differs between two images, or two layers: files added, removed, changed.")
parser:argument("a", "A file of ext4, or an image reference as pull takes them.")
parser:argument("b", "Another.")
parser:option("--path", "Compare only what is here and below; may be said several times."):argname("PATH"):count "*"
parser:option("--ignore", "What does not count: " .. table.concat(diff.ATTRIBUTES, ", ") .. "; several with commas.")
  :argname("ATTRIBUTE"):convert(ignore):count "*"
parser:flag("--times", "Times of modification (mtime) count too.")
parser:flag("--no-content", "Do not compare the bytes of files of the same size.")
parser:option("--layer", "Of references: only what this layer of each brings and hides; 1 is the oldest.")
  :argname("N"):convert(cli.number("--layer", 1))
parser:option("--layer-a", "This layer of the first."):argname("N"):convert(cli.number("--layer-a", 1))
parser:option("--layer-b", "This layer of the second."):argname("N"):convert(cli.number("--layer-b", 1))
inspect.options(parser, { layer = true, quiet = "; print nothing, without --json" })
cli.exits(parser, {
  { "0", "nothing differs" },
  { "1", "something differs; or the command line is wrong, as stderr says" },
})
parser:epilog("With --quiet the exit status is all that is said, and the first difference ends it. Contents are compared byte "
  .. "by byte. Links are compared by the first name that a file has in both: 'links none -> /bin/a' is another name of /bin/a in the second "
  .. "only. What a layer hides of those below it is a whiteout. A link's mode and the empty /lost+found of ext4 do not count.")
local options = cli.parse(parser, { ... })

local function open(target, layer)
  return inspect.open(target, setmetatable({ layer = layer or options.layer or false, whiteouts = true }, { __index = options }))
end
local a <close> = open(options.a, options.layer_a)
local b <close> = open(options.b, options.layer_b)

local ignored = {}
for _, set in ipairs(options.ignore) do
  for name in pairs(set) do
    ignored[name] = true
  end
end
local walk_options = { times = options.times, content = not options.no_content, ignore = ignored, paths = options.path }

-- One side of what differs, as `stat --json` writes it.
local function put_side(item, side, attribute, st)
  local found = attribute[side]
  if found == nil then
    return
  elseif attribute.name == "xattr" then
    item[side] = xattr.object(attribute.key, found)
  elseif attribute.name == "owner" then
    item[side] = { uid = st.uid, gid = st.gid }
  elseif attribute.name == "size" then
    item[side] = st.size
  else
    text.put(item, side, found)
  end
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
    local item = { name = attribute.name }
    put_side(item, "a", attribute, difference.a)
    put_side(item, "b", attribute, difference.b)
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
  else
    cli.write(diff.line(difference), "\n")
  end
end
if options.json then
  found.same = same
  cli.write(json.encode(found), "\n")
end
if not same then
  os.exit(1)
end
