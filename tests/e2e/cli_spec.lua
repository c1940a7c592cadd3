-- The command line as people and shells meet it: help, manual pages and completions say
-- what the parsers take, and wrong uses get one line.
package.path = "tests/?.lua;" .. package.path
local commands = require "banger.commands"
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local BANGER = os.getenv "BANGER_LUA"
local share

-- A place with one image, as a layout and as ext4, and things that are none.
setup(function()
  scratch:mkdir "bin"
  scratch:mkdir "w/dir"
  sh.check(("ln -s %s %s"):format(sh.quote(BANGER), sh.quote(scratch:path "bin/banger-lua")))
  oci.write(scratch:path "w/layout", { tag = "app", config = { config = { Entrypoint = { "/app" } } }, layers = { { tar = tar.archive {
    tar.dir "etc/",
    tar.file("app", sh.read_file((sh.check "command -v busybox":gsub("\n", ""))), { mode = 493 }),
    tar.file("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
  } } } })
  share = scratch:path "share"
  sh.check(([[
    cd %s && : > empty && echo text > text && touch 'b c.img'
    HOME=$PWD/home XDG_CACHE_HOME=$PWD/home/cache ../bin/banger-lua pull -q --size 70M --platform linux/amd64 oci:layout:app a.ext4
    head -c 100000 a.ext4 > cut.ext4
    SOURCE_DATE_EPOCH=1700000000 ../bin/banger-lua help --output %s
  ]]):format(sh.quote(scratch:path "w"), sh.quote(share)))
end)

-- What a shell command prints in that place.
local function run(command)
  local path = scratch:fresh()
  local out, code = sh.run(([[
    cd %s && export HOME=$PWD/home XDG_CACHE_HOME=$PWD/home/cache XDG_CONFIG_HOME=$PWD/home/config LC_ALL=C.UTF-8 SHARE=%s
    unset BANGER_RECIPES BANGER_LOG BANGER_CACHE
    PATH=%s:$PATH
    { %s
    } 2>%s </dev/null
  ]]):format(sh.quote(scratch:path "w"), sh.quote(share), sh.quote(scratch:path "bin"), command, sh.quote(path)))
  return { out = out, code = code, err = sh.read_file(path) }
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return list
end

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function add_names(set, text)
  for name in (" " .. text):gmatch "[%s,|](%-%-?[%w-]+)" do set[name] = true end
end

-- ---- one definition -----------------------------------------------------------------

-- The options that a parser reads, and those of its commands: by the words that lead to it.
local function options_of(parser, words, found)
  local set = {}
  for _, option in ipairs(parser._options) do
    for _, name in ipairs(option._aliases) do set[name] = true end
  end
  found[#found + 1] = { words = words, set = set }
  for _, command in ipairs(parser._commands) do options_of(command, words .. " " .. command._name, found) end
  return found
end

local all = {}
for _, command in ipairs(commands.built_in()) do options_of(commands.parser(command.name), command.name, all) end

-- The first words of lines that are indented by so much: a list of options, in help and in
-- a page. Text that runs on is indented by more.
local function listed(text, least, most)
  local set = {}
  for _, line in ipairs(lines(text)) do
    local indent, names = line:match "^(%s+)(%-.*)$"
    names = indent and #indent >= least and #indent <= (most or least) and names or nil
    names = names and (names:match "^(.-)%s%s" or names)
    if names then add_names(set, names) end
  end
  return set
end

local function misses(where, words, wanted, got)
  for _, name in ipairs(sorted(wanted)) do
    assert(got[name], ("%s: %s has no %s"):format(where, words, name))
  end
  for _, name in ipairs(sorted(got)) do
    assert(wanted[name], ("%s: %s has %s, which it does not take"):format(where, words, name))
  end
end

describe("the options in the code are those", function()
  it("in --help", function()
    assert.is_true(#all > 20)
    for _, one in ipairs(all) do
      local help = run("banger-lua " .. one.words .. " --help").out .. "\n"
      misses("--help", one.words, one.set, listed(help:match "\nOptions:\n(.-)\n\n", 3, 20))
    end
  end)

  it("in the manual page", function()
    for _, one in ipairs(all) do
      local name, sub = one.words:match "^(%S+) ?(%S*)$"
      local page = run(("mandoc -T ascii -O width=100 $SHARE/man/man1/banger-lua-%s.1 | sed 's/.\x08//g'"):format(name)).out
      local part = page:match "\nOPTIONS\n(.-)\n%u"
      if sub ~= "" then
        local commands_part = page:match "\nCOMMANDS(\n.-)\n%u" .. "\n       x"
        part = commands_part:match("\n       " .. sub .. "[ \n](.-)\n       %w")
      end
      assert(part, one.words .. " is in no page")
      local wanted = {}
      for option in pairs(one.set) do wanted[option] = sub == "" or option ~= "-h" and option ~= "--help" or nil end
      misses("man", one.words, wanted, listed("\n" .. part, sub == "" and 7 or 14))
    end
  end)

  it("in bash's completion", function()
    local script = { "source $SHARE/bash-completion/completions/banger-lua" }
    for i, one in ipairs(all) do
      script[i + 1] = ("COMP_LINE='banger-lua %s -' COMP_POINT=%d; _banger_lua banger-lua; echo ${COMPREPLY[@]}"):format(
        one.words, #one.words + 13)
    end
    sh.write_file(scratch:path "all.bash", table.concat(script, "\n"))
    local got = lines(run(("bash %s"):format(sh.quote(scratch:path "all.bash"))).out)
    for i, one in ipairs(all) do
      local set, wanted = {}, {}
      add_names(set, got[i])
      for _, other in ipairs(all) do -- a recipe's own are its commands' too
        for name in pairs((other == one or other.words == one.words:match "^%S+") and other.set or {}) do wanted[name] = true end
      end
      misses("bash", one.words, wanted, set)
    end
  end)

  it("in fish's completion", function()
    local script = { "source $SHARE/fish/vendor_completions.d/banger-lua.fish" }
    for i, one in ipairs(all) do
      script[i + 1] = ("complete -C 'banger-lua %s -' | string replace -r '\\t.*' '' | string join ' '; echo"):format(one.words)
    end
    sh.write_file(scratch:path "all.fish", table.concat(script, "\n"))
    local got = lines(run(("fish --no-config %s"):format(sh.quote(scratch:path "all.fish"))).out)
    for i, one in ipairs(all) do
      local set = {}
      add_names(set, got[i])
      for _, name in ipairs(sorted(one.set)) do assert(set[name], ("fish: %s has no %s"):format(one.words, name)) end
    end
  end)

  it("in zsh's completion", function()
    local script = sh.read_file(share .. "/zsh/site-functions/_banger-lua")
    for _, one in ipairs(all) do
      local body = script:match("\n_banger_lua_of_" .. one.words:gsub(" ", "_") .. "%(%)\n(.-)\n}\n")
      local set = {}
      for line in body:gmatch "[^\n]+" do
        for spec in line:gmatch "'(.-)%[" do add_names(set, " " .. spec:gsub("^%b()", ""):gsub("[*=]", " ")) end
      end
      for _, name in ipairs(sorted(one.set)) do assert(set[name], ("zsh: %s has no %s"):format(one.words, name)) end
    end
  end)

  -- The options among the words that a shell command prints.
  local function listed_by(command)
    local found = { ["--"] = true, ["-"] = true } -- the ends of options are no use to complete
    add_names(found, run(command).out)
    return found
  end

  it("and lua's own options are in --help, in the page and in completions", function()
    local help = {}
    for _, line in ipairs(lines(run "banger-lua --help".out:match "Available options are:\n(.-)\nA script")) do
      help[line:match "^%s+(%S+)"] = line:find "^  %-" and true or nil
    end
    help["--help"] = true -- on -h's line
    local page = run "mandoc -T ascii -O width=100 $SHARE/man/man1/banger-lua.1 | sed 's/.\x08//g'".out
    local set = {}
    for _, line in ipairs(lines(page:match "\nOPTIONS\n(.-)\n%u")) do
      for name in (line:match "^       (%-.-)%f[%s%z]%s?%s?.*$" and line:match "^       (%-.*)$" or ""):gmatch "%-[%w-]*" do
        if (" " .. line):find("[ ,]" .. name:gsub("%-", "%%-")) then set[name] = true end
      end
    end
    local completed = {
      man = set,
      bash = listed_by("bash -c 'source $SHARE/bash-completion/completions/banger-lua; "
        .. "COMP_LINE=\"banger-lua -\" COMP_POINT=12; _banger_lua banger-lua; printf \"%s \" ${COMPREPLY[@]}'"),
      fish = listed_by "fish --no-config -c 'source $SHARE/fish/vendor_completions.d/banger-lua.fish; complete -C \"banger-lua -\"'",
      zsh = listed_by "sed -n '/^_banger_lua()/,/^}/p' $SHARE/zsh/site-functions/_banger-lua | tr \"[*'{},)\" '       '",
    }
    for what, found in pairs(completed) do
      for _, name in ipairs(sorted(help)) do assert(found[name], ("%s: banger-lua has no %s"):format(what, name)) end
    end
  end)
end)

describe("the manual pages", function()
  it("are right to mandoc and to groff", function()
    local got = run "cd $SHARE/man/man1; mandoc -T lint -W warning *.1; for f in *.1; do groff -man -Tutf8 -ww -z $f; done"
    assert.same({ out = "", err = "", code = 0 }, got)
  end)

  it("are one a recipe, with a line that apropos finds", function()
    local pages = run "cd $SHARE/man/man1; ls; lexgrog banger-lua-pull.1 banger-lua.1".out
    for _, command in ipairs(commands.built_in()) do assert.matches("banger%-lua%-" .. command.name .. "%.1\n", pages) end
    assert.matches('banger%-lua%-pull%.1: "banger%-lua%-pull %- turn a container image into a bootable ext4 image"', pages)
    assert.matches('banger%-lua%.1: "banger%-lua %- turns container images into ext4 root file systems that boot"', pages)
  end)

  it("and help say what a recipe ends with besides what all do", function()
    local told = { run = "5 6 124 125 130 143", exec = "1 2 4 125 126 127", check = "0 1", diff = "0 1", layers = "1" }
    for name, codes in pairs(told) do
      local page = run(("mandoc -T ascii -O width=100 $SHARE/man/man1/banger-lua-%s.1 | sed 's/.\x08//g'"):format(name)).out
      page = page:match "\nEXIT STATUS(\n.-)\nSEE ALSO"
      local help = run(("banger-lua %s --help"):format(name)).out:match "\nExit status:\n(.*)$"
      for code in codes:gmatch "%d+" do
        assert.matches("\n       " .. code .. "%f[%D]", page)
        assert.matches("\n   " .. code .. " ", "\n" .. help)
      end
    end
  end)

  it("say what each status means, once, and those of registries only where one is asked", function()
    local ALL = { "0", "1", "2", "3", "4", "5", "6", "7", "130" }
    local LOCAL = { "0", "1", "2", "7", "130" }
    local expected = {
      cache = { "0", "1", "2", "6", "7", "130" }, check = LOCAL, edit = LOCAL, help = LOCAL, recipes = LOCAL,
      exec = { "N", "0", "1", "2", "4", "7", "125", "126", "127", "130" },
      run = { "N", "0", "1", "2", "5", "6", "7", "124", "125", "130", "143" },
    }
    for _, command in ipairs(commands.built_in()) do
      local page = run("banger-lua help --man " .. command.name).out:match "\n%.SH EXIT STATUS\n(.-)\n%.SH "
      local found = {}
      for code in page:gmatch "%.TP\n\\fB(%w+)\\fR\n" do found[#found + 1] = code end
      assert.same({ [command.name] = expected[command.name] or ALL }, { [command.name] = found })
    end
    local page = run("banger-lua help --man").out
    assert.matches("\n%.TP\n\\fB3\\fR\ncredentials are missing or refused%.\n", page)
  end)

  it("have SOURCE_DATE_EPOCH's day, or none", function()
    assert.matches('^%.TH BANGER\\%-LUA 1 "2023%-11%-14" "banger%-lua 0%.1%.0"', sh.read_file(share .. "/man/man1/banger-lua.1"))
    assert.matches('^%.TH BANGER\\%-LUA\\%-PULL 1 "" "banger%-lua 0%.1%.0"', run "banger-lua help --man pull".out)
  end)
end)

-- ---- completion ------------------------------------------------------------------------

-- What is typed, and what it can become.
local TYPED = {
  ["banger-lua pu"] = "pull",
  ["banger-lua pull --si"] = "--size",
  ["banger-lua pull --pull "] = "always missing never",
  ["banger-lua pull --recipe s"] = "slim ssh systemd",
  ["banger-lua pull --without h"] = "hostname hosts",
  ["banger-lua cache "] = "list path prune verify",
  ["banger-lua cache --cache-dir x prune --ke"] = "--keep-bytes",
  ["banger-lua recipes/pull.lua --lab"] = "--label",
  ["banger-lua help ch"] = "check",
  ["banger-lua run --accel k"] = "kvm",
  ["banger-lua pull nginx a"] = "a.ext4",
  ["banger-lua run --kernel t"] = "text",
}

describe("bash completes", function()
  local function complete(list)
    local script = { "source $SHARE/bash-completion/completions/banger-lua" }
    for i, line in ipairs(list) do
      script[i + 1] = ([[COMP_LINE=%s COMP_POINT=%d; _banger_lua banger-lua; printf '%%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '; echo]])
        :format(sh.quote(line), #line)
    end
    sh.write_file(scratch:path "some.bash", table.concat(script, "\n"))
    local got = run("bash " .. sh.quote(scratch:path "some.bash"))
    assert.equal("", got.err)
    local out = {}
    for line in got.out:gmatch "([^\n]*)\n" do out[#out + 1] = line:gsub(" $", "") end
    return out
  end

  local function check(cases)
    local list = sorted(cases)
    local got = complete(list)
    for i, line in ipairs(list) do assert.equal(line .. " -> " .. cases[line], line .. " -> " .. got[i]) end
  end

  it("recipes, options and values", function() check(TYPED) end)

  it("what follows = and :, of which readline asks the rest only", function()
    check {
      ["banger-lua pull --pull=al"] = "always",
      ["banger-lua pull --kernel=t"] = "",
      ["banger-lua run --kernel=t"] = "text",
      ["banger-lua pull o"] = "oci-archive: oci:",
      ["banger-lua pull oci:l"] = "layout",
      ["banger-lua pull --recipe ./nosuch"] = "",
      ["banger-lua exec un"] = "unix:",
    }
  end)

  it("names with spaces, directories alone, and what is after --", function()
    check {
      ["banger-lua check b"] = "b c.img",
      ["banger-lua pull --cache-dir "] = "dir home layout",
      ["banger-lua exec unix:x -- e"] = "empty",
      ["banger-lua exec --put a"] = "a.ext4",
      ["banger-lua exec --put a.ext4 t"] = "",
      ["banger-lua exec --put a.ext4 /x un"] = "unix:",
      ["banger-lua pull nginx a.ext4 "] = "",
      ["banger-lua -E --ver"] = "--version",
      ["banger-lua -e 'x' pul"] = "pull",
    }
  end)

  it("recipes of the user's own, by name", function()
    run "mkdir -p home/config/banger/recipes && echo '-- Mine.' > home/config/banger/recipes/mine.lua"
    check { ["banger-lua mi"] = "mine" }
  end)

  it("on a terminal, when Tab is pressed", function()
    sh.write_file(scratch:path "rc", "PROMPT_COMMAND='touch ready'; PS1='$ '; source $SHARE/bash-completion/completions/banger-lua\n")
    local got = run(([[
      wait_for() { for i in $(seq 300); do [ -e $1 ] && return; sleep 0.1; done; }
      (wait_for ready; printf 'banger-lua cache pr\t --unr\t; touch done; exit\n'; wait_for done) |
        script -qec 'TERM=dumb bash --noprofile --rcfile %s -i' /dev/null
    ]]):format(scratch:path "rc"))
    assert.matches("banger%-lua cache prune  ?%-%-unreferenced  ?; touch done", got.out)
  end)
end)

describe("fish completes", function()
  it("the same", function()
    local list = sorted(TYPED)
    local script = { "source $SHARE/fish/vendor_completions.d/banger-lua.fish" }
    for i, line in ipairs(list) do
      script[i + 1] = ("complete -C %s | string replace -r '\\t.*' '' | sort | string join ' '; echo"):format(sh.quote(line))
    end
    sh.write_file(scratch:path "some.fish", table.concat(script, "\n"))
    local got = run("fish --no-config " .. sh.quote(scratch:path "some.fish"))
    assert.equal("", got.err)
    local out = lines(got.out)
    for i, line in ipairs(list) do assert.equal(line .. " -> " .. TYPED[line], line .. " -> " .. out[i]) end
  end)
end)

describe("the scripts", function()
  it("are right to their shells", function()
    assert.same({ out = "", err = "", code = 0 }, run [[
      bash -n $SHARE/bash-completion/completions/banger-lua && zsh -n $SHARE/zsh/site-functions/_banger-lua &&
      fish --no-config -n $SHARE/fish/vendor_completions.d/banger-lua.fish
    ]])
  end)
end)

-- ---- one convention ------------------------------------------------------------------------

-- What a recipe may do without, and why.
local WITHOUT = {
  ["cache list"] = { ["--progress"] = "looks at names and sizes only" },
  ["cache path"] = { ["--progress"] = "does nothing" },
  ["cache prune"] = { ["--progress"] = "removing is quick" },
  ["check"] = { ["--progress"] = "e2fsck says nothing on its way" },
  ["edit"] = { ["--progress"] = "the terminal is the editor's" },
  ["exec"] = { ["--progress"] = "the terminal is the command's" },
  ["help"] = { ["--progress"] = "does nothing" },
  ["recipes"] = { ["--progress"] = "does nothing" },
  ["run"] = { ["--progress"] = "the terminal is the console" },
}
local CONVENTION = { "--help", "--json", "--log-level", "--progress", "--quiet", "--verbose", "-q", "-v" }

describe("every recipe", function()
  it("takes what all take", function()
    local seen = {}
    for i, one in ipairs(all) do
      local is_leaf = not (all[i + 1] and all[i + 1].words:find(one.words .. " ", 1, true))
      for _, name in ipairs(is_leaf and CONVENTION or {}) do
        local has = one.set[name]
        for _, other in ipairs(all) do -- a recipe's own are its commands' too
          has = has or other.words == one.words:match "^%S+" and other.set[name]
        end
        local reason = (WITHOUT[one.words] or {})[name]
        assert(has or reason, ("%s has no %s"):format(one.words, name))
        assert(not (has and reason), ("%s has %s, though it %s"):format(one.words, name, reason))
      end
      seen[one.words] = true
    end
    for words in pairs(WITHOUT) do assert(seen[words], words) end
    assert.equal(19, #commands.built_in())
  end)

  it("means the same by -q", function()
    for _, one in ipairs(all) do
      local help = run("banger-lua " .. one.words .. " --help").out
      if one.set["--quiet"] then
        assert.matches("\n +%-q, %-%-quiet[^\n]- Say nothing on stderr but warnings and errors[.;]", (help:gsub("\n {20,}", " ")))
      end
    end
  end)

  it("prints the same with --json, with -q or without", function()
    for _, command in ipairs { "check --no-fsck a.ext4", "recipes", "recipes slim", "recipes --keys", "help", "help pull", "diff a.ext4 a.ext4",
      "layers oci:layout:app", "ls a.ext4", "df a.ext4" } do
      local got, quiet = run(("banger-lua %s --json"):format(command)), run(("banger-lua %s -q --json"):format(command))
      assert.matches("^[%[{].*[%]}]\n$", got.out)
      assert.same({ out = got.out, err = "", code = got.code }, { out = quiet.out, err = quiet.err, code = quiet.code })
    end
    -- How long it took is not the same.
    local got = run "banger-lua pull -q --json oci:layout:app both.ext4"
    assert.matches('^{"block_size":4096,[^\n]*"path":"both%.ext4"[^\n]*}\n$', got.out)
    assert.same({ "", 0 }, { got.err, got.code })
  end)

  it("says what it waits for, without a terminal too, but with -q", function()
    -- A short pause may be over before it is seen.
    local got = run "BANGER_BACKOFF_MS=400 banger-lua inspect 127.0.0.1:9/x"
    assert.matches("banger%-lua: retrying in [%d.]+ s %(attempt 5 of 5%): 127%.0%.0%.1:9: ", got.err)
    for _, command in ipairs { "inspect", "ls", "layers" } do
      got = run(("BANGER_BACKOFF_MS=1 banger-lua %s -q 127.0.0.1:9/x"):format(command))
      assert.matches("^banger%-lua: 127%.0%.0%.1:9/x:[^\n]*\n$", got.err)
      assert.equal(4, got.code)
    end
  end)

  it("shows no progress where only errors or warnings are said", function()
    for _, level in ipairs { "error", "warn" } do
      assert.same({ code = 0, out = "/app\n", err = "" },
        run("banger-lua pull --json --log-level " .. level .. " oci:layout:app l.ext4 >/dev/null && echo /app"))
    end
    assert.matches("^layer 1/1 ", run "banger-lua pull --json --log-level warn --progress plain oci:layout:app l.ext4".err)
  end)

  for _, command in ipairs {
    "pull --json oci:layout:app j.ext4", "pull --json --dry-run oci:layout:app j.ext4", "check --json a.ext4", "cache list --json",
    "cache verify --json", "cache prune --json", "recipes --json", "recipes --json slim", "recipes --json --keys", "ls --json a.ext4",
    "stat --json a.ext4 /app", "find --json a.ext4", "tree --json a.ext4", "df --json a.ext4", "cat --json a.ext4 /app",
    "diff --json a.ext4 a.ext4", "inspect --json a.ext4", "inspect --json oci:layout:app", "layers --json oci:layout:app",
    "extract --json a.ext4 /app j.app", "edit --json --editor true a.ext4 /app", "report --json oci:layout:app -o j.html",
    "cache path --json", "help --json", "help --json pull",
  } do
    it("has JSON on stdout and nothing besides: " .. command, function()
      local got = run("banger-lua " .. command .. " >j.json && python3 -c 'import json; json.load(open(\"j.json\"))'")
      assert.same({ "", 0 }, { got.out, got.code }, got.err)
    end)
  end

  for _, command in ipairs {
    "pull -q oci:layout:app q.ext4", "check -q a.ext4", "cache -q list", "cache verify -q", "cache prune -q --all", "recipes -q", "ls -q a.ext4",
    "extract -q a.ext4 /app q.app", "edit -q --editor true a.ext4 /app", "report -q oci:layout:app -o q.html", "layers -q oci:layout:app",
    "help -q", "cache -q path", "cat -q a.ext4 /app", "inspect -q a.ext4", "diff -q a.ext4 a.ext4", "df -q a.ext4", "find -q a.ext4",
    "stat -q a.ext4 /app", "tree -q a.ext4", "recipes -q slim", "recipes -q --keys",
    "run -q --print-cmdline qemu --kernel q.kernel --initrd text a.ext4",
  } do
    it("says nothing on stderr with -q: " .. command, function()
      if command:find "q%.kernel" then
        if not sh.exists "build/cache/kernel/kernel" then return pending "no kernel in build/cache/kernel" end
        command = command:gsub("q%.kernel", (sh.check("realpath build/cache/kernel/kernel"):gsub("\n", "")))
      end
      local got = run("banger-lua " .. command)
      assert.same({ "", 0 }, { got.err, got.code })
    end)
  end

  it("of a machine has JSON too", function()
    if not sh.exists "build/cache/kernel/kernel" then return pending "no kernel in build/cache/kernel" end
    local kernel = sh.check("realpath build/cache/kernel/kernel"):gsub("\n", "")
    for monitor, what in pairs { qemu = "qemu-system-x86_64", ["cloud-hypervisor"] = "cloud-hypervisor", firecracker = "boot-source" } do
      local got = run(("banger-lua run --json --print-cmdline %s --accel auto --kernel %s --initrd text a.ext4"):format(monitor, kernel)
        .. [[ | python3 -c 'import json,sys; o=json.load(sys.stdin); print(o["argv"][0] if "argv" in o else sorted(o)[0])']])
      assert.same({ what .. "\n", 0 }, { got.out, got.code })
    end
  end)
end)

-- ---- wrong uses ----------------------------------------------------------------------------

local WRONG = {
  { "pull", 1, "missing argument 'ref' (see --help)" },
  { "pull oci:layout:app", 1, "missing argument 'out' (see --help)" },
  { "pull oci:layout:app x.ext4 y", 1, "too many arguments (see --help)" },
  { "pull --sise 4G oci:layout:app x.ext4", 1, "unknown option '--sise'; did you mean '--size'? (see --help)" },
  { "pull --size 4Q oci:layout:app x.ext4", 1,
    "--size: '4Q' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)" },
  { "pull --size 0 oci:layout:app x.ext4", 1, "--size: '0' is no size: more than 0 expected (see --help)" },
  { "pull --size 9T oci:layout:app x.ext4", 1, "--size: '9T' is more than the 2 TiB an image can have (see --help)" },
  { "pull --size", 1, "option '--size' requires an argument (see --help)" },
  { "pull --size 1G --free 1G oci:layout:app x.ext4", 1, "option '--free' can not be used together with option '--size' (see --help)" },
  { "pull --label 12345678901234567 oci:layout:app x.ext4", 1, "--label: '12345678901234567' has 17 bytes; at most 16 fit (see --help)" },
  { "pull --platform linux/xyz oci:layout:app x.ext4", 5, "oci:layout:app: no image for linux/xyz; there are: linux/amd64" },
  { "pull --platform '' oci:layout:app x.ext4", 1, "'' is no platform: os/architecture[/variant] expected, such as linux/amd64" },
  { "pull --paths none oci:layout:app x.ext4", 1, "argument for option '--paths' must be one of 'safe', 'clamp', 'strict' (see --help)" },
  { "pull --init ../x oci:layout:app x.ext4", 1,
    "--init: '../x' is neither auto, native, banger, none nor a path in the image from / on (see --help)" },
  { "pull --hostname 'a b' oci:layout:app x.ext4", 1, "--hostname: a host name of letters, digits, '-' and '.' expected, not 'a b' (see --help)" },
  { "pull --without hots oci:layout:app x.ext4", 1, "there is no item 'hots' to inject; did you mean 'hosts'? (see --help)" },
  { "pull -D x oci:layout:app x.ext4", 1, "-D: 'x' is no NAME=VALUE (see --help)" },
  { "pull --recipe nginxx oci:layout:app x.ext4", 2,
    "no image recipe is named 'nginxx'; did you mean 'nginx'? (known: nginx, openrc, overlay-root, postgres, slim, ssh, systemd; "
      .. "a file is given with its path or .lua)" },
  { "pull --recipe ./no.lua oci:layout:app x.ext4", 2, "./no.lua: there is no such recipe" },
  { "pull --jobs 0 oci:layout:app x.ext4", 1, "--jobs: '0' is no number from 1 to 64 (see --help)" },
  { "pull --jobs 0x4 oci:layout:app x.ext4", 1, "--jobs: '0x4' is no number from 1 to 64 (see --help)" },
  { "pull --jobs 1e1 oci:layout:app x.ext4", 1, "--jobs: '1e1' is no number from 1 to 64 (see --help)" },
  { "recipes --json --source nginx", 1, "option '--source' can not be used together with option '--json' (see --help)" },
  { "help --json --man pull", 1, "option '--man' can not be used together with option '--json' (see --help)" },
  { "pull --offline --pull always oci:layout:app x.ext4", 1, "--offline and --pull always exclude each other" },
  { "pull --cache-dir a --no-cache oci:layout:app x.ext4", 1, "option '--no-cache' can not be used together with option '--cache-dir' (see --help)" },
  { "pull oci:layout:nope x.ext4", 2, "the layout layout has no image 'nope'; the tags are: app" },
  { "pull a.ext4 x.ext4", 1, "a.ext4 is an ext4 image; what one is made of is a reference, such as debian:12" },
  { "pull ./text x.ext4", 1, "./text is a file; an archive is named oci-archive:./text or docker-archive:./text" },
  { "pull ./layout x.ext4", 1, "./layout is a directory; a layout is named oci:./layout" },
  { "pull --offline text x.ext4", 2, "docker.io/library/text:latest: the image is not in the cache, and --offline (--pull never) fetches nothing" },
  { "pull oci:nowhere x.ext4", 2, "there is no OCI layout at nowhere" },
  { "pull oci:text x.ext4", 2, "text is no OCI layout: a directory with a file oci-layout expected" },
  { "pull oci-archive:text x.ext4", 6, "text is no tar archive" },
  { "pull docker-archive:nowhere x.ext4", 2, "open nowhere: No such file or directory" },
  { "pull 'UPPER' x.ext4", 1, "'UPPER' is no image reference: the repository name must be lowercase" },
  { "pull oci:layout:app dir", 1, "output dir is a directory; name a file in it" },
  { "pull oci:layout:app nowhere/x.ext4", 1, "cannot write output nowhere/x.ext4: No such file or directory" },
  { "pull oci:layout:app /dev/full", 1, "output /dev/full is not a regular file" },
  { "pull oci:layout:app -", 1, "the image cannot go to stdout: name a file (./- is one of that name) (see --help)" },
  { "pull oci:layout:app ''", 1, "argument 'out' is empty (see --help)" },
  { "pull '' x.ext4", 1, "argument 'ref' is empty (see --help)" },
  { "pull --cache-dir '' oci:layout:app x.ext4", 1, "option '--cache-dir' is given an empty DIR (see --help)" },
  { "pull --recipe '' oci:layout:app x.ext4", 1, "option '--recipe' is given an empty RECIPE (see --help)" },
  { "pull -v --log-level info oci:layout:app x.ext4", 1, "option '--log-level' can not be used together with option '-v' (see --help)" },
  { "-q pull oci:layout:app x.ext4", 1, "unrecognized option '-q'; a recipe's options come after its name (see --help)" },
  { "run ''", 1, "argument 'image' is empty (see --help)" },
  { "check ''", 1, "argument 'image' is empty (see --help)" },
  { "cat a.ext4 ''", 1, "argument 'path' is empty (see --help)" },
  { "extract a.ext4 /etc ''", 1, "argument 'dest' is empty (see --help)" },
  { "report oci:layout:app -o ''", 1, "option '-o' is given an empty FILE (see --help)" },
  { "exec --put '' /x unix:x", 1, "option '--put' is given an empty HOST (see --help)" },
  { "cache --cache-dir '' list", 1, "option '--cache-dir' is given an empty DIR (see --help)" },
  { "run", 1, "missing argument 'image' (see --help)" },
  { "run nowhere.ext4", 2, "open nowhere.ext4: No such file or directory" },
  { "run text", 1, "text: not an ext4 image: it has only 5 bytes" },
  { "run dir", 1, "dir: not an ext4 image: not a regular file" },
  { "run --memory 1M a.ext4", 1, "--memory: '1M' is too little: 32M at least (see --help)" },
  { "run --cpus 0 a.ext4", 1, "--cpus: '0' is no number from 1 to 255 (see --help)" },
  { "run --forward 80 a.ext4", 1, "--forward: '80' is not HOSTPORT:GUESTPORT (see --help)" },
  { "run --machine pc a.ext4", 1, "argument for option '--machine' must be one of 'q35', 'microvm', 'virt' (see --help)" },
  { "run --timeout 0 a.ext4", 1, "--timeout: '0' is no time to run for: more than 0 expected (see --help)" },
  { "run --kernel nowhere a.ext4", 2, "--kernel nowhere: there is no such file" },
  { "run --kernel text a.ext4", 1, "--kernel text: is no Linux kernel: neither bzImage, vmlinux nor Image" },
  { "check", 1, "missing argument 'image' (see --help)" },
  { "run oci:layout:app", 1, "oci:layout:app is no file; only an ext4 image can be booted, and pull makes one" },
  { "check oci:layout:app", 1, "oci:layout:app is no file; only an ext4 image can be checked, and pull makes one" },
  { "check nowhere.ext4", 2, "open nowhere.ext4: No such file or directory" },
  { "check dir", 1, "dir: not an ext4 image: not a regular file" },
  { "check text", 1, "text: not an ext4 image: it has only 5 bytes" },
  { "check empty", 1, "empty: not an ext4 image: it has only 0 bytes" },
  { "check cut.ext4", 1, "cut.ext4: cut off: it has 100000 bytes, its file system 17920 blocks of 4096" },
  { "check --free 101 a.ext4", 1, "--free: '101' is no number from 0 to 100 (see --help)" },
  { "check --init sbin/init a.ext4", 1, "--init: 'sbin/init' is no path in the image, from / on (see --help)" },
  { "exec", 1, "missing argument 'address' (see --help)" },
  { "exec unix:nowhere", 1, "nothing to do: give a command after --, --put, --get, or --wait" },
  { "exec unix:nowhere -- true", 2, "unix:nowhere: there is no such socket" },
  { "exec tcp:1 -- true", 1, "'tcp:1' is no agent's address: vsock:CID[:PORT], unix:PATH or hybrid:PATH[:PORT]" },
  { "exec unix:text -- true", 4, "connect to unix:text: Connection refused" },
  { "exec --wait soon unix:x -- true", 1, "--wait: 'soon' is no time span: a number with s, m, h, d or w expected (see --help)" },
  { "exec --env X unix:x -- true", 1, "--env: 'X' is not NAME=VALUE (see --help)" },
  { "exec -t unix:x -- true", 1, "--tty: stdin is no terminal" },
  { "exec --put a unix:x", 1, "missing argument 'address' (see --help)" },
  { "cache", 1, "a command is required (see --help)" },
  { "cache lits", 1, "unknown command 'lits'; did you mean 'list'? (see --help)" },
  { "cache prune --older-than soon", 1, "--older-than: 'soon' is no time span: a number with s, m, h, d or w expected (see --help)" },
  { "cache prune --keep-bytes x", 1, "--keep-bytes: 'x' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)" },
  { "cache --cache-dir text list", 1, "make the cache's directory text/blobs: Not a directory" },
  { "cache list extra", 1, "too many arguments (see --help)" },
  { "recipes nowhere", 2,
    "no image recipe is named 'nowhere' (known: nginx, openrc, overlay-root, postgres, slim, ssh, systemd; a file is given with its path or .lua)" },
  { "recipes ./text", 1, "./text:2: syntax error near <eof>" },
  { "recipes a b", 1, "too many arguments (see --help)" },
  { "ls", 1, "missing argument 'target' (see --help)" },
  { "ls text", 1, "text is no ext4 image; an archive is named oci-archive:text or docker-archive:text" },
  { "ls dir", 1, "dir is a directory; a layout is named oci:dir" },
  { "ls nowhere.ext4", 2, "nowhere.ext4: no such file" },
  { "ls --platform bogus a.ext4", 1, "'bogus' is no platform: os/architecture[/variant] expected, such as linux/amd64" },
  { "ls a.ext4 /nope", 2, "/nope: not in a.ext4" },
  { "ls --layer 0 oci:layout:app", 1, "--layer: '0' is no number from 1 on (see --help)" },
  { "ls --layer 2 oci:layout:app", 1, "oci:layout:app has 1 layer: there is no layer 2" },
  { "ls --layer 1 a.ext4", 1, "a.ext4 is an ext4 image, which has no layers; name the reference it was made of" },
  { "cat a.ext4", 1, "missing argument 'path' (see --help)" },
  { "cat a.ext4 /etc", 1, "/etc: a directory; ls lists it" },
  { "stat a.ext4 /nope", 2, "/nope: not in a.ext4" },
  { "find --type z a.ext4", 1, "-type: 'z' is no type; f, d, l, c, b, p, s expected, several with commas (see --help)" },
  { "layers --worst=-1 oci:layout:app", 1, "--worst: '-1' is no number from 0 on (see --help)" },
  { "tree --depth 99999999999 a.ext4", 1, "--depth: '99999999999' is no number from 1 on (see --help)" },
  { "tree --depth x a.ext4", 1, "--depth: 'x' is no number from 1 on (see --help)" },
  { "df text", 1, "text is no ext4 image; an archive is named oci-archive:text or docker-archive:text" },
  { "extract a.ext4 /etc", 1, "missing argument 'dest' (see --help)" },
  { "extract a.ext4 /nope y", 2, "/nope: not in a.ext4" },
  { "extract a.ext4 /app text", 1, "text is there; --force replaces it" },
  { "extract a.ext4 /app nowhere/x", 1, "cannot write output nowhere/x: No such file or directory" },
  { "edit oci:layout:app /app", 1, "oci:layout:app is no file; only an ext4 image can be edited" },
  { "edit a.ext4 app", 1, "'app' is no path of a file in the image, from / on" },
  { "inspect cut.ext4", 1, "cut.ext4: cut off: it has 100000 bytes, its file system 17920 blocks of 4096" },
  { "layers a.ext4", 1, "a.ext4 is an ext4 image, which has no layers; name the reference it was made of" },
  { "layers --max-wasted x oci:layout:app", 1, "--max-wasted: 'x' is neither a size such as 10M nor a part such as 5% (see --help)" },
  { "layers --min-efficiency 2 oci:layout:app", 1, "--min-efficiency: '2' is no number from 0 to 1 (see --help)" },
  { "diff a.ext4", 1, "missing argument 'b' (see --help)" },
  { "diff a.ext4 nowhere.ext4", 2, "nowhere.ext4: no such file" },
  { "help --completion tcsh", 1, "argument for option '--completion' must be one of 'bash', 'fish', 'zsh' (see --help)" },
}

describe("wrong uses", function()
  it("end in one line that names what is wrong, and the exit code of its kind", function()
    assert.is_true(#WRONG >= 30)
    local wanted, said = {}, {}
    for i, case in ipairs(WRONG) do
      local got = run("banger-lua " .. case[1])
      wanted[i] = ("%s -> %d %s"):format(case[1], case[2], case[3])
      said[i] = ("%s -> %d %s"):format(case[1], got.code, got.out .. (got.err:match "^banger%-lua: ([^\n]*)\n$" or got.err))
      if said[i] == wanted[i] then wanted[i], said[i] = "", "" end -- the others are what is shown
    end
    assert.equal(table.concat(wanted, "\n"):gsub("\n+", "\n"), (table.concat(said, "\n"):gsub("\n+", "\n")))
    assert.is_false(sh.exists(scratch:path "w/x.ext4"))
  end)

  it("of the place to print to are told", function()
    for _, command in ipairs {
      "check --json a.ext4", "ls a.ext4", "help", "help --json", "recipes", "cache list", "cache verify", "cache prune", "find a.ext4", "tree a.ext4",
      "df a.ext4", "stat a.ext4 /", "cat a.ext4 /etc/passwd", "diff --json a.ext4 a.ext4", "inspect a.ext4", "layers oci:layout:app",
      "report a.ext4 -o -", "pull -q oci:layout:app full.ext4", "pull -q --dry-run oci:layout:app full.ext4", "--help", "--version",
    } do
      local got = run("banger-lua " .. command .. " >/dev/full")
      assert.same({ command, out = "", err = "banger-lua: write to stdout: No space left on device\n", code = 7 },
        { command, out = got.out, err = got.err, code = got.code })
    end
  end)

  it("of a place that is closed are told, and nothing is printed into a file that is opened", function()
    for _, command in ipairs {
      "ls a.ext4", "cache list", "cache verify", "pull -q oci:layout:app closed.ext4", "pull -q --dry-run oci:layout:app x", "--help",
    } do
      local got = run("banger-lua " .. command .. " >&-")
      assert.same({ command, out = "", err = "banger-lua: write to stdout: Bad file descriptor\n", code = 1 },
        { command, out = got.out, err = got.err, code = got.code })
    end
    assert.equal(0, run("banger-lua pull -q oci:layout:app closed.ext4 2>&- && PATH=$PATH:/sbin:/usr/sbin e2fsck -fn closed.ext4").code)
    assert.same({ out = "", err = "", code = 0 }, run "banger-lua -e 'assert(io.read() == nil)' <&-")
  end)

  it("of a reader that goes away are silent", function()
    for _, command in ipairs { "ls -lR a.ext4", "find a.ext4", "cat a.ext4 /app", "report a.ext4 -o -", "inspect a.ext4" } do
      local got = run(("{ banger-lua %s; echo $? >code; } | head -c 1 >/dev/null; cat code"):format(command))
      assert.equal("", got.err)
      assert.is_true(got.out == "141\n" or got.out == "0\n", got.out) -- 0: it was done before
    end
  end)

  it("of places that may not be read or written say so", function()
    if need.root() or not sh.has "setpriv" then return pending "needs root and setpriv" end
    local NOBODY = "chmod 755 .. . && HOME=/no XDG_CONFIG_HOME=/no XDG_CACHE_HOME=/no "
      .. "setpriv --reuid=65534 --regid=65534 --clear-groups banger-lua "
    run "mkdir shut && cp a.ext4 shut.ext4 && cp -r layout shut && cp text shut/x && cp text shut.lua && chmod 700 shut && chmod 600 shut.*"
    for _, case in ipairs {
      { "ls shut.ext4", 1, "shut.ext4 cannot be read: Permission denied" },
      { "ls shut/x.ext4", 1, "shut/x.ext4 cannot be read: Permission denied" },
      { "check shut.ext4", 1, "open shut.ext4: Permission denied" },
      { "run shut.ext4", 1, "open shut.ext4: Permission denied" },
      { "run --kernel shut.ext4 a.ext4", 1, "--kernel shut.ext4 cannot be read: Permission denied" },
      { "pull oci:shut/layout x.ext4", 1, "shut/layout cannot be read: Permission denied" },
      { "pull oci-archive:shut.ext4 x.ext4", 1, "open shut.ext4: Permission denied" },
      { "pull oci:layout:app shut/x.ext4", 1, "cannot write output shut/x.ext4: Permission denied" },
      { "pull --recipe ./shut.lua oci:layout:app x.ext4", 1, "open ./shut.lua: Permission denied" },
      { "recipes ./shut.lua", 1, "open ./shut.lua: Permission denied" },
      { "extract a.ext4 /app shut/x", 1, "cannot write output shut/x: Permission denied" },
      { "report a.ext4 -o shut/x.html", 1, "cannot write output shut/x.html: Permission denied" },
      { "cache --cache-dir shut list", 1, "make the cache's directory shut/blobs: Permission denied" },
      { "exec unix:shut/x -- true", 4, "connect to unix:shut/x: Permission denied" },
    } do
      local got = run(NOBODY .. case[1])
      assert.same({ case[1], out = "", err = "banger-lua: " .. case[3] .. "\n", code = case[2] },
        { case[1], out = got.out, err = got.err, code = got.code })
    end
  end)

  it("of the environment are told", function()
    for _, case in ipairs {
      { "HOME= XDG_CACHE_HOME= banger-lua cache list", 1,
        "there is no HOME to keep the cache in: --cache-dir names a place, --no-cache goes without" },
      { "BANGER_LOG=loud banger-lua ls a.ext4", 1, "BANGER_LOG: 'loud' is no level; there are error, warn, info, debug" },
      { "SOURCE_DATE_EPOCH=x banger-lua pull -q oci:layout:app x.ext4", 1, "SOURCE_DATE_EPOCH is 'x'; whole seconds since 1970 expected" },
      { "LANG=xx_YY LC_ALL=tr_TR.UTF-8 banger-lua ls a.ext4 /žluť", 2, "/žluť: not in a.ext4" },
      { "VISUAL= EDITOR=false banger-lua edit a.ext4 /etc/passwd", 1, "the editor 'false' ended with 1: /etc/passwd is as it was" },
    } do
      local got = run(case[1])
      assert.same({ case[1], out = "", err = "banger-lua: " .. case[3] .. "\n", code = case[2] },
        { case[1], out = got.out, err = got.err, code = got.code })
    end
  end)

  it("of a size that is too little say how much it takes", function()
    local got = run "banger-lua pull -q --size 1M oci:layout:app x.ext4"
    assert.equal(7, got.code)
    assert.matches("^banger%-lua: x%.ext4: the image needs at least %d+ bytes %(%d+ MiB%), the size given is 1048576 %(1 MiB%)\n$", got.err)
  end)
end)
