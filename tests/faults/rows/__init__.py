"""The rows by number."""

from tests.faults.rows import blobs, broker, callers, changes, deaths, limits, records, stores, tenants
from tests.faults.suite import Row

_MODULES = (blobs, deaths, changes, broker, stores, callers, limits, records, tenants)
ROWS: dict[int, Row] = {row.number: row for module in _MODULES for row in module.ROWS}
