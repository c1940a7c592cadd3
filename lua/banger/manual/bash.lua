---Completion for bash. It needs nothing of bash-completion but to be loaded.
local M = {}

local HEAD = [==[
# bash completion for banger-lua, made from what its recipes take.

# What a recipe takes: all options, those with a value, those with two values, what
# completes its arguments (the last, with a +, for all further ones) and subcommands.
_banger_lua_takes()
{
	opts= one= two= args=() subs=
	case $1 in
%s	*) args=(file+) ;;
	esac
}

# What completes the value of an option of a recipe.
_banger_lua_value()
{
	case $1 in
%s	*) kind=none ;;
	esac
}

]==]

local TAIL = [==[
# A word a line, those that begin with what is typed.
_banger_lua_words()
{
	local word
	while IFS= read -r word; do
		[[ $word == "$1"* ]] && COMPREPLY+=("$word")
	done
}

_banger_lua_complete() # KIND TYPED
{
	case $1 in
	file | recipe)
		compopt -o filenames 2> /dev/null
		[[ $1 == recipe ]] && _banger_lua_words "$2" < <("$program" recipes --quiet 2> /dev/null)
		_banger_lua_words "$2" < <(compgen -f -- "$2")
		;;
	dir)
		compopt -o filenames 2> /dev/null
		_banger_lua_words "$2" < <(compgen -d -- "$2")
		;;
	ref)
		case $2 in
		oci:* | oci-archive:* | docker-archive:* | dir:*)
			compopt -o filenames 2> /dev/null
			_banger_lua_words "$2" < <(compgen -f -P "${2%%:*}:" -- "${2#*:}")
			;;
		*)
			compopt -o nospace 2> /dev/null
			_banger_lua_words "$2" < <(printf '%s\n' docker:// oci: oci-archive: docker-archive: dir:)
			;;
		esac
		;;
	path) compopt -o nospace 2> /dev/null ;;
	command) _banger_lua_words "$2" < <("$program" help --names 2> /dev/null) ;;
	words:*) _banger_lua_words "$2" < <(printf '%s\n' ${1#words:}) ;;
	esac
}

# The words before the one that is typed: which recipe, which of its arguments is next.
_banger_lua_scan()
{
	local word
	recipe= position=0 rest=
	while [ $# -gt 0 ]; do
		word=$1
		shift
		if [ -z "$recipe" ]; then
			case $word in
			-e | -l) shift ;;
			-*) ;;
			*)
				recipe=${word##*/}
				recipe=${recipe%.lua}
				_banger_lua_takes "$recipe"
				;;
			esac
		elif [ "$word" = -- ]; then
			rest=1
			return
		elif [[ $one == *" $word "* ]]; then
			[ $# -gt 0 ] || { option=$word; return; }
			shift
		elif [[ $two == *" $word "* ]]; then
			[ $# -gt 0 ] || { option=$word; return; }
			[ $# -gt 1 ] || { option="$word 2"; return; }
			shift 2
		elif [[ $word == -?* ]]; then
			:
		elif [[ $subs == *" $word "* ]]; then
			recipe="$recipe $word"
			_banger_lua_takes "$recipe"
		else
			position=$((position + 1))
		fi
	done
}

_banger_lua()
{
	local line=${COMP_LINE:0:COMP_POINT} words typed program=$1
	local recipe position rest option kind opts one two args subs
	COMPREPLY=()
	read -ra words <<< "$line"
	typed=
	[[ $line == *[[:space:]] ]] || { typed=${words[-1]}; unset 'words[-1]'; }
	_banger_lua_scan "${words[@]:1}"
	if [ -n "$rest" ]; then
		_banger_lua_complete file "$typed"
	elif [ -n "$option" ]; then
		_banger_lua_value "$recipe:$option"
		_banger_lua_complete "$kind" "$typed"
	elif [ -z "$recipe" ] && [[ $typed == -* ]]; then
		_banger_lua_complete "words:-e -i -l -v -E -W -h --help --version --debug-on-error" "$typed"
	elif [ -z "$recipe" ]; then
		_banger_lua_complete command "$typed"
		_banger_lua_complete file "$typed"
	elif [[ $typed == --*=* ]]; then
		_banger_lua_value "$recipe:${typed%%=*}"
		_banger_lua_complete "$kind" "${typed#*=}"
		COMPREPLY=("${COMPREPLY[@]/#/${typed%%=*}=}")
	elif [[ $typed == -* ]]; then
		_banger_lua_complete "words:$opts" "$typed"
	elif [ -n "$subs" ]; then
		_banger_lua_complete "words:$subs" "$typed"
	else
		kind=${args[position]:-${args[-1]:-none}}
		[[ $position -lt ${#args[@]} || $kind == *+ ]] && _banger_lua_complete "${kind%+}" "$typed"
	fi
	# Of a word with : or = readline asks for what is behind the last of them only.
	local head=${typed%"${typed##*[:=]}"} i
	if [[ -n $head && $COMP_WORDBREAKS == *:* ]]; then
		for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$head"}; done
	fi
}

complete -F _banger_lua banger-lua
]==]

local function kind_of(value)
  return value.choices and "words:" .. table.concat(value.choices, " ") or value.kind
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- The names of the options that take so many values, or of all. A subcommand has those of
-- its recipe too, and both have --help.
local function collect(list, wanted)
  local names, known = {}, {}
  for _, option in ipairs(list) do
    for _, name in ipairs((not wanted or #option.values == wanted) and option.names or {}) do
      if not known[name] then
        known[name] = true
        names[#names + 1] = name
      end
    end
  end
  return names
end

-- As a case statement's patterns want to find them: between spaces.
local function spaced(names)
  return #names > 0 and " " .. table.concat(names, " ") .. " " or ""
end

local function words_of(command)
  local args, subs = {}, {}
  for i, argument in ipairs(command.arguments) do
    args[i] = quote(kind_of(argument) .. (argument.repeats and "+" or ""))
  end
  for i, sub in ipairs(command.commands) do
    subs[i] = sub.name
  end
  return args, subs
end

local function takes(name, command, options)
  local args, subs = words_of(command)
  return ("\t%s)\n\t\topts=%s\n\t\tone=%s\n\t\ttwo=%s\n\t\targs=(%s)\n\t\tsubs=%s\n\t\t;;\n"):format(
    quote(name), quote(table.concat(collect(options), " ")), quote(spaced(collect(options, 1))),
    quote(spaced(collect(options, 2))), table.concat(args, " "), quote(spaced(subs)))
end

local function values(name, options)
  local lines = {}
  for _, option in ipairs(options) do
    for number, value in ipairs(option.values) do
      local patterns = {}
      for i, alias in ipairs(option.names) do
        patterns[i] = quote(name .. ":" .. alias .. (number > 1 and " " .. number or ""))
      end
      if value.kind ~= "none" then
        lines[#lines + 1] = ("\t%s) kind=%s ;;\n"):format(table.concat(patterns, " | "), quote(kind_of(value)))
      end
    end
  end
  return table.concat(lines)
end

local function add(command, name, inherited, out)
  local options = table.move(command.options, 1, #command.options, #inherited + 1, table.move(inherited, 1, #inherited, 1, {}))
  table.insert(out.takes, takes(name, command, options))
  table.insert(out.values, values(name, options))
  for _, sub in ipairs(command.commands) do
    add(sub, name .. " " .. sub.name, options, out)
  end
end

---@param list banger.manual.command[]
---@return string # a script to be sourced
function M.script(list)
  local out = { takes = {}, values = {} }
  for _, command in ipairs(list) do
    add(command, command.name, {}, out)
  end
  return HEAD:format(table.concat(out.takes), table.concat(out.values)) .. TAIL
end

return M
