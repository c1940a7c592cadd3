-- A plugin for lua-language-server (`runtime.plugin` in .luarc.json): it lets the server check
-- the values of an image recipe's keys, and know what hooks are told. For the server a global
-- has the type of what is assigned to it; so each gets the comment that says more, from
-- image_recipe.lua beside this file. Nothing of it is in the text that you edit.
local here = debug.getinfo(1, "S").source:match "^@(.*[/\\])" or ""

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

-- What is declared: by name the type of a key, the types of a hook's arguments in their order.
local function declared(text)
  local keys, hooks = {}, {}
  for kind, name in text:gmatch "%-%-%-@type ([^\n]+)\n([%l%d_]+) = " do
    local arguments = kind:match "^fun(%b())"
    if arguments then
      hooks[name] = {}
      for argument in arguments:gmatch ":%s*([^,)]+)" do
        table.insert(hooks[name], argument)
      end
    elseif name ~= "banger" then
      keys[name] = kind
    end
  end
  return keys, hooks
end

local KEYS, HOOKS = declared(read(here .. "image_recipe.lua"))

local function add(diffs, at, text)
  diffs[#diffs + 1] = { start = at, finish = at - 1, text = text }
end

local function add_hook(diffs, at, kinds, arguments)
  local i = 0
  for name in arguments:gmatch "[%a_][%w_]*" do
    i = i + 1
    if kinds[i] then
      add(diffs, at, ("---@param %s %s\n"):format(name, kinds[i]))
    end
  end
end

---Called by the server with each text: what to put into it.
function OnSetText(_, text) -- luacheck: ignore 111 131
  if text:find "^%s*%-%-%-@meta" or text:find "require%s*%(?%s*[\"']banger" then
    return nil -- declarations, or a program
  end
  local diffs = {}
  for at, name in ("\n" .. text):gmatch "\n()([%l_]+)%s*=%f[^=]" do
    if KEYS[name] then
      add(diffs, at - 1, ("---@type %s\n"):format(KEYS[name]))
    end
  end
  for at, name, arguments in ("\n" .. text):gmatch "\n()function%s+([%l%d_]+)%s*(%b())" do
    if HOOKS[name] then
      add_hook(diffs, at - 1, HOOKS[name], arguments)
    end
  end
  return diffs
end
