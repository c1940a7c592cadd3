-- What goes wrong ends with one line that names the thing, the right exit
-- status and nothing left behind; an older output is kept. And what has to work
-- does, from the same command line.
package.path = "tests/?.lua;" .. package.path
local image = require "support.image"
local json = require "support.json"
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local OK, USAGE, NOT_FOUND, PLATFORM, CORRUPT, NO_SPACE = 0, 1, 2, 5, 6, 7

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local LAYER = { tar = tar.archive { tar.dir "./", tar.file("./a", "content of a\n"), tar.dir "d/" }, compress = "gzip" }

--- A good layout, made once; tests that break one make their own.
local GOOD = scratch:path "good"
oci.write(GOOD, { tag = "t", layers = { LAYER } })

local function listing(dir)
  return sh.check("cd " .. sh.quote(dir) .. " && find . | LC_ALL=C sort && find . -type f -exec sha256sum {} + | LC_ALL=C sort")
end

--- Runs pull in a directory that holds an older file, and says what became of it.
---@param arguments string shell words; OUT stands for the output directory
---@param wrap? string shell words before the command
---@return table result code, out, err, left (the directory changed), dir
local function pull(arguments, wrap)
  local dir, log = scratch:fresh(), scratch:fresh ".log"
  sh.check("mkdir " .. dir)
  sh.write_file(dir .. "/older.ext4", "older")
  local before = listing(dir)
  local command = ("export XDG_CACHE_HOME=%s/cache; %s %s recipes/pull.lua %s 2>%s"):format(scratch.dir, (wrap or ""):gsub("OUT", dir),
    sh.quote(sh.banger()), arguments:gsub("OUT", dir), log)
  local out, code = sh.run(command .. " </dev/null")
  return { code = code, out = out, err = sh.read_file(log), left = listing(dir) ~= before, dir = dir, listing = listing(dir) }
end

--- stderr without the lines that tell of progress.
local function message_of(result)
  return (("\n" .. result.err):gsub("\nlayer %d+/%d+ [^\n]*", ""):gsub("^\n", ""))
end

--- One line on stderr with all of these in it, nothing on stdout, nothing left.
local function assert_refused(result, code, ...)
  local context = ("exit %d\nstdout: %s\nstderr: %s"):format(result.code, result.out, result.err)
  assert.are.equal(code, result.code, context)
  assert.are.equal("", result.out, context)
  assert.matches("^[^\n]+\n$", message_of(result), "one line:\n" .. context)
  assert.is_nil(result.err:find("traceback", 1, true), context)
  for _, part in ipairs { ... } do
    assert.is_truthy(result.err:find(part, 1, true), ("want %q in the message\n%s"):format(part, context))
  end
  assert.is_false(result.left, "left behind: " .. result.listing)
end

local function refused(name, arguments, code, ...)
  local parts = { ... }
  it(name, function() assert_refused(pull(arguments, nil), code, table.unpack(parts)) end)
end

describe("a wrong command line", function()
  local ref = "oci:" .. GOOD .. ":t"

  refused("with no arguments", "", USAGE, "ref")
  refused("with no output", ref, USAGE, "out")
  refused("with an argument too many", ref .. " OUT/x.ext4 more", USAGE, "too many arguments")
  refused("with an unknown option", "--frobnicate " .. ref .. " OUT/x.ext4", USAGE, "--frobnicate")
  refused("with an option that lacks its value", ref .. " OUT/x.ext4 --size", USAGE, "--size")
  for _, size in ipairs { "0", "-5", "lots", "12Q", "''", "1.5.2G", "0x10", "1e9", "4G4", "99999999999999999999", "-1M", "' '" } do
    refused("with the size " .. size, ("--size=%s %s OUT/x.ext4"):format(size, ref), USAGE, "--size")
  end
  refused("with a free space that is no size", "--free=much " .. ref .. " OUT/x.ext4", USAGE, "--free", "much")
  refused("with size and free at once", "--size 1G --free 1G " .. ref .. " OUT/x.ext4", USAGE, "--free")
  refused("with a label of 17 bytes", "--label 12345678901234567 " .. ref .. " OUT/x.ext4", USAGE, "label")
  refused("with a platform that is none", "--platform amiga/// " .. ref .. " OUT/x.ext4", USAGE, "amiga")
  refused("with a way with paths that is none", "--paths loose " .. ref .. " OUT/x.ext4", USAGE, "--paths", "clamp")
  refused("with a progress that is none", "--progress fancy " .. ref .. " OUT/x.ext4", USAGE, "--progress", "plain")
  refused("with a reference that is none", "'not a reference' OUT/x.ext4", USAGE, "not a reference")
  refused("with an empty reference", "'' OUT/x.ext4", USAGE)
  refused("with oci: and nothing", "oci: OUT/x.ext4", USAGE, "oci:")

  it("with an epoch that is no number", function()
    assert_refused(pull(ref .. " OUT/x.ext4", "SOURCE_DATE_EPOCH=yesterday"), USAGE, "SOURCE_DATE_EPOCH", "yesterday")
  end)
end)

describe("an output that cannot be", function()
  local ref = "oci:" .. GOOD .. ":t "

  it("a directory", function()
    local dir = scratch:mkdir "a-directory"
    assert_refused(pull(ref .. dir), USAGE, dir, "directory")
    assert.are.equal("", sh.check("ls -A " .. dir))
  end)

  it("a directory, said with a slash", function()
    assert_refused(pull(ref .. "OUT/"), USAGE, "directory")
  end)

  refused("in a directory that is not there", ref .. "OUT/no/such/x.ext4", USAGE, "no/such")
  refused("below a file", ref .. "OUT/older.ext4/x.ext4", USAGE, "older.ext4/x.ext4")
  refused("an empty name", ref .. "''", USAGE)
  refused("a name that is too long", ref .. "OUT/" .. ("n"):rep(256), USAGE, "nnnn")

  it("in a directory that may not be written", function()
    local dir = scratch:mkdir "read-only"
    local wrap
    if sh.is_root() then
      if need.mount() then return pending "root needs mounts for a read-only directory" end
      wrap = ("unshare -m sh -c 'mount -t tmpfs -o ro none %s && exec \"$@\"' sh"):format(dir)
    else
      sh.check("chmod 555 " .. dir)
    end
    assert_refused(pull(ref .. dir .. "/x.ext4", wrap), USAGE, dir)
  end)
end)

describe("a source that is not right", function()
  --- Makes a layout, breaks it, pulls.
  local function broken(name, spec, code, ...)
    local parts = { ... }
    it(name, function()
      local dir = scratch:fresh()
      local made = oci.write(dir, { tag = "t", layers = { LAYER }, config = spec.config, config_bytes = spec.config_bytes,
        manifest = spec.manifest, manifest_bytes = spec.manifest_bytes })
      if spec.breaks then spec.breaks(dir, made) end
      local expected = {}
      for i, part in ipairs(parts) do expected[i] = type(part) == "function" and part(made, dir) or part end
      assert_refused(pull(("oci:%s:%s OUT/x.ext4"):format(dir, spec.tag or "t")), code, table.unpack(expected))
    end)
  end

  local function blob(dir, descriptor) return dir .. "/blobs/sha256/" .. descriptor.digest:sub(8) end
  local function hex(descriptor) return descriptor.digest:sub(8, 19) end
  local function manifest_hex(made) return hex(made.manifest) end
  local function config_hex(made) return hex(made.config) end
  local function the_dir(_, dir) return dir end

  refused("a path that is not there", "oci:/no/such/layout:t OUT/x.ext4", NOT_FOUND, "/no/such/layout")

  it("a directory that is no layout", function()
    local dir = scratch:mkdir "no-layout"
    assert_refused(pull("oci:" .. dir .. ":t OUT/x.ext4"), NOT_FOUND, dir)
  end)

  it("a file", function()
    sh.write_file(scratch:path "a-file", "text")
    local result = pull("oci:" .. scratch:path "a-file" .. ":t OUT/x.ext4")
    assert_refused(result, result.code == USAGE and USAGE or NOT_FOUND, scratch:path "a-file")
  end)

  broken("a tag that is not there", { tag = "other" }, NOT_FOUND, "other", the_dir)
  broken("a manifest that is not there", { breaks = function(dir, made) os.remove(blob(dir, made.manifest)) end }, NOT_FOUND, manifest_hex)
  broken("a config that is not there", { breaks = function(dir, made) os.remove(blob(dir, made.config)) end }, NOT_FOUND, config_hex)
  broken("an index.json that is no JSON", { breaks = function(dir) sh.write_file(dir .. "/index.json", "{ nonsense") end }, CORRUPT, "index.json")
  broken("an index.json that is empty", { breaks = function(dir) sh.write_file(dir .. "/index.json", "") end }, CORRUPT, "index.json")
  broken("an index.json that is a list", { breaks = function(dir) sh.write_file(dir .. "/index.json", "[]") end }, CORRUPT, "index.json")
  broken("a layout version of tomorrow", { breaks = function(dir)
    sh.write_file(dir .. "/oci-layout", '{"imageLayoutVersion":"2.0.0"}')
  end }, CORRUPT, "2.0.0")
  broken("a manifest with another byte", { breaks = function(dir, made)
    local path = blob(dir, made.manifest)
    sh.write_file(path, (sh.read_file(path):gsub("schemaVersion", "SchemaVersion")))
  end }, CORRUPT, manifest_hex)
  broken("a config with another byte", { breaks = function(dir, made)
    local path = blob(dir, made.config)
    sh.write_file(path, (sh.read_file(path):gsub("linux", "minix")))
  end }, CORRUPT, config_hex)
  broken("a manifest that is no JSON", { manifest_bytes = "this is no JSON" }, CORRUPT, manifest_hex)
  broken("a manifest that is a number", { manifest_bytes = "42" }, CORRUPT, manifest_hex)
  broken("a manifest without layers", { manifest_bytes = '{"schemaVersion":2}' }, CORRUPT, manifest_hex)
  broken("a manifest of schema 1", { manifest_bytes = '{"schemaVersion":1,"fsLayers":[]}' }, CORRUPT, manifest_hex)
  broken("a config that is no JSON", { config_bytes = "\0\1\2" }, CORRUPT, config_hex)
  broken("a config without a rootfs", { config_bytes = '{"os":"linux"}' }, CORRUPT, config_hex)
  broken("a digest that climbs out of the layout", { manifest = { layers = json.array {
    { mediaType = "application/vnd.oci.image.layer.v1.tar", digest = "sha256:../../../../etc/passwd", size = 1 },
  } } }, CORRUPT, "passwd")
  broken("a digest of an unknown kind", { manifest = { layers = json.array {
    { mediaType = "application/vnd.oci.image.layer.v1.tar", digest = "md5:d41d8cd98f00b204e9800998ecf8427e", size = 1 },
  } } }, CORRUPT, "md5")
  broken("a size below zero", { manifest = { layers = json.array {
    { mediaType = "application/vnd.oci.image.layer.v1.tar", digest = "sha256:" .. ("0"):rep(64), size = -1 },
  } } }, CORRUPT)

  it("a hostile layer", function()
    local dir = scratch:fresh()
    oci.write(dir, { tag = "t", layers = { LAYER, { tar = tar.archive { tar.file "../../etc/passwd" } } } })
    assert_refused(pull("oci:" .. dir .. ":t OUT/x.ext4"), CORRUPT, "layer 2", "../../etc/passwd", "clamp")
    assert_refused(pull("--strict oci:" .. dir .. ":t OUT/x.ext4"), CORRUPT, "layer 2", "../../etc/passwd")
    assert.are.equal(OK, pull("--paths=clamp oci:" .. dir .. ":t OUT/x.ext4").code)
  end)

  it("a layer that is a directory, a device or a pipe of the host", function()
    for _, make in ipairs { "mkdir ", "mkfifo ", "ln -s /dev/zero " } do
      local dir = scratch:fresh()
      local made = oci.write(dir, { tag = "t", layers = { LAYER } })
      os.remove(made.layers[1].path)
      sh.check(make .. made.layers[1].path)
      local result = pull("oci:" .. dir .. ":t OUT/x.ext4", "timeout 20")
      assert.is_true(result.code > 0 and result.code <= 7, make .. result.code .. result.err)
      assert_refused(result, result.code, hex(made.layers[1]))
    end
  end)
end)

describe("a platform", function()
  --- A layout with an index of two platforms and an attestation.
  local function several()
    local dir = scratch:fresh()
    local list = {}
    for i, arch in ipairs { "amd64", "arm64" } do
      list[i] = oci.image(dir, {
        platform = { os = "linux", architecture = arch },
        layers = { { tar = tar.archive { tar.file("arch", arch) }, compress = "gzip" } },
      }).manifest
    end
    list[3] = oci.image(dir, { platform = { os = "unknown", architecture = "unknown" }, layers = {} }).manifest
    oci.index(dir, { oci.tagged(oci.nested(dir, list), "t") })
    return dir
  end

  it("is chosen from an index", function()
    local dir = several()
    for _, arch in ipairs { "amd64", "arm64" } do
      local result = pull(("--no-inject -q --platform linux/%s oci:%s:t OUT/x.ext4"):format(arch, dir))
      assert.are.equal(OK, result.code, result.err)
      assert.are.equal(arch, image.read(result.dir .. "/x.ext4").arch.content)
    end
  end)

  it("that is not there lists those that are", function()
    local result = pull(("--platform linux/s390x oci:%s:t OUT/x.ext4"):format(several()))
    assert_refused(result, PLATFORM, "linux/s390x", "linux/amd64", "linux/arm64")
    assert.is_nil(result.err:find "unknown")
  end)
end)

describe("no space", function()
  local big = scratch:path "big"
  local function need_big()
    if sh.exists(big .. "/index.json") then return end
    sh.check(("head -c 40000000 /dev/urandom >%s/noise; tar -C %s -cf %s/noise.tar noise; rm %s/noise"):format(
      scratch.dir, scratch.dir, scratch.dir, scratch.dir))
    oci.write(big, { tag = "t", layers = { { file = scratch:path "noise.tar", compress = "zstd" } } })
  end

  it("in the size that was asked for", function()
    need_big()
    local result = pull(("--size 20M oci:%s:t OUT/older.ext4"):format(big))
    assert_refused(result, NO_SPACE)
    assert.matches("%d+", result.err)
    assert.are.equal("older", sh.read_file(result.dir .. "/older.ext4"))
  end)

  --- A disk of some size, at $D, and then the command.
  local function on_disk(kind, size, dir)
    local mount = kind == "tmpfs" and ("mount -t tmpfs -o size=%dM none %s"):format(size, dir)
      or ("truncate -s %dM %s.img && mke2fs -q -t ext4 %s.img && mount -o loop %s.img %s"):format(size, dir, dir, dir, dir)
    local script = scratch:fresh ".sh"
    sh.write_file(script, ([[
      PATH=$PATH:/usr/sbin:/sbin
      %s && cd %s && echo older >x.ext4 || exit 99
      (cd "$OLDPWD" && "$@"); code=$?
      ls -A | grep -v lost+found; cat x.ext4; exit $code
    ]]):format(mount, dir))
    return "unshare -m sh " .. script
  end

  for _, kind in ipairs { "tmpfs", "ext4" } do
    it("on a full disk: " .. kind, function()
      local reason = need.mount()
      if reason then return pending(reason) end
      need_big()
      local dir = scratch:mkdir("disk-" .. kind)
      local result = pull(("oci:%s:t %s/x.ext4"):format(big, dir), on_disk(kind, 24, dir))
      assert.are.equal(NO_SPACE, result.code, result.err)
      assert.are.equal("x.ext4\nolder\n", result.out)
      -- What it would have taken, and what there was.
      assert.matches("^[^\n]*%d+ MiB[^\n]*%d+ MiB[^\n]*\n$", message_of(result))
    end)
  end

  it("for the metadata alone", function()
    local reason = need.mount()
    if reason then return pending(reason) end
    -- 30,000 names and no contents: what does not fit is ext4's own.
    local entries = {}
    for i = 1, 30000 do entries[i] = tar.file(("name-%06d-%s"):format(i, ("n"):rep(200))) end
    local layout, dir = scratch:fresh(), scratch:mkdir "disk-metadata"
    oci.write(layout, { tag = "t", layers = { { tar = tar.archive(entries), compress = "gzip" } } })
    local result = pull(("oci:%s:t %s/x.ext4"):format(layout, dir), on_disk("tmpfs", 6, dir))
    assert.are.equal(NO_SPACE, result.code, result.err)
    assert.are.equal("x.ext4\nolder\n", result.out)
  end)

  it("past a file size limit", function()
    need_big()
    local result = pull(("oci:%s:t OUT/older.ext4"):format(big), "ulimit -f 20000;")
    assert.is_true(result.code ~= 0)
    assert.is_false(result.left, result.listing)
  end)
end)

describe("a signal", function()
  -- Two gigabytes of zeros take a second or so, whatever the disk.
  local slow = "build/cache/zeros"
  local function need_slow()
    if sh.exists(slow .. "/index.json") then return end
    local file = scratch:path "zeros"
    sh.check(("rm -rf %s; mkdir -p build/cache; truncate -s 2000000000 %s && tar -C %s -cf %s.tar zeros && rm %s"):format(
      slow, file, scratch.dir, file, file))
    oci.write(scratch:path "slow", { tag = "t", layers = { LAYER, { file = file .. ".tar", compress = "zstd" } } })
    sh.check(("rm %s.tar; mv %s %s"):format(file, scratch:path "slow", slow))
  end

  local function interrupted(signal, delay)
    need_slow()
    return pull(("oci:%s:t OUT/older.ext4"):format(slow), ("timeout --foreground -k 60 -s %s --preserve-status %s"):format(signal, delay))
  end

  for _, case in ipairs { { "INT", 130 }, { "TERM", 143 }, { "HUP", 129 } } do
    for _, delay in ipairs { "0.15", "0.5" } do
      it(("%s after %s seconds leaves nothing"):format(case[1], delay), function()
        local result = interrupted(case[1], delay)
        assert.are.equal(case[2], result.code, result.err)
        assert.is_false(result.left, result.listing)
        assert.is_nil(result.err:find("traceback", 1, true), result.err)
      end)
    end
  end

  it("KILL leaves no partial output", function()
    local result = interrupted("KILL", "0.5")
    assert.are.equal(137, result.code)
    assert.are.equal("older", sh.read_file(result.dir .. "/older.ext4"))
    assert.is_false(result.left, result.listing)
  end)

  it("at any moment leaves the old file or the new one", function()
    for i = 1, 30 do
      local result = pull(("--no-inject oci:%s:t OUT/older.ext4"):format(GOOD),
        ("timeout --foreground -k 60 -s %s --preserve-status %.4f"):format(i % 2 == 0 and "TERM" or "INT", i * 0.0015))
      local files = sh.check("ls -A " .. result.dir)
      assert.are.equal("older.ext4\n", files)
      assert.is_true(result.code == OK or result.code == 130 or result.code == 143, result.code .. result.err)
      if result.left then
        -- The signal may come after the new file has its name.
        assert.is_true(image.fsck(result.dir .. "/older.ext4"))
      else
        assert.are_not.equal(OK, result.code)
      end
      sh.check("rm -r " .. result.dir)
    end
  end)
end)

describe("what has to work", function()
  it("replaces an older output", function()
    local result = pull("--no-inject -q oci:" .. GOOD .. ":t OUT/older.ext4")
    assert.are.equal(OK, result.code, result.err)
    assert.matches("^sha256:%x+\n$", result.out)
    assert.are.equal("", result.err)
    assert.are.equal("content of a\n", image.read(result.dir .. "/older.ext4").a.content)
  end)

  it("takes odd names for layout and output", function()
    local dir = scratch:mkdir "odd 'names' \"and\" \\ more"
    oci.write(dir .. "/lay out", { tag = "t-1.0_x", layers = { LAYER } })
    local result = pull(("--no-inject -q %s 'OUT/a b\"c\\d.ext4'"):format(sh.quote("oci:" .. dir .. "/lay out:t-1.0_x")))
    assert.are.equal(OK, result.code, result.err)
    assert.is_true(image.fsck(result.dir .. "/a b\"c\\d.ext4"))
  end)

  it("follows a symlink of the output and leaves it alone", function()
    local result = pull("--no-inject -q oci:" .. GOOD .. ":t OUT/link.ext4", "ln -s older.ext4 OUT/link.ext4;")
    assert.are.equal(OK, result.code, result.err)
    assert.are.equal("older.ext4\n", sh.check("readlink " .. sh.quote(result.dir .. "/link.ext4")))
    assert.is_true(image.fsck(result.dir .. "/older.ext4"))
  end)

  it("refuses an output that is a symlink to nothing", function()
    local result = pull("--no-inject -q oci:" .. GOOD .. ":t OUT/link.ext4", "ln -s none OUT/link.ext4;")
    assert.are.equal(USAGE, result.code)
    assert.matches("output .*link.ext4 is a symbolic link that leads nowhere\n$", result.err)
  end)

  it("puts data on stdout and all else on stderr", function()
    local result = pull("--no-inject --json --progress plain oci:" .. GOOD .. ":t OUT/x.ext4")
    assert.are.equal(OK, result.code, result.err)
    assert.matches("^{.*}\n$", result.out)
    assert.matches("layer", result.err)
  end)

  it("takes its times from SOURCE_DATE_EPOCH, else from the config", function()
    local result = pull("--no-inject -q oci:" .. GOOD .. ":t OUT/x.ext4", "SOURCE_DATE_EPOCH=1234567890")
    assert.are.equal(1234567890, image.superblock(result.dir .. "/x.ext4").mkfs_time)
    result = pull("--no-inject -q oci:" .. GOOD .. ":t OUT/x.ext4")
    -- 2020-01-02T03:04:05Z
    assert.are.equal(1577934245, image.superblock(result.dir .. "/x.ext4").mkfs_time)
  end)

  it("needs nothing but its standard streams", function()
    local result = pull("--no-inject -q oci:" .. GOOD .. ":t OUT/x.ext4", "env -i")
    assert.are.equal(OK, result.code, result.err)
  end)

  it("by the short name of the recipe", function()
    local dir = scratch:mkdir "short"
    local out = sh.check(("%s pull --no-inject -q oci:%s:t %s/x.ext4"):format(sh.quote(sh.banger()), GOOD, dir))
    assert.matches("^sha256:%x+\n$", out)
  end)
end)
