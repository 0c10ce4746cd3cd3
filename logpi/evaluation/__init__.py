"""Evaluation: what a policy earns in fresh episodes."""
