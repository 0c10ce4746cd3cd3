// Sliders and choices, each with a name for the screen reader and its value beside it.
(function (root) {
  "use strict";

  const { number } = root.draw;
  let counted = 0;

  function node(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.flat());
    return made;
  }

  // A slider; `shown(value)` is what stands beside it, and what a screen reader says.
  function slider({ name, key, min, max, step, value, shown = (v) => number(v), change }) {
    const id = `slider${++counted}`;
    const input = node("input", { type: "range", id, min, max, step, value, "data-key": key });
    const output = node("output", { for: id }, shown(value));
    input.setAttribute("aria-valuetext", shown(value));
    input.addEventListener("input", () => {
      output.textContent = shown(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
      change(Number(input.value));
    });
    return node("div", { class: "slider" }, node("label", { for: id }, name), input, output);
  }

  // One of several, as a row of radio buttons.
  function choices({ legend, key, options, value, change, disabled = [] }) {
    const group = `choice${++counted}`;
    const buttons = Object.entries(options).map(([option, name]) => {
      const off = disabled.includes(option);
      const input = node("input", { type: "radio", name: group, value: option, checked: option === value, disabled: off, "data-key": key });
      input.addEventListener("change", () => change(option));
      return node("label", {}, input, node("span", {}, name));
    });
    return node("fieldset", {}, node("legend", {}, legend), node("div", { class: "choices" }, buttons));
  }

  function select({ name, key, options, value, change }) {
    const id = `select${++counted}`;
    const items = Object.entries(options).map(([option, label]) => node("option", { value: option, selected: option === value }, label));
    const made = node("select", { id, "data-key": key }, items);
    made.addEventListener("change", () => change(made.value));
    return [node("label", { for: id, class: "quiet" }, name), made];
  }

  // Formulas in a row, which breaks between them where it is narrow. ";;" stands between two.
  function formulas(place, text) {
    place.replaceChildren(...text.split(";;").map((part) => {
      const piece = node("span", {});
      katex.render(String.raw`\displaystyle ` + part, piece, { throwOnError: true });
      return piece;
    }));
  }

  root.controls = { formulas, node, slider, choices, select };
})(globalThis.logpi);
