// Brings one element to look like another, changing only what differs, so that focus, selection,
// scroll positions and what the reader unfolded stay where they are. Children with an id or a
// `data-key` are told apart by it; the others by their place.

const keyOf = (node) =>
  node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || null : null;

const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName;

// Whether somebody unfolded something is theirs to say, once the page is there.
const isTheirs = (element, name) => name === "open" && element.nodeName === "DETAILS";

function attributes(old, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (!isTheirs(old, name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (!isTheirs(old, name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
}

// What stands before `same` and is not coming: taken out, so that `same` need not be moved, which
// would take the focus from it.
function clear(parent, at, same, coming) {
  while (at && at !== same && !coming.has(keyOf(at))) {
    const gone = at;
    at = at.nextSibling;
    parent.removeChild(gone);
  }
  return at;
}

function children(old, fresh, added) {
  const there = new Map();
  for (const child of old.children) if (keyOf(child)) there.set(keyOf(child), child);
  const coming = new Set([...fresh.children].map(keyOf).filter(Boolean));
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = keyOf(next);
    let same = null;
    if (key) {
      same = there.get(key) ?? null;
      if (same && !alike(same, next)) same = null;
      if (same) at = clear(old, at, same, coming);
    } else if (at && !keyOf(at) && alike(at, next)) {
      same = at;
    }
    if (!same) {
      const copy = document.importNode(next, true);
      old.insertBefore(copy, at);
      if (key) added(copy);
      continue;
    }
    if (same === at) at = at.nextSibling;
    else old.insertBefore(same, at);
    morph(same, next, added);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

// `added` hears of every element with a key that was not there before.
export function morph(old, fresh, added = () => {}) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = fresh.nodeValue;
    return;
  }
  attributes(old, fresh);
  children(old, fresh, added);
}
