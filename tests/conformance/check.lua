--- Runs conformance cases against banger-lua: in the process through the
--- primitives, on the finished image through tools that are not ours, and
--- through the command line.
local suite = require "conformance.suite"
local image = require "support.image"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"
local tree = require "support.tree"

local M = {}

local EPOCH = 1600000000

-- ---- the engine ------------------------------------------------------------------

--- Fields that rootfs:stat has in common with a tree.
local function node_of(rootfs, path, st)
  local node = {
    type = st.type, mode = st.mode, uid = st.uid, gid = st.gid, size = st.type ~= "dir" and st.size or nil,
    mtime = st.mtime, nsec = st.mtime_nsec, nlink = st.nlink, target = st.target,
    major = st.major, minor = st.minor, xattrs = st.xattrs or {},
  }
  if st.type == "file" then node.content = rootfs:read(path) end
  if st.type ~= "char" and st.type ~= "block" then node.major, node.minor = nil, nil end
  return node
end

--- What rootfs:walk() says, as a tree.
function M.walked(rootfs)
  local out = {}
  for path, st in rootfs:walk "/" do
    out[(path:gsub("^/+", ""))] = node_of(rootfs, path, st)
  end
  return out
end

local function options_of(case, layer)
  local options = suite.with(case.options or {}, "diff_id", layer.diff_id)
  return options
end

--- Flattens the layers of a case. Errors are raised as banger raises them.
---@return userdata rootfs, table[] reports
local function flatten(banger, case, layers, near)
  local rootfs = banger.rootfs { near = near }
  local reports = {}
  local ok, err = pcall(function()
    for i, layer in ipairs(layers) do
      local blob <close> = banger.fetch_blob { digest = layer.digest, size = layer.size, path = layer.path }
      reports[i] = banger.flatten_layer(rootfs, blob, options_of(case, layer))
    end
  end)
  if not ok then
    rootfs:close()
    error(err, 0)
  end
  return rootfs, reports
end

-- ---- errors ---------------------------------------------------------------------------

--- The hexadecimal digits that are enough to name a digest.
local function short(digest) return digest:match ":(%x%x%x%x%x%x%x%x%x%x%x%x)" end

local function names_layer(message, number, layer)
  return message:find("layer " .. number, 1, true) or message:find(short(layer.digest), 1, true)
end

local function check_code(want, got, say)
  local codes = type(want) == "table" and want or { want }
  for _, code in ipairs(codes) do
    if code == got then return end
  end
  say(("code: want %s, got %s"):format(table.concat(codes, " or "), tostring(got)))
end

--- What a message has to name: layer, entry, and what the case adds.
local function check_message(want, message, layers, say)
  local function mentions(what, text)
    if not message:find(text, 1, true) then say(("the message does not name the %s %q"):format(what, text)) end
  end
  if want.layer and not names_layer(message, want.layer, layers[want.layer]) then
    say("the message does not name layer " .. want.layer)
  end
  if want.entry then mentions("entry", want.entry) end
  for _, text in ipairs(want.also or {}) do mentions("text", text) end
  if want.also_diff_ids then
    local layer = layers[want.layer]
    mentions("expected diff_id", short(layer.diff_id))
    mentions("found diff_id", short(layer.true_diff_id))
  end
  if want.also_digests then mentions("expected digest", short(layers[want.layer].digest)) end
  if message:find "\n" then say "the message is more than one line" end
end

-- ---- reports ---------------------------------------------------------------------------

local function bare(entry)
  return (entry:gsub("^[./]+/", ""):gsub("^/+", ""):gsub("/+$", ""))
end

local function find_note(notes, want)
  for i, note in ipairs(notes) do
    if bare(note.entry) == bare(want.entry) and (not want.action or note.action == want.action)
      and (not want.reason or note.reason:find(want.reason)) then
      return table.remove(notes, i)
    end
  end
end

local function note_text(note)
  return ("%s: %s: %s"):format(tostring(note.entry), tostring(note.action), tostring(note.reason))
end

local function check_notes(case, reports, say)
  local left = {}
  for i, report in ipairs(reports) do left[i] = table.move(report.notes or {}, 1, #(report.notes or {}), 1, {}) end
  for _, want in ipairs(case.notes or {}) do
    if not find_note(left[want.layer] or {}, want) then
      local got = {}
      for j, note in ipairs(left[want.layer] or {}) do got[j] = note_text(note) end
      say(("layer %d: no note %s/%s about %q; there is: %s"):format(want.layer, want.action or "any",
        want.reason or "any", want.entry, table.concat(got, "; ")))
    end
  end
  for i in ipairs(reports) do
    for _, note in ipairs(left[i]) do say(("layer %d: note not wanted: %s"):format(i, note_text(note))) end
  end
end

local function check_reports(case, reports, say)
  check_notes(case, reports, say)
  for i, want in ipairs(case.report or {}) do
    for _, key in ipairs(tree.sorted(want)) do
      if reports[i][key] ~= want[key] then
        say(("report of layer %d: %s: want %s, got %s"):format(i, key, tostring(want[key]), tostring(reports[i][key])))
      end
    end
  end
end

-- ---- trees -----------------------------------------------------------------------------

--- Names that a case leaves open are not compared where they were not wanted.
local function without_open(case, want, got)
  for _, path in ipairs(case.partial or {}) do
    if not want[path] and got[path] then
      got[path] = nil
      local parent = got[path:match "^(.*)/[^/]*$" or ""]
      if parent and parent.nlink then parent.nlink = parent.nlink - 1 end
    end
  end
  return got
end

local function compare(case, want, got, who, say)
  for _, line in ipairs(tree.compare(want, without_open(case, want, got))) do say(who .. ": " .. line) end
end

local function check_image(case, want, path, say)
  local clean, out = image.fsck(path)
  if not clean then say("e2fsck: " .. out) end
  -- Whether an empty lost+found is made is nobody's business, unless a layer
  -- brought one.
  local keep = { lost_found = want["lost+found"] ~= nil }
  compare(case, want, image.read(path, keep), "debugfs", say)
  if sh.can_mount() then
    keep.deep = case.deep
    compare(case, want, image.mounted(path, keep), "mount", say)
  end
end

-- ---- one case ----------------------------------------------------------------------------

local function listing(dir)
  return sh.check("cd " .. sh.quote(dir) .. " && find . | LC_ALL=C sort")
end

local function make_layers(case, dir)
  local layers = oci.layers(dir, suite.layer_specs(case))
  for i, layer in ipairs(layers) do
    -- diff_id is what is claimed; what the tar really has is wanted where
    -- the two differ.
    if case.layers[i].diff_id then
      sh.write_file(dir .. "/tar", suite.layer_spec(case.layers[i]).tar)
      layer.true_diff_id = "sha256:" .. sh.sha256(dir .. "/tar")
      os.remove(dir .. "/tar")
    end
  end
  return layers
end

local function check_failure(case, err, layers, say)
  if type(err) ~= "table" then return say("raised no error object: " .. tostring(err)) end
  check_code(case.error.code, err.code, say)
  check_message(case.error, tostring(err), layers, say)
end

--- Runs one case in the process. Returns the list of what is wrong.
---@param banger table the module
---@param case table
---@param options? { image?: boolean } image=false stops at the rootfs
---@return string[] problems
function M.run(banger, case, options)
  local problems = {}
  local function say(what) problems[#problems + 1] = what end
  local scratch <close> = sh.scratch()
  local layers = make_layers(case, scratch:path "layout")
  local out = scratch:mkdir "out"
  local ok, rootfs, reports = pcall(flatten, banger, case, layers, out .. "/image.ext4")
  if not ok then
    if not case.error then
      say("failed: " .. tostring(rootfs))
    else
      check_failure(case, rootfs, layers, say)
    end
    if listing(out) ~= ".\n" then say("left behind: " .. listing(out)) end
    return problems
  end
  if case.error then
    -- What only the image cannot hold is found when it is written.
    local wrote, err = pcall(banger.mkext4, rootfs, out .. "/image.ext4", { epoch = EPOCH })
    if wrote then say "did not fail" else check_failure(case, err, layers, say) end
    rootfs:close()
    if listing(out) ~= ".\n" then say("left behind: " .. listing(out)) end
    return problems
  end
  local want = suite.expected_tree(case.expect)
  compare(case, want, M.walked(rootfs), "rootfs", say)
  check_reports(case, reports, say)
  if options and options.image == false then
    rootfs:close()
  else
    local path = out .. "/image.ext4"
    local wrote, err = pcall(banger.mkext4, rootfs, path, suite.with(case.mkext4 or {}, "epoch", EPOCH))
    rootfs:close()
    if not wrote then
      say("mkext4: " .. tostring(err))
      return problems
    end
    if listing(out) ~= ".\n./image.ext4\n" then say("left behind: " .. listing(out)) end
    check_image(case, want, path, say)
  end
  return problems
end

--- A case as an OCI layout with tag "case".
---@return table image see support.oci
function M.layout(case, dir)
  local spec = suite.with(case.image or {}, "layers", suite.layer_specs(case))
  spec.tag = "case"
  return oci.write(dir, spec)
end

--- Runs one case through the pull recipe, as a user would.
---@return string[] problems
function M.pull(case)
  local problems = {}
  local function say(what) problems[#problems + 1] = what end
  local scratch <close> = sh.scratch()
  local made = M.layout(case, scratch:path "layout")
  local out, log = scratch:mkdir "out", scratch:path "log"
  for _, layer in ipairs(made.layers) do
    if layer.spec.diff_id then
      sh.write_file(scratch:path "tar", layer.spec.tar)
      layer.true_diff_id = "sha256:" .. sh.sha256(scratch:path "tar")
    end
  end
  local _, code = sh.run(("XDG_CACHE_HOME=%s/cache %s recipes/pull.lua --no-inject -q %s %s >/dev/null 2>%s"):format(
    scratch.dir, sh.quote(sh.banger()), sh.quote("oci:" .. scratch:path "layout" .. ":case"),
    sh.quote(out .. "/image.ext4"), log))
  local message = sh.read_file(log):gsub("\n$", "")
  local wanted = case.error and case.error.exit or 0
  if code ~= wanted then say(("exit: want %d, got %d: %s"):format(wanted, code, message)) end
  if case.error then
    if message == "" then say "said nothing" end
    check_message(case.error, message, made.layers, say)
    if listing(out) ~= ".\n" then say("left behind: " .. listing(out)) end
  elseif code == 0 then
    check_image(case, suite.expected_tree(case.expect), out .. "/image.ext4", say)
  end
  return problems
end

--- The mtime that entries have by default, for those who read expectations.
M.MTIME = tar.MTIME

return M
