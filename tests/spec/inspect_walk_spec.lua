-- A walk that goes no deeper than it is told, and what a stat says since there are layers:
-- in a rootfs and in an image.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local engine = require "support.engine"
local sh = require "support.sh"
local tar = require "support.tar"

local scratch, rootfs, image
setup(function()
  scratch = sh.scratch()
  local path = scratch:path "i.ext4"
  local layers = { { tar.dir "a/", tar.file("a/b/c/d", "1"), tar.hardlink("a/x", "a/b/c/d") }, { tar.file("a/y", "2"), tar.file("z", "") } }
  engine.image(path, nil, table.unpack(layers))
  rootfs, image = engine.rootfs(path, table.unpack(layers)), banger.open(path)
end)
teardown(function()
  rootfs:close()
  image:close()
  scratch:remove()
end)

local function both(act)
  act(rootfs)
  act(image)
end

local function walk(tree, ...)
  local paths = {}
  for path in tree:walk(...) do
    if path ~= "/lost+found" then paths[#paths + 1] = path end
  end
  return paths
end

describe("a walk", function()
  it("goes as deep as it is told", function()
    both(function(tree)
      assert.same({ "/" }, walk(tree, "/", { depth = 0 }))
      assert.same({ "/", "/a", "/z" }, walk(tree, "/", { depth = 1 }))
      assert.same({ "/", "/a", "/a/b", "/a/x", "/a/y", "/z" }, walk(tree, nil, { depth = 2 }))
      assert.same({ "/a", "/a/b", "/a/x", "/a/y" }, walk(tree, "/a", { depth = 1 }))
      assert.same({ "/z" }, walk(tree, "/z", { depth = 1 }))
      for _, options in ipairs { {}, { depth = 4 }, { depth = 1 << 40 } } do
        assert.same({ "/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/a/x", "/a/y", "/z" }, walk(tree, "/", options))
      end
    end)
  end)

  it("takes numbers of levels only", function()
    both(function(tree)
      for _, depth in ipairs { -1, 0.5, "much", false } do
        local ok, message = pcall(tree.walk, tree, "/", { depth = depth })
        assert.is_false(ok)
        assert.matches("'depth' must be a number of levels", message, 1, true)
      end
      assert.matches("table expected, got number", select(2, pcall(tree.walk, tree, "/", 3)), 1, true)
    end)
  end)
end)

describe("a stat", function()
  it("tells which names are of one file", function()
    both(function(tree)
      assert.equal(tree:stat "/a/x".id, tree:stat "/a/b/c/d".id)
      assert.not_equal(tree:stat "/a/y".id, tree:stat "/a/b/c/d".id)
    end)
  end)

  it("tells which layer a name of a rootfs is from", function()
    assert.same({ 1, 1, 2, 2 }, { rootfs:stat "/a/x".layer, rootfs:stat "/a/b".layer, rootfs:stat "/a/y".layer, rootfs:stat "/z".layer })
    assert.is_nil(image:stat "/z".layer)
  end)
end)

describe("files of this machine", function()
  local host = banger.host

  it("are made where nothing is", function()
    local dir = host.make_temp_dir(scratch:path "t.")
    assert.matches("/t%.......$", dir)
    assert.equal("700\n", sh.check("stat -c %a " .. dir))
    host.make_dir(dir .. "/d")
    host.make_symlink("no where", dir .. "/l")
    sh.write_file(dir .. "/f", "1")
    host.make_hardlink(dir .. "/f", dir .. "/g")
    host.make_hardlink(dir .. "/l", dir .. "/m")
    assert.equal("d directory 700 2\nf regular file 644 2\ng regular file 644 2\nl symbolic link 777 2\nm symbolic link 777 2\n",
      sh.check(("chmod 644 %s/f; cd %s && stat -c '%%n %%F %%a %%h' *"):format(dir, dir)))
    for _, case in ipairs {
      { host.make_dir, dir .. "/d", "make the directory %s/d: File exists" },
      { host.make_dir, dir .. "/n/d", "make the directory %s/n/d: No such file or directory" },
      { host.make_symlink, "x", dir .. "/f", "make the link %s/f: File exists" },
      { host.make_hardlink, dir .. "/f", dir .. "/d", "make the hard link %s/d: File exists" },
      { host.make_hardlink, dir .. "/n", dir .. "/o", "make the hard link %s/o: No such file or directory" },
      { host.make_temp_dir, dir .. "/n/", "make a temporary directory %s/n/: No such file or directory" },
    } do
      local message = table.remove(case)
      local ok, problem = pcall(table.unpack(case))
      assert.same({ false, message:format(dir) }, { ok, tostring(problem) })
    end
  end)

  it("get the attributes that are given, and links their own", function()
    local path, link = scratch:path "attributes", scratch:path "attributes-link"
    sh.write_file(path, "1")
    host.make_symlink(path, link)
    host.set_attributes(path, { mode = tonumber("4711", 8), mtime = 1577934245, mtime_nsec = 5 })
    host.set_attributes(link, { mtime = -1 })
    assert.equal("4711 1577934245\n", sh.check("stat -c '%a %Y' " .. path))
    assert.equal("-1\n", sh.check("stat -c %Y " .. link))
    host.set_attributes(path, {})
    assert.equal("4711 1577934245\n", sh.check("stat -c '%a %Y' " .. path))
    local ok, problem = pcall(host.set_attributes, "/none", { mode = 0 })
    assert.same({ false, "set the mode of /none: No such file or directory" }, { ok, tostring(problem) })
  end)

  it("get a name that nothing has, or none", function()
    local a, b = scratch:path "place-a", scratch:path "place-b"
    sh.write_file(a, "a")
    assert.is_true(host.place(a, b))
    sh.write_file(a, "new")
    assert.is_false(host.place(a, b))
    assert.same({ "new", "a" }, { sh.read_file(a), sh.read_file(b) })
    assert.is_false(host.place(a, scratch.dir))
    assert.same("rename to /none/x: No such file or directory", tostring(select(2, pcall(host.place, a, "/none/x"))))
  end)
end)
