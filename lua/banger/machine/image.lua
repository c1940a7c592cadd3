---What an image says of itself to who boots it: the record that pull left in it, and
---for which machines its programs are.
local core = require "banger.core"
local json = require "banger.json"
local kernel = require "banger.machine.kernel"
local kernel_words = require "banger.kernel_words"

local M = {}

local RECORD, RECORD_LIMIT = "/.banger/build.json", 16 << 20
-- The kernel's own list, and banger-init.
local INITS = { "/sbin/init", "/etc/init", "/bin/init", "/.banger/init", "/bin/sh" }

---@class banger.boot_facts
---@field arch? string # nil where nothing tells
---@field cmdline string[] # words that the image needs on the kernel's command line
---@field init? string # what runs first, where the record tells

local function read_record(image, path)
  local found = image:stat(RECORD, { follow = true })
  if not found or found.type ~= "file" then
    return {}
  end
  local text = found.size <= RECORD_LIMIT and image:read(RECORD) or ""
  local record, message = json.decode(text)
  if not record then
    core.error("layer", ("%s: its %s cannot be used: %s"):format(path, RECORD,
      found.size > RECORD_LIMIT and "it is too long" or message))
  end
  return record
end

-- A word must stay one word, and the line one line.
local function words_of(record, path)
  local words, size = {}, 0
  for i, word in ipairs(type(record.cmdline) == "table" and record.cmdline or {}) do
    if not kernel_words.is_word(word) then
      core.error("layer", ("%s: %s: cmdline: entry %d is no word for a kernel's command line"):format(path, RECORD, i))
    end
    words[i], size = word, size + #word + 1
  end
  if size > kernel_words.LIMIT then
    core.error("layer", ("%s: %s: cmdline has %d bytes; at most %d are accepted"):format(path, RECORD, size, kernel_words.LIMIT))
  end
  return words
end

local function arch_by_programs(image, words)
  local inits = { table.unpack(INITS) }
  for _, word in ipairs(words) do
    if word:find "^init=/" then
      table.insert(inits, 1, word:sub(6))
    end
  end
  for _, path in ipairs(inits) do
    local found = image:stat(path, { follow = true })
    local arch = found and found.type == "file" and kernel.elf_arch(image:read(path, { size = 64 }))
    if arch then
      return arch
    end
  end
end

---@param image banger.tree # its read side
---@param path string # of the image, for messages
---@return banger.boot_facts
---Raises `layer` where the record is damaged, `ext4`, `io`.
function M.facts(image, path)
  local record = read_record(image, path)
  local words = words_of(record, path)
  local platform = type(record.platform) == "table" and record.platform or {}
  local init = type(record.init) == "table" and record.init or {}
  return {
    arch = type(platform.architecture) == "string" and platform.architecture or arch_by_programs(image, words),
    cmdline = words,
    init = type(init.path) == "string" and init.path or nil,
  }
end

return M
