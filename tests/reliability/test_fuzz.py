"""Run folders with bytes changed at random are loaded or refused, and nothing else."""

from pathlib import Path

from benchmarks.reliability.fuzz import fuzz, real_folder


def test_nothing_but_clean_refusals_and_loads(tmp_path: Path) -> None:
    counts = fuzz(*real_folder(tmp_path / "run"), 8_000, seed=1)
    assert sum(sum(count.values()) for count in counts.values()) == 8_000
    for name, count in counts.items():
        assert count["failed"] == 0, name
        assert count["refused"] > 400, name  # so many are damaged that it would be seen if they were not refused
