"""Audits of policies and other distributions."""
