"""The suites' own test: every suite on every broken device and on good ones, fault by fault.

Bringing a device in (onboarding) asks what the others ask once more and refuses whoever does not
pass: that a broken device is refused there is no finding of its own, that a good one is would be.

A broken device is *found* when the measurement that its fault concerns fails. Any other failure
is a *wrong* finding, but for the few measurements of the same thing that the catalogue names. A
good device must fail nothing. Inconclusive and not applicable are no findings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from hil.certify.broken import BROKEN, GOOD
from hil.certify.broken.specimen import Specimen
from hil.certify.measurement import Outcome
from hil.certify.procedure import Procedure, Suite
from hil.certify.runner import certify
from hil.certify.subject import Subject
from hil.certify.suites import SUITES

__all__ = ["Row", "failures", "narrowed", "row_of", "suites_of", "tried", "written"]

# Suites that repeat others.
GATE = ("onboarding",)


@dataclass(frozen=True, slots=True)
class Row:
    """One device under some suites with one seed.

    Attributes
    ----------
    device : its name in the catalogue, or that of a good one
    seed : of chance
    finder : the measurement that must fail, ``suite.measurement``; ``""``: none may
    along : others that may
    failed : those that did
    broken : it has a fault, whether it is looked for or not
    wall_s : how long it took
    """

    device: str
    seed: int
    finder: str
    along: tuple[str, ...]
    failed: tuple[str, ...]
    broken: bool = True
    wall_s: float = 0.0

    @property
    def found(self) -> bool:
        """Whether the fault was found; a good device has none to find."""
        return self.finder == "" or self.finder in self.failed

    @property
    def wrong(self) -> tuple[str, ...]:
        """Measurements that failed and should not have."""
        known = (self.finder, *self.along)
        refused = GATE if self.broken else ()
        return tuple(
            f for f in self.failed if f not in known and f.partition(".")[0] not in refused
        )

    @property
    def right(self) -> bool:
        """Found by the right measurement, and by no wrong one."""
        return self.found and not self.wrong


def suites_of(kind: str) -> list[str]:
    """Return the suites that apply to a kind of device."""
    return [name for name, suite in SUITES.items() if not suite.kinds or kind in suite.kinds]


def failures(
    stand: Callable[[Path], AbstractContextManager[Subject]],
    suites: Iterable[Suite],
    seed: int,
) -> tuple[str, ...]:
    """Return what fails on a device, as ``suite.measurement``.

    Parameters
    ----------
    stand : gives the device afresh for each suite, with a file for its journal
    """
    failed = []
    for suite in suites:
        with TemporaryDirectory(prefix="suitwin-") as folder:
            out = Path(folder)
            with stand(out / "journal.jsonl") as subject:
                record = certify(suite, subject, out / "run", seed=seed)
            failed += [
                f"{suite.id}.{taken.declared.id}"
                for procedure in record.procedures
                for taken in procedure.measurements
                if taken.outcome is Outcome.FAIL
            ]
    return tuple(failed)


def narrowed(finder: str) -> Suite:
    """Return the suite of a finder with the one procedure that takes it."""
    name, _, id = finder.partition(".")
    whole = SUITES[name]

    def procedures(subject: Subject) -> Sequence[Procedure]:
        return [p for p in whole.procedures(subject) if any(m.id == id for m in p.measurements)]

    return replace(whole, procedures=procedures)


def tried(
    one: Specimen, seed: int, suites: Sequence[str] | None = None, short: bool = False
) -> Row:
    """Run suites on a device of the catalogue, by default all of its kind's.

    Parameters
    ----------
    suites : those that do not apply to its kind are left out; without the suite that must find
        its fault there is nothing to find
    short : of the suites that must not find a fault the register map only
    """
    begun_s = time.monotonic()
    chosen = [s for s in suites_of(one.map.kind) if suites is None or s in suites]
    if short and one.finder:
        chosen = [s for s in chosen if s in (one.finder.partition(".")[0], "register-map")]
    failed = failures(lambda journal: one.subject(journal, seed), [SUITES[s] for s in chosen], seed)
    finder = one.finder if one.finder.partition(".")[0] in chosen else ""
    return Row(
        one.name, seed, finder, one.along, failed, one.finder != "", time.monotonic() - begun_s
    )


def row_of(task: tuple[str, int, Sequence[str] | None, bool]) -> Row:
    """Return `tried` of a device by name and its other arguments; a task for another process."""
    name, seed, suites, short = task
    return tried({**BROKEN, **GOOD}[name], seed, suites, short)


def written(rows: Sequence[Row]) -> str:
    """Return the table as text: devices by fault found, seeds counted, wrong findings named."""
    names = list(dict.fromkeys(row.device for row in rows))
    wide = max((len(n) for n in names), default=6)
    lines = [f"{'device':<{wide}}  {'found':>7}  {'wrong':>5}  by"]
    for name in names:
        mine = [row for row in rows if row.device == name]
        found = sum(row.found for row in mine)
        wrong = sorted({w for row in mine for w in row.wrong})
        count = sum(bool(row.wrong) for row in mine)
        by = mine[0].finder or "nothing to find"
        said = f"{name:<{wide}}  {found:>3}/{len(mine):<3}  {count:>5}  {by}"
        lines.append(said + (f"; also {', '.join(wrong)}" if wrong else ""))
    right = [n for n in names if all(row.right for row in rows if row.device == n)]
    lines.append(f"{len(right)} of {len(names)} devices right with every seed")
    return "\n".join(lines) + "\n"
