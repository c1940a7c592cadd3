--- Row 37: every way a layer is compressed. The media type is a hint, the
--- magic decides.
local s = require "conformance.suite"
local oci = require "support.oci"
local tree = require "support.tree"
local file, dir, is = s.file, s.dir, s.is

--- Content that does not compress away: a linear congruence, the same each time.
local function noise(n)
  local out, x = {}, 12345
  for i = 1, n // 4 do
    x = (x * 1103515245 + 12345) & 0x7FFFFFFF
    out[i] = ("<I4"):pack(x)
  end
  return table.concat(out)
end

local NOISE = noise(300000)
local TEXT = ("the same line again and again\n"):rep(20000)

local function layer(fields)
  local l = { dir "d/", file("d/noise", NOISE), file("d/text", TEXT), file("small", "x") }
  for k, v in pairs(fields) do l[k] = v end
  return l
end

local EXPECT = { d = is.dir(), ["d/noise"] = NOISE, ["d/text"] = TEXT, small = "x" }

local OCI = "application/vnd.oci.image.layer.v1.tar"
local DOCKER = "application/vnd.docker.image.rootfs.diff.tar"

local cases = {
  {
    row = "37", name = "layers of one image in different forms",
    layers = {
      { file("a", "1"), compress = "gzip" }, { file("b", "2"), compress = "none" }, { file("c", "3"), compress = "zstd" },
      { file("d", "4"), compress = "gzip-members" }, { file ".wh.a", compress = "zstd-frames" },
    },
    pull = true,
    expect = { b = "2", c = "3", d = "4" },
  },
}

for _, name in ipairs(tree.sorted(oci.compressors)) do
  cases[#cases + 1] = {
    row = "37", name = name, layers = { layer { compress = name } }, expect = EXPECT,
  }
end

for _, lie in ipairs {
  { "gzip called tar", "gzip", OCI }, { "gzip called zstd", "gzip", OCI .. "+zstd" },
  { "plain called gzip", "none", OCI .. "+gzip" }, { "plain called zstd", "none", OCI .. "+zstd" },
  { "zstd called gzip", "zstd", OCI .. "+gzip" }, { "zstd called tar", "zstd", OCI },
  { "skippable frame first, called gzip", "zstd-skip-first", OCI .. "+gzip" },
  { "gzip by Docker's name", "gzip", DOCKER .. ".gzip" }, { "plain called Docker's gzip", "none", DOCKER .. ".gzip" },
  { "a non-distributable layer's type", "gzip", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip" },
} do
  cases[#cases + 1] = {
    row = "37", name = "media type: " .. lie[1], pull = true,
    layers = { { file("a", "x"), compress = lie[2], media_type = lie[3] } },
    expect = { a = "x" },
  }
end

return { title = "compression", cases = cases }
