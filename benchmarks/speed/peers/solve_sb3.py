"""Stable-Baselines3 on CartPole-v1 with rl-zoo's tuned hyperparameters of PPO, stopped as soon as it has solved it.

Solved while training: the last 50 episodes average 475. Then 100 episodes of the deterministic policy are evaluated,
side by side, which is its fastest way. The whole process is timed, from outside, so nothing is imported or done here
that the job does not need.
"""

import argparse
import importlib.metadata
import json

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy

ENV, NUM_ENVS, TOTAL_STEPS = "CartPole-v1", 8, 100_000
PACKAGES = ("stable-baselines3", "torch", "gymnasium")
SOLVED_RETURN, SOLVED_EPISODES = 475.0, 50
TUNED = {
    "n_steps": 32,
    "batch_size": 256,
    "n_epochs": 20,
    "gamma": 0.98,
    "gae_lambda": 0.8,
    "ent_coef": 0.0,
    "learning_rate": lambda remaining: 1e-3 * remaining,
    "clip_range": lambda remaining: 0.2 * remaining,
}


class StopWhenSolved(BaseCallback):
    """Ends training in the step in which the mean of the last episodes reaches the threshold."""

    def _on_step(self) -> bool:
        if not self.locals["dones"].any():
            return True
        returns = [episode["r"] for episode in self.model.ep_info_buffer]
        return len(returns) < SOLVED_EPISODES or sum(returns) / len(returns) < SOLVED_RETURN


def main() -> None:
    """Trains, evaluates, prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--evaluation-envs", type=int, default=100, help="evaluated side by side")
    parser.add_argument("--threads", type=int, default=1, help="of torch; one is faster for networks this small")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = PPO(
        "MlpPolicy",
        make_vec_env(ENV, NUM_ENVS, seed=args.seed),
        seed=args.seed,
        device="cpu",
        stats_window_size=SOLVED_EPISODES,
        **TUNED,
    )
    model.learn(TOTAL_STEPS, callback=StopWhenSolved(), log_interval=1_000_000_000)
    evaluation = make_vec_env(ENV, args.evaluation_envs, seed=args.seed + 1_000_000)
    mean, deviation = evaluate_policy(model, evaluation, n_eval_episodes=args.episodes, deterministic=True)
    print(
        json.dumps(
            {
                "peer": "sb3",
                "task": "time_to_solve",
                "steps": model.num_timesteps,
                "episodes": args.episodes,
                "return_mean": float(mean),
                "return_deviation": float(deviation),
                "deterministic": True,
                "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
            }
        )
    )


if __name__ == "__main__":
    main()
