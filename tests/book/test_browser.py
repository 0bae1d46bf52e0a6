"""The pages in a browser: whole and quiet, from a server and from a disk, on a phone, in the dark, and without a mouse."""

import gzip
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).parents[2]
BOOK = ROOT / "_build" / "html"
PAGES = list(parse_toc_yaml(ROOT / "_toc.yml"))
CHAPTERS = [page for page in PAGES if (ROOT / f"{page}.ipynb").is_file()]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 400, "height": 800}
LIMIT = 450_000  # bytes of a page with all that it loads, compressed as servers do

# Of what axe looks for, the contrast of colors takes most of the time, and it is the same on a desk and on a phone.
# The size of what a finger has to hit is a rule of WCAG 2.2, which axe leaves out unless asked.
COLORS = {"runOnly": {"type": "tag", "values": ["cat.color"]}}
NO_COLORS = {"rules": {"color-contrast": {"enabled": False}, "target-size": {"enabled": True}}}


class Handler(SimpleHTTPRequestHandler):
    """Serves the book, and logs nothing."""

    def log_message(self, *arguments): ...


class Server(ThreadingHTTPServer):
    """Doesn't mind when the browser leaves before the end of a file."""

    def handle_error(self, *arguments): ...


@pytest.fixture(scope="module")
def site():
    if not (BOOK / "index.html").is_file():
        pytest.fail(f"{BOOK} is not there: run make book", pytrace=False)
    with Server(("127.0.0.1", 0), partial(Handler, directory=BOOK)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def tab(browser, site):
    """Open a tab that notes in its `troubles` what goes wrong, and lets nothing through to elsewhere."""
    context = browser.new_context(viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    tab = context.new_page()
    tab.troubles = []
    tab.on("console", lambda message: tab.troubles.extend([message.text] if message.type == "error" else []))
    tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
    tab.on("response", lambda response: tab.troubles.extend([] if response.ok else [f"{response.status} {response.url}"]))
    gone = "net::ERR_ABORTED"  # the reader left before it had come
    tab.on("requestfailed", lambda request: tab.troubles.extend([request.url] if request.failure != gone else []))
    tab.route(lambda url: not url.startswith((site, BOOK.as_uri(), "data:")), lambda route: route.abort())
    yield tab
    context.close()


def visit(tab: Page, address: str) -> Page:
    """Open a page and wait until it is as the reader sees it."""
    tab.troubles.clear()
    tab.set_viewport_size(DESKTOP)
    tab.emulate_media(color_scheme="light", media="screen")
    tab.goto(address)
    tab.evaluate("document.fonts.ready.then(() => new Promise(requestAnimationFrame))")
    return tab


@pytest.fixture(scope="module", params=[*PAGES, "search"])
def page(request, tab, site):
    return visit(tab, f"{site}/{request.param}.html")


@pytest.fixture
def chapter(tab, site):
    return visit(tab, f"{site}/{CHAPTERS[-1]}.html")


def reveal(page: Page) -> None:
    """Unfold what is folded, and let the scripts see it."""
    page.evaluate("for (const box of document.querySelectorAll('details')) box.open = true")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")


def dim(page: Page) -> None:
    """Make the system dark, and wait until the page is."""
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'", timeout=5000)


def barriers(page: Page, **options: dict) -> list[str]:
    """Return what axe finds that keeps someone from using the page."""
    options |= {"resultTypes": ["violations"], "preload": False}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{violation['id']}: {node['html'][:200]}" for violation in found for node in violation["nodes"]]


def test_a_page_opens_without_an_error_and_without_a_foreign_or_failed_request(page):
    assert not page.troubles


def test_a_page_with_all_that_it_loads_is_light(page):
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name).concat(location.href)")
    files = {BOOK / unquote(urlsplit(url).path).lstrip("/") for url in loaded if url.startswith("http")}
    assert len(files) > 5
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) <= LIMIT


def test_every_formula_is_drawn(page):
    empty = "all => all.filter((e) => e.getClientRects().length && !e.querySelector('.katex-html')?.offsetWidth).length"
    reveal(page)
    assert page.locator(".math").evaluate_all(empty) == 0
    texts = "all => all.map((e) => [...e.childNodes].map((n) => n.nodeType === 3 ? n.data : '').join(''))"
    prose = " ".join(page.locator("article :not(code, code *, pre, pre *, .katex *, script, style)").evaluate_all(texts))
    assert not [sign for sign in ("$", r"\(", r"\[", r"\begin") if sign in prose]


def test_every_image_is_there_and_keeps_its_proportions(page):
    sizes = "all => all.map((i) => [i.naturalWidth / i.naturalHeight, i.getAttribute('width') / i.getAttribute('height')])"
    for natural, said in page.locator("img").evaluate_all(sizes):
        assert natural > 0
        assert said == pytest.approx(natural, rel=0.02)


def test_every_icon_is_drawn(page):
    widths = "all => all.filter((e) => e.checkVisibility()).map((e) => e.querySelector('svg').getBoundingClientRect().width)"
    assert all(width > 10 for width in page.locator("[class*='fa-']").evaluate_all(widths))


def test_everyone_can_use_the_page_in_light_and_in_dark(page):
    reveal(page)
    assert not barriers(page)
    dim(page)
    assert not barriers(page, **COLORS)
    page.emulate_media(color_scheme="light")


def test_everyone_can_use_the_page_on_a_phone(page):
    page.set_viewport_size(PHONE)
    reveal(page)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    overlap = "number.nextElementSibling.getBoundingClientRect().right > number.getBoundingClientRect().left + 1"
    assert page.locator(".eqno").evaluate_all(f"all => all.filter((number) => {overlap}).length") == 0
    assert not barriers(page, **NO_COLORS)
    page.set_viewport_size(DESKTOP)


@pytest.mark.parametrize("name", ["index", CHAPTERS[-1]])
def test_a_page_opens_from_a_disk_too(tab, name):
    visit(tab, (BOOK / f"{name}.html").as_uri())
    assert not tab.troubles
    assert tab.locator("article img").first.evaluate("image => image.naturalWidth") > 0


def test_a_page_can_be_read_without_scripts(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/{CHAPTERS[-1]}.html")
    inside = page.locator("details.solution .katex-html, details.solution p").first
    assert not inside.is_visible()
    page.locator("details.solution summary").first.click()
    assert inside.is_visible()
    assert page.locator(".katex-html").first.is_visible()
    context.close()


@pytest.mark.parametrize("disk", [False, True], ids=["server", "disk"])
def test_the_search_finds_a_word(tab, site, disk):
    visit(tab, f"{BOOK.as_uri() if disk else site}/index.html")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("absorption")
    tab.keyboard.press("Enter")
    result = tab.locator("#search-results li a", has_text="Where the naive form overflows").first
    result.wait_for()
    assert not barriers(tab)
    result.click()
    tab.wait_for_url("**/where-the-naive-form-overflows.html*")
    assert not tab.troubles


def test_the_button_switches_between_light_and_dark_and_the_next_page_remembers(chapter):
    background = "getComputedStyle(document.body).backgroundColor"
    assert chapter.evaluate(background) == "rgb(255, 255, 255)"
    chapter.locator(".theme-switch-button").click()  # from the system's choice to the other one
    dark = chapter.evaluate(background)
    assert chapter.locator("html").get_attribute("data-theme") == "dark"
    assert dark != "rgb(255, 255, 255)"
    chapter.locator(".left-prev").click()
    chapter.wait_for_load_state()
    assert chapter.evaluate(background) == dark
    chapter.evaluate("localStorage.clear()")


def test_next_and_previous_lead_through_the_whole_book(tab, site):
    visit(tab, f"{site}/index.html")
    for direction, pages in ((".right-next", PAGES), (".left-prev", PAGES[::-1])):
        for name in pages[1:]:
            tab.locator(direction).click()
            tab.wait_for_url(f"**/{name}.html")
        assert tab.locator(direction).count() == 0


def test_every_piece_of_code_can_be_copied(chapter):
    code = chapter.locator("div:not(.output) > div.highlight > pre")  # as in _config.yml: not what it prints
    assert code.count() == chapter.locator("button.copybtn").count() > 5
    code.first.hover()
    chapter.locator("button.copybtn").first.click()
    assert chapter.evaluate("navigator.clipboard.readText()").strip() == code.first.inner_text().strip()


def test_the_keyboard_skips_to_the_text_and_unfolds_a_solution(chapter):
    chapter.keyboard.press("Tab")
    assert chapter.evaluate("document.activeElement.textContent") == "Skip to main content"
    solution = chapter.locator("details.solution").first
    inside = solution.locator("summary ~ *").first
    assert not inside.is_visible()
    solution.locator("summary").focus()
    chapter.keyboard.press("Enter")
    assert inside.is_visible()


def test_what_scrolls_can_be_reached_by_keyboard(chapter):
    chapter.set_viewport_size(PHONE)
    reveal(chapter)
    scrolls_and_index = "all => all.map((e) => [e.scrollWidth > e.clientWidth, e.tabIndex])"
    boxes = chapter.locator("pre, .katex-display").evaluate_all(scrolls_and_index)
    assert {reachable for scrolls, reachable in boxes if scrolls} == {0}
    assert {reachable for scrolls, reachable in boxes if not scrolls} == {-1}


@pytest.mark.parametrize("sidebar", ["primary", "secondary"])
def test_on_a_phone_both_tables_of_contents_open(chapter, sidebar):
    chapter.set_viewport_size(PHONE)
    chapter.locator(f".{sidebar}-toggle").click()
    assert chapter.locator(f"#pst-{sidebar}-sidebar-modal a").last.is_visible()
    assert not barriers(chapter)
    chapter.keyboard.press("Escape")
    assert not chapter.locator(f"#pst-{sidebar}-sidebar-modal").is_visible()


def test_paper_shows_the_text_alone_with_its_solutions_and_by_daylight(chapter):
    dim(chapter)
    chapter.emulate_media(media="print")
    chapter.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert chapter.locator("html").get_attribute("data-theme") == "light"
    assert chapter.locator("details.solution:not([open])").count() == 0
    assert chapter.locator("h1").is_visible()
    for part in ("#pst-primary-sidebar", "#pst-secondary-sidebar", ".bd-header-article", ".prev-next-footer", ".copybtn"):
        assert not chapter.locator(part).first.is_visible()
    chapter.evaluate("dispatchEvent(new Event('afterprint'))")
    assert chapter.locator("html").get_attribute("data-theme") == "dark"
    assert chapter.locator("details.solution[open]").count() == 0
