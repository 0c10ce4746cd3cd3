"""Estimation: an expectation as an object, its value and gradient with their errors, and the way up it."""

from .climbing import maximize as maximize
from .climbing import minimize as minimize
from .comparison import compare as compare
from .comparison import Comparison as Comparison
from .estimates import Estimate as Estimate
from .estimates import estimate as estimate
from .expectations import Expectation as Expectation
from .expectations import expectation as expectation
from .host_functions import host as host
from .tuning import tune as tune
