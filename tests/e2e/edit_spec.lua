-- banger-lua edit, where things go wrong: nothing that was typed is lost, nothing is typed in vain, and
-- what was there stays.
package.path = "tests/?.lua;" .. package.path
local engine = require "support.engine"
local need = require "support.need"
local sh = require "support.sh"
local tar = require "support.tar"
local terminal = require "support.terminal"

local SBIN = "PATH=$PATH:/usr/sbin:/sbin LC_ALL=C TZ=UTC "

local scratch, path, temp
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

before_each(function()
  path = scratch:fresh ".ext4"
  temp = scratch:fresh()
  sh.check("mkdir " .. temp)
  engine.image(path, { size = "min" }, { tar.dir "etc/", tar.file("etc/motd", "hello\n"), tar.file("etc/other", "1\n") })
end)

local function run(editor, image, file, ...)
  local err = scratch:fresh ".err"
  local out, code = sh.run(("TMPDIR=%s EDITOR=%s %s 2>%s </dev/null"):format(temp, sh.quote(editor),
    sh.line(sh.banger(), "edit", image or path, file or "/etc/motd", ...), err))
  return { out = out, code = code, err = sh.read_file(err) }
end

local function cat(file) return sh.check(sh.line(sh.banger(), "cat", path, file)) end

local function debugfs(command)
  return sh.check(SBIN .. sh.line("debugfs", "-w", "-R", command, path) .. " 2>/dev/null")
end

local function clean() return (sh.check(SBIN .. "e2fsck -fn " .. path .. " 2>&1")) end

-- The only file that was left in $TMPDIR is the one that the message names.
local function kept(err)
  local copy = assert(err:match "; what you typed is in (%S+)\n$", err)
  assert.equal(copy .. "\n", sh.check(("find %s -type f"):format(temp)))
  assert.equal("700\n600\n", sh.check(("stat -c %%a %s %s"):format(copy:match "^(.*)/", copy)))
  return sh.read_file(copy)
end

describe("what was typed", function()
  it("is kept where the image has no room for it", function()
    local got = run "f() { head -c 3000000 /dev/zero | tr '\\0' x >\"$1\"; }; f"
    assert.equal(7, got.code)
    assert.matches("^banger%-lua: %S+: %d+ bytes are needed, %d+ are free; what you typed is in ", got.err)
    assert.equal(("x"):rep(3000000), kept(got.err))
    assert.equal("hello\n", cat "/etc/motd")
  end)

  it("is kept where the editor fails, if it is another", function()
    local got = run "f() { echo new >\"$1\"; return 3; }; f"
    assert.same({ 1, "new\n" }, { got.code, kept(got.err) })
    sh.check(("rm -r %s/*"):format(temp))
    got = run "false"
    assert.same({ 1, "banger-lua: the editor 'false' ended with 1: /etc/motd is as it was\n" }, { got.code, got.err })
    assert.equal("", sh.check("ls -A " .. temp))
  end)

  it("is kept where the image came into use", function()
    local got = run(("f() { echo new >\"$1\"; exec 7<>%s; (sleep 20 & echo $! >%s/pid); }; f"):format(path, scratch:path ""))
    sh.run(("kill $(cat %s/pid)"):format(scratch:path ""))
    assert.equal(1, got.code)
    assert.matches(" is in use: another program has it open for writing; ", got.err)
    assert.equal("new\n", kept(got.err))
    assert.equal("hello\n", cat "/etc/motd")
  end)

  it("is kept by a signal", function()
    local err, ready = scratch:fresh(), scratch:fresh()
    local _, code = sh.run(([[TMPDIR=%s %s edit --editor 'f() { echo new >"$1"; : >%s; sleep 1; }; f' %s /etc/motd 2>%s & pid=$!
      while ! [ -e %s ]; do sleep 0.02; done; kill -TERM $pid; wait $pid]]):format(temp, sh.banger(), ready, path, err, ready))
    assert.equal(143, code)
    assert.matches("^banger%-lua: interrupted; what you typed is in ", sh.read_file(err))
    assert.equal("new\n", kept(sh.read_file(err)))
  end)

  it("is written beside what others changed in other files meanwhile", function()
    local got = run(("f() { %s edit -q --editor 'sed -i s/1/2/' %s /etc/other; echo new >\"$1\"; }; f"):format(sh.banger(), path))
    assert.same({ 0, "banger-lua: /etc/motd: changed, 4 bytes\n" }, { got.code, got.err })
    assert.same({ "new\n", "2\n" }, { cat "/etc/motd", cat "/etc/other" })
    clean()
  end)

  it("outlives a Ctrl-C that the editor takes", function()
    local reason = need.program "tmux"
    if reason then return pending(reason) end
    local editor = scratch:path "editor"
    sh.write_file(editor, [[#!/bin/sh
trap 'echo "not that"' INT
echo "editing $(cat "$1")"
while ! read -r line; do :; done
echo "$line" >"$1"
]])
    sh.check("chmod +x " .. editor)
    local t = terminal.open(scratch, sh.line(sh.banger(), "edit", "--editor", editor, path, "/etc/motd"))
    t:expect "editing hello"
    t:press "C-c"
    t:expect "not that"
    t:enter "typed after it"
    assert.equal(0, t:status())
    assert.equal("typed after it\n", cat "/etc/motd")
  end)
end)

describe("nothing is typed", function()
  -- The editor would leave a file behind.
  local function refused(pattern, image, file, ...)
    local marker = scratch:fresh()
    local got = run("touch " .. marker .. "; false", image, file, ...)
    assert.equal(1, got.code)
    assert.matches(pattern, got.err)
    assert.is_false(sh.exists(marker))
    assert.equal("", sh.check("ls -A " .. temp))
  end

  local function make(options)
    local dir, image = scratch:fresh(), scratch:fresh ".ext4"
    sh.check(("mkdir -p %s/etc && echo x >%s/etc/motd && setfattr -n user.a -v b %s/etc/motd"):format(dir, dir, dir))
    sh.check(SBIN .. ("mke2fs -q %s -d %s %s 16M 2>&1"):format(options, dir, image))
    return image
  end

  for options, pattern in pairs {
    ["-t ext4 -O bigalloc"] = "it has the feature bigalloc, which injecting cannot keep up",
    ["-t ext4 -O inline_data"] = "it has the feature inline_data, ",
    ["-t ext4 -O quota"] = "it has the feature quota, ",
    ["-t ext3"] = "it has no extents, as ext4 has: injecting needs them",
    ["-t ext4 -I 128"] = "has inodes of 128 bytes, into which no extended attributes are put",
  } do
    it("into an image that cannot be changed: mke2fs " .. options, function()
      refused(pattern, make(options))
    end)
  end

  it("into one that something else uses", function()
    local got = sh.run(("exec 7<>%s; %s edit --editor 'touch %s/marker; false' %s /etc/motd 2>&1"):format(path, sh.banger(), temp, path))
    assert.equal(("banger-lua: %s is in use: another program has it open for writing; stop that first, or change a running machine's files "
      .. "with banger-lua exec\n"):format(path), got)
    assert.is_false(sh.exists(temp .. "/marker"))
  end)

  it("where the path can be of no file", function()
    refused("^banger%-lua: '/none/%.%.' is no path of a file in the image, from / on\n$", path, "/none/..", "--create")
  end)
end)

describe("what stays", function()
  it("is what chattr set, and the time of birth", function()
    debugfs("set_inode_field /etc/motd flags 0x800d0")
    debugfs("set_inode_field /etc/motd crtime 20010203040506")
    debugfs("set_inode_field /etc/motd crtime_extra 8")
    local function of(stat) return { stat:match "Flags: (0x%x+)", stat:match "crtime: (0x%x+:%x+)" } end
    local before = of(debugfs "stat /etc/motd")
    assert.same({ "0x800d0", "0x3a7b8372:00000008" }, before)
    assert.equal(0, run("sed -i s/hello/bye/").code)
    assert.equal("bye\n", cat "/etc/motd")
    assert.same(before, of(debugfs "stat /etc/motd"))
    clean()
  end)

  it("is what the host has beside the image", function()
    if select(2, sh.run(("setfattr -n user.host -v here %s 2>/dev/null"):format(path))) ~= 0 then
      return pending "needs setfattr, and a file system with attributes"
    end
    sh.check("chmod 640 " .. path)
    assert.equal(0, run("sed -i s/hello/bye/").code)
    assert.equal("here", sh.check(("getfattr --absolute-names --only-values -n user.host %s"):format(path)))
    assert.equal("640\n", sh.check("stat -c %a " .. path))
  end)
end)
