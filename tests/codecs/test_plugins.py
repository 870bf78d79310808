"""Codecs of other packages, found by the entry point group ``scidb.codecs``."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scidb.codecs import base, decode, encode
from scidb.exceptions import SciDBWarning, SerializationError, UnsupportedValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

VALUES = """
class Quaternion:
    def __init__(self, w):
        self.w = w

    def __scidb_hash__(self):
        return self.w
"""
CODEC = """
import pyarrow as pa
from scidb.codecs import Codec
from {package} import Quaternion

class QuaternionCodec(Codec):
    name = "{codec}"
    types = (Quaternion,)

    def describe(self, value):
        return {{}}

    def encode(self, values, parameters):
        return pa.table({{"value": [value.w for value in values]}})

    def decode(self, table, parameters):
        return [Quaternion(w) for w in table.column("value").to_pylist()]

    def nbytes(self, values, table):
        return (8,) * len(values)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a package with a codec on the path, as pip would."""
    codecs, types, installed = dict(base._CODECS), dict(base._BY_TYPE), set[str]()
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(package: str, codec: str = "quaternion", text: str = CODEC, point: str = "QuaternionCodec") -> None:
        (tmp_path / f"{package}.py").write_text(VALUES)
        (tmp_path / f"{package}_codec.py").write_text(text.format(codec=codec, package=package))
        installed.update((package, f"{package}_codec"))
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[scidb.codecs]\n{codec} = {package}_codec:{point}\n")
        importlib.invalidate_caches()
        base._plugins.cache_clear()

    base._plugins.cache_clear()
    yield put
    base._plugins.cache_clear()
    for registry, before in ((base._CODECS, codecs), (base._BY_TYPE, types)):
        registry.clear()
        registry.update(before)  # type: ignore[arg-type]
    for name in installed:
        sys.modules.pop(name, None)


def quaternion(package: str = "quaternions") -> Any:
    return importlib.import_module(package).Quaternion(0.5)


def test_a_value_of_an_installed_package(install: Callable[..., None]) -> None:
    """A codec that a package offers is found by its values, without an import of it by hand."""
    install("quaternions")
    value = quaternion()
    assert "quaternion" not in base._CODECS

    (part,) = encode([value])
    restored: list[Any] = decode(part.encoding, part.table)

    assert part.encoding == '{"codec":"quaternion"}'
    assert [back.w for back in restored] == [0.5]


def test_a_stored_value_of_an_installed_package(install: Callable[..., None]) -> None:
    """Loading imports the package that offers the codec by which a value was stored."""
    install("quaternions")
    (part,) = encode([quaternion()])
    base._CODECS.pop("quaternion")
    del sys.modules["quaternions"], sys.modules["quaternions_codec"]

    (back,) = decode(part.encoding, part.table)

    assert type(back).__module__ == "quaternions"


def test_a_package_never_changes_how_known_types_are_stored(install: Callable[..., None]) -> None:
    """A codec of a package is asked last, and not even imported for values that are supported without it."""
    install("quaternions")

    encode([1.5, "a", [1, 2]])

    assert "quaternions_codec" not in sys.modules


def test_one_name_from_two_packages(install: Callable[..., None]) -> None:
    """Two packages that offer one name are an error that names both."""
    install("quaternions")
    install("rotations")

    with pytest.raises(
        SerializationError, match=r"'quaternion'.*(quaternions 1\.0 and rotations|rotations 1\.0 and q)"
    ):
        decode('{"codec":"quaternion"}', encode([1.0])[0].table)


@pytest.mark.parametrize(
    ("text", "point", "complaint"),
    [
        ("import nothing_like_this", "QuaternionCodec", "cannot be imported: ModuleNotFoundError"),
        ("x = 1", "QuaternionCodec", "cannot be imported: AttributeError"),
        ("x = 1", "x", "expected a subclass of scidb.codecs.Codec"),
    ],
)
def test_a_broken_package(install: Callable[..., None], text: str, point: str, complaint: str) -> None:
    """A package whose codec cannot be had is named; values that need no codec of it are still refused as ever."""
    install("broken", text=text, point=point)

    with pytest.raises(SerializationError, match=f"broken 1.0.*{complaint}"):
        decode('{"codec":"quaternion"}', encode([1.0])[0].table)
    with pytest.warns(SciDBWarning, match=f"broken 1.0.*{complaint}"), pytest.raises(UnsupportedValueError):
        encode([object()])
