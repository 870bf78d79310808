"""Make a database that has something of everything, as the SciDB that runs this writes it.

``python tests/data/make_format.py FOLDER`` writes ``format-N.duckdb.xz``, and ``format-N.json`` with what SciDB answers
about it. Run once for each format, by the last SciDB that wrote it, so that every later one is tried on what was there.
"""

from __future__ import annotations

import json
import lzma
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

import scidb
from scidb import BaseVariable, for_each, thunk
from scidb.store.model import Batch, Exported

__all__ = ["answers"]


class Force(BaseVariable):
    """Ground reaction force."""

    units = "N"


class PeakForce(BaseVariable):
    """The largest force."""

    units = "N"


class Steps(BaseVariable):
    """Steps of a trial, one by one."""


class Protocol(BaseVariable):
    """What was done."""


class OldName(BaseVariable):
    """A variable that is renamed later."""


def peak(force: Any, scale: float) -> float:
    return float(scale * np.max(force))


def fails_for_two(force: Any) -> float:
    if len(force) == 12:
        raise ValueError("a sensor fell off")
    return float(np.min(force))


def split(force: Any) -> Any:
    return force[:3]


@thunk
def mean_of(force: Any) -> float:
    return float(np.mean(force))


def fill(db: scidb.DatabaseManager) -> None:
    """Save, run, flag, tag, rename and forget something of every kind."""
    for subject in (1, 2, 3):
        values = np.arange(10.0 + subject) * subject
        Force.save(values, subject=subject, session="pre", db=db)
    Force.save(np.arange(4, dtype=np.int32), subject=3, session="post", db=db)
    Force.save(np.arange(13.0) * 3 + 0.5, subject=3, session="pre", db=db)  # a newer version
    Force.save(np.arange(13.0) * 3, subject=3, session="pre", db=db)  # and back again
    Protocol.save({"speed": 1.25, "notes": ["barefoot", None]}, subject=1, db=db)
    Protocol.save("walks", subject=2, db=db)
    Protocol.save(7, db=db)
    Protocol.save(pd.DataFrame({"phase": ["a", "b"], "seconds": [1, 2]}), subject=3, side="left", db=db)
    db.tag("raw data")
    everything: dict[str, Any] = {"subject": [], "session": [], "db": db}
    for_each(peak, {"force": Force, "scale": 0.5}, [PeakForce], **everything)
    for_each(peak, {"force": Force, "scale": 2.0}, [PeakForce], **everything)
    for_each(fails_for_two, {"force": Force}, [OldName], **everything)
    db.admin.add_schema_key("trial", value_type=int)
    for_each(split, {"force": Force}, [Steps], distribute=True, **everything)
    with db.as_current():
        result = mean_of(Force.load_one(subject=1, session="pre"))
        PeakForce.save(result, subject=1, session="pre", how="mean")
        mean_of(Force.load_one(subject=1, session="pre"))
    first, second, *_ = [str(record.record_id) for record in Force.load_all(db=db)]
    db.flag(first, "sensor drift")
    db.flag(second, "used in the paper", pin=True)
    db.flag(second, "a mistake")
    db.unflag(second, "a mistake")
    db.add_to_var_group("kinetics", [Force, PeakForce])
    db.admin.rename_variable(OldName, "NewName")
    db.invalidate_cache(function_name="fails_for_two")
    exported = tuple(str(record.record_id) for record in PeakForce.load_all(db=db))
    db._store.write(Batch(events=(Exported("results/peaks.csv", "0" * 64, exported, "anna"),)))
    if hasattr(db.admin, "erase"):  # from format 3 on
        db.admin.prune(superseded=True, variable="PeakForce", reason="an older variant")
        db.admin.erase(subject=2, reason="consent withdrawn")


def answers(db: scidb.DatabaseManager) -> dict[str, Any]:
    """Return what a database says, as JSON types; the same for ever, whatever its format becomes."""
    found: dict[str, Any] = {"keys": list(db.schema_keys), "tags": db.tags(), "groups": {}, "variables": {}}
    for group in db.list_var_groups():
        found["groups"][group] = [str(one) for one in db.get_var_group(group)]
    for info in db.types():
        entries = [
            {
                "record_id": one.record_id,
                "timestamp": one.timestamp,
                "metadata": dict(one.metadata),
                "content_hash": one.content_hash,
                "lineage_id": one.lineage_id,
                "data": _plain(one.data),
                "provenance": _provenance(db, str(one.record_id)),
            }
            for one in db.load_all(info.name, version_id="all")
        ]
        latest = sorted(str(one.record_id) for one in db.load_all(info.name))
        log = [[one["record_id"], one["timestamp"]] for one in db.list_versions(info.name)]
        described = [info.description, info.units, info.schema_version, info.identity_name]
        found["variables"][info.name] = {"described": described, "log": log, "latest": latest, "entries": entries}
    found["flags"] = [[one.record_id, one.reason, one.is_pin, one.timestamp] for one in db.flags()]
    found["runs"] = [[one.run_id, one.function_name, one.completed, one.failed, one.started] for one in db.runs()]
    found["failures"] = [[one.run_id, dict(one.schema), one.error, one.message] for one in db.failures()]
    found["cache"] = db.get_cache_stats()
    found["pipeline"] = db.get_pipeline_structure()
    return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, pd.DataFrame):
        return {name: [str(column.dtype), column.tolist()] for name, column in value.items()}
    return value


def _provenance(db: scidb.DatabaseManager, record_id: str) -> Any:
    said = db.get_provenance(record_id)
    if said is None:
        return None
    kept = ("function_name", "function_hash", "inputs", "constants", "lineage_id")
    return {name: said[name] for name in kept if name in said}


def main(folder: str) -> None:
    """Make both files."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "study.duckdb")
        with scidb.open(path, {"subject": int, "session": str}) as db:
            fill(db)
        with scidb.open(path, read_only=True) as db:
            said = answers(db)
        with duckdb.connect(path) as plain:
            [(version,)] = plain.execute("SELECT format_version FROM _format").fetchall()
        Path(folder, f"format-{version}.duckdb.xz").write_bytes(lzma.compress(path.read_bytes()))
    Path(folder, f"format-{version}.json").write_text(json.dumps(said, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
