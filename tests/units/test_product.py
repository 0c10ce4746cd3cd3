"""Distributions and actions of several parts, nested, discrete and continuous at once."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces as gym

import logpi
from logpi import spaces
from logpi.distributions import Bernoulli, Categorical, Joint, masked, Normal, Product
from logpi.distributions.traits import traits
from logpi.envs import probes, resolve
from logpi.errors import InputError
from logpi.models import make_actor_critic, Network
from logpi.spaces.actions import clip_to, clipped, fit_to, note_on, rescale_to

CHOICE, AMOUNT = Categorical(jnp.array([0.1, 1.0, -0.3])), Normal(jnp.array([0.5, -1.0]), jnp.array([0.2, -0.4]))
COINS = Bernoulli(jnp.array([0.3, -0.7]))
NESTED = Product({"choice": CHOICE, "rest": (AMOUNT, Product({"coins": COINS}))})
OTHER = Product({"choice": Categorical(jnp.zeros(3)), "rest": (Normal(jnp.zeros(2), jnp.zeros(2)), Product({"coins": Bernoulli(jnp.zeros(2))}))})  # fmt: skip  # noqa: E501


def test_a_product_is_the_sum_of_its_parts():
    event, log_prob = NESTED.sample_and_log_prob(jax.random.key(0))
    choice, (amount, rest) = event["choice"], event["rest"]
    parts = CHOICE.log_prob(choice) + AMOUNT.log_prob(amount) + COINS.log_prob(rest["coins"])
    np.testing.assert_allclose(log_prob, parts, rtol=1e-6)
    np.testing.assert_allclose(NESTED.log_prob(event), parts, rtol=1e-6)
    np.testing.assert_allclose(NESTED.entropy(), CHOICE.entropy() + AMOUNT.entropy() + COINS.entropy(), rtol=1e-6)
    kl = CHOICE.kl(OTHER.parts["choice"]) + AMOUNT.kl(OTHER.parts["rest"][0]) + COINS.kl(Bernoulli(jnp.zeros(2)))
    np.testing.assert_allclose(NESTED.kl(OTHER), kl, rtol=1e-6)
    assert jax.tree.map(jnp.shape, NESTED.sample(jax.random.key(0), (5,)))["rest"][0] == (5, 2)
    mode = NESTED.mode()
    assert int(mode["choice"]) == 1 and mode["rest"][0].tolist() == [0.5, -1.0]


def test_parts_are_drawn_independently():
    """5 standard deviations of a correlation of 20,000 draws."""
    drawn = jax.jit(jax.vmap(NESTED.sample))(jax.random.split(jax.random.key(1), 20_000))
    columns = [drawn["choice"][:, None], drawn["rest"][0], drawn["rest"][1]["coins"]]
    table = np.corrcoef(np.concatenate([np.asarray(c, float) for c in columns], axis=1).T)
    assert np.abs(table - np.eye(5)).max() < 5 / np.sqrt(20_000)


def test_the_score_estimates_the_gradient_of_an_expectation_over_a_product():
    """E[(choice + 1) x] = (1 + p) m, with one false alarm in a million; the event is handed over in its structure."""

    def policy(params):
        logits = jnp.stack([jnp.zeros(()), params["logit"]])
        return Product({"choice": Categorical(logits), "x": Normal(params["mean"], jnp.zeros(()))})

    mean = logpi.expectation(lambda e: (e["choice"] + 1) * e["x"], policy)
    params = {"logit": jnp.array(0.3), "mean": jnp.array(0.7)}
    estimate = logpi.estimate(mean, params, jax.random.key(0))
    p = float(jax.nn.sigmoid(0.3))
    exact = {"logit": p * (1 - p) * 0.7, "mean": 1 + p}
    for name, right in exact.items():
        assert abs(float(estimate.gradient[name]) - right) < 5 * float(estimate.gradient_error[name]), name


def test_a_masked_product_masks_its_choices_alone():
    allowed = jnp.array([1, 0, 1, 1, 1, 0, 1], bool)  # three choices; two coins, of which the second is 1
    made = masked(NESTED, allowed)
    assert int(made.mode()["choice"]) == 0 and int(made.mode()["rest"][1]["coins"][1]) == 1
    assert made.parts["rest"][0] is AMOUNT
    with pytest.raises(InputError, match="A mask of 5 flags is given, but events of Product take 7"):
        masked(NESTED, jnp.ones(5, bool))


def test_an_event_of_other_parts_is_refused():
    with pytest.raises(InputError, match="one event of a Product has the parts of"):
        traits(NESTED).as_event({"choice": 1})


SPACE = spaces.Dict((
    ("far", spaces.Box((1,), 0.0, 1000.0)),
    ("near", spaces.Tuple((spaces.Discrete(3, start=5), spaces.Box((2,), -1.0, 1.0)))),
))  # fmt: skip
DRAWN = {"far": np.array([0.5]), "near": (np.array(1), np.array([-3.0, 0.2]))}


def test_each_part_goes_its_own_way_to_the_environment():
    given = clip_to(SPACE, DRAWN)
    assert given["far"] == [0.5] and given["near"][0] == 6 and given["near"][1].tolist() == [-1.0, 0.2]
    assert rescale_to(SPACE, DRAWN)["far"] == [750.0]
    fitted = fit_to(SPACE, DRAWN)  # only what is far is rescaled
    assert fitted["far"] == [750.0] and fitted["near"][1].tolist() == [-1.0, 0.2]
    assert clipped(SPACE, clip_to, DRAWN).tolist() == [False, True, False]
    assert clipped(SPACE, clip_to, jax.tree.map(jnp.asarray, DRAWN)).tolist() == [False, True, False]
    assert clipped(spaces.Tuple((spaces.Discrete(3),)), clip_to, (np.array(1),)) is None
    assert "far from -1 to 1" in note_on(SPACE, "auto")


class Shop(gymnasium.Env):
    """One of four things, one of which is sold out, in an amount; and two coins."""

    observation_space = gym.Box(-1.0, 1.0, (3,), np.float32)
    action_space = gym.Dict(
        thing=gym.Discrete(4, start=1), rest=gym.Tuple((gym.Box(-2.0, 2.0, (1,), np.float64), gym.MultiBinary(2)))
    )

    def seen(self):
        self.out = int(self.np_random.integers(4))
        return np.zeros(3, np.float32), {"action_mask": {"thing": (np.arange(4) != self.out).astype(np.int8)}}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.seen()

    def step(self, action):
        assert self.action_space.contains(action), action
        assert action["thing"] - 1 != self.out, "sold out"
        self.steps += 1
        amount, coins = action["rest"]
        obs, info = self.seen()
        reward = (action["thing"] - 1) / 3 - (amount[0] - 1.0) ** 2 + float(np.mean(coins))
        return obs, float(reward), self.steps >= 10, False, info


def test_a_host_environment_with_mixed_actions_is_learned_stored_and_audited(tmp_path):
    run = logpi.train(
        Shop, learning_rate=3e-3, steps=8_000, num_envs=8, rollout_length=50, out=tmp_path / "run", progress=False
    )  # fmt: skip
    first, last = (run.history[i]["return_mean"] for i in (0, -1))
    assert last > first + 5  # random: about -11; the best: 10 * (1 - 1 / 12 + 1)
    obs, info = Shop().reset(seed=0)
    action = run.policy(obs, action_mask=info["action_mask"])
    assert Shop.action_space.contains(action)
    many = run.policy.batch(np.zeros((3, 3), np.float32), action_mask=[info["action_mask"]] * 3)
    assert many["thing"].shape == (3,) and many["rest"][0].shape == (3, 1)
    again = logpi.load(tmp_path / "run", environment=Shop)
    assert np.isfinite(again.evaluate(episodes=8).mean.value)
    assert logpi.audit.env(Shop).passed  # which draws among what is allowed


def test_mixed_actions_in_processes():
    env = resolve(Shop, processes=2).make(4, 0)
    try:
        obs = env.reset()
        for _ in range(12):  # beyond the end of an episode
            thing = 1 + np.argmax(obs["action_mask"][:, 4:], axis=1)  # behind the flags of the coins
            obs = env.step({"rest": (np.zeros((4, 1), np.float32), np.ones((4, 2), np.int32)), "thing": thing})[0]
        assert obs["observation"].shape == (4, 3) and obs["action_mask"].shape == (4, 8)
    finally:
        env.close()


def test_networks_for_mixed_actions():
    model = make_actor_critic(spaces.Box((3,)), SPACE, Network(initial_log_std=-1.0), key=jax.random.key(0))
    assert model.head.size == 1 + 3 + 2
    dist, _ = model(jnp.zeros(3), ())
    assert dist.parts["far"].log_std.tolist() == [-1.0] and dist.parts["near"].parts[0].logits.shape == (3,)
    choices = spaces.Dict((("a", spaces.Discrete(2)),))
    with pytest.raises(InputError, match="have no standard deviation"):
        make_actor_critic(spaces.Box((3,)), choices, Network(initial_log_std=-1.0), key=jax.random.key(0))


@pytest.mark.parametrize("memory", ["none", "gru"])
def test_mixed_actions_are_learned_compiled(memory):
    env = probes.Identity(probes.KINDS["mixed"]) if memory == "none" else probes.Recall(probes.KINDS["mixed"], 2)
    settings = logpi.Settings(
        logpi.A2C(logpi.Adam(1e-2)),
        steps=30_000,
        num_envs=16,
        rollout_length=8,
        network=Network(memory=memory, width=16),
    )
    run = logpi.train(env, settings=settings, progress=False)
    best = 1.0 if memory == "none" else 2.0
    assert run.evaluate(episodes=64, deterministic=True).mean.value > 0.97 * best


def test_a_joint_of_choices_in_a_product_keeps_its_row():
    dist = Product((Joint((Categorical(jnp.zeros(2)), Categorical(jnp.zeros(3)))), AMOUNT))
    event, _ = dist.sample_and_log_prob(jax.random.key(0))
    assert event[0].shape == (2,) and event[1].shape == (2,)
