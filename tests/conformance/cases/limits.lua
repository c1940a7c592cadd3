--- The limits, each with an error of its own and an option to raise it.
local s = require "conformance.suite"
local file, dir, is = s.file, s.dir, s.is

local function path_of(depth)
  return ("d/"):rep(depth - 1) .. "f"
end

local function files(n, from)
  local layer = {}
  for i = 1, n do layer[i] = file("f" .. (from or 0) + i, "x") end
  return layer
end

local THREE = { { file("a", "1") }, { file("b", "2") }, { file("c", "3") } }

return {
  title = "limits",
  cases = {
    {
      row = "limits", name = "as many layers as allowed",
      layers = THREE, options = { limits = { layers = 3 } },
      expect = { a = "1", b = "2", c = "3" },
    },
    {
      row = "limits", name = "refused: one layer too many",
      layers = THREE, options = { limits = { layers = 2 } },
      error = { code = "layer", also = { "2", "layers" } },
    },
    {
      row = "limits", name = "as many entries as allowed, over all layers",
      layers = { files(5), files(5, 5) }, options = { limits = { entries = 10 } },
      expect = (function()
        local expect = {}
        for i = 1, 10 do expect["f" .. i] = "x" end
        return expect
      end)(),
    },
    {
      row = "limits", name = "refused: one entry too many in one layer",
      layers = { files(11) }, options = { limits = { entries = 10 } },
      error = { code = "layer", layer = 1, also = { "10", "entries" } },
    },
    {
      row = "limits", name = "refused: one entry too many in the second layer",
      layers = { files(5), files(6, 5) }, options = { limits = { entries = 10 } },
      error = { code = "layer", layer = 2, also = { "10", "entries" } },
    },
    {
      row = "limits", name = "a path of 1024 components",
      layers = { { file(path_of(1024), "x") } },
      expect = { [path_of(1024)] = "x" },
    },
    {
      row = "limits", name = "refused: a path of 1025 components",
      layers = { { file(path_of(1025), "x") } },
      error = { code = "layer", layer = 1, also = { "1024" } },
    },
    {
      row = "limits", name = "depth lowered: at the limit",
      layers = { { file("a/b/c", "x"), dir "a/d/e/" } }, options = { limits = { depth = 3 } },
      expect = { ["a/b/c"] = "x", ["a/d/e"] = is.dir() },
    },
    {
      row = "limits", name = "refused: depth lowered: past the limit",
      layers = { { file("a/b/c/deep", "x") } }, options = { limits = { depth = 3 } },
      error = { code = "layer", layer = 1, entry = "a/b/c/deep", also = { "3" } },
    },
    {
      row = "limits", name = "depth raised",
      layers = { { file(path_of(1500), "x") } }, options = { limits = { depth = 2000 } },
      expect = { [path_of(1500)] = "x" },
    },
    {
      -- Through symlinks the way into the image is longer than the name.
      row = "limits", name = "refused: depth past the limit by way of a symlink",
      layers = { { dir "1/2/3/4/", s.symlink("l", "1/2/3/4"), file("l/a/b", "x") } }, options = { limits = { depth = 5 } },
      error = { code = "layer", layer = 1, entry = "l/a/b", also = { "5" } },
    },
    {
      row = "limits", name = "uncompressed bytes within the limit",
      layers = { { file("a", ("x"):rep(50000)) } }, options = { limits = { bytes = 100000 } },
      expect = { a = ("x"):rep(50000) },
    },
    {
      row = "limits", name = "refused: too many uncompressed bytes in one layer",
      layers = { { file("a", ("x"):rep(200000)), compress = "gzip" } }, options = { limits = { bytes = 100000 } },
      error = { code = "layer", layer = 1, also = { "100000" } },
    },
    {
      row = "limits", name = "refused: too many uncompressed bytes over two layers",
      layers = { { file("a", ("x"):rep(70000)), compress = "gzip" }, { file("b", ("x"):rep(70000)), compress = "gzip" } },
      options = { limits = { bytes = 100000 } },
      error = { code = "layer", layer = 2, also = { "100000" } },
    },
    {
      row = "limits", name = "refused: a bomb that is a sparse file",
      layers = { { (function()
        local entry = file("bomb", nil)
        entry.sparse = { format = "1.0", size = 1 << 50, { 1 << 50, "" } }
        return entry
      end)() } },
      error = { code = "layer", layer = 1, entry = "bomb" },
    },
    {
      row = "limits", name = "refused: a manifest over 4 MiB", pull_only = true, pull = true,
      layers = { { file("a", "x"), compress = "gzip" } },
      image = { manifest = { annotations = { filler = ("x"):rep(4 << 20) } } },
      error = { code = "layer", exit = 6, also = { "manifest" } },
    },
    {
      row = "limits", name = "refused: a config over 8 MiB", pull_only = true, pull = true,
      layers = { { file("a", "x"), compress = "gzip" } },
      image = { config = { comment = ("x"):rep(8 << 20) } },
      error = { code = "layer", exit = 6, also = { "config" } },
    },
    {
      row = "limits", name = "a manifest and a config just within", pull = true,
      layers = { { file("a", "x"), compress = "gzip" } },
      image = {
        manifest = { annotations = { filler = ("x"):rep((4 << 20) - 2000) } },
        config = { comment = ("x"):rep((8 << 20) - 2000) },
      },
      expect = { a = "x" },
    },
  },
}
