"""`scidb demo`: an analysis of real data that explains itself while it runs.

The analysis is `demo_files/pipeline.py`. This module puts it into a folder, runs it from there as a user's
own script, and says what happened; it knows of the results only their names.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_loader
from typing import TYPE_CHECKING, Any, Final

import typer

from scidb.cli.importing import FromSource
from scidb.exceptions import CorruptDatabaseError, FormatVersionError, PipelineError, SchemaKeyError, StorageError
from scidb.session import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scidb.database import DatabaseManager
    from scidb.foreach import ForEachReport
    from scidb.provenance import LineageGraph

__all__ = ["demo"]

DATABASE: Final = "demo.duckdb"
PIPELINE: Final = "pipeline.py"
MODULE: Final = "pipeline"  # as the file is called when it runs as a script, or is imported
KEYS: Final = {"subject": int, "day": int}
VARIABLES: Final = frozenset({"ReactionTime", "Slowing", "Slope", "GroupSlope"})
BRANCHES: Final = 2
FAILURES: Final = 3


def demo(folder: Path) -> None:
    """Write a data set and a script into `folder`, run the script, and show what is kept of it.

    Files that the user changed stay as they are.

    Raises
    ------
    StorageError
        When the folder cannot be used; nothing in it was changed then.
    PipelineError
        When the user's own version of the script fails.

    """
    _check(folder)
    kept = _fill(folder)
    _introduce(folder, kept)
    with (
        _own_changes(folder / PIPELINE, changed=PIPELINE in kept),
        _imported(folder / PIPELINE) as pipeline,
        pipeline.open_study() as db,
    ):
        _tell(db, pipeline, folder)
    _suggest(folder)


# ------------------------------------------------------------------ the folder


def _check(folder: Path) -> None:
    """Refuse a folder that is not ours before anything is written there."""
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"{folder} is a file, and the demo needs a folder. Name another one: scidb demo DIR")
    script, database = folder / PIPELINE, folder / DATABASE
    if script.exists() and DATABASE.encode() not in script.read_bytes():
        raise StorageError(
            f"{script} is another script than that of the demo: it does not name {DATABASE}, so it was not run. "
            "Name another folder: scidb demo DIR"
        )
    if database.exists():
        _check_database(database)


def _check_database(path: Path) -> None:
    try:
        with open_database(path, KEYS) as db:
            names = {info.name for info in db.types()}
    except (CorruptDatabaseError, FormatVersionError, SchemaKeyError) as error:
        raise StorageError(
            f"{path} is not the database of the demo: {error} Nothing was changed. Name another folder: scidb demo DIR"
        ) from error
    if names and names.isdisjoint(VARIABLES):
        raise StorageError(
            f"{path} is not the database of the demo: it holds {', '.join(sorted(names)[:5])}. Nothing was changed. "
            "Name another folder: scidb demo DIR"
        )


def _fill(folder: Path) -> list[str]:
    """Write the files that are missing; return the names of those that the user changed."""
    kept = []
    try:
        for name, content in _shipped():
            path = folder / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            elif path.read_bytes() != content:
                kept.append(name)
    except OSError as error:
        raise StorageError(
            f"The demo cannot write to {folder}: {error}. Name a folder that you may write to: scidb demo DIR"
        ) from error
    return kept


def _shipped() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file of the demo: the script, and one table per subject."""
    source = files("scidb.cli.demo_files")
    yield PIPELINE, source.joinpath(PIPELINE).read_bytes()
    header, *lines = source.joinpath("sleepstudy.csv").read_text(encoding="utf-8").splitlines()
    columns = header.removeprefix("subject,")
    tables: dict[str, list[str]] = {}
    for line in lines:
        subject, _, rest = line.partition(",")
        tables.setdefault(subject, [columns]).append(rest)
    for subject, table in tables.items():
        yield f"data/{subject}.csv", "".join(f"{line}\n" for line in table).encode()


# ------------------------------------------------------------------ the script


@contextmanager
def _imported(path: Path) -> Iterator[Any]:
    """Import the script as it is now, with its folder on the path as when Python runs it."""
    loader = FromSource(MODULE, str(path.resolve()))
    spec = spec_from_loader(MODULE, loader)
    if spec is None:
        raise PipelineError(f"{path} cannot be imported.")
    module = module_from_spec(spec)
    sys.modules[MODULE] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(path.resolve().parent))


@contextmanager
def _own_changes(path: Path, *, changed: bool) -> Iterator[None]:
    """Say that it is the user's version of the script that fails, and how to get the original."""
    try:
        yield
    except Exception as error:
        if not changed:
            raise
        raise PipelineError(
            f"Your version of {path} does not do what the demo shows: {type(error).__name__}: {error}\n"
            f"Look at it with: {_command('python', path)}. Or delete the file, and scidb demo writes the original."
        ) from error


# ------------------------------------------------------------------ the story


def _introduce(folder: Path, kept: Sequence[str]) -> None:
    _heading("The data")
    _say("Reaction times of 18 people who slept three hours a night, on days 0 to 9 of a study of sleep:")
    _say("Belenky and others, J Sleep Res 2003;12:1-12. Days 0 and 1 were adaptation and training.")
    _say(f"{folder / 'data'} has one CSV file per person. {folder / PIPELINE} is the analysis.")
    for name in kept:
        _say(f"You changed {folder / name}. It is kept, and used as it is.")


def _tell(db: DatabaseManager, pipeline: Any, folder: Path) -> None:
    _heading("1. Run the four steps")
    _report(pipeline.run(first_day=0))
    slopes = pipeline.Slope.load(as_table=True, first_day=0)
    _show(">>> Slope.load(as_table=True, first_day=0)")
    _show(slopes.to_string(index=False, float_format="{:.2f}".format))
    _say(_group(pipeline, first_day=0))

    subject = int(slopes["subject"].iloc[0])
    _heading(f"2. Where does the slope of subject {subject} come from?")
    _show(f">>> db.get_lineage_graph(Slope, subject={subject}, first_day=0)")
    _show_tree(db.get_lineage_graph(pipeline.Slope, subject=subject, first_day=0), folder)

    _heading("3. Run the same again")
    _say(_work_done(_report(pipeline.run(first_day=0))))

    _heading("4. Change one parameter: fit from day 2 on, run(first_day=2)")
    _say(_work_done(_report(pipeline.run(first_day=2))))
    _say(_group(pipeline, first_day=2))
    _say("Both answers are kept: GroupSlope.load_one(first_day=0) and GroupSlope.load_one(first_day=2).")


def _group(pipeline: Any, first_day: int) -> str:
    found = pipeline.GroupSlope.load_one(first_day=first_day).data
    return (
        f"Fitted from day {first_day} on, people get {found['mean']:.2f} ms slower per day "
        f"(standard error {found['error']:.2f}, n = {found['n']})."
    )


def _report(reports: Sequence[ForEachReport]) -> Sequence[ForEachReport]:
    for report in reports:
        _show(str(report))
        for failure in report.failures[:FAILURES]:
            place = ", ".join(f"{key}={value!r}" for key, value in failure.combination.items())
            _show(f"  {place}: {type(failure.error).__name__}: {failure.error}")
    return reports


def _work_done(reports: Sequence[ForEachReport]) -> str:
    computed = [f"{report.completed} of {report.function_name}()" for report in reports if report.completed]
    kept = sum(report.up_to_date + report.recalled for report in reports)
    if missing := sum(report.failed + report.skipped for report in reports):
        return (
            f"{missing} results could not be computed, as said above. What they had before, if anything, is still "
            "there, and later steps used it."
        )
    if not computed:
        return f"Nothing was recomputed: all {kept} results were made by this very code from these very inputs."
    return f"Computed: {' and '.join(computed)}. The other {kept} results do not depend on what changed."


def _show_tree(graph: LineageGraph, folder: Path) -> None:
    lines = graph.to_text().splitlines()
    # The first line of each input of the last call; what stands between two of them is one branch.
    branches = [number for number, line in enumerate(lines) if line[:4] in ("   ├", "   └")]
    cut = branches[BRANCHES] if len(branches) > BRANCHES else len(lines)
    for line in lines[:cut]:
        _show(line)
    if cut < len(lines):
        _show(f"   ... and {len(lines) - cut} more lines like these, for the other days")
    sources = ", ".join(sorted({str(folder / node.label) for node in graph.nodes if node.kind == "file"}))
    calls = sum(node.kind == "call" for node in graph.nodes)
    _say(f"In all {calls} calls lead from {sources} to this number.")


def _suggest(folder: Path) -> None:
    database = ("scidb", "--db", folder / DATABASE)
    _heading("Try next")
    _show(
        _command("scidb", "run", folder / PIPELINE, "--plan")
        + "    # after you changed something in it: what would run"
    )
    _show(_command("scidb", "run", folder / PIPELINE))
    _show(_command(*database, "status", "--import", folder / PIPELINE))
    _show(_command(*database, "lineage", "Slope", "subject=308", "first_day=2"))
    _show(_command(*database, "sql", "SELECT day, avg(value) FROM ReactionTime GROUP BY day ORDER BY day"))


def _command(*words: object) -> str:
    return shlex.join(str(word) for word in words)


def _heading(text: str) -> None:
    typer.secho(f"\n{text}", bold=True)


def _say(text: str) -> None:
    typer.echo(text)


def _show(text: str) -> None:
    """Print what the library returned or a user types, indented."""
    for line in text.splitlines():
        typer.echo(f"    {line}")
