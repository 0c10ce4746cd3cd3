"""What libraries compute for sequence policies, as functions of arrays, with a table of their exact biases.

`losses`: REINFORCE, A2C, PPO, GRPO, Dr. GRPO, RLOO, DAPO, REINFORCE++, GSPO, CISPO and what they differ in. `kl`: the
terms k1, k2 and k3, in the loss and in the reward. `advantages`: what the rows are weighed by.
"""

from . import advantages as advantages
from . import kl as kl
from . import losses as losses
from .recipes import KL_RECIPES as KL_RECIPES
from .recipes import kl_table as kl_table
from .recipes import problem as problem
from .recipes import Recipe as Recipe
from .recipes import RECIPES as RECIPES
from .recipes import table as table
