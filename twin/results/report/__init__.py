"""The page: ``report.html``, one self-contained file for engineers and their management."""

from twin.results.report.build import write_report
from twin.results.report.inputs import Districts, Histories, NetworkFacts, Outage

__all__ = ["Districts", "Histories", "NetworkFacts", "Outage", "write_report"]
