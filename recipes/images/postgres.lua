-- PostgreSQL as a machine, with room for its data:
--
--     banger-lua pull -D password=secret -D space=20G postgres db.ext4
--
-- The database is made at the first boot, by the image's own entrypoint. The password
-- is in the image then: whoever can read the file has it.
description = "PostgreSQL: the space for its data, which is the server's, and the password"
match = "postgres"
hostname = "postgres"
stop_timeout = 120 -- a checkpoint takes its time

free = var("space", "1G", "Free space for the data.")
local password = var("password", "", "The superuser's password; in the image, for all to read.")
local trust = var("trust", false, "Let everybody in without a password.")

environment = {}
if password ~= "" then
  environment.POSTGRES_PASSWORD = password
elseif trust then
  environment.POSTGRES_HOST_AUTH_METHOD = "trust"
end

local function image_env(build, name)
  for _, text in ipairs(build.image.config.config.Env or {}) do
    local value = text:match("^" .. name .. "=(.+)$")
    if value then
      return value
    end
  end
end

function after_flatten(_, build)
  local data = environment.PGDATA or image_env(build, "PGDATA") or "/var/lib/postgresql/data"
  inject[data .. "/"] = { owner = "postgres", mode = "0700" }
  if password == "" and not trust and not image_env(build, "POSTGRES_PASSWORD") then
    note "postgres: it will ask for a password when it boots: -D password=..., or -D trust=true"
  end
end
