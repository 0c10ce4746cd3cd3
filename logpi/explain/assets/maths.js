// The mathematics of the page, and nothing else: no document, no drawing. It runs in a browser and under node, where
// the tests compare its numbers with those of the Python library.
(function (root) {
  "use strict";

  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const dot = (x, y) => x.reduce((total, value, k) => total + value * y[k], 0);
  const mean = (values) => sum(values) / values.length;

  // ---- Policies. A finite one has a row of features for each action: its logits are the features times theta. -------

  const FOUR = [0, 1, 2, 3];
  const line = FOUR.map((a) => [1, a]);
  const unit = FOUR.map((a) => FOUR.map((k) => (a === k ? 1 : 0)));
  const policies = {
    raw: {
      features: line, parameters: ["alpha", "beta"], start: [-1, 0.3], range: [[-3, 3], [-3, 3]], normalised: false,
    },
    loglinear: {
      features: line, parameters: ["alpha", "beta"], start: [0, -0.5], range: [[-3, 3], [-3, 3]], normalised: true,
    },
    softmax: {
      features: unit, parameters: ["theta0", "theta1", "theta2", "theta3"], start: [0, 0, 0, 0],
      range: FOUR.map(() => [-4, 4]), normalised: true,
    },
    bernoulli: { features: [[0], [1]], parameters: ["theta"], start: [-1], range: [[-5, 5]], normalised: true },
    gaussian: {
      features: null, parameters: ["mean", "log_std"], start: [-1, 0.2], range: [[-4, 4], [-2, 1.5]], normalised: true,
    },
  };

  // exp of the logits. Only the raw policy needs them without their sum divided out: it has no other probabilities.
  function weights(policy, theta) {
    return policies[policy].features.map((row) => Math.exp(dot(row, theta)));
  }

  function logProbs(policy, theta) {
    const logits = policies[policy].features.map((row) => dot(row, theta));
    const top = Math.max(...logits);
    const level = top + Math.log(sum(logits.map((z) => Math.exp(z - top))));
    return logits.map((z) => z - level);
  }

  // With what probability an action is drawn. From the raw policy one can only draw in proportion to it.
  function probabilities(policy, theta) {
    return logProbs(policy, theta).map(Math.exp);
  }

  // log pi as the policy has it: the raw one does not divide by its sum.
  function logProb(policy, theta, action) {
    if (policy === "gaussian") {
      const z = (action - theta[0]) * Math.exp(-theta[1]);
      return -0.5 * z * z - theta[1] - 0.5 * Math.log(2 * Math.PI);
    }
    if (policy === "raw") return dot(policies.raw.features[action], theta);
    return logProbs(policy, theta)[action];
  }

  // The partial derivatives of log pi(action), one for each parameter.
  function score(policy, theta, action) {
    if (policy === "gaussian") {
      const scale = Math.exp(-theta[1]);
      const z = (action - theta[0]) * scale;
      return [z * scale, z * z - 1];
    }
    const { features, normalised } = policies[policy];
    if (!normalised) return features[action].slice();
    const p = probabilities(policy, theta);
    // Differences first: a parameter that moves nothing then has a derivative of 0, and not of rounding.
    return features[action].map((x, k) => sum(p.map((q, b) => q * (x - features[b][k]))));
  }

  // ---- Rewards ------------------------------------------------------------------------------------------------------

  // f, its derivative (null where it jumps) and the places of its jumps. Actions and rewards have no units here.
  const functions = {
    parabola: { f: (a) => -((a - 2) ** 2), slope: (a) => -2 * (a - 2), jumps: [] },
    offset: { f: (a) => 30 - (a - 2) ** 2, slope: (a) => -2 * (a - 2), jumps: [] },
    hills: {
      f: (a) => Math.exp(-((a + 2) ** 2)) + 2 * Math.exp(-((a - 2) ** 2)),
      slope: (a) => -2 * (a + 2) * Math.exp(-((a + 2) ** 2)) - 4 * (a - 2) * Math.exp(-((a - 2) ** 2)),
      jumps: [],
    },
    step: { f: (a) => (a > 1 ? 1 : 0), slope: () => 0, jumps: [1] },
  };
  const tables = {
    one: [0, 0, 1, 0],
    rising: [0, 1, 2, 3],
    ends: [2, 0, 0, 3],
    offset: [30, 31, 32, 31],
  };

  // A reward is the name of a function of a real action, or a table with one number for each action.
  function rewardOf(reward) {
    if (typeof reward === "string") return functions[reward];
    return { f: (action) => reward[action], slope: null, jumps: [] };
  }

  // ---- Expectations: a sum over the actions, or Gauss-Legendre panels between the jumps ------------------------------

  const NODES = [0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363];
  const NODE_WEIGHTS = [0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763];
  const REACH = 9; // standard deviations to each side: beyond lies less than 1e-18 of the mass
  const PANELS = 60;

  function quadrature(theta, jumps) {
    const std = Math.exp(theta[1]);
    const edges = Array.from({ length: PANELS + 1 }, (_, i) => -REACH + (2 * REACH * i) / PANELS);
    for (const jump of jumps) {
      const z = (jump - theta[0]) / std;
      if (Math.abs(z) < REACH) edges.push(z);
    }
    edges.sort((x, y) => x - y);
    const points = [];
    for (let i = 1; i < edges.length; i++) {
      const half = (edges[i] - edges[i - 1]) / 2;
      const middle = (edges[i] + edges[i - 1]) / 2;
      NODES.forEach((node, j) => {
        for (const z of [middle - half * node, middle + half * node]) {
          const mass = (half * NODE_WEIGHTS[j] * Math.exp(-0.5 * z * z)) / Math.sqrt(2 * Math.PI);
          points.push({ action: theta[0] + std * z, mass });
        }
      });
    }
    return points;
  }

  // Every action with its probability, or enough of them to integrate with.
  function support(policy, theta, reward) {
    if (policy === "gaussian") return quadrature(theta, rewardOf(reward).jumps);
    return probabilities(policy, theta).map((mass, action) => ({ action, mass }));
  }

  function objective(policy, theta, reward) {
    const { f } = rewardOf(reward);
    return sum(support(policy, theta, reward).map(({ action, mass }) => mass * f(action)));
  }

  // The exact gradient of J. For the raw policy that of what is drawn from it: of its normalised form.
  function gradient(policy, theta, reward) {
    const { f } = rewardOf(reward);
    const honest = policy === "raw" ? "loglinear" : policy;
    return meanOf(support(policy, theta, reward), ({ action }) =>
      score(honest, theta, action).map((s) => f(action) * s));
  }

  function meanOf(points, vector) {
    const total = [];
    for (const point of points) vector(point).forEach((x, k) => { total[k] = (total[k] || 0) + point.mass * x; });
    return total;
  }

  // ---- Draws --------------------------------------------------------------------------------------------------------

  // Uniform numbers in (0, 1) from a seed of 32 bits: a counter with a good mixing function.
  function uniforms(seed) {
    let counter = seed >>> 0;
    return () => {
      counter = (counter + 0x9e3779b9) >>> 0;
      let x = counter;
      x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
      x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
      return (((x ^ (x >>> 15)) >>> 0) + 0.5) / 4294967296;
    };
  }

  // n actions. The same seed gives the same random numbers under any theta: the samples move with the sliders.
  function draw(policy, theta, n, seed) {
    const next = uniforms(Math.imul(seed + 1, 0x85ebca6b));
    if (policy === "gaussian") {
      const std = Math.exp(theta[1]);
      return Array.from({ length: n }, () => {
        const radius = Math.sqrt(-2 * Math.log(next()));
        return theta[0] + std * radius * Math.cos(2 * Math.PI * next());
      });
    }
    const p = probabilities(policy, theta);
    return Array.from({ length: n }, () => {
      let left = next();
      let action = 0;
      while (action < p.length - 1 && left >= p[action]) left -= p[action++];
      return action;
    });
  }

  root.parts = { sum, dot, mean, meanOf, support, rewardOf };
  root.maths = {
    policies, functions, tables, weights, probabilities, logProb, score, objective, gradient, draw, uniforms,
  };
  if (typeof module !== "undefined") module.exports = root;
})(typeof module !== "undefined" ? {} : (globalThis.logpi = {}));
