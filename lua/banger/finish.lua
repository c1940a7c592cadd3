---Finished images that are worked on before they get their name.
local banger = require "banger"

local M = {}

-- Beside the output, in nobody's way: the name is not in what is written.
local function temporary(path)
  local noise = banger.host.sha256(("%s %s %s"):format(path, os.time(), tostring {}))
  return ("%s.%s.new"):format(path, noise:sub(8, 15))
end

local function make(rootfs, temp, options, act)
  local info = banger.mkext4(rootfs, temp, options)
  act(temp)
  local image <close> = banger.open(temp)
  local df = image:df()
  for _, name in ipairs { "size", "used", "free", "inodes", "inodes_used", "inodes_free" } do
    info[name] = df[name] or info[name]
  end
  return info
end

-- Whoever reads an error knows the output, not the name it has till then.
local function name_output(problem, temp, path)
  if banger.is_error(problem) then
    problem.message = problem.message:gsub(temp:gsub("%p", "%%%0"), (path:gsub("%%", "%%%%")))
  end
  return problem
end

---`banger.mkext4`, and then a function on the image, which gets its name only when
---that went well too.
---@param rootfs banger.rootfs
---@param path string # checked by `banger.rootfs { near = path }`
---@param options banger.mkext4_options
---@param act? fun(path: string) # nil: nothing more is to be done
---@return banger.mkext4_info
---Raises what `banger.mkext4` and `act` do.
function M.mkext4(rootfs, path, options, act)
  if not act then
    return banger.mkext4(rootfs, path, options)
  end
  local real = banger.host.realpath(path) or path
  local temp = temporary(real)
  local _ <close> = setmetatable({}, { __close = function()
    os.remove(temp)
  end })
  local ok, result = pcall(make, rootfs, temp, options, act)
  if not ok then
    error(name_output(result, temp, path), 0)
  end
  banger.host.rename(temp, real)
  result.path = path
  return result
end

return M
