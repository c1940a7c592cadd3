-- What `require "banger"` puts on top of the primitives, with the primitives faked.
local core = require "banger.core"
local banger = require "banger"

local real = {}

local function fake(name, f)
  real[name] = real[name] or core[name] or false
  core[name] = f
end

after_each(function()
  for name, f in pairs(real) do
    core[name] = f or nil
  end
  real = {}
end)

local function raises(code, message, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.same({ code, message }, { err.code, err.message })
end

describe("mkext4", function()
  local given

  before_each(function()
    fake("mkext4", function(rootfs, path, options)
      given = { rootfs, path, options }
      return "info"
    end)
  end)

  local rootfs = { chain_id = function() return "chain" end }

  it("takes sizes as people write them", function()
    local options = { size = "4G", label = "x" }
    assert.equal("info", banger.mkext4(rootfs, "out", options))
    assert.equal(rootfs, given[1])
    assert.equal("out", given[2])
    assert.same({ 4294967296, "x" }, { given[3].size, given[3].label })
    assert.equal("4G", options.size)
    banger.mkext4(rootfs, "out", { free = "512M" })
    assert.same({ nil, 536870912 }, { given[3].size, given[3].free })
    banger.mkext4(rootfs, "out", { size = "min" })
    assert.equal("min", given[3].size)
    banger.mkext4(rootfs, "out", { size = 12345 })
    assert.equal(12345, given[3].size)
    banger.mkext4(rootfs, "out")
    assert.same({}, { given[3].size, given[3].free })
  end)

  it("makes UUID and hash seed from the seed, else from the layers", function()
    local function ids(options)
      banger.mkext4(rootfs, "out", options)
      return given[3].uuid, given[3].hash_seed
    end
    local uuid, hash_seed = ids {}
    assert.matches("^%x+%-%x+%-8%x%x%x%-[89ab]%x%x%x%-%x+$", uuid)
    assert.equal(36, #uuid)
    assert.not_equal(uuid, hash_seed)
    assert.same({ uuid, hash_seed }, { ids {} })
    assert.same({ uuid, hash_seed }, { ids { seed = "chain" } })
    assert.not_equal(uuid, (ids { seed = "other" }))
    assert.equal("mine", (ids { uuid = "mine" }))
  end)

  it("refuses sizes that make no sense", function()
    given = nil
    local expected = "is no size: bytes, or a number with K, M, G or T (powers of 1024) expected"
    raises("usage", "size: '3Q' " .. expected, banger.mkext4, "rootfs", "out", { size = "3Q" })
    raises("usage", "free: 'min' " .. expected, banger.mkext4, "rootfs", "out", { free = "min" })
    raises("usage", "size: '-1' " .. expected, banger.mkext4, "rootfs", "out", { size = -1 })
    raises("usage", "size and free exclude each other: one sets the whole, the other what is left",
      banger.mkext4, "rootfs", "out", { size = "4G", free = "1G" })
    assert.is_nil(given)
  end)
end)

describe("inject", function()
  it("lets entries say why they are there", function()
    local given
    fake("inject", function(where, entries)
      given = { where, entries }
      return { injected = #entries }
    end)
    local entries = { { path = "/a", content = "", why = "for a test" }, { path = "/b", target = "a" } }
    assert.same({ injected = 2 }, banger.inject("rootfs", entries))
    assert.same({ "rootfs", { { path = "/a", content = "" }, { path = "/b", target = "a" } } }, given)
    assert.equal("for a test", entries[1].why)
  end)
end)

describe("apply_ownership", function()
  local batches, closed

  before_each(function()
    batches, closed = {}, 0
    fake("open", function()
      local types = { ["/etc/shadow"] = "file", ["/etc"] = "dir", ["/bin"] = "symlink", ["/dev/sda"] = "block" }
      return setmetatable({
        stat = function(_, name)
          return types[name] and { type = types[name] }
        end,
      }, { __close = function() closed = closed + 1 end })
    end)
    fake("debugfs_batch", function(path, commands, options)
      batches[#batches + 1] = { path, commands, options }
    end)
  end)

  it("sets owners and modes in one batch", function()
    assert.equal(4, banger.apply_ownership("x.ext4", {
      { path = "/etc/shadow", uid = 0, gid = 42, mode = tonumber("640", 8) },
      { path = "/etc", mode = tonumber("1777", 8) },
      { path = "/bin", uid = 4294967294 },
      { path = "/dev/sda", mode = tonumber("660", 8) },
    }))
    assert.same({ { "x.ext4", {
      { "set_inode_field", "/etc/shadow", "uid", "0" },
      { "set_inode_field", "/etc/shadow", "gid", "42" },
      { "set_inode_field", "/etc/shadow", "mode", "0100640" },
      { "set_inode_field", "/etc", "mode", "041777" },
      { "set_inode_field", "/bin", "uid", "4294967294" },
      { "set_inode_field", "/dev/sda", "mode", "060660" },
    }, { write = true } } }, batches)
    assert.equal(1, closed)
  end)

  it("changes nothing when a path is missing, or the list is empty", function()
    raises("not_found", "x.ext4 has no /nosuch", banger.apply_ownership, "x.ext4",
      { { path = "/etc", uid = 1 }, { path = "/nosuch", uid = 1 } })
    assert.equal(0, banger.apply_ownership("x.ext4", {}))
    assert.same({}, batches)
    assert.equal(2, closed)
  end)
end)

describe("host", function()
  local host = banger.host

  it("hashes", function()
    -- From sha256sum.
    assert.equal("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", host.sha256 "")
    assert.equal("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", host.sha256 "abc")
  end)

  it("reads files up to a limit", function()
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write "12345"
    file:close()
    assert.equal("12345", host.read_file(name, 5))
    assert.same({ type = "file", size = 5 }, host.stat(name))
    raises("usage", name .. " is larger than 4 bytes", host.read_file, name, 4)
    os.remove(name)
    raises("not_found", ("open %s: No such file or directory"):format(name), host.read_file, name, 5)
    raises("io", "read /: Is a directory", host.read_file, "/", 5)
    assert.is_nil(host.stat(name))
    assert.is_nil(host.realpath(name))
  end)

  it("knows the machine", function()
    assert.equal("/", host.realpath "/usr/..")
    assert.equal("dir", host.stat("/").type)
    assert.equal("char", host.stat("/dev/null").type)
    local before = host.clock()
    assert.is_true(host.clock() >= before)
    local machine = io.popen("uname -m"):read()
    local names = { x86_64 = "amd64", aarch64 = "arm64" }
    assert.equal(names[machine] or host.arch(), host.arch())
  end)

  it("refuses wrong arguments", function()
    assert.has_error(function() host.isatty(-1) end, "bad argument #1 to 'isatty' (not a file descriptor)")
    assert.has_error(function() host.read_file("x", -1) end, "bad argument #2 to 'read_file' (limit out of range)")
    assert.is_false(host.isatty(999))
    assert.is_nil(host.columns(999))
  end)
end)
