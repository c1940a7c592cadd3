-- The tour of README.md, typed on a terminal as it stands there. What the screen shows has to
-- be what stands there; "..." is any text, on a line of its own any lines.
--
-- `busybox` is an image made here: the banger-lua that is found in PATH sees to that.
package.path = "tests/?.lua;" .. package.path
local guest = require "boot.guest"
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"
local terminal = require "support.terminal"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local X = tonumber("755", 8)
local PATIENCE = 120 -- seconds, for what never comes

local function make_image(path)
  local busybox = sh.read_file((sh.check "command -v busybox":gsub("\n", "")))
  local list = { tar.dir "bin/", tar.file("bin/busybox", busybox, { mode = X }) }
  for _, name in ipairs { "sh", "cat", "hostname" } do list[#list + 1] = tar.hardlink("bin/" .. name, "bin/busybox") end
  for _, entry in ipairs {
    tar.dir "etc/", tar.file("etc/group", "root:x:0:\n"), tar.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n"),
    tar.dir("root/", { mode = tonumber("700", 8) }), tar.dir("tmp/", { mode = tonumber("1777", 8) }),
  } do list[#list + 1] = entry end
  oci.write(path, { tag = "busybox", layers = { { tar = tar.archive(list), compress = "gzip" } },
    config = { config = { Cmd = { "sh" }, Env = { "PATH=/bin" } } } })
end

local WRAPPER = [=[
#!/bin/bash
args=()
for word; do
  [ "$word" = busybox ] && word=oci:%s:busybox
  args+=("$word")
  [ "$word" = run ] && args+=(--accel tcg --memory 256M)
done
exec %s "${args[@]}"
]=]

--- What is typed, and what is shown: { { prompt = "$ ", typed = "ls", shown = { "a", "b" } } }.
local function read_tour()
  local chapter = sh.read_file "README.md":match "\n## A tour\n(.-)\n## "
  local steps, text = {}, {}
  for block in chapter:gmatch "\n```console\n(.-)\n```" do
    for line in block:gmatch "[^\n]+" do
      local prompt, typed = line:match "^(%$ )(.*)$"
      if not prompt then prompt, typed = line:match "^(> )(.*)$" end
      if not prompt then prompt, typed = line:match "^(debug> )(.*)$" end
      if prompt then steps[#steps + 1] = { prompt = prompt, typed = typed } end
      text[#text + 1] = line
    end
  end
  return steps, text
end

--- Whether lines are as they are to be.
local function fits(wanted, i, shown, j)
  while wanted[i] and wanted[i] ~= "..." do
    local pattern = "^" .. wanted[i]:gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", ".*") .. "$"
    if not shown[j] or not shown[j]:find(pattern) then return false, i, j end
    i, j = i + 1, j + 1
  end
  if not wanted[i] then return shown[j] == nil, i, j end
  local least, at = i, j
  for k = j, #shown + 1 do
    local ok, stuck, where = fits(wanted, i + 1, shown, k)
    if ok then return true end
    if stuck > least then least, at = stuck, where end
  end
  return false, least, at
end

--- Waits until the last line is a prompt.
local function wait_for(t, prompt)
  local limit = os.time() + PATIENCE
  prompt = prompt:gsub(" $", "")
  while t:screen():match "([^\n]*)\n$" ~= prompt do
    if os.time() > limit then error(("no prompt '%s' on the screen:\n%s"):format(prompt, t:screen()), 2) end
    sh.run "sleep 0.05"
  end
end

describe("the tour's test itself", function()
  local function check(wanted, shown)
    local function lines(text)
      local list = {}
      for line in text:gmatch "[^|]+" do list[#list + 1] = line end
      return list
    end
    return (fits(lines(wanted), 1, lines(shown), 1))
  end

  it("tells what fits from what does not", function()
    assert.is_true(check("a|...|c", "a|c"))
    assert.is_true(check("a|...|c|...", "a|b|b|c|d"))
    assert.is_true(check("size ...|x", "size 5 MiB (1.0 %)|x"))
    assert.is_false(check("a|c", "a|b|c"))
    assert.is_false(check("a|...|c", "a|b"))
    assert.is_false(check("a", "a|b"))
    assert.is_false(check("a.c", "abc"))
  end)
end)

it("the README's tour is what a terminal shows", function()
  local lacking = guest.boot_reason() or need.program("busybox", "tmux")
  if lacking then return pending(lacking) end
  local steps, wanted = read_tour()
  assert.is_true(#steps > 25)
  make_image(scratch:path "layout")
  scratch:mkdir "bin"
  scratch:mkdir "home"
  sh.write_file(scratch:path "bin/banger-lua", WRAPPER:format(scratch:path "layout", sh.quote(os.getenv "BANGER_LUA")))
  sh.check("chmod +x " .. sh.quote(scratch:path "bin/banger-lua"))
  local t <close> = terminal.open(scratch, "bash --noprofile --norc -i", { width = 200, height = 50, dir = scratch:mkdir "work", env = {
    HOME = scratch:path "home", XDG_CACHE_HOME = scratch:path "home/cache", XDG_CONFIG_HOME = scratch:path "home/config",
    XDG_STATE_HOME = scratch:path "home/state", PATH = scratch:path "bin" .. ":" .. os.getenv "PATH", PS1 = "$ ", PS2 = "> ", LC_ALL = "C.UTF-8",
    BANGER_KERNEL = sh.check("realpath build/cache/kernel/kernel"):match "[^\n]*",
  } })
  local typed = {}
  for i, step in ipairs(steps) do
    local line = step.prompt .. step.typed
    wait_for(t, step.prompt)
    t:enter(step.typed)
    typed[line] = (typed[line] or 0) + 1
    t:expect(line, typed[line])
    if i == #steps then wait_for(t, "$") end
  end
  local shown = {}
  for line in t:screen():gmatch "[^\n]+" do shown[#shown + 1] = line end
  shown[#shown] = nil -- the prompt that nothing was typed at
  local ok, i, j = fits(wanted, 1, shown, 1)
  assert(ok, ("README.md says: %s\nthe terminal shows: %s\n---\n%s"):format(wanted[i or 1], shown[j or 1], t:screen()))
end)
