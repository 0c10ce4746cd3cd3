"""CleanRL's PPO: its policy loss, as an array form of what `cleanrl/ppo.py` computes, in NumPy.

CleanRL is scripts, with the loss inside of the training loop, and its last release is for Python below 3.11: there is
nothing to import. The formula is that of release 1.2.0.
"""

import numpy as np

from logpi import audit

SMALL = 1e-8  # added to the deviation of the advantages


def policy_loss(log_prob, behaviour_log_prob, advantage, clip=0.2, standardise=True):
    """The mean over the minibatch of the larger of the two losses, with d loss / d log_prob. All arrays are [B]."""
    if standardise:
        with np.errstate(invalid="ignore", divide="ignore"):
            deviation = np.sqrt(np.sum((advantage - advantage.mean()) ** 2) / (len(advantage) - 1))  # torch's std
        advantage = (advantage - advantage.mean()) / (deviation + SMALL)
    ratio = np.exp(log_prob - behaviour_log_prob)
    plain, cut = -advantage * ratio, -advantage * np.clip(ratio, 1 - clip, 1 + clip)
    inside = (ratio >= 1 - clip) & (ratio <= 1 + clip)
    slope = np.where((plain > cut) | inside, plain, 0.0)  # the derivative of exp(x) is itself
    return np.mean(np.maximum(plain, cut)), slope / len(log_prob)


def plain_policy_loss(log_prob, behaviour_log_prob, advantage):
    """The same with `--norm-adv False`."""
    return policy_loss(log_prob, behaviour_log_prob, advantage, standardise=False)


def reports():
    """Of the loss as it is by default, and without its standardised advantages."""
    settings = {"rows": True, "framework": "numpy"}
    return {
        "CleanRL PPO, policy loss": audit.loss(policy_loss, **settings),
        "CleanRL PPO, policy loss, --norm-adv False": audit.loss(plain_policy_loss, **settings),
    }


def main():
    """Prints what was found."""
    for name, report in reports().items():
        print(f"== {name}\n{report}\n")


if __name__ == "__main__":
    main()
