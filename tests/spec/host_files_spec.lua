-- What the host says of files, and how a whole one gets its name.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local core = require "banger.core"
local sh = require "support.sh"

local scratch

before_each(function()
  scratch = sh.scratch()
end)

after_each(function()
  scratch:remove()
end)

local function problem_of(act, ...)
  local ok, problem = pcall(act, ...)
  assert(not ok, "nothing was raised")
  assert(banger.is_error(problem), tostring(problem))
  return { problem.code, (problem.message:gsub(scratch.dir:gsub("%p", "%%%0"), "")) }
end

describe("lstat", function()
  it("tells a file, a directory, and what is special", function()
    sh.check(("cd %s && printf 12345 >f && chmod 4751 f && mkdir d && chmod 1777 d && mkfifo p && chmod 0 p"):format(sh.quote(scratch.dir)))
    local uid, gid = sh.check("stat -c '%u %g' " .. sh.quote(scratch:path "f")):match "(%d+) (%d+)"
    assert.same({ type = "file", size = 5, mode = tonumber("4751", 8), uid = tonumber(uid), gid = tonumber(gid) },
      banger.host.lstat(scratch:path "f"))
    local dir, pipe = banger.host.lstat(scratch:path "d"), banger.host.lstat(scratch:path "p")
    assert.same({ "dir", tonumber("1777", 8) }, { dir.type, dir.mode })
    assert.same({ "fifo", 0 }, { pipe.type, pipe.mode })
    assert.equal("char", banger.host.lstat("/dev/null").type)
  end)

  it("does not follow links, and reads them", function()
    local long = ("x/"):rep(2000) .. "y"
    sh.check(("cd %s && ln -s nowhere a && ln -s . b && ln -s loop loop && ln -s %s c && ln -s 'a b\nc' d"):format(sh.quote(scratch.dir), long))
    for name, target in pairs { a = "nowhere", b = ".", loop = "loop", c = long, d = "a b\nc" } do
      local st = banger.host.lstat(scratch:path(name))
      assert.same({ "symlink", target, #target }, { st.type, st.target, st.size })
    end
    assert.equal("dir", banger.host.lstat(scratch:path "b/").type)
  end)

  it("is nil where nothing can be", function()
    sh.write_file(scratch:path "f", "")
    for _, name in ipairs { "nothing", "f/x", "nothing/x", ("n"):rep(300) } do
      assert.is_nil(banger.host.lstat(scratch:path(name)))
    end
    assert.is_nil(banger.host.lstat "")
  end)

  it("wants a path", function()
    assert.has_error(function() banger.host.lstat() end, "bad argument #1 to 'lstat' (string expected, got no value)")
  end)
end)

describe("make_node", function()
  it("makes a pipe, and a device where that is allowed", function()
    assert.is_true(banger.host.make_node(scratch:path "p", "fifo"))
    assert.equal("fifo 600\n", sh.check("stat -c '%F %a' " .. sh.quote(scratch:path "p")))
    local allowed = select(2, sh.run(("mknod %s c 1 3 2>/dev/null"):format(sh.quote(scratch:path "probe")))) == 0
    local made, why = banger.host.make_node(scratch:path "null", "char", 1, 3)
    assert.same({ allowed, allowed and "none" or "Operation not permitted" }, { made, why or "none" })
    if allowed then
      assert.equal("character special file 1:3 600\n", sh.check("stat -c '%F %t:%T %a' " .. sh.quote(scratch:path "null")))
    end
  end)

  it("makes no other device than it is told", function()
    for _, number in ipairs { { 4096, 0 }, { 0, 1 << 20 }, { -1, 0 }, { 0, -1 }, { 1 << 32 | 1, 3 } } do
      assert.same({ false, "Invalid argument" }, { banger.host.make_node(scratch:path "x", "char", number[1], number[2]) })
    end
    assert.is_nil(banger.host.lstat(scratch:path "x"))
  end)

  it("replaces nothing, and wants a type", function()
    sh.check("ln -s nowhere " .. sh.quote(scratch:path "l"))
    assert.same({ "io", "make the node /l: File exists" }, problem_of(banger.host.make_node, scratch:path "l", "fifo"))
    assert.same({ "not_found", "make the node /none/p: No such file or directory" },
      problem_of(banger.host.make_node, scratch:path "none/p", "fifo"))
    assert.has_error(function() banger.host.make_node("x", "file") end, "bad argument #2 to 'make_node' (invalid option 'file')")
  end)
end)

describe("set_xattr", function()
  it("sets what getfattr reads, and follows no link", function()
    sh.check(("cd %s && touch f && ln -s f l"):format(sh.quote(scratch.dir)))
    assert.is_true(banger.host.set_xattr(scratch:path "f", "user.note", "a\0\xff"))
    assert.equal("user.note=0x6100ff\n\n", sh.check(("cd %s && getfattr -d -e hex f | grep -v '^#'"):format(sh.quote(scratch.dir))))
    assert.same({ false, "Operation not permitted" }, { banger.host.set_xattr(scratch:path "l", "user.note", "b") })
  end)

  it("says why not", function()
    sh.write_file(scratch:path "f", "")
    assert.same({ false, "Operation not supported" }, { banger.host.set_xattr(scratch:path "f", "none.such", "") })
    assert.same({ false, "Numerical result out of range" }, { banger.host.set_xattr(scratch:path "f", "user." .. ("x"):rep(300), "") })
    assert.same({ "not_found", "set an extended attribute of /none: No such file or directory" },
      problem_of(banger.host.set_xattr, scratch:path "none", "user.x", ""))
    assert.has_error(function() banger.host.set_xattr(scratch:path "f", "user.x\0y", "") end,
      "bad argument #2 to 'set_xattr' (a name without zero bytes expected)")
  end)
end)

describe("rename", function()
  it("gives a file a name, in place of the older one", function()
    sh.write_file(scratch:path "new", "new")
    sh.write_file(scratch:path "old", "old")
    banger.host.rename(scratch:path "new", scratch:path "old")
    assert.equal("new", sh.read_file(scratch:path "old"))
    assert.equal("old\n", sh.check("ls -A " .. sh.quote(scratch.dir)))
  end)

  it("works on names without a directory, and at the root of one", function()
    sh.write_file(scratch:path "a", "x")
    local script = "require 'banger'.host.rename('a', 'b') require 'banger'.host.rename('./b', 'c//d')"
    local own = sh.check("realpath " .. sh.quote(sh.banger())):gsub("\n$", "")
    sh.check(("cd %s && mkdir c && %s -e %s"):format(sh.quote(scratch.dir), sh.quote(own), sh.quote(script)))
    assert.equal("x", sh.read_file(scratch:path "c/d"))
  end)

  it("replaces a link itself", function()
    sh.write_file(scratch:path "new", "new")
    sh.write_file(scratch:path "real", "real")
    sh.check(("ln -s real %s"):format(sh.quote(scratch:path "link")))
    banger.host.rename(scratch:path "new", scratch:path "link")
    assert.same({ "real", "file" }, { sh.read_file(scratch:path "real"), banger.host.lstat(scratch:path "link").type })
  end)

  local function refused(name, from, to, code, message)
    it("is refused: " .. name, function()
      sh.check(("cd %s && printf new >new && mkdir dir && touch dir/x"):format(sh.quote(scratch.dir)))
      assert.same({ code, message }, problem_of(banger.host.rename, scratch:path(from), scratch:path(to)))
      assert.equal("new", sh.read_file(scratch:path "new"))
    end)
  end
  refused("no such file", "nothing", "x", "not_found", "sync /nothing: No such file or directory")
  refused("onto a directory", "new", "dir", "io", "rename /new to /dir: Is a directory")
  refused("into nothing", "new", "nothing/x", "not_found", "rename /new to /nothing/x: No such file or directory")
  refused("below a file", "new", "new/x", "io", "rename /new to /new/x: Not a directory")
end)

describe("resources", function()
  it("are all that is compiled in, each once", function()
    local found, twice = {}, {}
    for _, name in ipairs(core.resources()) do
      twice[#twice + 1] = found[name] and name
      found[name] = true
    end
    assert.same({}, twice)
    for name in sh.check("ls recipes/*.lua recipes/images/*.lua lua/banger/*.lua"):gmatch "[^\n]+" do
      local own = name:gsub("^lua/", "")
      assert.is_true(found[own], own)
      assert.equal(sh.read_file(name), core.resource(own))
    end
  end)

  it("are a table of one's own", function()
    core.resources()[1] = "changed"
    assert.not_equal("changed", core.resources()[1])
  end)
end)
