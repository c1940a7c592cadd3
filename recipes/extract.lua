-- Puts a file or a directory of an image on this machine:
--
--     banger-lua extract out.ext4 /etc/nginx nginx-conf
--     banger-lua extract oci:app:latest /app/config.yml .
local argparse = require "argparse"
local cli = require "banger.cli"
local extract = require "banger.inspect.extract"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"

local function destination(name)
  if name == "-" then
    return nil, "files cannot go to stdout: name one (./- is one of that name); cat prints a file"
  end
  return name
end

local parser = argparse("banger-lua extract", "Put a file of an image, or a directory with all below it, on this machine.")
inspect.target(parser)
parser:argument("path", "What to extract; a link itself, unless it ends in a slash.")
parser:argument("dest", "The name it gets, or a directory that is there."):convert(destination)
parser:flag("--force", "Replace a file or a link that is there; a directory, a device, a pipe or a socket never is.")
parser:flag("--owner", "Keep owners too, set-id bits, file capabilities and devices, which needs root; else all is yours.")
inspect.options(parser)
parser:epilog("What is extracted appears whole or not at all, and no link of the image is followed on the way. Modes, times, hard links, holes, "
  .. "user. attributes and ACLs are kept, ids in ACLs as numbers. What is not kept is named on stderr: sockets always, and without --owner "
  .. "what gives somebody rights: owners, set-id bits, file capabilities, other security. and trusted. attributes, devices.")
local options = cli.parse(parser, { ... })

local tree <close> = inspect.open(options.target, options)
local top = inspect.stat(tree, options.path, options.path:find "/$" ~= nil)
local result = extract.extract(tree, top, options.dest, { force = options.force, owner = options.owner })

-- Names are bytes, and JSON has none: what is no UTF-8 gets an escaped twin.
local function escape_names(list)
  for _, item in ipairs(list) do
    text.put(item, "path", item.path)
    text.put(item, "name", item.name)
  end
end

if options.json then
  escape_names(result.skipped)
  for _, list in pairs(result.lost) do
    escape_names(list)
  end
  return cli.write(json.encode(result), "\n")
end
if not options.quiet then
  for _, line in ipairs(extract.losses(result)) do
    cli.note("%s", line)
  end
  cli.note("%s", extract.summary(result))
end
