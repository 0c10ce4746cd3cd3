"""Audits of algorithms and their objectives."""
