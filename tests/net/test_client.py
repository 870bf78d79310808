"""A script for a local file runs unchanged against a server: values, lineage, files, and errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pandas as pd
import pytest
from tests.net.serving import serve

import scidb
from scidb import BaseVariable, DatabaseManager, exceptions, for_each, thunk
from scidb.store.model import SchemaKey
from scidbnet import RemoteDatabaseManager, configure_remote_database
from scidbnet.serialization import decode_response, deserialize_data, serialize_data
from scidbnet.wire.framing import PARTS_TYPE, envelope_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEYS = [SchemaKey("subject"), SchemaKey("trial")]


class Signal(BaseVariable):
    """A recording."""

    units = "V"


class Peak(BaseVariable):
    pass


class Drawing(BaseVariable):
    pass


class Spectrum(BaseVariable):
    """Power by frequency, kept as a table of its own making."""

    def to_db(self) -> pd.DataFrame:
        return pd.DataFrame({"f": list(self.data), "power": list(self.data.values())})

    @classmethod
    def from_db(cls, df: pd.DataFrame) -> Any:
        return dict(zip(df["f"].tolist(), df["power"].tolist(), strict=True))


@thunk
def peak(signal: Any) -> Any:
    return float(signal.max())


@thunk
def double(x: Any) -> Any:
    return 2 * x


@thunk(generates_file=True)
def draw(signal: Any, path: Path) -> None:
    with path.open("a") as file:
        file.write(str(signal))


@pytest.fixture
def address() -> str:
    return serve(KEYS)


@pytest.fixture
def remote(address: str) -> Iterator[RemoteDatabaseManager]:
    with configure_remote_database(address) as db:
        yield db


def ask(address: str, route: str, **body: Any) -> Any:
    return httpx.post(f"{address}/api/v1/{route}", json=body)


# ------------------------------------------------------------------ the same as with a file


def study(db: DatabaseManager, folder: Path) -> list[Any]:
    """Do what a script does, and return what it sees."""
    seen: list[Any] = [Signal.save(np.arange(3.0) + one, subject=one, trial=1, gain=0.5) for one in (1, 2)]
    result = peak(Signal.load_one(subject=1))
    seen += [result.data, Peak.save(result, subject=1, trial=1)]
    seen += [(one.record_id, one.data.tolist(), one.metadata) for one in Signal.load_all()]
    report = for_each(double, {"x": Signal}, [Peak], subject=[], trial=[1], db=db)
    seen += [report.completed, report.failed, Peak.load_all(as_df=True).to_csv()]
    seen += [Signal.list_versions(subject=2)[0]["schema"], Signal.load_one(where=schema_above(1)).record_id]
    made = db.get_provenance(Peak, subject=1, trial=1, params={"__fn": None})
    assert made is not None
    seen += [made["function_name"], made["lineage_id"], [one["record_id"] for one in made["inputs"]]]
    seen += [sorted((e["source"], e["target"]) for e in db.get_pipeline_structure())]
    seen += [db.export_to_csv(Peak, folder / "peaks.csv", params={"__fn": None}), (folder / "peaks.csv").read_text()]
    return seen


def schema_above(subject: int) -> Any:
    return scidb.schema_key("subject") > subject


def test_a_script_sees_the_same(remote: RemoteDatabaseManager, tmp_path: Path) -> None:
    """N1: with another first line, the same values, ids, tables and files."""
    remotely = study(remote, tmp_path)
    with scidb.open("memory:", ["subject", "trial"]) as db, db.as_current():
        locally = study(db, tmp_path)

    assert remotely == locally


def errors(db: DatabaseManager) -> list[Any]:
    """Return what is raised when a script goes wrong."""
    Signal.save(1.0, subject=1)
    Signal.save(2.0, subject=2)
    wrong: list[Callable[[], Any]] = [
        lambda: Signal.load_one(subject=9),
        Signal.load_one,
        Peak.load_one,
        lambda: Signal.save(object(), subject=1),
        lambda: Signal.save(1.0, subjet=1),
        lambda: Signal.save(1.0, subject="one"),
        lambda: db.load_by_record_id("ffff"),
        lambda: Signal.load(as_of="no tag"),
    ]
    found = []
    for call in wrong:
        with pytest.raises(exceptions.SciDBError) as caught:
            call()
        error = caught.value
        details = {name: one for name, one in error.details.items() if name != "target"}
        found.append((type(error), error.code, str(error), details))
    return found


def test_errors_are_the_same(remote: RemoteDatabaseManager) -> None:
    """N1, N2: the same classes, messages and attributes; what is missing is a NotFoundError."""
    remotely = errors(remote)
    with scidb.open("memory:", ["subject", "trial"]) as db, db.as_current():
        locally = errors(db)

    assert remotely == locally
    assert remotely[0][0] is exceptions.NotFoundError


def test_a_client_closes_only_itself(address: str) -> None:
    """N3: whoever closes ends his own connection."""
    with configure_remote_database(address) as first:
        second = scidb.open(address)
        Signal.save(1.0, subject=1, db=first)
        second.close()

        assert Signal.load_one(subject=1, db=first).data == 1.0


# ------------------------------------------------------------------ storage of a class's own


def test_a_class_stores_in_a_form_of_its_own(remote: RemoteDatabaseManager, address: str) -> None:
    """to_db and from_db run on the client; the server keeps the table, and needs no class."""
    Spectrum.save({1.0: 0.5, 2.0: 0.25}, subject=1)

    answer = ask(address, "load", variable="Spectrum", metadata={"subject": 1})

    assert Spectrum.load_one(subject=1).data == {1.0: 0.5, 2.0: 0.25}
    assert deserialize_data(answer.content).to_dict("list") == {"f": [1.0, 2.0], "power": [0.5, 0.25]}
    assert envelope_from(answer.content).header["record"]["custom_storage"] is True


def test_another_language_stores_what_a_class_restores(remote: RemoteDatabaseManager, address: str) -> None:
    """Who sends the table that to_db would make, and says so, is understood by from_db."""
    remote.register(Spectrum)
    meta = json.dumps({"variable": "Spectrum", "metadata": {"subject": 2}, "custom_storage": True}).encode()
    table = serialize_data(pd.DataFrame({"f": [1.0], "power": [0.5]}))
    body = len(meta).to_bytes(4, "big") + meta + table

    saved = httpx.post(f"{address}/api/v1/save", content=body, headers={"Content-Type": PARTS_TYPE}).json()

    assert saved["record_id"] == Spectrum.save({1.0: 0.5}, subject=2)
    assert Spectrum.load_one(subject=2).data == {1.0: 0.5}


# ------------------------------------------------------------------ lineage


def test_strict_refuses_what_rests_on_nothing(remote: RemoteDatabaseManager) -> None:
    """A result of a variable that was never saved is refused with the way to it, and nothing is stored."""
    with pytest.raises(exceptions.UnsavedIntermediateError) as caught:
        Peak.save(peak(Signal(np.ones(3))), subject=1)

    assert caught.value.paths == ["peak() -> signal"]
    assert remote.types() == []


def test_ephemeral_keeps_the_lineage_alone(address: str) -> None:
    """In ephemeral mode it is saved, and what it rests on is known by lineage alone."""
    with scidb.open(address, lineage_mode="ephemeral") as db, db.as_current():
        Peak.save(peak(Signal(np.ones(3))), subject=1)
        made = db.get_provenance(Peak, subject=1)

        assert made is not None
        assert made["inputs"][0]["record_id"].startswith("ephemeral:")
        assert [info.name for info in db.types()] == ["Peak"]


@pytest.mark.parametrize("mode", ["strict", "ephemeral"])
def test_a_client_takes_over_the_mode_of_the_server(mode: str) -> None:
    """What the owner of the server set holds for those who do not say."""
    with configure_remote_database(serve(KEYS, lineage_mode=mode)) as db:
        assert db.lineage_mode == mode


def test_save_ephemeral_lineage(remote: RemoteDatabaseManager, address: str) -> None:
    """The lineage of a result is stored without its value, by the same id as another language gets."""
    Signal.save(np.ones(3), subject=1)
    alone = remote.save_ephemeral_lineage(Peak, peak(Signal.load_one(subject=1)))
    remote.register(Peak)
    lineage = {"function_name": "peak.R", "function_hash": "c0ffee00"}

    told = ask(address, "save_ephemeral_lineage", variable="Peak", lineage=lineage, value=1.0).json()

    assert alone == told["record_id"]
    assert {edge["function_name"] for edge in remote.get_pipeline_structure()} == {"peak"}
    assert remote.load_all(Peak, as_df=True).empty


def test_files_that_functions_write(remote: RemoteDatabaseManager, address: str, tmp_path: Path) -> None:
    """A generated file is on the client's disk, its lineage on the server; a repeat is not run again."""
    path = tmp_path / "a.txt"
    Signal.save(1.5, subject=1)
    signal = Signal.load_one(subject=1)

    record_id = Drawing.save(draw(signal, path), subject=1)
    again = draw(signal, path)

    assert (record_id.partition(":")[0], again.was_cached, path.read_text()) == ("generated", True, "1.5")
    assert remote.has_lineage(record_id)
    known = ask(address, "find_by_lineage", lineage_id=again.pipeline_thunk.lineage_id)
    assert [deserialize_data(one) for one in decode_response(known.content)] == [None]
    path.unlink()
    assert not draw(signal, path).was_cached
    assert path.read_text() == "1.5"


# ------------------------------------------------------------------ beside other languages


def test_what_python_saved_others_load_and_the_other_way_round(remote: RemoteDatabaseManager, address: str) -> None:
    """Both ways into the database give the same records, with units and keys."""
    first = Signal.save(np.arange(3.0), subject=1, trial=2, gain=0.5)
    loaded = deserialize_data(ask(address, "load", variable="Signal", metadata={"subject": 1}).content)
    saved = ask(
        address, "save", variable="Signal", metadata={"subject": 2, "trial": 1, "gain": 0.5}, value=[1.5]
    ).json()

    assert loaded.tolist() == [0.0, 1.0, 2.0]
    assert saved["record_id"] == Signal.save([1.5], subject=2, trial=1, gain=0.5)
    assert [one.record_id for one in Signal.load_all(gain=0.5)] == [first, saved["record_id"]]


def test_a_variable_in_another_state_is_stored_as_it_is_now(remote: RemoteDatabaseManager, address: str) -> None:
    """What one client declares anew holds for the next save of another."""
    saved = []
    for version in (1, 2):
        assert ask(address, "register", name="Later", schema_version=version).status_code == 200
        saved.append(ask(address, "save", variable="Later", metadata={"subject": 1}, value=1).json()["record_id"])

    assert saved[0] != saved[1]
