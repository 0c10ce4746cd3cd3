"""Host rollouts row by row, in scripted environments: what is seen, what is paid, what the environment receives."""

import concurrent.futures

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi.envs import AbstractEnv, resolve
from logpi.envs.probes import Recall, Termination, Truncation, TwoStep
from logpi.envs.vector import vectorize
from logpi.errors import InputError
from logpi.jaxprs.hoisting import hoist_keys
from logpi.models import Network
from logpi.rollout import HostRollout
from logpi.rollout.host import _empty, LARGE
from logpi.spaces.actions import bounds, clip_to, rescale_to, typed_for
from logpi.spaces.gymnasium import from_gymnasium
from logpi.spaces.kinds import Box
from tests.envs.worlds import ACTIONS, Dice, ENDS, OBSERVATIONS, Script, shown
from tests.rollout.running import blind_policy, check_bookkeeping, next_obs, policy_for, rollout_in, two_rollouts

SCRIPT = "tests.envs.worlds:Script-v0"


def script_rows(length: int):
    """What the first rows of a script are: episode, step, reward, terminated, truncated, whether it counts."""
    rows, episode = [], 0
    while len(rows) < length:
        steps, terminated, truncated = ENDS[episode % len(ENDS)]
        for step in range(steps):
            last = step == steps - 1
            rows.append((episode, step, 100.0 * episode + step + 1, last and terminated, last and truncated, True))
        rows.append((episode, steps, 0.0, False, False, False))
        episode += 1
    return rows[:length]


@pytest.mark.parametrize("processes", [False, True], ids=["in_turn", "processes"])
@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_rows_are_the_script(kind: str, processes: bool) -> None:
    if processes and kind not in ("dict", "box"):
        pytest.skip("one kind with parts and one without are enough")
    source = resolve(SCRIPT, processes=processes, obs=kind)
    trajectory, state = two_rollouts(rollout_in(source, 2, 16), blind_policy(source))
    state.env.close()
    check_bookkeeping(trajectory)
    rows = script_rows(33)
    following = next_obs(trajectory)
    for stream in range(2):
        for time, (episode, step, reward, terminated, truncated, valid) in enumerate(rows[:-1]):
            seen = jax.tree.map(lambda o, s=stream, t=time: o[s, t], trajectory.obs)
            jax.tree.map(np.testing.assert_array_equal, seen, _plain(shown(kind, episode, step)))
            led_to = jax.tree.map(lambda o, s=stream, t=time: o[s, t], following)
            jax.tree.map(np.testing.assert_array_equal, led_to, _plain(shown(kind, *rows[time + 1][:2])))
            numbers = (trajectory.reward, trajectory.terminated, trajectory.truncated, trajectory.valid)
            assert tuple(n[stream, time].item() for n in numbers) == (reward, terminated, truncated, valid)


def _plain(obs):
    return jax.tree.map(np.asarray, obs)


@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_observations_are_members_in_types_that_jax_computes_with(kind: str) -> None:
    source = resolve(SCRIPT, obs=kind)
    env = source.make(3, 0)
    assert env.obs_space == source.obs_space and env.action_space == source.action_space
    member = jax.tree.map(lambda o: o[0], env.reset())
    expected = jax.tree.map(np.asarray, OBSERVATIONS[kind].sample())
    assert jax.tree.structure(member) == jax.tree.structure(dict(expected) if kind == "dict" else expected)
    jax.tree.map(lambda m, e: (m.shape == e.shape) or pytest.fail(f"{m.shape} {e.shape}"), member, expected)
    types = {str(leaf.dtype) for leaf in jax.tree.leaves(env.reset())}
    assert types <= {"float32", "int32", "uint8"}
    assert ("uint8" in types) == (kind in ("image", "tuple"))


@pytest.mark.parametrize("to_env", [clip_to, rescale_to])
@pytest.mark.parametrize("kind", ACTIONS)
def test_the_environment_receives_a_member_and_the_trajectory_keeps_what_was_drawn(kind: str, to_env) -> None:
    made = []

    def make():
        made.append(Script(action=kind))
        return made[-1]

    source = resolve(make)
    del made[:]
    trajectory, _ = two_rollouts(rollout_in(source, 2, 20, to_env), blind_policy(source))
    expected = to_env(source.action_space, trajectory.action)
    for stream, env in enumerate(made):
        assert all(env.action_space.contains(action) for action in env.received)
        np.testing.assert_array_equal(np.stack(env.received), expected[stream][trajectory.valid[stream]])
    assert (kind == "multibinary") or not np.array_equal(trajectory.action, expected.reshape(trajectory.action.shape))


def test_rescaled_actions_reach_the_whole_range() -> None:
    space = Box((2,), (-0.5, -1.0), (0.5, 3.0))
    low, high = bounds(space)
    np.testing.assert_allclose(rescale_to(space, np.array([[-1.0, -1.0], [1.0, 1.0]])), [low, high])


@pytest.mark.parametrize(("low", "high"), [(-np.inf, np.inf), (0.0, np.inf), ((-1.0, -np.inf), 1.0), (-3e38, 3e38)])
def test_a_rollout_does_not_rescale_to_a_space_without_bounds(low, high) -> None:
    source = resolve(SCRIPT, action="box")
    space = Box((2,), low, high)
    rollout = HostRollout(source.obs_space, space, source.make, 2, 4, rescale_to)
    with pytest.raises(InputError, match="is not bounded on both sides: take clip"):
        rollout.init(blind_policy(source), jax.random.key(0))
    with pytest.raises(InputError, match="is not bounded on both sides"):
        rescale_to(space, np.zeros((3, 2), np.float32))


@pytest.mark.parametrize(
    ("low", "high", "dtype"), [(-0.1, 0.3, "float64"), (-(2**31), 2**31 - 1, "int32"), (0, 2**32 - 1, "uint32")]
)
def test_the_ends_of_bounds_that_32_bits_cannot_write_are_members(low: float, high: float, dtype: str) -> None:
    made = [Script() for _ in range(2)]
    for env in made:
        env.action_space = gymnasium.spaces.Box(low, high, (2,), np.dtype(dtype).type)
    vector = vectorize(iter(made).__next__, 2)
    vector.reset()
    drawn = np.array([[-1e12, -1e12], [1e12, 1e12]], np.float32)
    vector.step(np.asarray(clip_to(vector.action_space, drawn)))
    for env, end in zip(made, (low, high), strict=True):
        assert env.action_space.contains(env.received[0]) and (env.received[0] == end).all()


@pytest.mark.parametrize(("low", "high", "dtype"), [(-(2**63), 2**63 - 1, np.int64), (0, 2**64 - 1, np.uint64)])
def test_the_ends_of_bounds_that_64_bit_floats_cannot_write_stay_where_they_are(low: int, high: int, dtype) -> None:
    cast = typed_for(from_gymnasium(gymnasium.spaces.Box(low, high, (2,), dtype)))
    least, most = cast(np.array([-1e30, 1e30], np.float32)).tolist()
    assert least == low and high - 2048 < most <= high  # the greatest float64 that is none too great
    inner = gymnasium.spaces.Box(np.int64(2**62 + 1), np.int64(2**62 + 4999), (2,), np.int64)
    assert inner.contains(typed_for(from_gymnasium(inner))(np.array([0, 1e30], np.float32)))


class OnTheHost(gymnasium.Env):
    """An environment of logpi's behind Gymnasium's interface; it must need no luck."""

    def __init__(self, env: AbstractEnv):
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, env.obs_space.shape)
        self.action_space = gymnasium.spaces.Discrete(2)
        self._reset, self._step = jax.jit(env.reset), jax.jit(env.step)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, first = self._reset(jax.random.key(0))
        return np.asarray(first.obs), {}

    def step(self, action):
        self.state, after = self._step(jax.random.key(0), self.state, jnp.asarray(action))
        return np.asarray(after.obs), float(after.reward), bool(after.terminated), bool(after.truncated), {}


@pytest.mark.parametrize(
    ("env", "memory"), [(Termination(length=3), "none"), (Truncation(length=4), "lstm"), (TwoStep(), "lstm")]
)
def test_compiled_and_host_give_the_same_trajectory(env: AbstractEnv, memory: str) -> None:
    compiled, host = resolve(env), resolve(lambda: OnTheHost(env))
    policy = policy_for(compiled, Network(memory=memory, width=8, depth=1))
    (one, one_state), (other, other_state) = (two_rollouts(rollout_in(s, 3, 9), policy) for s in (compiled, host))
    check_bookkeeping(one)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one, other)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), one_state.memory, other_state.memory)
    assert one.valid.sum() < one.valid.size and len(np.unique(one.action)) == 2


def test_memory_is_new_in_every_episode() -> None:
    source = resolve(Recall(length=2))
    policy = policy_for(source, Network(memory="gru", width=8))
    trajectory, _ = two_rollouts(rollout_in(source, 4, 12), policy)
    # After a blank first row of the same cue, a memory that is new gives the same log-probabilities of each action.
    first_rows = trajectory.start & trajectory.valid
    keys = trajectory.obs[..., 0][first_rows], trajectory.action[first_rows]
    values = dict(zip(zip(*keys, strict=True), trajectory.log_prob[first_rows], strict=True))
    for cue, action, log_prob in zip(*keys, trajectory.log_prob[first_rows], strict=True):
        np.testing.assert_allclose(log_prob, values[cue, action], rtol=1e-5)
    assert len(values) <= 4 < first_rows.sum()


def test_one_key_for_a_whole_rollout() -> None:
    """What needs the keys alone is drawn beforehand, and the value is the same."""

    def function(keys, scale, shift):
        noise = jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys)
        return {"value": noise * scale + shift[None], "keys": jax.random.key_data(keys)}

    keys, scale, shift = jax.random.split(jax.random.key(0), 4), jnp.asarray(2.0), jnp.arange(3.0)
    draw, rest = hoist_keys(function, keys, scale, shift)
    noise = draw(keys)
    assert len(noise) == 2 and noise[0].shape == (4, 3)
    jax.tree.map(np.testing.assert_array_equal, rest(noise, scale, shift), function(keys, scale, shift))
    assert "random" not in str(jax.make_jaxpr(rest)(noise, scale, shift))


def test_runs_in_threads_are_those_alone() -> None:
    source = resolve(Dice)
    policy = policy_for(source)

    def run(seed):
        return two_rollouts(rollout_in(source, 2, 30), policy, seed)[0]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(4)))
    for seed, trajectory in enumerate(together):
        jax.tree.map(np.testing.assert_array_equal, trajectory, run(seed))


def test_an_environment_that_raises_is_named_with_step_and_action() -> None:
    source = resolve(SCRIPT, breaks_at=5)
    rollout, policy = rollout_in(source, 2, 20), blind_policy(source)
    state = rollout.init(policy, jax.random.key(0))
    sentence = r"Environment 0 of .*Script-v0 .*at step \d+, on the action \d \(RuntimeError: the spring is broken\)"
    with pytest.raises(InputError, match=sentence):
        rollout.collect(policy, state, jax.random.key(1))


def test_a_policy_with_other_arrays_needs_no_other_program() -> None:
    from logpi.rollout.host import _make_programs

    source = resolve(Dice)
    rollout = HostRollout(source.obs_space, source.action_space, source.make, 2, 7)
    state = rollout.init(policy_for(source), jax.random.key(0))
    before = _make_programs.cache_info().misses
    for seed in range(3):
        _, state = rollout.collect(policy_for(source, seed=seed), state, jax.random.key(seed))
    assert _make_programs.cache_info().misses == before


def test_large_whole_numbers_keep_their_size() -> None:
    env = Script()
    env.observation_space = gymnasium.spaces.Box(0, 2**40, (2,), np.int64)
    vector = vectorize(lambda: env, 1)
    env.reset = lambda **_: (np.array([2**31, 2**40]), {})
    np.testing.assert_array_equal(vector.reset(), [[2.0**31, 2.0**40]])


@pytest.mark.parametrize("shape", [(4, LARGE // 8), (3, LARGE // 8 + 1), (2, 3)], ids=str)
def test_a_large_array_is_not_copied_on_its_way_to_jax(shape) -> None:
    array = _empty(shape, np.float32)
    assert array.shape == shape and array.dtype == np.float32
    array[...] = 1.5
    on_device = jax.device_put(array)
    assert array.nbytes < LARGE or on_device.unsafe_buffer_pointer() == array.ctypes.data
    np.testing.assert_array_equal(on_device, np.full(shape, 1.5, np.float32))
