"""What the profiles and the marks of this suite do, seen from outside: pytest run on a small suite of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Those that the configuration speaks of. All that are installed take longer to load than the tests of this file to run.
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "-p", "_hypothesis_pytestplugin")
SUITE = """
import pytest
from hypothesis import settings

@pytest.mark.long
def test_takes_an_hour():
    assert settings().max_examples == 2_000

@pytest.mark.redis7
def test_asks_a_redis_server():
    pass

def test_is_quick():
    assert settings().max_examples == 50
"""


@dataclass(frozen=True)
class Suite:
    """A folder with this project's configuration of pytest and three tests."""

    folder: Path

    def run(self, select: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the tests whose names contain `select`, in an environment with no program on its path."""
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if name.startswith("LC_")}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGINS, "-k", select],
            cwd=self.folder,
            env=inherited | {"PATH": str(empty), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    (tmp_path / "tests" / "test_suite.py").write_text(SUITE, encoding="utf-8")
    return Suite(tmp_path)


def test_the_short_profile_is_the_default_and_skips_what_is_long(suite: Suite) -> None:
    done = suite.run("hour or quick")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout
    assert "long profile only: make test-long" in done.stdout


def test_the_long_profile_runs_what_is_long(suite: Suite) -> None:
    done = suite.run("hour", NORTHSTAR_PROFILE="long")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_profile_that_does_not_exist_is_refused(suite: Suite) -> None:
    done = suite.run("quick", NORTHSTAR_PROFILE="medium")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "NORTHSTAR_PROFILE is 'medium'; it must be 'short' or 'long'" in done.stdout + done.stderr


def test_a_missing_redis_server_skips_its_tests_on_a_developer_s_machine(suite: Suite) -> None:
    done = suite.run("redis")
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert "redis-server is not on the path" in done.stdout


def test_a_missing_redis_server_fails_its_tests_in_ci(suite: Suite) -> None:
    done = suite.run("redis", CI="true")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "redis-server is not on the path" in done.stdout


def test_a_warning_is_an_error(suite: Suite) -> None:
    (suite.folder / "tests" / "test_warns.py").write_text(
        "import warnings\ndef test_warns():\n    warnings.warn('old', DeprecationWarning)\n", encoding="utf-8"
    )
    done = suite.run("warns")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "DeprecationWarning: old" in done.stdout
