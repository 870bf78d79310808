"""The server: a store behind HTTP."""

from __future__ import annotations

from scidbnet.server.app import create_app, store_app

__all__ = ["create_app", "store_app"]
