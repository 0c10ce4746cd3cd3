"""`logpi report` as a command, and the page at a local address."""

from __future__ import annotations

import socket
import struct
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from logpi.cli.report import report_command
from logpi.errors import InputError
from logpi.report.follow import serve
from tests.report.report_runs import folder, rows


def test_a_page_of_several_runs_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = folder(tmp_path / "one", rows()), folder(tmp_path / "other", rows(), a2c=True)
    out = tmp_path / "new" / "report.html"
    assert report_command([str(one), "--quick", str(other), "--out", str(out)]) == 0
    assert "<h1>PPO and A2C on CartPole-v1</h1>" in out.read_text()
    assert f"written to {out}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "RUN is missing"),
        (["nowhere", "--quick"], "nowhere/config.json does not exist"),
        (["a", "a"], "a is named twice"),
        (["a", "--episodes", "0"], "--episodes is 0"),
        (["a", "--out", "."], "that is a folder"),
        (["a", "--fast"], "--fast is no flag"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        report_command(arguments)


@pytest.fixture
def address(tmp_path: Path):
    """Where the page of a run is served."""
    with serve([folder(tmp_path / "run", rows())]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def fetched(address: str, host: str | None = None) -> str:
    request = urllib.request.Request(address, headers={} if host is None else {"Host": host})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return answer.read().decode()


def test_the_page_is_served_to_this_machine_alone(address: str) -> None:
    assert "<h1>PPO on CartPole-v1</h1>" in (text := fetched(address)) and "http-equiv=refresh" not in text
    for where, host in ((address + "config.json", None), (address, "evil.example")):
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            fetched(where, host)
        caught.value.close()


def test_only_a_run_is_followed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        serve([tmp_path / "nowhere"])


def test_a_browser_that_leaves_early_is_no_failure(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Before it has asked, in the middle of asking, and before it is answered."""
    host, _, port = address.removeprefix("http://").rstrip("/").partition(":")
    for words in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
        with socket.create_connection((host, int(port))) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not closed
            connection.sendall(words)
    assert "<title>" in fetched(address)  # who comes after them is answered
    assert "Traceback" not in capfd.readouterr().err
