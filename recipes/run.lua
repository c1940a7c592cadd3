-- Boots an ext4 image in a virtual machine, with the console on the terminal:
--
--     banger-lua run out.ext4
--
-- The exit code is that of the image's program. Nothing needs root.
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local cloud_hypervisor = require "banger.machine.cloud_hypervisor"
local console = require "banger.machine.console"
local firecracker = require "banger.machine.firecracker"
local images = require "banger.machine.image"
local inspect = require "banger.inspect"
local initramfs = require "banger.machine.initramfs"
local json = require "banger.json"
local kernels = require "banger.machine.kernel"
local output = require "banger.output"
local asked = require "banger.machine.options"
local plan = require "banger.machine.plan"
local qemu = require "banger.machine.qemu"
local shell = require "banger.shell"
local text = require "banger.text"

-- The exit codes that are not the guest's: as timeout, container engines and shells have them.
local TIMED_OUT, NOT_RUN, CUT_OFF = 124, 125, 130
local SIGNALLED, SIGINT = 128, 2 -- and the number of the signal; the one that is meant where none is named
local STOP_SECONDS = 10 -- as container engines have it

local parser = argparse("banger-lua run", "Boot an ext4 image in a virtual machine; its exit code is that of the image's program.")
parser:argument("image", "The image, as pull makes it, or any other ext4 file system.")
parser:option("--kernel", "The kernel; default: $BANGER_KERNEL, else the newest of this machine's that can be read."):argname "FILE"
parser:option("--initrd", "An initramfs; default: one made on the fly, of the drivers that the kernel has as modules."):argname "FILE"
parser:option("--modules", "The kernel's modules, where they are not found beside it: a directory with modules.dep."):argname "DIR"
parser:option("--machine", "What to boot on: q35 or microvm for amd64, virt for arm64."):choices { "q35", "microvm", "virt" }
parser:option("--accel", "How: auto takes KVM where it works, and software emulation (tcg) where not.", "auto")
  :choices { "auto", "kvm", "tcg" }
parser:option("--memory", "Memory, such as 512M.", "512M"):argname("SIZE"):convert(asked.memory)
parser:option("--cpus", "Processors.", "1"):argname("N"):convert(cli.number("--cpus", 1, 255))
parser:option("--append", "Words for the kernel's command line; may be repeated.")
  :argname("WORDS"):count("*"):convert(asked.words)
parser:option("--forward", "HOSTPORT:GUESTPORT, a TCP port of this machine's loopback that leads to one of the guest; may be repeated.")
  :argname("HOSTPORT:GUESTPORT"):count("*"):convert(asked.forward)
parser:flag("--no-network", "No network device.")
parser:option("--disk", "A file to be a further disk: vdb, vdc, ...; may be repeated."):argname("FILE"):count "*"
parser:option("--agent", "A socket to make here, behind which banger-init's agent listens."):argname "SOCKET"
parser:flag("--snapshot", "Write nothing into the disks: what the guest writes is gone afterwards.")
parser:option("--timeout", "End the machine after so long, such as 90 or 5m; the exit code is 124 then.")
  :argname("TIME"):convert(asked.timeout)
parser:flag("--json", "Print one JSON object: how the machine ended. What the console shows goes to stderr.")
parser:flag("-q --quiet", "Say nothing on stderr but warnings and errors; the console is shown.")
parser:option("--log", "Write what the console shows into a file too."):argname "FILE"
parser:option("--print-cmdline", "Boot nothing, print what would: a command line of qemu or cloud-hypervisor, a --config-file for firecracker.")
  :choices { "qemu", "firecracker", "cloud-hypervisor" }
parser:option("--initrd-out", "Write the initramfs that was made on the fly into a file."):argname "FILE"
parser:option("--tap", "With --print-cmdline: the network device of firecracker and cloud-hypervisor."):argname "DEVICE"
parser:epilog("Arguments after -- are for QEMU. When run is told to end (SIGTERM, SIGINT, --timeout), the machine is told to stop, "
  .. "and cut off ten seconds later, or at a second signal. A kernel can be had without root: `make kernel` in banger-lua's sources unpacks "
  .. "the distribution's; or, by hand: apt-get download linux-image-VERSION (Ubuntu: linux-modules-VERSION too; apt-cache search linux-image "
  .. "names them), dpkg-deb -x FILE.deb DIR, depmod -b DIR VERSION, then --kernel DIR/boot/vmlinuz-VERSION.")
cli.exits(parser, {
  { "N", "what the image's program ended with; 128 and the number of the signal that killed it" },
  { "5", "the kernel is not for the image's architecture, or there is no machine for it" },
  { "6", "what pull noted in the image cannot be used" },
  { "124", "the time of --timeout was over" },
  { "125", "QEMU could not run the machine, its kernel gave up, or the program could not start" },
  { "130", "the machine was told to stop by SIGINT, or cut off by Ctrl-A x" },
  { "143", "it was told to stop by SIGTERM" },
})

local own, extra = cli.split { ... }
local options = cli.parse(parser, own)
asked.agree(options, extra)
local monitor, note = options.print_cmdline or "qemu", cli.note

-- 1. Find out what the image is, and what boots it.
local facts
do
  inspect.check_file(options.image, "booted")
  local image <close> = banger.open(options.image)
  facts = images.facts(image, options.image)
end
local arch = facts.arch or banger.host.arch()
local kind = plan.kind(arch, options.machine)
local told = os.getenv "BANGER_KERNEL" or ""
local kernel = options.kernel and kernels.open(options.kernel, { modules = options.modules })
  or told ~= "" and kernels.open(told, { modules = options.modules, asked = "BANGER_KERNEL" })
  or kernels.find { arch = arch, modules = options.modules, note = note }
if kernel.arch ~= arch and kernel.arch ~= "unknown" then
  banger.error("platform", ("%s is for %s, the kernel %s is for %s: give another with --kernel"):format(
    options.image, arch, kernel.path, kernel.arch))
end

-- 2. Give a kernel whose drivers are modules those, in an initramfs of banger-init.
local archive = not options.initrd and initramfs.build(kernel, plan.bus(monitor, kind), arch) or nil
if options.initrd_out then
  output.write(options.initrd_out, archive or banger.error("usage", "--initrd-out: no initramfs is made for this kernel"))
end
local advice = not options.initrd and not archive and kernels.advice(kernel)
if advice then
  cli.warn("%s", advice)
end

-- 3. Put the machine together.
local machine, why = plan.machine(options, { arch = arch, kind = kind, facts = facts, kernel = kernel, archive = archive, extra = extra })

-- 4. Print it, if that is asked for: Firecracker's is JSON anyway.
local function print_command(argv)
  cli.write(options.json and json.encode { argv = argv } or shell.quote(argv), "\n")
end
if monitor == "firecracker" then
  cli.write(firecracker.config(machine), "\n")
  if kernel.format ~= "vmlinux" then
    cli.warn("firecracker boots an uncompressed vmlinux (on arm64 an Image): %s is a %s", kernel.path, kernel.format)
  end
elseif monitor == "cloud-hypervisor" then
  print_command(cloud_hypervisor.argv(machine))
elseif options.print_cmdline then
  print_command(qemu.argv(machine))
end
if options.print_cmdline then
  if archive and not options.initrd_out then
    cli.warn("initramfs.cpio has to be made: --initrd-out FILE writes it")
  end
  return
end

-- 5. Boot it. What was made for this run has no name: QEMU gets it as a descriptor.
machine.initrd = archive and "/dev/fd/3" or options.initrd
machine.control = archive and 4 or 3
note("boots %s: Linux %s, %s, %s%s", options.image, kernel.version or kernel.path, kind, machine.accel,
  why and (" (%s)"):format(why) or "")
if machine.console == "tty" then
  note("Ctrl-A x ends the machine, Ctrl-A h shows more keys")
end
local booted, result = pcall(banger.host.foreground, qemu.argv(machine), {
  timeout = options.timeout, files = { archive }, farewell = qemu.farewell(kind), patience = STOP_SECONDS, to_stderr = options.json,
})
local stopped = not booted and banger.is_error(result) and result.code == "interrupted" and result
if not booted and not stopped then
  error(result, 0)
end

-- 6. End as the guest ended.
local ending = console.ending(stopped and "" or result.tail)
local ended, code, words = "off", 0, nil
if stopped then
  ended, code = "stopped", SIGNALLED + (stopped.signal or SIGINT)
elseif result.timed_out then
  ended, code, words = "timeout", TIMED_OUT, ("was ended after %s (--timeout)"):format(text.count(options.timeout, "second"))
elseif machine.console == "tty" and ending.cut_off then
  ended, code, words = "cut off", CUT_OFF, "was cut off (Ctrl-A x)"
elseif ending.panic then
  ended, code, words = "panic", NOT_RUN, "the kernel gave up: " .. ending.panic
elseif ending.code then
  ended, code = "program", ending.code
elseif result.status ~= 0 then
  ended, code = "failed", NOT_RUN
  words = ("was not run: QEMU ended with status %d, and its last words are above"):format(result.status)
end
if words then
  cli.warn("%s: %s", options.image, words)
end

---@class banger.run.json # what --json prints
---@field image string
---@field ended "program"|"off"|"panic"|"timeout"|"stopped"|"cut off"|"failed" # its program did; the guest without saying more; ...
---@field exit integer # of this program
---@field signal? integer # what killed the program
---@field oom? true # the kernel killed it for want of memory
---@field panic? string # why the kernel gave up
---@field kernel string
---@field machine string
---@field accel string
if options.json then
  cli.write(json.encode {
    image = options.image, ended = ended, exit = code, panic = ended == "panic" and ending.panic or nil,
    signal = ended == "program" and ending.signal ~= 0 and ending.signal or nil, oom = ended == "program" and ending.oom or nil,
    kernel = kernel.version or kernel.path, machine = kind, accel = machine.accel,
  }, "\n")
end
if stopped then
  error(stopped, 0) -- ends this program with that code, after its line on stderr
elseif code ~= 0 then
  os.exit(code)
end
