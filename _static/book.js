// What the pages' stylesheet can't do.
"use strict";

// What is wider than its column scrolls, and a keyboard can scroll only what it can reach.
const markScrollers = () => {
  for (const box of document.querySelectorAll("pre, .katex-display, .cell_output > .output, .pst-scrollable-table-container")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("resize", markScrollers);
addEventListener("toggle", markScrollers, true); // what was folded had no width
addEventListener("load", () => document.fonts.ready.then(() => setTimeout(markScrollers))); // the theme marks some, first

// A page on a disk may not read the others, from which the search would quote.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// On paper nothing is dark, and no solution is folded.
let afterPrint = [];
addEventListener("beforeprint", () => {
  const page = document.documentElement.dataset;
  const { theme } = page;
  const boxes = document.querySelectorAll("details.admonition:not(.hide, [open])");
  page.theme = "light";
  for (const box of boxes) box.open = true;
  afterPrint = () => {
    page.theme = theme;
    for (const box of boxes) box.open = false;
  };
});
addEventListener("afterprint", () => afterPrint());
