-- Says what each layer of an image adds, changes and removes, and what is wasted. That is
-- what one layer brings and a later one hides.
--
--     banger-lua layers docker.io/library/nginx:1.27
--     banger-lua layers --max-wasted 5% --min-efficiency 0.95 oci:app:latest    # for CI
local argparse = require "argparse"
local cli = require "banger.cli"
local inspect = require "banger.inspect"
local json = require "banger.json"
local layers = require "banger.inspect.layers"
local log = require "banger.log"
local size = require "banger.size"
local text = require "banger.inspect.text"

-- Bytes, or a part of all.
local function most_wasted(given)
  local percent = given:match "^(%d+%.?%d*)%%$"
  if percent then
    if tonumber(percent) > 100 then
      return nil, ("--max-wasted: '%s' is more than 100%%"):format(given)
    end
    return { given = given, percent = tonumber(percent) }
  end
  local bytes = size.parse(given)
  if not bytes then
    return nil, ("--max-wasted: '%s' is neither a size such as 10M nor a part such as 5%%"):format(given)
  end
  return { given = given, bytes = bytes }
end

local function least_efficiency(given)
  local number = given:find "^%d*%.?%d+$" and tonumber(given)
  if not number or number > 1 then
    return nil, ("--min-efficiency: '%s' is no number from 0 to 1"):format(given)
  end
  return number
end

local parser = argparse("banger-lua layers", "Say what each layer of an image adds, changes, removes and wastes.")
inspect.target(parser)
parser:flag("--files", "List what each layer adds (+), changes (~) and removes (-).")
parser:option("--worst", "How many of the paths that waste most to list; default 10."):argname("N"):convert(cli.number("--worst", 0))
parser:option("--max-wasted", "Exit with 1 when more is wasted: bytes such as 10M, or a part of all such as 5%.")
  :argname("SIZE|PERCENT"):convert(most_wasted)
parser:option("--min-efficiency", "Exit with 1 when the score is less, such as 0.95."):argname("SCORE"):convert(least_efficiency)
inspect.options(parser, { layer = true })
parser:epilog("Wasted are bytes that one layer brings and a later one replaces or removes. The score is as dive's: for each path the least "
  .. "bytes that a layer has under it (0 where one removes it, be it with its directory, which dive does not count) to all of them. "
  .. "Directories that a layer only lists again are no change.")
cli.exits(parser, { { "1", "more is wasted, or the score is less, than is allowed; or the command line is wrong" } })
local options = cli.parse(parser, { ... })

local handle <close> = inspect.open(options.target, options)
local analysis = layers.of(handle, { files = options.files })
local image = handle.image

-- Why the image does not pass: a line for each limit that it breaks.
local failures = {}
local function fail(...)
  failures[#failures + 1] = ("%s: " .. (...)):format(options.target, select(2, ...))
end

local most = options.max_wasted
if most and (most.bytes and analysis.wasted_bytes > most.bytes
  or most.percent and layers.percent(analysis) > most.percent) then
  fail("%s (%.1f %%) are wasted, more than --max-wasted %s", size.format(analysis.wasted_bytes), layers.percent(analysis), most.given)
end
if options.min_efficiency and analysis.efficiency < options.min_efficiency then
  fail("the efficiency is %.4f, less than --min-efficiency %g", analysis.efficiency, options.min_efficiency)
end

local function object()
  for _, layer in ipairs(analysis.layers) do
    for _, change in ipairs(layer.files or {}) do
      text.put(change, "path", change.path)
    end
  end
  local worst = {}
  for i = 1, math.min(options.worst or layers.WORST, #analysis.wasted) do
    worst[i] = analysis.wasted[i]
    text.put(worst[i], "path", worst[i].path)
  end
  return {
    reference = image.reference, digest = image.digest, layers = analysis.layers, bytes = analysis.bytes,
    wasted_bytes = analysis.wasted_bytes, final_bytes = analysis.final_bytes, efficiency = analysis.efficiency, wasted = worst,
    passed = #failures == 0, failures = failures,
  }
end

if options.json then
  cli.write(json.encode(object()), "\n")
else
  layers.write(analysis, options, cli.write)
end
for _, line in ipairs(failures) do
  log.say("error", "%s", line)
end
if #failures > 0 then
  os.exit(1)
end
