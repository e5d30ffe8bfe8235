"""The laws of the generator as numbers, and where they are from. They are statistics of traces and no rows of them.

Pictures: 16,232 requests of GenTD26 from 2024-11-15 to 2024-12-02 by its shifted clock (Lin et al., SoCC '25). Texts: 19,366 conversations of Azure's trace of
2023-11-16 (Patel et al., ISCA '24; CC-BY-4.0). How near the generator comes stands in `docs/explanation/workloads.md`.
"""

from __future__ import annotations

from typing import Final

from northstar.simulation.workload.chat_jobs import ChatLaw
from northstar.simulation.workload.picture_law import PictureLaw
from northstar.simulation.workload.sittings import SittingLaw

#: Shares of a day's sittings by the hour in which they begin, from 12:00 on: of 2,975 on weekdays. In the trace hardly anybody comes from 9:00 to
#: 15:00; there is a dinner hour at 19:00.
_WEEKDAY_HOURS: Final = (
    *(0.0, 0.0, 0.0, 0.0013, 0.0292, 0.0941, 0.1032, 0.0161, 0.0565, 0.1324, 0.1257, 0.1402),
    *(0.1472, 0.0313, 0.0427, 0.0356, 0.0158, 0.0121, 0.0087, 0.0030, 0.0030, 0.0007, 0.0003, 0.0),
)
#: Of 147 on three weekend days; a fourth was as busy as a weekday and is not among them.
_WEEKEND_HOURS: Final = (
    *(0.0, 0.0, 0.0, 0.0, 0.0136, 0.0476, 0.0952, 0.0612, 0.0408, 0.0612, 0.0612, 0.0476),
    *(0.0884, 0.0680, 0.0748, 0.0340, 0.1156, 0.0612, 0.0680, 0.0612, 0.0, 0.0, 0.0, 0.0),
)

PICTURE_SITTINGS: Final = SittingLaw(
    # The mean of eight weekdays after the service had begun, and of three weekend days.
    per_weekday=1_624,
    per_weekend_day=227,
    day_deviation=0.12,
    weekday_hours=_WEEKDAY_HOURS,
    weekend_hours=_WEEKEND_HOURS,
    # Together a deviation of 1.24: 32 % of the sittings have one request, half have two at most, one in a hundred has 31.
    more_median=1.74,
    more_of_person=1.05,
    more_of_sitting=0.66,
    gap_median_s=73.7,
    gap_deviation=0.94,
    newcomers=0.71,
    back_median=140,
    back_deviation=1.5,
)

PICTURE_LAW: Final = PictureLaw(
    sittings=PICTURE_SITTINGS,
    # A little steeper than the requests' own curve (.307, .437, .533 …): who changes chooses another than the last, which favours the rarer ones.
    popularity=(
        (1, 0.3550),
        (2, 0.4800),
        (3, 0.5700),
        (5, 0.7050),
        (7, 0.7920),
        (10, 0.8700),
        (15, 0.9150),
        (20, 0.9370),
        (30, 0.9635),
        (50, 0.9909),
        (86, 1.0),
    ),
    same_model_within=0.732,
    same_model_after=0.579,
    back_to_known=0.22,
    loras_from_stays=5.8,
    first_loras=0.6,
    takes_loras=0.15,
    leaves_loras=0.0575,
    same_loras=0.772,
    lora_counts=((1, 0.9536), (2, 0.0320), (3, 0.0113), (4, 0.0008), (6, 0.0024)),
    own_lora=0.56,
    new_lora=0.48,
    steps=((30, 0.9141), (40, 0.0519), (38, 0.0061), (35, 0.0043), (20, 0.0070), (50, 0.0110), (100, 0.0056)),
    images=((1, 0.5866), (4, 0.1980), (8, 0.1383), (2, 0.0771)),
    # Chances of not even choosing anew; who chooses anew may choose the same, so that .954, .884 and .968 stay the same altogether.
    same_steps=0.716,
    same_images=0.804,
    tasks=(("TXT_2_IMG", 0.9176), ("IMG_2_IMG", 0.0757), ("INPAINTING", 0.0068)),
    same_task=0.787,
    # By a regression of the logarithm of seconds on model, pictures, steps, adapters and kind; what it leaves has the deviation .339.
    first_paces_s=(16.8, 33.4, 19.4, 18.2, 48.9, 17.4, 20.6, 35.2, 19.9, 19.7),
    pace_median_s=18.0,
    pace_deviation=0.5,
    power_of_images=0.119,
    power_of_steps=0.235,
    factor_of_lora=1.11,
    person_deviation=0.185,
    run_deviation=0.284,
    fails=0.0157,
    fails_median_s=8.0,
    fails_deviation=1.13,
)

#: Tokens of Azure's conversations; people come as they come for pictures, since the trace is of one hour.
CHAT_LAW: Final = ChatLaw(
    sittings=PICTURE_SITTINGS,
    read_tokens=(2, 181, 207, 396, 1_020, 1_189, 2_735, 4_142, 14_050),
    made_tokens=(7, 41, 54, 85, 129, 395, 424, 601, 1_000),
)

#: Assumed, for kinds of work that no trace tells of: as for pictures, but awake all day, and with fewer requests in longer distances.
EVEN_SITTINGS: Final = SittingLaw(
    per_weekday=100,
    per_weekend_day=50,
    day_deviation=0.12,
    weekday_hours=(5, 5, 5, 5, 5, 6, 7, 7, 7, 7, 6, 5, 4, 3, 2, 2, 1, 1, 1, 2, 2, 3, 4, 5),
    weekend_hours=(4, 4, 4, 5, 5, 5, 6, 6, 6, 6, 6, 5, 5, 4, 3, 2, 1, 1, 1, 1, 2, 2, 3, 4),
    more_median=0.8,
    more_of_person=0.5,
    more_of_sitting=0.7,
    gap_median_s=400,
    gap_deviation=0.8,
    most_gap_s=7_200,
    newcomers=0.5,
    back_median=40,
    back_deviation=1.5,
)
