// Pictures 3 to 6: what the samples add, their mean, its error, the climb and the twin's cost.
(function (root) {
  "use strict";

  const { tag, chart, path, around, powers, number } = root.draw;
  const M = root.maths;
  const $ = (id) => document.getElementById(id);

  // ---- 3: what each sample adds -------------------------------------------------------------------------------------

  // With a sum over all actions each adds its share: n actions times pi f s have the gradient as their mean.
  function parts(state, { batch }) {
    if (state.estimator !== "enumerate") return batch;
    const p = M.probabilities(state.policy, state.theta);
    return p.map((mass, action) => {
      const push = M.score(state.policy === "raw" ? "loglinear" : state.policy, state.theta, action);
      return { action, reward: state.reward[action], part: push.map((s) => mass * state.reward[action] * s * p.length) };
    });
  }

  function pushPicture(state, seen) {
    const { symbols } = root.words.policies[state.policy];
    const host = $("push-plot");
    const every = parts(state, seen);
    const shown = every.slice(0, 64);
    const range = root.pictures.rewardRange(state, seen.batch);
    const rows = state.theta.map(() => document.createElement("div"));
    host.replaceChildren(...rows);
    host.classList.toggle("single", rows.length === 1);
    rows.forEach((row, k) => {
      const values = shown.map((s) => s.part[k]);
      const [average, error] = [seen.estimate.mean[k], seen.estimate.error[k]];
      const plot = chart(row, {
        title: `What each sample adds to the derivative in ${symbols[k]}`, height: 165,
        text: `${values.filter((v) => v > 1e-12).length} of ${values.length} push ${symbols[k]} up. The mean is ${number(average)}, give or take ${number(error)}.`,
        x: { range: [0.2, shown.length + 0.8], label: state.estimator === "enumerate" ? "action" : "sample", ticks: stops(shown.length), names: (i) => (state.estimator === "enumerate" ? i - 1 : i) },
        y: { range: around([0, ...values, average]), label: `part of ∂J/∂${symbols[k].replace("mean ", "")}` },
      });
      const width = Math.max(1.5, Math.min(26, (plot.x(2) - plot.x(1)) * 0.7));
      values.forEach((v, i) => {
        const [x, from, to] = [plot.x(i + 1) - width / 2, plot.y(Math.max(v, 0)), plot.y(Math.min(v, 0))];
        plot.marks.append(tag("rect", { x, y: from, width, height: Math.max(to - from, 0.8), style: root.pictures.colour(shown[i].reward, range) }));
      });
      const [left, right] = [plot.box.left, plot.box.right];
      plot.marks.append(tag("line", { x1: left, x2: right, y1: plot.y(0), y2: plot.y(0), class: "base" }));
      plot.marks.append(tag("rect", { x: left, width: right - left, y: plot.y(average + error), height: Math.max(plot.y(average - error) - plot.y(average + error), 0), class: "band" }));
      plot.marks.append(tag("line", { x1: left, x2: right, y1: plot.y(average), y2: plot.y(average), class: "estimate" }));
    });
    const what = { score: "advantage times score", pathwise: "the derivative of its reward", enumerate: "its probability times reward times score" };
    const more = every.length > shown.length ? ` The first ${shown.length} of ${every.length}.` : "";
    $("push-caption").innerHTML = `Each bar: ${what[state.estimator]}, coloured by reward <span class="ramp"></span>. Line: the mean of
      all of them, with one standard error.${more}`;
  }

  function stops(n) {
    const step = n <= 8 ? 1 : n <= 20 ? 4 : n <= 40 ? 8 : 16;
    return Array.from({ length: n }, (_, i) => i + 1).filter((i) => (n <= 8 ? true : i % step === 0 || i === 1));
  }

  // ---- 4: their mean ------------------------------------------------------------------------------------------------

  function sumPicture(state, seen) {
    const { symbols } = root.words.policies[state.policy];
    const { mean, error } = seen.estimate;
    const values = mean.flatMap((m, k) => [m - error[k], m + error[k], seen.exact[k], 0]);
    const last = mean.length - 1;
    const plot = chart($("sum-plot"), {
      title: "The estimate with its standard error, beside the exact gradient", height: 62 + 44 * mean.length, left: 64,
      text: symbols.map((s, k) => `${s}: ${number(mean[k])} ± ${number(error[k])}, exactly ${number(seen.exact[k])}.`).join(" "),
      x: { range: around(values, 0.1), label: "partial derivative of J" },
      y: { range: [last + 0.6, -0.6], label: "", ticks: mean.map((_, k) => k), names: (k) => symbols[k], grid: false },
    });
    plot.marks.append(tag("line", { x1: plot.x(0), x2: plot.x(0), y1: plot.box.top, y2: plot.box.bottom, class: "zero" }));
    mean.forEach((m, k) => {
      const y = plot.y(k);
      plot.over.append(tag("line", { x1: plot.x(m - error[k]), x2: plot.x(m + error[k]), y1: y, y2: y, class: "estimate" }));
      plot.over.append(tag("circle", { cx: plot.x(seen.exact[k]), cy: y, r: 7, class: "exact dot" }));
      plot.over.append(tag("circle", { cx: plot.x(m), cy: y, r: 4, class: "estimate dot" }));
    });
    numbers(state, seen, symbols);
    $("sum-caption").innerHTML = `<span class="key estimate"></span> estimate and its standard error. <span class="key exact"></span> exact.${beside(state)}`;
  }

  function beside(state) {
    if (state.policy !== "raw" || state.estimator !== "score") return "";
    if (["loo", "mean"].includes(state.baseline)) return " A baseline does here what the division by the sum should have done.";
    return " The estimate is wrong however many samples there are: this π is no distribution, and its scores do not average to 0.";
  }

  function numbers(state, seen, symbols) {
    const cell = (name, k, value) => `<td class="number" data-name="${name}" data-k="${k}" data-value="${value}">${number(value, 4)}</td>`;
    const rows = symbols.map((s, k) => `<tr><th scope="row">∂J/∂${s.replace("mean ", "")}</th>${cell("estimate", k, seen.estimate.mean[k])}
      ${cell("error", k, seen.estimate.error[k])}${cell("exact", k, seen.exact[k])}</tr>`);
    $("numbers").innerHTML = `<caption class="quiet">The gradient</caption><thead><tr><td></td><th scope="col" class="number">estimate</th>
      <th scope="col" class="number">± std. error</th><th scope="col" class="number">exact</th></tr></thead><tbody>${rows.join("")}</tbody>`;
  }

  // ---- 5: the error and the number of samples -----------------------------------------------------------------------

  function errorPicture(state, seen) {
    const counts = powers([2, 4096], 2);
    const kinds = Object.keys(root.words.baselines).map((b) => ({ name: root.words.baselines[b], estimator: "score", baseline: b }));
    if (state.policy === "gaussian" && !M.functions[state.reward].jumps.length) kinds.push({ name: "pathwise", estimator: "pathwise" });
    const lines = kinds.map((kind) => {
      const setting = { ...state, ...kind };
      const known = M.moments(setting);
      const mine = kind.estimator === state.estimator && (kind.estimator === "pathwise" || kind.baseline === state.baseline);
      return { ...kind, mine, values: counts.map((n) => M.rootMeanSquare(setting, n, known)) };
    });
    const all = lines.flatMap((l) => l.values);
    const top = Math.max(...all, 1e-6);
    const drawn = lines.filter((l) => l.values[0] > 1e-7 * top);
    const low = Math.max(Math.min(...drawn.flatMap((l) => l.values), top) / 1.6, top * 1e-5);
    const mine = lines.find((l) => l.mine);
    const own = mine ? M.rootMeanSquare(state, state.samples) : 0;
    const plot = chart($("error-plot"), {
      title: "Error of the gradient over the number of samples, both axes logarithmic", height: 330, right: 104,
      text: lines.map((l) => `${l.name}: ${number(l.values[0])} with 2 samples, ${number(l.values.at(-1))} with 4096.`).join(" "),
      x: { range: [2, 4096], label: "samples n", log: true, ticks: [2, 16, 128, 1024], names: String },
      y: { range: [low, top * 1.5], label: "root-mean-square error", log: true },
    });
    const start = top * 1.25;
    plot.marks.append(path(counts.map((n) => [plot.x(n), plot.y(start * Math.sqrt(2 / n))]), { class: "guide" }));
    drawn.forEach((l) => plot.marks.append(path(counts.map((n, i) => [plot.x(n), plot.y(Math.max(l.values[i], low))]), { class: l.mine ? "estimate" : "other" })));
    if (own > low) plot.over.append(tag("circle", { cx: plot.x(state.samples), cy: plot.y(own), r: 5, class: "estimate dot" }));
    labels(plot, [...drawn.map((l) => ({ name: l.name, y: plot.y(Math.max(l.values.at(-1), low)), mine: l.mine })), { name: "slope −½", y: plot.y(start * Math.sqrt(2 / 4096)) }]);
    errorWords(state, lines, own, top);
  }

  function labels(plot, names) {
    names.sort((a, b) => a.y - b.y);
    let last = -Infinity;
    for (const { name, y, mine } of names) {
      last = Math.max(y, last + 13);
      plot.over.append(tag("text", { x: plot.box.right + 6, y: last + 4, class: mine ? "strong" : "" }, name));
    }
  }

  function errorWords(state, lines, own, top) {
    const none = lines.filter((l) => l.values[0] <= 1e-7 * top).map((l) => l.name);
    const exact = none.length ? ` Not drawn, as it has no error at all: the baseline “${none.join("” and “")}”.` : "";
    const here = state.estimator === "enumerate" ? "The sum over all actions has no error." :
      `With ${state.samples} samples it is <b data-name="rms" data-value="${own}">${number(own)}</b> <span class="key estimate"></span>.`;
    const stuck = state.policy === "raw" ? " A line that levels off is a bias: no number of samples takes it away." : "";
    const jump = state.estimator === "pathwise" && M.functions[state.reward].jumps.length ? ` ${root.words.jump}` : "";
    $("error-caption").innerHTML = `${here} Four times the samples halve it.${stuck}${exact}${jump}`;
  }

  // ---- 6: the climb -------------------------------------------------------------------------------------------------

  function climbPicture(state, seen) {
    const host = $("climb-plot");
    const rows = [document.createElement("div"), document.createElement("div")];
    host.replaceChildren(...rows);
    const steps = seen.heights.length - 1;
    const range = [0, Math.max(steps, 10)];
    const { followed, low, high } = seen.twins;
    lines(rows[0], "Expected return J along the climb", "expected return J", range, [{ values: seen.heights, kind: "climb" }]);
    lines(rows[1], "The weighted cross-entropy along the same climb", "twin’s cost C", range, [
      { values: low, kind: "other", name: "rewards from the lowest up" },
      { values: high, kind: "other", name: "rewards from the highest down" },
      { values: followed, kind: "estimate", name: "as followed" },
    ]);
    $("climb-caption").innerHTML = steps ? `Left: J. Right: the cost whose gradient was followed, on the batch of each step
      <span class="key estimate"></span>, and what it would have been with rewards measured from the lowest or from the highest one. All
      three have the same expected gradient. So the value says nothing about how well it goes.`
      : "Take a step, or run 100, and see J rise while the cost goes where it likes.";
  }

  // Curves over the steps, each with its name at its end.
  function lines(row, title, label, range, curves) {
    const all = curves.flatMap((c) => c.values);
    const text = all.length ? curves.map((c) => `${c.name || "It goes"}: from ${number(c.values[0])} to ${number(c.values.at(-1))}.`).join(" ") : "No steps yet.";
    const plot = chart(row, { title, text, height: 230, left: 64, x: { range, label: "steps" }, y: { range: around(all.length ? all : [0], curves.length > 1 ? 0.22 : 0.08), label } });
    for (const { values, kind, name } of curves.filter((c) => c.values.length)) {
      const points = values.map((v, i) => [plot.x(i), plot.y(v)]);
      plot.marks.append(path(points, { class: kind }));
      const [x, y] = points.at(-1);
      plot.over.append(tag("circle", { cx: x, cy: y, r: 4, class: `${kind} dot` }));
      if (name && kind === "other") plot.over.append(tag("text", { x: plot.box.right, y: name.includes("lowest") ? plot.box.top + 9 : plot.box.bottom - 7, class: "end halo" }, name));
    }
  }

  function twinTable(state, seen) {
    const { symbols } = root.words.policies[state.policy];
    const score = { ...state, estimator: "score" };
    const batch = M.samples(score, seen.batch.map((s) => s.action));
    const push = M.estimate(score, batch).mean;
    const slope = M.crossEntropySlope(state.policy, state.theta, batch);
    const rows = symbols.map((s, k) => `<tr><th scope="row">${s}</th><td class="number" data-name="twin" data-k="${k}" data-value="${-slope[k]}">${number(Number((-slope[k]).toFixed(9)), 8)}</td>
      <td class="number" data-name="push" data-k="${k}" data-value="${push[k]}">${number(Number(push[k].toFixed(9)), 8)}</td></tr>`);
    const cost = M.crossEntropy(state.policy, state.theta, batch);
    $("twin-numbers").innerHTML = `<caption class="quiet">The twin's gradient and the policy gradient</caption><thead><tr><th scope="col">θ</th>
      <th scope="col" class="number">−∂C/∂θ</th><th scope="col" class="number">mean of A ∂ log π</th></tr></thead><tbody>${rows.join("")}</tbody>`;
    $("twin-words").innerHTML = `In the batch of the pictures above, where C is <b data-name="cost" data-value="${cost}">${number(cost)}</b>. Left by finite differences of C, right by the scores.`;
  }

  Object.assign(root.pictures, { pushPicture, sumPicture, errorPicture, climbPicture, twinTable });
})(globalThis.logpi);
