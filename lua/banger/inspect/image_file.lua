---What a finished image says of itself: the superblock, what is in use, and the record of the
---build that made it.
local banger = require "banger"
local json = require "banger.json"
local plan = require "banger.plan"
local superblock = require "banger.inspect.superblock"

local M = {}

local RECORD_LIMIT = 16 << 20

---@class banger.inspect.record # what /.banger/build.json says; what is no text there is left out here
---@field digest? string
---@field banger? string
---@field platform? string
---@field recipes string[]
---@field cmdline string[]
---@field init? { kind?: string, path?: string, why?: string }
---@field injected { path: string, type: string, item: string, why: string }[]

---@class banger.inspect.image_file
---@field path string
---@field superblock banger.inspect.superblock
---@field usage banger.df
---@field content { bytes: integer, file: integer, dir: integer, symlink: integer, other: integer } # names; bytes of all files, each once
---@field record? banger.inspect.record

local function text_or_nil(value)
  return type(value) == "string" and value or nil
end

local function texts(value)
  local list = {}
  for _, item in ipairs(type(value) == "table" and value or {}) do
    list[#list + 1] = text_or_nil(item)
  end
  return list
end

local function fields(value, names)
  local copy = {}
  for _, name in ipairs(names) do
    copy[name] = text_or_nil(value[name])
  end
  return copy
end

local function injected(value)
  local list = {}
  for _, entry in ipairs(type(value) == "table" and value or {}) do
    if type(entry) == "table" then
      list[#list + 1] = {
        path = text_or_nil(entry.path) or "?", type = text_or_nil(entry.type) or "file", item = text_or_nil(entry.item) or "?",
        why = text_or_nil(entry.why) or "?",
      }
    end
  end
  return list
end

---The record of the build that made an image.
---@param tree banger.tree
---@return banger.inspect.record? # nil where there is none that can be read
---@example
---```lua
---local record = image_file.record(banger.open "out.ext4")
---```
function M.record(tree)
  local st = tree:stat(plan.RECORD)
  local object = st and st.type == "file" and st.size <= RECORD_LIMIT and json.decode(tree:read(plan.RECORD))
  if not object then
    return nil
  end
  local platform = type(object.platform) == "table" and fields(object.platform, { "os", "architecture", "variant" })
  return {
    digest = text_or_nil(object.digest), banger = text_or_nil(object.banger), recipes = texts(object.recipes),
    cmdline = texts(object.cmdline), injected = injected(object.injected),
    platform = platform and platform.os and platform.architecture
      and table.concat({ platform.os, platform.architecture, platform.variant }, "/") or nil,
    init = type(object.init) == "table" and fields(object.init, { "kind", "path", "why" }) or nil,
  }
end

---What is in a tree.
---@param tree banger.tree
---@return { bytes: integer, file: integer, dir: integer, symlink: integer, other: integer } # as in `banger.inspect.image_file`
---@example
---```lua
---print(image_file.content(rootfs).bytes)
---```
function M.content(tree)
  local content, seen = { bytes = 0, file = 0, dir = 0, symlink = 0, other = 0 }, {}
  for _, st in tree:walk() do
    local kind = content[st.type] and st.type or "other"
    content[kind] = content[kind] + 1
    if st.type == "file" and not seen[st.id] then
      content.bytes = content.bytes + st.size
      seen[st.id] = st.nlink > 1 or nil
    end
  end
  return content
end

---What the superblock of an image says.
---@param path string
---@return banger.inspect.superblock
---@example
---```lua
---print(image_file.superblock("out.ext4").label)
---```
---Raises `ext4`.
function M.superblock(path)
  local file <close> = io.open(path, "rb")
  local bytes = file and file:seek("set", superblock.OFFSET) and file:read(superblock.SIZE) or ""
  local super, message = superblock.parse(bytes)
  return super or banger.error("ext4", ("%s: %s"):format(path, message))
end

---What a finished image says of itself.
---@param path string
---@return banger.inspect.image_file
---@example
---```lua
---print(image_file.read("out.ext4").superblock.label)
---```
---Raises `not_found`, `ext4`, `io`.
function M.read(path)
  local tree <close> = banger.open(path)
  return { path = path, superblock = M.superblock(path), usage = tree:df(), content = M.content(tree), record = M.record(tree) }
end

return M
