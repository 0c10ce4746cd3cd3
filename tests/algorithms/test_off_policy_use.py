"""Off-policy algorithms as people call them: what cannot work is one sentence with the cure, and bounds are kept."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi import DDPG, InputError, SAC, TD3
from logpi.distributions import Normal
from logpi.envs import AbstractEnv, first_timestep, Timestep
from logpi.experience import Replay
from logpi.models import AbstractPolicy
from logpi.spaces import Box, Discrete, MultiDiscrete
from tests.training.test_resume import files, rewound

SMALL: dict[str, Any] = {
    "steps": 192, "rollout_length": 32, "width": 8, "warmup": 64, "batch_size": 16, "capacity": 512, "progress": False,
}  # fmt: skip


class Line(AbstractEnv):
    """What an action comes to, in an episode of one step; the space of actions is chosen."""

    action_space: Any = eqx.field(static=True)
    obs_space: Any = eqx.field(static=True, default=Box((1,), -1.0, 1.0))

    def reset(self, key):
        return (), first_timestep(jnp.ones(1))

    def step(self, key, state, action):
        return (), Timestep(
            jnp.zeros(1), jnp.sum(jnp.asarray(action, jnp.float32)), jnp.ones((), bool), jnp.zeros((), bool)
        )


@pytest.mark.parametrize(
    ("env", "algorithm", "changes", "sentence"),
    [
        ("CartPole-v1", "td3", {}, "TD3 climbs the slope of a value .* has choices: take algorithm='sac'"),
        ("Pendulum-v1", "sac", {"memory": "gru"}, "memory is gru, but SAC learns from single steps of a replay"),
        ("Pendulum-v1", "sac", {"updates_per_step": 0.3}, "updates_per_step is 0.3 and a rollout has 32 rows"),
        ("Pendulum-v1", "sac", {"reward_scaling": True}, "reward_scaling is given, but SAC keeps its rewards"),
        ("Pendulum-v1", "sac", {"warmup": 600}, "warmup is 600, but the replay keeps 512 rows"),
        ("Pendulum-v1", "ddpg", {"batch_size": 600}, "batch_size is 600, but the replay keeps 512 rows"),
        ("Pendulum-v1", "sac", {"capacity": 10**12}, "capacity is 1,000,000,000,000, which .* needs"),
        ("Pendulum-v1", "sac", {"actions": "clip"}, "actions is clip, but those of a tanh_normal distribution lie"),
        ("Pendulum-v1", "td3", {"action_distribution": "normal"}, "TD3 has a policy without chance"),
        (Line(MultiDiscrete((40, 40))), "sac", {}, "1,600 combinations .* of 1,024 at most: take algorithm='ppo'"),
        (Line(Box((1,))), "sac", {}, "action_distribution is tanh_normal, which acts between bounds, .* not bounded"),
        (Line(Box((1,))), "td3", {}, "action_distribution is deterministic, which acts between bounds"),
        ("Pendulum-v1", "sac", {"clip": 0.1}, "clip is no setting of SAC"),
        ("Pendulum-v1", "sac", {"initial_log_std": -6.0}, "initial_log_std is -6.0, but with action_distribution="),
        ("Pendulum-v1", "td3", {"initial_log_std": -1.0}, "initial_log_std is -1.0, but the policy is without chance"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_one_sentence(env: Any, algorithm: Any, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as raised:
        logpi.train(env, algorithm, **SMALL | changes)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: SAC(critics=0), "critics"),
        (lambda: SAC(critics=2, subset=3), "subset"),
        (lambda: SAC(dropout=1.0), "dropout"),
        (lambda: SAC(quantiles=0), "quantiles"),
        (lambda: SAC(quantiles_dropped=1), "quantiles_dropped"),
        (lambda: SAC(quantiles=5, quantiles_dropped=5), "quantiles_dropped"),
        (lambda: SAC(initial_temperature=0.0), "initial_temperature"),
        (lambda: SAC(experience=5), "experience"),  # type: ignore[arg-type]
        (lambda: SAC(actor_optimiser=3e-4), "actor_optimiser"),  # type: ignore[arg-type]
        (lambda: TD3(delay=0), "delay"),
        (lambda: TD3(noise=-1.0), "noise"),
        (lambda: DDPG(tau=1.5), "tau"),
    ],
)
@pytest.mark.usefixtures("as_users_have_it")
def test_a_field_that_cannot_be_is_named(make: Any, name: str) -> None:
    with pytest.raises(InputError, match=f"^{name} is"):
        make()


def test_critics_of_other_forms_are_stored_and_resumed_bit_for_bit(tmp_path: Path) -> None:
    parts = {"quantiles": 5, "dropout": 0.1, "layer_norm": True, "subset": 2, "critics": 3}
    folder = tmp_path / "run"
    run = logpi.train("Pendulum-v1", "sac", **SMALL | parts, out=folder, checkpoint_every=1)
    whole, obs = files(folder), np.zeros(3, np.float32)
    assert logpi.load(folder).policy(obs, deterministic=True) == run.policy(obs, deterministic=True)
    logpi.resume(rewound(folder, 5), progress=False)
    assert files(folder) == whole


LEARNING = SMALL | {"steps": 1_920, "width": 32, "learning_rate": 3e-3}


@pytest.mark.parametrize("algorithm", ["sac", "td3", "ddpg"])
def test_bounds_are_reached_and_never_left(algorithm: str) -> None:
    """The reward is the action: from bounds that are far from -1 and 1, the upper one is the best."""
    more = {"initial_temperature": 0.01} if algorithm == "sac" else {}
    run = logpi.train(Line(Box((1,), 10.0, 12.0)), algorithm, **LEARNING | more)
    drawn = np.asarray([run.policy(np.ones(1, np.float32)) for _ in range(50)])
    assert drawn.min() >= 10 and drawn.max() <= 12 and drawn.mean() > 11.3
    assert run.history[-1]["return_mean"] > 11.3 and run.settings.actions == "rescale"


def test_choices_are_counted_from_where_their_space_does() -> None:
    run = logpi.train(Line(Discrete(3, start=5)), "sac", **LEARNING, target_entropy=0.1)
    assert run.history[-1]["return_mean"] > 6.5 and run.policy(np.ones(1, np.float32), deterministic=True) == 7


class Wide(AbstractPolicy):
    """A policy of one's own, whose actions have no bounds."""

    weight: Any

    def initial_memory(self) -> tuple[()]:
        return ()

    def __call__(self, obs, memory):
        return Normal(self.weight * (1 + obs), jnp.full(1, -1.0)), memory


def test_a_model_of_ones_own_gets_critics() -> None:
    run = logpi.train(
        Line(Box((1,), -1.0, 1.0)), SAC(experience=Replay(512, 16), warmup=64), model=Wide(jnp.zeros(1)), steps=192,
        num_envs=1, rollout_length=32, progress=False,
    )  # fmt: skip
    assert np.isfinite(run.history[-1]["value_error"]) and float(run.models[0].actor.policy.weight[0]) > 0


def test_a_model_of_ones_own_with_a_memory_is_refused() -> None:
    made = logpi.models.make_actor_critic
    network = logpi.Network(memory="gru", width=8)
    with pytest.raises(InputError, match="memory is that of your model, but SAC learns from single steps"):
        logpi.train("Pendulum-v1", SAC(), model=lambda *spaces: made(*spaces[:2], network, key=spaces[2]), steps=64)


def test_a_network_of_ones_own_acts_as_the_algorithm_does() -> None:
    layer = eqx.nn.Linear(3, 1, key=jax.random.key(0))
    run = logpi.train(
        "Pendulum-v1", TD3(experience=Replay(512, 16), warmup=64), model=layer, steps=96, num_envs=1, rollout_length=32,
        progress=False,
    )  # fmt: skip
    assert run.policy(np.zeros(3, np.float32)) == run.policy(np.zeros(3, np.float32))


def test_what_the_algorithm_said_of_actions_goes_with_it() -> None:
    settings = logpi.preset("HalfCheetah-v5", "sac")
    assert settings.actions == "rescale" and settings.with_(algorithm=logpi.PPO()).actions == "auto"
    unbounded = SMALL | {"action_distribution": "state_dependent_normal"}
    assert logpi.train(Line(Box((1,))), "sac", **unbounded).settings.actions == "auto"


def test_gradient_steps_need_not_be_written_to_the_last_digit() -> None:
    """0.07 times 100 is 7.000000000000001."""
    run = logpi.train("Pendulum-v1", "sac", **SMALL | {"updates_per_step": 0.07, "rollout_length": 100, "steps": 300})
    assert run.history[-1]["value_error"] > 0


@pytest.mark.parametrize("algorithm", ["sac", "td3"])
def test_double_precision_may_be_on(algorithm: str) -> None:
    jax.config.update("jax_enable_x64", True)  # for every thread, as users do
    try:
        run = logpi.train("Pendulum-v1", algorithm, **SMALL)
    finally:
        jax.config.update("jax_enable_x64", False)
    assert np.isfinite(run.history[-1]["value_error"])
