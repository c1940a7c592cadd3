---What run is asked for: single values, and whether they go together.
local cli = require "banger.cli"
local core = require "banger.core"

local M = {}

local LEAST_MEMORY = 32 * 1024 * 1024

---@param text string # HOSTPORT:GUESTPORT
---@return { host: integer, guest: integer }?
---@return string? message
function M.forward(text)
  local port = cli.number("--forward", 1, 65535)
  local from, to = text:match "^(%d+):(%d+)$"
  if not from or not port(from) or not port(to) then
    return nil, ("--forward: '%s' is not HOSTPORT:GUESTPORT"):format(text)
  end
  return { host = port(from), guest = port(to) }
end

---@param text string # such as 512M
---@return integer? bytes
---@return string? message
function M.memory(text)
  local bytes, message = cli.size "--memory"(text)
  if bytes and bytes < LEAST_MEMORY then
    bytes, message = nil, ("--memory: '%s' is too little: 32M at least"):format(text)
  end
  return bytes, message
end

---@param text string # such as 5m
---@return number? seconds
---@return string? message
function M.timeout(text)
  local seconds, message = cli.duration "--timeout"(text)
  if seconds == 0 then
    seconds, message = nil, ("--timeout: '%s' is no time to run for: more than 0 expected"):format(text)
  end
  return seconds, message
end

---@param text string # of the kernel's command line
---@return string?
---@return string? message
function M.words(text)
  if text:find "%c" then
    return nil, "--append: control characters cannot be on a kernel's command line"
  end
  return text
end

-- What only QEMU does, as run starts it.
local QEMU_ONLY = {
  { "machine", "--machine is QEMU's: %s has one machine" },
  { "accel", "--accel is for QEMU: %s needs KVM", "auto" },
  { "snapshot", "--snapshot is for QEMU: %s writes into the disks; give it copies" },
  { "log", "--log is for QEMU: the console of %s is its output" },
}

---Whether the options go together: none is ignored.
---@param options table # as the parser gives them
---@param extra string[] # arguments for QEMU
---Raises `usage`.
function M.agree(options, extra)
  local monitor = options.print_cmdline or "qemu"
  local function exclude(cause, what, why)
    if cause and what then
      core.error("usage", why)
    end
  end
  exclude(options.no_network, options.forward[1], "--forward and --no-network exclude each other")
  exclude(options.tap, monitor == "qemu", "--tap is for --print-cmdline firecracker and cloud-hypervisor")
  exclude(monitor ~= "qemu", options.forward[1], ("--forward is for QEMU's network: %s has --tap"):format(monitor))
  exclude(monitor ~= "qemu", extra[1], ("what is after -- is for QEMU, not for %s"):format(monitor))
  exclude(options.initrd, options.initrd_out, "--initrd and --initrd-out exclude each other")
  exclude(options.no_network, options.tap, "--tap and --no-network exclude each other")
  exclude(options.print_cmdline, options.timeout, "--print-cmdline and --timeout exclude each other: nothing is run")
  for _, only in ipairs(QEMU_ONLY) do
    local name, why, default = table.unpack(only)
    exclude(monitor ~= "qemu", options[name] ~= default and options[name], why:format(monitor))
  end
end

return M
