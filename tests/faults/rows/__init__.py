"""The rows by number."""

from tests.faults.rows import changes, deaths
from tests.faults.suite import Row

ROWS: dict[int, Row] = {row.number: row for module in (deaths, changes) for row in module.ROWS}
