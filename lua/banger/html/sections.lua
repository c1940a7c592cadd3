---The parts of a report that are tables: they need no script. Pure.
local size = require "banger.size"
local text = require "banger.html.text"

local M = {}

local html, number = text.html, text.number

-- A page is to be looked at: so many rows, and then how many more there are.
local MOST_WASTED = 50
local MOST_ENTRIES = 500
local MOST_TEXT = 4000

local function cell(content, class)
  return ('<td%s>%s</td>'):format(class and (' class="%s"'):format(class) or "", content)
end

local function row(...)
  return "<tr>" .. table.concat({ ... }) .. "</tr>\n"
end

local function header(names, classes)
  local cells = {}
  for i, name in ipairs(names) do
    local class = classes[i]
    cells[i] = ('<th scope="col"%s>%s</th>'):format(class and (' class="%s"'):format(class) or "", name)
  end
  return "<thead><tr>" .. table.concat(cells) .. "</tr></thead>\n"
end

local function tabulate(caption, head, rows)
  return ('<div class="card table" tabindex="0" role="region" aria-label="%s"><table><caption class="sr">%s</caption>\n'
    .. "%s<tbody>\n%s</tbody></table></div>\n"):format(html(caption), html(caption), head, table.concat(rows))
end

local function section(id, title, lead, body)
  return ('<section id="%s" aria-labelledby="%s-title">\n<h2 id="%s-title">%s</h2>\n%s%s</section>\n'):format(
    id, id, id, title, lead and ('<p class="lead">%s</p>\n'):format(lead) or "", body)
end

local function sized(bytes)
  return ('<span title="%s bytes">%s</span>'):format(number(bytes), size.format(bytes))
end

-- ---- layers ----------------------------------------------------------------------------------------

---What a layer was made by, without what builders put around it.
---@param created_by? string
---@return string
---@example
---```lua
---sections.command "/bin/sh -c #(nop)  CMD [\"sh\"]"  --> CMD ["sh"]
---```
function M.command(created_by)
  local command = text.cut(created_by or "", MOST_TEXT)
  command = command:gsub("^/bin/sh %-c #%(nop%)%s*", ""):gsub("^/bin/sh %-c ", "RUN "):gsub("%s*# buildkit%s*$", "")
  command = command:gsub("^RUN /bin/sh %-c ", "RUN "):gsub("%s+", " "):gsub(" $", "")
  return command
end

local function bar(layer, most, tone)
  local function width(bytes)
    return ("%.2f%%"):format(most > 0 and bytes > 0 and math.max(bytes * 100 / most, 0.5) or 0)
  end
  local kept = layer.bytes - layer.wasted
  return ('<svg aria-hidden="true" focusable="false"><rect class="track" width="100%%" height="10" rx="3"/>'
    .. '<rect data-tone="%d" width="%s" height="10" rx="3"/>'
    .. '<rect class="lost" x="%s" width="%s" height="10"/></svg>'):format(tone, width(layer.bytes), width(kept), width(layer.wasted))
end

local function changes(layer)
  local function count(sum)
    return cell(sum.count == 0 and "–" or number(sum.count), sum.count == 0 and "num zero" or "num")
  end
  return count(layer.added) .. count(layer.changed) .. count(layer.removed)
end

---Every layer: what made it, what it brings and what of it is wasted.
---@param layers banger.inspect.layer[]
---@param groups banger.html.group[] # their colours
---@return string
---@example
---```lua
---sections.layers(analysis.layers, model.groups)
---```
function M.layers(layers, groups)
  local most, rows = 0, {}
  for _, layer in ipairs(layers) do
    most = math.max(most, layer.bytes)
  end
  for i, layer in ipairs(layers) do
    local command = M.command(layer.created_by)
    rows[i] = row(
      cell(i, "num"),
      cell(command == "" and '<span class="muted">the history does not say</span>'
        or ('<code class="clamp" tabindex="0">%s</code>'):format(html(command)), "wrap"),
      cell(sized(layer.bytes), "num"),
      cell(bar(layer, most, groups[i].tone), "barcell"),
      cell(layer.wasted > 0 and sized(layer.wasted) or "–", layer.wasted > 0 and "num" or "num zero"),
      changes(layer),
      cell(sized(layer.size), "num"),
      cell(('<code title="%s">%s</code>'):format(html(layer.digest), html(layer.digest:sub(8, 19))))
    )
  end
  local head = header({ "Layer", "Made by", "Contents", '<span class="sr">Share</span>', "Wasted", "Added", "Changed", "Removed",
    "Download", "Digest" }, { "num", nil, "num", "barcell", "num", "num", "num", "num", "num" })
  return section("layers", "Layers", "Oldest first: what each brings. Hatched is what a later layer hides again.",
    tabulate("Layers", head, rows))
end

-- ---- wasted bytes ----------------------------------------------------------------------------------

local function layers_of(waste)
  local list = {}
  for i, layer in ipairs(waste.layers) do
    list[i] = number(layer)
    if i == 12 and #waste.layers > 12 then
      list[i + 1] = "…"
      break
    end
  end
  return table.concat(list, ", ")
end

local function link(path)
  return ('<button type="button" class="go mono clamp" data-path="%s">%s</button>'):format(html(path), html(text.cut(path, MOST_TEXT)))
end

---What later layers hide of earlier ones.
---@param wasted banger.inspect.waste[] # most bytes first
---@param bytes integer # all of it
---@return string
---@example
---```lua
---sections.wasted(analysis.wasted, analysis.wasted_bytes)
---```
function M.wasted(wasted, bytes)
  if bytes == 0 then
    return section("wasted", "Wasted bytes", "None: no layer hides what an earlier one brought.", "")
  end
  local rows, rest = {}, 0
  for i, waste in ipairs(wasted) do
    if i <= MOST_WASTED then
      rows[i] = row(cell(link(waste.path), "wrap"), cell(sized(waste.bytes), "num"), cell(text.percent(waste.bytes, bytes), "num less"),
        cell(layers_of(waste), "num"))
    else
      rest = rest + waste.bytes
    end
  end
  if rest > 0 then
    rows[#rows + 1] = row(cell(("%s more"):format(text.count(#wasted - MOST_WASTED, "path")), "muted"), cell(sized(rest), "num"),
      cell(text.percent(rest, bytes), "num less"), cell("", "num"))
  end
  return section("wasted", "Wasted bytes",
    ("%s are downloaded and then hidden by a later layer that replaces or removes them."):format(size.format(bytes)),
    tabulate("Wasted bytes, by path", header({ "Path", "Hidden", "Share", "In layers" }, { nil, "num", "num less", "num" }), rows))
end

-- ---- the plan ----------------------------------------------------------------------------------------

---@class banger.html.plan
---@field title string
---@field lead string
---@field init? { kind: string, path?: string, why?: string }
---@field cmdline? string[]
---@field recipes? string[]
---@field entries { path: string, type?: string, item?: string, why?: string, by?: string, target?: string }[]
---@field warnings? string[]

local function facts(rows)
  local out = {}
  for _, item in ipairs(rows) do
    out[#out + 1] = ("<dt>%s</dt><dd>%s</dd>\n"):format(item[1], item[2])
  end
  return '<dl class="facts card">\n' .. table.concat(out) .. "</dl>\n"
end

local function code(value)
  return ("<code>%s</code>"):format(html(text.cut(value, MOST_TEXT)))
end

local function plan_facts(plan)
  local rows = {}
  if plan.init then
    rows[1] = { "Init", ('<span class="tag">%s</span> %s %s'):format(html(plan.init.kind), plan.init.path and code(plan.init.path) or "",
      html(plan.init.why or "")) }
  end
  if plan.cmdline and #plan.cmdline > 0 then
    rows[#rows + 1] = { "Kernel's command line", code(table.concat(plan.cmdline, " ")) }
  end
  if plan.recipes and #plan.recipes > 0 then
    rows[#rows + 1] = { "Recipes", html(table.concat(plan.recipes, ", ")) }
  end
  for i, warning in ipairs(plan.warnings or {}) do
    rows[#rows + 1] = i <= MOST_ENTRIES and { "Note", html(warning) } or nil
  end
  return #rows > 0 and facts(rows) or ""
end

---What is added to an image so that it boots, and why.
---@param plan banger.html.plan
---@return string
---@example
---```lua
---sections.plan { title = "Added", lead = "", entries = plan.entries }
---```
function M.plan(plan)
  local rows = {}
  for i, entry in ipairs(plan.entries) do
    if i > MOST_ENTRIES then
      rows[i] = row(cell(("%s more"):format(text.count(#plan.entries - MOST_ENTRIES, "entry", "entries")), "muted"))
      break
    end
    local kind = entry.type or "file"
    local target = entry.target and " → " .. html(text.cut(entry.target, MOST_TEXT)) or ""
    rows[i] = row(cell(('<span class="tag">%s</span>'):format(html(kind))),
      cell("<code>" .. html(text.cut(entry.path, MOST_TEXT)) .. target .. "</code>", "wrap"),
      cell(html(entry.why or "")), cell(html(entry.by and ("%s, by %s"):format(entry.item or "", entry.by) or entry.item or ""), "muted"))
  end
  local list = #rows > 0 and tabulate(plan.title, header({ "What", "Path", "Why", "Item" }, {}), rows) or ""
  local about = plan_facts(plan)
  return section("plan", plan.title, plan.lead, about .. (about ~= "" and list ~= "" and '<div class="note"></div>' or "") .. list)
end

-- ---- facts --------------------------------------------------------------------------------------------

local function value_of(value)
  if type(value) ~= "table" then
    return code(tostring(value))
  end
  local items = {}
  for i, item in ipairs(value) do
    items[i] = "<li>" .. code(tostring(item)) .. "</li>"
    if i == MOST_ENTRIES and #value > i then
      items[i + 1] = ("<li>%s more</li>"):format(number(#value - i))
      break
    end
  end
  return "<ul>" .. table.concat(items) .. "</ul>"
end

---@class banger.html.facts
---@field title string
---@field rows { [1]: string, [2]: string|integer|string[] }[]

---What is known of the image, in columns.
---@param groups banger.html.facts[]
---@return string
---@example
---```lua
---sections.about { { title = "Config", rows = { { "User", "root" } } } }
---```
function M.about(groups)
  local out = {}
  for _, group in ipairs(groups) do
    local rows = {}
    for i, item in ipairs(group.rows) do
      rows[i] = { html(item[1]), value_of(item[2]) }
    end
    if #rows > 0 then
      out[#out + 1] = ("<div><h3>%s</h3>%s</div>\n"):format(html(group.title), facts(rows))
    end
  end
  return section("about", "About", nil, '<div class="columns">\n' .. table.concat(out) .. "</div>\n")
end

-- ---- without scripts ------------------------------------------------------------------------------------

---The largest files, for those who have no script.
---@param files banger.inspect.file[]
---@param noun string # what `group_name` names
---@param group_name fun(file: banger.inspect.file): string
---@return string
---@example
---```lua
---sections.largest(analysis.files, "layer", function(file) return tostring(file.layer) end)
---```
function M.largest(files, noun, group_name)
  local list = {}
  for _, file in ipairs(files) do
    if file.type == "file" and not file.hardlink and file.size > 0 then
      list[#list + 1] = file
    end
  end
  table.sort(list, function(a, b)
    if a.size ~= b.size then
      return a.size > b.size
    end
    return a.path < b.path
  end)
  local rows = {}
  for i = 1, math.min(#list, MOST_WASTED) do
    local file = list[i]
    rows[i] = row(cell("<code>" .. html(text.cut(file.path, MOST_TEXT)) .. "</code>", "wrap"), cell(sized(file.size), "num"),
      cell(html(group_name(file)), "num"))
  end
  return section("largest", "Largest files", "With scripts switched on, this is a map that can be searched.",
    tabulate("Largest files", header({ "Path", "Size", (noun:gsub("^%l", string.upper)) }, { nil, "num", "num" }), rows))
end

return M
