-- Opens a file of an image in your editor, and writes it back:
--
--     banger-lua edit out.ext4 /etc/motd
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local edit = require "banger.inspect.edit"
local inspect = require "banger.inspect"
local json = require "banger.json"
local text = require "banger.inspect.text"

local parser = argparse("banger-lua edit", "Edit a file of an ext4 image with $VISUAL, $EDITOR or vi.")
parser:argument("image", "The image: a file of ext4, which no machine or mount is using.")
parser:argument("path", "The file in it; links are followed.")
parser:option("--editor", "The command to edit with; it gets the name of a copy as a further argument."):argname "COMMAND"
parser:flag("--create", "Make the file where it is missing: of mode 0644, root's. The directory has to be there.")
parser:flag("--json", "Print the result as one JSON object.")
parser:flag("-q --quiet", "Say nothing on stderr but warnings and errors.")
parser:epilog("Mode, owner, extended attributes and what chattr set stay as they are, and so do the file's other names (hard links), which show "
  .. "the change too; the time of modification becomes now. The image is written only when the editor ends well and the content is "
  .. "another; then whole or not at all. An image that is in use, or that could not be written, is refused before the editor is run; if "
  .. "writing fails after that, the message names the file in which what was typed is kept.")
local options = cli.parse(parser, { ... })

if inspect.kind(options.image) ~= "image" then
  banger.error("usage", ("%s is no file; only an ext4 image can be edited"):format(options.image))
end

local result = edit.edit(options.image, options.path, { editor = options.editor, create = options.create })
if options.json then
  local object = { changed = result.changed, size = result.size }
  text.put(object, "path", result.path)
  return cli.write(json.encode(object), "\n")
end
if not options.quiet then
  cli.note("%s", edit.summary(result))
end
