// The reader's choice of theme, before anything is drawn: this file is no module, so that the page
// waits for it. Without a choice the system's theme holds.
(() => {
  const KEY = "fleet-theme";
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const LABELS = { auto: "Theme: system", light: "Theme: light", dark: "Theme: dark" };

  const stored = () => {
    try {
      const choice = localStorage.getItem(KEY);
      return choice in LABELS ? choice : "auto";
    } catch {
      return "auto"; // storage is switched off: the system's theme it is
    }
  };

  const apply = (choice) => {
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
  };

  apply(stored());

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    if (!button) return;
    let choice = stored();
    const label = () => {
      button.textContent = LABELS[choice];
    };
    button.hidden = false;
    label();
    button.addEventListener("click", () => {
      choice = NEXT[choice];
      apply(choice);
      label();
      try {
        if (choice === "auto") localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, choice);
      } catch {
        // it holds for this page then
      }
    });
  });
})();
