"""Masks that environments tell beside their observations, or show in them, by whatever way they come."""

import subprocess
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces as gym
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import logpi
from logpi import spaces
from logpi.envs import resolve
from logpi.envs.sources import seen_by
from logpi.errors import EnvironmentFault, InputError
from logpi.models import make_actor_critic
from logpi.rollout import HostRollout
from logpi.runs.run import own_source
from logpi.spaces.masks import all_forbidden, flags, split_mask

SPACES = {
    "choice": gym.Discrete(4),
    "choices": gym.MultiDiscrete([3, 2]),
    "coins": gym.MultiBinary(3),
}


class Doors(gymnasium.Env):
    """Ten steps; a random half of the flags is open, and whoever goes through a closed door is told so."""

    def __init__(self, action_space=None, told="info", form=lambda mask: mask):
        self.action_space = action_space or gym.Discrete(4)
        self.told, self.form = told, form
        mine = gym.MultiBinary(self._row().size)
        box = gym.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = gym.Dict(action_mask=mine, seen=box) if told == "part" else box

    def _row(self):
        sizes = {
            gym.Discrete: lambda s: [s.n],
            gym.MultiDiscrete: lambda s: s.nvec.tolist(),
            gym.MultiBinary: lambda s: [2] * s.n,
        }[type(self.action_space)](self.action_space)
        rng = getattr(self, "rng", np.random.default_rng(0))
        pieces = [np.arange(n) != rng.integers(n) for n in sizes]  # one of each is closed
        return np.concatenate(pieces).astype(np.int8)

    def _shown(self):
        self.mask = self._row()
        seen = np.zeros(2, np.float32)
        told = self.form(self.mask)
        return {"seen": seen, "action_mask": told} if self.told == "part" else seen

    def _info(self):
        return {"action_mask": self.form(self.mask)} if self.told == "info" else {}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.rng, self.steps = np.random.default_rng(seed), 0
        return self._shown(), self._info()

    def action_masks(self):
        if self.told != "method":
            raise AttributeError
        return self.form(self.mask)

    def step(self, action):
        values = np.atleast_1d(action)
        sizes = {gym.Discrete: [4], gym.MultiDiscrete: [3, 2], gym.MultiBinary: [2] * 3}[type(self.action_space)]
        starts = np.cumsum([0, *sizes[:-1]])
        assert self.mask[starts + values].all(), f"{action} was closed by {self.mask}"
        self.steps += 1
        shown = self._shown()
        over = self.steps >= 10
        return shown, float(values.sum()), over, False, {} if over else self._info()


def flags_of(space, action):
    """Which values an action has."""
    if isinstance(space, spaces.MultiBinary):
        return jax.nn.one_hot(action, 2).reshape(-1) > 0
    return spaces.encode(space, action) > 0


class WithoutMethod(Doors):
    action_masks = None


@pytest.mark.parametrize("told", ["info", "method", "part"])
@pytest.mark.parametrize("kind", SPACES)
def test_no_forbidden_action_reaches_the_environment(kind, told):
    kinds = Doors if told == "method" else WithoutMethod

    def make():
        return kinds(SPACES[kind], told)

    source = resolve(make)
    assert split_mask(source.obs_space, source.action_space)[1]
    rollout = HostRollout(source.obs_space, source.action_space, source.make, num_envs=4, length=64)
    policy = make_actor_critic(source.obs_space, source.action_space, key=jax.random.key(0))
    state = rollout.init(policy, jax.random.key(1))
    trajectory, state = rollout.collect(policy, state, jax.random.key(2))
    rollout.close(state)
    chosen = jax.vmap(jax.vmap(lambda a: flags_of(source.action_space, a)))(trajectory.action)
    masks = jax.vmap(jax.vmap(lambda obs: flags(source.action_space, obs["action_mask"], jnp)))(trajectory.obs)
    assert not (chosen & ~masks).any()
    assert (chosen.sum((0, 1)) > 0).all()  # and every choice is made where it may be


def test_masks_in_processes():
    source = resolve(WithoutMethod, processes=2)
    env = source.make(4, 0)
    try:
        obs = env.reset()
        assert set(obs) == {"action_mask", "observation"} and obs["action_mask"].shape == (4, 4)
        assert (obs["action_mask"].sum(1) == 3).all()
    finally:
        env.close()


def test_a_vector_environment_of_ones_own():
    vector = SyncVectorEnv([WithoutMethod] * 3, autoreset_mode=AutoresetMode.NEXT_STEP)
    run = logpi.train(vector, algorithm=logpi.A2C(), steps=384, rollout_length=16, progress=False)
    assert run.history[-1]["all_forbidden"] == 0.0


def test_gymnasiums_taxi_is_masked():
    source = resolve("gymnasium:Taxi-v4")
    assert dict(source.obs_space.parts) == {
        "action_mask": spaces.MultiBinary((6,)),
        "observation": spaces.Discrete(500),
    }
    env = source.make.one()
    obs, info = env.reset(seed=3)
    assert (obs["action_mask"] == info["action_mask"]).all()


FORMS = {
    "bool": (SPACES["choice"], lambda mask: mask.astype(bool)),
    "list": (SPACES["choice"], lambda mask: mask.tolist()),
    "one array an entry": (SPACES["choices"], lambda mask: (mask[:3], mask[3:])),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_masks(form):
    space, told = FORMS[form]
    run = logpi.train(
        lambda: WithoutMethod(space, "info", told), algorithm=logpi.A2C(), steps=128, num_envs=2, rollout_length=16,
        progress=False,
    )  # fmt: skip
    assert run.history[-1]["all_forbidden"] == 0.0


def test_masks_by_part():
    mixed = spaces.Dict((("buy", spaces.Discrete(2)), ("much", spaces.Box((1,)))))
    assert flags(mixed, {"buy": np.array([0, 1], np.int8), "much": None}).tolist() == [False, True]
    assert flags(mixed, {}).tolist() == [True, True]
    with pytest.raises(ValueError, match=r"'bye'.*, of which actions have no part"):
        flags(mixed, {"bye": [0, 1]})
    table = spaces.MultiDiscrete((2, 3, 3, 2), (), (2, 2))
    nested = ((np.ones(2), np.zeros(3)), (np.ones(3), np.zeros(2)))
    assert flags(table, nested).tolist() == [True] * 2 + [False] * 3 + [True] * 3 + [False] * 2
    with pytest.raises(ValueError, match=r"of 3 flags, but .* take 6"):  # of which Gymnasium's 1 means "is 1"
        flags(spaces.MultiBinary((3,)), [1, 0, 1])


def test_entries_without_a_choice_are_seen_wherever_they_are():
    space = spaces.MultiDiscrete((2, 3, 2))
    for place, mask in ((0, [0, 0, 1, 1, 1, 1, 1]), (1, [1, 1, 0, 0, 0, 1, 1]), (2, [1, 1, 1, 1, 1, 0, 0])):
        assert all_forbidden(space, {"action_mask": np.array(mask)}), place
    assert not all_forbidden(space, {"action_mask": np.array([1, 0, 0, 0, 1, 0, 1])})


class Parts(WithoutMethod):
    """The same doors, as an action of one part, with a mask for it."""

    def __init__(self):
        super().__init__()
        self.inner, self.action_space = self.action_space, gym.Dict(door=gym.Discrete(4))

    def _row(self):
        return np.arange(4) != getattr(self, "rng", np.random.default_rng(0)).integers(4)

    def _info(self):
        return {"action_mask": {"door": self.mask}}

    def step(self, action):
        self.action_space = self.inner
        outcome = super().step(action["door"])
        self.action_space = gym.Dict(door=gym.Discrete(4))
        return outcome


def test_a_vector_environment_with_masks_by_part_is_reset_once():
    resets = []

    class Counted(Parts):
        def reset(self, **given):
            resets.append(given)
            return super().reset(**given)

    vector = SyncVectorEnv([Counted] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)
    source = resolve(vector)
    env = source.make(2, 0)
    obs = env.reset()
    before = len(resets)
    assert resolve(vector).obs_space == source.obs_space and len(resets) == before  # not amid an episode
    for _ in range(12):
        obs, *_ = env.step({"door": np.argmax(obs["action_mask"], axis=1)})
    assert obs["action_mask"].shape == (2, 4)


def test_an_observation_that_is_a_mask_alone():
    space = spaces.Dict((("action_mask", spaces.MultiBinary((3,))),))
    model = make_actor_critic(space, spaces.Discrete(3), key=jax.random.key(0))
    assert int(model({"action_mask": jnp.array([0, 0, 1])}, ())[0].mode()) == 2
    with pytest.raises(InputError, match="made for observations with an action_mask"):
        model(jnp.zeros(3), ())


def test_a_process_that_steps_a_masked_environment_does_not_import_jax():
    code = "import sys, logpi.envs.told_masks; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("space", "form", "said"),
    [
        (SPACES["choice"], lambda mask: mask[:-1], "of 3 flags, but actions in Discrete"),
        (SPACES["choices"], lambda mask: np.ones(6), "of 6 flags, but actions in MultiDiscrete"),
    ],
)
def test_masks_of_another_size_are_refused(space, form, said):
    with pytest.raises(InputError, match=said):
        resolve(lambda: WithoutMethod(space, "info", form))


def test_a_mask_in_the_observation_over_combinations_is_refused():
    joint = spaces.Dict((("action_mask", spaces.Box((4, 10))), ("board", spaces.Box((3,)))))
    with pytest.raises(InputError, match=r"action mask of 40 flags, but .* take 14, .* one Discrete of them all"):
        split_mask(joint, spaces.MultiDiscrete((4, 10)))


def test_a_mask_that_stops_coming_is_told():
    class Forgetful(WithoutMethod):
        def _info(self):
            return super()._info() if self.steps < 3 else {}

    with pytest.raises(EnvironmentFault, match="its info has no action_mask, as it had at first"):
        logpi.train(Forgetful, algorithm=logpi.A2C(), steps=128, num_envs=2, rollout_length=16, progress=False)


def test_masks_that_forbid_everything_forbid_nothing_and_are_counted():
    class Shut(WithoutMethod):
        def _row(self):
            return np.ones(4, np.int8)

        def _shown(self):
            seen = super()._shown()
            self.form = (lambda mask: np.zeros_like(mask)) if self.steps % 2 else (lambda mask: mask)
            return seen

    run = logpi.train(Shut, algorithm=logpi.A2C(), steps=320, num_envs=2, rollout_length=20, progress=False)
    assert 0.3 < run.history[-1]["all_forbidden"] < 0.7


def test_a_policy_outside_of_any_loop_takes_a_mask():
    run = logpi.train(WithoutMethod, algorithm=logpi.A2C(), steps=128, num_envs=2, rollout_length=16, progress=False)
    obs, mask = np.zeros(2, np.float32), np.array([0, 0, 1, 0])
    assert {int(run.policy(obs, action_mask=mask)) for _ in range(20)} == {2}
    assert (run.policy.batch(np.zeros((5, 2), np.float32), action_mask=[mask] * 5) == 2).all()
    with pytest.raises(InputError, match="action_mask="):
        run.policy(obs)
    with pytest.raises(InputError, match="of 3 flags, but actions in Discrete"):
        run.policy(obs, action_mask=[1, 1, 1])
    without = logpi.train("probe:identity", algorithm=logpi.A2C(), steps=128, num_envs=2, progress=False)
    with pytest.raises(InputError, match="without masks"):
        without.policy(np.zeros(2, np.float32), action_mask=[1, 1])


def test_a_run_of_before_there_were_masks_is_played_without(tmp_path):
    masked = resolve("gymnasium:Taxi-v4")
    source = seen_by(masked, spaces.Discrete(500))
    assert source.obs_space == spaces.Discrete(500) and not source.make.masked
    assert seen_by(masked, masked.obs_space) is masked
    run = logpi.train(source, algorithm=logpi.A2C(), steps=256, num_envs=4, out=tmp_path / "run", progress=False)
    again = logpi.load(tmp_path / "run")
    assert again.obs_space == spaces.Discrete(500) and int(again.policy(3)) in range(6)
    assert own_source(again).obs_space == run.obs_space
