-- The agent in a machine: behind a virtio-serial port, which outlives its hosts, and at
-- vsock, where nobody but the host is served.
package.path = "tests/?.lua;" .. package.path
local guest = require "boot.guest"
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"

local scratch = sh.scratch()
local banger = sh.quote(sh.banger())
local KERNEL = "build/cache/kernel"
local MODE_PROGRAM = tonumber("755", 8)

local disk, socket, log = scratch:path "guest.ext4", scratch:path "agent", "build/boot/agent.log"
local exec = ("%s exec --wait 30 unix:%s"):format(banger, socket)
local machine

local reason = need.all(need.time(), guest.boot_reason(), need.program "musl-gcc")

--- Modules that a program in the guest loads: path -> content.
local function modules(...)
  local files = {}
  for _, name in ipairs { ... } do
    local path = sh.check(("find %s/lib/modules -name %s.ko"):format(KERNEL, name)):match "[^\n]+"
    files[("/modules/%s.ko"):format(name)] = sh.read_file(path)
  end
  return files
end

--- The program: it survives what it does to its own process group, and ends when told.
local PROGRAM = [[
b=/bin/busybox
for m in vsock vmw_vsock_virtio_transport_common vsock_loopback; do $b insmod /modules/$m.ko 2>/dev/null; done
trap '' TERM; kill -TERM 0; trap 'exit 6' USR1
echo READY; while :; do $b sleep 0.2; done]]

setup(function()
  if reason then return end
  sh.check(("musl-gcc -static -Os -o %s tests/boot/vsock.c"):format(scratch:path "vsock"))
  local files = modules("vsock", "vmw_vsock_virtio_transport_common", "vsock_loopback")
  files["/bin/vsock"] = { sh.read_file(scratch:path "vsock"), MODE_PROGRAM }
  files["/.banger/agent"] = "vsock:1024\0port:banger.agent\0"
  local argv = { "/bin/busybox", "sh", "-c", PROGRAM }
  guest.image(disk, { argv = argv, env = { "OF=the image", "NONE" }, files = files, stop_signal = "USR1" })
  sh.check("mkdir -p build/boot")
  machine = sh.check(("timeout -k 5 120 %s run %s --kernel %s/kernel --accel %s --memory 256M --no-network --agent %s "
    .. "--append 'rw init=/.banger/init' >%s 2>&1 </dev/null & echo $!"):format(
    banger, disk, KERNEL, os.getenv "BOOT_ACCEL" or "tcg", socket, log)):match "%d+"
  local _, code = sh.run(exec .. " -- /bin/busybox true </dev/null")
  assert(code == 0, "the agent does not answer:\n" .. sh.read_file(log):sub(-2000))
end)

teardown(function()
  if machine then sh.run("kill " .. machine .. " 2>/dev/null") end
  scratch:remove()
end)

local function it_runs(name, test)
  it(name, function()
    if reason then return pending(reason) end
    test()
  end)
end

local function assert_exec(code, out, arguments, more)
  local said, got = sh.run(("{ timeout 60 %s %s %s; } 2>&1"):format(exec, arguments, more or "</dev/null"))
  assert.are.equal(out, said, sh.read_file(log):sub(-2000))
  assert.are.equal(code, got)
end

describe("the agent of a machine", function()
  it_runs("runs commands, though the program signals its group", function()
    assert_exec(0, "the image\n/\n", "-- /bin/busybox sh -c '/bin/busybox echo $OF; /bin/busybox pwd'")
    assert_exec(42, "", "-- /bin/busybox sh -c 'exit 42'")
    assert_exec(137, "", "-- /bin/busybox sh -c 'kill -9 $$'")
    assert_exec(127, "banger-init: nosuch: not found in PATH=/x\n", "-e PATH=/x -- nosuch")
    assert_exec(0, "err\n", "-- /bin/busybox sh -c 'echo out; echo err >&2' >/dev/null")
  end)

  it_runs("is a child of the first process, in a session of its own", function()
    local out = sh.check(("timeout 60 %s -- /bin/busybox ps -o pid,ppid,pgid,sid,args </dev/null"):format(exec))
    local pid, group, session = out:match "\n *(%d+) +1 +(%d+) +(%d+) [^\n]*init"
    assert.are.equal(pid, group, out)
    assert.are.equal(pid, session, out)
  end)

  it_runs("passes binary data both ways", function()
    local from, back = scratch:path "data", scratch:path "back"
    sh.check(("head -c 2000001 /dev/urandom >%s; chmod 640 %s"):format(from, from))
    sh.check(("timeout 60 %s -- /bin/busybox cat <%s >%s"):format(exec, from, back))
    local a, b = sh.sha256(from, back)
    assert.are.equal(a, b)
    sh.check(("timeout 60 %s --put %s /data --get /data %s.2 -- /bin/busybox sha256sum /data </dev/null >%s"):format(
      exec, from, back, back))
    assert.are.equal(a .. "  /data\n", sh.read_file(back))
    assert.are.equal(a, (sh.sha256(back .. ".2")))
    assert.are.equal("640\n", sh.check(("stat -c %%a %s.2"):format(back)))
  end)

  it_runs("gives a terminal", function()
    local why = need.program "script"
    if why then return pending(why) end
    local out, code = sh.run(("sleep 30 | timeout 60 script -qec %s /dev/null"):format(
      sh.quote("stty rows 33 cols 77; " .. exec .. " -t -- /bin/busybox sh -c '/bin/busybox stty size; /bin/busybox tty; exit 4'")))
    assert.matches("33 77\r?\n/dev/pts/%d+\r?\n", out)
    assert.are.equal(4, code)
  end)

  it_runs("is in step again after hosts that died anywhere", function()
    for i = 1, 4 do
      sh.run(("timeout -s KILL %g %s -- /bin/busybox sh -c 'echo $$ >/dying; exec /bin/busybox cat' </dev/zero >/dev/null"):format(
        0.4 + i / 7, exec))
      assert_exec(0, ("again %d\n"):format(i), ("-- /bin/busybox echo again %d"):format(i))
    end
    -- The last of the commands is hung up.
    assert_exec(1, "", "-- /bin/busybox sh -c 'kill -0 $(/bin/busybox cat /dying) 2>/dev/null'")
  end)

  it_runs("delivers signals", function()
    local out = sh.check(("timeout 60 %s -- /bin/busybox sh -c \"trap 'echo got; exit 5' TERM; echo ready; while :; do /bin/busybox sleep 0.1; done\""
      .. " >%s </dev/null 2>/dev/null & pid=$!; for i in $(seq 400); do grep -q ready %s && break; sleep 0.05; done; "
      .. "kill $(cat /proc/$pid/task/*/children); wait $pid; echo $?; cat %s"):format(
      exec, scratch:path "signal", scratch:path "signal", scratch:path "signal"))
    assert.are.equal("5\nready\ngot\n", out)
  end)

  it_runs("serves nobody at vsock but the host", function()
    -- A greeting that would be answered.
    local hello = scratch:path "hello"
    sh.write_file(hello, ("\xb6\1\0\0\0\0\0\0\28\0\0\0banger-lua agent\1\0\0\0") .. "12345678")
    assert_exec(0, "0 bytes came back\n", "-- /bin/vsock 1 1024", "<" .. hello)
    assert_exec(1, "connect: Connection reset by peer\n", "-- /bin/vsock 1 1025", "<" .. hello)
    assert.is_truthy(sh.read_file(log):find(
      "banger-init: the agent refused a connection from CID 1: only the host's (2) is served", 1, true), sh.read_file(log):sub(-1000))
    for _ = 1, 10 do assert_exec(0, "0 bytes came back\n", "-- /bin/vsock 1 1024", "<" .. hello) end
    local _, count = sh.read_file(log):gsub("the agent refused", "")
    assert.are.equal(8, count)
  end)

  it_runs("that is killed tells its host, and is started again", function()
    -- The command's parent is the agent that serves the port; nothing tells the host of its end but the next one.
    assert_exec(4, ("banger-lua: unix:%s: the agent in the machine ended\n"):format(socket),
      "-- /bin/busybox sh -c 'kill -9 $PPID; exec /bin/busybox sleep 1000'")
    assert_exec(0, "again\n", "-- /bin/busybox echo again")
    -- The one that keeps it, which only the first process can start again: its end is that of those that serve.
    assert_exec(4, ("banger-lua: unix:%s: the agent in the machine ended\n"):format(socket),
      "-- /bin/busybox sh -c 'kill -9 $(/bin/busybox awk \"{print \\$4}\" /proc/$PPID/stat); exec /bin/busybox sleep 1000'")
    assert_exec(0, "again\n", "-- /bin/busybox echo again")
    -- Of what it ran, nothing stays.
    assert_exec(1, "", "-- /bin/busybox sh -c \"/bin/busybox ps -o args | /bin/busybox grep 'sleep 100[0]'\"")
    local console = sh.read_file(log)
    for _, what in ipairs { " at port:banger.agent", "" } do
      local line = ("banger-init: the agent%s ended (signal 9): it is started again"):format(what)
      assert.is_truthy(console:find(line, 1, true), console:sub(-1000))
    end
  end)

  it_runs("ends with the machine", function()
    assert_exec(0, "", "-- /bin/busybox kill -TERM 1")
    local _, code = sh.run(("for i in $(seq 400); do kill -0 %s 2>/dev/null || exit 0; sleep 0.05; done; exit 1"):format(machine))
    assert.are.equal(0, code, sh.read_file(log):sub(-2000))
    assert.matches("banger%-init: exit=6 signal=0 oom=0", sh.read_file(log))
    local clean, out = image.fsck(disk)
    assert.is_true(clean, out)
  end)
end)
