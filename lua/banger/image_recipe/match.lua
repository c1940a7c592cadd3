---Which references an image recipe is for: pure.
---
---A pattern is written as a reference is, and `*` stands for anything:
---
---    nginx                    docker.io/library/nginx, any tag
---    nginx:1.*                its tags that begin with 1.
---    ghcr.io/org/*            all that is below
---    */nginx                  in any registry, at any depth
---    oci:*:nginx              a layout's image of that tag
local reference = require "banger.reference"

local M = {}

local LOCAL = { "oci:", "oci-archive:", "docker-archive:", "dir:", "-" }

local function is_local(text)
  for _, prefix in ipairs(LOCAL) do
    if text:sub(1, #prefix) == prefix then
      return true
    end
  end
  return false
end

-- A glob as a pattern of Lua's.
local function compile(glob)
  return "^" .. glob:gsub("%p", "%%%0"):gsub("%%%*", ".*") .. "$"
end

-- The part before the first slash is a registry if it could be nothing else, as
-- in references; a star may be anything, at the beginning registries too.
local function with_defaults(name)
  local first = name:match "^([^/]*)/"
  if name:find "^%*" or first and first:find "[.:*]" or first == "localhost" then
    return name
  end
  return "docker.io/" .. (first and "" or "library/") .. name
end

local function name_matches(pattern, name)
  pattern = pattern:gsub("^docker://", "")
  local repository, tag = pattern:match "^(.+):([^/]*)$"
  local own, own_tag = name:gsub("@.*", ""):match "^(.+):([^/]*)$"
  if not own then
    own, own_tag = name:gsub("@.*", ""), ""
  end
  return own:find(compile(with_defaults(repository or pattern))) ~= nil and own_tag:find(compile(tag or "*")) ~= nil
end

-- The names that an image goes by: an archive of docker's says its own, and a tag in a
-- layout may be a whole name.
local function names_of(ref)
  if ref.transport == "registry" then
    return { reference.format(ref) }
  end
  local own = ref.name or ref.tag and ref.tag:find "/" and reference.full_name(ref.tag)
  return { own or nil }
end

---Whether a pattern fits a reference.
---@param pattern string
---@param ref banger.reference
---@return boolean
---@example
---```lua
---match.matches("nginx", reference.parse "docker.io/library/nginx:1.27")  --> true
---```
function M.matches(pattern, ref)
  if is_local(pattern) then
    return reference.format(ref):find(compile(pattern)) ~= nil
  end
  for _, name in ipairs(names_of(ref)) do
    if name_matches(pattern, name) then
      return true
    end
  end
  return false
end

return M
