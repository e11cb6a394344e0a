"""The command line of the testbed, in this process and in one of its own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from hil.cli import main


@dataclass(frozen=True, slots=True)
class Said:
    """What a call of the command line ended with."""

    status: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        return [line[6:] for line in self.err.splitlines() if line.startswith("error ")]


Call = Callable[..., Said]


@pytest.fixture
def hil(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Call ``hil`` with arguments; the process's signal handlers are put back."""
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["hil", *(str(a) for a in arguments)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, before)
