---Will an image boot, and if not, why: pure checks over the read side of a tree. What the
---host knows besides (the superblock, the record of pull) is passed in.
local console = require "banger.check.console"
local core = require "banger.core"
local escape = require("banger.text").escape
local files = require "banger.check.files"
local filesystem = require "banger.check.filesystem"
local fstab = require "banger.check.fstab"
local json = require "banger.json"
local program = require "banger.check.program"
local start = require "banger.check.start"
local view = require "banger.check.view"

local M = {}

---@alias banger.finding_id
---| "no-init" # nothing for the kernel to run
---| "dangling-init" # a link that leads nowhere
---| "no-program" # nothing for banger-init to run
---| "program-not-found" # the image's program is not in it, or not in PATH
---| "not-executable"
---| "bad-program" # neither an ELF program nor a script, or a damaged one
---| "missing-interpreter" # the ELF loader, or what a script names
---| "wrong-architecture" # of the image, the program and its loader
---| "broken-merged-usr" # /lib and the like are no links to /usr any more, and something is out of reach
---| "missing-library"
---| "argument-too-long" # longer than the kernel takes
---| "working-directory" # WorkingDir is no directory, or can be none
---| "unknown-user" # User, or its group, is not in the image
---| "no-default-target" # systemd has nothing to reach
---| "systemd-without-udev"
---| "no-console-login"
---| "inittab-program" # inittab runs what is not there
---| "fstab-device" # a device that the machine does not have
---| "missing-directory"
---| "missing-device"
---| "tmp-mode"
---| "container-mark"
---| "machine-id" # it is one already
---| "missing-machine-id"
---| "dangling-resolv.conf"
---| "no-localhost" # /etc/hosts does not say what localhost is
---| "low-space"
---| "low-inodes"
---| "journal" # it holds changes that are not in place
---| "not-clean"
---| "fs-errors" # the kernel found some
---| "fsck" # e2fsck found some
---| "no-e2fsck"
---| "unreadable" # the file system does not give it
---| "bad-record" # /.banger/build.json is no JSON

---@class banger.finding
---@field level "error"|"warning" # an error keeps the image from booting, or from doing what it is for
---@field id banger.finding_id|string # stable
---@field path string # in the image; "/" for the file system as a whole
---@field message string # one line
---@field remedy string # what to do

---@class banger.check.facts
---@field record? table # /.banger/build.json, when it was read already
---@field init? string # the path that the kernel is told with init=
---@field architecture? string # what the image is for, such as "arm64"; default: the record's, else the init's
---@field superblock? banger.check.superblock
---@field free? number # percent of space and of inodes that should be free, default 5
---@field name? string # what messages call the file system

---@class banger.check.result
---@field findings banger.finding[] # errors first, of these what cannot be read, each in the order of the checks
---@field errors integer
---@field warnings integer
---@field init? banger.check.init # what runs first, where there is such a thing
---@field architecture? string

---One run over one tree.
---@class banger.check.state
---@field view banger.check.view
---@field facts banger.check.facts
---@field init? banger.check.init
---@field main? { path: string, kind: string } # the init of the image's own, where one runs
---@field architecture? string
---@field mounted? boolean # what is looked at runs when /proc is mounted
local State = {}
State.__index = State

-- Of one kind; a hostile file has any number.
local MAX_ALIKE = 16
local RECORD = "/.banger/build.json"

-- What the file system does not give is neither there nor missing: that it does not is
-- the one thing to say of it, and comes before all else.
local function add(check, level, id, path, message, remedy)
  if id == "unreadable" then
    level = id
  elseif path ~= "/" and check.view:has_failed(path) then
    return -- "/" is the file system as a whole
  end
  local known = check.counts[id] or 0
  check.counts[id] = known + 1
  if known < MAX_ALIKE then
    local list = check.findings[level]
    list[#list + 1] = { level = level == "warning" and level or "error", id = id, path = path, message = message, remedy = remedy }
  end
end

function State:error(...)
  add(self, "error", ...)
end

function State:warn(...)
  add(self, "warning", ...)
end

---A variable of the image's Env, while what banger-init runs is looked at.
function State:environment(name)
  local value
  for _, entry in ipairs(self.environment_list or {}) do
    local key, text = entry:match "^([^=]+)=(.*)$"
    value = key == name and text or value
  end
  return value
end

function State:path()
  return self:environment "PATH" or program.DEFAULT_PATH
end

---Where banger-init runs the program.
function State:directory()
  local dir = self.environment_list and self.view:strings "/.banger/cwd"[1] or "/"
  return "/" .. dir:gsub("^/+", ""):gsub("/+$", "")
end

-- ---- the checks -----------------------------------------------------------------------

local function read_record(check)
  local text = not check.facts.record and check.view:text(RECORD)
  local record, message
  if text then
    record, message = json.decode(text)
  end
  if message then
    check:warn("bad-record", RECORD, ("%s %s"):format(RECORD, message), "pull the image anew; the check goes on without it")
  end
  check.facts.record = check.facts.record or record
  local platform = record and type(record.platform) == "table" and record.platform.architecture
  check.architecture = check.facts.architecture or type(platform) == "string" and platform or nil
end

local function report_unreadable(check)
  for _, entry in ipairs(check.view.unreadable) do
    check:error("unreadable", entry.path, ("%s cannot be read: %s"):format(entry.path, entry.message), "run e2fsck -fy on the image")
  end
end

---In this order; each is a function of the state, and can be taken out or added to.
---@type (fun(check: banger.check.state))[]
M.CHECKS = {
  read_record,
  start.init,
  start.program,
  files.directories,
  files.devices,
  files.container_marks,
  console.systemd,
  console.inittab,
  fstab.check,
  files.machine_id,
  files.resolv_conf,
  files.hosts,
  filesystem.space,
  filesystem.state,
  report_unreadable,
}

local function result_of(check)
  local errors, warnings = check.findings.unreadable, check.findings.warning
  table.move(check.findings.error, 1, #check.findings.error, #errors + 1, errors)
  local all = table.move(warnings, 1, #warnings, #errors + 1, table.move(errors, 1, #errors, 1, {}))
  return { findings = all, errors = #errors, warnings = #warnings, init = check.init, architecture = check.architecture }
end

---Check a rootfs before it becomes an image, or an image.
---@param tree banger.tree
---@param facts? banger.check.facts
---@param more? fun(check: banger.check.state) # a check of the caller's own, last
---@return banger.check.result
---@example
---```lua
---for _, finding in ipairs(require "banger.check".run(rootfs, { architecture = "amd64" }).findings) do
---  print(check.line(finding))
---end
---```
---Raises `interrupted`.
function M.run(tree, facts, more)
  local copy = {}
  for name, value in pairs(facts or {}) do
    copy[name] = value
  end
  local check = setmetatable({ view = view.new(tree), facts = copy, findings = { unreadable = {}, error = {}, warning = {} }, counts = {} }, State)
  for _, one in ipairs(M.CHECKS) do
    one(check)
  end
  if more then
    more(check)
  end
  return result_of(check)
end

-- A superblock is as hostile as the rest: read, never trusted.
local function read_superblock(path)
  local file = io.open(path, "rb")
  local bytes = file and file:seek("set", 1024) and file:read(1024)
  if file then
    file:close()
  end
  return filesystem.parse(bytes or "")
end

---Check an image in a file.
---@param path string
---@param options? { init?: string, free?: number, fsck?: boolean } # fsck: run e2fsck -fn too, default true
---@return banger.check.result
---@example
---```lua
---assert(check.image("out.ext4").errors == 0)
---```
---Raises `not_found`, `ext4` (no ext4 image), `io`, `interrupted`.
function M.image(path, options)
  options = options or {}
  local image <close> = core.open(path)
  local facts = { superblock = read_superblock(path), name = path, init = options.init, free = options.free }
  return M.run(image, facts, options.fsck ~= false and function(check)
    filesystem.fsck(check, path)
  end or nil)
end

---A finding as a line; nothing that an image holds reaches the terminal as a control.
---@param finding banger.finding
---@return string
function M.line(finding)
  return escape(("%s: %s: %s; %s"):format(finding.level, finding.id, finding.message, finding.remedy))
end

return M
