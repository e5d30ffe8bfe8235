"""One page that shows everything: pictures, stories, what went wrong on purpose, and the table. It needs no other file."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import msgspec

from northstar import __version__
from northstar.demo.closing import alike, cost_line, reserved
from northstar.demo.outcome import Outcome
from northstar.demo.reason import Reason
from northstar.demo.simulated_work import TIME_LAPSE
from northstar.store.history import Costs


def write_gallery(out: Path, outcomes: Sequence[Outcome], costs: Costs, *, seconds: float) -> Path:
    """Write `index.html` and `results.json` into `out`, where the result files are; gives the page."""
    page = Template(resources.files("northstar.demo").joinpath("gallery.html").read_text()).substitute(
        version=escape(__version__),
        facts=_facts(outcomes, seconds),
        pictures="".join(_picture(outcome, out) for outcome in outcomes if outcome.file.endswith(".png")),
        trials="".join(_trial(outcome) for outcome in outcomes if outcome.trial),
        stories="".join(_story(outcome) for outcome in outcomes if outcome.story),
        reasons="".join(_reason(reason, group) for reason, group in alike(outcomes)),
        also="".join(f"<p>{escape(sentence)}</p>" for sentence in (*reserved(outcomes), cost_line(costs))),
        lapse=str(TIME_LAPSE),
        rows="".join(_row(outcome) for outcome in outcomes),
    )
    index = out / "index.html"
    index.write_text(page, encoding="utf-8")
    shown = [msgspec.to_builtins(outcome) | {"story": None} for outcome in outcomes]
    (out / "results.json").write_text(json.dumps(shown, indent=2), encoding="utf-8")
    return index


def _facts(outcomes: Sequence[Outcome], seconds: float) -> str:
    machines = {machine for outcome in outcomes for machine in outcome.machines}
    real = [outcome for outcome in outcomes if not outcome.is_simulated]
    facts = (
        (f"{sum(outcome.is_good for outcome in real)} / {len(real)}", "results verified"),
        (f"{seconds:.1f} s", "from nothing to the end"),
        (str(len({outcome.reason.pool for outcome in outcomes})), "pools had work"),
        (str(len(machines)), "machines took work"),
        (str(len(outcomes) - len(real)), "simulated runs beside it"),
        (str(sum(outcome.recoveries for outcome in outcomes)), "machine killed at work"),
        (str(sum(outcome.attempts for outcome in outcomes)), "failed attempt, tried again"),
        (str(len({outcome.tenant for outcome in outcomes})), "tenants shared them"),
    )
    return "".join(f"<li><b>{escape(number)}</b>{escape(what)}</li>" for number, what in facts)


def _picture(outcome: Outcome, out: Path) -> str:
    data = base64.b64encode((out / outcome.file).read_bytes()).decode()
    mark = f'<span class="trial">{escape(outcome.trial)}</span>' if outcome.trial else ""
    wide = ' class="wide"' if outcome.recoveries else ""
    return (
        f'<figure{wide}><img alt="{escape(outcome.title)}" src="data:image/png;base64,{data}">'
        f"<figcaption><strong>{escape(outcome.title)}</strong>{mark}<br>{_about(outcome)}</figcaption></figure>"
    )


def _story(outcome: Outcome) -> str:
    return (
        f'<article class="story"><h3>{escape(outcome.title)}</h3><blockquote>{escape(outcome.story)}</blockquote>'
        f'<p class="about">{_about(outcome)}</p></article>'
    )


def _about(outcome: Outcome) -> str:
    machines = " → ".join(outcome.machines)
    return escape(f"{machines} · waited {_s(outcome.waited_ms)} · ran {_s(outcome.ran_ms)} · {outcome.verdict}")


def _trial(outcome: Outcome) -> str:
    steps = "".join(
        f"<li><time>+{at_ms / 1000:.2f} s</time> {escape(sentence)}</li>" for at_ms, sentence in outcome.timeline
    )
    return f'<section class="timeline"><h3>{escape(outcome.title)}</h3><p>{escape(outcome.trial)}</p><ol>{steps}</ol></section>'


def _reason(reason: Reason, group: Sequence[Outcome]) -> str:
    jobs = ", ".join(outcome.job for outcome in group)
    cells = (reason.because, reason.estimate, reason.passed_over or "nothing")
    return (
        f'<tr><td class="words">{escape(jobs)}{_mark(group[0])}</td>'
        f"<td><b>{escape(reason.pool)}</b></td>"
        + "".join(f'<td class="words">{escape(cell)}</td>' for cell in cells)
        + "</tr>"
    )


def _mark(outcome: Outcome) -> str:
    return ' <span class="simulated">simulated</span>' if outcome.is_simulated else ""


def _row(outcome: Outcome) -> str:
    result = (
        f'<a href="{escape(outcome.file)}">{escape(outcome.file)}</a> <span class="good">{escape(outcome.verdict)}</span>'
        if outcome.is_good
        else f'<span class="bad">{escape(outcome.verdict)}</span>'
    )
    cells = (outcome.service, outcome.reason.pool, outcome.tenant)
    numbers = (_s(outcome.waited_ms), _s(outcome.ran_ms), str(outcome.attempts), str(outcome.recoveries))
    return (
        f"<tr><td>{escape(outcome.job)}{_mark(outcome)}</td>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + f'<td class="number">{outcome.priority}</td><td>{escape(" → ".join(outcome.machines))}</td>'
        + "".join(f'<td class="number">{number}</td>' for number in numbers)
        + f"<td>{result}</td></tr>"
    )


def _s(length_ms: int) -> str:
    return f"{length_ms} ms" if length_ms < 100 else f"{length_ms / 1000:.2f} s"
