"""Everything that the registers of a block might be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.bench.recording import Block
from hil.registers.schema import Order, TableName, TypeName

__all__ = ["FORMS", "Candidate", "Form", "candidates", "decoded"]

F8 = NDArray[np.float64]
BIT_TABLES = ("coil", "discrete")


@dataclass(frozen=True, slots=True)
class Form:
    """A type, its byte order and its width in registers."""

    type: TypeName
    order: Order
    width: int


# In one register ABCD is CDAB and BADC is DCBA. The plainer form comes first.
FORMS = (
    *(Form(t, o, 1) for o in ("ABCD", "BADC") for t in ("u16", "i16")),
    *(Form(t, o, 2) for o in ("ABCD", "CDAB", "BADC", "DCBA") for t in ("u32", "i32", "f32")),
    *(Form("u64", o, 4) for o in ("ABCD", "CDAB", "BADC", "DCBA")),
)  # fmt: skip
# Of decoded floats: beyond this no device of a grid counts.
LARGEST = 1e12


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reading of some registers of a block.

    Attributes
    ----------
    block : which
    address : of the first register
    form : how it is read
    raw : float64[n], before any scale
    """

    block: Block
    address: int
    form: Form
    raw: F8

    @property
    def table(self) -> TableName:
        """Table in which it stands."""
        return self.block.table

    def places(self) -> set[tuple[str, int]]:
        """Return the registers that it takes."""
        return {(self.table, self.address + i) for i in range(self.form.width)}

    def upper_is_idle(self) -> bool:
        """Return whether all registers but one say nothing of their own: zero, or the sign."""
        if self.form.width == 1 or self.form.type == "f32":
            return False
        signed = self.form.type.startswith("i")
        bits = 15 if signed else 16
        return bool((np.abs(self.raw + 0.5 * signed) < 2.0**bits).all())


def candidates(blocks: Sequence[Block], moving: bool = True) -> Iterator[Candidate]:
    """Yield every reading of every place of word tables.

    Parameters
    ----------
    moving : only those that change; else only those that never do
    """
    for block in blocks:
        if block.table in BIT_TABLES or len(block.time_s) < 2:
            continue
        still = (block.words == block.words[0]).all(axis=0)
        for form in FORMS:
            for first in range(block.count - form.width + 1):
                if bool(still[first : first + form.width].all()) == moving:
                    continue
                raw = decoded(block.words[:, first : first + form.width], form)
                if np.isfinite(raw).all() and (np.abs(raw) < LARGEST).all():
                    yield Candidate(block, block.address + first, form, raw)


def decoded(words: NDArray[np.int64], form: Form) -> F8:
    """Return float64[n], what `words`, int64[n, width], are in a form.

    >>> decoded(np.array([[0xFFFF, 0xFF38]]), Form("i32", "ABCD", 2))
    array([-200.])
    """
    own = words.astype(np.uint64)
    if form.order in ("BADC", "DCBA"):
        own = (own >> np.uint64(8)) | ((own & np.uint64(0xFF)) << np.uint64(8))
    if form.order in ("CDAB", "DCBA"):
        own = own[:, ::-1]
    whole = np.zeros(len(own), np.uint64)
    for column in own.T:
        whole = (whole << np.uint64(16)) | column
    if form.type == "f32":
        with np.errstate(invalid="ignore"):
            return whole.astype(np.uint32).view(np.float32).astype(np.float64)
    value = whole.astype(np.float64)
    if form.type in ("i16", "i32"):
        size = 2.0 ** (16 * form.width)
        value = np.where(value >= 0.5 * size, value - size, value)
    return value
