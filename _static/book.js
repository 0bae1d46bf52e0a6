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

// The theme marks where the reader is in the contents of the page, but does not scroll a long list to the mark.
addEventListener("scroll", () => requestAnimationFrame(() => {
  const [here] = [...document.querySelectorAll(".toc-scroll .scroll-current > a")].slice(-1);
  const box = here?.closest(".toc-scroll");
  if (box) box.scrollTop += here.getBoundingClientRect().top - box.getBoundingClientRect().top - box.clientHeight / 2;
}));

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

// The search comes when someone searches: with a query on its page, or with the first key in a field that answers. It is made
// of scripts, which may be read from a disk, too.
const fields = document.querySelectorAll(".ask input");
const search = () => {
  for (const field of fields) field.removeEventListener("input", search);
  for (const name of ["minisearch", "index", "search"]) {
    const src = `${document.documentElement.dataset.content_root}_static/search/${name}.js`;
    document.head.append(Object.assign(document.createElement("script"), { src, async: false })); // in this order
  }
};
for (const field of fields) field.addEventListener("input", search);
if (document.querySelector("#search-results") && new URLSearchParams(location.search).has("q")) search();

// On paper no solution is folded, and no answer.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details.admonition:is(:not(.hide), .below-input):not([open])")];
  for (const box of unfolded) box.open = true;
});
addEventListener("afterprint", () => {
  for (const box of unfolded) box.open = false;
});

// The sidebar begins with its top, and may end above the current chapter.
const sidebar = document.querySelector(".sidebar-scroll");
const current = sidebar?.querySelector(".current-page > .reference");
if (current) {
  const below = current.getBoundingClientRect().top - sidebar.getBoundingClientRect().top;
  sidebar.scrollTo({ top: below - sidebar.clientHeight / 2, behavior: "instant" });
}

// What stands in a page for several libraries becomes tabs. The choice holds for all pages, and for the next visit.
const tabs = [...document.querySelectorAll(".tabs")];
const choose = (name) => {
  for (const box of tabs.filter((box) => box.querySelector(`:scope > [data-tab="${name}"]`))) {
    for (const panel of box.querySelectorAll(":scope > [data-tab]")) panel.classList.toggle("folded", panel.dataset.tab !== name);
    for (const radio of box.querySelectorAll(":scope > fieldset input")) radio.checked = radio.value === name;
  }
};
tabs.forEach((box, number) => {
  const group = document.createElement("fieldset");
  group.append(Object.assign(document.createElement("legend"), { textContent: "Your library" }));
  for (const { dataset } of box.querySelectorAll(":scope > [data-tab]")) {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: `tabs-${number}`, value: dataset.tab });
    radio.addEventListener("change", () => {
      choose(radio.value);
      markScrollers(); // as the page has loaded; before, each of many tabs would let it be laid out again
      try { localStorage.setItem("book-library", radio.value); } catch { /* a browser may refuse to store */ }
    });
    label.append(radio, dataset.tab);
    group.append(label);
  }
  box.prepend(group);
  choose(group.querySelector("input").value);
});
try { choose(localStorage.getItem("book-library")); } catch { /* then the first one stays */ }

// What a link to a term or an equation leads to, shown beside it: under the mouse, in focus, and at the first tap.
const card = Object.assign(document.createElement("div"), { className: "preview", id: "preview", popover: "manual" });
document.querySelector("article").append(card);
let shown, waiting;
const hide = () => {
  clearTimeout(waiting);
  if (!shown) return;
  shown.removeAttribute("aria-describedby");
  shown = null;
  card.hidePopover();
};
const hideSoon = () => { waiting = setTimeout(hide, 200); }; // time to reach the card, which may be read or copied from
const show = (link, { content }) => {
  hide();
  shown = link;
  card.replaceChildren(content.cloneNode(true));
  card.showPopover();
  link.setAttribute("aria-describedby", card.id);
  const { left, top, bottom } = link.getBoundingClientRect();
  const fits = bottom + card.offsetHeight < innerHeight;
  card.style.left = `${Math.max(8, Math.min(left, card.parentElement.getBoundingClientRect().right - card.offsetWidth))}px`;
  card.style.top = `${fits ? bottom : top - card.offsetHeight}px`;
};
for (const link of document.querySelectorAll("article a.reference:is([href*='#term-'], [href*='#equation-'])")) {
  const text = document.getElementById(`preview-${decodeURIComponent(link.hash.slice(1))}`);
  if (!text || !card.showPopover) continue;
  link.addEventListener("pointerenter", ({ pointerType }) => { if (pointerType === "mouse") show(link, text); });
  link.addEventListener("pointerleave", ({ pointerType }) => { if (pointerType === "mouse") hideSoon(); });
  link.addEventListener("focus", () => { if (link.matches(":focus-visible")) show(link, text); });
  link.addEventListener("blur", hideSoon);
  link.addEventListener("click", (event) => {
    if (event.pointerType !== "touch" || shown === link) return;
    event.preventDefault();
    show(link, text);
  });
}
card.addEventListener("pointerenter", () => clearTimeout(waiting));
card.addEventListener("pointerleave", hideSoon);
addEventListener("keydown", ({ key }) => { if (key === "Escape") hide(); });
addEventListener("pointerdown", ({ target }) => { if (shown && target !== shown && !shown.contains(target) && !card.contains(target)) hide(); });
