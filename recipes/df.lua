-- Says how much room an image has:
--
--     banger-lua df -h out.ext4
local argparse = require "argparse"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local sizes = require "banger.size"

local parser = argparse("banger-lua df", "Print space and inodes of an image: all, used, free."):add_help "--help"
inspect.target(parser)
parser:flag("-h --human-readable", "Sizes such as 1.5K.")
inspect.options(parser, { layer = true })
local options = cli.parse(parser, { ... })

local tree <close> = inspect.open(options.target, options)
local df = tree:df()

if options.json then
  df.needs_recovery = df.needs_recovery or nil
  return cli.write(json.encode(df), "\n")
end

local function number(bytes)
  return bytes and (options.human_readable and sizes.short(bytes) or tostring(bytes)) or "-"
end

local function percent(part, whole)
  return whole and whole > 0 and ("%d%%"):format((part * 100 + whole - 1) // whole) or "-"
end

-- A reference is no file system yet: it has contents and names only.
local files = df.inodes_used or df.files
cli.write(("%-8s %15s %15s %15s %5s\n"):format("", "all", "used", "free", "use%"))
cli.write(("%-8s %15s %15s %15s %5s\n"):format("bytes", number(df.size), number(df.used), number(df.free), percent(df.used, df.size)))
cli.write(("%-8s %15s %15s %15s %5s\n"):format("inodes", df.inodes or "-", files, df.inodes_free or "-", percent(files, df.inodes)))
