---Completion for fish.
local M = {}

local HEAD = [==[
# fish completion for banger-lua, made from what its recipes take.

# The words that are no options, after the program: the recipe, its subcommand.
function __banger_lua_words
    set -l words (commandline -opc)
    set -e words[1]
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
        else if contains -- $word -e -l
            set skip 1
        else if not string match -q -- '-*' $word
            string replace -r '\.lua$' '' (string replace -r '^.*/' '' $word)
        end
    end
end

function __banger_lua_is # RECIPE [SUBCOMMAND]
    set -l words (__banger_lua_words)
    test "$words[1]" = "$argv[1]"; or return
    test -z "$argv[2]"; or contains -- $argv[2] $words[2..-1]
end

function __banger_lua_has_none
    test (count (__banger_lua_words)) = 0
end

function __banger_lua_names
    banger-lua help 2> /dev/null | string replace -rf '^  (\S+) *' '$1\t'
end

complete -c banger-lua -n __banger_lua_has_none -f -a '(__banger_lua_names)'
complete -c banger-lua -n __banger_lua_has_none -s e -x -d 'Run a text as Lua'
complete -c banger-lua -n __banger_lua_has_none -s l -x -d 'Require a module'
complete -c banger-lua -n __banger_lua_has_none -s i -d 'A REPL afterwards'
complete -c banger-lua -n __banger_lua_has_none -s v -d 'Show the version of Lua'
complete -c banger-lua -n __banger_lua_has_none -s E -d 'Ignore the environment'
complete -c banger-lua -n __banger_lua_has_none -s W -d 'Turn warnings on'
complete -c banger-lua -n __banger_lua_has_none -l debug-on-error -d 'Look around at an error that nobody catches'
complete -c banger-lua -n __banger_lua_has_none -s h -l help -d 'Show help and exit'
complete -c banger-lua -n __banger_lua_has_none -l version -d 'Show versions and exit'
]==]

local function quote(text)
  return "'" .. text:gsub("[\\']", "\\%0") .. "'"
end

-- How the value of an option is completed.
local function how(value)
  if not value then
    return ""
  elseif value.choices then
    return " -x -a " .. quote(table.concat(value.choices, " "))
  elseif value.kind == "dir" then
    return " -x -a '(__fish_complete_directories)'"
  elseif value.kind == "recipe" then
    return " -r -a '(banger-lua recipes --quiet 2> /dev/null)'"
  elseif value.kind == "file" then
    return " -r -F"
  end
  return " -x"
end

local function option_line(condition, option)
  local names = {}
  for i, name in ipairs(option.names) do
    local long = name:match "^%-%-(.+)$"
    names[i] = long and "-l " .. long or (#name == 2 and "-s " or "-o ") .. name:sub(2)
  end
  return ("complete -c banger-lua -n %s %s%s -d %s\n"):format(quote(condition), table.concat(names, " "), how(option.values[1]),
    quote(option.help))
end

local function add(command, words, out)
  local condition = "__banger_lua_is " .. words
  for _, option in ipairs(command.options) do
    table.insert(out, option_line(condition, option))
  end
  for _, argument in ipairs(command.arguments) do
    if argument.kind == "ref" then
      table.insert(out, ("complete -c banger-lua -n %s -a 'docker:// oci: oci-archive: docker-archive: dir:'\n"):format(quote(condition)))
    elseif argument.choices then
      table.insert(out, ("complete -c banger-lua -n %s -a %s\n"):format(quote(condition), quote(table.concat(argument.choices, " "))))
    elseif argument.kind == "recipe" then
      table.insert(out, ("complete -c banger-lua -n %s -a '(banger-lua recipes --quiet 2> /dev/null)'\n"):format(quote(condition)))
    elseif argument.kind == "command" then
      table.insert(out, ("complete -c banger-lua -n %s -f -a '(__banger_lua_names)'\n"):format(quote(condition)))
    end
  end
  local subs = {}
  for i, sub in ipairs(command.commands) do
    subs[i] = sub.name
  end
  for _, sub in ipairs(command.commands) do
    table.insert(out, ("complete -c banger-lua -n %s -f -a %s -d %s\n"):format(
      quote(("%s; and not __fish_seen_subcommand_from %s"):format(condition, table.concat(subs, " "))), sub.name,
      quote(sub.description)))
    add(sub, words .. " " .. sub.name, out)
  end
end

---@param list banger.manual.command[]
---@return string
function M.script(list)
  local out = {}
  for _, command in ipairs(list) do
    add(command, command.name, out)
  end
  return HEAD .. "\n" .. table.concat(out)
end

return M
