import assert from "node:assert/strict";
import { test } from "node:test";

import { assertNotReloaded, browser, mark, open } from "./support/browser.mjs";
import { dashboard, ingest, redis, sarif } from "./support/processes.mjs";

const found = (n) => ({ rule: `rule-${n}`, message: `found ${n}`, file: `src/${n}.rs` });

test("a Redis that is away shows as stale, and its return as live", async (t) => {
  const store = await redis(t);
  const { url } = await dashboard(t, "--store", store.url);
  await ingest(url, { repository: "acme/shop" }, sarif("linter", [found(1)]));
  const page = await open(await browser(t), url);
  await page.locator('#live[data-state="live"]').waitFor();
  const row = page.locator("#sessions").getByRole("link", { name: "acme/shop", exact: true });
  await row.waitFor();
  await mark(page);

  await store.stop();
  await page.locator('#live[data-state="stale"]').waitFor();
  assert.match(await page.locator("#live").innerText(), /stale, as of \d/);
  assert.ok(await row.isVisible(), "what was known is still shown");

  await store.start();
  await page.locator('#live[data-state="live"]').waitFor();
  await ingest(url, { repository: "acme/forge" }, sarif("linter", [found(2)]));
  await page.locator("#sessions").getByRole("link", { name: "acme/forge", exact: true }).waitFor();
  await assertNotReloaded(page);
});

test("a dashboard that is away shows as stale, and the next one in its place as live", async (t) => {
  const store = await redis(t);
  const server = await dashboard(t, "--store", store.url);
  const page = await open(await browser(t), server.url);
  await page.locator('#live[data-state="live"]').waitFor();
  await mark(page);

  await server.stop();
  await page.locator('#live[data-state="reconnecting"]').waitFor();
  await page.locator('#live[data-state="stale"]').waitFor();
  assert.ok(await page.getByRole("heading", { level: 1 }).isVisible());

  await server.start();
  await page.locator('#live[data-state="live"]').waitFor();
  await ingest(server.url, { repository: "acme/shop" }, sarif("linter", [found(1)]));
  await page.locator("#sessions").getByRole("link", { name: "acme/shop", exact: true }).waitFor();
  await assertNotReloaded(page);
});
