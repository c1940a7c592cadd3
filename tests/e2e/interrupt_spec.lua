-- What a build leaves behind when it is stopped, killed or runs out of disk:
-- nothing, and an older output as it was.
package.path = "tests/?.lua;" .. package.path
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local scratch, long, random

setup(function()
  scratch = sh.scratch()
  -- Two GiB of zeros: nothing on disk, and more than a second of hashing.
  local dir = scratch:mkdir "long"
  sh.check(("cd %s && truncate -s 2G zeros && tar --format=ustar --mtime=@0 -cf layer.tar zeros && rm zeros"):format(dir))
  oci.write(dir .. "/layout", { tag = "t", layers = { { file = dir .. "/layer.tar", compress = "zstd" } } })
  os.remove(dir .. "/layer.tar")
  long = "oci:" .. dir .. "/layout:t"
  -- 60 MB that nothing makes smaller.
  dir = scratch:mkdir "random"
  oci.write(dir .. "/layout", {
    tag = "t",
    layers = { { tar = tar.archive { tar.file("random", sh.check "head -c 60000000 /dev/urandom") } } },
  })
  random = "oci:" .. dir .. "/layout:t"
end)
teardown(function() scratch:remove() end)

-- An output directory with an older output in it.
local function output()
  local dir = scratch:fresh()
  sh.check("mkdir " .. dir)
  sh.write_file(dir .. "/out.ext4", "older")
  return dir
end

local function assert_untouched(dir)
  assert.equal("out.ext4\n", sh.check("ls -A " .. dir))
  assert.equal("older", sh.read_file(dir .. "/out.ext4"))
end

local function pull(before, ref, dir)
  return sh.run(("%s %s 2>&1"):format(before, sh.line(sh.banger(), "recipes/pull.lua", "--progress", "none", ref,
    dir .. "/out.ext4")))
end

describe("a signal in the middle of a pull", function()
  for signal, code in pairs { INT = 130, TERM = 143, HUP = 129 } do
    it(("SIG%s leaves nothing and exits %d"):format(signal, code), function()
      local dir = output()
      local out, status = pull("timeout --foreground --preserve-status -s " .. signal .. " 0.4", long, dir)
      assert.equal(code, status, out)
      assert.equal("banger-lua: interrupted\n", (out:gsub("layer [^\n]*: interrupted", "interrupted")))
      assert_untouched(dir)
    end)
  end

  it("SIGKILL leaves nothing under the output's name", function()
    local dir = output()
    local _, status = pull("timeout --foreground -s KILL 0.4", long, dir)
    assert.equal(137, status)
    assert.equal("older", sh.read_file(dir .. "/out.ext4"))
  end)
end)

describe("a full disk", function()
  it("is told with what was needed and what there was", function()
    if not sh.is_root() then return pending "needs root: mounts a small tmpfs" end
    local dir = scratch:mkdir "small"
    local command = sh.line(sh.banger(), "recipes/pull.lua", "--progress", "none", random, dir .. "/out.ext4")
    local out, status = sh.run(("unshare -m sh -c %s 2>&1"):format(sh.quote(("mount -t tmpfs -o size=20m none %s && "
      .. "printf older >%s/out.ext4 && %s; code=$?; ls -A %s; cat %s/out.ext4; exit $code"):format(dir, dir, command, dir, dir))))
    assert.equal(7, status, out)
    local needed, free, rest = out:match("^banger%-lua: [^\n]*the disk is full: "
      .. "the image needs at least (%d+) MiB of it, %S+ had (%d+) MiB free\n(.*)$")
    assert.is_truthy(needed, out)
    -- 60,000,000 bytes are 57.2 MiB; ext4's own blocks are some more.
    assert.is_true(tonumber(needed) >= 58 and tonumber(needed) <= 70, needed)
    assert.is_true(tonumber(free) >= 18 and tonumber(free) <= 20, free)
    assert.equal("out.ext4\nolder", rest)
  end)
end)
