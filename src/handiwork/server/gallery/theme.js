// The chosen theme, set before the first paint so that the page never flashes. A plain script, since modules run too late.
const THEME = "handiwork.theme";
const stored = localStorage.getItem(THEME);
if (stored === "light" || stored === "dark") document.documentElement.dataset.theme = stored;

document.addEventListener("DOMContentLoaded", () => {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const shown = () => document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
  const label = () => button.setAttribute("aria-label", shown() === "dark" ? "Use the light theme" : "Use the dark theme");
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = shown() === "dark" ? "light" : "dark";
    localStorage.setItem(THEME, document.documentElement.dataset.theme);
    label();
  });
  system.addEventListener("change", label);
  label();
});
