-- What layers add, change, remove and waste: sums by hand.
package.path = "tests/?.lua;" .. package.path
local layers = require "banger.inspect.layers"
local oci = require "support.oci"
local progress = require "banger.progress"
local sh = require "support.sh"
local source = require "banger.source"
local tar = require "support.tar"

local scratch
setup(function() scratch = sh.scratch() end)
teardown(function() scratch:remove() end)

local function analyse(lists, options, config)
  local specs = {}
  for i, entries in ipairs(lists) do specs[i] = { tar = tar.archive(entries) } end
  local dir = scratch:fresh()
  oci.write(dir, { layers = specs, config = config })
  local analysis, rootfs = layers.analyse(source.resolve("oci:" .. dir), progress.new { mode = "none" }, options)
  rootfs:close()
  return analysis
end

local function bytes(n) return ("x"):rep(n) end
local function sums(layer)
  return { layer.added.count, layer.added.bytes, layer.changed.count, layer.changed.bytes, layer.removed.count, layer.removed.bytes,
    layer.bytes, layer.wasted }
end

local THREE = {
  {
    tar.dir "./", tar.file("a", bytes(100)), tar.file("b", bytes(200)), tar.dir "d/", tar.file("d/x", bytes(300)),
    tar.file("d/y", bytes(400)), tar.file("h1", bytes(1000)), tar.hardlink("h2", "h1"),
  },
  { tar.dir "./", tar.dir("d/", { mtime = 5 }), tar.file("a", bytes(150)), tar.file ".wh.b", tar.file("h1", bytes(50)) },
  { tar.file ".wh.d", tar.file("b", bytes(20)), tar.file("a", bytes(150), { mode = tonumber("600", 8) }) },
}

describe("layers", function()
  it("are summed up one by one", function()
    local a = analyse(THREE)
    assert.same({ 7, 2000, 0, 0, 0, 0, 2000, 1000 }, sums(a.layers[1]))
    assert.same({ 0, 0, 2, 200, 1, 200, 200, 150 }, sums(a.layers[2]))
    assert.same({ 1, 20, 1, 150, 3, 700, 170, 0 }, sums(a.layers[3]))
    assert.same({ 2370, 1150, 1220 }, { a.bytes, a.wasted_bytes, a.final_bytes })
  end)

  it("waste what a later one hides, the worst first", function()
    assert.same({
      { path = "/d/y", bytes = 400, total = 400, count = 2, layers = { 1, 3 }, hidden = { { layer = 1, bytes = 400 } } },
      { path = "/d/x", bytes = 300, total = 300, count = 2, layers = { 1, 3 }, hidden = { { layer = 1, bytes = 300 } } },
      { path = "/a", bytes = 250, total = 400, count = 3, layers = { 1, 2, 3 },
        hidden = { { layer = 1, bytes = 100 }, { layer = 2, bytes = 150 } } },
      { path = "/b", bytes = 200, total = 220, count = 3, layers = { 1, 2, 3 }, hidden = { { layer = 1, bytes = 200 } } },
    }, analyse(THREE).wasted)
  end)

  it("have the score that dive has", function()
    -- a: 100 of 400; b: 0 of 220; d/x, d/y: 0 of 700; h1, h2: 1050 of 1050.
    assert.near(1150 / 2370, analyse(THREE).efficiency, 1e-12)
    assert.equal(1, analyse({ { tar.file("a", "1") }, { tar.file("b", "2") } }).efficiency)
    assert.equal(1, analyse({ { tar.dir "d/" } }).efficiency)
  end)

  it("list what they do", function()
    local a = analyse(THREE, { changes = true })
    assert.same({
      { path = "/a", kind = "changed", type = "file", size = 150 },
      { path = "/b", kind = "removed", type = "file", size = 200 },
      { path = "/h1", kind = "changed", type = "file", size = 50 },
    }, a.layers[2].files)
    assert.same({
      { path = "/a", kind = "changed", type = "file", size = 150 },
      { path = "/b", kind = "added", type = "file", size = 20 },
      { path = "/d", kind = "removed", type = "dir", size = 0 },
      { path = "/d/x", kind = "removed", type = "file", size = 300 },
      { path = "/d/y", kind = "removed", type = "file", size = 400 },
    }, a.layers[3].files)
  end)

  it("leave a tree whose files know where they are from", function()
    assert.same({
      { path = "/", type = "dir", layer = 2, size = 0, wasted = 0 },
      { path = "/a", type = "file", layer = 3, size = 150, wasted = 250 },
      { path = "/b", type = "file", layer = 3, size = 20, wasted = 200 },
      { path = "/h1", type = "file", layer = 2, size = 50, wasted = 0 },
      { path = "/h2", type = "file", layer = 1, size = 1000, wasted = 0 },
    }, analyse(THREE, { files = true }).files)
  end)

  it("count a file of several names once", function()
    local a = analyse({
      { tar.file("a", bytes(10)), tar.hardlink("b", "a"), tar.hardlink("c", "a") },
      { tar.hardlink("d", "a") },
      { tar.file ".wh.a", tar.file ".wh.b" },
      { tar.file ".wh.c", tar.file ".wh.d" },
    }, { files = true })
    assert.same({ 10, 10, 0 }, { a.bytes, a.wasted_bytes, a.final_bytes })
    assert.same({ 3, 10, 0, 0, 0, 0, 10, 10 }, sums(a.layers[1]))
    assert.same({ 1, 0, 0, 0, 0, 0, 0, 0 }, sums(a.layers[2]))
    assert.same({ 0, 0, 0, 0, 2, 0, 0, 0 }, sums(a.layers[3]))
    assert.same({ 0, 0, 0, 0, 2, 10, 0, 0 }, sums(a.layers[4]))
  end)

  it("change a directory by its owner, mode and attributes, not by its time or by listing it", function()
    local function second(attrs) return sums(analyse({ { tar.dir "d/" }, { tar.dir("d/", attrs) } }).layers[2])[3] end
    assert.same({ 0, 0, 1, 1, 1 }, {
      second {}, second { mtime = 7 }, second { mode = tonumber("700", 8) }, second { gid = 5 }, second { xattrs = { ["user.x"] = "1" } },
    })
  end)

  it("may put a file where a directory was, and the other way round", function()
    local a = analyse {
      { tar.dir "d/", tar.file("d/x", bytes(7)), tar.file("f", bytes(9)) },
      { tar.file("d", bytes(2)), tar.dir "f/", tar.file("f/y", bytes(1)) },
    }
    assert.same({ 1, 1, 2, 2, 1, 7, 3, 0 }, sums(a.layers[2]))
    assert.same({ 19, 16, 3 }, { a.bytes, a.wasted_bytes, a.final_bytes })
  end)

  it("may hide all of a directory at once, and bring another into it", function()
    local a = analyse {
      { tar.dir "d/", tar.file("d/x", bytes(7)), tar.file("d/y", bytes(8)) },
      { tar.dir "d/", tar.file "d/.wh..wh..opq", tar.file("d/x", bytes(3)) },
    }
    assert.same({ 0, 0, 1, 3, 1, 8, 3, 0 }, sums(a.layers[2]))
    assert.equal(15, a.wasted_bytes)
  end)

  it("are told apart by what the history says of them", function()
    local two = { { tar.file("a", "1") }, { tar.file("b", "2") } }
    local function made_by(history)
      local a = analyse(two, nil, { history = history })
      return { a.layers[1].created_by or "-", a.layers[2].created_by or "-" }
    end
    assert.same({ "ADD x", "RUN y" }, made_by { { created_by = "ADD x" }, { created_by = "ENV z", empty_layer = true }, { created_by = "RUN y" } })
    assert.same({ "-", "-" }, made_by { { created_by = "ADD x" } })
    assert.same({ "-", "-" }, made_by { { created_by = 5 }, { created_by = "RUN", empty_layer = 1 }, 7, { comment = "no" } })
  end)

  it("may be none", function()
    local a = analyse {}
    assert.same({ 0, 0, 0, 1, {} }, { #a.layers, a.bytes, a.wasted_bytes, a.efficiency, a.wasted })
  end)
end)
