"""Environments as people have them: odd infos, one object for all, changed actions, processes, uneven returns."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logpi
from logpi.distributions import Categorical, Joint
from logpi.envs import resolve
from logpi.envs.sources import can_be_shared
from logpi.envs.vector import GymnasiumVector, vectorize
from logpi.errors import EnvironmentFault, InputError
from logpi.evaluation.episodes import follow, no_episodes
from logpi.spaces.actions import can_rescale
from logpi.spaces.encoding import encode
from logpi.spaces.gymnasium import from_gymnasium
from logpi.spaces.kinds import Box, Dict, MultiDiscrete, Tuple
from logpi.trajectory import Trajectory

ROOT = Path(__file__).resolve().parents[2]
spaces = gymnasium.spaces


class Plain(gymnasium.Env):
    """Pays 1 a step, ends after `length` steps, and does what it is told to with infos and actions."""

    def __init__(self, obs=None, action=None, length=3, info=None, step=None, seen=None):
        self.observation_space = obs or spaces.Box(-1, 1, (2,))
        self.action_space = action or spaces.Discrete(2)
        self.length, self.info, self.change, self.seen = length, info, step, seen

    def _obs(self):
        return self.observation_space.sample() if self.seen is None else self.seen

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        self.time = 0
        return self._obs(), {} if self.info is None else self.info(0)

    def step(self, action):
        if self.change is not None:
            self.change(action)
        self.time += 1
        return self._obs(), 1.0, self.time >= self.length, False, {} if self.info is None else self.info(self.time)


INFOS = {
    "an array that grows": lambda t: {"visited": np.arange(t + 1)},
    "a distance or none": lambda t: {"distance": None if t % 2 else 3},
    "a number or a word": lambda t: {"status": "collision" if t == 2 else 0},
    "lists of dictionaries": lambda t: {"agents": [{"x": t}], 7: object()},
    "its own mark": lambda t: {"logpi_restarted": "not at all"},
    "final_info": lambda t: {"final_info": {"episode": {"r": None}}, "final_obs": None},
}


@pytest.mark.parametrize("what", INFOS)
def test_nobody_reads_an_info(what: str) -> None:
    vector = vectorize(lambda: Plain(info=INFOS[what]), 2, 0)
    vector.reset()
    for _ in range(9):
        vector.step(np.zeros(2, np.int32))
        assert not vector.restarted
    vector.close()


def test_a_vector_environment_of_ones_own_may_have_infos_as_lists_and_pay_for_resets() -> None:
    inner = gymnasium.vector.SyncVectorEnv([lambda: Plain(length=2)] * 2)
    changed = gymnasium.wrappers.vector.TransformReward(inner, lambda reward: reward + 100)
    run = logpi.train(
        gymnasium.wrappers.vector.DictInfoToList(changed), num_envs=2, rollout_length=12, steps=24,
        network=logpi.Network(width=4, depth=1), algorithm=logpi.REINFORCE(),
    )  # fmt: skip
    assert [row["reward"] for row in run.history] == [101.0] and run.history[0]["return_mean"] == 202.0


@pytest.mark.parametrize("seen", [np.float32([0.7, 1.9]), np.int64([3, 300])], ids=["floats", "too large"])
def test_a_vector_environment_is_held_to_its_space(seen) -> None:
    class Showing(gymnasium.vector.SyncVectorEnv):
        def reset(self, **_):
            return np.stack([seen, seen]), {}

    space = spaces.Box(0, 9, (2,), np.int8)
    vector = GymnasiumVector(Showing([lambda: Plain(space, seen=np.zeros(2, np.int8))] * 2), ours=False)
    with pytest.raises(EnvironmentFault, match=r"vector environment .* returned an observation of .*\(int8\)"):
        vector.reset()


def test_one_environment_is_not_handed_out_twice() -> None:
    shared, wrapper = Plain(), gymnasium.wrappers.TimeLimit
    for make in (lambda: shared, lambda: wrapper(shared, 5), lambda: next(iter([shared]))):
        with pytest.raises(InputError, match=r"handed out one and the same environment twice.*make a new one"):
            vectorize(make, 2, name="make")
    alone = vectorize(lambda: shared, 1, name="make")  # one is no two
    with pytest.raises(InputError, match="twice"):
        vectorize(lambda: shared, 1, name="make")  # another seed's
    again = vectorize(lambda: shared, 1, name="make")  # the mark went with the complaint
    alone.close()
    again.close()
    vectorize(lambda: shared, 1, name="make").close()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_environment_may_change_its_actions_in_place(dtype) -> None:
    def change(action):
        action *= 2
        np.clip(action, -0.5, 0.5, out=action)

    box = spaces.Box(-1, 1, (2,), dtype)
    vector = vectorize(lambda: Plain(action=box, step=change), 2, 0)
    vector.reset()
    given = np.asarray(jnp.full((2, 2), 0.9))  # read-only
    vector.step(given)
    assert (given == np.float32(0.9)).all()
    vector.close()


def test_floats_in_a_space_of_integers_are_refused_however_many_processes() -> None:
    wrong = resolve(lambda: Plain(spaces.Box(0, 9, (2,), np.int32), seen=np.array([0.7, 1.9]))).make(2, 7)
    with pytest.raises(EnvironmentFault, match=r"of 0.7, which is not in its space of whole numbers"):
        wrong.reset()
    right = resolve(lambda: Plain(spaces.Box(0, 9, (2,), np.int32), seen=np.array([3.0, 9.0]))).make(2, 7)
    assert right.reset().tolist() == [[3, 9], [3, 9]]


def make_half() -> gymnasium.Env:
    """Shows numbers of 16 bits, which processes cannot share."""
    return Plain(spaces.Box(-1, 1, (2,), np.float16))


def test_numbers_of_16_bits_come_from_processes_too() -> None:
    assert not can_be_shared(Tuple((Box((2,)), Dict((("a", Box((2,), dtype="float16")),)))))
    assert can_be_shared(Dict((("a", Box((2,), dtype="uint8")), ("b", MultiDiscrete((2,))))))
    vector = resolve(make_half, processes=True).make(1, 0)
    obs, *_ = vector.reset(), vector.step(np.zeros(1, np.int32))
    assert obs.dtype == np.float32 and obs.shape == (1, 2)
    vector.close()


@pytest.mark.parametrize("guard", ["", "if __name__ == '__main__':\n    "])
def test_processes_from_a_script_without_a_guard_are_one_sentence_at_once(guard: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from logpi.envs.vector import check_main\n\n\ndef main():\n    check_main()\n    print('here')\n\n\n"
        f"{guard}main()\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    if guard:
        assert (done.returncode, done.stdout) == (0, "here\n")
    else:
        assert done.returncode == 1 and f"asked for in line 9 of {script}" in done.stderr
        assert "put what the script does under `if __name__ == '__main__':`." in done.stderr


@pytest.mark.parametrize("start", [2**31 - 2, -(2**31) - 1, 2**40])
def test_choices_beyond_32_bits_are_a_sentence(start: int) -> None:
    with pytest.raises(InputError, match=r"counts them in 32 bits, .*let them start at 0"):
        from_gymnasium(spaces.Discrete(3, start=start))
    with pytest.raises(InputError, match="counts them in 32 bits"):
        from_gymnasium(spaces.MultiDiscrete([2, 3], start=[0, start]))
    assert from_gymnasium(spaces.Discrete(2, start=2**31 - 2)).start == 2**31 - 2


def test_small_returns_are_not_lost_beside_large_ones() -> None:
    """Against sums of each episode alone, in 64 bits."""
    rng = np.random.default_rng(0)
    reward = np.where(rng.random((3, 40)) < 0.3, -1e7, 0.25).astype(np.float32)
    start = rng.random((3, 40)) < 0.25
    ended = np.concatenate([start[:, 1:], np.ones((3, 1), bool)], axis=1)
    none, obs = np.zeros((3, 40), bool), np.zeros((3, 40, 1), np.float32)
    columns = (obs, obs[..., 0], reward, reward, ended, none, start, ~none, obs[:, 0], none[:, 0], ())
    rows, after = jax.jit(follow)(Trajectory(*jax.tree.map(jnp.asarray, columns)), no_episodes(3))
    for stream in range(3):
        total, length = 0.0, 0
        for time in range(40):
            total, length = (0.0, 0) if start[stream, time] else (total, length)
            total, length = total + float(reward[stream, time]), length + 1
            np.testing.assert_allclose(rows.total_reward[stream, time], total, rtol=1e-6)
            assert rows.length[stream, time] == length
    assert (after.reward == 0).all() and (after.length == 0).all()


def test_many_choices_of_one_size_are_one_array() -> None:
    """A program does not grow with their number, and draws and probabilities are those of each alone."""

    def made(sizes):
        logits = [jax.random.normal(jax.random.key(i), (n,)) for i, n in enumerate(sizes)]
        return Joint(tuple(Categorical(row) for row in logits))

    def operations(n):
        both = jax.make_jaxpr(lambda joint, key: (joint.sample_and_log_prob(key), joint.entropy()))
        return sum(
            e.primitive.name not in ("broadcast_in_dim", "squeeze", "slice") for e in both(made([3] * n), KEY).eqns
        )

    assert operations(40) == operations(8)
    mixed = made([3, 2, 3, 4, 2])
    event, log_prob = mixed.sample_and_log_prob(KEY)
    alone = [part.sample_and_log_prob(key) for part, key in zip(mixed.parts, jax.random.split(KEY, 5), strict=True)]
    assert event.tolist() == [int(e) for e, _ in alone]
    np.testing.assert_allclose(log_prob, sum(float(p) for _, p in alone), rtol=1e-6)
    np.testing.assert_allclose(mixed.entropy(), sum(float(part.entropy()) for part in mixed.parts), rtol=1e-6)
    assert mixed.mode().tolist() == [int(part.mode()) for part in mixed.parts]
    assert mixed.sample(KEY, (7,)).shape == (7, 5)
    space = MultiDiscrete((3,) * 40)
    assert len(jax.make_jaxpr(lambda x: encode(space, x))(jnp.zeros(40, jnp.int32)).eqns) < 20


KEY = jax.random.key(3)


SMALL = {"rollout_length": 12, "network": logpi.Network(width=4, depth=1)}


def test_a_vector_environment_says_how_many_it_has() -> None:
    vector = gymnasium.vector.SyncVectorEnv([lambda: Plain(length=2)] * 3)
    run = logpi.train(vector, "reinforce", steps=36, **SMALL)
    assert run.settings.num_envs == 3 and run.summary["steps"] <= 36
    with pytest.raises(InputError, match="has 3 environments, but num_envs is 4: say num_envs=3"):
        logpi.train(vector, num_envs=4, **SMALL)
    vector.close()


@pytest.mark.parametrize("wrapper", [gymnasium.wrappers.ClipAction, None])
def test_a_preset_that_rescales_is_for_bounded_actions(wrapper) -> None:
    def make():
        env = gymnasium.make("Pendulum-v1")
        return env if wrapper is None else wrapper(env)

    run = logpi.train(make, num_envs=1, steps=12, algorithm=logpi.REINFORCE(), **SMALL)
    assert run.settings.actions == ("rescale" if wrapper is None else "auto")
    if wrapper is not None:
        with pytest.raises(InputError, match="is not bounded on both sides"):
            logpi.train(make, num_envs=1, steps=12, algorithm=logpi.REINFORCE(), actions="rescale", **SMALL)


@pytest.mark.parametrize("shape", [(1,), (2, 2)])
@pytest.mark.parametrize(("low", "high", "can"), [(-1, 1, True), (-np.inf, 1, False), (0, np.inf, False)])
def test_what_can_be_rescaled_to(shape: tuple[int, ...], low: float, high: float, can: bool) -> None:
    assert can_rescale(Box(shape, low, high)) == can
