--- Runs banger-init with a file system of busybox alone: as the first process of a
--- PID namespace, and as that of a machine under QEMU.
--
--   local guest = require "boot.guest"
--   guest.namespace { argv = { "sh", "-c", "exit 3" }, user = "5:6" }
--   guest.boot("name", { argv = { ... } })
--
-- A table says what goes below /.banger (argv, env, cwd, user, stop_signal,
-- stop_timeout, hostname, overlay, native) and `files`: path -> content, or { content, mode }.
local banger = require "banger"
local core = require "banger.core"
local contract = require "banger.guest"
local cpio = require "banger.machine.cpio"
local initramfs = require "banger.machine.initramfs"
local engine = require "support.engine"
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"
local tar = require "support.tar"

local M = {}

local MODE_FILE, MODE_PROGRAM = tonumber("644", 8), tonumber("755", 8)
local APPLETS = { "cat", "env", "id", "kill", "printf", "ps", "sh", "sleep", "stat", "touch" }

--- Strings as a file of /.banger holds them.
local function strings(list)
  local out = {}
  for i, s in ipairs(list) do out[i] = s .. "\0" end
  return table.concat(out)
end

local ONE = {
  cwd = "cwd", user = "user", stop_signal = "stop-signal", stop_timeout = "stop-timeout", hostname = "hostname",
  overlay = "overlay", native = "native",
}

--- All files of a guest: path -> { content, mode }.
local function files_of(spec, arch)
  local files = {
    ["/.banger/init"] = { core.resource("guest/banger-init-" .. (arch or "amd64")), MODE_PROGRAM },
    ["/bin/busybox"] = { sh.read_file(sh.check "command -v busybox":gsub("\n$", "")), MODE_PROGRAM },
  }
  for name, list in pairs { argv = spec.argv, env = spec.env } do
    files["/.banger/" .. name] = { strings(list), MODE_FILE }
  end
  for key, name in pairs(ONE) do
    if spec[key] then files["/.banger/" .. name] = { strings { spec[key] }, MODE_FILE } end
  end
  for path, file in pairs(spec.files or {}) do
    files[path] = type(file) == "table" and file or { file, MODE_FILE }
  end
  return files
end

-- ---- a PID namespace ------------------------------------------------------------

--- Writes the guest into a directory.
local function unpack_guest(dir, spec, arch)
  sh.check(("chmod 755 %s; mkdir -p %s/proc %s/dev %s/tmp %s/bin; touch %s/dev/null"):format(dir, dir, dir, dir, dir, dir))
  for path, file in pairs(files_of(spec, arch)) do
    sh.check(("mkdir -p %s"):format(sh.quote((dir .. path):match "^(.*)/")))
    sh.write_file(dir .. path, file[1])
    sh.check(("chmod %o %s"):format(file[2], sh.quote(dir .. path)))
  end
  for _, name in ipairs(APPLETS) do sh.check(("ln -s busybox %s/bin/%s"):format(dir, name)) end
end

-- Without privileges a user namespace gives them, in which there is only one user.
local function unshare_options()
  if sh.is_root() and not need.namespace() then return "-mpf" end
  return "-Urmpf"
end

local namespace_works

--- Why there is no PID namespace, or none with users besides root.
function M.namespace_reason(users)
  if namespace_works == nil then
    namespace_works = select(2, sh.run(("unshare %s --mount-proc true 2>/dev/null"):format(unshare_options()))) == 0
  end
  return need.all(need.program "busybox", not namespace_works and "needs a PID namespace" or nil,
    users and need.all(need.root(), need.namespace()) or nil)
end

--- Runs a guest to its end. `signals`: what to send from outside once the guest has
--- made /ready, such as { "TERM" }.
---@return { out: string, code: integer, exit: string?, seconds: number }
function M.namespace(spec, arch)
  local scratch <close> = sh.scratch()
  local dir = scratch.dir
  unpack_guest(dir, spec, arch)
  local run = ""
  if arch then
    sh.check(("cp %s %s/emulator"):format(sh.check "command -v qemu-aarch64-static":gsub("\n$", ""), dir))
    run = "/emulator"
  end
  -- Of what a test leaves behind nothing lives: the namespace dies with unshare.
  local enter = ('mount --bind /dev/null "$1/dev/null"; exec chroot "$1" %s /.banger/init'):format(run)
  local command = { ("timeout -s KILL 20 unshare --kill-child %s --mount-proc=%s/proc"):format(unshare_options(), dir)
    .. (" sh -c %s sh %s >%s/out 2>&1 </dev/null & pid=$!"):format(sh.quote(enter), dir, dir) }
  if spec.signals then
    -- timeout's child is unshare, whose child is the first process.
    command[#command + 1] = ("for i in $(seq 200); do [ -e %s/ready ] && break; sleep 0.05; done"):format(dir)
    command[#command + 1] = "set -- $(cat /proc/$pid/task/*/children); set -- $(cat /proc/$1/task/*/children)"
    command[#command + 1] = "p=$1; [ $p -gt 1 ] || exit 99"
    for _, signal in ipairs(spec.signals) do
      command[#command + 1] = ("kill -%s $p; sleep 0.3"):format(signal)
    end
  end
  command[#command + 1] = "wait $pid"
  local before = core.host.clock()
  local _, code = sh.run(table.concat(command, "\n"))
  local out = sh.read_file(dir .. "/out")
  return { out = out, code = code, exit = out:match "banger%-init: (exit=[^\n]*)\n$", seconds = core.host.clock() - before }
end

-- ---- a machine ------------------------------------------------------------------

local LOGS = "build/boot"

-- Where fetch-kernel.sh puts the distribution's kernel for virtual machines.
local KERNEL = "build/cache/kernel"

function M.boot_reason()
  return need.all(need.program "qemu-system-x86_64", need.program "busybox",
    not sh.exists(KERNEL .. "/kernel") and "no kernel in " .. KERNEL or nil)
end

local scratch, made = nil, {}

--- The initramfs of all boots, or one with other modules.
---@param modules { [string]: string|false }? # names and content of modules besides; false: it is only named
---@param without string? # the module's name that is left out
local function make_initramfs(modules, without)
  local key = (without or "") .. (modules and tostring(modules) or "")
  if made[key] then return made[key] end
  local version = sh.read_file(KERNEL .. "/version"):gsub("%s", "")
  local files, order, entries = {}, {}, {}
  for _, path in ipairs(initramfs.modules({ path = KERNEL .. "/kernel", modules = KERNEL .. "/lib/modules/" .. version }, "pci")) do
    if path:match "([^/]*)%.ko" ~= without then
      files[#files + 1] = path
      order[#order + 1] = path:match "[^/]*$" .. "\0"
    end
  end
  local archive = initramfs.make(core.resource "guest/banger-init-amd64", files)
  for name, content in pairs(modules or {}) do
    order[#order + 1] = name .. "\0"
    if content then entries[#entries + 1] = cpio.file("modules/" .. name, content) end
  end
  -- Of two archives one after the other, the kernel unpacks the second over the first.
  if modules then
    table.insert(entries, cpio.file("modules/order", table.concat(order)))
    archive = archive .. cpio.archive(entries)
  end
  scratch = scratch or sh.scratch()
  made[key] = scratch:fresh ".initramfs"
  sh.write_file(made[key], archive)
  return made[key]
end

--- An ext4 image of the guest: a `scratch` image with one static binary, to which the
--- contract of a bootable file system is added, and banger-init.
---@param path string
function M.image(path, spec)
  local files = files_of(spec)
  local busybox = files["/bin/busybox"]
  files["/bin/busybox"] = nil
  local rootfs <close> = engine.rootfs(path, { tar.file("bin/busybox", busybox[1], { mode = busybox[2] }) })
  local entries = {}
  for _, entry in ipairs(contract.contract(rootfs)) do
    if not files[entry.path] then entries[#entries + 1] = entry end
  end
  entries[#entries + 1] = { path = "/.banger", type = "dir", mode = MODE_PROGRAM, uid = 0, gid = 0 }
  for name, file in pairs(files) do
    entries[#entries + 1] = { path = name, type = "file", content = file[1], mode = file[2], uid = 0, gid = 0 }
  end
  table.sort(entries, function(a, b) return a.path < b.path end)
  banger.inject(rootfs, entries)
  banger.mkext4(rootfs, path, { epoch = engine.EPOCH })
end

--- Boots a guest with software emulation (BOOT_ACCEL: another way) and waits until the
--- machine is off. `cmdline`: more for the kernel's command line; `memory` in MiB;
--- `built`: the image is at the path already, and finds its init by itself; `modules`:
--- name -> content of modules besides those of the drivers, false for one that is only
--- named; `without`: the name of one that is left out;
--- `network`: with an interface, in what QEMU calls so: in "user" 10.0.2.2 is this host;
--- `disk`: a second disk's file;
--- `keys`: what QEMU's monitor is told once the console shows "READY".
---@param name string of the log
---@param spec table
---@param path string the image, kept for the caller
---@return { out: string, exit: string?, seconds: number, log: string }
function M.boot(name, spec, path)
  local initrd = make_initramfs(spec.modules, spec.without)
  sh.check("mkdir -p " .. LOGS)
  if not spec.built then M.image(path, spec) end
  local log = ("%s/%s.log"):format(LOGS, name)
  local words = { "timeout", "-k", "5", "55", "qemu-system-x86_64", "-M", "q35", "-accel", os.getenv "BOOT_ACCEL" or "tcg",
    "-m", tostring(spec.memory or 256), "-nodefaults", "-display", "none", "-serial", "file:" .. log, "-no-reboot",
    "-monitor", "stdio", "-kernel", KERNEL .. "/kernel", "-initrd", initrd,
    -- On a busy machine the kernel takes the emulated timer for broken.
    "-append", "console=ttyS0 quiet panic=-1 no_timer_check " .. (spec.built and "" or "init=/.banger/init ") .. (spec.cmdline or "rw") }
  local function add(...) table.move({ ... }, 1, select("#", ...), #words + 1, words) end
  for _, disk in ipairs { path, spec.disk } do add("-drive", "file=" .. disk .. ",format=raw,if=virtio") end
  if spec.network then add("-netdev", spec.network .. ",id=net", "-device", "virtio-net-pci,netdev=net") end
  local qemu = sh.line(table.unpack(words))
  local keys = "exec sleep 60"
  if spec.keys then
    keys = ("for i in $(seq 200); do grep -q READY %s && break; sleep 0.2; done; echo %s; exec sleep 60"):format(log, spec.keys)
  end
  sh.check(": >" .. log)
  local before = core.host.clock()
  -- What feeds the monitor ends with the machine.
  local said, code = sh.run(("fifo=%s.fifo; rm -f $fifo; mkfifo $fifo; { %s; } >$fifo & feeder=$!; %s <$fifo 2>&1; code=$?; "
    .. "kill $feeder 2>/dev/null; rm -f $fifo; exit $code"):format(path, keys, qemu))
  local out = sh.read_file(log):gsub("\r\n", "\n")
  if code ~= 0 then error(("%s: QEMU ended with %d\n%s\n%s"):format(log, code, said, out:sub(-2000)), 2) end
  return { out = out, exit = out:match "banger%-init: (exit=[^\n]*)\n", seconds = core.host.clock() - before, log = log }
end

--- Boots, and has e2fsck look at what is left.
function M.boot_clean(name, spec, path)
  local result = M.boot(name, spec, path)
  local clean, out = image.fsck(path)
  if not clean then error(out, 2) end
  return result
end

--- The console shows these words.
function M.assert_console(text, result)
  if not result.out:find(text, 1, true) then
    error(("%s has no %q:\n%s"):format(result.log, text, result.out:sub(-3000)), 2)
  end
end

--- The last line is this one, and the machine is off.
function M.assert_off(exit, result)
  M.assert_console("banger-init: " .. exit .. "\n", result)
  M.assert_console("reboot: Power down", result)
end

return M
