-- OpenRC, as Alpine has it, for images that have it installed:
--
--     banger-lua pull --recipe openrc -D services=sshd,crond my-alpine vm.ext4
--
-- The `alpine` image itself has no OpenRC: it runs a shell. A Dockerfile with
-- `RUN apk add openrc` makes one that boots.
description = "OpenRC (Alpine): boots the image's own init, with services of your choice"
init = "native"

local services = var("services", "", "Services to start, separated by commas.")

function after_flatten(rootfs)
  if not rootfs:exists "/sbin/openrc" then
    error "the image has no /sbin/openrc: install OpenRC in it (`apk add openrc`), or leave this recipe out"
  end
  for service in services:gmatch "[^,%s]+" do
    if not rootfs:exists("/etc/init.d/" .. service) then
      error(("the image has no service '%s': there is no /etc/init.d/%s"):format(service, service))
    end
    inject["/etc/runlevels/default/" .. service] = { symlink = "/etc/init.d/" .. service }
  end
end
