"""Where a value belongs: metadata become schema keys and version keys, by one set of rules.

Knows nothing of stores' tables or of variable classes.
"""

from scidb.addressing.address import Address, Wanted, read_address, write_address
from scidb.addressing.names import RESERVED_KEYS, RESERVED_SCHEMA_KEYS, check_key_name, schema_keys_from
from scidb.addressing.values import convert_key, infer_key_type, key_values_within

__all__ = [
    "RESERVED_KEYS",
    "RESERVED_SCHEMA_KEYS",
    "Address",
    "Wanted",
    "check_key_name",
    "convert_key",
    "infer_key_type",
    "key_values_within",
    "read_address",
    "schema_keys_from",
    "write_address",
]
