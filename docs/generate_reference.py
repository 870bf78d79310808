"""Write docs/reference/api.md from the docstrings: ``python docs/generate_reference.py``.

The page is checked in, and a test compares it with what this script would write.
"""

from __future__ import annotations

import doctest
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import scidb
import scidb.exceptions
from scidb.foreach.protocols import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PAGE", "public_members", "render"]

PAGE: Final = Path(__file__).parent / "reference" / "api.md"

INTRODUCTION: Final = """\
# Reference

Every public name of `scidb`, in the order in which people meet them, and every error.
This page is written by `python docs/generate_reference.py` from the docstrings. Do not edit it.

The examples run from top to bottom, and begin with

```python
from scidb import *
```
"""

GROUPS: Final = {
    "Databases": ("configure_database", "get_database", "DatabaseManager"),
    "Variables": ("BaseVariable", "any_of"),
    "Filters": ("schema_key", "raw_sql", "ColumnSelection"),
    "Running over combinations": (
        "for_each",
        "Fixed",
        "Merge",
        "EachOf",
        "PathInput",
        "ForEachReport",
        "ForEachConfig",
    ),
    "Thunks": ("thunk", "Thunk", "ThunkOutput", "OutputThunk", "PipelineThunk"),
    "Identity": ("canonical_hash", "scidb.hashing.register"),
    "What a database gives": (
        "scidb.database.QueryResult",
        "scidb.database.Diff",
        "scidb.database.DiffRow",
        "scidb.database.admin.Admin",
        "scidb.variable.description.Description",
    ),
    "Ready-made variables": (
        "scidb.variables.Array",
        "scidb.variables.DataFrame",
        "scidb.variables.Series",
        "scidb.variables.RotationMatrix",
    ),
}

# What the parts of scidb ask of each other: public for them, of no use to a reader.
INTERNAL: Final = {
    "BaseVariable": {"has_custom_storage", "input_from", "stored_value"},
    "DatabaseManager": set(vars(Recorder)) - {"distinct_schema_combinations", "schema_keys"}
    | {"functions_of", "recall"},
    "PipelineThunk": {"finish"},
    "ThunkOutput": {"mark_saved", "origin"},
}


def render() -> str:
    """Return the whole page."""
    missing = set(scidb.__all__) - {"__version__"} - {name for names in GROUPS.values() for name in names}
    if missing:
        raise SystemExit(f"docs/generate_reference.py: GROUPS lacks {', '.join(sorted(missing))}.")
    parts = [INTRODUCTION]
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        for name in names:
            parts += _public(name, _found(name))
    return "\n".join([*parts, *_exceptions()])


def _found(name: str) -> object:
    """Return what is in `scidb` under this name, or in the module that stands before it."""
    module, _, own_name = name.rpartition(".")
    return getattr(import_module(module or "scidb"), own_name)


def public_members(cls: type) -> dict[str, object]:
    """Return the documented members of a class that are for readers, by name."""
    hidden = INTERNAL.get(cls.__name__, set())
    if issubclass(cls, scidb.BaseVariable) and cls is not scidb.BaseVariable:
        hidden = set(dir(scidb.BaseVariable))
    names = [name for name in dir(cls) if not name.startswith("_") and name not in hidden]
    return {name: found for name in names if inspect.getdoc(found := getattr(cls, name)) and _has_code(found)}


def _has_code(member: object) -> bool:
    return callable(member) or isinstance(member, property)


# ------------------------------------------------------------------ one name


def _public(name: str, thing: object) -> Iterator[str]:
    own_name = getattr(thing, "__name__", name)
    if own_name != name.rpartition(".")[2]:
        yield f"### {name}\n\nAnother name of `{own_name}`.\n"
        return
    yield f"### {name}\n"
    yield f"```text\n{_call(name, thing)}\n```\n"
    yield from _body(thing)
    if isinstance(thing, type):
        members = public_members(thing)
        values = {key: member for key, member in members.items() if isinstance(member, property)}
        if values:
            yield "\n".join(f"- `{key}`: {_inline(_summary(member))}" for key, member in values.items()) + "\n"
        for key, member in members.items():
            if key not in values:
                yield f"#### {name}.{key}\n"
                yield f"```text\n{_call(key, member)}\n```\n"
                yield from _body(member)


def _call(name: str, thing: object) -> str:
    """Return how a function is called: parameters and defaults, without types."""
    signature = inspect.signature(thing)  # type: ignore[arg-type]  # only callables come here
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    shown = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return f"{name}{shown.replace('(self, ', '(').replace('(self)', '()')}"


def _summary(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


# ------------------------------------------------------------------ a docstring as Markdown

_SECTION: Final = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


def _body(thing: object) -> Iterator[str]:
    text = inspect.getdoc(thing) or ""
    opening, *sections = _SECTION.split(text)
    yield f"{_inline(opening.strip())}\n"
    for title, content in zip(sections[::2], sections[1::2], strict=True):
        if title == "Examples":
            yield from _examples(content)
        else:
            yield f"**{title}**\n"
            yield "\n".join(_entries(content)) + "\n"


def _entries(content: str) -> Iterator[str]:
    """Yield list items: a line at the margin names something, what is indented below describes it."""
    for entry in re.split(r"\n(?=\S)", content.strip()):
        head, _, rest = entry.partition("\n")
        described = " ".join(line.strip() for line in rest.splitlines())
        name = head if " " in head and not rest else f"`{head}`"
        yield f"- {name}: {_inline(described)}" if described else f"- {name}"


def _examples(content: str) -> Iterator[str]:
    """Yield the examples as blocks that run; what they show stands below each step as a comment."""
    lines: list[str] = []
    for example in doctest.DocTestParser().get_examples(content):
        lines.append(example.source.rstrip("\n"))
        lines += [f"# {line}" for line in example.want.splitlines()]
    code = "\n".join(lines)
    yield f"```python\n{code}\n```\n"


def _inline(text: str) -> str:
    return text.replace("``", "`")


# ------------------------------------------------------------------ errors


def _exceptions() -> Iterator[str]:
    yield "## Errors\n"
    yield "All are in `scidb.exceptions`, and also reachable as `scidb.NotFoundError` and so on."
    yield "Each has a stable `code`, a `message`, and `details`: plain data, readable as attributes too.\n"
    yield "| error | is also a | code | meaning |\n|---|---|---|---|"
    named = {name: getattr(scidb.exceptions, name) for name in scidb.exceptions.__all__}
    for name, error in named.items():
        if issubclass(error, scidb.exceptions.SciDBError):
            builtin = [f"`{base.__name__}`" for base in error.__bases__ if base.__module__ == "builtins"]
            also = ", ".join(text for text in builtin if text != "`Exception`")
            yield f"| `{name}` | {also} | `{error.code}` | {_inline(_summary(error))} |"
    yield "\n## Warnings\n\n| warning | meaning |\n|---|---|"
    for name, warning in named.items():
        if issubclass(warning, Warning):
            yield f"| `{name}` | {_inline(_summary(warning))} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
