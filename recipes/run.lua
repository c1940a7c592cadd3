-- Boots an ext4 image in a virtual machine, with the console on the terminal:
--
--     banger-lua run out.ext4
--
-- The exit code is that of the image's program. Nothing needs root.
local argparse = require "argparse"
local accel = require "banger.machine.accel"
local banger = require "banger"
local cli = require "banger.cli"
local cloud_hypervisor = require "banger.machine.cloud_hypervisor"
local console = require "banger.machine.console"
local firecracker = require "banger.machine.firecracker"
local images = require "banger.machine.image"
local initramfs = require "banger.machine.initramfs"
local kernels = require "banger.machine.kernel"
local plan = require "banger.machine.plan"
local qemu = require "banger.machine.qemu"

local TIMED_OUT, PANICKED = 124, 125
local STOP_SECONDS = 10 -- as container engines have it
local MIB = 1024 * 1024
local LEAST_MEMORY = 32 * MIB

local function number(option, least, most)
  return function(text)
    local value = text:find "^%d+$" and math.tointeger(tonumber(text))
    if not value or value < least or value > most then
      return nil, ("%s: '%s' is no number from %d to %d"):format(option, text, least, most)
    end
    return value
  end
end

local function forward(text)
  local port = number("--forward", 1, 65535)
  local from, to = text:match "^(%d+):(%d+)$"
  if not from or not port(from) or not port(to) then
    return nil, ("--forward: '%s' is not HOSTPORT:GUESTPORT"):format(text)
  end
  return { host = port(from), guest = port(to) }
end

local function memory(text)
  local bytes, message = cli.size "--memory"(text)
  if bytes and bytes < LEAST_MEMORY then
    bytes, message = nil, ("--memory: '%s' is too little: 32M at least"):format(text)
  end
  return bytes, message
end

local function timeout(text)
  local seconds, message = cli.duration "--timeout"(text)
  if seconds == 0 then
    seconds, message = nil, ("--timeout: '%s' is no time to run for: more than 0 expected"):format(text)
  end
  return seconds, message
end

local function words(text)
  if text:find "%c" then
    return nil, "--append: control characters cannot be on a kernel's command line"
  end
  return text
end

local parser = argparse("banger-lua run", "Boot an ext4 image in a virtual machine; its exit code is that of the image's program.")
parser:argument("image", "The image, as pull makes it, or any other ext4 file system.")
parser:option("--kernel", "The kernel; default: the newest of this machine's that can be read."):argname "FILE"
parser:option("--initrd", "An initramfs; default: one made on the fly, of the drivers that the kernel has as modules."):argname "FILE"
parser:option("--modules", "The kernel's modules, where they are not found beside it: a directory with modules.dep."):argname "DIR"
parser:option("--machine", "What to boot on: q35 or microvm for amd64, virt for arm64."):choices { "q35", "microvm", "virt" }
parser:option("--accel", "How: auto takes KVM where it works, and software emulation (tcg) where not.", "auto")
  :choices { "auto", "kvm", "tcg" }
parser:option("--memory", "Memory, such as 512M.", "512M"):argname("SIZE"):convert(memory)
parser:option("--cpus", "Processors.", "1"):argname("N"):convert(number("--cpus", 1, 255))
parser:option("--append", "Words for the kernel's command line; may be repeated.")
  :argname("WORDS"):count("*"):convert(words)
parser:option("--forward", "HOSTPORT:GUESTPORT, a TCP port of this machine's loopback that leads to one of the guest; may be repeated.")
  :argname("HOSTPORT:GUESTPORT"):count("*"):convert(forward)
parser:flag("--no-network", "No network device.")
parser:option("--disk", "A file to be a further disk: vdb, vdc, ...; may be repeated."):argname("FILE"):count "*"
parser:option("--agent", "A socket to make here, behind which banger-init's agent listens."):argname "SOCKET"
parser:flag("--snapshot", "Write nothing into the disks: what the guest writes is gone afterwards.")
parser:option("--timeout", "End the machine after so long, such as 90 or 5m; the exit code is 124 then.")
  :argname("TIME"):convert(timeout)
parser:flag("-q --quiet", "Print nothing but what the console shows, and warnings.")
parser:option("--log", "Write what the console shows into a file too."):argname "FILE"
parser:option("--print-cmdline", "Boot nothing, print what would: a command line of qemu or cloud-hypervisor, a --config-file for firecracker.")
  :choices { "qemu", "firecracker", "cloud-hypervisor" }
parser:option("--initrd-out", "Write the initramfs that was made on the fly into a file."):argname "FILE"
parser:option("--tap", "With --print-cmdline: the network device of firecracker and cloud-hypervisor."):argname "DEVICE"
parser:epilog("Arguments after -- are for QEMU. When run is told to end (SIGTERM, SIGINT, --timeout), the machine is told to stop, "
  .. "and cut off ten seconds later, or at a second signal.")

-- What is after -- is not ours.
local own, extra = { ... }, {}
for i, word in ipairs(own) do
  if word == "--" then
    table.move(own, i + 1, #own, 1, extra)
    own = table.move(own, 1, i - 1, 1, {})
    break
  end
end
local options = cli.parse(parser, own)
local monitor = options.print_cmdline or "qemu"
local function note(format, ...)
  cli.note(format, ...)
end

local function exclude(cause, what, why)
  if cause and what then
    banger.error("usage", why)
  end
end
exclude(options.no_network, options.forward[1], "--forward and --no-network exclude each other")
exclude(options.tap, monitor == "qemu", "--tap is for --print-cmdline firecracker and cloud-hypervisor")
exclude(monitor ~= "qemu", options.forward[1], ("--forward is for QEMU's network: %s has --tap"):format(monitor))
exclude(monitor ~= "qemu", extra[1], ("what is after -- is for QEMU, not for %s"):format(monitor))
exclude(options.initrd, options.initrd_out, "--initrd and --initrd-out exclude each other")

local function write_file(path, data)
  local file, message = io.open(path, "wb")
  local ok = file
  if file then
    ok, message = file:write(data)
    ok = file:close() and ok
  end
  if not ok then
    banger.error("io", ("--initrd-out %s: %s"):format(path, message))
  end
end

-- 1. Find out what the image is, and what boots it.
local facts
do
  local image <close> = banger.open(options.image)
  facts = images.facts(image, options.image)
end
local arch = facts.arch or banger.host.arch()
local kind = plan.kind(arch, options.machine)
local kernel = options.kernel and kernels.open(options.kernel, { modules = options.modules })
  or kernels.find { arch = arch, modules = options.modules, note = note }
if kernel.arch ~= arch and kernel.arch ~= "unknown" then
  banger.error("platform", ("%s is for %s, the kernel %s is for %s: give another with --kernel"):format(
    options.image, arch, kernel.path, kernel.arch))
end

-- 2. Give a kernel whose drivers are modules those, in an initramfs of banger-init.
local bus = monitor == "firecracker" and "mmio" or monitor == "qemu" and qemu.bus(kind) or "pci"
local archive = not options.initrd and initramfs.build(kernel, bus, arch) or nil
if options.initrd then
  plan.disk(options.initrd, "--initrd")
elseif options.initrd_out and not archive then
  banger.error("usage", "--initrd-out: no initramfs is made for this kernel")
elseif options.initrd_out then
  write_file(options.initrd_out, archive)
elseif kernel.unindexed then
  local base, version = kernel.unindexed:match "^(.*)/lib/modules/([^/]*)$"
  cli.warn("%s has no modules.dep, and its modules are not used: depmod -b %s %s makes it", kernel.unindexed, base or "/", version or "VERSION")
elseif not kernel.modules then
  cli.warn("%s: its modules were not found (--modules DIR); virtio and ext4 have to be built in", kernel.path)
end

-- 3. Put the machine together.
local is_written = not options.snapshot and not options.print_cmdline
local disks = { plan.disk(options.image, "image", is_written) }
for i, path in ipairs(options.disk) do
  disks[i + 1] = plan.disk(path, "--disk", is_written)
end
local has_network = monitor == "qemu" and not options.no_network
local program, how, why = qemu.program(arch), options.accel, nil
if not options.print_cmdline then
  plan.installed(program, arch, os.getenv "PATH")
end
if how == "auto" and monitor == "qemu" then
  how, why = accel.choose(program, arch)
end
-- An emulated microvm has no other clock to measure this by than one that stumbles on a busy machine.
local tsc_khz = kind == "microvm" and how == "tcg" and monitor == "qemu" and banger.host.tsc_khz() or nil
local machine = {
  arch = arch,
  kind = kind,
  accel = how,
  memory = options.memory // MIB,
  cpus = options.cpus,
  kernel = kernel.path,
  initrd = options.initrd or options.initrd_out or archive and "initramfs.cpio",
  cmdline = plan.cmdline(monitor, kind, facts, { network = has_network, append = options.append, tsc_khz = tsc_khz }),
  disks = disks,
  snapshot = options.snapshot,
  forwards = has_network and options.forward or nil,
  tap = options.tap,
  agent = plan.socket(options.agent),
  console = banger.host.has_terminal() and "tty" or "plain",
  log = options.log,
  extra = extra,
}

-- 4. Print it, if that is asked for.
if monitor == "firecracker" then
  cli.write(firecracker.config(machine), "\n")
  if kernel.format ~= "vmlinux" then
    cli.warn("firecracker boots an uncompressed vmlinux (on arm64 an Image): %s is a %s", kernel.path, kernel.format)
  end
elseif monitor == "cloud-hypervisor" then
  cli.write(plan.quote(cloud_hypervisor.argv(machine)), "\n")
end
if options.print_cmdline and archive and not options.initrd_out then
  cli.warn("initramfs.cpio has to be made: --initrd-out FILE writes it")
end
if options.print_cmdline and monitor ~= "qemu" then
  return
end

-- 5. Boot it.
if options.print_cmdline then
  cli.write(plan.quote(qemu.argv(machine)), "\n")
  return
end
-- What was made for this run has no name: QEMU gets it as a descriptor.
machine.initrd = archive and "/dev/fd/3" or options.initrd
machine.control = archive and 4 or 3
note("boots %s: Linux %s, %s, %s%s", options.image, kernel.version or kernel.path, kind, how,
  why and (" (%s)"):format(why) or "")
if machine.console == "tty" then
  note("Ctrl-A x ends the machine, Ctrl-A h shows more keys")
end
local result = banger.host.foreground(qemu.argv(machine), {
  timeout = options.timeout, files = { archive }, farewell = qemu.farewell(kind), patience = STOP_SECONDS,
})

-- 6. End as the guest ended.
local ending = console.ending(result.tail)
if result.timed_out then
  cli.warn("%s: was ended after %d seconds (--timeout)", options.image, options.timeout)
  os.exit(TIMED_OUT)
elseif ending.panic then
  cli.warn("%s: the kernel gave up: %s", options.image, ending.panic)
  os.exit(PANICKED)
elseif ending.code then
  os.exit(ending.code)
elseif result.status ~= 0 then
  banger.error("io", ("%s ended with status %d"):format(program, result.status))
end
