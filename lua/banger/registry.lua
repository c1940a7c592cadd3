---Images in registries, through the cache: a source as banger.source wants it.
local cache = require "banger.cache"
local certs = require "banger.certs"
local client = require "banger.client"
local core = require "banger.core"
local credentials = require "banger.credentials"
local digest = require "banger.digest"
local json = require "banger.json"
local log = require "banger.log"
local manifest = require "banger.manifest"
local reference = require "banger.reference"
local registries = require "banger.registries"

local M = {}

local ACCEPT = {
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.docker.distribution.manifest.v2+json",
}

---@class banger.registry_options
---@field authfile? string
---@field tls_verify? boolean # default true
---@field cache_dir? string
---@field no_cache? boolean # keep nothing: layers go through unnamed files in `temp`
---@field temp? string # a directory, default /tmp
---@field pull? "always"|"missing"|"never" # ask the registry for what a tag stands for: always, the default; only
---  when the cache has no answer; never, and for nothing else either
---@field jobs? integer # downloads at once, default 6
---@field note? fun(text: string) # told what is being waited for
---@field warn? fun(text: string)
---@field getenv? fun(name: string): string? # default os.getenv

---@class banger.registry: banger.source
---@field options banger.registry_options
---@field ref banger.reference
---@field cache? banger.cache
---@field documents table<string, string> # manifests at hand, by digest
---@field at? { client: banger.client, path: string } # the endpoint that answered
local Registry = {
  malformed = "network", -- the code of an error in a document: it is no registry that answers
}
Registry.__index = Registry

local host = core.host

local function nothing() end

-- nil: there is no such file; nil and a message: it cannot be read.
local function read_file(path)
  if not host.stat(path) then
    return nil
  end
  local ok, result = pcall(host.read_file, path, 16 * 1024 * 1024)
  if ok then
    return result
  end
  return nil, tostring(result)
end

---@param ref banger.reference
---@param options? banger.registry_options
---@return banger.registry
---@example
---```lua
---local source = registry.open(reference.parse "alpine")
---print(source:find(source.ref)[1].digest)
---```
---Raises `usage`, `io`, `not_found` (a file that is named).
function M.open(ref, options)
  options = options or {}
  -- Whether or not credentials will be asked for: with a misspelt one others would be used.
  if options.authfile and options.authfile ~= "" and not host.stat(options.authfile) then
    core.error("not_found", ("--authfile names %s, which is not there"):format(options.authfile))
  end
  local self = setmetatable({
    ref = ref,
    options = options,
    documents = {},
    getenv = options.getenv or os.getenv,
    note = options.note or nothing,
    offline = options.pull == "never",
  }, Registry)
  if not options.no_cache then
    local dir, message = cache.dir(options.cache_dir, self.getenv)
    self.cache = cache.open(dir or core.error("usage", message))
  end
  return self
end

-- ---- endpoints ----------------------------------------------------------------------

local SYSTEM_CA = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem" }

-- A registry's own certificates come to those the system trusts. The variable is
-- OpenSSL's, and every registry tool's.
local function bundle(paths, getenv)
  local named = getenv "SSL_CERT_FILE"
  if #paths == 0 and not named then
    return nil
  end
  local list = {}
  for _, path in ipairs(named and { named } or SYSTEM_CA) do
    local text = read_file(path)
    if text then
      list[1] = text
      break
    end
  end
  for _, path in ipairs(paths) do
    local text = host.read_file(path, 1024 * 1024)
    if not text:find("-----BEGIN CERTIFICATE-----", 1, true) then
      core.error("usage", ("%s is no certificate: one in PEM form expected"):format(path))
    end
    list[#list + 1] = text
  end
  return table.concat(list, "\n")
end

function Registry:find_tls(domain)
  local found, message = certs.find(domain, { getenv = self.getenv, list = host.list })
  if not found then
    core.error("usage", message)
  end
  return { ca = bundle(found.ca, self.getenv), cert = found.cert, key = found.key }
end

function Registry:make_client(domain, insecure)
  return client.new {
    name = reference.format(self.ref),
    domain = domain,
    insecure = insecure or self.options.tls_verify == false,
    credentials = self.credentials,
    tls = self:find_tls(domain),
    getenv = self.getenv,
    note = self.note,
  }
end

-- Where to ask, by registries.conf; nobody is asked yet.
function Registry:endpoints()
  if self.places then
    return self.places
  end
  self.credentials = credentials.new {
    authfile = self.options.authfile,
    getenv = self.getenv,
    read_file = read_file,
    run = host.run,
    warn = self.options.warn or nothing,
  }
  local conf, message = registries.load { getenv = self.getenv, read_file = read_file, list = host.list }
  if not conf then
    core.error("usage", message)
  end
  local list
  list, message = registries.resolve(conf, self.ref)
  if not list then
    core.error("usage", message)
  end
  self.places = {}
  for i, at in ipairs(list) do
    self.places[i] = { client = self:make_client(at.domain, at.insecure), path = at.path, mirror = at.mirror }
  end
  return self.places
end

-- ---- answers ---------------------------------------------------------------------------

-- What the registry itself says of an error: distribution-spec, "Error Codes".
local function describe_errors(body)
  local object = json.decode(body)
  local list = {}
  for _, problem in ipairs(object and type(object.errors) == "table" and object.errors or {}) do
    local text = type(problem) == "table" and (problem.message or problem.code)
    if type(text) == "string" and #list < 3 then
      list[#list + 1] = text:gsub("%c", " "):sub(1, 200)
    end
  end
  return #list > 0 and (" (%s)"):format(table.concat(list, "; ")) or ""
end

local function is_html(answer)
  local kind = answer.headers["content-type"] or ""
  return kind:lower():find "^text/html" or answer.body:find "^%s*<"
end

function Registry:refuse(answer)
  local name = reference.format(self.ref)
  local given = self.options.text
  local what = describe_errors(answer.body)
  if answer.status == 404 then
    local as = given and given ~= name and (" (given as %s)"):format(given) or ""
    core.error("not_found", ("%s%s is not in the registry%s"):format(name, as, what))
  elseif answer.status == 403 then
    core.error("auth", ("%s: the registry refuses access%s"):format(name, what))
  elseif is_html(answer) then
    core.error("network", ("%s answers %d with a web page, which no registry does"):format(log.url(answer.url), answer.status))
  end
  core.error("network", ("%s answers %d%s"):format(log.url(answer.url), answer.status, what))
end

-- Types that say nothing of what a document is.
local general = { [""] = true, ["application/json"] = true, ["application/octet-stream"] = true, ["text/plain"] = true }

-- A manifest, index or config has to look like one before anything else is said of
-- it: a captive portal answers everything with a page of its own.
local function check_document(answer, is_manifest)
  local kind = (answer.headers["content-type"] or ""):lower():match "^[^;%s]*"
  if is_html(answer) then
    core.error("network", ("%s answers with a web page (%s), which no registry does; is there a portal to log in at?"):format(
      log.url(answer.url), kind == "" and "no type" or kind))
  elseif kind:find "docker%.distribution%.manifest%.v1" then
    core.error("network", ("%s answers with %s: Docker's first manifests are not supported"):format(log.url(answer.url), kind))
  elseif is_manifest and not general[kind] and not manifest.kind(kind) then
    core.error("network", ("%s answers with %s, which is no manifest"):format(log.url(answer.url), kind))
  end
end

local function known_type(answer)
  local kind = (answer.headers["content-type"] or ""):match "^[^;%s]*"
  return manifest.kind(kind) and kind or nil
end

-- ---- documents ---------------------------------------------------------------------------

local ATTEMPTS = 2 -- at bytes that do not match their digest

local function fetch_document(at, rest, limit, expected, tries)
  local answer, found
  for _ = 1, ATTEMPTS do
    answer = at.client:ask(at.path, rest, { accept = ACCEPT, limit = limit, tries = tries })
    if answer.status ~= 200 then
      return nil, answer
    end
    check_document(answer, rest:find "^manifests/" ~= nil)
    found = host.sha256(answer.body)
    expected = expected or answer.headers["docker-content-digest"]
    -- Of a digest that this program cannot verify nothing follows.
    if not digest.valid(expected) or expected == found then
      return answer, found
    end
  end
  return core.error("digest", ("%s: %s expected, its bytes are %s"):format(log.url(answer.url), expected, found))
end

-- What an endpoint that is passed over said.
local function describe_try(at, ok, answer)
  return ok and ("%s answers %d"):format(at.client.options.domain, answer.status) or tostring(answer)
end

-- An error of the registry itself, with what its mirrors said before.
local function after_mirrors(problem, tried)
  if #tried == 0 or not core.is_error(problem) then
    return problem
  end
  local message = ("%s; asked before, as its mirror%s: %s"):format(problem.message, #tried > 1 and "s" or "", table.concat(tried, "; "))
  return select(2, pcall(core.error, problem.code, message))
end

-- The manifest by tag or digest from the first endpoint that has it. Mirrors that
-- fail are passed over; the registry itself has the last word.
function Registry:fetch_manifest(rest, expected)
  local places, tried = self.at and { self.at } or self:endpoints(), {}
  for i, at in ipairs(places) do
    local tries = i < #places and 1 or nil
    local ok, answer, found = pcall(fetch_document, at, rest, manifest.max_manifest, expected, tries)
    if ok and answer then
      self.at = at
      return answer, found
    elseif not ok and (not core.is_error(answer) or answer.code == "interrupted") then
      error(answer, 0)
    elseif i == #places then
      error(after_mirrors(not ok and answer or select(2, pcall(self.refuse, self, found)), tried), 0)
    end
    tried[i] = describe_try(at, ok, ok and found or answer)
  end
end

function Registry:keep(text, hash)
  self.documents[hash] = text
  if self.cache then
    self.cache:put(text)
  end
end

function Registry:cached(hash, limit)
  local text = self.documents[hash] or (self.cache and self.cache:read(hash, limit))
  if text then
    self.documents[hash] = text
  end
  return text
end

local function describe(text, hash, kind)
  local parsed = json.decode(text)
  return { media_type = kind or (parsed and parsed.mediaType), digest = hash, size = #text, annotations = {}, urls = {} }
end

function Registry:refuse_offline(what)
  core.error("not_found", ("%s: %s is not in the cache, and --offline (--pull never) fetches nothing"):format(
    reference.format(self.ref), what))
end

-- What the tag stands for according to the registry, asked for no more than that.
function Registry:head(tag)
  local places, tried = self:endpoints(), {}
  for i, at in ipairs(places) do
    local ok, answer = pcall(at.client.ask, at.client, at.path, "manifests/" .. tag,
      { method = "HEAD", accept = ACCEPT, tries = i < #places and 1 or nil })
    if ok and answer.status == 200 then
      self.at = at
      return answer.headers["docker-content-digest"]
    elseif not ok and (not core.is_error(answer) or answer.code == "interrupted") then
      error(answer, 0)
    elseif not ok and i == #places then
      error(after_mirrors(answer, tried), 0)
    end
    tried[i] = describe_try(at, ok, answer)
  end
end

function Registry:find_by_digest(hash)
  local text = self:cached(hash, manifest.max_manifest)
  if text then
    return { describe(text, hash) }
  elseif self.offline then
    self:refuse_offline(hash)
  end
  local answer = self:fetch_manifest("manifests/" .. hash, hash)
  self:keep(answer.body, hash)
  return { describe(answer.body, hash, known_type(answer)) }
end

function Registry:find_by_tag(tag)
  local known = self.cache and self.cache:resolved(reference.format(self.ref))
  local here = known and self:cached(known, manifest.max_manifest)
  if here and (self.offline or self.options.pull == "missing" or self:head(tag) == known) then
    return { describe(here, known) }
  elseif self.offline then
    self:refuse_offline "the image"
  end
  local answer, hash = self:fetch_manifest("manifests/" .. tag)
  self:keep(answer.body, hash)
  return { describe(answer.body, hash, known_type(answer)) }
end

---@param ref banger.reference
---@return banger.descriptor[]
---Raises `not_found`, `auth`, `network`, `digest`.
function Registry:find(ref)
  local found = ref.digest and self:find_by_digest(ref.digest) or self:find_by_tag(ref.tag)
  self.resolved = found[1].digest
  return found
end

-- The endpoint that is asked for all that follows, known since the manifest came
-- from there; after a warm start it has not been asked for anything yet.
function Registry:place()
  if not self.at then
    local places = self:endpoints()
    self.at = places[#places]
  end
  return self.at
end

-- A config: as every blob it is downloaded once, however many processes want it.
function Registry:fetch_config(descriptor, what)
  local ok, problem
  for _ = 1, ATTEMPTS do
    ok, problem = pcall(function()
      local blob <close> = core.fetch_blob(self:locate(descriptor, what))
      blob:wait()
    end)
    if ok then
      return self.cache:read(descriptor.digest, descriptor.size)
    elseif not core.is_error(problem) or problem.code ~= "digest" then
      break
    end
  end
  error(problem, 0)
end

---@return string # verified
---Raises `not_found`, `auth`, `network`, `digest`, or `network` when it is larger than the limit.
function Registry:read(descriptor, limit, what)
  if descriptor.size > limit then
    core.error("network", ("%s has %d bytes; at most %d are accepted"):format(what, descriptor.size, limit))
  end
  local text = self:read_any(descriptor, limit, what)
  if #text ~= descriptor.size then
    core.error("digest", ("%s has %d bytes, %d expected"):format(what, #text, descriptor.size))
  end
  return text
end

function Registry:read_any(descriptor, limit, what)
  local text = self:cached(descriptor.digest, limit)
  if text then
    return text
  elseif self.offline then
    self:refuse_offline(what)
  end
  local kind = manifest.kind(descriptor.media_type)
  text = not kind and self.cache and self.cache.store:writable() and self:fetch_config(descriptor, what)
  if text then
    return text
  end
  local rest = (kind and "manifests/" or "blobs/") .. descriptor.digest
  local answer, found = fetch_document(self:place(), rest, limit, descriptor.digest)
  if not answer then
    self:refuse(found)
  end
  self:keep(answer.body, descriptor.digest)
  return answer.body
end

---@return banger.fetch_options # where the core finds a layer
function Registry:locate(descriptor, what)
  local hash = descriptor.digest
  local here = self.cache and self.cache.store:size(hash) == descriptor.size
  if self.offline and not here then
    self:refuse_offline(("%s (%s)"):format(what, hash))
  end
  local options = { digest = hash, size = descriptor.size }
  if here then
    -- Nobody is asked: who would have to be is found out only if it is damaged.
    options.url = "https://cache.invalid/" .. hash
    options.store = self.cache.store
    return options
  end
  local at = self:place()
  if not at.client.base then
    at.client:ask(at.path, "manifests/" .. (self.ref.digest or self.ref.tag), { method = "HEAD", accept = ACCEPT })
  end
  for name, value in pairs(at.client:blob_request(at.path, hash)) do
    options[name] = value
  end
  options.more_urls = descriptor.urls
  options.jobs = self.options.jobs
  options.store = self.cache and self.cache.store
  options.temp = self.options.temp
  return options
end

---Remember in the cache that the image is here.
---@param entry banger.descriptor # of the manifest
function Registry:remember(entry)
  if self.cache then
    self.cache:record({ name = reference.format(self.ref), resolved = self.resolved, entry = entry }, os.time())
  end
end

return M
