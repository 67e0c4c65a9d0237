// Applies filters as they are changed, without a reload, and keeps the address true, so that it can
// be shared and the back button works. Without this script the form is sent by its button.

import { go, refresh } from "./refresh.js";

const TYPING_MS = 300; // a pause in typing

let timer;

// The address that the form asks for: what is not filled in, or as usual, is left out.
function address(form) {
  const url = new URL(form.action);
  for (const [name, value] of new FormData(form)) {
    const usual = form.elements[name].dataset?.usual;
    if (value !== "" && value !== usual) url.searchParams.append(name, value);
  }
  return url;
}

function apply(form, replace) {
  clearTimeout(timer);
  const to = address(form).href;
  // The form stays as it is: somebody is typing in it.
  if (to !== location.href) go(to, { replace, whole: false });
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-filters]")) return;
  event.preventDefault();
  apply(event.target, false);
});

document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.matches("[data-filters]")) apply(form, false);
});

document.addEventListener("input", (event) => {
  const { form, type } = event.target;
  if (!form?.matches("[data-filters]") || !["text", "search"].includes(type)) return;
  clearTimeout(timer);
  timer = setTimeout(() => apply(form, false), TYPING_MS);
});

// Links that stay on this page: other pages of the list, filters taken away.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#main a[href]");
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.matches("a.finding, a.close") || link.origin !== location.origin) return;
  if (link.pathname !== location.pathname || link.hash) return;
  event.preventDefault();
  const turns = link.matches('[rel="next"], [rel="prev"], [rel="first"]');
  go(link.href).then(() => {
    if (!turns) return;
    const heading = document.getElementById("findings-title") ?? document.getElementById("main");
    heading.focus();
    heading.scrollIntoView({ block: "start" });
  });
});

addEventListener("popstate", () => {
  refresh(location.href, { whole: true, quiet: true, asked: true }).catch(() => location.reload());
});
