---Files by name, whether they lie in a directory or in a tar archive: what layouts
---and archives are read through. Blobs are verified by the digest and size they are
---asked for by.
local core = require "banger.core"

local M = {}

local host = core.host

---@class banger.files
---@field name string # for messages: the path, or "standard input"
---@field title string # such as "the archive a.tar"
---@field is_archive boolean
---@field handle? banger.archive # of an archive
local Files = {}
Files.__index = Files

---What a file is called in messages.
---@param name string
---@return string
function Files:label(name)
  return self.is_archive and self.name .. ": " .. name or self.name .. "/" .. name
end

---@param name string
---@return { path: string, offset?: integer, size: integer, keep?: any }? range # nil: no file is there
---@return string? message # what is the matter, fit to follow the name
function Files:range(name)
  if self.is_archive then
    local range, why = self.handle:find(name)
    if not range then
      return nil, why
    end
    -- Whoever has the path needs the handle: without it the path may lead nowhere.
    return { path = self.handle.path, offset = range.offset, size = range.size, keep = self.handle }
  end
  local path = self.name .. "/" .. name
  local found = host.stat(path)
  if not found or found.type ~= "file" then
    return nil, found and "is no file" or "is not in it"
  end
  return { path = path, size = found.size }
end

---@param name string
---@return boolean
function Files:exists(name)
  return self:range(name) ~= nil
end

---Read a whole file, unverified.
---@param name string
---@param limit integer # bytes
---@return string
---Raises `not_found`, `io`, and `usage` or `layer` when it is larger than the limit.
function Files:read(name, limit)
  if self.is_archive then
    return self.handle:read(name, limit)
  end
  return host.read_file(self.name .. "/" .. name, limit)
end

---Whether a file of an archive is compressed, by its first bytes.
---@param name string
---@return boolean
---Raises `not_found`, `io`.
function Files:is_compressed(name)
  return self.handle:is_compressed(name)
end

---Check that a blob is there with its size, without reading it.
---@param name string
---@param descriptor banger.descriptor
---@param what string # for messages, such as "layer 2 of 6"
---@return banger.fetch_options # where the core finds it
---Raises `not_found` or `digest`.
function Files:locate(name, descriptor, what)
  local found = self:range(name)
  if not found then
    core.error("not_found", ("%s is missing: no blob %s in %s"):format(what, descriptor.digest, self.name))
  end
  if found.size ~= descriptor.size then
    core.error("digest", ("%s (%s) has %d bytes; %d expected"):format(
      what, descriptor.digest, found.size, descriptor.size))
  end
  found.digest = descriptor.digest
  return found
end

---Read a blob that fits in memory, verified.
---@param name string
---@param descriptor banger.descriptor
---@param limit integer # bytes
---@param what string # for messages
---@return string
---Raises `not_found`, `digest`, or `layer` when it is larger than the limit.
function Files:read_blob(name, descriptor, limit, what)
  if descriptor.size > limit then
    core.error("layer", ("%s (%s) has %d bytes; at most %d are accepted"):format(
      what, descriptor.digest, descriptor.size, limit))
  end
  self:locate(name, descriptor, what)
  local data = self:read(name, limit)
  local hash = host.sha256(data)
  if hash ~= descriptor.digest then
    core.error("digest", ("%s is corrupt: %s expected, its bytes are %s"):format(what, descriptor.digest, hash))
  end
  return data
end

---The files of a directory.
---@param path string
---@return banger.files
function M.directory(path)
  return setmetatable({ name = path, title = "the layout " .. path, is_archive = false }, Files)
end

---The files of a tar archive, which may be compressed.
---@param path string # "-" is standard input
---@return banger.files
---Raises `not_found`, `usage`, `layer` (no tar, or a bad one), `no_space`, `io`, `interrupted`.
function M.archive(path)
  local handle = core.archive(path)
  local title = path == "-" and handle.name or "the archive " .. handle.name
  return setmetatable({ name = handle.name, title = title, is_archive = true, handle = handle }, Files)
end

return M
