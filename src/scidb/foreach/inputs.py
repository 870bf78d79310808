"""What can be given to `for_each` beside variables, files and constants: `Fixed`, `Merge` and `EachOf`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from scidb.exceptions import PipelineError
from scidb.filters import ColumnSelection, Subject, VariableOperand, subject_of
from scidb.foreach.paths import PathInput
from scidb.foreach.protocols import Loadable
from scidb.hashing.ids import content_hash
from scidb.hashing.inputs import preview
from scidb.hashing.version_keys import wanted_texts

if TYPE_CHECKING:
    from scidb.foreach.protocols import Recorder

__all__ = ["EachOf", "Fixed", "Merge"]

# What holds several values, and is one alternative.
_SEVERAL: Final = (list, tuple, set, frozenset, range, np.ndarray)


class Fixed(VariableOperand):
    """An input with some keys fixed, whatever the combination says of them.

    Schema keys choose a location, version keys a variant. In a filter, version keys choose which variant of a
    variable is compared; locations are those of what is asked for.

    Parameters
    ----------
    source
        A variable class, a column of one or several (``V["col"]``), or a `Fixed` that fixes other keys.
    **metadata
        The fixed keys.

    Examples
    --------
    >>> from scidb import BaseVariable, Fixed
    >>> class ReactionTime(BaseVariable):
    ...     \"\"\"Mean reaction time of a day.\"\"\"
    >>> Fixed(ReactionTime, day=0)
    Fixed(ReactionTime, day=0)
    >>> Fixed(Fixed(ReactionTime["mean"], day=0), smoothing=0.2)
    Fixed(ReactionTime['mean'], day=0, smoothing=0.2)
    >>> (Fixed(ReactionTime, smoothing=0.2) > 300).to_key()
    'Fixed(ReactionTime, smoothing=0.2) > 300'

    """

    def __init__(self, source: type | ColumnSelection | Fixed, /, **metadata: Any) -> None:
        if isinstance(source, Fixed):
            source, metadata = _nested(source, metadata)
        self.columns = source if isinstance(source, ColumnSelection) else None
        if isinstance(source, ColumnSelection):
            source = source.source
        if not isinstance(source, Loadable):
            raise PipelineError(f"Fixed(...) takes a variable class first, got {preview(source)}. {_advice(source)}")
        self.source = cast("Loadable", source)
        self.metadata: dict[str, Any] = metadata

    def to_key(self) -> str:
        """Return the normalised text that enters the version keys: ``Fixed(X, session='pre')``."""
        source = self.columns.to_key() if self.columns else self.source.__name__
        if not self.metadata:
            return source
        pairs = ", ".join(f"{key}={_plain_text(value)}" for key, value in sorted(self.metadata.items()))
        return f"Fixed({source}, {pairs})"

    def converted(self, recorder: Recorder) -> Fixed:
        """Return this input with the values of schema keys in the type of their key."""
        converted = {
            key: recorder.key_value(key, value) if key in recorder.schema_keys and value is not None else value
            for key, value in self.metadata.items()
        }
        return Fixed(self.columns or cast("type", self.source), **converted)

    def _named(self) -> Subject:
        column = subject_of(self.columns).column if self.columns else None
        version = tuple((name, wanted_texts(name, value)) for name, value in self.metadata.items())
        return Subject(self.source.__name__, column, version)

    __repr__ = to_key


def _nested(inner: Fixed, metadata: dict[str, Any]) -> tuple[type | ColumnSelection, dict[str, Any]]:
    twice = sorted(inner.metadata.keys() & metadata.keys())
    if twice:
        raise PipelineError(f"Fixed({inner!r}, {twice[0]}=...) fixes {twice[0]!r} twice. Fix each key once.")
    return inner.columns or cast("type", inner.source), {**inner.metadata, **metadata}


def _advice(source: object) -> str:
    """Return what to do instead of fixing the keys of something that is no variable."""
    if isinstance(source, Merge):
        return "Fix keys of what is merged: Merge(Fixed(A, session='pre'), B)."
    if isinstance(source, EachOf):
        return "Fix keys of each alternative: EachOf(Fixed(A, k=0.2), Fixed(A, k=0.3))."
    if isinstance(source, PathInput):
        return "Write the value into the template: PathInput('{subject}/pre.csv')."
    return "Constants are passed as they are."


def _plain_text(value: Any) -> str:
    """Write a fixed value as text that is the same for equal values, in every process."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    return content_hash(value)[:12]


class Merge:
    """One table made of several inputs: the function receives a pandas DataFrame per combination.

    Columns of tables keep their labels. A number, a text or another single value stands in every row. An array, a
    list or a Series is a column; it and a single value are named after their variable, a two-dimensional array gives
    ``Name_0``, ``Name_1`` and so on. Rows stand side by side in their order, so all parts have equally many.

    Parameters
    ----------
    *sources
        Variable classes, columns of them (``V["col"]``, ``V[["a", "b"]]``), and those in `Fixed`. A `Merge` among
        them stands for its parts.

    Examples
    --------
    >>> import scidb
    >>> from scidb import BaseVariable, Merge, for_each
    >>> class Angle(BaseVariable):
    ...     \"\"\"Knee angle during a trial.\"\"\"
    >>> class Side(BaseVariable):
    ...     \"\"\"The side that was recorded.\"\"\"
    >>> class Rows(BaseVariable):
    ...     \"\"\"What the table says, row by row.\"\"\"
    >>> Merge(Angle, Side)
    Merge(Angle, Side)
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     _ = Angle.save([10, 20], subject=1, db=db)
    ...     _ = Side.save("L", subject=1, db=db)
    ...     _ = for_each(lambda t: t.to_dict("records"), {"t": Merge(Angle, Side)}, [Rows], subject=[], db=db)
    ...     Rows.load_one(subject=1, db=db).data
    [{'Angle': 10, 'Side': 'L'}, {'Angle': 20, 'Side': 'L'}]

    """

    def __init__(self, *sources: type | ColumnSelection | Fixed | Merge, **metadata: Any) -> None:
        if metadata:
            pairs = ", ".join(f"{key}={value!r}" for key, value in metadata.items())
            raise PipelineError(f"Merge(..., {pairs}): keys are fixed part by part: Merge(Fixed(A, {pairs}), B).")
        if not sources:
            raise PipelineError("Merge() has nothing to merge: Merge(A, B['column'], Fixed(C, session='pre')).")
        self.parts: tuple[Fixed, ...] = tuple(part for source in sources for part in _parts(source))
        texts = [part.to_key() for part in self.parts]
        twice = next((text for text in texts if texts.count(text) > 1), None)
        if twice is not None:
            raise PipelineError(f"Merge(...) names {twice} twice, whose columns would have the same names.")

    def to_key(self) -> str:
        """Return the normalised text that enters the version keys: ``Merge(A, B['col'])``."""
        return f"Merge({', '.join(part.to_key() for part in self.parts)})"

    def converted(self, recorder: Recorder) -> Merge:
        """Return this input with the values of schema keys in the type of their key."""
        return Merge(*(part.converted(recorder) for part in self.parts))

    __repr__ = to_key


def _parts(source: object) -> tuple[Fixed, ...]:
    if isinstance(source, Merge):
        return source.parts
    if isinstance(source, Fixed):
        return (source,)
    if isinstance(source, ColumnSelection) or (isinstance(source, type) and isinstance(source, Loadable)):
        return (Fixed(source),)
    advice = "Pass it as an input of its own."
    if isinstance(source, EachOf):
        advice = "Write the tables as the alternatives: EachOf(Merge(A, B), Merge(A, C))."
    elif isinstance(source, list | tuple):
        advice = "Name them one after the other: Merge(A, B)."
    raise PipelineError(
        "Merge(...) takes variable classes, columns of them such as V['column'], and Fixed(...); "
        f"got {preview(source)}. {advice}"
    )


class EachOf:
    """Alternatives for one input: `for_each` runs over all combinations with each of them.

    Each alternative is a variant of its own, labelled as if it had been given alone. Of several inputs with
    alternatives, every alternative of one goes with every alternative of the others.

    Parameters
    ----------
    *alternatives
        Constants, or variables and other inputs. An `EachOf` among them stands for its alternatives.

    Examples
    --------
    >>> import scidb
    >>> from scidb import BaseVariable, EachOf, for_each
    >>> class Force(BaseVariable):
    ...     \"\"\"Force during one trial.\"\"\"
    >>> class Scaled(BaseVariable):
    ...     \"\"\"Force times a gain.\"\"\"
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     _ = Force.save(2.0, subject=1, db=db)
    ...     inputs = {"force": Force, "gain": EachOf(10, 100)}
    ...     report = for_each(lambda force, gain: force * gain, inputs, [Scaled], subject=[], db=db)
    ...     sorted((value.version_keys["gain"], value.data) for value in Scaled.load_all(db=db))
    [(10, 20.0), (100, 200.0)]
    >>> report.to_pandas()[["subject", "gain", "state"]].values.tolist()
    [[1, 10, 'completed'], [1, 100, 'completed']]

    """

    def __init__(self, *alternatives: Any, **metadata: Any) -> None:
        if metadata:
            pairs = ", ".join(f"{key}={value!r}" for key, value in metadata.items())
            raise PipelineError(f"EachOf(..., {pairs}): keys are fixed one by one: EachOf(Fixed(A, {pairs}), ...).")
        if not alternatives:
            raise PipelineError("EachOf() has no alternatives: EachOf(0.2, 0.3).")
        if len(alternatives) == 1 and isinstance(alternatives[0], _SEVERAL):
            raise PipelineError(
                f"EachOf({preview(alternatives[0])}) has one alternative, which is a {type(alternatives[0]).__name__}. "
                "Name the alternatives one after the other, EachOf(0.2, 0.3), or write EachOf(*values)."
            )
        self.alternatives: tuple[Any, ...] = tuple(
            one for given in alternatives for one in (given.alternatives if isinstance(given, EachOf) else (given,))
        )

    def __repr__(self) -> str:
        return f"EachOf({', '.join(map(named, self.alternatives))})"


def named(spec: Any) -> str:
    """Return an input, or a constant, in a few words."""
    if hasattr(spec, "to_key"):
        return str(spec.to_key())
    return spec.__name__ if isinstance(spec, type) else preview(spec)
