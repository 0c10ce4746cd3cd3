"""Runs: what a training leaves, in memory and in its folder."""
