"""Audits of environments."""
