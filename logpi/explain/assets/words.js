// What the page says of each policy, reward, baseline and estimator.
(function (root) {
  "use strict";

  const greek = ["θ₀", "θ₁", "θ₂", "θ₃"];
  root.words = {
    policies: {
      raw: {
        name: "exp(α + βa)", symbols: ["α", "β"], axis: "weight exp(α + βa)",
        formula: String.raw`\log \pi(a) = \alpha + \beta a ;; \frac{\partial \log\pi}{\partial\alpha} = 1 ;; \frac{\partial \log\pi}{\partial\beta} = a`,
        hint: "Not divided by its sum, so not a distribution. One can still draw in proportion to it.",
      },
      loglinear: {
        name: "log-linear", symbols: ["α", "β"], axis: "probability",
        formula: String.raw`\log \pi(a) = \alpha + \beta a - \log\sum_b e^{\alpha + \beta b} ;; \frac{\partial \log\pi}{\partial\alpha} = 0 ;; \frac{\partial \log\pi}{\partial\beta} = a - E[a]`,
        hint: "exp(α + βa) divided by its sum. α moves nothing: look at the hill.",
      },
      gaussian: {
        name: "Gaussian", symbols: ["mean μ", "log std"], axis: "density",
        formula: String.raw`\log \pi(a) = -\frac{(a-\mu)^2}{2\sigma^2} - \log\sigma - \tfrac12\log 2\pi ;; \frac{\partial \log\pi}{\partial\mu} = \frac{a-\mu}{\sigma^2} ;; \frac{\partial \log\pi}{\partial\log\sigma} = \frac{(a-\mu)^2}{\sigma^2} - 1`,
        hint: "A real number as action: the two parameters are its mean and the log of its standard deviation.",
      },
      softmax: {
        name: "softmax", symbols: greek, axis: "probability",
        formula: String.raw`\log \pi(a) = \theta_a - \log\sum_b e^{\theta_b} ;; \frac{\partial \log\pi(a)}{\partial\theta_k} = \mathbf{1}[a = k] - \pi(k)`,
        hint: "One parameter for each of four actions: the last layer of most networks.",
      },
      bernoulli: {
        name: "Bernoulli", symbols: ["θ"], axis: "probability",
        formula: String.raw`\pi(1) = \frac{1}{1 + e^{-\theta}} ;; \frac{\partial \log\pi(a)}{\partial\theta} = a - \pi(1)`,
        hint: "Yes or no. With the optimal baseline every sample says the same: no error at all.",
      },
    },
    rewards: {
      one: "one good action", rising: "more is better", ends: "two hills", offset: "all good, one a little better",
      parabola: "−(a − 2)²", hills: "two hills", step: "1 if a > 1, else 0", own: "as the sliders say",
    },
    rewardsOfGaussian: { offset: "30 − (a − 2)²" },
    baselines: { none: "none", mean: "mean", loo: "leave one out", optimal: "optimal" },
    baselineHints: {
      none: "Each sample pushes as hard as its reward. Add 30 to every reward and see the error grow.",
      mean: "Rewards less their mean. Each is part of that mean, so the estimate is (n − 1)/n of what it should be.",
      loo: "Rewards less the mean of the others. No bias, and an offset of the reward does not matter.",
      optimal: "The constant that makes the variance smallest, E[f |s|²] / E[|s|²] with s the score. Here it is exact.",
    },
    estimators: { score: "score", pathwise: "pathwise", enumerate: "sum over all" },
    estimatorHints: {
      score: "The mean of f ∂ log π. It takes any reward, as one only has to measure it.",
      pathwise: "Moves the samples with the parameters and differentiates the reward itself. It needs a smooth reward.",
      enumerate: "No samples: all actions, each with its probability. Exact, where there are few.",
    },
    jump: "This reward jumps. Its derivative is 0 wherever it has one, so pathwise says 0 ± 0, and is wrong. The library refuses it.",
  };
})(globalThis.logpi);
