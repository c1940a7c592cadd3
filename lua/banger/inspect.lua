---Looking into images: a finished ext4 file, an image reference whose layers are put on top
---of each other for the time being, or one layer of it. Nothing is changed.
local arguments = require "banger.inspect.arguments"
local banger = require "banger"
local cli = require "banger.cli"
local handles = require "banger.inspect.handle"
local layer_view = require "banger.inspect.layer_view"
local platform = require "banger.platform"
local progress = require "banger.progress"
local source = require "banger.source"
local text = require "banger.inspect.text"

local M = {}

local ENOENT = 2
local MAGIC_AT = 1024 + 0x38

local function is_ext4(path)
  local file <close> = io.open(path, "rb")
  return file and file:seek("set", MAGIC_AT) and file:read(2) == "\x53\xEF"
end

---What a target is: a file of ext4 is an image, everything else a reference as pull takes
---them.
---@param target string
---@return "image"|"reference"
---@example
---```lua
---inspect.kind "out.ext4"   --> "image"
---inspect.kind "oci:app:1"  --> "reference"
---```
---Raises `usage` for a file that is neither, `not_found` for one that is not there, `io`.
function M.kind(target)
  local found = banger.host.stat(target)
  if found and found.type ~= "dir" and found.type ~= "file" then
    banger.error("usage", ("%s is no ext4 image, for it is no regular file"):format(target)) -- a pipe would be waited for
  elseif found and found.type == "file" then
    if is_ext4(target) then
      return "image"
    end
    local file, message = io.open(target, "rb")
    if not file then
      banger.error("io", ("%s cannot be read: %s"):format(target, message:match ": ([^:]*)$" or message))
    end
    file:close()
    banger.error("usage", ("%s is no ext4 image; an archive is named oci-archive:%s or docker-archive:%s"):format(
      target, target, target))
  elseif found and not target:find ":" then
    banger.error("usage", ("%s is a directory; a layout is named oci:%s"):format(target, target))
  elseif target:find "%.ext4$" or target:find "%.img$" or target:find "^%.?%.?/" then
    local _, message, number = io.open(target, "rb") -- it may only be out of sight
    if number ~= ENOENT then
      banger.error("io", ("%s cannot be read: %s"):format(target, message:match ": ([^:]*)$" or message))
    end
    banger.error("not_found", ("%s: no such file"):format(target))
  end
  return "reference"
end

---Refuse a reference where only a file of ext4 will do. What a file is, opening it tells.
---@param target string
---@param done string # what is done with it: "checked"
---@example
---```lua
---inspect.check_file("oci:app:1", "booted")  -- raises
---```
---Raises `usage`.
function M.check_file(target, done)
  local ok, kind = pcall(M.kind, target)
  if ok and kind == "reference" then
    banger.error("usage", ("%s is no file; only an ext4 image can be %s, and pull makes one"):format(target, done))
  end
end

local function is_dir(path)
  local found = banger.host.stat(path)
  return found and found.type == "dir"
end

-- Contents can be many: not where a file system in memory often is, unless told so.
local function temporary_dir()
  local told = os.getenv "TMPDIR"
  return told and told ~= "" and told or is_dir "/var/tmp" and "/var/tmp" or "/tmp"
end

---What `source.resolve` wants, of a recipe's options.
---@param options table # parsed; see `inspect.options`
---@param shown banger.progress
---@return table
---@example
---```lua
---local image = source.resolve(options.target, inspect.source_options(options, shown))
---```
---Raises `usage`.
function M.source_options(options, shown)
  local all = setmetatable({ out = temporary_dir() .. "/x" }, { __index = options })
  return cli.source_options(all, options.platform, shown)
end

---How a recipe shows progress: on a terminal only, unless told.
---@param options table # parsed; see `inspect.options`
---@return banger.progress
---@example
---```lua
---local shown <close> = inspect.progress(options)
---```
function M.progress(options)
  local mode = options.quiet and "none" or options.progress or "auto"
  if mode == "auto" and not banger.host.isatty(2) then
    mode = "none"
  end
  return progress.new { mode = mode }
end

---Put the layers of an image on top of each other in an unnamed file, oldest first.
---@param image banger.image
---@param shown banger.progress
---@param last? integer # the last layer to put there; default: all
---@param each? fun(rootfs: banger.rootfs, layer: integer, report: banger.layer_report) # called after each layer
---@return banger.rootfs
---@return banger.layer_report[]
---@example
---```lua
---local rootfs <close> = inspect.flatten(source.resolve(ref, options), shown)
---```
---Raises what `banger.flatten_layer` does.
function M.flatten(image, shown, last, each)
  local count = last or #image.layers
  local rootfs, reports = image:retry(function()
    local tree, list, blobs = banger.rootfs { near = temporary_dir() .. "/banger-inspect.ext4" }, {}, {}
    for i = 1, count do
      blobs[i] = banger.fetch_blob(image.layers[i].source)
    end
    for i = 1, count do
      list[i] = banger.flatten_layer(tree, blobs[i], {
        diff_id = image.layers[i].diff_id,
        progress = shown:start(i, image.layers[i], count),
      })
      blobs[i]:close()
      shown:finish()
      if each then
        each(tree, i, list[i])
      end
    end
    return tree, list
  end)
  if count == #image.layers then
    image:remember()
  end
  return rootfs, reports
end

local function open_reference(target, options)
  local function progress_shown()
    return M.progress(options)
  end
  local image
  do
    local shown <close> = progress_shown()
    image = source.resolve(target, M.source_options(options, shown))
  end
  local layer = options.layer
  if layer and layer > #image.layers then
    banger.error("usage", ("%s has %s: there is no layer %d"):format(target, text.count(#image.layers, "layer"), layer))
  end
  return handles.new(target, image, progress_shown, function(shown)
    if not layer then
      return (M.flatten(image, shown))
    end
    local each, hidden = layer_view.watch(layer)
    local tree = M.flatten(image, shown, layer, options.whiteouts and each or nil)
    return layer_view.new(tree, layer, hidden())
  end, layer or nil)
end

---Open what a target names. Of a reference, the layers are fetched when they are needed.
---@param target string # a file of ext4, or an image reference
---@param options? table # of a recipe with `inspect.options`: layer, platform and those about registries; whiteouts: a layer's view has them
---@return banger.image_file|banger.inspect.handle
---@example
---```lua
---local tree <close> = inspect.open "out.ext4"
---print(tree:read "/etc/os-release")
---```
---Raises what `banger.open`, `source.resolve` and `banger.flatten_layer` do.
function M.open(target, options)
  options = options or {}
  if options.platform then
    cli.check(platform.parse(options.platform)) -- an image has no other, but a wrong word is one
  end
  if M.kind(target) == "reference" then
    return open_reference(target, options)
  elseif options.layer then
    banger.error("usage", ("%s is an ext4 image, which has no layers; name the reference it was made of"):format(target))
  end
  local image = banger.open(target)
  if image:df().needs_recovery then
    cli.warn("%s is in use, or was not unmounted: its journal holds changes that are not seen here; stop what uses it, and if nothing "
      .. "does, run e2fsck -fy on it", target)
  end
  return image
end

---What messages call a tree.
---@param tree banger.tree
---@return string
---@example
---```lua
---inspect.name(banger.open "out.ext4")  --> "out.ext4"
---```
function M.name(tree)
  if handles.is(tree) then
    return handles.label(tree)
  end
  return tree.path and tree:path() or "the image"
end

---A reference that is looked into, and nothing else.
---@param tree banger.tree
---@return banger.inspect.handle
---@example
---```lua
---local image = inspect.reference(tree).image
---```
---Raises `usage`: an image and a rootfs have no layers that could be told apart.
function M.reference(tree)
  if handles.is(tree) then
    return tree
  elseif tree.path then
    banger.error("usage", ("%s is an ext4 image, which has no layers; name the reference it was made of"):format(tree:path()))
  end
  banger.error("usage", "a rootfs does not keep its layers apart; banger.inspect(REFERENCE) does")
end

---What is at a path of a tree.
---@param tree banger.tree
---@param path string
---@param follow? boolean # a link at the path's end too
---@return banger.stat
---@example
---```lua
---local st = inspect.stat(tree, "/etc/passwd")
---```
---Raises `not_found`, which says whether a link leads nowhere; what the tree raises.
function M.stat(tree, path, follow)
  if path:find("\0", 1, true) then
    banger.error("usage", ("%s: no path has a zero byte"):format(path))
  end
  local st = tree:stat(path, { follow = follow })
  if st then
    if st.type ~= "dir" and path:find "/%.?$" and (follow or st.type ~= "symlink") then
      banger.error("not_found", ("%s: not a directory in %s"):format(path, M.name(tree)))
    end
    return st
  elseif follow and tree:stat(path) then
    banger.error("not_found", ("%s: a link that leads nowhere in %s"):format(path, M.name(tree)))
  end
  banger.error("not_found", ("%s: not in %s"):format(path, M.name(tree)))
end

---@class banger.inspect_options # of references
---@field layer? integer # only what this layer brings; 1 is the oldest
---@field platform? string # such as linux/arm64; default: this machine's
---@field authfile? string # a file of credentials
---@field tls_verify? boolean # whether a registry must prove who it is; default true
---@field jobs? integer # downloads at once; default 6
---@field pull? "always"|"missing"|"never" # when to ask a registry what a tag stands for
---@field offline? boolean # use nothing but the cache
---@field cache_dir? string # where blobs are kept
---@field no_cache? boolean # keep nothing that is downloaded
---@field progress? "auto"|"tty"|"plain"|"none" # default auto: on a terminal

local KNOWN = {
  layer = "integer", platform = "string", authfile = "string", tls_verify = "boolean", jobs = "integer", offline = "boolean",
  cache_dir = "string", no_cache = "boolean", pull = { "always", "missing", "never" }, progress = { "auto", "tty", "plain", "none" },
}

---What `banger.inspect` is: `open`, of options that a script gives.
---@param target string
---@param options? banger.inspect_options
---@return banger.image_file|banger.inspect.handle
---@example
---```lua
---local tree <close> = inspect.for_scripts("oci:app:1", { layer = 2 })
---```
---Raises `usage`; what `open` does.
function M.for_scripts(target, options)
  local given = { quiet = true, whiteouts = true }
  for name, value in pairs(arguments.options("inspect", options, KNOWN)) do
    given[name] = value
  end
  if given.layer and given.layer < 1 then
    banger.error("usage", ("inspect: layer is a number from 1 on, not %d"):format(given.layer))
  end
  given.progress = given.progress or "auto"
  given.tls_verify = tostring(given.tls_verify)
  return M.open(arguments.text("inspect", "target", target), given)
end

---Add the argument that says what to look into.
---@param parser table # of argparse
---@example
---```lua
---inspect.target(parser)
---inspect.options(parser)
---local options = cli.parse(parser, { ... })
---local tree <close> = inspect.open(options.target, options)
---```
function M.target(parser)
  parser:argument("target", "What to look into: a file of ext4, or an image reference as pull takes them.")
end

---Add the options that all recipes have which look into images; after their own, as help
---shows them in this order.
---@param parser table # of argparse
---@param leave_out? { layer?: boolean, quiet?: string } # true: not this one; what else -q leaves out
---@example
---```lua
---inspect.options(parser, { layer = true })
---```
function M.options(parser, leave_out)
  parser:flag("--json", "Print JSON.")
  parser:flag("-q --quiet", ("Say nothing on stderr but warnings and errors%s."):format(leave_out and leave_out.quiet or ""))
  if not (leave_out and leave_out.layer) then
    parser:option("--layer", "Of a reference: only what this layer brings; 1 is the oldest.")
      :argname("N"):convert(cli.number("--layer", 1))
  end
  parser:option("--platform", "Of a reference: the platform, such as linux/arm64; default: this machine's."):argname "OS/ARCH"
  cli.registry_options(parser)
  parser:option("--progress", "How to show progress; auto shows it on a terminal.", "auto")
    :choices { "auto", "tty", "plain", "none" }
end

return M
