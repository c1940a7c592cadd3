-- banger-init as the first process: of a PID namespace, where it leaves the machine
-- alone, and of a machine under QEMU. Its last line and exit code tell how it ended.
package.path = "tests/?.lua;" .. package.path
local guest = require "boot.guest"
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local function it_runs(name, test, users)
  it(name, function()
    local reason = need.time() or guest.namespace_reason(users)
    if reason then return pending(reason) end
    test()
  end)
end

--- With users besides root, who are not in every namespace.
local function it_runs_as(name, test)
  it_runs(name, test, true)
end

local function shell(script)
  return { "sh", "-c", script }
end

local function assert_ended(exit, code, result)
  assert.are.equal(exit, result.exit, result.out)
  assert.are.equal(code, result.code, result.out)
end

local function assert_says(text, result)
  assert.is_truthy(result.out:find(text, 1, true), result.out)
end

describe("a program in a namespace", function()
  it_runs("gets its arguments as they are", function()
    local result = guest.namespace { argv = { "printf", "[%s]\n", "two words", "", "a\nline", "*" } }
    assert.are.equal("[two words]\n[]\n[a\nline]\n[*]\nbanger-init: exit=0 signal=0 oom=0\n", result.out)
    assert.are.equal(0, result.code)
  end)

  it_runs("hands on its exit code", function()
    assert_ended("exit=42 signal=0 oom=0", 42, guest.namespace { argv = shell "exit 42" })
    assert_ended("exit=255 signal=0 oom=0", 255, guest.namespace { argv = shell "exit 255" })
  end)

  it_runs("hands on the signal that killed it", function()
    assert_ended("exit=137 signal=9 oom=0", 137, guest.namespace { argv = shell "kill -9 $$" })
    assert_ended("exit=143 signal=15 oom=0", 143, guest.namespace { argv = shell "kill -15 $$" })
  end)

  it_runs("has the image's environment over the defaults", function()
    local result = guest.namespace { argv = { "env" }, env = { "A=b c", "HOME=/data", "NOVALUE", "TERM=dumb" } }
    assert_says("the environment's entry 'NOVALUE' is not NAME=value: left out\n", result)
    assert_says("\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/data\n", result)
    assert_says("\nTERM=dumb\nA=b c\nbanger-init: exit=0", result)
  end)

  it_runs("is found in the image's PATH and no other", function()
    local files = { ["/opt/tool"] = { "#!/bin/sh\necho tool\n", tonumber("755", 8) } }
    local result = guest.namespace { argv = { "tool" }, env = { "PATH=/none:/opt" }, files = files }
    assert.are.equal("tool\nbanger-init: exit=0 signal=0 oom=0\n", result.out)
    result = guest.namespace { argv = { "tool" }, files = files }
    assert_ended("exit=127 signal=0 oom=0", 127, result)
    assert_says("banger-init: tool: not found in PATH=/usr/local/sbin:", result)
  end)

  it_runs("names what keeps it from running", function()
    local files = {
      ["/script"] = { "#!/bin/bash\r\n", tonumber("755", 8) },
      ["/plain"] = "text",
      ["/text"] = { "echo\n", tonumber("755", 8) },
    }
    local result = guest.namespace { argv = { "/script" }, files = files }
    assert_ended("exit=127 signal=0 oom=0", 127, result)
    assert_says("banger-init: /script: is there, but not its interpreter /bin/bash\\x0d\n", result)
    result = guest.namespace { argv = { "/plain" }, files = files }
    assert_ended("exit=126 signal=0 oom=0", 126, result)
    assert_says("banger-init: /plain: is not executable\n", result)
    result = guest.namespace { argv = { "/text" }, files = files }
    assert_ended("exit=126 signal=0 oom=0", 126, result)
    assert_says("/text: is neither an ELF program nor a script that begins with #!\n", result)
  end)

  it_runs_as("is the image's user, in a directory that is made", function()
    local files = {
      ["/etc/passwd"] = "root:x:0:0::/root:\nweb:x:101:102::/var/web:\n",
      ["/etc/group"] = "web:x:102:\nlogs:x:4:web\n",
    }
    local result = guest.namespace { argv = shell "id; pwd; echo $HOME; stat -c %u:%a .", user = "web", cwd = "/srv/a/b", files = files }
    assert_says("uid=101(web) gid=102(web) groups=4(logs),102(web)\n/srv/a/b\n/var/web\n0:755\n", result)
    result = guest.namespace { argv = shell "id; echo $HOME", user = "1234:5678" }
    assert_says("uid=1234 gid=5678 groups=5678\n/\n", result)
  end)

  it_runs("does not start as a user that is not there", function()
    local result = guest.namespace { argv = shell "echo no", user = "web", files = { ["/etc/passwd"] = "root:x:0:0::/:\n" } }
    assert.are.equal("banger-init: web is not in /etc/passwd, which has: root\nbanger-init: exit=125 signal=0 oom=0\n", result.out)
    assert.are.equal(125, result.code)
  end)

  it_runs("does not start where its directory cannot be", function()
    local result = guest.namespace { argv = shell "echo no", cwd = "/file/below", files = { ["/file"] = "x" } }
    assert_says("banger-init: enter the working directory /file/below: Not a directory\n", result)
    assert_ended("exit=125 signal=0 oom=0", 125, result)
  end)

  it_runs("holds and ignores no signal, and leads its session", function()
    local result = guest.namespace { argv = shell "cat /proc/self/status; ps -o pid,sid,comm; exit 0" }
    assert_says("SigBlk:\t0000000000000000\n", result)
    -- 32 and 33 belong to libc, which lets nobody touch them: they are as the tests got them.
    local ignored = tonumber(result.out:match "SigIgn:\t(%x+)\n", 16)
    assert.are.equal(0, ignored & ~(3 << 31))
    assert.matches("\n +(%d+) +%1 sh\n", result.out)
  end)

  it_runs("is told when it has no configuration", function()
    local result = guest.namespace { argv = {} }
    assert_says("banger-init: /.banger/argv: names no program\n", result)
    assert_ended("exit=125 signal=0 oom=0", 125, result)
  end)
end)

describe("the first process of a namespace", function()
  it_runs("reaps what others leave behind", function()
    local result = guest.namespace { argv = shell [[
      i=0; while [ $i -lt 50 ]; do (sleep 0.1 &); i=$((i + 1)); done
      sleep 1; cat /proc/[0-9]*/stat | while read pid name state rest; do echo "$name $state"; done]] }
    assert.is_nil(result.out:find("(sleep) Z", 1, true), result.out)
    assert_says("(init) S\n", result)
    assert_ended("exit=0 signal=0 oom=0", 0, result)
  end)

  it_runs("ends what the program leaves behind, gently at first", function()
    local result = guest.namespace { argv = shell [[
      (trap 'echo left; exit' TERM; touch /tmp/1; while :; do sleep 0.1; done) &
      (trap '' TERM; touch /tmp/2; while :; do sleep 0.1; done) &
      while [ ! -e /tmp/1 ] || [ ! -e /tmp/2 ]; do sleep 0.1; done; exit 7]] }
    assert_says("left\n", result)
    assert_ended("exit=7 signal=0 oom=0", 7, result)
  end)

  it_runs("passes signals on", function()
    local result = guest.namespace {
      argv = shell [[
        for s in HUP INT USR1 USR2 WINCH; do trap "echo got $s" $s; done; trap 'echo got QUIT; exit 9' QUIT
        touch /ready; while :; do sleep 0.1; done]],
      signals = { "HUP", "INT", "USR1", "USR2", "WINCH", "QUIT" },
    }
    assert.are.equal("got HUP\ngot INT\ngot USR1\ngot USR2\ngot WINCH\ngot QUIT\nbanger-init: exit=9 signal=0 oom=0\n", result.out)
  end)

  it_runs("turns SIGTERM into the image's stop signal", function()
    local argv = shell "trap 'echo term' TERM; trap 'echo quit; exit 3' QUIT; touch /ready; while :; do sleep 0.1; done"
    local result = guest.namespace { argv = argv, stop_signal = "SIGQUIT", signals = { "TERM" } }
    assert.are.equal("quit\nbanger-init: exit=3 signal=0 oom=0\n", result.out)
  end)

  it_runs("kills after the time-out, counted from the first SIGTERM", function()
    local result = guest.namespace {
      argv = shell "trap 'echo term' TERM; touch /ready; while :; do sleep 0.1; done",
      stop_timeout = "1", signals = { "TERM", "TERM", "TERM" },
    }
    assert.are.equal("term\nterm\nterm\nbanger-init: exit=137 signal=9 oom=0\n", result.out)
    assert.are.equal(137, result.code)
    assert.is_true(result.seconds >= 1, tostring(result.seconds))
  end)

  it_runs("lets itself be stopped from inside", function()
    local result = guest.namespace { argv = shell "trap 'exit 5' TERM; kill 1; while :; do sleep 0.1; done" }
    assert_ended("exit=5 signal=0 oom=0", 5, result)
  end)

  it_runs("leaves the machine alone", function()
    local before = sh.check "hostname; cat /proc/self/mountinfo | wc -l; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    local result = guest.namespace { argv = shell "cat /proc/mounts", hostname = "other-name" }
    assert.are.equal(before, sh.check "hostname; cat /proc/self/mountinfo | wc -l; cat /proc/sys/net/ipv4/ip_unprivileged_port_start")
    assert.matches("^proc /proc proc [^\n]*\n[^\n]* /dev/null [^\n]*\nbanger%-init: ", result.out)
    assert_ended("exit=0 signal=0 oom=0", 0, result)
  end)

  it("is nothing else", function()
    sh.write_file(scratch:path "init", require "banger.core".resource "guest/banger-init-amd64")
    local out, code = sh.run(("chmod 755 %s; timeout 10 %s 2>&1"):format(scratch:path "init", scratch:path "init"))
    assert.are.equal("banger-init: this is an init: it runs as PID 1 or not at all\n", out)
    assert.are.equal(125, code)
  end)

  it_runs_as("is the same on arm64", function()
    local reason = need.program "qemu-aarch64-static"
    if reason then return pending(reason) end
    local result = guest.namespace({ argv = shell "id; exit 42", user = "5:6", env = { "A=b" } }, "arm64")
    assert_says("uid=5 gid=6 groups=6\n", result)
    assert_ended("exit=42 signal=0 oom=0", 42, result)
    result = guest.namespace({ argv = shell "trap 'exit 3' QUIT; touch /ready; while :; do sleep 0.1; done",
      stop_signal = "QUIT", signals = { "TERM" } }, "arm64")
    assert_ended("exit=3 signal=0 oom=0", 3, result)
  end)
end)

-- ---- machines ---------------------------------------------------------------------

local function it_boots(name, test)
  it(name, function()
    local reason = need.time() or guest.boot_reason()
    if reason then return pending(reason) end
    test(scratch:fresh ".ext4")
  end)
end

local boot, assert_console, assert_off = guest.boot_clean, guest.assert_console, guest.assert_off
local BUSYBOX = "/bin/busybox"

describe("a machine", function()
  it_boots("has what a program expects, and is off at its end", function(path)
    local result = boot("facts", {
      argv = { BUSYBOX, "sh", "-c", [[
        b=/bin/busybox; $b mount; $b hostname; $b tty; $b ps -o pid,sid,tty,args
        for l in fd stdin stdout stderr; do $b readlink /dev/$l; done
        $b ifconfig lo; $b cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ulimit -Hn
        echo "[$1][$2]"]], "sh", "", "two words" },
      hostname = "guest-1",
    }, path)
    for _, line in ipairs {
      "/dev/vda on / type ext4 (rw,", "proc on /proc type proc (rw,nosuid,nodev,noexec,",
      "devtmpfs on /dev type devtmpfs (rw,nosuid,", "sysfs on /sys type sysfs (", "tmpfs on /run type tmpfs (",
      "devpts on /dev/pts type devpts (rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666)",
      "tmpfs on /dev/shm type tmpfs (", "mqueue on /dev/mqueue type mqueue (", "cgroup2 on /sys/fs/cgroup type cgroup2 (",
      "\nguest-1\n/dev/console\n", "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n",
      "inet addr:127.0.0.1", "UP LOOPBACK RUNNING", "\n0\n524288\n[][two words]\n",
    } do assert_console(line, result) end
    assert_off("exit=0 signal=0 oom=0", result)
  end)

  it_boots("tells an exit code; a root mounted read-only is written to", function(path)
    local result = boot("exit42", { cmdline = "", argv = { BUSYBOX, "sh", "-c", "echo kept >/written; exit 42" } }, path)
    assert_off("exit=42 signal=0 oom=0", result)
    assert.are.equal("kept\n", image.read(path).written.content)
  end)

  it_boots("tells a signal; ro keeps the root read-only", function(path)
    local result = boot("signal", { cmdline = "ro", argv = { BUSYBOX, "sh", "-c", "echo x >/written; kill -SEGV $$" } }, path)
    assert_console("can't create /written: Read-only file system", result)
    assert_off("exit=139 signal=11 oom=0", result)
  end)

  it_boots("tells that the program is not there", function(path)
    local result = boot("notfound", { argv = { "server", "--port", "80" } }, path)
    assert_console("banger-init: server: not found in PATH=/usr/local/sbin:", result)
    assert_off("exit=127 signal=0 oom=0", result)
  end)

  it_boots("tells that the memory did not do", function(path)
    local result = boot("oom", { memory = 128, argv = { BUSYBOX, "tail", "/dev/zero" } }, path)
    assert_off("exit=137 signal=9 oom=1", result)
  end)

  it_boots("stops on Ctrl-Alt-Del with the image's signal; a user writes to /dev/stdout", function(path)
    local result = boot("keys", {
      argv = { BUSYBOX, "sh", "-c", [[
        echo as $(/bin/busybox id -u) >/dev/stdout; trap 'echo asked; exit 6' USR1; echo READY
        while :; do /bin/busybox sleep 0.2; done]] },
      user = "1000:1000", stop_signal = "USR1", keys = "sendkey ctrl-alt-delete",
    }, path)
    assert_console("as 1000\n", result)
    assert_console("asked\n", result)
    assert_off("exit=6 signal=0 oom=0", result)
  end)

  it_boots("stops when the power button is pressed; other keys are nobody's signal", function(path)
    local result = boot("button", {
      argv = { BUSYBOX, "sh", "-c", [[
        for s in USR1 USR2 IO HUP; do trap "echo got $s" $s; done; trap 'echo asked; exit 4' TERM; echo READY
        while :; do /bin/busybox sleep 0.2; done]] },
      keys = "sendkey a; echo sendkey ctrl; sleep 1; echo system_powerdown",
    }, path)
    assert_console("READY\nasked\n", result)
    assert_off("exit=4 signal=0 oom=0", result)
  end)

  it_boots("stops on poweroff", function(path)
    local result = boot("poweroff", {
      argv = { BUSYBOX, "sh", "-c", [[
        trap 'echo asked; exit 3' TERM; (/bin/busybox sleep 1; /bin/busybox poweroff) &
        while :; do /bin/busybox sleep 0.1; done]] },
    }, path)
    assert_console("asked\n", result)
    assert_off("exit=3 signal=0 oom=0", result)
  end)

  it_boots("reaps what a daemon leaves behind, and ends it with the program", function(path)
    local result = boot("daemon", {
      argv = { BUSYBOX, "sh", "-c", [[
        b=/bin/busybox
        i=0; while [ $i -lt 30 ]; do ($b sleep 0.1 &); i=$((i + 1)); done
        ($b setsid $b sh -c "trap 'echo daemon ends; exit' TERM; echo daemon of \$PPID; while :; do $b sleep 0.1; done" &)
        $b sleep 2; $b ps -o stat,ppid,comm; exit 5]] },
    }, path)
    assert_console("daemon of 1\n", result)
    assert.is_nil(result.out:find("\nZ", 1, true), result.out)
    assert_console("\nS        0 init\n", result)
    assert_console("daemon ends\n", result)
    assert_off("exit=5 signal=0 oom=0", result)
  end)

  it_boots("reboots where that is the end", function(path)
    local result = boot("reboot", { cmdline = "rw reboot=k", argv = { BUSYBOX, "true" } }, path)
    assert.are.equal("exit=0 signal=0 oom=0", result.exit)
    assert_console("reboot: Restarting system", result)
  end)
end)

describe("an init of the image's own", function()
  local function program(script)
    return { "#!/bin/busybox sh\n" .. script, tonumber("755", 8) }
  end

  it_boots("goes on as PID 1, over an overlay", function(path)
    local result = boot("native", {
      overlay = "tmpfs", native = "/sbin/own", cmdline = "ro container=docker ip=10.0.2.15:::::eth0:off:10.0.2.3 word",
      network = "user", env = { "A=b", "container=oci" }, argv = {},
      files = { ["/.banger/agent"] = "unix:/run/agent\0", ["/sbin/own"] = program [[
        b=/bin/busybox; i=0; while [ ! -S /run/agent ] && [ $i -lt 50 ]; do $b sleep 0.1; i=$((i + 1)); done
        $b ls -l /run/agent; echo "I am $$ $0 with $*"; $b env; $b mount; $b cat /proc/self/status; $b ifconfig eth0
        $b cat /etc/resolv.conf; echo >/written && $b poweroff -f]] },
    }, path)
    assert_console("I am 1 /sbin/own with word\n", result)
    assert.matches("srw[^\n]* /run/agent\n", result.out)
    assert_console("\nA=b\n", result)
    assert.is_nil(result.out:find("container=", 1, true), result.out)
    assert_console("SigBlk:\t0000000000000000\n", result)
    assert_console("\noverlay on / type overlay (rw,", result)
    assert.is_nil(result.out:find("cgroup2", 1, true), result.out)
    assert_console("inet addr:10.0.2.15 ", result)
    assert_console("\nnameserver 10.0.2.3\n", result)
    assert_console("reboot: Power down", result)
  end)

  it_boots("gets the image's words where they are given, and a whole machine", function(path)
    local result = boot("native-argv", {
      native = "/init", argv = { "/init", "", "two words" }, env = { "A=b", "NONE" },
      files = { ["/init"] = program [[
        b=/bin/busybox; echo "$$[$1][$2][$A]"; $b mount; $b mount -o remount,ro /; $b poweroff -f]] },
    }, path)
    assert_console("banger-init: the environment's entry 'NONE' is not NAME=value: left out\n", result)
    assert_console("1[][two words][b]\n", result)
    assert_console("cgroup2 on /sys/fs/cgroup type cgroup2", result)
    assert_console("reboot: Power down", result)
  end)

  it_runs("that is not there is told", function()
    local result = guest.namespace { native = "/sbin/own", argv = {} }
    assert.are.equal("banger-init: /sbin/own: not found\nbanger-init: exit=127 signal=0 oom=0\n", result.out)
    assert.are.equal(127, result.code)
    result = guest.namespace { native = "own", argv = {} }
    assert.are.equal("banger-init: /.banger/native: 'own' is not a path from /\nbanger-init: exit=125 signal=0 oom=0\n", result.out)
  end)

  it_runs("is the first process of a namespace, too", function()
    local result = guest.namespace { native = "/bin/sh", argv = { "sh", "-c", "echo $$; exit 4" } }
    assert.are.equal("1\n", result.out)
    assert.are.equal(4, result.code)
  end)
end)
