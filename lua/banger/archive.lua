---Images in tar archives: what `docker save`, `skopeo copy` and others write, plain
---or compressed, as a file or on standard input. Nothing is unpacked but the
---compression; layers are ranges of the file.
local core = require "banger.core"
local docker = require "banger.archive_docker"
local files_of = require "banger.files"
local layout = require "banger.layout"

local M = {}

-- Both kinds have their own mark; what docker saves today has both, and its
-- manifest.json knows the names that people gave.
local function kind_of(files)
  return files:exists "manifest.json" and "docker-archive" or files:exists "oci-layout" and "oci-archive"
end

local function hint(files, ref)
  local kind = kind_of(files)
  if not kind then
    return "there is neither oci-layout nor manifest.json in it"
  elseif ref.path == "-" then
    return "'-' alone finds out what it is"
  end
  return ("%s:%s may be meant"):format(kind, ref.path)
end

local function refuse(files, ref, what)
  core.error("not_found", ("%s is no %s; %s"):format(files.name, what, hint(files, ref)))
end

local opens = {}

opens["oci-archive"] = function(files, ref)
  if not files:exists "oci-layout" then
    refuse(files, ref, "OCI archive")
  elseif ref.index then
    core.error("usage", ("%s is an OCI archive: its images have tags and digests, no index"):format(files.name))
  end
  return layout.open_files(files)
end

opens["docker-archive"] = function(files, ref)
  if not files:exists "manifest.json" then
    refuse(files, ref, "archive of docker's")
  end
  return docker.open(files)
end

---Open an archive.
---@param ref banger.reference # of the transport oci-archive, docker-archive or stdin
---@return banger.source
---@example
---```lua
---local ref = reference.parse "docker-archive:saved.tar:alpine"
---local entry = archive.open(ref):find(ref)[1]
---```
---Raises `not_found`, `usage` (no file), `layer` (malformed), `no_space` (for what has
---to be unpacked), `io`, `interrupted`.
function M.open(ref)
  local files = files_of.archive(ref.path)
  local kind = ref.transport == "stdin" and kind_of(files) or ref.transport
  if not opens[kind] then
    refuse(files, ref, "archive of images")
  end
  return opens[kind](files, ref)
end

return M
