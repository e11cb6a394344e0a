"""The composition root: scenario to city to simulation to results; the one stopwatch."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from twin import __version__
from twin.city import plan_adjustable_mw
from twin.clock import format_time_of_day
from twin.errors import InputProblems, Problem, RunBroken
from twin.record.exchange import Logic
from twin.record.history import History
from twin.results.emissions import write_emissions
from twin.results.metrics import RunFacts, summarise
from twin.results.outages import network_facts
from twin.results.report import Districts, Histories, write_report
from twin.results.store import RunDirectory
from twin.scenario.branches import Branches, run_branches
from twin.scenario.breakage import plain_reason
from twin.scenario.build import Built, build, calibrated
from twin.scenario.cache import key
from twin.scenario.dump import scenario_toml
from twin.scenario.files import check_draft, read_draft
from twin.scenario.inputs import attempt
from twin.scenario.load_schema import level_notes
from twin.scenario.own_logic import new_logic
from twin.scenario.schema import Scenario
from twin.scenario.warm_start import warmed
from twin.verify import Evidence, judge


class Report(Protocol):
    """Takes news of a run: phase, fraction done, simulated time, times real time."""

    def __call__(
        self, phase: str, fraction: float, now_ms: int | None = None, speed: float | None = None
    ) -> None:
        """Show the news."""
        ...


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: its name, directory, verdicts as in ``summary.json``, warnings."""

    name: str
    directory: Path
    verdicts: tuple[dict[str, Any], ...]
    warnings: tuple[str, ...]


@dataclass(slots=True)
class Stopwatch:
    """Wall time by phase [s]."""

    begun: float = field(default_factory=time.perf_counter)
    phases: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - start

    def total(self) -> float:
        """Return the wall time since the stopwatch was made [s]."""
        return time.perf_counter() - self.begun


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario with everything in it checked: its city at rest, and what makes its logic."""

    scenario: Scenario
    built: Built
    make: Callable[[], Logic]


def prepare(path: Path, assignments: Sequence[str], out: Path | None = None) -> Prepared:
    """Build a scenario's city without running it.

    Raises InputProblems with everything wrong in the scenario, in the files that it names, in
    its logic, and with the run directory `out` where one is given.
    """
    found: list[Problem] = []
    draft = read_draft(path, assignments)
    scenario = attempt(found, lambda: check_draft(draft))
    built = None if scenario is None else attempt(found, lambda: build(scenario, path))
    name = draft.text("logic") if scenario is None else scenario.logic
    make: Callable[[], Logic] | None = None
    if name is not None and all(name.partition(":")):
        make = attempt(found, lambda: new_logic(name))
    found += [] if out is None else out_problems(out)
    if found or scenario is None or built is None or make is None:
        raise InputProblems(draft.credited(found))
    return Prepared(scenario, built, make)


def out_problems(path: Path) -> list[Problem]:
    """Return why no run can be written to `path`; nothing is made or removed."""
    free = "a directory that is new, empty or an earlier run's"
    if path.is_dir():
        if any(path.iterdir()) and not (path / "summary.json").exists():
            return [Problem("--out", str(path), "holds files that are no run", free)]
        home = path
    elif path.exists():
        return [Problem("--out", str(path), "is a file", free)]
    else:
        home = next(p for p in path.absolute().parents if p.exists())
    if not home.is_dir():
        return [Problem("--out", str(path), f"{home} is a file", free)]
    if not os.access(home, os.W_OK | os.X_OK):
        return [Problem("--out", str(path), f"{home} cannot be written to", free)]
    return []


class Carrier(Protocol):
    """Brings readings to the logic and set-points to the fleet, through the whole of a run.

    `Direct` is one; others put a wire or a bench between.
    """

    name: str

    def run(
        self,
        prepared: Prepared,
        progress: Callable[[str, int], None],
        keep: Callable[[str, History], None],
    ) -> Branches:
        """Run everything; see `run_branches`."""
        ...

    def facts(self) -> Mapping[str, object]:
        """Return what ``summary.json`` shows of the carrier beside everything else."""
        ...

    def keep(self, store: RunDirectory) -> None:
        """Write what only this carrier has into the run directory."""
        ...


class Direct:
    """Readings and set-points without a wire, as fast as possible."""

    name = "direct"

    def run(
        self,
        prepared: Prepared,
        progress: Callable[[str, int], None],
        keep: Callable[[str, History], None],
    ) -> Branches:
        """Run everything in this process and its children."""
        return run_branches(prepared.built, prepared.make, progress, keep)

    def facts(self) -> Mapping[str, object]:
        """Return nothing beside what every run has."""
        return {}

    def keep(self, store: RunDirectory) -> None:
        """Write nothing more."""


def run_scenario(
    path: Path,
    out: Path | None,
    assignments: Sequence[str],
    lang: str,
    report: Report,
    carrier: Carrier | None = None,
    check: Callable[[Prepared], Prepared] | None = None,
) -> RunResult:
    """Run a scenario from its file to its page.

    Parameters
    ----------
    path : the scenario file
    out : run directory; None takes ``out/<name>``
    assignments : as given to ``--set``
    lang : language of the page, en or zh
    report : hears of progress
    carrier : between fleet and logic; default: `Direct`
    check : looks a prepared scenario over before anything is written, and may change it;
        raises InputProblems

    Raises
    ------
    InputProblems  everything wrong with the input; nothing was run
    RunBroken  the run broke off; the directory says so and keeps what there is
    """
    watch = Stopwatch()
    with watch.phase("input"):
        report("building", 0.0)
        prepared = prepare(path, assignments, out)
        prepared = prepared if check is None else check(prepared)
        scenario, built = prepared.scenario, prepared.built
        carrier = Direct() if carrier is None else carrier
        text = scenario_toml(scenario)
        target = Path("out") / scenario.name if out is None else out
        begun = _begun(scenario, text, carrier.name)
        store = _open_directory(target, text, begun)
    runs: dict[str, History] = {}
    try:
        with watch.phase("calibration"):
            report("calibrating the city (once)", 0.0)
            built = calibrated(built)
        with watch.phase("warm_start"):
            report("running the day before (once)", 0.0)
            built = warmed(built, prepared.make)
        with watch.phase("simulation"):
            branches = _simulate(replace(prepared, built=built), carrier, runs, report)
        with watch.phase("judge"):
            report("judging", 1.0)
            evidences = _evidences(built, branches)
            verdicts = judge(evidences, branches.runs[-1], outside=branches.outside)
        with watch.phase("results"):
            report("writing", 1.0)
            _write_records(store, built, branches)
            warnings = _warnings(built, branches)
            facts = _run_facts(built, branches, watch, warnings)
            summary = {
                **begun,
                "complete": True,
                **summarise(
                    evidences,
                    branches.runs[0],
                    branches.runs[-1],
                    built.world.inventory,
                    verdicts,
                    facts,
                ),
                **carrier.facts(),
            }
            carrier.keep(store)
            _write_page(target / "report.html", summary, built, branches, lang)
        summary["wall_s"] = {**watch.phases, "total": watch.total()}
        store.finish(summary)
    except BaseException as error:
        reason = plain_reason(error, scenario.logic.partition(":")[0])
        store.keep_part(reason, runs, built.world.inventory)
        raise RunBroken(f"{reason}; what there is lies in {target}") from error
    rows = tuple(v.to_dict() for v in verdicts)
    return RunResult(scenario.name, target, rows, tuple(warnings))


def _write_records(store: RunDirectory, built: Built, branches: Branches) -> None:
    undisturbed, final = branches.runs[0], branches.runs[-1]
    inventory = built.world.inventory
    store.write_timeseries({"ordered": final, "undisturbed": undisturbed}, inventory)
    store.write_orders(built.orders, final, inventory)
    store.write_settlement(final)
    store.write_reports(final)
    names = {"zh": built.city.districts.names, "en": built.city.districts.names_en}
    runs = {"ordered": final, "undisturbed": undisturbed}
    write_emissions(store, runs, built.world.day, names)


def _run_facts(
    built: Built, branches: Branches, watch: Stopwatch, warnings: Sequence[str]
) -> RunFacts:
    return RunFacts(
        wall_s={**watch.phases, "total": watch.total()},
        simulated_s=(built.world.end_ms - built.world.start_ms) / 1_000.0,
        peak_rss_mib=_peak_rss_mib(branches.workers_mib),
        buses=built.network.n_bus,
        branches=built.network.n_branch,
        load_flows=_load_flows(branches),
        plan_adjustable_mw=_plan_mw(built),
        warnings=warnings,
    )


def _write_page(
    path: Path, summary: dict[str, object], built: Built, branches: Branches, lang: str
) -> None:
    before = {order.id: branches.runs[i] for i, order in enumerate(built.orders)}
    districts = built.city.districts
    write_report(
        path,
        summary,
        Histories(branches.runs[-1], branches.runs[0], before),
        built.world.inventory,
        orders=built.orders,
        districts=Districts(districts.names_en, districts.names, districts.x_km, districts.y_km),
        network=network_facts(built, branches),
        lang=lang,
    )


def _open_directory(path: Path, text: str, begun: dict[str, object]) -> RunDirectory:
    try:
        return RunDirectory(path, text, begun)
    except OSError as error:
        reason = error.strerror or str(error)
        problem = Problem("--out", str(path), reason, "a directory that can be written to")
        raise InputProblems([problem]) from error


def _begun(scenario: Scenario, text: str, carrier: str) -> dict[str, object]:
    """Return what is known of a run before it begins."""
    libraries = ("numpy", "numba", "simpy", "pandapower", "lightsim2grid", "pvlib")
    return {
        "scenario": scenario.name,
        "scenario_hash": key({"scenario": text}),
        "seed": scenario.seed,
        "versions": {
            "suitwin": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in libraries},
        },
        "carrier": carrier,
    }


def _simulate(
    prepared: Prepared, carrier: Carrier, runs: dict[str, History], report: Report
) -> Branches:
    world, begun = prepared.built.world, time.perf_counter()
    start_ms, whole = world.start_ms, world.end_ms - world.start_ms

    def progress(name: str, now_ms: int) -> None:
        done, wall_ms = now_ms - start_ms, 1_000.0 * (time.perf_counter() - begun)
        report(name, done / whole, now_ms, done / wall_ms)

    def keep(name: str, history: History) -> None:
        runs[name] = history

    return carrier.run(prepared, progress, keep)


def _evidences(built: Built, branches: Branches) -> list[Evidence]:
    return [
        Evidence(
            order=order,
            run=branches.runs[i + 1],
            counterfactual=branches.runs[i],
            capability=branches.capability.get(order.id),
            undisturbed=branches.runs[0],
            inventory=built.world.inventory,
            end_ms=built.world.end_ms,
            outside=branches.outside,
            sustained=tuple(branches.sustained.get(order.id, ())),
            history_days=built.scenario.history.days,
            gaming=built.world.gamers(),
        )
        for i, order in enumerate(built.orders)
    ]


def _warnings(built: Built, branches: Branches) -> list[str]:
    notes = [f"data: {note}" for note in built.city.notes]
    notes.append(f"data: network: {built.scenario.city.network or 'synthetic'}")
    notes += level_notes(built.orders, built.calendar(), built.city.max_load_mw)
    for incident in branches.runs[-1].incidents:
        notes.append(f"{format_time_of_day(incident.now_ms)} {incident.kind}: {incident.text}")
    return notes


def _plan_mw(built: Built) -> float | None:
    """Return what the city's plan expects to be adjustable; None for a part of the city."""
    whole = len(built.scenario.city.districts) == 0
    return plan_adjustable_mw(built.scenario.year) if whole else None


def _load_flows(branches: Branches) -> int:
    """Return the number of load flows of all runs together."""
    return sum(h.filled - h.first for h in (*branches.runs, *branches.capability.values()))


def _peak_rss_mib(workers_mib: float) -> float:
    """Return the peak memory of this process, and what its children had for themselves [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0 + workers_mib
