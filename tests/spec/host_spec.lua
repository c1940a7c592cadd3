-- The host behaves as `lua` does. Each case is run by the real lua5.4 and by ours,
-- both called "lua"; stdout, stderr and exit status must be the same.
package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"

local scratch
local banger = sh.banger()

setup(function()
  scratch = sh.scratch()
  scratch:mkdir "ours"
  scratch:mkdir "real"
  local path = sh.check("realpath " .. sh.quote(banger)):gsub("\n$", "")
  sh.check(("ln -s %s %s"):format(sh.quote(path), sh.quote(scratch:path "ours/lua")))
  if sh.has "lua5.4" then
    sh.check(("ln -s $(command -v lua5.4) %s"):format(sh.quote(scratch:path "real/lua")))
  end
  sh.write_file(scratch:path "args.lua", [[
    for i = -9, 9 do if arg[i] then io.write(i, "=", arg[i]:match "[^/]*$", " ") end end
    print(..., #arg)]])
  sh.write_file(scratch:path "bang.lua", "#!/usr/bin/env lua\nprint('bang', ...)\n")
  sh.write_file(scratch:path "broken.lua", "x = = 1\n")
  sh.write_file(scratch:path "fails.lua", "local function f() error 'no' end\nf()\n")
  sh.write_file(scratch:path "mod.lua", "print('mod', ...) return { name = 'mod' }\n")
  sh.write_file(scratch:path "init.lua", "print 'init'\n")
  sh.write_file(scratch:path "closes.lua", [[
    function closing(f) return setmetatable({}, { __close = f }) end
    function suspended(f)
      local co = coroutine.create(function() local x <close> = closing(f) coroutine.yield() end)
      coroutine.resume(co)
      return co
    end
  ]])
end)

teardown(function()
  scratch:remove()
end)

-- Runs a shell command in the scratch directory, `lua` in it being one of the two.
local function run(which, command)
  local err = scratch:fresh ".err"
  local out, code = sh.run(("cd %s && PATH=%s:$PATH && export PATH && { %s\n} 2>%s"):format(
    sh.quote(scratch.dir), sh.quote(scratch:path(which)), command, sh.quote(err)))
  return { out = out, err = sh.read_file(err), code = code }
end

local function same(name, command)
  it(name, function()
    if not sh.has "lua5.4" then
      pending "lua5.4 is not installed"
      return
    end
    local ours = run("ours", command)
    assert.same(run("real", command), ours)
    assert.is_true(#ours.out + #ours.err + ours.code > 0, "the case shows nothing")
  end)
end

describe("as lua5.4 does:", function()
  same("-e", [[lua -e 'print(1 + 1)']])
  same("-e with the code attached", [[lua '-eprint "here"']])
  same("several -e, in order", [[lua -e 'x = 1' -e 'print(x)']])
  same("-e, then a script", [[lua -e 'print "first"' args.lua a]])
  same("-e does not read stdin", [[echo 'print "no"' | lua -e 'print "yes"']])
  same("-l", [[lua -l mod -e 'print(mod.name)']])
  same("-l attached", [[lua -lmod -e 'print(mod.name)']])
  same("-l with a global's name", [[lua -l m=mod -e 'print(m.name, mod)']])
  same("-l of a module that is missing", [[lua -l nosuch]])
  same("-l of a library", [[lua -l string=table -e 'print(string == table)']])
  same("-v", [[lua -v]])
  same("-v, then a script", [[lua -v args.lua]])
  for name, code in pairs {
    ["pcall of nothing"] = "print(pcall(pcall))",
    ["pcall and what it returns"] = "print(pcall(string.rep, 'ab', 2)) print(pcall(error)) print(select('#', pcall(function() end)))",
    ["pcall across yields"] = [[local function inner(...) print(coroutine.yield(...)) error 'late' end
      local f = coroutine.wrap(function(...) return 'end', pcall(inner, ...) end)
      print(f(1, 2)) print(f(3, 4))]],
    ["xpcall without a handler"] = "print(pcall(xpcall, print)) print(pcall(xpcall, print, 5))",
    ["xpcall and what it returns"] = [[print(xpcall(string.rep, print, 'ab', 2)) print(xpcall(error, function(e) return e .. '!', 2 end, 'no'))
      print(xpcall(error, function() error 'in it' end))
      print(coroutine.wrap(function() return xpcall(coroutine.yield, print, 7, 8) end)())]],
    ["xpcall across yields"] = "local f = coroutine.wrap(xpcall) print(f(coroutine.yield, print, 1, 2)) print(f(3, nil)) print(pcall(f))",
    ["resume of what is no coroutine"] = "print(pcall(coroutine.resume, 5)) print(pcall(coroutine.resume))",
    ["wrap of what is no function"] = "print(pcall(coroutine.wrap, 5)) print(pcall(coroutine.wrap))",
    ["close of what is no coroutine"] = "print(pcall(coroutine.close, 5))",
    ["resume, values both ways"] = [[local co = coroutine.create(function(...) local a = coroutine.yield(...) error({ a }) end)
      print(coroutine.resume(co, 1, nil, 3)) print(coroutine.status(co)) local ok, e = coroutine.resume(co, 7) print(ok, e[1])
      print(coroutine.resume(co)) print(coroutine.status(co))]],
    ["resume of itself and of the dead"] = [[print(coroutine.resume(coroutine.running()))
      local w w = coroutine.wrap(function() w() end) print(pcall(w)) print(pcall(w))]],
    ["wrap and errors"] = [[local w = coroutine.wrap(function() error 'plain' end) print(pcall(w)) print(pcall(w))
      print(select(2, pcall(coroutine.wrap(function() error({ 'object' }) end)))[1])
      print(pcall(coroutine.wrap(string.rep))) print(coroutine.wrap(string.rep)('ab', 2))]],
    ["wrap closes what failed"] = [[local function fails(f) return function() local x <close> = closing(f) error('first', 0) end end
      print(pcall(coroutine.wrap(fails(function(_, e) print('closing', e) end))))
      print(pcall(coroutine.wrap(fails(function() error('second', 0) end))))]],
    ["close, and what that raises"] = [[local co = suspended(function(_, e) print('closed', e) end)
      print(coroutine.close(co)) print(coroutine.status(co))
      co = suspended(function() error 'in close' end)
      print(coroutine.close(co)) print(coroutine.status(co)) print(coroutine.close(co))
      print(pcall(coroutine.close, coroutine.running()))]],
    ["many values and many coroutines"] = [[local co = coroutine.create(function(...) return ... end)
      print(select('#', coroutine.resume(co, table.unpack({}, 1, 5000))))
      local function deep(n) if n == 0 then return 0 end return 1 + coroutine.wrap(deep)(n - 1) end print(deep(150))
      local function deepest(n) local ok, r = pcall(coroutine.wrap(deepest), n + 1) return ok and r or n end
      print(deepest(1))]],
    ["an error in a coroutine that nobody catches"] = "coroutine.wrap(function() error 'out' end)()",
  } do
    same(name, ("lua -l closes -e %s"):format(sh.quote(code)))
  end
  same("-W", [[lua -W -e 'warn "careful"']])
  same("warnings are off", [[lua -e 'warn "careful" print "quiet"']])
  same("warnings by control messages", [[lua -e 'warn "@on" warn("a", "b")']])
  same("-E ignores LUA_INIT", [[LUA_INIT='print "init"' lua -E -e 'print "run"']])
  same("-E ignores LUA_PATH", [[LUA_PATH='x/?.lua' lua -E -e 'print(package.path)']])
  same("-- ends the options", [[lua -- args.lua -e x]])
  same("-- alone reads stdin", [[echo 'print(#arg)' | lua --]])
  same("- reads stdin", [[echo 'print(...)' | lua - a b]])
  same("-- - names a file", [[lua -- -]])
  same("a script from a pipe", [[echo 'print(arg[0])' | lua]])
  same("a script from a pipe with a first line for the shell", [[printf '#!x\nprint "fine"' | lua]])
  same("an empty script", [[lua /dev/null; echo $?]])
  same("-i", [[printf 'x = 41\nprint(x + 1)\n' | lua -i -e 'print "before"' >/dev/null; echo $?]])

  same("arg, with negative indices", [[lua -e 'y=1' -W args.lua a 'b c' '']])
  same("arg without a script", [[lua -e 'print(arg[0], arg[1], #arg, arg[-1], arg[-2])']])
  same("arg changed by LUA_INIT", [[LUA_INIT='arg[1] = "changed"' lua args.lua given]])
  same("arg spoilt by LUA_INIT", [[LUA_INIT='arg = 1' lua args.lua given; echo $?]])
  same("#!", [[lua bang.lua 1 2]])
  same("a script run by its #!", [[chmod +x bang.lua && ./bang.lua 3]])

  same("LUA_INIT", [[LUA_INIT='print "init"' lua -e 'print "run"']])
  same("LUA_INIT with a file", [[LUA_INIT=@init.lua lua -e 'print "run"']])
  same("LUA_INIT with a file that is missing", [[LUA_INIT=@nosuch.lua lua -e 'print "run"']])
  same("LUA_INIT_5_4 goes first", [[LUA_INIT='print "old"' LUA_INIT_5_4='print "new"' lua -e '']])
  same("LUA_INIT that fails", [[LUA_INIT='error "no"' lua -e 'print "run"']])
  same("LUA_INIT_5_4 that fails", [[LUA_INIT_5_4='(' lua -e 'print "run"']])
  same("LUA_PATH", [[LUA_PATH='?.lua;;' lua -e 'print(package.path)']])
  same("LUA_PATH_5_4 goes first", [[LUA_PATH=a LUA_PATH_5_4=b lua -e 'print(package.path)']])
  same("LUA_CPATH", [[LUA_CPATH=c lua -e 'print(package.cpath)']])
  same("a C module", [[lua -l lfs -e 'print(lfs.attributes("init.lua", "size"))']])

  same("a script that is missing, by a path", [[lua ./nosuch.lua]])
  same("a script that is missing, by a file's name", [[lua nosuch.lua]])
  same("a script that is a directory", [[lua /]])
  same("a script that does not parse", [[lua broken.lua]])
  same("-e that does not parse", [[lua -e '(']])
  same("an error, with its traceback", [[lua fails.lua]])
  same("an error in a coroutine", [[lua -e 'coroutine.wrap(function() error "inside" end)()']])
  same("an error that is nil", [[lua -e 'error()']])
  same("an error that is a table", [[lua -e 'error {}']])
  same("an error that is a number", [[lua -e 'error(7)']])
  same("an error with __tostring", [[lua -e 'error(setmetatable({}, { __tostring = function() return "mine" end }))']])
  same("an error stops what follows", [[lua -e 'error "x"' -e 'print "not reached"']])
  same("results of a script are dropped", [[lua -e 'return 1, 2'; echo $?]])

  same("os.exit", [[lua -e 'os.exit(3)']])
  same("os.exit(true)", [[lua -e 'os.exit(true)'; echo $?]])
  same("os.exit(false)", [[lua -e 'os.exit(false)']])
  same("os.exit with a wrong argument", [[lua -e 'os.exit {}']])
  same("finalizers at the end", [[lua -e 'setmetatable({}, { __gc = function() print "gone" end })']])
  same("finalizers when closing", [[lua -e 'setmetatable({}, { __gc = function() print "gone" end }) os.exit(true, true)']])
  same("the standard library", [[lua -e 'local t = {} for k in pairs(_G) do t[#t + 1] = k end table.sort(t) print(table.concat(t, " "))']])
  same("decimal points", [[LC_ALL=de_DE.UTF-8 lua -e 'print(1.5, tonumber "2,5")']])
end)

describe("at the prompt, as lua5.4:", function()
  -- Only what goes to stderr and what print writes is compared; lua5.4 may echo.
  local function session(name, input, out, err)
    it(name, function()
      local got = run("ours", ("printf %%s %s | lua -i"):format(sh.quote(input)))
      assert.equal(0, got.code)
      assert.equal(err or "", got.err)
      assert.equal(out, (got.out:gsub("^Lua 5%.4[^\n]*\n", "")))
    end)
  end

  session("prints the results of expressions", "1 + 1, 'a'\n", "> 2\ta\n> \n")
  session("takes statements", "x = 5\nx\n", "> > 5\n> \n")
  session("takes = as older versions did", "=6 * 7\n", "> 42\n> \n")
  session("continues over lines", "for i = 1, 2 do\nprint(i)\nend\n", "> >> >> 1\n2\n> \n")
  session("continues strings", "return [[a\nb]]\n", "> >> a\nb\n> \n")
  -- What follows an empty line was lost. The expected output is that of lua5.4.
  session("goes on after empty lines", "1 + 1\n\n\nprint(5)\n", "> 2\n> > > 5\n> \n")
  session("begins with an empty line", "\n3", "> > 3\n> \n")
  session("continues over empty lines", "for i = 1, 2 do\n\n print(i)\n\nend\n'after'\n", "> >> >> >> >> 1\n2\n> after\n> \n")
  session("keeps the empty lines of strings", "return [[a\n\n\nb]]\n", "> >> >> >> a\n\n\nb\n> \n")
  session("says what is missing after empty lines", "do\n\n", "> >> >> > \n",
    "stdin:2: 'end' expected (to close 'do' at line 1) near <eof>\n")
  session("goes on after an error", "error 'no'\n7\n", "> > 7\n> \n",
    "stdin:1: no\nstack traceback:\n\t[C]: in function 'error'\n\tstdin:1: in main chunk\n\t[C]: in ?\n")
  session("goes on after what does not parse", "x = = 1\n8\n", "> > 8\n> \n",
    "stdin:1: unexpected symbol near '='\n")
  session("says what is missing at the end of input", "f(", "> >> > \n",
    "stdin:1: unexpected symbol near <eof>\n")
  session("prints errors of the world on one line", "require 'banger'.error('digest', 'bad')\n9\n",
    "> > 9\n> \n", "bad\n")
  session("prints with what print is", "print = 1\n2\n", "> > > \n",
    "error calling 'print' (attempt to call a number value)\n")
  session("uses _PROMPT", "_PROMPT = '$ '\n3\n", "> $ 3\n$ \n")

  it("opens with no arguments on a terminal", function()
    if not sh.has "script" then
      pending "script is not installed"
      return
    end
    local got = run("ours", [[printf '1 + 2\nos.exit(4)\n' |
      TERM=dumb HOME=$PWD script -qefc lua /dev/null | tr -d '\r']])
    assert.matches("\n3\n", got.out)
  end)
end)

describe("beyond lua:", function()
  local function fails(command, code, message)
    local got = run("ours", command)
    assert.same({ out = "", err = message, code = code }, got)
  end

  it("-h prints the help", function()
    local got = run("ours", "lua -h")
    assert.equal(0, got.code)
    assert.matches("^usage: lua %[options%] %[script | recipe %[args%]%]\n", got.out)
    assert.same(got, run("ours", "lua --help"))
  end)

  it("--version prints both versions first", function()
    local got = run("ours", "lua --version")
    assert.matches("^banger%-lua 0%.1%.0 %(Lua 5%.4%.4%)\n", got.out)
    assert.same({ err = "", code = 0 }, { err = got.err, code = got.code })
  end)

  it("a script's own -h is its own", function()
    assert.matches("1=%-h ", run("ours", "lua args.lua -h").out)
    assert.equal("lua: cannot open -h: No such file or directory\n", run("ours", "lua -- -h").err)
  end)

  it("wrong options say which, in one line", function()
    local UNKNOWN = "lua: unrecognized option '%s'; a recipe's options come after its name (see --help)\n"
    local LACKING = "lua: '%s' needs argument (see --help)\n"
    for command, message in pairs {
      ["lua -x"] = UNKNOWN:format "-x",
      ["lua -vx"] = UNKNOWN:format "-vx",
      ["lua -Ee"] = UNKNOWN:format "-Ee",
      ["lua -ii"] = UNKNOWN:format "-ii",
      ["lua --no"] = UNKNOWN:format "--no",
      ["lua -q pull x y"] = UNKNOWN:format "-q",
      ["lua '--\27[31m'"] = UNKNOWN:format "--\\x1b[31m",
      ["lua -e"] = LACKING:format "-e",
      ["lua -e -v"] = LACKING:format "-e",
      ["lua -l"] = LACKING:format "-l",
    } do
      assert.same({ code = 1, err = message, out = "" }, run("ours", command))
    end
  end)

  it("cjson and our modules come with it, and before package.path", function()
    local code = [[LUA_PATH='?.lua' lua -e 'print(require "cjson"._NAME, require "banger".version, require "argparse".version)']]
    sh.write_file(scratch:path "argparse.lua", "error 'the wrong argparse'")
    sh.write_file(scratch:path "banger.lua", "error 'the wrong banger'")
    local got = run("ours", code)
    os.remove(scratch:path "argparse.lua")
    os.remove(scratch:path "banger.lua")
    assert.same({ out = "cjson\t0.1.0\t0.7.1\n", err = "", code = 0 }, got)
  end)

  it("a module that is not in the binary is looked for in package.path too", function()
    assert.matches("no module 'banger.nosuch' in this binary\n.*no file '", run("ours", "lua -l banger.nosuch").err)
  end)

  it("$BANGER_LUA_PATH takes precedence, but not with -E", function()
    scratch:mkdir "dev/banger"
    sh.write_file(scratch:path "dev/banger/size.lua", "return { mine = true }")
    local code = [[BANGER_LUA_PATH=dev lua %s -e 'print(require "banger.size".mine)']]
    assert.equal("true\n", run("ours", code:format "").out)
    assert.equal("nil\n", run("ours", code:format "-E").out)
  end)

  it("our own modules may not touch undeclared globals; scripts may", function()
    scratch:mkdir "slip/banger"
    sh.write_file(scratch:path "slip/banger/size.lua", "local x = oops")
    sh.write_file(scratch:path "slip/banger/json.lua", "oops = 1")
    local env = "BANGER_LUA_PATH=slip "
    assert.matches("lua: slip/banger/size.lua:1: undeclared global 'oops' is read\n",
      run("ours", env .. "lua -l banger.size").err)
    assert.matches("lua: slip/banger/json.lua:1: undeclared global 'oops' is written\n",
      run("ours", env .. "lua -l banger.json").err)
    assert.equal("nil\n", run("ours", "lua -l banger -e 'print(oops)'").out)
  end)

  it("tracebacks name our modules by their place", function()
    assert.matches("\n\tlua/banger/size.lua:%d+: in function 'banger.size.format'\n",
      run("ours", [[lua -e 'require "banger.size".format {}']]).err)
  end)

  it("errors of the world end in one line and the exit code of their kind", function()
    for code, status in pairs {
      usage = 1, not_found = 2, auth = 3, network = 4, platform = 5, digest = 6, layer = 6, no_space = 7,
      ext4 = 1, io = 1, no_memory = 1, interrupted = 130,
    } do
      fails(([[lua -e 'require "banger".error("%s", "what is wrong")']]):format(code), status,
        "banger-lua: what is wrong\n")
    end
  end)

  it("they are one line whatever they name", function()
    fails([[lua -e 'require "banger".error("io", "open a\nb\27[1m")']], 1, "banger-lua: open a\\x0ab\\x1b[1m\n")
    fails([[lua -e 'require "banger".error("io", "a\u{9b}31m\u{202e}b\xff \u{fc}")']], 1,
      "banger-lua: a\\xc2\\x9b31m\\xe2\\x80\\xaeb\\xff \u{fc}\n")
    fails([[lua -e 'local _, e = pcall(require "banger".error, "io", "x") e.message = "a\n\u{9b}b" error(e)']], 1,
      "banger-lua: a\\x0a\\xc2\\x9bb\n")
  end)

  it("tracebacks do nothing to a terminal, whatever they name", function()
    local err = run("ours", [[lua -e 'error("a\tb\n\27[31m\u{9b}c\u{202e}d\r\u{fc}", 0)']]).err
    assert.equal("lua: a\tb\n\\x1b[31m\\xc2\\x9bc\\xe2\\x80\\xaed\\x0d\u{fc}\nstack traceback:", err:match "^.-traceback:")
  end)

  it("they are for scripts to catch", function()
    local banger_module = require "banger"
    local ok, err = pcall(banger_module.error, "no_space", "too small", { needed = 5 })
    assert.is_false(ok)
    assert.is_true(banger_module.is_error(err))
    assert.equal("too small", tostring(err))
    assert.same({ "no_space", "too small", 5 }, { err.code, err.message, err.needed })
    assert.is_false(banger_module.is_error {})
    assert.is_false(banger_module.is_error(nil))
    assert.has_error(function() banger_module.error("nonsense", "x") end,
      "bad argument #1 to 'error' ('nonsense' is no error code)")
  end)

  it("os.exit closes what is open", function()
    local code = "local x <close> = setmetatable({}, { __close = function() print 'closed' end }) os.exit(5%s)"
    assert.same({ out = "closed\n", err = "", code = 5 }, run("ours", ("lua -e %s"):format(sh.quote(code:format ""))))
    assert.equal("", run("ours", ("ASAN_OPTIONS=detect_leaks=0 lua -e %s"):format(sh.quote(code:format ", false"))).out)
  end)
end)

describe("recipes:", function()
  setup(function()
    for dir, text in pairs { recipes = "here", ["config/banger/recipes"] = "config", more = "more" } do
      scratch:mkdir(dir)
      sh.write_file(scratch:path(dir .. "/hello.lua"), ("print('%s', ...)"):format(text))
    end
    scratch:mkdir "recipes/images"
    sh.write_file(scratch:path "recipes/images/tiny.lua", "print(arg[0], ...)")
    sh.write_file(scratch:path "recipes/bad.lua", "x = = 1")
  end)

  local function out(command)
    local got = run("ours", command)
    assert.equal("", got.err)
    return got.out
  end

  it("run by name, with arguments", function()
    assert.equal("here\ta\tb c\n", out "lua hello a 'b c'")
    assert.equal("images/tiny\tx\n", out "lua images/tiny x")
  end)

  it("a file of the name goes first", function()
    sh.write_file(scratch:path "hello", "print 'file'")
    assert.equal("file\n", out "lua hello")
    os.remove(scratch:path "hello")
  end)

  it("are found in the order of the path", function()
    assert.equal("more\n", out "BANGER_RECIPES=nosuch:more lua hello")
    assert.equal("here\n", out "XDG_CONFIG_HOME=$PWD/config lua hello")
    assert.equal("config\n", out "export XDG_CONFIG_HOME=$PWD/config; cd real && lua hello")
    assert.equal("here\n", out "BANGER_RECIPES=more lua -E hello")
  end)

  it("come with the binary, by name and by their path", function()
    assert.matches("^Usage: banger%-lua pull ", out "lua pull --help")
    assert.matches("^Usage: banger%-lua pull ", out "lua recipes/pull.lua --help")
  end)

  it("a name that is none says where it was looked for", function()
    local got = run("ours", "BANGER_RECIPES=more XDG_CONFIG_HOME=/c lua nosuch x")
    assert.equal(1, got.code)
    assert.matches("^banger%-lua: no file and no recipe is named 'nosuch' " ..
      "%(looked in more, %./recipes, /c/banger/recipes, /.*/share/banger%-lua/recipes, and at the built%-in ones%)\n$", got.err)
  end)

  it("one that does not parse says where", function()
    assert.matches("recipes/bad.lua:1: unexpected symbol near '='", run("ours", "lua bad").err)
  end)
end)

describe("signals:", function()
  -- The script says "ready" when it runs; the signal is sent then.
  local function signalled(signal, code, times, wait)
    local script = scratch:fresh ".lua"
    sh.write_file(script, code)
    local command = [[
      mkfifo fifo
      lua %s >fifo 2>signal.err & pid=$!
      { read line; %s for i in %s; do kill -%s $pid; sleep 0.2; done; cat; } <fifo
      wait $pid; code=$?; rm fifo; cat signal.err; exit $code]]
    return run("ours", command:format(sh.quote(script), wait or "", times or "1", signal))
  end
  local CLOSE = "io.stdout:setvbuf 'no' local x <close> = setmetatable({}, { __close = function() print 'closed' end })\n"
  local READY = CLOSE .. "print 'ready'\n"

  for signal, code in pairs { INT = 130, TERM = 143, HUP = 129, QUIT = 131 } do
    it(signal .. " stops Lua code and closes what is open", function()
      local got = signalled(signal, READY .. "while true do end")
      assert.same({ "closed\nbanger-lua: interrupted\n", code }, { got.out, got.code })
    end)
  end

  it("are errors of code interrupted", function()
    local got = signalled("TERM", CLOSE .. [[
      local ok, err = pcall(function() print 'ready' while true do end end)
      print(ok, err.code, err.signal)]])
    assert.same({ "false\tinterrupted\t15\nclosed\n", 0 }, { got.out, got.code })
  end)

  it("stop a wait for input", function()
    sh.check("mkfifo " .. sh.quote(scratch:path "wait"))
    local got = signalled("INT", READY .. "io.open 'wait'")
    assert.same({ "closed\nbanger-lua: interrupted\n", 130 }, { got.out, got.code })
  end)

  it("are one wish when they come at once, as timeout sends them", function()
    local got = signalled("INT", READY .. "while true do end", "1; do kill -INT $pid; done; for i in 2")
    assert.same({ "closed\nbanger-lua: interrupted\n", 130 }, { got.out, got.code })
  end)

  local FOREVER = READY .. "local function forever() while true do end end\n"

  for where, code in pairs {
    ["a coroutine"] = "coroutine.wrap(forever)()",
    ["nested coroutines"] = "local function nest(n) if n == 0 then forever() end coroutine.wrap(nest)(n - 1) end nest(20)",
    ["a coroutine that was resumed"] = "local co = coroutine.create(forever) error((select(2, coroutine.resume(co))), 0)",
    ["what closes a coroutine"] = [[local co = coroutine.create(function()
      local x <close> = setmetatable({}, { __close = forever })
      coroutine.yield()
    end)
    coroutine.resume(co)
    error((select(2, coroutine.close(co))), 0)]],
    ["a coroutine after another one"] = "for _ in coroutine.wrap(function() coroutine.yield(1) end) do end coroutine.wrap(forever)()",
  } do
    it("stop Lua code in " .. where, function()
      local got = signalled("INT", FOREVER .. code)
      assert.same({ "closed\nbanger-lua: interrupted\n", 130 }, { got.out, got.code })
    end)
  end

  -- The first is caught and nothing comes of it; the second goes through.
  for what, code in pairs {
    pcall = "while true do pcall(forever) end",
    ["xpcall with a handler of its own"] = "while true do xpcall(forever, function() return 'mine' end) end",
    ["coroutine.resume"] = "while true do coroutine.resume(coroutine.create(forever)) end",
    ["pcall in a coroutine"] = "coroutine.wrap(function() while true do pcall(forever) end end)()",
    ["pcall of a coroutine"] = "while true do pcall(coroutine.wrap(forever)) end",
  } do
    for signal, status in pairs { INT = 130, TERM = 143 } do
      it(("the second %s is not caught by %s, and all is closed"):format(signal, what), function()
        local got = signalled(signal, FOREVER .. code, "1 2")
        assert.same({ "closed\nbanger-lua: interrupted\n", status }, { got.out, got.code })
      end)
    end
  end

  it("what closes may catch errors of its own after the second", function()
    local got = signalled("INT", [[
      io.stdout:setvbuf "no"
      local banger = require "banger"
      local x <close> = setmetatable({}, { __close = function() print(pcall(banger.open, "/no/such")) end })
      print "ready"
      while true do pcall(function() while true do end end) end]], "1 2")
    assert.same({ "false\topen /no/such: No such file or directory\nbanger-lua: interrupted\n", 130 }, { got.out, got.code })
  end)

  it("end the process when the first is not heeded", function()
    local busy = "until [ $(cut -d ' ' -f 14 /proc/$pid/stat) -gt 50 ]; do sleep 0.1; done;" -- half a second of work
    local got = signalled("INT", READY .. "return (('a'):rep(40)):find(('a-'):rep(20) .. 'b')", "1 2", busy)
    assert.same({ "", 130 }, { got.out, got.code })
  end)

  it("PIPE ends a program that nobody reads, and closes what is open", function()
    local got = run("ours", [[lua -e 'local x <close> = setmetatable({}, { __close = function() io.stderr:write "closed\n" end })
      while true do print "line" end' 2>pipe.err | head -1; cat pipe.err; rm pipe.err]])
    assert.equal("line\nclosed\n", got.out)
  end)

  it("HUP is nothing to who was started by nohup", function()
    local got = run("ours", [[
      (trap '' HUP; exec lua -e 'os.execute "kill -HUP $PPID"; print "still here"')]])
    assert.same({ out = "still here\n", err = "", code = 0 }, got)
  end)
end)
