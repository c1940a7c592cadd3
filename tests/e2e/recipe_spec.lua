-- Image recipes through `banger-lua pull`: which apply, who wins, what comes out, and
-- what is left when it goes wrong.
package.path = "tests/?.lua;" .. package.path
local image = require "support.image"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local banger = sh.check("realpath " .. sh.quote(sh.banger())):gsub("\n$", "")
local octal = function(text) return tonumber(text, 8) end
local scratch

local LAYER = {
  tar.dir "etc/", tar.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/false\n"),
  tar.file("etc/group", "root:x:0:\nweb:x:34:\n"), tar.file("etc/hostname", "own\n"),
  tar.file("etc/app.conf", "old\n", { mode = octal "640", uid = 33, gid = 34 }),
  tar.dir "bin/", tar.file("bin/sh", "", { mode = octal "755" }),
}

setup(function()
  scratch = sh.scratch()
  oci.write(scratch:path "layout", {
    tag = "app", layers = { { tar = tar.archive(LAYER) } }, config = { config = { Cmd = { "/bin/sh" }, Env = { "A=image", "B=image" } } },
  })
  scratch:mkdir "config/banger/recipes"
end)

teardown(function()
  scratch:remove()
end)

before_each(function()
  sh.check(("cd %s && rm -rf out *.lua over config/banger/recipes && mkdir -p out config/banger/recipes"):format(sh.quote(scratch.dir)))
end)

local function write(files)
  for name, text in pairs(files) do
    local path = scratch:path(name)
    sh.check("mkdir -p " .. sh.quote(path:match "^(.*)/"))
    sh.write_file(path, text)
  end
end

-- Runs in the scratch directory, where only the tests' own recipes are the user's.
local function run(command, prepare)
  local out, code = sh.run(("cd %s; export XDG_CONFIG_HOME=$PWD/config HOME=$PWD/home; %s exec %s %s 2>err"):format(
    sh.quote(scratch.dir), prepare or "", sh.quote(banger), command))
  return { out = out, err = sh.read_file(scratch:path "err"), code = code }
end

local function pull(args, prepare)
  return run("pull --progress none " .. args, prepare)
end

local function good(args, prepare)
  local got = pull(args, prepare)
  assert.same({ 0, "" }, { got.code, got.err })
  return got.out
end

-- Whether these are all names in the output's directory.
local function files(names)
  return sh.check("ls -A " .. sh.quote(scratch:path "out")):gsub("\n", " ") == (names == "" and "" or names .. " ")
end

local function tree(name)
  local path = scratch:path("out/" .. (name or "x"))
  assert.is_true(image.fsck(path))
  return image.read(path)
end

local function plan_of(args)
  return require "cjson".decode(good("--json --dry-run " .. args .. " oci:layout:app out/x"))
end

local function refused(code, message, args, prepare)
  local got = pull(args, prepare)
  assert.same({ out = "", err = "banger-lua: " .. message .. "\n", code = code }, got)
  assert.is_true(files "")
end

-- ---- which apply, and who wins -------------------------------------------------------------

describe("recipes", function()
  it("of the user apply by themselves when they match, in the order of their names", function()
    write {
      ["config/banger/recipes/b.lua"] = "match = 'oci:*:app'", ["config/banger/recipes/a.lua"] = "match = { 'nginx', 'oci:lay*' }",
      ["config/banger/recipes/c.lua"] = "match = 'oci:*:other'", ["config/banger/recipes/d.lua"] = "error 'no recipe of images'",
      ["config/banger/recipes/e.txt"] = "match = 'oci:*'", ["config/banger/recipes/.f.lua"] = "match = 'oci:*'",
    }
    assert.same({ "a", "b" }, plan_of "".recipes)
    assert.same({}, plan_of "--no-image-recipes".recipes)
    assert.same({ "c" }, plan_of "--no-image-recipes --recipe c".recipes)
    assert.same({ "a", "b", "c" }, plan_of "--recipe c --recipe a".recipes)
  end)

  it("are files: what else has such a name is left alone, and notes come once", function()
    sh.check(("cd %s && mkdir d.lua && ln -s nowhere l.lua && mkfifo p.lua"):format(sh.quote(scratch:path "config/banger/recipes")))
    write { ["config/banger/recipes/a.lua"] = "match = 'oci:*'\nnote 'hello'" }
    local got = pull "-q --log-level info oci:layout out/x"
    assert.same({ 0, "banger-lua: hello\n" }, { got.code, got.err })
    assert.equal("", pull "-q oci:layout out/x".err)
  end)

  it("are found in ~/.config without XDG_CONFIG_HOME", function()
    write { ["home/.config/banger/recipes/mine.lua"] = "match = 'oci:*'" }
    assert.same({ "mine" }, require "cjson".decode(good("--json --dry-run oci:layout out/x", "unset XDG_CONFIG_HOME;")).recipes)
    sh.check("rm -r " .. sh.quote(scratch:path "home"))
  end)

  it("of the user go before those that are built in, and stand for them", function()
    write { ["config/banger/recipes/slim.lua"] = "hostname = 'mine'" }
    good "-q --recipe slim oci:layout out/x"
    assert.equal("mine\n", tree()["etc/hostname"].content)
  end)

  it("with a mistake name it, and nothing is made", function()
    write { ["config/banger/recipes/a.lua"] = "match = 'oci:*'\nlabl = 'x'" }
    refused(1, scratch.dir .. "/config/banger/recipes/a.lua:2: unknown key 'labl'; did you mean 'label'?", "oci:layout out/x")
  end)

  it("are refused when nobody has them", function()
    refused(2, "nosuch.lua: there is no such recipe", "--recipe nosuch.lua oci:layout out/x")
    refused(1, "-D x: no recipe that applies has such a variable; the recipes that apply have no variables", "-D x=1 oci:layout out/x")
    refused(1, "-D: 'x' is no NAME=VALUE (see --help)", "-D x oci:layout out/x")
  end)

  it("give way to the command line", function()
    write { ["r.lua"] = [[size = "128M" label = "recipe" hostname = "recipe" init = "none" cmdline = "quiet" guest = { hosts = false }]] }
    good "-q --recipe r.lua oci:layout out/x"
    assert.equal("134217728\n", sh.check("stat -c %s " .. scratch:path "out/x"))
    assert.equal("recipe\n", sh.check("PATH=$PATH:/usr/sbin:/sbin blkid -o value -s LABEL " .. scratch:path "out/x"))
    local first = tree()
    assert.equal("recipe\n", first["etc/hostname"].content)
    assert.is_nil(first["etc/hosts"])
    assert.is_nil(first[".banger/init"])
    good "-q --recipe r.lua --free 1M --label line --hostname line --init banger --without fstab oci:layout out/x"
    local second = tree()
    assert.is_true(tonumber((sh.check("stat -c %s " .. scratch:path "out/x"))) < 134217728)
    assert.equal("line\n", sh.check("PATH=$PATH:/usr/sbin:/sbin blkid -o value -s LABEL " .. scratch:path "out/x"))
    assert.equal("line\n", second["etc/hostname"].content)
    assert.is_not_nil(second[".banger/init"])
    assert.is_nil(second["etc/fstab"])
    assert.is_nil(second["etc/hosts"])
  end)

  it("count more the later they come", function()
    write {
      ["a.lua"] = "use = 'base.lua' hostname = 'a' inject['/x'] = 'a' environment = { A = 'a' } cmdline = 'a'",
      ["b.lua"] = "hostname = 'b' inject['/x'] = 'b' environment = { C = 'b' } cmdline = 'b'",
      ["base.lua"] = "hostname = 'base' inject = { ['/x'] = 'base', ['/y'] = 'base' } environment = { A = 'base', D = 'base' }",
    }
    good "-q --recipe a.lua --recipe b.lua oci:layout out/x"
    local made = tree()
    assert.same({ "b\n", "b", "base" }, { made["etc/hostname"].content, made.x.content, made.y.content })
    assert.equal("A=image\0B=image\0A=a\0C=b\0D=base\0", made[".banger/env"].content)
    local record = require "cjson".decode(made[".banger/build.json"].content)
    assert.same({ "base", "a", "b" }, record.recipes)
    assert.same({ "a", "b" }, record.cmdline)
  end)

  it("take variables from -D, the last of two", function()
    write { ["r.lua"] = "hostname = var('host-name', 'h') inject['/n'] = tostring(var('n', 1) + 1)" }
    good "-q --recipe r.lua -D host-name=x -D n=5 -D n=7 oci:layout out/x"
    local made = tree()
    assert.same({ "x\n", "8" }, { made["etc/hostname"].content, made.n.content })
  end)
end)

it("a path that -D gives is one of where the command is run, others are the recipe's", function()
  write {
    ["config/banger/recipes/r.lua"] = [[
      local site = var("site", "site")
      inject = { ["/a"] = { dir = site }, ["/b"] = { file = site .. "/f" }, ["/c"] = { file = "other" } }
    ]],
    ["config/banger/recipes/site/f"] = "the recipe's", ["config/banger/recipes/other"] = "other", ["over/site/f"] = "mine",
  }
  good "-q --recipe r -D site=over/site oci:layout out/x"
  local made = tree()
  assert.same({ "mine", "mine", "other" }, { made["a/f"].content, made.b.content, made.c.content })
  good "-q --recipe r oci:layout out/x"
  made = tree()
  assert.same({ "the recipe's", "the recipe's", "other" }, { made["a/f"].content, made.b.content, made.c.content })
end)

-- ---- the plan --------------------------------------------------------------------------------

describe("--dry-run", function()
  it("prints the plan and writes nothing", function()
    write { ["r.lua"] = [[
      local port = var("port", 80, "Where it listens.")
      free = "1M" cmdline = "quiet" remove = "/etc/app.conf"
      inject = { ["/a\n"] = "secret", ["/b"] = { symlink = "a" } }
      debugfs = { { "rm", "/b" } }
      function after_flatten() end
      function after_mkext4() error "is not called" end
    ]] }
    local out = good "--dry-run --recipe r.lua -D port=81 oci:layout:app out/x"
    assert.is_true(files "")
    for _, line in ipairs {
      "image      oci:layout:app", "platform   linux/amd64", "recipes    r", "variable   port=81  Where it listens. (r)",
      "hook       after_flatten (r, line 5)", "hook       after_mkext4 (r, line 6)", "cmdline    quiet", "size       the contents, and 1.0 MiB free",
      "debugfs    rm /b", "  remove                 /etc/app.conf  (remove, by r: asked for)",
      "  file     0644 0:0      /a\\n  (inject, by r: asked for)", "  symlink  - 0:0         /b -> a  (inject, by r: asked for)",
      "  char     0600 0:0      /dev/console  (devices: is absent)",
      "  file     0644 0:0      /.banger/build.json  (record: tells what was added)",
    } do
      assert.is_truthy(("\n" .. out):find("\n" .. line .. "\n", 1, true), line .. "\nis not in\n" .. out)
    end
    assert.is_nil(out:find("secret", 1, true))
  end)

  it("is JSON with --json", function()
    write { ["r.lua"] = "local on = var('on', true, 'Help.')\nsize = '1G'\nremove = '/etc/app.conf'\nfunction after_plan() end" }
    local plan = plan_of "--recipe r.lua -D on=no"
    assert.same({ { recipe = "r", name = "on", value = false, help = "Help." } }, plan.variables)
    assert.same({ { recipe = "r", hook = "after_plan", line = 4 } }, plan.hooks)
    assert.equal(1073741824, plan.size)
    assert.same({ path = "/etc/app.conf", type = "remove", item = "remove", by = "r", why = "asked for" }, plan.entries[1])
    local last = { path = "/.banger/build.json", type = "file", item = "record", why = "tells what was added" }
    assert.same(last, plan.entries[#plan.entries])
    local injected = require "cjson".decode(good "--json oci:layout out/x").injected
    assert.same(last, injected[#injected])
    assert.is_nil(tree()[".banger/build.json"].content:find("build.json", 1, true))
    for _, entry in ipairs(plan_of("--without record").entries) do assert.not_equal("record", entry.item) end
  end)

  it("fails as the build would", function()
    write { ["r.lua"] = "\ninject['/x'] = { content = '', owner = 'nobody' }" }
    refused(1, "r.lua:2: inject: /x: the image has no user 'nobody'", "--dry-run --recipe r.lua oci:layout out/x")
  end)
end)

it("--print-plan adds nothing to --json, which has it, nor to -q", function()
  local out = good "--print-plan --json oci:layout out/x"
  assert.is_truthy(out:find('^{[^\n]*"injected":%[{[^\n]*}\n$'))
  assert.is_truthy(good "--print-plan -q oci:layout out/x":find "^sha256:%x+\n$")
end)

it("--print-plan prints the plan, and then the image is made", function()
  local out = good "--print-plan oci:layout out/x"
  assert.matches("^image      oci:layout\n.*\n  dir      0755 0:0      /dev  %(directories: is absent%)\n.*\npath     out/x\n", out)
  assert.is_true(files "x")
end)

it("--without refuses what is no item", function()
  refused(1, "there is no item 'hsts' to inject; did you mean 'hosts'? (see --help)", "--without hsts oci:layout out/x")
end)

describe("--no-inject", function()
  it("excludes recipes that say what is in the image", function()
    for text, key in pairs {
      ["inject['/x'] = 'x'"] = "inject", ["size = '1G' remove = '/etc' users = { { name = 'dev' } }"] = "remove", ["hostname = 'a'"] = "hostname",
      ["function after_resolve() end"] = "after_resolve", ["debugfs = { { 'rm', '/b' } }"] = "debugfs", ["guest.hosts = false"] = "guest",
    } do
      write { ["r.lua"] = text, ["s.lua"] = "use = './r.lua'" }
      refused(1, ("--no-inject and --recipe exclude each other: r says '%s'"):format(key), "-q --no-inject --recipe r.lua oci:layout out/x")
      refused(1, ("--no-inject and --recipe exclude each other: r says '%s'"):format(key), "--dry-run --no-inject --recipe s.lua oci:layout out/x")
    end
  end)

  it("excludes options that say it", function()
    refused(1, "--no-inject and --hostname exclude each other", "--no-inject --hostname a oci:layout out/x")
    refused(1, "--no-inject and --agent exclude each other", "--agent --no-inject oci:layout out/x")
    refused(1, "--no-inject and --init exclude each other", "--no-inject --init native oci:layout out/x")
    good "-q --no-inject --init none --without hosts oci:layout out/x"
  end)

  it("leaves recipes that apply by themselves out, and goes with those that say how large it is", function()
    write { ["config/banger/recipes/a.lua"] = "match = 'oci:*'\ninject['/x'] = 'x'", ["r.lua"] = "label = 'mine' agent = false" }
    local got = require "cjson".decode(good "--json --no-inject --recipe r.lua oci:layout out/x")
    assert.same({ { "r" }, "mine", {} }, { got.recipes, got.label, got.injected })
    local made = tree()
    assert.same({ false, "own\n", false }, { made.x ~= nil, made["etc/hostname"].content, made[".banger"] ~= nil })
  end)
end)

it("--init none says what it leaves out", function()
  local got = pull "-q --init none --agent oci:layout out/x"
  assert.same({ 0, "banger-lua: agent is left out: it is banger-init's, which is not in this image\n" }, { got.code, got.err })
end)

-- ---- what comes out ------------------------------------------------------------------------

describe("the image", function()
  it("has the owners of a whole directory as patterns say: * stops at a slash, ** does not", function()
    write {
      ["r.lua"] = [[
        inject = { ["/srv"] = { dir = "over", owner = "root", owners = { ["/srv/**"] = "web", ["/srv/a/*"] = "7:8" },
          modes = { ["/srv/**/t"] = "0711" } } }
      ]],
      ["over/f"] = "", ["over/a/t"] = "", ["over/a/b/t"] = "",
    }
    good "-q --recipe r.lua oci:layout out/x"
    local made, got = tree(), {}
    for _, name in ipairs { "srv", "srv/f", "srv/a", "srv/a/t", "srv/a/b", "srv/a/b/t" } do
      local node = made[name]
      got[#got + 1] = ("%s %d:%d %o"):format(name, node.uid, node.gid, node.mode & 4095)
    end
    assert.same({ "srv 0:0 755", "srv/f 33:34 644", "srv/a 33:34 755", "srv/a/t 7:8 711", "srv/a/b 7:8 755", "srv/a/b/t 33:34 711" }, got)
  end)

  it("has files and users as the recipe says", function()
    write {
      ["r.lua"] = [[
        users = { { name = "dev", authorized_keys = "me.pub" } }
        inject = {
          ["/home/dev/x"] = { content = "x", owner = "dev" }, ["/etc/app.conf"] = { append = "more\n" },
          ["/usr/bin/tool"] = { file = "over/tool" }, ["/"] = { dir = "over", owners = { ["/opt"] = "web" } },
        }
        remove = "/etc/host*"
        debugfs = { { "set_inode_field", "/home/dev/x", "mode", "0100604" } }
      ]],
      ["me.pub"] = "ssh-ed25519 AAAAC3 me\n", ["over/tool"] = "#!/bin/sh\n", ["over/opt/x y"] = "",
    }
    sh.check("chmod 700 " .. scratch:path "over/tool")
    good "-q --recipe r.lua oci:layout out/x"
    local made = tree()
    local function same(path, mode, uid, gid, content)
      local node = made[path] or {}
      assert.same({ path, mode, uid, gid, content },
        { path, node.mode and ("%o"):format(node.mode & 4095), node.uid, node.gid, content and node.content })
    end
    same("home/dev", "700", 1000, 1000)
    same("home/dev/x", "604", 1000, 1000, "x")
    same("home/dev/.ssh", "700", 1000, 1000)
    same("home/dev/.ssh/authorized_keys", "600", 1000, 1000, "ssh-ed25519 AAAAC3 me\n")
    same("etc/app.conf", "640", 33, 34, "old\nmore\n")
    same("etc/shadow", "600", 0, 0, "dev:*:::::::\n")
    same("etc/group", "644", 0, 0, "root:x:0:\nweb:x:34:\ndev:x:1000:\n")
    same("usr/bin/tool", "755", 0, 0, "#!/bin/sh\n")
    same("tool", "755", 0, 0, "#!/bin/sh\n")
    same("opt", "755", 33, 34)
    same("opt/x y", "644", 0, 0, "")
    same("etc/hostname", "644", 0, 0, "banger\n")
  end)

  local RECIPE = [[
    users = { { name = "b" }, { name = "a", groups = "web" } }
    inject = { ["/"] = { dir = "over" }, ["/z"] = "z", ["/y"] = { append = "y" } }
    environment = { C = 1, A = 2, B = 3 } remove = "/etc/*.conf"
    debugfs = { { "set_inode_field", "/z", "mode", "0100600" } }
    function after_flatten(rootfs) inject["/list"] = table.concat(rootfs:list "/etc", " ") end
    function before_mkext4(rootfs) banger.inject(rootfs, { { path = "/late", content = "late" } }) end
    function after_mkext4() end
  ]]

  it("is the same bytes whoever makes it, from wherever, whenever", function()
    write { ["r.lua"] = RECIPE, ["over/b/c"] = "c", ["over/a"] = "a", ["config/other/r.lua"] = RECIPE }
    sh.check("ln -s nowhere " .. scratch:path "over/l")
    good "-q --recipe r.lua oci:layout out/x"
    sh.check(("cd %s && cp -r over config/other/ && chmod -R o-rwx,g-rwx over config/other && touch -h -d 2001-01-01 over/* over"):format(
      sh.quote(scratch.dir)))
    good("-q --recipe ./r.lua oci:layout out/y", "umask 077; export TZ=Asia/Tokyo;")
    good("-q --recipe config/other/r.lua oci:layout out/z", "export LC_ALL=C.UTF-8;")
    local x, y, z = sh.sha256(scratch:path "out/x", scratch:path "out/y", scratch:path "out/z")
    assert.same({ x, x }, { y, z })
    assert.equal("late", tree().late.content)
    assert.equal("app.conf group hostname passwd", tree().list.content)
  end)

  it("is the same with a finishing step as without", function()
    write { ["r.lua"] = "function after_mkext4() end" }
    good "-q oci:layout out/x"
    local plain = sh.sha256(scratch:path "out/x")
    good "-q --no-image-recipes --without record oci:layout out/y"
    good "-q --without record --recipe r.lua oci:layout out/x"
    local x, y = sh.sha256(scratch:path "out/x", scratch:path "out/y")
    assert.equal(y, x)
    assert.not_equal(plain, x)
  end)
end)

-- A unit that multi-user.target wants, in an image that boots systemd.
local function write_systemd()
  oci.write(scratch:path "systemd", { config = { config = { Cmd = { "/sbin/init" } } }, layers = { { tar = tar.archive {
    tar.dir "usr/", tar.dir "usr/lib/", tar.dir "usr/lib/systemd/", tar.file("usr/lib/systemd/systemd", "", { mode = octal "755" }),
    tar.dir "usr/lib/systemd/system/", tar.dir "sbin/", tar.symlink("sbin/init", "../usr/lib/systemd/systemd"),
    tar.file("usr/lib/systemd/system/web.service", "[Service]\nExecStart=/w\n[Install]\nWantedBy=multi-user.target\n"),
    tar.file("usr/lib/systemd/system/old.timer", "[Timer]\nOnBootSec=1\n"),
  } } } })
end

describe("units", function()
  it("are enabled and masked, those of the recipe too", function()
    write_systemd()
    write { ["r.lua"] = [==[
      enable = { "web", "own.service" } mask = "old.timer"
      inject["/etc/systemd/system/own.service"] = "[Service]\nExecStart=/o\n[Install]\nWantedBy=basic.target\n"
    ]==] }
    assert.equal(0, pull "-q --recipe r.lua oci:systemd out/x".code) -- it lacks what a real one has, and says so
    local made = tree()
    assert.equal("/usr/lib/systemd/system/web.service", made["etc/systemd/system/multi-user.target.wants/web.service"].target)
    assert.equal("/etc/systemd/system/own.service", made["etc/systemd/system/basic.target.wants/own.service"].target)
    assert.equal("/dev/null", made["etc/systemd/system/old.timer"].target)
    local by = {}
    for _, entry in ipairs(require "cjson".decode(made[".banger/build.json"].content).injected) do
      by[entry.path] = entry.by and entry.item .. " by " .. entry.by
    end
    assert.equal("mask by r", by["/etc/systemd/system/old.timer"])
    assert.equal("enable by r", by["/etc/systemd/system/basic.target.wants/own.service"])
  end)

  it("that are not there are mistakes", function()
    write_systemd()
    write { ["r.lua"] = "enable = {\n  'web',\n  'nosuch',\n}" }
    refused(1, "r.lua:3: enable: there is no unit nosuch.service in the image", "-q --recipe r.lua oci:systemd out/x")
  end)

  it("that nothing can enable are told, with the recipe's line", function()
    write_systemd()
    write { ["r.lua"] = "enable = 'static'\ninject['/etc/systemd/system/static.service'] = '[Service]\\nExecStart=/s\\n'" }
    local got = pull "-q --recipe r.lua oci:systemd out/x"
    assert.equal(0, got.code)
    assert.is_truthy(got.err:find("banger-lua: r.lua:1: enable: /etc/systemd/system/static.service has no section [Install]: "
      .. "it cannot be enabled, others start it\n", 1, true), got.err)
  end)
end)

-- ---- banger-lua recipes ---------------------------------------------------------------------

describe("banger-lua recipes", function()
  it("lists those that are built in and the user's", function()
    write {
      ["config/banger/recipes/mine.lua"] = "match = { 'a', 'b' } description = 'Mine.'", ["config/banger/recipes/tool.lua"] = "error 'no'",
      ["config/banger/recipes/slim.lua"] = "match = 'c' description = 'My own.'",
    }
    local got = run "recipes"
    assert.same({ 0, "" }, { got.code, got.err })
    for _, line in ipairs { "mine           Mine. (by itself for a, b)", "slim           My own. (by itself for c)" } do
      assert.is_truthy(("\n" .. got.out):find("\n" .. line .. "\n", 1, true), got.out)
    end
    assert.matches("\nsystemd  ", got.out)
    assert.equal(1, select(2, ("\n" .. got.out):gsub("\nslim ", "")))
    assert.is_nil(got.out:find("tool", 1, true))
  end)

  it("says what one can be told", function()
    write { ["r.lua"] = "description = 'R.' local p = var('port', 80, 'Where.')" }
    assert.same({ code = 0, err = "", out = "r              R.\npath           ./r.lua\n-D port=80\n    Where.\n" }, run "recipes ./r.lua")
  end)

  it("has no file for one that is built in, and prints it", function()
    local got = run "recipes slim"
    assert.same({ 0, "" }, { got.code, got.err })
    assert.is_truthy(got.out:find("\npath           built in; --source slim prints it\n", 1, true), got.out)
    assert.same({ code = 0, err = "", out = sh.read_file "recipes/images/slim.lua" }, run "recipes --source slim")
    write { ["r.lua"] = "sizee = 1" }
    assert.same({ code = 0, err = "", out = "sizee = 1" }, run "recipes --source ./r.lua")
    assert.same({ code = 1, out = "", err = "banger-lua: --source: whose is missing: say the recipe's name\n" }, run "recipes --source")
    local one = require "cjson".decode(run "recipes --json slim".out)
    assert.same({ true }, { one.built_in, one.path })
    write { ["r.lua"] = "" }
    one = require "cjson".decode(run "recipes --json r.lua".out)
    assert.same({ false, "r.lua" }, { one.built_in, one.path })
  end)

  it("has plain paths for what a recipe names", function()
    write { ["r.lua"] = "use = './s.lua'", ["s.lua"] = "\nuse = './././nosuch.lua'" }
    refused(2, "./s.lua:2: use: ./nosuch.lua: there is no such recipe", "--recipe ./r.lua oci:layout out/x")
    write { ["s.lua"] = "inject['/x'] = { file = './key.pub' }" }
    refused(1, "./s.lua:1: inject: /x: ./key.pub is not there", "--recipe ./r.lua oci:layout out/x")
  end)

  it("names the mistake of one", function()
    write { ["r.lua"] = "\nsizee = 1" }
    assert.same({ code = 1, out = "", err = "banger-lua: r.lua:2: unknown key 'sizee'; did you mean 'size'?\n" }, run "recipes r.lua")
  end)

  it("has a line for every key, and the manual knows them", function()
    local got, manual, count = run "recipes --keys", sh.read_file "recipes/README.md", 0
    for line in got.out:gmatch "[^\n]+" do
      local name = assert(line:match "^([%w_]+) +%S", line)
      assert.is_truthy(manual:find("%f[%w_]" .. name .. "%f[^%w_]"), name)
      count = count + 1
    end
    assert.is_true(count >= 30, got.out)
  end)

  it("every one that is built in says what it is, and loads", function()
    local list = require "cjson".decode(run "recipes --json".out)
    assert.is_true(#list >= 7)
    for _, recipe in ipairs(list) do
      assert.is_truthy(recipe.description, recipe.name)
    end
  end)
end)

-- ---- hooks ---------------------------------------------------------------------------------

describe("hooks", function()
  it("get the build, and are called in their order", function()
    write { ["r.lua"] = [[
      local function say(...)
        local words = table.pack(...)
        for i = 1, words.n do words[i] = tostring(words[i]) end
        note(table.concat(words, " "))
      end
      size = "128M"
      function after_resolve(build) say("after_resolve", build.image.digest, #build.image.layers, build.out) end
      function after_flatten(rootfs, build) say("after_flatten", rootfs:read("/etc/hostname", { size = 3 }), build.settings.size) end
      function after_plan(plan, rootfs, build)
        say("after_plan", plan.init.kind, rootfs:exists "/dev/null", build.guest == plan)
        plan.entries[#plan.entries + 1] = { path = "/mine", content = "mine" }
        for _, entry in ipairs(plan.entries) do
          if entry.path == "/etc/hosts" then entry.content = "changed\n" end
        end
      end
      function before_mkext4(rootfs) say("before_mkext4", rootfs:read "/mine") end
      function after_mkext4(path, build)
        local tree <close> = banger.open(path)
        say("after_mkext4", tree:read "/mine", path ~= build.out, build.out)
      end
    ]] }
    local digest = sh.read_file(scratch:path "layout/index.json"):match '"digest":"(sha256:%x+)"'
    local got = pull "--json --recipe r.lua oci:layout out/x"
    assert.equal(("after_resolve %s 1 out/x\nafter_flatten own 134217728\nafter_plan banger false true\nbefore_mkext4 mine\n" ..
      "after_mkext4 mine true out/x\n"):format(digest), (got.err:gsub("banger%-lua: ", "")))
    assert.equal("changed\n", tree()["etc/hosts"].content)
    assert.is_true(files "x")
  end)

  it("print on stderr, so that stdout is what it would be", function()
    write { ["r.lua"] = [[
      print 'read'
      function after_resolve(build) print(#build.image.layers, 'a\27[1mb') end
      function after_mkext4() io.stdout:write("raw\27[1m", "\n") io.write "end" end
    ]] }
    local got = pull "--json --recipe r.lua oci:layout out/x"
    assert.same({ 0, "banger-lua: read\nbanger-lua: 1  a\\x1B[1mb\nbanger-lua: raw\\x1B[1m\nbanger-lua: end\n" }, { got.code, got.err })
    assert.equal("out/x", require("banger.json").decode(got.out).path)
    got = pull "-q --recipe r.lua oci:layout out/x"
    assert.same({ 0, "" }, { got.code, got.err })
    assert.matches("^sha256:%x+\n$", got.out)
  end)

  it("get and change what the recipe itself puts in; the record tells what became of it", function()
    write { ["r.lua"] = [[
      inject = { ["/etc/hosts"] = { append = "10.0.0.2 db\n" }, ["/etc/motd"] = "hi\n", ["/etc/app.conf"] = "new\n" }
      function after_plan(plan)
        for at = #plan.entries, 1, -1 do
          local entry = plan.entries[at]
          if entry.path == "/etc/hosts" then entry.content = entry.content .. "10.0.0.3 web\n" end
          if entry.path == "/etc/app.conf" then table.remove(plan.entries, at) end
        end
      end
    ]] }
    good "-q --recipe r.lua oci:layout out/x"
    local made = tree()
    assert.equal("127.0.0.1\tlocalhost\n127.0.1.1\town\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.2 db\n10.0.0.3 web\n",
      made["etc/hosts"].content)
    assert.same({ "hi\n", "old\n", octal "640" }, { made["etc/motd"].content, made["etc/app.conf"].content, made["etc/app.conf"].mode })
    local record = made[".banger/build.json"].content
    assert.is_truthy(record:find('{"by":"r","item":"inject","path":"/etc/hosts","type":"file",'
      .. '"why":"asked for, after what the item hosts puts there"}', 1, true), record)
    assert.is_nil(record:find("app.conf", 1, true))
  end)

  local CHANGED = [[
      local other = banger.rootfs { near = "out/y" }
      function after_flatten(rootfs)
        rootfs:edit("/etc/hostname", function() return "edited\n" end)
        banger.inject(other, { { path = "/elsewhere", content = "x" } })
        other:close()
      end
      function after_plan(plan, rootfs)
        for _, entry in ipairs(plan.entries) do assert(entry.path ~= "/etc/hostname") end
        banger.inject(rootfs, { { path = "/link", target = "etc", why = "is wanted" } })
      end
      function before_mkext4(rootfs)
        assert(rootfs:exists "/.banger/build.json" == (label ~= "none"))
        banger.inject(rootfs, { { path = "/etc/app.conf", type = "remove" } })
      end
      function after_mkext4(path)
        banger.inject(path, { { path = "/late", content = "x" } })
      end
    ]]

  it("have what they change at once in the plan and the record, but for what is done to the finished image", function()
    write { ["r.lua"] = CHANGED }
    local text = good "--dry-run --recipe r.lua oci:layout out/x"
    assert.is_truthy(text:find("\n  file     0644 0:0      /etc/hostname  (after_flatten, by r: changed by the hook)\n"
      .. "  symlink  - 0:0         /link -> etc  (after_plan, by r: is wanted)\n"
      .. "  remove                 /etc/app.conf  (before_mkext4, by r: changed by the hook)\n"
      .. "  file     0644 0:0      /.banger/build.json  (record: tells what was added)\n", 1, true), text)
    assert.is_true(files "")

    good "-q --recipe r.lua oci:layout out/x"
    local made = tree()
    assert.same({ "edited\n", "etc", nil, "x" }, { made["etc/hostname"].content, made["link"].target, made["etc/app.conf"], made["late"].content })
    local record = made[".banger/build.json"].content
    assert.is_truthy(record:find('{"by":"r","item":"after_flatten","path":"/etc/hostname","type":"file","why":"changed by the hook"},'
      .. '{"by":"r","item":"after_plan","path":"/link","type":"symlink","why":"is wanted"},'
      .. '{"by":"r","item":"before_mkext4","path":"/etc/app.conf","type":"remove","why":"changed by the hook"}]', 1, true), record)
    assert.same({}, { record:find("elsewhere", 1, true), record:find("/late", 1, true) })
  end)

  it("bring no record back that is switched off", function()
    write { ["r.lua"] = "label = 'none'\n" .. CHANGED }
    local text = good "--dry-run --without record --recipe r.lua oci:layout out/x"
    assert.matches("/etc/app%.conf  %(before_mkext4, by r: changed by the hook%)\n$", text)
    assert.is_nil(text:find("build.json", 1, true))
  end)

  it("may say what counts after them, till the plan is made; the command line counts more", function()
    write { ["r.lua"] = [[
      function after_resolve(build) size = "96M" label = "hook" environment.A = #build.image.layers end
      function after_flatten(rootfs) hostname = rootfs:read("/etc/hostname", { size = 3 }) .. "-vm" end
    ]] }
    good "-q --recipe r.lua --label line oci:layout out/x"
    assert.equal("100663296\n", sh.check("stat -c %s " .. scratch:path "out/x"))
    assert.equal("line\n", sh.check("PATH=$PATH:/usr/sbin:/sbin blkid -o value -s LABEL " .. scratch:path "out/x"))
    local made = tree()
    assert.equal("own-vm\n", made["etc/hostname"].content)
    assert.equal("A=image\0B=image\0A=1\0", made[".banger/env"].content)
    os.remove(scratch:path "out/x")
    write { ["r.lua"] = "function after_plan()\n hostname = 'x'\nend" }
    refused(1, "r.lua:2: hostname: too late: the plan is made; say it in after_flatten or before", "--recipe r.lua oci:layout out/x")
  end)

  it("are named in the plan and the record for what the recipe says of the program", function()
    write { ["r.lua"] = "command = { '/bin/sh', '-x' } stop_timeout = 5 hostname = 'vm'" }
    local out = good "--dry-run --recipe r.lua --hostname line oci:layout out/x"
    for _, line in ipairs {
      "\ninit       banger /.banger/init: the recipe r runs /bin/sh, which is no init\n",
      "  /.banger/argv  (init, by r: asked for)\n", "  /.banger/env  (init: from the image's config)\n",
      "  /.banger/stop-timeout  (init, by r: asked for)\n", "  /etc/hostname  (hostname: asked for)\n",
    } do
      assert.is_truthy(out:gsub("0:0 +", " "):find(line, 1, true), line .. out)
    end
    good "-q --recipe r.lua oci:layout out/x"
    local record = tree()[".banger/build.json"].content
    assert.is_truthy(record:find('{"by":"r","item":"init","path":"/.banger/argv","type":"file","why":"asked for"}', 1, true))
  end)

  it("may add entries that say no more than they must", function()
    write { ["r.lua"] = "function after_plan(plan) plan.entries[#plan.entries + 1] = { path = '/mine', target = 'x' } end" }
    local out = good "--dry-run --recipe r.lua oci:layout out/x"
    assert.is_truthy(out:find("\n  symlink  - 0:0         /mine -> x  (after_plan, by r: asked for)\n", 1, true), out)
    good "-q --recipe r.lua oci:layout out/x"
    assert.equal("x", tree().mine.target)
  end)

  local function fails(code, message, text)
    it("that fail leave the older image as it was: " .. message, function()
      write { ["r.lua"] = text, ["out/x"] = "older" }
      local got = pull "-q --recipe r.lua oci:layout out/x"
      assert.same({ out = "", err = "banger-lua: " .. message .. "\n", code = code }, got)
      assert.equal("older", sh.read_file(scratch:path "out/x"))
      assert.is_true(files "x")
    end)
  end
  fails(1, "r.lua:2: no good", "function after_mkext4()\n error 'no good'\nend")
  fails(1, "r.lua:2: no good", "function after_resolve()\n error 'no good'\nend")
  fails(1, "r.lua:2: no good", "function before_mkext4()\n error 'no good'\nend")
  fails(7, "r.lua:2: full", "function after_mkext4()\n banger.error('no_space', 'full')\nend")
  fails(2, "r.lua:2: debugfs: out/x: debugfs command 1 (set_inode_field /nosuch mode 0): /nosuch: File not found by ext2_lookup",
    "\ndebugfs = { { 'set_inode_field', '/nosuch', 'mode', '0' } }")
  fails(1, "r.lua:1: debugfs: out/x: debugfs command 1 (nosuchcommand): not a command of debugfs that a batch can run",
    "debugfs = { { 'nosuchcommand' } }")
  fails(1, "r.lua:1: attempt to perform arithmetic on a nil value (local 'rootfs')", "function after_mkext4(_, _, rootfs) return rootfs + 1 end")
  fails(2, "init /nope of the recipe r: there is no program /nope in the image; auto finds out what there is", "init = '/nope'")
  fails(1, "r.lua:2: after_plan: entry 1 is a string, not a table", "\nfunction after_plan(plan) plan.entries = { 'x' } end")
  fails(1, "r.lua:2: after_plan: entry 1 has no path", "\nfunction after_plan(plan) plan.entries = { { content = 'x' } } end")
  fails(1, "r.lua:1: after_plan: /x: mode: an integer expected, not a string",
    "function after_plan(plan) plan.entries[2] = { path = '/x', content = 'x', mode = '0644' } end")
  fails(1, "r.lua:1: after_plan: /x: 'contents' is no field of an entry; did you mean 'content'?",
    "function after_plan(plan) plan.entries[1] = { path = '/x', contents = 'x' } end")
  fails(1, "r.lua:1: after_plan: its entries are a nil, not a list", "function after_plan(plan) plan.entries = nil end")

  for _, hook in ipairs { "after_flatten", "after_mkext4" } do
    it("are ended by a signal, and nothing is left: " .. hook, function()
      write { ["r.lua"] = ("function %s()\n local f = io.open('ready', 'w') f:close() while true do end\nend"):format(hook), ["out/x"] = "older" }
      local _, code = sh.run(([[cd %s; rm -f ready; %s pull -q --recipe r.lua oci:layout out/x 2>err & pid=$!
        while ! [ -e ready ] && kill -0 $pid; do sleep 0.05; done; kill -TERM $pid; wait $pid]]):format(sh.quote(scratch.dir), sh.quote(banger)))
      assert.same({ 143, "older" }, { code, sh.read_file(scratch:path "out/x") })
      assert.is_true(files "x")
    end)
  end

  it("do not put a file in the place of what is none", function()
    write { ["r.lua"] = "function after_mkext4() end" }
    sh.check(("cd %s && mkfifo out/pipe && mkdir out/dir && ln -s nowhere out/link"):format(sh.quote(scratch.dir)))
    for name, message in pairs {
      pipe = "out/pipe is not a regular file", dir = "out/dir is a directory; name a file in it",
      link = "out/link is a symbolic link that leads nowhere",
    } do
      local got = pull("-q --recipe r.lua oci:layout out/" .. name)
      assert.same({ "", 1 }, { got.out, got.code })
      assert.matches(message, got.err:gsub("/[^ ]*/out/", "out/"), 1, true)
    end
    assert.is_true(files "dir link pipe")
  end)

  it("that spoil the image leave nothing, and the message names the output", function()
    write { ["r.lua"] = "function after_mkext4(path) io.open(path, 'w'):close() end", ["s.lua"] = "function after_mkext4(path) os.remove(path) end" }
    refused(1, "out/x: not an ext4 image: it has only 0 bytes", "--recipe r.lua oci:layout out/x")
    refused(2, "open out/x: No such file or directory", "--recipe s.lua oci:layout out/x")
    local got = pull "--recipe r.lua --size 64K oci:layout out/x"
    assert.same({ "", 7 }, { got.out, got.code })
    assert.matches("^banger%-lua: out/x: the image needs at least %d+ bytes", got.err)
    assert.is_true(files "")
  end)

  it("replace the file that a link leads to", function()
    write { ["r.lua"] = "function after_mkext4() end", ["out/real"] = "older" }
    sh.check(("cd %s && ln -s real out/link"):format(sh.quote(scratch.dir)))
    assert.matches("\npath     out/link\n", "\n" .. good "--recipe r.lua oci:layout out/link")
    assert.equal("real\n", sh.check("readlink " .. scratch:path "out/link"))
    assert.is_not_nil(tree "real"["etc/hostname"])
  end)
end)
