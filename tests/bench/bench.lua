-- make bench: how fast, against what. Prints a table and writes the same to
-- build/bench.json. Never fails for being slow; it tells.
--
--     build/banger-lua tests/bench/bench.lua BUILD [image|registry|scale]
--
-- RUNS=5 is the number of runs the medians are of (scale cases: at most 3).
package.path = "tests/?.lua;" .. package.path
local cjson = require "cjson"

local build, only = ...
local RUNS = tonumber(os.getenv "RUNS") or 5
local MIB = 2 ^ 20
local cache = build .. "/cache/bench"
local tmp = build .. "/bench/tmp"

local function sh(fmt, ...)
  local ok, _, code = os.execute(fmt:format(...))
  if not ok then error(("exit %s from: %s"):format(code, fmt:format(...)), 2) end
end

local function output(fmt, ...)
  local pipe = assert(io.popen(fmt:format(...)))
  local text = pipe:read "a"
  pipe:close()
  return (text:gsub("%s+$", ""))
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function exists(path)
  local file = io.open(path)
  return file and file:close()
end

local function say(fmt, ...)
  io.stdout:write(fmt:format(...), "\n")
  io.stdout:flush()
end

-- ---- one run -------------------------------------------------------------------

-- Every run starts from a clean folder and a quiet disk. The command's own
-- output stays in tmp/log.
local function measure(command)
  sh("rm -rf %s && mkdir -p %s && sync", tmp, tmp)
  local line = ("%s/bench/run %s/result %s > %s/log 2> %s/err"):format(build, tmp, command, tmp, tmp)
  if not os.execute(line) then
    say("  failed: %s\n%s%s", command, read(tmp .. "/log"), read(tmp .. "/err"))
    return nil
  end
  local seconds, rss, user, sys = read(tmp .. "/result"):match "(%S+) (%S+) (%S+) (%S+)"
  return {
    seconds = tonumber(seconds),
    rss = tonumber(rss) * 1024,
    cpu = tonumber(user) + tonumber(sys),
  }
end

local function ours(layout)
  local run = measure(("%s/banger-lua recipes/pull.lua --json --progress none oci:%s:bench %s/out.ext4")
    :format(build, layout, tmp))
  if not run then return nil end
  local ok, report = pcall(cjson.decode, read(tmp .. "/log"))
  if ok and type(report) == "table" then
    run.finish = report.seconds_finish
    run.size = report.size
  end
  return run
end

-- What one does without this project. The file system's size is a guess, as it
-- always is with mke2fs; it is not in the time.
local function umoci(layout, size)
  local rootless = output "id -u" == "0" and "" or "--rootless "
  return measure(("sh -c 'umoci raw unpack %s--image %s:bench %s/tree && mke2fs -q -F -t ext4 -d %s/tree %s/out.ext4 %dk'")
    :format(rootless, layout, tmp, tmp, tmp, size // 1024))
end

local function blobs(layout)
  local function blob(descriptor)
    return ("%s/blobs/sha256/%s"):format(layout, descriptor.digest:match ":(%x+)$")
  end
  local index = cjson.decode(read(layout .. "/index.json"))
  local manifest = cjson.decode(read(blob(index.manifests[1])))
  local list = {}
  for i, layer in ipairs(manifest.layers) do list[i] = blob(layer) end
  return list
end

local function limit(layout)
  return measure(("%s/bench/limit %s"):format(build, table.concat(blobs(layout), " ")))
end

-- ---- several runs --------------------------------------------------------------

local function median(list)
  table.sort(list)
  local n = #list
  return n % 2 == 1 and list[(n + 1) // 2] or (list[n // 2] + list[n // 2 + 1]) / 2
end

local function column(runs, name)
  local list = {}
  for _, run in ipairs(runs) do list[#list + 1] = run[name] end
  return list
end

-- The median of the runs in all they measured; the peak is the largest.
local function sum_up(runs)
  if #runs == 0 then return nil end
  local seconds = column(runs, "seconds")
  local finish = column(runs, "finish")
  return {
    seconds = median(seconds),
    fastest = math.min(table.unpack(seconds)),
    slowest = math.max(table.unpack(seconds)),
    cpu_seconds = median(column(runs, "cpu")),
    peak_rss = math.max(table.unpack(column(runs, "rss"))),
    finish_seconds = #finish > 0 and median(finish) or nil,
    image_size = runs[#runs].size,
    runs = #runs,
  }
end

-- Alternating, so that what the machine does meanwhile meets all alike.
local function alternate(count, contenders)
  local runs = {}
  for _, c in ipairs(contenders) do runs[c.name] = {} end
  for _ = 1, count do
    for _, c in ipairs(contenders) do
      local run = c.run(runs)
      runs[c.name][#runs[c.name] + 1] = run
    end
  end
  local result = {}
  for name, list in pairs(runs) do result[name] = sum_up(list) end
  return result
end

local function check(layout)
  if not ours(layout) then return false end
  return (os.execute(("PATH=$PATH:/usr/sbin:/sbin e2fsck -fn %s/out.ext4 > %s/fsck 2>&1"):format(tmp, tmp)))
end

local function row(name, m, extra)
  if not m then
    say("  %-34s failed", name)
  else
    say("  %-34s %7.2f s  (%.2f to %.2f)  %7.1f MiB  %6.2f s CPU  %s", name, m.seconds, m.fastest,
      m.slowest, m.peak_rss / MIB, m.cpu_seconds, extra or "")
  end
end

local function ratio(a, b)
  return a and b and a.seconds / b.seconds or nil
end

-- ---- the machine ---------------------------------------------------------------

local result = {
  machine = {
    cores = tonumber(output "nproc"),
    cpu = output "sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1",
    kernel = output "uname -sr",
    file_system = output("df --output=fstype %s | tail -n 1", build),
    memory = tonumber(output "sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo") * 1024,
  },
}
say("machine: %d cores (%s), %.0f GiB, %s, build/ on %s", result.machine.cores, result.machine.cpu,
  result.machine.memory / 2 ^ 30, result.machine.kernel, result.machine.file_system)

-- ---- the image -----------------------------------------------------------------

if not only or only == "image" then
  local layout = cache .. "/image"
  local list = blobs(layout)
  sh("cat %s > /dev/null", table.concat(list, " ")) -- into the page cache, for all
  sh("%s/bench/limit %s > %s/bench/limit.txt", build, table.concat(list, " "), build)
  local packed, unpacked, entries = read(build .. "/bench/limit.txt"):match "(%d+) (%d+) (%d+)"
  say("image: %d layers, %d MB gzip, %d MB tar, %d entries; medians of %d alternating runs", #list,
    packed // 1000000, unpacked // 1000000, entries, RUNS)
  local m = alternate(RUNS, {
    { name = "ours", run = function() return ours(layout) end },
    {
      name = "umoci_mke2fs",
      run = function(runs)
        local last = runs.ours[#runs.ours]
        return umoci(layout, math.tointeger((last and last.size or tonumber(unpacked)) * 5 // 4))
      end,
    },
    { name = "limit", run = function() return limit(layout) end },
  })
  m.layers, m.bytes_gzip, m.bytes_tar, m.entries = #list, tonumber(packed), tonumber(unpacked), tonumber(entries)
  m.times_faster = ratio(m.umoci_mke2fs, m.ours)
  m.times_limit = ratio(m.ours, m.limit)
  m.finish_share = m.ours and m.ours.finish_seconds and m.ours.finish_seconds / m.ours.seconds or nil
  m.fsck_clean = check(layout)
  result.image = m
  row("banger-lua pull", m.ours, m.finish_share and ("finishing %.3f s"):format(m.ours.finish_seconds))
  row("umoci raw unpack + mke2fs -d", m.umoci_mke2fs,
    m.times_faster and ("%.1fx ours"):format(m.times_faster))
  row("limit: inflate, hash, parse only", m.limit, m.times_limit and ("ours is %.2fx"):format(m.times_limit))
  say("  e2fsck -fn: %s", m.fsck_clean and "clean" or "NOT CLEAN")
end

-- ---- a registry -----------------------------------------------------------------

-- The same image from a registry on loopback: cold, with nothing in the cache, and
-- warm; and what one does without this project. Then through a link of 50 MB/s.
local RATE = 50000000

local function pull(ref, store, fresh)
  if fresh then sh("rm -rf %s", store) end
  local run = measure(("%s/banger-lua recipes/pull.lua -q --cache-dir %s %s %s/out.ext4"):format(build, store, ref, tmp))
  return run
end

local function chain(ref, size)
  local rootless = output "id -u" == "0" and "" or "--rootless "
  return measure(("sh -c 'skopeo copy -q --src-tls-verify=false docker://%s oci:%s/layout:bench && umoci raw unpack %s--image %s/layout:bench %s/tree"
    .. " && mke2fs -q -F -t ext4 -d %s/tree %s/out.ext4 %dk'"):format(ref, tmp, rootless, tmp, tmp, tmp, tmp, size // 1024))
end

if not only or only == "registry" then
  local registry = require "support.registry"
  local scratch <close> = require "support.sh".scratch()
  local layout, store = cache .. "/image", scratch:path "store"
  local packed = 0
  for _, path in ipairs(blobs(layout)) do
    local file <close> = assert(io.open(path))
    packed = packed + file:seek "end"
  end
  local hub <close> = registry.start { scratch = scratch }
  hub:push(layout, "bench", "bench:latest")
  local ref = hub.host .. "/bench:latest"
  say("registry on loopback: medians of %d alternating runs", RUNS)
  local m = alternate(RUNS, {
    { name = "cold", run = function() return pull(ref, store, true) end },
    { name = "warm", run = function() return pull(ref, store) end },
    { name = "skopeo_umoci_mke2fs", run = function() return chain(ref, 1500000000) end },
  })
  m.times_faster, m.cold_to_warm = ratio(m.skopeo_umoci_mke2fs, m.cold), ratio(m.cold, m.warm)
  row("banger-lua pull, cold", m.cold, m.cold_to_warm and ("%.2fx warm"):format(m.cold_to_warm))
  row("banger-lua pull, warm", m.warm)
  row("skopeo copy + umoci + mke2fs -d", m.skopeo_umoci_mke2fs, m.times_faster and ("%.1fx ours, cold"):format(m.times_faster))
  local proxy <close> = registry.faults { scratch = scratch, upstream = hub }
  proxy:rules({}, RATE)
  m.limited = sum_up { pull(proxy.host .. "/bench:latest", store, true) }
  m.transfer_seconds = packed / RATE
  m.times_transfer = m.limited and m.limited.seconds / m.transfer_seconds or nil
  row("the same, cold, at 50 MB/s", m.limited, m.times_transfer and ("%.2fx the transfer's %.2f s"):format(m.times_transfer, m.transfer_seconds))
  result.registry = m
end

-- ---- scale ---------------------------------------------------------------------

local cases = {
  { name = "files_100k", kind = "files", count = 100000, text = "100,000 small files" },
  { name = "files_500k", kind = "files", count = 500000, text = "500,000 small files" },
  { name = "directory_200k", kind = "dir", count = 200000, text = "200,000 files in one directory" },
  { name = "zeros_8gb", kind = "zeros", count = 8000000000, text = "one file of 8 GB, mostly zeros" },
}

if not only or only == "scale" then
  local count = math.min(RUNS, 3)
  say("scale: medians of %d runs", count)
  result.scale = {}
  for _, case in ipairs(cases) do
    local layout = ("%s/%s-%d"):format(cache, case.kind, case.count)
    if not exists(layout .. "/oci-layout") then
      sh("mkdir -p %s && %s/bench/make-layout %s %s %d", cache, build, layout, case.kind, case.count)
    end
    sh("cat %s > /dev/null", table.concat(blobs(layout), " "))
    local m = alternate(count, {
      { name = "ours", run = function() return ours(layout) end },
      { name = "limit", run = function() return limit(layout) end },
    })
    m.times_limit = ratio(m.ours, m.limit)
    m.fsck_clean = check(layout)
    result.scale[case.name] = m
    row(case.text, m.ours, ("%sx the limit, e2fsck %s"):format(
      m.times_limit and ("%.2f"):format(m.times_limit) or "?", m.fsck_clean and "clean" or "NOT CLEAN"))
  end
  result.scale.ratio_500k_100k = ratio(result.scale.files_500k.ours, result.scale.files_100k.ours)
  say("  500k / 100k: %s", result.scale.ratio_500k_100k and ("%.2f"):format(result.scale.ratio_500k_100k) or "?")
end
sh("rm -rf %s", tmp)

-- ---- goals ---------------------------------------------------------------------

say "goals:"
result.goals = {}
local function goal(text, value, met, fmt)
  if value == nil then return end
  result.goals[#result.goals + 1] = { goal = text, value = value, met = met }
  say("  %-6s %-58s %s", met and "met" or "MISSED", text, fmt:format(value))
end
local function at_most(text, value, most, fmt)
  if value then goal(text, value, value <= most, fmt) end
end
local function peak(m)
  return m and m.ours and m.ours.peak_rss / MIB
end

local image, scale, remote = result.image or {}, result.scale or {}, result.registry or {}
if image.times_faster then
  goal("at least 6x faster than umoci + mke2fs", image.times_faster, image.times_faster >= 6, "%.1fx")
end
at_most("at most 1.4x the limit", image.times_limit, 1.4, "%.2fx")
at_most("finishing the ext4 under 5 % of the total", image.finish_share and image.finish_share * 100, 5, "%.1f %%")
at_most("peak RSS at most 48 MiB for the image", peak(image), 48, "%.1f MiB")
at_most("a cold pull over loopback at most 1.3x a warm one", remote.cold_to_warm, 1.3, "%.2fx")
at_most("a cold pull at 50 MB/s at most 1.1x the transfer", remote.times_transfer, 1.1, "%.2fx")
at_most("peak RSS at most 64 MiB for a cold pull", remote.cold and remote.cold.peak_rss / MIB, 64, "%.1f MiB")
at_most("peak RSS at most 200 MiB for 500k files", peak(scale.files_500k), 200, "%.1f MiB")
at_most("500k / 100k files at most 6.5", scale.ratio_500k_100k, 6.5, "%.2f")
at_most("8 GB of zeros bound by hashing: at most 1.4x the limit", scale.zeros_8gb and scale.zeros_8gb.times_limit, 1.4, "%.2fx")

local file = assert(io.open(build .. "/bench.json", "w"))
file:write(cjson.encode(result), "\n")
file:close()
say("written to %s/bench.json", build)
