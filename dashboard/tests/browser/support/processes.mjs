// Real processes on ports of their own, stopped when a test ends, however it ends.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The checkout: what the demonstration looks at. */
export const CHECKOUT = fileURLToPath(new URL("../../../..", import.meta.url));
/** After which something that a test waits for will not happen. */
export const LONG_MS = 30_000;

let found;

/** Where cargo left the binaries: `scripts/test.sh` builds them before it comes here. */
function binaries() {
  if (process.env.FLEET_BINARIES) return process.env.FLEET_BINARIES;
  found ??= JSON.parse(
    execFileSync("cargo", ["metadata", "--format-version", "1", "--no-deps"], {
      cwd: CHECKOUT,
      maxBuffer: 64 * 1024 * 1024,
    }),
  ).target_directory;
  return join(found, "debug");
}

export async function freePort() {
  const server = createServer();
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

/** Asks until `so` holds; each question is a round trip, so this is no busy loop. */
export async function until(what, so) {
  const last = Date.now() + LONG_MS;
  for (;;) {
    if (await so().catch(() => false)) return;
    if (Date.now() > last) throw new Error(`never: ${what}`);
    await new Promise((later) => setTimeout(later, 20));
  }
}

function start(program, args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (said = (said + text).slice(-20_000)));
  }
  const gone = new Promise((ended) => child.on("exit", ended).on("error", ended));
  return {
    child,
    said: () => said,
    async kill() {
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** A dashboard that answers; `stop` kills it, `start` brings another to its place. */
export async function dashboard(test, ...args) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let running;
  const begin = async () => {
    running = start(join(binaries(), "fleet-dashboard"), ["--listen", `127.0.0.1:${port}`, ...args]);
    try {
      await until("the dashboard answers", async () => (await fetch(`${url}/livez`)).ok);
    } catch (error) {
      throw new Error(`${error.message}; the dashboard said:\n${running.said()}`);
    }
  };
  test.after(() => running.kill());
  await begin();
  return { url, start: begin, stop: () => running.kill(), said: () => running.said() };
}

/** A Redis that keeps its data in a folder of its own: `stop` kills it, `start` brings it back. */
export async function redis(test) {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "fleet-browser-"));
  let running;
  const begin = async () => {
    const options = { port, bind: "127.0.0.1", save: "", appendonly: "yes", dir: folder };
    running = start("redis-server", Object.entries(options).flatMap(([key, value]) => [`--${key}`, `${value}`]));
    await until("Redis takes connections", async () => running.said().includes("Ready to accept"));
  };
  await begin();
  test.after(async () => {
    await running.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return { url: `redis://127.0.0.1:${port}`, start: begin, stop: () => running.kill() };
}

/** Says something to the API as a program would. */
export async function post(url, path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/api/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status}: ${text}`);
  return text && JSON.parse(text);
}

/** Pushes a report as anybody would. */
export async function ingest(url, parameters, report) {
  const query = new URLSearchParams(parameters);
  const answer = await fetch(`${url}/api/v1/ingest?${query}`, { method: "POST", body: JSON.stringify(report) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status}: ${text}`);
  return JSON.parse(text);
}

/** A SARIF report of `results`, each `{rule, level, message, file, line}`. */
export function sarif(tool, results, rules = []) {
  return {
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: tool, rules } },
        results: results.map(({ rule, level = "warning", message, file, line = 1 }) => ({
          ruleId: rule,
          level,
          message: { text: message },
          locations: [{ physicalLocation: { artifactLocation: { uri: file }, region: { startLine: line } } }],
        })),
      },
    ],
  };
}
