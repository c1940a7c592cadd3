---Says what an image is. Of a reference: manifest, config, platforms, layers and history; of an
---ext4 image: the file system, and what went into it; of a rootfs: how much is in it.
local banger = require "banger"
local handles = require "banger.inspect.handle"
local image_file = require "banger.inspect.image_file"
local json = require "banger.json"
local reference = require "banger.inspect.reference"
local shell = require "banger.shell"
local size = require "banger.size"
local sorted = require "banger.sorted"
local text = require "banger.inspect.text"

local M = {}

-- ---- what is known -----------------------------------------------------------------------

---@class banger.inspect.summary_of_image: banger.inspect.image_file
---@field kind "image"

---@class banger.inspect.summary_of_rootfs
---@field kind "rootfs"
---@field usage banger.df
---@field content { bytes: integer, file: integer, dir: integer, symlink: integer, other: integer } # as of an image

---@class banger.inspect.summary_of_reference
---@field kind "reference"
---@field reference string # all of it
---@field digest string # of the manifest
---@field media_type string
---@field platform string
---@field platforms { platform: string, digest: string, size: integer }[] # that an index has; none without one
---@field size integer # bytes of all layers, compressed
---@field layers { digest: string, size: integer, diff_id: string, media_type: string }[]
---@field history banger.inspect.history[]
---@field config_digest string
---@field manifest table # as it was written
---@field config table # as it was written

local function of_reference(handle)
  local image = handle.image
  local documents = reference.documents(image)
  local layers, sum = {}, 0
  for i, layer in ipairs(image.layers) do
    layers[i] = { digest = layer.digest, size = layer.size, diff_id = layer.diff_id, media_type = documents.manifest.layers[i].media_type }
    sum = sum + layer.size
  end
  return {
    kind = "reference", reference = image.reference, digest = image.digest, media_type = image.entry.media_type,
    platform = image.platform, platforms = reference.platforms(image, handle.name), layers = layers, size = sum,
    history = reference.history(documents.config_object, #image.layers), config_digest = documents.manifest.config.digest,
    manifest = documents.manifest_object, config = documents.config_object,
  }, documents
end

---What an image is.
---@param tree banger.tree
---@return banger.inspect.summary_of_image|banger.inspect.summary_of_rootfs|banger.inspect.summary_of_reference
---@return banger.inspect.documents? # of a reference
---@example
---```lua
---print(summary.of(banger.open "out.ext4").superblock.label)
---```
---Raises what reading an image or its documents does.
function M.of(tree)
  if handles.is(tree) then
    return of_reference(tree)
  elseif tree.path then
    local found = image_file.read(tree:path())
    found.kind = "image"
    return found
  end
  return { kind = "rootfs", usage = tree:df(), content = image_file.content(tree) }
end

---The same as JSON.
---@param found table # what `summary.of` gave
---@param documents? banger.inspect.documents
---@return string
---@example
---```lua
---print(summary.json(summary.of(tree)))
---```
---Raises `layer` when documents cannot be written as JSON.
function M.json(found, documents)
  if found.kind ~= "reference" then
    return json.encode(found)
  elseif not documents.manifest_text or not documents.config_text then
    banger.error("layer", ("%s: its documents are no UTF-8; leave out --json"):format(found.reference))
  end
  local rest = {}
  for name, value in pairs(found) do
    rest[name] = name ~= "manifest" and name ~= "config" and value or nil
  end
  -- The documents as they are: decoding loses what is an empty object and what an empty list.
  return ("%s,%q:%s,%q:%s}"):format(json.encode(rest):sub(1, -2), "manifest", json.harmless(documents.manifest_text),
    "config", json.harmless(documents.config_text))
end

-- ---- how it is printed -------------------------------------------------------------------

local function bytes(count)
  return ("%s (%d bytes)"):format(size.format(count), count)
end

local function escape_all(list)
  local out = {}
  for i, item in ipairs(type(list) == "table" and list or {}) do
    out[i] = text.escape(tostring(item))
  end
  return out
end

local function content_of(content)
  return ("%s in %s, %s, %s, %s"):format(size.format(content.bytes), text.count(content.file, "file"),
    text.count(content.dir, "directory", "directories"), text.count(content.symlink, "link"), text.count(content.other, "other"))
end

local function write_record(record, row, out)
  row("digest", text.escape(record.digest or "-"))
  row("platform", text.escape(record.platform or ""))
  row("made by", record.banger and "banger-lua " .. text.escape(record.banger))
  row("recipes", table.concat(escape_all(record.recipes), ", "))
  local init = record.init
  row("init", init and text.escape(("%s%s: %s"):format(init.kind or "-", init.path and (" %s"):format(init.path) or "", init.why or "")))
  row("cmdline", table.concat(escape_all(record.cmdline), " "))
  out(("\n%s injected\n"):format(text.count(#record.injected, "entry was", "entries were")))
  for _, entry in ipairs(record.injected) do
    out("  ", text.escape(("%-8s %s  (%s: %s)"):format(entry.type, entry.path, entry.item, entry.why)), "\n")
  end
end

local function time(seconds)
  return seconds > 0 and text.utc(seconds) or nil
end

local write = {}

function write.image(found, row, out)
  local super, used = found.superblock, found.usage
  row("image", text.escape(found.path))
  row("label", text.escape(super.label))
  row("uuid", super.uuid)
  row("size", ("%s, %d blocks of %d"):format(bytes(used.size), super.blocks, super.block_size))
  row("used", bytes(used.used))
  row("free", bytes(used.free) .. (super.blocks_reserved > 0 and (", %d blocks of it for root"):format(super.blocks_reserved) or ""))
  row("inodes", ("%d of %d bytes, %d used"):format(used.inodes, super.inode_size, used.inodes_used))
  row("state", super.state .. (used.needs_recovery and ", the journal holds changes" or ""))
  row("features", table.concat(super.features, " "))
  row("made", time(super.made))
  row("written", time(super.written))
  row("mounted", time(super.mounted) and ("%s, %s since the last check, last on %s"):format(time(super.mounted),
    text.count(super.mounts, "time"), text.escape(super.last_mounted)) or "never")
  row("content", content_of(found.content))
  if found.record then
    write_record(found.record, row, out)
  end
end

function write.rootfs(found, row)
  row("layers", tostring(found.usage.layers))
  row("staged", bytes(found.usage.used))
  row("content", content_of(found.content))
end

local function keys(object)
  local list = {}
  for i, key in ipairs(sorted(type(object) == "table" and object or {})) do
    list[i] = tostring(key)
  end
  return list
end

local function plain(value)
  return type(value) == "string" and text.escape(value) or nil
end

local function write_config(config, row)
  local run = type(config.config) == "table" and config.config or {}
  row("created", plain(config.created))
  row("author", plain(config.author))
  row("entrypoint", shell.quote(escape_all(run.Entrypoint)))
  row("cmd", shell.quote(escape_all(run.Cmd)))
  row("user", plain(run.User))
  row("workdir", plain(run.WorkingDir))
  row("stop signal", plain(run.StopSignal))
  row("ports", table.concat(escape_all(keys(run.ExposedPorts)), " "))
  row("volumes", table.concat(escape_all(keys(run.Volumes)), " "))
  for _, variable in ipairs(escape_all(run.Env)) do
    row("env", variable)
  end
  for _, name in ipairs(keys(run.Labels)) do
    row("label", ("%s=%s"):format(text.escape(name), text.escape(tostring(run.Labels[name]))))
  end
end

function write.reference(found, row, out)
  row("reference", text.escape(found.reference))
  row("digest", found.digest)
  row("media type", plain(found.media_type))
  row("platform", text.escape(found.platform))
  for _, entry in ipairs(found.platforms) do
    row("available", ("%-16s %s"):format(text.escape(entry.platform), entry.digest))
  end
  row("config", found.config_digest)
  write_config(found.config, row)
  local annotations = found.manifest.annotations
  for _, name in ipairs(keys(annotations)) do
    row("annotation", ("%s=%s"):format(text.escape(name), text.escape(tostring(annotations[name]))))
  end
  out(("\n%s, %s compressed\n"):format(text.count(#found.layers, "layer"), bytes(found.size)))
  for i, layer in ipairs(found.layers) do
    out(("%3d  %10s  %s\n"):format(i, size.format(layer.size), layer.digest))
  end
  if #found.history > 0 then
    out("\nhistory\n")
  end
  for _, step in ipairs(found.history) do
    out(("%3s  %s  %s\n"):format(step.layer or "-", plain((step.created or "-"):sub(1, 19)),
      text.escape(((step.created_by or step.comment or "-"):gsub("%s+", " ")))))
  end
end

---Print it for people.
---@param found table # what `summary.of` gave
---@param out fun(...: string) # called for each line
---@example
---```lua
---summary.write(summary.of(tree), io.write)
---```
function M.write(found, out)
  write[found.kind](found, function(name, value)
    if value and value ~= "" then
      out(("%-11s %s\n"):format(name, value))
    end
  end, out)
end

return M
