"""What every contender is asked to train: one table that all of the scripts read, so that settings are equal."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """An environment and the hyperparameters of PPO on it. Networks: actor and critic apart, `hidden` units, tanh.

    With `hidden` empty, the one network of Mnih et al. 2015 for both, each with one layer behind it.
    """

    env: str
    num_envs: int
    rollout_length: int
    num_minibatches: int
    num_epochs: int
    learning_rate: float = 2.5e-4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_clip: float | None = None
    entropy_coef: float = 0.01
    value_coef: float = 0.5
    max_grad_norm: float = 0.5
    hidden: tuple[int, ...] = (64, 64)
    seeds: int = 1

    @property
    def steps_per_iteration(self) -> int:
        """Agent steps of one seed between two updates."""
        return self.num_envs * self.rollout_length

    @property
    def minibatch_size(self) -> int:
        """Rows in one gradient."""
        return self.steps_per_iteration // self.num_minibatches

    def whole_iterations(self, steps: int) -> int:
        """`steps` rounded down to whole iterations, one at least: what every contender then trains for exactly."""
        return max(1, steps // self.steps_per_iteration) * self.steps_per_iteration


_CARTPOLE = {"env": "CartPole-v1", "rollout_length": 128, "num_minibatches": 4, "num_epochs": 4, "value_clip": 0.2}

SETTINGS = {
    "cartpole64": Setting(num_envs=64, **_CARTPOLE),
    "cartpole4": Setting(num_envs=4, **_CARTPOLE),
    "seeds8": Setting(num_envs=64, seeds=8, **_CARTPOLE),
    # The defaults of Stable-Baselines3's PPO, with eight environments of 256 steps: minibatches of 64 rows.
    "halfcheetah": Setting(
        env="HalfCheetah-v5",
        num_envs=8,
        rollout_length=256,
        num_minibatches=32,
        num_epochs=10,
        learning_rate=3e-4,
        entropy_coef=0.0,
    ),
    "pictures": Setting(
        env="Pictures",
        num_envs=8,
        rollout_length=128,
        num_minibatches=4,
        num_epochs=4,
        learning_rate=3e-4,
        entropy_coef=0.0,
        hidden=(),
    ),
}
