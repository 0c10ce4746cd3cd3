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
    from .climbing import maximize as maximize
    from .climbing import minimize as minimize
    from .credit import GAE as GAE
    from .credit import MonteCarlo as MonteCarlo
    from .credit import NStep as NStep
    from .envs import AbstractEnv as AbstractEnv
    from .errors import InputError as InputError
    from .estimators import AbstractEstimator as AbstractEstimator
    from .estimators import Antithetic as Antithetic
    from .estimators import BiasedGumbelSoftmax as BiasedGumbelSoftmax
    from .estimators import BiasedStandardisedScore as BiasedStandardisedScore
    from .estimators import BiasedStraightThrough as BiasedStraightThrough
    from .estimators import compare as compare
    from .estimators import Constant as Constant
    from .estimators import cost as cost
    from .estimators import DisARM as DisARM
    from .estimators import Enumerate as Enumerate
    from .estimators import Estimate as Estimate
    from .estimators import estimate as estimate
    from .estimators import EvolutionStrategies as EvolutionStrategies
    from .estimators import Expectation as Expectation
    from .estimators import expectation as expectation
    from .estimators import FiniteDifferences as FiniteDifferences
    from .estimators import host as host
    from .estimators import LAX as LAX
    from .estimators import Learned as Learned
    from .estimators import LeaveOneOut as LeaveOneOut
    from .estimators import MeasureValued as MeasureValued
    from .estimators import MovingAverage as MovingAverage
    from .estimators import NoBaseline as NoBaseline
    from .estimators import Optimal as Optimal
    from .estimators import Pathwise as Pathwise
    from .estimators import QuasiMonteCarlo as QuasiMonteCarlo
    from .estimators import RaoBlackwell as RaoBlackwell
    from .estimators import REBAR as REBAR
    from .estimators import RELAX as RELAX
    from .estimators import sample as sample
    from .estimators import Score as Score
    from .estimators import score as score
    from .estimators import SPSA as SPSA
    from .estimators import Stratified as Stratified
    from .estimators import SumAndSample as SumAndSample
    from .estimators import tune as tune
    from .estimators import UnorderedSet as UnorderedSet
    from .estimators import VIMCO as VIMCO
    from .models import AbstractActorCritic as AbstractActorCritic
    from .models import AbstractPolicy as AbstractPolicy
    from .models import Network as Network
    from .steps import Adam as Adam
    from .steps import Optax as Optax
    from .training.run import load as load
    from .training.run import Run as Run
    from .training.settings import Settings as Settings
    from .training.train import resume as resume
    from .training.train import train as train
    from .transforms import RewardScaling as RewardScaling

__version__ = "0.1.0"

# Public names and where they live: nothing is imported before it is asked for, so `import logpi` is quick.
_HOME = {
    "A2C": "algorithms",
    "AbstractActorCritic": "models",
    "AbstractAlgorithm": "algorithms",
    "AbstractEnv": "envs",
    "AbstractEstimator": "estimators",
    "AbstractPolicy": "models",
    "Adam": "steps",
    "Antithetic": "estimators",
    "BiasedGumbelSoftmax": "estimators",
    "BiasedStandardisedScore": "estimators",
    "BiasedStraightThrough": "estimators",
    "compare": "estimators",
    "Constant": "estimators",
    "cost": "estimators",
    "DisARM": "estimators",
    "Enumerate": "estimators",
    "Estimate": "estimators",
    "estimate": "estimators",
    "EvolutionStrategies": "estimators",
    "Expectation": "estimators",
    "expectation": "estimators",
    "FiniteDifferences": "estimators",
    "GAE": "credit",
    "host": "estimators",
    "InputError": "errors",
    "LAX": "estimators",
    "Learned": "estimators",
    "LeaveOneOut": "estimators",
    "load": "training.run",
    "maximize": "climbing",
    "MeasureValued": "estimators",
    "minimize": "climbing",
    "MonteCarlo": "credit",
    "MovingAverage": "estimators",
    "Network": "models",
    "NoBaseline": "estimators",
    "NStep": "credit",
    "Optax": "steps",
    "Optimal": "estimators",
    "Pathwise": "estimators",
    "PPO": "algorithms",
    "QuasiMonteCarlo": "estimators",
    "RaoBlackwell": "estimators",
    "REBAR": "estimators",
    "REINFORCE": "algorithms",
    "RELAX": "estimators",
    "resume": "training.train",
    "RewardScaling": "transforms",
    "Run": "training.run",
    "sample": "estimators",
    "Score": "estimators",
    "score": "estimators",
    "Settings": "training.settings",
    "SPSA": "estimators",
    "Stratified": "estimators",
    "SumAndSample": "estimators",
    "train": "training.train",
    "tune": "estimators",
    "UnorderedSet": "estimators",
    "VIMCO": "estimators",
}
_MODULES = (
    "algorithms", "audit", "batch", "climbing", "credit", "distributions", "envs", "errors", "estimators", "explain",
    "heads", "models", "report", "rollout", "spaces", "steps", "surrogates", "training", "trajectory", "transforms",
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
