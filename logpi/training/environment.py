"""From what a user calls an environment to a rollout in it."""

from collections.abc import Callable
from typing import Any

from ..rollout import AbstractRollout, CompiledRollout


class Tmp:
    def __init__(self, env): self.env, self.name, self.note, self.compiled = env, type(env).__name__, "", True

def resolve(env): return Tmp(env)

def make_rollout(source: Any, num_envs: int, length: int, to_env: Callable) -> AbstractRollout:
    return CompiledRollout(source.env, num_envs, length, to_env)
