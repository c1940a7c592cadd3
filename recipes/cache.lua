-- Looks after the store of downloaded blobs:
--
--     banger-lua cache list | verify | prune | path
local argparse = require "argparse"
local banger = require "banger"
local cache = require "banger.cache"
local cli = require "banger.cli"
local digest = require "banger.digest"
local json = require "banger.json"
local platform = require "banger.platform"
local progress = require "banger.progress"
local size = require "banger.size"

local parser = argparse("banger-lua cache", "Look after the blobs that pull has downloaded.")
parser:option("--cache-dir", "Where they are; default $BANGER_CACHE, else $XDG_CACHE_HOME/banger/oci."):argname "DIR"
parser:flag("-q --quiet", "Say nothing on stderr but warnings and errors.")
cli.exits(parser, { { "6", "verify found blobs that do not match their digests" } })
parser:command_target "command"
parser:require_command(true)
local list = parser:command("list", "What was pulled, its size and when it was last used.")
list:flag("--json", "Print it as JSON.")
local verify = parser:command("verify", "Read every blob and compare it with its digest.")
verify:flag("--json", "Print the result as JSON.")
verify:option("--progress", "How to show progress; auto shows it on a terminal.", "auto"):choices { "auto", "tty", "plain", "none" }
verify:flag("--remove", "Remove those that are damaged; the next pull fetches them again.")
local prune = parser:command("prune", "Remove what no image needs, and images by age and size.")
prune:flag("--json", "Print the result as JSON.")
prune:option("--older-than", "Images not used for so long go too, such as 30d, 12h or 0.")
  :argname("TIME"):convert(cli.duration "--older-than")
prune:option("--keep-bytes", "Then those least recently used, until no more than this is left, such as 10G.")
  :argname("SIZE"):convert(cli.size "--keep-bytes")
prune:flag("--all", "All images go.")
prune:flag("--unreferenced", "Only what no image needs; the default.")
parser:command("path", "Print where the cache is."):flag("--json", "Print it as JSON.")
local options = cli.parse(parser, { ... })
local path = cli.check(cache.dir(options.cache_dir, os.getenv))

local function describe(store, image)
  return {
    reference = image.name,
    digest = image.entry.digest,
    platform = image.entry.platform and platform.format(image.entry.platform),
    size = store:size(image),
    used = image.used and os.date("!%Y-%m-%dT%H:%M:%SZ", image.used),
  }
end

local commands = {}

function commands.path()
  cli.write(options.json and json.encode { path = path } or path, "\n")
end

function commands.list()
  local store = cache.open(path)
  local images = {}
  for i, image in ipairs(store:list()) do
    images[i] = describe(store, image)
  end
  local bytes = 0
  for _, blob in ipairs(store:all_blobs()) do
    bytes = bytes + blob.size
  end
  if options.json then
    return cli.write(json.encode { path = path, size = bytes, images = images }, "\n")
  end
  for _, image in ipairs(images) do
    cli.write(("%-10s %-21s %s  %s  %s\n"):format(size.format(image.size), image.used or "-", digest.short(image.digest),
      image.platform or "-", image.reference or "-"))
  end
  cli.write(("%-10s in %s\n"):format(size.format(bytes), path))
end

-- Reads a blob of the store; what is wrong with it, or nil.
local function damage(store, blob)
  local ok, problem = pcall(function()
    local handle <close> = banger.fetch_blob { digest = blob.digest, path = store.store:path(blob.digest) }
    handle:wait()
  end)
  if not ok and not (banger.is_error(problem) and problem.code == "digest") then
    error(problem, 0)
  end
  return not ok and problem or nil
end

local function show_progress()
  local mode = options.quiet and "none" or options.progress
  return progress.new { what = "blob", mode = mode == "auto" and not banger.host.isatty(2) and "none" or mode }
end

function commands.verify()
  local store = cache.open(path)
  local damaged, blobs = {}, store:all_blobs()
  local shown <close> = show_progress()
  for i, blob in ipairs(blobs) do
    shown:start(i, blob, #blobs)
    local problem = damage(store, blob)
    shown:finish()
    if problem then
      damaged[#damaged + 1] = blob.digest
      cli.warn("%s", problem)
    end
    if problem and options.remove then
      store.store:remove(blob.digest)
    end
  end
  if options.json then
    cli.write(json.encode { path = path, blobs = #blobs, damaged = damaged, removed = options.remove or false }, "\n")
  end
  if #damaged > 0 and not options.remove then
    banger.error("digest", ("%d of %d blobs are damaged; --remove removes them, and the next pull fetches them again"):format(
      #damaged, #blobs))
  elseif not options.json then
    cli.write(("%d blobs, %d damaged%s\n"):format(#blobs, #damaged, #damaged > 0 and " and removed" or ""))
  end
end

function commands.prune()
  local store = cache.open(path)
  local removed = store:prune {
    before = options.older_than and os.time() - options.older_than + 1,
    keep_bytes = options.keep_bytes,
    all = options.all,
  }
  local names = {}
  for i, image in ipairs(removed.images) do
    names[i] = image.name or image.entry.digest
    cli.note("%s goes", names[i])
  end
  if options.json then
    return cli.write(json.encode { path = path, images = names, blobs = removed.blobs, bytes = removed.bytes }, "\n")
  end
  cli.write(("%d blobs removed, %s\n"):format(removed.blobs, size.format(removed.bytes)))
end

commands[options.command]()
