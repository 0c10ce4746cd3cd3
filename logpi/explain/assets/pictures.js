// The pictures of the page. Each takes the state and what was computed from it, draws, and says it in words.
(function (root) {
  "use strict";

  const { tag, chart, path, arrow, region, around, number } = root.draw;
  const M = root.maths;
  const $ = (id) => document.getElementById(id);
  const finite = (state) => state.policy !== "gaussian";

  // From low over middling to high.
  function colour(reward, [low, high]) {
    const t = high > low ? (reward - low) / (high - low) : 0.5;
    const share = Math.round(Math.abs(2 * t - 1) * 100);
    return `fill:color-mix(in oklab, var(--${t >= 0.5 ? "high" : "low"}) ${share}%, var(--mid))`;
  }

  function rewardRange(state, batch) {
    const rewards = finite(state) ? state.reward : batch.map((s) => s.reward);
    return [Math.min(...rewards), Math.max(...rewards)];
  }

  // ---- 1: the policy and its samples --------------------------------------------------------------------------------

  function policyPicture(state, seen) {
    if (finite(state)) bars(state, seen);
    else density(state, seen);
  }

  function bars(state, { batch }) {
    const raw = state.policy === "raw";
    const heights = raw ? M.weights("raw", state.theta) : M.probabilities(state.policy, state.theta);
    const total = root.parts.sum(heights);
    const top = Math.max(...heights, raw ? 0 : 0.5) * 1.18;
    const count = heights.map((_, a) => batch.filter((s) => s.action === a).length);
    const range = rewardRange(state, batch);
    const text = heights.map((h, a) =>
      `Action ${a}: ${number(h)}, reward ${number(state.reward[a])}, drawn ${count[a]} times.`).join(" ");
    const plot = chart($("policy-plot"), {
      title: "The policy: a bar for each action", text, height: 290,
      x: { range: [-0.5, heights.length - 0.5], label: "action a, with its reward f(a)", ticks: heights.map((_, a) => a), names: (a) => `${a}  (f = ${number(state.reward[a])})` },
      y: { range: [0, top], label: root.words.policies[state.policy].axis },
    });
    const width = (plot.x(1) - plot.x(0)) * 0.62;
    heights.forEach((h, a) => {
      const [x, base] = [plot.x(a) - width / 2, plot.y(0)];
      const share = (count[a] / batch.length) * total;
      plot.marks.append(tag("rect", { x, y: plot.y(h), width, height: base - plot.y(h), class: "bar" }));
      plot.marks.append(tag("rect", { x: x + width * 0.2, y: plot.y(share), width: width * 0.6, height: base - plot.y(share), style: colour(state.reward[a], range), rx: 2 }));
      plot.over.append(tag("text", { x: plot.x(a), y: Math.min(plot.y(h), plot.y(share)) - 6, class: "middle strong" }, number(h, 2)));
    });
    const drawn = state.estimator === "enumerate" ? " They are not used: the sum goes over all actions." : "";
    $("policy-caption").innerHTML = `Grey: ${raw ? `exp(α + βa), which add up to <b>${number(total)}</b> and not to 1` : "π(a)"}. Coloured: the share of
      ${batch.length} samples that took it, from <span class="ramp"></span> low to high reward.${drawn}`;
  }

  function density(state, { batch }) {
    const [mean, log] = state.theta;
    const std = Math.exp(log);
    const host = $("policy-plot");
    host.innerHTML = "<div></div><div></div>";
    const range = [Math.min(-5, mean - 3.2 * std), Math.max(5, mean + 3.2 * std)];
    const actions = Array.from({ length: 161 }, (_, i) => range[0] + ((range[1] - range[0]) * i) / 160);
    const heights = actions.map((a) => Math.exp(M.logProb("gaussian", state.theta, a)));
    const plot = chart(host.firstChild, {
      title: "The policy: its density", height: 140, bottom: 22,
      text: `A bell curve around ${number(mean)} with standard deviation ${number(std)}.`,
      x: { range, label: "" }, y: { range: [0, Math.max(...heights) * 1.1], label: "density" },
    });
    const points = actions.map((a, i) => [plot.x(a), plot.y(heights[i])]);
    plot.marks.append(path([[plot.x(range[0]), plot.y(0)], ...points, [plot.x(range[1]), plot.y(0)]], { class: "area", stroke: "none", fill: null }));
    plot.marks.append(path(points, { class: "curve" }));
    rewardCurve(state, batch, host.lastChild, range, actions);
    $("policy-caption").innerHTML = `Above: π(a). Below: the reward of every action, and the ${batch.length} samples on it, from
      <span class="ramp"></span> low to high.`;
  }

  function rewardCurve(state, batch, host, range, actions) {
    const { f } = M.functions[state.reward];
    const values = actions.filter((a) => a >= -4.2 && a <= 4.2).map(f).concat(batch.map((s) => s.reward));
    const spread = rewardRange(state, batch);
    const plot = chart(host, {
      title: "The reward of each action, with the samples", height: 170,
      text: `${batch.length} samples with rewards from ${number(spread[0])} to ${number(spread[1])}.`,
      x: { range, label: "action a" }, y: { range: around(values), label: "reward f(a)" },
    });
    plot.marks.append(path(actions.map((a) => [plot.x(a), plot.y(f(a))]), { class: "other" }));
    const shown = batch.slice(0, 300);
    shown.forEach((s) => plot.marks.append(tag("circle", { cx: plot.x(s.action), cy: plot.y(s.reward), r: shown.length > 100 ? 2.6 : 4, style: colour(s.reward, spread), stroke: "var(--paper)", "stroke-width": 0.7 })));
  }

  // ---- 2: the hill --------------------------------------------------------------------------------------------------

  const kept = { key: "", grid: null };

  function surface(state, pair, ranges) {
    const others = state.theta.map((v, k) => (pair.includes(k) ? "" : v.toFixed(6)));
    const key = JSON.stringify([state.policy, state.reward, pair, others]);
    if (kept.key !== key) {
      const [columns, rows] = finite(state) ? [40, 40] : [40, 30];
      const at = (k, i, n) => ranges[k][0] + ((ranges[k][1] - ranges[k][0]) * i) / n;
      const grid = Array.from({ length: rows + 1 }, (_, j) => Array.from({ length: columns + 1 }, (_, i) => {
        const theta = state.theta.slice();
        theta[pair[0]] = at(0, i, columns);
        theta[pair[1]] = at(1, j, rows);
        return M.objective(state.policy, theta, state.reward);
      }));
      Object.assign(kept, { key, grid });
    }
    return kept.grid;
  }

  // Levels by rank, not by height: a hill whose top is flat still shows its shape.
  function levels(grid, count) {
    const all = grid.flat().sort((a, b) => a - b);
    const found = Array.from({ length: count }, (_, i) => all[Math.floor(((i + 1) / (count + 1)) * (all.length - 1))]);
    const room = (all[all.length - 1] - all[0]) * 1e-6;
    return found.filter((level, i) => level > all[0] + room && (i === 0 || level > found[i - 1] + room));
  }

  function hillPicture(state, seen) {
    const { policy, theta } = state;
    const symbols = root.words.policies[policy].symbols;
    const pair = theta.length === 1 ? [0] : state.pair;
    const ranges = pair.map((k) => M.policies[policy].range[k]);
    const trail = seen.trail.map((point) => pair.map((k) => point[k]));
    const text = `J is ${number(seen.J)} at ${theta.map((v, k) => `${symbols[k]} = ${number(v)}`).join(", ")}, after ${seen.trail.length - 1} steps.`;
    if (pair.length === 1) curve(state, seen, ranges[0], trail, text);
    else contours(state, seen, pair, ranges, trail, text);
  }

  function curve(state, seen, range, trail, text) {
    const grid = Array.from({ length: 121 }, (_, i) => range[0] + ((range[1] - range[0]) * i) / 120);
    const J = (v) => M.objective(state.policy, [v], state.reward);
    const plot = chart($("hill-plot"), {
      title: "J as a curve over the parameter", text, height: 290,
      x: { range, label: "parameter θ" }, y: { range: around(grid.map(J)), label: "expected return J" },
    });
    plot.marks.append(path(grid.map((v) => [plot.x(v), plot.y(J(v))]), { class: "curve" }));
    trail.forEach(([v]) => plot.marks.append(tag("circle", { cx: plot.x(v), cy: plot.y(J(v)), r: 3, class: "climb dot" })));
    const tangent = (slope, kind, dx) => {
      const end = [plot.x(state.theta[0] + dx), plot.y(seen.J + slope * dx)];
      plot.over.append(arrow([plot.x(state.theta[0]), plot.y(seen.J)], end, { class: kind }));
    };
    const reach = (slope) => Math.sign(slope || 1) * 0.9;
    tangent(seen.exact[0], "exact", reach(seen.exact[0]));
    tangent(seen.estimate.mean[0], "estimate", reach(seen.estimate.mean[0]));
    $("hill-caption").innerHTML = arrowsCaption("The arrows are the slopes uphill:");
  }

  function contours(state, seen, pair, ranges, trail, text) {
    const symbols = root.words.policies[state.policy].symbols;
    const grid = surface(state, pair, ranges);
    const plot = chart($("hill-plot"), {
      title: "J as level lines over two parameters", text, height: 330,
      x: { range: ranges[0], label: symbols[pair[0]] }, y: { range: ranges[1], label: symbols[pair[1]], grid: false },
    });
    const [nx, ny] = [grid[0].length - 1, grid.length - 1];
    const px = (i) => plot.x(ranges[0][0] + ((ranges[0][1] - ranges[0][0]) * i) / nx);
    const py = (j) => plot.y(ranges[1][0] + ((ranges[1][1] - ranges[1][0]) * j) / ny);
    const steps = levels(grid, 9);
    steps.forEach((level, i) => {
      const fill = `fill:color-mix(in oklab, var(--tint) ${Math.round(((i + 1) / steps.length) * 62)}%, var(--paper))`;
      plot.marks.append(tag("path", { d: region(grid, level, px, py), style: fill, stroke: "none" }));
    });
    const here = [plot.x(state.theta[pair[0]]), plot.y(state.theta[pair[1]])];
    plot.marks.append(path(trail.map(([a, b]) => [plot.x(a), plot.y(b)]), { class: "climb" }));
    plot.marks.append(tag("circle", { cx: here[0], cy: here[1], r: 5, class: "climb dot" }));
    compass(state, seen, pair, plot, here);
    const slice = state.theta.length > 2 ? " A slice through the others as they are now; the path is seen from above." : "";
    $("hill-caption").innerHTML = `${arrowsCaption("Bluer is higher. The path <span class='key climb'></span> climbs.")}${slice}`;
  }

  // Both gradients as arrows of one scale, with one standard error around the tip of the estimate.
  function compass(state, seen, pair, plot, here) {
    const unit = pair.map((k, axis) => (axis ? plot.y(1) - plot.y(0) : plot.x(1) - plot.x(0)));
    const pixels = (g) => pair.map((k, axis) => g[k] * unit[axis]);
    const [exact, guess, error] = [seen.exact, seen.estimate.mean, seen.estimate.error].map(pixels);
    const longest = Math.max(Math.hypot(...exact), Math.hypot(...guess), 1e-9);
    const zoom = Math.min(70 / longest, 1e6);
    const tip = (v) => [here[0] + v[0] * zoom, here[1] + v[1] * zoom];
    const [cx, cy] = tip(guess);
    plot.marks.append(tag("ellipse", { cx, cy, rx: Math.abs(error[0]) * zoom, ry: Math.abs(error[1]) * zoom, class: "band" }));
    plot.marks.append(arrow(here, tip(exact), { class: "exact" }), arrow(here, tip(guess), { class: "estimate" }));
  }

  function arrowsCaption(before) {
    return `${before} <span class="key exact"></span> exact gradient, <span class="key estimate"></span> the estimate from these samples.`;
  }

  root.pictures = { policyPicture, hillPicture, colour, rewardRange };
})(globalThis.logpi);
