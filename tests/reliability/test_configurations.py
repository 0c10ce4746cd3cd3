"""Any combination of fields trains two updates, or is refused with a sentence where it is built."""

import dataclasses
import math
from typing import Any

import jaxtyping
import pytest
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st

import logpi
from logpi import (
    A2C,
    Adam,
    GAE,
    InputError,
    MonteCarlo,
    Network,
    NPG,
    NStep,
    PPO,
    REINFORCE,
    RewardScaling,
    Settings,
    TRPO,
)

ODD = st.sampled_from([None, True, -1, 0, 1, 2, 0.5, 1.5, 10**400, math.inf, -math.inf, math.nan, "2", "", [1], {}, 1j])
PARTS: dict[type, dict[str, list[Any]]] = {
    GAE: {"gamma": [0.0, 0.9, 1.0], "lam": [0.0, 1.0]},
    NStep: {"n": [1, 3, 10**9], "gamma": [0.0, 1.0]},
    MonteCarlo: {"gamma": [0.0, 0.9]},
    Adam: {"learning_rate": [0.0, 1e-3, 1e6], "anneal": [0.0, 1.0], "max_grad_norm": [0.0, math.inf]},
    Network: {
        "width": [1, 4],
        "depth": [0, 2],
        "activation": ["relu", "gelu"],
        "initial_log_std": [-20, 20.0],
        "action_distribution": [None, "normal", "state_dependent_normal", "tanh_normal"],
    },
    RewardScaling: {"gamma": [0.0, 1.0], "limit": [0.0, math.inf]},
    PPO: {"clip": [0.0, 0.2, math.inf], "num_epochs": [1, 2], "num_minibatches": [1, 2], "target_kl": [0.0, math.inf]},
    A2C: {"entropy_coef": [0.0, 1e6], "value_coef": [0.0, 0.5], "segment_length": [None, 1, 4]},
    REINFORCE: {"value_coef": [0.0, 1e6], "segment_length": [None, 2]},
    TRPO: {"radius": [0.0, 0.01], "damping": [0.0, 0.1], "iterations": [1, 5], "backtracks": [0, 2]},
    NPG: {"radius": [0.0, 1.0], "damping": [0.0, 1e6], "num_epochs": [1, 2], "num_minibatches": [1, 2]},
    Settings: {
        "steps": [1, 16],
        "num_envs": [1, 2],
        "rollout_length": [1, 4],
        "actions": ["auto", "clip", "rescale"],
        "reward_clipping": [None, 0.0, 1.0, math.inf],
    },
}


def fields(kind: type) -> st.SearchStrategy[dict[str, Any]]:
    """Some fields of a kind, of which at most one is odd."""
    good = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in PARTS[kind].items()})
    odd = st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(kind)]), ODD, max_size=1)
    return st.tuples(good, odd).map(lambda pair: pair[0] | pair[1])


@pytest.fixture
def as_users_have_it():
    """Without the run-time type checks of the tests, which would speak first."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# The same examples every time; a failure prints the one that shows it.
STILL = {"derandomize": True, "deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}


def is_a_sentence(error: InputError) -> None:
    assert "\n" not in str(error) and len(str(error)) < 400


@pytest.mark.usefixtures("as_users_have_it")
@settings(max_examples=150, **STILL)
@given(st.data())
def test_it_is_made_and_written_or_refused(data: st.DataObject) -> None:
    """What is made is a valid object: it is written to a file and read again as it is."""
    from logpi.runs.schema import from_json, to_json

    kind = data.draw(st.sampled_from(list(PARTS)))
    named = data.draw(fields(kind))
    try:
        made = kind(**named)
    except InputError as error:
        is_a_sentence(error)
        return
    assert repr(to_json(from_json(to_json(made)))) == repr(to_json(made))


def trains_or_is_refused(data: st.DataObject) -> None:
    """Two updates of a whole configuration."""
    draw = data.draw
    try:
        algorithm = draw(st.sampled_from([PPO, A2C, REINFORCE, TRPO, NPG]))
        credit = draw(st.sampled_from([GAE, NStep, MonteCarlo]))
        parts = {"credit": credit(**draw(fields(credit))), "optimiser": Adam(**draw(fields(Adam)))}
        network = Network(**{"width": 4, "depth": 1} | draw(fields(Network)))
        scaling = draw(st.one_of(st.none(), fields(RewardScaling).map(lambda named: RewardScaling(**named))))
        small = {"num_envs": 2, "rollout_length": 4, "network": network, "reward_scaling": scaling}
        named = small | {"algorithm": algorithm(**parts | draw(fields(algorithm)))}
        chosen = Settings(**named | draw(fields(Settings)))
        chosen = dataclasses.replace(chosen, steps=2 * chosen.steps_per_rollout)
        kind = draw(st.sampled_from(["identity", "truncation", "identity-box"]))
        run = logpi.train(f"probe:{kind}", settings=chosen, on_nan="skip")
    except InputError as error:
        is_a_sentence(error)
        return
    assert run.history[-1]["iteration"] == 2


@pytest.mark.usefixtures("as_users_have_it")
@settings(max_examples=6, **STILL)
@given(st.data())
def test_it_trains_or_is_refused(data: st.DataObject) -> None:
    trains_or_is_refused(data)


@pytest.mark.slow
@pytest.mark.usefixtures("as_users_have_it")
@settings(max_examples=500, **STILL)
@given(st.data())
def test_many_train_or_are_refused(data: st.DataObject) -> None:
    trains_or_is_refused(data)
