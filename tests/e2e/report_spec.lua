-- `banger-lua report` end to end: what it writes for references and finished images, and what the
-- page does in Chromium when somebody uses it.
package.path = "tests/?.lua;" .. package.path
local cjson = require "cjson"
local json = require "support.json"
local need = require "support.need"
local oci = require "support.oci"
local sh = require "support.sh"
local tar = require "support.tar"

local function bytes(n) return ("x"):rep(n) end

local LAYERS = {
  {
    tar.dir "etc/", tar.file("etc/app.conf", bytes(90000)), tar.dir "usr/", tar.dir "usr/lib/", tar.file("usr/lib/libbig.so", bytes(600000)),
    tar.file("usr/lib/libsmall.so", bytes(100000)), tar.hardlink("usr/lib/same.so", "usr/lib/libbig.so"), tar.dir "var/", tar.dir "var/cache/",
    tar.file("var/cache/old.deb", bytes(200000)), tar.symlink("lib", "usr/lib"), tar.dir "bin/", tar.file("bin/app", bytes(80000)),
  },
  {
    tar.dir "usr/share/", tar.file("usr/share/LibNotes.txt", bytes(300000)), tar.file("var/cache/.wh.old.deb", ""),
    tar.file("etc/app.conf", bytes(95000)), tar.dir "odd/", tar.file("odd/<img src=x onerror=window.hacked=1>", bytes(70000)),
    tar.dir "odd/<", tar.file("odd/</script><script>window.hacked=1<", bytes(71000)), tar.file("odd/<!--<script>", bytes(72000)),
    tar.file("odd/\27[31m\n", bytes(73000)),
  },
}

local scratch, ref, image, page, image_page
local reason = os.getenv "QUICK" and "QUICK is set" or need.program("chromium", "chromedriver", "python3")

--- Runs banger-lua with words.
local function run(words, before)
  local err = scratch:fresh ".err"
  local out, code = sh.run(("%s %s 2>%s </dev/null"):format(before or "", sh.line(sh.banger(), table.unpack(words)), err))
  return { out = out, code = code, err = sh.read_file(err) }
end

setup(function()
  scratch = sh.scratch()
  local layout = scratch:path "layout"
  oci.write(layout, { tag = "t", layers = { { tar = tar.archive(LAYERS[1]) }, { tar = tar.archive(LAYERS[2]), compress = "gzip" } }, config = {
    config = { Entrypoint = json.array { "/bin/app" }, Cmd = json.array { "two words" }, Env = json.array { "A=<b>", "B=\27[31m" }, User = "web",
      Labels = { ["org.x"] = "y" } },
    history = json.array { { created_by = "/bin/sh -c #(nop) ADD file:<i> in / " }, { created_by = "ENV A=1", empty_layer = true },
      { created_by = "RUN make </code><b>" } },
  } })
  ref, page = "oci:" .. layout .. ":t", scratch:path "page.html"
  image, image_page = scratch:path "web.ext4", scratch:path "image.html"
  local made = run { "report", ref, "-o", page }
  assert(made.code == 0, made.err)
  made = run { "pull", "-q", ref, image }
  assert(made.code == 0, made.err)
  made = run { "report", image, "-q", "--output", image_page }
  assert(made.code == 0 and made.err == "", made.err)
end)
teardown(function() scratch:remove() end)

describe("what is written", function()
  it("is said on stderr", function()
    local path = scratch:fresh ".html"
    local made = run { "report", ref, "-o", path }
    assert.equal("", made.out)
    assert.truthy(made.err:find("^banger%-lua: " .. path:gsub("%p", "%%%0") .. ": %d+%.%d KiB\n$"), made.err)
    assert.same({ "", 0 }, { run({ "report", "-q", ref, "-o", path }).err, run({ "report", "-q", ref, "-o", path }).code })
  end)

  it("is the same bytes again, and on stdout", function()
    local again = scratch:fresh ".html"
    run { "report", ref, "-o", again }
    assert.equal(sh.sha256(page), sh.sha256(again))
    assert.is_true(run({ "report", ref, "-o", "-" }).out == sh.read_file(page))
  end)

  it("has the title that is asked for", function()
    assert.truthy(run({ "report", image, "-o", "-", "--title", "My <web>" }).out:find("<h1>My &lt;web&gt;</h1>", 1, true))
  end)

  it("is figures with --json", function()
    local object = cjson.decode(run({ "report", ref, "--json" }).out)
    -- 90000 + 600000 + 100000 + 200000 + 80000; 300000 + 95000 + 70000 + 71000 + 72000 + 73000; hidden: old.deb, app.conf
    assert.equal(780000 + 681000, object.bytes)
    assert.equal(290000, object.wasted_bytes)
    assert.equal("reference", object.kind)
    assert.equal(11, object.files)
    assert.same({ { label = "1", name = "ADD file:<i> in /", bytes = 780000 },
      { label = "2", name = "RUN make </code><b>", bytes = 681000 } }, object.groups)
    assert.same({ { path = "/var/cache/old.deb", bytes = 200000, total = 200000, count = 2, layers = { 1, 2 } },
      { path = "/etc/app.conf", bytes = 90000, total = 185000, count = 2, layers = { 1, 2 } } }, object.wasted)
    assert.same({ kind = "banger", path = "/.banger/init", why = "the image runs /bin/app, which is no init" }, object.plan.init)
    local about = {}
    for _, item in ipairs(object.about) do about[item.name] = item.value end
    assert.same({ "/bin/app", "'two words'", { "A=<b>", "B=\27[31m" }, "web", { "org.x=y" } },
      { about.Entrypoint, about.Cmd, about.Env, about.User, about.Labels })
  end)

  it("tells of a finished image what was added", function()
    local object = cjson.decode(run({ "report", image, "--json" }).out)
    assert.equal("image", object.kind)
    assert.equal("web.ext4", object.title)
    local added = {}
    for _, entry in ipairs(object.plan.entries) do added[entry.path] = entry.why end
    assert.equal("is absent, and is what the kernel runs", added["/sbin/init"])
    local labels = {}
    for i, group in ipairs(object.groups) do labels[i] = group.label end
    -- What is in /usr is split, and so is /odd: of 1.5 MB, 71 kB are in the directory '<' that is in it.
    assert.same({ "/usr/lib", "/usr/share", "/odd (rest)", "/etc", "/.banger", "/bin", "/odd/<" }, labels)
    assert.same({ 700000, 300000, 215000 }, { object.groups[1].bytes, object.groups[2].bytes, object.groups[3].bytes })
  end)

  it("has what an image recipe adds, unless it is told not to", function()
    local home = scratch:mkdir "home"
    sh.check("mkdir -p " .. sh.quote(home .. "/banger/recipes"))
    sh.write_file(home .. "/banger/recipes/all.lua", 'match = "oci:*"\ninject = { ["/etc/motd"] = "hello\\n" }\n')
    local function entries(...)
      local made, found = run({ "report", ref, "--json", ... }, "XDG_CONFIG_HOME=" .. sh.quote(home)), nil
      for _, entry in ipairs(cjson.decode(made.out).plan.entries) do found = entry.path == "/etc/motd" and entry or found end
      return found and { found.item, found.by }
    end
    assert.same({ "inject", "all" }, entries())
    assert.is_nil(entries "--no-image-recipes")
  end)

  it("runs the hooks of image recipes as pull does", function()
    local home = scratch:mkdir "hooks"
    sh.check("mkdir -p " .. sh.quote(home .. "/banger/recipes"))
    sh.write_file(home .. "/banger/recipes/all.lua", 'match = "oci:*"\n'
      .. 'function after_resolve(build) note("resolve " .. build.out) end\n'
      .. 'function after_flatten(rootfs, build) hostname = "hooked" note("flatten " .. build.out) end\n'
      .. 'function after_plan(plan, rootfs, build) note("plan " .. build.out .. " " .. build.settings.hostname) end\n')
    local made = run({ "report", ref, "--json" }, "XDG_CONFIG_HOME=" .. sh.quote(home))
    assert.equal("banger-lua: resolve layout.ext4\nbanger-lua: flatten layout.ext4\nbanger-lua: plan layout.ext4 hooked\n", made.err)
    local paths = {}
    for _, entry in ipairs(cjson.decode(made.out).plan.entries) do paths[entry.path] = entry.item end
    assert.same({ "hostname", "record" }, { paths["/etc/hostname"], paths["/.banger/build.json"] })
  end)

  it("replaces an older page, through a link too, and nothing else", function()
    local older, link, dir = scratch:fresh ".html", scratch:fresh ".html", scratch:mkdir "dir"
    sh.write_file(older, "<!doctype html>old")
    sh.check(sh.line("ln", "-s", older, link))
    assert.equal(0, run({ "report", "-q", image, "-o", link }).code)
    assert.equal(sh.sha256(image_page), sh.sha256(older))
    assert.equal("symbolic link\n", sh.check(sh.line("stat", "-c", "%F", link)))
    assert.equal("", sh.check(sh.line("find", dir, "-name", "*.html.*")))
    for _, case in ipairs {
      { image, ("%s is there and is no page of HTML: name another file, or remove it"):format(image) },
      { dir, ("%s is a directory: name a file in it"):format(dir) },
      { dir .. "/a/b.html", ("cannot write output %s/a/b.html: No such file or directory"):format(dir) },
    } do
      local refused = run { "report", image, "-o", case[1] }
      assert.equal("banger-lua: " .. case[2] .. "\n", refused.err)
      assert.equal("", refused.out)
    end
    assert.equal("clean\n", (sh.check("PATH=$PATH:/sbin:/usr/sbin dumpe2fs -h " .. sh.quote(image) .. " 2>/dev/null"):match "state:%s+(%a+\n)"))
  end)

  it("leaves nothing when the disk is full", function()
    if not sh.exists "/dev/full" then return end
    local full = run { "report", image, "-o", "/dev/full" }
    assert.equal("banger-lua: write /dev/full: No space left on device\n", full.err)
  end)

  for name, case in pairs {
    ["no output"] = { { "report", "x" }, "no page to write: say -o FILE, or --json for the figures alone (see --help)", 1 },
    ["two outputs at once"] = { { "report", "x", "-o", "-", "--json" }, "-o - and --json would both be on stdout: name a file", 1 },
    ["no such image"] = { { "report", "/nowhere.ext4", "-o", "-" }, "/nowhere.ext4: no such file", 2 },
    ["a title that is too long"] = { { "report", "x", "-o", "-", "--title", bytes(201) },
      "--title: '" .. bytes(201) .. "' has 201 bytes; at most 200 fit", 1 },
  } do
    it("is nothing with " .. name, function()
      local refused = run(case[1])
      assert.same({ "", case[3] }, { refused.out, refused.code })
      assert.equal("banger-lua: " .. case[2], (refused.err:match "^[^\n]*":gsub(" %(see %-%-help%)$", function(s)
        return case[2]:find("see --help", 1, true) and s or ""
      end)))
    end)
  end
end)

-- ---- in Chromium -------------------------------------------------------------------------------------

if reason then
  it("needs a browser", function() return pending(reason) end)
  return
end

--- Takes steps in a new browser (see support/browser.py); what each came to. A string is a script.
local function browse(...)
  local steps, list = scratch:fresh ".json", { ... }
  for i, step in ipairs(list) do
    list[i] = json.array(type(step) == "string" and { "eval", step } or step)
  end
  sh.write_file(steps, json.encode(json.array(list)))
  local out, code = sh.run(("timeout 240 python3 tests/support/browser.py %s 1400 900 2>&1"):format(sh.quote(steps)))
  assert(code == 0, out)
  return cjson.decode(out)
end

-- Timers fire in the order of their times, and a frame is drawn after what was waiting for one: so
-- this is enough on a slow machine too.
local SETTLE = "await new Promise(done => setTimeout(done, 100));"
  .. "await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
local ZOOMED = "return document.getElementById('map').dataset.zoomed"
-- What is to be seen, by what it is called to those who hear it: "path, kind".
local CELLS = [[return [...document.querySelectorAll('#map .cell')].map(c =>
  c.getAttribute('aria-label').split(', ').slice(0, 2).join(', ') + (c.classList.contains('wasted') ? ' #' : '')).sort()]]
local LIT = [[return [...document.querySelectorAll('#map .leaf:not(.dim)')].map(c => c.getAttribute('aria-label').split(', ')[0]).sort()]]
local STATUS = "return document.getElementById('status').textContent"
local HERE = "return document.getElementById('here').textContent"

--- A script: the rows of a list, each with its size.
local function rows(css, name)
  return ("return [...document.querySelectorAll('%s')].map(e => "):format(css)
    .. ("e.querySelector('%s').textContent + ' = ' + e.querySelector('.size').textContent)"):format(name)
end

--- A step: waits until the map shows a directory.
local function zoomed(path)
  return { "until", ("document.getElementById('map').dataset.zoomed === '%s'"):format(path) }
end

local function open(path) return { "open", "file://" .. path } end
local function settled(script) return SETTLE .. script end

describe("in a browser", function()
  it("draws everything, asks for nothing, runs nothing of the image", function()
    local seen = browse({ "open", "about:blank" }, { "requests" }, { "console" }, open(page), { "size", 1400, 900 }, settled(CELLS), HERE,
      "return [window.hacked === undefined, document.querySelectorAll('img').length, document.scripts.length]",
      [[return [document.querySelector('h1').textContent.slice(0, 4),
        ...[...document.querySelectorAll('.figures dd')].slice(0, 2).map(e => e.textContent)] ]],
      rows("#legend li", ".name"), rows("#list li:nth-child(-n+3)", ".path"),
      "return performance.getEntriesByType('resource').length", { "requests" }, { "console" })
    assert.same({
      "/bin, directory", "/bin/app, file", "/etc, directory", "/etc/app.conf, file", "/etc/app.conf, hidden by a later layer #",
      "/odd, directory", "/odd/<!--<script>, file", "/odd/<, directory", "/odd/</script><script>window.hacked=1<, file",
      "/odd/<img src=x onerror=window.hacked=1>, file", "/odd/\\x1b[31m\\x0a, file", "/usr, directory", "/usr/lib, directory",
      "/usr/lib/libbig.so, file", "/usr/lib/libsmall.so, file", "/usr/share, directory", "/usr/share/LibNotes.txt, file",
      "/var/cache, directory", "/var/cache/old.deb, hidden by a later layer #",
    }, seen[6])
    assert.equal("1.4 MiB, 11 files + 283.2 KiB hidden", seen[7])
    assert.same({ true, 0, 2 }, seen[8])
    assert.same({ "oci:", "1.4 MiB", "of 1.7 MiB in layers" }, seen[9])
    assert.same({ "1 ADD file:<i> in / = 761.7 KiB", "2 RUN make </code><b> = 665.0 KiB", "hidden by later layers = 283.2 KiB" }, seen[10])
    assert.same({ "/usr/lib/libbig.so = 585.9 KiB", "/usr/share/LibNotes.txt = 293.0 KiB", "/var/cache/old.deb = 195.3 KiB" }, seen[11])
    assert.equal(0, seen[12])
    assert.same({ "file://" .. page }, seen[13])
    assert.same({}, seen[14])
  end)

  it("forbids requests, and scripts of others", function()
    local seen = browse(open(page), { "requests" }, [[
      const broken = [];
      document.addEventListener('securitypolicyviolation', e => broken.push(e.effectiveDirective));
      const image = new Image(); image.src = 'https://example.invalid/a.png'; document.body.append(image);
      const script = document.createElement('script'); script.textContent = 'window.hacked = 1'; document.body.append(script);
      await fetch('https://example.invalid/').catch(() => 0);
      for (let i = 0; i < 200 && broken.length < 3; i++) await new Promise(done => setTimeout(done, 50));
      return [broken.sort(), window.hacked === undefined] ]], { "requests" })
    assert.same({ { "connect-src", "img-src", "script-src-elem" }, true }, seen[3])
    assert.same({ "https://example.invalid/a.png (blocked: csp)" }, seen[4])
  end)

  it("zooms with the pointer", function()
    local seen = browse(open(page), { "size", 1400, 900 }, { "click", "#map [aria-label^='/usr,']", 20, 8 }, settled(ZOOMED), CELLS, HERE,
      "return location.hash", { "click", "#map [aria-label^='/usr/lib/libbig.so']" }, settled(ZOOMED),
      "return [...document.querySelectorAll('#crumbs button')].map(b => b.textContent)",
      { "click", "#crumbs li:nth-child(2) button" }, settled(ZOOMED), { "click", "#out" }, settled(ZOOMED),
      "return document.getElementById('out').disabled", "history.back()", zoomed "/usr", { "console" })
    assert.equal("/usr", seen[4])
    assert.same({ "/usr/lib, directory", "/usr/lib/libbig.so, file", "/usr/lib/libsmall.so, file", "/usr/share, directory",
      "/usr/share/LibNotes.txt, file" }, seen[5])
    assert.equal("976.6 KiB, 4 files", seen[6])
    assert.equal("#/usr", seen[7])
    assert.equal("/usr/lib", seen[9])
    assert.same({ "/", "usr", "lib" }, seen[10])
    assert.same({ "/usr", "/", true }, { seen[12], seen[14], seen[15] })
    assert.same({}, seen[18])
  end)

  it("zooms and moves with the keyboard", function()
    -- While the map is drawn anew, for a new size, nothing has the focus.
    local FOCUS = "for (let i = 0; i < 200 && !document.activeElement.getAttribute('aria-label'); i++) "
      .. "await new Promise(done => setTimeout(done, 50)); return document.activeElement.getAttribute('aria-label').split(',')[0]"
    local seen = browse(open(page), "document.querySelector('#map .cell').focus()", { "size", 1400, 900 }, settled(FOCUS),
      { "keys", "{Down}" }, FOCUS,
      { "keys", "{Down}" }, FOCUS, { "keys", "{Right}" }, FOCUS, { "keys", "{Left}{Up}" }, FOCUS, { "keys", "{Enter}" }, settled(ZOOMED), FOCUS,
      { "keys", "{Backspace}" }, settled(ZOOMED), { "keys", "{Enter}" }, settled(ZOOMED), { "keys", "{Escape}" }, settled(ZOOMED),
      { "keys", "{End}" }, FOCUS, { "keys", "{Home}" }, FOCUS, "return !document.getElementById('tip').hidden",
      "return document.querySelectorAll('#map [tabindex=\"0\"]').length", { "keys", "/" }, "return document.activeElement.id", { "console" })
    assert.same({ "/usr", "/usr/lib", "/usr/lib/libbig.so", "/usr/lib/libsmall.so", "/usr/lib" },
      { seen[4], seen[6], seen[8], seen[10], seen[12] })
    assert.equal("/usr/lib", seen[14])
    assert.equal("/usr/lib/libbig.so", seen[15])
    assert.equal("/usr", seen[17]) -- one up
    assert.truthy(seen[19]:find "^/usr/")
    assert.equal("/usr", seen[21])
    assert.same({ true, 1, "search" }, { seen[26], seen[27], seen[29] })
    assert.same({}, seen[30])
  end)

  it("finds files by a word, by a pattern, by a path", function()
    local function search(text) return { "keys", text } end
    local CLEAR = "document.getElementById('search').focus(); document.getElementById('search').select()"
    local seen = browse(open(page), { "size", 1400, 900 }, CLEAR, search "LIBNOTES", settled(STATUS), LIT, CLEAR, search "*.so", settled(STATUS), LIT,
      CLEAR, search "/var", settled(STATUS), LIT, CLEAR, search "nothing-like-it", settled(STATUS), LIT,
      CLEAR, search "/usr/*/lib*", settled(STATUS), CLEAR, search "<script>window", settled(STATUS), { "keys", "{Escape}" }, settled(STATUS),
      "return document.querySelectorAll('#map .dim').length", { "console" })
    assert.equal("1 file, 293.0 KiB (17.1 %)", seen[5])
    assert.same({ "/usr/share/LibNotes.txt" }, seen[6])
    assert.equal("3 files, 683.6 KiB (40.0 %)", seen[9]) -- same.so is another name of libbig.so
    assert.same({ "/usr/lib/libbig.so", "/usr/lib/libsmall.so" }, seen[10])
    assert.equal("0 files and 1 hidden one, 195.3 KiB (11.4 %)", seen[13])
    assert.same({ "/var/cache/old.deb" }, seen[14])
    assert.equal("nothing matches", seen[17])
    assert.same({}, seen[18])
    assert.equal("3 files, 976.6 KiB (57.1 %)", seen[21])
    assert.equal("1 file, 69.3 KiB (4.1 %)", seen[24])
    assert.same({ "", 0 }, { seen[26], seen[27] })
    assert.same({}, seen[28])
  end)

  it("switches layers off and on", function()
    local seen = browse(open(page), { "size", 1400, 900 }, "document.querySelector('#legend input[data-group=\"0\"]').click()", settled(HERE), CELLS,
      "document.querySelector('#legend input[data-group=hidden]').click()", settled(HERE),
      "document.querySelector('#legend li:nth-child(1) .only').click()", settled(HERE),
      "return [...document.querySelectorAll('#legend input')].map(e => e.checked)",
      "document.querySelector('#legend li:nth-child(1) .only').click()", settled(HERE),
      "for (const box of document.querySelectorAll('#legend input')) box.click()", settled "return document.getElementById('map').textContent",
      { "console" })
    assert.equal("665.0 KiB, 6 files + 283.2 KiB hidden", seen[4])
    assert.same({ "/etc, directory", "/etc/app.conf, file", "/etc/app.conf, hidden by a later layer #", "/odd, directory",
      "/odd/<!--<script>, file",
      "/odd/<, directory", "/odd/</script><script>window.hacked=1<, file", "/odd/<img src=x onerror=window.hacked=1>, file",
      "/odd/\\x1b[31m\\x0a, file", "/usr/share, directory", "/usr/share/LibNotes.txt, file", "/var/cache, directory",
      "/var/cache/old.deb, hidden by a later layer #" }, seen[5])
    assert.equal("665.0 KiB, 6 files", seen[7])
    assert.equal("761.7 KiB, 5 files", seen[9])
    assert.same({ true, false, false }, seen[10])
    assert.equal("1.4 MiB, 11 files + 283.2 KiB hidden", seen[12])
    assert.equal("Nothing that is switched on has a size here.", seen[14])
    assert.same({}, seen[15])
  end)

  it("shows which files are a layer's while the pointer is on it", function()
    local FAINT = "return [...document.querySelectorAll('#map .faint')].map(c => c.getAttribute('aria-label').split(', ')[0]).sort()"
    local seen = browse(open(page), { "size", 1400, 900 }, settled "return", { "hover", "#legend li:nth-child(2) .name" }, FAINT,
      { "hover", "#legend li:nth-child(3) .name" }, FAINT, { "hover", "h1" }, FAINT, { "console" })
    assert.same({ "/bin/app", "/etc/app.conf", "/usr/lib/libbig.so", "/usr/lib/libsmall.so", "/var/cache/old.deb" }, seen[5])
    assert.same({
      "/bin/app", "/etc/app.conf", "/odd/<!--<script>", "/odd/</script><script>window.hacked=1<",
      "/odd/<img src=x onerror=window.hacked=1>", "/odd/\\x1b[31m\\x0a", "/usr/lib/libbig.so", "/usr/lib/libsmall.so",
      "/usr/share/LibNotes.txt" }, seen[7])
    assert.same({}, seen[9])
    assert.same({}, seen[10])
  end)

  it("leads from the list of what is wasted to the map", function()
    local seen = browse(open(page), { "size", 1400, 900 }, "document.querySelector('[data-path=\"/etc/app.conf\"]').click()", settled(ZOOMED),
      "return document.activeElement.getAttribute('aria-label')", { "console" })
    assert.equal("/etc", seen[4])
    assert.equal("/etc/app.conf, hidden by a later layer, 87.9 KiB, 5.1 %, layer 1", seen[5])
    assert.same({}, seen[6])
  end)

  it("fits a phone, a small window and the dark, and opens where its address says", function()
    local WIDE = "return document.documentElement.scrollWidth <= innerWidth"
    local seen = browse(open(page .. "#/usr/lib"), ZOOMED, { "size", 390, 844 }, settled(WIDE), { "size", 800, 600 }, settled(WIDE),
      { "media", "dark" },
      "return getComputedStyle(document.body).backgroundColor", { "media", "light" }, "return getComputedStyle(document.body).backgroundColor",
      "location.hash = '#/nowhere/%'", zoomed "/", "document.querySelector(\"#map [aria-label^='/usr,']\").click()", zoomed "/usr",
      "history.back()", zoomed "/", "location.hash = '#/usr/nothing'", zoomed "/usr", { "console" })
    assert.equal("/usr/lib", seen[2])
    assert.same({ true, true }, { seen[4], seen[6] })
    assert.same({ "rgb(20, 22, 26)", "rgb(247, 247, 245)" }, { seen[8], seen[10] })
    assert.same({}, seen[19])
  end)

  it("is readable without scripts", function()
    local seen = browse({ "scripts", false }, open(page), { "shown", "#app" }, { "shown", "#largest" }, { "shown", "#layers" })
    assert.same({ false, true, true }, { seen[3], seen[4], seen[5] })
  end)

  it("shows a finished image by its directories", function()
    local seen = browse(open(image_page), { "size", 1400, 900 },
      "return [...document.querySelectorAll('#legend .name')].slice(0, 3).map(e => e.textContent)",
      "return [...document.querySelectorAll('h2')].map(e => e.textContent)", "return document.querySelector('h1').textContent", { "console" })
    assert.same({ "/usr/lib", "/usr/share", "/odd (rest)" }, seen[3])
    assert.same({ "What takes the space", "What was added", "About" }, seen[4])
    assert.equal("web.ext4", seen[5])
    assert.same({}, seen[6])
  end)

  it("gives what is hidden to the layer that brought it", function()
    local layout, hidden = scratch:path "twice-hidden", scratch:fresh ".html"
    oci.write(layout, { tag = "t", layers = {
      { tar = tar.archive { tar.file("big", bytes(1000)) } }, { tar = tar.archive { tar.file("big", bytes(900000)) } },
      { tar = tar.archive { tar.file(".wh.big", ""), tar.file("kept", bytes(300000)) } },
    } })
    assert.equal(0, run({ "report", "-q", "oci:" .. layout, "-o", hidden }).code)
    local seen = browse(open(hidden), { "size", 1400, 900 }, settled "return [...document.querySelectorAll('#list .row')].map(b => b.title)",
      { "console" })
    assert.same({ "/big, hidden by a later layer, 878.9 KiB, 74.9 %, layer 2", "/kept, file, 293.0 KiB, 25.0 %, layer 3",
      "/big, hidden by a later layer, 1000 B, < 0.1 %, layer 1" }, seen[3])
    assert.same({}, seen[4])
  end)

  it("stays readable where an image has many layers, or is deep, or holds nothing", function()
    local function report(name, layers)
      local layout, path = scratch:path(name), scratch:fresh ".html"
      for i, entries in ipairs(layers) do layers[i] = { tar = tar.archive(entries) } end
      oci.write(layout, { tag = "t", layers = layers })
      assert.equal(0, run({ "report", "-q", "oci:" .. layout, "-o", path }).code)
      return path
    end
    local many, deep, dir = {}, {}, ""
    for i = 1, 12 do many[i] = { tar.file("f" .. i, bytes(1000 * i)) } end
    for i = 1, 30 do
      dir = dir .. "d/"
      deep[i] = tar.file(dir .. "f", bytes(1000 + i))
    end
    local seen = browse(open(report("many", many)), { "size", 1400, 900 },
      settled "return ['#legend-title', '#legend .name'].flatMap(css => [...document.querySelectorAll(css)].map(n => n.textContent))",
      open(report("deep", { deep }) .. "#" .. ("/d"):rep(20)),
      settled "return [...document.querySelectorAll('#crumbs button')].map(b => b.textContent)",
      "return [...document.querySelectorAll('#map .box')].length",
      "document.querySelector('#crumbs li:nth-child(3) button').click()", settled(ZOOMED),
      open(report("nothing", { {} })), settled "const map = document.getElementById('map'); return map.textContent + map.clientHeight",
      { "console" })
    assert.same({ "Layers, largest first", "layer 12", "layer 11", "layer 10" }, { table.unpack(seen[3], 1, 4) })
    assert.same({ "/", "d", "…", "d", "d", "d", "d", "d", "d" }, seen[5])
    assert.equal(10, seen[6]) -- of the ten that are left, each in the one before
    assert.equal(("/d"):rep(14), seen[8])
    assert.matches("^No file of this image has a size%.%d?%d$", seen[10])
    assert.same({}, seen[11])
  end)

  it("can be printed: all of it, as wide as the paper", function()
    local seen = browse(open(page), { "size", 718, 1000 }, { "media", "print" }, "dispatchEvent(new Event('beforeprint'))", settled [[
      const map = document.getElementById('map'), right = [...map.querySelectorAll('.cell')].map(c => c.offsetLeft + c.offsetWidth);
      return [map.clientWidth, Math.max(...right), getComputedStyle(map.querySelector('.leaf')).printColorAdjust,
        document.documentElement.scrollWidth <= innerWidth] ]], { "shown", "#search" },
      "dispatchEvent(new Event('afterprint'))", { "media", "light" },
      settled "return document.getElementById('map').style.width", { "console" })
    assert.equal(680, seen[5][1])
    assert.is_true(seen[5][2] <= 680)
    assert.same({ "exact", true }, { seen[5][3], seen[5][4] })
    assert.is_false(seen[6])
    assert.equal("", seen[9])
    assert.same({}, seen[10])
  end)

  it("colours a directory by the layer that has most of it", function()
    local layout, mixed = scratch:path "mixed", scratch:fresh ".html"
    oci.write(layout, { tag = "t", layers = {
      { tar = tar.archive { tar.dir "mix/", tar.file("mix/largest", bytes(50000)), tar.dir "gone/", tar.file("gone/a", bytes(40000)) } },
      { tar = tar.archive { tar.file("mix/b", bytes(30000)), tar.file("mix/c", bytes(30000)), tar.file("gone/b", bytes(45000)) } },
      { tar = tar.archive { tar.file(".wh.gone", "") } },
    } })
    assert.equal(0, run({ "report", "-q", "oci:" .. layout, "-o", mixed }).code)
    local LABELS = "return [...document.querySelectorAll('#map .box')].map(c => c.getAttribute('aria-label')).sort()"
    local seen = browse(open(mixed), { "size", 1400, 900 }, settled(LABELS), "document.querySelector('#legend input[data-group=\"1\"]').click()",
      settled(LABELS), { "console" })
    assert.same({ "/gone, directory, removed, 0 files, 83.0 KiB, 43.6 %, layer 2", "/mix, directory, 3 files, 107.4 KiB, 56.4 %, layer 2" }, seen[3])
    assert.same({ "/gone, directory, removed, 0 files, 83.0 KiB, 63.0 %, layer 2", "/mix, directory, 1 file, 48.8 KiB, 37.0 %, layer 1" }, seen[5])
    assert.same({}, seen[6])
  end)
end)
