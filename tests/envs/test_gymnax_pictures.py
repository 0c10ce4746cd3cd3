"""gymnax's environments, drawn: which can be, and that a picture is of the state."""

from typing import Any

import numpy as np
import pytest

from logpi.envs import resolve
from logpi.envs.adapters.gymnax import Gymnax, gymnax_ids
from logpi.envs.adapters.gymnax_pictures import grid_picture, painter_of, PicturedGymnax
from logpi.errors import InputError

DOWNLOADS = ("MNISTBandit-bsuite",)  # its data, when it is made
REFUSED = {
    "MemoryChain-bsuite", "UmbrellaChain-bsuite", "DiscountingChain-bsuite", "SimpleBandit-bsuite",
    "BernoulliBandit-misc", "GaussianBandit-misc", "Reacher-misc", "Swimmer-misc",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _drawn_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame")
    for name, value in (("SDL_VIDEODRIVER", "dummy"), ("SDL_AUDIODRIVER", "dummy"), ("MPLBACKEND", "agg")):
        monkeypatch.setenv(name, value)


def gymnax(id: str) -> Gymnax:
    env: Any = resolve(f"gymnax:{id}").env
    return env


def test_which_can_be_drawn_is_said() -> None:
    """Each that is refused is told of those that are not, and only of them."""
    told = {}
    for id in set(gymnax_ids()) - set(DOWNLOADS):
        try:
            painter_of(id, gymnax(id)).close()
        except InputError as error:
            told[id] = str(error)
    assert set(told) == REFUSED
    for id, sentence in told.items():
        assert sentence.startswith(f"{id} cannot be watched")
        assert not any(other.partition("-")[0] in sentence.partition(": ")[2] for other in REFUSED)


@pytest.mark.parametrize(
    ("id", "size", "action"),
    [
        ("Breakout-MinAtar", (400, 400, 3), 1),
        ("Pendulum-v1", (500, 500, 3), np.ones(1, np.float32)),
        ("FrozenLake-misc", (256, 256, 3), 2),
        ("FourRooms-misc", (480, 640, 3), 1),
    ],
)
def test_a_picture_shows_the_state(id: str, size: tuple[int, ...], action: Any) -> None:
    """The same for the same state, and another after something moved; one of each kind of painter."""
    env = gymnax(id)
    drawn = PicturedGymnax(env, painter_of(id, env))
    obs, _ = drawn.reset(seed=0)
    first = drawn.render()
    assert first.shape == size and first.dtype == np.uint8 and len(np.unique(first)) > 1
    np.testing.assert_array_equal(first, drawn.render())
    for _ in range(20):
        later, *_ = drawn.step(action)
        if not np.array_equal(later, obs):
            break
    assert not np.array_equal(first, drawn.render())
    drawn.close()


def test_channels_of_a_grid_have_colours_of_their_own() -> None:
    grid = np.zeros((2, 4, 3))
    grid[0, 0, 0] = grid[0, 1, 1] = grid[0, 2, 2] = grid[1, 3, 0] = grid[1, 3, 2] = 1
    picture = grid_picture(grid)
    assert picture.shape == (200, 400, 3)
    cells = picture[50::100, 50::100]
    assert len({tuple(cells[0, i]) for i in range(4)}) == 4 and not cells[0, 3].any()
    np.testing.assert_array_equal(cells[1, 3], cells[0, 2])  # the later channel lies on top
    np.testing.assert_array_equal(grid_picture(np.ones((2, 2))), np.full((400, 400, 3), 255))
