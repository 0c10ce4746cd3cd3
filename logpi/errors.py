"""The one exception that means "you can mend this": a sentence with the value, the limit and the cure."""


class InputError(ValueError):
    """A mistake in what a person gave, told in one sentence that names the value, the limit and the cure.

    The command line prints the sentence and exits with status 2, without a traceback.
    """


def check_between(name: str, value: object, low: float, high: float = float("inf")) -> None:
    """Raises `InputError` unless `low <= value <= high`. Values that are not plain numbers (traced ones) pass."""
    if isinstance(value, (int, float)) and not low <= value <= high:
        limit = f"between {low} and {high}" if high < float("inf") else f"{low} or more"
        raise InputError(f"{name} is {value}, but it must be {limit}: give a value in that range.")


def choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """The value, if it is one of the choices. Raises `InputError` if not."""
    if value in choices:
        return str(value)
    raise InputError(f"{name} is {value!r}, but it must be {' or '.join(choices)}: give one of them.")


class TrainingFault(InputError):
    """NaN or infinity came up in a training, which stopped there; what was good before it is saved."""


class EnvironmentFault(InputError):
    """An environment broke down or does not answer; what was learned is saved."""
