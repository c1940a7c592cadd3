-- The agent at a socket of this machine, asked by `banger-lua exec` and from Lua. What it
-- is in a guest is in boot/agent_spec.lua, what it makes of nonsense in c/test_agent.c.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local core = require "banger.core"
local need = require "support.need"
local sh = require "support.sh"

local scratch = sh.scratch()
local socket, address = scratch:path "agent", "unix:" .. scratch:path "agent"
local exec = sh.quote(sh.banger()) .. " exec " .. sh.quote(address)
local started = {}

--- Starts a program that ends with the tests; what it says goes to a file.
local function start(name, ...)
  local pid = sh.check(("%s >%s 2>&1 </dev/null & echo $!"):format(sh.line(...), sh.quote(scratch:path(name))))
  started[#started + 1] = pid:match "%d+"
end

--- Waits until a shell command succeeds.
local function wait_until(command)
  local _, code = sh.run(("for i in $(seq 200); do { %s; } >/dev/null 2>&1 && exit 0; sleep 0.05; done; exit 1"):format(command))
  assert.are.equal(0, code, "in vain: " .. command)
end

local reason = core.host.arch() ~= "amd64" and "the guest's program is for amd64" or need.program "python3"

setup(function()
  if reason then return end
  sh.write_file(scratch:path "init", core.resource "guest/banger-init-amd64")
  sh.check("chmod 755 " .. scratch:path "init")
  start("agent.log", scratch:path "init", "agent", address)
  wait_until("test -S " .. socket)
end)

teardown(function()
  for _, pid in ipairs(started) do sh.run("kill " .. pid .. " 2>/dev/null") end
  scratch:remove()
end)

local function it_runs(name, test)
  it(name, function()
    if reason then return pending(reason) end
    test()
  end)
end

--- `exec ADDRESS ...` in a shell, which may say more. stdin is empty unless it says so.
local function run(arguments, more)
  return sh.run(("{ timeout 60 %s %s %s; } 2>&1"):format(exec, arguments, more or "</dev/null"))
end

local function assert_run(code, out, arguments, more)
  local said, got = run(arguments, more)
  assert.are.equal(out, said)
  assert.are.equal(code, got)
end

local function fails(code, message, call, ...)
  local ok, problem = pcall(call, ...)
  assert.is_false(ok)
  assert.matches(message, tostring(problem), 1, true)
  assert.are.equal(code, banger.is_error(problem) and problem.code or nil)
end

describe("exec", function()
  it_runs("hands on arguments, streams and the exit code", function()
    assert_run(0, "[two words][][a\nb][*]", "-- printf '[%s]' 'two words' '' 'a\nb' '*'")
    assert_run(42, "", "-- sh -c 'exit 42'")
    assert_run(0, "out\n", "-- sh -c 'echo out; echo err >&2' 2>/dev/null")
    assert_run(0, "err\n", "-- sh -c 'echo out; echo err >&2' >/dev/null")
    assert.are.equal("in", (sh.run(("printf in | timeout 20 %s -- sh -c 'cat; exit 3'"):format(exec))))
  end)

  it_runs("collects for --json what the command says", function()
    assert_run(3, '{"exit":3,"got":0,"put":0,"stderr":"err\\n","stdout":"a \\"b\\"\\n"}\n',
      [[--json -- sh -c 'echo "a \"b\""; echo err >&2; exit 3']])
    assert_run(137, '{"exit":137,"got":0,"put":0,"signal":9,"stderr":"","stdout":""}\n', "--json -- sh -c 'kill -9 $$'")
    sh.write_file(scratch:path "typed", "typed \xff")
    assert_run(0, '{"exit":0,"got":0,"put":0,"stderr":"","stdout":"typed \u{FFFD}","stdout_escaped":"typed \\\\377"}\n',
      "--json -q -- cat", "<" .. scratch:path "typed")
    assert_run(0, '{"exit":0,"got":0,"put":0,"stderr":"","stdout":""}\n', "--json -n -- cat", "<" .. scratch:path "typed")
    assert_run(0, '{"got":1,"put":1}\n', ("--json --put %s %s.2 --get %s.2 %s.3"):format(
      scratch:path "typed", scratch:path "typed", scratch:path "typed", scratch:path "typed"))
    assert.equal("typed \xff", sh.read_file(scratch:path "typed.3"))
    assert_run(1, "banger-lua: option '-t' can not be used together with option '--json' (see --help)\n", "--json -t -- true")
  end)

  it_runs("prints what the command said with --json when a file cannot be copied after it", function()
    local here, there = scratch:path "here", scratch:path "there"
    sh.write_file(there, "x\n")
    local more = "2>" .. scratch:path "get.err" .. " </dev/null"
    local function says() return sh.read_file(scratch:path "get.err") end
    assert_run(2, '{"exit":0,"got":1,"put":0,"stderr":"","stdout":"important\\n"}\n',
      ("--json --get %s %s --get /nope/x %s.2 -- echo important"):format(there, here, here), more)
    assert.are.equal(("banger-lua: %s: /nope/x: No such file or directory\n"):format(address), says())
    assert.are.equal("x\n", sh.read_file(here))
    assert_run(2, '{"got":0,"put":1}\n', ("--json --put %s %s.3 --get /nope/x %s"):format(here, there, here), more)
    -- What has not begun has nothing to say, nor has a command that says too much.
    assert_run(2, "", "--json --put /nope/x /tmp/x -- echo important", more)
    assert_run(1, "", "--json -- sh -c 'head -c 17000000 /dev/zero'", more)
    assert.matches("more than 16777216 bytes of output\n$", says())
    -- Without --json it has been said already.
    assert_run(2, "important\n", ("--get /nope/x %s -- echo important"):format(here), more)
  end)

  it_runs("passes binary input of any size through", function()
    sh.check(("head -c 50000000 /dev/urandom >%s"):format(scratch:path "big"))
    sh.check(("timeout 60 %s -- cat <%s >%s"):format(exec, scratch:path "big", scratch:path "copy"))
    local a, b = sh.sha256(scratch:path "big", scratch:path "copy")
    assert.are.equal(a, b)
    -- Through pipes on both sides, too; and a command that does not read ends.
    local out = sh.check(("cat %s | timeout 60 %s -- cat | sha256sum"):format(scratch:path "big", exec))
    assert.are.equal(a, out:match "^%x+")
    assert_run(0, "", "-- true", "<" .. scratch:path "big")
    assert_run(0, "0\n", "-n -- wc -c", "<" .. scratch:path "big")
    -- And one whose output is not wanted any more is not left behind.
    assert.are.equal("y\n141\n", sh.check(("{ timeout 60 %s -- yes </dev/null 2>/dev/null; echo $? >%s; } | head -n 1; "
      .. "for i in $(seq 200); do [ -s %s ] && break; sleep 0.05; done; cat %s"):format(
      exec, scratch:path "code", scratch:path "code", scratch:path "code")))
  end)

  it_runs("tells which signal killed it", function()
    assert_run(137, "", "-- sh -c 'kill -9 $$'")
    assert_run(139, "", "-- sh -c 'kill -SEGV $$'")
  end)

  it_runs("says what cannot be run", function()
    assert_run(127, "banger-init: nosuch: not found in PATH=/bin\n", "-e PATH=/bin -- nosuch")
    assert_run(127, "banger-init: /nosuch: not found\n", "-- /nosuch")
    assert_run(126, "banger-init: /etc/passwd: is not executable\n", "-- /etc/passwd")
    assert_run(125, "banger-init: enter the directory /nosuch: No such file or directory\n", "-C /nosuch -- true")
    local out, code = run "-u nosuch -- true"
    assert.matches("^banger%-init: nosuch is not in /etc/passwd, which has: root ", out)
    assert.are.equal(125, code)
  end)

  it_runs("sets environment, directory and user", function()
    assert_run(0, "/usr\nA=b c\n/root\n", "-C /usr -e 'A=b c' -- sh -c 'pwd; env | grep ^A=; echo $HOME'")
    assert_run(0, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n", "-- sh -c 'echo $PATH'")
    if need.root() then return end
    assert_run(0, "uid=1234 gid=5678 groups=5678\n", "-u 1234:5678 -- id")
    assert_run(0, "uid=0(root) gid=0(root) groups=0(root)\n", "-- sh -c 'id'")
  end)

  it_runs("holds and ignores no signal", function()
    local out = run "-- cat /proc/self/status"
    assert.matches("SigBlk:\t0000000000000000\n", out, 1, true)
    -- 32 and 33 belong to libc, see boot/init_spec.lua.
    assert.are.equal(0, tonumber(out:match "SigIgn:\t(%x+)\n", 16) & ~(3 << 31))
  end)

  it_runs("runs two at once", function()
    local first, second = scratch:path "first", scratch:path "second"
    local out = sh.check((
      "timeout 60 %s -- sh -c 'touch %s; while ! [ -e %s ]; do sleep 0.05; done; echo one' </dev/null & "
      .. "timeout 60 %s -- sh -c 'while ! [ -e %s ]; do sleep 0.05; done; touch %s; echo two' </dev/null; wait"):format(
      exec, first, second, exec, first, second))
    assert.is_truthy(out == "one\ntwo\n" or out == "two\none\n", out)
  end)

  it_runs("does not wait for what a command leaves behind", function()
    local out = sh.check(("timeout 20 %s -- sh -c 'sleep 300 & echo $!' </dev/null"):format(exec))
    local pid = out:match "^(%d+)\n$"
    sh.check("kill " .. pid)
  end)

  it_runs("gives a terminal", function()
    local why = need.program "script"
    if why then return pending(why) end
    local inner = exec .. [[ -t -e TERM=vt9 -- sh -c 'stty size; stty -echo; tty; echo $TERM; read x; echo got $x; exit 4']]
    local out, code = sh.run(("(sleep 1; echo hello; sleep 20) | TERM=dumb timeout 30 script -qec %s /dev/null"):format(
      sh.quote("stty rows 33 cols 77; " .. inner)))
    assert.matches("33 77\r?\n/dev/pts/%d+\r?\nvt9\r?\n", out)
    assert.matches("got hello\r?\n", out)
    assert.are.equal(4, code)
    assert_run(1, "banger-lua: --tty: stdin is no terminal\n", "-t -- true")
  end)
end)

describe("a signal", function()
  --- Starts a command in the background and waits until it has made a file.
  local function started_command(script, redirections)
    local ready = scratch:fresh()
    local pid = sh.check(("exec 3>&-; %s -- sh -c %s %s >%s.out 2>&1 & echo $!"):format(exec,
      sh.quote(script:gsub("READY", "touch " .. ready)), redirections or "</dev/null", ready)):match "%d+"
    wait_until("test -e " .. ready)
    return pid, ready .. ".out"
  end

  local function assert_gone(pid)
    wait_until(("! kill -0 %s || grep -q '^State:.Z' /proc/%s/status"):format(pid, pid))
  end

  it_runs("that asks us to stop is the command's", function()
    for _, signal in ipairs { "INT", "TERM", "HUP", "QUIT", "USR1", "USR2" } do
      local script = ("trap 'echo got %s; exit 5' %s; READY; while :; do sleep 0.05; done"):format(signal, signal)
      local ready = scratch:fresh()
      -- A shell has background jobs ignore SIGINT and SIGQUIT: env gives them back.
      local out = sh.check(("env --default-signal=%s %s -- sh -c %s </dev/null >%s.out 2>&1 & pid=$!; "
        .. "for i in $(seq 200); do [ -e %s ] && break; sleep 0.05; done; kill -%s $pid; wait $pid; echo $?; cat %s.out")
        :format(signal, exec, sh.quote(script:gsub("READY", "touch " .. ready)), ready, ready, signal, ready))
      -- Its child got it as well, which the shell may tell.
      assert.matches(("^5\n.*got %s\n"):format(signal), out)
    end
  end)

  it_runs("that nohup ignores is ignored", function()
    local ready, out = scratch:fresh(), scratch:path "nohup"
    sh.check(("env --ignore-signal=HUP %s -- sh -c %s </dev/null >%s 2>&1 & pid=$!; "
      .. "for i in $(seq 200); do [ -e %s ] && break; sleep 0.05; done; kill -HUP $pid; kill -TERM $pid; wait $pid; [ $? = 5 ]"):format(
      exec, sh.quote(("trap 'echo got HUP' HUP; trap 'exit 5' TERM; touch %s; while :; do sleep 0.05; done"):format(ready)), out, ready))
    assert.is_nil(sh.read_file(out):find "got HUP")
  end)

  it_runs("reaches all that the command started", function()
    local pid = started_command("sh -c 'echo $$ >" .. scratch:path "child" .. "; READY; sleep 300; true'; true")
    sh.check("kill " .. pid)
    assert_gone(sh.read_file(scratch:path "child"):match "%d+")
    assert_gone(pid)
  end)

  it_runs("gets past output that nobody reads", function()
    local fifo = scratch:path "fifo"
    sh.check("mkfifo " .. fifo)
    local out = sh.check(([[
      sleep 300 <%s & reader=$!
      %s -- sh -c 'echo $$ >%s; exec cat /dev/zero' >%s </dev/null & pid=$!
      for i in $(seq 200); do [ -s %s ] && break; sleep 0.05; done
      sleep 1; echo resident $(grep VmRSS /proc/$pid/status | tr -dc 0-9)
      kill $pid; for i in $(seq 200); do kill -0 $(cat %s) 2>/dev/null || break; sleep 0.05; done
      kill -0 $(cat %s) 2>/dev/null || echo killed
      kill $reader; wait $pid; echo $?]]):format(fifo, exec, scratch:path "writer", fifo, scratch:path "writer",
      scratch:path "writer", scratch:path "writer"))
    assert.matches("killed\n", out)
    -- 100 MiB would be an instant's output.
    assert.is_true(tonumber(out:match "resident (%d+)") < 100 * 1024, out)
  end)

  it_runs("that ends exec does so where the agent is silent", function()
    for signals, code in pairs { TERM = 143, ["INT INT"] = 130 } do
      local ready, out = scratch:fresh(), scratch:fresh()
      local said = sh.check(([[
        %s -- sh -c "echo \$\$ \$PPID >%s; exec sleep 300" </dev/null >%s 2>&1 & pid=$!
        for i in $(seq 200); do [ -s %s ] && break; sleep 0.05; done
        read command agent <%s; kill -STOP $agent
        for s in %s; do kill -$s $pid; sleep 1.5; done
        for i in $(seq 400); do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
        kill -9 $pid 2>/dev/null; wait $pid; echo $?; kill -9 $agent; kill $command; cat %s]]):format(
        "env --default-signal=INT " .. exec, ready, out, ready, ready, signals, out))
      assert.are.equal(("%d\nbanger-lua: %s: interrupted; the agent is silent\n"):format(code, address), said)
    end
  end)

  it_runs("may be taken as it likes by a command whose agent answers", function()
    local ready = scratch:fresh()
    assert.are.equal("7\n", sh.check(("%s -- sh -c 'trap \"\" TERM; touch %s; sleep 6; exit 7' </dev/null & pid=$!; "
      .. "for i in $(seq 200); do [ -e %s ] && break; sleep 0.05; done; kill $pid; wait $pid; echo $?"):format(exec, ready, ready)))
  end)

  it_runs("that kills the agent does not end its service", function()
    -- On a socket of its own the host sees the end; the next connection has a new agent.
    assert_run(4, ("banger-lua: %s: the connection has ended\n"):format(address), "-- sh -c 'kill -9 $PPID; exec sleep 300'")
    local server = sh.check(exec .. [[ -- sh -c 'cut -d" " -f4 /proc/$PPID/stat' </dev/null]]):match "%d+"
    sh.check("kill -9 " .. server)
    assert_run(0, "again\n", "--wait 20 -- echo again")
  end)

  it_runs("of hanging up follows a host that died", function()
    local hung = scratch:path "hung"
    local pid = started_command(("trap 'echo hung >%s; exit' HUP; READY; while :; do sleep 0.05; done"):format(hung))
    sh.check("kill -9 " .. pid)
    wait_until("grep hung " .. hung)
    -- And the end, for one that does not listen.
    pid = started_command(("trap '' HUP; echo $$ >%s; READY; while :; do sleep 0.05; done"):format(scratch:path "deaf"))
    sh.check("kill -9 " .. pid)
    assert_gone(sh.read_file(scratch:path "deaf"):match "%d+")
    assert_run(0, "", "-- true")
  end)
end)

describe("files", function()
  it_runs("go in and out with their modes, whole", function()
    local from, inside, back = scratch:path "from", scratch:path "inside", scratch:path "back"
    sh.check(("head -c 3000001 /dev/urandom >%s; chmod 2741 %s; echo old >%s; ln -s from %s"):format(from, from, inside, back))
    assert_run(0, "", ("--put %s %s"):format(from, inside))
    assert.are.equal("2741 3000001\n", sh.check("stat -c '%a %s' " .. inside))
    assert_run(0, "", ("--get %s %s.2"):format(inside, back))
    assert.are.equal("741 3000001\n", sh.check(("stat -c '%%a %%s' %s.2"):format(back)))
    local a, b, c = sh.sha256(from, inside, back .. ".2")
    assert.are.equal(a, b)
    assert.are.equal(a, c)
    -- An empty one, one of unknown size, and both ways around a command.
    assert_run(0, "", ("--put /dev/null %s"):format(inside) and ("--get /proc/version %s"):format(back))
    assert.are.equal(sh.read_file "/proc/version", sh.read_file(back))
    sh.write_file(from, "")
    assert_run(0, "empty\n", ("--put %s %s --get %s %s -- sh -c '[ -s %s ] || echo empty; echo new >%s'"):format(
      from, inside, inside, back, inside, inside))
    assert.are.equal("new\n", sh.read_file(back))
  end)

  it_runs("that grow are copied as they were", function()
    local log, dir = scratch:path "growing", scratch:mkdir "grown"
    local out = sh.check(("head -c 20000000 /dev/zero >%s; while :; do echo more >>%s; done & writer=$!; "
      .. "for i in 1 2 3; do timeout 60 %s --put %s %s/in --get %s %s/out </dev/null || echo failed; cmp -n 20000000 %s/in %s/out; done; "
      .. "kill $writer"):format(log, log, exec, log, dir, log, dir, dir, dir))
    assert.are.equal("", out)
  end)

  it_runs("that cannot be copied leave nothing behind", function()
    local dir, file = scratch:mkdir "dir", scratch:path "file"
    sh.write_file(file, "x")
    local name = "banger-lua: " .. address .. ": "
    assert_run(1, name .. "write /nosuch/x: No such file or directory\n", ("--put %s /nosuch/x"):format(file))
    assert_run(1, name .. dir .. ": is a directory\n", ("--put %s %s"):format(file, dir))
    assert_run(1, "banger-lua: " .. dir .. ": is not a regular file\n", ("--put %s %s/x"):format(dir, dir))
    assert_run(2, "banger-lua: open /nosuch: No such file or directory\n", ("--put /nosuch %s/x"):format(dir))
    assert_run(2, name .. "/nosuch: No such file or directory\n", ("--get /nosuch %s/x"):format(dir))
    assert_run(1, name .. dir .. ": is not a regular file\n", ("--get %s %s/x"):format(dir, dir))
    assert_run(1, name .. "/dev/null: is not a regular file\n", ("--get /dev/null %s/x"):format(dir))
    assert_run(1, "banger-lua: cannot write output /nosuch/x: No such file or directory\n", ("--get %s /nosuch/x"):format(file))
    assert_run(3, "", ("--get %s %s/x -- sh -c 'exit 3'"):format(file, dir))
    assert.are.equal("", sh.check("ls -A " .. dir))
  end)

  it_runs("are not left half in the guest by a host that died", function()
    local dir, big = scratch:mkdir "half", scratch:path "huge"
    sh.check("truncate -s 20G " .. big)
    sh.check(("%s --put %s %s/x </dev/null & pid=$!; for i in $(seq 200); do [ \"$(ls -A %s)\" ] && break; sleep 0.02; done; "
      .. "ls -A %s | grep -q banger || exit 9; kill -9 $pid"):format(exec, big, dir, dir, dir))
    wait_until(("! [ \"$(ls -A %s)\" ]"):format(dir))
    sh.check("rm " .. big)
  end)
end)

describe("an address", function()
  it_runs("may be that of a hypervisor's vsock", function()
    local path = scratch:path "hybrid"
    start("hybrid.log", "python3", "tests/support/servers/hybrid.py", path, "1024", socket)
    wait_until("test -S " .. path)
    local out = sh.check(("timeout 20 %s exec hybrid:%s -- echo there </dev/null"):format(sh.banger(), path))
    assert.are.equal("there\n", out)
    out = sh.check(("timeout 20 %s exec hybrid:%s:1024 -- cat <%s | cmp - %s && echo same"):format(sh.banger(), path,
      scratch:path "init", scratch:path "init"))
    assert.are.equal("same\n", out)
    local said, code = sh.run(("timeout 20 %s exec hybrid:%s:99 -- true 2>&1 </dev/null"):format(sh.banger(), path))
    assert.are.equal(("banger-lua: hybrid:%s:99: the guest has nobody who listens at that port\n"):format(path), said)
    assert.are.equal(4, code)
  end)

  it_runs("may come to be while we wait", function()
    local late = scratch:path "late"
    start("late.log", "sh", "-c", ("sleep 1; exec %s agent unix:%s"):format(scratch:path "init", late))
    local out = sh.check(("timeout 40 %s exec --wait 30 unix:%s -- echo there </dev/null"):format(sh.banger(), late))
    assert.are.equal("there\n", out)
  end)

  it_runs("that nobody has is told", function()
    local function assert_told(code, words, at, more)
      local out, got = sh.run(("timeout 20 %s exec %s %s -- true 2>&1 </dev/null"):format(sh.banger(), more or "", at))
      assert.are.equal("banger-lua: " .. words .. "\n", out)
      assert.are.equal(code, got)
    end
    assert_told(2, "unix:/nosuch: there is no such socket", "unix:/nosuch")
    assert_told(2, "unix:/nosuch: there is no such socket", "unix:/nosuch", "--wait 1s")
    assert_told(1, "'tcp:1' is no agent's address: vsock:CID[:PORT], unix:PATH or hybrid:PATH[:PORT]", "tcp:1")
    for _, wrong in ipairs { "soon", "0x1", "1e1", "0.5" } do
      assert_told(1, ("--wait: '%s' is no time span: a number with s, m, h, d or w expected (see --help)"):format(wrong), address,
        "--wait " .. wrong)
    end
    assert_told(1, "--wait: '25h' is too long: 86400 seconds at most (see --help)", address, "--wait 25h")
    assert_run(0, "", "--wait 1")
    assert_run(0, "", "--wait 1m")
    assert_run(1, "banger-lua: nothing to do: give a command after --, --put, --get, or --wait\n", "")
    assert_told(1, "--env: 'A' is not NAME=VALUE (see --help)", address, "--env A")
  end)

  it_runs("is taken by one agent only", function()
    local out, code = sh.run(("timeout 2 %s agent %s 2>&1"):format(scratch:path "init", address))
    assert.are.equal(("banger-init: the agent: listen at %s: Address in use; trying on\n"):format(address), out)
    assert.are.equal(124, code)
    assert_run(0, "", "-- true")
    -- What a dead one left is no hindrance.
    local stale = scratch:path "stale"
    sh.run(("timeout -s KILL 1 %s agent unix:%s"):format(scratch:path "init", stale))
    start("stale.log", scratch:path "init", "agent", "unix:" .. stale)
    assert.are.equal("there\n", sh.check(("timeout 20 %s exec --wait 10 unix:%s -- echo there </dev/null"):format(sh.banger(), stale)))
    out, code = sh.run(("timeout 5 %s agent tcp:80 2>&1"):format(scratch:path "init"))
    assert.are.equal("banger-init: the agent: tcp:80: is not vsock:PORT, port:NAME or unix:PATH\n", out)
    assert.are.equal(125, code)
  end)
end)

describe("on arm64", function()
  it_runs("all is the same", function()
    local why = need.program "qemu-aarch64-static"
    if why then return pending(why) end
    sh.write_file(scratch:path "init-arm64", core.resource "guest/banger-init-arm64")
    sh.check("chmod 755 " .. scratch:path "init-arm64")
    start("arm64.log", "qemu-aarch64-static", scratch:path "init-arm64", "agent", "unix:" .. scratch:path "arm64")
    local there = ("timeout 60 %s exec --wait 30 unix:%s"):format(sh.banger(), scratch:path "arm64")
    assert.are.equal("/usr b c\n4\n", sh.check(there .. [[ -C /usr -e 'A=b c' -- sh -c 'echo "$PWD $A"; exit 4' </dev/null; echo $?]]))
    assert.are.equal("137\n", sh.check(there .. " -- sh -c 'kill -9 $$' </dev/null; echo $?"))
    local from, back = scratch:path "init", scratch:path "init-back"
    sh.check(("%s --put %s %s.in --get %s.in %s -- cat <%s | cmp - %s"):format(there, from, back, back, back, from, from))
    sh.check(("cmp %s %s"):format(from, back))
  end)
end)

describe("from Lua", function()
  it_runs("commands are calls", function()
    local agent <close> = banger.agent.connect(address)
    local result = agent:run { "sh", "-c", "cat; echo err >&2; echo $A; exit 7", input = "a\0b\n", env = { "A=1" } }
    assert.are.same({ code = 7, out = "a\0b\n1\n", err = "err\n" }, result)
    assert.are.same({ code = 137, signal = 9, out = "", err = "" }, agent:run { "sh", "-c", "kill -9 $$" })
    assert.are.same({ code = 0, out = "/tmp\n", err = "" }, agent:run { "pwd", cwd = "/tmp" })
    assert.are.equal(127, agent:run({ "nosuch" }).code)
    local path = scratch:path "by-lua"
    sh.write_file(path, "content")
    agent:put(path, path .. ".2")
    agent:get(path .. ".2", path .. ".3")
    assert.are.equal("content", sh.read_file(path .. ".3"))
    -- A refusal is not the end of it.
    fails("not_found", "/nosuch: No such file or directory", agent.get, agent, "/nosuch", path)
    assert.are.equal(0, agent:run({ "true" }).code)
  end)

  it_runs("limits hold, and end the connection", function()
    local agent <close> = banger.agent.connect(address)
    fails("io", "more than 1000 bytes of output", agent.run, agent, { "cat", "/dev/zero", limit = 1000 })
    fails("network", "the connection is of no use after an error", agent.run, agent, { "true" })
    local slow <close> = banger.agent.connect(address)
    fails("io", "the command has not ended after 0.3 seconds", slow.run, slow, { "sleep", "300", timeout = 0.3 })
    local long <close> = banger.agent.connect(address)
    fails("usage", "a request of 70024 bytes (arguments, environment, paths) is too long: 65536 fit", long.run, long,
      { "echo", ("x"):rep(70000) })
    assert.are.equal(0, long:run({ "true" }).code)
  end)

  it_runs("a command ends with the call that is interrupted", function()
    local ready, script = scratch:path "running", [[
      local banger = require "banger"
      local agent <close> = banger.agent.connect(arg[1])
      agent:run { "sh", "-c", "echo $$ >" .. arg[2] .. "; exec sleep 300" }]]
    sh.write_file(scratch:path "call.lua", script)
    local out = sh.check(("%s %s %s %s </dev/null 2>&1 & pid=$!; for i in $(seq 200); do [ -s %s ] && break; sleep 0.05; done; "
      .. "kill -TERM $pid; wait $pid; echo $?"):format(sh.banger(), scratch:path "call.lua", address, ready, ready))
    assert.are.equal("banger-lua: interrupted\n143\n", out)
    wait_until(("! kill -0 %s"):format(sh.read_file(ready):match "%d+"))
  end)

  it_runs("mistakes are told", function()
    local agent = banger.agent.connect(address)
    fails(nil, "a program expected", agent.run, agent, {})
    fails(nil, "a list of strings expected", agent.run, agent, { "echo", 1 })
    fails(nil, "a string holds a zero byte", agent.run, agent, { "echo", "a\0b" })
    fails(nil, "env: a list of strings expected", agent.run, agent, { "echo", env = "A=1" })
    fails(nil, "cwd: a string expected", agent.run, agent, { "echo", cwd = true })
    fails(nil, "no path", agent.put, agent, "", "/x")
    fails(nil, "wait out of range", banger.agent.connect, address, { wait = -1 })
    agent:close()
    agent:close()
    assert.are.equal("agent: closed", tostring(agent))
    fails(nil, "the agent is closed", agent.run, agent, { "true" })
  end)
end)
