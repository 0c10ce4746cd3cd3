"""Adapters: environments of other suites."""
