-- `banger-lua run` boots what `banger-lua pull` made: on each machine, with each device,
-- and ends as the guest ended.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local guest = require "boot.guest"
local image = require "support.image"
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local KERNEL = "build/cache/kernel/kernel"
local KERNEL_ARM64 = "build/cache/kernel-arm64/kernel"
local LOGS = "build/boot"
local X = tonumber("755", 8)

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local reason = need.all(need.time(), guest.boot_reason())
local function it_boots(name, act, ...)
  local lacking = reason or need.program(...)
  it(name, function()
    if lacking then return pending(lacking) end
    act()
  end)
end

local function busybox(name)
  return tar.file(name, sh.read_file((sh.check "command -v busybox":gsub("\n", ""))), { mode = X })
end

local function pull(entries, config, arch)
  local layout, path = scratch:fresh ".layout", scratch:fresh ".ext4"
  oci.write(layout, { tag = "t", layers = { { tar = tar.archive(entries), compress = "gzip" } }, config = { config = config },
    platform = arch and { os = "linux", architecture = arch } })
  sh.check(("%s pull -q --platform linux/%s oci:%s:t %s --free 8M"):format(sh.quote(sh.banger()), arch or "amd64", layout, path))
  return path
end

local base

-- An image whose program is a shell script; b is busybox in it.
local function image_of(script)
  base = base or pull({ busybox "bin/busybox" }, { Entrypoint = { "/bin/busybox", "sh", "/script" } })
  local path = scratch:fresh ".ext4"
  sh.check(("cp --sparse=always %s %s"):format(base, path))
  banger.inject(path, { { path = "/script", content = "b=/bin/busybox\n" .. script .. "\n" } })
  return path
end

-- Where the files of a run are, and nothing else is.
local function run_line(options, path)
  return ("TMPDIR=%s %s run %s --memory 256M %s %s"):format(scratch:mkdir "tmp", sh.quote(sh.banger()),
    options:find "--kernel" and "" or ("--kernel %s --accel %s"):format(KERNEL, os.getenv "BOOT_ACCEL" or "tcg"), options, path)
end

local function run(name, path, options)
  sh.check("mkdir -p " .. LOGS)
  local err = scratch:fresh ".err"
  local out, code = sh.run(("timeout -k 10 100 sh -c %s </dev/null 2>%s"):format(
    sh.quote(run_line(options or "", path) .. (" --log %s/run-%s.log"):format(LOGS, name)), err))
  return { out = out:gsub("\r\n", "\n"), err = sh.read_file(err), code = code }
end

local function assert_says(text, result)
  if not result.out:find(text, 1, true) then
    error(("no %q in the console:\n%s\n%s"):format(text, result.out:sub(-3000), result.err), 2)
  end
end

local function assert_code(code, result)
  if result.code ~= code then
    error(("exit code %d, not %d\n%s\n%s"):format(result.code, code, result.out:sub(-3000), result.err), 2)
  end
end

-- Of a run nothing stays: no program, no file.
local function assert_gone(path)
  assert.equal("", (sh.run(("for p in $(grep -ls '^qemu' /proc/[0-9]*/comm); do grep -lsF %s ${p%%comm}cmdline; done"):format(sh.quote(path)))))
  assert.equal("", sh.check("ls -A " .. scratch:path "tmp"))
end

describe("a machine's end", function()
  it_boots("is the exit code of the guest's program, on a q35", function()
    local path = image_of "echo one; exit 42"
    local result = run("q35", path)
    assert_code(42, result)
    assert_says("one\nbanger-init: exit=42 signal=0 oom=0\n", result)
    assert.equal(("banger-lua: boots %s: Linux %s, q35, %s\n"):format(path, sh.read_file "build/cache/kernel/version":gsub("\n", ""),
      os.getenv "BOOT_ACCEL" or "tcg"), result.err)
    assert.equal(result.out, (sh.read_file(LOGS .. "/run-q35.log"):gsub("\r\n", "\n")))
    assert.is_true(image.fsck(path))
    assert_gone(path)
  end)

  it_boots("is the exit code of the guest's program, on a microvm", function()
    local path = image_of "echo one; exit 3"
    local result = run("microvm", path, "--machine microvm")
    assert_code(3, result)
    assert_says("one\nbanger-init: exit=3 signal=0 oom=0\n", result)
    assert.is_true(image.fsck(path))
  end)

  it_boots("is 0", function()
    assert_code(0, run("zero", image_of "exit 0"))
  end)

  it_boots("is 128 and the signal that killed the program; --json says so", function()
    local path = image_of "echo hello; kill -9 $$"
    local result = run("killed", path, "--json")
    assert_code(137, result)
    assert.equal(('{"accel":"%s","ended":"program","exit":137,"image":"%s","kernel":"%s","machine":"q35","signal":9}\n'):format(
      os.getenv "BOOT_ACCEL" or "tcg", path, sh.read_file "build/cache/kernel/version":gsub("\n", "")), result.out)
    assert.is_truthy(result.err:find("\nhello\r\nbanger-init: exit=137 signal=9 oom=0\r\n", 1, true), result.err)
  end)

  it_boots("is 0 when an init of the image's own powers off", function()
    local path = pull({
      busybox "bin/busybox", tar.symlink("sbin/init", "../bin/busybox"),
      tar.file("etc/inittab", "::sysinit:/bin/busybox mount -t proc proc /proc\n::sysinit:/bin/busybox echo own init here\n"
        .. "::sysinit:/bin/busybox mount -o remount,ro /\n::once:/bin/busybox poweroff -f\n"),
    }, { Cmd = { "/sbin/init" } })
    local result = run("native", path)
    assert_says("own init here", result)
    assert_code(0, result)
  end)

  it_boots("is its end too when it would reboot", function()
    local result = run("reboot", image_of "exit 7", "--append banger.exit=reboot")
    assert_says("reboot: Restarting system", result)
    assert_code(7, result)
  end)

  it_boots("is 124 when its time is over", function()
    local path = image_of "echo waiting; exec $b sleep 1000"
    local result = run("timeout", path, "--timeout 8 --json")
    assert_code(124, result)
    assert.matches('"ended":"timeout","exit":124,', result.out, 1, true)
    assert.is_truthy(result.err:find(("banger-lua: %s: was ended after 8 seconds (--timeout)\n"):format(path), 1, true), result.err)
    assert_gone(path)
    result = run("timeout", path, "--timeout 1")
    assert_code(124, result)
    assert.is_truthy(result.err:find("was ended after 1 second (--timeout)\n", 1, true), result.err)
  end)

  it_boots("is 125 when there is nothing to run, with the reason", function()
    local result = run("no-init", image_of "exit 0", "--append init=/no/init")
    assert_code(125, result)
    assert_says("/no/init", result)
  end)

  it_boots("is 125 when QEMU cannot run it", function()
    local path = image_of "exit 0"
    local result = run("unrun", path, "--agent " .. scratch:path "no/socket")
    assert_code(125, result)
    assert.is_truthy(result.err:find(": No such file or directory\nbanger-lua: " .. path
      .. ": was not run: QEMU ended with status 1, and its last words are above\n", 1, true), result.err)
    assert_gone(path)
  end)

  it_boots("is 125 when the kernel gives up", function()
    -- Without its drivers it finds no root.
    sh.check(("cd %s && echo . | cpio -o -H newc --quiet > %s"):format(scratch:mkdir "empty", scratch:path "empty.cpio"))
    local path = image_of "exit 0"
    local result = run("panic", path, "--initrd " .. scratch:path "empty.cpio")
    assert_code(125, result)
    assert.is_truthy(result.err:find(("banger-lua: %s: the kernel gave up: VFS: Unable to mount root fs"):format(path), 1, true), result.err)
  end)
end)

describe("a machine", function()
  it_boots("is reached through forwarded ports", function()
    local path = image_of("$b mkdir -p /www /tmp; echo served by the guest >/www/page\n"
      .. "$b httpd -p 80 -h /www; echo READY; while [ ! -e /www/cgi ]; do $b sleep 1; done")
    local out = scratch:path "page"
    local free = sh.check([[python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])']])
    local port = free:gsub("\n", "")
    local script = ("%s & pid=$!\nfor i in $(seq 300); do curl -s -m 5 -o %s http://127.0.0.1:%s/page && break; sleep 0.2; done\n"
      .. "kill -TERM $pid; wait $pid"):format("exec " .. run_line("--forward " .. port .. ":80", path):gsub("^TMPDIR=%S+ ", ""), out, port)
    local _, code = sh.run(("timeout -k 10 100 sh -c %s >/dev/null 2>&1 </dev/null"):format(sh.quote(script)))
    assert.equal("served by the guest\n", sh.read_file(out))
    assert.equal(143, code)
  end, "curl", "python3")

  it_boots("has no network if not wanted", function()
    local result = run("no-network", image_of "$b ls /sys/class/net", "--no-network")
    assert_says("lo\nbanger-init: exit=0", result)
    assert.is_falsy(result.out:find("eth0", 1, true), result.out)
  end)

  for _, kind in ipairs { "q35", "microvm" } do
    it_boots("has its disks in their order, a random number generator and the agent's port, on a " .. kind, function()
      local one, two = scratch:fresh ".disk", scratch:fresh ".disk"
      sh.check(("truncate -s 1M %s; truncate -s 2M %s; printf second | dd of=%s conv=notrunc status=none"):format(one, two, two))
      local result = run("devices-" .. kind, image_of("$b cat /sys/block/vdb/size /sys/block/vdc/size /sys/class/virtio-ports/*/name"
        .. " /sys/class/misc/hw_random/rng_current\n$b head -c 6 /dev/vdc; echo; echo written | $b dd of=/dev/vdb 2>/dev/null\n"
        .. "$b nproc; $b grep -o 'word=.*' /proc/cmdline"),
        ("--machine %s --disk %s --disk %s --agent %s --cpus 2 --append word=given"):format(kind, one, two, scratch:path "agent"))
      assert_says("2048\n4096\nbanger.agent\nvirtio_rng.0\nsecond\n2\nword=given\n", result)
      assert_code(0, result)
      assert.equal("written", sh.read_file(one):sub(1, 7))
      assert.is_false(sh.exists(scratch:path "agent"))
    end)
  end

  it_boots("writes into its image, a snapshot does not", function()
    local path = image_of "echo text >/written; $b cat /written"
    local before = sh.sha256(path)
    assert_says("text\n", run("snapshot", path, "--snapshot"))
    assert.equal(before, sh.sha256(path))
    assert.is_nil(image.read(path)["written"])
    assert_code(0, run("written", path))
    local file <close> = banger.open(path)
    assert.equal("text\n", file:read "/written")
  end)

  it_boots("is of the image's architecture", function()
    if not sh.exists(KERNEL_ARM64) then return pending("no kernel " .. KERNEL_ARM64) end
    local program = scratch:path "arm64"
    sh.write_file(program .. ".c", "#include <stdio.h>\n#include <sys/utsname.h>\n"
      .. "int main(int argc, char **argv) { struct utsname u; uname(&u); printf(\"%s %d %s\\n\", u.machine, argc, argv[1]); return 6; }\n")
    sh.check(("aarch64-linux-gnu-gcc -static -Os -o %s %s.c"):format(program, program))
    local path = pull({ tar.file("app", sh.read_file(program), { mode = X }) }, { Entrypoint = { "/app", "two words" } }, "arm64")
    local result = run("arm64", path, "--kernel " .. KERNEL_ARM64)
    assert_says("aarch64 2 two words\nbanger-init: exit=6 signal=0 oom=0\n", result)
    assert_code(6, result)
    assert.matches(": Linux [^,]*, virt, [kt]", result.err)
    -- The kernel of another architecture is no use to it.
    result = run("arm64-wrong", path)
    assert.equal(("banger-lua: %s is for arm64, the kernel %s is for amd64: give another with --kernel\n"):format(path,
      (sh.check("realpath " .. KERNEL):gsub("\n", ""))), result.err)
    assert_code(5, result)
  end, "qemu-system-aarch64", "aarch64-linux-gnu-gcc")

  it_boots("is run by KVM only where that works", function()
    local result = run("auto", image_of "exit 4", "--kernel " .. KERNEL)
    assert_code(4, result)
    assert.matches(", q35, [kt][vc][mg]", result.err)
  end)

  it_boots("runs by the command line that is printed", function()
    local path, initrd = image_of "exit 9", scratch:path "out.cpio"
    for _, kind in ipairs { "q35", "microvm" } do
      local line = sh.check(run_line(("--print-cmdline qemu --machine %s --initrd-out %s"):format(kind, initrd), path))
      local out = sh.check(("timeout -k 10 60 %s </dev/null"):format(line:gsub("\n$", "")))
      assert.is_truthy(out:find("banger-init: exit=9 signal=0 oom=0", 1, true), out)
    end
  end)
end)

describe("a run that is told to stop", function()
  it_boots("stops the machine as its StopSignal says, and leaves nothing behind", function()
    local path = image_of "trap 'echo bye; exit 4' TERM; echo READY; while :; do $b sleep 0.2; done"
    for signal, code in pairs { TERM = 143, INT = 130 } do
      local log = scratch:fresh ".log"
      -- env -i: sh ignores SIGINT in what it starts in the background; python does not.
      local script = ([==[
import os, signal, subprocess, sys, time
p = subprocess.Popen(["sh", "-c", "exec " + sys.argv[1]], stdin=subprocess.DEVNULL, stdout=open(sys.argv[2], "wb"), stderr=subprocess.STDOUT,
  preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
for i in range(600):
  if b"READY" in open(sys.argv[2], "rb").read(): break
  time.sleep(0.1)
p.send_signal(signal.SIG%s)
sys.exit(p.wait() %% 256)]==]):format(signal)
      local _, got = sh.run(("timeout -k 10 100 python3 -c %s %s %s"):format(sh.quote(script),
        sh.quote("env " .. run_line(signal == "INT" and "--json" or "", path)), log))
      local out = sh.read_file(log)
      assert.equal(code, got, out)
      assert.equal(signal == "INT", out:find('"ended":"stopped","exit":130,', 1, true) ~= nil, out)
      assert.matches("banger%-lua: interrupted\n$", out)
      -- The program went as it wants to, and the file system was unmounted.
      assert.is_truthy(out:find("bye\r?\nbanger%-init: exit=4 signal=0 oom=0\r?\n"), out)
      assert.is_true(image.fsck(path))
      assert_gone(path)
    end
  end, "python3")
end)

describe("on a terminal", function()
  -- Runs in a pseudo-terminal, types and waits for texts; prints what comes after the last, ends as it ended.
  local PTY = [==[
import os, pty, select, sys, termios, time
steps = sys.argv[2:]
pid, fd = pty.fork()
if pid == 0: os.execvp("sh", ["sh", "-c", sys.argv[1]])
seen, end = b"", time.time() + 90
def wait(text):
  global seen
  while text not in seen and time.time() < end:
    if select.select([fd], [], [], 0.2)[0]:
      try: data = os.read(fd, 65536)
      except OSError: break
      seen += data
  at = seen.find(text)
  if at < 0: print(seen.decode("latin-1")); print("missing:", text); os.kill(pid, 15); sys.exit(99)
  seen = seen[at + len(text):]
before = termios.tcgetattr(fd)
for i in range(0, len(steps), 2):
  wait(steps[i].encode())
  os.write(fd, steps[i + 1].encode().decode("unicode_escape").encode("latin-1"))
while True:
  try: data = os.read(fd, 65536)
  except OSError: break
  if not data: break
  sys.stdout.write(data.decode("latin-1"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))]==]

  local function in_terminal(line, ...)
    return sh.run(("timeout -k 10 100 python3 -c %s %s 2>&1"):format(sh.quote(PTY), sh.line(line, ...)))
  end

  it_boots("the guest's shell is typed into, and Ctrl-C is the guest's", function()
    local path = image_of "trap 'echo GOT INT' INT; echo READY; until read word; do :; done; echo \"[$word]\"; read word; exit $word"
    local out, code = in_terminal("exec " .. run_line("", path):gsub("^TMPDIR=%S+ ", ""),
      "Ctrl-A x ends the machine", "", "READY", "\\x03", "GOT INT", "two words\\n", "[two words]", "5\\n")
    assert.equal(5, code, out)
  end, "python3")

  it_boots("that it is in the background of, it boots all the same", function()
    local path = image_of "exit 8"
    -- A process group of its own, as an interactive shell's "&" makes it.
    local code = "import os, sys; p = os.posix_spawnp('sh', ['sh', '-c', sys.argv[1]], os.environ, setpgroup=0); "
      .. "s = os.waitpid(p, os.WUNTRACED)[1]; sys.exit(98 if os.WIFSTOPPED(s) else os.waitstatus_to_exitcode(s))"
    local out, got = in_terminal("exec " .. sh.line("python3", "-c", code, "exec env " .. run_line("", path)), "exit=8", "")
    assert.equal(8, got, out)
  end, "python3")

  it_boots("Ctrl-A x ends the machine, and the terminal is as it was", function()
    local path = image_of "echo READY; exec $b sleep 1000"
    local line = "stty -a > %s/before; " .. run_line("", path):gsub("%%", "%%%%") .. "; code=$?; stty -a > %s/after; exit $code"
    local out, code = in_terminal(line:format(scratch.dir, scratch.dir), "READY", "\\x01x")
    assert.equal(130, code, out)
    assert.is_truthy(out:find("was cut off (Ctrl-A x)", 1, true), out)
    assert.equal(sh.read_file(scratch:path "before"), sh.read_file(scratch:path "after"))
    assert_gone(path)
  end, "python3")
end)
