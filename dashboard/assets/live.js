// Keeps a page live. The socket only says that something changed; what changed is fetched as
// the server renders it, so that there is one way to show a thing. Without this script the page
// is complete, and as old as its last load.

const LABELS = { live: "live", reconnecting: "reconnecting", stale: "stale" };
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;
const STALE_AFTER_MS = 15_000; // a restart takes less
const REFRESH_EVERY_MS = 1_000; // however fast findings come in, a person reads no faster

const status = document.getElementById("live");
const versions = new Map(); // object -> version: sent on reconnect, to hear only of what is newer
let attempts = 0;
let staleTimer;
let refreshTimer;
let refreshedAt = 0;
let fetching = false;
let changedMeanwhile = false;

function show(state, note = "") {
  if (!status || status.dataset.state === state) return;
  status.dataset.state = state;
  status.textContent = LABELS[state] + note;
}

function lost() {
  if (staleTimer !== undefined) return; // already told: reconnecting, or stale by now
  show("reconnecting");
  staleTimer = setTimeout(() => {
    show("stale", `, as of ${new Date(refreshedAt || performance.timeOrigin).toLocaleTimeString()}`);
  }, STALE_AFTER_MS);
}

function found() {
  clearTimeout(staleTimer);
  staleTimer = undefined;
  show("live");
}

function scheduleRefresh() {
  if (document.hidden) {
    changedMeanwhile = true;
    return;
  }
  refreshTimer ??= setTimeout(refresh, Math.max(0, refreshedAt + REFRESH_EVERY_MS - Date.now()));
}

async function refresh() {
  refreshTimer = undefined;
  if (fetching) {
    changedMeanwhile = true;
    return;
  }
  fetching = true;
  changedMeanwhile = false;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" } });
    if (response.ok) replace(new DOMParser().parseFromString(await response.text(), "text/html"));
  } catch {
    // The socket notices a lost server too, says so, and its return brings the next refresh.
  } finally {
    refreshedAt = Date.now();
    fetching = false;
    if (changedMeanwhile) scheduleRefresh();
  }
}

// Exchanges the live parts that differ. A part somebody is in with the keyboard waits its turn,
// and an unfolded breakdown stays unfolded.
function replace(fresh) {
  document.title = fresh.title;
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next || next.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
    const unfolded = part.querySelector("details")?.open;
    part.replaceChildren(...next.childNodes);
    const details = part.querySelector("details");
    if (details && unfolded !== undefined) details.open = unfolded;
  }
}

// A session's page looks at its own session only; the fleet's page at everything.
function concerns(versions) {
  const id = /^\/sessions\/([^/]+)/.exec(location.pathname)?.[1];
  return id === undefined || `session:${decodeURIComponent(id)}` in versions;
}

function heard(frame) {
  const changed = frame.versions ?? {};
  for (const [object, version] of Object.entries(changed)) versions.set(object, version);
  for (const id of frame.removed ?? []) versions.delete(`session:${id}`);
  // The first snapshot may be newer than this page, so it counts as a change too.
  if (concerns(changed) || frame.removed?.length) scheduleRefresh();
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
  });
  socket.addEventListener("message", (event) => {
    attempts = 0; // not on open: a server that lets in and throws out must not be hammered
    try {
      heard(JSON.parse(event.data));
    } catch {
      scheduleRefresh(); // not understood: an older page talking to a newer server
    }
  });
  socket.addEventListener("close", () => {
    lost();
    retry();
  });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && changedMeanwhile) scheduleRefresh();
});
connect();
