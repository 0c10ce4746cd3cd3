"""Arrays of a run folder: safetensors, checked against what they must fit."""

import errno
import hashlib
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from ..errors import InputError, said, shown
from .files import check_file, write_atomically


def _named_leaves(tree: PyTree) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, _is_stored))
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _is_stored(leaf: Any) -> bool:
    """Whether a leaf is an array, or says what shape one has: a plain number of a model is none of its arrays."""
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _data(leaf: Any) -> Any:
    """An array as plain numbers: random keys are those of their data."""
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def check_storable(tree: PyTree) -> None:
    """Raises `InputError` where a file could not hold every array of a tree, each under a name of its own."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, _is_stored))
    for place, leaf in leaves:
        if str(_stored(leaf).dtype) not in _DTYPES:
            raise InputError(
                f"the model's array {shown(jax.tree_util.keystr(place))} is of the type {leaf.dtype}, which no run "
                "folder can hold: give it another, as float32."
            )
    if len(_named_leaves(tree)) < len(leaves):
        raise InputError("two arrays of the model have one name, and a run folder could hold one of them: rename one.")


def write_arrays(path: Path, tree: PyTree) -> None:
    """The same into a new file, on the disk when this returns; no second copy of the arrays is made for it.

    Raises `OSError` where it cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(_in_numpy(tree), path)
    except SafetensorError as error:
        raise OSError(errno.EIO, str(error)) from error
    path.chmod(path.parent.stat().st_mode & 0o666)  # it is made for its owner alone
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _in_numpy(tree: PyTree) -> dict[str, np.ndarray]:
    arrays = _named_leaves(eqx.filter(tree, eqx.is_array))
    return {name: np.asarray(_data(leaf), order="C") for name, leaf in arrays.items()}


def save_arrays(path: Path, tree: PyTree) -> None:
    """Every array of a tree, under its place in the tree, in one safetensors file, with their checksum."""
    from safetensors.numpy import save

    arrays = _in_numpy(tree)
    write_atomically(path, save(arrays, {_CHECKSUM: _checksum(arrays)}))


_CHECKSUM = "sha256"


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    """Of the numbers, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0" + arrays[name].tobytes())
    return digest.hexdigest()


def load_arrays(path: Path, skeleton: PyTree, part: str = "") -> PyTree:
    """The arrays of a file in a tree of this structure, whose arrays (or their shapes) say what is expected.

    With `part`, the tree is what stands at this place of a larger one, of which the rest is not looked at.

    The header alone is read until names, shapes and types are right: a hostile file costs no memory. Raises
    `InputError` where the file is damaged or holds something else.
    """
    from safetensors import safe_open, SafetensorError

    dynamic, static = eqx.partition(skeleton, _is_stored)
    places = jax.tree_util.tree_leaves_with_path(dynamic)
    expected = {part + jax.tree_util.keystr(place): leaf for place, leaf in places}
    try:
        if not part:
            _check_sizes(path, expected)
        with safe_open(path, framework="numpy") as file:
            if set(file.keys()) != set(expected) and not (part and set(expected) <= set(file.keys())):
                odd = sorted(set(file.keys()) ^ set(expected))[:3]
                raise InputError(
                    f"{path} holds another model than its configuration says (differing in {shown(odd, 200)})."
                )
            for name, leaf in expected.items():
                _check_entry(path, name, file.get_slice(name), _stored(leaf))
            data = {name: file.get_tensor(name) for name in expected}
            kept = (file.metadata() or {}).get(_CHECKSUM)
            if kept is not None and not part and kept != _checksum(data):
                raise InputError(f"{path} has numbers of another checksum than was written: the run folder is damaged.")
            leaves = [_from_file(data[name], leaf) for name, leaf in expected.items()]
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path} is not a readable safetensors file ({said(error, 160)}): the run folder is damaged."
        ) from None
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(dynamic), leaves), static)


def arrays_limit(skeleton: PyTree) -> int:
    """The most bytes that a file of such arrays can have: its header may be written in several ways."""
    return sum(_header_limit([name]) + _bytes(leaf) for name, leaf in _named_leaves(skeleton).items()) + _HEADER_BYTES


def _header_limit(names: Iterable[str]) -> int:
    """Of the description of arrays of these names: each is text of up to 6 bytes a letter, with numbers around it."""
    return sum(6 * len(name) + 512 for name in names)


def _stored(leaf: Any) -> Any:
    """Shape and type of an array as it is in a file."""
    return jax.eval_shape(_data, leaf) if _is_key(leaf) else leaf


def _bytes(leaf: Any) -> int:
    data = _stored(leaf)
    return math.prod(data.shape) * data.dtype.itemsize


_HEADER_BYTES = 2**16  # that a header may have beside its arrays


def _check_sizes(path: Path, expected: dict[str, Any]) -> None:
    """Raises `InputError` for a link, and for a file or header larger than these arrays need: nothing is read then."""
    header = _header_limit(expected) + _HEADER_BYTES
    check_file(path, header + sum(_bytes(leaf) for leaf in expected.values()))
    with path.open("rb") as file:
        claimed = int.from_bytes(file.read(8), "little")
    if claimed > header:
        raise InputError(
            f"{path} is not a readable safetensors file (its header claims {claimed:,} bytes, and {header:,} is all "
            "that it can need): the run folder is damaged."
        )


_DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


def _check_entry(path: Path, name: str, entry: Any, expected: Any) -> None:
    shape, dtype, needed = tuple(entry.get_shape()), entry.get_dtype(), _DTYPES[str(expected.dtype)]
    if shape != expected.shape:
        raise InputError(f"{path}: {name} has the shape {shape}, but the model needs {expected.shape}.")
    if dtype != needed:
        raise InputError(f"{path}: {name} is of the type {dtype}, but the model needs {needed}.")


def _from_file(data: np.ndarray, leaf: Any) -> jax.Array:
    if _is_key(leaf):
        return jax.random.wrap_key_data(jax.numpy.asarray(data), impl=jax.random.key_impl(leaf))
    return jax.numpy.asarray(data)
