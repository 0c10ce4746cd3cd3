"""Spaces against Gymnasium's own: the same encoding, and actions that the environment's space contains."""

import gymnasium.spaces as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi import InputError
from logpi.spaces.actions import bounds, clip_to, clipped, fit_to, is_far, note_on, rescale_to, typed_for
from logpi.spaces.encoding import encode, encoded_size, is_image, layout_note, picture_axes
from logpi.spaces.gymnasium import from_gymnasium
from logpi.spaces.kinds import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from logpi.spaces.membership import caster, misfit, outside, Range, reader, shape_of

IMAGE = gym.Box(0, 255, (4, 3, 2), np.uint8)
GYMNASIUM = {
    "Discrete": gym.Discrete(3),
    "Discrete from -1": gym.Discrete(3, start=-1),
    "MultiDiscrete": gym.MultiDiscrete([2, 4]),
    "MultiDiscrete of two axes, from 5": gym.MultiDiscrete(
        np.array([[2, 3, 2], [4, 2, 5]]), start=np.array([[5, 0, -2], [1, 5, 0]])
    ),
    "MultiBinary": gym.MultiBinary(3),
    "MultiBinary of two axes": gym.MultiBinary((2, 3)),
    "Box": gym.Box(np.array([-1.0, 0.0], np.float32), np.array([1.0, np.inf], np.float32)),
    "Box of two axes": gym.Box(-2.0, 2.0, (2, 3)),
    "Box without axes": gym.Box(-2.0, 2.0, ()),
    "image": IMAGE,
    "Dict": gym.Dict({"b": gym.Discrete(2, start=1), "a": gym.Box(-1, 1, (2,))}),
    "Tuple": gym.Tuple((gym.MultiBinary(2), gym.Discrete(3))),
    "nested": gym.Dict({"z": gym.Tuple((gym.Discrete(2), IMAGE)), "a": gym.Dict({"x": gym.MultiDiscrete([2, 2])})}),
}
each = pytest.mark.parametrize("name", GYMNASIUM)


@each
def test_the_encoding_is_that_of_gymnasium(name):
    theirs, ours = GYMNASIUM[name], from_gymnasium(GYMNASIUM[name])
    theirs.seed(0)
    assert encoded_size(ours) == gym.flatdim(theirs)
    encoded = jax.jit(lambda member: encode(ours, member))
    for _ in range(4):
        member = theirs.sample()
        right = np.asarray(gym.flatten(theirs, member), np.float32)
        mine = encoded(jax.tree.map(jnp.asarray, _plain(member)))
        assert mine.dtype == jnp.float32
        np.testing.assert_array_equal(mine, right)


def _plain(member):
    """Gymnasium gives dictionaries of its own order."""
    if isinstance(member, dict):
        return {name: _plain(part) for name, part in member.items()}
    return tuple(_plain(part) for part in member) if isinstance(member, tuple) else member


@each
def test_it_is_frozen_hashable_and_equal_to_its_twin(name):
    first, second = from_gymnasium(GYMNASIUM[name]), from_gymnasium(GYMNASIUM[name])
    assert first == second and hash(first) == hash(second) and first is not second


def test_what_from_gymnasium_keeps():
    assert from_gymnasium(gym.Discrete(3, start=-1)) == Discrete(3, -1)
    assert from_gymnasium(gym.MultiDiscrete([[2, 3]])) == MultiDiscrete((2, 3), (0, 0), (1, 2))
    assert from_gymnasium(gym.MultiBinary((2, 3))) == MultiBinary((2, 3))
    assert from_gymnasium(gym.Box(-1, 1, (2,))) == Box((2,), -1.0, 1.0, "float32")
    assert from_gymnasium(GYMNASIUM["Box"]) == Box((2,), (-1.0, 0.0), (1.0, np.inf), "float32")
    assert from_gymnasium(gym.Tuple((gym.Discrete(2),))) == Tuple((Discrete(2),))
    named = from_gymnasium(GYMNASIUM["Dict"])
    assert isinstance(named, Dict) and [name for name, _ in named.parts] == ["a", "b"]


@pytest.mark.parametrize("space", [gym.Text(3), gym.Sequence(gym.Discrete(2))], ids=str)
def test_a_space_that_is_not_known_is_an_input_error(space):
    with pytest.raises(InputError, match="of a kind that logpi does not know"):
        from_gymnasium(space)


def test_what_is_an_image():
    for shape in ((4, 3, 2), (4, 3), (4, 64, 64, 3)):
        assert is_image(Box(shape, 0, 255, "uint8"))
    for high, dtype in ((1, "float32"), (255, "float32"), (1, "bool"), (255, "int32")):
        assert is_image(Box((10, 10, 4), 0, high, dtype))
    for space in (
        Box((4, 3)), Box((2, 3, 2)), Box((2, 3, 2), -1, 1), Box((12,), 0, 255, "uint8"), MultiBinary((2, 2, 2)),
        Box((2, 3, 2), (0,) * 12, (1,) * 12), Box((2,) * 5, 0, 255, "uint8"), Tuple((Box((4, 3), 0, 1, "uint8"),)),
    ):  # fmt: skip
        assert not is_image(space)


LAYOUTS = {
    (84, 84, 4): (0, 1, 2), (210, 160, 3): (0, 1, 2), (7, 7, 3): (0, 1, 2), (4, 4, 1): (0, 1, 2),
    (4, 84, 84): (1, 2, 0), (3, 210, 160): (1, 2, 0), (1, 28, 28): (1, 2, 0),
    (4, 64, 64, 3): (1, 2, 0, 3), (4, 3, 64, 64): (2, 3, 0, 1), (28, 28): (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("shape", LAYOUTS, ids=str)
def test_the_layout_of_a_picture_and_what_is_said_of_it(shape):
    space = Box(shape, 0, 255, "uint8")
    assert picture_axes(space) == LAYOUTS[shape]
    natural = LAYOUTS[shape] == tuple(range(len(shape)))
    assert (layout_note(Dict((("eye", space), ("arm", Box((2,)))))) == "") is natural
    if not natural:
        height, width = (shape[axis] for axis in LAYOUTS[shape][:2])
        assert f"is seen as a picture of {height} x {width}, with " in layout_note(space)


ACTIONS = ["Discrete", "Discrete from -1", "MultiDiscrete", "MultiDiscrete of two axes, from 5", "MultiBinary", "Box",
           "Box of two axes", "Box without axes"]  # fmt: skip


def drawn(space, rows: int) -> np.ndarray:
    """Actions as a policy draws them: integers from 0, one flat vector of them, or any real numbers."""
    random = np.random.default_rng(0)
    match space:
        case Discrete(n):
            return random.integers(0, n, rows).astype(np.int32)
        case MultiDiscrete(sizes):
            return np.stack([random.integers(0, n, rows) for n in sizes], 1).astype(np.int32)
        case MultiBinary(shape):
            return random.integers(0, 2, (rows, *shape)).astype(np.int32)
        case _:
            return (5 * random.normal(size=(rows, *space.shape))).astype(np.float32)


@pytest.mark.parametrize("to_env", [clip_to, rescale_to])
@pytest.mark.parametrize("name", ACTIONS)
def test_actions_reach_the_space_of_the_environment(name, to_env):
    theirs, ours = GYMNASIUM[name], from_gymnasium(GYMNASIUM[name])
    if to_env is rescale_to and name == "Box":
        pytest.skip("a Box without an upper bound has no scale")
    actions = drawn(ours, 50)
    before = actions.copy()
    on_host = to_env(ours, actions)
    np.testing.assert_array_equal(actions, before)  # the trajectory's own is left alone
    assert on_host.shape == (50, *theirs.shape)
    assert all(theirs.contains(np.asarray(row, theirs.dtype)) for row in on_host)
    if not isinstance(ours, Box):
        assert len(np.unique(on_host, axis=0)) == len(np.unique(actions, axis=0))  # and no two become one
    compiled = jax.jit(lambda actions: to_env(ours, actions))(jnp.asarray(actions))
    np.testing.assert_allclose(compiled, on_host, rtol=1e-6)
    one_by_one = jax.vmap(lambda action: to_env(ours, action))(jnp.asarray(actions))
    np.testing.assert_allclose(one_by_one, on_host, rtol=1e-6)


def test_clipping_and_rescaling():
    space = Box((3,), (-1.0, 0.0, -3.0), (1.0, 10.0, 3.0))
    np.testing.assert_array_equal(clip_to(space, np.array([-2.0, 4.0, 2.0])), [-1, 4, 2])
    reached = {-9: [-1, 0, -3], -1: [-1, 0, -3], 0: [0, 5, 0], 0.5: [0.5, 7.5, 1.5], 1: [1, 10, 3], 9: [1, 10, 3]}
    for point, expected in reached.items():
        np.testing.assert_allclose(rescale_to(space, np.full(3, point, np.float32)), expected)
    low, high = bounds(Box((2, 2), 0.0, (1.0, 2.0, 3.0, 4.0)))
    np.testing.assert_array_equal(low, np.zeros((2, 2)))
    np.testing.assert_array_equal(high, [[1, 2], [3, 4]])


def test_rescaling_does_not_lead_out_of_the_space():
    tenths = [i / 10 for i in range(-30, 31)]
    low, high = zip(*[(a, b) for a in tenths for b in tenths if a < b], strict=True)
    space = Box((len(low),), low, high)
    least, most = bounds(space)
    for end in (-1, 1):
        reached = rescale_to(space, np.full(space.shape, end, np.float32))
        assert (reached >= least).all() and (reached <= most).all()


def _leaves(space):
    if isinstance(space, gym.Dict | gym.Tuple):
        return [leaf for part in (space.values() if isinstance(space, gym.Dict) else space) for leaf in _leaves(part)]
    return [space]


LEAVES = [leaf for space in GYMNASIUM.values() for leaf in _leaves(space)]


@pytest.mark.parametrize("theirs", LEAVES, ids=str)
def test_the_numbers_of_a_space_are_those_that_gymnasium_contains(theirs):
    ours = from_gymnasium(theirs)
    numbers, rng = Range(ours), np.random.default_rng(0)
    assert shape_of(ours) == theirs.shape == numbers.low.shape == numbers.high.shape
    for _ in range(40):
        member = np.asarray(theirs.sample(), theirs.dtype)
        moved = member + rng.integers(-3, 4, member.shape).astype(theirs.dtype)
        for each in (member, np.asarray(moved, theirs.dtype)):
            assert (not numbers.strays(each).any()) == theirs.contains(each)


def test_what_strays():
    box = Range(Box((3,), 0.0, 1.0))
    np.testing.assert_array_equal(box.strays(np.array([1 + 1e-6, 1.001, np.nan])), [False, True, True])
    # However large, a whole number is one or not.
    np.testing.assert_array_equal(
        Range(Discrete(10**8)).strays(np.array([10.0**8, 10.0**8 - 1, 0.5])), [True, False, True]
    )
    with pytest.raises(InputError, match="several parts"):
        Range(Tuple((Discrete(2),)))


NESTED = Dict((("a", Box((2,), -1.0, 1.0)), ("b", Tuple((Discrete(3, 5), MultiBinary((2,)))))))
INSIDE = {"a": np.zeros(2, np.float32), "b": (np.int64(7), np.array([0, 1], np.int8))}


def test_why_something_is_no_member():
    assert misfit(NESTED, INSIDE, "x") == outside(NESTED, INSIDE, "x") == ""
    assert misfit(NESTED, {"a": INSIDE["a"]}, "x") == "x has not the parts a, b"
    assert misfit(NESTED, INSIDE | {"b": (1, 2, 3)}, "x") == "x['b'] has not 2 parts"
    assert misfit(NESTED, INSIDE | {"a": np.zeros(3)}, "x") == "x['a'] has the shape (3,), but (2,) is announced"
    above = INSIDE | {"b": (np.int64(8), INSIDE["b"][1])}
    assert outside(NESTED, above, "x") == "entry 0 of x['b'][0] is 8, outside of 5 to 7"
    assert outside(NESTED, INSIDE | {"a": np.array([0, 1.5])}, "x") == "entry 1 of x['a'] is 1.5, outside of -1 to 1"


def test_a_member_is_made_of_numbers_and_lists():
    made = reader(NESTED)({"b": [7, [0, 1]], "a": [0, 0.5], "more": "is nobody's"})
    assert list(made) == ["a", "b"] and isinstance(made["b"], tuple)
    assert [x.dtype for x in (made["a"], *made["b"])] == [np.float32, np.int64, np.int8]
    assert [x.dtype for x in (caster(NESTED)(made)["a"], *caster(NESTED)(made)["b"])] == [
        np.float32,
        np.int32,
        np.int32,
    ]
    side_by_side = reader(NESTED, (2,))({"b": ([7, 5], [[0, 1], [1, 1]]), "a": [[0, 0.5], [1, 1]]})
    assert [x.shape for x in (side_by_side["a"], *side_by_side["b"])] == [(2, 2), (2,), (2, 2)]


@pytest.mark.parametrize(
    ("space", "given", "sentence"),
    [
        (NESTED, [1, 2], r"^of \[1, 2\], but its space is one of several parts"),
        (NESTED, INSIDE | {"b": (7,)}, "^without the part 1 of its space"),
        (NESTED, {"b": INSIDE["b"]}, "^without the part 'a' of its space"),
        (NESTED, INSIDE | {"a": [1, 2, 3]}, r"^of shape \(3,\), but its space has \(2,\)"),
        (NESTED, INSIDE | {"b": (8, [0, 1])}, r"^of 8, which is not in Discrete\(3, start=5\)"),
        (Box((2,), 0, 9, "int32"), [0.7, 1.9], r"^of 0.7, which is not in its space of whole numbers \(int32\)"),
        (Box((2,), 0, 255, "uint8"), [0, 256], r"^of 256, which is not in its space of whole numbers \(uint8\)"),
        (Box((2,), 0, 255, "uint8"), [0, np.nan], "^of nan, which is not in its space of whole numbers"),
        (Box((2,)), ["a", "b"], r"^of \['a', 'b'\], which is no array of numbers"),
        (Box((2,)), [[0], [1, 2]], "which is no array of numbers"),
        (MultiDiscrete((2, 2)), [0, 2], r"^of 2, which is not in MultiDiscrete\(\[2, 2\]\)"),
        (MultiBinary((2,)), [0, 0.5], "^of 0.5, which is not in its space of whole numbers"),
    ],
)
def test_what_is_no_member_is_said(space, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        reader(space)(given)


def test_numbers_that_a_type_holds_are_taken():
    for space, given in (
        (Box((2,), 0, 255, "uint8"), np.array([0, 255])),
        (Box((2,), 0, 9, "int32"), np.array([3.0, 4.0])),
        (Box((2,), 0, 1, "float16"), np.array([0.5, 1.0])),
        (Box((2,), -1, 1), [-7, True]),  # beyond the bounds
        (Discrete(3), 2.0),
    ):
        taken = reader(space)(given)
        assert taken.dtype == space.dtype and (taken == np.asarray(given)).all()


@pytest.mark.parametrize(
    "theirs",
    [
        gym.Box(0, 20, (12,), np.int8),
        gym.Box(-10, 10, (3,), np.int64),
        gym.Box(-0.1, 0.1, (2,), np.float64),
        gym.Box(-0.3, 0.7, (2,), np.float16),
        gym.Box(0, 1, (3,), np.bool_),
        gym.Box(np.array([0, -5]), np.array([2**63 - 1, 5]), (2,), np.int64),
        gym.Box(0, 1, ()),
        gym.Discrete(3, start=7),
        gym.MultiDiscrete([2, 3], dtype=np.int32),
        gym.MultiBinary((2, 2)),
    ],
    ids=str,
)
@pytest.mark.parametrize("to_env", [clip_to, rescale_to])
def test_what_an_environment_gets_is_a_member_of_its_space(theirs, to_env):
    ours, drawn = from_gymnasium(theirs), np.random.default_rng(0).normal(0, 3, (64, *theirs.shape)).astype(np.float32)
    drawn = np.abs(drawn).astype(np.int32) % 2 if not isinstance(theirs, gym.Box) else drawn
    given = typed_for(ours)(to_env(ours, drawn.reshape(64, *theirs.shape)))
    assert given.dtype == theirs.dtype and given.flags.writeable
    assert all(theirs.contains(np.array(each) if isinstance(theirs, gym.Box) else each) for each in given)


def test_integers_are_rounded_and_none_is_likelier_than_its_neighbours():
    space = Box((100_000,), -10, 10, "int64")
    drawn = np.random.default_rng(0).uniform(-1.05, 1.05, space.shape).astype(np.float32)
    counts = np.bincount(typed_for(space)(rescale_to(space, drawn)) + 10)
    assert abs(counts[1:-1] / counts[1:-1].mean() - 1).max() < 0.1  # cut towards 0, 0 had twice as many


BOUNDS = {
    (-1.0, 1.0): False, (-0.4, 0.4): False, (-3.0, 3.0): False, (0.0, 1.0): False, (-2.0, 0.5): False,
    (5.0, 35.0): True, (-0.01, 0.01): True, (0.0, 255.0): True, (-80.0, 80.0): True, (-9.0, -4.0): True,
    (0.0, np.inf): False, (-np.inf, np.inf): False, (7.0, np.inf): False, (-3e38, 3e38): False,
}  # fmt: skip


@pytest.mark.parametrize("ends", BOUNDS, ids=str)
def test_actions_are_rescaled_where_the_bounds_are_far_from_those_of_a_new_policy(ends):
    space, far = Box((2,), *ends), BOUNDS[ends]
    drawn = np.array([[-0.5, 0.5], [0.0, 2.0]], np.float32)
    assert is_far(space) is far
    np.testing.assert_array_equal(fit_to(space, drawn), (rescale_to if far else clip_to)(space, drawn))
    assert is_far(Box((2,), (-1.0, ends[0]), (1.0, ends[1]))) is far  # one entry is enough


def test_what_becomes_of_a_new_policys_actions_is_said():
    far, ray = Box((3,), 5.0, 35.0), Box((1,), 7.0, np.inf)
    assert "its actions are rescaled to it (actions='clip' leaves them)" in note_on(far, "auto")
    assert note_on(far, "clip").startswith("Of a new policy's actions, 100 % lie beyond the bounds of Box(shape=(3,)")
    assert "take actions='rescale'" in note_on(ray, "auto")
    assert "100 %" in note_on(Box((1,), 0.5, 0.5), "clip")
    ordinary = ((far, "rescale"), (Box((2,), -1.0, 1.0), "auto"), (Box((2,)), "clip"), (Discrete(3), "auto"))
    for space, actions in ordinary:
        assert note_on(space, actions) == ""


@pytest.mark.parametrize(
    ("space", "to_env", "drawn", "beyond"),
    [
        (Box((2,), low=-1.0, high=1.0), clip_to, [[0.5, 1.5], [-2.0, -1.0]], [[False, True], [True, False]]),
        (Box((2,), low=-1.0, high=1.0), fit_to, [[0.5, 1.5], [-2.0, -1.0]], [[False, True], [True, False]]),
        (Box((2,), low=5.0, high=35.0), clip_to, [[4.0, 6.0], [36.0, 35.0]], [[True, False], [True, False]]),
        (Box((2,), low=5.0, high=35.0), fit_to, [[0.5, 6.0], [-1.5, 1.0]], [[False, True], [True, False]]),
        (Box((2,), low=5.0, high=35.0), rescale_to, [[0.5, 6.0], [-1.5, 1.0]], [[False, True], [True, False]]),
        (Box((1,), low=0.0), clip_to, [[-0.1], [9.0]], [[True], [False]]),
        (Box((), low=0, high=3, dtype="int8"), clip_to, [3.4, 3.6], [False, True]),
    ],
)
def test_which_actions_are_clipped(space, to_env, drawn, beyond):
    assert np.array_equal(clipped(space, to_env, np.asarray(drawn, np.float32)), beyond)


@pytest.mark.parametrize("space", [Box((2,)), Box((0,), low=-1.0, high=1.0), Discrete(3), MultiBinary((2,))])
def test_what_has_no_bounds_is_not_clipped(space):
    assert clipped(space, fit_to, np.zeros((3, 2), np.float32)) is None
