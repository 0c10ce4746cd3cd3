"""Problems whose objective and gradient are known exactly, in float64: to audit objectives on."""

from .base import AbstractProblem as AbstractProblem
from .base import Streams as Streams
from .base import WithValues as WithValues
from .defaults import bandit as bandit
from .defaults import default_problems as default_problems
from .defaults import replayed_problems as replayed_problems
from .defaults import small_lqr as small_lqr
from .defaults import three_states as three_states
from .gaussian import GaussianBandit as GaussianBandit
from .lqr import LQR as LQR
from .tabular import TabularMDP as TabularMDP
