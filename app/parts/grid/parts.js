// The parts of several models' logits as one table: a bar starts where the one above ended, all on one scale.
export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".parts"), table = document.createElement("table");
  const add = (parent, tag, name, words) => {
    const e = parent.appendChild(document.createElement(tag));
    if (name) e.className = name;
    if (words !== undefined) e.textContent = words;
    return e;
  };
  const at = (x) => `${(100 * (x - data.low)) / (data.high - data.low)}%`;
  const signed = (v) => (v > 0 ? "+" : "") + v.toFixed(2).replace("-", "−");
  add(table, "caption", "sr", data.told);
  const head = add(add(table, "thead"), "tr");
  add(head, "td");
  data.columns.forEach((c) => { const th = add(head, "th", "", c.name); th.scope = "col"; th.title = c.full; });
  const body = add(table, "tbody");
  data.lines.forEach((line, i) => {
    const tr = add(body, "tr", i === data.lines.length - 1 ? "sum" : ""), th = add(tr, "th", "", line);
    th.scope = "row";
    th.title = line;
    data.columns.forEach((c) => {
      const td = add(tr, "td"), { value, from } = c.cells[i];
      if (value === null) { add(td, "span", "none", "–").title = `${c.full} has no such part`; return; }
      add(td, "span", "number", signed(value));
      const track = add(td, "div", "track"), bar = add(track, "div", "bar " + (i === data.lines.length - 1 ? "all" : value < 0 ? "down" : "up"));
      bar.style.left = at(Math.min(from, from + value));
      bar.style.width = `${(100 * Math.abs(value)) / (data.high - data.low)}%`;
      add(track, "div", "zero").style.left = at(0);
      td.title = `${c.full}, ${line}: ${signed(value)}`;
    });
  });
  root.replaceChildren(table);
  return () => {};
}
