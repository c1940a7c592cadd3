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
local banger = require "banger"
local cjson = require "cjson"
local image = require "support.image"
local json = require "support.json"
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

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

--- Waits for what a shell command tests, at most for two minutes.
local function wait_for(condition, what, log)
  local _, code = sh.run(("i=0; until %s; do i=$((i + 1)); [ $i -lt 6000 ] || exit 1; sleep 0.02; done"):format(condition))
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
  for _ = 1, 3000 do
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
    validation = { manifests = { urls = { allow = json.array { "^http://127" } } } },
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

local PUT = [[
import sys, urllib.request
url, kind, file = sys.argv[1:]
request = urllib.request.Request(url, open(file, "rb").read(), {"Content-Type": kind}, method="PUT")
try:
    print(urllib.request.urlopen(request).headers["Docker-Content-Digest"])
except urllib.error.HTTPError as error:
    sys.exit(str(error) + " " + error.read().decode())
]]

--- Puts a manifest into the registry as it is, which skopeo would not.
---@param name string with a tag: "library/thing:1"
---@param media_type string
---@param bytes string
---@return string digest as the registry says
function Registry:put(name, media_type, bytes)
  local file = self.log_file .. ".put"
  sh.write_file(file, bytes)
  local path, tag = name:match "^(.*):([^:]*)$"
  return (sh.check(("(%s -c %s)"):format(PYTHON, sh.line(PUT, ("%s/v2/%s/manifests/%s"):format(self.url, path, tag),
    media_type, file))):gsub("%s+$", ""))
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

-- ---- the client --------------------------------------------------------------

local Client = {}
Client.__index = Client

--- Pulls with nothing of this machine's settings: a home of its own, short waits.
---@param ref string
---@param options? table
--- args   shell words: options of pull; env: NAME=value words; wrap: a command before it
--- cache  directory (default: a new one); false: what the client finds
--- out    the file to make
---@return table result code, out, err, seconds, path (of the output), dir (it is in), cache
function Client:pull(ref, options)
  options = options or {}
  local dir, log = self.scratch:fresh(), self.scratch:fresh ".err"
  sh.check("mkdir " .. dir)
  local cache = options.cache
  if cache == nil then cache = self.scratch:fresh ".cache" end
  local path = options.out or dir .. "/x.ext4"
  local command = ("%s %s %s pull -q --no-inject --size 16M %s %s %s 2>%s </dev/null"):format(
    self:environment(cache, options.env), options.wrap or "timeout -k 1 60", sh.quote(sh.banger()),
    options.args or "", sh.quote(ref), sh.quote(path), log)
  local begun = banger.host.clock()
  local out, code = sh.run(command)
  return { code = code, out = out, err = sh.read_file(log), seconds = banger.host.clock() - begun,
    path = path, dir = dir, cache = cache }
end

--- The words before a command of the client.
function Client:environment(cache, more)
  return ("env -i PATH=%s:$PATH HOME=%s BANGER_STALL_SECONDS=1 BANGER_BACKOFF_MS=20 %s %s"):format(
    self.home .. "/bin", self.home, cache and "BANGER_CACHE=" .. cache or "", more or "")
end

--- Another command of the client, such as "cache verify".
---@return string out, integer code, string err
function Client:run(words, cache, env)
  local log = self.scratch:fresh ".err"
  local out, code = sh.run(("%s timeout -k 1 60 %s %s 2>%s </dev/null"):format(self:environment(cache, env),
    sh.quote(sh.banger()), words, log))
  return out, code, sh.read_file(log)
end

--- Writes a file below the client's home.
function Client:write(name, data)
  local path = self.home .. "/" .. name
  sh.check("mkdir -p " .. sh.quote(path:match "^(.*)/"))
  sh.write_file(path, data)
  return path
end

---@param scratch table
function M.client(scratch)
  local self = setmetatable({ scratch = scratch, home = scratch:fresh ".home" }, Client)
  sh.check(("mkdir -p %s/bin"):format(self.home))
  return self
end

--- What stands for success: exit status 0, the digest and nothing else said, and
--- the files' contents as e2fsprogs read them.
---@param result table of Client:pull
---@param files table<string, string> path -> content
---@param digest? string of the manifest
function M.assert_pulled(result, files, digest)
  local context = ("exit %d\nstdout: %s\nstderr: %s"):format(result.code, result.out, result.err)
  assert(result.code == 0, context)
  assert(result.err == "", "nothing to be said\n" .. context)
  assert(result.out:match "^sha256:%x+\n$" and #result.out == 72, "a digest\n" .. context)
  assert(not digest or result.out == digest .. "\n", "the digest " .. tostring(digest) .. "\n" .. context)
  local tree = image.read(result.path)
  for path, content in pairs(files) do
    assert(tree[path], path .. " is not in the image")
    assert(tree[path].content == content, path .. " has another content")
  end
end

--- What stands for a refusal: the exit status, one line on stderr with these words in
--- it, nothing on stdout, nothing left.
---@param result table of Client:pull
---@param code integer|integer[] the exit status, or several that may be
---@param ... string
function M.assert_refused(result, code, ...)
  local context = ("exit %d\nstdout: %s\nstderr: %s"):format(result.code, result.out, result.err)
  local wanted = false
  for _, c in ipairs(type(code) == "table" and code or { code }) do wanted = wanted or c == result.code end
  assert(wanted, ("want exit %s\n%s"):format(type(code) == "table" and table.concat(code, " or ") or code, context))
  assert(result.out == "", "nothing on stdout\n" .. context)
  assert(result.err:match "^[^\n]+\n$", "one line\n" .. context)
  assert(not result.err:find("traceback", 1, true), context)
  for _, part in ipairs { ... } do
    assert(result.err:find(part, 1, true), ("want %q in the message\n%s"):format(part, context))
  end
  assert(sh.check("ls -A " .. result.dir) == "", "left behind: " .. sh.check("ls -A " .. result.dir) .. context)
end

local random = 1

--- Bytes that nothing compresses, the same on every run.
function M.noise(size)
  local words = {}
  for i = 1, size // 8 + 1 do
    random = random * 6364136223846793005 + 1442695040888963407
    words[i] = ("<I8"):pack(random ~ (random >> 29))
  end
  return table.concat(words):sub(1, size)
end

--- An image of some layers, pushed. Each layer is one file.
---@param hub table a registry of M.start
---@param name string "library/thing:1"
---@param files table[] { name, content } a layer
---@param options? table of oci.write, and push: more options of skopeo copy
---@return table image of oci.write, and: files (path -> content), digest, name, layout
function M.publish(hub, scratch, name, files, options)
  local spec, contents = { tag = "t", layers = {} }, {}
  for k, v in pairs(options or {}) do spec[k] = v end
  for i, file in ipairs(files) do
    contents[file[1]] = file[2]
    spec.layers[i] = { tar = tar.archive { tar.file(file[1], file[2]) }, compress = spec.compress or "gzip" }
  end
  local layout = scratch:fresh ".layout"
  local made = oci.write(layout, spec)
  made.layout, made.files, made.name = layout, contents, name
  made.digest = hub:push(layout, "t", name, spec.push)
  return made
end

return M
