// Formulas come as TeX between \( \) or \[ \] in elements of the class arithmatex; KaTeX is the one of `logpi explain`.
for (const element of document.querySelectorAll(".arithmatex")) {
  const text = element.textContent.trim();
  katex.render(text.slice(2, -2), element, { displayMode: text.startsWith("\\["), throwOnError: false });
}
