"""Training: from a name to a trained policy."""
