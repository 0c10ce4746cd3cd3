"""Proximal policy optimisation (PPO, Schulman et al. 2017, arXiv:1707.06347) on CartPole, all of it, in one file.

    python examples/ppo_in_one_file.py

This is what logpi does, written down without logpi: the page to read to understand PPO. A test holds the two together:
from the same rows in the same order, `update` gives the parameters that `logpi.PPO` gives.

Everything is for one environment and one step; `jax.vmap` makes it many.
"""

import jax
import jax.numpy as jnp

NUM_ENVS, LENGTH, UPDATES = 16, 128, 75  # 16 environments for 128 steps, then an update: 153,600 steps in all
EPOCHS, MINIBATCHES = 4, 4  # passes over the rows of an update, and gradient steps in each
GAMMA, LAM = 0.99, 0.95  # the discount, and how far an advantage looks ahead
CLIP, VALUE_COEF, ENTROPY_COEF = 0.2, 0.5, 0.01
LEARNING_RATE, MAX_GRAD_NORM = 2.5e-3, 0.5  # the rate falls to 0 over the training

# 1. The environment: a pole on a cart (Barto, Sutton & Anderson 1983), with the numbers of Gymnasium's CartPole-v1.
# Its state is (obs, time, over). `over` says that the episode has ended: then the next step does nothing but reset. So
# obs[t + 1] always is what action[t] led to, at the end of an episode too. The row that resets is not valid.


def reset(key):
    return jax.random.uniform(key, (4,), minval=-0.05, maxval=0.05), jnp.asarray(0), jnp.asarray(False)


def step(state, action, key):
    (_, x_dot, angle, angle_dot), time, over = state
    sin, cos = jnp.sin(angle), jnp.cos(angle)
    force = jnp.where(action == 1, 10.0, -10.0)
    push = (force + 0.05 * angle_dot**2 * sin) / 1.1  # mass of the pole 0.1, of both 1.1; half its length 0.5
    angle_acceleration = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    acceleration = push - 0.05 * angle_acceleration * cos / 1.1
    obs = state[0] + 0.02 * jnp.stack([x_dot, acceleration, angle_dot, angle_acceleration])
    time = time + 1
    terminated = ~over & ((jnp.abs(obs[0]) > 2.4) | (jnp.abs(obs[2]) > 12 * jnp.pi / 180))  # it fell: nothing follows
    truncated = ~over & (time >= 500)  # a time limit: the pole stands, and would stand on
    row = {"reward": 1.0 * ~over, "terminated": terminated, "truncated": truncated, "valid": ~over, "time": time}
    after = jax.tree.map(lambda new, old: jnp.where(over, new, old), reset(key)[:2], (obs, time))
    return (*after, terminated | truncated), row


# 2. The model: one network gives the logits of the actions, another the value of the observation.


def init(key):
    """Orthogonal weights; the actor's last layer is small, so that all actions begin equally likely."""

    def network(key, outputs, last_gain):
        layers = [(4, 64, 2**0.5), (64, 64, 2**0.5), (64, outputs, last_gain)]
        for i, (m, n, gain) in enumerate(layers):
            weight = jax.nn.initializers.orthogonal(gain)(jax.random.fold_in(key, i), (m, n))
            layers[i] = weight, jnp.zeros(n)
        return layers

    actor_key, critic_key = jax.random.split(key)
    return {"actor": network(actor_key, 2, 0.01), "critic": network(critic_key, 1, 1.0)}


def model(params, obs):
    """The log-probabilities of both actions, and the value."""

    def forward(layers):
        x = obs
        for weight, bias in layers[:-1]:
            x = jnp.tanh(x @ weight + bias)
        weight, bias = layers[-1]
        return x @ weight + bias

    return jax.nn.log_softmax(forward(params["actor"])), forward(params["critic"])[0]


# 3. Interaction: LENGTH steps of one environment. What was done is kept, and how probable it was.


def collect(params, state, key):
    def one(state, key):
        action_key, step_key = jax.random.split(key)
        log_p, _ = model(params, state[0])
        action = jax.random.categorical(action_key, log_p)
        after, row = step(state, action, step_key)
        return after, row | {"obs": state[0], "action": action, "log_prob": log_p[action]}

    state, rows = jax.lax.scan(one, state, jax.random.split(key, LENGTH))
    return state, rows | {"last_obs": state[0]}


# 4. Credit: was an action better than what the critic expected? (Schulman et al. 2016, arXiv:1506.02438, eq. 16)


def advantages(reward, terminated, truncated, value):
    """A[t] = sum over k of (gamma lam)^k delta[t + k], delta[t] = r[t] + gamma V(obs[t + 1]) - V(obs[t]).

    After a termination nothing follows, so V is 0 there; after a truncation what follows is only not seen, so V stands
    for it. Either way the sum ends with the episode. `value` has one entry more than there are rows.
    """
    delta = reward + GAMMA * jnp.where(terminated, 0.0, value[1:]) - value[:-1]
    decay = jnp.where(terminated | truncated, 0.0, GAMMA * LAM)

    def backwards(following, row):
        delta, decay = row
        here = delta + decay * following
        return here, here

    return jax.lax.scan(backwards, jnp.zeros(()), (delta, decay), reverse=True)[1]


# 5. The objective, to be made small: over the rows that are valid, the mean of three terms.


def loss(params, batch):
    def mean(x):
        return jnp.sum(x * batch["valid"]) / jnp.sum(batch["valid"])

    advantage = batch["advantage"] - mean(batch["advantage"])
    advantage = advantage / (jnp.sqrt(mean(advantage**2)) + 1e-8)
    log_p, value = jax.vmap(model, (None, 0))(params, batch["obs"])
    log_prob = jnp.take_along_axis(log_p, batch["action"][:, None], axis=1)[:, 0]
    ratio = jnp.exp(log_prob - batch["log_prob"])  # how much more probable the action is now than when it was taken
    # Once the ratio has left 1 +- CLIP in the direction that the advantage asks for, there is no more to gain (eq. 7).
    surrogate = jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - CLIP, 1 + CLIP) * advantage)
    value_error = 0.5 * (value - batch["target"]) ** 2
    entropy = -jnp.sum(jnp.exp(log_p) * log_p, axis=1)
    return -mean(surrogate) + VALUE_COEF * mean(value_error) - ENTROPY_COEF * mean(entropy)


# 6. Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1), on a gradient that is not longer than MAX_GRAD_NORM.


def init_adam(params):
    zeros = jax.tree.map(jnp.zeros_like, params)
    return jnp.zeros(()), zeros, zeros  # steps so far, and running means of the gradient and of its square


def adam(params, state, gradient, rate):
    norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient)))
    gradient = jax.tree.map(lambda g: g * jnp.minimum(1.0, MAX_GRAD_NORM / norm), gradient)
    steps = state[0] + 1
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[1], gradient)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, state[2], gradient)

    def moved(p, m, v):
        return p - rate * (m / (1 - 0.9**steps)) / (jnp.sqrt(v / (1 - 0.999**steps)) + 1e-5)

    return jax.tree.map(moved, params, first, second), (steps, first, second)


# 7. The update: credit once, with the critic as it is, then EPOCHS passes over the rows in small batches.


def update(params, adam_state, rows, orders, rate):
    """New parameters from the rows of all environments: (environments, time, ...).

    `orders` is (passes, number of rows): which rows are taken when. `rate` is Adam's.
    """
    obs = jnp.concatenate([rows["obs"], rows["last_obs"][:, None]], axis=1)
    _, values = jax.vmap(jax.vmap(model, (None, 0)), (None, 0))(params, obs)
    advantage = jax.vmap(advantages)(rows["reward"], rows["terminated"], rows["truncated"], values)
    batch = {name: rows[name] for name in ("obs", "action", "log_prob", "valid")}
    batch |= {"advantage": advantage, "target": advantage + values[:, :-1]}
    batch = {name: x.reshape(-1, *x.shape[2:]) for name, x in batch.items()}  # one axis of rows

    def one(carry, chosen):
        params, adam_state = carry
        gradient = jax.grad(loss)(params, {name: x[chosen] for name, x in batch.items()})
        return adam(params, adam_state, gradient, rate), None

    return jax.lax.scan(one, (params, adam_state), orders.reshape(len(orders) * MINIBATCHES, -1))[0]


# 8. The loop.


@jax.jit
def iterate(params, adam_state, states, key, progress):
    collect_key, order_key = jax.random.split(key)
    states, rows = jax.vmap(collect, (None, 0, 0))(params, states, jax.random.split(collect_key, NUM_ENVS))
    orders = jax.vmap(jax.random.permutation, (0, None))(jax.random.split(order_key, EPOCHS), NUM_ENVS * LENGTH)
    params, adam_state = update(params, adam_state, rows, orders, LEARNING_RATE * (1 - progress))
    ended = rows["terminated"] | rows["truncated"]
    mean_return = jnp.sum(rows["time"] * ended) / jnp.maximum(jnp.sum(ended), 1)  # each step pays 1
    return params, adam_state, states, mean_return


def train(seed=0, updates=UPDATES):
    init_key, reset_key, key = jax.random.split(jax.random.key(seed), 3)
    params, states = jax.jit(init)(init_key), jax.vmap(reset)(jax.random.split(reset_key, NUM_ENVS))
    adam_state = init_adam(params)
    for i in range(updates):
        update_key, progress = jax.random.fold_in(key, i), jnp.asarray(i / updates)
        params, adam_state, states, mean_return = iterate(params, adam_state, states, update_key, progress)
        if i % 5 == 4:
            print(f"{(i + 1) * NUM_ENVS * LENGTH:7d} steps: episodes that ended returned {mean_return:5.1f} of 500")
    return params, mean_return


if __name__ == "__main__":
    train()
