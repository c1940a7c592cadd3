-- Wrong uses of `banger-lua pull`: one line, an exit code, nothing left behind.
package.path = "tests/?.lua;" .. package.path
local sh = require "support.sh"
local oci = require "support.oci"

local banger = sh.check("realpath " .. sh.quote(sh.banger())):gsub("\n$", "")
local scratch

setup(function()
  scratch = sh.scratch()
  oci.write(scratch:path "layout", { tag = "t", layers = { { tar = ("\0"):rep(1024) } } })
  scratch:mkdir "out"
  scratch:mkdir "out/dir"
end)

teardown(function()
  scratch:remove()
end)

-- Runs in the scratch directory.
local function pull(args, env)
  local out, code = sh.run(("cd %s && %s %s pull %s 2>err"):format(sh.quote(scratch.dir), env or "", sh.quote(banger), args))
  return { out = out, err = sh.read_file(scratch:path "err"), code = code }
end

local function refused(args, code, message, env)
  it(args, function()
    assert.same({ out = "", err = "banger-lua: " .. message .. "\n", code = code }, pull(args, env))
    assert.equal("dir\n", sh.check("ls -A " .. sh.quote(scratch:path "out")))
  end)
end

describe("pull refuses", function()
  refused("", 1, "missing argument 'ref' (see --help)")
  refused("oci:layout", 1, "missing argument 'out' (see --help)")
  refused("oci:layout out/x y", 1, "too many arguments (see --help)")
  refused("--siz 3 oci:layout out/x", 1, "unknown option '--siz'; did you mean '--size'? (see --help)")
  refused("--size", 1, "option '--size' requires an argument (see --help)")
  refused("--size 3Q oci:layout out/x", 1,
    "--size: '3Q' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)")
  refused("--size=-1 oci:layout out/x", 1,
    "--size: '-1' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)")
  refused("--free min oci:layout out/x", 1,
    "--free: 'min' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)")
  refused("--size 4G --free 1M oci:layout out/x", 1, "option '--free' can not be used together with option '--size' (see --help)")
  refused("--label 12345678901234567 oci:layout out/x", 1, "--label: '12345678901234567' has 17 bytes; at most 16 fit (see --help)")
  refused("--progress loud oci:layout out/x", 1,
    "argument for option '--progress' must be one of 'auto', 'tty', 'plain', 'none' (see --help)")
  refused("--paths wild oci:layout out/x", 1, "argument for option '--paths' must be one of 'safe', 'clamp', 'strict' (see --help)")
  refused("--init sysv oci:layout out/x", 1,
    "--init: 'sysv' is neither auto, native, banger, none nor a path in the image from / on (see --help)")
  refused("--platform amd64 oci:layout out/x", 1, "'amd64' is no platform: os/architecture[/variant] expected, such as linux/amd64")
  refused("oci:layout: out/x", 1, "'oci:layout:' is no image reference: the tag is empty")
  refused("oci:layout out/x", 1, "SOURCE_DATE_EPOCH is 'today'; whole seconds since 1970 expected", "SOURCE_DATE_EPOCH=today")
  refused("oci:nosuch out/x", 2, "there is no OCI layout at nosuch")
  refused("oci:out out/x", 2, "out is no OCI layout: a directory with a file oci-layout expected")
  refused("oci:layout:nosuch out/x", 2, "the layout layout has no image 'nosuch'; the tags are: t")
  refused("--platform linux/s390x oci:layout out/x", 5, "oci:layout: no image for linux/s390x; there are: linux/amd64")
end)

it("pull --help is data", function()
  local got = pull "--help"
  assert.same({ "", 0 }, { got.err, got.code })
  assert.matches("^Usage: banger%-lua pull ", got.out)
end)

describe("pull", function()
  local digest

  setup(function()
    digest = "sha256:" .. sh.read_file(scratch:path "layout/index.json"):match '"digest":"sha256:(%x+)"'
  end)

  after_each(function()
    os.remove(scratch:path "out/x")
  end)

  local function lines(text)
    return select(2, text:gsub("\n", "\n"))
  end

  it("tells people the result on stdout and a layer a line on stderr", function()
    local got = pull "oci:layout out/x"
    assert.equal(0, got.code)
    assert.matches("^path     out/x\nsize     .- MiB %(%d+ bytes%)\nused     .-\nfree     .-\ninodes   %d+, %d+ used\n" ..
      "digest   " .. digest .. "\nseconds  [%d.]+\n$", got.out)
    assert.matches("^layer 1/1 sha256:%x%x%x%x%x%x%x%x%x%x%x%x  1%.0 KiB in [%d.]+ s\n$", got.err)
  end)

  it("-q prints the digest and nothing else", function()
    assert.same({ out = digest .. "\n", err = "", code = 0 }, pull "-q oci:layout out/x")
  end)

  it("--json prints one object", function()
    local got = pull "--json --progress none --label root --size 64M oci:layout:t out/x"
    assert.same({ "", 0, 1 }, { got.err, got.code, lines(got.out) })
    local object = require "cjson".decode(got.out)
    assert.same({ "out/x", digest, 67108864, "root", "linux/amd64", "oci:layout:t", 1 },
      { object.path, object.digest, object.size, object.label, object.platform, object.reference, #object.layers })
    assert.equal("67108864\n", sh.check("stat -c %s " .. sh.quote(scratch:path "out/x")))
  end)

  it("--progress tty redraws", function()
    assert.matches("\r\27%[Klayer 1/1 sha256:%x+  1%.0 KiB in [%d.]+ s\n$", pull("--progress tty oci:layout out/x").err)
  end)

  it("makes what fsck calls clean, with what a machine needs", function()
    assert.equal(0, pull("-q oci:layout out/x").code)
    sh.check("PATH=$PATH:/sbin:/usr/sbin e2fsck -fn " .. sh.quote(scratch:path "out/x"))
    local listing = sh.check("PATH=$PATH:/sbin:/usr/sbin debugfs -R 'ls -p /dev' " .. sh.quote(scratch:path "out/x"))
    assert.matches("/020600/0/0/console/", listing)
    assert.matches("/020666/0/0/null/", listing)
  end)

  it("--no-inject adds nothing", function()
    assert.equal(0, pull("-q --no-inject oci:layout out/x").code)
    local listing = sh.check("PATH=$PATH:/sbin:/usr/sbin debugfs -R 'ls -p /' " .. sh.quote(scratch:path "out/x"))
    assert.is_nil(listing:match "/dev/")
  end)

  it("makes the same bytes again, wherever and whenever", function()
    assert.equal(0, pull("-q oci:layout out/x").code)
    local first = sh.sha256(scratch:path "out/x")
    assert.equal(0, pull("-q oci:layout out/x", "TZ=Asia/Tokyo LC_ALL=C.UTF-8 HOME=/nowhere").code)
    assert.equal(first, (sh.sha256(scratch:path "out/x")))
    assert.equal(0, pull("-q oci:layout out/x", "SOURCE_DATE_EPOCH=1").code)
    assert.not_equal(first, (sh.sha256(scratch:path "out/x")))
  end)

  it("keeps the older file when it fails", function()
    sh.write_file(scratch:path "out/x", "older")
    local got = pull "--size 64K oci:layout out/x"
    assert.same({ "", 7, 2 }, { got.out, got.code, lines(got.err) })
    assert.matches("\nbanger%-lua: out/x: the image needs at least %d+ bytes", got.err)
    assert.equal("older", sh.read_file(scratch:path "out/x"))
    assert.equal("dir\nx\n", sh.check("ls -A " .. sh.quote(scratch:path "out")))
  end)

  it("says when the result could not be printed", function()
    assert.same({ out = "", err = "banger-lua: write to stdout: No space left on device\n", code = 7 },
      pull "-q oci:layout out/x >/dev/full")
  end)

  it("refuses a layer that is not what it should be", function()
    local at = scratch:mkdir "corrupt"
    oci.write(at, { layers = { { tar = ("\0"):rep(1024), tamper = function(blob) return "x" .. blob:sub(2) end } } })
    local got = pull "oci:corrupt out/x"
    assert.same({ "", 6, 1 }, { got.out, got.code, lines(got.err) })
    assert.matches("^banger%-lua: .*sha256:%x+", got.err)
    assert.equal("dir\n", sh.check("ls -A " .. sh.quote(scratch:path "out")))
  end)

  it("refuses an output that cannot be", function()
    for path, code in pairs { ["out/dir"] = 1, ["out/nosuch/x"] = 1, ["/dev/null"] = 1 } do
      local got = pull("oci:layout " .. path)
      assert.same({ "", code, 1 }, { got.out, got.code, lines(got.err) })
      assert.matches("^banger%-lua: .*output " .. path:gsub("%-", "%%-"), got.err)
    end
  end)
end)
