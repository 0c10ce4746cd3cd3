// The laboratory: the state, its controls, and what happens when one of them moves.
(function (root) {
  "use strict";

  const M = root.maths;
  const { node, slider, choices, select } = root.controls;
  const { number } = root.draw;
  const words = root.words;
  const $ = (id) => document.getElementById(id);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const PRESETS = { bernoulli: { one: [0, 1], offset: [30, 31] }, gaussian: null };
  const RATES = { gaussian: 0.05 };

  // What stands there before anybody asks: every picture shows something, and the climb has begun.
  const OPENING = "policy=gaussian&theta=0,-0.2&reward=hills&estimator=score&baseline=loo&samples=128&seed=1&rate=0.3&steps=10";

  const state = { policy: "gaussian", estimator: "score", baseline: "none", samples: 32, seed: 1, pair: [0, 1] };
  const climb = { trail: [], heights: [], twins: { followed: [], low: [], high: [] }, running: 0 };

  const presets = (policy) => (policy in PRESETS ? PRESETS[policy] : M.tables);

  function choosePolicy(policy) {
    const { start } = M.policies[policy];
    const first = policy === "gaussian" ? "parabola" : presets(policy)[policy === "bernoulli" ? "one" : "rising"].slice();
    Object.assign(state, { policy, theta: start.slice(), reward: first, rate: RATES[policy] || 0.2, pair: start.length > 2 ? [2, 3] : [0, 1] });
    if (policy === "gaussian" && state.estimator === "enumerate") state.estimator = "score";
    if (policy !== "gaussian" && state.estimator === "pathwise") state.estimator = "score";
  }

  function restart() {
    climb.running = 0;
    climb.trail = [state.theta.slice()];
    climb.heights = [M.objective(state.policy, state.theta, state.reward)];
    climb.twins = { followed: [], low: [], high: [] };
  }

  // ---- What is seen -------------------------------------------------------------------------------------------------

  function look() {
    const batch = M.samples(state, M.draw(state.policy, state.theta, state.samples, state.seed));
    return {
      batch, estimate: M.estimate(state, batch), exact: M.gradient(state.policy, state.theta, state.reward),
      J: M.objective(state.policy, state.theta, state.reward), ...climb,
    };
  }

  // While a climb runs, only the pictures in which one follows it.
  function show(running = false) {
    const seen = look();
    const P = root.pictures;
    const moving = [P.policyPicture, P.hillPicture, P.climbPicture];
    const still = [P.pushPicture, P.sumPicture, P.errorPicture, P.twinTable];
    for (const picture of running ? moving : [...moving, ...still]) picture(state, seen);
    const now = $("now");
    now.innerHTML = `J = <b data-name="J" data-value="${seen.J}">${number(seen.J, 4)}</b> after ${climb.trail.length - 1} steps`;
    document.documentElement.dataset.theta = state.theta.join(",");
    if (!running) write();
  }

  let asked = false;
  function soon() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; show(); });
  }

  // A slider moved: the climb so far belongs to another hill or another place.
  function moved() {
    restart();
    soon();
  }

  // ---- The climb ----------------------------------------------------------------------------------------------------

  function stepOnce() {
    const { theta, twins, objective } = M.step(state, state.seed);
    state.theta = theta;
    state.seed += 1;
    climb.trail.push(theta.slice());
    climb.heights.push(objective);
    for (const kind of Object.keys(twins)) climb.twins[kind].push(twins[kind]);
  }

  function run(steps) {
    if (calm.matches) {
      for (let i = 0; i < steps; i++) stepOnce();
      return settle();
    }
    climb.running = steps;
    const frame = () => {
      if (climb.running <= 0) return settle();
      for (let i = 0; i < 2 && climb.running > 0; i++, climb.running--) stepOnce();
      show(true);
      requestAnimationFrame(frame);
    };
    return requestAnimationFrame(frame);
  }

  function settle() {
    $("controls").querySelectorAll("[data-key^='theta']").forEach((input, k) => {
      input.value = state.theta[k];
      input.closest(".slider").querySelector("output").textContent = number(state.theta[k], 2);
      input.setAttribute("aria-valuetext", number(state.theta[k], 2));
    });
    show();
  }

  // ---- Controls -----------------------------------------------------------------------------------------------------

  function rewardControls() {
    const gaussian = state.policy === "gaussian";
    const names = gaussian ? { ...words.rewards, ...words.rewardsOfGaussian } : words.rewards;
    const known = gaussian ? Object.keys(M.functions) : Object.keys(presets(state.policy));
    const options = Object.fromEntries(known.map((key) => [key, names[key]]));
    if (!gaussian) options.own = words.rewards.own;
    const same = (key) => JSON.stringify(presets(state.policy)[key]) === JSON.stringify(state.reward);
    const value = gaussian ? state.reward : known.find(same) || "own";
    const change = (key) => {
      if (key !== "own") state.reward = gaussian ? key : presets(state.policy)[key].slice();
      restart();
      build();
    };
    const parts = [node("legend", {}, "Reward f(a)"), ...select({ name: "Reward", key: "reward", options, value, change })];
    if (!gaussian) {
      state.reward.forEach((r, a) => parts.push(slider({
        name: `f(${a})`, key: `reward${a}`, min: -10, max: 40, step: 0.5, value: r,
        change: (v) => { state.reward[a] = v; moved(); },
      })));
    }
    return node("fieldset", {}, parts);
  }

  function parameterControls() {
    const { range } = M.policies[state.policy];
    const symbols = words.policies[state.policy].symbols;
    const rows = symbols.map((symbol, k) => slider({
      name: symbol, key: `theta${k}`, min: range[k][0], max: range[k][1], step: 0.01, value: state.theta[k],
      shown: (v) => number(v, 2), change: (v) => { state.theta[k] = v; moved(); },
    }));
    if (symbols.length > 2) rows.push(pairControl(symbols));
    return node("fieldset", {}, node("legend", {}, "Parameters θ"), rows);
  }

  function pairControl(symbols) {
    const options = {};
    symbols.forEach((one, i) => symbols.forEach((two, j) => { if (i < j) options[`${i},${j}`] = `hill over ${one} and ${two}`; }));
    const change = (key) => { state.pair = key.split(",").map(Number); soon(); };
    return node("div", {}, ...select({ name: "Parameters of the hill", key: "pair", options, value: state.pair.join(","), change }));
  }

  function estimatorControls() {
    const disabled = state.policy === "gaussian" ? ["enumerate"] : ["pathwise"];
    const redo = (key) => (option) => { state[key] = option; restart(); build(); };
    const estimator = choices({ legend: "Estimator", key: "estimator", options: words.estimators, value: state.estimator, disabled, change: redo("estimator") });
    estimator.append(node("p", { class: "hint" }, words.estimatorHints[state.estimator]));
    if (state.estimator !== "score") return [estimator];
    const baseline = choices({ legend: "Baseline", key: "baseline", options: words.baselines, value: state.baseline, change: redo("baseline") });
    baseline.append(node("p", { class: "hint" }, words.baselineHints[state.baseline]));
    return [estimator, baseline];
  }

  function numberControls() {
    return node("fieldset", {}, node("legend", {}, "Numbers"),
      slider({ name: "samples n", key: "samples", min: 1, max: 12, step: 1, value: Math.log2(state.samples), shown: (v) => String(Math.round(2 ** v)), change: (v) => { state.samples = Math.round(2 ** v); moved(); } }),
      slider({ name: "step size η", key: "rate", min: -3, max: 0.5, step: 0.05, value: Math.log10(state.rate), shown: (v) => number(10 ** v, 2), change: (v) => { state.rate = 10 ** v; restart(); soon(); } }));
  }

  function build() {
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : null;
    const value = document.activeElement ? document.activeElement.value : null;
    const options = Object.fromEntries(Object.entries(words.policies).map(([key, { name }]) => [key, name]));
    const policy = choices({ legend: "Policy", key: "policy", options, value: state.policy, change: (p) => { choosePolicy(p); restart(); build(); } });
    policy.append(node("p", { class: "hint" }, words.policies[state.policy].hint));
    $("controls").replaceChildren(policy, rewardControls(), parameterControls(), ...estimatorControls(), numberControls());
    // The controls were made anew: whoever came by keyboard stays where they were.
    const same = [...$("controls").querySelectorAll("[data-key]")].find((x) => x.dataset.key === focused && (x.type !== "radio" || x.value === value));
    if (same) same.focus({ preventScroll: true });
    root.controls.formulas($("formula"), words.policies[state.policy].formula);
    show();
  }

  // ---- The address --------------------------------------------------------------------------------------------------

  function write() {
    const reward = state.policy === "gaussian" ? state.reward : state.reward.join(",");
    const parts = { policy: state.policy, theta: (climb.trail[0] || state.theta).map((v) => Number(v.toFixed(6))).join(","), reward, estimator: state.estimator, baseline: state.baseline, samples: state.samples, rate: Number(state.rate.toPrecision(4)), seed: state.seed - (climb.trail.length - 1), steps: climb.trail.length - 1 };
    const hash = `#${Object.entries(parts).map(([key, v]) => `${key}=${v}`).join("&")}`;
    try { history.replaceState(null, "", hash); } catch { /* a sandboxed frame: the page works without */ }
  }

  const numbersOf = (text) => (text || "").split(",").map(Number);
  const whole = (text, low, high) => Math.min(high, Math.max(low, Math.round(Number(text) || low)));

  // What stands behind the # of the address, if it is settings and not a place on the page.
  const settings = () => (location.hash.includes("=") ? location.hash.slice(1) : "");

  // What the address asks for, as far as it makes sense; without settings, the opening. Returns how many steps to take.
  function read() {
    const asked = new URLSearchParams(settings() || OPENING);
    if (Object.hasOwn(M.policies, asked.get("policy") || "")) choosePolicy(asked.get("policy"));
    const { range } = M.policies[state.policy];
    const theta = numbersOf(asked.get("theta"));
    if (theta.length === range.length && theta.every(Number.isFinite)) state.theta = theta.map((v, k) => Math.min(range[k][1], Math.max(range[k][0], v)));
    const reward = asked.get("reward") || "";
    if (state.policy === "gaussian" && Object.hasOwn(M.functions, reward)) state.reward = reward;
    const table = numbersOf(reward);
    if (state.policy !== "gaussian" && table.length === state.reward.length && table.every(Number.isFinite)) state.reward = table;
    const estimators = state.policy === "gaussian" ? ["score", "pathwise"] : ["score", "enumerate"];
    if (estimators.includes(asked.get("estimator"))) state.estimator = asked.get("estimator");
    if (Object.hasOwn(words.baselines, asked.get("baseline") || "")) state.baseline = asked.get("baseline");
    if (asked.has("samples")) state.samples = whole(asked.get("samples"), 2, 4096);
    if (asked.has("seed")) state.seed = whole(asked.get("seed"), 0, 1e9);
    if (Number(asked.get("rate")) > 0) state.rate = Math.min(3, Math.max(1e-3, Number(asked.get("rate"))));
    return asked.has("steps") ? whole(asked.get("steps"), 0, 1000) : 0;
  }

  function open() {
    const steps = read();
    restart();
    for (let i = 0; i < steps; i++) stepOnce();
    build();
  }

  function start() {
    choosePolicy(state.policy);
    open();
    $("again").addEventListener("click", () => { state.seed += 1; restart(); show(); });
    $("one").addEventListener("click", () => { if (!climb.running) { stepOnce(); settle(); } });
    $("hundred").addEventListener("click", () => { if (!climb.running) run(100); });
    $("back").addEventListener("click", () => { const first = climb.trail[0]; state.theta = first.slice(); restart(); settle(); });
    addEventListener("hashchange", () => (settings() ? open() : write()));  // a place on the page changes nothing
    let width = innerWidth;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; soon(); } });
    root.redraw = soon;
  }

  root.lab = { start };
})(globalThis.logpi);
