"""logpi: the gradient of an expectation, from a policy of two parameters to a network trained in simulators.

Something acts at random under parameters; something scores it, and the score cannot be differentiated. The score
function can: every log-probability has one partial derivative for each parameter, and weighted by the return they add
up to the gradient of the expected return, which one ascends.
"""

from ._lazy import attach
from ._version import __version__ as __version__

TYPE_CHECKING = False  # type checkers take it for true; to import it costs more than all the rest here

if TYPE_CHECKING:
    from .algorithms import A2C as A2C
    from .algorithms import AbstractAlgorithm as AbstractAlgorithm
    from .algorithms import ARS as ARS
    from .algorithms import DDPG as DDPG
    from .algorithms import ES as ES
    from .algorithms import IMPALA as IMPALA
    from .algorithms import NPG as NPG
    from .algorithms import PGPE as PGPE
    from .algorithms import PPO as PPO
    from .algorithms import REINFORCE as REINFORCE
    from .algorithms import SAC as SAC
    from .algorithms import TD3 as TD3
    from .algorithms import TRPO as TRPO
    from .credit import GAE as GAE
    from .credit import MonteCarlo as MonteCarlo
    from .credit import NStep as NStep
    from .credit import VTrace as VTrace
    from .demonstrations import WarmStart as WarmStart
    from .envs import AbstractEnv as AbstractEnv
    from .errors import InputError as InputError
    from .estimation import compare as compare
    from .estimation import Estimate as Estimate
    from .estimation import estimate as estimate
    from .estimation import Expectation as Expectation
    from .estimation import expectation as expectation
    from .estimation import host as host
    from .estimation import maximize as maximize
    from .estimation import minimize as minimize
    from .estimation import tune as tune
    from .estimators import AbstractEstimator as AbstractEstimator
    from .estimators import Antithetic as Antithetic
    from .estimators import BiasedGumbelSoftmax as BiasedGumbelSoftmax
    from .estimators import BiasedStandardisedScore as BiasedStandardisedScore
    from .estimators import BiasedStraightThrough as BiasedStraightThrough
    from .estimators import Constant as Constant
    from .estimators import cost as cost
    from .estimators import DisARM as DisARM
    from .estimators import Enumerate as Enumerate
    from .estimators import EvolutionStrategies as EvolutionStrategies
    from .estimators import FiniteDifferences as FiniteDifferences
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
    from .estimators import UnorderedSet as UnorderedSet
    from .estimators import VIMCO as VIMCO
    from .learners import Adam as Adam
    from .learners import Optax as Optax
    from .learners import SGD as SGD
    from .models import AbstractActorCritic as AbstractActorCritic
    from .models import AbstractPolicy as AbstractPolicy
    from .models import Network as Network
    from .progress.film import film as film
    from .progress.film import FilmEvery as FilmEvery
    from .runs.options import EvaluationPlan as EvaluationPlan
    from .runs.presets import preset as preset
    from .runs.run import load as load
    from .runs.run import Run as Run
    from .runs.settings import Settings as Settings
    from .training.train import resume as resume
    from .training.train import train as train
    from .transforms import RewardScaling as RewardScaling

# Public names by where they live, and the modules: nothing is imported before it is asked for.
__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "algorithms": (
            "A2C",
            "AbstractAlgorithm",
            "ARS",
            "ES",
            "IMPALA",
            "NPG",
            "PGPE",
            "PPO",
            "DDPG",
            "REINFORCE",
            "SAC",
            "TD3",
            "TRPO",
        ),
        "credit": (
            "GAE",
            "MonteCarlo",
            "NStep",
            "VTrace",
        ),
        "demonstrations": ("WarmStart",),
        "envs": ("AbstractEnv",),
        "errors": ("InputError",),
        "estimation": (
            "compare",
            "Estimate",
            "estimate",
            "Expectation",
            "expectation",
            "host",
            "maximize",
            "minimize",
            "tune",
        ),
        "estimators": (
            "AbstractEstimator",
            "Antithetic",
            "BiasedGumbelSoftmax",
            "BiasedStandardisedScore",
            "BiasedStraightThrough",
            "Constant",
            "cost",
            "DisARM",
            "Enumerate",
            "EvolutionStrategies",
            "FiniteDifferences",
            "LAX",
            "Learned",
            "LeaveOneOut",
            "MeasureValued",
            "MovingAverage",
            "NoBaseline",
            "Optimal",
            "Pathwise",
            "QuasiMonteCarlo",
            "RaoBlackwell",
            "REBAR",
            "RELAX",
            "sample",
            "Score",
            "score",
            "SPSA",
            "Stratified",
            "SumAndSample",
            "UnorderedSet",
            "VIMCO",
        ),
        "learners": (
            "Adam",
            "Optax",
            "SGD",
        ),
        "models": (
            "AbstractActorCritic",
            "AbstractPolicy",
            "Network",
        ),
        "progress.film": (
            "film",
            "FilmEvery",
        ),
        "runs.options": ("EvaluationPlan",),
        "runs.presets": ("preset",),
        "runs.run": (
            "load",
            "Run",
        ),
        "runs.settings": ("Settings",),
        "training.train": (
            "resume",
            "train",
        ),
        "transforms": ("RewardScaling",),
    },
    (
        "algorithms",
        "audit",
        "batch",
        "catalogue",
        "credit",
        "demonstrations",
        "derivatives",
        "distributions",
        "envs",
        "errors",
        "estimation",
        "estimators",
        "evaluation",
        "explain",
        "jaxprs",
        "learners",
        "models",
        "parameters",
        "progress",
        "report",
        "rollout",
        "runs",
        "spaces",
        "statistics",
        "surrogates",
        "training",
        "trajectory",
        "transforms",
    ),
)
__all__.append("__version__")
