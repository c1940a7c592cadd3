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
  refused("--siz 3 oci:layout out/x", 1, "unknown option '--siz'; Did you mean '--size'? (see --help)")
  refused("--size", 1, "option '--size' requires an argument (see --help)")
  refused("--size 3Q oci:layout out/x", 1,
    "--size: '3Q' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)")
  refused("--size=-1 oci:layout out/x", 1,
    "--size: '-1' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)")
  refused("--free min oci:layout out/x", 1,
    "--free: 'min' is no size: bytes, or a number with K, M, G or T (powers of 1024) expected (see --help)")
  refused("--size 4G --free 1M oci:layout out/x", 1, "option '--free' can not be used together with option '--size' (see --help)")
  refused("--json -q oci:layout out/x", 1, "option '-q' can not be used together with option '--json' (see --help)")
  refused("--label 12345678901234567 oci:layout out/x", 1, "--label: '12345678901234567' has 17 bytes; at most 16 fit (see --help)")
  refused("--progress loud oci:layout out/x", 1,
    "argument for option '--progress' must be one of 'auto', 'tty', 'plain', 'none' (see --help)")
  refused("--paths wild oci:layout out/x", 1, "argument for option '--paths' must be one of 'safe', 'clamp', 'strict' (see --help)")
  refused("--platform amd64 oci:layout out/x", 1, "'amd64' is no platform: os/architecture[/variant] expected, such as linux/amd64")
  refused("oci:layout: out/x", 1, "'oci:layout:' is no image reference: the tag is empty")
  refused("debian out/x", 1, "'debian' is in a registry, and registries are not supported yet; oci:PATH[:TAG] reads an OCI layout")
  refused("oci:layout out/x", 1, "SOURCE_DATE_EPOCH is 'today'; whole seconds since 1970 expected", "SOURCE_DATE_EPOCH=today")
  refused("oci:nosuch out/x", 2, "there is no OCI layout at nosuch")
  refused("oci:out out/x", 2, "out is no OCI layout: a directory with a file oci-layout expected")
  refused("oci:layout:nosuch out/x", 2, "the layout layout has no image 'nosuch'; the tags are: t")
  refused("--platform linux/s390x oci:layout out/x", 5, "no image for linux/s390x; there are: linux/amd64")
end)

it("pull --help is data", function()
  local got = pull "--help"
  assert.same({ "", 0 }, { got.err, got.code })
  assert.matches("^Usage: banger%-lua pull ", got.out)
end)
