import { test } from "node:test";

import { assertAccessible, assertNoFaults, browser, open } from "./support/browser.mjs";
import { dashboard, ingest, sarif } from "./support/processes.mjs";

const RESULTS = ["error", "warning", "note"].flatMap((level) =>
  [1, 2, 3].map((n) => ({ rule: `${level}-rule`, level, message: `${level} number ${n}`, file: `src/${level}.rs`, line: n })),
);

test("no page violates WCAG AA, in either theme, wide or narrow", async (t) => {
  const { url } = await dashboard(t);
  const launched = await browser(t);
  await assertAccessible(await open(launched, url), "an empty fleet");

  const { session } = await ingest(url, { repository: "acme/shop", ref: "main" }, sarif("linter", RESULTS));
  const { findings } = await (await fetch(`${url}/api/v1/sessions/${session}/findings`)).json();
  const paths = [
    "/",
    "/workers",
    "/bots",
    "/bots/linter",
    "/repositories/acme/shop",
    `/sessions/${session}`,
    `/sessions/${session}?severity=error`,
    `/sessions/${session}?text=nothing-like-it`,
    `/sessions/${session}?finding=${findings[0].fingerprint}`,
  ];
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 360]) {
      const page = await open(launched, url, { colorScheme, viewport: { width, height: 900 } });
      for (const path of paths) {
        await page.goto(url + path);
        await page.locator('#live[data-state="live"]').waitFor();
        await assertAccessible(page, `${path}, ${colorScheme}, ${width} px`);
      }
      await page.goto(`${url}/sessions/no-such-session`);
      await assertAccessible(page, `an error page, ${colorScheme}, ${width} px`);
      page.faults = page.faults.filter((fault) => !fault.includes("404"));
      page.faults = page.faults.filter((fault) => !fault.includes("400"));
      assertNoFaults(page);
      await page.context().close();
    }
  }
});
