-- Files that are written on this machine: whole or not at all, and what is said when they cannot be.
package.path = "tests/?.lua;" .. package.path
local banger = require "banger"
local need = require "support.need"
local output = require "banger.output"
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
  return { problem.code, (problem.message:gsub(scratch.dir:gsub("%p", "%%%0"), "D")) }
end

local function names()
  return sh.check("ls -A " .. sh.quote(scratch.dir))
end

describe("a file", function()
  it("is new, with the mode that the umask leaves", function()
    local path = scratch:path "f"
    sh.check(("umask 027; %s -e %s"):format(sh.banger(), sh.quote(("require 'banger.output'.write(%q, 'a\\0b\\n')"):format(path))))
    assert.equal("a\0b\n", sh.read_file(path))
    assert.equal("640\n", sh.check("stat -c %a " .. sh.quote(path)))
  end)

  it("takes the place of another, and links stay", function()
    sh.check(("cd %s && echo older, and longer >f && ln -s f l && ln f h"):format(sh.quote(scratch.dir)))
    output.write(scratch:path "l", "new\n")
    assert.same({ "new\n", "older, and longer\n" }, { sh.read_file(scratch:path "f"), sh.read_file(scratch:path "h") })
    assert.equal("f\n", sh.check("readlink " .. sh.quote(scratch:path "l")))
    assert.equal("f\nh\nl\n", names())
  end)

  it("may be empty", function()
    output.write(scratch:path "f", "")
    assert.equal("", sh.read_file(scratch:path "f"))
  end)

  it("may be a pipe", function()
    local pipe, got = scratch:path "p", scratch:path "got"
    local code = ("require 'banger.output'.write(%q, 'through\\n')"):format(pipe)
    sh.check(("mkfifo %s; timeout 60 cat %s >%s & timeout 60 %s -e %s; wait"):format(pipe, pipe, got, sh.banger(), sh.quote(code)))
    assert.equal("through\n", sh.read_file(got))
    assert.equal("fifo", banger.host.stat(pipe).type)
  end)

  it("cannot be where something else is, or nothing", function()
    sh.check(("cd %s && mkdir d && ln -s nowhere/x dangling && echo f >f"):format(sh.quote(scratch.dir)))
    for name, problem in pairs {
      d = { "usage", "output D/d is a directory; name a file in it" },
      ["new/"] = { "usage", "output D/new/ is a directory; name a file in it" },
      ["no/f"] = { "usage", "cannot write output D/no/f: No such file or directory" },
      ["f/f"] = { "usage", "cannot write output D/f/f: Not a directory" },
      dangling = { "usage", "output D/dangling is a symbolic link that leads nowhere" },
    } do
      assert.same(problem, problem_of(output.write, scratch:path(name), "x"))
    end
    assert.same({ "usage", "the output path is empty" }, problem_of(output.write, "", "x"))
    assert.same({ "usage", "f\\x00g: no path has a zero byte" }, problem_of(banger.host.publish, "f\0g", "x"))
    assert.equal("d\ndangling\nf\n", names())
  end)

  it("of a device that is full is told of by its name", function()
    assert.same({ "no_space", "write /dev/full: No space left on device" }, problem_of(output.write, "/dev/full", "x"))
  end)
end)

describe("what functions of io give", function()
  it("is passed on, or raised", function()
    local path = scratch:path "f"
    local file <close> = output.check(path, io.open(path, "w"))
    assert.equal("file", io.type(file))
    for directory, problem in pairs {
      [""] = { "io", "write D/: Is a directory" },
      ["no/f"] = { "io", "write D/no/f: No such file or directory" },
    } do
      local at = scratch:path(directory)
      assert.same(problem, problem_of(function() output.check(at, io.open(at, "w")) end))
    end
    local full <close> = io.open("/dev/full", "w")
    assert.same({ "no_space", "write x: No space left on device" }, problem_of(function() output.check("x", full:write(("x"):rep(99999))) end))
  end)
end)

-- A disk of some kilobytes and inodes at D, which holds `older`; what is left there afterwards, and what was said.
local function on_full_disk(options, command)
  local got, code = sh.run(("unshare -m sh -c %s 2>&1"):format(sh.quote(([[
    mount -t tmpfs -o %s none %s && cd %s && echo older >older || exit 99
    export TMPDIR=$PWD
    (%s); code=$?
    find . -mindepth 1 | sort; cat older; exit $code]]):format(options, scratch.dir, scratch.dir, command))))
  return { (got:gsub(scratch.dir:gsub("%p", "%%%0"), "D")):gsub("banger%-edit%.%w+", "E"), code }
end

describe("on a full disk nothing is left, and 7 is the status:", function()
  local path, elsewhere

  setup(function()
    elsewhere = sh.scratch()
    path = elsewhere:path "x.ext4"
    local rootfs <close> = banger.rootfs { near = path }
    local entries = { { path = "/big", type = "file", content = ("x"):rep(300000) }, { path = "/d", type = "dir" } }
    for i = 1, 30 do
      entries[#entries + 1] = { path = ("/d/%d"):format(i), type = "file", content = "" }
    end
    banger.inject(rootfs, entries)
    banger.mkext4(rootfs, path)
  end)

  teardown(function()
    elsewhere:remove()
  end)

  local SMALL = "size=64k"
  for name, case in pairs {
    ["extract, for want of blocks"] = { SMALL, "extract IMAGE /big x", "write /big: No space left on device" },
    ["extract, for want of inodes"] = { "nr_inodes=12", "extract IMAGE /d x", "write /d/%d+: No space left on device" },
    ["report"] = { "size=8k", "report IMAGE -o older.html", "write older.html: No space left on device" },
    ["edit"] = { SMALL, "edit --editor true IMAGE /big", "write D/E/big: No space left on device" },
    ["help --output"] = { SMALL, "help --output share", "write share/.-: No space left on device" },
  } do
    it(name, function()
      local reason = need.namespace()
      if reason then return pending(reason) end
      local got, code = table.unpack(on_full_disk(case[1], ("%s %s"):format(sh.banger(), case[2]:gsub("IMAGE", path))))
      got = got:gsub("%./share%S*\n", "")
      assert.matches("^banger%-lua: " .. case[3] .. "\n%./older\nolder\n$", got)
      assert.equal(7, code)
    end)
  end
end)
