"""What is expensive and the same every time is kept by the hash of all its inputs.

The hash includes the program's own source, so that a changed model never meets an old result.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

_MODELS = ("assets", "city", "engine", "grid", "kernels", "record", "scenario")
_BASE = ("chance", "clock", "units")
_LIBRARIES = ("numpy", "numba", "pandapower", "lightsim2grid", "pvlib")


def cache_folder() -> Path:
    """Return the folder of cached results.

    ``SUITWIN_CACHE`` if set, else ``suitwin`` in the user's cache folder.
    """
    named = os.environ.get("SUITWIN_CACHE")
    if named is not None:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path.home() / ".cache" if base is None else Path(base)) / "suitwin"


@cache
def program_hash() -> str:
    """Return a hash of the models' source, their data and the libraries' versions."""
    h = hashlib.blake2b(digest_size=16)
    package = Path(str(files("twin")))
    found = [package / f"{name}.py" for name in _BASE]
    for folder in _MODELS:
        found += sorted((package / folder).rglob("*"))
    for path in found:
        if path.suffix in (".py", ".toml", ".csv", ".json"):
            h.update(str(path.relative_to(package)).encode())
            h.update(path.read_bytes())
    h.update(" ".join(f"{name} {version(name)}" for name in _LIBRARIES).encode())
    return h.hexdigest()


def key(inputs: Mapping[str, object]) -> str:
    """Return the hash of `inputs` (JSON-able) and the program."""
    text = json.dumps(inputs, sort_keys=True, default=str)
    return hashlib.blake2b((program_hash() + text).encode(), digest_size=12).hexdigest()


def read_arrays(name: str) -> dict[str, NDArray[np.generic]] | None:
    """Return cached arrays, or None where there are none or they cannot be read."""
    path = cache_folder() / f"{name}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return {k: held[k] for k in held.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return None


def write_arrays(name: str, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Keep arrays; a half-written file never takes the name."""
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{name}.{os.getpid()}.npz"
    with draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(arrays))
    draft.replace(folder / f"{name}.npz")
