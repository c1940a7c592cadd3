// The map of a report: what takes the space, as a treemap that can be zoomed, searched and
// filtered. The tree is in #data, as lua/banger/html/tree.lua packs it; layouts are made for
// what is to be seen only, by d3-hierarchy's squarify.
(() => {
  "use strict";

  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const map = byId("map"), tip = byId("tip"), search = byId("search"), status = byId("status");

  const HEADER = 19;           // pixels of a directory's name
  const LEAST_CELL = 44;       // square pixels: what is smaller goes into "smaller ones"
  const LEAST_NESTED = 26;     // pixels of a side: what is smaller is drawn as one
  const MOST_NESTED = 12;      // levels: what is deeper is drawn as one
  const MOST_CRUMBS = 9;
  const LIST_LENGTH = 100;
  const PAPER = { width: 680, height: 480 };
  const squarify = d3.treemapSquarify.ratio(1.25);

  // ---- the tree: in pre-order, a number each node ---------------------------------------

  const { names, depths, kinds, sizes, groups } = data.tree;
  const count = names.length;
  const parent = new Int32Array(count), end = new Int32Array(count);
  const size = new Float64Array(count), group = new Int16Array(count).fill(-1);
  const folded = new Map();    // node -> what is folded into it
  const HIDDEN = data.groups.length;   // the switch of what later layers hide
  const visible = new Array(HIDDEN + 1).fill(true);

  const isDir = (i) => kinds[i] === "d" || kinds[i] === "g";

  function unpack() {
    const at = [];
    let leaf = 0, fold = 0;
    for (let i = 0; i < count; i++) {
      parent[i] = i === 0 ? -1 : at[depths[i] - 1];
      at[depths[i]] = i;
      if (isDir(i)) continue;
      if (kinds[i] === "a") {
        folded.set(i, data.tree.folded[fold++]);
      } else {
        size[i] = sizes[leaf];
        group[i] = groups[leaf++];
      }
    }
    end.fill(0);
    for (let i = count - 1; i >= 0; i--) {
      end[i] = Math.max(end[i], i + 1);
      if (i > 0) end[parent[i]] = Math.max(end[parent[i]], end[i]);
    }
  }
  unpack();
  const total = size.reduce((sum, n) => sum + n, 0) + [...folded.values()].flat().reduce((sum, part) => sum + part[2], 0);

  function pathOf(i) {
    const parts = [];
    for (; i > 0; i = parent[i]) parts.push(kinds[i] === "a" ? "…" : names[i]);
    return "/" + parts.reverse().join("/");
  }

  const paths = new Array(count);   // in small letters, for the search; made when first needed
  function lowerPath(i) {
    if (paths[i] === undefined) {
      paths[i] = i === 0 ? "" : lowerPathOfParent(i) + "/" + names[i].toLowerCase();
    }
    return paths[i];
  }
  function lowerPathOfParent(i) {
    return parent[i] === 0 ? "" : paths[parent[i]];
  }

  function findPath(path) {
    let node = 0;
    for (const part of path.split("/").filter(Boolean)) {
      let found = -1;
      for (let i = node + 1; i < end[node]; i = end[i]) {
        if (names[i] === part && isDir(i)) { found = i; break; }
      }
      if (found < 0) return node;
      node = found;
    }
    return node;
  }

  // ---- sums of what is switched on --------------------------------------------------------

  const value = new Float64Array(count), files = new Uint32Array(count);
  const lost = new Float64Array(count); // of the value: hidden by later layers
  const lead = new Int16Array(count);  // the group that has most of it

  const isLost = (i) => value[i] > 0 && lost[i] === value[i];

  function sums() {
    value.fill(0); files.fill(0); lost.fill(0);
    for (let i = count - 1; i >= 0; i--) {
      if (kinds[i] === "a") addFolded(i);
      else if (kinds[i] === "w") value[i] = lost[i] = visible[HIDDEN] ? size[i] : 0;
      else if (!isDir(i) && (group[i] < 0 || visible[group[i]])) { value[i] = size[i]; files[i] = 1; }
      if (i === 0) break;
      const p = parent[i];
      value[p] += value[i];
      files[p] += files[i];
      lost[p] += lost[i];
    }
    leads();
  }

  function addFolded(i) {
    for (const [g, number, bytes] of folded.get(i)) {
      const hidden = g === -2;   // -1: no layer is known
      if (hidden ? !visible[HIDDEN] : g >= 0 && !visible[g]) continue;
      value[i] += bytes;
      if (hidden) lost[i] += bytes; else files[i] += number;
    }
  }

  // One group after the other, so that it takes no table of nodes by groups. What is hidden
  // leads only where there is nothing else.
  function leads() {
    const most = new Float64Array(count), share = new Float64Array(count);
    lead.fill(-1);
    for (let g = 0; g < HIDDEN; g++) {
      if (!visible[g] && !visible[HIDDEN]) continue;
      share.fill(0);
      for (let i = count - 1; i >= 0; i--) {
        if (kinds[i] === "a") share[i] = foldedOf(i, g);
        else if (!isDir(i) && group[i] === g) { share[i] = value[i]; lead[i] = g; }
        if (i > 0 && (kinds[i] !== "w" || isLost(parent[i]))) share[parent[i]] += share[i];
        if (share[i] > most[i]) { most[i] = share[i]; lead[i] = g; }
      }
    }
  }

  function foldedOf(i, g) {
    const own = visible[g] && folded.get(i).find((sum) => sum[0] === g);
    return own ? own[2] : 0;
  }

  // ---- words ----------------------------------------------------------------------------------

  const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];
  function bytes(n) {
    let unit = 0;
    while (n >= 1024 && unit < UNITS.length - 1) { n /= 1024; unit++; }
    return (unit === 0 ? String(n) : n.toFixed(1)) + " " + UNITS[unit];
  }
  const number = (n) => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ",");
  const plural = (n, noun) => number(n) + " " + noun + (n === 1 ? "" : "s");
  function percent(part, whole) {
    if (!whole) return "0 %";
    const p = part * 100 / whole;
    return p > 0 && p < 0.1 ? "< 0.1 %" : p.toFixed(1) + " %";
  }
  const groupName = (g) => data.noun === "layer" ? "layer " + data.groups[g].label : data.groups[g].label;

  function kindName(i) {
    return { d: "directory", g: "directory, removed", f: "file", l: "link", h: "another name of a file",
      o: "special file", a: "small files", w: "hidden by a later layer" }[kinds[i]];
  }

  function element(tag, className, text) {
    const e = document.createElement(tag);
    if (className) e.className = className;
    if (text !== undefined) e.textContent = text;
    return e;
  }

  // ---- search -----------------------------------------------------------------------------------

  let query = "", hit = null, hitBelow = null;

  // Words are looked for anywhere in the path; with * or ? the whole name, or path, has to fit.
  function matcher(text) {
    if (!/[*?]/.test(text)) return (i) => lowerPath(i).includes(text);
    const pattern = text.replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, text.includes("/") ? "[^]*" : "[^/]*").replace(/\?/g, "[^/]");
    const expression = new RegExp(text.includes("/") ? "^" + pattern + "$" : "(^|/)" + pattern + "$");
    return (i) => expression.test(lowerPath(i)) || (parent[i] > 0 && hit[parent[i]] === 1);
  }

  function find() {
    if (!query) { hit = hitBelow = null; return; }
    hit = new Uint8Array(count);
    hitBelow = new Uint8Array(count);
    const fits = matcher(query);
    for (let i = 0; i < count; i++) {
      lowerPath(i);
      if (i > 0 && (kinds[i] === "a" ? hit[parent[i]] : fits(i))) hit[i] = 1;
    }
    for (let i = count - 1; i > 0; i--) {
      if ((hit[i] && (value[i] > 0 || files[i] > 0)) || hitBelow[i]) hitBelow[parent[i]] = 1;
    }
  }

  function tellFound() {
    if (!hit) { status.textContent = ""; return; }
    let found = 0, sum = 0, lost = 0;
    for (let i = 1; i < count; i++) {
      if (!hit[i] || isDir(i)) continue;
      found += files[i];
      sum += value[i];
      if (kinds[i] === "w" && value[i] > 0) lost++;
    }
    status.textContent = found + lost === 0 ? "nothing matches" :
      plural(found, "file") + (lost ? " and " + plural(lost, "hidden one") : "") + ", " + bytes(sum) + " (" + percent(sum, value[0]) + ")";
  }

  // ---- the map ------------------------------------------------------------------------------------

  let zoomed = 0, cells = [], current = null, drawnAt = "";
  const sizeOfMap = () => map.clientWidth + "x" + map.clientHeight;

  // A directory that holds nothing but one directory goes by both names.
  function only(i) {
    let child = -1;
    for (let j = i + 1; j < end[i]; j = end[j]) {
      if (value[j] <= 0) continue;
      if (child >= 0) return -1;
      child = j;
    }
    return child >= 0 && isDir(child) ? child : -1;
  }

  function collapse(i) {
    let label = names[i], steps = 0;
    for (let next = only(i); next >= 0; next = only(i)) {
      i = next;
      if (++steps < 8) label += "/" + names[i];
    }
    if (steps >= 8) label += "/…/" + names[i];
    return { node: i, label };
  }

  function childrenOf(i, area) {
    const list = [];
    for (let j = i + 1; j < end[i]; j = end[j]) if (value[j] > 0) list.push({ node: j, value: value[j] });
    list.sort((a, b) => b.value - a.value || a.node - b.node);
    const least = LEAST_CELL * value[i] / Math.max(area, 1);
    let keep = list.length;
    while (keep > 0 && list[keep - 1].value < least) keep--;
    if (list.length - keep < 2) return list;
    const rest = { node: -1, value: 0, parent: i, files: 0, number: list.length - keep, hit: 0 };
    for (const item of list.splice(keep)) {
      rest.value += item.value;
      rest.files += files[item.node];
      if (hit && (hit[item.node] || hitBelow[item.node])) rest.hit = 1;
    }
    list.push(rest);
    list.sort((a, b) => b.value - a.value || a.node - b.node);
    return list;
  }

  function place(cell, box) {
    const s = cell.style;
    s.left = box.x0 + "px"; s.top = box.y0 + "px";
    s.width = Math.max(box.x1 - box.x0, 0) + "px"; s.height = Math.max(box.y1 - box.y0, 0) + "px";
  }

  function paint(cell, g) {
    if (g >= 0) cell.dataset.tone = data.groups[g].tone;
  }

  function dim(cell, i, isBox) {
    if (!hit) return;
    if (hit[i] || (!isBox && hitBelow[i])) cell.classList.add("hit");
    else if (!isBox) cell.classList.add("dim");
    else if (!hitBelow[i]) cell.classList.add("dim");
  }

  function newCell(item, box, depth, className) {
    const cell = element("div", "cell " + className);
    cell.setAttribute("role", "treeitem");
    cell.setAttribute("aria-level", depth + 1);
    cell.tabIndex = -1;
    place(cell, box);
    cells.push({ cell, node: item.node, rest: item.node < 0 ? item : null, depth, box });
    cell.dataset.at = cells.length - 1;
    return cell;
  }

  const describe = (entry) => {
    if (entry.rest) {
      return { title: pathOf(entry.rest.parent), detail: number(entry.rest.number) + " smaller ones", bytes: entry.rest.value };
    }
    const i = entry.node;
    let detail = kindName(i);
    if (isDir(i)) detail += ", " + plural(files[i], "file");
    else if (kinds[i] === "a") detail = number(folded.get(i).reduce((n, f) => n + f[1], 0)) + " small files, not listed one by one";
    return { title: pathOf(i), detail, bytes: value[i], group: lead[i] };
  };

  function label(entry) {
    const d = describe(entry);
    return [d.title, d.detail, bytes(d.bytes), percent(d.bytes, value[0]),
      d.group >= 0 ? groupName(d.group) : ""].filter(Boolean).join(", ");
  }

  function drawLeaf(item, box, depth, into) {
    const i = item.node, w = box.x1 - box.x0, h = box.y1 - box.y0;
    const cell = newCell(item, box, depth, i < 0 ? "rest" : "leaf" + (isDir(i) ? " folder" : "") + (isLost(i) ? " wasted" : ""));
    if (i >= 0) { paint(cell, lead[i]); dim(cell, i, false); }
    else if (hit) cell.classList.add(item.hit ? "hit" : "dim");
    if (w > 40 && h > 15) {
      const text = i < 0 ? number(item.number) + " smaller" : kinds[i] === "a" ? "small files" : names[i] + (isDir(i) ? "/" : "");
      cell.append(element("span", "name", text));
      if (h > 31 && w > 68) {
        const mark = w > 92 && i >= 0 && lead[i] >= 0 && data.noun === "layer" ? " · " + data.groups[lead[i]].label : "";
        cell.append(element("span", "size", bytes(item.value) + mark));
      }
    }
    into.append(cell);
  }

  function drawBox(item, box, depth, into) {
    const { node, label: text } = collapse(item.node);
    const cell = newCell({ node }, box, depth, "box");
    const w = box.x1 - box.x0, h = box.y1 - box.y0;
    const titled = h > HEADER + 22 && w > 46;
    if (titled) {
      const head = element("span", "head");
      head.append(element("span", "name", text));
      if (w > 120) head.append(element("span", "size", bytes(value[node])));
      cell.append(head);
    } else {
      cell.classList.add("bare");
    }
    cell.setAttribute("aria-expanded", "true");
    dim(cell, node, true);
    into.append(cell);
    drawInside(node, { x0: box.x0 + 3, y0: box.y0 + (titled ? HEADER : 3), x1: box.x1 - 3, y1: box.y1 - 3 }, depth + 1, into);
  }

  function drawInside(i, box, depth, into) {
    const children = childrenOf(i, (box.x1 - box.x0) * (box.y1 - box.y0));
    if (!children.length) return;
    squarify({ value: value[i], children }, box.x0, box.y0, box.x1, box.y1);
    for (const item of children) {
      const b = { x0: Math.round(item.x0), y0: Math.round(item.y0), x1: Math.round(item.x1), y1: Math.round(item.y1) };
      const nested = item.node >= 0 && isDir(item.node) && depth < MOST_NESTED && Math.min(b.x1 - b.x0, b.y1 - b.y0) >= LEAST_NESTED;
      (nested ? drawBox : drawLeaf)(item, b, depth, into);
    }
  }

  function draw() {
    const started = performance.now();
    const width = map.clientWidth, height = map.clientHeight;
    const all = document.createDocumentFragment();
    cells = [];
    drawnAt = sizeOfMap();
    map.classList.toggle("void", total === 0);
    if (value[zoomed] > 0) {
      drawInside(zoomed, { x0: 0, y0: 0, x1: width, y1: height }, 0, all);
    } else {
      all.append(element("p", "empty", total === 0 ? "No file of this image has a size." : "Nothing that is switched on has a size here."));
    }
    map.replaceChildren(all);
    current = null;
    if (cells.length) cells[0].cell.tabIndex = 0;
    for (const entry of cells) entry.cell.setAttribute("aria-label", label(entry));
    map.dataset.cells = cells.length;
    map.dataset.zoomed = pathOf(zoomed);
    map.dataset.ms = Math.round(performance.now() - started);
  }

  // The way to what is shown; of a long one the beginning and the end.
  function wayTo(i) {
    const way = [];
    for (; i >= 0; i = parent[i]) way.unshift({ node: i, text: i === 0 ? "/" : names[i] });
    if (way.length <= MOST_CRUMBS) return way;
    const end = way.slice(3 - MOST_CRUMBS);
    return [way[0], way[1], { node: parent[end[0].node], text: "…", title: pathOf(parent[end[0].node]) }, ...end];
  }

  function crumbs() {
    byId("crumbs").replaceChildren(...wayTo(zoomed).map((step) => {
      const item = element("li");
      const b = element("button", null, step.text);
      b.type = "button";
      if (step.title) b.title = step.title;
      if (step.node === zoomed) b.setAttribute("aria-current", "location");
      b.addEventListener("click", () => zoom(step.node));
      item.append(b);
      return item;
    }));
    byId("here").textContent = bytes(value[zoomed] - lost[zoomed]) + ", " + plural(files[zoomed], "file") +
      (lost[zoomed] ? " + " + bytes(lost[zoomed]) + " hidden" : "");
    byId("out").disabled = zoomed === 0;
  }

  // ---- the list beside it --------------------------------------------------------------------------

  function largest() {
    const list = [];
    let least = -1;
    for (let i = hit ? 1 : zoomed; i < (hit ? count : end[zoomed]); i++) {
      if (isDir(i) || kinds[i] === "a" || value[i] <= least || value[i] <= 0 || (hit && !hit[i])) continue;
      list.push(i);
      if (list.length > 4 * LIST_LENGTH) { cut(list); least = value[list[LIST_LENGTH - 1]]; }
    }
    cut(list);
    return list;
  }
  function cut(list) {
    list.sort((a, b) => value[b] - value[a] || a - b);
    list.length = Math.min(list.length, LIST_LENGTH);
  }

  function drawList() {
    const list = largest(), most = list.length ? value[list[0]] : 1;
    const base = hit || zoomed === 0 ? "" : pathOf(zoomed);
    byId("list-title").textContent = hit ? "Matches, largest first" : "Largest files" + (zoomed === 0 ? "" : " here");
    byId("list").replaceChildren(...list.map((i) => {
      const item = element("li"), b = element("button", "row");
      b.type = "button";
      const path = pathOf(i).slice(base.length + (base ? 1 : 0));
      const cutAt = path.lastIndexOf("/") + 1;
      const name = element("span", "path");
      name.append(element("span", "dir", path.slice(0, cutAt)), element("span", "file", path.slice(cutAt)));
      const swatch = element("span", "swatch" + (isLost(i) ? " wasted" : ""));
      paint(swatch, lead[i]);
      const bar = element("span", "bar");
      bar.style.width = Math.max(1, value[i] * 100 / most) + "%";
      paint(bar, lead[i]);
      b.append(swatch, name, element("span", "size", bytes(value[i])), bar);
      b.title = label({ node: i });
      b.addEventListener("click", () => { zoom(parent[i]); point(i); });
      item.append(b);
      return item;
    }));
    byId("list-empty").hidden = list.length > 0;
    byId("list-empty").textContent = hit ? "Nothing matches. Names are looked for as they are written, or with * and ?" : "none";
  }

  function point(i) {
    const entry = cells.find((c) => c.node === i) || cells.find((c) => c.rest);
    if (!entry) return;
    focusCell(entry);
    entry.cell.classList.add("flash");
    setTimeout(() => entry.cell.classList.remove("flash"), 1200);
  }

  // ---- zoom --------------------------------------------------------------------------------------------

  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  function animate(from) {
    if (calm.matches || !from || !map.animate) return;
    map.animate([{ transformOrigin: "0 0", transform: from, opacity: 0.4 }, { transformOrigin: "0 0", transform: "none", opacity: 1 }],
      { duration: 200, easing: "cubic-bezier(.2,.7,.3,1)" });
  }

  function render() {
    crumbs();
    draw();
    drawList();
  }

  function zoom(i) {
    if (i === zoomed) return;
    const box = cells.find((c) => c.node === i);
    const was = zoomed, inside = i >= was && i < end[was];
    zoomed = i;
    hideTip();
    render();
    if (inside && box) {
      const b = box.box, w = map.clientWidth, h = map.clientHeight;
      animate(`translate(${b.x0}px,${b.y0}px) scale(${(b.x1 - b.x0) / w},${(b.y1 - b.y0) / h})`);
    } else {
      animate("scale(1.04)");
    }
    const hash = i === 0 ? "" : "#" + pathOf(i).split("/").map(encodeURIComponent).join("/");
    if (fromHash() !== i) history.pushState(null, "", hash || location.pathname + location.search);
  }

  function fromHash() {
    let path = "";
    try { path = location.hash.slice(1).split("/").map(decodeURIComponent).join("/"); } catch { path = ""; }
    return findPath(path);
  }
  addEventListener("popstate", () => { zoomed = fromHash(); render(); });

  function zoomOut() {
    if (zoomed === 0) return;
    const was = zoomed;
    let up = parent[zoomed];
    while (up > 0 && only(up) === was) up = parent[up];
    zoom(up);
    const entry = cells.find((c) => c.node === was) || cells[0];
    if (entry) focusCell(entry);
  }

  // ---- pointer and keys ----------------------------------------------------------------------------------

  const entryOf = (event) => {
    const cell = event.target.closest && event.target.closest(".cell");
    return cell ? cells[cell.dataset.at] : null;
  };

  function showTip(entry, x, y) {
    const d = describe(entry);
    const title = element("strong", null, d.title);
    const line = element("span", "tip-size", bytes(d.bytes) + " · " + percent(d.bytes, value[0]));
    const rows = [title, line, element("span", null, d.detail)];
    if (d.group >= 0) {
      const of = element("span", "tip-group"), swatch = element("span", "swatch");
      paint(swatch, d.group);
      const g = data.groups[d.group];
      of.append(swatch, (isDir(entry.node) ? "mostly " : "") + groupName(d.group) + (g.name ? ": " + g.name : ""));
      rows.push(of);
    }
    tip.replaceChildren(...rows);
    tip.hidden = false;
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - w - 8)) + "px";
    tip.style.top = Math.max(4, y + 18 + h > innerHeight ? y - h - 12 : y + 18) + "px";
  }
  function hideTip() { tip.hidden = true; }

  function focusCell(entry) {
    if (current) current.cell.tabIndex = -1;
    else if (cells.length) cells[0].cell.tabIndex = -1;
    current = entry;
    entry.cell.tabIndex = 0;
    entry.cell.focus({ preventScroll: false });
  }

  function enter(entry) {
    if (entry.rest) { if (entry.rest.parent !== zoomed) zoom(entry.rest.parent); return; }
    const target = isDir(entry.node) ? entry.node : parent[entry.node];
    if (target !== zoomed && target >= 0) zoom(target);
  }

  map.addEventListener("click", (event) => { const e = entryOf(event); if (e) enter(e); });
  map.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const e = entryOf(event);
    if (e) showTip(e, event.clientX, event.clientY); else hideTip();
  });
  map.addEventListener("pointerleave", hideTip);
  map.addEventListener("focusin", (event) => {
    const e = entryOf(event);
    if (!e) return;
    current = e;
    if (event.target.matches(":focus-visible")) {
      const r = e.cell.getBoundingClientRect();
      showTip(e, r.left + Math.min(r.width, 40), r.top + Math.min(r.height, 24));
    }
  });
  map.addEventListener("focusout", hideTip);

  // Siblings are drawn in order of size; what is inside follows its directory.
  function step(entry, key) {
    const at = cells.indexOf(entry);
    if (key === "ArrowDown") {
      const next = cells[at + 1];
      return next && next.depth === entry.depth + 1 ? next : null;
    }
    const by = key === "ArrowRight" ? 1 : -1;
    for (let i = at + by; i >= 0 && i < cells.length; i += by) {
      if (cells[i].depth < entry.depth) return key === "ArrowUp" ? cells[i] : null;
      if (cells[i].depth === entry.depth && key !== "ArrowUp") return cells[i];
    }
    return null;
  }

  map.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const e = entryOf(event) || current || cells[0];
    if (event.key === "Escape" || event.key === "Backspace") {
      event.preventDefault();
      zoomOut();
    } else if (e && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      const was = zoomed;
      enter(e);
      if (zoomed !== was && cells.length) focusCell(cells[0]);
    } else if (e && event.key.startsWith("Arrow")) {
      event.preventDefault();
      const next = step(e, event.key);
      if (next) focusCell(next);
    } else if (e && (event.key === "Home" || event.key === "End") && cells.length) {
      event.preventDefault();
      focusCell(cells[event.key === "Home" ? 0 : cells.length - 1]);
    }
  });

  addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(event.target.tagName) && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  // ---- switches ----------------------------------------------------------------------------------------------

  function changed() {
    sums();
    find();
    tellFound();
    render();
  }

  function toneKey(g) { return data.groups[g].tone; }

  // While the pointer is on a layer, the others step back.
  function single(g) {
    for (const { cell, node } of cells) {
      if (!cell.classList.contains("leaf")) continue;
      const belongs = g < 0 || (g === HIDDEN ? lost[node] > 0 : lead[node] === g && !isLost(node));
      cell.classList.toggle("faint", !belongs);
    }
  }

  function legendRow(g) {
    const hidden = g === HIDDEN;
    const about = hidden ? { label: "", name: "hidden by later layers", bytes: data.hidden.bytes } : data.groups[g];
    const item = element("li", hidden ? "last" : null), row = element("label"), box = element("input");
    box.type = "checkbox";
    box.checked = visible[g];
    box.dataset.group = hidden ? "hidden" : String(g);
    if (!hidden) box.dataset.tone = toneKey(g);
    box.addEventListener("change", () => { visible[g] = box.checked; changed(); });
    const swatch = element("span", "check" + (hidden ? " wasted" : ""));
    if (!hidden) swatch.dataset.tone = toneKey(g);
    const name = element("span", "name");
    if (data.noun === "layer" && !hidden && about.name) name.append(element("b", null, about.label), " ");
    name.append(about.name || groupName(g));
    name.title = about.name || groupName(g);
    row.append(box, swatch, name, element("span", "size", bytes(about.bytes)));
    item.append(row);
    const alone = element("button", "only", "only");
    alone.type = "button";
    alone.title = "Show nothing else; again: show all";
    alone.setAttribute("aria-label", "only " + (hidden ? about.name : groupName(g)));
    alone.addEventListener("click", () => {
      const already = visible.every((on, k) => on === (k === g));
      visible.fill(already);
      visible[g] = true;
      legendBoxes();
      changed();
    });
    item.append(alone);
    item.addEventListener("pointerenter", () => single(g));
    item.addEventListener("pointerleave", () => single(-1));
    return item;
  }

  function legendBoxes() {
    for (const box of byId("legend").querySelectorAll("input")) {
      box.checked = visible[box.dataset.group === "hidden" ? HIDDEN : Number(box.dataset.group)];
    }
  }

  // In their own order, as long as all of them have a colour.
  function legend() {
    const order = data.groups.map((_, g) => g);
    if (data.groups.some((g) => g.bytes > 0 && g.tone === 0)) {
      order.sort((a, b) => data.groups[b].bytes - data.groups[a].bytes || a - b);
      byId("legend-title").append(", largest first");
    }
    const rows = order.map(legendRow);
    if (data.hidden) rows.push(legendRow(HIDDEN));
    byId("legend").replaceChildren(...rows);
  }

  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { query = search.value.trim().toLowerCase(); find(); tellFound(); draw(); drawList(); }, 60);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value) {
      event.preventDefault();
      search.value = "";
      search.dispatchEvent(new Event("input"));
    }
  });
  byId("out").addEventListener("click", zoomOut);

  // Rows of tables elsewhere that name a path lead to the map.
  for (const link of document.querySelectorAll("[data-path]")) {
    link.addEventListener("click", () => {
      query = search.value = "";
      find(); tellFound();
      const path = link.dataset.path;
      const cutAt = path.lastIndexOf("/");
      const dir = findPath(path.slice(0, cutAt)), name = path.slice(cutAt + 1);
      zoom(dir);
      render();
      let target = -1;
      for (let i = dir + 1; i < end[dir]; i = end[i]) if (names[i] === name && (target < 0 || kinds[i] === "w")) target = i;
      byId("map-title").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" });
      if (target >= 0) point(target);
    });
  }

  // The focus stays on what it was on, when that is still there.
  function redraw() {
    const held = cells.find((c) => c.cell === document.activeElement);
    draw();
    const entry = held && (cells.find((c) => c.node === held.node) || cells[0]);
    if (entry) focusCell(entry);
  }

  // On paper the map has the width of a page.
  function onPaper(is) {
    map.style.width = is ? PAPER.width + "px" : "";
    map.style.height = is ? PAPER.height + "px" : "";
    redraw();
  }
  addEventListener("beforeprint", () => onPaper(true));
  addEventListener("afterprint", () => onPaper(false));

  let resized = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(resized);
    resized = requestAnimationFrame(() => { if (drawnAt !== sizeOfMap()) redraw(); });
  }).observe(map);
  document.documentElement.classList.add("live");
  zoomed = fromHash();
  sums();
  legend();
  render();
  document.documentElement.dataset.ready = "yes";
})();
