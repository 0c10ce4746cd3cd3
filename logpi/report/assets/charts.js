(() => {
  const started = performance.now();
  const { charts } = JSON.parse(document.getElementById("data").textContent);
  const said = document.getElementById("said");
  const state = { time: false, seeds: true };
  const plots = [];

  /** A path through points, with gaps where there is none. */
  function path(xs, ys, x, y, step) {
    let text = "", open = false, last = 0;
    xs.forEach((at, i) => {
      if (!finite(at) || !finite(ys[i])) { open = false; return; }
      const px = x(at).toFixed(1), py = y(ys[i]).toFixed(1);
      text += open ? (step ? `L${px} ${last}L${px} ${py}` : `L${px} ${py}`) : `M${px} ${py}`;
      open = true;
      last = py;
    });
    return text;
  }

  /** The area between two curves, in as many pieces as there are gaps. */
  function area(xs, low, high, x, y) {
    let text = "", piece = [];
    const close = () => {
      if (piece.length > 1) {
        const up = piece.map((i) => `${x(xs[i]).toFixed(1)} ${y(high[i]).toFixed(1)}`);
        const down = piece.reverse().map((i) => `${x(xs[i]).toFixed(1)} ${y(low[i]).toFixed(1)}`);
        text += `M${up.join("L")}L${down.join("L")}Z`;
      }
      piece = [];
    };
    xs.forEach((_, i) => (finite(xs[i]) && finite(low[i]) && finite(high[i]) ? piece.push(i) : close()));
    close();
    return text;
  }

  const places = (line) => (state.time && line.seconds ? line.seconds : line.x);

  /** The frame of a chart: grid, numbers and labels of its axes. */
  function frame(svg, box, x, y, xTicks, yTicks, labels) {
    for (const tick of yTicks) {
      add(svg, "line", { class: "grid", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) });
      add(svg, "text", { x: box.left - 7, y: y(tick) + 4, "text-anchor": "end" }, brief(tick));
    }
    add(svg, "line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom });
    for (const tick of xTicks) add(svg, "text", { x: x(tick), y: box.bottom + 17, "text-anchor": "middle" }, brief(tick));
    add(svg, "text", { x: (box.left + box.right) / 2, y: box.bottom + 35, "text-anchor": "middle" }, labels.x);
    add(svg, "text", { x: 0, y: 11 }, labels.y);
  }

  /** Lines straight up at values that mean something, with their names above the rows. */
  function uprights(svg, chart, box, x, width) {
    for (const level of chart.levels ?? []) {
      const at = x(level.value), half = (LETTER * level.text.length) / 2;
      if (at < box.left - 1 || at > box.right + 1) continue;
      add(svg, "line", { class: "level", x1: at, x2: at, y1: box.top, y2: box.bottom });
      if (level.text) add(svg, "text", { x: Math.max(half, Math.min(width - half, at)), y: box.top - 5, "text-anchor": "middle" }, level.text);
    }
  }

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

  /** Places for names in rows under the title. */
  function legend(keys, width) {
    const rows = keys.length ? [[]] : [];
    let left = 0;
    for (const key of keys) {
      const size = 36 + LETTER * key.name.length;
      if (left && left + size > width) { rows.push([]); left = 0; }
      rows.at(-1).push({ key, left, top: 12 + 18 * rows.length });
      left += size;
    }
    return rows;
  }

  /** The names of curves at their ends, moved apart. */
  function names(svg, named, box, x, y, room) {
    const ends = named.map((line) => {
      let i = line.y.length - 1;
      while (i > 0 && !finite(line.y[i])) i--;
      return { line, at: y(line.y[i] ?? 0) + 4 };
    }).sort((a, b) => a.at - b.at);
    for (let i = 1; i < ends.length; i++) ends[i].at = Math.max(ends[i].at, ends[i - 1].at + 14);
    const over = (ends.at(-1)?.at ?? 0) - box.bottom;
    if (over > 0) {
      ends.at(-1).at -= over;
      for (let i = ends.length - 2; i >= 0; i--) ends[i].at = Math.min(ends[i].at, ends[i + 1].at - 14);
    }
    for (const { line, at } of ends) add(svg, "text", { class: "name", x: box.right + 8, y: at, style: `fill:${colour(line.run)}` }, short(line.name, (room - 8) / LETTER));
  }

  function drawIntervals(svg, chart, width) {
    // Names stand beside their intervals; where that takes too much of the width, above them, in as many lines as it takes.
    const rows = chart.rows, names = 14 + Math.max(...rows.map((r) => (r.strong ? STRONG : LETTER) * r.name.length)), above = names > width * 0.55;
    const lines = rows.map((r) => above ? wrapped(r.name, width / (r.strong ? STRONG : LETTER)) : [r.name]);
    const rowHeight = above ? 22 + 15 * Math.max(...lines.map((l) => l.length)) : rows.length > 12 ? 19 : 25;
    const height = 24 + rows.length * rowHeight + 44;
    const box = { left: above ? 8 : names, right: width - 52, top: 22, bottom: 22 + rows.length * rowHeight + 4 };
    const ends = rows.flatMap((r) => [r.value, r.low, r.high]), fixed = chart.levels.map((level) => level.value);
    const [low, high] = extent([...ends, ...fixed], chart.log);
    const x = scale(low, high, box.left, box.right, chart.log);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const tick of chart.log ? logTicks(low, high) : ticks(low, high, Math.max(2, (box.right - box.left) / 70))) {
      add(svg, "line", { class: "grid", x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom });
      add(svg, "text", { x: x(tick), y: box.bottom + 16, "text-anchor": "middle" }, brief(tick));
    }
    add(svg, "text", { x: (box.left + box.right) / 2, y: box.bottom + 34, "text-anchor": "middle" }, chart.x);
    uprights(svg, chart, box, x, width);
    rows.forEach((row, i) => {
      const at = above ? box.top + (i + 1) * rowHeight - 9 : box.top + (i + 0.6) * rowHeight, tone = colour(row.run), opacity = row.strong ? 1 : 0.55;
      const first = above ? at - 1 - 15 * lines[i].length : at + 4;
      lines[i].forEach((text, k) => add(svg, "text", { x: 0, y: first + 15 * k, class: row.strong ? "name halo" : "halo" }, text));
      if (finite(row.low) && finite(row.high)) add(svg, "line", { x1: x(row.low), x2: x(row.high), y1: at, y2: at, stroke: tone, "stroke-width": row.strong ? 3 : 2, opacity, "stroke-linecap": "round" });
      add(svg, "circle", { cx: x(row.value), cy: at, r: row.strong ? 4.5 : 3.5, fill: tone, opacity });
      add(svg, "text", { x: width, y: at + 4, "text-anchor": "end" }, brief(row.value));
    });
    return null;
  }

  function drawHeat(svg, chart, width) {
    const names = 14 + LETTER * Math.max(...chart.rows.map((r) => r.length));
    const columns = chart.values[0].length, gap = 14, groups = chart.groups.length;
    const cell = Math.min(64, (width - names - gap * (groups - 1)) / columns), tall = 24;
    const words = wrapped(`${chart.x}, grouped by policy; rows are ${chart.y}s; 0 is blank, 1 is full`, width / LETTER);
    const height = 40 + chart.rows.length * tall + 12 + 15 * words.length;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    let column = 0, left = names;
    for (const [name, actions] of chart.groups) {
      add(svg, "text", { class: "name", x: left, y: 12 }, short(name, (actions.length * cell + gap - 4) / LETTER));
      actions.forEach((action) => {
        add(svg, "text", { x: left + cell / 2, y: 32, "text-anchor": "middle" }, short(action, cell / LETTER));
        chart.values.forEach((row, i) => {
          const p = row[column] ?? 0, top = 40 + i * tall;
          const box = add(svg, "rect", { class: "cell", x: left, y: top, width: cell, height: tall, fill: colour(chart.run), "fill-opacity": 0.04 + 0.96 * p });
          add(box, "title", {}, `${name}, ${chart.y} ${chart.rows[i]}, ${chart.x} ${action}: ${exact(row[column])}`);
          if (cell > 30) add(svg, "text", { class: p > 0.7 ? "on" : "in", x: left + cell / 2, y: top + 16, "text-anchor": "middle" }, p.toFixed(2));
        });
        column++;
        left += cell;
      });
      left += gap;
    }
    chart.rows.forEach((row, i) => add(svg, "text", { x: 0, y: 40 + i * tall + 16 }, row));
    words.forEach((text, k) => add(svg, "text", { x: 0, y: 60 + chart.rows.length * tall + 15 * k }, text));
    return null;
  }

  function drawColumns(svg, chart, width) {
    const height = 225, sums = chart.stacks[0].counts.map((_, i) => chart.stacks.reduce((s, k) => s + k.counts[i], 0));
    const high = Math.max(...sums, 1) * 1.08, yTicks = ticks(0, high, 4).filter(Number.isInteger);
    const box = { left: 12 + LETTER * Math.max(...yTicks.map((t) => brief(t).length)), right: width - 6, top: 44, bottom: height - 42 };
    const first = chart.edges[0], last = chart.edges.at(-1);
    const x = scale(first, last, box.left, box.right), y = scale(0, high, box.bottom, box.top);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const xTicks = last - first < 2 ? [(first + last) / 2] : ticks(first, last, (box.right - box.left) / 70);
    frame(svg, box, x, y, xTicks, yTicks, chart);
    const floor = sums.map(() => 0);
    let at = box.left;
    for (const stack of chart.stacks) {
      stack.counts.forEach((count, i) => {
        if (!count) return;
        const wide = Math.min(x(chart.edges[i + 1]) - x(chart.edges[i]) - 1.5, 90), middle = x((chart.edges[i] + chart.edges[i + 1]) / 2);
        add(svg, "rect", { x: middle - wide / 2, width: Math.max(1, wide), y: y(floor[i] + count), height: y(floor[i]) - y(floor[i] + count), fill: colour(stack.run), rx: 1 });
        floor[i] += count;
      });
      add(svg, "circle", { cx: at + 5, cy: 28, r: 4.5, fill: colour(stack.run) });
      add(svg, "text", { x: at + 14, y: 32 }, stack.name);
      at += 30 + LETTER * stack.name.length;
    }
    return null;
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
