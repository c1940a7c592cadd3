-- A login by ssh, for images that boot an init of their own and have an sshd:
--
--     banger-lua pull --recipe ssh -D key=~/.ssh/id_ed25519.pub debian-systemd vm.ext4
--
-- Host keys are made at the first boot; any that came with the image go, since every
-- copy of it would have the same.
local guest = require "banger.guest"

description = "A login by ssh: your key, and host keys that are made at the first boot"

local key = var("key", "", "A public key, or a file of them.")
local name = var("user", "root", "Who logs in; a new user is made.")

remove = "/etc/ssh/ssh_host_*"

local KEYGEN = [[
[Unit]
Description=Host keys of this machine
ConditionFileNotEmpty=!/etc/ssh/ssh_host_ed25519_key
Before=ssh.service sshd.service ssh.socket sshd.socket

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
]]

local UNITS = { "ssh.service", "sshd.service" } -- Debian's name, everybody else's
local UNIT_DIRS = { "/usr/lib/systemd/system/", "/lib/systemd/system/", "/etc/systemd/system/" }

local function systemd_unit(rootfs)
  for _, unit in ipairs(UNITS) do
    for _, dir in ipairs(UNIT_DIRS) do
      if rootfs:exists(dir .. unit) then
        return unit
      end
    end
  end
end

local function openrc_script(rootfs)
  for _, script in ipairs { "sshd", "ssh" } do
    if rootfs:exists("/etc/init.d/" .. script) and rootfs:exists "/sbin/openrc" then
      return script
    end
  end
end

local function sshd_of(rootfs)
  for _, path in ipairs { "/usr/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd" } do
    if rootfs:exists(path) then
      return path
    end
  end
  error "the image has no sshd: install openssh-server in it, or use the agent (--agent) instead"
end

function after_resolve()
  if key == "" then
    error "who may log in? say -D key=~/.ssh/id_ed25519.pub"
  end
  users = { { name = name, authorized_keys = key } }
end

function after_flatten(rootfs, build)
  sshd_of(rootfs)
  local init = guest.detect_init(rootfs, build.image.config, build.settings.init)
  local unit, script = systemd_unit(rootfs), openrc_script(rootfs)
  if init.kind == "banger" then
    error(("%s, so nothing would start sshd: use --init native, or the agent (--agent) instead"):format(init.why))
  elseif script then
    inject["/etc/runlevels/default/" .. script] = { symlink = "/etc/init.d/" .. script }
  elseif unit then
    inject["/etc/systemd/system/banger-ssh-keys.service"] = KEYGEN
    enable = { "banger-ssh-keys.service", unit }
  else
    error "neither systemd nor OpenRC has a service for sshd in this image"
  end
end
