"""Live curves in TensorBoard and Weights & Biases: the rows of a training, as they come."""

from pathlib import Path
from typing import Any

from ..errors import missing
from ..training.events import Advanced, Compiled, Compiling, Event, Finished, Planned, Warned

_NO_CURVE = ("seed", "iteration", "steps", "return_squares")  # these place a row, or are there for its error alone


class TensorBoard:
    """A listener that writes a curve for each number and seed, over agent steps.

    They are in `tensorboard/` of the run folder (or `folder`). Raises `InputError` without the extra `tensorboard`.
    """

    def __init__(self, folder: str | Path | None = None):
        try:
            import tensorboardX
        except ImportError:
            raise missing("TensorBoard", "tensorboardX", "tensorboard") from None
        self._open, self._folder, self._writers = tensorboardX.SummaryWriter, folder, {}

    def __call__(self, event: Event) -> None:
        """Opens a log for each seed, writes to it, closes it."""
        match event:
            case Planned():
                folder = Path(self._folder or event.out or "runs/tensorboard") / "tensorboard"
                self._writers = {seed: self._open(str(folder / f"seed{seed}")) for seed in event.seeds}
            case Advanced(rows):
                for row in rows:
                    for name, value in _curves(row).items():
                        self._writers[row["seed"]].add_scalar(name, value, row["steps"])
            case Warned(sentence):
                for writer in self._writers.values():
                    writer.add_text("warnings", sentence)
            case Finished():
                for writer in self._writers.values():
                    writer.close()
            case Compiling() | Compiled():
                pass


class WandB:
    """A listener that keeps a run of Weights & Biases for each seed, in one group. `options` go to `wandb.init`.

    Raises `InputError` without the extra `wandb`.
    """

    def __init__(self, **options: Any):
        try:
            import wandb  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise missing("Weights & Biases", "wandb", "wandb") from None
        self._wandb, self._options, self._runs = wandb, options, {}

    def __call__(self, event: Event) -> None:
        """Begins the runs, logs to them, with warnings as alerts, ends them."""
        match event:
            case Planned():
                self._runs = {seed: self._begin(event, seed) for seed in event.seeds}
            case Advanced(rows):
                for row in rows:
                    self._runs[row["seed"]].log(_curves(row), step=row["steps"])
            case Warned(sentence):
                for run in self._runs.values():
                    run.alert(title="logpi", text=sentence)
            case Finished(interrupted):
                for run in self._runs.values():
                    run.finish(exit_code=int(interrupted))
            case Compiling() | Compiled():
                pass

    def _begin(self, plan: Planned, seed: int) -> Any:
        about = {"env": plan.env, "algorithm": plan.algorithm, "seed": seed, "steps": plan.steps}
        about |= {"num_envs": plan.num_envs, "rollout_length": plan.rollout_length, "settings": plan.source}
        names = {"project": "logpi", "group": plan.out, "name": f"{plan.env} {plan.algorithm} seed {seed}"}
        # One process holds a run for each seed.
        return self._wandb.init(**(names | {"config": about, "reinit": "create_new"} | self._options))


def _curves(row: dict[str, Any]) -> dict[str, float]:
    """Every number of a row that makes a curve, whatever the algorithm measures."""
    return {name: value for name, value in row.items() if name not in _NO_CURVE and isinstance(value, int | float)}
