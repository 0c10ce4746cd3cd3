// The smallest case: one action, one update of alpha and beta, and what becomes of exp(alpha + beta a).
(function (root) {
  "use strict";

  const { tag, chart, number } = root.draw;
  const { slider, choices, node } = root.controls;
  const M = root.maths;
  const $ = (id) => document.getElementById(id);
  const state = { theta: [-1.4, 0], action: 3, reward: 2, rate: 0.1, normalised: false };

  function after() {
    const push = M.score(state.normalised ? "loglinear" : "raw", state.theta, state.action);
    return { push, theta: state.theta.map((v, k) => v + state.rate * state.reward * push[k]) };
  }

  function show() {
    const { push, theta } = after();
    const heights = (t) => (state.normalised ? M.probabilities("loglinear", t) : M.weights("raw", t));
    const [old, new_] = [heights(state.theta), heights(theta)];
    const [before, later] = [root.parts.sum(old), root.parts.sum(new_)];
    const plot = chart($("hand-plot"), {
      title: "The policy before and after one update", height: 240,
      text: old.map((h, a) => `Action ${a}: from ${number(h)} to ${number(new_[a])}.`).join(" "),
      x: { range: [-0.5, 3.5], label: "action a", ticks: [0, 1, 2, 3], names: (a) => (a === state.action ? `${a} (taken)` : String(a)) },
      y: { range: [0, Math.max(0.5, ...old, ...new_) * 1.15], label: state.normalised ? "π(a), probability" : "exp(α + βa)" },
    });
    const width = (plot.x(1) - plot.x(0)) * 0.56;
    old.forEach((h, a) => {
      const x = plot.x(a) - width / 2;
      const kind = new_[a] > h + 1e-12 ? "up" : new_[a] < h - 1e-12 ? "down" : "bar";
      plot.marks.append(tag("rect", { x, width, y: plot.y(new_[a]), height: plot.y(0) - plot.y(new_[a]), class: kind, rx: 2 }));
      plot.marks.append(tag("rect", { x, width, y: plot.y(h), height: plot.y(0) - plot.y(h), class: "ghost" }));
      plot.over.append(tag("text", { x: plot.x(a), y: Math.min(plot.y(h), plot.y(new_[a])) - 6, class: "middle strong" }, number(new_[a], 2)));
    });
    const sums = `They add up to ${number(before)} before and <b>${number(later)}</b> after.`;
    $("hand-caption").innerHTML = `Dashed: before. Filled: after, <span class="key high"></span> likelier, <span class="key low"></span> less likely.
      ∂ log π/∂α = ${number(push[0])}, ∂ log π/∂β = ${number(push[1])}; α goes from ${number(state.theta[0])} to ${number(theta[0])}, β from ${number(state.theta[1])} to ${number(theta[1])}. ${sums}`;
  }

  function start() {
    const move = (key) => (value) => { state[key] = Number(value); show(); };
    const part = (k) => (value) => { state.theta[k] = value; show(); };
    $("hand-controls").replaceChildren(
      choices({ legend: "Action taken", key: "hand-action", options: { 0: "0", 1: "1", 2: "2", 3: "3" }, value: String(state.action), change: move("action") }),
      choices({ legend: "Divided by its sum", key: "hand-normalised", options: { no: "no", yes: "yes" }, value: "no", change: (v) => { state.normalised = v === "yes"; show(); } }),
      node("fieldset", { style: "margin:0" }, node("legend", {}, "Numbers"),
        slider({ name: "return G", key: "hand-reward", min: -5, max: 5, step: 0.1, value: state.reward, change: move("reward") }),
        slider({ name: "α", key: "hand-alpha", min: -3, max: 1, step: 0.05, value: state.theta[0], change: part(0) }),
        slider({ name: "β", key: "hand-beta", min: -1, max: 1, step: 0.05, value: state.theta[1], change: part(1) }),
        slider({ name: "step size η", key: "hand-rate", min: 0.01, max: 0.5, step: 0.01, value: state.rate, change: move("rate") })),
    );
    show();
    addEventListener("resize", show);
  }

  root.hand = { start };
})(globalThis.logpi);
