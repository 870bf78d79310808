"""Provenance and events: calls and their inputs, the pipeline, runs, failures and sources."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scidb.exceptions import SciDBError
from scidb.store.model import (
    Batch,
    CallInput,
    Edge,
    EdgesSeen,
    EnvironmentSeen,
    Exported,
    Exports,
    Failed,
    Failures,
    Latest,
    Match,
    Renamed,
    Run,
    RunEnded,
    Runs,
    RunStarted,
    Sources,
    SourceSeen,
    TraceQuery,
)
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import again, call, record, save, scalars, used

if TYPE_CHECKING:
    from scidb.store.model import Record, Trace
    from scidb.store.protocol import Store

__all__ = ["EventCases", "TracingCases"]


def _calls(trace: Trace) -> list[str]:
    return [one.call_id for one in trace.calls]


def _records(trace: Trace) -> set[str]:
    return {one.record_id for one in trace.records}


def _made(store: Store, value: float, call_id: str, *inputs: CallInput, subject: int = 1) -> Record:
    """Save what one call made of these inputs."""
    made = call(call_id, *inputs)
    lineage = made.computation.lineage_id
    return save(store, "Emg", value, calls=[made], lineage_id=lineage, call_id=call_id, subject=subject)


class TracingCases(StoreCases):
    """Cases of ``trace``."""

    def test_call_comes_back_whole(self, store: Store) -> None:
        """A call comes back with its computation and all its inputs in order, and the time of its write."""
        raw = save(store, "Force", 1.0, subject=1)
        inputs = (
            used(raw, "x"),
            CallInput("gain", "constant", content_hash="g", value_repr="list of 9", literal="[1, 2]"),
            CallInput("path", "file", content_hash="p", value_repr="a.csv", root="/data"),
            CallInput("y", "computation", input_call_id="c0", output_num=1, content_hash="y"),
        )
        written = replace(call("c1", *inputs), run_id="r1", environment_id="e1", recalled_from="c0")
        entry = save(store, "Emg", 2.0, calls=[written], call_id="c1", subject=1)
        [stored] = store.trace(TraceQuery((entry.record_id,))).calls
        assert stored == replace(written, timestamp=entry.timestamp)

    def test_call_without_records(self, store: Store) -> None:
        """A call whose outputs are not saved is found downstream of its inputs."""
        raw = save(store, "Force", 1.0, subject=1)
        store.write(Batch(calls=(call("c1", used(raw)),)))
        assert _calls(store.trace(TraceQuery((raw.record_id,), "down"))) == ["c1"]

    def test_call_written_again(self, store: Store) -> None:
        """A call that comes again with its second output stays one call, as first written."""
        raw = save(store, "Force", 1.0, subject=1)
        one = call("c1", used(raw))
        first = save(store, "Emg", 1.0, calls=[one], call_id="c1", subject=1)
        second = save(store, "Emg", 2.0, calls=[one], call_id="c1", subject=2)
        trace = store.trace(TraceQuery((first.record_id, second.record_id)))
        assert trace.calls == (replace(one, timestamp=first.timestamp),)

    def test_up_and_down_a_chain(self, store: Store) -> None:
        """Calls come nearest first in both directions, with every record that they used or made."""
        raw = save(store, "Force", 0.0, subject=1)
        middle = _made(store, 1.0, "c1", used(raw))
        last = _made(store, 2.0, "c2", used(middle))
        save(store, "Force", 9.0, subject=9)
        up = store.trace(TraceQuery((last.record_id,)))
        assert _calls(up) == ["c2", "c1"]
        assert _records(up) == {raw.record_id, middle.record_id, last.record_id}
        down = store.trace(TraceQuery((raw.record_id,), "down"))
        assert _calls(down) == ["c1", "c2"]
        assert _records(down) == {raw.record_id, middle.record_id, last.record_id}
        assert _calls(store.trace(TraceQuery((middle.record_id,)))) == ["c1"]
        assert _calls(store.trace(TraceQuery((middle.record_id,), "down"))) == ["c2"]

    def test_ends_of_a_chain(self, store: Store) -> None:
        """Above a raw record and below a last one there is no call; the record itself is named."""
        raw = save(store, "Force", 0.0, subject=1)
        last = _made(store, 1.0, "c1", used(raw))
        up = store.trace(TraceQuery((raw.record_id,)))
        assert (up.calls, up.records) == ((), (raw,))
        down = store.trace(TraceQuery((last.record_id,), "down"))
        assert (down.calls, down.records) == ((), (last,))
        nothing = store.trace(TraceQuery())
        assert (nothing.calls, nothing.records, nothing.edges) == ((), (), ())

    def test_depth_counts_calls(self, store: Store) -> None:
        """With a depth of n the walk ends after n calls."""
        chain = [save(store, "Force", 0.0, subject=1)]
        for number in (1, 2, 3):
            chain.append(_made(store, float(number), f"c{number}", used(chain[-1])))
        for depth in (0, 1, 2, 3, 4):
            up = store.trace(TraceQuery((chain[-1].record_id,), "up", depth))
            assert _calls(up) == ["c3", "c2", "c1"][:depth]
            down = store.trace(TraceQuery((chain[0].record_id,), "down", depth))
            assert _calls(down) == ["c1", "c2", "c3"][:depth]
            assert _records(down) == {one.record_id for one in chain[: depth + 1]}

    def test_from_a_call(self, store: Store) -> None:
        """A walk may start at calls, which count as the first ones, also when their entries were superseded."""
        raw = save(store, "Force", 0.0, subject=1)
        middle = _made(store, 1.0, "c1", used(raw))
        _made(store, 2.0, "c2", used(middle))
        _made(store, 1.0, "c3", used(raw))
        for query, whole in (
            (TraceQuery(direction="up", call_ids=("c2", "none")), ["c2", "c1"]),
            (TraceQuery(direction="down", call_ids=("c2", "none")), ["c2"]),
        ):
            assert _calls(store.trace(query)) == whole
            assert _calls(store.trace(replace(query, depth=1))) == ["c2"]
            assert _calls(store.trace(replace(query, depth=0))) == []
        assert _calls(store.trace(TraceQuery((), "down", call_ids=("c1",)))) == ["c1", "c2"]
        both = store.trace(TraceQuery((middle.record_id,), "up", 1, call_ids=("c1", "c3")))
        assert set(_calls(both)) == {"c1", "c3"}
        assert len(both.calls) == 2

    def test_shared_ancestor_once(self, store: Store) -> None:
        """A call that is reached by several ways comes once, at its nearest."""
        raw = save(store, "Force", 0.0, subject=1)
        root = _made(store, 1.0, "root", used(raw))
        left = _made(store, 2.0, "left", used(root, "l"))
        right = _made(store, 3.0, "right", used(root, "r"), used(left))
        last = _made(store, 4.0, "last", used(left), used(right, "y"))
        up = _calls(store.trace(TraceQuery((last.record_id,))))
        assert (up[0], sorted(up[1:3]), up[3:]) == ("last", ["left", "right"], ["root"])
        down = _calls(store.trace(TraceQuery((root.record_id,), "down")))
        assert (sorted(down[:2]), down[2:]) == (["left", "right"], ["last"])
        both = store.trace(TraceQuery((left.record_id, right.record_id)))
        assert sorted(_calls(both)) == ["left", "right", "root"]

    def test_several_inputs_of_one_parameter(self, store: Store) -> None:
        """A call over several records is downstream of each, once."""
        raw = [save(store, "Force", float(subject), subject=subject) for subject in (1, 2, 3)]
        mean = _made(store, 9.0, "c1", *(used(one) for one in raw))
        assert _calls(store.trace(TraceQuery((raw[1].record_id,), "down"))) == ["c1"]
        up = store.trace(TraceQuery((mean.record_id,)))
        assert _records(up) == {one.record_id for one in (*raw, mean)}
        assert [one.record_id for one in up.calls[0].inputs] == [one.record_id for one in raw]

    def test_unsaved_intermediate(self, store: Store) -> None:
        """The walk goes through calls whose results were handed on without being saved."""
        raw = save(store, "Force", 0.0, subject=1)
        store.write(Batch(calls=(call("c1", used(raw)),)))
        handed_on = CallInput("x", "computation", input_call_id="c1", output_num=0, content_hash="y")
        last = _made(store, 1.0, "c2", handed_on)
        assert _calls(store.trace(TraceQuery((last.record_id,)))) == ["c2", "c1"]
        down = store.trace(TraceQuery((raw.record_id,), "down"))
        assert _calls(down) == ["c1", "c2"]
        assert _records(down) == {raw.record_id, last.record_id}

    def test_equal_content_own_calls(self, store: Store) -> None:
        """Two subjects with equal data share a computation, but each is traced to its own input (M6a)."""
        raw = [store.write(Batch(chunks=(scalars([record("Force", 5.0, {"subject": n})], [5.0]),)))[0] for n in (1, 2)]
        made = [_made(store, 6.0, f"c{n}", used(raw[n - 1]), subject=n) for n in (1, 2)]
        assert raw[0].content_hash == raw[1].content_hash
        assert made[0].lineage_id == made[1].lineage_id
        for number in (0, 1):
            up = store.trace(TraceQuery((made[number].record_id,)))
            assert _calls(up) == [f"c{number + 1}"]
            assert _records(up) == {raw[number].record_id, made[number].record_id}
            down = store.trace(TraceQuery((raw[number].record_id,), "down"))
            assert _calls(down) == [f"c{number + 1}"]

    def test_a_circle_ends(self, store: Store) -> None:
        """A record that is made again from what was made of it does not send the walk round for ever."""
        raw = save(store, "Emg", 0.0, subject=1)
        other = _made(store, 1.0, "c1", used(raw))
        assert _made(store, 0.0, "c2", used(other)).record_id == raw.record_id
        down = store.trace(TraceQuery((raw.record_id,), "down"))
        assert _calls(down) == ["c1", "c2"]
        up = store.trace(TraceQuery((raw.record_id,)))
        assert _calls(up) == ["c2", "c1"]

    def test_up_goes_through_the_newest_entry(self, store: Store) -> None:
        """A record that several calls made is traced through its newest entry."""
        raw, other = save(store, "Force", 1.0, subject=1), save(store, "Force", 2.0, subject=2)
        _made(store, 5.0, "c1", used(raw))
        entry = _made(store, 5.0, "c2", used(other))
        trace = store.trace(TraceQuery((entry.record_id,)))
        assert _calls(trace) == ["c2"]
        assert entry in trace.records

    def test_an_input_goes_through_the_call_it_names(self, store: Store) -> None:
        """A record met as an input is traced through the call that made it then, not a newer one."""
        raw, other = save(store, "Force", 1.0, subject=1), save(store, "Force", 2.0, subject=2)
        middle = _made(store, 5.0, "c1", used(raw))
        last = _made(store, 6.0, "c3", used(middle))
        newest = _made(store, 5.0, "c2", used(other))
        assert newest.record_id == middle.record_id
        trace = store.trace(TraceQuery((last.record_id,)))
        assert _calls(trace) == ["c3", "c1"]
        assert newest in trace.records

    def test_records_at_their_newest_entry(self, store: Store) -> None:
        """A trace shows every record at its newest entry."""
        raw = save(store, "Force", 1.0, subject=1)
        last = _made(store, 2.0, "c1", used(raw))
        newest = again(store, raw)
        trace = store.trace(TraceQuery((last.record_id,)))
        assert sorted(trace.records, key=lambda one: one.timestamp) == [last, newest]

    def test_current_pipeline(self, store: Store) -> None:
        """Edges are current when no newer set has edges of the same target and function."""
        store.write(Batch(edges=(Edge("Raw", "Force", "f", "h1"), Edge("Old", "Force", "f", "h1"))))
        store.write(Batch(edges=(Edge("Force", "Emg", "g", "h2"),)))
        newest = (Edge("Raw", "Force", "f", "h3"), Edge("Raw", "Force", "other", "h4"))
        store.write(Batch(edges=newest))
        edges = store.trace(TraceQuery(edges=True)).edges
        assert all(edge.timestamp for edge in edges)
        assert {replace(edge, timestamp="") for edge in edges} == {Edge("Force", "Emg", "g", "h2"), *newest}
        assert store.trace(TraceQuery()).edges == ()

    def test_edges_that_were_seen(self, store: Store) -> None:
        """A set that is as the current one is not stored again, also after reopening; each set of a run is."""
        first = (Edge("Raw", "Force", "f", "h1"), Edge("Bias", "Force", "f", "h1"))
        begun = _seen(store, *first)
        assert {replace(edge, timestamp="") for edge in begun} == set(first)
        assert _seen(store, *first[::-1]) == begun
        store = self.reopen(store)
        assert _seen(store, *first, *first) == begun

        [alone] = _seen(store, first[0])
        assert replace(alone, timestamp="") == first[0]
        again = _seen(store, *first)
        assert {replace(edge, timestamp="") for edge in again} == set(first)
        assert min(edge.timestamp for edge in again) > alone.timestamp

        store.write(Batch(edges=first))
        run = store.trace(TraceQuery(edges=True)).edges
        assert min(edge.timestamp for edge in run) > again[0].timestamp
        assert _seen(store, *first) == run
        store.write(Batch(edges=first[1:]))
        assert {replace(edge, timestamp="") for edge in _seen(store, *first)} == set(first)

    def test_edges_seen_of_a_renamed_variable(self, store: Store) -> None:
        """What was seen under the former name is current under the new one."""
        save(store, "Force", 1.0, subject=1)
        _seen(store, Edge("Raw", "Force", "f", "h1"), Edge("Force", "Emg", "g", "h1"))
        store.write(Batch(events=(Renamed("Force", "Push"),)))
        renamed = store.trace(TraceQuery(edges=True)).edges
        assert _seen(store, Edge("Raw", "Push", "f", "h1"), Edge("Push", "Emg", "g", "h1")) == renamed

    def test_one_arrow_each(self, store: Store) -> None:
        """Of two codes of one function that were seen together, the later one is what the pipeline shows."""
        [edge] = _seen(store, Edge("Raw", "Force", "f", "h1"), Edge("Raw", "Force", "f", "h2"))
        assert edge.function_hash == "h2"

    def test_edges_seen_in_a_refused_batch(self, store: Store) -> None:
        """What was not stored is stored the next time."""
        edge = Edge("Raw", "Force", "f", "h1")
        unknown = scalars([record("Unknown", 1.0, {"subject": 1})], [1.0])
        with pytest.raises(SciDBError):
            store.write(Batch(chunks=(unknown,), events=(EdgesSeen((edge,)),)))
        assert store.trace(TraceQuery(edges=True)).edges == ()
        assert [replace(one, timestamp="") for one in _seen(store, edge)] == [edge]


def _seen(store: Store, *edges: Edge) -> tuple[Edge, ...]:
    store.write(Batch(events=(EdgesSeen(edges),)))
    return store.trace(TraceQuery(edges=True)).edges


class EventCases(StoreCases):
    """Cases of runs, failures and sources."""

    def test_run(self, store: Store) -> None:
        """A run is there once it began, and has its counts once it ended."""
        store.write(Batch(events=(RunStarted("r1", "f", "h", 3, "ada", '{"outputs":[]}'),)))
        [begun] = store.find(Runs())
        assert begun == Run("r1", "f", "h", 3, "ada", begun.started, configuration='{"outputs":[]}')
        store.write(
            Batch(
                events=(RunEnded("r1", completed=1, recalled=2, up_to_date=3, skipped=4, failed=5, interrupted=True),)
            )
        )
        [ended] = store.find(Runs())
        assert ended.ended is not None
        assert ended.ended > ended.started
        assert ended == replace(
            begun,
            ended=ended.ended,
            completed=1,
            recalled=2,
            up_to_date=3,
            skipped=4,
            failed=5,
            interrupted=True,
        )

    def test_runs_newest_first(self, store: Store) -> None:
        """Runs come newest first, and `limit` keeps the newest."""
        for number in range(3):
            store.write(Batch(events=(RunStarted(f"r{number}", "f", "h", total=1),)))
        assert [run.run_id for run in store.find(Runs())] == ["r2", "r1", "r0"]
        assert [run.run_id for run in store.find(Runs(limit=2))] == ["r2", "r1"]

    def test_failures(self, store: Store) -> None:
        """Failed combinations come in the order of failing, of one run or of all (R2)."""
        failed = [
            Failed(
                f"r{n % 2}",
                {"subject": n, "trial": 1},
                '{"gain":1}',
                "ValueError",
                f"no {n}",
                "Traceback",
                0.5,
                "l",
                (
                    CallInput("x", "record", record_id=f"r{n}", type_name="Force"),
                    CallInput("k", "constant", literal="'ß\\udcff'"),
                ),
            )
            for n in (2, 1, 0)
        ]
        store.write(Batch(events=tuple(failed[:2])))
        store.write(Batch(events=(failed[2],)))
        found = store.find(Failures())
        assert [one.message for one in found] == ["no 2", "no 1", "no 0"]
        assert found[0].schema == {"subject": 2, "trial": 1}
        assert (found[0].version_keys, found[0].error, found[0].traceback) == (
            '{"gain":1}',
            "ValueError",
            "Traceback",
        )
        assert (found[0].seconds, found[0].lineage_id) == (0.5, "l")
        assert [one.inputs for one in found] == [one.inputs for one in failed]
        assert found[0].timestamp == found[1].timestamp < found[2].timestamp
        assert [one.message for one in store.find(Failures("r0"))] == ["no 2", "no 0"]
        assert store.find(Failures("r9")) == []
        assert store.find(Failures(version_keys=("{}", '{"gain":1}'))) == found
        assert [one.message for one in store.find(Failures("r1", ('{"gain":1}',)))] == ["no 1"]
        assert store.find(Failures(version_keys=("{}",))) == store.find(Failures(version_keys=())) == []

    def test_sources(self, store: Store) -> None:
        """The code behind a function_hash is kept once, and found by it."""
        seen = SourceSeen("h1", "f", '{"f":"s1"}', {"s1": "def f():\n    return 'ß'\n", "s2": "x = 1"})
        store.write(Batch(events=(seen, SourceSeen("h2", "g", "{}", {"s2": "x = 1"}))))
        store.write(Batch(events=(seen,)))
        [source] = store.find(Sources(("h1", "h9")))
        assert (source.function_name, source.manifest, source.sources) == ("f", seen.manifest, seen.sources)
        both = store.find(Sources(("h1", "h2")))
        assert {one.function_hash: dict(one.sources) for one in both} == {
            "h1": dict(seen.sources),
            "h2": {"s2": "x = 1"},
        }
        assert store.find(Sources()) == []

    def test_sources_in_several_places(self, store: Store) -> None:
        """Equal code is kept once for each place where it stands, with the manifest that it has there."""
        places = [SourceSeen("h1", "f", f'{{"at":"{at}"}}', {"s1": "x = 1"}, f"{at}:f") for at in ("lab", "a")]
        store.write(Batch(events=(*places, SourceSeen("h2", "f", "{}", {}, "lab:f"))))
        store.write(Batch(events=(*places, replace(places[0], manifest="later"))))
        assert [(one.function_hash, one.function_ref, one.manifest) for one in store.find(Sources(("h2", "h1")))] == [
            ("h2", "lab:f", "{}"),
            ("h1", "a:f", '{"at":"a"}'),
            ("h1", "lab:f", '{"at":"lab"}'),
        ]

    def test_environment_twice(self, store: Store) -> None:
        """An environment that is seen again is no error."""
        seen = EnvironmentSeen("e1", '{"python":"3.13"}')
        store.write(Batch(events=(seen, seen)))
        store.write(Batch(events=(seen,)))

    def test_exports(self, store: Store) -> None:
        """Files into which records were written are found in the order of writing, with digest and records."""
        first = Exported("/a.csv", "d1", ("r1", "r2"), user_id="me")
        store.write(Batch(events=(first, Exported("/b.csv", "d2", ()))))
        store.write(Batch(events=(Exported("/a.csv", "d3", tuple(f"r{number}" for number in range(9))),)))
        found = store.find(Exports())
        assert [(one.path, one.sha256) for one in found] == [("/a.csv", "d1"), ("/b.csv", "d2"), ("/a.csv", "d3")]
        assert (found[0].record_ids, found[0].user_id, found[1].record_ids) == (("r1", "r2"), "me", ())
        assert len(found[2].record_ids) == 9
        assert found[0].timestamp == found[1].timestamp < found[2].timestamp

    def test_events_come_first(self, store: Store) -> None:
        """One write may begin a run, log its records and end it."""
        entry = record("Force", 1.0, {"subject": 1})
        end = RunEnded("r1", completed=1, recalled=0, up_to_date=0, skipped=0, failed=0)
        started = RunStarted("r1", "f", "h", total=1)
        [stored] = store.write(Batch(chunks=(scalars([entry], [1.0]),), events=(started, end)))
        [run] = store.find(Runs())
        assert (run.started, run.ended, run.interrupted) == (stored.timestamp, stored.timestamp, False)
        assert store.find(Latest(Match(variables=("Force",)))) == [stored]
