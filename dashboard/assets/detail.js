// A finding beside the list: opened without a reload, closed by Escape, walked through by j and k.
// Without this script its link loads the page with the panel in it.

import { go } from "./refresh.js";

const panel = () => document.getElementById("detail");
const links = () => [...document.querySelectorAll("#findings a.finding")];
const current = () => document.querySelector('#findings a.finding[aria-current="true"]');
const isOpen = () => panel()?.hidden === false;

// The address without a finding.
function without() {
  const url = new URL(location.href);
  url.searchParams.delete("finding");
  return url.href;
}

// Shows the finding of `link`. Walking replaces the address: the back button leads out, not through.
async function open(link, { walking = false } = {}) {
  const replace = walking && isOpen();
  if (!(await go(link.href, { replace, whole: false }))) return;
  const opened = current();
  if (walking) {
    opened?.focus({ preventScroll: true });
    opened?.closest("tr").scrollIntoView({ block: "nearest" });
  } else {
    document.getElementById("detail-title")?.focus({ preventScroll: true });
  }
  panel()?.scrollTo(0, 0);
}

async function close() {
  const fingerprint = new URL(location.href).searchParams.get("finding");
  const row = () => document.querySelector(`#findings tr[data-key="${CSS.escape(fingerprint ?? "")}"]`);
  if (!(await go(without(), { whole: false }))) return;
  (row()?.querySelector("a.finding") ?? document.getElementById("findings-title"))?.focus({ preventScroll: true });
}

// The finding `steps` below the focused or open one.
function step(steps) {
  const all = links();
  const focused = document.activeElement?.closest?.("a.finding");
  const at = all.indexOf(focused ?? current());
  const next = all[at === -1 ? 0 : Math.min(all.length - 1, Math.max(0, at + steps))];
  if (!next) return;
  if (isOpen()) open(next, { walking: true });
  else next.focus();
}

document.addEventListener("click", (event) => {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest?.("a.finding, #detail a.close");
  if (!link) return;
  event.preventDefault();
  if (link.matches(".close")) close();
  else open(link);
});

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing) return;
  if (event.target.closest?.("input, select, textarea")) return;
  const onFinding = event.target.closest?.("a.finding");
  const steps = { j: 1, k: -1, ...(onFinding && { ArrowDown: 1, ArrowUp: -1 }) }[event.key];
  if (steps) {
    event.preventDefault();
    step(steps);
  } else if (event.key === "Escape" && isOpen()) {
    event.preventDefault();
    close();
  }
});
