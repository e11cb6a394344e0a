"""Three simpler logics that the reference is measured against.

``EqualShare`` asks everybody for the same, ``PriorityList`` goes down a list, ``PriceOrder`` takes
the cheapest first. All three see what the reference sees, believe its baseline and follow an
order by the same feedback; what they lack is its judgement of whom to take how much from.

    twin run tiny --logic twin.control.rivals:EqualShare
"""

from twin.control.rivals.logics import EqualShare, PriceOrder, PriorityList

__all__ = ["EqualShare", "PriceOrder", "PriorityList"]
