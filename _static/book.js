// What the pages' stylesheet can't do.
"use strict";

// What is wider than its column scrolls, and a keyboard can scroll only what it can reach.
const markScrollers = () => {
  for (const box of document.querySelectorAll("pre, .katex-display, .cell_output, .table-wrapper")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("resize", markScrollers);
addEventListener("toggle", markScrollers, true); // what was folded had no width
addEventListener("load", () => document.fonts.ready.then(markScrollers));

// The theme's drawers open by labels of hidden boxes, which a keyboard does not reach: make buttons of the labels.
for (const label of document.querySelectorAll(".nav-overlay-icon, .toc-overlay-icon")) {
  const button = document.createElement("button");
  button.className = label.className;
  button.ariaLabel = label.htmlFor === "__toc" ? "On this page" : "Chapters";
  button.append(...label.childNodes);
  button.addEventListener("click", () => document.getElementById(label.htmlFor).click());
  label.replaceWith(button);
}
addEventListener("keydown", ({ key }) => {
  if (key === "Escape") for (const box of document.querySelectorAll(".sidebar-toggle")) box.checked = false;
});

// A browser may break a line between a formula and the punctuation after it.
const marked = [...document.querySelectorAll("span.math")].flatMap((formula) => {
  const next = formula.nextSibling;
  const mark = next?.nodeType === Node.TEXT_NODE && next.data.match(/^[.,;:?)]+/);
  return mark && formula.offsetWidth < 250 ? [[formula, next, mark[0]]] : []; // on a phone a long one must be able to break
});
for (const [formula, next, mark] of marked) {
  const together = document.createElement("span");
  together.style.whiteSpace = "nowrap";
  formula.before(together);
  together.append(formula, mark);
  next.data = next.data.slice(mark.length);
}

// A page on a disk may not read the others, from which the search would quote.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// On paper no solution is folded, and no answer.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details.admonition:is(:not(.hide), .below-input):not([open])")];
  for (const box of unfolded) box.open = true;
});
addEventListener("afterprint", () => {
  for (const box of unfolded) box.open = false;
});

// What stands in a page for several libraries becomes tabs. The choice holds for all pages, and for the next visit.
const tabs = [...document.querySelectorAll(".tabs")];
const choose = (name) => {
  for (const box of tabs.filter((box) => box.querySelector(`:scope > [data-tab="${name}"]`))) {
    for (const panel of box.querySelectorAll(":scope > [data-tab]")) panel.classList.toggle("folded", panel.dataset.tab !== name);
    for (const radio of box.querySelectorAll(":scope > fieldset input")) radio.checked = radio.value === name;
  }
  markScrollers();
};
tabs.forEach((box, number) => {
  const group = document.createElement("fieldset");
  group.append(Object.assign(document.createElement("legend"), { textContent: "Your library" }));
  for (const { dataset } of box.querySelectorAll(":scope > [data-tab]")) {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: `tabs-${number}`, value: dataset.tab });
    radio.addEventListener("change", () => {
      choose(radio.value);
      try { localStorage.setItem("book-library", radio.value); } catch { /* a browser may refuse to store */ }
    });
    label.append(radio, dataset.tab);
    group.append(label);
  }
  box.prepend(group);
  choose(group.querySelector("input").value);
});
try { choose(localStorage.getItem("book-library")); } catch { /* then the first one stays */ }
