"""A file of pools: what it may leave out, and what is said of a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.config.pools import InvalidPools, load_pools, packaged_pools, packaged_text, read_pools_text

TEXT = packaged_text()


def problem(old: str, new: str) -> InvalidPools:
    """What is said of the packaged file with one place changed."""
    assert old in TEXT
    with pytest.raises(InvalidPools) as caught:
        read_pools_text(TEXT.replace(old, new, 1), source="mine.toml")
    return caught.value


def test_a_sub_pool_has_from_its_parent_what_it_does_not_say() -> None:
    pools = packaged_pools().pools
    assert pools["standard-art"].storage == pools["standard"].storage
    assert pools["standard-art"].models.largest_gb == pools["standard"].models.largest_gb
    assert pools["standard-art"].models.takes == ("image",)
    assert {one.name for one in pools["standard-art"].examples} == {"an illustration in several passes"}


def test_a_file_is_read_as_its_text_is(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT)
    assert load_pools(tmp_path / "mine.toml") == packaged_pools()


@pytest.mark.parametrize(
    ("old", "new", "table", "key", "sentence"),
    [
        (
            "below_s = 3\n",
            "belov_s = 3\n",
            "pools.lightning.band",
            "belov_s",
            "is no setting; did you mean `below_s`?",
        ),
        (
            "max_machines = 20\n",
            "zoom = 1\n",
            "pools.research.scaling",
            "zoom",
            "is no setting; take it out; known are",
        ),
        ("[routing]", "[rooting]", "", "rooting", "is no setting; did you mean `routing`?"),
        (
            "min_gb = 10\n",
            'min_gb = "ten"\n',
            "pools.lightning.storage",
            "min_gb",
            "a number is wanted, and this is text",
        ),
        (
            "max_machines = 20\n",
            "max_machines = -1\n",
            "pools.research.scaling",
            "max_machines",
            "a whole number of at least 0",
        ),
        (
            'takes = ["text", "embedding"]',
            'takes = ["texts"]',
            "pools.lightning.models",
            "takes[0]",
            "it is one of text, image, video, audio, 3d, embedding",
        ),
        ('mode = "pools"', 'mode = "on"', "routing", "mode", "it is one of pools, uniform"),
        ('purpose = "Real-time', '# purpose = "Real-time', "pools.lightning", "purpose", "is missing; add it"),
        ("[pools.lightning]", "[pools.Lightning]", "pools.Lightning", "", "is no name for a pool"),
        (
            "COMFYUI_GPU_MEMORY_FRACTION",
            '"COMFY UI"',
            "pools.fast-lane.engine.environment",
            "",
            "one of its names is not possible",
        ),
        (
            "below_s = 30\n",
            "below_s = 2\n",
            "pools.fast-lane.band",
            "below_s",
            "is 2, not above from_s (3); 0 is no bound",
        ),
        (
            "max_gb = 80\n",
            "max_gb = 30\n",
            "pools.fast-lane.storage",
            "max_gb",
            "is 30, below min_gb (40); 0 is no bound",
        ),
        ("largest_gb = 16\n", "largest_gb = 21\n", "pools.lightning.models", "largest_gb", "raise storage.max_gb"),
        ("min_gpus = 1\n", "min_gpus = 0\n", "pools.heavy.compute", "min_gpus", "asks for the memory of a GPU"),
        (
            'speciality = "art"',
            'speciality = "photography"',
            "pools.standard-art",
            "speciality",
            "that of standard-phot",
        ),
        (
            'parent = "standard"',
            'parent = "nobody"',
            "pools.standard-photography",
            "parent",
            "names nobody, which is no",
        ),
        (
            'parent = "standard"\n',
            "",
            "pools.standard-photography",
            "parent",
            "a sub-pool has a parent and a speciality",
        ),
        ('["fast-lane", "standard"]', '["slow"]', "pools.lightning", "fallback", "names slow, which is no pool"),
        ('["fast-lane", "standard"]', '["lightning"]', "pools.lightning", "fallback", "names lightning itself"),
        ('["fast-lane", "standard"]', '["heavy", "heavy"]', "pools.lightning", "fallback", "names heavy twice"),
        ('["fast-lane", "standard"]', '["enterprise"]', "pools.lightning", "fallback", "which is exclusive"),
        (
            'purpose = "Customer',
            'traffic_share = 0.5\npurpose = "Customer',
            "pools.enterprise",
            "traffic_share",
            "must be 1",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_table_and_key(old: str, new: str, table: str, key: str, sentence: str) -> None:
    found = problem(old, new)
    assert (found.source, found.table, found.key) == ("mine.toml", table, key)
    assert sentence in found.problem
    assert str(found).startswith(f"mine.toml: {f'[{table}] ' if table else ''}{f'`{key}` ' if key else ''}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "`pools` is missing; add it"),
        ("pools = 3", "`pools` is not possible: an object is wanted, and this is a whole number"),
        ("[pools]", "`pools` is not possible: an object of at least 1 entries"),
        (
            "[pools]\nlightning = 3",
            "[pools.lightning] is not possible: an object is wanted, and this is a whole number",
        ),
        ("[pools.a]\nparent = ['x']", "[pools.a]"),
        ("= nonsense", "is not valid TOML"),
    ],
)
def test_what_is_no_file_of_pools_is_told(text: str, sentence: str) -> None:
    with pytest.raises(InvalidPools) as caught:
        read_pools_text(text, source="mine.toml")
    assert sentence in str(caught.value)


def test_a_pool_of_the_matrix_may_not_be_missing() -> None:
    start, end = TEXT.index("[pools.research]"), TEXT.index("# --- Enterprise")
    without = (TEXT[:start] + TEXT[end:]).replace('fallback = ["research", "standard"]', "fallback = []")
    with pytest.raises(InvalidPools, match=r"\[pools\] `research` is missing, and the decision matrix routes to it"):
        read_pools_text(without, source="mine.toml")


def test_the_word_for_work_without_pools_is_no_name_for_one() -> None:
    extra = '\n[pools.uniform]\npurpose = "x"\nmodels = { takes = ["text"] }\n'
    with pytest.raises(InvalidPools, match=r"\[pools.uniform\] is the name for work without pools"):
        read_pools_text(TEXT + extra, source="mine.toml")


def test_an_operator_may_add_pools_of_his_own() -> None:
    extra = '\n[pools.night-shift]\npurpose = "cheap power"\nmodels = { takes = ["image"] }\n'
    assert "night-shift" in read_pools_text(TEXT + extra, source="mine.toml").pools


def test_a_file_that_is_not_there_or_no_text_or_too_long_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidPools, match="cannot be read: No such file"):
        load_pools(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidPools, match="is not valid TOML"):
        load_pools(tmp_path / "binary.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(InvalidPools, match="has more than 1,000,000 bytes"):
        load_pools(tmp_path / "long.toml")
