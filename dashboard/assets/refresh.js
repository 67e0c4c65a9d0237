// Brings the page up to date: what changed is fetched as the server renders it, so that there is one
// way to show a thing, and the parts marked `data-live` are made to look like it.

import { morph } from "./morph.js";

const HIGHLIGHT_MS = 2_500; // as long as the style sheet's animation

let current; // the fetch under way: a newer one makes its answer worthless
let going = false; // it is one that the reader asked for, which no mere refresh may take over

// The page at `address`; null where the store is away, an error where the server is.
async function load(address, signal) {
  const response = await fetch(address, { headers: { accept: "text/html" }, signal });
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  return response.status === 503 ? null : fresh;
}

function highlight(element) {
  element.classList.add("new");
  setTimeout(() => element.classList.remove("new"), HIGHLIGHT_MS);
}

// Exchanges what differs. `whole` exchanges the form as well, where the address has changed; `quiet`
// highlights nothing, where all is new.
function show(fresh, { whole = false, quiet = false } = {}) {
  const main = document.getElementById("main");
  const freshMain = fresh.getElementById("main");
  if (!main || !freshMain) return;
  const focused = document.activeElement;
  const added = quiet ? undefined : highlight;
  const live = [...main.querySelectorAll("[data-live]")];
  const same = live.length > 0 && live.every((part) => fresh.getElementById(part.id));
  const form = main.querySelector("[data-filters]");
  const freshForm = freshMain.querySelector("[data-filters]");
  if (!same || freshMain.querySelectorAll("[data-live]").length !== live.length) {
    morph(main, freshMain); // another kind of page: the first session came, or the store is back
  } else {
    for (const part of live) morph(part, fresh.getElementById(part.id), added);
    if (whole && form && freshForm) form.replaceWith(document.importNode(freshForm, true));
  }
  document.title = fresh.title;
  if (document.activeElement === document.body && focused?.isConnected) {
    focused.focus({ preventScroll: true }); // its row was moved
  }
  document.dispatchEvent(new Event("fleet:shown"));
}

// Fetches the page at `address` and shows it. True when it is shown, false when the store is away or
// another fetch took over; an error when the server is away.
export async function refresh(address = location.href, options = {}) {
  if (going && !options.asked) return false;
  current?.abort();
  const mine = new AbortController();
  current = mine;
  going = options.asked ?? false;
  try {
    const fresh = await load(address, mine.signal);
    if (!fresh || mine.signal.aborted) return false;
    show(fresh, options);
    return true;
  } catch (error) {
    if (mine.signal.aborted) return false;
    throw error;
  } finally {
    if (current === mine) {
      current = undefined;
      going = false;
    }
  }
}

// Goes to `address` without loading anew; where that fails, the browser's own way.
export async function go(address, { replace = false, whole = true } = {}) {
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  try {
    if (await refresh(address, { whole, quiet: true, asked: true })) return true;
  } catch {
    location.assign(address);
  }
  return false;
}
