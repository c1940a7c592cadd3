-- What editors and luacheck are told of image recipes is what image recipes may say.
package.path = "tests/?.lua;" .. package.path
local schema = require "banger.image_recipe.schema"
local sh = require "support.sh"

local scratch = sh.scratch()
teardown(function() scratch:remove() end)

local META = "lua/banger/meta/"

local function sorted(list)
  table.sort(list)
  return list
end

it("luacheck's globals are the keys and hooks", function()
  local std = dofile(META .. "luacheck.lua")
  assert.same(schema.names, sorted(std.globals))
  assert.same({ "banger", "note", "var" }, sorted(std.read_globals))
end)

describe("the declarations for editors", function()
  local text = sh.read_file(META .. "image_recipe.lua")

  it("are the keys and hooks, each with a line and a type", function()
    local declared = {}
    for help, kind, name in text:gmatch "\n%-%-%-(%a[^\n]+)\n[^=]-%-%-%-@type ([^\n]+)\n([%l%d_]+) = " do
      assert.is_true(#help > 5 and #kind > 3)
      if name ~= "banger" then declared[#declared + 1] = name end
    end
    assert.same(schema.names, sorted(declared))
    for name, key in pairs(schema.keys) do
      local kind = text:match("%-%-%-@type ([^\n]+)\n" .. name .. " = ")
      assert.equal(key.kind == "hook", kind:find "^fun%(" ~= nil, name)
    end
  end)

  it("are Lua, and a meta file", function()
    assert.is_function(loadfile(META .. "image_recipe.lua", "t", {}))
    assert.equal("---@meta\n", text:sub(1, 9))
    assert.matches("^%-%-%-@meta banger%.core\n", sh.read_file(META .. "core.lua"))
  end)

  it("have no class that is declared nowhere", function()
    local all = sh.check "cat lua/banger/*.lua lua/banger/*/*.lua"
    for name in text:gmatch "banger%.[%l_]+" do
      if name ~= "banger.core" then
        assert.is_truthy(all:find("@class " .. name, 1, true) or all:find("@alias " .. name, 1, true), name)
      end
    end
  end)
end)

describe("luacheck with what is installed", function()
  setup(function()
    sh.write_file(scratch:path ".luacheckrc", ('stds.banger_recipe = dofile %q\nstd = "lua54+banger_recipe"\nmax_line_length = 150\n'):format(
      sh.check("realpath " .. META .. "luacheck.lua"):gsub("\n", "")))
  end)

  local function check(text)
    sh.write_file(scratch:path "web.lua", (text:gsub(" +$", "")))
    return sh.run(("cd %s && luacheck --no-color --formatter plain web.lua"):format(sh.quote(scratch:path ".")))
  end

  it("knows recipes", function()
    local out, code = check [[
      hostname = "web"
      inject["/a"] = var("x", "y")
      function after_flatten(rootfs, build)
        note(build.out .. #rootfs:list "/")
      end
    ]]
    assert.same({ "", 0 }, { out, code })
    for file in sh.check("ls recipes/images/*.lua"):gmatch "[^\n]+" do
      assert.same({ file, 0 }, { file, select(2, check(sh.read_file(file))) })
    end
  end)

  it("tells what is none of their words", function()
    local out, code = check 'hostnme = "web"\nbanger = 1\n'
    assert.equal(1, code)
    assert.equal("web.lua:1:1: setting non-standard global variable 'hostnme'\nweb.lua:2:1: setting read-only global variable 'banger'\n", out)
  end)
end)

describe("lua-language-server's plugin", function()
  -- The text as the server reads it: what the plugin gives is put in, from its end on.
  local function text_of(text)
    local env = setmetatable({}, { __index = _G })
    assert(loadfile(META .. "plugin.lua", "t", env))()
    local diffs = env.OnSetText("file:///web.lua", text)
    for i = #(diffs or {}), 1, -1 do
      local one = diffs[i]
      text = text:sub(1, one.start - 1) .. one.text .. text:sub(one.finish + 1)
    end
    return text
  end

  it("says of what type keys are, and what hooks are told", function()
    assert.equal(table.concat({
      "-- Mine.", "---@type string?", 'hostname = "web"', "---@type string|integer|nil", "size=1", "local free = 2",
      "---@param tree banger.rootfs", "---@param build banger.recipe_build", "function after_flatten(tree, build)", "  hostname = 1", "end",
      "---@param b banger.recipe_build", "function after_resolve(b) end", "function after_plan() end", "x = 1", "label == 1", "",
    }, "\n"), text_of(table.concat({
      "-- Mine.", 'hostname = "web"', "size=1", "local free = 2", "function after_flatten(tree, build)", "  hostname = 1", "end",
      "function after_resolve(b) end", "function after_plan() end", "x = 1", "label == 1", "",
    }, "\n")))
    assert.equal('---@type string?\nlabel = "x"', text_of 'label = "x"')
  end)

  it("leaves programs and declarations alone", function()
    for _, text in ipairs { 'local banger = require "banger"\nsize = 1\n', "---@meta\nsize = nil\n", "" } do
      assert.equal(text, text_of(text))
    end
  end)

  it("knows every key and hook", function()
    for name, key in pairs(schema.keys) do
      local text = key.kind == "hook" and ("function %s(a, b, c) end\n"):format(name) or name .. " = 1\n"
      assert.is_true(#text_of(text) > #text + 10, name)
    end
  end)
end)
