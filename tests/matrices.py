"""A variable that several tests of recalled results need: one that stores its values in a form of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from scidb import BaseVariable

__all__ = ["Matrix"]


class Matrix(BaseVariable):
    """A matrix of two by two, stored as a table of one column."""

    def to_db(self) -> pd.DataFrame:
        return pd.DataFrame({"v": np.ravel(self.data)})

    @classmethod
    def from_db(cls, df: pd.DataFrame) -> Any:
        return df["v"].to_numpy().reshape(2, 2)
