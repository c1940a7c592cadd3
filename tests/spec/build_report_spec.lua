local cli = require "banger.cli"
local report = require "banger.build_report"

-- What f writes, by the functions of cli that it writes with.
local function written(f, ...)
  local out, notes = {}, {}
  local write, note = cli.write, cli.warn
  cli.write = function(...)
    out[#out + 1] = table.concat { ... }
  end
  cli.warn = function(format, ...)
    notes[#notes + 1] = format:format(...)
  end
  local ok, message = pcall(f, ...)
  cli.write, cli.warn = write, note
  assert(ok, message)
  return table.concat(out), notes
end

local build = {
  image = { reference = "oci:x:t", digest = "sha256:m", platform = "linux/amd64", layers = { { digest = "sha256:l" } } },
  info = { path = "out.ext4", size = 1073741824, used = 734003200, free = 339738624, inodes = 65536, inodes_used = 13626,
    inodes_free = 51910, label = "", uuid = "u", block_size = 4096, journal_bytes = 0 },
  layers = { { layer = 1, diff_id = "sha256:d", entries = 2, notes = { { entry = "/abs", action = "altered", reason = "absolute" } } } },
  plan = {
    entries = { { path = "/etc/fstab", type = "file", content = "x", why = "is absent" } },
    warnings = {},
    init = { kind = "native", path = "/sbin/init", argv = {}, why = "it is there" },
  },
  seconds = 1.4142135,
}

describe("the report", function()
  it("for people", function()
    assert.equal([[
path     out.ext4
size     1.0 GiB (1073741824 bytes)
used     700.0 MiB (734003200 bytes)
free     324.0 MiB (339738624 bytes)
inodes   65536, 13626 used
digest   sha256:m
seconds  1.41
]], written(report.print, "text", build))
  end)

  it("as JSON: one line, sorted", function()
    assert.equal('{"block_size":4096,"digest":"sha256:m","free":339738624,'
      .. '"init":{"kind":"native","path":"/sbin/init","why":"it is there"},'
      .. '"injected":[{"path":"/etc/fstab","type":"file","why":"is absent"}],"inodes":65536,"inodes_free":51910,'
      .. '"inodes_used":13626,"journal_bytes":0,"label":"","layers":[{"diff_id":"sha256:d","digest":"sha256:l","entries":2,'
      .. '"layer":1,"notes":[{"action":"altered","entry":"/abs","reason":"absolute"}]}],"path":"out.ext4",'
      .. '"platform":"linux/amd64","reference":"oci:x:t","seconds":1.41421,"size":1073741824,"used":734003200,'
      .. '"uuid":"u","warnings":[]}\n', written(report.print, "json", build))
  end)

  it("of the digest alone", function()
    assert.equal("sha256:m\n", written(report.print, "digest", build))
  end)
end)

describe("the notes", function()
  local function layer(count, dropped)
    local notes = {}
    for i = 1, count do
      notes[i] = { entry = "e" .. i, action = "skipped", reason = "a socket" }
    end
    return { notes = notes, notes_dropped = dropped or 0 }
  end

  it("are the first few, and how many more", function()
    local _, notes = written(report.notes, { layer(3), layer(4, 1000) }, {})
    assert.same({
      "layer 1: e1 skipped: a socket", "layer 1: e2 skipped: a socket", "layer 1: e3 skipped: a socket",
      "layer 2: e1 skipped: a socket", "layer 2: e2 skipped: a socket", "and 1002 more notes like these (--json lists them)",
    }, notes)
  end)

  it("are no formats, whatever they name", function()
    local _, notes = written(report.notes, { { notes = { { entry = "a%s", action = "noted", reason = "r" } }, notes_dropped = 0 } }, { "w%d" })
    assert.same({ "layer 1: a%s noted: r", "w%d" }, notes)
  end)

  it("are none where there is nothing to say", function()
    local _, notes = written(report.notes, { layer(0) }, {})
    assert.same({}, notes)
  end)
end)
