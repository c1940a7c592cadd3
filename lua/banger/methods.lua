---Methods of images and rootfs that are in Lua. What they need is loaded when the first
---of them is called; `banger.inspect.methods` has and documents them.
local M = {}

local NAMES = { "cat", "edit", "extract", "find", "inspect", "layers", "ls", "report", "tree" }

for _, name in ipairs(NAMES) do
  M[name] = function(...)
    return require("banger.inspect.methods")[name](...)
  end
end

return M
