"""Targets of what is foreseen."""

from __future__ import annotations

from typing import Final

from northstar.evaluation.targets import Goal, Target, at_least, at_most, number, relative, share

PREDICTION_TARGETS: Final = (
    Target(
        id="demand",
        section="prediction",
        spec="Model Demand Prediction: 80%+ accuracy for 24-hour forecasts",
        definition="1 - WAPE of the fleet's total of a day; 1 - total variation of the mix of models; 1 - WAPE per model and day; requests within the 20 models foreseen",
        known="naive, best measured, ceiling: .520 .836 .897 / .807 .832 .889 / .337 .624 .768 / .939 .949 .970",
        figures=(
            relative("demand-total", "total of a day", at_least(0.86), at_least(0.80)),
            share("demand-mix", "mix of models", at_least(0.85), at_least(0.80)),
            relative("demand-model", "each model's day", at_least(0.67), at_least(0.80)),
            share("demand-top20", "requests within the top 20", at_least(0.96)),
        ),
        note="each model's day cannot be foreseen better than .768 on this trace, since a single user makes most of it",
    ),
    Target(
        id="wanted-models",
        section="prediction",
        spec="Which models will be requested",
        definition="F1 of the set of models requested in the next 24 h, and in the next hour",
        known="naive, best measured, ceiling: .694 .753 .90 / .573 .654 .87",
        figures=(
            share("wanted-24h", "next 24 h", at_least(0.78)),
            share("wanted-1h", "next hour", at_least(0.68)),
        ),
        note="the specification names no number",
    ),
    Target(
        id="uncertainty",
        section="prediction",
        spec="Confidence in usage prediction",
        definition="how often what came lies within the interval that was said to hold 80 %",
        known="best measured .80 / .64",
        figures=(
            share("coverage-model-day", "each model's day", Goal(least=0.75, most=0.85)),
            share("coverage-total-hour", "total of an hour", Goal(least=0.75, most=0.85)),
        ),
        note="the specification names no number",
    ),
    Target(
        id="chain",
        section="prediction",
        spec="Workflow Chain Prediction: 60%+ accuracy for multi-step workflows",
        definition="known users: the next model is the first, or among the first three, that were foreseen; and the same where it is another model than the current one",
        known="naive .719 / .840, best measured .724 / .858; switches .342 / .571",
        figures=(
            share("chain-top1", "the first", at_least(0.74), at_least(0.60)),
            share("chain-top3", "among three", at_least(0.87)),
            share("switch-top1", "switches, the first", at_least(0.40), at_least(0.60)),
            share("switch-top3", "switches, among three", at_least(0.63)),
        ),
        note="saying 'the same again' has 60 % already, so switches are told apart",
    ),
    Target(
        id="duration",
        section="prediction",
        spec="Duration estimates for the decision matrix",
        definition="WAPE of the estimate of each finished job, and the share of estimates within 25 %",
        known="by the global median .448 / .40; best measured .222 / .64",
        figures=(
            number("duration-wape", "WAPE", "share", at_most(0.20)),
            share("duration-within-25", "within 25 %", at_least(0.68)),
        ),
        note="the specification names no number",
    ),
)
