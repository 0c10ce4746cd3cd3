"""From observations to features, and from features to distributions: every kind of space, images among them."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logpi import InputError, spaces, trajectory
from logpi.distributions import Bernoulli, Categorical, Joint, Normal
from logpi.jaxprs.interpreter import equations
from logpi.models import FlatEncoder, make_actor_critic, make_encoder, Network, observe, unroll
from logpi.models.dense import MLP
from logpi.models.encoders import _convolved
from logpi.models.heads import make_head
from logpi.models.initializers import orthogonal
from tests.weights import filled

MINATAR = spaces.Box((10, 10, 4), 0.0, 1.0, "bool")
ATARI = spaces.Box((84, 84, 4), 0.0, 255.0, "uint8")
FEW = spaces.Box((3, 2), 0.0, 255.0, "uint8")
MIXED = spaces.Dict((("arm", spaces.Box((2,))), ("eye", MINATAR), ("mode", spaces.Discrete(3))))


def images(space: spaces.Box, rows: int) -> jax.Array:
    top = 256 if space.dtype == "uint8" else 2
    pixels = np.random.default_rng(0).integers(0, top, (rows, *space.shape))
    return jnp.asarray(pixels, space.dtype)


def encoder_for(space: spaces.Space):
    return filled(make_encoder, space)


def test_the_layers_of_a_large_image_are_those_of_mnih_et_al():
    encoder = eqx.filter_eval_shape(make_encoder, ATARI, key=jax.random.key(0))
    assert encoder.plan == ((8, 4), (4, 2), (3, 1))
    assert [layer.weight.shape for layer in encoder.layers] == [(8 * 8 * 4, 32), (4 * 4 * 32, 64), (3 * 3 * 64, 64)]


@pytest.mark.parametrize(
    "space", [MINATAR, ATARI, spaces.Box((36, 40), 0.0, 255.0, "uint8")], ids=lambda s: str(s.shape)
)
def test_an_image_is_convolved(space):
    """By XLA's own convolution, with the weights of a patch in the order of rows, columns, channels."""
    encoder, pixels = encoder_for(space), images(space, 2)

    def right(pixels):
        image = jnp.atleast_3d(pixels.astype(jnp.float32) / (255 if space.dtype == "uint8" else 1))[None]
        for layer, (kernel, stride) in zip(encoder.layers, encoder.plan, strict=True):
            weight = layer.weight.reshape(kernel, kernel, image.shape[-1], -1)
            names = ("NHWC", "HWIO", "NHWC")
            image = jax.lax.conv_general_dilated(image, weight, (stride, stride), "VALID", dimension_numbers=names)
            image = jax.nn.relu(image + layer.bias[None, None, None])
        return jax.nn.relu(encoder.dense(image.ravel()))

    mine = jax.jit(jax.vmap(encoder))(pixels)
    np.testing.assert_allclose(mine, jax.jit(jax.vmap(right))(pixels), rtol=1e-4, atol=1e-4)
    assert mine.shape == (2, encoder.size) and encoder.size == (512 if encoder.plan[0][0] == 8 else 128)
    assert (mine[0] != mine[1]).any() and (mine > 0).any()


USUAL = ("NHWC", "HWIO", "NHWC")


def plain(image, weight, kernel, stride):
    """XLA's own convolution."""
    kernels = weight.reshape(kernel, kernel, image.shape[-1], -1)
    return jax.lax.conv_general_dilated(image[None], kernels, (stride, stride), "VALID", dimension_numbers=USUAL)[0]


@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (3, 1)])
def test_derivatives_of_a_convolution(kernel, stride):
    """Backward, forward and second, of several pictures, one of whose edges no patch reaches; inside a loop."""
    image, weight = (jax.random.normal(jax.random.key(i), s) for i, s in enumerate([(2, 9, 8, 3), (kernel**2 * 3, 5)]))

    def derivatives(convolved):
        def total(image, weight):
            return jnp.sum(jnp.sin(jax.vmap(lambda one: convolved(one, weight, kernel, stride))(image)))

        def along(given):
            backward = jax.grad(total, (0, 1))
            return backward(*given), jax.jvp(total, given, (image, weight)), jax.jvp(backward, given, (image, weight))

        return jax.jit(lambda given: jax.lax.map(along, given))((image[None], weight[None]))

    mine, right = derivatives(_convolved), derivatives(plain)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def test_no_derivative_leaves_the_usual_order_of_axes():
    """In any other, a convolution inside a loop takes XLA up to 30 times as long on a CPU."""

    def total(images, weight):
        return jnp.sum(jax.vmap(lambda image: _convolved(image, weight, 4, 2))(images))

    closed = jax.make_jaxpr(jax.grad(total, (0, 1)))(jnp.zeros((2, 8, 8, 3)), jnp.zeros((4 * 4 * 3, 5)))
    found = [e.params["dimension_numbers"] for e in equations(closed.jaxpr) if e.primitive.name.startswith("conv_gen")]
    assert found == 3 * [jax.lax.conv_dimension_numbers((1, 1, 1, 1), (1, 1, 1, 1), USUAL)]


def test_many_pictures_are_taken_a_portion_at_a_time(monkeypatch):
    model = filled(make_actor_critic, FEW, spaces.Discrete(2), Network(width=4))
    obs, start = images(FEW, 6).reshape(2, 3, *FEW.shape), jnp.zeros((2, 3), bool)
    whole, _ = unroll(model, obs, start, ())
    monkeypatch.setattr(trajectory, "PORTION", 2 * 6)
    assert trajectory.portions(obs.reshape(6, -1)).shape == (3, 2, 6)
    assert "scan" in str(jax.make_jaxpr(lambda obs: unroll(model, obs, start, ())[0].value)(obs))
    parts, _ = unroll(model, obs, start, ())
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_bytes_are_fractions_of_255():
    of_bytes, of_floats = encoder_for(FEW), encoder_for(spaces.Box((3, 2, 1), 0, 1))  # by one key: the same weights
    pixels = images(FEW, 1)[0]
    right = of_floats(pixels[..., None].astype(jnp.float32) / 255)
    assert (right > 0).any()
    np.testing.assert_allclose(of_bytes(pixels), right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 8, 8, 3), (2, 3, 8, 8)], ids=str)
def test_other_layouts_see_the_same_picture(shape):
    """Channels in front, stacked frames, and both: what the picture with its channels behind shows."""
    space = spaces.Box(shape, 0.0, 255.0, "uint8")
    axes = spaces.picture_axes(space)
    pixels = images(space, 1)[0]
    behind = pixels.transpose(axes).reshape(8, 8, -1)
    encoder, right = encoder_for(space), encoder_for(spaces.Box(behind.shape, 0.0, 255.0, "uint8"))
    np.testing.assert_array_equal(encoder(pixels), right(behind))


def test_float_pictures_and_bytes_are_divided_by_their_range():
    floats, ram = spaces.Box((8, 8, 3), 0.0, 255.0), spaces.Box((5,), 0.0, 255.0, "uint8")
    pixels = images(spaces.Box((8, 8, 3), 0, 255, "uint8"), 1)[0]
    of_bytes = encoder_for(spaces.Box((8, 8, 3), 0.0, 255.0, "uint8"))
    np.testing.assert_allclose(encoder_for(floats)(pixels.astype(jnp.float32)), of_bytes(pixels), rtol=1e-6)
    byte = jnp.asarray([0, 51, 255, 102, 1], jnp.uint8)
    np.testing.assert_allclose(encoder_for(ram)(byte), np.asarray(byte) / np.float32(255), rtol=1e-6)
    mixed = spaces.Tuple((ram, spaces.Box((2,), -300, 300), spaces.Discrete(2)))
    seen = encoder_for(mixed)((byte, jnp.asarray([-200.0, 7.0]), jnp.asarray(1)))
    np.testing.assert_allclose(seen, [*(np.asarray(byte) / 255), -200, 7, 0, 1], rtol=1e-6)
    np.testing.assert_array_equal(make_encoder(ram, scaled=False, key=jax.random.key(0))(byte), byte)


EMPTY = (spaces.Dict(()), spaces.Tuple(()), spaces.Box((0,)), spaces.Box((2, 0)), spaces.MultiBinary((0,)))


@pytest.mark.parametrize("beside", [spaces.Box((2,)), FEW], ids=["numbers", "a picture"])
@pytest.mark.parametrize("nothing", EMPTY, ids=str)
def test_an_empty_part_adds_nothing(nothing, beside):
    space = spaces.Dict((("a", beside), ("nothing", nothing)))
    seen = jnp.ones((2, 3, *beside.shape), jnp.dtype(beside.dtype))
    kinds = {spaces.Dict: {}, spaces.Tuple: ()}
    empty = kinds[type(nothing)] if type(nothing) in kinds else jnp.ones((2, 3, *nothing.shape))
    for network in (Network(width=4, depth=1), Network(width=4, depth=1, normalize_observations=True)):
        model = make_actor_critic(space, spaces.Discrete(2), network, key=jax.random.key(0))
        outputs, _ = unroll(model, {"a": seen, "nothing": empty}, jnp.zeros((2, 3), bool), ())
        assert outputs.value.shape == (2, 3)
        observe(model, {"a": seen, "nothing": empty}, jnp.ones((2, 3)))
    with pytest.raises(InputError, match="has no entries"):
        make_encoder(nothing, key=jax.random.key(0))


def test_parts_with_an_image_go_each_their_way():
    encoder = encoder_for(MIXED)
    obs = {"arm": jnp.asarray([0.5, -2.0]), "eye": images(MINATAR, 1)[0], "mode": jnp.asarray(2)}
    features = eqx.filter_jit(encoder)(obs)
    assert features.shape == (2 + 128 + 3,) == (encoder.size,)
    np.testing.assert_allclose(features[:2], [0.5, -2.0])
    np.testing.assert_allclose(features[2:-3], eqx.filter_jit(encoder.encoders[1])(obs["eye"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(features[-3:], [0, 0, 1])
    nested = encoder_for(spaces.Tuple((MIXED, spaces.Discrete(2))))
    assert jax.eval_shape(nested, (obs, jnp.asarray(1))).shape == (133 + 2,) == (nested.size,)


def test_everything_else_is_flat_and_without_parameters():
    space = spaces.Tuple((spaces.Discrete(3), spaces.Dict((("a", spaces.Box((2, 2))),))))
    encoder = make_encoder(space, key=jax.random.key(0))
    assert isinstance(encoder, FlatEncoder) and encoder.size == 7 and jax.tree.leaves(encoder) == []


def test_an_observation_without_entries_is_an_input_error():
    with pytest.raises(InputError, match="has no entries"):
        make_encoder(spaces.Box((0,)), key=jax.random.key(0))


@pytest.mark.parametrize("memory", ["none", "gru", "lstm"])
def test_a_model_sees_all_parts(memory):
    model = filled(make_actor_critic, MIXED, spaces.Discrete(2), Network(memory=memory, width=8))

    @jax.jit
    def gradient(obs):
        def value(floats):
            parts = {"arm": floats["arm"], "eye": floats["eye"], "mode": jnp.asarray(1)}
            return model.evaluate(parts, model.initial_memory())[0].value

        return jax.grad(value)(obs)

    found = gradient({"arm": jnp.asarray([0.5, -2.0]), "eye": images(MINATAR, 1)[0].astype(jnp.float32)})
    assert all(np.any(np.asarray(part) != 0) for part in found.values())


@pytest.mark.parametrize(
    ("space", "kind", "size"),
    [
        (spaces.Discrete(4, 7), Categorical, 4),
        (spaces.MultiDiscrete((2, 3, 4), (1, 0, 0), (3,)), Joint, 9),
        (spaces.MultiBinary((2, 3)), Bernoulli, 6),
        (spaces.Box((2, 2), -1.0, 1.0), Normal, 4),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)
def test_heads(space, kind, size):
    head = make_head(space, initial_log_std=-0.7)
    assert head.size == size
    features = jnp.arange(size, dtype=jnp.float32)
    distribution = head(features)
    assert isinstance(distribution, kind)
    parts = [part.logits for part in distribution.parts] if kind is Joint else [jax.tree.leaves(distribution)[0]]
    np.testing.assert_array_equal(np.concatenate([np.ravel(part) for part in parts]), features)
    if kind is Normal:
        np.testing.assert_array_equal(distribution.log_std, np.full((2, 2), -0.7, np.float32))


def test_a_space_without_a_head_is_an_input_error():
    with pytest.raises(InputError, match="No distribution is known"):
        inspect.unwrap(make_head.dispatch(object))("a space of one's own")  # without the tests' look at types


def test_orthogonal_weights():
    net = eqx.filter_jit(orthogonal)(MLP(3, 2, (5, 5), jnp.tanh), jax.random.key(1), gain=1.5, last_gain=0.01)
    for layer, gain in zip(net.layers, (1.5, 1.5, 0.01), strict=True):
        rows, columns = layer.weight.shape
        short = layer.weight if rows < columns else layer.weight.T
        np.testing.assert_allclose(short @ short.T, gain**2 * np.eye(min(rows, columns)), atol=1e-5 * gain**2)
        assert (layer.bias == 0).all()


def test_a_network_without_a_layer_to_initialise_is_told():
    net = eqx.nn.MLP(3, 2, 4, 1, key=jax.random.key(0))
    with pytest.raises(InputError, match=r"finds no logpi.models.dense.Dense in MLP\(.*: make it of Dense"):
        orthogonal(net, jax.random.key(1))
