-- What `make install` puts where, and that it is all that is needed.
package.path = "tests/?.lua;" .. package.path
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local BUILD = sh.banger():match "^(.*)/[^/]*$"
local root = scratch:path "a root"
local lacking = need.program("make")

-- The program as it is: it is not built anew. A umask that leaves others nothing does not count.
local function make(what)
  return sh.check(("umask 077 && make -s -o %s O=%s %s DESTDIR=%s PREFIX=/usr"):format(
    sh.quote(sh.banger()), sh.quote(BUILD), what, sh.quote(root)))
end

setup(function()
  if lacking then return end
  make "install"
end)

local function it_installs(name, test)
  it(name, function()
    if lacking then return pending(lacking) end
    test()
  end)
end

local function run(command)
  local errors = scratch:fresh()
  local out, code = sh.run(("cd %s && env -i HOME=%s PATH=%s:$PATH SHARE=%s sh -c %s 2>%s </dev/null"):format(sh.quote(scratch:mkdir "w"),
    sh.quote(scratch:mkdir "home"), sh.quote(root .. "/usr/bin"), sh.quote(root .. "/usr/share"), sh.quote(command), errors))
  return { out = out, code = code, err = sh.read_file(errors) }
end

describe("make install", function()
  it_installs("puts each thing where it belongs", function()
    local out = sh.check(([[cd %s && find . -type f -printf '%%m %%P\n' | sed -E '
      s,(man1/banger-lua)-[a-z]+[.]1,\1-*.1,; s,/lua/banger/.*,/lua/banger/*,
      s,/recipes/[a-z]+[.]lua,/recipes/*.lua,; s,/images/[a-z-]+[.]lua,/images/*.lua,
      ' | sort | uniq -c]]):format(sh.quote(root)))
    local counted = {}
    for count, what in out:gmatch "(%d+) ([^\n]+)\n" do counted[what] = tonumber(count) end
    local function files(pattern) return tonumber((sh.check("ls -d " .. pattern .. " | wc -l"))) end
    assert.same({
      ["755 usr/bin/banger-lua"] = 1,
      ["644 usr/share/banger-lua/lua/banger/*"] = files "lua/banger/*.lua lua/banger/*/*.lua",
      ["644 usr/share/banger-lua/recipes/*.lua"] = files "recipes/*.lua",
      ["644 usr/share/banger-lua/recipes/images/*.lua"] = files "recipes/images/*.lua",
      ["644 usr/share/bash-completion/completions/banger-lua"] = 1,
      ["644 usr/share/doc/banger-lua/LICENSE"] = 1,
      ["644 usr/share/doc/banger-lua/README.md"] = 1,
      ["644 usr/share/doc/banger-lua/recipes/README.md"] = 1,
      ["644 usr/share/fish/vendor_completions.d/banger-lua.fish"] = 1,
      ["644 usr/share/man/man1/banger-lua-*.1"] = files "recipes/*.lua",
      ["644 usr/share/man/man1/banger-lua.1"] = 1,
      ["644 usr/share/zsh/site-functions/_banger-lua"] = 1,
    }, counted)
    assert.equal("", sh.check(("find %s -type d ! -perm 755"):format(sh.quote(root))))
    assert.equal("", sh.check(("find %s ! -type d ! -type f"):format(sh.quote(root))))
  end)

  it_installs("makes a program that works where its sources are not", function()
    local reason = need.namespace()
    if reason then return pending(reason) end
    oci.write(scratch:path "layout", { tag = "app", config = { config = { Entrypoint = { "/app" } } },
      layers = { { tar = tar.archive { tar.file("app", "#!/app\n", { mode = 493 }) } } } })
    sh.write_file(scratch:path "all.sh", [[
      set -e
      banger-lua --version | sed 's/ .*//' | head -n 1
      banger-lua pull -q --platform linux/amd64 --without record oci:../layout:app app.ext4 | cut -c 1-7
      banger-lua ls app.ext4 | head -n 2 | tail -n 1
      banger-lua report -q -o page.html oci:../layout:app && grep -c '</html>' page.html
      banger-lua help --man pull | head -n 1 | cut -c 1-21
      banger-lua -e 'print(require "banger".version ~= nil, arg[0])'
      ! banger-lua check app.ext4 >found || exit 9; tail -n 1 found | cut -c 1-6
    ]])
    local sources = sh.quote((sh.check "realpath .":gsub("\n", "")))
    local got = run(("unshare -m sh -c %s"):format(sh.quote(("mount -t tmpfs none %s && test ! -e %s/README.md && sh ../all.sh"):format(
      sources, sources))))
    assert.same({ 0, 'banger-lua\nsha256:\napp\n1\n.TH BANGER\\-LUA\\-PULL\ntrue\tbanger-lua\nerror:\n' }, { got.code, got.out }, got.err)
  end)

  it_installs("has what editors and luacheck read", function()
    sh.write_file(scratch:mkdir "w" .. "/.luacheckrc", ('stds.banger_recipe = dofile %q\nstd = "lua54+banger_recipe"\n'):format(
      root .. "/usr/share/banger-lua/lua/banger/meta/luacheck.lua"))
    sh.write_file(scratch:path "w/web.lua", 'hostname = "web"\nhostnme = 1\n')
    if sh.has "luacheck" then
      assert.equal("web.lua:2:1: setting non-standard global variable 'hostnme'\n", run("luacheck --no-color --formatter plain web.lua").out)
    end
    for file, first in pairs { core = "---@meta banger.core\n", image_recipe = "---@meta\n" } do
      assert.equal(first, sh.read_file(("%s/usr/share/banger-lua/lua/banger/meta/%s.lua"):format(root, file)):sub(1, #first))
    end
  end)

  it_installs("has manual pages that man finds", function()
    if not sh.has "man" then return pending "no man" end
    local got = run "MANPATH=$SHARE/man MANWIDTH=100 man -P cat banger-lua-pull"
    assert.same({ 0, "" }, { got.code, got.err })
    assert.matches("\n       banger%-lua%-pull %- turn a container image into a bootable ext4 image\n", got.out)
  end)

  it_installs("can be taken back, and what others put there stays", function()
    local own = root .. "/usr/share/banger-lua/recipes/site.lua"
    sh.write_file(own, "-- Ours.\n")
    sh.write_file(root .. "/usr/share/man/man1/other.1", "")
    make "uninstall"
    make "uninstall" -- nothing to do is no error
    assert.equal("usr/share/banger-lua/recipes/site.lua\nusr/share/man/man1/other.1\n",
      sh.check(("cd %s && find . -type f -printf '%%P\n' | sort"):format(sh.quote(root))))
    assert.equal("", sh.check(("find %s/usr/share/doc -mindepth 1"):format(sh.quote(root))))
  end)

  it_installs("fails where it may not write", function()
    local out, code = sh.run(("make -s -o %s O=%s install DESTDIR=/dev/null PREFIX=/usr 2>&1"):format(sh.quote(sh.banger()), sh.quote(BUILD)))
    assert.equal(2, code)
    assert.matches("install: cannot create directory '/dev/null'", (out:gsub("[‘’]", "'")), 1, true)
  end)
end)
