"""What Stable-Baselines3 and SBX share: the constructor of PPO, the vector environments, and `learn`."""

import os
from typing import Any

import torch
from pictures import Pictures
from protocol import answer, arguments, timed, Timing
from settings import Setting
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

TASKS = ("cartpole4", "halfcheetah", "pictures")
ENVIRONMENTS = {"Pictures": Pictures}
VECTOR_ENVS = {"DummyVecEnv": DummyVecEnv, "SubprocVecEnv": SubprocVecEnv}
PROBE_STEPS = 6_144


def hyperparameters(setting: Setting) -> dict[str, Any]:
    """`setting` in the words of Stable-Baselines3. The networks are its default, for numbers or pictures."""
    hidden = {"policy_kwargs": {"net_arch": list(setting.hidden)}} if setting.hidden else {}
    return hidden | {
        "n_steps": setting.rollout_length,
        "batch_size": setting.minibatch_size,
        "n_epochs": setting.num_epochs,
        "learning_rate": setting.learning_rate,
        "gamma": setting.gamma,
        "gae_lambda": setting.gae_lambda,
        "clip_range": setting.clip,
        "clip_range_vf": setting.value_clip,
        "ent_coef": setting.entropy_coef,
        "vf_coef": setting.value_coef,
        "max_grad_norm": setting.max_grad_norm,
        "device": "cpu",
    }


def learn(model: Any, steps: int) -> float:
    """Seconds that `steps` of rollout and update take, without any line of log."""
    taken, _ = timed(lambda: model.learn(steps, log_interval=1_000_000_000))
    if model.num_timesteps != steps:
        raise RuntimeError(f"{model.num_timesteps} steps were trained where {steps} were asked for.")
    return taken


def fastest(model: Any, envs: dict[str, VecEnv], thread_counts: list[int], steps: int) -> tuple[float, str, int]:
    """The vector environment and the number of torch threads that `steps` take least with, of all that are offered."""
    trials = []
    for name, env in envs.items():
        for threads in thread_counts:
            model.set_env(env)
            torch.set_num_threads(threads)
            trials.append((learn(model, steps), name, threads))
    return min(trials)


def run(peer: str, ppo: type, thread_counts: list[int], packages: list[str]) -> None:
    """Warms up (and compiles, where something is compiled), finds the peer's fastest way of running, then times it."""
    args = arguments(TASKS)
    setting: Setting = args.setting
    env = ENVIRONMENTS.get(setting.env, setting.env)
    envs = {
        name: make_vec_env(env, setting.num_envs, seed=args.seed, vec_env_cls=kind)
        for name, kind in VECTOR_ENVS.items()
    }
    policy = "MlpPolicy" if setting.hidden else "CnnPolicy"
    model = ppo(policy, envs["DummyVecEnv"], seed=args.seed, **hyperparameters(setting))
    compile_seconds = learn(model, setting.steps_per_iteration)
    _, name, threads = fastest(model, envs, thread_counts, setting.whole_iterations(min(PROBE_STEPS, args.steps // 4)))
    model.set_env(envs[name])
    torch.set_num_threads(threads)
    runs = [Timing(args.steps, learn(model, args.steps)) for _ in range(args.repetitions)]
    for each in envs.values():
        each.close()
    answer(peer, args.task, compile_seconds, runs, packages, vec_env=name, torch_threads=threads)


def both_thread_counts() -> list[int]:
    """One thread and torch's own choice: small networks are often faster with one."""
    return sorted({1, torch.get_num_threads(), os.cpu_count() or 1})
