"""The judge: sees records only (truth, orders, readings, the logic's reports), never the logic."""

from twin.verify.baselines import baseline_figures
from twin.verify.counterfactual import Evidence, Pair
from twin.verify.flexibility import sustained_figures
from twin.verify.judge import judge
from twin.verify.verdict import Verdict, rules

__all__ = [
    "Evidence", "Pair", "Verdict", "baseline_figures", "judge", "rules", "sustained_figures",
]  # fmt: skip
