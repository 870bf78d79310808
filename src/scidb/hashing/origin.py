"""Where code comes from: the user's own, or a library that is recorded by version instead of followed.

This module knows paths and module names; it knows nothing of fingerprints.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import site
import sys
import sysconfig
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Final

from scidb.hashing.settings import fingerprint_settings, normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scidb.hashing.settings import Policy

__all__ = [
    "import_name",
    "is_compiled_function",
    "is_library_code",
    "is_library_module",
    "is_own",
    "is_transparent",
    "library_name",
    "main_is_elsewhere",
    "module_file",
    "type_name",
    "versions_of",
    "versions_that_count",
]

_OWN_ROOTS: Final = frozenset({"scidb", "scidbnet"})
_LIBRARY_TEXTS: Final = ("<frozen ", "<attrs generated", "<__array_function__")
_OWN_FOLDERS: Final = tuple(f"{Path(__file__).parents[2] / root}{os.sep}" for root in sorted(_OWN_ROOTS))
_PACKAGE_FOLDERS: Final = frozenset({"site-packages", "dist-packages"})
_MAIN: Final = frozenset({"__main__", "__mp_main__"})


def is_transparent(obj: object) -> bool:
    """Tell whether an object of SciDB wraps a function that stands for it."""
    return getattr(type(obj), "__scidb_transparent__", False) is True


def is_own(obj: object) -> bool:
    """Tell whether a live object, such as a decorator, belongs to SciDB."""
    while isinstance(obj, functools.partial):
        obj = obj.func
    if is_transparent(obj) or (isinstance(obj, type) and getattr(obj, "__scidb_transparent__", False) is True):
        return True
    if isinstance(obj, FunctionType):  # a closure made by our decorator may carry the user's __module__
        return obj.__code__.co_filename.startswith(_OWN_FOLDERS)
    module = getattr(obj, "__module__", None) or type(obj).__module__
    return isinstance(module, str) and module.partition(".")[0] in _OWN_ROOTS


@functools.cache
def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.update(site.getsitepackages())
    folders.add(site.getusersitepackages())
    # A virtual environment borrows the standard library of another prefix, possibly through links.
    folders.add(str(Path(os.__file__).parent))
    folders.update([os.path.realpath(folder) for folder in folders])
    return tuple(f"{folder}{os.sep}" for folder in sorted(folders))


def _is_under(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _places(package: str) -> Iterator[str]:
    """Yield where the code of a package stands; none of it can run before it is imported."""
    module = sys.modules.get(package)
    for folder in getattr(module, "__path__", ()):
        yield f"{folder}{os.sep}"
    file = getattr(module, "__file__", None)
    if file is not None and not hasattr(module, "__path__"):
        yield file


# The tracked packages are an argument, so that what was found under others is not found again.
@functools.lru_cache(maxsize=8192)
def _is_library_file(filename: str, tracked: tuple[str, ...]) -> bool:
    if tracked and filename.startswith(tuple(place for package in tracked for place in _places(package))):
        return False
    if filename.startswith((*_LIBRARY_TEXTS, *_OWN_FOLDERS, *_library_folders())):
        return True
    return not _PACKAGE_FOLDERS.isdisjoint(Path(filename).parts)


def is_library_code(code: CodeType) -> bool:
    """Tell whether a code object belongs to the standard library, an installed package or SciDB."""
    return _is_library_file(code.co_filename, fingerprint_settings().track_packages)


@functools.lru_cache(maxsize=8192)
def _is_library_name(name: str, filename: str | None, tracked: tuple[str, ...]) -> bool:
    root = name.partition(".")[0]
    if root in _OWN_ROOTS or root == "builtins":
        return True
    if _is_under(name, tracked):
        return False
    if filename is not None:  # before the name: a user's own file may be called like a standard module
        return _is_library_file(filename, tracked)
    return root in sys.stdlib_module_names


_foreign_main: set[str] = set()


def main_is_elsewhere() -> None:
    """Note that this is a worker: what says that it is of ``__main__`` came from the user's program, not from here."""
    _foreign_main.update(_MAIN)


def is_library_module(name: str) -> bool:
    """Tell whether a module, imported or not, is a library."""
    if name in _foreign_main:
        return False
    return _is_library_name(name, module_file(name), fingerprint_settings().track_packages)


def module_file(name: str) -> str | None:
    """Return the file of a module; one that is not imported is looked for, never imported."""
    module = sys.modules.get(name)
    if module is not None:
        file = getattr(module, "__file__", None)
        if file is None:  # a namespace package has folders instead
            file = next(iter(getattr(module, "__path__", ())), None)
        return file if isinstance(file, str) else None
    root = name.partition(".")[0]
    if root != name and root in sys.modules:
        return module_file(root)
    return _spec_file(root)


@functools.lru_cache(maxsize=1024)
def _spec_file(root: str) -> str | None:
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin in {None, "built-in", "frozen"}:
        return next(iter(spec.submodule_search_locations or ()), None)
    return spec.origin


def import_name(module: str) -> str:
    """Return the name under which a module would be imported; that of the program itself has another one."""
    if module not in _MAIN:
        return module
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix(".__main__")
    file = getattr(main, "__file__", None)
    return Path(file).stem if file else "__main__"


def _public(module: str) -> str:
    # Python 3.13 moved pathlib.Path to pathlib._local; C parts are called _functools, _io and the like.
    parts = module.lstrip("_").split(".")
    return ".".join([parts[0], *(part for part in parts[1:] if not part.startswith("_"))])


def library_name(obj: object) -> str:
    """Return the public dotted name of something in a library, stable over its inner rearrangements."""
    if isinstance(obj, ModuleType):
        return obj.__name__
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    module = getattr(obj, "__module__", None)
    if not isinstance(name, str):
        return type_name(type(obj))
    if not isinstance(module, str):  # ufuncs and method descriptors
        owner = getattr(obj, "__objclass__", type(obj))
        return f"{type_name(owner)}:{name}"
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        prefix = ".".join(parts[:length])
        if getattr(sys.modules.get(prefix), name, None) is obj:
            return f"{_public(prefix)}.{name}"
    return f"{_public(module)}.{name}"


def is_compiled_function(obj: object) -> bool:
    """Tell whether an object of a library's class is a function written in C that its name identifies.

    What wraps another function may carry that one's name: ``numpy.vectorize`` and ``numpy.frompyfunc`` do.
    """
    if not callable(obj):
        return False
    if isinstance(getattr(obj, "__qualname__", None), str):
        return True
    name = getattr(obj, "__name__", None)
    return type(obj).__qualname__ == "ufunc" and isinstance(name, str) and name.isidentifier()


def type_name(cls: type) -> str:
    """Return the name of a class for tokens and messages."""
    return f"{_public(import_name(cls.__module__))}.{cls.__qualname__}"


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@functools.lru_cache(maxsize=1024)
def _distributions_of(root: str) -> tuple[str, ...]:
    """Return the distributions that bring a top-level module; most are named alike, which saves reading them all."""
    try:
        importlib.metadata.distribution(root)
    except importlib.metadata.PackageNotFoundError:
        return tuple(_distributions().get(root, ()))
    return (root,)


@functools.lru_cache(maxsize=1024)
def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)


def versions_of(names: set[str]) -> dict[str, str]:
    """Return ``{distribution: version}`` of the libraries in which these dotted names live."""
    roots = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"builtins"}
    if not roots:
        return {}
    found = {dist for root in roots for dist in _distributions_of(root)}
    return {dist: _version(dist) for dist in sorted(found)}


def versions_that_count(names: set[str]) -> dict[str, str]:
    """Return the part of these versions that the user's policies make part of the fingerprint."""
    policies = fingerprint_settings().libraries
    if not policies:
        return {}
    found = {normalized(dist): version for dist, version in versions_of(names).items()}
    return {dist: _part(found[dist], policy) for dist, policy in policies.items() if dist in found}


def _part(version: str, policy: Policy) -> str:
    if policy == "exact":
        return version
    numbers = re.match(r"(\d+!)?\d+(\.\d+)*", version)
    parts = (numbers.group() if numbers else version).split(".")
    return ".".join(parts[: 1 if policy == "major" else 2])
