-- Runs a command in a machine whose agent listens, and copies files in and out:
--
--     banger-lua exec vsock:3 -- uname -a
--     banger-lua exec unix:agent.sock --put site.conf /etc/site.conf
--     banger-lua exec hybrid:firecracker.sock --wait 30 -- true
--
-- The exit code is the command's, 128+N where signal N killed it; stdin, stdout and
-- stderr are its own, and so are the signals that would end this program. --json collects
-- what it prints.
local argparse = require "argparse"
local banger = require "banger"
local cli = require "banger.cli"
local json = require "banger.json"
local put = require("banger.inspect.text").put

local DAY = 86400

local function variable(text)
  if not text:find "^[^=]+=" then
    return nil, ("--env: '%s' is not NAME=VALUE"):format(text)
  end
  return text
end

local parser = argparse("banger-lua exec", "Run a command in a machine that has an agent (see pull --agent), copy files in and out.")
parser:usage "Usage: banger-lua exec [options] ADDRESS [-- COMMAND ARGUMENTS...]"
parser:argument("address", "Where the agent is: vsock:CID[:PORT], unix:PATH (of a virtio-serial port's socket) or "
  .. "hybrid:PATH[:PORT] (Firecracker's and cloud-hypervisor's vsock).")
parser:option("--wait", "How long the agent has to answer, such as 30s or 5m; without it, it has to be there. It may be all that is asked. An agent "
  .. "answers before the services of its machine are up.")
  :argname("TIME"):convert(cli.duration("--wait", DAY))
parser:option("-e --env", "NAME=VALUE, over the image's environment; may be repeated."):argname("NAME=VALUE"):convert(variable):count "*"
parser:option("-C --cwd", "The command's directory; default /."):argname "DIR-THERE"
parser:option("-u --user", "Whose it is: name|uid[:group|gid]; default root."):argname "USER"
parser:flag("-n --no-stdin", "It has nothing to read.")
parser:option("--put", "Copy a file of the host into the machine, before the command runs; may be repeated.")
  :args(2):argname { "HOST", "GUEST" }:count "*"
parser:option("--get", "Copy a file of the machine to the host, after the command succeeded; may be repeated.")
  :args(2):argname { "GUEST", "HOST" }:count "*"

parser:mutex(
  parser:flag("--json", "Print one JSON object, with what the command printed (up to 16 MiB) and how it ended."),
  parser:flag("-t --tty", "It gets a terminal, and ours passes on every key.")
)
parser:flag("-q --quiet", "Say nothing on stderr but warnings and errors; what the command says is passed on.")

parser:epilog("Signals are the command's. Ctrl-C three times within a second or two ends this program instead, as does SIGTERM, or a second "
  .. "SIGINT, when the machine is silent.")
cli.exits(parser, {
  { "N", "what the command ended with; 128 and the number of the signal that killed it" },
  { "1", "a mistake, or more than 16 MiB of output with --json, as stderr says; or the command ended with 1" },
  { "2", "a file that was to be copied is not there, as stderr says; or the command ended with 2" },
  { "4", "no agent answers, or it ends before the command does" },
  { "125", "there is no such user or directory in the machine" },
  { "126", "the command cannot be executed" },
  { "127", "there is no such command" },
})

-- What follows the first "--" is the command's, whatever it looks like.
local ours, argv = cli.split { ... }
local options = cli.parse(parser, ours)
if #argv == 0 and #options.put + #options.get == 0 and not options.wait then
  banger.error("usage", "nothing to do: give a command after --, --put, --get, or --wait")
end
if options.tty and not banger.host.isatty(0) then
  banger.error("usage", "--tty: stdin is no terminal")
end

-- A terminal is what makes a program ask which one it is.
local function environment()
  local env = {}
  if options.tty then
    env[1] = "TERM=" .. (os.getenv "TERM" or "linux")
  end
  return table.move(options.env, 1, #options.env, #env + 1, env)
end

-- What --json prints: how the command ended and what it said, and how many files were copied.
local function object(result, got)
  local said = { put = #options.put, got = got }
  if #argv > 0 then
    said.exit, said.signal = result.code, result.signal
    put(said, "stdout", result.out)
    put(said, "stderr", result.err)
  end
  return said
end

local result, got = { code = 0 }, 0
local function get_all(agent)
  for _, pair in ipairs(options.get) do
    agent:get(pair[1], pair[2])
    got = got + 1
  end
end

local copied, problem = true, nil
do
  local agent <close> = banger.agent.connect(options.address, { wait = options.wait })
  for _, pair in ipairs(options.put) do
    agent:put(pair[1], pair[2])
  end
  if #argv > 0 then
    argv.env, argv.cwd, argv.user = environment(), options.cwd, options.user
    argv.stdio, argv.stdin, argv.no_stdin = not options.json, true, options.no_stdin
    argv.signals, argv.tty = true, options.tty
    result = agent:run(argv)
  end
  if result.code == 0 then
    copied, problem = pcall(get_all, agent)
  end
end
-- What the command said is not lost when a file cannot be copied after it.
if options.json then
  cli.write(json.encode(object(result, got)), "\n")
end
if not copied then
  error(problem, 0)
elseif result.code ~= 0 then
  os.exit(result.code, true)
end
