"""What a training survives, measured."""
