(() => {
  const started = performance.now();
  const { charts } = JSON.parse(document.getElementById("data").textContent);
  const said = document.getElementById("said");
  const state = { time: false, seeds: true };
  const plots = [];

  const places = (line) => (state.time && line.seconds ? line.seconds : line.x);

  const LOOKS = { main: [2.2, 1, ""], step: [2, 1, ""], seed: [1, 0.38, ""], second: [1.5, 0.9, "5 4"], dashed: [1.5, 1, "5 4"] };

  function drawLines(svg, chart, width) {
    const kept = chart.lines.filter((line) => line.style !== "seed" || state.seeds);
    const named = kept.filter((line) => !["seed", "range"].includes(line.style));
    // Names stand at the ends of their curves; where that takes too much of the width, in rows above.
    const widest = 16 + LETTER * Math.max(...named.map((l) => l.name.length));
    const aside = named.length > 1 && named.length < 9 && widest < width * 0.28;
    const strong = kept.filter((line) => line.style !== "range" || chart.wide);
    // On a logarithmic axis single seeds fall to nothing: the middle says how far it goes.
    const values = strong.flatMap((line) => (chart.log ? (line.style === "seed" ? [] : line.y) : [line.y, line.low ?? [], line.high ?? []].flat()));
    const [low, high] = chart.log ? extent(values, true) : atLeast(extent(values, false), chart.span ?? 0);
    // Names of levels stand there too: inside of the plot they would lie on the curves.
    const crossed = (chart.levels ?? []).filter((level) => level.value >= low && level.value <= high);
    const name = (level) => crossed.length > 1 ? `${level.text}: ${brief(level.value)}` : level.text;
    const keys = [
      ...(aside || named.length < 2 ? [] : named.map((line) => ({ name: line.name, ink: colour(line.run), dash: LOOKS[line.style][2] }))),
      ...crossed.map((level) => ({ name: name(level), dash: "2 3" })),
    ];
    const room = aside ? widest : 14, rows = legend(keys, width);
    const height = (chart.wide ? Math.max(250, Math.min(400, width * 0.42)) : 225) + 18 * rows.length;
    const yTicks = chart.log ? logTicks(low, high) : ticks(low, high, height / 55);
    const left = 12 + LETTER * Math.max(1, ...yTicks.map((t) => brief(t).length));
    const box = { left, right: width - room, top: 26 + 18 * rows.length, bottom: height - 42 };
    const xs = kept.flatMap(places);
    const steps = chart.x.includes("steps");
    const [first, last] = steps ? [0, Math.max(...xs.filter(finite), 1)] : extent(xs, false, 0);
    const x = scale(first, last, box.left, box.right), y = scale(low, high, box.bottom, box.top, chart.log);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const time = state.time && kept.some((line) => line.seconds);
    const labels = { x: time ? "wall time of training, seconds" : chart.x, y: chart.y };
    frame(svg, box, x, y, ticks(first, last, (box.right - box.left) / (width > 600 ? 85 : 58)), yTicks, labels);
    const clip = `clip-${chart.key}`;
    add(add(add(svg, "defs"), "clipPath", { id: clip }), "rect", { x: box.left, y: box.top - 6, width: box.right - box.left + 4, height: box.bottom - box.top + 7 });
    const inside = add(svg, "g", { "clip-path": `url(#${clip})`, fill: "none", "stroke-linejoin": "round" });
    for (const line of kept) {
      const at = places(line), tone = colour(line.run);
      if (line.low && line.high) add(inside, "path", { d: area(at, line.low, line.high, x, y), fill: tone, opacity: line.style === "range" ? 0.07 : 0.18 });
      if (line.style === "range") continue;
      const [thick, opacity, dash] = LOOKS[line.style];
      add(inside, "path", { d: path(at, line.y, x, y, line.style === "step"), stroke: tone, "stroke-width": thick, opacity, "stroke-dasharray": dash });
      if (chart.marks) at.forEach((p, i) => finite(line.y[i]) && add(inside, "circle", { cx: x(p), cy: y(line.y[i]), r: 3, fill: tone }));
    }
    for (const level of crossed) add(svg, "line", { class: "level", x1: box.left, x2: box.right, y1: y(level.value), y2: y(level.value) });
    if (aside) names(svg, named, box, x, y, room);
    for (const { key, left: at, top } of rows.flat()) {
      const ink = key.ink ?? "var(--soft)";
      add(svg, "line", { x1: at, x2: at + 14, y1: top - 4, y2: top - 4, stroke: ink, "stroke-width": key.ink ? 2.5 : 1, "stroke-dasharray": key.dash });
      add(svg, "text", { class: key.ink ? "name" : "key", x: at + 19, y: top, style: `fill:${ink}` }, key.name);
    }
    return { box, x, y, named };
  }

  const DRAW = { lines: drawLines, intervals: drawIntervals, heat: drawHeat, columns: drawColumns };

  function draw(plot) {
    const width = Math.max(260, Math.round(plot.place.clientWidth));
    plot.svg?.remove();
    plot.tip?.remove();
    plot.tip = plot.cursor = null;
    plot.svg = document.createElementNS(SVG, "svg");
    plot.svg.setAttribute("aria-hidden", "true");
    plot.drawn = DRAW[plot.chart.kind](plot.svg, plot.chart, width);
    plot.place.append(plot.svg);
    plot.width = width;
  }

  /** Shows the values at one point of the curves. */
  function point(plot, index, aloud) {
    if (!plot.drawn) return;
    const { box, x, named } = plot.drawn, longest = named.reduce((a, b) => (a.x.length >= b.x.length ? a : b));
    plot.index = Math.max(0, Math.min(longest.x.length - 1, index));
    const at = places(longest)[plot.index], px = x(at);
    plot.cursor ??= add(plot.svg, "line", { class: "cursor", y1: box.top, y2: box.bottom });
    plot.cursor.setAttribute("x1", px);
    plot.cursor.setAttribute("x2", px);
    if (!plot.tip) {
      plot.tip = Object.assign(document.createElement("div"), { className: "tip" });
      plot.place.append(plot.tip);
    }
    const texts = [`${exact(at)} ${state.time && longest.seconds ? "s" : plot.chart.x.includes("steps") ? "steps" : ""}`];
    for (const line of named) {
      const i = nearest(places(line), at), band = line.low && finite(line.low[i]) ? ` [${exact(line.low[i])}, ${exact(line.high[i])}]` : "";
      texts.push(`${line.name}: ${exact(line.y[i])}${band}`);
    }
    plot.tip.replaceChildren(...texts.map((text) => Object.assign(document.createElement("div"), { textContent: text })));
    const right = px + 14 + plot.tip.offsetWidth > plot.place.clientWidth;
    plot.tip.style.transform = `translate(${Math.max(0, right ? px - 14 - plot.tip.offsetWidth : px + 14)}px, ${box.top}px)`;
    if (aloud) said.textContent = texts.join(", ");
  }

  function nearest(xs, at) {
    let best = 0;
    xs.forEach((x, i) => { if (Math.abs(x - at) < Math.abs(xs[best] - at)) best = i; });
    return best;
  }

  function hide(plot) {
    plot.tip?.remove();
    plot.cursor?.remove();
    plot.tip = plot.cursor = null;
  }

  function listen(plot) {
    plot.place.addEventListener("pointermove", (event) => {
      if (!plot.drawn) return;
      const { x, named } = plot.drawn, place = plot.place.getBoundingClientRect();
      const longest = named.reduce((a, b) => (a.x.length >= b.x.length ? a : b));
      point(plot, nearest(places(longest).map(x), (event.clientX - place.left) * plot.width / place.width), false);
    });
    plot.place.addEventListener("pointerleave", () => hide(plot));
    plot.place.addEventListener("blur", () => hide(plot));
    plot.place.addEventListener("keydown", (event) => {
      const count = plot.drawn?.named[0]?.x.length ?? 0, now = plot.index ?? -1;
      const moves = { ArrowRight: now + 1, ArrowLeft: now - 1, PageUp: now - 10, PageDown: now + 10, Home: 0, End: count - 1 };
      if (event.key === "Escape") hide(plot);
      if (!count || !(event.key in moves)) return;
      event.preventDefault();
      point(plot, moves[event.key], true);
    });
  }

  /** Buttons for what all curves share; only those that change something. */
  function controls() {
    const place = document.getElementById("controls");
    const some = (test) => charts.some((chart) => chart.kind === "lines" && chart.lines.some(test));
    const group = (name, choices, chosen, pick) => {
      const set = document.createElement("fieldset");
      set.setAttribute("aria-label", name);
      choices.forEach((text, i) => {
        const label = document.createElement("label"), input = document.createElement("input");
        Object.assign(input, { type: "radio", name, checked: i === chosen, value: text });
        input.addEventListener("change", () => { pick(i); plots.filter((p) => p.chart.kind === "lines").forEach(draw); });
        label.append(input, text);
        set.append(label);
      });
      place.append(set);
    };
    if (some((line) => line.seconds)) group("Horizontal axis", ["steps", "wall time"], 0, (i) => { state.time = i === 1; });
    if (some((line) => line.style === "seed")) group("Curves", ["all seeds", "IQM alone"], 0, (i) => { state.seeds = i === 0; });
  }

  for (const chart of charts) {
    const plot = { chart, place: document.querySelector(`[data-chart="${chart.key}"]`) };
    plots.push(plot);
    draw(plot);
    listen(plot);
  }
  controls();
  let waiting = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => plots.filter((p) => p.width !== Math.max(260, Math.round(p.place.clientWidth))).forEach(draw));
  });
  document.documentElement.dataset.drawn = plots.length;
  document.documentElement.dataset.milliseconds = Math.round(performance.now() - started);
})();
