---Bounded reads of a tree that may be damaged or hostile: what cannot be read is nil, and
---noted once.
local core = require "banger.core"
local elf = require "banger.elf"

local M = {}

---@class banger.check.view
---@field tree banger.tree
---@field unreadable { path: string, message: string }[] # what the file system did not give
local View = {}
View.__index = View

local MAX_TEXT = 1024 * 1024
local MAX_UNREADABLE = 16

---@param tree banger.tree
---@return banger.check.view
function M.new(tree)
  return setmetatable({ tree = tree, unreadable = {}, failed = {}, noted = {}, programs = {} }, View)
end

local function note(view, path, message)
  if not view.noted[message] and #view.unreadable < MAX_UNREADABLE then
    view.noted[message] = true
    view.unreadable[#view.unreadable + 1] = { path = path, message = message }
  end
end

-- Links that lead in a circle are as nothing; so is a path with a zero byte.
local function ask(view, method, path, ...)
  if path:find("\0", 1, true) then
    return nil
  end
  local ok, result = pcall(view.tree[method], view.tree, path, ...)
  if ok then
    return result
  elseif not core.is_error(result) then
    error(result, 0)
  elseif result.code == "ext4" or result.code == "io" then
    view.failed[path] = true
    note(view, path, result.message)
  elseif result.code ~= "usage" and result.code ~= "not_found" then
    error(result, 0)
  end
  return nil
end

---Whether the file system did not give what was asked of a path.
function View:has_failed(path)
  return self.failed[path] == true
end

---The path's own entry, be it a link.
function View:entry(path)
  return ask(self, "stat", path)
end

---What is at a path, links followed.
function View:at(path)
  return ask(self, "stat", path, { follow = true })
end

---The path without links.
function View:resolve(path)
  return ask(self, "resolve", path)
end

function View:is(path, kind)
  local found = self:at(path)
  return found ~= nil and found.type == kind
end

function View:list(path)
  return self:is(path, "dir") and ask(self, "list", path) or {}
end

function View:read(path, offset, size)
  return self:is(path, "file") and ask(self, "read", path, { offset = offset, size = size }) or nil
end

---A configuration file; nil where there is none, and at most a MiB of it.
function View:text(path)
  return self:read(path, 0, MAX_TEXT)
end

---The lines of a configuration file, without comments and empty ones.
function View:lines(path)
  local lines = {}
  for line in (self:text(path) or ""):gmatch "[^\n]+" do
    if line:find "^%s*[^%s#]" then
      lines[#lines + 1] = line
    end
  end
  return lines
end

---A file of banger-init: strings that each end in a zero byte.
function View:strings(path)
  local list = {}
  local content = self:text(path) or ""
  for text in (content:find "[^\0]$" and content .. "\0" or content):gmatch "([^\0]*)\0" do
    list[#list + 1] = text
  end
  return list
end

---The ELF file at a path; what is wrong with it else.
---@return banger.elf?
---@return string? message
function View:elf(path)
  local real = self:resolve(path) or path
  local known = self.programs[real]
  if not known then
    known = table.pack(elf.parse(function(offset, size)
      return self:read(real, offset, size)
    end))
    self.programs[real] = known
  end
  return known[1], known[2]
end

---Whether an entry can be executed by somebody.
function M.is_executable(found)
  return found ~= nil and found.type == "file" and found.mode & tonumber("111", 8) ~= 0
end

function M.parent(path)
  return path:match "^(.+)/[^/]+$" or "/"
end

function M.base(path)
  return path:match "[^/]*$"
end

---A link's target as a path from the root.
function M.target(path, found)
  return found.target:find "^/" and found.target or (M.parent(path) .. "/" .. found.target):gsub("^//", "/")
end

return M
