---registries.conf, version 2: other places of registries, mirrors, and what is
---insecure or blocked. As containers-registries.conf(5) says, but for what concerns
---short names: references here have their defaults already.
local toml = require "banger.toml"

local M = {}

---@class banger.registries.mirror
---@field location string
---@field insecure boolean
---@field pull "all"|"digest-only"|"tag-only" # the references it is asked for

---@class banger.registries.registry
---@field prefix string # of references: domain[/path], or *.domain
---@field location? string # instead of the prefix; nil: the reference as it is
---@field insecure boolean # plain HTTP and certificates by anybody are fine
---@field blocked boolean
---@field mirrors banger.registries.mirror[]
---@field source string # the file, for messages

---@class banger.registries
---@field registries banger.registries.registry[]

---@class banger.registries.endpoint
---@field domain string
---@field path string
---@field insecure boolean
---@field mirror boolean

---What this module asks of the machine.
---@class banger.registries.io
---@field getenv fun(name: string): string?
---@field read_file fun(path: string): string?, string? # nil: there is none; nil and a message: it cannot be read
---@field list fun(path: string): string[]? # names in a directory; nil: there is none

local SYSTEM = "/etc/containers/registries.conf"

-- ---- parsing --------------------------------------------------------------------

local pull_words = { all = true, ["digest-only"] = true, ["tag-only"] = true }

-- Like TOML's errors, those of values are raised and returned by M.parse.
local Failure = {}

local function fail(where, format, ...)
  error(setmetatable({ line = where, message = format:format(...) }, Failure), 0)
end

local function field(from, name, kind, line)
  local value = from[name]
  if value ~= nil and type(value) ~= kind then
    fail(line, "%s is no %s", name, kind)
  end
  return value
end

-- host[:port][/path], without slashes at its end; nil when it is empty.
local function location(from, name, line)
  local value = field(from, name, "string", line)
  local text = value and value:gsub("/+$", "")
  if not value or value == "" then
    return nil
  elseif text:find "^https?://" then
    fail(line, "the %s '%s' has a scheme; host[:port][/path] expected", name, value)
  end
  local host, path = text:match "^([^/]+)(.*)$"
  local wild = name == "prefix" and host and host:match "^%*%.(.+)$"
  if not host or not (wild or host):find "^[%w%[][%w._:%[%]-]*$" or not path:find "^[%w._/-]*$" or path:find "//" then
    fail(line, "'%s' is no %s: host[:port][/path] expected", value, name)
  end
  return text
end

local function parse_mirror(entry, registry, line)
  local mirror = {
    location = location(entry, "location", line),
    insecure = field(entry, "insecure", "boolean", line) or false,
    pull = field(entry, "pull-from-mirror", "string", line) or "",
  }
  local digest_only = field(registry, "mirror-by-digest-only", "boolean")
  if not mirror.location then
    fail(line, "a mirror has no location")
  elseif mirror.pull ~= "" and not pull_words[mirror.pull] then
    fail(line, "pull-from-mirror is '%s'; all, digest-only or tag-only expected", mirror.pull)
  elseif mirror.pull ~= "" and digest_only then
    fail(line, "pull-from-mirror and mirror-by-digest-only exclude each other")
  elseif mirror.pull == "" then
    mirror.pull = digest_only and "digest-only" or "all"
  end
  return mirror
end

-- The tables of an array, each with its line.
local function tables(from, name, lines, line)
  local list = field(from, name, "table", line) or {}
  for key, value in pairs(list) do
    if type(key) ~= "number" or type(value) ~= "table" then
      fail(lines[list] or line, "%s is no array of tables", name)
    end
  end
  local i = 0
  return function()
    i = i + 1
    return list[i], lines[list[i]] or line
  end
end

local function parse_registry(entry, lines, line, name)
  local at = location(entry, "location", line)
  local registry = {
    prefix = location(entry, "prefix", line) or at,
    location = at,
    insecure = field(entry, "insecure", "boolean", line) or false,
    blocked = field(entry, "blocked", "boolean", line) or false,
    mirrors = {},
    source = name,
  }
  field(entry, "mirror-by-digest-only", "boolean", line)
  if not registry.prefix then
    fail(line, "a registry has neither prefix nor location")
  elseif field(entry, "pull-from-mirror", "string", line) then
    fail(line, "pull-from-mirror is for mirrors only")
  end
  for mirror, mirror_line in tables(entry, "mirror", lines, line) do
    table.insert(registry.mirrors, parse_mirror(mirror, entry, mirror_line))
  end
  return registry
end

local function parse_document(document, lines, name)
  local conf = { registries = {} }
  for entry, line in tables(document, "registry", lines, 1) do
    table.insert(conf.registries, parse_registry(entry, lines, line, name))
  end
  return conf
end

---Parse a registries.conf. What is not of version 2's `[[registry]]` is passed over.
---@param text string
---@param name string # the file's name, for messages
---@return banger.registries?
---@return string? message # file, line and what is wrong, when the first is nil
function M.parse(text, name)
  local document, lines = toml.parse(text)
  if not document then
    return nil, ("%s: %s"):format(name, lines)
  end
  local ok, result = pcall(parse_document, document, lines, name)
  if ok then
    return result
  elseif getmetatable(result) ~= Failure then
    error(result, 0) -- an interruption
  end
  return nil, ("%s: line %d: %s"):format(name, result.line, result.message)
end

---Several files as one: of one prefix, the last entry counts.
---@param ... banger.registries
---@return banger.registries
function M.merge(...)
  local merged, places = { registries = {} }, {}
  for _, conf in ipairs { ... } do
    for _, registry in ipairs(conf.registries) do
      local place = places[registry.prefix] or #merged.registries + 1
      places[registry.prefix] = place
      merged.registries[place] = registry
    end
  end
  return merged
end

-- ---- loading --------------------------------------------------------------------

local function set(text)
  return text and text ~= "" and text or nil
end

-- The conf of a file, false where there is none.
local function read(io, path)
  local text, message = io.read_file(path)
  if text then
    return M.parse(text, path)
  elseif message then
    return nil, message
  end
  return false
end

-- The main file's conf, and whether it is the user's own.
local function read_main(io, home)
  local named = set(io.getenv "CONTAINERS_REGISTRIES_CONF")
  if named then
    local conf, message = read(io, named)
    return conf or nil, message or ("$CONTAINERS_REGISTRIES_CONF names %s, which is not there"):format(named)
  end
  local conf, message
  if home then
    conf, message = read(io, home .. "/.config/containers/registries.conf")
  end
  if conf then
    return conf, nil, true
  elseif conf == nil and message then
    return nil, message
  end
  conf, message = read(io, SYSTEM)
  return conf == false and { registries = {} } or conf, message
end

local function read_drop_ins(io, dir, confs)
  for _, name in ipairs(io.list(dir) or {}) do
    if name:find "%.conf$" then
      local conf, message = read(io, dir .. "/" .. name)
      if conf == nil then
        return nil, message
      end
      confs[#confs + 1] = conf or nil
    end
  end
  return true
end

---Load this machine's configuration: `$CONTAINERS_REGISTRIES_CONF`, else the user's
---file, else the system's; then the drop-ins, the system's first. Who has a file of
---their own takes no part in the system's drop-ins.
---@param io banger.registries.io
---@return banger.registries? # empty where nothing is configured
---@return string? message # when the first is nil
function M.load(io)
  local home = set(io.getenv "HOME")
  local conf, message, own = read_main(io, home)
  if not conf then
    return nil, message
  end
  local confs = { conf }
  for _, dir in ipairs { not own and SYSTEM .. ".d" or "", home and home .. "/.config/containers/registries.conf.d" } do
    local ok
    if dir ~= "" then
      ok, message = read_drop_ins(io, dir, confs)
      if not ok then
        return nil, message
      end
    end
  end
  return M.merge(table.unpack(confs))
end

-- ---- resolving ------------------------------------------------------------------

-- How much of `name` a prefix covers: nil for none of it. It ends where a part ends,
-- so that a.b is no prefix of a.bc/d, nor of a.b:5000/d.
local function covers(prefix, name)
  local length = #prefix
  if prefix:find "^%*%." then
    local host, path = prefix:match "^%*(%.[^/]+)(.*)$"
    local domain = name:match "^[^/]+"
    if #domain <= #host or domain:sub(-#host) ~= host then
      return nil
    end
    prefix = domain .. path
    length = #prefix
  end
  if name:sub(1, length) ~= prefix or not (#name == length or name:find("^/", length + 1)) then
    return nil
  end
  return length
end

-- The entry that covers most, and how much; one without a wildcard goes first.
local function match(conf, name)
  local best, most
  for _, registry in ipairs(conf.registries) do
    local length = covers(registry.prefix, name)
    if length and (not most or length > most or (length == most and best.prefix:find "^%*")) then
      best, most = registry, length
    end
  end
  return best, most
end

local function endpoint(name, insecure, mirror)
  local domain, path = name:match "^([^/]+)/(.+)$"
  if not domain then
    return nil, ("'%s' names a registry, but no repository in it"):format(name)
  end
  return { domain = domain, path = path, insecure = insecure, mirror = mirror }
end

local function serves(mirror, ref)
  return mirror.pull == "all" or mirror.pull == (ref.digest and "digest-only" or "tag-only")
end

---Where to ask for a reference, in order: mirrors first, the registry itself last.
---@param conf banger.registries
---@param ref { domain: string, path: string, digest: string? }
---@return banger.registries.endpoint[]?
---@return string? message # when it is blocked, or is sent to a place without a repository
---@example
---```lua
---for _, at in ipairs(registries.resolve(conf, ref)) do print(at.domain, at.path) end
---```
function M.resolve(conf, ref)
  local name = ref.domain .. "/" .. ref.path
  local registry, length = match(conf, name)
  if not registry then
    return { endpoint(name, false, false) }
  elseif registry.blocked then
    return nil, ("%s is blocked by %s (prefix %s)"):format(name, registry.source, registry.prefix)
  end
  local rest = name:sub(length + 1)
  local places = {}
  for _, mirror in ipairs(registry.mirrors) do
    if serves(mirror, ref) then
      places[#places + 1] = { mirror.location .. rest, mirror.insecure, true }
    end
  end
  places[#places + 1] = { registry.location and registry.location .. rest or name, registry.insecure, false }
  local list = {}
  for i, place in ipairs(places) do
    local message
    list[i], message = endpoint(table.unpack(place))
    if not list[i] then
      return nil, ("%s: %s"):format(registry.source, message)
    end
  end
  return list
end

return M
