"""Where a value belongs: metadata become schema keys and version keys, by one set of rules.

Knows nothing of stores' tables or of variable classes.
"""

from scidb.addressing.address import Address, AnyOf, Wanted, any_of, read_address, write_address
from scidb.addressing.names import RESERVED_KEYS, RESERVED_SCHEMA_KEYS, check_key_name, schema_keys_from
from scidb.addressing.values import constant_key, convert_key, infer_key_type, key_values_within, version_value

__all__ = [
    "RESERVED_KEYS",
    "RESERVED_SCHEMA_KEYS",
    "Address",
    "AnyOf",
    "Wanted",
    "any_of",
    "check_key_name",
    "constant_key",
    "convert_key",
    "infer_key_type",
    "key_values_within",
    "read_address",
    "schema_keys_from",
    "version_value",
    "write_address",
]
