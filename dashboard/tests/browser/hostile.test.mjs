import assert from "node:assert/strict";
import { test } from "node:test";

import { assertNoFaults, browser, mark, open } from "./support/browser.mjs";
import { dashboard, ingest, sarif } from "./support/processes.mjs";

const HOSTILE = [
  "<script>window.owned = true</script>",
  '"><img src=x onerror="window.owned = true">',
  "'-window.owned=true-'",
  "javascript:window.owned=true",
  "{{ 7 * 7 }}${7 * 7}",
  "</title></textarea><svg onload=window.owned=true>",
  "\u202eexe.txt\u2066",
];

test("hostile strings stay text", async (t) => {
  const { url } = await dashboard(t);
  const results = HOSTILE.map((text, n) => ({ rule: text, message: text, file: `${encodeURIComponent(text)}/${n}.rs` }));
  const rules = HOSTILE.map((text) => ({
    id: text,
    name: text,
    shortDescription: { text },
    helpUri: "javascript:window.owned=true",
  }));
  const { session } = await ingest(
    url,
    { repository: "acme/shop", ref: HOSTILE[0], commit: HOSTILE[2] },
    sarif("linter", results, rules),
  );
  const page = await open(await browser(t), url);
  await page.locator("#sessions").getByRole("link", { name: "acme/shop", exact: true }).waitFor();
  await mark(page);
  const paths = ["/", `/sessions/${session}`, `/sessions/${session}?text=${encodeURIComponent(HOSTILE[1])}`];
  const { findings } = await (await fetch(`${url}/api/v1/sessions/${session}/findings`)).json();
  for (const { fingerprint } of findings) paths.push(`/sessions/${session}?finding=${fingerprint}`);
  for (const path of paths) {
    await page.goto(url + path);
    await page.locator('#live[data-state="live"]').waitFor();
    assert.equal(await page.evaluate(() => window.owned), undefined, path);
    assert.equal(await page.locator('[href^="javascript:" i], [src^="javascript:" i]').count(), 0, path);
    assert.equal(await page.locator("main script, main img, main [onload], main [onerror]").count(), 0, path);
  }
  await page.goto(`${url}/sessions/${session}`);
  for (const text of HOSTILE.slice(0, 3)) {
    await page.locator("#findings").getByText(text).first().waitFor();
  }
  assertNoFaults(page);
});
