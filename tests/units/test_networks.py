"""What is said of a network is used, for every kind of observation and memory, or refused."""

import json
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import logpi
from logpi import InputError, Network, PPO, Settings, spaces
from logpi.models import as_actor_critic, make_actor_critic
from logpi.runs.config import read_entries
from logpi.runs.schema import from_json, to_json

LINE = spaces.Box((3,))
MINATAR = spaces.Box((10, 10, 4), 0.0, 1.0, "bool")
ATARI = spaces.Box((84, 84, 4), 0.0, 255.0, "uint8")
MIXED = spaces.Dict((("arm", spaces.Box((2,))), ("eye", MINATAR)))
TWO = spaces.Discrete(2)


def built(network: Network, obs_space: spaces.Space = LINE, action_space: spaces.Space = TWO) -> Any:
    """The shapes of a model; nothing is computed."""
    return eqx.filter_eval_shape(make_actor_critic, obs_space, action_space, network, key=jax.random.key(0))


def sizes(tree: Any) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(tree) if leaf.ndim == 2]


@pytest.mark.parametrize("obs_space", [LINE, MINATAR, ATARI, MIXED], ids=["line", "small", "large", "mixed"])
@pytest.mark.parametrize("memory", ["none", "gru", "lstm"])
@pytest.mark.parametrize("change", [{"width": 24}, {"depth": 3}, {"depth": 4, "width": 24}, {"activation": "silu"}])
def test_every_field_makes_another_model(obs_space: spaces.Space, memory: Any, change: dict[str, Any]) -> None:
    usual, changed = (built(Network(memory, **fields), obs_space) for fields in ({}, change))
    assert not eqx.tree_equal(usual, changed)
    if "activation" in change:
        assert sizes(usual) == sizes(changed)
        assert str(jax.tree.structure(changed)).count("silu") > str(jax.tree.structure(usual)).count("silu") == 0
    else:
        assert sizes(usual) != sizes(changed)


@pytest.mark.parametrize(
    ("obs_space", "memory", "hidden"),
    [(LINE, "none", (64, 2)), (ATARI, "none", (64, 0)), (MIXED, "none", (64, 2)), (ATARI, "gru", (64, 1))],
)
def test_what_is_usual_is_what_it_was(obs_space: spaces.Space, memory: Any, hidden: tuple[int, int]) -> None:
    """Widths and depths that were fixed before they could be said."""
    width, depth = hidden
    assert Network(memory).units(obs_space) == (width,) * (depth + (memory != "none"))
    model = built(Network(memory), obs_space)
    if depth:
        same = built(Network(memory, width=width, depth=depth), obs_space)
        assert jax.tree.structure(model) == jax.tree.structure(same) and sizes(model) == sizes(same)
    else:
        assert sizes(model)[-2:] == [(512, 2), (512, 1)]


def test_layers_behind_convolutions_and_in_front_of_a_memory() -> None:
    model = built(Network(width=32, depth=3), ATARI)
    assert model.encoder.size == 512
    assert sizes(model.actor) == [(512, 32), (32, 32), (32, 32), (32, 2)]
    assert built(Network(width=300), ATARI).encoder.size == 300  # there is no other layer
    model = built(Network("gru", 16, 3))
    assert sizes((model.dense, model.deeper)) == [(3, 16), (16, 16), (16, 16)]
    without = built(Network("lstm", 16, 0))
    assert without.dense is None and without.cell.input_size == 3 and without.cell.hidden_size == 16


def test_a_width_for_each_layer() -> None:
    """A memory's is the last; behind convolutions they are hidden layers."""
    model = built(Network(width=(48, 24, 12)))
    assert sizes(model.actor) == [(3, 48), (48, 24), (24, 12), (12, 2)]
    assert sizes(model.critic)[-1] == (12, 1) and model.encoder.size == 3
    model = built(Network("gru", (48, 24)))
    assert sizes(model.dense) == [(3, 48)] and (model.cell.input_size, model.cell.hidden_size) == (48, 24)
    model = built(Network(width=(48,)), ATARI)
    assert model.encoder.size == 512 and sizes(model.actor) == [(512, 48), (48, 2)]
    assert sizes(built(Network(width=())).actor) == [(3, 2)]  # a linear policy
    assert logpi.preset("CartPole-v1").with_(width=(48, 24)).network == Network(width=(48, 24))
    read = Settings(network=Network(width=(48, 24)))
    assert from_json(json.loads(json.dumps(to_json(read)))) == read


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"width": (8, 0)}, "a number in width is 0, but it must be between 1 and 65536"),
        ({"width": (8, 8), "depth": 3}, r"depth is 3, but width is \(8, 8\), .* 2 hidden layers: leave depth out"),
        ({"width": (8, 8), "memory": "lstm", "depth": 2}, "1 hidden layers and a memory: leave depth out"),
        ({"width": (), "memory": "gru"}, r"width is \(\), but a memory has units"),
        ({"width": (4,) * 200}, "width has 200 numbers, but there are at most 128 layers"),
    ],
)
def test_widths_that_cannot_be(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Network(**fields)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_memory_behind_any_number_of_layers_is_one(depth: int) -> None:
    """Every layer is in the value, and what was seen before is too."""
    model = make_actor_critic(LINE, TWO, Network("gru", 8, depth, "gelu"), key=jax.random.key(1))
    first, second = jnp.asarray([1.0, -2.0, 0.5]), jnp.asarray([0.3, 0.1, -1.0])
    seen = model.evaluate(second, model.evaluate(first, model.initial_memory())[1])[0].value
    assert seen != model.evaluate(second, model.initial_memory())[0].value
    gradient = eqx.filter_grad(lambda m: m.evaluate(first, m.initial_memory())[0].value)(model)
    assert all(jnp.any(layer.weight != 0) for layer in (gradient.dense, *gradient.deeper) if layer is not None)


@pytest.mark.parametrize("space", [TWO, spaces.MultiDiscrete((2, 3)), spaces.MultiBinary((4,))])
def test_a_standard_deviation_of_choices_is_refused(space: spaces.Space) -> None:
    with pytest.raises(InputError, match=r"initial_log_std is -0.5, but actions in .* have no standard deviation"):
        built(Network(initial_log_std=-0.5), action_space=space)
    assert built(Network(initial_log_std=-0.5), action_space=spaces.Box((2,))).head.log_std.shape == (2,)


@pytest.mark.parametrize(
    ("written", "obs_space", "read"),
    [
        (Network(width=64, depth=2, activation="tanh"), LINE, Network()),
        (Network(width=8, depth=1, activation="relu"), LINE, Network(width=8, depth=1, activation="relu")),
        (Network(width=1024, depth=4, activation="gelu"), ATARI, Network()),
        (Network("gru", 16, 5, "relu"), LINE, Network("gru", 16)),
        (
            Network("lstm", 64, 2, "tanh", normalize_observations=True),
            ATARI,
            Network("lstm", normalize_observations=True),
        ),
    ],
)
def test_a_run_of_an_older_logpi_has_the_network_that_it_had(
    written: Network, obs_space: spaces.Space, read: Network, tmp_path: Path
) -> None:
    config = {
        "schema": 3, "env": "Env-v0", "named": False, "seeds": (0,), "model": "network", "obs_space": obs_space,
        "action_space": TWO, "measurements": PPO.measurements, "summary": {}, "versions": {}, "run_id": "",
        "settings": Settings(network=written),
    }  # fmt: skip
    for schema, network in ((3, read), (4, written)):
        (tmp_path / "config.json").write_text(json.dumps(to_json(config | {"schema": schema})))
        assert read_entries(tmp_path)["settings"].network == network


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"network": Network(width=8)}, r"network is Network\(.*, but the model is your own"),
        ({"width": 8}, "width is 8, but the model is your own, which is used as it is: leave out one of the two"),
        ({"normalize_observations": True}, "normalize_observations is True, but the model is your own"),
    ],
)
def test_a_network_beside_a_model_of_ones_own_is_refused(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        logpi.train("probe:identity", model=lambda *_: None, **said)


@pytest.mark.parametrize("model", [int, dict, Path, 3, "mlp"])
def test_what_makes_no_policy_is_no_model(model: Any) -> None:
    with pytest.raises(InputError, match=r"model is .* but it must be a logpi.AbstractPolicy, a network of"):
        as_actor_critic(model, LINE, TWO, jax.random.key(0))
