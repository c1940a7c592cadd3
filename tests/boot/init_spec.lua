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
    local reason = guest.namespace_reason(users)
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
    assert.is_true(result.seconds < 5, result.out)
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
    assert.is_true(result.seconds >= 1 and result.seconds < 4, tostring(result.seconds))
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
    local reason = guest.boot_reason()
    if reason then return pending(reason) end
    test(scratch:fresh ".ext4")
  end)
end

--- Boots, and has e2fsck look at what is left.
local function boot(name, spec, path)
  local result = guest.boot(name, spec, path)
  local clean, out = image.fsck(path)
  assert.is_true(clean, out)
  return result
end

--- A program's words on the console.
local function assert_console(text, result)
  assert.is_truthy(result.out:find(text, 1, true), ("%s has no %q:\n%s"):format(result.log, text, result.out:sub(-3000)))
end

local function assert_off(exit, result)
  assert.are.equal(exit, result.exit, result.out:sub(-3000))
  assert_console("reboot: Power down", result)
end

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

-- ---- the network ------------------------------------------------------------------

--- A web server of this host with one file; its port.
local function serve(name, content)
  local dir = scratch:mkdir "web"
  sh.write_file(dir .. "/" .. name, content)
  local said = sh.check(([[
    timeout 100 python3 -u -m http.server 0 --bind 127.0.0.1 --directory %s >%s.log 2>&1 </dev/null & echo $! >%s.pid
    for i in $(seq 100); do grep -o 'port [0-9]*' %s.log && exit; sleep 0.1; done; exit 1]]):format(dir, dir, dir, dir))
  finally(function() sh.check(("kill $(cat %s.pid)"):format(dir)) end)
  return said:match "port (%d+)"
end

describe("the network", function()
  local STATIC = "ip=10.0.2.15::10.0.2.2:255.255.255.0:name-of-ip:eth0:off:10.0.2.3:10.0.2.4"

  it_boots("is what ip= says, and reaches a server", function(path)
    local port = serve("page", "from the host\n")
    local result = boot("network", {
      network = "user", cmdline = "rw " .. STATIC,
      files = { ["/etc/resolv.conf"] = "# Nothing was known.\noptions rotate", ["/etc/hostname"] = "from-image\n" },
      argv = { BUSYBOX, "sh", "-c", ([[
        b=/bin/busybox; $b ifconfig eth0; $b route -n; $b cat /etc/resolv.conf; $b hostname
        $b wget -q -O - http://10.0.2.2:%s/page]]):format(port) },
    }, path)
    for _, text in ipairs {
      "inet addr:10.0.2.15  Bcast:10.0.2.255  Mask:255.255.255.0\n", "UP BROADCAST ",
      "\n0.0.0.0         10.0.2.2        0.0.0.0         UG    0      0        0 eth0\n",
      "\n# Nothing was known.\noptions rotate\n# banger-init, of this boot:\nnameserver 10.0.2.3\nnameserver 10.0.2.4\n",
      "\nfrom-image\nfrom the host\n",
    } do assert_console(text, result) end
    assert_off("exit=0 signal=0 oom=0", result)
  end)

  it_boots("is what DHCP gives, also where the initramfs could write nothing", function(path)
    local port = serve("page", "from the host\n")
    local spec = {
      network = "user", cmdline = "ro ip=dhcp", overlay = "tmpfs",
      argv = { BUSYBOX, "sh", "-c", ([[
        b=/bin/busybox; $b ifconfig eth0; $b route -n; $b cat /etc/resolv.conf
        $b wget -q -O - http://10.0.2.2:%s/page]]):format(port) },
    }
    local result = boot("dhcp", spec, path)
    for _, text in ipairs {
      "inet addr:10.0.2.15  Bcast:10.0.2.255  Mask:255.255.255.0\n",
      "\n0.0.0.0         10.0.2.2        0.0.0.0         UG    0      0        0 eth0\n",
      "\n# banger-init, of this boot:\nnameserver 10.0.2.3\nfrom the host\n",
    } do assert_console(text, result) end
    assert_off("exit=0 signal=0 oom=0", result)
    assert.is_nil(result.out:find("banger-init: ip=", 1, true), result.out)
  end)

  it_boots("is nothing where no DHCP server answers, which is said once", function(path)
    local result = boot("dhcp-none", { network = "hubport,hubid=0", cmdline = "rw ip=dhcp", argv = { BUSYBOX, "ifconfig" } }, path)
    assert_console("banger-init: ip=: no DHCP server answers on eth0\neth0  ", result)
    assert.are.equal(1, select(2, result.out:gsub("banger%-init: ip=", "")))
    assert_off("exit=0 signal=0 oom=0", result)
  end)

  it_boots("has the first interface and a class's netmask where ip= names none", function(path)
    local result = boot("network-short", {
      network = "user", cmdline = "rw ip=10.0.2.15", files = { ["/etc/resolv.conf"] = "nameserver 9.9.9.9\n" },
      argv = { BUSYBOX, "sh", "-c", "b=/bin/busybox; $b ifconfig eth0; $b route -n; $b cat /etc/resolv.conf" },
    }, path)
    assert_console("inet addr:10.0.2.15  Bcast:10.255.255.255  Mask:255.0.0.0\n", result)
    assert_console("\nnameserver 9.9.9.9\nbanger-init: exit=0", result)
    assert.is_nil(result.out:find(" UG ", 1, true), result.out)
  end)

  it_boots("says what of ip= cannot be, and goes on", function(path)
    local result = boot("network-none", { cmdline = "rw ip=10.0.2.15::::guest:eth7:off", argv = { BUSYBOX, "true" } }, path)
    assert_console("banger-init: ip=: there is no network interface eth7\n", result)
    assert_off("exit=0 signal=0 oom=0", result)
    result = boot("network-wrong", { network = "user", cmdline = "rw ip=10.0.2.15::10.9.9.9:255.255.255.0", argv = { BUSYBOX, "true" } }, path)
    assert_console("banger-init: ip=: the gateway cannot be: Network unreachable\n", result)
    assert_off("exit=0 signal=0 oom=0", result)
  end)
end)

-- ---- the initramfs ----------------------------------------------------------------

describe("an initramfs", function()
  -- What the machine says of a boot that cannot be.
  local function assert_fails(text, name, spec, path)
    local result = guest.boot(name, spec, path)
    assert_console("banger-init: " .. text .. "\n", result)
    assert_off("exit=125 signal=0 oom=0", result)
  end

  local function init(script)
    return { "#!/bin/busybox sh\n" .. script .. "\nexec /bin/busybox poweroff -f\n", tonumber("755", 8) }
  end

  it_boots("hands the kernel's arguments to the root's init, and the mounts", function(path)
    local result = boot("handover", {
      argv = { "none" }, cmdline = "init=/etc/start rw WORD -- one 'two'",
      files = { ["/etc/start"] = init [[echo "I am $$ $0 with $*"; b=/bin/busybox; $b mount; $b ls -a /; $b grep Sig /proc/1/status
        $b mount -o remount,ro /]] },
    }, path)
    assert_console("I am 1 /etc/start with WORD one 'two'\n", result)
    assert_console("/dev/vda on / type ext4 (rw,", result)
    for _, line in ipairs { "proc on /proc ", "devtmpfs on /dev ", "sysfs on /sys ", "tmpfs on /run " } do
      assert_console("\n" .. line, result)
    end
    assert_console("SigBlk:\t0000000000000000\n", result)
    assert.is_nil(result.out:find("modules", 1, true), result.out)
  end)

  it_boots("finds the root by its label and by its UUID, the init as the kernel does", function(path)
    local spec = { argv = { "none" }, built = true, cmdline = "root=LABEL=some_root rootflags=noload",
      files = { ["/bin/init"] = init "echo started as $0; /bin/busybox mount", ["/sbin/init"] = "no program" } }
    guest.image(path, spec)
    sh.check(("PATH=$PATH:/usr/sbin:/sbin tune2fs -L some_root -U 01234567-89ab-cdef-0123-456789ABCDEF %s"):format(path))
    local result = boot("label", spec, path)
    assert_console("banger-init: run /sbin/init: Permission denied\n", result)
    assert_console("started as /bin/init\n", result)
    assert_console("/dev/vda on / type ext4 (ro,relatime,norecovery)", result)
    spec.cmdline = "root=UUID=01234567-89ab-cdef-0123-456789abcdef"
    assert_console("started as /bin/init\n", boot("uuid", spec, path))
  end)

  it_boots("says which root is not there, and what is", function(path)
    assert_fails("root=/dev/vdx: no such disk after 10 s; there is: vda", "noroot",
      { argv = { "none" }, cmdline = "root=/dev/vdx banger.exit=poweroff" }, path)
  end)

  it_boots("says that a root cannot be named so", function(path)
    assert_fails("root=PARTUUID=1-2: not /dev/NAME, LABEL=TEXT or UUID=TEXT", "partuuid",
      { argv = { "none" }, cmdline = "root=PARTUUID=1-2" }, path)
  end)

  it_boots("says that the root is no ext4", function(path)
    sh.check("truncate -s 1M " .. path)
    assert_fails("root=/dev/vda: holds no ext4 file system", "noext4", { built = true, cmdline = "" }, path)
  end)

  it_boots("says what of the root's mount the kernel refuses", function(path)
    assert_fails("mount root=/dev/vda as nofs: the kernel has no such file system", "notype",
      { argv = { "none" }, cmdline = "rootfstype=nofs" }, path)
    assert_fails("mount root=/dev/vda as ext4 with rootflags=wrong: Invalid argument", "noflags",
      { argv = { "none" }, cmdline = "rootflags=wrong" }, path)
  end)

  it_boots("says that the init is not there, or its interpreter", function(path)
    assert_fails("init=/sbin/start: not found", "noinit", { argv = { "none" }, cmdline = "init=/sbin/start" }, path)
    assert.is_true(image.fsck(path))
    local files = { ["/sbin/init"] = { "#!/bin/bash\n", tonumber("755", 8) } }
    local spec = { argv = { "none" }, built = true, cmdline = "", files = files }
    guest.image(path, spec)
    local result = boot("nointerpreter", spec, path)
    assert_console("banger-init: /sbin/init: is there, but not its interpreter /bin/bash\n"
      .. "banger-init: the root file system has no init: say which with init=\n", result)
    assert_off("exit=125 signal=0 oom=0", result)
  end)

  it_boots("goes on without a module that is not there or is none", function(path)
    local result = boot("modules", { argv = { BUSYBOX, "true" },
      modules = { ["gone.ko"] = false, ["garbage.ko"] = "no module\n", ["packed.ko.xz"] = "no module either\n" } }, path)
    assert_console("banger-init: load module gone.ko: No such file or directory\n", result)
    assert_console("banger-init: load module garbage.ko: Exec format error\n", result)
    assert_console("banger-init: load module packed.ko.xz: this kernel does not inflate modules\n", result)
    assert_off("exit=0 signal=0 oom=0", result)
  end)
end)

-- ---- a root that stays as it is ---------------------------------------------------

describe("an overlay", function()
  local WRITE = [[
    b=/bin/busybox; $b cat /etc/written /new/file; echo written >/etc/written; $b mkdir -p /new; echo new >/new/file
    $b rm -f /etc/hosts; $b ls /run/initramfs/banger/lower/etc; $b mount]]

  it_boots("in memory is gone after the machine, and the image is the same bytes", function(path)
    local spec = { built = true, overlay = "tmpfs", argv = { BUSYBOX, "sh", "-c", WRITE }, cmdline = "ro init=/.banger/init" }
    guest.image(path, spec)
    local before = sh.sha256(path)
    for i = 1, 2 do
      local result = boot("overlay-tmpfs" .. i, spec, path)
      assert_console("cat: can't open '/etc/written': No such file or directory\n"
        .. "cat: can't open '/new/file': No such file or directory\n", result)
      assert_console("hostname     hosts        resolv.conf\n", result)
      assert_console("\noverlay on / type overlay (rw,", result)
      assert_console("\n/dev/vda on /run/initramfs/banger/lower type ext4 (ro,", result)
      for _, dir in ipairs { "/dev", "/dev/pts", "/proc", "/sys", "/run" } do assert_console(" on " .. dir .. " type ", result) end
      assert_off("exit=0 signal=0 oom=0", result)
      assert.are.equal(before, sh.sha256(path))
    end
  end)

  it_boots("on a disk is there again, and the disk is clean", function(path)
    local disk = scratch:fresh ".disk"
    sh.check(("PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -L over %s 16M"):format(disk))
    local spec = { built = true, overlay = "LABEL=over", disk = disk, argv = { BUSYBOX, "sh", "-c", WRITE },
      cmdline = "ro init=/.banger/init" }
    guest.image(path, spec)
    local before = sh.sha256(path)
    boot("overlay-disk1", spec, path)
    assert.is_true(image.fsck(disk))
    local result = boot("overlay-disk2", spec, path)
    assert_console("written\nnew\n", result)
    assert_console("/dev/vdb on /run/initramfs/banger/upper type ext4 (rw,", result)
    assert_off("exit=0 signal=0 oom=0", result)
    assert.is_true(image.fsck(disk))
    assert.are.equal(before, sh.sha256(path))
    assert.are.equal("written\n", image.read(disk)["upper/etc/written"].content)
  end)

  local function assert_fails(text, name, spec, path)
    local result = boot(name, spec, path)
    assert_console("banger-init: overlay: " .. text .. "\nbanger-init: exit=125 signal=0 oom=0\n", result)
  end

  it_boots("says that its disk is not there, or not formatted", function(path)
    assert_fails("/dev/vdb: no such disk after 10 s; there is: vda", "overlay-none",
      { overlay = "/dev/vdb", argv = { "none" }, cmdline = "ro" }, path)
    local disk = scratch:fresh ".disk"
    sh.check("truncate -s 1M " .. disk)
    assert_fails("/dev/vdb: holds no ext4 file system: make one with mkfs.ext4", "overlay-empty",
      { overlay = "/dev/vdb", disk = disk, argv = { "none" }, cmdline = "rw" }, path)
  end)

  it_boots("says that the kernel has none", function(path)
    assert_fails("the kernel has no overlay file system: load its module in the initramfs", "overlay-kernel",
      { overlay = "tmpfs", without = "overlay", argv = { "none" }, cmdline = "rw" }, path)
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
      files = { ["/sbin/own"] = program [[
        b=/bin/busybox; echo "I am $$ $0 with $*"; $b env; $b mount; $b cat /proc/self/status; $b ifconfig eth0
        $b cat /etc/resolv.conf; echo >/written && $b poweroff -f]] },
    }, path)
    assert_console("I am 1 /sbin/own with word\n", result)
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
