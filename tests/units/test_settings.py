"""Settings by name: one number changed, all the rest kept; and what is said of names that there are not."""

import dataclasses
import inspect
import typing
from typing import Any

import pytest

import logpi
from logpi import Adam, GAE, InputError, Network, PPO, RewardScaling
from logpi.errors import OTHERS_NAMES
from logpi.runs.presets import AlgorithmName, GENERAL
from logpi.runs.settings import names_of, Settings
from logpi.training.train import chosen_settings


def flat(part: Any, name: str = "settings") -> dict[str, Any]:
    """Every number and choice in settings by its path."""
    if not dataclasses.is_dataclass(part):
        return {name: part}
    fields = [flat(getattr(part, f.name), f"{name}.{f.name}") for f in dataclasses.fields(part)]
    return {path: value for each in fields for path, value in each.items()}


def changed(before: Settings, after: Settings) -> dict[str, Any]:
    """What differs, by its path, but for where it comes from."""
    old, new = flat(before), flat(after)
    return {path: new[path] for path in new if old.get(path) != new[path] and path != "settings.source"}


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"learning_rate": 7e-4}, {"settings.algorithm.optimiser.learning_rate": 7e-4}),
        ({"clip": 0.1}, {"settings.algorithm.clip": 0.1}),
        ({"lam": 0.5, "steps": 99}, {"settings.algorithm.credit.lam": 0.5, "settings.steps": 99}),
        ({"width": 7, "memory": "gru"}, {"settings.network.width": 7, "settings.network.memory": "gru"}),
        ({"segment_length": 8}, {"settings.algorithm.segment_length": 8}),
        ({"credit": GAE(0.5, 0.25), "gamma": 0.75},
         {"settings.algorithm.credit.gamma": 0.75, "settings.algorithm.credit.lam": 0.25}),
        ({"network": Network(width=9), "depth": 3}, {"settings.network.width": 9, "settings.network.depth": 3}),
    ],
)  # fmt: skip
def test_one_number_is_changed_and_the_rest_is_kept(changes: dict[str, Any], differs: dict[str, Any]) -> None:
    before = logpi.preset("CartPole-v1")
    after = before.with_(**changes)
    assert changed(before, after) == differs
    assert after.source.startswith(before.source) and all(name in after.source for name in changes)
    assert chosen_settings("CartPole-v1", None, None, {"steps": None}, changes) == after
    assert chosen_settings("elsewhere", "ppo", before, {}, changes) == after


def test_the_discount_is_that_of_the_scaled_rewards_too() -> None:
    scaled = logpi.preset("HalfCheetah-v5").with_(gamma=0.9)
    assert scaled.reward_scaling == RewardScaling(0.9)
    bare = logpi.preset("CartPole-v1")
    assert bare.with_(reward_scaling=True).reward_scaling == RewardScaling(0.98)
    assert bare.with_(reward_scaling=True, gamma=0.5, limit=3.0).reward_scaling == RewardScaling(0.5, 3.0)
    assert bare.with_(reward_scaling=True, credit=GAE(0.7)).reward_scaling == RewardScaling(0.7)
    assert scaled.with_(reward_scaling=False).reward_scaling is None


def test_an_algorithm_replaces_all_numbers_of_the_presets() -> None:
    preset = logpi.preset("CartPole-v1")
    chosen = chosen_settings("CartPole-v1", PPO(Adam(1e-3)), None, {}, {"clip": 0.3})
    assert chosen.algorithm == PPO(Adam(1e-3), clip=0.3) and chosen.num_envs == preset.num_envs
    assert "PPO as given, with all its numbers" in chosen.source


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"learning_rte": 1.0}, "learning_rte is no setting of PPO: did you mean learning_rate"),
        ({"sed": 1}, "sed is no setting of PPO: did you mean seed?"),
        ({"total_timesteps": 1}, "did you mean steps?"),
        ({"ent_coef": 0.1}, "did you mean entropy_coef?"),
        ({"n_steps": 5}, "did you mean rollout_length?"),
        ({"qqq": 5}, "there are action_distribution, actions, activation,"),
        ({"limit": 5.0}, "did you mean reward_scaling?"),
        ({"clip": -1.0}, "clip is -1.0, but it must be 0 or more"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0"),
        ({"width": 0}, "width is 0"),
    ],
)
def test_what_cannot_be_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as raised:
        logpi.train("CartPole-v1", **changes)
    assert sentence in str(raised.value)


def test_an_algorithm_beside_settings_of_another_is_refused() -> None:
    with pytest.raises(InputError, match="algorithm is 'a2c', but the settings are of ppo"):
        logpi.train("CartPole-v1", "a2c", settings=logpi.preset("CartPole-v1"))
    with pytest.raises(InputError, match="algorithm is 'dqn'"):
        logpi.preset("CartPole-v1", "dqn")


def test_names_of_other_libraries_are_answered_with_names_that_there_are() -> None:
    settings = [
        settings if settings.algorithm.experience.capacity else settings.with_(reward_scaling=True)
        for settings in GENERAL.values()
    ]
    known = set().union(*map(names_of, settings)) | inspect.signature(logpi.train).parameters.keys()
    assert set(OTHERS_NAMES.values()) <= known and not set(OTHERS_NAMES) & known - {"limit"}


def test_the_names_of_algorithms_are_those_that_have_presets() -> None:
    assert typing.get_args(AlgorithmName) == tuple(GENERAL)


def test_many_changes_keep_a_source_that_can_be_stored() -> None:
    settings = logpi.preset("CartPole-v1")
    for i in range(2000):
        settings = settings.with_(steps=i + 1)
    assert settings.steps == 2000 and len(settings.source) <= 20_000
