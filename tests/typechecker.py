"""The run-time type checker that tests/conftest.py puts on every function of logpi."""

from beartype import beartype, BeartypeConf

typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as in type checkers
