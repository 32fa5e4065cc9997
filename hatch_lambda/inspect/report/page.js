"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const frame = document.getElementById("frame");
  const map = document.getElementById("map");
  const where = document.getElementById("where");
  const night = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true };

  // Charts take their colours from the page, so that the style sheet alone decides about themes.
  const style = (element) => getComputedStyle(element);
  function themed(figure) {
    const ink = style(document.body).color;
    const card = style(document.querySelector(".cards > div"));
    const font = { family: style(document.body).fontFamily, size: 13, color: ink };
    const hoverlabel = { bgcolor: ink, bordercolor: ink, font: { ...font, color: card.backgroundColor } };
    const paper = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font, hoverlabel };
    const traces = figure.data.map((trace) => {
      if (trace.type === "treemap") {
        const colours = trace.ids.map((id) => (id === trace.ids[0] ? ink : trace.textfont.color));
        // Of its own, as plotly writes into what it is given.
        const marker = { ...trace.marker, line: { ...trace.marker.line } };
        return { ...trace, marker, textfont: { ...trace.textfont, color: colours } };
      }
      const probe = (name) => style(document.querySelector(`.probe .${name}`)).color;
      const colours = { grown: probe(figure.signed ? "more" : "plain"), shrunk: probe("less") };
      return { ...trace, marker: { color: trace.meta.map((kind) => colours[kind]), cornerradius: 3 } };
    });
    return { traces, layout: { margin: { t: 4, r: 4, b: 4, l: 4 }, dragmode: false, ...figure.layout, ...paper } };
  }

  // The treemap: one chart that shows either what is there or what was taken.
  let view = "contents";
  let tree = null;
  let level = null;
  let chosen = -1;

  function grow(trace) {
    const children = new Map();
    const index = new Map(trace.ids.map((id, number) => [id, number]));
    trace.parents.forEach((parent, number) => {
      children.set(parent, [...(children.get(parent) ?? []), trace.ids[number]]);
    });
    return { trace, children, index, top: trace.ids[0] };
  }
  const below = (id) => tree.children.get(id) ?? [];
  const named = (id, field) => tree.trace[field][tree.index.get(id)];
  const shown = (text) => new DOMParser().parseFromString(text, "text/html").body.textContent;

  // Buttons for the way from the top to here.
  function showWay() {
    const way = [];
    for (let id = level; id; id = named(id, "parents")) way.unshift(id);
    const steps = way.map((id) => {
      const step = document.createElement("button");
      step.type = "button";
      step.textContent = shown(named(id, "labels"));
      if (id === level) step.setAttribute("aria-current", "location");
      else step.addEventListener("click", () => go(id));
      return step;
    });
    // At the top a sentence takes their place.
    document.getElementById("crumbs").replaceChildren(...steps);
    document.getElementById("crumbs").hidden = level === tree.top;
    document.getElementById("about").hidden = level !== tree.top;
  }
  function tell(id, position) {
    const share = (100 * named(id, "values")) / named(tree.top, "values");
    const place = position ? ` (${position})` : "";
    where.textContent =
      `${shown(named(id, "labels"))}: ${named(id, "text")}, ${share.toFixed(1)} % of all, ${named(id, "customdata")}${place}`;
  }
  function show() {
    const { ids, marker: { line } } = tree.trace;
    const at = tree.index.get(below(level)[chosen]);
    const width = line.width.map((plain, number) => (number === at ? 4 : plain));
    const color = ids.map((_, number) => (number === at ? "#ffffff" : line.color));
    return Plotly.restyle(map, { level, "marker.line.width": [width], "marker.line.color": [color] });
  }
  function go(id) {
    level = id;
    chosen = -1;
    tell(id);
    showWay();
    return show();
  }
  function choose(step) {
    const choices = below(level);
    if (!choices.length) return;
    chosen = (chosen + step + choices.length) % choices.length;
    tell(choices[chosen], `${chosen + 1} of ${choices.length}`);
    show();
  }
  frame.addEventListener("keydown", (event) => {
    if (!tree) return;
    const actions = {
      ArrowRight: () => choose(1),
      ArrowDown: () => choose(1),
      ArrowLeft: () => choose(chosen < 0 ? 0 : -1),
      ArrowUp: () => choose(chosen < 0 ? 0 : -1),
      Enter: () => below(below(level)[chosen]).length && go(below(level)[chosen]),
      Escape: () => level !== tree.top && go(named(level, "parents")),
      Home: () => go(tree.top),
    };
    if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  });

  function draw() {
    const figure = data[view];
    const nothing = document.getElementById("nothing");
    document.getElementById("about").textContent = data.about[view];
    document.getElementById("about").hidden = !figure;
    frame.hidden = !figure;
    nothing.hidden = Boolean(figure);
    nothing.textContent = data.nothing[view];
    where.textContent = "";
    tree = null;
    document.getElementById("crumbs").hidden = true;
    if (!figure) return Promise.resolve();
    const { traces, layout } = themed(figure);
    tree = grow(figure.data[0]);
    level = tree.index.has(level) ? level : tree.top;
    traces[0].level = level;
    chosen = -1;
    showWay();
    return Plotly.react(map, traces, layout, config).then(() => {
      map.removeAllListeners("plotly_treemapclick");
      map.on("plotly_treemapclick", ({ points: [{ id }] }) => {
        // A file is looked at in its folder. The chart's own way down would be animated, whoever minds.
        const folder = below(id).length ? id : named(id, "parents");
        go(folder === level && folder === id ? named(id, "parents") || id : folder);
        tell(id);
        return false;
      });
    });
  }
  for (const choice of document.querySelectorAll("input[name=view]")) {
    choice.addEventListener("change", () => {
      view = choice.value;
      level = null;
      draw();
    });
  }

  function bars() {
    for (const name of ["imports", "growth"]) {
      const place = document.getElementById(`${name}-chart`);
      if (!place || !data[name]) continue;
      const { traces, layout } = themed({ ...data[name], signed: name === "growth" });
      // Room for the numbers beside the bars, on both sides where they go both ways.
      const values = traces[0].x;
      const most = Math.max(...values.map(Math.abs));
      const range = [Math.min(...values) < 0 ? -1.6 * most : 0, Math.max(...values) > 0 ? 1.5 * most : 0];
      place.style.height = `${layout.height}px`;
      Plotly.react(place, traces, { ...layout, xaxis: { ...layout.xaxis, range, fixedrange: true },
        yaxis: { ...layout.yaxis, fixedrange: true } }, config);
    }
  }

  // The theme: the system's, until somebody chooses.
  const button = document.getElementById("theme");
  function dress() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : night.matches;
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Change to light colours" : "Change to dark colours");
    button.setAttribute("aria-pressed", String(Boolean(root.dataset.theme)));
    draw();
    bars();
  }
  button.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : night.matches;
    root.dataset.theme = dark ? "light" : "dark";
    dress();
  });
  night.addEventListener("change", dress);

  // Tables that sort by the column whose heading is pressed.
  for (const heading of document.querySelectorAll("thead button")) {
    heading.addEventListener("click", () => {
      const cell = heading.closest("th");
      const body = cell.closest("table").tBodies[0];
      const column = cell.cellIndex;
      const down = cell.getAttribute("aria-sort") !== "descending";
      for (const other of cell.parentElement.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (one, other) =>
        key(one).localeCompare(key(other), "en", { numeric: true }) * (down ? -1 : 1);
      body.append(...[...body.rows].sort(order));
    });
  }

  dress();
  root.dataset.ready = "yes";
})();
