---Platforms, such as linux/arm64: parsing, comparing, choosing. Pure.
local M = {}

---@class banger.platform
---@field os string
---@field architecture string # by its name in Go
---@field variant? string # left out where it is the architecture's only or first one

local architectures = {
  x86_64 = "amd64",
  ["x86-64"] = "amd64",
  aarch64 = "arm64",
  i386 = "386",
  i486 = "386",
  i586 = "386",
  i686 = "386",
}

-- Names that say architecture and variant in one.
local variants = { armhf = "v7", armv7l = "v7", armel = "v6", armv6l = "v6" }

local defaults = { amd64 = "v1", arm64 = "v8" }

---The one way to write a platform.
---@param os string
---@param architecture string
---@param variant? string
---@return banger.platform
---@example
---```lua
---platform.normalise("linux", "aarch64", "v8")  --> linux/arm64
---platform.normalise("linux", "arm")            --> linux/arm/v7
---```
function M.normalise(os, architecture, variant)
  os, architecture = os:lower(), architecture:lower()
  variant = variant and variant:lower() or ""
  if variants[architecture] then
    architecture, variant = "arm", variants[architecture]
  end
  architecture = architectures[architecture] or architecture
  if variant:find "^%d" then
    variant = "v" .. variant
  end
  if architecture == "arm" and variant == "" then
    variant = "v7"
  elseif variant == defaults[architecture] then
    variant = ""
  end
  return { os = os, architecture = architecture, variant = variant ~= "" and variant or nil }
end

---Parse `os/architecture[/variant]`.
---@param text string
---@return banger.platform?
---@return string? message # what is wrong, when the platform is nil
function M.parse(text)
  local os, rest = text:match "^([%w._-]+)/(.+)$"
  local architecture, variant = (rest or ""):match "^([%w._-]+)/?([%w._-]*)$"
  if not architecture or rest:sub(-1) == "/" then
    return nil, ("'%s' is no platform: os/architecture[/variant] expected, such as linux/amd64"):format(text)
  end
  return M.normalise(os, architecture, variant)
end

---@param platform banger.platform
---@return string
function M.format(platform)
  local text = platform.os .. "/" .. platform.architecture
  return platform.variant and text .. "/" .. platform.variant or text
end

-- What runs on `want`, best first: 32-bit arm and amd64 run their older variants.
local function acceptable(want)
  local list = { M.format(want) }
  local level = want.variant and tonumber(want.variant:match "^v(%d+)$")
  if level and (want.architecture == "arm" or want.architecture == "amd64") then
    for lower = level - 1, 1, -1 do
      list[#list + 1] = M.format(M.normalise(want.os, want.architecture, "v" .. lower))
    end
  end
  return list
end

---Whether an image made for `have` is what `want` asks for.
---@param want banger.platform
---@param have banger.platform
---@return boolean
function M.matches(want, have)
  for _, text in ipairs(acceptable(want)) do
    if text == M.format(have) then
      return true
    end
  end
  return false
end

-- Attestations stand beside the images they are about, as unknown/unknown.
local function is_image(entry)
  local annotations = entry.annotations or {}
  return annotations["vnd.docker.reference.type"] ~= "attestation-manifest"
    and not (entry.platform and entry.platform.os == "unknown")
end

---The images among an index's entries, without attestations.
---@param entries banger.descriptor[]
---@return banger.descriptor[]
function M.images(entries)
  local images = {}
  for _, entry in ipairs(entries) do
    if is_image(entry) then
      images[#images + 1] = entry
    end
  end
  return images
end

---The platforms of a list of images, in its order, each once.
---@param images banger.descriptor[]
---@return string[]
function M.list(images)
  local names, seen = {}, {}
  for _, image in ipairs(images) do
    local name = image.platform and M.format(image.platform)
    if name and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  return names
end

---Choose the entry for a platform: the best variant, the first of equals. An only
---image that does not say its platform is taken; its config is checked later.
---@param entries banger.descriptor[]
---@param want banger.platform
---@return banger.descriptor?
---@return string? message # names the platforms there are, when the entry is nil
function M.select(entries, want)
  local images = M.images(entries)
  for _, text in ipairs(acceptable(want)) do
    for _, image in ipairs(images) do
      if image.platform and M.format(image.platform) == text then
        return image
      end
    end
  end
  if #images == 1 and not images[1].platform then
    return images[1]
  end
  local names = M.list(images)
  local there = #names > 0 and "there are: " .. table.concat(names, ", ") or "the index names no platform"
  return nil, ("no image for %s; %s"):format(M.format(want), there)
end

return M
