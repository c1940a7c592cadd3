-- Which commands there are, and what they take, as banger.commands and banger.manual say.
package.path = "tests/?.lua;" .. package.path
local argparse = require "argparse"
local cli = require "banger.cli"
local commands = require "banger.commands"
local log = require "banger.log"
local model = require "banger.manual.model"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local BANGER = sh.quote(os.getenv "BANGER_LUA")

-- What a run in a directory of its own prints, with nothing of the user's around.
local function run(command)
  local path = scratch:fresh()
  scratch:mkdir "work"
  local out, code = sh.run(([[
    cd %s && HOME=%s XDG_CONFIG_HOME=%s; export HOME XDG_CONFIG_HOME; unset BANGER_RECIPES BANGER_LOG
    banger() { %s "$@"; }
    { %s
    } 2>%s
  ]]):format(sh.quote(scratch:path "work"), sh.quote(scratch:path "home"), sh.quote(scratch:path "config"), BANGER, command, sh.quote(path)))
  return { out = out, code = code, err = sh.read_file(path) }
end

local function write(path, text)
  scratch:mkdir(path:match "^(.*)/")
  sh.write_file(scratch:path(path), text)
end

describe("a recipe's parser", function()
  it("is handed out, and nothing after it is run", function()
    local seen = {}
    local parser = cli.parser_of(function(...)
      seen[#seen + 1] = select("#", ...)
      cli.parse(argparse("x", "Does things."), { ... })
      seen[#seen + 1] = "ran"
    end)
    assert.equal("Does things.", parser._description)
    assert.same({ 0 }, seen)
  end)

  it("is nil where none is asked for", function()
    assert.is_nil(cli.parser_of(function() end))
    assert.is_nil(cli.parser_of(function() coroutine.wrap(function() coroutine.yield "x" end)() end))
  end)

  it("is not there when the recipe fails before", function()
    assert.has_error(function() cli.parser_of(function() error("oops", 0) end) end, "oops")
  end)

  it("is the same for the next one that parses", function()
    cli.parser_of(function(...) cli.parse(argparse "x", { ... }) end)
    local parser = argparse "y"
    parser:argument "a"
    assert.equal("1", cli.parse(parser, { "1" }).a)
  end)

  it("has --log-level and -v, but for a -v of its own", function()
    local own = argparse "x"
    own:flag("-v --version", "Its version.")
    assert.is_nil(cli.parse(own, { "-v" }).verbose)
    assert.is_true(cli.parse(argparse "y", { "-v" }).verbose)
    log.set()
  end)
end)

describe("the model of a parser", function()
  local parser = argparse("banger-lua x", "Does things.")
  parser:argument("image", "A file.")
  parser:argument("rest"):args "*"
  parser:mutex(parser:flag("-q --quiet", "Hush."), parser:flag "--json")
  parser:option("--kernel", "One."):argname "FILE"
  parser:option("--put", "Two."):args(2):argname { "HOST", "GUEST" }:count "*"
  parser:option("--how", "Three.", "a"):choices { "a", "b" }
  parser:option("--secret"):hidden(true)
  parser:epilog "That is all."
  local got = model.of(parser, "x")

  it("has the options that are shown, and what completes their values", function()
    local list = {}
    for i, option in ipairs(got.options) do list[i] = table.concat(option.names, ",") end
    assert.same({ "-h,--help", "-q,--quiet", "--json", "--kernel", "--put", "--how" }, list)
    assert.same({ names = { "--kernel" }, help = "One.", values = { { name = "FILE", kind = "file" } }, repeats = false, excludes = {} },
      got.options[4])
    assert.same({ { name = "HOST", kind = "file" }, { name = "GUEST", kind = "none" } }, got.options[5].values)
    assert.is_true(got.options[5].repeats)
    assert.same({ names = { "--how" }, help = "Three. (default: a)", repeats = false, excludes = {},
      values = { { name = "{a,b}", kind = "words", choices = { "a", "b" } } } }, got.options[6])
    assert.same({ "--json" }, got.options[2].excludes)
  end)

  it("has the arguments", function()
    assert.same({ { name = "image", kind = "file", help = "A file.", optional = false, repeats = false },
      { name = "rest", kind = "none", help = "", optional = true, repeats = true } }, got.arguments)
    assert.equal("That is all.", got.epilog)
    assert.matches("^banger%-lua x %(%[%-q%] | %[%-%-json%]%) %[%-h%] ", got.usage)
  end)
end)

describe("the log", function()
  it("shows URLs without what may be a secret", function()
    for url, shown in pairs {
      ["https://host/v2/a/manifests/1"] = "https://host/v2/a/manifests/1",
      ["https://me:pw@host/v2/"] = "https://host/v2/",
      ["https://me:p@w@host:5000/x"] = "https://host:5000/x",
      ["https://host/token?service=s&scope=repository:a:pull&account=me&token=x"] =
        "https://host/token?service=s&scope=repository:a:pull&account=...&token=...",
      ["https://cdn/blob?X-Amz-Signature=abc&Expires=1"] = "https://cdn/blob?X-Amz-Signature=...&Expires=...",
      ["https://cdn/blob?abcdef"] = "https://cdn/blob?...",
      ["https://cdn/blob#token"] = "https://cdn/blob",
    } do
      assert.equal(shown, log.url(url))
    end
  end)

  it("finds them in a text", function()
    local shown = log.redact "GET https://me:pw@host/x?token=y failed, and 'http://b/' too"
    assert.equal("GET https://host/x?token=... failed, and 'http://b/' too", shown)
  end)

  it("refuses a level that is none", function()
    assert.same({ out = "", err = "banger-lua: BANGER_LOG: 'loud' is no level; there are error, warn, info, debug\n", code = 1 },
      run "BANGER_LOG=loud banger recipes")
    assert.same({ out = "", code = 1,
      err = "banger-lua: argument for option '--log-level' must be one of 'error', 'warn', 'info', 'debug' (see --help)\n" },
      run "banger recipes --log-level loud")
  end)

  it("says what its level lets through, and -q only warnings", function()
    write("work/talk.lua", [[
      local cli = require "banger.cli"
      local parser = require "argparse" "talk"
      parser:flag "-q --quiet"
      cli.parse(parser, { ... })
      cli.note "a note"
      cli.warn "a\nwarning\u{9b}31m\u{202e}"
      require "banger.log".say("debug", "%d", 5)
    ]])
    local note, warning, debug = "banger-lua: a note\n", "banger-lua: a\\nwarning\\u{9B}31m\\u{202E}\n", "banger-lua: debug: 5\n"
    assert.equal(note .. warning, run "banger talk.lua".err)
    assert.equal(warning, run "banger talk.lua -q".err)
    assert.equal(warning, run "BANGER_LOG=debug banger talk.lua --quiet".err)
    assert.equal(note .. warning .. debug, run "banger talk.lua -q -v".err)
    assert.equal(note .. warning .. debug, run "BANGER_LOG=debug banger talk.lua".err)
    assert.equal("", run "banger talk.lua --log-level error".err)
    assert.same({ out = "", code = 1, err = "banger-lua: option '--log-level' can not be used together with option '-v' (see --help)\n" },
      run "banger talk.lua -v --log-level error")
  end)
end)

describe("the list of recipes", function()
  setup(function()
    write("work/recipes/deploy.lua", "#!/usr/bin/env banger-lua\n-- Deploys it all. In two steps.\nprint 'ran'\n")
    write("config/banger/recipes/mine.lua", "-- Mine,\n-- of two lines:\n--\n-- more\nos.exit(7)\n")
    write("config/banger/recipes/web.lua", "-- An image recipe.\nhostname = 'web'\n")
    write("config/banger/recipes/hook.lua", "-- Another.\nfunction after_flatten(rootfs) end\n")
    write("config/banger/recipes/plain.lua", "return 5\n")
    write("config/banger/recipes/bad name.lua", "-- x\n")
  end)

  it("is in --help, a line each, by where they are, and none is run", function()
    local got = run "banger --help"
    assert.same({ "", 0 }, { got.err, got.code })
    assert.matches("\n  pull     +Turns a container image into a bootable ext4 image\n", got.out)
    assert.matches("\nRecipes in %./recipes:\n  deploy +Deploys it all\nRecipes in [^\n]*/config/banger/recipes:\n"
      .. "  mine +Mine, of two lines\n  plain\n", got.out)
    assert.is_nil(got.out:find("web", 1, true) or got.out:find("hook", 1, true))
    local bare = run "banger -E --help".out
    assert.matches("\n  deploy ", bare)
    assert.is_nil(bare:find("\n  mine", 1, true))
  end)

  it("has every built-in one, and each has a line", function()
    local names = {}
    for name in sh.check("ls recipes"):gmatch "([%w_-]+)%.lua\n" do names[#names + 1] = name end
    local listed = {}
    for i, command in ipairs(commands.built_in()) do
      listed[i] = command.name
      assert.matches("^%u.*[^.:]$", command.summary)
      assert.is_true(#command.summary < 90, command.name)
    end
    assert.same(names, listed)
  end)

  it("shows the file that goes before a built-in one", function()
    write("config/banger/recipes/cache.lua", "-- My cache.\n")
    local out = run "banger help".out
    os.remove(scratch:path "config/banger/recipes/cache.lua")
    assert.matches("\n  cache +My cache\n", out)
    assert.is_nil(out:find("Looks after", 1, true))
  end)

  it("is names with help --names", function()
    local got = run "banger help --names"
    assert.matches("\ndeploy\n", got.out)
    assert.matches("\nmine\n", got.out)
    assert.is_nil(got.out:find("web\n", 1, true))
  end)

  it("knows what a mistyped one was to be", function()
    for wrong, right in pairs { pul = "pull", chekc = "check", depoly = "deploy", caches = "cache" } do
      local got = run("banger " .. wrong)
      assert.equal(1, got.code)
      assert.equal(("banger-lua: no file and no recipe is named '%s'; did you mean '%s'? (looked in ./recipes, "):format(wrong, right),
        got.err:match "^.*looked in %./recipes, ")
    end
    assert.matches("^banger%-lua: no file and no recipe is named 'xyzzy' %(looked in ", run "banger xyzzy".err)
  end)
end)

describe("help", function()
  it("is the recipe's own", function()
    assert.same(run "banger run --help", run "banger help run")
    assert.matches("^Usage: banger%-lua pull %(%[%-%-size SIZE%]", run "banger help pull".out)
  end)

  it("of what takes nothing says so, and does not fail", function()
    write("work/recipes/quiet.lua", "-- Quiet.\n")
    assert.same({ out = "quiet asks for no arguments\n", err = "", code = 0 }, run "banger help quiet")
  end)

  it("of what is none is an error", function()
    assert.matches("^banger%-lua: no file and no recipe is named 'rum'; did you mean 'run'%? %(looked in ", run "banger help rum".err)
    assert.same({ out = "", err = "banger-lua: 'a b' is no recipe's name\n", code = 1 }, run "banger help 'a b'")
    assert.same({ out = "", err = "banger-lua: option '--names' can not be used together with option '--man' (see --help)\n", code = 1 },
      run "banger help --man --names")
  end)

  it("writes what is installed, the same each time", function()
    assert.equal(0, run "banger help --output a && banger help --output b && diff -r a b".code)
    assert.equal("bash-completion/completions/banger-lua\nfish/vendor_completions.d/banger-lua.fish\nzsh/site-functions/_banger-lua\n",
      run "cd a && find . -type f ! -name '*.1' -printf '%P\\n' | sort".out)
    local got = run "touch f && banger help --output f"
    assert.equal(1, got.code)
    assert.matches("^banger%-lua: %-%-output: .*: Not a directory\n$", got.err)
  end)
end)

describe("recipes", function()
  it("-q prints names, for completion", function()
    os.remove(scratch:path "config/banger/recipes/plain.lua") -- says nothing
    assert.equal("nginx\nopenrc\noverlay-root\npostgres\nslim\nssh\nsystemd\n", run "XDG_CONFIG_HOME=/nowhere banger recipes -q".out)
    assert.equal("slim\n", run "banger recipes --quiet slim".out)
    assert.equal("after_flatten\nafter_mkext4\nafter_plan\n", run "banger recipes --keys -q".out:match "^.-\n.-\n.-\n")
  end)

  it("--keys --json is a list", function()
    assert.equal('[{"help":', run "banger recipes --keys --json".out:sub(1, 9))
    assert.equal('[{"help":', run "banger recipes --keys --json -q".out:sub(1, 9))
  end)

  it("help -q is names, where nothing else is asked for", function()
    assert.matches("^cache\ncat\ncheck\n", run "banger help -q".out)
    assert.equal(".TH BANGER\\-LUA\\-PULL ", run "banger help -q --man pull".out:sub(1, 22))
    assert.equal('{"arguments":', run "banger help -q --json pull".out:sub(1, 13))
  end)
end)

describe("--version", function()
  it("names the libraries, as they name themselves", function()
    local got = run "banger --version"
    assert.same({ "", 0 }, { got.err, got.code })
    assert.matches("^banger%-lua 0%.1%.0 %(Lua 5%.4%.%d%)\nLua 5%.4%.%d\n", got.out)
    local curl = sh.run("curl --version"):match "libcurl/(%S+)"
    assert.matches("\nlibcurl " .. curl:gsub("%p", "%%%0") .. "\n", got.out)
    local e2fsprogs = sh.run("PATH=$PATH:/usr/sbin:/sbin; mke2fs -V 2>&1"):match "mke2fs (%S+)"
    assert.matches("\nlibext2fs " .. e2fsprogs:gsub("%p", "%%%0") .. "\n", got.out)
    local openssl = sh.run("openssl version"):match "OpenSSL (%S+)"
    assert.matches("\nOpenSSL " .. openssl:gsub("%p", "%%%0") .. "\n", got.out)
    for _, name in ipairs { "isa%-l", "libarchive", "libzstd", "lua%-cjson", "libedit" } do
      assert.matches("\n" .. name .. " %d+%.%d+", got.out)
    end
  end)
end)
