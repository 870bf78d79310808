"""``scidb serve``: the server of the network layer, which is a program of its own, too."""

from __future__ import annotations

import inspect
from typing import Any

import typer

from scidb.cli.context import settings_of
from scidbnet.server.program import main

__all__ = ["serve"]


def serve(ctx: typer.Context, **flags: Any) -> None:
    """Serve the database that PATH or --db names."""
    path = flags["dataset_db_path"] or settings_of(ctx, None, as_json=False).database
    main.serve(**{**flags, "dataset_db_path": path})


serve.__doc__ = main.serve.__doc__
serve.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_ONLY, annotation=typer.Context), *main.PARAMETERS]
)
