"""What is asked of computations: the calls behind entries, equal inputs, several contents, accepted changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scidb.store.model import (
    Acceptance,
    Acceptances,
    Accepted,
    Batch,
    CallInput,
    Calls,
    Computation,
    Computations,
    GeneratedFiles,
    Timing,
    Timings,
    TraceQuery,
    Varying,
)
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import call, record, save, scalars, used

if TYPE_CHECKING:
    from scidb.store.model import Call
    from scidb.store.protocol import Store

__all__ = ["ComputingCases"]


def _handed_on(call_id: str | None) -> CallInput:
    return CallInput("x", "computation", input_call_id=call_id, output_num=0, content_hash="y")


def _wrote(call_id: str, *inputs: CallInput) -> Call:
    made = call(call_id, *inputs, function="plot")
    return replace(made, computation=replace(made.computation, kind="generated"))


def _made(store: Store, value: float, lineage_id: str, *, call_id: str = "c", output_num: int = 0) -> str:
    """Save a result of a computation, and return the time."""
    made = record("Emg", value, {"subject": 1}, lineage_id=lineage_id, call_id=call_id, output_num=output_num)
    [stored] = store.write(Batch(chunks=(scalars([made], [value]),)))
    return stored.timestamp


class ComputingCases(StoreCases):
    """Cases of calls, computations and acceptances, as ``find`` gives them."""

    def test_calls_come_whole(self, store: Store) -> None:
        """Calls come with computation, all inputs in order and time, each once, in the order of storing."""
        raw = save(store, "Force", 1.0, subject=1)
        file = CallInput("path", "file", content_hash="p", value_repr="a.csv", root="/data")
        restored = replace(used(raw), code_hash="h", key="'a'")
        default = CallInput("k", "constant", content_hash="k", value_repr="1", is_default=True)
        first = call("c1", restored, file, default)
        first = replace(first, run_id="r1", environment_id="e1", recalled_from="c0", function_ref="lab:f")
        other, bare = call("c2", used(raw), function="g"), call("c3", function="h")
        store.write(Batch(calls=(first, other, bare)))
        found = store.find(Calls(("c3", "c1", "c9", "c1")))
        assert found == [replace(one, timestamp=found[0].timestamp) for one in (first, bare)]
        assert found[0].timestamp
        assert store.find(Calls(())) == []
        assert set(store.trace(TraceQuery(call_ids=("c1", "c3"), depth=1)).calls) == set(found)

    def test_calls_that_handed_on_results_unsaved(self, store: Store) -> None:
        """With a call come those whose results it received unsaved, all the way; not those of saved inputs."""
        raw = save(store, "Force", 1.0, subject=1)
        calls = [call("c1", used(raw)), call("c2", _handed_on("c1"), _handed_on(None))]
        calls += [call("c3", _handed_on("c2"), _handed_on("c1")), call("c4", replace(used(raw), input_call_id="c3"))]
        made_file = CallInput("path", "record", record_id="generated:l", input_call_id="c4", type_name="Plot")
        never_saved = CallInput("x", "record", record_id="ephemeral:y", type_name="Force")
        calls.append(call("c5", made_file, never_saved))
        store.write(Batch(calls=tuple(calls)))
        assert [one.call_id for one in store.find(Calls(("c5",)))] == ["c4", "c5"]
        assert [one.call_id for one in store.find(Calls(("c3",)))] == ["c1", "c2", "c3"]
        assert [one.call_id for one in store.find(Calls(("c4",)))] == ["c4"]

    def test_calls_that_wrote_files(self, store: Store) -> None:
        """Of each computation that wrote files the newest execution is found, with what it received unsaved."""
        raw = save(store, "Force", 1.0, subject=1)
        handed_on = call("c1", used(raw))
        plot, again = (_wrote(name, _handed_on("c1")) for name in ("c2", "c3"))
        recalled = replace(_wrote("c4", _handed_on("c1")), recalled_from="c3")
        stamps = []
        for calls in ((handed_on, plot), (again,), (recalled, _wrote("c5", used(raw)), call("c6", used(raw)))):
            store.write(Batch(calls=calls))
            stamps += [one.timestamp for one in store.find(Calls((calls[-1].call_id,)))][-1:]
        assert [one.call_id for one in store.find(GeneratedFiles())] == ["c1", "c3", "c5"]
        assert [one.call_id for one in store.find(GeneratedFiles(as_of=stamps[0]))] == ["c1", "c2"]
        lineage = plot.computation.lineage_id
        assert [one.call_id for one in store.find(GeneratedFiles((lineage, "other")))] == ["c1", "c3"]
        for number, outputs in ((7, '"file"'), (8, "1")):
            unknown = Computation(f"uncacheable:{number}", "plot", "h", "i", outputs, "uncacheable")
            store.write(Batch(calls=(replace(call(f"c{number}"), computation=unknown),)))
        assert [one.call_id for one in store.find(GeneratedFiles())] == ["c1", "c3", "c5", "c7"]
        assert store.find(GeneratedFiles(("other",))) == store.find(GeneratedFiles(())) == []

    def test_computations_by_code_and_inputs(self, store: Store) -> None:
        """Computations are found by their code and their inputs together, whatever their lineage_id."""
        kinds = [("l3", "h1", "i1"), ("l1", "h2", "i1"), ("l2", "h1", "i2"), ("l4", "h3", "i1")]
        known = {name: Computation(name, "f", code, inputs, "1") for name, code, inputs in kinds}
        calls = [replace(call(f"c{n}"), computation=one) for n, one in enumerate(known.values())]
        store.write(Batch(calls=tuple(calls)))
        assert store.find(Computations(("h1", "h2"), ("i1", "i9"))) == [known["l1"], known["l3"]]
        assert store.find(Computations(("h9",), ("i1",))) == []
        assert store.find(Computations((), ("i1",))) == store.find(Computations(("h1",), ())) == []

    def test_several_contents_of_one_computation(self, store: Store) -> None:
        """A computation varies when one of its outputs has several contents; two outputs may well differ."""
        one, two = (Computation(name, "f", "h", name, "2") for name in ("l1", "l2"))
        store.write(Batch(calls=tuple(replace(call(f"c{n}"), computation=c) for n, c in enumerate((one, two)))))
        _made(store, 1.0, "l1")
        _made(store, 1.0, "l1", call_id="c9")
        _made(store, 2.0, "l1", output_num=1)
        before = _made(store, 1.0, "l2")
        assert store.find(Varying()) == []
        _made(store, 3.0, "l2")
        assert store.find(Varying()) == [two]
        assert store.find(Varying(as_of=before)) == []

    def test_pieces_of_one_computation(self, store: Store) -> None:
        """Pieces differ among themselves; another content or number of them is another result."""
        two, three = call("c1", handed := _handed_on(None)), call("c2", replace(handed, content_hash="z"))
        store.write(Batch(calls=(two, three)))

        def made(made_by: Call, *contents: float) -> None:
            entries = [
                record(
                    "Emg", content, {"subject": 1, "trial": piece}, seq=piece, piece=piece, pieces=len(contents),
                    lineage_id=made_by.computation.lineage_id, call_id=made_by.call_id, output_num=0,
                )
                for piece, content in enumerate(contents, start=1)
            ]  # fmt: skip
            store.write(Batch(chunks=(scalars(entries, list(contents)),)))

        made(two, 1.0, 2.0)
        made(three, 1.0, 2.0, 3.0)
        made(two, 1.0, 2.0)
        assert store.find(Varying()) == []
        made(two, 1.0)
        made(three, 1.0, 2.5, 3.0)
        assert {one.lineage_id for one in store.find(Varying())} == {
            two.computation.lineage_id,
            three.computation.lineage_id,
        }

    def test_how_long_calls_took(self, store: Store) -> None:
        """Durations are averaged for each code of a function by its name; recalls and other functions do not count."""
        kinds = [("l1", "f", "h2"), ("l2", "f", "h1"), ("l3", "f", "h1"), ("l4", "g", "h1")]
        made = {name: Computation(name, function, code, name, "1") for name, function, code in kinds}
        took = [("l1", 8.0), ("l2", 1.0), ("l3", 2.0), ("l3", None), ("l4", 64.0)]
        calls = [
            replace(call(f"c{n}"), computation=made[name], seconds=seconds) for n, (name, seconds) in enumerate(took)
        ]
        store.write(Batch(calls=tuple(calls)))
        assert store.find(Timings("f")) == [Timing("h1", 2, 1.5), Timing("h2", 1, 8.0)]
        assert store.find(Timings("h")) == []

    def test_acceptances(self, store: Store) -> None:
        """What was accepted is kept in order, with who, when and why; the same may be accepted again."""
        first = Accepted("f", "h1", "h2", "only renamed a variable", "ada")
        store.write(Batch(events=(first, Accepted("f", "h2", "h1", "and back"))))
        store.write(Batch(events=(first,)))
        found = store.find(Acceptances())
        stamps = [one.timestamp for one in found]
        assert found[0] == Acceptance("f", "h1", "h2", "only renamed a variable", stamps[0], "ada")
        assert [one.reason for one in found] == [first.reason, "and back", first.reason]
        assert found[1].user_id is None
        assert stamps[0] == stamps[1] < stamps[2]
