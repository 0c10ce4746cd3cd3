"""Cost of gradients with errors: `python -m benchmarks.estimators`."""
