"""logpi: the gradient of an expectation, from a policy of two parameters to a network trained in simulators.

Something acts at random under parameters; something scores it, and the score cannot be differentiated. The score
function can: every log-probability has one partial derivative for each parameter, and weighted by the return they add
up to the gradient of the expected return, which one ascends.
"""

import importlib
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from .algorithms import A2C as A2C
    from .algorithms import AbstractAlgorithm as AbstractAlgorithm
    from .algorithms import PPO as PPO
    from .algorithms import REINFORCE as REINFORCE
    from .credit import GAE as GAE
    from .credit import MonteCarlo as MonteCarlo
    from .credit import NStep as NStep
    from .envs import AbstractEnv as AbstractEnv
    from .errors import InputError as InputError
    from .models import AbstractActorCritic as AbstractActorCritic
    from .models import AbstractPolicy as AbstractPolicy
    from .models import Network as Network
    from .steps import Adam as Adam
    from .steps import Optax as Optax
    from .training.run import load as load
    from .training.run import Run as Run
    from .training.settings import Settings as Settings
    from .training.train import train as train
    from .transforms import RewardScaling as RewardScaling

__version__ = "0.1.0"

# Public names and where they live: nothing is imported before it is asked for, so `import logpi` is quick.
_HOME = {
    "A2C": "algorithms",
    "AbstractActorCritic": "models",
    "AbstractAlgorithm": "algorithms",
    "AbstractEnv": "envs",
    "AbstractPolicy": "models",
    "Adam": "steps",
    "GAE": "credit",
    "InputError": "errors",
    "MonteCarlo": "credit",
    "NStep": "credit",
    "Network": "models",
    "Optax": "steps",
    "PPO": "algorithms",
    "REINFORCE": "algorithms",
    "RewardScaling": "transforms",
    "Run": "training.run",
    "Settings": "training.settings",
    "load": "training.run",
    "train": "training.train",
}
_MODULES = (
    "algorithms", "batch", "credit", "distributions", "envs", "errors", "heads", "models", "rollout", "spaces", "steps",
    "surrogates", "training", "trajectory", "transforms",
)  # fmt: skip

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'logpi' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
