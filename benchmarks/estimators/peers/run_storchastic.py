"""Storchastic on PyTorch: its score function with its leave-one-out baseline ("batch_average"), one plate of samples.

Value and gradient, without errors. It is GPL-3: run beside the library, not part of it.
"""

import storch
import torch
from protocol import Ready, serve
from settings import CENTRE, LEVEL, LOG_STD, LOGITS, MEAN, SAMPLES, WEIGHTS
from storch.method import ScoreFunction
from torch.distributions import Bernoulli, Independent, Normal


def prepare(task: str) -> Ready:
    """Calls it once."""
    params = torch.tensor(LOGITS if task == "coins" else (MEAN, LOG_STD), requires_grad=True)
    weights = torch.tensor(WEIGHTS)
    method = ScoreFunction("x", n_samples=SAMPLES, baseline_factory="batch_average")

    def call():
        params.grad = None
        if task == "coins":
            cost = ((method(Independent(Bernoulli(logits=params), 1)) * weights).sum(-1) - LEVEL) ** 2
        else:
            cost = (method(Normal(params[0], torch.exp(params[1]))) - CENTRE) ** 2
        storch.add_cost(cost, "cost")
        return storch.backward()

    call()
    return Ready(call, params.grad.tolist())


if __name__ == "__main__":
    serve({"storchastic": prepare}, ["storchastic", "torch"])
