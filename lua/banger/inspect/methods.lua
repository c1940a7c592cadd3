---The methods of images and rootfs that look into them as the recipes of the same names do.
---What they give is plain data, which prints as the recipe does on a terminal.
local arguments = require "banger.inspect.arguments"
local banger = require "banger"
local cat = require "banger.inspect.cat"
local diff = require "banger.inspect.diff"
local edit = require "banger.inspect.edit"
local extract = require "banger.inspect.extract"
local find = require "banger.inspect.find"
local handles = require "banger.inspect.handle"
local inspect = require "banger.inspect"
local layers = require "banger.inspect.layers"
local ls = require "banger.inspect.ls"
local methods = require "banger.methods"
local result = require "banger.inspect.result"
local size = require "banger.size"
local summary = require "banger.inspect.summary"
local text = require "banger.inspect.text"
local trees = require "banger.inspect.tree"

---@class banger.tree
local Tree = {}

-- Options may be all that is given.
local function path_and_options(path, options)
  if type(path) == "table" and options == nil then
    return nil, path
  end
  return path, options
end

-- What is about a whole reference, and would be taken for that of one layer.
local function check_whole(tree, name)
  if handles.is(tree) and tree.layer then
    banger.error("usage", ("%s: %s is about all layers; banger.inspect without layer has it"):format(handles.label(tree), name))
  end
end

local LS = { long = "boolean", recursive = "boolean", directory = "boolean", human_readable = "boolean", numeric = "boolean" }

---List what is in a directory, sorted; or what one file is.
---@param path? string|banger.inspect.ls_options # default "/"; options may be all that is given
---@param options? banger.inspect.ls_options
---@return banger.stat[] # prints as `banger-lua ls` does
---@example
---```lua
---image:ls("/etc", { long = true })
---for _, st in ipairs(image:ls "/etc") do print(st.size, st.path) end
---```
---Raises `not_found`, `usage`.
function Tree:ls(path, options)
  path, options = path_and_options(path, options)
  options = arguments.options("ls", options, LS)
  local listing = ls.collect(self, { arguments.text("ls", "path", path, "/") }, options)
  return result.new(ls.entries(listing), function(out)
    ls.write(listing, options, text.escape, out)
  end)
end

---The content of files, one after the other.
---@param path string # links are followed
---@param ... string # further paths
---@return string
---@example
---```lua
---for line in image:cat("/etc/passwd"):gmatch "[^\n]+" do print(line) end
---```
---Raises `not_found`, `usage` (no file), `io`, `ext4`.
function Tree:cat(path, ...)
  local paths, parts = { path, ... }, {}
  for i = 1, math.max(1, select("#", ...) + 1) do
    paths[i] = arguments.text("cat", "path", paths[i])
  end
  for _, st in ipairs(cat.files(self, paths)) do
    cat.parts(self, st, function(part)
      parts[#parts + 1] = part
    end)
  end
  return table.concat(parts)
end

local FIND = {}
for name in pairs(find.conditions) do
  FIND[name] = true
end
FIND.empty = "boolean"

-- A mode that is a number is what `stat` has, a text is octal.
local function written(name, value)
  if name == "perm" and math.type(value) == "integer" then
    return ("%o"):format(value)
  elseif math.type(value) == "integer" then
    return tostring(value)
  elseif type(value) ~= "string" then
    banger.error("usage", ("find: '%s' must be a text or a whole number, not a %s"):format(name, type(value)))
  end
  return value
end

local function conditions(given)
  local wanted = {}
  for name, value in pairs(arguments.options("find", given, FIND)) do
    local make = find.conditions[name]
    if make then
      local made, message = make(written(name, value))
      wanted[name] = made or banger.error("usage", ("find: %s: %s"):format(name, message))
    else
      wanted[name] = value
    end
  end
  return wanted
end

---Find files by conditions, all of which must hold.
---@param path? string|banger.inspect.conditions # where to look; default: everywhere, and conditions are all that is given
---@param wanted? banger.inspect.conditions
---@return banger.stat[] # prints a path a line, as `banger-lua find` does
---@example
---```lua
---image:find { name = "*.so*", size = "+1M" }
---image:find("/usr", { perm = "/6000", type = "f" })
---```
---Raises `not_found`, `usage`.
function Tree:find(path, wanted)
  path, wanted = path_and_options(path, wanted)
  local list = {}
  find.each(self, { arguments.text("find", "path", path, "/") }, conditions(wanted), function(_, st)
    list[#list + 1] = st
  end)
  return result.new(list, function(out)
    for _, st in ipairs(list) do
      out(text.escape(st.path), "\n")
    end
  end)
end

local TREE = { depth = "integer", size = "boolean", directories = "boolean", ascii = "boolean" }

---Draw the tree below a path.
---@param path? string|banger.inspect.tree_options # default "/"; options may be all that is given
---@param options? banger.inspect.tree_options
---@return banger.inspect.tree_entry[] # prints as `banger-lua tree` does
---@example
---```lua
---image:tree("/usr", { depth = 2, size = true })
---```
---Raises `not_found`, `usage`.
function Tree:tree(path, options)
  path, options = path_and_options(path, options)
  options = arguments.options("tree", options, TREE)
  if options.depth and options.depth < 1 then
    banger.error("usage", ("tree: depth is a number of levels from 1 on, not %d"):format(options.depth))
  end
  local list, ends = {}, {}
  local counts = trees.each(self, arguments.text("tree", "path", path, "/"), options, function(entry, is_last)
    list[#list + 1], ends[entry] = entry, is_last
  end)
  return result.new(list, function(out)
    local draw = trees.drawer(options, out)
    for _, entry in ipairs(list) do
      draw(entry, ends[entry])
    end
    out("\n", trees.summary(counts, options), "\n")
  end)
end

local DIFF = { times = "boolean", content = "boolean", ignore = "string", path = "string" }

local function compare(a, b, options)
  local ignored, message
  if options.ignore then
    ignored, message = diff.ignored(options.ignore)
  end
  if message then
    banger.error("usage", "diff: ignore: " .. message)
  end
  local list = {}
  for difference in diff.each(a, b, { times = options.times, content = options.content, path = options.path, ignore = ignored }) do
    list[#list + 1] = difference
  end
  return result.new(list, function(out)
    for _, difference in ipairs(list) do
      out(diff.line(difference), "\n")
    end
  end)
end

---Say what differs between this and another image: files added, removed, changed.
---@param other banger.tree|string # a handle, or what `banger.inspect` takes
---@param options? { times?: boolean, content?: boolean, ignore?: string, path?: string } # times: of modification count too;
---  content: false does not compare bytes; ignore: attributes that do not count, with commas; path: compare only what is here and below
---@return banger.inspect.difference[] # prints as `banger-lua diff` does
---@example
---```lua
---local found = banger.open("old.ext4"):diff("new.ext4", { ignore = "owner,mode" })
---if #found == 0 then print "they are the same" end
---```
---Raises `usage`, `not_found`; what `banger.inspect` does.
function Tree:diff(other, options)
  options = arguments.options("diff", options, DIFF)
  if type(other) == "string" then
    local opened <close> = inspect.for_scripts(other)
    return compare(self, opened, options)
  elseif not methods.is_tree(other) then
    banger.error("usage", ("diff: the other must be an image, a rootfs, a reference or a name of one, not a %s"):format(type(other)))
  end
  methods.check_open(other)
  return compare(self, other, options)
end

local EXTRACT = { force = "boolean", owner = "boolean" }

---Put a file, or a directory with all below it, on this machine: whole or not at all. No link of
---the image is followed on the way.
---@param path string # a link itself, unless it ends in a slash
---@param dest string # the name it gets, or a directory that is there
---@param options? banger.inspect.extract_options
---@return banger.inspect.extracted # prints what is there now, and what could not be kept
---@example
---```lua
---image:extract("/etc/nginx", "nginx-conf")
---```
---Raises `usage` (something is there; a device), `not_found`, `io`, `no_space`, `ext4`.
function Tree:extract(path, dest, options)
  options = arguments.options("extract", options, EXTRACT)
  dest = arguments.text("extract", "destination", dest)
  local top = inspect.stat(self, arguments.text("extract", "path", path), path:find "/$" ~= nil)
  options = { force = options.force, owner = options.owner, in_script = true }
  local extracted = extract.extract(self, top, dest, options)
  return result.new(extracted, function(out)
    for _, line in ipairs(extract.losses(extracted, options)) do
      out(line, "\n")
    end
    out(extract.summary(extracted), "\n")
  end)
end

---Say what it is. Of an image: the file system, and what went into it; of a reference: manifest,
---config, platforms, layers and history; of a rootfs: how much is in it.
---@return banger.inspect.summary_of_image|banger.inspect.summary_of_reference|banger.inspect.summary_of_rootfs # by its `kind`; prints
---  as `banger-lua inspect` does
---@example
---```lua
---banger.open("out.ext4"):inspect().superblock.label
---banger.inspect("nginx"):inspect().config.config.Cmd
---```
---Raises `usage` for one layer; `not_found`, `digest`, `layer`, `network`, `ext4`, `io`.
function Tree:inspect()
  check_whole(self, "inspect")
  local found = summary.of(self)
  return result.new(found, function(out)
    summary.write(found, out)
  end)
end

local LAYERS = { files = "boolean", worst = "integer" }

---Say what each layer of a reference adds, changes, removes and wastes.
---@param options? { files?: boolean, worst?: integer } # files: list what each layer does; worst: how many of the paths that waste
---  most are printed, default 10
---@return banger.inspect.analysis # prints as `banger-lua layers` does
---@example
---```lua
---local found = banger.inspect("nginx"):layers()
---print(found.efficiency, found.wasted[1].path)
---```
---Raises `usage` for an image and a rootfs, which have no layers, and for one layer; `digest`, `layer`, `network`.
function Tree:layers(options)
  options = arguments.options("layers", options, LAYERS)
  check_whole(self, "layers")
  local analysis = layers.of(self, options)
  return result.new(analysis, function(out)
    layers.write(analysis, options, out)
  end)
end

local REPORT = { title = "string", no_image_recipes = "boolean" }

---Make a page of HTML to look at what takes the space in an image or a reference.
---@param output string # the page to write; an older page is replaced, nothing else
---@param options? banger.inspect.report_options
---@return { path: string, size: integer }
---@example
---```lua
---banger.inspect("nginx"):report "nginx.html"
---```
---Raises `usage` (something else is there; a rootfs; one layer), `not_found`, `io`; what reading the image does.
function Tree:report(output, options)
  options = arguments.options("report", options, REPORT)
  check_whole(self, "report")
  -- Much of the program, which nothing else here needs.
  local report = require "banger.inspect.report"
  local page = report.write(self, arguments.text("report", "output", output), options)
  return result.new(page, function(out)
    out(("%s: %s\n"):format(text.escape(page.path), size.format(page.size)))
  end)
end

local EDIT = { create = "boolean" }

---Change a file of an image or a rootfs, whole or not at all. Mode, owner and extended attributes
---stay. In an image the time of modification becomes now, and this handle sees the change.
---@param path string # links are followed
---@param how? string|fun(content: string): string # an editor, such as "code --wait", which gets a copy; or what makes the new content
---  of the old; default $VISUAL, $EDITOR or vi
---@param options? { create?: boolean } # create: make the file where it is missing
---@return banger.inspect.edited
---@example
---```lua
---image:edit "/etc/hosts"
---image:edit("/etc/hosts", function(content) return content .. "10.0.0.2 db\n" end)
---```
---Raises `not_found`, `usage` (no file, a reference), `io` (the editor failed), `no_space`, `ext4`.
function Tree:edit(path, how, options)
  options = arguments.options("edit", options, EDIT)
  if handles.is(self) then
    banger.error("usage", ("%s is a reference, of which nothing can be edited; pull it, and edit the image"):format(self.name))
  elseif type(how) ~= "function" and type(how) ~= "string" and how ~= nil then
    banger.error("usage", ("edit: an editor's name or a function is expected, not a %s"):format(type(how)))
  end
  local edited = edit.edit(self.path and self:path() or self, arguments.text("edit", "path", path), {
    create = options.create, change = type(how) == "function" and how or nil, editor = type(how) == "string" and how or nil,
    in_script = true,
  })
  if self.path then
    self:refresh()
  end
  return result.new(edited, function(out)
    out(edit.summary(edited), "\n")
  end)
end

return Tree
