---Prints files of an image.
local banger = require "banger"
local extract = require "banger.inspect.extract"
local inspect = require "banger.inspect"

local M = {}

local CHUNK = 1 << 20

---What is at paths, all of which have to be files.
---@param tree banger.tree
---@param paths string[] # links are followed
---@return banger.stat[]
---@example
---```lua
---for _, st in ipairs(cat.files(image, { "/etc/hosts" })) do print(st.size) end
---```
---Raises `not_found`, `usage` (no file).
function M.files(tree, paths)
  local files = {}
  for i, path in ipairs(paths) do
    local st = inspect.stat(tree, path, true)
    if st.type == "dir" then
      banger.error("usage", ("%s: a directory; ls lists it"):format(path))
    elseif st.type ~= "file" then
      banger.error("usage", ("%s: a %s, which has no content"):format(path, extract.TYPE_NAMES[st.type] or st.type))
    end
    files[i] = st
  end
  return files
end

---A file's content, in parts.
---@param tree banger.tree
---@param st banger.stat # of the file
---@param out fun(part: string)
---@example
---```lua
---cat.parts(image, image:stat "/etc/hosts", io.write)
---```
---Raises `io`, `ext4`.
function M.parts(tree, st, out)
  for offset = 0, st.size - 1, CHUNK do
    out(tree:read(st.path, { offset = offset, size = CHUNK }))
  end
end

return M
