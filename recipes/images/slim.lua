-- What a machine does not need to run: manuals, translations, caches.
--
--     banger-lua pull --recipe slim --size min debian:12 small.ext4
description = "Drops manuals, translations and package caches"

local locales = var("locales", "en", "Languages to keep, separated by commas.")
local copyright = var("copyright", true, "Keep the copyright files in /usr/share/doc, as licences ask for.")

remove = {
  "/usr/share/man/*", "/usr/share/info/*", "/usr/share/groff/*", "/usr/share/lintian/*", "/usr/share/linda/*",
  "/usr/share/gtk-doc/*", "/usr/share/help/*",
  "/var/cache/apt/*.bin", "/var/cache/apt/archives/*.deb", "/var/lib/apt/lists/*", "/var/cache/debconf/*-old",
  "/var/cache/apk/*", "/var/cache/dnf/*", "/var/cache/yum/*", "/var/cache/man/*", "/var/cache/ldconfig/*",
  "/var/log/*.log", "/var/log/apt/*", "/tmp/*", "/var/tmp/*", "/root/.cache",
}

local function list(rootfs, path)
  local found = rootfs:stat(path)
  return found and found.type == "dir" and rootfs:list(path) or {}
end

local kept = {}
for language in locales:gmatch "[^,%s]+" do
  kept[language] = true
end

-- en keeps en, en_GB and en@quot; what lies there that is no language stays too.
local function is_kept(language)
  return kept[language] or kept[language:match "^[^_.@]+"] or not language:find "^%l%l%l?%f[_.@%z]"
end

local function drop_locales(rootfs)
  for _, language in ipairs(list(rootfs, "/usr/share/locale")) do
    if not is_kept(language) then
      remove[#remove + 1] = "/usr/share/locale/" .. language
    end
  end
end

local function drop_docs(rootfs)
  for _, package in ipairs(list(rootfs, "/usr/share/doc")) do
    local dir = "/usr/share/doc/" .. package
    for _, name in ipairs(list(rootfs, dir)) do
      if not copyright or name ~= "copyright" then
        remove[#remove + 1] = dir .. "/" .. name
      end
    end
  end
end

function after_flatten(rootfs)
  drop_locales(rootfs)
  drop_docs(rootfs)
end
