---`help()` at the prompt: the API by topic, and each part of it from its annotations.
local annotations = require "banger.repl.annotations"
local core = require "banger.core"
local format = require "banger.repl.format"
local handles = require "banger.inspect.handle"
local sorted = require "banger.sorted"
local text = require "banger.text"

local M = {}

-- ---- what there is -----------------------------------------------------------------

local docs

local function module_of(resource)
  return resource:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
end

local function read_docs()
  docs = annotations.read(core.resource "banger/init.lua", "banger")
  local primitives = annotations.read(core.resource "banger/meta/core.lua", "banger.core")
  local names = core.resources()
  table.sort(names)
  for _, name in ipairs(names) do
    if name:find "^banger/.*%.lua$" and not name:find "^banger/meta/" and name ~= "banger/init.lua" then
      annotations.read(core.resource(name), module_of(name), docs)
    end
  end
  -- What is in C is a part of `banger`, unless there is more of it in Lua.
  local known = {}
  for _, doc in ipairs(docs.functions) do
    known[doc.owner .. "." .. doc.name] = true
  end
  for _, doc in ipairs(primitives.functions) do
    doc.owner = doc.owner == "banger.core" and "banger" or doc.owner
    if not known[doc.owner .. "." .. doc.name] then
      docs.functions[#docs.functions + 1] = doc
    end
  end
  -- A class may have methods in Lua too; what it is, stands where it is in C.
  for name, class in pairs(primitives.classes) do
    docs.classes[name] = class
  end
  return docs
end

local function all()
  return docs or read_docs()
end

---The documentation of a function.
---@param owner string # "banger", "banger.host", "banger.tree"
---@param name string
---@return banger.doc?
---@example
---```lua
---help.find("banger", "mkext4").raises
---```
function M.find(owner, name)
  for _, doc in ipairs(all().functions) do
    if doc.owner == owner and doc.name == name then
      return doc
    end
  end
  local class = all().classes[owner]
  return class and class.parent and M.find(class.parent, name) or nil
end

-- The classes of our handles, by the names of their metatables.
local HANDLES = {
  ["banger.Image"] = "banger.image_file",
  ["banger.Rootfs"] = "banger.rootfs",
  ["banger.Blob"] = "banger.blob",
  ["banger.Store"] = "banger.store",
  ["banger.Archive"] = "banger.archive",
  ["banger.Agent"] = "banger.Agent",
  ["banger.inspect.handle"] = "banger.inspect.handle",
}

---The class of a handle.
---@param value any
---@return string?
---@example
---```lua
---help.class_of(image)  --> "banger.image_file"
---```
function M.class_of(value)
  local meta = (type(value) == "userdata" or handles.is(value)) and debug.getmetatable(value)
  return type(meta) == "table" and HANDLES[rawget(meta, "__name")] or nil
end

local function methods_of(meta)
  local index = rawget(meta, "__index")
  if type(index) == "function" then
    index = select(2, debug.getupvalue(index, 1))
  end
  return type(index) == "table" and index or {}
end

local function find_in(content, owner, value)
  for name, member in pairs(content) do
    if rawequal(member, value) and type(name) == "string" then
      return M.find(owner, name)
    end
  end
end

local function find_function(value)
  local banger = require "banger"
  local found = find_in(banger, "banger", value)
  for name, part in pairs(banger) do
    found = found or type(part) == "table" and find_in(part, "banger." .. name, value)
  end
  for type_name, class in pairs(HANDLES) do
    local meta = debug.getregistry()[type_name]
    found = found or meta and find_in(methods_of(meta), class, value)
  end
  for _, module in ipairs(sorted(package.loaded)) do
    local content = package.loaded[module]
    if not found and type(module) == "string" and module:find "^banger%." and type(content) == "table" then
      found = find_in(content, module, value)
    end
  end
  return found
end

-- ---- how it is shown -----------------------------------------------------------------

local function wrap(words, width, margin)
  local lines, line = {}, ""
  for word in words:gmatch "%S+" do
    if line ~= "" and text.width(line) + 1 + text.width(word) + #margin > width then
      lines[#lines + 1] = margin .. line
      line = word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  if line ~= "" then
    lines[#lines + 1] = margin .. line
  end
  return table.concat(lines, "\n")
end

local function callable(doc)
  local of_handle = doc.owner:match "^banger%.([%w_]+)$"
  if doc.method then
    local is_image = of_handle == "image_file" or of_handle == "tree" or doc.owner == "banger.inspect.handle"
    return (is_image and "image" or of_handle or doc.owner) .. ":" .. doc.name
  end
  return doc.owner .. "." .. doc.name
end

local function signature(doc)
  local args, closing = {}, ""
  for i, name in ipairs(doc.args) do
    local optional = doc.params[i] and doc.params[i].name == name and doc.params[i].optional
    local comma = i > 1 and ", " or ""
    if optional then
      args[i] = (i > 1 and " [, " or "[") .. name
      closing = closing .. "]"
    else
      args[i] = comma .. name
    end
  end
  local results = {}
  for i, result in ipairs(doc.returns) do
    results[i] = result.type
  end
  return ("%s(%s%s)%s"):format(callable(doc), table.concat(args), closing,
    #results > 0 and " -> " .. table.concat(results, ", ") or "")
end

local function field_lines(lines, fields, width, margin)
  local longest = 0
  for _, field in ipairs(fields) do
    longest = math.max(longest, math.min(16, #field.name))
  end
  for _, field in ipairs(fields) do
    local padding = (" "):rep(longest - #field.name + (longest > 0 and 2 or 0))
    local head = margin .. field.name .. padding .. field.type .. (field.optional and not field.type:find "%?$" and ", optional" or "")
    local line = field.text ~= "" and head .. ": " .. field.text or head
    if text.width(line) <= width then
      lines[#lines + 1] = line
    else
      lines[#lines + 1] = head
      if field.text ~= "" then
        lines[#lines + 1] = wrap(field.text, width, margin .. (" "):rep(longest + 2))
      end
    end
  end
end

local function class_fields(name)
  local class = all().classes[(name:gsub("[%?%[%]]", ""))]
  local fields = {}
  while class do
    for _, field in ipairs(class.fields) do
      fields[#fields + 1] = field
    end
    class = class.parent and all().classes[class.parent]
  end
  return fields
end

-- Each part is a field; what is a table of ours is shown with its own.
local function add_fields(lines, fields, width)
  for _, field in ipairs(fields) do
    field_lines(lines, { field }, width, "  ")
    field_lines(lines, class_fields(field.type), width, "      ")
  end
end

local function describe_function(doc, width)
  local lines = { signature(doc), "" }
  lines[#lines + 1] = wrap(doc.text, width, "")
  if #doc.params > 0 then
    lines[#lines + 1] = ""
    lines[#lines + 1] = "Arguments"
    add_fields(lines, doc.params, width)
  end
  if #doc.returns > 0 then
    lines[#lines + 1] = ""
    lines[#lines + 1] = "Returns"
    local results = {}
    for i, result in ipairs(doc.returns) do
      results[i] = { name = result.name, type = result.type, text = result.text, optional = false }
    end
    add_fields(lines, results, width)
  end
  if doc.raises then
    lines[#lines + 1] = ""
    lines[#lines + 1] = wrap("Raises " .. doc.raises .. ".", width, "")
  end
  if doc.example then
    lines[#lines + 1] = ""
    lines[#lines + 1] = "Example"
    for line in (doc.example .. "\n"):gmatch "(.-)\n" do
      lines[#lines + 1] = "  " .. line
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

local function first_sentence(words)
  return words:match "^(.-[%.:])%s" or words:match "^(.-)%.?$" .. "."
end

local function summary_lines(lines, list, width)
  local longest = 0
  for _, item in ipairs(list) do
    longest = math.max(longest, #item[1])
  end
  for _, item in ipairs(list) do
    local head = ("  %-" .. longest .. "s  "):format(item[1])
    local body = wrap(first_sentence(item[2]):gsub("[%.:]$", ""), width, (" "):rep(#head))
    lines[#lines + 1] = head .. body:sub(#head + 1)
  end
end

local function describe_class(name, width)
  local class = all().classes[name]
  local lines, methods, seen = { name, wrap(class.text, width, "") }, {}, {}
  local at = class
  while at do
    if at ~= class and at.text ~= "" then
      lines[#lines + 1] = wrap(at.text, width, "")
    end
    for _, doc in ipairs(all().functions) do
      if doc.owner == at.name and not seen[doc.name] then
        seen[doc.name] = true
        methods[#methods + 1] = { (doc.method and ":" or ".") .. doc.name, doc.text }
      end
    end
    at = at.parent and all().classes[at.parent]
  end
  local fields = class_fields(name)
  if #fields > 0 then
    lines[#lines + 1] = ""
    field_lines(lines, fields, width, "  ")
  end
  if #methods > 0 then
    lines[#lines + 1] = ""
    summary_lines(lines, methods, width)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function describe_module(module, width)
  local lines, list = { module, wrap(all().modules[module] or "", width, "") }, {}
  for _, doc in ipairs(all().functions) do
    if doc.owner == module then
      list[#list + 1] = { "." .. doc.name, doc.text }
    end
  end
  lines[#lines + 1] = ""
  summary_lines(lines, list, width)
  return table.concat(lines, "\n") .. "\n"
end

-- ---- topics --------------------------------------------------------------------------

local TOPICS = {
  { "Make an image", "fetch_blob rootfs flatten_layer inject mkext4" },
  { "Look into one: image, rootfs and reference alike", "open inspect tree:ls tree:cat tree:find tree:tree tree:diff tree:extract "
    .. "tree:inspect tree:layers tree:report tree:stat tree:list tree:read tree:walk tree:exists tree:resolve tree:df" },
  { "Change one that is finished", "tree:edit inject debugfs_batch apply_ownership" },
  { "Where images come from", "source.resolve archive store http" },
  { "This machine", "host" },
  { "Machines that run, and have the agent", "agent.connect Agent:run Agent:put Agent:get" },
  { "Errors and debugging", "error is_error breakpoint" },
}

local function topic_item(name)
  local class, method = name:match "^(%w+):(%w+)$"
  local module, member = name:match "^(%w+)%.(%w+)$"
  if class then
    return { (":%s"):format(method), M.find("banger." .. class, method).text }
  elseif module and require("banger")[module] then
    return { "banger." .. name, M.find("banger." .. module, member).text }
  elseif module then
    return { ('require "banger.%s".%s'):format(module, member), M.find("banger." .. module, member).text }
  elseif name == "host" then
    return { "banger.host", all().classes["banger.host"].text }
  end
  return { "banger." .. name, M.find("banger", name).text }
end

---What `banger` has that no topic names.
---@return string[] # sorted
---@example
---```lua
---for _, name in ipairs(help.others()) do print(name) end
---```
function M.others()
  local list, listed = {}, {}
  for _, topic in ipairs(TOPICS) do
    for name in topic[2]:gmatch "%S+" do
      listed[name] = true
    end
  end
  local banger = require "banger"
  for _, name in ipairs(sorted(banger)) do
    if type(banger[name]) == "function" and not listed[name] then
      list[#list + 1] = name
    end
  end
  return list
end

local function describe_topics(width)
  local lines = {}
  local function add(title, names)
    lines[#lines + 1] = title
    local items = {}
    for _, name in ipairs(names) do
      items[#items + 1] = topic_item(name)
    end
    summary_lines(lines, items, width)
    lines[#lines + 1] = ""
  end
  for _, topic in ipairs(TOPICS) do
    local names = {}
    for name in topic[2]:gmatch "%S+" do
      names[#names + 1] = name
    end
    add(topic[1], names)
  end
  local others = {}
  for _, name in ipairs(M.others()) do
    others[#others + 1] = M.find("banger", name) and name or nil
  end
  add("More", others)
  lines[#lines + 1] = [[help(banger.mkext4) says all about one; so do help "image:read" and help(value).]]
  lines[#lines + 1] = "_ is the last value; a line that ends in ; prints nothing. Tab completes, also"
  lines[#lines + 1] = "paths in images. Ctrl-R searches, Ctrl-C stops what runs, Ctrl-D leaves."
  return table.concat(lines, "\n") .. "\n"
end

-- ---- what is asked for ------------------------------------------------------------------

local CLASSES = { image = "banger.image_file" }

local function find_named(name)
  local owner, member = name:match "^(.*)[.:]([%w_]+)$"
  if not owner then
    return M.find("banger", name)
  end
  return M.find(CLASSES[owner] or owner, member) or M.find("banger." .. owner, member)
end

local function describe_name(name, width)
  local doc = find_named(name)
  local class = CLASSES[name] or all().classes[name] and name or all().classes["banger." .. name] and "banger." .. name
  local module = all().modules[name] and name or all().modules["banger." .. name] and "banger." .. name
  if doc then
    return describe_function(doc, width)
  elseif class and class ~= "banger" then
    return describe_class(class, width)
  elseif module and module ~= "banger" then
    return describe_module(module, width)
  elseif name == "banger" then
    return describe_topics(width)
  end
  return ("nothing is known of '%s': help() lists what there is\n"):format(text.escape(name))
end

local STANDARD = { "string", "table", "math", "io", "os", "coroutine", "utf8", "debug", "package" }

local function describe_standard(value)
  for _, library in ipairs { "_G", table.unpack(STANDARD) } do
    local content = package.loaded[library]
    if rawequal(content, value) then
      return ("Lua's own library: https://www.lua.org/manual/5.4/manual.html#6\n")
    end
    for name, member in pairs(content) do
      if rawequal(member, value) and type(value) == "function" then
        local full = library == "_G" and name or library .. "." .. name
        return ("%s is Lua's own: https://www.lua.org/manual/5.4/manual.html#pdf-%s\n"):format(full, full)
      end
    end
  end
end

local function describe_module_value(value, width)
  for module, content in pairs(package.loaded) do
    if rawequal(content, value) and all().modules[module] and module ~= "banger" then
      return describe_module(module, width)
    end
  end
end

---What there is to say about a value, or by topic without one.
---@param width integer # of the terminal
---@param asked integer # how many values were given: 0 or 1
---@param value? any # a function, a handle, a module or a name
---@return string
---@example
---```lua
---io.write(help.describe(80, 1, banger.mkext4))
---```
function M.describe(width, asked, value)
  local banger = require "banger"
  if asked == 0 or rawequal(value, banger) then
    return describe_topics(width)
  elseif type(value) == "string" then
    return describe_name(value, width)
  end
  for name, part in pairs(banger) do
    if type(part) == "table" and rawequal(part, value) and all().classes["banger." .. name] then
      return describe_class("banger." .. name, width)
    end
  end
  local class = M.class_of(value)
  if class then
    return format.handle(value) .. "\n" .. describe_class(class, width)
  end
  local doc = type(value) == "function" and find_function(value)
  return doc and describe_function(doc, width) or describe_standard(value) or describe_module_value(value, width)
    or ("nothing is known of this %s\n"):format(type(value))
end

return M
