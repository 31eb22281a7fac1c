// Draw the figures that the notebooks stored, in the colours of the page, and again when the reader changes the theme.
(() => {
  const dark = () => document.documentElement.dataset.theme === "dark";
  const inks = () => dark() ? {font: "#d6dae0", grid: "rgba(200,205,215,0.18)"} : {font: "#2b3037", grid: "rgba(60,70,85,0.16)"};

  function themed(layout) {
    const {font, grid} = inks();
    const out = {...layout, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)"};
    out.font = {...(layout.font || {}), color: font, family: "system-ui, sans-serif"};
    for (const key of Object.keys(layout)) {
      if (/^[xy]axis\d*$/.test(key)) out[key] = {...layout[key], gridcolor: grid, zerolinecolor: grid, linecolor: grid};
    }
    out.hoverlabel = {bgcolor: dark() ? "#20242b" : "#ffffff", font: {color: font}};
    delete out.template;
    if (layout.legend && layout.legend.orientation === "h" && (layout.legend.y < 0 || (layout.sliders || []).length)) {  // clear of the axis title
      out.legend = {...layout.legend, yref: "container", y: 0, yanchor: "bottom"};
    }
    const ground = dark() ? "#2a2f37" : "#eef0f3";
    if (out.updatemenus) out.updatemenus = out.updatemenus.map(m => ({...m, font: {color: font}, bgcolor: ground, bordercolor: grid}));
    if ((out.sliders || []).length) {  // above the plot: below it are the names of fields, long ones on a telephone
      const place = {y: 1, yanchor: "bottom", pad: {t: 0, b: 26}, font: {color: font}, bgcolor: dark() ? "#4a515c" : "#e3e6ea"};
      out.sliders = out.sliders.map(s => ({...s, ...place}));
      const title = layout.title?.text || "", lines = title && title.split("<br>").length;
      out.margin = {...layout.margin, t: 92 + (title ? 10 + 20 * lines : 0)};
      if (title) out.title = {...layout.title, yref: "container", y: 1, yanchor: "top", pad: {t: 10 * lines}};
    }
    return out;
  }

  function draw(place) {
    const stored = JSON.parse(place.nextElementSibling.textContent);
    place.replaceChildren();
    Plotly.newPlot(place, {
      data: stored.data, layout: themed({...stored.layout, autosize: true}), frames: stored.frames || [],
      config: {responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtonsToRemove: ["lasso2d", "select2d"]},
    });
  }

  const places = () => document.querySelectorAll(".rl-plotly");
  document.addEventListener("DOMContentLoaded", () => {
    places().forEach(draw);
    new MutationObserver(() => places().forEach(p => p.data && Plotly.relayout(p, themed(p.layout))))
      .observe(document.documentElement, {attributes: true, attributeFilter: ["data-theme"]});
  });

  // On paper nothing unfolds: answers and solutions are shown, and put back afterwards.
  window.addEventListener("beforeprint", () => document.querySelectorAll("details:not([open])").forEach(d => { d.open = true; d.dataset.printed = ""; }));
  window.addEventListener("afterprint", () => document.querySelectorAll("details[data-printed]").forEach(d => { d.open = false; delete d.dataset.printed; }));

  // A formula in a line does not break: where it is wider than its paragraph, it scrolls.
  window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(() => {
    for (const formula of document.querySelectorAll('mjx-container:not([display="true"])')) {
      const room = formula.closest("p, li, td, dd, summary, details");
      if (room && formula.getBoundingClientRect().right > room.getBoundingClientRect().right + 1) formula.classList.add("rl-wide");
    }
  }));
})();
