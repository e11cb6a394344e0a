"""Vendors' point tables (点表): import with every inference said, export in the same columns."""

from hil.registers.pointtable.describing import describe
from hil.registers.pointtable.exporting import export_table
from hil.registers.pointtable.findings import Choices, Doubt, Finding, Option, read_choices
from hil.registers.pointtable.importing import Dialect, Imported, import_table, recognise
from hil.registers.pointtable.samples import Decoded

__all__ = [
    "Choices",
    "Decoded",
    "Dialect",
    "Doubt",
    "Finding",
    "Imported",
    "Option",
    "describe",
    "export_table",
    "import_table",
    "read_choices",
    "recognise",
]
