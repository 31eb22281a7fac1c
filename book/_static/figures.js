// Draw the figures that the notebooks stored, each when it comes near, in the colours of the page, and again when the
// reader changes the theme. Sliders, buttons and menus are HTML: keys and screen readers work them.
(() => {
  const root = document.documentElement;
  const dark = () => root.dataset.theme === "dark";
  const inks = () => dark() ? {font: "#d6dae0", grid: "rgba(200,205,215,0.18)"} : {font: "#2b3037", grid: "rgba(60,70,85,0.16)"};
  const SLIDER_HEIGHT = 90; // px that recsys_lite.notebook adds to a figure for plotly's own slider

  function themed(layout) {
    const {font, grid} = inks();
    const out = {...layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)"};
    out.font = {...(layout.font || {}), color: font, family: "system-ui, sans-serif"};
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) out[key] = {...layout[key], gridcolor: grid, zerolinecolor: grid, linecolor: grid};
    }
    out.hoverlabel = {bgcolor: dark() ? "#20242b" : "#ffffff", font: {color: font}};
    delete out.template;
    if (layout.legend?.orientation === "h" && layout.legend.y < 0) {  // clear of the axis title
      out.legend = {...layout.legend, yref: "container", y: 0, yanchor: "bottom"};
    }
    return out;
  }

  // What chooses among a figure's states, in front of it: a slider for numbers, buttons for a few words, else a menu.
  const MOST_BUTTONS = 6;
  function control(place, name, steps, active) {
    const box = document.createElement("div");
    const show = k => Plotly.update(place, ...structuredClone(steps[k].args));
    box.className = "rl-control";
    if (steps.every(s => s.label.trim() !== "" && Number.isFinite(Number(s.label)))) slider(box, name, steps, active, show);
    else if (steps.length <= MOST_BUTTONS) buttons(box, name, steps, active, show);
    else menu(box, name, steps, active, show);
    place.before(box);
  }

  function slider(box, name, steps, active, show) {
    const label = document.createElement("label"), input = document.createElement("input");
    const shown = document.createElement("output");
    Object.assign(input, {type: "range", min: 0, max: steps.length - 1, step: 1, value: active});
    label.append(`${name} `, input);
    box.append(label, shown);
    const say = () => {
      shown.value = steps[input.value].label;
      input.setAttribute("aria-valuetext", shown.value);
    };
    input.addEventListener("input", () => { say(); show(input.value); });
    say();
  }

  let groups = 0;
  function buttons(box, name, steps, active, show) {
    const set = document.createElement("fieldset"), legend = document.createElement("legend");
    const group = `rl-choice-${groups += 1}`;
    legend.textContent = name;
    set.append(legend);
    steps.forEach((s, k) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, {type: "radio", name: group, value: k, checked: k === active});
      input.addEventListener("change", () => show(k));
      label.append(input, ` ${s.label}`);
      set.append(label);
    });
    box.append(set);
  }

  function menu(box, name, steps, active, show) {
    const label = document.createElement("label"), input = document.createElement("select");
    steps.forEach((s, k) => input.append(new Option(s.label, k)));
    input.value = active;
    input.addEventListener("input", () => show(input.value));
    label.append(`${name} `, input);
    box.append(label);
  }

  // Legends hide and show their rows by keyboard, too.
  function legend(place) {
    for (const toggle of place.querySelectorAll(".legendtoggle")) {
      const name = toggle.closest(".traces")?.textContent.trim();
      if (toggle.tabIndex === 0 || !name) continue;
      toggle.setAttribute("tabindex", "0");
      toggle.setAttribute("role", "button");
      toggle.setAttribute("aria-label", `show or hide ${name}`);
      toggle.addEventListener("keydown", event => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        const at = place.data.flatMap((t, k) => (t.name === name && t.visible !== false ? [k] : []));
        const off = at.every(k => place.data[k].visible === "legendonly");
        Plotly.restyle(place, {visible: off ? true : "legendonly"}, at)
          .then(() => [...place.querySelectorAll(".legendtoggle")].find(t => t.ariaLabel?.endsWith(` ${name}`))?.focus());
      });
    }
    if (place.querySelector(".legendtoggle[tabindex]")) place.setAttribute("role", "group");
  }

  let loading;
  const plotly = () => loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `${root.dataset.content_root || "./"}_static/vendor/plotly-book.min.js`;
    script.onload = done;
    script.onerror = failed;
    document.head.append(script);
  });

  const drawn = new Map();
  const draw = place => drawn.get(place) || drawn.set(place, made(place)).get(place);

  async function made(place) {
    const {data, layout} = JSON.parse(place.nextElementSibling.textContent);
    const {sliders = [], updatemenus = [], ...rest} = layout;
    await plotly();
    if (sliders.length) rest.height = (rest.height || 400 + SLIDER_HEIGHT) - SLIDER_HEIGHT;
    if (data.some(t => t.type === "waterfall")) {
      data.forEach(t => { t.cliponaxis = false; });
      rest.margin = {...rest.margin, r: Math.max(rest.margin?.r || 0, 44)};
    }
    place.style.minHeight = `${rest.height || 400}px`;
    place.replaceChildren();
    await Plotly.newPlot(place, data, themed({...rest, autosize: true}), {responsive: true, displayModeBar: false});
    for (const s of sliders) control(place, (s.currentvalue?.prefix || "value").replace(/:\s*$/, ""), s.steps, s.active || 0);
    for (const m of updatemenus) control(place, "show", m.buttons, m.active || 0);
    place.on("plotly_afterplot", () => legend(place));
    legend(place);
  }

  const places = () => [...document.querySelectorAll(".rl-plotly")];
  const drawAll = () => Promise.all(places().map(draw));
  window.recsysLite = {drawAll};
  const near = new IntersectionObserver(seen => seen.forEach(s => {
    if (!s.isIntersecting) return;
    near.unobserve(s.target);
    draw(s.target);
  }), {rootMargin: "600px"});
  places().forEach(place => near.observe(place));
  new MutationObserver(() => places().forEach(p => {
    if (p.data) Plotly.relayout(p, themed(p.layout));
  })).observe(root, {attributes: true, attributeFilter: ["data-theme"]});
})();
