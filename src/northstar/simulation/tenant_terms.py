"""What was agreed with tenants, as far as a simulation can keep to it."""

from __future__ import annotations

from typing import ClassVar

from northstar.config.tenants import read_tenants_text
from northstar.simulation.fleet.errors import PlanImpossible


class BudgetNotSimulated(PlanImpossible):
    """A tenant of a simulation has a budget. What work has cost is summed from the history in SQL, which no simulation has."""

    code: ClassVar[str] = "NS_BUDGET_NOT_SIMULATED"


def check_terms(text: str) -> None:
    """Whether a simulation keeps to all that a file of tenants says.

    Raises:
        InvalidTenants: it is no such file. BudgetNotSimulated: a tenant has a budget, and its jobs would run as if it had none.
    """
    for name, terms in read_tenants_text(text, source="settings.tenants").tenants.items():
        if terms.budget.limits_anything:
            raise BudgetNotSimulated(
                f"gives tenant {name} a budget, and nobody counts in a simulation what work has cost: its jobs would run as if it had "
                "none. Name a file without budget_usd_per_day and budget_usd_per_month",
                path="settings.tenants",
            )
