---Image references: pure. These forms are understood:
---
---    [docker://][DOMAIN/]PATH[:TAG][@DIGEST]  in a registry, by docker's grammar
---    oci:PATH[:TAG|@DIGEST]                   an OCI layout in a directory
---    oci-archive:FILE[:TAG|@DIGEST]           one in a tar archive
---    docker-archive:FILE[:NAME|:@INDEX]       what `docker save` writes
---    dir:PATH                                 what `skopeo copy` writes to dir:
---    -[:NAME|:@INDEX|@DIGEST]                 an archive on standard input, of either kind
local digest = require "banger.digest"

local M = {}

---@class banger.reference
---@field transport "registry"|"oci"|"oci-archive"|"docker-archive"|"dir"|"stdin"
---@field domain? string # of a registry, with its port if it has one
---@field path string # of the repository, the directory or the file; "-" is standard input
---@field tag? string
---@field digest? string # if there is one, it decides and the tag is only a note
---@field name? string # of an image that docker saved, in full: domain, path and tag
---@field index? integer # among the images that docker saved, from 0

local DEFAULT_DOMAIN = "docker.io"
local MAX_NAME = 255

local function is_domain_component(text)
  return text:find "^%w$" or text:find "^%w[%w-]*%w$"
end

local function is_host(text)
  if text:find "^%[[%x:]+%]$" then
    return true
  end
  for part in (text .. "."):gmatch "([^.]*)%." do
    if not is_domain_component(part) then
      return false
    end
  end
  return true
end

local function is_domain(text)
  local host, port = text:match "^(.-):(%d+)$"
  if port and tonumber(port) > 65535 then
    return false
  end
  return is_host(host or text)
end

-- alphanumeric [separator alphanumeric]*, a separator being one of . _ __ or any
-- number of -
local function is_path_component(text)
  local at = text:match "^[a-z0-9]+()"
  while at and at <= #text do
    local separator = text:match("^%-+", at) or text:match("^__?", at) or text:match("^%.", at)
    at = separator and text:match("^[a-z0-9]+()", at + #separator)
  end
  return at ~= nil
end

local function check_path(path)
  if path:find "%u" then
    return nil, "the repository name must be lowercase"
  end
  for part in (path .. "/"):gmatch "([^/]*)/" do
    if not is_path_component(part) then
      return nil, part == "" and "the repository name has an empty part"
        or ("'%s' cannot be part of a repository name"):format(part)
    end
  end
  return true
end

-- The first part is a domain if it could not be anything else.
local function split_domain(name)
  local first, rest = name:match "^([^/]*)/(.*)$"
  if not first or not (first:find "[.:]" or first == "localhost" or first:find "%u") then
    return DEFAULT_DOMAIN, name
  end
  return first == "index.docker.io" and DEFAULT_DOMAIN or first, rest
end

local function parse_name(name)
  if #name == 64 and name:find "^[0-9a-f]+$" then
    return nil, "64 hexadecimal digits name no image; a digest is written NAME@sha256:..."
  end
  local domain, path = split_domain(name)
  if not is_domain(domain) then
    return nil, ("'%s' is no registry's host name"):format(domain)
  end
  if domain == DEFAULT_DOMAIN and not path:find "/" then
    path = "library/" .. path
  end
  local ok, message = check_path(path)
  if not ok then
    return nil, message
  end
  if #domain + 1 + #path > MAX_NAME then
    return nil, ("the name is longer than %d characters"):format(MAX_NAME)
  end
  return { transport = "registry", domain = domain, path = path }
end

local function check_digest(text)
  if digest.valid(text) then
    return true
  end
  local algorithm = text:match "^([%w+._-]+):%x+$"
  if algorithm and algorithm ~= "sha256" then
    return nil, ("digests by %s are not supported, only sha256"):format(algorithm)
  end
  return nil, ("'%s' is no digest: sha256 and 64 lowercase hexadecimal digits expected"):format(text)
end

local function check_tag(tag)
  if #tag <= 128 and tag:find "^[%w_][%w_.-]*$" then
    return true
  end
  return nil, ("'%s' is no tag: up to 128 letters, digits, '_', '.', '-' expected"):format(tag)
end

local function parse_registry(text)
  if text:find "^[^/]*:[^/]*@[^/]+/" then
    return nil, "it has a user and password; those come from docker login, podman login or --authfile"
  end
  local named, hash = text:match "^([^@]*)@(.*)$"
  named = named or text
  -- A colon before the last slash belongs to a port.
  local name, tag = named:match "^(.+):([^/]*)$"
  local ref, message = parse_name(name or named)
  if not ref then
    return nil, message
  end
  for _, part in ipairs { { check_tag, tag }, { check_digest, hash } } do
    local check, value = part[1], part[2]
    if value then
      local ok, why = check(value)
      if not ok then
        return nil, why
      end
    end
  end
  ref.tag = tag or (not hash and "latest" or nil)
  ref.digest = hash
  return ref
end

-- The path ends at the first colon: tags in layouts may be full names with
-- colons and slashes of their own.
local function parse_layout(text, what)
  local before, hash = text:match "^(.*)@(sha%d+:.*)$"
  local path, tag = (before or text):match "^([^:]*):(.*)$"
  path = path or before or text
  if path == "" then
    return nil, ("the path of the %s is empty"):format(what)
  end
  if tag == "" then
    return nil, "the tag is empty"
  end
  if hash then
    local ok, message = check_digest(hash)
    if not ok then
      return nil, message
    end
  end
  return { path = path, tag = tag, digest = hash }
end

local function parse_archive(text)
  return parse_layout(text, "archive")
end

local function full_name(ref)
  return ("%s/%s:%s"):format(ref.domain, ref.path, ref.tag)
end

-- The images in an archive of docker's have no digests to be named by.
local function parse_saved(text)
  local path, name = text:match "^([^:]*):(.*)$"
  path = path or text
  if path == "" then
    return nil, "the path of the archive is empty"
  end
  local index = name and name:match "^@(%d+)$"
  if not name or index then
    return { path = path, index = index and (math.tointeger(tonumber(index)) or math.maxinteger) }
  end
  local ref, message = parse_registry(name)
  if not ref then
    return nil, message
  elseif ref.digest then
    return nil, "images in the archives of docker have names, no digests"
  end
  return { path = path, name = full_name(ref) }
end

-- What kind of archive it is shows only when it is read: so a tag and a name.
local function parse_stdin(text)
  local saved = not text:find "^@" and parse_saved("-" .. text)
  if not saved then
    return parse_archive("-" .. text)
  end
  saved.tag = saved.name and text:sub(2)
  return saved
end

local function parse_dir(text)
  if text == "" then
    return nil, "the path of the directory is empty"
  end
  return { path = text }
end

---A name as docker knows it, with its defaults: "alpine" is
---"docker.io/library/alpine:latest".
---@param text string
---@return string? name # nil for what is no name
function M.full_name(text)
  local ref = parse_registry(text)
  return ref and ref.tag and full_name(ref)
end

local transports = {
  { "^oci:(.*)$", "oci", function(text) return parse_layout(text, "layout") end },
  { "^oci%-archive:(.*)$", "oci-archive", parse_archive },
  { "^docker%-archive:(.*)$", "docker-archive", parse_saved },
  { "^dir:(.*)$", "dir", parse_dir },
  { "^%-$", "stdin", function() return parse_stdin "" end },
  { "^%-([:@].*)$", "stdin", parse_stdin },
  { "^docker://(.*)$", "registry", parse_registry },
  { "^(.*)$", "registry", parse_registry },
}

local function parse(text)
  for _, transport in ipairs(transports) do
    local pattern, name, parse_rest = table.unpack(transport)
    local rest = text:match(pattern)
    if rest then
      local ref, message = parse_rest(rest)
      if ref then
        ref.transport = name
      end
      return ref, message
    end
  end
end

---Parse a reference.
---@param text string
---@return banger.reference? reference # defaults filled in: docker.io, library/, latest
---@return string? message # what is wrong, when `reference` is nil
---@example
---```lua
---reference.parse "debian"             --> docker.io, library/debian, latest
---reference.parse "oci:images:debian"  --> the image tagged debian in the layout ./images
---```
function M.parse(text)
  local ref, message
  if text == "" then
    message = "it is empty"
  else
    ref, message = parse(text)
  end
  if not ref then
    return nil, ("'%s' is no image reference: %s"):format((text:gsub("//[^/@]*:[^/@]*@", "//...@")), message)
  end
  return ref
end

local function place(ref)
  if ref.transport == "registry" then
    return ref.domain .. "/" .. ref.path
  end
  return (ref.transport == "stdin" and "" or ref.transport .. ":") .. ref.path
end

---A reference in full, all defaults written out.
---@param ref banger.reference
---@return string
function M.format(ref)
  local text = place(ref)
  local tag = ref.tag or ref.name or (ref.index and "@" .. ref.index)
  if tag then
    text = text .. ":" .. tag
  end
  return ref.digest and text .. "@" .. ref.digest or text
end

return M
