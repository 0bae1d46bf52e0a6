"""The pages in a browser: whole and quiet, from a server and from a disk, on a phone, in the dark, and without a mouse."""

import gzip
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LIMIT = 250_000  # bytes of a page with all that it loads, compressed as servers do
CHAPTER = "chapters/gradients"  # formulas, figures, folded code, exercises with solutions, a wide table
# One page of each kind: a chapter, formulas and an explorer, tables, a glossary, signatures, sources.
KINDS = ["index", "search", CHAPTER, "chapters/notation", "chapters/helpers-reference", "chapters/bibliography"]
WHITE = "rgb(255, 255, 255)"
# The size of what a finger has to hit is a rule of WCAG 2.2, which axe leaves out unless asked.
RULES = {"resultTypes": ["violations"], "preload": False, "rules": {"target-size": {"enabled": True}}}
# Formulas have the color of their text, and code has the colors of a style made for contrast: axe, which takes most of its
# time for their thousands of pieces, sees them on CHAPTER alone.
PIECES = ".highlight > pre, .katex"
# The numbers and words of the text, code in it included, that stand on more than one line. A source's address may break.
BROKEN = r"""() => {
  const texts = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT), broken = [];
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.closest("pre, .katex, script, style, .citation")) continue;
    for (const word of text.data.matchAll(/(?<![\p{L}\d]-?)-?\d[\d,]*(\.\d+)?(e[-+]?\d+)?|[\p{L}\d]+/giu)) {
      const range = new Range();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (new Set([...range.getClientRects()].map((box) => box.top)).size > 1) broken.push(word[0]);
    }
  }
  return broken;
}"""
# How many characters stand on each line of plain prose, but for the last lines of the paragraphs.
LINES = r"""() => [...document.querySelectorAll("article p:not(:has(code, .katex))")].flatMap((paragraph) => {
  const texts = document.createTreeWalker(paragraph, NodeFilter.SHOW_TEXT), lines = new Map();
  while (texts.nextNode()) {
    for (let i = 0; i < texts.currentNode.length; i++) {
      const range = new Range();
      range.setStart(texts.currentNode, i);
      range.setEnd(texts.currentNode, i + 1);
      const line = Math.round(range.getBoundingClientRect().bottom / 9);
      lines.set(line, (lines.get(line) || 0) + 1);
    }
  }
  return [...lines.values()].slice(0, -1);
})"""


class Handler(SimpleHTTPRequestHandler):
    """Serves the book, and logs nothing."""

    def log_message(self, *arguments): ...


class Server(ThreadingHTTPServer):
    """Doesn't mind when the browser leaves before the end of a file."""

    def handle_error(self, *arguments): ...


@pytest.fixture(scope="module")
def site(book):
    with Server(("127.0.0.1", 0), partial(Handler, directory=book)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def tab(browser, site, book):
    """Open a tab that notes in its `failures` what fails, and lets nothing through to elsewhere."""
    context = browser.new_context(viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    tab = context.new_page()
    tab.failures = []
    tab.on("console", lambda message: tab.failures.extend([message.text] if message.type == "error" else []))
    tab.on("pageerror", lambda error: tab.failures.append(str(error)))
    tab.on("response", lambda response: tab.failures.extend([] if response.ok else [f"{response.status} {response.url}"]))
    gone = "net::ERR_ABORTED"  # the reader left before it had come
    tab.on("requestfailed", lambda request: tab.failures.extend([request.url] if request.failure != gone else []))
    tab.route(lambda url: not url.startswith((site, book.as_uri(), "data:")), lambda route: route.abort())
    yield tab
    context.close()


def visit(tab: Page, address: str) -> Page:
    """Open a page and wait until it is as the reader sees it."""
    tab.failures.clear()
    tab.set_viewport_size(DESKTOP)
    tab.emulate_media(color_scheme="light", media="screen")
    tab.goto(address)
    tab.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
    return tab


@pytest.fixture
def chapter(tab, site):
    return visit(tab, f"{site}/{CHAPTER}.html")


def unfold(tab: Page) -> None:
    """Unfold what is folded, and let the scripts see it."""
    tab.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")


def barriers(tab: Page) -> list[str]:
    """Return what axe finds that keeps someone from using the page, from which code and formulas are taken first."""
    if CHAPTER not in tab.url:
        tab.locator(PIECES).evaluate_all("all => all.forEach((piece) => piece.remove())")
    found = Axe().run(tab, options=RULES).response["violations"]
    return [f"{violation['id']}: {node['html'][:200]}" for violation in found for node in violation["nodes"]]


def check_loading(tab: Page, book: Path) -> None:
    """Check that nothing failed or came from elsewhere, and that all that was loaded is light."""
    assert not tab.failures
    loaded = tab.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name).concat(location.href)")
    files = {book / unquote(urlsplit(url).path).lstrip("/") for url in loaded if url.startswith("http")}
    assert len(files) > 5
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) <= LIMIT


def check_formulas(tab: Page) -> None:
    """Check that each formula is drawn, and that none is left as it was typed."""
    empty = "all => all.filter((e) => e.getClientRects().length && !e.querySelector('.katex-html')?.offsetWidth).length"
    assert tab.locator(".math").evaluate_all(empty) == 0
    texts = "all => all.map((e) => [...e.childNodes].map((n) => n.nodeType === 3 ? n.data : '').join(''))"
    prose = " ".join(tab.locator("article :not(code, code *, pre, pre *, .katex *, script, style)").evaluate_all(texts))
    assert not [sign for sign in ("$", r"\(", r"\[", r"\begin") if sign in prose]


def check_glyphs(tab: Page) -> None:
    """Check that no style writes a character of a font of icons, which the pages don't have."""
    icons = """all => all.flatMap((e) => ["::before", "::after"].map((place) => getComputedStyle(e, place))
      .filter((style) => style.display !== "none" && /[\\ue000-\\uf8ff]/.test(style.content)).map(() => e.outerHTML))"""
    assert tab.locator("body *").evaluate_all(icons) == []


def check_images(tab: Page) -> None:
    """Check that each image is there and has the proportions that the page announces."""
    sizes = "all => all.map((i) => [i.naturalWidth / i.naturalHeight, i.getAttribute('width') / i.getAttribute('height')])"
    for natural, said in tab.locator("img").evaluate_all(sizes):
        assert natural > 0
        assert said == pytest.approx(natural, rel=0.02)


def check_phone(tab: Page) -> None:
    """Check that the page fits a phone, that no word is broken, no formula hits its number, and keys scroll it."""
    tab.set_viewport_size(PHONE)
    unfold(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert tab.evaluate(BROKEN) == []
    overlap = "number.nextElementSibling.getBoundingClientRect().right > number.getBoundingClientRect().left + 1"
    assert tab.locator(".eqno").evaluate_all(f"all => all.filter((number) => {overlap}).length") == 0
    wrong = "all => all.filter((e) => (e.scrollWidth > e.clientWidth) !== (e.tabIndex === 0)).map((e) => e.outerHTML)"
    assert tab.locator("pre, .katex-display, .cell_output, .table-wrapper").evaluate_all(wrong) == []


def test_a_page_is_whole_light_and_usable_by_everyone(tab, site, book, name):
    visit(tab, f"{site}/{name}.html")
    check_loading(tab, book)
    unfold(tab)
    check_formulas(tab)
    check_glyphs(tab)
    check_images(tab)
    check_phone(tab)
    tab.set_viewport_size(DESKTOP)
    assert not barriers(tab)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_page_is_usable_on_a_phone_and_in_the_dark(tab, site, kind):
    visit(tab, f"{site}/{kind}.html")
    unfold(tab)
    tab.emulate_media(color_scheme="dark")
    assert not barriers(tab)
    tab.set_viewport_size(PHONE)
    assert not barriers(tab)
    tab.emulate_media(color_scheme="light")
    assert not barriers(tab)


@pytest.mark.parametrize("page_name", ["index", CHAPTER])
def test_a_page_opens_from_a_disk_too(tab, book, page_name):
    visit(tab, (book / f"{page_name}.html").as_uri())
    assert not tab.failures
    assert tab.locator("article img").first.evaluate("image => image.naturalWidth") > 0


def test_a_page_can_be_read_without_scripts(browser, site):
    context = browser.new_context(java_script_enabled=False)
    reader = context.new_page()
    reader.goto(f"{site}/{CHAPTER}.html")
    inside = reader.locator("details.solution .katex-html, details.solution p").first
    assert not inside.is_visible()
    reader.locator("details.solution summary").first.click()
    assert inside.is_visible()
    assert reader.locator(".katex-html").first.is_visible()
    context.close()


@pytest.mark.parametrize("disk", [False, True], ids=["server", "disk"])
def test_the_search_finds_a_word(tab, site, book, disk):
    visit(tab, f"{book.as_uri() if disk else site}/index.html")
    tab.locator(".sidebar-search").fill("absorption")
    tab.keyboard.press("Enter")
    result = tab.locator("#search-results li a", has_text="Where the naive form overflows").first
    result.wait_for()
    if not disk:
        check_loading(tab, book)
    assert not barriers(tab)
    result.click()
    tab.wait_for_url("**/where-the-naive-form-overflows.html*")
    assert not tab.failures


def test_the_chosen_theme_is_remembered_and_does_not_flash(browser, site):
    context = browser.new_context(color_scheme="light")
    reader = context.new_page()
    background = "getComputedStyle(document.body).backgroundColor"
    reader.goto(f"{site}/{CHAPTER}.html")
    assert reader.evaluate(background) == WHITE
    reader.locator(".theme-toggle-content .theme-toggle").click()  # from the system's choice to the other one
    assert reader.evaluate(background) != WHITE
    # The next page's first frame is noted before any of its scripts but the theme's own can run.
    reader.add_init_script(f"requestAnimationFrame(() => {{ window.firstFrame = document.body && {background} }})")
    reader.locator(".prev-page").click()
    reader.wait_for_load_state()
    assert reader.evaluate("window.firstFrame") in (None, reader.evaluate(background))
    assert reader.evaluate(background) != WHITE
    context.close()


def test_every_piece_of_code_can_be_copied(chapter):
    code = chapter.locator("div:not(.output) > div.highlight > pre")  # as in _config.yml: not what it prints
    assert code.count() == chapter.locator("button.copybtn").count() > 5
    first = code.filter(visible=True).first  # the imports are folded
    first.hover()
    first.locator("xpath=..").locator("button.copybtn").click()
    assert chapter.evaluate("navigator.clipboard.readText()").strip() == first.inner_text().strip()


def test_a_chapter_can_be_downloaded_as_a_notebook(chapter):
    with chapter.expect_download() as download:
        chapter.get_by_role("link", name="Download notebook").click()
    assert download.value.suggested_filename == "gradients.ipynb"


def test_a_line_of_prose_has_about_75_characters_of_the_books_font(chapter):
    chapter.set_viewport_size({"width": 1440, "height": 900})
    lines = [characters for characters in chapter.evaluate(LINES) if characters > 40]  # less is the last line of an item
    assert len(lines) > 10
    assert 70 <= sum(lines) / len(lines) <= 80
    assert chapter.evaluate(
        "[...document.fonts].filter((font) => font.family === 'Book' && font.status === 'loaded').length"
    )


@pytest.mark.parametrize("kind", [CHAPTER, "chapters/bibliography"])
def test_the_current_page_is_shown_by_the_sidebar_and_named_on_a_phone(tab, site, kind):
    visit(tab, f"{site}/{kind}.html")
    assert tab.locator(".sidebar-tree .current-page > a").evaluate(
        "link => link.getBoundingClientRect().bottom < innerHeight && link.getBoundingClientRect().top > 0"
    )
    tab.set_viewport_size(PHONE)
    assert tab.locator(".here").inner_text() in tab.locator("h1").inner_text()
    assert tab.locator(".here").is_visible()


def test_the_names_of_a_wide_table_stay_while_its_answers_scroll(tab, site):
    visit(tab, f"{site}/chapters/one-loss-many-libraries.html")
    tab.set_viewport_size(PHONE)
    unfold(tab)
    table = tab.locator(".answers").first
    place = "cell => cell.getBoundingClientRect().left"
    name, answer = table.locator("tbody th").nth(1), table.locator("tbody td").nth(1)
    before = [cell.evaluate(place) for cell in (name, answer)]
    table.evaluate("table => table.closest('.cell_output').scrollBy({ left: 100, behavior: 'instant' })")
    after = [cell.evaluate(place) for cell in (name, answer)]
    assert [then - now for then, now in zip(before, after, strict=True)] == pytest.approx([0, 100], abs=1)


def test_the_keyboard_skips_to_the_text_and_unfolds_a_solution(chapter):
    chapter.keyboard.press("Tab")
    assert chapter.evaluate("document.activeElement.textContent").strip() == "Skip to content"
    solution = chapter.locator("details.solution").first
    inside = solution.locator("summary ~ *").first
    assert not inside.is_visible()
    solution.locator("summary").focus()
    chapter.keyboard.press("Enter")
    assert inside.is_visible()


@pytest.mark.parametrize(("button", "drawer"), [("Chapters", ".sidebar-drawer"), ("On this page", ".toc-drawer")])
def test_on_a_phone_the_keyboard_opens_and_closes_a_drawer(chapter, button, drawer):
    chapter.set_viewport_size(PHONE)
    link = chapter.locator(f"{drawer} a:visible").last
    assert link.count() == 0  # what is not seen is not in the keyboard's way
    chapter.get_by_role("button", name=button).focus()
    chapter.keyboard.press("Enter")
    assert link.is_visible()
    assert not barriers(chapter)
    chapter.keyboard.press("Escape")
    assert link.count() == 0


def test_paper_shows_the_text_alone_unfolded_and_light(chapter):
    chapter.emulate_media(color_scheme="dark", media="print")
    chapter.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert chapter.evaluate("getComputedStyle(document.body).backgroundColor") == WHITE
    assert chapter.locator("details.solution:not([open])").count() == 0
    assert chapter.locator("h1").is_visible()
    for part in (".sidebar-drawer", ".toc-drawer", ".launch", ".related-pages", ".copybtn"):
        assert not chapter.locator(part).first.is_visible()
    chapter.evaluate("dispatchEvent(new Event('afterprint'))")
    assert chapter.locator("details.solution[open]").count() == 0


LESSONS = [path.stem for path in (Path(__file__).parents[2] / "chapters").glob("*.ipynb")]
LESSONS = sorted({*LESSONS} - {"which-loss-to-call", "why-is-my-loss-nan"})  # pages that one searches
DEPTH = """(() => {
  const seen = [...document.querySelectorAll("article *")];
  const picture = seen.find((e) => e.matches("figure img") || e.localName.endsWith("-explorer"));
  return picture.getBoundingClientRect().y - document.querySelector("h1").getBoundingClientRect().y;
})()"""


def test_the_first_picture_of_each_chapter_stands_within_two_screens(tab, site):
    found = {}
    for lesson in LESSONS:
        visit(tab, f"{site}/chapters/{lesson}.html")
        tab.set_viewport_size({"width": 1440, "height": 900})
        found[lesson] = tab.evaluate(DEPTH)
    assert {lesson: depth for lesson, depth in found.items() if depth > 1800} == {}


def test_no_figure_has_letters_below_10_pixels_on_a_phone(tab, site, book):
    small = []
    for lesson in ["../index", *LESSONS]:
        visit(tab, f"{site}/chapters/{lesson}.html")
        tab.set_viewport_size({"width": 390, "height": 844})
        for image in tab.locator("article figure img[src$='.svg']").all():
            svg = (book / "_images" / Path(image.get_attribute("src")).name).read_text(encoding="utf8")
            # Matplotlib draws text in hundredths of its size. The exponents of a power are smaller within it.
            sizes = [100 * float(scale) for scale in re.findall(r"\) scale\(([\d.]+) -", svg)]
            assert sizes
            pixels = image.bounding_box()["width"] / float(re.search(r'viewBox="0 0 ([\d.]+)', svg)[1])
            small += [(lesson, size * pixels) for size in sizes if size * pixels < 10]
    assert small == []


def test_the_answer_to_a_prediction_opens_without_scripts_and_is_open_on_paper(browser, site):
    context = browser.new_context(java_script_enabled=False)
    reader = context.new_page()
    reader.goto(f"{site}/{CHAPTER}.html")
    answer = reader.locator("details.below-input").first
    assert answer.inner_text().strip() == "Show the answer"
    assert not answer.locator("pre").is_visible()
    answer.locator("summary").focus()
    reader.keyboard.press("Enter")
    assert answer.locator("pre").is_visible()
    reader.keyboard.press("Enter")
    reader.emulate_media(media="print")
    assert answer.locator("pre").is_visible()
    context.close()


CALLS = "chapters/which-loss-to-call"


def shown(tab: Page) -> list[str]:
    """Return the libraries whose calls are to be seen."""
    return [panel.get_attribute("data-tab") for panel in tab.locator(".tabs > section").all() if panel.is_visible()]


def test_a_library_is_chosen_once_by_keyboard_too_and_remembered(browser, site):
    context = browser.new_context()
    reader = context.new_page()
    reader.goto(f"{site}/{CALLS}.html")
    assert shown(reader) == ["Keras"]
    reader.get_by_label("TensorFlow", exact=True).check()
    assert shown(reader) == ["TensorFlow"]
    reader.keyboard.press("ArrowRight")
    assert shown(reader) == ["PyTorch"]
    reader.reload()
    assert shown(reader) == ["PyTorch"]
    assert reader.get_by_label("PyTorch", exact=True).is_checked()
    blocks = reader.locator(".tabs > section:visible pre")
    assert reader.locator(".tabs > section:visible .copybtn").count() == blocks.count() > 20
    context.close()


def test_every_library_is_shown_without_scripts(browser, site):
    context = browser.new_context(java_script_enabled=False)
    reader = context.new_page()
    reader.goto(f"{site}/{CALLS}.html")
    assert shown(reader) == ["Keras", "TensorFlow", "PyTorch", "JAX"]
    context.close()


def test_paper_has_a_sheet_of_rules_and_one_for_each_library(browser, site):
    context = browser.new_context()
    reader = context.new_page()
    reader.goto(f"{site}/{CALLS}.html")
    sheets = re.findall(rb"/Type\s*/Page\b", reader.pdf(format="A4", prefer_css_page_size=True))
    assert len(sheets) == 1 + len(["Keras", "TensorFlow", "PyTorch", "JAX"])
    context.close()


# --- what one sees first, and what a link leads to ------------------------------------------------------------------

GUIDE, SCREEN, POCKET = "chapters/why-is-my-loss-nan", {"width": 1440, "height": 900}, {"width": 390, "height": 844}


def lowest(tab: Page, selector: str) -> float:
    return max(box.bounding_box()["y"] + box.bounding_box()["height"] for box in tab.locator(selector).all())


def test_the_first_screen_has_what_one_sees_or_the_two_doors(tab, site):
    for page, parts in (
        (GUIDE, "#what-do-you-see li a"),
        ("index", ".shock, .doors, .doors ~ div.math"),
    ):
        visit(tab, f"{site}/{page}.html").set_viewport_size(SCREEN)
        assert lowest(tab, parts) <= SCREEN["height"]
    tab.set_viewport_size(POCKET)
    assert lowest(tab, ".doors form.ask") <= POCKET["height"]


def test_the_contents_show_where_the_reader_is(tab, site):
    visit(tab, f"{site}/{GUIDE}.html").set_viewport_size(SCREEN)
    assert tab.locator(".toc-tree li li li:visible").count() == 0
    tab.goto(f"{site}/{GUIDE}.html#guide-denominator")
    here = tab.locator(".toc-tree .scroll-current > a:visible", has_text="More padding")
    here.wait_for()
    box = here.bounding_box()
    assert 0 < box["y"] < SCREEN["height"]
    assert tab.locator(".toc-tree li li li:visible").count() < 20


@pytest.mark.parametrize("kind", ["term", "equation"])
def test_a_link_to_a_term_or_an_equation_shows_its_text(chapter, kind):
    link, card = chapter.locator(f'article a.reference[href*="#{kind}-"]').first, chapter.locator("#preview")
    link.scroll_into_view_if_needed()
    assert not card.is_visible()
    link.hover()
    assert card.is_visible()
    assert card.locator(".katex, p").first.is_visible()
    assert not barriers(chapter)
    chapter.keyboard.press("Escape")
    assert not card.is_visible()
    chapter.mouse.move(0, 0)
    chapter.keyboard.press("Tab")  # so that the focus is one of the keyboard
    link.focus()
    assert card.is_visible()
    assert link.get_attribute("aria-describedby") == "preview"
    link.blur()
    card.wait_for(state="hidden")


def test_the_first_tap_shows_a_term_and_the_second_goes_there(browser, site):
    context = browser.new_context(viewport=POCKET, has_touch=True)
    reader = context.new_page()
    reader.goto(f"{site}/{CHAPTER}.html")
    link = reader.locator("article a.reference:has(> .term)").first
    link.tap()
    box = reader.locator("#preview").bounding_box()
    assert 0 <= box["x"] <= box["x"] + box["width"] <= POCKET["width"]
    link.tap()
    reader.wait_for_url("**/notation.html#term-*")
    context.close()
