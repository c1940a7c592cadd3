---Completion for zsh: a file for a directory of $fpath.
local M = {}

local HEAD = [==[
#compdef banger-lua
# Made from what banger-lua's recipes take.

_banger_lua_commands()
{
  local -a names
  names=(${(f)"$(_call_program commands banger-lua help 2> /dev/null | sed -n 's/^  \([^ ]*\) */\1:/p')"})
  _describe -t recipes recipe names
}

_banger_lua_scripts()
{
  _alternative 'recipes:recipe:_banger_lua_commands' 'files:script:_files'
}

_banger_lua_recipes()
{
  local -a names
  names=(${(f)"$(_call_program recipes banger-lua recipes --quiet 2> /dev/null)"})
  _alternative 'recipes:image recipe:compadd -a names' 'files:file:_files'
}

_banger_lua_refs()
{
  if compset -P '(oci|oci-archive|docker-archive|dir):'; then
    _files
  else
    compadd -S '' -- docker:// oci: oci-archive: docker-archive: dir:
  fi
}

]==]

local TAIL = [==[
_banger_lua()
{
  local curcontext=$curcontext state line
  typeset -A opt_args
  _arguments -C -S \
    '*-e[run a text as Lua]:Lua:' '*-l[require a module]:module:' '-i[a REPL afterwards]' '-v[show the version of Lua]' \
    '-E[ignore the environment]' '-W[turn warnings on]' '--debug-on-error[look around at an error that nobody catches]' \
    '(- *)'{-h,--help}'[show help]' '(- *)--version[show versions]' \
    '1:recipe:_banger_lua_scripts' '*::argument:->rest'
  [[ $state == rest ]] || return
  case ${${words[1]:t}%%.lua} in
%s  *) _files ;;
  esac
}

_banger_lua "$@"
]==]

local ACTIONS = {
  file = "_files", dir = "_files -/", recipe = "_banger_lua_recipes", ref = "_banger_lua_refs", command = "_banger_lua_commands",
  none = "",
}

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- What ends a part of a specification has to be quoted in it.
local function part(text)
  return (text:gsub("[%[%]:\\]", "\\%0"))
end

local function action(value)
  if value.choices then
    local words = {}
    for i, word in ipairs(value.choices) do
      words[i] = part(word)
    end
    return "(" .. table.concat(words, " ") .. ")"
  end
  return ACTIONS[value.kind]
end

local function option_spec(option)
  local excluded = table.move(option.excludes, 1, #option.excludes, 1, {})
  if not option.repeats then
    table.move(option.names, 1, #option.names, #excluded + 1, excluded)
  end
  local rest = "[" .. part(option.help) .. "]"
  for _, value in ipairs(option.values) do
    rest = ("%s:%s:%s"):format(rest, part(value.name:gsub("[<>{}]", "")), action(value))
  end
  local lines = {}
  for i, name in ipairs(option.names) do
    local head = #excluded > 0 and "(" .. table.concat(excluded, " ") .. ")" or ""
    local equals = #option.values == 1 and name:find "^%-%-" and "=" or ""
    lines[i] = "    " .. quote(head .. (option.repeats and "*" or "") .. name .. equals .. rest)
  end
  return table.concat(lines, " \\\n")
end

local function argument_spec(argument, number)
  local place = argument.repeats and "*" or tostring(number)
  return "    " .. quote(("%s:%s%s:%s"):format(place, argument.optional and ":" or "", part(argument.name), action(argument)))
end

local function body(command, inherited)
  local specs = {}
  for _, option in ipairs(inherited) do
    specs[#specs + 1] = option_spec(option)
  end
  for _, option in ipairs(command.options) do
    specs[#specs + 1] = option_spec(option)
  end
  for i, argument in ipairs(command.arguments) do
    specs[#specs + 1] = argument_spec(argument, i)
  end
  return specs
end

local function identifier(name)
  return "_banger_lua_of_" .. name:gsub("[^%w]", "_")
end

local function add(command, name, inherited, out)
  local specs = body(command, inherited)
  if #command.commands == 0 then
    table.insert(out, ("%s()\n{\n  _arguments -s -S \\\n%s\n}\n\n"):format(identifier(name), table.concat(specs, " \\\n")))
    return
  end
  local options = table.move(command.options, 1, #command.options, #inherited + 1, table.move(inherited, 1, #inherited, 1, {}))
  local names, cases = {}, {}
  for i, sub in ipairs(command.commands) do
    add(sub, name .. " " .. sub.name, options, out)
    names[i] = sub.name
    cases[i] = ("    %s) %s ;;\n"):format(sub.name, identifier(name .. " " .. sub.name))
  end
  specs[#specs + 1] = "    " .. quote(("1:command:(%s)"):format(table.concat(names, " ")))
  specs[#specs + 1] = "    '*::argument:->rest'"
  table.insert(out, ("%s()\n{\n  local curcontext=$curcontext state line\n  _arguments -C -S \\\n%s\n  [[ $state == rest ]] || return\n"
    .. "  case $words[1] in\n%s  esac\n}\n\n"):format(identifier(name), table.concat(specs, " \\\n"), table.concat(cases)))
end

---@param list banger.manual.command[]
---@return string
function M.script(list)
  local out, cases = {}, {}
  for i, command in ipairs(list) do
    add(command, command.name, {}, out)
    cases[i] = ("  %s) %s ;;\n"):format(command.name, identifier(command.name))
  end
  return HEAD .. table.concat(out) .. TAIL:gsub("%%s", function()
    return table.concat(cases)
  end)
end

return M
