"""Impact of what a store holds: files that functions wrote, and results that were handed on unsaved."""

from __future__ import annotations

from dataclasses import replace

from scidb.hashing.inputs import CallInput
from scidb.provenance.impact import impact_of
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, TypeInfo
from scidb.testing.store_suite.samples import KEYS, call, save, used


def test_generated_files_are_listed() -> None:
    """A file that a function wrote is listed with its function and its arguments, also behind an unsaved result."""
    store = MemoryStore(KEYS)
    store.register(TypeInfo("Force"))
    raw, other = save(store, "Force", 1.0, subject=1), save(store, "Force", 2.0, subject=2)
    handed_on = CallInput("x", "computation", input_call_id="c1", output_num=0)
    path = CallInput("path", "constant", content_hash="p", value_repr="PosixPath('figure.png')")
    plots = [
        replace(made, computation=replace(made.computation, kind="generated"))
        for made in (call("c2", handed_on, path, function="plot"), call("c3", used(other), function="plot"))
    ]
    store.write(Batch(calls=(call("c1", used(raw)), *plots)))
    [file] = impact_of(store, [raw], has_flags=False)
    assert (file.kind, file.function, file.is_latest) == ("generated file", "plot", None)
    assert file.metadata == {"path": "PosixPath('figure.png')"}
    assert "generated file of plot()" in impact_of(store, [raw], has_flags=False).to_text()
