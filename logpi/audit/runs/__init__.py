"""Audits of trainings at their checkpoints."""
