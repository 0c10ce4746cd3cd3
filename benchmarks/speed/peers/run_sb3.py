"""Stable-Baselines3's PPO with its own vector environments, the faster of the two, and the better number of threads."""

from stable_baselines import both_thread_counts, run
from stable_baselines3 import PPO

if __name__ == "__main__":
    run("sb3", PPO, both_thread_counts(), ["stable-baselines3", "torch", "gymnasium"])
