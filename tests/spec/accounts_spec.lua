-- The accounts of an image, as texts.
local accounts = require "banger.accounts"

local PASSWD = "root:x:0:0:root:/root:/bin/bash\nweb:x:33:34:www:/srv:/sbin/nologin\n"
local GROUP = "root:x:0:\nwww:x:34:\nsudo:x:27:web\n"
local SHADOW = "root:*:19000:0:99999:7:::\nweb:!:19000::::::\n"

local function image(changes)
  local texts = { passwd = PASSWD, group = GROUP, shadow = SHADOW }
  for name, text in pairs(changes or {}) do
    texts[name] = text or nil
  end
  return accounts.new(texts)
end

local function added(user, changes, shell)
  local known = image(changes)
  local account, message = known:add(user, shell)
  assert(account, message)
  return known:texts(), account
end

describe("names", function()
  it("are those of the ids, the first of several", function()
    local known = image { passwd = PASSWD .. "toor:x:0:0:::\n:x:5:5:::\nbad:x:y:5:::\nend:x:9", group = false }
    assert.same({ [0] = "root", [33] = "web", [9] = "end" }, known:names "passwd")
    assert.same({}, known:names "group")
    assert.same({ [0] = "root", [34] = "www", [27] = "sudo" }, image():names "group")
  end)

  it("are of ids that can be", function()
    assert.same({ [4294967295] = "max" }, image { passwd = ("over:x:4294967296:0:::\nlong:x:%s:0:::\nmax:x:4294967295:0:::\n"):format(
      ("1"):rep(30)) }:names "passwd")
  end)
end)

describe("an owner", function()
  local cases = {
    ["web"] = { 33, 34 },
    ["web:sudo"] = { 33, 27 },
    ["web:0"] = { 33, 0 },
    ["33"] = { 33, 0 },
    ["1000:1000"] = { 1000, 1000 },
    ["0:www"] = { 0, 34 },
    ["4294967295"] = { 4294967295, 0 },
  }
  for text, ids in pairs(cases) do
    it(text .. " is known", function()
      assert.same(ids, { image():owner(text) })
    end)
  end

  local refused = {
    ["nobody"] = "the image has no user 'nobody'",
    ["web:nobody"] = "the image has no group 'nobody'",
    ["4294967296"] = "the image has no user '4294967296'",
    [("9"):rep(30)] = "the image has no user '" .. ("9"):rep(30) .. "'",
    ["0:-1"] = "the image has no group '-1'",
  }
  for text, message in pairs(refused) do
    it(text .. " is refused", function()
      assert.same({ nil, message }, { image():owner(text) })
    end)
  end

  it("of an account whose number is none is refused", function()
    local known = image { passwd = "web:x:" .. ("1"):rep(30) .. ":1::/:/bin/sh\nfoo:x\nbar:x:0x10:1::/:\n" }
    for _, name in ipairs { "web", "foo", "bar" } do
      assert.same({ nil, ("the image has no user '%s'"):format(name) }, { known:owner(name) })
    end
  end)

  it("is found by its whole name only", function()
    local known = image { passwd = "we.b:x:7:7:::\nwebmaster:x:8:8:::\n" }
    assert.same({ nil, "the image has no user 'web'" }, { known:owner "web" })
    assert.same({ nil, "the image has no user 'we-b'" }, { known:owner "we-b" })
    assert.same({ 7, 7 }, { known:owner "we.b" })
  end)
end)

it("root is 0, in an image without accounts too", function()
  local none = image { passwd = false, group = false }
  assert.same({ 0, 0 }, { none:owner "root" })
  assert.same({ 0, 0 }, { none:owner "root:root" })
  assert.same({ nil, "the image has no group 'web'" }, { none:owner "root:web" })
end)

describe("a new user", function()
  it("has an id and a group of its own from 1000 on, and no password", function()
    local texts, account = added({ name = "dev" }, nil, "/bin/zsh")
    assert.equal(PASSWD .. "dev:x:1000:1000::/home/dev:/bin/zsh\n", texts.passwd)
    assert.equal(GROUP .. "dev:x:1000:\n", texts.group)
    assert.equal(SHADOW .. "dev:*:::::::\n", texts.shadow)
    assert.same({ name = "dev", uid = 1000, gid = 1000, home = "/home/dev", shell = "/bin/zsh" }, account)
  end)

  it("is as the recipe says", function()
    local texts = added {
      name = "dev", uid = 2000, gid = 34, home = "/srv/dev", shell = "/bin/sh", comment = "A dev", password = "$6$x$y", groups = { "sudo" },
    }
    assert.equal(PASSWD .. "dev:x:2000:34:A dev:/srv/dev:/bin/sh\n", texts.passwd)
    assert.equal("root:x:0:\nwww:x:34:\nsudo:x:27:web,dev\n", texts.group)
    assert.equal(SHADOW .. "dev:$6$x$y:::::::\n", texts.shadow)
  end)

  it("gets a number that neither a user nor a group has", function()
    local texts = added({ name = "dev" }, { passwd = PASSWD .. "a:x:1000:1::/:/\n", group = GROUP .. "b:x:1001:\n" })
    assert.matches("\ndev:x:1002:1002::/home/dev:/bin/sh\n$", texts.passwd)
  end)

  it("gets the group of its name, where there is one of people", function()
    local texts = added({ name = "dev" }, { group = GROUP .. "dev:x:1500:\n" })
    assert.matches("\ndev:x:1000:1500::/home/dev:/bin/sh\n$", texts.passwd)
    assert.equal(GROUP .. "dev:x:1500:\n", texts.group)
  end)

  it("gets a group of the system's only when that is meant", function()
    local texts = added({ name = "sudo", gid = 27 })
    assert.matches("\nsudo:x:1000:27::/home/sudo:/bin/sh\n$", texts.passwd)
    assert.equal(GROUP, texts.group)
    assert.same({ nil, "the image has a group of that name, of the system's: say gid = 27 if it is meant, or another" },
      { image():add { name = "sudo" } })
  end)

  it("comes into an image that has no accounts", function()
    local texts = added({ name = "dev", password = "" }, { passwd = false, group = false, shadow = false })
    assert.same({ passwd = "dev:x:1000:1000::/home/dev:/bin/sh\n", group = "dev:x:1000:\n", shadow = "dev::::::::\n" }, texts)
  end)

  it("that is root is 0 and at home in /root", function()
    local texts = added({ name = "root" }, { passwd = false, group = false, shadow = false })
    assert.same({ passwd = "root:x:0:0::/root:/bin/sh\n", group = "root:x:0:\n", shadow = "root:*:::::::\n" }, texts)
  end)

  local function refused(message, user, changes)
    it("is refused: " .. message, function()
      assert.same({ nil, message }, { image(changes):add(user) })
    end)
  end

  refused("the image has no group 'docker'", { name = "dev", groups = { "sudo", "docker" } })
  refused("the uid 33 is that of 'web' in the image", { name = "dev", uid = 33 })
  refused("the uid 0 is that of 'root' in the image", { name = "toor", uid = 0 })
  refused("the group 99 is nobody's, and the image's group 'sudo' is another", { name = "sudo", gid = 99 })
  refused("/etc/group is malformed: 'sudo:x'", { name = "dev", groups = { "sudo" } }, { group = "sudo:x\n" })
  refused("/etc/group is malformed: 'sudo:x:one:'", { name = "dev", groups = { "sudo" } }, { group = "sudo:x:one:\n" })

  it("is refused when no number is free", function()
    local lines = {}
    for number = 1000, 59999 do
      lines[#lines + 1] = ("u%d:x:%d:0:::"):format(number, number)
    end
    assert.same({ nil, "no uid from 1000 to 59999 is free" }, { image { passwd = table.concat(lines, "\n") }:add { name = "dev" } })
  end)
end)

describe("a user that is there", function()
  it("keeps what is not said", function()
    local texts, account = added({ name = "web", shell = "/bin/sh" }, nil, "/bin/zsh")
    assert.equal("root:x:0:0:root:/root:/bin/bash\nweb:x:33:34:www:/srv:/bin/sh\n", texts.passwd)
    assert.same({ GROUP, SHADOW }, { texts.group, texts.shadow })
    assert.same({ name = "web", uid = 33, gid = 34, home = "/srv", shell = "/bin/sh" }, account)
  end)

  it("does not get the shell of new ones", function()
    assert.equal(PASSWD, added({ name = "root" }, nil, "/bin/zsh").passwd)
  end)

  it("gets a password that counts", function()
    local texts = added({ name = "root", password = "$6$s$h" }, { passwd = "root::0:0:root:/root:/bin/sh\n", shadow = false })
    assert.equal("root:x:0:0:root:/root:/bin/sh\n", texts.passwd)
    assert.equal("root:$6$s$h:::::::\n", texts.shadow)
  end)

  it("keeps how old its password may be", function()
    local texts = added { name = "web", password = "$6$s$h" }
    assert.equal("root:*:19000:0:99999:7:::\nweb:$6$s$h:19000::::::\n", texts.shadow)
  end)

  it("joins a group once", function()
    local texts = added { name = "web", groups = { "sudo", "www", "www" } }
    assert.equal("root:x:0:\nwww:x:34:web\nsudo:x:27:web\n", texts.group)
  end)

  it("may share a number that it has already", function()
    local passwd = "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n"
    assert.matches("\ntoor:x:0:0::/root:/bin/zsh\n$", added({ name = "toor", shell = "/bin/zsh" }, { passwd = passwd }).passwd)
  end)

  it("whose line is cut short is made whole, if it has numbers", function()
    assert.equal("web:x:33:34:::/bin/zsh\n", added({ name = "web", shell = "/bin/zsh" }, { passwd = "web:x:33:34\n" }).passwd)
  end)

  for _, line in ipairs { "web:", "web:x:33", "web:x::", "web:x:-1:0::/:/bin/sh", "web:x:" .. ("7"):rep(30) .. ":0::/:/bin/sh" } do
    it("is refused as " .. line, function()
      assert.same({ nil, "/etc/passwd is malformed: '" .. line .. "'" }, { image { passwd = line .. "\n" }:add { name = "web" } })
    end)
  end
end)

describe("what is not understood", function()
  it("stays as it is", function()
    local odd = "# a comment\n\nno colons\n:x:0:0:::\n+::::::\n\xff\xfe:x:1:1:::\r\n" .. ("1"):rep(30) .. ":x:" .. ("2"):rep(30) .. ":3:::\n"
    local texts = added({ name = "dev" }, { passwd = odd, group = odd, shadow = odd })
    assert.equal(odd .. "dev:x:1000:1000::/home/dev:/bin/sh\n", texts.passwd)
    assert.equal(odd .. "dev:x:1000:\n", texts.group)
    assert.equal(odd .. "dev:*:::::::\n", texts.shadow)
  end)

  it("stays when nothing is changed, but for the newline at the end", function()
    for given, expected in pairs { [""] = "", ["a"] = "a\n", ["a\n\n"] = "a\n\n", ["\n"] = "\n" } do
      assert.equal(expected, image { passwd = given }:texts().passwd)
    end
  end)
end)

describe("a public key", function()
  local good = {
    "ssh-ed25519 AAAAC3Nz",
    "ssh-rsa AAAAB3Nz+/== me@host and more",
    "ecdsa-sha2-nistp256\tAAAAE2Vj me",
    "sk-ssh-ed25519@openssh.com AAAAGnNr me\n",
    'from="10.0.0.0/8",no-pty ssh-ed25519 AAAAC3Nz me',
    'command="echo \\"a b\\"" ssh-ed25519 AAAAC3Nz',
  }
  for _, text in ipairs(good) do
    it("is " .. text:gsub("%c", " "), function()
      assert.is_true(accounts.is_key(text))
    end)
  end

  local bad = {
    "", "ssh-ed25519", "ssh-ed25519 ", "ssh-ed25519 BBBB me", "ssh-ed25519 AAAA*", "~/.ssh/id_ed25519.pub", "/ssh-keys AAAA",
    "-----BEGIN OPENSSH PRIVATE KEY-----", 'command="ssh-ed25519 AAAAC3Nz', "ssh-ed25519 AAAAC3Nz\nssh-ed25519 AAAAC3Nz", "x y ssh-rsa AAAA",
  }
  for _, text in ipairs(bad) do
    it("is not '" .. text:gsub("%c", " ") .. "'", function()
      assert.is_false(accounts.is_key(text))
    end)
  end
end)
