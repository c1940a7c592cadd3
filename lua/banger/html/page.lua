---A report on an image as one page of HTML: a map of what takes the space, the layers, what
---they waste, what is added, and what is known besides. It asks for nothing from anywhere: all that it
---needs is in it, and its policy forbids the rest. The same model gives the same bytes.
local base64 = require "banger.base64"
local core = require "banger.core"
local sections = require "banger.html.sections"
local size = require "banger.size"
local text = require "banger.html.text"
local tree = require "banger.html.tree"

local M = {}

---@class banger.html.group # a layer, or a directory at the top
---@field label string # short: a layer's number
---@field name? string # what made it
---@field bytes integer
---@field tone integer # of its colour: 1 to 8, 0 for the small ones; set by `page`

---@class banger.html.model
---@field title string
---@field sub string[] # below it
---@field figures { [1]: string, [2]: string, [3]?: string }[] # name, value, more
---@field noun "layer"|"directory" # what the colours mean
---@field groups banger.html.group[]
---@field group_of fun(file: banger.inspect.file): integer?
---@field files banger.inspect.file[] # parents first
---@field wasted banger.inspect.waste[] # most bytes first
---@field wasted_bytes integer
---@field layers? banger.inspect.layer[]
---@field plan? banger.html.plan
---@field about banger.html.facts[]

local TONES = 8

-- The largest groups have a colour each, given out in their own order; the others share one.
local function choose_tones(groups)
  local order = {}
  for i, group in ipairs(groups) do
    order[i], group.tone = i, 0
  end
  table.sort(order, function(a, b)
    if groups[a].bytes ~= groups[b].bytes then
      return groups[a].bytes > groups[b].bytes
    end
    return a < b
  end)
  local large = {}
  for i = 1, math.min(TONES, #order) do
    large[order[i]] = groups[order[i]].bytes > 0
  end
  local tone = 0
  for i, group in ipairs(groups) do
    if large[i] then
      tone = tone + 1
      group.tone = tone
    end
  end
end

local function resource(name)
  return core.resource(name) or core.error("io", name .. " is not in this binary: build it again with make")
end

-- A part of the page, with what stands between at signs put in.
local function fill(name, values)
  return (resource("banger/html/" .. name):gsub("@(%l+)@", values))
end

-- d3's module begins with a comment that names its version and copyright; which file it is the
-- Makefile says.
local function script()
  return resource "d3-hierarchy.min.js" .. "\n" .. resource "banger/html/report.js"
end

-- What a policy calls an element of which the content is known.
local function source_hash(content)
  local hex = core.host.sha256(content):match "^sha256:(%x+)$"
  return "'sha256-" .. base64.encode((hex:gsub("%x%x", function(byte)
    return string.char(tonumber(byte, 16))
  end))) .. "'"
end

local function head(model, css, js)
  return table.concat {
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
    ('<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; script-src %s; style-src %s; img-src data:; '
      .. 'base-uri \'none\'; form-action \'none\'">\n'):format(source_hash(js), source_hash(css)),
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n',
    '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">\n',
    ('<meta name="generator" content="banger-lua %s">\n'):format(core.version),
    ("<title>%s – image report</title>\n<style>%s</style>\n</head>\n"):format(text.html(model.title), css),
  }
end

local function top(model)
  local sub, figures = {}, {}
  for i, words in ipairs(model.sub) do
    local short = words:find "^sha256:%x+$" and words:sub(1, 19) or words
    sub[i] = ('<span title="%s">%s</span>'):format(text.html(words), text.html(short))
  end
  for i, figure in ipairs(model.figures) do
    figures[i] = ("<div><dt>%s</dt><dd>%s</dd>%s</div>\n"):format(text.html(figure[1]), text.html(figure[2]),
      figure[3] and "<dd>" .. text.html(figure[3]) .. "</dd>" or "")
  end
  return ('<body>\n<header class="top">\n<h1>%s</h1>\n<p class="sub">%s</p>\n'
    .. '<dl class="figures">\n%s</dl>\n</header>\n<main>\n'):format(text.html(model.title), table.concat(sub), table.concat(figures))
end

local function map(model, packed)
  local note = ""
  if packed.folded > 0 then
    note = ('<p class="note">%s below %s, or in directories below that, are summed up: their names are not in this page.</p>\n')
      :format(text.count(packed.folded, "file"), size.format(packed.least))
  end
  return fill("map.html", { note = note, legend = model.noun == "layer" and "Layers" or "Directories" })
end

local HATCH = '<svg width="0" height="0" aria-hidden="true" focusable="false"><defs><pattern id="hatch" width="5" height="5" '
  .. 'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0V5"/></pattern></defs></svg>\n'

local function data(model, packed)
  return tree.script {
    noun = model.noun, tree = packed.columns,
    groups = model.groups,
    hidden = model.wasted_bytes > 0 and { bytes = model.wasted_bytes } or nil,
  }
end

local function without_script(model)
  return sections.largest(model.files, model.noun, function(file)
    local group = model.groups[model.group_of(file) or 0]
    return group and group.label or "–"
  end)
end

---Make the page.
---@param model banger.html.model
---@param budget? integer # bytes for names, about; see banger.html.tree
---@return string html
---@example
---```lua
---local page = pages.page(model.reference(image, analysis))
---```
---Raises `io` when the binary was built without its parts.
function M.page(model, budget)
  choose_tones(model.groups)
  local css, js = "\n" .. resource "banger/html/report.css", "\n" .. script()
  local packed = tree.pack(model.files, model.wasted, model.group_of, budget)
  local parts = {
    head(model, css, js), top(model), map(model, packed), "<noscript>\n", without_script(model), "</noscript>\n", HATCH,
    model.layers and sections.layers(model.layers, model.groups) or "",
    model.layers and sections.wasted(model.wasted, model.wasted_bytes) or "",
    model.plan and sections.plan(model.plan) or "",
    sections.about(model.about),
    "</main>\n", fill("footer.html", { version = core.version }),
    '<script type="application/json" id="data">', data(model, packed), "</script>\n",
    "<script>", js, "</script>\n</body>\n</html>\n",
  }
  return table.concat(parts)
end

local function copy_with(list, names)
  local copies = {}
  for i, item in ipairs(list) do
    local copy = {}
    for _, name in ipairs(names) do
      copy[name] = type(item[name]) == "string" and text.show(item[name]) or item[name]
    end
    copies[i] = copy
  end
  return copies
end

local function about_object(groups)
  local list = {}
  for _, group in ipairs(groups) do
    for _, row in ipairs(group.rows) do
      list[#list + 1] = { group = group.title, name = row[1], value = row[2] }
    end
  end
  return list
end

---What the page says, as data. Names are as the page shows them.
---@param model banger.html.model
---@return table
---@example
---```lua
---print(json.encode(pages.object(model)))
---```
function M.object(model)
  local files, bytes = 0, 0
  for _, file in ipairs(model.files) do
    files = files + (file.type == "dir" and 0 or 1)
    bytes = bytes + file.size
  end
  local plan = model.plan
  return {
    title = model.title, kind = model.noun == "layer" and "reference" or "image", files = files, bytes = bytes,
    groups = copy_with(model.groups, { "label", "name", "bytes" }), wasted_bytes = model.wasted_bytes,
    wasted = copy_with(model.wasted, { "path", "bytes", "total", "count", "layers" }), about = about_object(model.about),
    plan = plan and {
      init = plan.init and copy_with({ plan.init }, { "kind", "path", "why" })[1], cmdline = plan.cmdline,
      entries = copy_with(plan.entries, { "path", "type", "why", "item", "by" }),
    },
  }
end

return M
