"""How fast a loop that never overlaps can be: 1 / (1 / environment alone + 1 / update alone), in agent steps a second.

The environment alone is EnvPool stepped with actions drawn beforehand, with the number of threads that suits it best.
The update alone is logpi's compiled update on a trajectory of the task's shapes, without any call of environment or
policy.
"""

import os

import envpool
import equinox as eqx
import jax
import numpy as np
from protocol import answer, arguments, timed, Timing
from run_logpi import algorithm
from settings import Setting

from logpi.algorithms import Spec
from logpi.models import make_actor_critic
from logpi.spaces.gymnasium import from_gymnasium
from logpi.trajectory import Trajectory

TASKS = ("halfcheetah",)
ENVIRONMENT_STEPS = 20_480


def make(setting: Setting, seed: int, num_threads: int) -> envpool.python.protocol.EnvPool:
    """The vector environment of the task."""
    return envpool.make(
        setting.env, env_type="gymnasium", num_envs=setting.num_envs, seed=seed, num_threads=num_threads
    )


def environment_seconds(setting: Setting, steps: int, seed: int) -> float:
    """Seconds that `steps` agent steps of the environment take by themselves, at the best number of threads."""
    ticks = steps // setting.num_envs
    trials = []
    for threads in sorted({1, os.cpu_count() or 1}):
        env = make(setting, seed, threads)
        env.reset()
        shape = (ticks, setting.num_envs, *env.action_space.shape)
        actions = np.random.default_rng(seed).uniform(env.action_space.low, env.action_space.high, shape)

        def step_all(env=env, actions=actions):
            for action in actions:
                env.step(action)

        step_all()
        trials.append(timed(step_all)[0])
    return min(trials)


def trajectory_like(setting: Setting, obs_size: int, action_size: int, seed: int) -> Trajectory:
    """A trajectory of the shapes of the task, of random numbers: the update's work does not depend on their values."""
    random, shape = np.random.default_rng(seed), (setting.num_envs, setting.rollout_length)

    def normal(*more: int) -> np.ndarray:
        return random.standard_normal((*shape, *more)).astype(np.float32)

    nowhere = np.zeros(shape, bool)
    return Trajectory(
        obs=normal(obs_size),
        action=normal(action_size),
        log_prob=normal() - 8.0,
        reward=normal(),
        terminated=nowhere,
        truncated=nowhere,
        start=nowhere,
        valid=~nowhere,
        last_obs=normal(obs_size)[:, 0],
        last_start=nowhere[:, 0],
        memory=(),
    )


def update_seconds(setting: Setting, steps: int, seed: int) -> tuple[float, float]:
    """Seconds of compilation, and seconds that the updates of `steps` agent steps take by themselves."""
    env = make(setting, seed, 1)
    spaces = from_gymnasium(env.observation_space), from_gymnasium(env.action_space)
    learner = algorithm(setting)
    spec = Spec(*spaces, setting.num_envs, setting.rollout_length)
    keys = jax.random.split(jax.random.key(seed), steps // setting.steps_per_iteration)
    state = learner.init(make_actor_critic(*spaces, key=keys[0]), spec, len(keys), keys[0])
    trajectory = trajectory_like(setting, env.observation_space.shape[0], env.action_space.shape[0], seed)
    update = eqx.filter_jit(learner.update)
    compiling, _ = timed(lambda: jax.block_until_ready(update(state, trajectory, keys[0])))

    def update_all():
        after = state
        for key in keys:
            after, _ = update(after, trajectory, key)
        return jax.block_until_ready(after)

    return compiling, timed(update_all)[0]


def main() -> None:
    """Measures both parts for each repetition and prints one line of JSON, whose `train_seconds` are their sum."""
    args = arguments(TASKS)
    setting: Setting = args.setting
    runs, parts = [], {}
    for seed in range(args.seed, args.seed + args.repetitions):
        acting = environment_seconds(setting, ENVIRONMENT_STEPS, seed) * args.steps / ENVIRONMENT_STEPS
        compiling, updating = update_seconds(setting, args.steps, seed)
        runs.append(Timing(args.steps, acting + updating))
        parts = {"environment_alone": round(args.steps / acting, 1), "update_alone": round(args.steps / updating, 1)}
    answer("limit", args.task, compiling, runs, ["logpi", "jax", "envpool"], **parts)


if __name__ == "__main__":
    main()
