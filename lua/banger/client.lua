---One registry, spoken to by the distribution specification: requests with the
---credentials that it asks for. Bytes move in the core; what they mean is here.
local base64 = require "banger.base64"
local challenge = require "banger.challenge"
local core = require "banger.core"
local json = require "banger.json"
local log = require "banger.log"

local M = {}

M.max_token = 1024 * 1024 -- bytes of an answer that holds a token

-- Docker Hub's images are named after a host that serves none of them.
local HOSTS = { ["docker.io"] = "registry-1.docker.io" }

---@class banger.client_options
---@field name string # of the image, for messages
---@field domain string # as references have it, with a port if it has one
---@field insecure boolean # take any certificate, and plain HTTP
---@field credentials banger.credentials
---@field tls { ca: string?, cert: string?, key: string? } # ca: PEM text, to trust instead of the system's
---@field getenv fun(name: string): string?
---@field note fun(text: string) # told what is being waited for

---@class banger.client
---@field options banger.client_options
---@field base string? # "https://host", once it is known how it is spoken to
---@field authorization table<string, string> # the header by scope
local Client = {}
Client.__index = Client

---@param options banger.client_options
---@return banger.client
function M.new(options)
  return setmetatable({ options = options, authorization = {} }, Client)
end

-- ---- transport ------------------------------------------------------------------

local function is_loopback(domain)
  local host = domain:gsub(":%d+$", "")
  return host == "localhost" or host:find "^127%.%d+%.%d+%.%d+$" ~= nil or host == "[::1]"
end

local function number(getenv, name)
  local value = tonumber(getenv(name) or "")
  return value and value >= 0 and math.floor(value) or nil
end

-- libcurl reads the environment as curl does, which knows HTTP_PROXY in lower case
-- only, and sends what is for this machine to the proxy too; the programs people
-- compare with do not.
local function proxy_for(url, getenv)
  if is_loopback(url:match "^%w+://([^/]+)" or "") then
    return ""
  elseif url:find "^http:" and not getenv "http_proxy" then
    local proxy = getenv "HTTP_PROXY"
    return proxy ~= "" and proxy or nil
  end
end

---A request as the core wants it.
---@param url string
---@param headers string[]
---@param more? table
---@return table
function Client:prepare(url, headers, more)
  local options = self.options
  local request = {
    url = url,
    headers = headers,
    insecure = options.insecure,
    ca = options.tls.ca,
    cert = options.tls.cert,
    key = options.tls.key,
    proxy = proxy_for(url, options.getenv),
    -- For tests and for odd networks; the defaults are the core's.
    stall = number(options.getenv, "BANGER_STALL_SECONDS"),
    backoff = number(options.getenv, "BANGER_BACKOFF_MS"),
    note = options.note,
  }
  for name, value in pairs(more or {}) do
    request[name] = value
  end
  return request
end

---Ask, and say in the log what was asked and what came: without what may be a secret.
---@param request table # of `prepare`
---@param limit? integer # bytes of the answer
---@return table answer # of core.http
function Client.send(_, request, limit)
  if not log.shows "debug" then
    return core.http(request, limit)
  end
  local begun = core.host.clock()
  local ok, answer = pcall(core.http, request, limit)
  local what = ("%s %s"):format(request.method or "GET", log.url(request.url))
  if not ok then
    log.say("debug", "%s: %s", what, log.redact(tostring(answer)))
    error(answer, 0)
  end
  local from = answer.elsewhere and " from " .. log.url(answer.url) or ""
  log.say("debug", "%s: %d, %d bytes, %.2f s%s", what, answer.status, #answer.body, core.host.clock() - begun, from)
  return answer
end

-- ---- tokens ---------------------------------------------------------------------

local function basic(found)
  return "Basic " .. base64.encode(found.username .. ":" .. found.password)
end

local function escape(text)
  return (text:gsub("[^%w._~-]", function(char)
    return ("%%%02X"):format(char:byte())
  end))
end

local function query(fields)
  local list = {}
  for _, field in ipairs(fields) do
    if field[2] then
      list[#list + 1] = field[1] .. "=" .. escape(field[2])
    end
  end
  return table.concat(list, "&")
end

-- What was looked at for credentials, without a secret in it.
local function describe_tried(credentials, domain)
  local list = {}
  for _, tried in ipairs(credentials:tried(domain)) do
    list[#list + 1] = ("%s (%s)"):format(tried.path, tried.why)
  end
  return #list > 0 and "looked at: " .. table.concat(list, ", ") or "no file of credentials was found"
end

---Raise `auth`.
---@param what string
function Client:refuse(what)
  local options = self.options
  core.error("auth", ("%s: %s; %s"):format(options.name, what, describe_tried(options.credentials, options.domain)))
end

function Client:find_credentials(path)
  local found, message = self.options.credentials:find(self.options.domain, path)
  if message then
    core.error("usage", message)
  end
  return found
end

-- RFC 6749 section 6 where an identity token is at hand, else docker's own GET
-- (distribution's token specification).
local function token_request(realm, service, scope, found)
  if found and found.identity_token then
    local form = query {
      { "grant_type", "refresh_token" }, { "service", service }, { "scope", scope }, { "client_id", "banger-lua" },
      { "refresh_token", found.identity_token },
    }
    return realm, { "Content-Type: application/x-www-form-urlencoded" }, { method = "POST", body = form }
  end
  local fields = query { { "service", service }, { "scope", scope }, { "account", found and found.username } }
  local url = fields == "" and realm or realm .. (realm:find "?" and "&" or "?") .. fields
  return url, found and { "Authorization: " .. basic(found) } or {}
end

function Client:check_realm(realm)
  local secure = self.base:find "^https:"
  local host = realm:match "^%w+://([^/?]+)"
  if secure and not realm:lower():find "^https:" and not (self.options.insecure or is_loopback(host)) then
    core.error("network", ("%s sends for its tokens to %s, which is not secure"):format(self.options.domain, log.url(realm)))
  end
end

function Client:fetch_token(params, scope, found)
  self:check_realm(params.realm)
  local url, headers, more = token_request(params.realm, params.service, scope, found)
  local answer = self:send(self:prepare(url, headers, more), M.max_token)
  if answer.status == 400 or answer.status == 401 or answer.status == 403 then
    self:refuse(("%s refuses %s (%d)"):format(log.url(params.realm), found and "the credentials" or "to let anyone in", answer.status))
  elseif answer.status ~= 200 then
    core.error("network", ("%s answers %d when asked for a token"):format(log.url(params.realm), answer.status))
  end
  local object, message = json.decode(answer.body)
  local token = object and (object.token ~= "" and object.token or object.access_token)
  if type(token) ~= "string" or token == "" or token:find "[^\x21-\x7e]" then
    core.error("network", ("%s gives no token: the answer %s"):format(log.url(params.realm), message or "has none in it"))
  end
  return "Bearer " .. token
end

---The header that answers a challenge.
---@param text? string # WWW-Authenticate
---@param path string # of the repository
---@param used? string # the header that was refused
---@return string
---Raises `auth`, `network`.
function Client:authorize(text, path, used)
  -- Another request has renewed it meanwhile: one challenge a scope is enough.
  local known = self.authorization[path]
  if known and known ~= used then
    return known
  end
  local list, message = challenge.parse(text or "")
  local picked
  if list then
    picked, message = challenge.pick(list)
  end
  if not picked then
    core.error("auth", ("%s: the registry wants credentials, but its challenge %s"):format(self.options.name, message))
  end
  local found = self:find_credentials(path)
  local header
  if found and found.registry_token then
    header = "Bearer " .. found.registry_token
    if header == used then
      self:refuse "the registry's own token was refused"
    end
  elseif picked.scheme == "bearer" then
    local scope = picked.params.scope or ("repository:%s:pull"):format(path)
    header = self:fetch_token(picked.params, scope, found)
  elseif not found or not found.username then
    self:refuse "credentials are wanted and none were found"
  else
    header = basic(found)
    if header == used then
      self:refuse "the credentials were refused"
    end
  end
  self.authorization[path] = header
  return header
end

-- ---- requests -------------------------------------------------------------------

local MAX_ANSWERS = 2 -- to the challenges of one request

function Client:headers(path, accept)
  local list = {}
  for _, media_type in ipairs(accept or {}) do
    list[#list + 1] = "Accept: " .. media_type
  end
  list[#list + 1] = self.authorization[path] and "Authorization: " .. self.authorization[path] or nil
  return list
end

function Client:ask_once(base, path, rest, options)
  local url = ("%s/v2/%s/%s"):format(base, path, rest)
  local more = { method = options.method, tries = options.tries }
  return self:send(self:prepare(url, self:headers(path, options.accept), more), options.limit)
end

local function try(self, scheme, path, rest, options, tries)
  local once = setmetatable({ tries = tries }, { __index = options })
  local ok, answer = pcall(self.ask_once, self, scheme .. (HOSTS[self.options.domain] or self.options.domain), path, rest, once)
  if not ok and (not core.is_error(answer) or answer.code ~= "network") then
    error(answer, 0)
  end
  return ok, answer
end

local transient = { [408] = true, [429] = true, [500] = true, [502] = true, [503] = true, [504] = true }

-- How the registry is spoken to: by TLS, or in the clear where that is allowed. And
-- the answer, if there was one on the way.
function Client:find_scheme(path, rest, options)
  if not (self.options.insecure or is_loopback(self.options.domain)) then
    return "https://"
  end
  local ok, problem = try(self, "https://", path, rest, options, 1)
  if ok then
    return "https://", problem
  elseif problem.message:find("its certificate", 1, true) then
    error(problem, 0) -- who it is has to be settled, not avoided
  elseif problem.message:find("plain HTTP", 1, true) then
    return "http://"
  end
  -- To plain HTTP a server of TLS answers 400, if at all.
  local plain, answer = try(self, "http://", path, rest, options, 1)
  if plain and answer.status ~= 400 then
    return "http://", answer
  end
  return "https://"
end

function Client:find_base(path, rest, options)
  local scheme, answer = self:find_scheme(path, rest, options)
  local base = scheme .. (HOSTS[self.options.domain] or self.options.domain)
  if not answer or transient[answer.status] then
    answer = self:ask_once(base, path, rest, options)
  end
  self.base = base
  return answer
end

---Ask for something of a repository. Challenges are answered; every other status is
---the caller's.
---@param path string # of the repository
---@param rest string # such as "manifests/latest"
---@param options { method?: string, accept?: string[], limit?: integer }
---@return { status: integer, url: string, headers: table<string, string>, body: string }
---Raises `auth`, `network`.
function Client:ask(path, rest, options)
  local answer = self.base and self:ask_once(self.base, path, rest, options) or self:find_base(path, rest, options)
  for _ = 1, MAX_ANSWERS do
    if answer.status ~= 401 then
      return answer
    elseif answer.elsewhere then
      core.error("auth", ("%s: the registry sends us to %s, which wants credentials that are not for it"):format(
        self.options.name, log.url(answer.url)))
    end
    self:authorize(answer.headers["www-authenticate"], path, self.authorization[path])
    answer = self:ask_once(self.base, path, rest, options)
  end
  if answer.status == 401 then
    self:refuse "what it asked for was given, and refused"
  end
  return answer
end

---What `fetch_blob` wants for a blob of a repository.
---@param path string
---@param hash string # its digest
---@return table
function Client:blob_request(path, hash)
  -- As the token may be renewed by then, the headers are those of the start; the
  -- core asks `authorize` when they are refused.
  local used = self.authorization[path]
  local request = self:prepare(("%s/v2/%s/blobs/%s"):format(self.base, path, hash), self:headers(path))
  request.trace = log.shows "debug"
  request.authorize = function(text)
    used = self:authorize(text, path, used)
    return { "Authorization: " .. used }
  end
  return request
end

return M
