"""Ready-made variable classes, to begin with and to subclass.

One class is one variable: all values saved as `Array` are versions and places of one thing. An analysis that
keeps two kinds of arrays has two classes, ``class RawEmg(Array)`` and ``class FilteredEmg(Array)``. Importing
this module adds nothing to any database; saving does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pandas as pd

from scidb.exceptions import UnsupportedValueError
from scidb.hashing.inputs import preview
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Array", "DataFrame", "RotationMatrix", "Series"]

_AXES: Final = ("x", "y", "z")
_PAIRS: Final = tuple(row + column for row in _AXES for column in _AXES)


class Array(BaseVariable):
    """A numpy array of any shape and dtype.

    Examples
    --------
    >>> from scidb.variables import Array
    >>> class RawEmg(Array):
    ...     \"\"\"Muscle activity as recorded.\"\"\"
    ...     units = "mV"
    >>> RawEmg.table_name(), RawEmg.units
    ('RawEmg_data', 'mV')

    """

    def stored_value(self) -> Any:
        """Return the array, or raise UnsupportedValueError when the value is none."""
        return _checked(self, np.ndarray, "a numpy array, as numpy.asarray makes it")


class DataFrame(BaseVariable):
    """A pandas DataFrame with its index, its column names and the type of each column.

    Examples
    --------
    >>> from scidb.variables import DataFrame
    >>> class GaitKinematics(DataFrame):
    ...     \"\"\"Joint angles and stride times, one row per stride.\"\"\"
    ...     units = {"knee": "deg", "stride": "s"}
    >>> GaitKinematics.view_name()
    'GaitKinematics'

    """

    def stored_value(self) -> Any:
        """Return the frame, or raise UnsupportedValueError when the value is none."""
        return _checked(self, pd.DataFrame, "a pandas DataFrame")


class Series(BaseVariable):
    """A pandas Series with its index and its name.

    Examples
    --------
    >>> from scidb.variables import Series
    >>> class KneeTorque(Series):
    ...     \"\"\"Torque over the gait cycle, by per cent of the cycle.\"\"\"
    ...     units = "N m"
    >>> KneeTorque.units
    'N m'

    """

    def stored_value(self) -> Any:
        """Return the Series, or raise UnsupportedValueError when the value is none."""
        return _checked(self, pd.Series, "a pandas Series")


def _checked(variable: BaseVariable, kind: type, wanted: str) -> Any:
    if not isinstance(variable.data, kind):
        raise UnsupportedValueError(
            f"{variable.type_name} cannot be saved, because the value is {preview(variable.data)} "
            f"({type(variable.data).__name__}). Expected is {wanted}; values of another kind belong into a variable "
            "class of their own.",
            path="",
        )
    return variable.data


class RotationMatrix(BaseVariable):
    """One rotation as a 3 x 3 matrix, or N of them as an N x 3 x 3 array.

    A save checks that each matrix is a rotation: its rows are of length 1 and at right angles, and its
    determinant is +1, all within `tolerance`. Among N matrices, one that is NaN throughout stands for a missing
    sample.

    In SQL, one rotation is three rows with the columns ``x``, ``y``, ``z``. N of them are one row each with
    the columns ``xx``, ``xy``, ... ``zz``, row by row of the matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from scidb.variables import RotationMatrix
    >>> class ShankOrientation(RotationMatrix):
    ...     \"\"\"Orientation of the shank in the laboratory.\"\"\"
    >>> ShankOrientation(np.eye(3)).to_db().columns.tolist()
    ['x', 'y', 'z']

    """

    tolerance: ClassVar[float] = 1e-4
    """How far products of rows and determinants may be off; the default allows for matrices of four decimals."""

    def stored_value(self) -> Any:
        """Return the table that is stored.

        Raises
        ------
        UnsupportedValueError
            When the value is no rotation, or no array of them.

        """
        self._check()
        return super().stored_value()

    def to_db(self) -> pd.DataFrame:
        """Return one row per row of the matrix, or per matrix."""
        data = self.data
        return (
            pd.DataFrame(data, columns=_AXES) if data.ndim == 2 else pd.DataFrame(data.reshape(-1, 9), columns=_PAIRS)
        )

    @classmethod
    def from_db(cls, df: pd.DataFrame) -> NDArray[Any]:
        """Return the matrix, or the matrices."""
        values: NDArray[Any] = df.to_numpy()
        return values if values.shape[1] == 3 else values.reshape(-1, 3, 3)

    def _check(self) -> None:
        data = self.data
        if type(data) is not np.ndarray or data.dtype.kind not in "fiu":
            raise self._refused("is no numpy array of real numbers")
        if data.ndim not in (2, 3) or data.shape[-2:] != (3, 3):
            raise self._refused(f"has the shape {data.shape}")
        matrices = data.astype(np.float64).reshape(-1, 3, 3)
        missing = np.isnan(matrices).all(axis=(1, 2)) & (data.ndim == 3)
        with np.errstate(invalid="ignore", over="ignore"):
            lengths = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2), initial=0.0)
            determinants = np.linalg.det(matrices)
        # Written so that NaN does not fit.
        fits = (lengths <= self.tolerance) & (np.abs(determinants - 1) <= self.tolerance)
        wrong = np.flatnonzero(~(fits | missing))
        if len(wrong):
            first = wrong[0]
            where = f" at position {first} ({len(wrong)} of {len(matrices)} do)" if data.ndim == 3 else ""
            raise self._refused(
                f"holds a matrix that is no rotation{where}: its determinant is {determinants[first]:.6g}, and "
                f"products of its rows are off by {lengths[first]:.3g}"
            )

    def _refused(self, what: str) -> UnsupportedValueError:
        return UnsupportedValueError(
            f"{self.type_name} cannot be saved, because the value {what}: {preview(self.data)}. Expected is a 3 x 3 "
            "array, or N x 3 x 3, of matrices with orthonormal rows and the determinant +1 (within "
            f"tolerance = {self.tolerance:g}).",
            path="",
        )
