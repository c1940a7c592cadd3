-- Puts a file or a directory of an image on this machine:
--
--     banger-lua extract out.ext4 /etc/nginx nginx-conf
--     banger-lua extract oci:app:latest /app/config.yml .
local argparse = require "argparse"
local cli = require "banger.cli"
local extract = require "banger.inspect.extract"
local inspect = require "banger.inspect"
local json = require "banger.json"
local size = require "banger.size"
local text = require "banger.inspect.text"

local parser = argparse("banger-lua extract", "Put a file of an image, or a directory with all below it, on this machine.")
inspect.target(parser)
parser:argument("path", "What to extract; a link itself, unless it ends in a slash.")
parser:argument("dest", "The name it gets, or a directory that is there.")
parser:flag("--force", "Replace a file that is there; a directory never is.")
parser:flag("--owner", "Keep owners and set-id bits, which needs root; else all is yours.")
inspect.options(parser)
parser:epilog("What is extracted appears whole or not at all, and no link of the image is followed on the way. Modes and times are kept; "
  .. "extended attributes are not. Devices, sockets and pipes are skipped.")
local options = cli.parse(parser, { ... })

local target <close> = inspect.open(options.target, options)
local top = inspect.stat(target, options.path, options.path:find "/$" ~= nil)
local result = extract.extract(target.tree, top, options.dest, { force = options.force, owner = options.owner })

if options.json then
  local skipped = {}
  for i, item in ipairs(result.skipped) do
    skipped[i] = { type = item.type }
    text.put(skipped[i], "path", item.path)
  end
  result.skipped = skipped
  return cli.write(json.encode(result), "\n")
end
if not options.quiet then
  for _, item in ipairs(result.skipped) do
    cli.note("skipped %s: a %s", text.escape(item.path), extract.TYPE_NAMES[item.type] or item.type)
  end
  cli.note("%s: %s in %s, %s", result.path, size.format(result.bytes), text.count(result.files, "file"),
    text.count(result.directories, "directory", "directories"))
end
