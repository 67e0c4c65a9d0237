// Keeps a page live. The socket only says that something changed; refresh.js fetches it. Without this
// script the page is complete, and as old as its last load.

import "./ages.js";
import { refresh } from "./refresh.js";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000; // a server that is back is noticed within this
const STALE_AFTER_MS = 15_000; // a restart takes less
const REFRESH_EVERY_MS = 1_000; // however fast findings come in, a person reads no faster
const POLICY = 1008; // the server did not understand what was sent

const status = document.getElementById("live");
const banner = document.getElementById("stale");
const main = document.getElementById("main");
const versions = new Map(); // object -> version: sent on reconnect, to hear only of what is newer
const hears = (main?.dataset.hears ?? "").split(" ").filter(Boolean);
const every = Number(main?.dataset.every ?? 0) * 1_000;

let attempts = 0;
let connected = false;
let lostFor = false; // the server has been gone for longer than a restart takes
let storeAway = false;
let why = "";
let shownAt = performance.timeOrigin; // when what is shown was true
let staleTimer;
let refreshTimer;
let refreshedAt = 0;
let refreshing = false;
let changedMeanwhile = false;

// What the reader is told: live, reconnecting, or stale with the time of what is shown.
function tell() {
  const stale = lostFor || storeAway || document.querySelector("[data-stale]") !== null;
  const state = stale ? "stale" : connected ? "live" : "reconnecting";
  const asOf = new Date(shownAt).toLocaleTimeString("en-GB");
  const text = state === "stale" ? `stale, as of ${asOf}` : state;
  if (status && (status.dataset.state !== state || status.textContent !== text)) {
    status.dataset.state = state;
    status.textContent = text;
  }
  if (banner) {
    banner.hidden = state !== "stale";
    const cause = lostFor ? "The dashboard does not answer." : why || "The store does not answer.";
    banner.textContent = `${cause} You see what was known at ${asOf}; this page recovers by itself.`;
  }
}

function lost() {
  connected = false;
  staleTimer ??= setTimeout(() => {
    lostFor = true;
    tell();
  }, STALE_AFTER_MS);
  tell();
}

function found() {
  clearTimeout(staleTimer);
  staleTimer = undefined;
  connected = true;
  lostFor = false;
  tell();
}

function schedule() {
  if (document.hidden || refreshing) {
    changedMeanwhile = true;
    return;
  }
  refreshTimer ??= setTimeout(run, Math.max(0, refreshedAt + REFRESH_EVERY_MS - Date.now()));
}

async function run() {
  refreshTimer = undefined;
  refreshing = true;
  changedMeanwhile = false;
  const asked = Date.now();
  try {
    if (await refresh()) shownAt = asked;
  } catch {
    // The socket notices a lost server too, says so, and its return brings the next refresh.
  } finally {
    refreshedAt = Date.now();
    refreshing = false;
    tell();
    if (changedMeanwhile) schedule();
  }
}

function concerns(names) {
  return hears.length === 0 || names.some((name) => hears.some((start) => name.startsWith(start)));
}

function heard(frame) {
  const changed = frame.versions ?? {};
  for (const [object, version] of Object.entries(changed)) versions.set(object, version);
  for (const id of frame.removed ?? []) versions.delete(`session:${id}`);
  if (frame.store) {
    const returned = storeAway && frame.store.reachable;
    storeAway = !frame.store.reachable;
    why = storeAway ? "The store does not answer." : "";
    tell();
    if (returned) schedule();
  }
  // The first snapshot may be newer than this page, so it counts as a change too.
  if (!storeAway && (concerns(Object.keys(changed)) || frame.removed?.length)) schedule();
}

function retry() {
  const cap = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempts++);
  setTimeout(connect, cap * Math.random() + FIRST_RETRY_MS / 2); // full jitter: no stampede
}

function connect() {
  const origin = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
  const resumes = versions.size > 0;
  const socket = new WebSocket(`${origin}/ws${resumes ? "?resume=1" : ""}`);
  socket.addEventListener("open", () => {
    if (resumes) {
      socket.send(JSON.stringify({ type: "resume", versions: Object.fromEntries(versions) }));
    }
    found();
    schedule(); // what changed while nobody listened
  });
  socket.addEventListener("message", (event) => {
    attempts = 0; // not on open: a server that lets in and throws out must not be hammered
    try {
      heard(JSON.parse(event.data));
    } catch {
      schedule(); // not understood: an older page talking to a newer server
    }
  });
  socket.addEventListener("close", (event) => {
    if (event.code === POLICY) versions.clear(); // start anew, or it is refused again
    lost();
    retry();
  });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) schedule();
});
addEventListener("pageshow", (event) => {
  if (event.persisted) schedule(); // back from the browser's own cache
});
document.addEventListener("fleet:shown", tell);
// What no hint tells, and a page that could not be shown: asked for again and again.
setInterval(() => {
  const waits = document.querySelector("[data-stale]") !== null;
  if (!document.hidden && (every > 0 || waits) && !(storeAway && !waits)) schedule();
}, every || 5_000);
connect();
