--- Row 40: what is damaged, and how it is said.
-- corrupt is done before the digest is taken, so the digest is right and the
-- stream itself has to be found wrong; tamper is done after.
local s = require "conformance.suite"
local file, tar = s.file, s.tar

-- Both mean "digest or layer corrupt" (exit status 6); the rules do not say
-- which of them a broken stream is.
local DIGEST = { "digest", "layer" }

local function body(n)
  return ("line of text that goes on and on\n"):rep(n)
end

--- A good layer below, a broken one above.
local function broken(name, fields, err)
  local bad = { file("a", body(3000)), file("b", body(3000)) }
  for k, v in pairs(fields) do bad[k] = v end
  err = err or {}
  err.code, err.layer, err.exit = err.code or DIGEST, err.layer or 2, err.exit or 6
  return { row = "40", name = name, layers = { { file("low", "x"), compress = "gzip" }, bad }, error = err, pull = fields.pull }
end

local function cut(n) return function(blob) return blob:sub(1, -n - 1) end end
local function head(n) return function(blob) return blob:sub(1, n) end end
local function half(blob) return blob:sub(1, #blob // 2) end
local function append(bytes) return function(blob) return blob .. bytes end end

--- Another byte at a place, counted from the end when negative.
local function flip(at)
  return function(blob)
    local i = at < 0 and #blob + at + 1 or at
    return blob:sub(1, i - 1) .. string.char(blob:byte(i) ~ 0x55) .. blob:sub(i + 1)
  end
end

local function flip_middle(blob) return flip(#blob // 2)(blob) end

local ZERO_DIGEST = "sha256:" .. ("0"):rep(64)

--- A tar of raw entries that is wrong in itself.
local function bad_tar(name, entries, options)
  entries = table.move(entries, 1, #entries, 2, { file("good", "x") })
  for k, v in pairs(options or {}) do entries[k] = v end
  return { row = "40", name = name, layers = { { file("low", "x") }, entries }, error = { code = "layer", layer = 2 } }
end

local cases = {
  broken("gzip without its last byte", { compress = "gzip", corrupt = cut(1), pull = true }),
  broken("gzip without its trailer", { compress = "gzip", corrupt = cut(8) }),
  broken("half a gzip stream", { compress = "gzip", corrupt = half, pull = true }),
  broken("ten bytes of gzip", { compress = "gzip", corrupt = head(10) }),
  broken("five bytes of gzip", { compress = "gzip", corrupt = head(5) }),
  broken("the second of several gzip members cut", { compress = "gzip-members", corrupt = half }),
  broken("a gzip checksum that is wrong", { compress = "gzip", corrupt = flip(-7) }),
  broken("a gzip length that is wrong", { compress = "gzip", corrupt = flip(-2) }),
  broken("a flipped byte inside gzip", { compress = "gzip", corrupt = flip_middle }),
  broken("text after the last gzip member", { compress = "gzip", corrupt = append "this is no member" }),
  broken("zstd without its last byte", { compress = "zstd", corrupt = cut(1), pull = true }),
  broken("half a zstd stream", { compress = "zstd", corrupt = half }),
  broken("six bytes of zstd", { compress = "zstd", corrupt = head(6) }),
  broken("a flipped byte inside zstd", { compress = "zstd", corrupt = flip_middle }),
  broken("a zstd checksum that is wrong", { compress = "zstd", corrupt = flip(-1) }),
  broken("the last of several zstd frames cut", { compress = "zstd-frames", corrupt = cut(3) }),
  broken("a skippable frame cut", { compress = "zstd-skip-last", corrupt = cut(10) }),
  broken("text after the last zstd frame", { compress = "zstd", corrupt = append "this is no frame" }),
  broken("a plain tar cut inside a file", { corrupt = cut(50000) }),
  broken("a plain tar cut inside a header", { corrupt = head(200) }),
  broken("a layer that is text", { corrupt = function() return body(100) end, pull = true }),
  broken("a layer that is an ELF header and noise", {
    corrupt = function() return "\127ELF\2\1\1\0" .. ("\xde\xad\xbe\xef"):rep(1000) end,
  }),
  broken("a blob with another byte", { compress = "gzip", tamper = flip_middle, pull = true }, { code = DIGEST, also_digests = true }),
  broken("a blob cut short", { compress = "gzip", tamper = half, pull = true }, { code = DIGEST }),
  broken("a blob with bytes added", { compress = "gzip", tamper = append "x" }, { code = DIGEST }),
  broken("an empty blob", { compress = "gzip", tamper = function() return "" end }, { code = DIGEST }),
  broken("a blob that is another layer", {
    compress = "none", tamper = function() return tar.archive { file("evil", "x") } end,
  }, { code = DIGEST }),
  broken("a size that is too small", { compress = "gzip", size = 10, pull = true }, { code = DIGEST }),
  broken("a size that is too large", { compress = "gzip", size = 1 << 20, pull = true }, { code = DIGEST }),
  broken("a blob that is not there", { missing = true, pull = true }, { code = "not_found", exit = 2 }),
  broken("a wrong diff_id", { compress = "gzip", diff_id = ZERO_DIGEST, pull = true },
    { code = DIGEST, also_diff_ids = true }),
  broken("a wrong diff_id of a plain layer", { compress = "none", diff_id = ZERO_DIGEST }, { code = DIGEST, also_diff_ids = true }),
  broken("a diff_id that is the blob's digest", {
    compress = "gzip", tail = "bytes after the end", diff_id = "sha256:" .. ("ab"):rep(32),
  }, { code = DIGEST, also_diff_ids = true }),

  bad_tar("a header with a wrong checksum", { file("bad", "y", { checksum = "0012345\0" }), file("after", "z") }),
  bad_tar("a header of text", { ("not a header "):rep(40):sub(1, 512) }),
  bad_tar("a size with letters in it", { file("bad", "y", { size = "zzzzzzzzzzz\0" }), file("after", "z") }),
  bad_tar("a negative size", { file("bad", "y", { size = tar.base256(-512, 12) }), file("after", "z") }),
  bad_tar("a size of eight exbibytes", { file("bad", "y", { size = tar.base256(math.maxinteger, 12) }) }),
  bad_tar("a file larger than the rest of the tar", { file("bad", "y", { size = 1 << 20 }) }),
  bad_tar("a pax record whose length is too large", { tar.header { name = "p", typeflag = "x", size = 20 }
    .. "99 path=x\n" .. ("\0"):rep(502), file("bad", "y") }),
  bad_tar("a pax record without =", { tar.header { name = "p", typeflag = "x", size = 8 } .. "8 path\n\n" .. ("\0"):rep(504),
    file("bad", "y") }),
  bad_tar("a pax record of length zero", { tar.header { name = "p", typeflag = "x", size = 10 } .. "0 path=xy\n" .. ("\0"):rep(502),
    file("bad", "y") }),
  bad_tar("a pax header and nothing after it", { tar.pax { { "path", "x" } } }),
  bad_tar("a tar that ends inside a pax header", { tar.header { name = "p", typeflag = "x", size = 5000 } .. ("\0"):rep(512) },
    { end_blocks = 0 }),
  bad_tar("a GNU long name and nothing after it", { tar.header { name = "././@LongLink", typeflag = "L", size = 5, magic = "ustar  \0" }
    .. "long\0" .. ("\0"):rep(507) }),

  {
    row = "40", name = "fewer diff_ids than layers", pull_only = true, pull = true,
    layers = { { file("a", "x"), compress = "gzip" }, { file("b", "y"), compress = "gzip" } },
    image = { diff_ids = function(list) return { list[1] } end },
    error = { code = "layer", exit = 6, also = { "1", "2" } },
  },
  {
    row = "40", name = "more diff_ids than layers", pull_only = true, pull = true,
    layers = { { file("a", "x"), compress = "gzip" }, { file("b", "y"), compress = "gzip" } },
    image = { diff_ids = function(list) return { list[1], list[2], list[1] } end },
    error = { code = "layer", exit = 6, also = { "2", "3" } },
  },
  {
    row = "40", name = "no diff_ids", pull_only = true, pull = true,
    layers = { { file("a", "x"), compress = "gzip" } },
    image = { diff_ids = function() return {} end },
    error = { code = "layer", exit = 6, also = { "0", "1" } },
  },
  {
    row = "40", name = "diff_ids in another order", pull_only = true, pull = true,
    layers = { { file("a", "x"), compress = "gzip" }, { file("b", "y"), compress = "gzip" } },
    image = { diff_ids = function(list) return { list[2], list[1] } end },
    error = { code = DIGEST, exit = 6, layer = 1 },
  },
}

return { title = "damage", cases = cases }
