--- Registries for the tests: Debian's docker-registry on loopback, a token
-- server, and a proxy that does wrong what it is told to.
--
--   local hub <close> = registry.start { scratch = scratch }
--   local digest = hub:push(layout, "t", "library/thing:1")
--   local proxy <close> = registry.faults { scratch = scratch, upstream = hub }
--   proxy:rules { { kind = "blob", cut = 1000, times = 1 } }
--   ... pull proxy.host .. "/library/thing:1" ...
--   #proxy:log { kind = "blob", method = "GET" }
--
-- servers/faults.py and servers/tokens.py tell what rules and logs hold. A
-- handle is closed by <close>, :stop() or the end of this process, however it
-- ends: a server goes when the pipe to it does.
local cjson = require "cjson"
local json = require "support.json"
local need = require "support.need"
local sh = require "support.sh"

local M = {}

local SERVERS = "tests/support/servers/"
-- A python3 before Debian's in PATH may be a wrapper that takes its time.
local PYTHON = "PATH=/usr/bin:$PATH exec python3 -B "

--- Why these servers cannot run here, or nil.
function M.missing()
  return need.program("docker-registry", "skopeo", "python3", "openssl")
end

-- ---- a process ---------------------------------------------------------------

local Server = {}
Server.__index = Server

--- Waits for what a shell command tests, at most for ten seconds.
local function wait_for(condition, what, log)
  local _, code = sh.run(("i=0; until %s; do i=$((i + 1)); [ $i -lt 500 ] || exit 1; sleep 0.02; done"):format(condition))
  if code ~= 0 then error(("%s did not come up:\n%s"):format(what, log and sh.read_file(log) or ""), 0) end
end

--- Starts a program whose standard input stays open until we close it.
local function start(server, command)
  server.pipe = assert(io.popen(command, "w"))
  return setmetatable(server, Server)
end

function Server:stop()
  if not self.pipe then return end
  self.pipe:close()
  self.pipe = nil
end

Server.__gc = Server.stop
Server.__close = Server.stop

--- Writes the file a server of ours reads before each request.
function Server:set(settings)
  self.settings = settings
  self.serial = (self.serial or 0) + 1
  settings.serial = self.serial
  sh.write_file(self.rules_file .. ".new", cjson.encode(settings))
  assert(os.rename(self.rules_file .. ".new", self.rules_file))
end

--- A line of a log; JSON has no integers, and we have.
local function decode(line)
  local entry = cjson.decode(line)
  for key, value in pairs(entry) do entry[key] = math.tointeger(value) or value end
  return entry
end

local function fits(entry, filter)
  for key, wanted in pairs(filter or {}) do
    if entry[key] ~= wanted then return false end
  end
  return true
end

--- The requests since the start or the last clear(), as tables, in the order
--- they began; with a filter only those whose fields are as in it. Waits for
--- requests that have begun to end.
---@param filter? table
---@return table[]
function Server:log(filter)
  local ended, order
  for _ = 1, 250 do
    ended, order = {}, {}
    for line in sh.read_file(self.log_file):sub((self.log_from or 0) + 1):gmatch "([^\n]*)\n" do
      local entry = decode(line)
      if entry.begin then order[#order + 1] = entry.begin else ended[entry.id] = entry end
    end
    local waiting = false
    for _, id in ipairs(order) do waiting = waiting or not ended[id] end
    if not waiting then break end
    sh.run "sleep 0.02"
  end
  local out = {}
  for _, id in ipairs(order) do
    if ended[id] and fits(ended[id], filter) then out[#out + 1] = ended[id] end
  end
  return out
end

--- Forgets the requests so far.
function Server:clear()
  self:log()
  self.log_from = #sh.read_file(self.log_file)
end

--- Requests as text, for messages of failed assertions.
function Server:story(filter)
  local lines = {}
  for i, e in ipairs(self:log(filter)) do
    lines[i] = ("%s %s %s -> %s, %s bytes%s%s"):format(e.method, e.path, e.range or "", e.status or "none", e.bytes or 0,
      e.whole and ", whole" or "", e.rule and ", rule " .. e.rule or "")
  end
  return table.concat(lines, "\n")
end

--- How often each blob came down: requests that carried any of it, and bytes.
---@return table<string, { gets: integer, bytes: integer, whole: integer }> by digest
function Server:downloads()
  local out = {}
  for _, e in ipairs(self:log { kind = "blob", method = "GET" }) do
    if e.status == 200 or e.status == 206 then
      local d = out[e.digest] or { gets = 0, bytes = 0, whole = 0 }
      d.gets, d.bytes, d.whole = d.gets + 1, d.bytes + e.bytes, d.whole + (e.whole and 1 or 0)
      out[e.digest] = d
    end
  end
  return out
end

-- ---- certificates ------------------------------------------------------------

local CONFIG = [[
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[server]
subjectAltName = IP:127.0.0.1,IP:127.0.0.2,DNS:localhost,DNS:registry.example.test
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
[client]
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
]]

local ISSUE = [[
cd %s && for who in server client; do
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$who -config c.cnf -keyout $who.key -out $who.csr &&
openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile c.cnf -extensions $who -out $who.pem ||
exit; done
]]

--- A certificate authority of the tests' own, and what it has signed.
---@param scratch table
---@return table paths ca, server, server_key (for 127.0.0.1, 127.0.0.2, localhost
--- and registry.example.test), client, client_key
function M.authority(scratch)
  local dir = scratch:fresh ".pki"
  sh.check("mkdir " .. dir)
  sh.write_file(dir .. "/c.cnf", CONFIG)
  sh.check(([[cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
    -subj '/CN=an authority of the tests' -config c.cnf -extensions ca -keyout ca.key -out ca.pem]]):format(dir))
  sh.check(ISSUE:format(dir))
  return {
    ca = dir .. "/ca.pem", server = dir .. "/server.pem", server_key = dir .. "/server.key",
    client = dir .. "/client.pem", client_key = dir .. "/client.key",
  }
end

-- ---- docker-registry ---------------------------------------------------------

local Registry = setmetatable({}, { __index = Server })
Registry.__index = Registry
Registry.__gc = Server.stop
Registry.__close = Server.stop

local function auth_config(options, dir)
  if options.users then
    local lines = {}
    for name, password in pairs(options.users) do
      lines[#lines + 1] = sh.check("htpasswd -Bbn " .. sh.line(name, password)):match "^[^\n]*\n"
    end
    sh.write_file(dir .. "/htpasswd", table.concat(lines))
    return { htpasswd = { realm = "tests", path = dir .. "/htpasswd" } }
  elseif options.tokens then
    return { token = {
      realm = options.tokens.url .. "/token", service = "registry.tests", issuer = "tests",
      rootcertbundle = options.tokens.cert,
    } }
  end
end

--- Starts a registry on a free port of 127.0.0.1.
---@param options table
--- scratch  where its files go
--- users    { name = password }: Basic (needs htpasswd)
--- tokens   a server of M.tokens: Bearer
--- tls      what M.authority returned; client = true: a certificate is asked of clients
--- storage  a directory, such as another registry's .storage; default: a new one
--- port     default: a free one
---@return table registry host (address:port), url, storage
function M.start(options)
  local dir = options.scratch:fresh ".registry"
  local self = { storage = options.storage or dir .. "/storage", log_file = dir .. "/log", tls = options.tls }
  sh.check("mkdir -p " .. dir .. " " .. self.storage)
  local http = { addr = "127.0.0.1:" .. (options.port or 0), relativeurls = true }
  if options.tls then
    http.tls = { certificate = options.tls.server, key = options.tls.server_key,
      clientcas = options.client and json.array { options.tls.ca } or nil }
  end
  -- JSON is YAML.
  sh.write_file(dir .. "/config.yml", json.encode {
    version = 0.1, log = { level = "info" }, http = http, auth = auth_config(options, dir),
    storage = { filesystem = { rootdirectory = self.storage }, delete = { enabled = true } },
  })
  -- The shell outlives an interrupt and ends the registry when our end of the
  -- pipe is gone. OTEL_ and REGISTRY_ variables would be settings.
  start(self, ([[trap '' INT HUP; env -i PATH=$PATH docker-registry serve %s/config.yml >%s 2>&1 </dev/null & pid=$!
    cat >/dev/null; kill $pid; wait $pid 2>/dev/null]]):format(dir, self.log_file))
  setmetatable(self, Registry)
  wait_for(("grep -q 'listening on 127' %s 2>/dev/null"):format(self.log_file), "docker-registry", self.log_file)
  self.port = sh.read_file(self.log_file):match "listening on 127%.0%.0%.1:(%d+)"
  self.host = "127.0.0.1:" .. self.port
  self.url = (options.tls and "https://" or "http://") .. self.host
  return self
end

--- Puts an image of an OCI layout into the registry with skopeo.
---@param layout string
---@param tag string in the layout
---@param name string in the registry: "library/thing:1"
---@param options? string more options of skopeo copy, such as "--all --format v2s2"
---@return string digest of the manifest as it is in the registry, from sha256sum
function Registry:push(layout, tag, name, options)
  sh.check(("skopeo copy -q --dest-tls-verify=false %s %s %s"):format(options or "",
    sh.quote(("oci:%s:%s"):format(layout, tag)), sh.quote(("docker://%s/%s"):format(self.host, name))))
  return (self:inspect(name))
end

--- The digest of what a reference leads to, as skopeo and sha256sum see it.
---@param name string
---@param options? string of skopeo inspect
---@return string digest
---@return string raw the manifest
function Registry:inspect(name, options)
  local out = sh.check(("skopeo inspect --raw --tls-verify=false %s %s >%s.raw && sha256sum <%s.raw"):format(
    options or "", sh.quote(("docker://%s/%s"):format(self.host, name)), self.log_file, self.log_file))
  return "sha256:" .. out:match "^%x+", sh.read_file(self.log_file .. ".raw")
end

--- The file in which the registry keeps a blob.
---@param digest string
function Registry:blob(digest)
  local hex = digest:match "^sha256:(%x+)$"
  return ("%s/docker/registry/v2/blobs/sha256/%s/%s/data"):format(self.storage, hex:sub(1, 2), hex)
end

--- Lines of the registry's own access log that hold a text.
---@param text string
---@return integer
function Registry:requests(text)
  local count = 0
  for line in sh.read_file(self.log_file):gmatch "[^\n]+" do
    if line:find("HTTP/", 1, true) and line:find('^[%d.]+ %- ') and line:find(text, 1, true) then count = count + 1 end
  end
  return count
end

-- ---- our own servers ---------------------------------------------------------

local function start_python(program, options, arguments)
  local dir = options.scratch:fresh "." .. program
  sh.check("mkdir " .. dir)
  local self = { log_file = dir .. "/log", rules_file = dir .. "/rules" }
  sh.write_file(self.log_file, "")
  sh.write_file(self.rules_file, "{}")
  start(self, ("trap '' INT HUP; %s%s%s.py --rules %s --log %s --ports %s/ports %s 2>%s/err"):format(
    PYTHON, SERVERS, program, self.rules_file, self.log_file, dir, arguments, dir))
  wait_for("[ -e " .. dir .. "/ports ]", program, dir .. "/err")
  local ports = cjson.decode(sh.read_file(dir .. "/ports"))
  for name, address in pairs(ports) do self[name] = address.host end
  self.host, self.url = self.main, ports.main.scheme .. "://" .. self.main
  return self
end

local Faults = setmetatable({}, { __index = Server })
Faults.__index = Faults
Faults.__gc = Server.stop
Faults.__close = Server.stop

--- Starts the proxy that does wrong; without rules it does nothing wrong.
---@param options table scratch, upstream (a registry), tls (of M.authority: it
--- speaks TLS itself)
---@return table proxy host (the same as main), other, plain (addresses), url
function M.faults(options)
  local arguments = "--upstream " .. options.upstream.url
  if options.tls then
    arguments = arguments .. (" --cert %s --key %s"):format(options.tls.server, options.tls.server_key)
  end
  if options.upstream.tls then arguments = arguments .. " --upstream-ca " .. options.upstream.tls.ca end
  return setmetatable(start_python("faults", options, arguments), Faults)
end

--- Sets the rules, and forgets the log and how often older rules were used.
---@param list? table[] none: nothing goes wrong
---@param rate? integer bytes a second, of all connections together
function Faults:rules(list, rate)
  self:clear()
  self:set { rules = json.array(list or {}), rate = rate }
end

local Tokens = setmetatable({}, { __index = Server })
Tokens.__index = Tokens
Tokens.__gc = Server.stop
Tokens.__close = Server.stop

--- Starts a token server.
---@param options table scratch, tls, and what :set takes (see servers/tokens.py)
---@return table tokens host, url, cert
function M.tokens(options)
  local key = options.scratch:fresh ".key"
  local cert = key .. ".pem"
  sh.check(("openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=tokens -keyout %s -out %s"):format(key, cert))
  local self = setmetatable(start_python("tokens", options, ("--cert %s --key %s"):format(cert, key)), Tokens)
  self.cert = cert
  if options.settings then self:set(options.settings) end
  return self
end

return M
