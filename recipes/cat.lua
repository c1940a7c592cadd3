-- Prints files of an image:
--
--     banger-lua cat out.ext4 /etc/os-release
local argparse = require "argparse"
local banger = require "banger"
local cat = require "banger.inspect.cat"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"

local JSON_LIMIT = 16 << 20

local parser = argparse("banger-lua cat", "Print files of an image, byte for byte.")
inspect.target(parser)
parser:argument("path", "Paths in the image; links are followed."):args "+"
inspect.options(parser)
local options = cli.parse(parser, { ... })

local tree <close> = inspect.open(options.target, options)

-- All are looked at before the first is printed: output is whole, or there is none.
local files = cat.files(tree, options.path)
if not options.json then
  for _, st in ipairs(files) do
    cat.parts(tree, st, cli.write)
  end
  return
end

local list = {}
for _, st in ipairs(files) do
  if st.size > JSON_LIMIT then
    banger.error("usage", ("%s: %d bytes are too many for JSON; print it without --json"):format(st.path, st.size))
  end
end
for i, st in ipairs(files) do
  local content = tree:read(st.path)
  list[i] = { size = st.size, sha256 = banger.host.sha256(content):sub(8) }
  text.put(list[i], "path", st.path)
  text.put(list[i], "content", content)
end
cli.write(json.encode(list), "\n")
