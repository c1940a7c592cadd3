-- Says whether an image will boot, and if not, why:
--
--     banger-lua check out.ext4
--
-- One line a finding with its remedy; exit status 1 when one is an error.
local argparse = require "argparse"
local check = require "banger.check"
local cli = require "banger.cli"
local count = require("banger.text").count
local inspect = require "banger.inspect"
local json = require "banger.json"

local function percent(text)
  local number = text:find "^%d+%.?%d*$" and tonumber(text)
  if not number or number > 100 then
    return nil, ("--free: '%s' is no number from 0 to 100"):format(text)
  end
  return number
end

local function absolute(text)
  if not text:find "^/" then
    return nil, ("--init: '%s' is no path in the image, from / on"):format(text)
  end
  return text
end

local parser = argparse("banger-lua check", "Say whether an image will boot, and if not, why.")
parser:argument("image", "The image: a file of ext4.")
parser:option("--init", "The path that the kernel is told with init=; default: what pull noted, else the kernel's own.")
  :argname("PATH"):convert(absolute)
parser:option("--free", "Percent of the space and of the inodes that should be free; default 5."):argname("PERCENT"):convert(percent)
parser:flag("--no-fsck", "Leave out e2fsck -fn, which reads all of the file system's structure.")
parser:flag("--json", "Print the result as one JSON object.")
parser:flag("-q --quiet", "Say nothing on stderr but warnings and errors; print only findings that are errors, without --json.")
cli.exits(parser, {
  { "0", "it will boot: no finding is an error" },
  { "1", "a finding is an error; or what is there is no image, or the command line is wrong, as stderr says" },
})
local options = cli.parse(parser, { ... })
inspect.check_file(options.image, "checked")
local result = check.image(options.image, { init = options.init, free = options.free, fsck = not options.no_fsck })

---@class banger.check.json # what --json prints
---@field image string
---@field boots boolean # no finding is an error
---@field errors integer
---@field warnings integer
---@field architecture? string
---@field init? banger.check.init
---@field findings banger.finding[]
if options.json then
  cli.write(json.encode {
    image = options.image, boots = result.errors == 0, errors = result.errors, warnings = result.warnings,
    architecture = result.architecture, init = result.init, findings = result.findings,
  }, "\n")
end

if not options.json then
  for _, finding in ipairs(result.findings) do
    if finding.level == "error" or not options.quiet then
      cli.write(check.line(finding), "\n")
    end
  end
end
if not options.quiet then
  local told = result.init and result.init.cmdline
  cli.note("%s: %s, %s%s", options.image, count(result.errors, "error"), count(result.warnings, "warning"),
    told and "; the kernel needs " .. told or "")
end
if result.errors > 0 then
  os.exit(1)
end
