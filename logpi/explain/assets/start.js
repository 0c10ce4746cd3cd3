// Formulas first, then whatever the page holds. An error is written where a test, or a person, finds it.
addEventListener("error", (event) => {
  document.documentElement.dataset.error = `${event.message} (${event.lineno}:${event.colno})`;
});
addEventListener("securitypolicyviolation", (event) => {
  document.documentElement.dataset.error = `the page asked for ${event.blockedURI}`;
});
for (const place of document.querySelectorAll(".tex")) {
  if ("display" in place.dataset) logpi.controls.formulas(place, place.dataset.tex);
  else katex.render(place.dataset.tex, place, { throwOnError: true });
}
for (const part of [logpi.hand, logpi.lab, logpi.batch]) if (part) part.start();
document.documentElement.dataset.ready = "yes";
