-- help() at the prompt comes from the annotations; nothing that is public is without.
package.path = "tests/?.lua;" .. package.path
local annotations = require "banger.repl.annotations"
local banger = require "banger"
local core = require "banger.core"
local help = require "banger.repl.help"
local sh = require "support.sh"

local function sorted(content, want)
  local names = {}
  for name, value in pairs(content) do
    if type(value) == want then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function complain(missing) assert(#missing == 0, "without annotations: " .. table.concat(missing, ", ")) end

local function check(doc, name, missing)
  if not doc then
    missing[#missing + 1] = name
  elseif doc.text == "" and #doc.returns == 0 or not doc.example then
    missing[#missing + 1] = name .. (doc.example and " (what it does)" or " (its example)")
  end
end

describe("every public function has its annotations", function()
  it("of banger", function()
    local missing = {}
    local names = sorted(banger, "function")
    assert.is_true(#names >= 15)
    for _, name in ipairs(names) do check(help.find("banger", name), "banger." .. name, missing) end
    complain(missing)
  end)

  it("of its parts", function()
    local missing, parts = {}, sorted(banger, "table")
    for _, part in ipairs(parts) do
      for _, name in ipairs(sorted(banger[part], "function")) do
        check(help.find("banger." .. part, name), ("banger.%s.%s"):format(part, name), missing)
      end
    end
    complain(missing)
    assert.is_true(#parts >= 2)
  end)

  it("of the handles", function()
    local missing, count = {}, 0
    for type_name, class in pairs {
      Image = "image_file", Rootfs = "rootfs", Blob = "blob", Store = "store", Archive = "archive", Agent = "Agent",
      ["inspect.handle"] = "inspect.handle",
    } do
      local index = debug.getregistry()["banger." .. type_name].__index
      if type(index) == "function" then index = select(2, debug.getupvalue(index, 1)) end
      for _, name in ipairs(sorted(index, "function")) do
        count = count + 1
        check(help.find("banger." .. class, name), class .. ":" .. name, missing)
      end
    end
    complain(missing)
    assert.is_true(count >= 30)
  end)

  it("arguments are those of the annotations", function()
    local wrong = {}
    for _, file in ipairs { "banger/init.lua", "banger/meta/core.lua" } do
      for _, doc in ipairs(annotations.read(core.resource(file), "x").functions) do
        for i, name in ipairs(doc.args) do
          if not doc.params[i] or doc.params[i].name ~= name then wrong[#wrong + 1] = doc.owner .. "." .. doc.name .. ": " .. name end
        end
      end
    end
    complain(wrong)
  end)

  it("one without would be found", function()
    banger.not_annotated = function() end
    local missing = {}
    check(help.find("banger", "not_annotated"), "banger.not_annotated", missing)
    banger.not_annotated = nil
    assert.same({ "banger.not_annotated" }, missing)
  end)
end)

describe("help", function()
  local function says(name, value, ...)
    local wants = { ... }
    it(name, function()
      local said = help.describe(80, 1, type(value) == "table" and value.lazy and value.lazy() or value)
      for _, want in ipairs(wants) do assert(said:find(want, 1, true), want .. "\n--- is not in\n" .. said) end
      for line in said:gmatch "[^\n]+" do assert(#line <= 80 or line:find "^  " or line:find "https:", line) end
    end)
  end

  it("without arguments lists the API by topic", function()
    local said = help.describe(80, 0)
    for _, want in ipairs {
      "Make an image\n", "  banger.mkext4         Finish a rootfs as an ext4 image\n", "\n  :read           A file's content\n",
      "\n  :ls             List what is in a directory, sorted; or what one file is\n",
      "\nErrors and debugging\n", "  banger.breakpoint  Stop here and look around\n", "help(banger.mkext4)",
    } do
      assert(said:find(want, 1, true), want .. "\n--- is not in\n" .. said)
    end
    for _, name in ipairs(sorted(banger, "function")) do assert(said:find("banger." .. name, 1, true), name .. " is not listed") end
  end)

  says("a function", banger.mkext4, "banger.mkext4(rootfs, path [, options]) -> banger.mkext4_info\n",
    "\nArguments\n  rootfs  banger.rootfs: closed afterwards\n", "      journal    boolean, optional: default true\n",
    "\nReturns\n  banger.mkext4_info\n", "\nRaises `usage`, `no_space` (with `needed` and `given`), `ext4`",
    '\nExample\n  local info = banger.mkext4(rootfs, "out.ext4", { size = "4G", label = "root" })\n')
  says("a primitive", banger.flatten_layer, "banger.flatten_layer(rootfs, blob [, options]) -> banger.layer_report\n",
    "at the root (clamp), refuse")
  says("a function of the host", banger.host.isatty, "banger.host.isatty(fd) -> boolean\n")
  says("a function of the agent", banger.agent.connect, "banger.agent.connect(address [, options]) -> banger.Agent\n")
  says("a part", banger.agent, "banger.agent\n", "  .connect  Connect to the agent of a machine\n")
  says("a method", { lazy = function() return debug.getregistry()["banger.Image"].__index.read end }, "image:read(path [, options]) -> string\n")
  says("a name", "mkext4", "banger.mkext4(rootfs")
  says("a whole name", "banger.mkext4", "banger.mkext4(rootfs")
  says("a method by its name", "image:read", "image:read(path")
  says("a method that is in Lua", "image:find", "image:find([path [, wanted]]) -> banger.stat[]\n",
    "      newer     string, optional: modified after this file of the image\n")
  says("the same by itself", { lazy = function() return debug.getregistry()["banger.Rootfs"].__index.find end }, "image:find([path")
  says("a method of a reference", { lazy = function() return debug.getregistry()["banger.inspect.handle"].__index.stat end },
    "image:stat(path [, options]) -> banger.stat?\n")
  says("what looks into references", banger.inspect, "banger.inspect(target [, options]) -> banger.image_file|banger.inspect.handle\n",
    "      platform    string, optional: such as linux/arm64")
  says("a method of a rootfs", "rootfs:chain_id", "rootfs:chain_id() -> string")
  says("a function of a module", "size.parse", "banger.size.parse(value) -> integer?, string?\n")
  says("a function of a module, by itself", require "banger.size".parse, "banger.size.parse(value)")
  says("a module", "banger.size", "Sizes as people write them: pure.\n", "  .parse   Parse a size in bytes\n")
  says("a module, by itself", require "banger.size", "  .parse   Parse a size in bytes\n")
  says("a class", "stat", "  mode         integer: permissions, 0 to 07777\n")
  says("the class of a handle, by its name", "image", "A finished image, to read.\n", "  :read     A file's content\n")
  says("host", banger.host, "banger.host\n", "  .isatty")
  says("all of it", banger, "Make an image\n")
  says("a function of Lua's", string.format, "string.format is Lua's own: https://www.lua.org/manual/5.4/manual.html#pdf-string.format\n")
  says("a library of Lua's", table, "Lua's own library")
  says("a value of no kind", 5, "nothing is known of this number\n")
  says("nil", nil, "nothing is known of this nil\n")
  says("a function of nobody", function() end, "nothing is known of this function\n")
  says("a name of nothing", "zzz\27", "nothing is known of 'zzz\\x1B': help() lists what there is\n")

  it("a handle says what it is, and what it can", function()
    local scratch <close> = sh.scratch()
    local rootfs <close> = banger.rootfs { near = scratch:path "x" }
    local said = help.describe(80, 1, rootfs)
    assert.equal("rootfs: 0 layers, 0 entries, 0 B staged\n", said:match "^.-\n")
    assert.matches("\n  :chain_id", said)
    assert.matches("\n  :read ", said)
  end)
end)

describe("annotations", function()
  local source = [[
---What the module is.
local M = {}

---@class my.options
---@field one integer # the first
---@field two? "a"|"b" # the second,
---  over two lines
---@field three? fun(a: string, b: integer): string # called

---Does it. And more
---of it.
---@param path string # where
---@param options? my.options
---@param list { a: integer, b?: string }[] # shaped
---@return integer? count # nil when not
---@return string why
---@example
---```lua
---M.act("x")
---  -- indented
---```
---Raises `io`, and
---`usage`.
function M.act(path, options, list)
end

local function private() end

---@return string
function M:method() end
]]
  it("are read", function()
    local docs = annotations.read(source, "my")
    assert.equal("What the module is.", docs.modules.my)
    assert.same({ { name = "one", type = "integer", optional = false, text = "the first" },
      { name = "two", type = '"a"|"b"', optional = true, text = "the second, over two lines" },
      { name = "three", type = "fun(a: string, b: integer): string", optional = true, text = "called" } }, docs.classes["my.options"].fields)
    assert.same({
      name = "act", owner = "my", method = false, args = { "path", "options", "list" }, text = "Does it. And more of it.",
      params = {
        { name = "path", type = "string", optional = false, text = "where" },
        { name = "options", type = "my.options", optional = true, text = "" },
        { name = "list", type = "{ a: integer, b?: string }[]", optional = false, text = "shaped" },
      },
      returns = {
        { name = "count", type = "integer?", optional = true, text = "nil when not" },
        { name = "why", type = "string", optional = false, text = "" },
      },
      raises = "`io`, and `usage`", example = 'M.act("x")\n  -- indented',
    }, docs.functions[1])
    assert.equal("method", docs.functions[2].name)
    assert.is_true(docs.functions[2].method)
    assert.equal(2, #docs.functions)
  end)

  it("what is none is no trouble", function()
    for _, text in ipairs {
      "", "---", "---@param", "---@field x", "---@class", "function M", "function M.x()", "---@example\n---```lua\n", "\0\xff",
    } do
      assert.is_table(annotations.read(text, "x"))
    end
  end)
end)
