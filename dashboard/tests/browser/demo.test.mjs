import assert from "node:assert/strict";
import { test } from "node:test";

import { assertNoFaults, assertNotReloaded, browser, mark, open } from "./support/browser.mjs";
import { CHECKOUT, dashboard, until } from "./support/processes.mjs";

/** The number before "finding(s)" at the head of the list. */
async function total(page) {
  const text = await page.locator("#findings").innerText();
  return Number(/([\d,]+) findings?\b/.exec(text)?.[1].replaceAll(",", "") ?? 0);
}

test("the demonstration finds things while one looks, and a filter narrows them", async (t) => {
  const { url } = await dashboard(t, "--demo", CHECKOUT);
  const page = await open(await browser(t), url);
  await page.locator('#live[data-state="live"]').waitFor();
  await mark(page);
  const session = page.locator('#sessions a[href^="/sessions/"]').first();
  await session.waitFor();
  await assertNotReloaded(page);

  await session.click();
  await page.locator('#live[data-state="live"]').waitFor();
  await mark(page);
  const first = await total(page);
  await until("more findings appear", async () => (await total(page)) > first);
  await assertNotReloaded(page);

  await until("every bot is done", async () => (await page.locator("#executions .running, #executions .pending").count()) === 0);
  const all = await total(page);
  await page.getByLabel("warning", { exact: true }).check();
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/[?&]severity=warning/);
  await until("the list is narrowed", async () => (await total(page)) < all);
  assert.equal(await page.locator("#findings tbody tr .error").count(), 0);
  const narrowed = await total(page);
  await page.reload();
  assert.equal(await total(page), narrowed, "the filter is in the address");

  if (process.env.FLEET_SCREENSHOT) {
    await page.goto(url);
    await page.locator('#live[data-state="live"]').waitFor();
    await page.screenshot({ path: process.env.FLEET_SCREENSHOT });
  }
  assertNoFaults(page);
});
