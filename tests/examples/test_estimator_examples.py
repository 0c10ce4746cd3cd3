"""The examples of the estimators run, and what they claim holds."""

import importlib.util
import sys
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest

import logpi
from logpi.estimators import Enumerate, Score

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str):
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_store_without_customers_pays_for_its_shelf(monkeypatch):
    inventory = load("inventory")
    monkeypatch.setattr(inventory, "CUSTOMERS_A_DAY", 1e-9)
    assert inventory.cost_a_day(5, 20, seed=0) == pytest.approx(20 * inventory.HOLDING)


def test_a_store_costs_what_the_textbook_says(monkeypatch):
    """With even customers, delivery at once and no backorders: ordering 32 at 4 a day in lots of 16, holding 8.5."""
    inventory = load("inventory")
    monkeypatch.setattr(inventory, "DELIVERY_DAYS", 0.0)
    costs = [inventory.cost_a_day(0, 16, seed) for seed in range(40)]
    assert np.mean(costs) == pytest.approx(32 * 4 / 16 + 8.5, rel=0.03)


def test_the_inventory_example_runs(monkeypatch, capsys):
    inventory = load("inventory")
    monkeypatch.setattr(sys, "argv", ["inventory.py", "--quick", "--workers", "0"])
    inventory.main()
    assert "exhaustive: s = " in capsys.readouterr().out


def test_the_bound_of_the_discrete_model_is_an_expectation():
    """The score estimator's value and gradient are those of the sum over all coins, within 4.5 standard errors."""
    example = load("discrete_latent")
    model, pictures = example.Model(jax.random.key(0)), example.bars(jax.random.key(1), 2)
    exact = jax.tree.leaves(eqx.filter_grad(example.MeanBound(pictures, Enumerate()))(model, jax.random.key(0)))
    found = logpi.estimate(example.MeanBound(pictures, Score()), model, jax.random.key(2), replicates=2000)
    errors = jax.tree.leaves(found.gradient_error)
    pairs = zip(jax.tree.leaves(found.gradient), exact, errors, strict=True)
    z = np.concatenate([np.ravel(gradient - truth) / np.ravel(error) for gradient, truth, error in pairs])
    z = z[np.isfinite(z)]
    assert len(z) > 500
    assert np.abs(z).max() < 5.5  # of a thousand numbers, one beyond by chance in ten thousand runs
