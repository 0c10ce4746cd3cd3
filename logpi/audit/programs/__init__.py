"""Audits of programs that estimate an expectation."""
