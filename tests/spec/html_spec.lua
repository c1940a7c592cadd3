-- The page of `banger-lua report`, without a browser: how names are written, how the tree is
-- packed, what the policy allows. tests/e2e/report_spec.lua looks at it in Chromium.
package.path = "tests/?.lua;" .. package.path
local cjson = require "cjson"
local pages = require "banger.html.page"
local sections = require "banger.html.sections"
local sh = require "support.sh"
local text = require "banger.html.text"
local tree = require "banger.html.tree"

describe("names as text", function()
  for bytes, shown in pairs {
    ["plain name.txt"] = "plain name.txt",
    ["a\nb\27[31m\127"] = "a\\x0ab\\x1b[31m\\x7f",
    ["caf\u{e9} \u{1F600}"] = "caf\u{e9} \u{1F600}",
    ["\xff\xfe"] = "\\xff\\xfe",
    ["a\xc3"] = "a\\xc3",
    ["\xed\xa0\x80"] = "\\xed\\xa0\\x80", -- a surrogate
    ["gpj.\u{202E}exe"] = "gpj.\\xe2\\x80\\xaeexe",
    ["\u{85}\u{2028}\u{FEFF}"] = "\\xc2\\x85\\xe2\\x80\\xa8\\xef\\xbb\\xbf",
  } do
    it("shows " .. shown, function() assert.equal(shown, text.show(bytes)) end)
  end

  it("are no markup", function()
    assert.equal("&lt;b a=&quot;&#39;&quot;&gt;&amp;amp;", text.html '<b a="\'">&amp;')
  end)

  it("are cut between characters", function()
    assert.equal("abc", text.cut("abc", 3))
    assert.equal("ab …", text.cut("abc", 2))
    assert.equal("a …", text.cut("a\u{e9}b", 2))
  end)
end)

describe("numbers", function()
  it("have commas", function()
    assert.same({ "0", "999", "1,000", "13,626", "1,234,567" },
      { text.number(0), text.number(999), text.number(1000), text.number(13626), text.number(1234567) })
  end)
  it("have nouns", function()
    assert.same({ "1 layer", "2 layers", "0 layers" }, { text.count(1, "layer"), text.count(2, "layer"), text.count(0, "layer") })
  end)
  it("are shares", function()
    assert.same({ "12.5 %", "< 0.1 %", "0.0 %", "0.0 %" },
      { text.percent(1, 8), text.percent(1, 5000), text.percent(0, 9), text.percent(0, 0) })
  end)
end)

describe("what made a layer", function()
  for made, shown in pairs {
    ['/bin/sh -c #(nop)  CMD ["sh"]'] = 'CMD ["sh"]',
    ["/bin/sh -c apt-get update"] = "RUN apt-get update",
    ["RUN /bin/sh -c make install # buildkit"] = "RUN make install",
    ["COPY a /b # buildkit"] = "COPY a /b",
    ["RUN a\n\t&& b"] = "RUN a && b",
  } do
    it("is " .. shown, function() assert.equal(shown, sections.command(made)) end)
  end
  it("may be unknown", function() assert.equal("", sections.command(nil)) end)
  it("is cut", function() assert.equal(4004, #sections.command(("x"):rep(10000))) end)
end)

local function file(path, size, layer, more)
  local entry = { path = path, type = "file", size = size, layer = layer, wasted = 0 }
  for key, value in pairs(more or {}) do entry[key] = value end
  return entry
end
local function dir(path, layer) return { path = path, type = "dir", size = 0, layer = layer, wasted = 0 } end
local function layer_of(entry) return entry.layer end

local FILES = {
  dir "/", dir("/etc", 1), file("/etc/passwd", 300, 2), dir("/usr", 1), file("/usr/big", 5000, 1),
  file("/usr/also", 0, 1, { hardlink = true }), file("/usr/link", 0, 2, { type = "symlink" }), file("/usr/null", 0, 1, { type = "char" }),
}
local WASTED = {
  { path = "/usr/big", bytes = 4000, total = 9000, count = 2, layers = { 1, 2 }, hidden = { { layer = 1, bytes = 4000 } } },
  { path = "/var/gone/x", bytes = 70, total = 70, count = 3, layers = { 2, 3, 4 },
    hidden = { { layer = 2, bytes = 50 }, { layer = 3, bytes = 20 } } },
}

describe("the tree", function()
  it("is columns, depth first, with what is hidden", function()
    local packed = tree.pack(FILES, WASTED, layer_of)
    assert.same({
      names = { "/", "etc", "passwd", "usr", "also", "big", "big", "link", "null", "var", "gone", "x", "x" },
      depths = { 0, 1, 2, 1, 2, 2, 2, 2, 2, 1, 2, 3, 3 },
      kinds = "ddfdhfwloggww",
      sizes = { 300, 0, 5000, 4000, 0, 0, 50, 20 },
      groups = { 1, 0, 0, 0, 1, 0, 1, 2 },
      folded = {},
    }, packed.columns)
    assert.same({ 0, 0, 13 }, { packed.least, packed.folded, packed.shown })
  end)

  it("folds what is small when there is too much of it", function()
    local files, names = { dir "/", dir("/d", 1), file("/d/large", 100000, 1) }, 0
    for i = 1, 500 do
      files[#files + 1] = file(("/d/s%d"):format(i), 3, 1 + i % 2)
      names = names + 1
    end
    files[#files + 1] = dir("/e", 1)
    files[#files + 1] = file("/e/tiny", 3, 2)
    local packed = tree.pack(files, { { path = "/d/was", bytes = 2, total = 2, count = 2, layers = { 1, 2 },
      hidden = { { layer = 1, bytes = 2 } } } }, layer_of, 200)
    assert.same({ "/", "d", "large", "", "" }, packed.columns.names)
    assert.equal("ddfaa", packed.columns.kinds)
    assert.same({ 0, 1, 2, 2, 1 }, packed.columns.depths)
    -- In /d: 250 files of 3 bytes of each layer, and the hidden one; below /: /e/tiny.
    assert.same({ { { -2, 1, 2 }, { 0, 250, 750 }, { 1, 250, 750 } }, { { 1, 1, 3 } } }, packed.columns.folded)
    assert.same({ 502, 5 }, { packed.folded, packed.shown })
    assert.is_true(packed.least > 3 and packed.least < 100000)
  end)

  it("may be 10,000 levels deep", function()
    local files, path = { dir "/" }, ""
    for _ = 1, 10000 do
      path = path .. "/d"
      files[#files + 1] = dir(path, 1)
    end
    files[#files + 1] = file(path .. "/end", 7, 1)
    local columns = tree.pack(files, {}, layer_of).columns
    assert.equal(10002, #columns.names)
    assert.equal(10001, columns.depths[10002])
  end)

  it("may be empty", function()
    assert.same({ "/" }, tree.pack({ dir "/" }, {}, layer_of).columns.names)
  end)

  it("stays small with 100,000 files", function()
    local files = { dir "/" }
    for d = 1, 100 do
      files[#files + 1] = dir(("/directory-%d"):format(d), 1)
      for i = 1, 1000 do
        files[#files + 1] = file(("/directory-%d/a-file-with-quite-a-long-name-%d.txt"):format(d, i), i * 100, 1)
      end
    end
    local packed = tree.pack(files, {}, layer_of)
    local size = #tree.script(packed.columns)
    assert.is_true(size < 2900000, ("%d bytes"):format(size))
    assert.is_true(packed.shown > 20000, ("%d shown"):format(packed.shown))
  end)
end)

describe("the groups of a finished image", function()
  local models = require "banger.html.model"
  local ZERO = { bytes = 0 }

  local function image_of(files)
    local at = 0
    local walked = {
      walk = function()
        return function()
          at = at + 1
          local found = files[at]
          return found and found.path, found and { path = found.path, type = found.type, size = found.size, nlink = 1, ino = at }
        end
      end,
    }
    return models.image({ path = "x.ext4", content = ZERO, superblock = {}, usage = { size = 1, used = 1, free = 0, inodes = 1, inodes_used = 1,
      inodes_free = 0 } }, walked)
  end

  it("are directories, of which large ones are split", function()
    local made = image_of { dir "/", file("/top", 10), dir "/usr", file("/usr/x", 20), dir "/usr/lib", dir "/usr/lib/a", file("/usr/lib/a/1", 500),
      dir "/usr/lib/b", file("/usr/lib/b/1", 300), file("/usr/lib/c", 30), dir "/var", dir "/var/empty", file("/var/f", 40), dir "/zero" }
    local groups = {}
    for i, group in ipairs(made.groups) do groups[i] = group.label .. " " .. group.bytes end
    assert.same({ "/usr/lib/a 500", "/usr/lib/b 300", "/var 40", "/usr/lib (rest) 30", "/usr (rest) 20", "all else 10" }, groups)
    local function group_of(path, kind) return (made.groups[made.group_of { path = path, type = kind or "file" }] or {}).label end
    assert.same({ "/usr/lib/a", "/usr/lib/a", "/usr/lib (rest)", "/usr (rest)", "/var", "all else", "all else" }, {
      group_of "/usr/lib/a/1", group_of("/usr/lib/a", "dir"), group_of "/usr/lib/c", group_of "/usr/x", group_of("/var/empty", "dir"),
      group_of "/top", group_of("/zero", "dir") })
  end)

  it("may be none", function()
    assert.same({}, image_of({ dir "/", dir "/d" }).groups)
  end)

  it("are found in a tree of 10,000 levels", function()
    local files, path = { dir "/" }, ""
    for _ = 1, 10000 do
      path = path .. "/d"
      files[#files + 1] = dir(path)
      files[#files + 1] = file(path .. "/f", 1)
    end
    local made = image_of(files)
    local last
    for _, entry in ipairs(made.files) do last = made.group_of(entry) end
    assert.matches("^/d/d/d", made.groups[1].label)
    assert.equal(1, last)
  end)
end)

local function model(files, more)
  local result = {
    title = "a <title>", sub = { "linux/amd64" }, figures = { { "Files", "2" } }, noun = "layer",
    groups = { { label = "1", name = "COPY <x>", bytes = 300 }, { label = "2", bytes = 0 } }, group_of = layer_of, files = files,
    wasted = {}, wasted_bytes = 0, about = { { title = "Config", rows = { { "Env", { "A=</dd>", "B=2" } }, { "User", "web" } } } },
  }
  for key, value in pairs(more or {}) do result[key] = value end
  return result
end

describe("the page", function()
  local scratch
  setup(function() scratch = sh.scratch() end)
  teardown(function() scratch:remove() end)

  local HOSTILE = {
    dir "/", file("/<img src=x onerror=alert(1)>", 10, 1), dir("/<", 1), file("/</script><script>alert(1)<", 20, 1), file("/<!--<script>", 30, 1),
    file("/\xff\n\u{202E}", 40, 1), file("/\u{2028}]]>&amp;", 50, 1),
  }

  it("lets nothing out of its names", function()
    local page = pages.page(model(HOSTILE))
    assert.is_nil(page:find("<img", 1, true))
    assert.is_nil(page:find("<!--", 1, true))
    assert.is_nil(page:find("\xff", 1, true))
    assert.is_nil(page:find("\u{202E}", 1, true))
    assert.is_nil(page:find("alert(1)<", 1, true))
    local count = select(2, page:gsub("<script", "")) + select(2, page:gsub("</script", ""))
    assert.equal(4, count) -- the data, the script
    local data = cjson.decode(page:match '<script type="application/json" id="data">(.-)</script>')
    assert.same({ "/", "<", "script><script>alert(1)<", "<!--<script>", "<img src=x onerror=alert(1)>", "\\xe2\\x80\\xa8]]>&amp;",
      "\\xff\\x0a\\xe2\\x80\\xae" }, data.tree.names)
    assert.truthy(page:find("<title>a &lt;title&gt; – image report</title>", 1, true))
    assert.truthy(page:find("<code>A=&lt;/dd&gt;</code>", 1, true))
  end)

  it("has a policy that allows its own script and style only", function()
    local page = pages.page(model(HOSTILE))
    local function hash(content)
      local path = scratch:fresh ".txt"
      sh.write_file(path, content)
      return "'sha256-" .. sh.check("openssl dgst -sha256 -binary <" .. sh.quote(path) .. " | openssl base64 -A") .. "'"
    end
    local policy = page:match '<meta http%-equiv="Content%-Security%-Policy" content="([^"]*)">'
    assert.equal(("default-src 'none'; script-src %s; style-src %s; img-src data:; base-uri 'none'; form-action 'none'"):format(
      hash(page:match "<script>(.-)</script>"), hash(page:match "<style>(.-)</style>")), policy)
  end)

  it("names no address but those of namespaces and of d3 in a comment", function()
    local page = pages.page(model(HOSTILE))
    local found = {}
    for address in page:gmatch "https?://[%w./-]*" do found[#found + 1] = address end
    assert.same({ "https://d3js.org/d3-hierarchy/" }, found)
    assert.is_nil(page:find "%f[%w]src=\"")
    assert.is_nil(page:find "url%([^#]")
    assert.is_nil(page:find "@import")
  end)

  it("is the same for the same image", function()
    assert.is_true(pages.page(model(FILES, { wasted = WASTED, wasted_bytes = 4070 }))
      == pages.page(model(FILES, { wasted = WASTED, wasted_bytes = 4070 })))
  end)

  it("has the largest files for those who have no script", function()
    local page = pages.page(model(FILES))
    local table_ = page:match "<noscript>(.-)</noscript>"
    assert.truthy(table_:find("/usr/big", 1, true) < table_:find("/etc/passwd", 1, true))
    assert.truthy(table_:find('<span title="5,000 bytes">4.9 KiB</span>', 1, true))
  end)

  it("says what is folded", function()
    local files = { dir "/" }
    for i = 1, 2000 do files[#files + 1] = file(("/name-%d"):format(i), i, 1) end
    assert.is_nil(pages.page(model(files)):find "summed up:")
    local page = pages.page(model(files), 30000) -- those of 1024 bytes and more take 22,471
    assert.truthy(page:find("1,023 files below 1.0 KiB, or in directories below that, are summed up:", 1, true))
  end)

  it("gives eight layers a colour each, the largest", function()
    local groups = {}
    for i = 1, 12 do groups[i] = { label = tostring(i), bytes = i == 3 and 0 or 100 + i } end
    local page = pages.page(model(FILES, { groups = groups }))
    local tones = {}
    for i, group in ipairs(cjson.decode(page:match 'id="data">(.-)</script>').groups) do tones[i] = group.tone end
    assert.same({ 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 }, tones)
  end)

  it("cuts lists that are long", function()
    local wasted = {}
    for i = 1, 60 do
      wasted[i] = { path = "/w" .. i, bytes = 61 - i, total = 100, count = 2, layers = { 1, 2 }, hidden = { { layer = 1, bytes = 61 - i } } }
    end
    local page = pages.page(model(FILES, { wasted = wasted, wasted_bytes = 1830, layers = {} }))
    assert.truthy(page:find('data-path="/w50"', 1, true))
    assert.is_nil(page:find('data-path="/w51"', 1, true))
    assert.truthy(page:find("10 paths more", 1, true))
    assert.truthy(page:find("1.8 KiB are downloaded and then hidden by a later layer", 1, true))
  end)

  it("says that nothing is wasted", function()
    assert.truthy(pages.page(model(FILES, { layers = {} })):find("None: no layer hides what an earlier one brought.", 1, true))
  end)

  it("shows the plan as text", function()
    local page = pages.page(model(FILES, { plan = {
      title = "What pull adds", lead = "", init = { kind = "banger", path = "/.banger/init", why = "<why>" }, cmdline = { "init=/x", "ro" },
      entries = { { path = "/etc/\27", type = "symlink", target = "/<t>", item = "hosts", why = "is <absent>" } }, warnings = { "<w>" },
    } }))
    for _, part in ipairs {
      '<span class="tag">banger</span> <code>/.banger/init</code> &lt;why&gt;', "<code>init=/x ro</code>",
      "<code>/etc/\\x1b → /&lt;t&gt;</code>", "is &lt;absent&gt;", "&lt;w&gt;",
    } do
      assert.truthy(page:find(part, 1, true), part)
    end
  end)
end)
