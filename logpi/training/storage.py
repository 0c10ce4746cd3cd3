"""Arrays and configurations in files: safetensors and JSON, written whole or not at all. No pickle anywhere."""

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree

from ..errors import InputError, shown
from .known import build, Custom, KNOWN
from .reading import check_file
from .reading import read_json as read_json


def write_atomically(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all: written beside its place, synced, renamed."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_and_sync(path: Path, data: bytes) -> None:
    """A new file, on the disk when this returns."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """The names in a folder, on the disk when this returns: renaming is only as lasting as that."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def to_json(value: Any) -> Any:
    """A configuration as plain JSON: an object of a known kind becomes a dictionary with its `kind`.

    Numbers that JSON lacks are written as text ("inf"); an object of an unknown kind as its `repr`, under `custom`.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(name): to_json(item) for name, item in value.items()}
    if type(value).__name__ in KNOWN and KNOWN[type(value).__name__] is type(value):
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return np.asarray(value).tolist()
    return {"custom": value.text if isinstance(value, Custom) else repr(value)}


def from_json(data: Any) -> Any:
    """What `to_json` was given, with `Custom` in the place of what was of the user's own.

    Raises `InputError` for a kind that is not known, or fields that it does not take.
    """
    if isinstance(data, list):
        return tuple(from_json(item) for item in data)
    if isinstance(data, str) and data in ("inf", "-inf", "nan"):
        return float(data)
    if not isinstance(data, dict):
        return data
    if "custom" in data:
        return Custom(str(data["custom"]))
    if "kind" not in data:
        return {name: from_json(item) for name, item in data.items()}
    if not isinstance(data["kind"], str) or data["kind"] not in KNOWN:
        raise InputError(f"The configuration names {shown(data['kind'])}, which is none of {', '.join(sorted(KNOWN))}.")
    return build(data["kind"], {name: from_json(item) for name, item in data.items() if name != "kind"})


def write_json(path: Path, value: Any) -> None:
    """`to_json` of a value, indented, atomically."""
    write_atomically(path, (json.dumps(to_json(value), indent=2) + "\n").encode())


def _named_leaves(tree: PyTree) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_array_like))
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _data(leaf: Any) -> Any:
    """An array as plain numbers: random keys are those of their data."""
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _is_key(leaf: Any) -> bool:
    return jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def arrays_as_bytes(tree: PyTree) -> bytes:
    """Every array of a tree, under its place in the tree, as a safetensors file."""
    from safetensors.numpy import save

    arrays = _named_leaves(eqx.filter(tree, eqx.is_array))
    return save({name: np.asarray(_data(leaf), order="C") for name, leaf in arrays.items()})


def save_arrays(path: Path, tree: PyTree) -> None:
    """Every array of a tree, under its place in the tree, in one safetensors file."""
    write_atomically(path, arrays_as_bytes(tree))


def load_arrays(path: Path, skeleton: PyTree) -> PyTree:
    """The arrays of a file in a tree of this structure, whose arrays (or their shapes) say what is expected.

    The header alone is read until names, shapes and types are right: a hostile file costs no memory. Raises
    `InputError` where the file is damaged or holds something else.
    """
    from safetensors import safe_open, SafetensorError

    dynamic, static = eqx.partition(skeleton, lambda x: eqx.is_array(x) or isinstance(x, jax.ShapeDtypeStruct))
    expected = {jax.tree_util.keystr(place): leaf for place, leaf in jax.tree_util.tree_leaves_with_path(dynamic)}
    try:
        _check_sizes(path, expected)
        with safe_open(path, framework="numpy") as file:
            if set(file.keys()) != set(expected):
                odd = sorted(set(file.keys()) ^ set(expected))[:3]
                raise InputError(
                    f"{path} holds another model than its configuration says (differing in {shown(odd, 200)})."
                )
            for name, leaf in expected.items():
                _check_entry(path, name, file.get_slice(name), _stored(leaf))
            leaves = [_from_file(file.get_tensor(name), leaf) for name, leaf in expected.items()]
    except (SafetensorError, OSError) as error:
        said = shown(str(error), 160)[1:-1]
        raise InputError(f"{path} is not a readable safetensors file ({said}): the run folder is damaged.") from None
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
