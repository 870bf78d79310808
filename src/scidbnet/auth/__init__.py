"""Who may do what: tokens, where they are kept, and roles."""

from __future__ import annotations

from scidbnet.auth.roles import Caller, Role, check_batch, check_verb, verb_of_path
from scidbnet.auth.tokenfile import TokenFile
from scidbnet.auth.tokens import NewToken, TokenInfo, Tokens

__all__ = [
    "Caller",
    "NewToken",
    "Role",
    "TokenFile",
    "TokenInfo",
    "Tokens",
    "check_batch",
    "check_verb",
    "verb_of_path",
]
