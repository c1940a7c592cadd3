---Credentials for registries, from the files and helper programs of docker, podman
---and skopeo.
---
---The files are asked in this order, past those that have nothing for a registry:
---`authfile`, `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json`,
---`$XDG_RUNTIME_DIR/containers/auth.json`, `$XDG_CONFIG_HOME/containers/auth.json`
---(`~/.config` by default), `~/.docker/config.json`. The first two are named by the
---user, so they have to be there and well-formed.
---
---In a file, the helper that `credHelpers` names for a registry goes first, then the
---entries of `auths` for a repository or a part of its path, the most specific one,
---then `credsStore`, then the entry for the whole registry.
---
---No message of this module, nor what `tried` tells, ever holds a secret.
local base64 = require "banger.base64"
local json = require "banger.json"

local M = {}

---@class banger.credentials.found # either a user name and password, or a token
---@field username? string
---@field password? string
---@field identity_token? string # to be exchanged at the token server
---@field registry_token? string # for the registry itself, as it is

---@class banger.credentials.options
---@field authfile? string
---@field getenv fun(name: string): string?
---@field read_file fun(path: string): string?, string? # nil: there is none; nil and a message: it cannot be read
---@field run fun(argv: string[], input: string): banger.run_result # as host.run
---@field warn fun(message: string)

---@class banger.credentials
---@field options banger.credentials.options
---@field places { path: string, named: string? }[] # the files; `named`: what names it
---@field files table<string, table> # what was read, by path
---@field attempts table<string, { path: string, why: string }[]> # by domain
---@field last string # the domain that was searched for last
---@field warned table<string, true>
local Credentials = {}
Credentials.__index = Credentials

-- What Docker Hub was and is called. Helpers know it by the first of these.
local HUB = { "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io" }

-- ---- values ---------------------------------------------------------------------

local function text_of(entry, name)
  local value = entry[name]
  return type(value) == "string" and value ~= "" and value or nil
end

-- Docker once ended passwords in zero bytes.
local function without_zeros(text)
  local last = #text
  while text:byte(last) == 0 do
    last = last - 1
  end
  return text:sub(1, last)
end

-- What an entry of `auths` says: nil when it says nothing, and a message when it
-- cannot be read.
local function read_entry(entry)
  local token, auth = text_of(entry, "identitytoken"), text_of(entry, "auth")
  if token then
    return { identity_token = token }
  elseif auth then
    local username, password = (base64.decode(auth) or ""):match "^([^:]*):(.*)$"
    if not username then
      return nil, "its auth is not base64 of a user name, ':' and a password"
    end
    password = without_zeros(password)
    return username .. password ~= "" and { username = username, password = password } or nil
  end
  local own, username = text_of(entry, "registrytoken"), text_of(entry, "username")
  if own then
    return { registry_token = own }
  end
  return username and { username = username, password = text_of(entry, "password") or "" }
end

-- A key as docker compares them: URLs come down to their host.
local function normalise(key)
  local bare = key:match "^https?://([^/]*)"
  return bare or key:match "^([^/]+)/v[12]/$" or key:match "^(.-)/*$"
end

-- The keys of a table that mean a registry: by each of its names, the very name goes
-- first, then others in order.
local function keys_of(map, domain)
  local names = domain == "docker.io" and { domain, table.unpack(HUB) } or { domain }
  local keys = {}
  for _, name in ipairs(names) do
    local others = {}
    for key in pairs(map) do
      if type(key) == "string" and key ~= name and normalise(key) == name then
        others[#others + 1] = key
      end
    end
    table.sort(others)
    if map[name] ~= nil then
      table.insert(others, 1, name)
    end
    table.move(others, 1, #others, #keys + 1, keys)
  end
  return keys
end

-- a.b/c/d, then a.b/c
local function paths_of(domain, path)
  local list = {}
  while path and path ~= "" do
    list[#list + 1] = domain .. "/" .. path
    path = path:match "^(.*)/[^/]*$"
  end
  return list
end

-- ---- files ----------------------------------------------------------------------

local function set(text)
  return text and text ~= "" and text or nil
end

local function places(options)
  local getenv = options.getenv
  local home = set(getenv "HOME")
  local docker, runtime = set(getenv "DOCKER_CONFIG"), set(getenv "XDG_RUNTIME_DIR")
  local config = set(getenv "XDG_CONFIG_HOME") or home and home .. "/.config"
  local list, seen = {}, {}
  local function add(path, named)
    if path and not seen[path] then
      seen[path] = true
      list[#list + 1] = { path = path, named = named }
    end
  end
  add(set(options.authfile), "--authfile")
  add(set(getenv "REGISTRY_AUTH_FILE"), "$REGISTRY_AUTH_FILE")
  add(docker and docker .. "/config.json")
  add(runtime and runtime .. "/containers/auth.json")
  add(config and config .. "/containers/auth.json")
  add(home and home .. "/.docker/config.json")
  return list
end

-- Keys that are no use to us may be anything.
local function parse_file(text)
  -- An empty file, such as /dev/null, names nothing.
  local object, message = json.decode(text:find "%S" and text or "{}")
  if not object then
    return nil, message
  end
  for _, name in ipairs { "auths", "credHelpers" } do
    if object[name] ~= nil and type(object[name]) ~= "table" then
      return nil, ("is malformed: %s is no object"):format(name)
    end
  end
  return { auths = object.auths or {}, helpers = object.credHelpers or {}, store = text_of(object, "credsStore") }
end

---@private
function Credentials:warn(message)
  if not self.warned[message] then
    self.warned[message] = true
    self.options.warn(message)
  end
end

-- A file, once read: { content = } or { absent = true } or { wrong = message }.
---@private
function Credentials:load(path)
  local file = self.files[path]
  if not file then
    local text, message = self.options.read_file(path)
    file = { wrong = message, absent = not text and not message }
    if text then
      file.content, message = parse_file(text)
      file.wrong = message and ("%s %s"):format(path, message)
    end
    self.files[path] = file
  end
  return file
end

-- ---- helpers --------------------------------------------------------------------

-- An answer of a helper: credentials, or nil and why there are none; `broken` when that
-- is the helper's fault. What it printed is in no message: a secret may be in it.
local function read_answer(result)
  local said = (result.out .. result.err):lower()
  if result.status ~= 0 then
    local none = said:find("credentials not found", 1, true) ~= nil
    return nil, none and "no credentials" or ("it failed with status %d"):format(result.status), not none
  end
  local answer = json.decode(result.out)
  if not answer or type(answer.Username) ~= "string" or type(answer.Secret) ~= "string" then
    return nil, "its answer is no JSON object with Username and Secret", true
  elseif answer.Secret == "" then
    return nil, "no credentials"
  elseif answer.Username == "<token>" then
    return { identity_token = answer.Secret }
  end
  return { username = answer.Username, password = answer.Secret }
end

local function run_helper(run, program, server)
  local ok, result = pcall(run, { program, "get" }, server)
  if ok then
    return read_answer(result)
  elseif type(result) ~= "table" or not result.code or result.code == "interrupted" then
    error(result, 0)
  end
  return nil, result.code == "not_found" and "it is not in PATH" or tostring(result), true
end

---@private
function Credentials:ask(name, domain, note)
  local program = "docker-credential-" .. tostring(name)
  if type(name) ~= "string" or not name:find "^[%w_][%w_.-]*$" then
    self:warn "a credential helper's name is not made of letters, digits, '_', '.' and '-'; it is passed over"
    return nil
  end
  local servers = domain == "docker.io" and { HUB[1], domain } or { domain }
  for _, server in ipairs(servers) do
    local found, why, broken = run_helper(self.options.run, program, server)
    note(program, found and "credentials for " .. server or ("%s for %s"):format(why, server))
    if broken then
      self:warn(("the credential helper %s gave nothing for %s: %s"):format(program, server, why))
    end
    if found or broken then
      return found
    end
  end
end

-- ---- finding --------------------------------------------------------------------

-- The credentials of an entry; nil, and perhaps a message.
local function use_entry(entry, key, path, note)
  if type(entry) ~= "table" then
    return nil, entry ~= nil and ("%s is malformed: the entry for %s is no object"):format(path, key) or nil
  end
  local found, wrong = read_entry(entry)
  if found then
    note(path, "credentials for " .. key)
  end
  return found, wrong and ("%s is malformed: the entry for %s: %s"):format(path, key, wrong)
end

-- The first entry of some keys that says something.
local function use_entries(auths, keys, path, note)
  for _, key in ipairs(keys) do
    local found, message = use_entry(auths[key], key, path, note)
    if found or message then
      return found, message
    end
  end
end

---@private
function Credentials:find_in(content, path, domain, repository, note)
  local helper = content.helpers[keys_of(content.helpers, domain)[1]]
  local found, message = helper and helper ~= "" and self:ask(helper, domain, note), nil
  if not found then
    found, message = use_entries(content.auths, paths_of(domain, repository), path, note)
  end
  if not found and not message and content.store and not helper then
    found = self:ask(content.store, domain, note)
  end
  if not found and not message then
    found, message = use_entries(content.auths, keys_of(content.auths, domain), path, note)
  end
  return found or nil, message
end

---@private
function Credentials:find_at(place, domain, repository, note)
  local path = place.path
  local file = self:load(path)
  local found, message
  if file.content then
    found, message = self:find_in(file.content, path, domain, repository, note)
  else
    message = file.wrong or (place.named and ("%s names %s, which is not there"):format(place.named, path))
  end
  if message and place.named then
    return nil, message
  elseif message then
    self:warn(message .. "; it is passed over")
    note(path, file.wrong and "cannot be used" or "a malformed entry")
  elseif not found then
    note(path, file.absent and "not there" or "nothing for " .. domain)
  end
  return found
end

---The credentials for a repository.
---@param domain string # of the reference: "docker.io" for Docker Hub
---@param path? string # of the repository
---@return banger.credentials.found? # nil: there are none
---@return string? message # a file that the user named is missing or malformed
---@example
---```lua
---local found, message = store:find("docker.io", "library/nginx")
---cli.check(found or not message, message)
---```
function Credentials:find(domain, path)
  local attempts = {}
  self.attempts[domain], self.last = attempts, domain
  local function note(where, why)
    attempts[#attempts + 1] = { path = where, why = why }
  end
  for _, place in ipairs(self.places) do
    local found, message = self:find_at(place, domain, path, note)
    if found or message then
      return found, message
    end
  end
end

---What the last search looked at, in order: files and helpers, and what each had.
---Without secrets, for messages.
---@param domain? string # the last search for this registry
---@return { path: string, why: string }[]
function Credentials:tried(domain)
  return self.attempts[domain or self.last] or {}
end

---Files are read when they are first needed, and once.
---@param options banger.credentials.options
---@return banger.credentials
---@example
---```lua
---local store = credentials.new { getenv = os.getenv, read_file = read, run = host.run, warn = cli.note }
---```
function M.new(options)
  return setmetatable({
    options = options, places = places(options), files = {}, attempts = {}, last = "", warned = {},
  }, Credentials)
end

return M
