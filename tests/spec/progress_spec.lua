package.path = "tests/?.lua;" .. package.path
local progress = require "banger.progress"
local sh = require "support.sh"

local DIGEST = "sha256:" .. ("0123456789abcdef"):rep(4)

-- Progress onto a fake stderr, at the times given.
local function show(mode, times, width, act)
  local written = {}
  local out = {
    write = function(_, ...)
      written[#written + 1] = table.concat { ... }
    end,
    flush = function() end,
  }
  local at = 0
  act(progress.new {
    mode = mode, layers = 3, out = out,
    clock = function()
      at = at + 1
      return times[at]
    end,
    columns = function()
      return width
    end,
  })
  return table.concat(written)
end

local function one_layer(shown)
  local update = shown:start(2, { digest = DIGEST, size = 4 * 1024 * 1024 })
  update { bytes = 1024 * 1024 }
  shown:finish()
end

describe("progress", function()
  it("on a terminal redraws a line in place", function()
    assert.equal("\r\27[Klayer 2/3 sha256:0123456789ab  1.0 MiB / 4.0 MiB  512.0 KiB/s  0:06 left"
      .. "\r\27[Klayer 2/3 sha256:0123456789ab  4.0 MiB in 5.0 s\n",
      show("tty", { 10, 12, 15 }, 100, one_layer))
  end)

  it("stays within the terminal's width", function()
    assert.equal("\r\27[Klayer 2/3 sha256:01\r\27[Klayer 2/3 sha256:01\n", show("tty", { 10, 12, 15 }, 20, one_layer))
  end)

  it("takes a width of 80 where it is not known", function()
    local text = show("tty", { 0, 1, 2 }, nil, function(shown)
      shown:start(1, { digest = DIGEST, size = 2 ^ 60 | 0 } ) { bytes = 2 ^ 50 | 0 }
    end)
    assert.equal(3 + 1 + 79, #text)
  end)

  it("writes hours", function()
    assert.matches("  3:00:00 left$", show("tty", { 0, 1 }, 200, function(shown)
      shown:start(1, { digest = DIGEST, size = 10801 }) { bytes = 1 }
    end))
  end)

  it("says nothing of what it does not know", function()
    assert.equal("\r\27[Klayer 1/3 sha256:0123456789ab  0 B", show("tty", { 0, 0 }, 200, function(shown)
      shown:start(1, { digest = DIGEST }) { bytes = 0 }
    end))
  end)

  it("leaves the line when it ends early, for the message that follows", function()
    assert.equal("\n", show("tty", { 0 }, 80, function(shown)
      shown:start(1, { digest = DIGEST })
      shown:close()
      shown:close()
    end))
  end)

  it("elsewhere is a line per finished layer", function()
    assert.equal("layer 2/3 sha256:0123456789ab  4.0 MiB in 5.0 s\n", show("plain", { 10, 15 }, nil, one_layer))
  end)

  it("may be none", function()
    assert.equal("", show("none", { 10, 15 }, nil, one_layer))
  end)

  it("chooses by what stderr is", function()
    local banger = require "banger"
    local want = banger.host.isatty(2) and os.getenv "TERM" ~= "dumb" and "tty" or "plain"
    assert.equal(want, progress.new({ layers = 1 }).mode)
  end)
end)

describe("what is said meanwhile", function()
  it("stays, elsewhere than on a terminal, as a line", function()
    assert.equal("hello\n", show("plain", {}, nil, function(shown)
      shown:say "hello"
    end))
  end)

  it("is nothing where nothing is shown", function()
    assert.equal("", show("none", { 1, 2 }, nil, function(shown)
      shown:say "hello"
      shown:note "retrying"
      shown:start(1, { digest = DIGEST }) { bytes = 1, log = "retrying\n" }
    end))
  end)

  it("is what is waited for, if anything is", function()
    assert.equal("retrying in 1.0 s\n", show("plain", {}, nil, function(shown)
      shown:note "retrying in 1.0 s"
      shown:note ""
    end))
  end)

  it("is each attempt that failed, once", function()
    assert.equal("layer 2/3 sha256:0123456789ab: first\nlayer 2/3 sha256:0123456789ab: second\n"
      .. "layer 2/3 sha256:0123456789ab  4.0 MiB in 5.0 s\n", show("plain", { 10, 15 }, nil, function(shown)
        local update = shown:start(2, { digest = DIGEST, size = 4 * 1024 * 1024 })
        update { bytes = 0, log = "first\nsecond\n" }
        update { bytes = 1, note = "retrying" }
        update { bytes = 1, log = "" }
        shown:finish()
      end))
  end)

  it("is no request: those go to the log, whatever an attempt's text says", function()
    local function told(level, redirect)
      return sh.check(sh.line(sh.banger(), "-e", ([[
        require "banger.log".set "%s"
        local shown = require "banger.progress".new { mode = "plain", layers = 1, out = io.stdout }
        local update = shown:start(1, { digest = "sha256:" .. ("a"):rep(64) })
        update { bytes = 1, log = "the server says debug: no\n", requests = "GET http://h/x: 200\n" }]]):format(level)) .. redirect)
    end
    local attempt = "layer 1/1 sha256:aaaaaaaaaaaa: the server says debug: no\n"
    assert.equal(attempt, told("info", " 2>&1"))
    assert.equal(attempt, told("debug", " 2>/dev/null"))
    assert.equal("banger-lua: debug: GET http://h/x: 200\n", told("debug", " 2>&1 >/dev/null"))
  end)

  it("is in place of the numbers while it is waited for", function()
    assert.equal("\r\27[Klayer 1/3 sha256:0123456789ab  retrying in 0.5 s"
      .. "\r\27[Klayer 1/3 sha256:0123456789ab  0 B / 2 B", show("tty", { 0, 0, 0 }, 200, function(shown)
        local update = shown:start(1, { digest = DIGEST, size = 2 })
        update { bytes = 0, note = "retrying in 0.5 s" }
        update { bytes = 0 }
      end))
  end)

  it("takes the number of layers from the one who knows", function()
    assert.equal("layer 4/7 sha256:0123456789ab  0 B in 1.0 s\n", show("plain", { 1, 2 }, nil, function(shown)
      shown:start(4, { digest = DIGEST }, 7)
      shown:finish()
    end))
  end)
end)
