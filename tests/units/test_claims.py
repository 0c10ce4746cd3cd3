"""Who may write into a run folder: one process, which claims its name by making it, and takes back what it made."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.reliability.trap import HOWS, Killed, Trap
from logpi.errors import InputError
from logpi.experience import Replay, Ring
from logpi.runs import folder
from logpi.runs.checkpoints import (
    damage,
    Kept,
    listed,
    load_experience,
    load_newest,
    mark_of,
    put_in_order,
    SEGMENTS,
    segments,
    segments_of,
    write_checkpoint,
)
from logpi.runs.files import write_atomically
from logpi.runs.folder import claimed, is_held, locked, new_folder, remove_unfinished, removed_if_empty
from logpi.runs.metrics import as_columns, Mark, Metrics, MetricsLog, read_rows, Rows, rows_up_to
from logpi.runs.schema import write_json
from tests.experience.test_replay import LENGTH, Story, STREAMS

STATE = {"w": jnp.arange(6.0)}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "PATIENCE", 0.02)


def at_once(work: Callable[[int], object], count: int) -> list[object]:
    """What threads that begin together come to; `flock` keeps them apart as it does processes."""
    gate, results = threading.Barrier(count), [None] * count

    def run(i: int) -> None:
        gate.wait()
        results[i] = work(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_each_of_many_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    found = at_once(lambda i: new_folder(tmp_path / "runs" / "a"), 12)
    assert sorted(map(str, found)) == sorted(map(str, (tmp_path / "runs").iterdir())) and len(set(found)) == 12


@pytest.mark.parametrize("how", ["ends well", "fails"])
def test_one_name_is_one_holders(how: str, impatient: None, tmp_path: Path) -> None:
    """The others are refused while it holds the folder; where it fails itself, nothing is left of it."""
    refused: list[int] = []

    def work(i: int) -> str:
        try:
            with claimed(tmp_path / "run") as held:
                (tmp_path / "run" / "config.json").write_text(str(i))
                while len(refused) < 7:
                    time.sleep(0.001)
                held.check()
                assert (tmp_path / "run" / "config.json").read_text() == str(i)
                if how == "fails":
                    raise KeyError
                return "held"
        except InputError as error:
            refused.append(i)
            return str(error)
        except KeyError:
            return "failed"

    results = at_once(work, 8)
    assert results.count("held" if how == "ends well" else "failed") == 1
    assert sum("Another process is training in" in str(result) for result in results) == 7
    left = list((tmp_path / "run").glob("*"))  # the folder itself goes where its holder made it
    assert [path.name for path in left] == (["config.json"] if how == "ends well" else [])


def test_a_refused_claim_disturbs_nothing(impatient: None, tmp_path: Path) -> None:
    with claimed(tmp_path / "run"):
        for name in ("config.json", "metrics.jsonl"):
            (tmp_path / "run" / name).write_text("")
        for attempt in (claimed(tmp_path / "run"), claimed(tmp_path / "run", overwrite=True), locked(tmp_path / "run")):
            with pytest.raises(InputError, match="Another process is training in"), attempt:
                pytest.fail("it was let in")
        removed_if_empty(tmp_path / "run")
        assert sorted(os.listdir(tmp_path / "run")) == ["config.json", "metrics.jsonl"]
    with pytest.raises(InputError, match="already holds a run"), claimed(tmp_path / "run"):
        pytest.fail("it was let in")


@pytest.mark.parametrize("made", [True, False])
def test_what_failed_takes_back_what_it_made_alone(made: bool, tmp_path: Path) -> None:
    if not made:
        (tmp_path / "run").mkdir()
    for written, left in (({"config.json": "{}", "metrics.jsonl": ""}, not made), ({"metrics.jsonl": "{}"}, True)):
        with pytest.raises(KeyboardInterrupt):
            stop_after(written, tmp_path / "run")
        assert (tmp_path / "run").exists() == left
    assert os.listdir(tmp_path / "run") == ["metrics.jsonl"]


def test_what_failed_takes_nothing_of_anothers_under_its_name(tmp_path: Path) -> None:
    """Who moved it away may have begun another run there, of which nothing has come yet either."""
    with pytest.raises(KeyboardInterrupt):
        stop_after({"config.json": "{}"}, tmp_path / "run", lambda: exchange(tmp_path / "run"))
    assert (tmp_path / "run" / "config.json").read_text() == "another's" and (tmp_path / "elsewhere").is_dir()


def exchange(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.mkdir()
    (path / "config.json").write_text("another's")


def stop_after(written: dict[str, str], path: Path, meanwhile: Callable[[], object] = lambda: None) -> None:
    with claimed(path):
        for name, text in written.items():
            (path / name).write_text(text)
        meanwhile()
        raise KeyboardInterrupt


def test_a_folder_that_others_take_back_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its maker may remove it between our finding it and our lock: what we would hold then is no folder any more."""
    (tmp_path / "run").mkdir()
    lock, rounds = folder._lock, []

    def late(path: Path, handle: int) -> None:
        if not rounds:
            path.rmdir()
        rounds.append(1)
        lock(path, handle)

    monkeypatch.setattr(folder, "_lock", late)
    with claimed(tmp_path / "run") as held:
        held.check()
        assert held.is_here() and len(rounds) == 2


@pytest.mark.parametrize("how", ["moved", "removed", "exchanged"])
def test_a_folder_that_is_gone_is_noticed(how: str, tmp_path: Path) -> None:
    with claimed(tmp_path / "run") as held:
        held.check()
        shutil.rmtree(tmp_path / "run") if how == "removed" else (tmp_path / "run").rename(tmp_path / "other")
        if how == "exchanged":
            (tmp_path / "run").mkdir()
        with pytest.raises(OSError, match="was moved or removed"):
            held.check()


def test_looking_holds_nothing(impatient: None, tmp_path: Path) -> None:
    """Those who look do not see each other, and a start is not refused for them."""
    (tmp_path / "run").mkdir()
    assert not is_held(tmp_path / "run") and not is_held(tmp_path / "nothing")
    with another_looks(tmp_path / "run"):
        assert not is_held(tmp_path / "run")
    looks = at_once(lambda i: [is_held(tmp_path / "run") for _ in range(200)], 4)
    assert not any(map(any, looks))


def test_a_start_is_not_refused_for_those_who_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "PATIENCE", 60.0)  # the machine may be busy
    (tmp_path / "run").mkdir()
    with contextlib.ExitStack() as looking:
        looking.enter_context(another_looks(tmp_path / "run"))
        threading.Timer(0.05, looking.pop_all().close).start()
        with locked(tmp_path / "run"):
            assert is_held(tmp_path / "run")


@contextlib.contextmanager
def another_looks(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(handle)


KEEPING = Replay(capacity=3 * LENGTH * STREAMS, batch_size=2)


def ring(rollouts: int) -> Ring:
    """A replay of three rollouts after so many."""
    told = Story(0).tell()
    buffer = KEEPING.init(told)
    for _ in range(rollouts):
        buffer, _ = KEEPING.add(buffer, told)
    return buffer


def checkpoint(place: Path, iteration: int, run_id: str, value: float = 0.0) -> Path:
    place.mkdir(exist_ok=True)
    return write_checkpoint(
        place, {"w": STATE["w"] + value}, iteration, run_id=run_id, mark=Mark(0, "", {0: iteration})
    )


def test_a_checkpoint_of_another_run_is_not_ours(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints"
    checkpoint(place, 3, "mine", 1.0)
    checkpoint(place, 5, "theirs", 2.0)
    said: list[str] = []
    found = load_newest(tmp_path, STATE, said.append, "mine")
    assert found is not None and found[1].name == "00000003" and "of another run ('theirs')" in said[0]
    # Of the same number, it is written over and not taken for one's own.
    checkpoint(place, 5, "mine", 3.0)
    found = load_newest(tmp_path, STATE, said.append, "mine")
    assert found is not None and float(found[0]["w"][0]) == 3.0 and len(said) == 1
    assert mark_of(found[1]) == Mark(0, "", {0: 5})
    with pytest.raises(InputError, match="no good checkpoint left"):
        load_newest(tmp_path, STATE, said.append, "a third")


@pytest.mark.parametrize("at", [0, 1])
def test_a_checkpoint_that_stood_aside_is_put_back(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill, or an error, between the two renames of a checkpoint that is written a second time."""
    place = tmp_path / "checkpoints"
    path = checkpoint(place, 7, "mine")
    if at == 0:  # a kill
        path.rename(place / ".old-00000007-x")
        (place / ".new.0123").mkdir()
        put_in_order(place)
    else:
        rename, renames = Path.rename, []

        def failing(self: Path, target: Path) -> Path:
            renames.append(target)
            if len(renames) == 3:  # after that of a segment, and of what was there
                raise OSError(28, "No space left on device")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", failing)
        with pytest.raises(OSError, match="No space"):
            write_checkpoint(place, STATE, 7, run_id="mine", kept=Kept(KEEPING), buffers=[ring(1)])
    assert [p.name for p in place.iterdir() if p.name != SEGMENTS] == ["00000007"] and not damage(path, run_id="mine")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), PermissionError(errno.EACCES, "denied")])
def test_a_checkpoint_that_cannot_be_read_is_passed_over(
    error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "checkpoints"
    for iteration in (3, 5):
        checkpoint(place, iteration, "mine", iteration)
    checksum, said = segments.sha256_of, []

    def failing(path: Path) -> str:
        if path.parent.name == "00000005":
            raise error
        return checksum(path)

    monkeypatch.setattr(segments, "sha256_of", failing)
    found = load_newest(tmp_path, STATE, said.append, "mine")
    assert found is not None and found[1].name == "00000003" and f"cannot be read ({error.strerror})" in said[0]


@pytest.fixture(scope="module")
def trap() -> Trap:
    return Trap()


@pytest.mark.parametrize("how", HOWS)
def test_no_operation_of_a_checkpoint_can_lose_one(how: str, trap: Trap, tmp_path: Path) -> None:
    """The second of them is written a second time, with experience beside it; the third merges that with more."""
    rings = [ring(2), ring(4)]
    shapes = jax.eval_shape(lambda: rings[:1])
    for k in itertools.count(1):
        run = tmp_path / str(k)
        place = run / "checkpoints"
        run.mkdir()
        checkpoint(place, 1, "mine", 1.0)
        checkpoint(place, 2, "mine", 2.0)
        with trap.under(tmp_path, how, k), contextlib.suppress(OSError, Killed):
            kept = Kept(KEEPING)
            write_checkpoint(place, {"w": STATE["w"] + 2.0}, 2, run_id="mine", kept=kept, buffers=[rings[0]])
            write_checkpoint(place, {"w": STATE["w"] + 3.0}, 3, run_id="mine", kept=kept, buffers=[rings[1]])
        put_in_order(place)
        found = load_newest(run, STATE, pytest.fail, "mine")
        assert found is not None and int(found[1].name) >= 2 and float(found[0]["w"][0]) == int(found[1].name)
        assert not list(place.glob(".*"))
        if segments := segments_of(found[1]):
            (back,) = load_experience(place / SEGMENTS, segments, KEEPING, shapes, pytest.fail) or ()
            assert eqx.tree_equal(back, rings[int(found[1].name) - 2])
        assert segments or int(found[1].name) == 2
        if not trap.sprung:
            assert found[1].name == "00000003" and k > 30
            return


@pytest.mark.parametrize("how", HOWS)
def test_a_file_is_there_whole_or_as_it_was(how: str, trap: Trap, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    for k in itertools.count(1):
        path.write_bytes(b"before")
        with trap.under(tmp_path, how, k), contextlib.suppress(OSError, Killed):
            write_atomically(path, b"after")
        assert path.read_bytes() in (b"before", b"after")
        if not trap.sprung:
            assert path.read_bytes() == b"after" and k > 4
            return


def test_nothing_in_a_strangers_checkpoints_is_waited_for(tmp_path: Path) -> None:
    """Pipes, under names that are ours and hidden ones; a link that leads out is removed, and not what it leads to."""
    place, outside = tmp_path / "checkpoints", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    checkpoint(place, 1, "mine")
    for name in (".x", ".old-1", ".old-00000009", "00000032"):
        os.mkfifo(place / name)
    (place / ".link").symlink_to(outside)
    put_in_order(place)
    assert damage(place / "00000032") and listed(place)[0].name == "00000032"
    checkpoint(place, 32, "mine")
    assert sorted(p.name for p in place.iterdir()) == ["00000001", "00000032"] and (outside / "kept").exists()


@contextlib.contextmanager
def log_of(place: Path, rows: int = 6) -> Iterator[MetricsLog]:
    """A log into which some rows have been written, eight steps each."""
    count, real = jnp.ones(rows, int), jnp.ones(rows)
    metrics = Metrics({"x": real}, count, count, count, count, real, real, real, real, 8 * count, count > 0)
    with contextlib.closing(MetricsLog(place, ("x",), Rows(), pytest.fail)) as log:
        log.add({0: 0}, {0: jax.tree.map(np.asarray, metrics)})
        log.flush()
        yield log


class Full:
    """A file on a full disk."""

    def tell(self) -> int:
        return 0

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def truncate(self, size: int) -> None:
        pass

    def seek(self, place: int) -> None:
        pass


def test_rows_that_find_no_room_are_written_once_there_is_some(tmp_path: Path) -> None:
    """And that is said once."""
    path, said = tmp_path / "metrics.jsonl", []
    with log_of(tmp_path) as log:
        file, lines = log._file, path.read_bytes()
        log._warn, log._file, log.waiting = said.append, Full(), lines
        for _ in range(3):
            log.flush()
        assert len(said) == 1 and "No space left on device" in said[0] and path.read_bytes() == log.waiting
        log._file = file
        log.flush()
    assert path.read_bytes() == 2 * lines


AFTER = {
    "zeros": lambda data: data + bytes(20_000),
    "half a line": lambda data: data + b'{"seed": 0, "iter',
    "a line of zeros among rows": lambda data: data + bytes(100) + b"\n" + data[:200],
    "other rows": lambda data: data + data,
}
BEFORE = {
    "rows are missing": lambda data: data[: data.index(b"\n") + 1],
    "a bit": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "nothing": lambda data: b"",
    "another seed's": lambda data: data.replace(b'"seed": 0', b'"seed": 1'),
}


@pytest.mark.parametrize("damage", AFTER)
def test_rows_after_a_checkpoint_are_cut_off_unread(damage: str, tmp_path: Path) -> None:
    with log_of(tmp_path) as log:
        mark, rows = log.mark, read_rows(tmp_path)
    path = tmp_path / "metrics.jsonl"
    before = path.read_bytes()
    path.write_bytes(AFTER[damage](before))
    assert rows_up_to(tmp_path, mark, {0: 6}, pytest.fail) == rows and path.read_bytes() == before


@pytest.mark.parametrize("damage", BEFORE)
def test_rows_that_are_missing_before_a_checkpoint_are_said(damage: str, tmp_path: Path) -> None:
    with log_of(tmp_path) as log:
        mark = log.mark
    path, said = tmp_path / "metrics.jsonl", []
    path.write_bytes(BEFORE[damage](path.read_bytes()))
    kept = rows_up_to(tmp_path, mark, {0: 6}, said.append)
    assert len(said) == 1 and "does not hold the rows" in said[0] and len(kept) == (damage == "rows are missing")
    with contextlib.closing(MetricsLog(tmp_path, ("x",), kept, pytest.fail, mark.steps)) as log:
        assert log.steps == 48 and log.mark.bytes == path.stat().st_size


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    left = [".config.json.0a1b", ".metrics.jsonl.x_y", ".policy-seed3.safetensors.77", ".evaluation.json.q"]
    kept = [".gitignore", "config.json", ".notes.json.x", "policy-seed3.safetensors"]
    for name in (*left, *kept):
        (tmp_path / name).write_text("")
    os.mkfifo(tmp_path / ".times.jsonl.pipe")
    remove_unfinished(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


@pytest.mark.parametrize("mask", [0o077, 0o022, 0o002])
def test_files_have_the_permissions_that_new_files_have(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        path = checkpoint(tmp_path / "checkpoints", 1, "mine")
        write_json(tmp_path / "config.json", {})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o777 & ~mask
    files = [*path.iterdir(), tmp_path / "config.json"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~mask}


def test_rows_are_kept_as_numbers() -> None:
    """As they were given, also where their names are others; in a fraction of the memory of dictionaries."""
    like = {"seed": 0, "episodes": 0, "return_mean": None}
    rows = [like | {"iteration": i, "steps": 2**40 + i, "x": i / 7} for i in range(50)]
    rows += [{"x": 0.5, "seed": 1, "iteration": 3, "steps": 1, "episodes": 0, "dropped": True}]
    kept = Rows(rows[:20])
    kept.extend(rows[20:])
    assert kept == rows and kept[-1] == rows[-1] and kept[10:13] == rows[10:13] and next(reversed(kept)) == rows[-1]
    assert kept != rows[:-1] and len(kept) == 51 and not Rows() and type(kept[0]["steps"]) is int
    with pytest.raises(IndexError):
        kept[51]
    columns = as_columns((0, 1, 2), rows, ("x", "return_mean", "dropped"))
    assert columns[0]["x"].tolist() == [i / 7 for i in range(50)] and np.isnan(columns[0]["return_mean"]).all()
    assert columns[1]["dropped"].tolist() == [1.0] and columns[2]["x"].shape == (0,)
    tracemalloc.start()
    many = Rows({**rows[0], "iteration": i} for i in range(20_000))
    size = tracemalloc.get_traced_memory()[0] / len(many)
    tracemalloc.stop()
    assert size < 100
