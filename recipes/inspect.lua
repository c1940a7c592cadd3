-- Says what an image is. Of a reference: manifest, config, platforms, layers and history;
-- of an ext4 image: the file system, and what went into it.
--
--     banger-lua inspect docker.io/library/nginx:1.27
--     banger-lua inspect out.ext4
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local image_file = require "banger.inspect.image_file"
local inspect = require "banger.inspect"
local json = require "banger.json"
local reference = require "banger.inspect.reference"
local size = require "banger.size"
local source = require "banger.source"
local text = require "banger.inspect.text"

local parser = argparse("banger-lua inspect", "Say what an image reference or an ext4 image is made of.")
inspect.target(parser)
inspect.options(parser, { layer = true })
local options = cli.parse(parser, { ... })

local function row(name, value)
  if value and value ~= "" then
    cli.write(("%-11s %s\n"):format(name, value))
  end
end

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

-- ---- an ext4 image -----------------------------------------------------------------------

local function write_record(record)
  row("digest", text.escape(record.digest or "-"))
  row("platform", text.escape(record.platform or ""))
  row("made by", record.banger and "banger-lua " .. text.escape(record.banger))
  row("recipes", table.concat(escape_all(record.recipes), ", "))
  row("init", record.init and text.escape(("%s %s: %s"):format(record.init.kind or "-", record.init.path or "-", record.init.why or "")))
  row("cmdline", table.concat(escape_all(record.cmdline), " "))
  cli.write(("\n%s injected\n"):format(text.count(#record.injected, "entry was", "entries were")))
  for _, entry in ipairs(record.injected) do
    cli.write("  ", text.escape(("%-8s %s  (%s: %s)"):format(entry.type, entry.path, entry.item, entry.why)), "\n")
  end
end

local function time(seconds)
  return seconds > 0 and text.time(seconds) .. " UTC" or nil
end

local function write_image(found)
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
  row("content", ("%s in %s, %s, %s, %s"):format(size.format(found.content.bytes), text.count(found.content.file, "file"),
    text.count(found.content.dir, "directory", "directories"), text.count(found.content.symlink, "link"),
    text.count(found.content.other, "other")))
  if found.record then
    write_record(found.record)
  end
end

-- ---- a reference -------------------------------------------------------------------------

local function words(list)
  local out = escape_all(list)
  for i, word in ipairs(out) do
    out[i] = word:find "^[%w@%%_+=:,./-]+$" and word or ("'%s'"):format((word:gsub("'", "'\\''")))
  end
  return table.concat(out, " ")
end

local function keys(object)
  local list = {}
  for key in pairs(type(object) == "table" and object or {}) do
    list[#list + 1] = tostring(key)
  end
  table.sort(list)
  return list
end

local function plain(value)
  return type(value) == "string" and text.escape(value) or nil
end

local function write_config(config)
  local run = type(config.config) == "table" and config.config or {}
  row("created", plain(config.created))
  row("author", plain(config.author))
  row("entrypoint", words(run.Entrypoint))
  row("cmd", words(run.Cmd))
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

local function compressed(layers)
  local sum = 0
  for _, layer in ipairs(layers) do
    sum = sum + layer.size
  end
  return sum
end

local function write_reference(found)
  local image, documents = found.image, found.documents
  row("reference", text.escape(image.reference))
  row("digest", image.digest)
  row("media type", plain(image.entry.media_type))
  row("platform", text.escape(image.platform))
  for _, entry in ipairs(found.platforms) do
    row("available", ("%-16s %s"):format(text.escape(entry.platform), entry.digest))
  end
  row("config", documents.manifest.config.digest)
  write_config(documents.config_object)
  for _, name in ipairs(keys(documents.manifest_object.annotations)) do
    row("annotation", ("%s=%s"):format(text.escape(name), text.escape(tostring(documents.manifest_object.annotations[name]))))
  end
  cli.write(("\n%s, %s compressed\n"):format(text.count(#image.layers, "layer"), bytes(compressed(image.layers))))
  for i, layer in ipairs(image.layers) do
    cli.write(("%3d  %10s  %s\n"):format(i, size.format(layer.size), layer.digest))
  end
  if #found.history > 0 then
    cli.write("\nhistory\n")
  end
  for _, step in ipairs(found.history) do
    cli.write(("%3s  %s  %s\n"):format(step.layer or "-", plain((step.created or "-"):sub(1, 19)),
      text.escape(((step.created_by or step.comment or "-"):gsub("%s+", " ")))))
  end
end

local function reference_object(found)
  local image = found.image
  local layers = {}
  for i, layer in ipairs(image.layers) do
    layers[i] = { digest = layer.digest, size = layer.size, diff_id = layer.diff_id,
      media_type = found.documents.manifest.layers[i].media_type }
  end
  return {
    kind = "reference", reference = image.reference, digest = image.digest, media_type = image.entry.media_type,
    platform = image.platform, platforms = found.platforms, layers = layers, size = compressed(image.layers), history = found.history,
    config_digest = found.documents.manifest.config.digest,
  }
end

-- The documents as they are: decoding would lose what is an empty object and what an empty list.
local function reference_json(found)
  return ("%s,%q:%s,%q:%s}"):format(json.encode(reference_object(found)):sub(1, -2),
    "manifest", found.documents.manifest_text, "config", found.documents.config_text)
end

-- ---- which -------------------------------------------------------------------------------

if inspect.kind(options.target) == "image" then
  local found = image_file.read(options.target)
  if options.json then
    found.kind = "image"
    cli.write(json.encode(found), "\n")
  else
    write_image(found)
  end
  return
end

local shown <close> = inspect.progress(options)
local image = source.resolve(options.target, inspect.source_options(options, shown))
local documents = reference.documents(image)
local found = {
  image = image, documents = documents, platforms = reference.platforms(image, options.target),
  history = reference.history(documents.config_object, #image.layers),
}
if not options.json then
  write_reference(found)
elseif documents.manifest_text and documents.config_text then
  cli.write(reference_json(found), "\n")
else
  banger.error("layer", ("%s: its documents are no UTF-8; leave out --json"):format(options.target))
end
