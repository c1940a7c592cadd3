---certs.d: certificates for one registry, in a directory named after it.
local M = {}

---@class banger.certs
---@field ca string[] # paths of certificates that the registry's may be signed by
---@field cert? string # path of the client's certificate
---@field key? string # path of its key

---What this module asks of the machine.
---@class banger.certs.io
---@field getenv fun(name: string): string?
---@field list fun(path: string): string[]? # names in a directory, sorted; nil: there is none; an error of code io: it may not be read

local function dirs(home)
  local list = { "/etc/containers/certs.d", "/etc/docker/certs.d" }
  if home and home ~= "" then
    table.insert(list, 1, home .. "/.config/containers/certs.d")
  end
  return list
end

-- A directory that may not be read is not for us: the next one may be.
local function list_dir(io, dir)
  local ok, result = pcall(io.list, dir)
  if ok then
    return result
  elseif type(result) ~= "table" or result.code ~= "io" then
    error(result, 0)
  end
  return nil
end

local function read_names(dir, names)
  local has = {}
  for _, name in ipairs(names) do
    has[name] = true
  end
  local found = { ca = {} }
  for _, name in ipairs(names) do
    local stem, ending = name:match "^(.*)%.(%l+)$"
    local path = dir .. "/" .. name
    if ending == "crt" then
      found.ca[#found.ca + 1] = path
    elseif ending == "cert" and not has[stem .. ".key"] then
      return nil, ("%s has no key: %s.key is missing beside it (CA certificates end in .crt)"):format(path, stem)
    elseif ending == "key" and not has[stem .. ".cert"] then
      return nil, ("%s has no certificate: %s.cert is missing beside it"):format(path, stem)
    elseif ending == "cert" and not found.cert then
      found.cert, found.key = path, ("%s/%s.key"):format(dir, stem)
    end
  end
  return found
end

---The certificates for a registry: those of the first directory that there is for
---it, of the user's, `/etc/containers/certs.d` and `/etc/docker/certs.d`. Of several
---client certificates the first by name is taken.
---@param domain string # with its port, if it has one
---@param io banger.certs.io
---@return banger.certs?
---@return string? message # what is wrong, when the first is nil
---@example
---```lua
---certs.find("example.com:5000", { getenv = os.getenv, list = host.list })
---```
function M.find(domain, io)
  if domain:find "/" or domain:find "^%.*$" then
    return nil, ("'%s' is no registry's host name"):format(domain)
  end
  for _, parent in ipairs(dirs(io.getenv "HOME")) do
    local dir = parent .. "/" .. domain
    local names = list_dir(io, dir)
    if names then
      return read_names(dir, names)
    end
  end
  return { ca = {} }
end

return M
