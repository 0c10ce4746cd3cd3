"""Audits of losses over arrays, whatever they are written in."""
