"""Stable-Baselines3: the losses inside of `PPO.train` and `A2C.train`, run as installed, and its entropy bonus.

The methods are called with a stand-in for the agent that hands out the audit's arrays and keeps d loss / d log_prob.
"""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import peers

peers.need("stable_baselines3", "stable-baselines3==2.9.2")

import torch  # noqa: E402
from gymnasium.spaces import Box  # noqa: E402
from stable_baselines3 import A2C, PPO  # noqa: E402

from logpi import audit  # noqa: E402
from logpi.audit.losses.sequences import draw  # noqa: E402

ENTROPY = 0.1  # the weight of the entropy bonus, where it is audited


class Standin:
    """What `train` needs of an agent, for one batch of rows, one epoch."""

    def __init__(self, log_prob, behaviour_log_prob, advantage, **settings):
        self.given = [torch.from_numpy(np.array(x)) for x in (log_prob, behaviour_log_prob, advantage)]
        self.given[0].requires_grad_(True)
        self.gradient = np.zeros(log_prob.shape)
        self.policy = self.rollout_buffer = self.logger = self
        self.optimizer = SimpleNamespace(zero_grad=lambda: None, step=self._keep)
        self.action_space = Box(-1, 1)
        self.n_epochs, self.batch_size, self._n_updates = 1, len(log_prob), 0
        self.clip_range, self.clip_range_vf, self.target_kl, self.verbose = lambda _: 0.2, None, None, 0
        self._current_progress_remaining, self.vf_coef, self.max_grad_norm = 1.0, 0.0, float("inf")
        self.values = self.returns = np.zeros(1)
        self.ent_coef, self.normalize_advantage = settings.get("entropy", 0.0), settings["normalize"]

    def get(self, batch_size):
        """The buffer's rows, once."""
        _, behaviour, advantage = self.given
        zero = torch.zeros_like(advantage)
        rows = {"actions": zero, "observations": zero, "old_values": zero, "returns": zero}
        yield SimpleNamespace(**rows, old_log_prob=behaviour, advantages=advantage)

    def evaluate_actions(self, observations, actions):
        """Values, log-probabilities, and no entropy in closed form."""
        return torch.zeros_like(self.given[0]), self.given[0], None

    def parameters(self):
        """What `train` clips the gradient of; the limit is infinite here."""
        return [self.given[0]]

    def _keep(self):
        self.gradient = self.given[0].grad.numpy().copy()

    def set_training_mode(self, mode):
        """Nothing to set."""

    def record(self, *arguments, **others):
        """Nothing to log."""

    def _update_learning_rate(self, optimizer):
        """Nothing to update."""


def ppo(log_prob, behaviour_log_prob, advantage):
    """`PPO.train` with its default settings: advantages standardised."""
    agent = Standin(log_prob, behaviour_log_prob, advantage, normalize=True)
    PPO.train(agent)
    return 0.0, agent.gradient


def ppo_plain(log_prob, behaviour_log_prob, advantage):
    """`PPO.train` with `normalize_advantage=False`."""
    agent = Standin(log_prob, behaviour_log_prob, advantage, normalize=False)
    PPO.train(agent)
    return 0.0, agent.gradient


def a2c(log_prob, advantage):
    """`A2C.train` with its default settings: advantages as they are."""
    agent = Standin(log_prob, log_prob, advantage, normalize=False)
    A2C.train(agent)
    return 0.0, agent.gradient


def entropy_bonus(log_prob, reference_log_prob, advantage):
    """`A2C.train` for a distribution without an entropy in closed form: its bonus is the mean of -log_prob.

    An entropy bonus is minus the KL to the uniform policy, up to a constant: that is the reference of the audit.
    """
    agent = Standin(log_prob, log_prob, advantage, normalize=False, entropy=ENTROPY)
    A2C.train(agent)
    return 0.0, agent.gradient


def reports():
    """Of each."""
    main = draw(jax.random.key(0), "binary", name="right or wrong", vocabulary=4, length=1)
    uniform = dataclasses.replace(main, reference=np.zeros_like(main.logits))
    settings = {"rows": True, "framework": "numpy"}
    return {
        "SB3 PPO, policy loss": audit.loss(ppo, **settings),
        "SB3 PPO, policy loss, normalize_advantage=False": audit.loss(ppo_plain, **settings),
        "SB3 A2C, policy loss": audit.loss(a2c, **settings),
        "SB3 entropy bonus without a closed form": audit.loss(entropy_bonus, problem=uniform, beta=ENTROPY, **settings),
    }


def main():
    """Prints what was found."""
    for name, report in reports().items():
        print(f"== {name}\n{report}\n")


if __name__ == "__main__":
    main()
