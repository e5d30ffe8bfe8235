"""The search for the cheapest fleet, with answers that are known beforehand in place of simulations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from northstar.policy.fleet.cheapest_fleet import Found, Search, Trial, cheapest_fleet
from northstar.policy.fleet.part_sizing import Choice, Part, Seat, Verdict

#: Gives the margin of each part: how far it is above its goal.
Margins = Callable[[Trial], Sequence[float]]


class Told:
    """A search that is over, with the trials that it took."""

    def __init__(self, parts: Sequence[Part], margins: Margins, **search: int) -> None:
        self.trials: list[Trial] = []
        steps = cheapest_fleet(parts, Search(**{"most": 100, **search}))
        try:
            trial = next(steps)
            while True:
                self.trials.append(trial)
                trial = steps.send([Verdict(margin >= 0, margin) for margin in margins(trial)])
        except StopIteration as stop:
            self.found: Found = stop.value

    def fleets(self) -> list[tuple[Seat, ...]]:
        return [trial.fleet for trial in self.trials]


def part(name: str = "p", *choices: Choice, guess: int = 10, most: int = 1_000) -> Part:
    return Part(name=name, choices=choices or (Choice(name="m", usd_per_hour=1.0, guess=guess),), most=most)


def enough(*needed: int) -> Margins:
    """Each part is good enough with so many machines, whatever they are."""
    return lambda trial: [0.001 * (seat.machines - least) for seat, least in zip(trial.fleet, needed, strict=True)]


@pytest.mark.parametrize("needed", [1, 2, 9, 10, 11, 12, 37, 99, 100])
def test_the_smallest_number_is_found_wherever_the_search_begins(needed: int) -> None:
    for guess in (1, 10, 100):
        told = Told([part(guess=guess)], enough(needed))
        assert told.found.fleet == (Seat(0, needed),)
        assert told.found.unmet == ()
        assert told.found.is_whole


def test_a_good_guess_needs_few_trials() -> None:
    assert len(Told([part(guess=22)], enough(22)).trials) <= 5
    assert len(Told([part(guess=20)], enough(22)).trials) <= 5
    assert len(Told([part(guess=11)], enough(22)).trials) <= 8


def test_fewer_than_the_work_needs_are_never_tried() -> None:
    told = Told([part("p", Choice(name="m", usd_per_hour=1, least=7, guess=9))], enough(1))
    assert told.found.fleet == (Seat(0, 7),)
    assert min(fleet[0].machines for fleet in told.fleets()) == 7


def test_all_parts_are_sized_in_the_same_trials() -> None:
    alone = max(len(Told([part(guess=16)], enough(needed)).trials) for needed in (5, 17, 30))
    told = Told([part("a", guess=16), part("b", guess=16), part("c", guess=16)], enough(5, 17, 30))
    assert told.found.fleet == (Seat(0, 5), Seat(0, 17), Seat(0, 30))
    # One more for each part: that it can have no machine fewer in the company of the others, and one for the whole.
    assert len(told.trials) <= alone + 5


def test_the_cheapest_choice_wins_and_one_that_cannot_be_cheaper_costs_a_trial_at_most() -> None:
    choices = (
        Choice(name="small", usd_per_hour=1.0, guess=20),
        Choice(name="large", usd_per_hour=1.1, guess=20),
        Choice(name="huge", usd_per_hour=9.0, guess=20, least=5),
    )

    def margins(trial: Trial) -> list[float]:
        seat = trial.fleet[0]
        return [0.001 * (seat.machines - (22, 20, 19)[seat.choice])]

    told = Told([part("p", *choices)], margins)
    assert told.found.fleet == (Seat(0, 22),), "22.0 against 22.0: no dearer one takes its place"
    by_choice = [sum(fleet[0].choice == at for fleet in told.fleets()) for at in range(3)]
    assert by_choice[1:] == [1, 0], (
        "19 of the large ones would be cheaper, and are too few; 5 huge ones cost more than is known"
    )

    cheaper = (choices[0], Choice(name="large", usd_per_hour=1.05, guess=20), choices[2])
    assert Told([part("p", *cheaper)], margins).found.fleet == (Seat(1, 20),)


def test_what_is_never_enough_is_said_and_the_others_are_sized_all_the_same() -> None:
    told = Told([part("a"), part("b")], enough(1_000, 12), most=40)
    assert told.found.unmet == (0,)
    assert told.found.fleet[1] == Seat(0, 12)
    assert told.found.fleet[0].machines == 40, "the nearest that there is"


def test_a_part_has_a_bound_of_its_own() -> None:
    told = Told([part("a", most=3), part("b")], enough(5, 12))
    assert told.found.unmet == (0,)
    assert max(fleet[0].machines for fleet in told.fleets()) == 3


def test_parts_that_lack_machines_in_the_company_of_others_get_more() -> None:
    # Part b gets what part a cannot do: it is enough with 10 while a is large, and needs 14 when a is just enough.
    def margins(trial: Trial) -> list[float]:
        a, b = (seat.machines for seat in trial.fleet)
        return [0.001 * (a - 12), 0.001 * (b - (10 if a >= 16 else 14))]

    told = Told([part("a", guess=20), part("b", guess=10)], margins)
    assert margins(Trial(told.found.fleet, 0, (0, 1), "all")) >= [0, 0]
    assert told.found.fleet == (Seat(0, 12), Seat(0, 14))


def test_a_part_that_others_have_made_too_large_is_made_smaller_again() -> None:
    # While a is too small, b suffers for it: sized at that time it would be far too large.
    def margins(trial: Trial) -> list[float]:
        a, b = (seat.machines for seat in trial.fleet)
        return [0.001 * (a - 30), 0.001 * (b - (10 if a >= 30 else 40))]

    told = Told([part("a", guess=10), part("b", guess=10)], margins)
    assert told.found.fleet == (Seat(0, 30), Seat(0, 10))


def test_what_is_narrowly_missed_with_one_fewer_is_tried_with_two_fewer() -> None:
    # Not monotone: 20 is enough by chance, 21 is narrowly not.
    answers = {20: 0.0005, 21: -0.001}
    told = Told([part(guess=22)], lambda trial: [answers.get(trial.fleet[0].machines, trial.fleet[0].machines - 22)])
    assert told.found.fleet == (Seat(0, 20),)


def test_the_fleet_is_good_enough_with_every_seed() -> None:
    told = Told([part(guess=20)], lambda trial: [0.001 * (trial.fleet[0].machines - (20, 20, 23)[trial.seed])], seeds=3)
    assert told.found.fleet == (Seat(0, 23),)
    proved = {trial.seed for trial in told.trials if trial.fleet == (Seat(0, 23),)}
    assert proved == {0, 1, 2}


def test_one_that_is_not_enough_with_another_seed_at_its_bound_is_unmet() -> None:
    told = Told([part(guess=10, most=10)], lambda trial: [0.1 if trial.seed == 0 else -0.1], seeds=2)
    assert told.found.unmet == (0,)


def test_trials_are_bounded_and_what_is_known_by_then_is_given() -> None:
    told = Told([part(guess=50)], enough(22), trials=2)
    assert len(told.trials) == 2
    assert not told.found.is_whole
    assert told.found.fleet[0].machines >= 22


def test_no_trial_is_made_twice_and_the_same_answers_give_the_same_trials() -> None:
    one, other = (Told([part("a", guess=16), part("b")], enough(5, 17), seeds=2) for _ in range(2))
    assert one.trials == other.trials
    assert len({(trial.fleet, trial.seed) for trial in one.trials}) == len(one.trials)
