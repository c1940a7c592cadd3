---Reads the annotations of our modules, the same that editors read: pure.
local M = {}

---@class banger.doc
---@field name string # "mkext4"
---@field owner string # what the name is in: "banger", "banger.size", "banger.tree"
---@field method boolean # called with a colon
---@field args string[]
---@field text string # what it does
---@field params banger.doc_field[]
---@field returns banger.doc_field[]
---@field raises? string
---@field example? string

---@class banger.doc_field
---@field name string
---@field type string
---@field optional boolean
---@field text string

---@class banger.doc_class
---@field name string
---@field parent? string
---@field text string
---@field fields banger.doc_field[]

-- Where a type ends: at a space outside of all brackets, but for those behind a
-- separator ("fun(a, b): string", "{ a: integer }").
local function split_type(rest)
  local depth, at = 0, 1
  while at <= #rest do
    local c = rest:sub(at, at)
    if c:find "[%(%[{<]" then
      depth = depth + 1
    elseif c:find "[%)%]}>]" then
      depth = depth - 1
    elseif c == " " and depth == 0 and not rest:sub(1, at - 1):find "[,:|]$" then
      break
    end
    at = at + 1
  end
  return rest:sub(1, at - 1), rest:sub(at + 1)
end

local function field_of(rest)
  local name, optional, more = rest:match "^([%w_%.%[%]]+)(%??)%s+(.*)$"
  if not name then
    return nil
  end
  local type_of, tail = split_type(more)
  return { name = name, type = type_of, optional = optional == "?" or type_of:sub(-1) == "?", text = (tail:gsub("^#?%s*", "")) }
end

local function return_of(rest)
  local type_of, tail = split_type(rest)
  local name, text = tail:match "^([%w_]*)%s*#?%s*(.*)$"
  return { name = name, type = type_of, optional = type_of:sub(-1) == "?", text = text }
end

local function add_tag(block, tag, rest)
  if tag == "param" or tag == "field" then
    local field = field_of(rest)
    local list = tag == "param" and block.params or block.fields
    list[#list + 1] = field
    block.last = field
  elseif tag == "return" then
    block.last = return_of(rest)
    block.returns[#block.returns + 1] = block.last
  elseif tag == "class" then
    block.class, block.parent = rest:match "^([%w_%.]+)%s*:?%s*([%w_%.]*)"
  elseif tag == "example" then
    block.in_example = {}
  elseif tag == "meta" then
    block.meta = true
  end
end

local function add_line(block, line)
  local example = block.in_example
  local tag, rest = line:match "^@(%w+)%s*(.*)$"
  if example and not example.done then
    if line:find "^```" and example.begun then
      example.done = true
      block.example = table.concat(example, "\n")
    elseif line:find "^```" then
      example.begun = true
    else
      example[#example + 1] = line
    end
  elseif tag then
    add_tag(block, tag, rest)
  elseif block.last and line:find "^  " then
    block.last.text = (block.last.text .. " " .. line:match "^%s*(.*)"):gsub("^%s+", "")
  elseif line:find "^Raises " or block.raises then
    block.raises = (block.raises and block.raises .. " " or "") .. line:gsub("^Raises ", "")
  elseif not line:find "^|" then
    block.text[#block.text + 1] = line
  end
end

local function new_block()
  return { text = {}, params = {}, returns = {}, fields = {} }
end

local function add_function(docs, owners, block, line)
  local variable, separator, name, args = line:match "^function%s+([%w_.]+)([.:])([%w_]+)%s*(%b())"
  local owner = variable and owners[variable]
  if not owner then
    return
  end
  local list = {}
  for arg in args:gmatch "[%w_%.]+" do
    list[#list + 1] = arg
  end
  docs.functions[#docs.functions + 1] = {
    name = name,
    owner = owner,
    method = separator == ":",
    args = list,
    text = table.concat(block.text, " "),
    params = block.params,
    returns = block.returns,
    raises = block.raises and block.raises:gsub("%.$", ""),
    example = block.example,
  }
end

local function finish_block(docs, owners, block, line, module)
  if block.class then
    docs.classes[block.class] = {
      name = block.class,
      parent = block.parent ~= "" and block.parent or nil,
      text = table.concat(block.text, " "),
      fields = block.fields,
    }
    local variable = line:match "^local%s+([%w_]+)%s*=" or line:match "^([%w_]+%.[%w_.]+)%s*="
    if variable then
      owners[variable] = variable == "M" and module or block.class
    end
  elseif line:find "^function" then
    add_function(docs, owners, block, line)
  end
end

---Read a module's annotations.
---@param source string # its text
---@param module string # its name, such as "banger.size"
---@param docs? { functions: banger.doc[], classes: table<string, banger.doc_class>, modules: table<string, string> } # to add to
---@return { functions: banger.doc[], classes: table<string, banger.doc_class>, modules: table<string, string> }
---@example
---```lua
---local docs = annotations.read(core.resource "banger/size.lua", "banger.size")
---```
function M.read(source, module, docs)
  docs = docs or { functions = {}, classes = {}, modules = {} }
  local owners, block, first = { M = module }, nil, true
  for line in (source .. "\n"):gmatch "(.-)\n" do
    local comment = line:match "^%-%-%-(.*)$"
    if comment then
      block = block or new_block()
      add_line(block, comment)
    else
      if block and first and not block.class and not line:find "^function" then
        docs.modules[module] = table.concat(block.text, " ")
      end
      if block or line:find "^function" then
        finish_block(docs, owners, block or new_block(), line, module)
        first = false
      end
      block = nil
    end
  end
  return docs
end

return M
