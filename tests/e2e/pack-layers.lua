--- Packs tar files as the layers of an OCI layout:
--   lua5.4 tests/e2e/pack-layers.lua DIR TAG COMPRESSION:FILE...
package.path = "tests/?.lua;" .. package.path
local oci = require "support.oci"

local layers = {}
for i = 3, #arg do
  local compress, file = arg[i]:match "^(%w+):(.*)$"
  layers[#layers + 1] = { file = file, compress = compress }
end
oci.write(arg[1], { tag = arg[2], layers = layers })
