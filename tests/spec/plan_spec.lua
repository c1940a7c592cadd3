-- The plan of a build as people and programs read it, and as the image remembers it.
local core = require "banger.core"
local plan = require "banger.plan"

local function recipes(list)
  return { list = list, names = function()
    local names = {}
    for i, recipe in ipairs(list) do
      names[i] = recipe.name
    end
    return names
  end }
end

local function hook() end

local function build(changes)
  local made = {
    image = {
      reference = "nginx", digest = "sha256:m", platform = "linux/arm64/v8",
      config = { platform = { os = "linux", architecture = "arm64", variant = "v8" }, config = {} },
    },
    recipes = recipes {
      { name = "a", variables = { { name = "port", value = 80, default = 80, help = "Where." } }, values = {} },
      { name = "b", variables = { { name = "on", value = false, default = true, help = "" } }, values = { after_flatten = hook } },
    },
    settings = { items = {}, debugfs = { { "rm", "/x y" } }, environment = {}, cmdline = {} },
    guest = {
      entries = {
        { path = "/b", type = "remove", item = "remove", by = "a", why = "asked for" },
        { path = "/a", type = "file", content = "secret", mode = tonumber("4755", 8), uid = 1, gid = 2,
          item = "inject", by = "b", why = "asked for" },
        { path = "/l", type = "symlink", target = "t\27[2J", item = "init", why = "is\nabsent" },
      },
      warnings = { "careful" }, cmdline = { "init=/.banger/init", "quiet" },
      init = { kind = "banger", path = "/.banger/init", argv = { "x" }, why = "the image runs x" },
    },
  }
  for name, value in pairs(changes or {}) do
    made[name] = value
  end
  return made
end

describe("the plan for people", function()
  it("says all on lines of their own, control characters escaped", function()
    local line = debug.getinfo(hook, "S").linedefined
    assert.equal(([[
image      nginx
digest     sha256:m
platform   linux/arm64/v8
recipes    a, b
variable   port=80  Where. (a)
variable   on=false (b)
hook       after_flatten (b, line %d)
init       banger /.banger/init: the image runs x
cmdline    init=/.banger/init quiet
size       the contents, a tenth of them, and 64 MiB
debugfs    rm "/x y"
3 entries
  remove                 /b  (remove, by a: asked for)
  file     4755 1:2      /a  (inject, by b: asked for)
  symlink  - 0:0         /l -> t\x1B[2J  (init: is\nabsent)
]]):format(line), plan.text(build()))
  end)

  it("says no more than there is", function()
    assert.equal([[
image      nginx
digest     sha256:m
platform   linux/arm64/v8
size       4.0 GiB
0 entries
]], plan.text(build {
      recipes = recipes {}, settings = { items = {}, debugfs = {}, size = 4294967296 },
      guest = { entries = {}, warnings = {}, cmdline = {} },
    }))
  end)

  for text, settings in pairs {
    ["as little as it takes"] = { size = "min" }, ["the contents, and 512.0 MiB free"] = { free = 536870912 },
    ["the contents, and 0 B free"] = { free = 0 },
  } do
    it("says of the size: " .. text, function()
      settings.items, settings.debugfs = {}, {}
      assert.is_truthy(plan.text(build { settings = settings }):find("\nsize       " .. text .. "\n", 1, true))
    end)
  end
end)

it("the plan as a table has no contents", function()
  local object = plan.object(build())
  assert.same({
    reference = "nginx", digest = "sha256:m", platform = "linux/arm64/v8", recipes = { "a", "b" },
    variables = { { recipe = "a", name = "port", value = 80, help = "Where." }, { recipe = "b", name = "on", value = false, help = "" } },
    hooks = { { recipe = "b", hook = "after_flatten", line = debug.getinfo(hook, "S").linedefined } },
    init = { kind = "banger", path = "/.banger/init", why = "the image runs x" }, cmdline = { "init=/.banger/init", "quiet" },
    debugfs = { { "rm", "/x y" } }, warnings = { "careful" },
    entries = {
      { path = "/b", type = "remove", item = "remove", by = "a", why = "asked for" },
      { path = "/a", type = "file", item = "inject", by = "b", why = "asked for" },
      { path = "/l", type = "symlink", item = "init", why = "is\nabsent" },
    },
  }, object)
end)

describe("the record", function()
  it("is JSON, sorted, without contents", function()
    local entries = plan.record(build())
    assert.same({ "/.banger", "/.banger/build.json" }, { entries[1].path, entries[2].path })
    assert.same({ "dir", "file", tonumber("644", 8), 0, 0 }, { entries[1].type, entries[2].type, entries[2].mode, entries[2].uid, entries[2].gid })
    assert.equal(('{"banger":"%s","cmdline":["init=/.banger/init","quiet"],"digest":"sha256:m",'):format(core.version)
      .. '"init":{"kind":"banger","path":"/.banger/init","why":"the image runs x"},"injected":['
      .. '{"by":"a","item":"remove","path":"/b","type":"remove","why":"asked for"},'
      .. '{"by":"b","item":"inject","path":"/a","type":"file","why":"asked for"},'
      .. '{"item":"init","path":"/l","type":"symlink","why":"is\\nabsent"}],'
      .. '"platform":{"architecture":"arm64","os":"linux","variant":"v8"},"recipes":["a","b"],"version":1}\n', entries[2].content)
  end)

  it("has empty lists where there is nothing", function()
    local entries = plan.record(build { recipes = recipes {}, guest = { entries = {}, warnings = {}, cmdline = {} } })
    assert.matches('"cmdline":[],"digest"', entries[2].content, 1, true)
    assert.matches('"injected":[],', entries[2].content, 1, true)
    assert.matches('"recipes":[],', entries[2].content, 1, true)
  end)

  it("is in the plan, but not in itself", function()
    local made = build()
    local content = plan.record(made)[2].content
    assert.same({ "/.banger", "/.banger/build.json" }, { plan.add_record(made)[1].path, made.guest.entries[5].path })
    assert.equal(content, made.guest.entries[5].content)
    assert.is_nil(content:find("build.json", 1, true))
    assert.matches("\n5 entries\n", plan.text(made))
    assert.matches("\n  file     0644 0:0      /.banger/build.json  (record: tells what was added)\n", plan.text(made), 1, true)
    assert.same({ path = "/.banger/build.json", type = "file", item = "record", why = "tells what was added" }, plan.object(made).entries[5])
  end)

  it("has no directory of its own where one is there", function()
    local made = build()
    made.guest.entries[4] = { path = "/.banger", type = "dir", item = "init", why = "is asked for" }
    assert.same({ "/.banger/build.json" }, { plan.add_record(made)[1].path })
    assert.equal(5, #made.guest.entries)
    made.guest.entries = { { path = "/.banger", type = "remove", item = "init", why = "is a symlink" } }
    assert.equal(2, #plan.record(made))
  end)

  it("can be left out", function()
    local made = build { settings = { items = { record = false } } }
    assert.same({}, plan.add_record(made))
    assert.equal(3, #made.guest.entries)
  end)
end)
