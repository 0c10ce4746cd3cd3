// Pictures as SVG: scales, axes, a frame with a title and a text alternative, level lines. No other library.
(function (root) {
  "use strict";

  const SPACE = "http://www.w3.org/2000/svg";

  function tag(name, attributes, ...children) {
    const node = document.createElementNS(SPACE, name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined) node.setAttribute(key, value);
    }
    for (const child of children.flat()) if (child !== null) node.append(child);
    return node;
  }

  function scale(range, pixels, log) {
    const of = log ? Math.log10 : (v) => v;
    const [low, high] = range.map(of);
    const position = (v) => pixels[0] + ((of(v) - low) / (high - low || 1)) * (pixels[1] - pixels[0]);
    return Object.assign(position, { range, log });
  }

  // Round numbers inside a range, about `count` of them.
  function ticks([low, high], count) {
    const rough = (high - low) / Math.max(count, 1);
    const power = 10 ** Math.floor(Math.log10(rough || 1));
    const unit = [1, 2, 5, 10].map((m) => m * power).find((u) => u >= rough * 0.999) || power;
    const found = [];
    for (let i = Math.ceil(low / unit - 1e-9); i * unit <= high + unit * 1e-9; i++) found.push(i * unit);
    return found;
  }

  function powers([low, high], base) {
    const found = [];
    for (let k = Math.ceil(Math.log(low) / Math.log(base) - 1e-9); base ** k <= high * 1.000001; k++) found.push(base ** k);
    return found;
  }

  // A number as one would write it, with a real minus sign.
  function number(value, digits = 3) {
    if (Math.abs(value) < 1e-12) return "0"; // what is left of a sum that cancels
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    const text = size >= 1e5 || size < 1e-4 ? size.toExponential(1) : String(Number(size.toPrecision(digits)));
    return (value < 0 ? "−" : "") + text;
  }

  // A little air around values; never empty.
  function around(values, air = 0.08) {
    const low = Math.min(...values);
    const high = Math.max(...values);
    const room = (high - low) * air || Math.max(Math.abs(high) * 0.1, 0.5);
    return [low - room, high + room];
  }

  let counted = 0;

  // Fills `host` with a framed picture and returns its scales and the group to draw in. x and y are
  // { range, label, ticks, names, log, grid }; `title` and `text` are what a screen reader says.
  function chart(host, { height = 260, left = 56, right = 14, top = 12, bottom = 42, x, y, title, text }) {
    const width = Math.max(host.clientWidth || 320, 220);
    const id = `plot${++counted}`;
    const svg = tag("svg", {
      viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-labelledby": `${id}t ${id}d`, class: "chart",
    });
    svg.append(tag("title", { id: `${id}t` }, title), tag("desc", { id: `${id}d` }, text));
    const across = scale(x.range, [left, width - right], x.log);
    const up = scale(y.range, [height - bottom, top], y.log);
    const box = { left, right: width - right, top, bottom: height - bottom, width, height };
    const frame = tag("g", { class: "axes", "aria-hidden": "true" });
    axis(frame, x, across, box, true);
    axis(frame, y, up, box, false);
    const clip = tag("clipPath", { id: `${id}c` }, tag("rect", {
      x: left, y: top, width: Math.max(box.right - left, 1), height: Math.max(box.bottom - top, 1),
    }));
    const marks = tag("g", { "clip-path": `url(#${id}c)`, "aria-hidden": "true" });
    const over = tag("g", { "aria-hidden": "true" });
    svg.append(clip, frame, marks, over);
    host.replaceChildren(svg);
    return { svg, x: across, y: up, box, marks, over };
  }

  function axis(frame, spec, position, box, horizontal) {
    const room = horizontal ? (box.right - box.left) / 70 : (box.bottom - box.top) / 40;
    const values = spec.ticks || (spec.log ? powers(spec.range, 10) : ticks(spec.range, room));
    for (const value of values) {
      const at = position(value);
      const name = spec.names ? spec.names(value) : number(value);
      if (horizontal) {
        frame.append(tag("line", { x1: at, x2: at, y1: box.bottom, y2: box.bottom + 4, class: "tick" }));
        frame.append(tag("text", { x: at, y: box.bottom + 16, class: "label middle" }, name));
      } else {
        if (spec.grid !== false) frame.append(tag("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "grid" }));
        frame.append(tag("text", { x: box.left - 6, y: at + 4, class: "label end" }, name));
      }
    }
    if (horizontal) {
      frame.append(tag("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, class: "base" }));
      frame.append(tag("text", { x: (box.left + box.right) / 2, y: box.bottom + 34, class: "name middle" }, spec.label));
    } else {
      const middle = (box.top + box.bottom) / 2;
      const turn = `rotate(-90 11 ${middle})`;
      frame.append(tag("text", { x: 11, y: middle + 4, transform: turn, class: "name middle" }, spec.label));
    }
  }

  function path(points, attributes) {
    const d = points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
    return tag("path", { d, fill: "none", ...attributes });
  }

  // An arrow from one point to another.
  function arrow([x1, y1], [x2, y2], attributes) {
    const length = Math.hypot(x2 - x1, y2 - y1);
    if (length < 0.5) return tag("g", attributes);
    const head = Math.min(9, length * 0.6);
    const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
    const side = (sign) => `${(x2 - head * ux - sign * head * 0.5 * uy).toFixed(1)} ${(y2 - head * uy + sign * head * 0.5 * ux).toFixed(1)}`;
    const d = `M${x1.toFixed(1)} ${y1.toFixed(1)}L${(x2 - ux * head * 0.7).toFixed(1)} ${(y2 - uy * head * 0.7).toFixed(1)}`;
    const tip = `M${x2.toFixed(1)} ${y2.toFixed(1)}L${side(1)}L${side(-1)}Z`;
    return tag("g", attributes, tag("path", { d, fill: "none" }), tag("path", { d: tip, class: "tip" }));
  }

  // Where a function on a grid is at least `level`, as one path of small polygons (marching squares, filled).
  function region(grid, level, px, py) {
    let d = "";
    for (let j = 0; j + 1 < grid.length; j++) {
      for (let i = 0; i + 1 < grid[j].length; i++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const polygon = [];
        corners.forEach(([a, b], k) => {
          const [c, e] = corners[(k + 1) % 4];
          const [here, there] = [grid[b][a] - level, grid[e][c] - level];
          if (here >= 0) polygon.push([px(a), py(b)]);
          if (here >= 0 !== there >= 0) {
            const share = here / (here - there);
            polygon.push([px(a + share * (c - a)), py(b + share * (e - b))]);
          }
        });
        if (polygon.length > 2) d += polygon.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") + "Z";
      }
    }
    return d;
  }

  root.draw = { tag, chart, path, arrow, region, around, ticks, powers, number };
})(globalThis.logpi);
