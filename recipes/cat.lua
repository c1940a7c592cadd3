-- Prints files of an image:
--
--     banger-lua cat out.ext4 /etc/os-release
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local extract = require "banger.inspect.extract"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"

local CHUNK = 1 << 20
local JSON_LIMIT = 16 << 20

local parser = argparse("banger-lua cat", "Print files of an image, byte for byte.")
inspect.target(parser)
parser:argument("path", "Paths in the image; links are followed."):args "+"
inspect.options(parser)
local options = cli.parse(parser, { ... })

local target <close> = inspect.open(options.target, options)

-- All are looked at before the first is printed: output is whole, or there is none.
local files = {}
for i, path in ipairs(options.path) do
  local st = inspect.stat(target, path, true)
  if st.type == "dir" then
    banger.error("usage", ("%s: a directory; banger-lua ls lists it"):format(path))
  elseif st.type ~= "file" then
    banger.error("usage", ("%s: a %s, which has no content"):format(path, extract.TYPE_NAMES[st.type] or st.type))
  elseif options.json and st.size > JSON_LIMIT then
    banger.error("usage", ("%s: %d bytes are too many for JSON; print it without --json"):format(path, st.size))
  end
  files[i] = st
end

local list = {}
for i, st in ipairs(files) do
  if options.json then
    local content = target.tree:read(st.path)
    list[i] = { size = st.size, sha256 = banger.host.sha256(content):sub(8) }
    text.put(list[i], "path", st.path)
    text.put(list[i], "content", content)
  else
    for offset = 0, st.size - 1, CHUNK do
      cli.write(target.tree:read(st.path, { offset = offset, size = CHUNK }))
    end
  end
end
if options.json then
  cli.write(json.encode(list), "\n")
end
