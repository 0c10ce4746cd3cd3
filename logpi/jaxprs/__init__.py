"""Traced programs: what a function does with what it is given, read off its jaxpr."""
