"""Write docs/concepts/changes.md: what counts as a change of code, and what is said of it.

Every row is a case of tests/hashing/code-changes.toml, tried here: ``python docs/generate_changes.py``. The page is
checked in, and a test compares it with what this script would write.
"""

from __future__ import annotations

import difflib
import importlib.util
import itertools
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["PAGE", "render"]

PAGE: Final = Path(__file__).parent / "concepts" / "changes.md"
_TABLE: Final = Path(__file__).parents[1] / "tests" / "hashing" / "code_changes.py"

INTRODUCTION: Final = """\
# What counts as a change

A result is computed again when its code has changed. The code of a function is everything of yours that decides what
it returns: its text, the values that it reads from outside, and the functions and classes that it reaches, in whatever
file they stand. Of libraries only the names count, and their versions are recorded.

Each row below is a change of the function `f`, made and fingerprinted when this page was written. The last column is
what SciDB says of it. A default value of `f` itself is no part of its code: it is an argument of the call, which counts
by its value.

This page is written by `python docs/generate_changes.py`. Do not edit it.

```python
from scidb import thunk


@thunk
def smooth(signal):
    return [0.2 * value for value in signal]


print(smooth.fingerprint().hash[:12])  # the same on every machine, and in every version of Python
```

## Computed again
"""

UNCHANGED: Final = """\
## Not computed again

| changed | before | after |
|---|---|---|"""

ENDING: Final = """\
## Arguments

A call is known by its code and its arguments. `f(1, 2)`, `f(1, k=2)` and `f(x=1, k=2)` are one call; `1`, `1.0`,
`True` and `np.int64(1)` are four different arguments. Arguments that are objects of your own classes bring the code of
these classes with them. See [Memo](memo.md).

## Libraries

What is installed counts by name: `np.mean`, whatever its version. You decide where that is too little, in the file
`scidb.toml` beside your scripts:

```toml
[fingerprint]
track_packages = ["mylab"]                          # our own installed package: its code counts like yours
libraries = {scipy = "minor", numpy = "major"}      # a new scipy 1.x or numpy 2 computes again
```

or in Python, for one process:

```python
from scidb.hashing import configure

configure(libraries={"numpy": "exact"})
configure()  # what scidb.toml says, which is nothing here
```

`"major"` counts 2 of 2.1.3, `"minor"` counts 2.1, and `"exact"` all of it.

## What cannot be seen

Some code cannot be followed: `eval` and `exec`, a module that is loaded by a computed name or from `sys.modules`, an
open file or a lock that a function reads, `__file__`, variables of the environment that it asks for with `os.environ`
or `os.getenv`, a function whose source is nowhere. SciDB then takes what it can see, and keeps a warning with the
record: `warnings` of `db.get_provenance(...)`, and a remark of `db.status()`. What a module has read from the
environment into a global when it was imported is a value like any other.

| you write | so that |
|---|---|
| `@thunk(strict=True)` | nothing is recalled while there is such a warning |
| `@thunk(includes=[helper])` | what is reached by a computed name counts, too |
| `@thunk(ignore=["calls"])` | a name that does not affect the result, such as a counter, does not count |
| `@thunk(version="2")` | the version counts instead of the code; change it when the result changes |

Values that a function reads are hashed before each call, so that a change in them is noticed at once. More than 32 MB
of them are felt at every call, and SciDB says so. Save such a table as a variable and pass that: its hash is kept.

Next: [Record](record.md)
"""


def render() -> str:
    """Return the whole page."""
    table = _table()
    parts = [INTRODUCTION]
    rows = list(_rows(table))
    changes = [row for row in rows if row[0].is_change]
    for group, members in itertools.groupby(changes, key=lambda row: str(row[0].group)):
        parts += [f"### {group}\n", "| changed | before | after | SciDB says |", "|---|---|---|---|"]
        parts += [_line(case.name, *_lines(case), "<br>".join(map(_quoted, why))) for case, why in members]
        parts.append("")
    parts.append(UNCHANGED)
    parts += [_line(case.name, *_lines(case)) for case, _ in rows if not case.is_change]
    return "\n".join([*parts, "", ENDING])


def _table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("code_changes", _TABLE)
    if spec is None or spec.loader is None:
        raise SystemExit(f"docs/generate_changes.py: {_TABLE} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the names of their fields
    spec.loader.exec_module(module)
    return module


def _rows(table: ModuleType) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Yield each case with what is said of it, which is what the table says."""
    with tempfile.TemporaryDirectory() as folder:
        study = table.Study(Path(folder))
        for case in table.cases():
            seen = table.look(study, case)
            if (seen.before.hash != seen.after.hash) is not case.is_change or seen.why != case.why:
                raise SystemExit(f"docs/generate_changes.py: {case.name}: the table is wrong, it is {seen.why}.")
            yield case, seen.why
        study.forget()


def _lines(case: Any) -> tuple[str, str]:
    """Return the lines that an edit takes away, and those that it puts in their place."""
    before: list[str] = []
    after: list[str] = []
    for name in dict.fromkeys([*case.before, *case.after]):
        sides = [text.get(name, "").splitlines() for text in (case.before, case.after)]
        where = [] if len(case.before) == len(case.after) else [f"# {name}.py"]
        changed = [line for line in difflib.ndiff(*sides) if line[:2] in {"- ", "+ "}]
        for mark, lines in (("- ", before), ("+ ", after)):
            found = [line[2:] for line in changed if line.startswith(mark) and line[2:].strip()]
            lines.extend([*where, *found] if found else [])
    if sorted(before) == sorted(after):  # something moved, which only the whole shows
        before, after = ("".join(text.values()).splitlines() for text in (case.before, case.after))
    return _code(before), _code(after)


def _code(lines: list[str]) -> str:
    margin = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    # A cell of a table keeps no leading blanks.
    shown = [line.lstrip().rjust(len(line), "\N{NO-BREAK SPACE}") for line in (line[margin:] for line in lines)]
    return "<br>".join(map(_quoted, shown))


def _quoted(text: str) -> str:
    escaped = text.replace("|", "\\|")
    return f"`{escaped}`"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    PAGE.write_text(render(), encoding="utf-8")
