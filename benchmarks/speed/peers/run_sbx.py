"""SBX's PPO (Stable-Baselines3 with its update in JAX), on the faster of the two vector environments.

Not equal, and left so: SBX clips the gradients of actor and critic apart, never clips values (it takes `clip_range_vf`
and leaves it aside), and its first weights are not orthogonal.
"""

from sbx import PPO
from stable_baselines import run

if __name__ == "__main__":
    run("sbx", PPO, [1], ["sbx-rl", "jax", "flax", "torch", "gymnasium"])
