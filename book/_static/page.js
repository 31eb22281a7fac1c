// What a page does beside its figures: boxes that scroll say so and take the keys, tabs, paper.
(() => {
  // A box wider than its place: a key reaches it, its edge fades, a screen reader hears what it is.
  const SCROLLERS = {
    "div.highlight pre": "code or output", "mjx-container:is([display=true], .rl-wide)": "formula", "div.cell_output": "output", ".rl-table": "table",
    ".pst-scrollable-table-container": "table", ".rl-svg > div": "drawing",
  };
  const edge = box => box.classList.toggle("rl-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
  function scrollers() {
    for (const [selector, name] of Object.entries(SCROLLERS)) {
      for (const box of document.querySelectorAll(`.bd-article ${selector}`)) {
        const wide = box.scrollWidth > box.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(box).overflowX);
        if (wide && !box.dataset.scrolls) {
          box.tabIndex = 0;
          box.dataset.scrolls = "";
          if (!box.hasAttribute("role")) box.setAttribute("role", "group");
          if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", `${name}, scrolls sideways`);
          box.addEventListener("scroll", () => edge(box), {passive: true});
        } else if (!wide) {
          box.removeAttribute("tabindex");
          delete box.dataset.scrolls;
        }
        if (wide) edge(box);
        else box.classList.remove("rl-more");
      }
    }
  }
  // A formula in a line does not break: where it is wider than its paragraph, it scrolls.
  function formulas() {
    for (const formula of document.querySelectorAll('mjx-container:not([display="true"]):not(.rl-wide)')) {
      const room = formula.closest("p, li, td, dd, summary, details");
      if (room && formula.getBoundingClientRect().right > room.getBoundingClientRect().right + 1) formula.classList.add("rl-wide");
    }
  }
  // Where `make start` serves the explorer beside the book, its addresses are links; elsewhere they say what to run.
  async function explorers() {
    const places = document.querySelectorAll(".rl-explorer");
    if (!places.length || !["127.0.0.1", "localhost"].includes(location.hostname)) return;
    const found = await fetch(`${location.origin}/explorer.json`).then(r => (r.ok ? r.json() : null)).catch(() => null);
    if (!found) return;
    for (const place of places) {
      const link = document.createElement("a");
      link.href = `${found.address}/${place.dataset.place}`;
      link.textContent = "open this chapter's example";
      place.replaceChildren(link);
    }
  }
  explorers();
  const measure = () => { formulas(); scrollers(); };
  const paper = new URLSearchParams(location.search).has("print"); // nothing scrolls there
  if (!paper) {
    let waiting;
    new ResizeObserver(() => { clearTimeout(waiting); waiting = setTimeout(measure, 100); }).observe(document.body);
    window.addEventListener("load", () => { measure(); window.MathJax?.startup?.promise?.then(measure); });
    document.addEventListener("toggle", measure, true);
  }

  // A table with many columns is a card a row on a telephone: each cell carries its heading.
  for (const table of document.querySelectorAll(".rl-table table")) {
    const heads = [...table.querySelectorAll("thead th, thead td")].map(cell => cell.textContent);
    if (heads.length < 5) continue;
    table.classList.add("rl-many");
    for (const row of table.tBodies[0].rows) [...row.cells].forEach((cell, k) => { cell.dataset.label = heads[k] || ""; });
  }

  for (const box of document.querySelectorAll(".rl-tabs")) {
    const list = box.querySelector("[role=tablist]"), tabs = [...list.children], pages = [...box.querySelectorAll("[role=tabpanel]")];
    const open = k => tabs.forEach((tab, j) => {
      tab.setAttribute("aria-selected", j === k);
      tab.tabIndex = j === k ? 0 : -1;
      pages[j].classList.toggle("rl-shut", j !== k);
    });
    list.hidden = false;
    list.addEventListener("click", event => { const k = tabs.indexOf(event.target); if (k >= 0) open(k); });
    list.addEventListener("keydown", event => {
      const n = tabs.length, now = tabs.indexOf(document.activeElement);
      const next = {ArrowRight: now + 1, ArrowLeft: now - 1 + n, Home: 0, End: n - 1}[event.key];
      if (next === undefined) return;
      event.preventDefault();
      open(next % n);
      tabs[next % n].focus();
    });
    open(0);
  }

  // On paper nothing unfolds: answers and solutions are shown, and put back afterwards.
  const unfold = () => document.querySelectorAll("details:not([open])").forEach(d => { d.open = true; d.dataset.printed = ""; });
  window.addEventListener("beforeprint", unfold);
  window.addEventListener("afterprint", () => document.querySelectorAll("details[data-printed]").forEach(d => { d.open = false; delete d.dataset.printed; }));
  if (paper) {
    unfold();
    // While figures and formulas are made, only their own section is laid out: the page has hundreds of thousands of pieces.
    // A PDF describes each of them in its structure: 30 MB. Their text stays in the page.
    const root = document.documentElement;
    const hide = () => document.querySelectorAll(".main-svg, mjx-container > *, .highlight pre").forEach(e => e.setAttribute("aria-hidden", "true"));
    root.classList.add("rl-making");
    window.addEventListener("beforeprint", hide);
    const made = [window.recsysLite.drawAll(), new Promise(done => window.addEventListener("load", done)).then(() => window.MathJax?.startup?.promise)];
    Promise.all(made).then(() => root.classList.remove("rl-making"));
  }
})();
