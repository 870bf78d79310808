"""A script written for a local file runs unchanged at a server, but for its first line; so does the command line."""

from __future__ import annotations

import importlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.net.serving import serve
from typer.testing import CliRunner

import scidb
from scidb.cli import app
from scidb.cli.demo import demo
from scidb.store.model import SchemaKey

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = Path(__file__).parents[2] / "examples"


def record_ids(target: str | Path) -> dict[str, list[str]]:
    """Return the ids of what a database has, by variable."""
    with scidb.open(target, read_only=True) as db:
        return {info.name: sorted(str(item.record_id) for item in db.load_all(info.name)) for info in db.types()}


# ------------------------------------------------------------------ scripts


@pytest.mark.slow
def test_the_gait_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example says the same and stores the same records, whether --db names a file or a server."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name in ("gait", "gait_steps"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    gait, steps = importlib.import_module("gait"), importlib.import_module("gait_steps")
    steps.write_example_recording(tmp_path, 3, 1, steps=12)
    address = serve([SchemaKey(name, kind.__name__) for name, kind in gait.KEYS.items()])
    for target in (tmp_path / "gait.duckdb", address):
        for _ in range(2):
            assert gait.main([str(tmp_path), "--db", str(target)]) == 0
    local, remote = record_ids(tmp_path / "gait.duckdb"), record_ids(address)
    assert local == remote
    assert {"Trial", "Recording", "StrideTimes", "SubjectSummary", "Agreement"} <= remote.keys()


@pytest.mark.slow
def test_the_script_of_the_demo(tmp_path: Path) -> None:
    """With its first line replaced, the demo's script stores the same records at a server as in a file."""
    demo(tmp_path / "local")
    address = serve([SchemaKey("subject", "int"), SchemaKey("day", "int")])
    remote = _moved(tmp_path / "local", tmp_path / "remote", address)
    done = subprocess.run(
        [sys.executable, "-c", "import pipeline\nwith pipeline.open_study(): pipeline.run(0), pipeline.run(2)"],
        cwd=remote,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert record_ids(address) == record_ids(tmp_path / "local" / "demo.duckdb")


def _moved(folder: Path, to: Path, address: str) -> Path:
    """Copy the demo without its database, which the script then looks for at an address."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.duckdb*"))
    script = to / "pipeline.py"
    text = script.read_text(encoding="utf-8")
    assert 'configure_database(HERE / "demo.duckdb"' in text
    script.write_text(text.replace('HERE / "demo.duckdb"', repr(address)), encoding="utf-8")
    return to


# ------------------------------------------------------------------ the command line

STEPS = """
from scidb import BaseVariable, for_each


class ReactionTime(BaseVariable): ...


class Hurried(BaseVariable): ...


def hurried(x):
    if LIMIT < x:
        raise ValueError(f"{x} is too slow")
    return x / 2


def pipeline(db):
    for_each(hurried, {"x": ReactionTime}, [Hurried], subject=[308, 309], day=[0, 1], db=db)
"""

VERBS = """
ls
ls --json
ls Slope
ls Slope subject=308
ls Slop
show Slope subject=308 first_day=0
show Slope subject=308
show Slope subject=nobody --json
log
log Slope
tag now
tag
tag now
tag then --at 2020-01-01
lineage Slope subject=308 first_day=2
lineage Slope subject=308 first_day=2 --json
status
status --import pipeline.py
status --import pipeline.py --json
explain Slope subject=308 first_day=0 --import pipeline.py
impact ReactionTime subject=308 day=0
flag ReactionTime subject=308 day=0 --reason late
flag ReactionTime subject=308 day=0 --off --reason late
ls ReactionTime subject=308
diff now
diff never
sql "SELECT day, round(avg(value), 6) FROM ReactionTime GROUP BY day ORDER BY day"
sql "SELECT * FROM Slope ORDER BY ALL" --json
sql "DELETE FROM Slope"
sql "SELECT 1; SELECT 2"
reproduce Slope subject=308 first_day=0 --import pipeline.py
reproduce Slope subject=308 first_day=0 --import pipeline.py --alone
run steps.py --plan
run steps.py
run steps.py --json
runs
runs --json
retry --import steps.py
accept hurried --reason "the same" --import steps.py
prune --memo --older-than 1000d
prune --memo --larger-than 1
prune --memo --larger-than 1 --yes
status Hurried --import steps.py
retry --import steps.py
fsck
fsck --deep --json
backup copies
backup copies --json
erase subject=309
erase subject=309 --json
erase subject=nobody
erase subject=309 --yes
compact
fsck --deep
ls
""".strip().splitlines()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each verb says at a server what it says of a file: on the terminal, in errors, in JSON, and by its exit code."""
    demo(tmp_path / "local")
    file = tmp_path / "local" / "demo.duckdb"
    address = serve(None, str(shutil.copyfile(file, tmp_path / "served.duckdb")), allow_sql=True)
    _moved(tmp_path / "local", tmp_path / "remote", address)
    used = set()
    for verb in VERBS:
        said = []
        for target in (str(file), address):
            monkeypatch.chdir(tmp_path / ("local" if target == str(file) else "remote"))
            limit = 400 if verb.startswith("retry") else 300
            Path("steps.py").write_text(STEPS.replace("LIMIT", str(limit)), encoding="utf-8")
            said.append(_said(verb, target))
        assert said[1] == said[0], verb
        assert said[0][0] != USAGE, said[0][1]
        used.add(verb.split()[0])
    assert used == {command.name for command in app.registered_commands} - {"demo", *ELSEWHERE}
    assert record_ids(address) == record_ids(file)


USAGE = 2
ELSEWHERE = {"serve", "token", "recover", "restore"}
"""Verbs of a server itself, and of files alone."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?[.\d]*(Z| UTC)?")
_DURATION = re.compile(r"\b[\d.]+ (s|ms)\b|\"(seconds|duration)\": [\d.e-]+")
_RUN = re.compile(r"\b([0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{64})\b")
# What a file takes, of which not everything comes at the same place.
_SIZE = re.compile(r"[\d.,]+ ([kMG]B|bytes)|\"(nbytes|written|blocks|new_blocks|before|after)\": \d+")


def _said(verb: str, target: str) -> tuple[int, str]:
    """Return how a verb ends and what it prints, but for where, when and how long."""
    result = CliRunner().invoke(app, ["--db", target, *shlex.split(verb)])
    for name in ("pipeline", "steps"):
        sys.modules.pop(name, None)
    configured: Any = scidb.current.current()
    if configured is not None:
        scidb.current.set_default(None)
        configured.close()
    text, name = result.output.replace(target, "<target>"), verb.split(maxsplit=1)[0]
    if name in {"backup", "erase"}:  # a backup lies here, which a server notes with the name of this machine
        text = text.replace(f"{platform.node()}:{Path.cwd()}", "<here>").replace(str(Path.cwd()), "<here>")
    of_file = (_SIZE,) if name in {"backup", "compact"} else ()
    for pattern in (_INSTANT, _DURATION, _RUN, *of_file):
        text = pattern.sub("<>", text)
    return result.exit_code, re.sub(r" +", " ", text)


@pytest.mark.parametrize(
    "name",
    [
        lambda address, _: Path("scidb.toml").write_text(f'database = "{address}"\n', encoding="utf-8"),
        lambda address, patch: patch.setenv("SCIDB_DATABASE", address),
        lambda address, patch: patch.setenv("SCIDB_DATASET_DB_PATH", address),
    ],
    ids=["scidb.toml", "SCIDB_DATABASE", "SCIDB_DATASET_DB_PATH"],
)
def test_an_address_in_place_of_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: Callable[[str, pytest.MonkeyPatch], object]
) -> None:
    """Wherever the command line finds the path of a database, it may find an address."""
    address = serve([SchemaKey("subject", "int")])
    monkeypatch.chdir(tmp_path)
    name(address, monkeypatch)
    result = CliRunner().invoke(app, ["ls"])
    assert result.exit_code == 0, result.output
    assert address in result.output


def test_a_database_is_configured_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """configure_database() without a path takes an address as well."""
    monkeypatch.setenv("SCIDB_DATABASE", address := serve([SchemaKey("subject", "int")]))
    assert scidb.configure_database().target == address
    assert scidb.configure_database(address, {"subject": int}) is scidb.get_database()
