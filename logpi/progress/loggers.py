"""Live curves in TensorBoard and Weights & Biases: the rows of a training, as they come."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..training.events import AbstractListener, Plan

_NO_CURVE = ("seed", "iteration", "steps", "return_squares")


class Several(AbstractListener):
    """Passes everything on to several listeners."""

    def __init__(self, listeners: Sequence[AbstractListener]):
        self._listeners = tuple(listeners)

    def planned(self, plan: Plan) -> None:
        """Passed on."""
        for listener in self._listeners:
            listener.planned(plan)

    def compiling(self) -> None:
        """Passed on."""
        for listener in self._listeners:
            listener.compiling()

    def compiled(self, seconds: float) -> None:
        """Passed on."""
        for listener in self._listeners:
            listener.compiled(seconds)

    def advanced(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """Passed on."""
        for listener in self._listeners:
            listener.advanced(rows, steps, seconds)

    def warned(self, sentence: str) -> None:
        """Passed on."""
        for listener in self._listeners:
            listener.warned(sentence)

    def finished(self, interrupted: bool) -> None:
        """Passed on."""
        for listener in self._listeners:
            listener.finished(interrupted)


class TensorBoard(AbstractListener):
    """A curve for each number and seed, over agent steps, in `tensorboard/` of the run folder (or `folder`).

    Raises `InputError` without the extra `tensorboard`.
    """

    def __init__(self, folder: str | Path | None = None):
        try:
            import tensorboardX
        except ImportError:
            raise InputError("TensorBoard needs the extra tensorboard: pip install 'logpi[tensorboard]'.") from None
        self._open, self._folder, self._writers = tensorboardX.SummaryWriter, folder, {}

    def planned(self, plan: Plan) -> None:
        """Opens a log for each seed."""
        folder = Path(self._folder or plan.out or "runs/tensorboard")
        self._writers = {seed: self._open(str(folder / "tensorboard" / f"seed{seed}")) for seed in plan.seeds}

    def compiling(self) -> None:
        """Nothing."""

    def compiled(self, seconds: float) -> None:
        """Nothing."""

    def advanced(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """The numbers of each row, at its agent steps."""
        for row in rows:
            for name, value in _curves(row).items():
                self._writers[row["seed"]].add_scalar(name, value, row["steps"])

    def warned(self, sentence: str) -> None:
        """As a text."""
        for writer in self._writers.values():
            writer.add_text("warnings", sentence)

    def finished(self, interrupted: bool) -> None:
        """Writes what is left."""
        for writer in self._writers.values():
            writer.close()


class WandB(AbstractListener):
    """A run of Weights & Biases for each seed, in one group. `options` go to `wandb.init`.

    Raises `InputError` without the extra `wandb`.
    """

    def __init__(self, **options: Any):
        try:
            import wandb  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise InputError("Weights & Biases needs the extra wandb: pip install 'logpi[wandb]'.") from None
        self._wandb, self._options, self._runs = wandb, options, {}

    def planned(self, plan: Plan) -> None:
        """Begins the runs."""
        for seed in plan.seeds:
            about = {"env": plan.env, "algorithm": plan.algorithm, "seed": seed, "steps": plan.steps}
            about |= {"num_envs": plan.num_envs, "rollout_length": plan.rollout_length, "settings": plan.source}
            names = {"project": "logpi", "group": plan.out, "name": f"{plan.env} {plan.algorithm} seed {seed}"}
            # One process holds a run for each seed.
            self._runs[seed] = self._wandb.init(**(names | {"config": about, "reinit": "create_new"} | self._options))

    def compiling(self) -> None:
        """Nothing."""

    def compiled(self, seconds: float) -> None:
        """Nothing."""

    def advanced(self, rows: list[dict[str, Any]], steps: int, seconds: float) -> None:
        """The numbers of each row, at its agent steps."""
        for row in rows:
            self._runs[row["seed"]].log(_curves(row), step=row["steps"])

    def warned(self, sentence: str) -> None:
        """As an alert."""
        for run in self._runs.values():
            run.alert(title="logpi", text=sentence)

    def finished(self, interrupted: bool) -> None:
        """Ends the runs."""
        for run in self._runs.values():
            run.finish(exit_code=int(interrupted))


def _curves(row: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name not in _NO_CURVE and value is not None}
