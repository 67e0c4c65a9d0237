// A real Chromium, and what must never happen in it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

import { chromium } from "playwright-core";

import { LONG_MS } from "./processes.mjs";

const FLAGS = [
  "--headless",
  "--no-sandbox", // containers often run as root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WCAG_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** A Chromium that `test` closes. */
export async function browser(test) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const launched = await chromium.launch({ executablePath, args: FLAGS });
  test.after(() => launched.close());
  return launched;
}

/** A page that remembers every error, dialog and refusal of the content security policy. */
export async function open(launched, url, options = {}) {
  const context = await launched.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(LONG_MS);
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(`error: ${error}`));
  page.on("dialog", (dialog) => {
    page.faults.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("console", (message) => {
    if (message.type() === "error") page.faults.push(`console: ${message.text()}`);
  });
  await page.goto(url);
  return page;
}

export function assertNoFaults(page) {
  assert.deepEqual(page.faults, [], `on ${page.url()}`);
}

/** Holds the page against WCAG AA. The policy forbids scripts in the page, so axe runs beside it. */
export async function assertAccessible(page, what) {
  const { violations } = await page.evaluate(
    ([axe, tags]) => {
      (0, eval)(axe);
      return window.axe.run(document, { runOnly: { type: "tag", values: tags } });
    },
    [AXE, WCAG_AA],
  );
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map((node) => node.html).join(" | ")}`);
  assert.deepEqual(told, [], what);
}

/** Marks the document: a reload would lose the mark. */
export const mark = (page) => page.evaluate(() => void (window.unreloaded = true));

export async function assertNotReloaded(page) {
  assert.equal(await page.evaluate(() => window.unreloaded), true, "the page was reloaded");
}
