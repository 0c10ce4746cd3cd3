// What is made of the samples: each one's contribution, the estimate with its error, how the error falls with the
// number of samples, the supervised twin, and the climb. Follows maths.js.
(function (root) {
  "use strict";

  const { sum, mean, meanOf, support, rewardOf } = root.parts;
  const { policies, score, draw, objective, gradient, logProb } = root.maths;
  const square = (vector) => sum(vector.map((x) => x * x));

  // The constant that makes the sum of the variances smallest: E[f |s|^2] / E[|s|^2] (Greensmith et al. 2004, thm 8).
  function optimalBaseline(policy, theta, reward) {
    const { f } = rewardOf(reward);
    const [top, bottom] = meanOf(support(policy, theta, reward), ({ action }) => {
      const size = square(score(policy, theta, action));
      return [f(action) * size, size];
    });
    return bottom > 0 ? top / bottom : 0;
  }

  // What each reward is compared with. The mean of the others is Kool et al. 2019.
  function levels(baseline, policy, theta, reward, rewards) {
    const n = rewards.length;
    if (baseline === "none") return rewards.map(() => 0);
    if (baseline === "mean") return rewards.map(() => mean(rewards));
    if (baseline === "optimal") return rewards.map(() => optimalBaseline(policy, theta, reward));
    const total = sum(rewards);
    return rewards.map((r) => (total - r) / (n - 1));
  }

  // Pathwise: how f changes when the sample itself moves with the parameters, z held fixed.
  function pathwise(theta, reward, action) {
    const slope = rewardOf(reward).slope(action);
    return [slope, slope * (action - theta[0])];
  }

  // Of each sample: its reward, its advantage (reward minus baseline), its score, and what it adds to the gradient.
  function samples(setting, actions) {
    const { policy, theta, reward, baseline, estimator } = setting;
    const rewards = actions.map(rewardOf(reward).f);
    const level = levels(baseline, policy, theta, reward, rewards);
    return actions.map((action, i) => {
      const push = score(policy, theta, action);
      const advantage = rewards[i] - level[i];
      const part = estimator === "pathwise" ? pathwise(theta, reward, action) : push.map((s) => advantage * s);
      return { action, reward: rewards[i], advantage, score: push, part };
    });
  }

  // The mean of the contributions with its standard error; a sum over all actions has none.
  function estimate(setting, batch) {
    if (setting.estimator === "enumerate") {
      const exact = gradient(setting.policy, setting.theta, setting.reward);
      return { mean: exact, error: exact.map(() => 0) };
    }
    const n = batch.length;
    const average = batch[0].part.map((_, k) => mean(batch.map((s) => s.part[k])));
    const error = average.map((m, k) => Math.sqrt(sum(batch.map((s) => (s.part[k] - m) ** 2)) / (n - 1) / n));
    return { mean: average, error };
  }

  // ---- The error, exactly: no experiment is needed ------------------------------------------------------------------

  // Moments of reward and score. The leave-one-out estimate is the sample covariance of the two, whose variance with n
  // samples is m22/n - (n-2) m11^2 / (n (n-1)) + m20 m02 / (n (n-1)) in central moments (Kendall & Stuart, section 13).
  function moments(setting) {
    const { policy, theta, reward, estimator } = setting;
    const { f } = rewardOf(reward);
    const points = support(policy, theta, reward);
    const level = sum(points.map((p) => p.mass * f(p.action)));
    const push = (p) => score(policy, theta, p.action);
    const centre = meanOf(points, push);
    const covariance = meanOf(points, (p) => push(p).map((s, k) => (f(p.action) - level) * (s - centre[k])));
    const m22 = meanOf(points, (p) => push(p).map((s, k) => ((f(p.action) - level) * (s - centre[k])) ** 2));
    const m02 = meanOf(points, (p) => push(p).map((s, k) => (s - centre[k]) ** 2));
    const m20 = sum(points.map((p) => p.mass * (f(p.action) - level) ** 2));
    const fixed = (part) => {
      const average = meanOf(points, part);
      return { average, variance: meanOf(points, (p) => part(p).map((x, k) => (x - average[k]) ** 2)) };
    };
    const compared = (b) => fixed((p) => push(p).map((s) => (f(p.action) - b) * s));
    const best = optimalBaseline(policy, theta, reward);
    return {
      exact: gradient(policy, theta, reward), covariance, m22, m02, m20,
      none: compared(0), optimal: compared(best),
      pathwise: estimator === "pathwise" ? fixed((p) => pathwise(theta, reward, p.action)) : null,
    };
  }

  // Mean and variance of the estimate from n samples, for each parameter.
  function spread(setting, n, known) {
    const m = known || moments(setting);
    if (setting.estimator === "enumerate") return { mean: m.exact, variance: m.exact.map(() => 0) };
    const fixed = setting.estimator === "pathwise" ? m.pathwise : m[setting.baseline];
    if (fixed) return { mean: fixed.average, variance: fixed.variance.map((v) => v / n) };
    const variance = m.covariance.map((c, k) => (m.m22[k] + (m.m20 * m.m02[k] - (n - 2) * c * c) / (n - 1)) / n);
    if (setting.baseline !== "mean") return { mean: m.covariance, variance };
    const shrink = (n - 1) / n; // a sample that is compared with a mean it is part of pushes that much less
    return { mean: m.covariance.map((c) => shrink * c), variance: variance.map((v) => shrink * shrink * v) };
  }

  // Root of the mean squared distance between the estimate and the exact gradient.
  function rootMeanSquare(setting, n, known) {
    const m = known || moments(setting);
    const { mean: expected, variance } = spread(setting, n, m);
    return Math.sqrt(sum(variance.map((v, k) => v + (expected[k] - m.exact[k]) ** 2)));
  }

  // ---- The supervised twin ------------------------------------------------------------------------------------------

  // The cost of a classifier that is told the actions taken, each example weighted by its advantage.
  function crossEntropy(policy, theta, batch) {
    return -mean(batch.map((s) => s.advantage * logProb(policy, theta, s.action)));
  }

  // Its gradient by differences, to see with no formula at hand that minus it is the policy gradient.
  function crossEntropySlope(policy, theta, batch) {
    const h = 1e-4;
    const at = (k, step) => crossEntropy(policy, theta.map((x, j) => (j === k ? x + step : x)), batch);
    return theta.map((_, k) => (8 * (at(k, h) - at(k, -h)) - (at(k, 2 * h) - at(k, -2 * h))) / (12 * h));
  }

  // The lowest and highest reward, of a real action's those within reach of the sliders.
  function extremes(reward) {
    const all = typeof reward === "string" ? Array.from({ length: 81 }, (_, i) => rewardOf(reward).f(-4 + i / 10)) : reward;
    return [Math.min(...all), Math.max(...all)];
  }

  // The twin's cost as it is followed, and with two constant baselines: its expected gradient is the same each time.
  function twins(setting, batch) {
    const { policy, theta, reward } = setting;
    const rewards = batch.map((s) => s.reward);
    const [low, high] = extremes(reward);
    const cost = (level) => crossEntropy(policy, theta, batch.map((s, i) => ({ ...s, advantage: rewards[i] - level })));
    return { followed: crossEntropy(policy, theta, batch), low: cost(low), high: cost(high) };
  }

  // ---- The climb ----------------------------------------------------------------------------------------------------

  // One step up: theta + rate * gradient, from a fresh batch. The parameters stay where the pictures can show them.
  function step(setting, seed) {
    const { policy, theta, reward, rate } = setting;
    const batch = samples(setting, draw(policy, theta, setting.samples, seed));
    const { mean: uphill } = estimate(setting, batch);
    const { range } = policies[policy];
    const moved = theta.map((x, k) => Math.min(range[k][1], Math.max(range[k][0], x + rate * uphill[k])));
    return { theta: moved, twins: twins(setting, batch), objective: objective(policy, moved, reward) };
  }

  Object.assign(root.maths, {
    optimalBaseline, samples, estimate, moments, spread, rootMeanSquare, crossEntropy, crossEntropySlope, step,
  });
})(typeof module !== "undefined" ? module.exports : globalThis.logpi);
