-- The image recipes that are built in, on images of a distribution that then boot.
-- PostgreSQL's is in postgres_spec.lua.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local distro = require "boot.distro"
local image = require "support.image"
local need = require "support.need"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

-- Boots what pull makes of an image with a recipe; skipped where that cannot be done here.
local function it_boots(name, what, programs, act)
  it(what, function()
    local path = scratch:fresh ".ext4"
    local reason = distro.reason() or need.program(table.unpack(programs)) or select(2, distro.layout(name))
    if reason then return pending(reason) end
    act(path, function(options)
      assert(distro.pull(name, path, options))
    end)
    distro.assert_clean(path)
  end)
end

local function read(path, name)
  local tree <close> = banger.open(path)
  return tree:read(name, { size = 65536 })
end

describe("the recipe nginx", function()
  it_boots("nginx", "serves a folder of this machine, on the port that is asked for", { "curl" }, function(path, pull)
    local site, page = scratch:fresh ".site", scratch:fresh ".page"
    sh.check("mkdir -p " .. site .. "/sub")
    sh.write_file(site .. "/sub/page.html", "from this machine\n")
    pull(("--recipe nginx -D site=%s -D port=8080 --free 32M"):format(site))
    local port = distro.free_port()
    local result = distro.boot("recipe-nginx", path, {
      forward = { port, 8080 },
      steps = {
        { ("curl -sf -m 5 -o %s http://127.0.0.1:%d/sub/page.html"):format(page, port), check = true,
          act = "tell 'sendkey ctrl-alt-delete'" },
      },
    })
    assert.are.equal("from this machine\n", sh.read_file(page), result.out)
    assert.are.equal("exit=0 signal=0 oom=0", result.exit, result.out)
    assert.are.equal("nginx\n", read(path, "/etc/hostname"))
  end)
end)

describe("the recipe ssh", function()
  it_boots("ssh", "lets in who has the key, with host keys of the machine's own", { "ssh", "ssh-keygen" }, function(path, pull)
    local key, answer = scratch:fresh ".key", scratch:fresh ".answer"
    sh.check(("ssh-keygen -q -t ed25519 -N '' -f %s"):format(key))
    pull(("--recipe ssh -D key=%s.pub --hostname vm --free 32M"):format(key))
    local tree = image.read(path)
    for name in pairs(tree) do assert.is_nil(name:match "^etc/ssh/ssh_host_") end
    local port = distro.free_port()
    local ssh = ("ssh -i %s -p %d -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o ConnectTimeout=5")
      :format(key, port)
    local result = distro.boot("recipe-ssh", path, {
      forward = { port, 22 },
      steps = {
        { "login: " },
        { ("%s root@127.0.0.1 'hostname; id -un; sync' >%s 2>%s.err"):format(ssh, answer, answer), check = true,
          act = "tell 'sendkey ctrl-alt-delete'" },
      },
    })
    assert.are.equal("vm\nroot\n", sh.read_file(answer), result.out)
    assert.is_truthy(read(path, "/etc/ssh/ssh_host_ed25519_key"):find "OPENSSH PRIVATE KEY")
  end)
end)

describe("the recipe systemd", function()
  it_boots("systemd", "logs root in on the console, with the network by DHCP", {}, function(path, pull)
    local recipe = scratch:fresh ".lua"
    -- What the shell says is not what was typed: the sum is.
    sh.write_file(recipe, [[
      use = "systemd"
      inject = { ["/root/.bash_profile"] = "until networkctl list --no-legend eth0 | grep -q 'routable *configured'; do sleep 0.2; done\n"
        .. "echo in as $(id -un), $((40 + 2)) on $(hostname -I)\nsync\n" }
    ]])
    pull(("--recipe %s -D autologin=true --hostname vm --free 64M"):format(recipe))
    local result = distro.boot("recipe-systemd", path, {
      network = "dhcp",
      steps = { { "in as root", act = "tell 'sendkey ctrl-alt-delete'" } },
    })
    distro.assert_console("in as root, 42 on 10.0.2.15", result)
  end)
end)

describe("the recipe openrc", function()
  it_boots("openrc", "starts the services that are asked for", {}, function(path, pull)
    local recipe = scratch:fresh ".lua"
    sh.write_file(recipe, [[
      use = "openrc"
      inject = { ["/etc/init.d/hello"] = { mode = "0755",
        content = "#!/sbin/openrc-run\nstart() {\n\tebegin \"The sum is $((40 + 2))\"\n\teend 0\n}\n" } }
    ]])
    local refused, code = sh.run(("%s pull -q --progress none --recipe openrc -D services=hello %s %s 2>&1"):format(
      sh.quote(sh.banger()), distro.layout "openrc", path))
    assert.are.equal("banger-lua: recipes/images/openrc.lua:18: the image has no service 'hello': there is no /etc/init.d/hello\n", refused)
    assert.are.equal(1, code)
    pull(("--recipe %s -D services=mount-ro --free 32M"):format(recipe))
    assert.are.equal("/etc/init.d/mount-ro", image.read(path)["etc/runlevels/default/mount-ro"].target)
    banger.inject(path, { { path = "/etc/runlevels/default/hello", type = "symlink", target = "/etc/init.d/hello" } })
    local result = distro.boot("recipe-openrc", path, {
      steps = { { "The sum is" }, { "login: ", act = "tell 'sendkey ctrl-alt-delete'" } },
    })
    distro.assert_console("The sum is 42", result)
  end)
end)

describe("the recipe overlay-root", function()
  local COUNT = [[
    description = "Counts the boots in a file"
    command = { "/bin/sh", "-c", "echo boot >>/srv/count; echo boots: $(grep -c boot /srv/count); sync" }
    init = "banger"
  ]]

  it_boots("merged", "leaves the image as it is, and writes are gone at the end", {}, function(path, pull)
    local recipe = scratch:fresh ".lua"
    sh.write_file(recipe, COUNT)
    pull(("--recipe %s --recipe overlay-root"):format(recipe))
    local before = sh.sha256(path)
    for i = 1, 2 do
      local result = distro.boot("recipe-overlay-" .. i, path, {})
      distro.assert_console("boots: 1\n", result)
      assert.are.equal("exit=0 signal=0 oom=0", result.exit, result.out)
    end
    assert.are.equal(before, sh.sha256(path))
  end)

  it_boots("merged", "keeps them on a disk, where there is one", {}, function(path, pull)
    local recipe, disk = scratch:fresh ".lua", scratch:fresh ".disk"
    sh.write_file(recipe, COUNT)
    sh.check(("truncate -s 64M %s && PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 %s"):format(disk, disk))
    pull(("--recipe %s --recipe overlay-root -D writes=/dev/vdb"):format(recipe))
    local before = sh.sha256(path)
    for i = 1, 2 do
      local result = distro.boot("recipe-overlay-disk-" .. i, path, { disks = { disk } })
      distro.assert_console(("boots: %d\n"):format(i), result)
    end
    assert.are.equal(before, sh.sha256(path))
    distro.assert_clean(disk)
  end)
end)

describe("the recipe slim", function()
  it_boots("merged", "drops manuals and translations, and what is left runs", {}, function(path, pull)
    local recipe = scratch:fresh ".lua"
    sh.write_file(recipe, [[
      function after_flatten(rootfs)
        local function file(path) return { path = path, content = ("x"):rep(100000) } end
        banger.inject(rootfs, {
          file "/usr/share/man/man1/a.1", file "/usr/share/doc/a/copyright", file "/usr/share/doc/a/README",
          file "/usr/share/locale/de/a.mo", file "/usr/share/locale/en_GB/a.mo", file "/usr/share/locale/locale.alias",
          file "/var/cache/apt/pkgcache.bin", file "/var/log/dpkg.log", file "/var/log/journal/keep",
        })
      end
    ]])
    pull(("--recipe %s --recipe slim --free 16M"):format(recipe))
    local tree = image.read(path)
    local function has(...)
      local list = {}
      for i, name in ipairs { ... } do list[i] = tree[name] ~= nil end
      return list
    end
    assert.are.same({ false, false, false, false, false }, has("usr/share/man/man1", "usr/share/doc/a/README", "usr/share/locale/de",
      "var/cache/apt/pkgcache.bin", "var/log/dpkg.log"))
    assert.are.same({ true, true, true, true }, has("usr/share/doc/a/copyright", "usr/share/locale/en_GB/a.mo",
      "usr/share/locale/locale.alias", "var/log/journal/keep"))
    local result = distro.boot("recipe-slim", path, {})
    distro.assert_console("bash /bin/bash on Linux", result)
  end)
end)
