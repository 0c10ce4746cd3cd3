"""rejax: the actor's loss inside of `PPO.update_actor`, run as installed.

The method is called with stand-ins for agent and training state: the actor's parameters are the log-probabilities, so
that what the optimiser is given is d loss / d log_prob.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import peers

peers.need("rejax", "rejax==0.1.3")

from rejax import PPO  # noqa: E402

from logpi import audit  # noqa: E402


def gradient(log_prob, behaviour_log_prob, advantage):
    """What `update_actor` gives to the optimiser, without its entropy bonus."""
    actor = SimpleNamespace(apply=lambda params, obs, action, method: (params, jnp.zeros(())))
    agent = SimpleNamespace(actor=actor, clip_eps=0.2, ent_coef=0.0)
    optimiser = SimpleNamespace(params=log_prob, apply_gradients=lambda grads: grads)
    state = SimpleNamespace(actor_ts=optimiser, replace=lambda actor_ts: actor_ts)
    rows = SimpleNamespace(obs=None, action=None, log_prob=behaviour_log_prob)
    return PPO.update_actor(agent, state, SimpleNamespace(trajectories=rows, advantages=advantage))


compiled = jax.jit(gradient)


def ppo(log_prob, behaviour_log_prob, advantage):
    """`PPO.update_actor`: advantages standardised, clip .2."""
    with jax.enable_x64(True):
        return 0.0, np.asarray(compiled(log_prob, behaviour_log_prob, advantage))


def reports():
    """Of the actor's loss."""
    return {"rejax PPO, policy loss": audit.loss(ppo, rows=True, framework="numpy")}


def main():
    """Prints what was found."""
    for name, report in reports().items():
        print(f"== {name}\n{report}\n")


if __name__ == "__main__":
    main()
