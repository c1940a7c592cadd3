--- Short ways to an image for tests that are not about layers.
local banger = require "banger"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local M = {}

M.EPOCH = 1600000000

--- A rootfs with the given layers in it; the caller closes it.
---@param near string the image it will become
---@param ... table layers, each a list of entries
function M.rootfs(near, ...)
  local scratch <close> = sh.scratch()
  local specs = {}
  for i, entries in ipairs { ... } do specs[i] = { tar = tar.archive(entries) } end
  local rootfs = banger.rootfs { near = near }
  for _, layer in ipairs(oci.layers(scratch:path "layout", specs)) do
    local blob <close> = banger.fetch_blob { digest = layer.digest, size = layer.size, path = layer.path }
    banger.flatten_layer(rootfs, blob, { diff_id = layer.diff_id })
  end
  return rootfs
end

--- An image of the given layers.
---@param path string
---@param options? table of mkext4
---@return table info
function M.image(path, options, ...)
  local rootfs <close> = M.rootfs(path, ...)
  local all = { epoch = M.EPOCH }
  for k, v in pairs(options or {}) do all[k] = v end
  return banger.mkext4(rootfs, path, all)
end

return M
