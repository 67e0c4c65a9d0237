// Keeps "3 min ago" true. The words are those of the server (words.rs).

const EVERY_MS = 1_000;

const span = (seconds) => {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} days`;
};

function age(element) {
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(element.dateTime)) / 1_000));
  if (element.dataset.age === "since") return span(seconds);
  return seconds < 5 ? "just now" : `${span(seconds)} ago`;
}

function update() {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-age]")) {
    const text = age(element);
    if (element.textContent !== text) element.textContent = text;
  }
}

setInterval(update, EVERY_MS);
document.addEventListener("visibilitychange", update);
document.addEventListener("fleet:shown", update);
update();
