---What `skopeo copy` writes to dir:PATH: one image, or an index with its images, as
---manifest.json and blobs that are named by their hexadecimal digits.
local core = require "banger.core"
local digest = require "banger.digest"
local files_of = require "banger.files"
local manifest = require "banger.manifest"

local M = {}

---@class banger.dir: banger.source
---@field files banger.files
---@field entry banger.descriptor # of manifest.json
local Dir = {}
Dir.__index = Dir

local host = core.host
local VERSION = "Directory Transport Version: 1."

-- The first versions wrote none.
local function check_version(files)
  if not files:exists "version" then
    return
  end
  local text = files:read("version", 4096)
  if text:sub(1, #VERSION) ~= VERSION then
    core.error("layer", ("%s says '%s'; '%s1' expected"):format(
      files:label "version", text:match "^[^\n]*", VERSION))
  end
end

---@param ref banger.reference
---@return banger.dir
---@example
---```lua
---local source = dir.open { path = "debian" }
---```
---Raises `not_found` where there is none, `layer` where it is malformed.
function M.open(ref)
  if not host.stat(ref.path) then
    core.error("not_found", ("there is no directory %s"):format(ref.path))
  end
  local files = files_of.directory(ref.path)
  if not files:exists "manifest.json" then
    core.error("not_found", ("%s is no directory of skopeo's: one with a file manifest.json expected"):format(ref.path))
  end
  check_version(files)
  local text = files:read("manifest.json", manifest.max_manifest)
  local entry = { digest = host.sha256(text), size = #text, annotations = {} }
  return setmetatable({ files = files, entry = entry }, Dir)
end

---@return banger.descriptor[]
function Dir:find()
  return { self.entry }
end

-- The images of an index are manifests of their own.
function Dir:name_of(hash)
  if hash == self.entry.digest then
    return "manifest.json"
  end
  local name = digest.hex(hash)
  local nested = name .. ".manifest.json"
  return self.files:exists(nested) and nested or name
end

---@param descriptor banger.descriptor
---@param limit integer # bytes
---@param what string # for messages
---@return string
---Raises `not_found`, `digest`, or `layer` when it is larger than the limit.
function Dir:read(descriptor, limit, what)
  return self.files:read_blob(self:name_of(descriptor.digest), descriptor, limit, what)
end

---@param descriptor banger.descriptor
---@param what string # for messages
---@return banger.fetch_options
---Raises `not_found` or `digest`.
function Dir:locate(descriptor, what)
  return self.files:locate(digest.hex(descriptor.digest), descriptor, what)
end

return M
