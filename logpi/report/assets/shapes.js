// What charts are made of, and those charts that have no curves: what they show does not change.

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
