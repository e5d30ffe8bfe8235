"""The live page in a real browser: it moves, it can be used from the keyboard, and what strangers write stays text."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from northstar.agent.direct_link import DirectLink
from northstar.domain.api_keys import Scope
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld
from tests.surfaces.http.site import SERVICE, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Debian's, without whatever calls home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        reason = "chromium is not installed: scripts/provide-chromium.sh"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on which nothing may be said in the console."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    opened = await context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    await context.close()
    assert said == []


async def machine(site: Site, name: str, *, gpu: str = "NVIDIA GeForce RTX 4090") -> DirectLink:
    link = DirectLink(site.cell, machine=name, session=secrets.token_hex(4), new_nonce=lambda: secrets.token_hex(8))
    profile = MachineProfile(pools=("fast-lane",), services=(SERVICE,))
    models = [ModelHeld(name="sdxl", state="resident")]
    await link.register(profile, MachineDescription(gpu=gpu), slots=2, models=models)
    return link


async def enter(page: Page, site: Site) -> None:
    """As an operator does, by the keyboard alone."""
    key = (await site.client(Scope.READ)).key
    await page.goto(f"{site.url}/live")
    await expect(page.locator("#key")).to_be_focused()
    await page.keyboard.type(key)
    await expect(page.locator("#key")).to_have_value(key)
    await page.keyboard.press("Enter")
    await expect(page.locator("#state")).to_have_text("live")


async def test_what_happens_is_seen_without_reloading(own_site: Site, page: Page) -> None:
    await enter(page, own_site)
    await expect(page.locator("#no-machines")).to_be_visible()
    await expect(page.locator("#no-lanes")).to_be_visible()
    client = await own_site.client(Scope.SUBMIT)
    job = await client.submit()
    await expect(page.locator("#lanes tbody tr")).to_contain_text("no machine is here")
    await expect(page).to_have_title("1 waiting · " + own_site.cell.name + " · North Star")
    link = await machine(own_site, "salad-2")
    await machine(own_site, "salad-1")
    rows = page.locator("#machines tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("salad-1")
    await expect(page.locator("#no-machines")).to_be_hidden()
    reply = await link.claim(credits_=1)
    assert [one.id for one in reply.jobs] == [job]
    await expect(rows.nth(1)).to_contain_text("1 of 2")
    await expect(page.locator("#total-running")).to_have_text("1")
    await expect(page.locator("#no-lanes")).to_be_visible()
    await expect(page.locator("#curves canvas")).to_be_visible()
    await own_site.cell.remove_machine("salad-1", because="test", lost=False, nonce="gone")
    await expect(rows).to_have_count(1)


async def test_machines_are_found_by_the_keyboard_and_a_job_tells_its_story(own_site: Site, page: Page) -> None:
    for name in ("salad-1", "salad-2", "vast-1"):
        await machine(own_site, name, gpu="RTX 3060" if name == "vast-1" else "RTX 4090")
    client = await own_site.client(Scope.SUBMIT)
    job = await client.submit(pool="heavy")
    await enter(page, own_site)
    await page.keyboard.press("/")
    await expect(page.locator("#filter")).to_be_focused()
    await page.keyboard.type("3060")
    await expect(page.locator("#machines tbody tr:visible")).to_have_count(1)
    await page.keyboard.press("Escape")
    await expect(page.locator("#machines tbody tr:visible")).to_have_count(3)
    await page.get_by_role("link", name=job).focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("h1")).to_have_text(f"Job {job}")
    await expect(page.locator("#steps")).to_contain_text("submitted by default")
    await expect(page.locator("#reasons")).to_contain_text("heavy")


async def test_what_strangers_write_is_never_run(own_site: Site, page: Page) -> None:
    evil = "<img src=x onerror=alert(1)>"
    await machine(own_site, "m", gpu=evil)
    await enter(page, own_site)
    await expect(page.locator("#machines tbody tr")).to_contain_text(evil)
    await machine(own_site, "n", gpu=evil)
    await expect(page.locator("#machines tbody tr").nth(1)).to_contain_text(evil)
    assert await page.locator("#machines img").count() == 0


async def test_a_key_that_is_revoked_ends_the_page(own_site: Site, page: Page) -> None:
    await enter(page, own_site)
    for view in await own_site.keys.views():
        await own_site.keys.revoke(view.id, by="test")
    await expect(page.locator("#key")).to_be_visible(timeout=15_000)


async def test_without_scripts_the_page_reads_whole(own_site: Site, browser: Browser) -> None:
    await machine(own_site, "salad-1")
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    key = (await own_site.client(Scope.READ)).key
    await page.goto(f"{own_site.url}/live")
    await page.fill("#key", key)
    await page.get_by_role("button", name="Look").click()
    await expect(page.locator("#machines tbody tr")).to_have_count(1)
    await expect(page.locator("#curves")).to_be_hidden()
    await context.close()
