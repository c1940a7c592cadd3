--- Images of distributions, and machines that boot them.
--
--   local distro = require "boot.distro"
--   local reference, reason = distro.layout "systemd"     "oci:PATH:systemd", or nil and why not
--   distro.pull("systemd", "out.ext4", "--hostname vm")   banger-lua pull
--   local result = distro.boot("name", "out.ext4", { ... })
--
-- The names are those of distro.IMAGES. Their large layers are made once for a checkout by
-- make-images.sh, their configs and small layers are here.
local guest = require "boot.guest"
local core = require "banger.core"
local image = require "support.image"
local json = require "support.json"
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local M = {}

-- Seconds for what hangs: a boot takes 3 to 20 of them on a machine that is not busy.
local PATIENCE = 110

local KERNEL, LOGS, MAKER = "build/cache/kernel", "build/boot", "tests/boot/make-images.sh"

local PROGRAM = { mode = tonumber("755", 8) }

local function program(name, text)
  return tar.file(name, text, PROGRAM)
end

local function busybox(name)
  return program(name, sh.read_file((sh.check "command -v busybox":gsub("\n", ""))))
end

-- ---- the images -----------------------------------------------------------------

local PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

-- What the well-known image of PostgreSQL does, in short.
local POSTGRES = [[
#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
	mkdir -p "$PGDATA" /run/postgresql
	chmod 700 "$PGDATA"
	chown -R postgres "$PGDATA" /run/postgresql
	exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin)
if [ ! -s "$PGDATA/PG_VERSION" ]; then
	initdb -A trust -U postgres --no-sync > /dev/null
	echo "host all all all trust" >> "$PGDATA/pg_hba.conf"
	echo "docker-entrypoint: a new cluster in $PGDATA"
fi
exec "$@"
]]

-- As Alpine's inittab is: its consoles are those of a graphics card.
local ALPINE_INITTAB = [[
# /etc/inittab

::sysinit:/sbin/openrc sysinit
::sysinit:/sbin/openrc boot
::wait:/sbin/openrc default

# Set up a couple of getty's
tty1::respawn:/sbin/getty 38400 tty1
tty2::respawn:/sbin/getty 38400 tty2

# Put a getty on the serial port
#ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100

# Stuff to do for the 3-finger salute
::ctrlaltdel:/sbin/reboot

# Stuff to do before rebooting
::shutdown:/sbin/openrc shutdown
]]

--- A service of OpenRC.
local function service(name, depend, start)
  return program("etc/init.d/" .. name, ("#!/sbin/openrc-run\ndepend() {\n\t%s\n}\nstart() {\n\tebegin \"Starting %s\"\n\t%s\n\teend $?\n}\n")
    :format(depend, name, start))
end

local ACCOUNTS = {
  tar.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
  tar.file("etc/group", "root:x:0:\ntty:x:5:\nuucp:x:14:\nnogroup:x:65534:\n"),
  tar.file("etc/shadow", "root::0:0:99999:7:::\n", { mode = tonumber("640", 8) }),
}

---@class distro.image
---@field base? string # "debian" or "openrc": the layer of make-images.sh that it stands on
---@field entries table[] # a layer above that
---@field config table # the image's config

---@type table<string, distro.image>
M.IMAGES = {
  -- A machine. What docker left in it must not make systemd take it for a container.
  systemd = {
    base = "debian",
    entries = { tar.file(".dockerenv", "") },
    config = { Cmd = { "/sbin/init" }, Env = { PATH, "container=docker" }, StopSignal = "SIGRTMIN+3" },
  },
  -- An application image, although systemd is installed in it.
  nginx = {
    base = "debian",
    entries = {
      tar.file("var/www/html/index.html", "<h1>served by the machine</h1>\n"),
      tar.symlink("var/log/nginx/access.log", "/dev/stdout"), tar.symlink("var/log/nginx/error.log", "/dev/stderr"),
    },
    config = { Entrypoint = { "nginx" }, Cmd = { "-g", "daemon off;" }, Env = { PATH }, StopSignal = "SIGQUIT" },
  },
  postgres = {
    base = "debian",
    entries = { program("usr/local/bin/docker-entrypoint.sh", POSTGRES) },
    config = {
      Entrypoint = { "docker-entrypoint.sh" }, Cmd = { "postgres", "-c", "listen_addresses=*" },
      Env = { PATH, "PGDATA=/var/lib/postgresql/data" }, StopSignal = "SIGINT",
    },
  },
  ssh = {
    base = "debian",
    entries = { tar.symlink("etc/systemd/system/multi-user.target.wants/ssh.service", "/lib/systemd/system/ssh.service") },
    config = { Cmd = { "/sbin/init" }, Env = { PATH } },
  },
  -- /lib, /bin, /sbin are links: a shell of the distribution, with its loader and libraries.
  merged = {
    base = "debian", entries = {},
    config = { Cmd = { "/bin/bash", "-c", 'echo "bash $BASH on $(/usr/bin/uname -s): $(readlink /lib /bin /sbin | xargs)"' }, Env = { PATH } },
  },
  busybox = {
    entries = { busybox "bin/busybox", tar.symlink("bin/sh", "busybox"), tar.symlink("sbin/init", "../bin/busybox"),
      tar.symlink("sbin/getty", "../bin/busybox"), tar.symlink("bin/login", "busybox"), table.unpack(ACCOUNTS) },
    config = { Cmd = { "/sbin/init" } },
  },
  -- As Alpine with its package openrc.
  openrc = {
    base = "openrc",
    entries = {
      tar.file("etc/inittab", ALPINE_INITTAB), tar.file "etc/insserv.conf", tar.dir "etc/insserv.conf.d",
      tar.dir "etc/runlevels/sysinit", tar.dir "etc/runlevels/boot", tar.dir "etc/runlevels/default",
      tar.dir "etc/runlevels/shutdown", tar.dir "etc/runlevels/nonetwork",
      service("devfs", "before dev", "mkdir -p /dev/pts /dev/shm && mount -t devpts devpts /dev/pts && mount -t tmpfs shm /dev/shm"),
      service("procfs", "need localmount", "true"),
      service("sysfs", "keyword -vserver", "mountinfo -q /sys || mount -t sysfs sysfs /sys"),
      service("hostname", "before net", "hostname -F /etc/hostname"),
      service("bootmisc", "after hostname", "mkdir -p /var/log /tmp"),
      service("localmount", "before bootmisc", "true"),
      service("networking", "provide net", "ifconfig lo up"),
      service("killprocs", "keyword -prefix", "true"),
      service("mount-ro", "after killprocs", "mount -o remount,ro /"),
      table.unpack(ACCOUNTS),
    },
    config = { Cmd = { "/sbin/init" }, Env = { PATH } },
  },
}

local made -- where the large layers are, or false and why they are not

--- The folder of the large layers, made now where they are not there.
local function layers()
  if made then return made end
  local dir = ("build/cache/boot/%s"):format(sh.sha256(MAKER):sub(1, 8))
  local out, code = sh.run(("sh %s %s"):format(MAKER, dir))
  if code ~= 0 then return nil, out:match "[^\n]+" or ("%s failed with status %d, see %s.log"):format(MAKER, code, dir) end
  made = (sh.check("realpath " .. dir):gsub("\n", ""))
  return made
end

local scratch = sh.scratch()

local function config_of(from)
  local config = {}
  for key, value in pairs(from) do config[key] = type(value) == "table" and json.array(value) or value end
  return config
end

local layouts = {}

--- An image as a layout that `banger-lua pull` takes; with the tag of its name. It lives as
--- long as this process.
---@param name string of M.IMAGES
---@return string? reference
---@return string? reason
function M.layout(name)
  if layouts[name] then return layouts[name] end
  local spec = assert(M.IMAGES[name], name)
  local stack = {}
  if spec.base then
    local dir, reason = layers()
    if not dir then return nil, reason end
    local base = ("%s/%s.tar"):format(dir, spec.base)
    if not sh.exists(base .. ".sum") then return nil, sh.read_file(("%s/%s.reason"):format(dir, spec.base)):match "[^\n]+" end
    stack[1] = { blob = base .. ".zst", compress = "zstd", diff_id = "sha256:" .. sh.read_file(base .. ".sum"):match "%x+" }
  elseif need.program "busybox" then
    return nil, need.program "busybox"
  end
  if #spec.entries > 0 then stack[#stack + 1] = { tar = tar.archive(spec.entries), compress = "gzip" } end
  local dir = scratch:path(name)
  oci.write(dir, { tag = name, layers = stack, config = { config = config_of(spec.config) } })
  layouts[name] = ("oci:%s:%s"):format(dir, name)
  return layouts[name]
end

--- Pulls an image with banger-lua; false and the reason where the image cannot be made here.
---@param name string of M.IMAGES
---@param path string
---@param options? string
function M.pull(name, path, options)
  local reference, reason = M.layout(name)
  if not reference then return false, reason end
  sh.check(("%s pull -q %s %s %s"):format(sh.quote(sh.banger()), options or "", reference, path))
  return true
end

-- ---- machines -------------------------------------------------------------------

--- Why nothing can be booted here, or nil.
function M.reason()
  return os.getenv "QUICK" and "QUICK is set" or guest.boot_reason()
end

--- Port of this host that is free now.
function M.free_port()
  return tonumber((sh.check "python3 -c 'import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 0)); print(s.getsockname()[1])'"))
end

-- What is typed and what the monitor is told goes through pipes that this shell keeps open.
local SCRIPT = [[
log=%s; pipe=%s
mkfifo $pipe.keys $pipe.monitor.in $pipe.monitor.out
exec 3<>$pipe.keys 4<>$pipe.monitor.out 5<>$pipe.monitor.in
: >$log
tell() { echo "$1" >&5; }
keys() { printf '%%s\n' "$1" >&3; }
seen() { grep -qF -e "$1" $log; }
%s <&3 >$pipe.out 2>&1 & pid=$!
# Where the machine ends before it is as far, the rest is not waited for.
until_true() { while ! eval "$1"; do kill -0 $pid 2>/dev/null || return 1; sleep 0.2; done; }
%s
wait $pid
]]

---@class distro.step
---@field [1] string # the console shows this, or (with `check`) a shell condition
---@field check? boolean
---@field act? string # a shell command; `tell WORDS` gives QEMU's monitor a command, `keys LINE` types at the console

---@class distro.options
---@field steps? distro.step[] # one after the other
---@field forward? { [1]: integer, [2]: integer } # port of the host, of the guest
---@field network? false|"dhcp" # none; or nobody tells the guest its address
---@field disks? string[] # more disks: /dev/vdb and on
---@field cmdline? string[] # more words for the kernel's command line
---@field memory? integer # MiB
---@field run? string[] # more arguments for banger-lua run
---@field seconds? integer # until the machine is cut off

--- banger-lua run with its arguments.
local function command(path, log, monitor, options)
  local words = { sh.banger(), "run", path, "--kernel", KERNEL .. "/kernel", "--accel", os.getenv "BOOT_ACCEL" or "tcg",
    "--log", log, "--timeout", tostring(options.seconds or PATIENCE), "--memory", ("%dM"):format(options.memory or 512) }
  local function add(option, value)
    words[#words + 1] = option
    words[#words + 1] = value
  end
  if options.forward then add("--forward", ("%d:%d"):format(table.unpack(options.forward))) end
  if options.network == false then words[#words + 1] = "--no-network" end
  if options.network == "dhcp" then add("--append", "ip=off") end
  for _, disk in ipairs(options.disks or {}) do add("--disk", disk) end
  for _, word in ipairs(options.cmdline or {}) do add("--append", word) end
  table.move(options.run or {}, 1, #(options.run or {}), #words + 1, words)
  table.move({ "--", "-chardev", "pipe,id=monitor,path=" .. monitor, "-mon", "chardev=monitor" }, 1, 5, #words + 1, words)
  return sh.line(table.unpack(words))
end

--- Boots an image with banger-lua run and waits until the machine is off. What the console
--- shows is in build/boot/NAME.log, and its end in the error when the machine does not end.
---@param name string of the log
---@param path string
---@param options? distro.options
---@return { out: string, exit: string?, code: integer, seconds: number, log: string } # exit: banger-init's last line; code: of run
function M.boot(name, path, options)
  options = options or {}
  local log, pipe = ("%s/%s.log"):format(LOGS, name), scratch:fresh ".run"
  sh.check("mkdir -p " .. LOGS)
  local steps = {}
  for i, step in ipairs(options.steps or {}) do
    steps[i] = ("until_true %s && { %s; }"):format(sh.quote(step.check and step[1] or "seen " .. sh.quote(step[1])), step.act or ":")
  end
  local before = core.host.clock()
  local _, code = sh.run(SCRIPT:format(log, pipe, command(path, log, pipe .. ".monitor", options), table.concat(steps, "\n")))
  local out = sh.read_file(log):gsub("\r\n", "\n")
  local exit = out:match "banger%-init: (exit=[^\n]*)\n"
  if code ~= 0 and not exit then
    error(("%s: banger-lua run ended with %d\n%s\n%s"):format(log, code, sh.read_file(pipe .. ".out"):sub(-500), out:sub(-3000)), 2)
  end
  return { out = out, exit = exit, code = code, seconds = core.host.clock() - before, log = log }
end

--- The console shows a text; else an error with its end.
function M.assert_console(text, result)
  if not result.out:find(text, 1, true) then
    error(("%s: no %q in the console:\n%s"):format(result.log, text, result.out:sub(-3000)), 2)
  end
end

--- The image passes e2fsck -fn.
function M.assert_clean(path)
  local clean, said = image.fsck(path)
  if not clean then error(said, 2) end
end

return M
