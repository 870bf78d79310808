"""The fresh process: makes recorded calls again, and writes down what became of each.

Started as ``python -m scidb.provenance.reproduction.child FOLDER`` by `scidb.provenance.reproduction.process`. It
opens no database. Modules are imported only where the asking process had imported them; stored code comes here
only when its reader has agreed to that.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import SciDBError
from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.reference import attribute, split_reference, unwrapped
from scidb.hashing.ids import content_hash
from scidb.hashing.settings import configure
from scidb.provenance.live import live_code
from scidb.provenance.reproduction.calls import CannotRunError, Material, called, digest_of, part_of, prepared
from scidb.provenance.reproduction.exchange import Ended, Journal, read_chunk, read_order, write_chunk
from scidb.provenance.reproduction.rebuild import rebuilt
from scidb.records import class_named, encode_stored, instances, values_of
from scidb.store.model import Chunk
from scidb.thunk import Thunk
from scidb.thunk.binding import without_history
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scidb.provenance.reproduction.exchange import Code, Order, Step
    from scidb.store.model import Record

__all__ = ["main"]


class _Rerun:
    """The calls of one order, and the values that were made so far."""

    def __init__(self, folder: Path, order: Order) -> None:
        self._folder = folder
        self._order = order
        self._journal = Journal(folder)
        self._made: dict[str, Chunk] = {}  # what was made again takes the place of what is stored
        self._results: dict[str, Sequence[Any]] = {}
        self._functions: dict[str, tuple[Callable[..., Any], str, tuple[str, ...]]] = {}
        self._steps = {step.call.call_id: step for step in order.steps}
        self._uses = self._count_uses()

    def run(self) -> None:
        """Make every call again that can be; one that cannot does not keep the others from it."""
        for name in self._order.classes:
            _imported(name)
        for step in self._order.steps:
            self._journal.begin(step.call.call_id)
            self._journal.end(self._step(step))
            self._forget_inputs(step)

    def _step(self, step: Step) -> Ended:
        call_id = step.call.call_id
        if step.problem:
            return Ended(call_id, step.problem)
        try:
            function, origin, remarks = self._function(step)
            ready = prepared(step, function, self._material())
            started = time.perf_counter()
            outputs = _outputs(step, _run(step, function, ready.arguments))
            seconds = time.perf_counter() - started
            if changed := [str(path) for path, digest in ready.files.items() if digest_of(path) != digest]:
                return Ended(call_id, f"the file {changed[0]} changed while the function ran")
            contents = tuple(map(_content, outputs))
            stored, files = self._keep(step, outputs)
        except CannotRunError as error:
            return Ended(call_id, str(error), error.traceback)
        except SciDBError as error:
            return Ended(call_id, f"{type(error).__name__}: {error}")
        self._results[call_id] = outputs
        return Ended(
            call_id=call_id,
            problem="",
            traceback="",
            origin=origin,
            seconds=seconds,
            contents=contents,
            stored=stored,
            files=files,
            remarks=remarks,
        )

    # -------------------------------------------------------------- code

    def _function(self, step: Step) -> tuple[Callable[..., Any], str, tuple[str, ...]]:
        function_hash = step.call.computation.function_hash
        if function_hash not in self._functions:
            self._functions[function_hash] = _function_of(self._order.codes[function_hash])
        return self._functions[function_hash]

    # -------------------------------------------------------------- values

    def _material(self) -> Material:
        order = self._order
        return Material(
            records=order.inputs,
            value_of=self._value,
            result_of=self._result,
            lineage_of=lambda call_id: self._steps[call_id].call.computation.lineage_id,
            schema_keys=order.schema_keys,
            root_folders=order.root_folders,
        )

    def _value(self, record_id: str, whole: bool) -> Any:
        record = self._order.inputs[record_id]
        chunk = self._made.get(record_id)
        if chunk is None:
            file = self._order.files.get(record_id)
            if file is None:
                raise CannotRunError(f"the {record.variable} that it takes is not stored any more")
            table = read_chunk(self._folder / file, record_id).table
            chunk = Chunk((record,), table)
        cls = class_named(record.variable)
        if cls is BaseVariable and _is_custom(record):
            raise CannotRunError(_no_class(record.variable))
        (value,) = instances(chunk, cls) if whole else values_of(chunk, cls)
        return value

    def _result(self, call_id: str, number: int) -> Any:
        if call_id not in self._results:
            name = self._steps[call_id].call.computation.function_name if call_id in self._steps else "a call"
            raise CannotRunError(
                f"it takes a result of {name}() that was never saved, and that could not be made again"
            )
        value = self._results[call_id][number]
        try:
            return copy.deepcopy(value)
        except (TypeError, ValueError, RuntimeError, copy.Error):
            return value

    def _keep(self, step: Step, outputs: Sequence[Any]) -> tuple[dict[str, str], dict[str, str]]:
        """Return what was made by its hash, in the form in which it is stored, and write what is not as stored.

        Later steps take it in that form, too.
        """
        stored: dict[str, str] = {}
        files: dict[str, str] = {}
        for record in step.made:
            if record.output_num is None or record.output_num >= len(outputs):
                continue
            chunk = _as_stored(record, part_of(record, outputs[record.output_num]))
            stored[record.record_id] = chunk.records[0].content_hash
            if stored[record.record_id] != record.content_hash:
                files[record.record_id] = f"made-{step.call.call_id}-{len(files)}.arrow"
                write_chunk(self._folder / files[record.record_id], chunk)
            if record.record_id in self._order.inputs:
                self._made[record.record_id] = chunk
        return stored, files

    def _count_uses(self) -> dict[str, int]:
        uses: dict[str, int] = {}
        for step in self._order.steps:
            for origin in step.call.inputs:
                for key in (origin.record_id, origin.input_call_id):
                    if key is not None:
                        uses[key] = uses.get(key, 0) + 1
        return uses

    def _forget_inputs(self, step: Step) -> None:
        """Let go of what no later step takes."""
        for origin in step.call.inputs:
            for key in (origin.record_id, origin.input_call_id):
                if key is not None:
                    self._uses[key] -= 1
                    if self._uses[key] == 0:
                        self._made.pop(key, None)
                        self._results.pop(key, None)
        if not self._uses.get(step.call.call_id):
            self._results.pop(step.call.call_id, None)


def _function_of(code: Code) -> tuple[Callable[..., Any], str, tuple[str, ...]]:
    """Return the very code that was recorded, where it came from, and what had to be assumed.

    Raises
    ------
    CannotRunError
        When it cannot be had as it was.

    """
    if code.module is not None and _imported(code.module) == "":
        live = live_code(code.manifest, code.reference)
        if live is not None and live.fingerprint.hash == code.function_hash:
            function = live.function
            return (function.function if isinstance(function, Thunk) else function), code.origin, ()
        if (unnamed := _with_options(code)) is not None:
            return unnamed, code.origin, ()
    function, remarks = rebuilt(code)
    return function, "this session" if code.origin == "installed" else code.origin, remarks


def _with_options(code: Code) -> Callable[..., Any] | None:
    """Return the function of a thunk that no module names, if it has the recorded fingerprint with its options."""
    function = unwrapped(attribute(*split_reference(code.reference))) if code.reference else None
    if not callable(function) or (code.version is None and not code.ignore):
        return None
    now = fingerprint(function, version=code.version, ignore=code.ignore)
    return function if now.hash == code.function_hash else None


_import_problems: Final[dict[str, str]] = {}


def _imported(name: str) -> str:
    """Import a module that the asking process has imported, too; return why that failed, if it did."""
    if name not in _import_problems:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's module may raise anything
            _import_problems[name] = f"{type(error).__name__}: {error}"
        else:
            _import_problems[name] = ""
    return _import_problems[name]


def _run(step: Step, function: Callable[..., Any], arguments: Any) -> Any:
    try:
        return called(function, arguments)
    except (Exception, SystemExit) as error:
        trace = error.__traceback__
        here = str(Path(__file__).parent)
        while trace is not None and trace.tb_frame.f_code.co_filename.startswith(here):
            trace = trace.tb_next
        raise CannotRunError(
            f"{step.call.computation.function_name}() raised {type(error).__name__}: {error}",
            "".join(traceback.format_exception(type(error), error, trace)),
        ) from error


def _outputs(step: Step, result: Any) -> Sequence[Any]:
    name = step.call.computation.function_name
    declared = json.loads(step.call.computation.outputs)
    result = without_history(result)
    if declared in (1, ["distribute", 1]):
        return [result]
    count = declared[1] if isinstance(declared, list) else declared
    if not isinstance(result, tuple | list) or len(result) != count:
        raise CannotRunError(f"{name}() returned a {type(result).__name__}, where it had {count} outputs")
    return list(result)


def _content(value: Any) -> str | None:
    try:
        return content_hash(value)
    except SciDBError:
        return None


def _as_stored(record: Record, value: Any) -> Chunk:
    cls = class_named(record.variable)
    custom = _is_custom(record)
    if custom and cls is BaseVariable:
        raise CannotRunError(_no_class(record.variable))
    if custom and cls.schema_version != record.schema_version:
        raise CannotRunError(
            f"{record.variable} was stored with schema_version {record.schema_version}, and the class that is imported "
            f"has {cls.schema_version}"
        )
    stored = cls(value).stored_value() if custom or not cls.has_custom_storage() else value
    (encoded,) = encode_stored([stored], custom=custom)
    fields = {name: getattr(record, name) for name in record.__slots__}
    made = type(record)(**{**fields, "encoding": encoded.encoding, "content_hash": content_hash(stored)})
    return Chunk((made,), encoded.table)


def _is_custom(record: Record) -> bool:
    return json.loads(record.encoding).get("custom") is True


def _no_class(variable: str) -> str:
    return (
        f"{variable} is stored by its class (to_db, from_db), which a fresh process cannot import: define it in a "
        "module, and import that or name it with --import"
    )


# ------------------------------------------------------------------ the process


def _end_with_parent() -> None:
    """End this process when the one that asked is gone; user code then has no standard input to read."""
    watched = os.dup(0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        while os.read(watched, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(folder: Path) -> None:
    """Do what the order in a folder says."""
    order = read_order(folder)
    sys.path[:] = order.path
    configure(**order.settings)
    _Rerun(folder, order).run()


if __name__ == "__main__":
    _end_with_parent()
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # whatever threads the user's code has left behind
