// One batch of a run: its pictures and tables, from the numbers that stand in the page.
(function (root) {
  "use strict";

  const { tag, chart, around, number } = root.draw;
  const { node } = root.controls;
  const $ = (id) => document.getElementById(id);

  function words(data) {
    $("title").textContent = data.title;
    document.title = `${data.title} · logpi`;
    $("short").innerHTML = `This network has <b>${data.parameters.toLocaleString("en")}</b> partial derivatives instead of two. Nothing else is
      different: in a batch of <b>${data.summary.rows.toLocaleString("en")}</b> actions, each pushes all of them.`;
    $("step-words").innerHTML = data.rate
      ? `Below, one plain step θ′ = θ + η∇J has been taken, with η = ${number(data.rate)}. It is so long that the policy changes by
        ${number(data.kl, 2)} nats of KL on average, about as far as a careful update goes. It promises the rows together, not each of them, what they asked for.`
      : "The gradient of this batch is 0: nothing here is better or worse than expected, and no step was taken.";
  }

  function rowsPicture(data) {
    const { push, change } = data.points;
    const { gain, won, lost } = data.summary;
    const plot = chart($("rows-plot"), {
      title: "Push of each row, and how much likelier its action became", height: 340, left: 66,
      text: `The mean of advantage times change is ${number(gain)}: ${number(won)} from rows that went where they pushed, ${number(lost)} from the others.`,
      x: { range: around(push), label: "push: advantage times length of the score" },
      y: { range: around(change), label: "change of log π(a|s), nats" },
    });
    const zero = (x1, x2, y1, y2) => plot.marks.append(tag("line", { x1, x2, y1, y2, class: "zero" }));
    zero(plot.x(0), plot.x(0), plot.box.top, plot.box.bottom);
    zero(plot.box.left, plot.box.right, plot.y(0), plot.y(0));
    push.forEach((p, i) => plot.marks.append(tag("circle", { cx: plot.x(p).toFixed(1), cy: plot.y(change[i]).toFixed(1), r: 2.6, class: p * change[i] >= 0 ? "up" : "down", opacity: 0.55 })));
    $("rows-caption").innerHTML = `What a step along ∇J raises is the mean over rows of A times the change of log π: here by
      <b data-name="gain" data-value="${gain}">${number(gain)}</b>, to first order by η|∇J|² = ${number(data.promised)}.
      <span class="key high"></span> Rows that went where they pushed add ${number(won)}; <span class="key low"></span> those that went the
      other way add ${number(lost)}.${push.length < data.summary.rows ? ` A dot is one of ${push.length.toLocaleString("en")} rows, spread evenly over all.` : ""} A single row can go the other way because all rows share the same parameters.
      ${data.standardised ? "A is counted in standard deviations." : ""}`;
  }

  function layersPicture(data) {
    const { layers } = data;
    const shown = layers.map((l) => l.name.replace(/^\./, ""));
    const longest = Math.max(...shown.map((s) => s.length));
    const width = $("layers-plot").clientWidth || 320;
    const left = Math.min(longest * 6.6 + 16, width * 0.52);
    const fits = Math.floor((left - 16) / 6.6);
    const plot = chart($("layers-plot"), {
      title: "Length of the gradient in each array of parameters", height: 56 + 24 * layers.length, left,
      text: layers.map((l) => `${l.name}: ${number(l.norm)}.`).join(" "),
      x: { range: [0, Math.max(...layers.map((l) => l.norm), 1e-12) * 1.16], label: "length of ∂J/∂θ" },
      y: { range: [layers.length - 0.4, -0.6], label: "", ticks: layers.map((_, i) => i), names: (i) => (shown[i].length > fits ? `…${shown[i].slice(1 - fits)}` : shown[i]), grid: false },
    });
    layers.forEach((l, i) => {
      plot.marks.append(tag("rect", { x: plot.x(0), width: Math.max(plot.x(l.norm) - plot.x(0), 0.5), y: plot.y(i) - 8, height: 16, rx: 2, class: "bar" }));
      plot.over.append(tag("text", { x: plot.x(l.norm) + 5, y: plot.y(i) + 4 }, l.norm ? number(l.norm, 2) : "0"));
    });
    const most = layers.reduce((a, b) => (Math.abs(b.largest) > Math.abs(a.largest) ? b : a));
    const none = layers.filter((l) => !l.norm).length;
    $("layers-caption").innerHTML = `The largest partial derivative of all is ${number(most.largest)}, of <code>${escape(most.name)}${most.index.length ? `[${most.index}]` : ""}</code>.
      ${none ? "What only the critic uses has none." : ""}`;
  }

  // A long name may be broken after a dot or a comma.
  const breaking = (name) => name.split(/(?<=[.,])/).flatMap((part) => [part, node("wbr", {})]);

  const escape = (text) => node("i", {}, text).innerHTML;

  // Probabilities before and after, as pairs of small bars; a Gaussian's mean and spread as pairs of small lines.
  function change([before, after]) {
    const [height, wide] = [34, 11];
    if (before.probabilities || before.ones) {
      const [old, now] = [before, after].map((p) => p.probabilities || p.ones);
      if (old.length > 24) return null;
      const svg = tag("svg", { width: old.length * (wide * 2 + 8), height, role: "img", "aria-label": old.map((p, a) => `${a}: from ${number(p)} to ${number(now[a])}`).join(", ") });
      old.forEach((p, a) => {
        const x = a * (wide * 2 + 8);
        svg.append(tag("rect", { x, width: wide, y: height - p * height, height: p * height, style: "fill:var(--bar)" }));
        svg.append(tag("rect", { x: x + wide, width: wide, y: height - now[a] * height, height: now[a] * height, style: `fill:var(--${now[a] >= p ? "high" : "low"})` }));
      });
      svg.append(tag("line", { x1: 0, x2: old.length * (wide * 2 + 8), y1: height - 0.5, y2: height - 0.5, style: "stroke:var(--muted)" }));
      return svg;
    }
    if (!before.mean || before.mean.length > 8) return null;
    return node("span", {}, before.mean.map((m, k) => `${number(m)} ± ${number(before.std[k], 2)} → ${number(after.mean[k])} ± ${number(after.std[k], 2)}`).join("; "));
  }

  function pushes(place, rows, what) {
    const head = ["state", "action", "advantage", "length of score", "push", "π(a|s) before", "π(a|s) after", "policy before → after"];
    const classes = ["first", "", "number", "number", "number", "number", "number", "policy"];
    const cells = head.map((h, i) => node("th", { scope: "col", role: "columnheader", class: classes[i] }, h));
    // On a phone a row is a card: each cell brings its heading along, and the roles say that it still is a table.
    const body = rows.map((row) => {
      const values = [`(${row.obs.replaceAll("-", "−")})`, row.action.map((a) => number(a)).join(", "), ...["advantage", "score", "push", "before", "after"].map((k) => number(row[k]))];
      const made = [...values, change(row.policies) || "–"].map((v, i) => node("td", { role: "cell", class: classes[i], "data-head": head[i] }, v));
      return node("tr", { role: "row" }, made);
    });
    const none = () => node("tr", { role: "row" }, node("td", { role: "cell", class: "policy", colspan: head.length }, "None in this batch."));
    place.replaceChildren(node("caption", { class: "quiet" }, what), node("thead", { role: "rowgroup" }, node("tr", { role: "row" }, cells)), node("tbody", { role: "rowgroup" }, rows.length ? body : none()));
  }

  function tables(data) {
    pushes($("up"), data.up, "Rows pushed up hardest");
    pushes($("down"), data.down, "Rows pushed down hardest");
    const { rows, scored } = data.summary;
    const among = scored < rows
      ? `Of ${scored.toLocaleString("en")} rows, spread evenly over the ${rows.toLocaleString("en")} of the batch (with a memory, the score of one row takes as long as its whole segment),`
      : "Of all rows,";
    $("pushes-caption").textContent = `${among} those with the largest push: advantage times the length of the score. `
      + "An action that was pushed up and still became less likely was outvoted: other rows pulled harder at the same parameters. "
      + "For real actions π is a density. Grey bars: before the step. Coloured: after.";
    const cell = (v) => node("td", { class: "number", "data-value": v }, number(v, 7));
    $("largest").replaceChildren(
      node("thead", {}, node("tr", {}, node("th", { scope: "col" }, "parameter"), node("th", { scope: "col", class: "number" }, "of the policy loss, less sign"), node("th", { scope: "col", class: "number" }, "mean of A ∂ log π"))),
      node("tbody", {}, data.largest.map((l) => node("tr", {}, node("th", { scope: "row" }, breaking(l.name)), cell(l.surrogate), cell(l.twin)))));
    $("largest-words").textContent = `Over all ${data.parameters.toLocaleString("en")} of them ${data.twin ? `the two differ by ${number(data.twin, 2)} times their length; numbers of 7 digits are rounded by 1e−7` : "the two are equal to the last digit"}.`;
    const head = ["", "check", "size", "limit", "what it is"].map((h, i) => node("th", { scope: "col", class: i === 2 || i === 3 ? "number" : null }, h));
    const verdict = (c) => node("tr", {}, node("td", {}, c.passed ? "ok" : "WRONG"), node("th", { scope: "row" }, c.name), node("td", { class: "number" }, number(c.size, 2)), node("td", { class: "number" }, number(c.threshold, 2)), node("td", {}, c.meaning));
    $("audit").replaceChildren(node("thead", {}, node("tr", {}, head)), node("tbody", {}, data.audit.checks.map(verdict)));
    const names = ["expected update", "scale", "cosine", "direction error", ""].map((h, i) => node("th", { scope: "col", class: i > 0 && i < 4 ? "number" : null }, h));
    const line = (r) => node("tr", {}, node("th", { scope: "row" }, r.name.replace(/^three states: /, "")), ...["scale", "cosine", "direction_error"].map((k) => node("td", { class: "number" }, number(r[k], 3))), node("td", {}, r.meaning));
    $("sources").replaceChildren(node("thead", {}, node("tr", {}, names)), node("tbody", {}, data.audit.rows.map(line)));
  }

  function start() {
    const data = JSON.parse($("data").textContent);
    const pictures = () => { rowsPicture(data); layersPicture(data); };
    words(data);
    pictures();
    tables(data);
    addEventListener("resize", pictures);
  }

  root.batch = { start };
})(globalThis.logpi);
