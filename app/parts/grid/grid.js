// Maps of pairs of fields side by side; one lit pair is lit in all of them. Streamlit calls the default export.
const UP = [0, 114, 178], DOWN = [213, 94, 0];

function share(value, band) {  // -1 to 1: how far along the scale
  if (band.kind === "ratio") return Math.log(Math.max(value, 1e-6)) / Math.log(band.limit);
  return value / band.limit;
}

function colours(value, band, ground) {
  const s = Math.max(-1, Math.min(1, share(value, band))), a = Math.abs(s), hue = s < 0 ? DOWN : UP;
  const mixed = hue.map((c, k) => c * a + ground[k] * (1 - a));
  const light = mixed.map((c) => (c /= 255) <= 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const y = 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2];
  return [`rgb(${mixed.map(Math.round)})`, 1.05 / (y + 0.05) > (y + 0.05) / 0.05 ? "#fff" : "#000"];
}

function text(value, band, digits) {
  if (value === null) return "no number";
  const sign = band.kind === "signed" && value > 0 ? "+" : "";
  return (sign + value.toFixed(digits)).replace("-", "−");
}

function make(tag, name, words) {
  const e = document.createElement(tag);
  if (name) e.className = name;
  if (words !== undefined) e.textContent = words;
  return e;
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".stage");
  const held = root.contains(root.getRootNode().activeElement) ? root.getRootNode().activeElement.dataset.at : null;
  const ground = (getComputedStyle(root).getPropertyValue("--st-background-color").match(/[0-9a-f]{2}/gi) || ["ff", "ff", "ff"])
    .slice(0, 3).map((h) => parseInt(h, 16));
  root.replaceChildren();
  const said = (name) => (data.short || {})[name] || name;
  const inWords = (a, b) => (a === b ? `${said(a)} alone` : `${said(a)} × ${said(b)}`);
  const told = make("p", "told"), maps = make("div", "maps"), spots = new Map();
  told.setAttribute("aria-live", "polite");
  told.textContent = data.told;
  if (data.columns.every((c) => c.bands.length < 2)) maps.classList.add("one");
  root.append(told, maps);
  let pinned = null;

  function light(pair) {
    root.querySelectorAll(".lit").forEach((e) => e.classList.remove("lit"));
    if (!pair) { told.textContent = data.told; return; }
    const [a, b] = pair;
    for (const key of [`${a}|${b}`, `${b}|${a}`, `head ${a}`, `head ${b}`])
      (spots.get(key) || []).forEach((e) => e.classList.add("lit"));
    told.replaceChildren(make("b", "", inWords(a, b)), `: ${words(a, b)}`);
  }

  function words(a, b) {
    const parts = [];
    if (data.truth) parts.push(data.truth.some((p) => p.includes(a) && p.includes(b) && a !== b) ? "planted" : "not planted");
    data.columns.forEach((c) => c.bands.slice(0, 2).forEach((band, k) => {
      if (c.truth || band.cells === undefined) return;
      const v = at(band, a, b);
      if (v !== null) parts.push(`${k ? "own map" : c.name} ${text(v, band, 2)}${k ? " " + band.unit : ""}`);
    }));
    return parts.join(", ");
  }

  function at(band, a, b) {
    const i = band.lines.indexOf(a), j = band.names.indexOf(b);
    return i < 0 || j < 0 ? null : band.cells[i][j];
  }

  function drawn(band, column, big) {
    const box = make("figure"), grid = make("div", "grid"), long = band.names.some((n) => n.length > 2);
    box.style.margin = 0;
    const title = make("figcaption", "", band.title);
    title.title = band.title;
    grid.setAttribute("role", "grid");
    grid.setAttribute("aria-label", `${column.name}: ${band.title}, ${band.unit}`);
    grid.style.gridTemplateColumns = `${big ? "auto" : ""} repeat(${band.names.length}, minmax(0, 1fr))`;
    const line = () => { const r = make("div", "row"); r.setAttribute("role", "row"); grid.append(r); return r; };
    const label = (name, top) => {
      const h = make("div", `head${top ? " top" : ""}${top && long ? " long" : ""}`, said(name));
      h.setAttribute("role", top ? "columnheader" : "rowheader");
      h.title = name;
      put(`head ${name}`, h);
      return h;
    };
    if (big) {
      const r = line(), corner = make("div", "head");
      corner.setAttribute("role", "columnheader");
      corner.append(make("span", "sr", "field"));
      r.append(corner, ...band.names.map((n) => label(n, true)));
    }
    const numbers = big && band.names.length <= 6 && !column.truth;
    band.cells.forEach((values, i) => {
      const r = line();
      if (big) r.append(label(band.lines[i], false));
      values.forEach((v, j) => {
        const a = band.lines[i], b = band.names[j], cell = make("div", "cell"), empty = v === null;
        cell.setAttribute("role", "gridcell");
        cell.setAttribute("aria-label", `${inWords(a, b)}: ${text(v, band, 2)}`);
        if (empty) cell.classList.add("none");
        else {
          const [fill, ink] = colours(v, band, ground);
          cell.style.background = fill;
          cell.style.color = ink;
          if (numbers && (band.kind === "ratio" || Math.abs(share(v, band)) >= 0.12)) cell.dataset.n = text(v, band, 1);
        }
        if (data.truth && big && !column.truth && data.truth.some((p) => p.includes(a) && p.includes(b) && a !== b)) cell.classList.add("planted");
        cell.tabIndex = big && i === 0 && j === 0 ? 0 : -1;
        cell.dataset.at = `${column.name}|${band.title}|${a}|${b}`;
        cell.pair = [a, b];
        put(`${a}|${b}`, cell);
        r.append(cell);
      });
    });
    grid.addEventListener("keydown", (e) => moved(e, grid, band));
    if (big || band.title) box.append(title);
    box.append(grid);
    if (big && band.unit) box.append(make("p", "unit", scale(band)));
    return box;
  }

  function scale(band) {
    if (band.legend) return band.legend;
    if (band.kind === "ratio") return `${band.unit}; full colour at ${band.limit.toFixed(1)} × or 1/${band.limit.toFixed(1)}`;
    return `${band.unit}; full colour at ${band.kind === "signed" ? "±" : ""}${band.limit.toPrecision(2)}`;
  }

  function put(key, e) { if (!spots.has(key)) spots.set(key, []); spots.get(key).push(e); }

  function moved(e, grid, band) {
    const cells = [...grid.querySelectorAll(".cell")], here = cells.indexOf(e.target), w = band.names.length;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: w, ArrowUp: -w, Home: -(here % w), End: w - 1 - (here % w) }[e.key];
    if (here < 0 || (step === undefined && e.key !== "Escape" && e.key !== "Enter")) return;
    e.preventDefault();
    if (e.key === "Escape") { pinned = null; light(null); return; }
    if (e.key === "Enter") { pinned = e.target.pair; light(pinned); return; }
    const row = Math.floor(here / w), to = here + step;
    if (to < 0 || to >= cells.length || (Math.abs(step) === 1 && Math.floor(to / w) !== row)) return;
    cells[here].tabIndex = -1;
    cells[to].tabIndex = 0;
    cells[to].focus();
  }

  data.columns.forEach((column) => column.bands.forEach((band, k) => {
    const place = make("div");
    if (band.cells) place.append(drawn(band, column, true));
    else if (band.title) place.append(make("p", "figcaption", band.title));
    const why = (band.why || []).map((w) => make("p", "why", w));
    if (band.title && why.length) {
      const fold = make("details", "why");
      fold.append(make("summary", "", band.cells ? "What has no map" : "Why"), ...why);
      place.append(fold);
    } else place.append(...why);
    if ((band.more || []).length) {
      const more = make("div", "small");
      band.more.forEach((m) => more.append(drawn(m, column, false)));
      place.append(more);
    }
    maps.append(place);
  }));
  const over = (e) => e.target.pair || null;
  maps.onpointerover = (e) => light(over(e) || pinned);
  maps.onpointerleave = () => light(pinned);
  maps.addEventListener("focusin", (e) => light(over(e) || pinned));
  maps.addEventListener("focusout", () => light(pinned));
  maps.onclick = (e) => { const p = over(e); pinned = p && pinned && p.join() === pinned.join() ? null : p; light(pinned); };
  if (held) [...maps.querySelectorAll(".cell")].find((c) => c.dataset.at === held)?.focus();
  return () => {};
}
