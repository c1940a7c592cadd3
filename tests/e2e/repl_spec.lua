-- The prompt on a real pseudo-terminal: what a person types, and what the screen shows.
package.path = "tests/?.lua;" .. package.path
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"
local terminal = require "support.terminal"

local BANGER = sh.check("realpath " .. sh.quote(sh.banger())):gsub("\n$", "")

local scratch, opened

setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)
after_each(function()
  if opened then opened:close() end
  opened = nil
end)

local homes = 0

--- A home of its own: history and rc.lua.
local function home()
  homes = homes + 1
  return scratch:mkdir("home" .. homes)
end

--- Opens banger-lua on a terminal and waits for its prompt.
local function open(arguments, options)
  options = options or {}
  options.env = options.env or {}
  options.env.HOME = options.env.HOME or home()
  options.env.XDG_STATE_HOME, options.env.XDG_CONFIG_HOME = options.env.HOME .. "/state", options.env.HOME .. "/config"
  options.env.LSAN_OPTIONS = os.getenv "LSAN_OPTIONS"
  options.dir = scratch.dir
  opened = terminal.open(scratch, BANGER .. " " .. (arguments or ""), options)
  opened.home = options.env.HOME
  opened:expect(options.prompt or "\n>")
  return opened
end

local function history(t) return sh.read_file(t.home .. "/state/banger/history") end

describe("at the prompt", function()
  it("expressions print, _ is the last value, a semicolon prints nothing", function()
    local t = open()
    assert.matches("^banger%-lua 0%.1%.0, Lua 5%.4: help%(%) tells what there is, Ctrl%-D leaves\n>", t:screen())
    t:enter("20 + 3"):expect "\n23\n>"
    t:enter("_ * 2"):expect "\n46\n>"
    t:enter("= _ + 1"):expect "\n47\n>"
    t:enter("7 * 7;"):expect "7 * 7;\n>"
    t:enter("_, 'a'"):expect '\n49, "a"\n>'
    t:enter("x = 5"):expect "x = 5\n>"
    t:enter("return x, nil"):expect "\n5, nil\n>"
    t:enter("string.rep('=', 3) -- a comment;"):expect '\n"==="\n>'
    t:enter("print 'said'"):expect "\nsaid\n>"
    t:enter("nil"):expect "nil\nnil\n>"
    t:enter("'\\27[31mred\\7'"):expect '"\\x1B[31mred\\x07"\n>'
    t:press "C-d"
    assert.equal(0, t:status())
  end)

  it("a semicolon at the end prints nothing, whatever is before it", function()
    local t = open()
    for _, line in ipairs { "return 5;", "6 * 7 ; ;", "f = function() return 8 end return f();" } do
      t:enter(line):expect(line .. "\n>")
    end
    t:enter("'a;' .. 'b' -- ;"):expect '\n"a;b"\n>'
    t:enter("_"):expect('"a;b"', 2)
  end)

  it("a label is no command, and a string in quotes ends with its line", function()
    local t = open()
    t:enter("::top:: print('la' .. 'bel')"):expect "\nlabel\n>"
    t:enter('x = "not ended'):expect "\nstdin:1: unfinished string near <eof>\n>"
    t:enter('#"goes on\\'):expect "\n>>"
    t:enter('here"'):expect "\n12\n>"
    t:enter('#"no blanks\\z'):expect "\n>>"
    t:enter('   here"'):expect "\n13\n>"
  end)

  it("says that a local is gone, where nothing else can be meant", function()
    local t = open()
    t:enter("local x = 5"):expect "\nx is gone: a local lasts as long as its chunk; without 'local' it stays\n>"
    t:enter("local a, b <const> = 1, 2"):expect "\na, b are gone: a local lasts"
    t:enter("local function f() return 1 end"):expect "\nf is gone: a local lasts"
    t:enter("local y = 'us' print(y .. 'ed')"):expect "\nused\n>"
    t:enter("print('tell' .. 'ing') local z = 1"):expect "\ntelling\n>"
    t:enter("local = 5"):expect "<name> expected near '='\n>"
    assert.equal(3, select(2, t:screen():gsub("gone:", "")))
  end)

  it("errors print their message and a traceback, and all is kept", function()
    local t = open()
    t:enter("kept = {}; function f(n) if n == 0 then error 'too\\27 low' end f(n - 1) end"):expect "end\n>"
    t:enter "f(2)"
    local screen = t:expect "tail calls...)\n>"
    assert(screen:find("\nstdin:1: too\\x1B low\nstack traceback:\n        [C]: in function 'error'\n        stdin:1: in function 'f'\n"
      .. "        stdin:1: in function 'f'\n        stdin:1: in function 'f'\n        (...tail calls...)\n>", 1, true), screen)
    t:enter("local g = 1; f(0)"):expect "in function 'f'\n        stdin:1: in main chunk\n>"
    t:enter("function r() return 1 + r() end r()"):expect "stdin:1: stack overflow"
    t:expect " more)\n>"
    t:enter("type(kept)"):expect '\n"table"\n>'
    t:enter("banger.open '/no/such.ext4'"):expect "open /no/such.ext4: No such file or directory\nstack traceback:\n"
    t:enter("error { b = 2, 'a' }"):expect '(error object is a table value)\n{ "a", b = 2 }\nstack traceback:'
    t:enter("error()"):expect "(error object is a nil value)"
    t:enter("x = = 1"):expect "stdin:1: unexpected symbol near '='\n>"
    t:enter(":nosuch"):expect "no command is named ':nosuch'; there are :help :quit\n>"
    t:enter("'still ' .. 'here'"):expect '"still here"\n>'
    t:enter("os.exit(4)")
    assert.equal(4, t:status())
  end)

  it("chunks of several lines are one entry of the history", function()
    local t = open()
    t:enter("for i = 1, 2 do"):expect "\n>>"
    t:enter("  io.write('<', i, '>\\n')"):expect "\n>>   io.write"
    t:enter("end"):expect "\n<1>\n<2>\n>"
    assert.equal("for i = 1, 2 do\\n  io.write('<', i, '>\\\\n')\\nend\n", history(t))
    t:enter("'between'"):expect '\n"between"\n>'
    t:press("Up", "Up"):expect("end", 2)
    t:press("Enter"):expect("\n<1>\n<2>\n>", 2)
    t:enter("return [[a"):expect "\n>>"
    t:enter("b]]"):expect "\n[[\na\nb]]\n>"
    t:press "C-d"
    assert.equal(0, t:status())
    -- Another session has them too, and the arrows move within a chunk.
    t = open("", { env = { HOME = t.home } })
    t:press("Up", "Up", "Up"):expect "io.write"
    t:press "Up":type "-- ":press("Enter"):expect "near 'end'"
    assert.matches("\nfor i = 1, 2 do\\n[^\n]*%-%- [^\n]*\\nend\n$", history(t))
  end)

  it("expressions of several lines need no return", function()
    local t = open()
    t:enter("{ 'one',"):expect "\n>>"
    t:enter("'two' }"):expect '\n{ "one", "two" }\n>'
    t:enter("1 +"):expect("\n>>", 2)
    t:enter("2"):expect "\n3\n>"
    t:enter("= function()"):expect("\n>>", 3)
    t:enter("end"):expect "\nfunction (stdin:1)\n>"
    t:enter("{ 1"):expect("\n>>", 4)
    t:press("C-d"):expect "stdin:1: '}' expected near <eof>\n>"
    t:enter("1 2"):expect "stdin:1: unexpected symbol near '1'\n>"
  end)

  it("Ctrl-D in the middle of a chunk says what is missing", function()
    local t = open()
    t:enter("f("):expect "\n>>"
    t:press("C-d"):expect "stdin:1: unexpected symbol near <eof>\n>"
    t:enter("1 + 1"):expect "\n2\n>"
  end)

  it("sessions at the same time lose nothing of each other", function()
    local one = open()
    local two = terminal.open(scratch, BANGER, { env = { HOME = one.home, XDG_STATE_HOME = one.home .. "/state" } })
    two:expect "\n>"
    for i = 1, 3 do
      one:enter(("'one' .. %d"):format(i)):expect(('"one%d"\n>'):format(i))
      two:enter(("'two' .. %d"):format(i)):expect(('"two%d"\n>'):format(i))
    end
    two:press "C-d"
    assert.equal(0, two:status())
    two:close()
    assert.equal("'one' .. 1\n'two' .. 1\n'one' .. 2\n'two' .. 2\n'one' .. 3\n'two' .. 3\n", history(one))
    assert.equal("600\n", sh.check("stat -c %a " .. one.home .. "/state/banger/history"))
    one:press("Up"):expect("'one' .. 3", 2)
  end)

  it("a history that cannot be kept is told once, and no more", function()
    sh.write_file(scratch:path "file", "")
    local t = open("", { env = { HOME = scratch:path "file" } })
    t:enter("1 + 1"):expect "\n2\n>"
    t:enter("2 + 2"):expect "\n4\n>"
    local _, count = t:screen():gsub("the history is not kept: make the directory of ", "")
    assert.equal(1, count)
  end)

  it("a history behind a link is cut there, and stays a link", function()
    local dir = home()
    sh.check(("mkdir -p %s/state/banger %s/dotfiles && seq -f \"'entry %%g' .. '%s'\" 1 6000 >%s/dotfiles/lines && chmod 640 %s/dotfiles/lines "
      .. "&& ln -s ../../dotfiles/lines %s/state/banger/history"):format(dir, dir, ("x"):rep(800), dir, dir, dir))
    local t = open("", { env = { HOME = dir } })
    t:enter("1 + 1"):expect "\n2\n>"
    assert.equal("../../dotfiles/lines\n", sh.check("readlink " .. dir .. "/state/banger/history"))
    -- Entries of 819 bytes: what fits in 2 MiB.
    assert.equal("2561\n", sh.check("wc -l < " .. dir .. "/state/banger/history"))
    assert.matches("^'entry 3441' %.%. ", history(t))
    assert.matches("\n1 %+ 1\n$", history(t))
    t:enter("2 + 2"):expect "\n4\n>"
    assert.matches("\n1 %+ 1\n2 %+ 2\n$", history(t))
    assert.equal("history\n", sh.check("ls " .. dir .. "/state/banger"))
  end)

  it("a history that holds what is no text gives the rest", function()
    local dir = home()
    sh.check("mkdir -p " .. dir .. "/state/banger")
    sh.write_file(dir .. "/state/banger/history", "'older' .. 1\n'bad\xff'\n\0\0\0\0'lost'\n'newer' .. 2")
    local t = open("", { env = { HOME = dir } })
    t:press("Up"):expect "> 'newer' .. 2"
    t:press("Up", "Enter"):expect '\n"older1"\n>'
    t:press "C-d"
    t:status()
    t:close()
    t = open("", { env = { HOME = dir } })
    t:press("Up", "Enter"):expect '\n"older1"\n>'
  end)

  it("a history that is no file is none, and nothing waits for it", function()
    for i, make in ipairs { "ln -s /dev/null", "mkfifo" } do
      local dir = home()
      sh.check(("mkdir -p %s/state/banger && %s %s/state/banger/history"):format(dir, make, dir))
      local t = open("", { env = { HOME = dir } })
      t:enter("'typed' .. " .. i):expect(('"typed%d"\n>'):format(i))
      t:press("Up"):expect("'typed' .. " .. i, 2)
      assert.is_nil(t:screen():find "history")
      t:close()
    end
  end)

  it("what is pasted is too much: nothing of it is run", function()
    local t = open()
    t:paste("x = [[\n" .. ("xxxxxxxxxxxxxxx\n"):rep(70000) .. "]]\nprint('r' .. 'un')\n")
    t:expect "\nwhat was pasted is left out: it is over 1 MiB\n>"
    t:enter("x, 'here'"):expect '\nnil, "here"\n>'
    assert.is_nil(t:screen():find "run")
  end)

  it("Ctrl-R searches backwards", function()
    local t = open()
    t:enter("'first' .. 1"):expect '"first1"\n>'
    t:enter("'second' .. 2"):expect '"second2"\n>'
    t:press("C-r"):type("irst"):expect "bck"
    t:press("Enter"):expect('"first1"', 2)
  end)

  it("what is pasted is one chunk, and a tab in it completes nothing", function()
    local t = open()
    t:paste("function g(a)\n\tif a then\n\t\treturn 'pas' .. 'ted'\n\tend\nend\n")
    t:expect "return 'pas' .. 'ted'"
    t:press("Enter"):expect "end\nend\n>"
    assert.equal("function g(a)\\n\tif a then\\n\t\treturn 'pas' .. 'ted'\\n\tend\\nend\n", history(t))
    t:enter("g(1)"):expect '"pasted"\n>'
    t:paste "#'a\tb' -- bang\t"
    t:press("Enter"):expect "\n3\n>"
    t:paste "'c\27[31md\7'"
    t:press("Enter"):expect '"c[31md"\n>'
    t:paste(("local x = 1\n"):rep(100) .. "return 'tall'")
    t:press("Enter"):expect '"tall"\n>'
    t:enter("'žluť' .. 'oučký 猫'"):expect '\n"žluťoučký 猫"\n>'
  end)

  it("Ctrl-C drops what is typed", function()
    local t = open()
    t:type("not wanted"):expect "not wanted"
    t:press("C-c"):expect "^C\n>"
    t:enter("if true then"):expect "\n>>"
    t:press("C-c"):expect("^C\n>", 2)
    t:enter("1 + 1"):expect "\n2\n>"
    t:press "C-d"
    assert.equal(0, t:status())
  end)

  it("Ctrl-C interrupts Lua and primitives, again and again", function()
    local t = open()
    for i = 1, 2 do
      t:enter("print('loop' .. " .. i .. ") while true do end"):expect("\nloop" .. i .. "\n")
      t:press("C-c"):expect("\ninterrupted\n>", i)
    end
    t:enter("print('sleep' .. 1) banger.host.run { 'sleep', '1000' }"):expect "\nsleep1\n"
    t:press("C-c"):expect("\ninterrupted\n>", 3)
    t:enter("r, n = banger.rootfs { near = 'loop.ext4' }, 0"):expect "0\n>"
    t:enter("print('in' .. 'ject') while true do banger.inject(r, {{ path = '/f' .. n, content = 'x' }}) n = n + 1 end"):expect "\ninject\n"
    t:press("C-c"):expect("\ninterrupted\n>", 4)
    t:enter("r:exists '/f0', n > 0"):expect "\ntrue, true\n>"
    -- What catches everything is interrupted for good the second time.
    t:enter("n = 0 while true do pcall(function() n = n + 1 print('round' .. n) while true do end end) end"):expect "\nround1\n"
    t:press("C-c"):expect "round2\n"
    t:press("C-c"):expect("\ninterrupted\n>", 5)
    t:enter("n"):expect "\n2\n>"
  end)

  it("Ctrl-C interrupts coroutines, and loops that catch it", function()
    local t = open()
    t:enter("function forever() print('it' .. 'runs') while true do end end"):expect "end\n>"
    t:enter("coroutine.wrap(forever)()"):expect "itruns\n"
    t:press("C-c"):expect("\ninterrupted\n>", 1)
    t:enter("function nest(n) if n == 0 then forever() end coroutine.wrap(nest)(n - 1) end"):expect "end\n>"
    t:enter("nest(20)"):expect("itruns\n", 2)
    t:press("C-c"):expect("\ninterrupted\n>", 2)
    t:enter("while true do coroutine.resume(coroutine.create(forever)) end"):expect("itruns\n", 3)
    t:press("C-c"):expect("itruns\n", 4)
    t:press("C-c"):expect("\ninterrupted\n>", 3)
    t:enter("while true do xpcall(forever, function() return 'mine' end) end"):expect("itruns\n", 5)
    t:press("C-c"):expect("itruns\n", 6)
    t:press("C-c"):expect("\ninterrupted\n>", 4)
    -- What comes after is not disturbed by what came before.
    t:enter("n = 0"):expect "n = 0\n>"
    t:enter("for i in coroutine.wrap(function() for i = 1, 1000 do pcall(coroutine.yield, i) end end) do n = n + i end"):expect "n + i end\n>"
    t:enter("n, pcall(error, 'caught')"):expect '\n500500, false, "caught"\n>'
  end)

  it("Ctrl-C warns before it ends a session that does not stop", function()
    local t = open()
    local WARNING = "\nwhat runs does not stop; Ctrl-C once more ends the session\n"
    t:enter("print('mat' .. 'ches') while true do pcall(string.find, ('a'):rep(40), ('a-'):rep(20) .. 'b') end"):expect "\nmatches\n"
    repeat -- one may come before the matching begins, and two at once are one
      t:press "C-c"
      sh.run "sleep 0.3"
    until t:screen():find(WARNING, 1, true)
    t:press "C-c"
    assert.equal(130, t:status())
  end)

  it("a signal to leave is heeded, at the prompt and in a chunk", function()
    local t = open()
    t:kill "TERM"
    assert.equal(143, t:status())
    t:close()
    t = open()
    t:enter("print('loop' .. 1) while true do end"):expect "\nloop1\n"
    t:kill "TERM"
    assert.equal(143, t:status())
  end)

  it("Ctrl-Z goes to the shell, and fg comes back to the line", function()
    local t = terminal.open(scratch, "bash --norc -i", { env = { HOME = home(), PS1 = "sh: " } })
    opened = t
    t:expect "sh:"
    t:enter(BANGER):expect "\n>"
    t:type("40 +"):expect "> 40 +"
    t:press("C-z"):expect "Stopped"
    t:enter("echo in the $((1 + 1))nd shell"):expect "in the 2nd shell\nsh:"
    t:enter("fg"):expect("> 40 +", 2)
    t:enter(" 2"):expect "\n42\n>"
  end)

  it("Tab completes, and lists", function()
    local t = open()
    t:type("bang"):press("Tab"):expect "> banger"
    t:type(".mk"):press("Tab"):expect "> banger.mkext4"
    t:press("C-u"):type("banger."):press("Tab"):expect "apply_ownership"
    t:expect "\n> banger."
    t:press("C-u"):type("require 'banger.refer"):press("Tab"):expect "> require 'banger.reference'"
    t:press("C-u"):enter("if true then"):expect "\n>>"
    t:press "Tab":type("return string.uppe"):press("Tab"):expect ">>   return string.upper"
    t:type("'x' end"):press("Enter"):expect '"X"\n>'
    t:type("zzzz"):press("Tab"):type("1"):expect "> zzzz1"
  end)

  it("uses _PROMPT and _PROMPT2", function()
    local t = open()
    t:enter("_PROMPT, _PROMPT2 = 'you: ', 'and: '"):expect "\nyou:"
    t:enter("if"):expect "\nand:"
    t:press "C-c"
    -- One that cannot be had is not asked for again and again.
    t:enter("_PROMPT = setmetatable({}, { __tostring = function() error 'no' end })"):expect "end })\n>"
    t:enter("_PROMPT = setmetatable({}, { __tostring = function() return {} end })"):expect "return {} end })\n>"
    t:enter("1 + 1"):expect "\n2\n>"
  end)

  it("help is there", function()
    local t = open()
    t:enter("help"):expect "help() lists what there is; help(banger.mkext4) says all about one\n>"
    t:enter("help()"):expect "Make an image\n  banger.fetch_blob     Start to fetch a blob\n"
    t:enter("help(banger.open)"):expect "banger.open(path) -> banger.image_file\n"
  end)
end)

describe("the screen", function()
  it("width is the terminal's, also when that changes", function()
    local t = open("", { width = 80 })
    local shown = "{ a = 'aaaaaaaaaaaaaaa', b = 'bbbbbbbbbbbbbbb' }"
    t:enter(shown):expect '\n{ a = "aaaaaaaaaaaaaaa", b = "bbbbbbbbbbbbbbb" }\n>'
    t:tmux("resize-window", "-x", "40", "-y", "30")
    t:press("Up"):press("Enter"):expect '{\n  a = "aaaaaaaaaaaaaaa",\n  b = "bbbbbbbbbbbbbbb",\n}\n>'
  end)

  --- Waits until a text is on the screen once, in rows of the terminal's width, and nothing behind it.
  local function expect_rows(t, text, width)
    local rows = {}
    for at = 1, #text, width do rows[#rows + 1] = text:sub(at, at + width - 1):gsub(" +$", "") end
    local want = "\n" .. table.concat(rows, "\n") .. "\n"
    local limit = os.time() + 60
    repeat
      local shown = ("\n" .. t:visible()):gsub(" +\n", "\n"):gsub("\n+$", "\n")
      local at = shown:find(rows[1], 1, true)
      if at and shown:sub(at - 1) == want then return end
      sh.run "sleep 0.05"
    until os.time() > limit
    error(("not on the screen alone: %s\n--- the screen:\n%s---"):format(want, t:visible()), 2)
  end

  it("a line that is being typed is drawn anew when the width changes", function()
    local LINE = "x = 'a long line, which does not fit a line of the terminal when that gets narrow' -- so it is broken, more than once"
    for _, left in ipairs { 0, 30, 100 } do
      local t = open("", { width = 100 })
      t:enter("1 + 1"):expect "\n2\n>"
      t:type(LINE)
      for _ = 1, left do t:press "Left" end
      local before, after = LINE:sub(1, #LINE - left), LINE:sub(#LINE - left + 1)
      for _, width in ipairs { 50, 120, 60, 61, 90, 30, 140, 100 } do
        t:tmux("resize-window", "-x", tostring(width), "-y", "40")
        t:type "!"
        before = before .. "!"
        expect_rows(t, "> " .. before .. after, width)
      end
      t:press("End"):type " ":press("Enter"):expect "\n>"
      t:close()
    end
  end)

  it("a line of several, with tabs and wide characters, is drawn anew too", function()
    local t = open("", { width = 60 })
    t:paste "f = function(a)\n\treturn a .. '\231\140\171\231\140\171\231\140\171' -- which is longer than a row\nend"
    t:expect "\nend"
    for _, width in ipairs { 40, 80, 30, 100 } do t:tmux("resize-window", "-x", tostring(width), "-y", "40") end
    t:type(" -- !"):expect "\nend -- !"
    local shown = t:visible()
    assert.equal(1, select(2, shown:gsub("function", "")), shown)
    assert.equal(1, select(2, shown:gsub("longer than a row", "")), shown)
    t:press("Enter"):expect "-- !\n>"
    t:enter("#f ''"):expect "\n9\n>"
  end)

  it("wraps what programs print, while a line is typed and after that", function()
    local t = open("", { width = 40 })
    t:type "x = 1"
    t:tmux("resize-window", "-x", "41", "-y", "40")
    t:press("Enter"):expect "x = 1\n>"
    t:enter("print(('ab'):rep(60))"):expect(("ab"):rep(60))
    t:press "C-d"
    assert.equal(0, t:status())
    assert.equal("1", t:tmux("display", "-p", "#{wrap_flag}"):match "%d")
  end)

  it("has colours, but not with NO_COLOR or a dumb terminal", function()
    local t = open()
    t:enter("6 * 7"):expect "\n42\n>"
    assert.matches("\27%[36m42", t:colours())
    t:close()
    t = open("", { env = { NO_COLOR = "1" } })
    t:enter("6 * 7"):expect "\n42\n>"
    assert.is_nil(t:colours():find "\27%[[1-9]")
    t:close()
    t = open("", { env = { TERM = "dumb" } })
    t:enter("6 * 7"):expect "42"
    t:type("bang"):press("Tab"):expect "banger"
    assert.is_nil(t:colours():find "\27%[[1-9]")
  end)

  it("images: handles, stat results, paths by Tab", function()
    local from = scratch:mkdir "from/etc"
    sh.write_file(from .. "/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/false\n")
    sh.check("chmod 640 " .. from .. "/passwd; touch -d '2020-02-02 02:02:02 UTC' " .. from .. "/passwd")
    sh.check("PATH=$PATH:/usr/sbin:/sbin; cd " .. scratch.dir .. " && mke2fs -q -t ext4 -L disk -d from small.ext4 64M")
    local t = open()
    t:enter("image = banger.open 'small.ext4'"):expect "'small.ext4'\n>"
    local screen = t:enter("image"):expect ' MiB free, "disk"\n>'
    assert.matches('\nimage small%.ext4: ext4 64.0 MiB, %d+%.%d MiB free, "disk"\n', screen)
    -- What is open is shown, whatever has its name by now.
    sh.check("PATH=$PATH:/usr/sbin:/sbin; cd " .. scratch.dir .. " && mke2fs -q -t ext4 -L another other.img 64M && mv other.img small.ext4")
    t:enter("image"):expect(' MiB free, "disk"\n>', 2)
    t:type('image:read "/etc/pa'):press("Tab"):expect '> image:read "/etc/passwd"'
    t:press("Enter"):expect "\n[[\nroot:x:0:0::/root:/bin/sh\nweb:x:33:33::/:/bin/false\n]]\n>"
    t:enter('image:stat "/etc/passwd"'):expect "mode = 416, -- 0640 -rw-r-----\n"
    t:expect "mtime = 1580608922, -- 2020-02-02 02:02:02 UTC\n"
    t:enter("rootfs = banger.rootfs { near = 'other.ext4' }"):expect "}\n>"
    t:enter("banger.inject(rootfs, { { path = '/srv/index.html', content = '' } });"):expect ";\n>"
    t:type('rootfs:stat("/s'):press("Tab"):type("i"):press("Tab"):expect '> rootfs:stat("/srv/index.html"'
    t:press("C-u"):enter("rootfs"):expect "\nrootfs: 0 layers, 2 entries, 0 B staged\n>"
  end)
end)

describe("rc.lua", function()
  local function with_rc(code)
    local dir = home()
    sh.check("mkdir -p " .. dir .. "/config/banger")
    sh.write_file(dir .. "/config/banger/rc.lua", code)
    return dir
  end

  it("is read, but not with -E", function()
    local dir = with_rc "from_rc = 'yes'\nprint 'rc is here'"
    local t = open("", { env = { HOME = dir } })
    t:expect "rc is here\n>"
    t:enter("from_rc .. '!'"):expect '\n"yes!"\n>'
    t:press "C-d"
    t:status()
    t:close()
    t = open("-E", { env = { HOME = dir } })
    t:enter("tostring(from_rc) .. '!'"):expect '\n"nil!"\n>'
    assert.is_nil(t:screen():find "rc is here")
    -- What was typed is kept all the same, but not where the environment says.
    assert.equal("from_rc .. '!'\n", history(t))
    assert.equal("tostring(from_rc) .. '!'\n", sh.read_file(dir .. "/.local/state/banger/history"))
  end)

  it("is not looked for in the current directory", function()
    local dir = with_rc "print 'rc is here'"
    sh.write_file(scratch:path "relative.sh", ("cd %s; XDG_CONFIG_HOME=config exec %s"):format(dir, BANGER))
    opened = terminal.open(scratch, "sh " .. scratch:path "relative.sh", { env = { HOME = home(), XDG_STATE_HOME = dir } })
    opened:expect "Ctrl-D leaves\n>"
  end)

  it("is read in a debugger too, and changes nothing of the program", function()
    local dir = with_rc "shout = function(s) return s:upper() end\nkept = type(banger.open)\nprint 'rc is here'"
    sh.write_file(scratch:path "plain.lua", "require 'banger'.breakpoint()\nprint('the program has', shout, kept, banger)\n")
    local t = open("plain.lua", { env = { HOME = dir }, prompt = "debug>" })
    t:enter("shout 'abc' .. kept"):expect '\n"ABCfunction"\ndebug>'
    t:enter(":c"):expect "the program has nil     nil     nil"
    t:close()
    t = open("-i plain.lua", { env = { HOME = dir }, prompt = "debug>" })
    t:enter(":c"):expect "\n>"
    t:enter("shout 'abc' .. kept"):expect '\n"ABCfunction"\n>'
    assert.equal(1, select(2, t:screen():gsub("rc is here", "")))
  end)

  it("one that fails is told, and the prompt comes", function()
    local dir = with_rc "local x\nx.y = 1"
    local t = open("", { env = { HOME = dir } })
    t:expect "config/banger/rc.lua:2: attempt to index a nil value (local 'x')\nstack traceback:"
    t:enter("1 + 1"):expect "\n2\n>"
    t:close()
    sh.write_file(dir .. "/config/banger/rc.lua", "x = = 1")
    t = open("", { env = { HOME = dir } })
    t:expect "rc.lua:1: unexpected symbol near '='\n>"
  end)
end)

describe("the debugger", function()
  local SCRIPT = [[
local banger = require "banger"
local shared = { 1, 2 }
local function inner(a, ...)
  local count = a + 1
  local count2, name = count * 2, "n"
  banger.breakpoint()
  print("went on", count, shared[1], name)
end
local function outer(b)
  local handle <close> = setmetatable({}, { __close = function() print "closed" end })
  inner(b * 2, "v1", "v2")
  if arg[1] then local why = "bo" .. "om" error(why) end
end
outer(20)
]]

  it("opens where banger.breakpoint is called: variables are read and set", function()
    sh.write_file(scratch:path "script.lua", SCRIPT)
    local t = open("script.lua", { prompt = "debug>" })
    t:expect "breakpoint\nat script.lua:6, in upvalue 'inner'\n"
    t:expect '\n>    6    banger.breakpoint()\n     7    print("went on", count, shared[1], name)\n'
    t:enter("count"):expect "\n41\ndebug>"
    t:enter("count = 99"):expect "99\ndebug>"
    t:enter("shared[1] = 'changed'"):expect "'changed'\ndebug>"
    t:enter("name = name .. _"):expect "_\ndebug>"
    t:enter("..."):expect '\n"v1", "v2"\ndebug>'
    t:enter(":locals"):expect '\na = 40\ncount = 99\ncount2 = 82\nname = "n41"\nbanger = module banger  -- upvalue\n'
    t:expect '\nshared = { "changed", 2 }  -- upvalue\n'
    t:enter(":bt"):expect("\n>  0  script.lua:6: in upvalue 'inner'\n   1  script.lua:11: in local 'outer'\n   2  script.lua:14: in main chunk\n")
    t:enter(":up"):expect "\n>  1  script.lua:11: in local 'outer'\n>   11    inner(b * 2, \"v1\", \"v2\")\ndebug>"
    t:enter("b, count"):expect "\n20, nil\ndebug>"
    t:type("han"):press("Tab"):expect "debug> handle"
    t:press("C-u"):enter(":source"):expect "\n    12    if arg[1] then"
    t:enter(":down"):expect "\n>    6    banger.breakpoint()\ndebug>"
    t:enter(":down"):expect "this is the innermost\ndebug>"
    t:enter(":frame 2"):expect ">  2  script.lua:14: in main chunk\n"
    t:enter(":frame 9"):expect ":frame: a number from 0 to 3 expected\ndebug>"
    t:enter(":frame 0"):expect "banger.breakpoint()\ndebug>"
    t:enter("new_global = count"):expect "= count\ndebug>"
    t:enter("_G.new_global, nosuch"):expect "\n99, nil\ndebug>"
    t:enter("error 'mine'"):expect "stdin:1: mine\n"
    t:enter("if count then"):expect "\ndebug>>"
    t:enter("print 'more' end"):expect "\nmore\ndebug>"
    t:enter(":nosuch"):expect "no command is named ':nosuch'; there are :bt :continue :down"
    t:enter(":help"):expect ":bt         the functions that are running"
    t:enter(":continue"):expect "\nclosed\n"
    assert.matches("\nwent on%s+99%s+changed%s+n41\nclosed\n", t:screen())
    assert.equal(0, t:status())
  end)

  it(":quit leaves and closes what is open; Ctrl-D goes on", function()
    sh.write_file(scratch:path "script.lua", SCRIPT)
    local t = open("script.lua", { prompt = "debug>" })
    t:enter(":quit"):expect "\nclosed\n"
    assert.equal(1, t:status())
    assert.is_nil(t:screen():find "\nwent on")
    t:close()
    t = open("script.lua", { prompt = "debug>" })
    t:press("C-d"):expect "went on"
    assert.equal(0, t:status())
  end)

  it("talks on stderr where stdout is not for people", function()
    sh.write_file(scratch:path "data.lua", "local x = 5\nrequire 'banger'.breakpoint()\nprint(x)\n")
    local t = open("data.lua >data.out", { prompt = "debug>" })
    t:enter("x = x + 2"):expect "+ 2\ndebug>"
    t:enter("x"):expect "\n7\ndebug>"
    t:enter ":c"
    assert.equal(0, t:status())
    assert.equal("7\n", sh.read_file(scratch:path "data.out"))
  end)

  it("from the prompt comes back to the prompt", function()
    local t = open()
    t:enter("function f(x) banger.breakpoint() return x .. '?' end"):expect "end\n>"
    t:enter("f 'a'"):expect "debug>"
    t:enter(":bt"):expect "\n>  0  stdin:1: in function 'f'\n      (...tail calls...)\n"
    t:enter("x = 'b'"):expect "x = 'b'\ndebug>"
    t:enter(":c"):expect '\n"b?"\n>'
    t:enter("f 'z'"):expect("breakpoint\n", 2)
    t:enter(":q"):expect ":q\n>"
    t:enter("1 + 1"):expect "\n2\n>"
  end)

  it("opens at an error with --debug-on-error, with everything still open", function()
    sh.write_file(scratch:path "script.lua", (SCRIPT:gsub("  banger.breakpoint%(%)\n", "")))
    local t = open("--debug-on-error script.lua fail", { prompt = "debug>" })
    t:expect "error: script.lua:11: boom\nat script.lua:11, in local 'outer'\n"
    t:enter("why, b"):expect '\n"boom", 20\ndebug>'
    t:enter(":bt"):expect "   0  [C]: in function 'error'\n>  1  script.lua:11: in local 'outer'\n"
    assert.is_nil(t:screen():find "\nclosed\n")
    t:press("C-d"):expect "script.lua:11: boom\nstack traceback:"
    assert.equal(1, t:status())
    assert.matches("\nclosed\n", t:screen())
  end)

  it("functions that were made in it use globals when the frames are gone", function()
    sh.write_file(scratch:path "keeps.lua", [[
local function step(n)
  if n > 0 then return 1 + step(n - 1) end
  local here = "of the frame"
  require "banger".breakpoint()
  return #here
end
counter = 1
step(30)
local function victim()
  local counter, print, here = "mine", "mine too", "as well"
  bump()
  note(counter, print, here)
end
victim()
note(counter)
]])
    local t = open("keeps.lua", { prompt = "debug>" })
    t:enter("function note(...) print('noted', here, ...) end"):expect "end\ndebug>"
    t:enter("function bump() counter = counter + 1 end"):expect "end\ndebug>"
    t:enter("note(1)"):expect "\nnoted   of the frame    1\ndebug>"
    t:enter(":c")
    assert.equal(0, t:status())
    assert.matches("\nnoted%s+nil%s+mine%s+mine too%s+as well\nnoted%s+nil%s+2\n", t:screen())
  end)

  it("a variable that is to be closed keeps what can be closed", function()
    sh.write_file(scratch:path "script.lua", SCRIPT)
    local t = open("script.lua", { prompt = "debug>" })
    t:enter(":up"):expect "local 'outer'"
    t:enter("handle = nil"):expect "\n'handle' may be closed at the end of its block, and what has no __close cannot\n"
    t:enter("handle = setmetatable({}, { __close = function() print('another ' .. 'one') end })"):expect "end })\ndebug>"
    t:enter(":c"):expect "\nanother one\n"
    assert.equal(0, t:status())
  end)

  it("shows the source of who runs, also where a recipe in the binary has its name", function()
    scratch:mkdir "recipes"
    sh.write_file(scratch:path "recipes/pull.lua", "local mine = 1\nrequire 'banger'.breakpoint()\nprint(mine)\n")
    local t = open("recipes/pull.lua", { prompt = "debug>" })
    t:expect "at recipes/pull.lua:2, in main chunk\n     1  local mine = 1\n>    2  require 'banger'.breakpoint()\n     3  print(mine)\n"
    t:close()
    sh.check("rm -r " .. scratch:path "recipes")
    t = open("--debug-on-error ls no-such.ext4", { prompt = "debug>" })
    t:enter(":frame 3"):expect "recipes/ls.lua:"
    t:enter(":source"):expect "\n    22  inspect.options(parser)\n"
  end)

  it("opens at an error with -i, and errors keep their exit codes", function()
    sh.write_file(scratch:path "fails.lua", "local kept = 5\nrequire 'banger'.error('not_found', 'none of it')\n")
    local t = open("-i fails.lua", { prompt = "debug>" })
    t:expect "error: none of it\nat fails.lua:2, in main chunk\n"
    t:enter("kept + 1"):expect "\n6\ndebug>"
    t:enter(":q"):expect "banger-lua: none of it"
    assert.equal(2, t:status())
    t:close()
    t = open("-i -e 'y = 5'")
    assert.matches("^banger%-lua 0%.1%.0, Lua 5%.4: [^\n]*\n>", t:screen()) -- and no other banner
    t:enter("y + 1"):expect "\n6\n>"
  end)

  it("does not open for errors that are caught", function()
    sh.write_file(scratch:path "catches.lua", "print(pcall(error, 'caught'))\n")
    local t = open("--debug-on-error catches.lua", { prompt = "caught" })
    assert.equal(0, t:status())
    assert.is_nil(t:screen():find "debug>")
  end)

  it("without a terminal there are tracebacks, and exit 1", function()
    sh.write_file(scratch:path "script.lua", SCRIPT)
    for _, options in ipairs { "", "--debug-on-error", "-i" } do
      local out, code = sh.run(("cd %s && { %s %s script.lua 2>&1 < /dev/null; }"):format(scratch.dir, BANGER, options))
      assert.equal(1, code)
      assert(out:find("script.lua:6: banger.breakpoint(): there is no terminal to debug on\nstack traceback:\n", 1, true), out)
      assert(out:find("\n\tscript.lua:11: in local 'outer'\n", 1, true), out)
    end
    -- A breakpoint that is caught goes on; errors of the world have tracebacks too, and their exit codes.
    for _, case in ipairs {
      { "-e 'print(pcall(require \"banger\".breakpoint))'", 0, "in main chunk\n%s+%[C%]: in %?\nfalse\t" },
      { "--debug-on-error -e 'local function f() require \"banger\".open \"/no/such\" end f()'", 2,
        "^error: open /no/such: No such file or directory\nstack traceback:\n.*: in local 'f'\n.*\nbanger%-lua: open /no/such: No such" },
      { "-e 'local function f() require \"banger\".open \"/no/such\" end f()'", 2, "^banger%-lua: open /no/such: No such file or directory\n$" },
      { "--debug-on-error ls /no/such.ext4", 2, "^error: .*\nstack traceback:\n.*\nbanger%-lua: [^\n]*/no/such.ext4[^\n]*\n$" },
      { "--debug-on-error ls", 1, "^banger%-lua: missing argument [^\n]*\n$" },
    } do
      local out, code = sh.run(("cd %s && %s %s 2>&1 < /dev/null"):format(scratch.dir, BANGER, case[1]))
      assert.equal(case[2], code, out)
      assert.matches(case[3], out)
    end
    local out, code = sh.run(("%s --debug-on-error -e 'error \"no\"' 2>&1 < /dev/null"):format(BANGER))
    assert.equal(1, code)
    assert.matches("%(command line%):1: no\nstack traceback:", out)
  end)

  it("opens in image recipes: at banger.breakpoint and at errors", function()
    local dir = scratch:mkdir "layout"
    local layer = tar.archive { tar.dir "etc/", tar.file("etc/issue", "hello\n"), tar.file("bin/sh", "", { mode = 493 }) }
    oci.write(dir, { layers = { { tar = layer, compress = "gzip" } },
      config = { config = { Cmd = { "/bin/sh" } } }, tag = "t" })
    sh.write_file(scratch:path "stop.lua", [[
free = "8M"
function after_flatten(rootfs, build)
  local text = rootfs:read "/etc/issue"
  banger.breakpoint()
  inject["/etc/motd"] = text
end
]])
    local pull = "pull --no-cache -q --recipe ./%s oci:layout:t %s.ext4"
    local t = open(pull:format("stop.lua", "stop"), { prompt = "debug>", width = 100 })
    t:expect "at ./stop.lua:4, in "
    t:enter("text, free"):expect '\n]]\n8388608\ndebug>'
    t:type('rootfs:list("/e'):press("Tab"):expect 'rootfs:list("/etc/'
    t:press("C-u"):enter("text = 'from the prompt\\n'"):expect "\\n'\ndebug>"
    t:enter("fre = 1"):expect "unknown key 'fre'; did you mean 'free'?"
    t:enter(":c"):expect "sha256:"
    assert.equal(0, t:status())
    assert.equal("from the prompt\n", sh.check("PATH=$PATH:/usr/sbin:/sbin debugfs -R 'cat /etc/motd' "
      .. scratch:path "stop.ext4" .. " 2>/dev/null"))
    t:close()
    sh.write_file(scratch:path "fail.lua", "function after_flatten(rootfs)\n  local here = 5\n  rootfs:read '/no/such'\nend\n")
    t = open("--debug-on-error " .. pull:format("fail.lua", "fail"), { prompt = "debug>", width = 100 })
    t:expect "at ./fail.lua:3, in "
    t:enter("here, rootfs"):expect "\n5, rootfs: 1 layer, 4 entries, "
    t:press("C-d"):expect "banger-lua: ./fail.lua:3: "
    assert.equal(2, t:status())
    local _, count = t:screen():gsub("\nat %.", "")
    assert.equal(1, count)
    assert.is_false(sh.exists(scratch:path "fail.ext4"))
  end)

  it("in image recipes: locals, upvalues and keys, in functions that name no global too", function()
    local dir = scratch:mkdir "layout2"
    local layer = tar.archive { tar.dir "etc/", tar.file("etc/issue", "hello\n"), tar.file("bin/sh", "", { mode = 493 }) }
    oci.write(dir, { layers = { { tar = layer, compress = "gzip" } }, config = { config = { Cmd = { "/bin/sh" } } }, tag = "t" })
    local STOPS = [[
local banger = banger
local greeting = "hello"
local function helper(rootfs, path)
  local text = rootfs:read(path)
  banger.breakpoint()
  return greeting .. " " .. text
end
free = "8M"
function after_flatten(rootfs)
  inject["/etc/motd"] = helper(rootfs, "/etc/issue")
end
]]
    sh.write_file(scratch:path "stops.lua", STOPS)
    local pull = "pull --no-cache -q --recipe ./%s oci:layout2:t %s.ext4"
    local t = open(pull:format("stops.lua", "stops"), { prompt = "debug>", width = 100 })
    t:expect "at ./stops.lua:5, in upvalue 'helper'"
    t:enter(":locals"):expect '\npath = "/etc/issue"\n'
    t:expect '\ngreeting = "hello"  -- upvalue\n'
    t:enter("greeting, text = 'bye', text:upper()"):expect "upper()\ndebug>"
    t:enter("free"):expect "\n8388608\ndebug>"
    t:type("hostn"):press("Tab"):expect "debug> hostname"
    t:press "C-u"
    t:enter("hostname = 'set-here'"):expect "'set-here'\ndebug>"
    t:enter("fre = 1"):expect "unknown key 'fre'; did you mean 'free'?"
    assert.is_nil(t:screen():find("debugger.lua", 1, true))
    t:enter(":continue"):expect "sha256:"
    assert.equal(0, t:status())
    local function cat(path)
      return sh.check(("PATH=$PATH:/usr/sbin:/sbin debugfs -R 'cat %s' %s 2>/dev/null"):format(path, scratch:path "stops.ext4"))
    end
    assert.equal("bye HELLO\n", cat "/etc/motd")
    assert.equal("set-here\n", cat "/etc/hostname")
    t:close()
    -- :quit builds nothing, nor does a breakpoint without a terminal, which says where it is.
    t = open(pull:format("stops.lua", "quits"), { prompt = "debug>", width = 100 })
    t:enter(":quit")
    assert.equal(1, t:status())
    local before = sh.check("ls -A " .. scratch.dir .. " | grep -v tmux | LC_ALL=C sort")
    local out, code = sh.run(("cd %s && { %s %s 2>&1 < /dev/null; }"):format(scratch.dir, BANGER, pull:format("stops.lua", "quits")))
    assert.equal(1, code)
    local MESSAGE = "./stops.lua:5: banger.breakpoint(): there is no terminal to debug on\n"
    assert(out:find(MESSAGE .. "stack traceback:\n\t./stops.lua:5: in upvalue 'helper'\n"
      .. "\t./stops.lua:10: in function <./stops.lua:9>\n", 1, true), out)
    assert(out:find("\nbanger-lua: " .. MESSAGE, 1, true), out)
    assert.equal(before, sh.check("ls -A " .. scratch.dir .. " | grep -v tmux | LC_ALL=C sort"))
    assert.is_false(sh.exists(scratch:path "quits.ext4"))
    t:close()
    -- Mistakes are shown where they were made, not where they were found.
    sh.write_file(scratch:path "wrong.lua", "local name = 'bad host'\nfunction after_flatten()\n  local why = 5\n  hostname = name\nend\n")
    t = open("--debug-on-error " .. pull:format("wrong.lua", "wrong"), { prompt = "debug>", width = 100 })
    t:expect ">    4    hostname = name\n"
    t:enter("why, name"):expect '\n5, "bad host"\ndebug>'
    t:press("C-d"):expect "banger-lua: ./wrong.lua:4: hostname: "
    assert.equal(1, t:status())
  end)

  it("opens in a coroutine, and shows that one's functions", function()
    sh.write_file(scratch:path "co.lua", "local function f(n) require 'banger'.breakpoint() print('n is', n) end\n"
      .. "coroutine.wrap(function() f(7) end)()\n")
    local t = open("co.lua", { prompt = "debug>" })
    t:enter("n = n + 1"):expect "+ 1\ndebug>"
    t:enter(":bt"):expect "\n>  0  co.lua:1: in upvalue 'f'\n   1  co.lua:2: in function <co.lua:2>\ndebug>"
    t:enter(":c")
    assert.equal(0, t:status())
    assert.matches("n is%s+8", t:screen())
  end)
end)
