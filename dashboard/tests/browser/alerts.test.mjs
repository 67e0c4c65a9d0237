import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { assertAccessible, assertNoFaults, assertNotReloaded, browser, mark, open } from "./support/browser.mjs";
import { dashboard, post } from "./support/processes.mjs";

/** A run that fails, as a bot says it. */
async function fail(url, bot) {
  await post(url, "bots", { id: bot });
  const { session } = await post(url, "sessions", { repository: "acme/shop" });
  const producer = `${bot}-1`;
  const say = (sequence, more) => post(url, "transitions", { session, bot, producer, sequence, ...more });
  const { attempt } = await say(1, { change: "start" });
  await say(2, { attempt, change: "fail", reason: "it <b>broke</b>" });
}

test("an alert that fires is seen, and silenced by the form, without a fault", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "fleet-alerts-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const config = join(folder, "fleet.toml");
  // The only bot of its tier: that the tier is down would explain it after a while.
  writeFileSync(config, "[alerts.limits.bot_failing]\nwarning = 1\n[alerts.limits.tier_down]\noff = true\n");
  const { url } = await dashboard(t, "--config", config);
  const launched = await browser(t);
  const page = await open(launched, `${url}/alerts`);
  await page.getByText("Nothing fires").waitFor();
  await page.locator('#live[data-state="live"]').waitFor();
  await mark(page);

  await fail(url, "scan");
  const row = page.getByRole("row", { name: /bot failing/ });
  await row.waitFor();
  await assertNotReloaded(page);
  assert.match(await row.innerText(), /warning[\s\S]*firing[\s\S]*scan/);
  if (process.env.FLEET_SCREENSHOT) await page.screenshot({ path: `${process.env.FLEET_SCREENSHOT}-alerts.png`, fullPage: true });

  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      const other = await open(launched, `${url}/alerts`, { colorScheme, viewport: { width, height: 900 } });
      for (const path of ["/alerts", "/"]) {
        await other.goto(url + path);
        await other.getByRole("row", { name: /bot failing/ }).waitFor();
        await assertAccessible(other, `${path} with an alert, ${colorScheme}, ${width} px`);
      }
      assertNoFaults(other);
      await other.context().close();
    }
  }

  await page.getByLabel("Alerts with all of").fill("bot=sc*");
  await page.locator("#silence select").selectOption("2 hours");
  await page.getByLabel("Why").fill("being <looked> at");
  await page.getByLabel("Your name").fill("ada");
  await page.getByRole("button", { name: "Silence" }).click();
  await page.locator("#silences").getByText("by ada: being <looked> at").waitFor();
  await page.getByRole("row", { name: /bot failing/ }).getByText("silenced").waitFor();
  await assertAccessible(page, "a silenced alert");
  if (process.env.FLEET_SCREENSHOT) await page.screenshot({ path: `${process.env.FLEET_SCREENSHOT}-silenced.png`, fullPage: true });
  assertNoFaults(page);
});
