"""Live curves in TensorBoard and Weights & Biases: the rows of a training, as they come.

A number is under the names that CleanRL and Stable-Baselines3 have for it, as it is declared; what neither has is under
`logpi/`. So dashboards that were made for theirs show ours.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..algorithms.base import learning_rate
from ..errors import missing
from ..measurements import RETURN
from ..runs.metrics import real_columns
from ..runs.schema import to_json
from .events import Advanced, Compiled, Compiling, Evaluated, Event, Filmed, Finished, Planned, WarmStarted, Warned
from .video import as_gif

_NO_CURVE = ("seed", "iteration", "steps", "return_squares")  # these place a row, or are there for its error alone
_SPEED = (("charts/SPS", 1.0), ("time/fps", 1.0))
_FILM = "videos/policy"
_RATE = (("charts/learning_rate", 1.0), ("train/learning_rate", 1.0))


class TensorBoard:
    """A listener that writes a curve for each number and seed, over agent steps, and the settings as hyperparameters.

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
                self._curves = TaggedRows(event)
                for seed, writer in self._writers.items():
                    _write_hyperparameters(writer, hyperparameters(event, seed))
            case Advanced():
                for seed, step, numbers in self._curves.of(event):
                    for tag, number in numbers.items():
                        self._writers[seed].add_scalar(tag, number, step)
            case Evaluated(rows):
                for row in rows:
                    for tag, number in evaluated(row).items():
                        self._writers[row["seed"]].add_scalar(tag, number, row["steps"])
            case Filmed(path, seed, steps):
                _write_film(self._writers[seed], path, steps)
            case Warned(sentence):
                for writer in self._writers.values():
                    writer.add_text("warnings", sentence)
            case Finished():
                for writer in self._writers.values():
                    writer.close()
            case Compiling() | Compiled() | WarmStarted():
                pass


def _write_film(writer: Any, film: Path, steps: int) -> None:
    """As TensorBoard shows one: a GIF among the images."""
    from tensorboardX.proto import summary_pb2

    kinds: Any = summary_pb2
    image = kinds.Summary.Image(encoded_image_string=as_gif(film))
    writer.file_writer.add_summary(kinds.Summary(value=[kinds.Summary.Value(tag=_FILM, image=image)]), steps)


def _write_hyperparameters(writer: Any, values: dict[str, Any]) -> None:
    """For the tab "HParams", and as the table that CleanRL writes under "Text"."""
    from tensorboardX.summary import hparams

    lines = "\n".join(f"|{name}|{value}|" for name, value in values.items())
    writer.add_text("hyperparameters", f"|param|value|\n|-|-|\n{lines}")
    known = {name: str(value) if value is None else value for name, value in values.items()}
    for summary in hparams(known, dict.fromkeys(tag for tag, _ in RETURN.tags)):
        writer.file_writer.add_summary(summary)


class WandB:
    """A listener that keeps a run of Weights & Biases for each seed, in one group. `options` go to `wandb.init`.

    The settings are the run's config. Raises `InputError` without the extra `wandb`.
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
                self._curves = TaggedRows(event)
            case Advanced():
                for seed, step, numbers in self._curves.of(event):
                    # CleanRL's charts are over `global_step`.
                    self._runs[seed].log({**numbers, "global_step": step}, step=step)
            case Evaluated(rows):
                for row in rows:
                    self._runs[row["seed"]].log(evaluated(row) | {"global_step": row["steps"]})
            case Filmed(path, seed, steps):
                film = self._wandb.Video(str(path), format="mp4")
                self._runs[seed].log({_FILM: film, "global_step": steps})
            case Warned(sentence):
                for run in self._runs.values():
                    run.alert(title="logpi", text=sentence)
            case Finished(interrupted):
                for run in self._runs.values():
                    run.finish(exit_code=int(interrupted))
            case Compiling() | Compiled() | WarmStarted():
                pass

    def _begin(self, plan: Planned, seed: int) -> Any:
        names = {"project": "logpi", "group": plan.out, "name": f"{plan.env} {plan.algorithm} seed {seed}"}
        about = {"config": hyperparameters(plan, seed), "reinit": "create_new"}  # one process holds a run for each seed
        return self._wandb.init(**(names | about | self._options))


def hyperparameters(plan: Planned, seed: int) -> dict[str, Any]:
    """What a seed is trained with, in plain values by dotted names, as `algorithm.credit.gamma`."""
    about = {"env": plan.env, "seed": seed, "steps": plan.steps}
    about |= {"num_envs": plan.num_envs, "rollout_length": plan.rollout_length}
    given = _flat(to_json(plan.settings)) if plan.settings is not None else {}
    return {**given, **about, "algorithm": plan.algorithm, "source": plan.source}


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {name: value}
    parts = {f"{name}.{part}" if name else str(part): item for part, item in value.items()}
    return {key: leaf for part, item in parts.items() for key, leaf in _flat(item, part).items() if key != "kind"}


def evaluated(row: dict[str, Any]) -> dict[str, float]:
    """What an evaluation on the way came to, by Stable-Baselines3's tags."""
    tags = {"eval/mean_reward": row["return_mean"], "eval/mean_ep_length": row["length_mean"]}
    return {tag: number for tag, number in tags.items() if number is not None}


class TaggedRows:
    """The numbers of a training by the tags that they are drawn under."""

    def __init__(self, plan: Planned):
        self._plan = plan
        self._tags = {m.name: m.tags for m in real_columns(plan.measurements)}
        self._before: tuple[int, float] | None = None  # agent steps of all seeds, and seconds

    def of(self, news: Advanced) -> Iterator[tuple[int, int, dict[str, float]]]:
        """Of each row: its seed, its agent steps, and a number for every tag."""
        speed = self._speed(news)
        for row in news.rows:
            numbers = {name: x for name, x in row.items() if name not in _NO_CURVE and isinstance(x, int | float)}
            found = [(self._tags.get(name) or ((f"logpi/{name}", 1.0),), x) for name, x in numbers.items()]
            found += [(_SPEED, speed), (_RATE, self._rate(row["iteration"]))]
            yield row["seed"], row["steps"], {tag: k * x for tags, x in found if x is not None for tag, k in tags}

    def _speed(self, news: Advanced) -> float | None:
        """Agent steps a second of all seeds, since the last news; unknown at first where a training goes on."""
        if self._before is None and all(row["iteration"] > self._plan.every for row in news.rows):
            self._before = news.steps, news.seconds
            return None
        steps, seconds = self._before or (0, 0.0)
        self._before = news.steps, news.seconds
        return (news.steps - steps) / max(news.seconds - seconds, 1e-9)

    def _rate(self, iteration: int) -> float | None:
        """The learning rate of an iteration; `None` where it is not known."""
        settings = self._plan.settings
        return settings and learning_rate(settings.algorithm, (iteration - 1) / settings.num_updates)
