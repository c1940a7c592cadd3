-- nginx as a machine: pulling `nginx` is enough, and these are there to be set:
--
--     banger-lua pull -D site=./public -D port=8080 nginx web.ext4
description = "nginx: a folder to serve, and the port"
match = "nginx"
hostname = "nginx"

local site = var("site", "", "A folder of this machine to serve instead of nginx's own page.")
local port = var("port", 80, "The port to listen on.")

-- The official image's place, and that of distributions.
local PLACES = {
  { config = "/etc/nginx/conf.d/default.conf", root = "/usr/share/nginx/html" },
  { config = "/etc/nginx/sites-available/default", root = "/var/www/html" },
}

local function place_in(rootfs)
  for _, place in ipairs(PLACES) do
    if rootfs:exists(place.config) then
      return place
    end
  end
  error "the image has no nginx configuration that this recipe knows: use --no-image-recipes, and inject your own"
end

function after_flatten(rootfs)
  if site == "" and port == 80 then
    return
  end
  local place = place_in(rootfs)
  if site ~= "" then
    inject[place.root] = { dir = site }
  end
  if port ~= 80 then
    local config, count = rootfs:read(place.config):gsub("(listen%s+[^;]-)80([%s;])", "%1" .. port .. "%2")
    if count == 0 then
      error(place.config .. " does not say 'listen 80'")
    end
    inject[place.config] = config
  end
end
