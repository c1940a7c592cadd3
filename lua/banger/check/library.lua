---The shared libraries that a program needs, found as its dynamic loader would: glibc's or
---musl's. Only whether they are there: which of two is taken does not matter here.
local view = require "banger.check.view"

local M = {}

local TRIPLETS = {
  amd64 = "x86_64-linux-gnu", arm64 = "aarch64-linux-gnu", ["386"] = "i386-linux-gnu", arm = "arm-linux-gnueabihf",
  riscv64 = "riscv64-linux-gnu", ppc64le = "powerpc64le-linux-gnu", s390x = "s390x-linux-gnu",
}

-- Bounds of what is followed.
local MAX_OBJECTS = 256
local MAX_NAMES = 1024
local MAX_DIRECTORIES = 64
local MAX_DIRECTORY = 256
local MAX_INCLUDES = 64
local MAX_STARS = 4
local MAX_REPORTED = 4

local function add(list, dir)
  if dir:find "^/" and #list < MAX_DIRECTORIES then
    list[#list + 1] = dir
  end
end

-- A shell's pattern as one of Lua's. One of many stars takes forever, and matches nothing.
local function pattern_of(glob)
  local pattern = glob:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0")
  local _, stars = pattern:gsub("%*", "")
  return stars > MAX_STARS and "^$" or "^" .. pattern:gsub("%*", ".*"):gsub("%?", ".") .. "$"
end

local Search = {}
Search.__index = Search

function Search:include(glob)
  if not glob:find "^/" then
    glob = "/etc/" .. glob
  end
  local dir, pattern = view.parent(glob), pattern_of(view.base(glob))
  for _, name in ipairs(self.view:list(dir)) do
    if name:find(pattern) then
      self:read_conf(dir .. "/" .. name)
    end
  end
end

-- ld.so.conf: a directory or an include a line.
function Search:read_conf(path)
  for _, line in ipairs(self.includes < MAX_INCLUDES and self.view:lines(path) or {}) do
    local glob = line:match "^%s*include%s+(%S+)"
    if not glob then
      add(self.conf, line:match "^%s*([^%s=#]+)")
    elseif self.includes < MAX_INCLUDES then
      self.includes = self.includes + 1
      self:include(glob)
    end
  end
end

-- The directories that a glibc was built for: its loader holds them, each with a "/" at
-- its end. Debian's does not know /lib64, Fedora's knows little else.
local function built_in(search, loader)
  local dirs = {}
  for text in (search.view:text(loader) or ""):gmatch "[^\0]+" do
    local dir = #text < MAX_DIRECTORY and text:match "^(/[%w%+%-%._/]*)/$"
    if dir and (dir .. "/"):find "/lib%w*/" then
      add(dirs, dir)
    end
  end
  return dirs
end

local function guessed(search, loader)
  local triplet = TRIPLETS[search.elf.architecture]
  for _, top in ipairs { "/lib", "/usr/lib", "/lib64", "/usr/lib64", "/lib32", "/usr/lib32" } do
    add(search.dirs, top)
    add(search.dirs, triplet and top .. "/" .. triplet or "")
  end
  add(search.dirs, view.parent(search.view:resolve(loader) or loader))
end

local function glibc_dirs(search, loader)
  local dirs = built_in(search, loader)
  for _, dir in ipairs(dirs) do
    add(search.dirs, dir)
  end
  if #dirs == 0 then
    guessed(search, loader)
  end
  search:read_conf "/etc/ld.so.conf"
  search.cache = search.view:text "/etc/ld.so.cache"
end

local function musl_dirs(search, loader)
  local name = view.base(loader):match "^ld%-musl%-(.*)%.so"
  local text = search.view:text(("/etc/ld-musl-%s.path"):format(name)) or "/lib:/usr/local/lib:/usr/lib"
  for dir in text:gmatch "[^:\n]+" do
    add(search.dirs, dir)
  end
  -- musl's loader is its C library, and answers to all of its names.
  search.loaded["libc.so"] = true
  search.loaded[("libc.musl-%s.so.1"):format(name)] = true
  for _, part in ipairs { "pthread", "rt", "m", "dl", "util", "xnet" } do
    search.loaded[("lib%s.so"):format(part)] = true
  end
end

-- RPATH or RUNPATH of an object, before those given. Where a program is itself, its loader
-- asks /proc; that is not mounted for what the kernel runs first.
local function own_dirs(search, text, path, more)
  local dirs = {}
  local origin = text and view.parent(search.view:resolve(path) or path)
  if path == search.lost then
    origin = ""
  end
  local lib = { "lib64", "lib", "lib/" .. (TRIPLETS[search.elf.architecture] or "") }
  for dir in (text or ""):gmatch "[^:]+" do
    local full = dir:gsub("%${?ORIGIN}?", function() return origin end)
    local is_lost = origin == "" and full ~= dir
    for _, name in ipairs(full:find "%${?LIB}?" and lib or { "" }) do
      add(dirs, is_lost and "" or (full:gsub("%${?LIB}?", name)))
    end
  end
  for _, dir in ipairs(more) do
    add(dirs, dir)
  end
  return dirs
end

-- A library for another machine is as none.
function Search:fits(path)
  local found = self.view:is(path, "file") and self.view:elf(path)
  return found and found.machine == self.elf.machine and found.class == self.elf.class and found
end

function Search:look_in(dirs, name)
  for _, dir in ipairs(dirs) do
    local path = dir:gsub("/*$", "") .. "/" .. name
    if self:fits(path) then
      return path
    end
  end
end

-- The path of a library; else where it is and the loader does not look, as ld.so.conf
-- is read by ldconfig alone.
function Search:find(name, own)
  if name:find "/" then
    return self:fits(name) and name
  end
  local path = self:look_in(own, name) or self:look_in(self.dirs, name)
  local known = not path and self:look_in(self.conf, name)
  if known and (self.cache or ""):find("\0" .. known .. "\0", 1, true) then
    return known
  end
  return path, known
end

local function new_search(check, elf)
  local search = setmetatable({ view = check.view, elf = elf, dirs = {}, conf = {}, includes = 0, loaded = {}, names = 0 }, Search)
  for dir in (check:environment "LD_LIBRARY_PATH" or ""):gmatch "[^:;]+" do
    add(search.dirs, dir)
  end
  local loader = elf.interpreter
  search.loaded[view.base(loader)] = true
  if view.base(loader):find "^ld%-musl%-" then
    musl_dirs(search, loader)
  else
    glibc_dirs(search, loader)
  end
  return search
end

local function report(check, program, object, name, known)
  local elf = check.view:elf(object)
  local is_lost = object == program and not check.mounted and (elf.runpath or elf.rpath or ""):find "ORIGIN"
  local needs = object == program and ("%s needs %s"):format(program, name)
    or ("%s needs %s, for %s"):format(program, name, object)
  if known then
    return check:warn("missing-library", program, ("%s; %s is not in /etc/ld.so.cache"):format(needs, known), "run ldconfig in the image")
  end
  check:warn("missing-library", program, needs .. ", which is in none of the loader's directories",
    is_lost and "name its directory without $ORIGIN, which means nothing before /proc is mounted" or "install the package that has it")
end

-- Look for one library; what it needs comes later in the queue.
local function follow(search, queue, object, dirs, name)
  local path, known = search:find(name, dirs)
  if path and #queue < MAX_OBJECTS then
    queue[#queue + 1] = { path = path, elf = search:fits(path), rpath = object.elf.runpath and {} or dirs }
  end
  return path, known
end

---Report libraries that are missing, those of libraries too.
---@param check banger.check.state
---@param program string
---@param elf banger.elf # with an interpreter
function M.check(check, program, elf)
  local search = new_search(check, elf)
  search.lost = not check.mounted and program or nil
  local queue, reported = { { path = program, elf = elf, rpath = {} } }, 0
  for _, object in ipairs(queue) do
    if object.elf.damaged then
      check:warn("bad-program", object.path, ("%s is damaged: %s"):format(object.path, object.elf.damaged), "install it anew")
    end
    local own = object.elf.runpath
    local dirs = own_dirs(search, own or object.elf.rpath, object.path, own and {} or object.rpath)
    for _, name in ipairs(object.elf.needed) do
      if not search.loaded[name] and search.names < MAX_NAMES then
        search.loaded[name], search.names = true, search.names + 1
        local path, known = follow(search, queue, object, dirs, name)
        if not path and reported < MAX_REPORTED then
          reported = reported + 1
          report(check, program, object.path, name, known)
        end
      end
    end
  end
end

return M
