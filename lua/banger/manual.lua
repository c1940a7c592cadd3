---Manual pages and completions of all commands, made from the parsers that read their
---arguments: so they say what is so.
local bash = require "banger.manual.bash"
local cli = require "banger.cli"
local commands = require "banger.commands"
local core = require "banger.core"
local fish = require "banger.manual.fish"
local model = require "banger.manual.model"
local page = require "banger.manual.page"
local zsh = require "banger.manual.zsh"

local M = {}

local function describe(name, parser)
  return parser and model.of(parser, name) or { name = name, description = "", options = {}, arguments = {}, commands = {} }
end

-- Only those that are built in: of a file nobody knows what it does before it asks for its
-- arguments, and what is installed may be of another version.
local function built_in()
  local list = {}
  for i, command in ipairs(commands.built_in()) do
    list[i] = describe(command.name, cli.parser_of(core.embedded(("recipes/%s.lua"):format(command.name))))
  end
  return list
end

local shells = { bash = bash, zsh = zsh, fish = fish }

---The shells that there are completions for.
---@type string[]
M.SHELLS = { "bash", "fish", "zsh" }

---The completion of a shell, for the recipes that are built in.
---@param shell "bash"|"zsh"|"fish"
---@return string # a script
---@example
---```lua
---io.write(manual.completion "bash")
---```
function M.completion(shell)
  return shells[shell].script(built_in())
end

local function about()
  return { version = core.version, epoch = os.getenv "SOURCE_DATE_EPOCH" }
end

---What a command takes, as a table.
---@param name string
---@return banger.manual.command
---@example
---```lua
---print(manual.describe("pull").usage)
---```
---Raises `usage` when there is no such command.
function M.describe(name)
  return describe(name, commands.parser(name))
end

---A manual page.
---@param name? string # of a command; default: the page of the program
---@return string # for man
---@example
---```lua
---io.write(manual.page "pull")
---```
---Raises `usage` when there is no such command.
function M.page(name)
  if name then
    return page.of_command(M.describe(name), about())
  end
  return page.of_program(built_in(), about())
end

---All that `make install` puts below share: names, and what is in them.
---@return { path: string, content: string }[]
---@example
---```lua
---for _, file in ipairs(manual.files()) do print(file.path, #file.content) end
---```
function M.files()
  local list = built_in()
  local files = {
    { path = "bash-completion/completions/banger-lua", content = bash.script(list) },
    { path = "fish/vendor_completions.d/banger-lua.fish", content = fish.script(list) },
    { path = "man/man1/banger-lua.1", content = page.of_program(list, about()) },
    { path = "zsh/site-functions/_banger-lua", content = zsh.script(list) },
  }
  for _, command in ipairs(list) do
    files[#files + 1] = { path = ("man/man1/banger-lua-%s.1"):format(command.name), content = page.of_command(command, about()) }
  end
  return files
end

return M
