"""The page in a real Chromium: what is seen, what keys and sliders do, what the address holds."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from rcic.browse.app import build_app
from rcic.browse.browse_options import BrowseOptions
from rcic.browse.guard import allowed_hosts
from rcic.browse.serve import BrowserSources, gather, listen
from rcic.screen.plate import wells_of
from tests.browse.conftest import HOSTILE
from tests.chromium import chromium  # noqa: F401
from tests.screen.one_plate import BATCH, PLATE, write_images, write_plate

pytestmark = pytest.mark.slow
WELL = "?experiment=RPE-03&plate=2&well="
PIXELS = """canvas => {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', {willReadFrequently: true});
  copy.drawImage(canvas, 0, 0);
  const {data} = copy.getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.width, canvas.height, data.reduce((sum, value) => sum + value, 0) - 255 * data.length / 4];
}"""
Visit = Callable[..., tuple[Any, list[str]]]


@contextmanager
def served(data_root: Path, **more: object) -> Iterator[str]:
    """Serve a screen in a thread; yield the page's address."""
    options = BrowseOptions(**{name: str(value) for name, value in more.items()})
    app = build_app(gather(BrowserSources(data_root, options)), allowed_hosts(""))
    with listen("127.0.0.1", 0) as listener:
        listener.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def visit(chromium) -> Visit:  # noqa: F811
    """Return a function that opens an address and waits for the well's images; with what the console complains of."""

    def opened(address: str, **how: object) -> tuple[Any, list[str]]:
        page, errors = chromium(offline=False, **how)
        page.goto(address)
        shown(page)
        return page, errors

    return opened


@pytest.fixture(scope="module")
def address(small_screen, predicted, embedded) -> Iterator[str]:
    """Return where the small screen is served, with predictions, embeddings and the truth."""
    truth = small_screen / "truth" / "test.csv"
    with served(small_screen, predict_root=predicted, embed_root=embedded, truth=truth) as url:
        yield url


def shown(page: Any) -> None:
    """Wait until a well's images are drawn."""
    page.wait_for_selector("#images[aria-busy=false]")
    until(page, "() => document.querySelector('#well-title').textContent !== ''")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def until(page: Any, told: str, about: object = None) -> None:
    """Wait until a function of the page returns true (Playwright's own way is forbidden by the page's policy)."""
    end = time.monotonic() + 20
    while not page.evaluate(told, about):
        assert time.monotonic() < end, (told, about, page.title(), page.url)
        page.wait_for_timeout(20)


def drawn(page: Any, selector: str) -> list[float]:
    """Return width, height and the sum of colours of each canvas."""
    return [page.evaluate(PIXELS, canvas) for canvas in page.query_selector_all(f"{selector} canvas:not(.histogram)")]


def title(page: Any) -> str:
    return page.title()


def press(page: Any, key: str, *others: str) -> str:
    """Press keys one after the other; return the title afterwards."""
    for one in (key, *others):
        before = page.evaluate("location.href")
        page.keyboard.press(one)
        until(page, "before => location.href !== before", before)
        shown(page)
    return title(page)


def test_a_well_and_its_pictures(visit, address):
    page, errors = visit(address)
    assert title(page).startswith("HUVEC-01, plate 1, ")
    sites, channels = drawn(page, "#sites"), drawn(page, "#channels")
    assert len(sites) == 2 and len(channels) == 6
    assert all(picture[:2] == [40, 40] and picture[2] > 0 for picture in (*sites, *channels))
    before = title(page)
    page.click("#map [data-well]:not([aria-selected=true])")
    until(page, "before => document.title !== before", before)
    shown(page)
    assert drawn(page, "#sites") != sites and drawn(page, "#channels") != channels
    assert errors == []


def test_a_share_stays_on_its_line(visit, address):
    page, errors = visit(f"{address}?experiment=HUVEC-04&plate=1&well=I04")
    heights = """() => [...document.querySelectorAll(".top .number")].map((share) => {
        const before = share.offsetHeight;
        share.textContent = "> 99 %";
        return [before, share.offsetHeight];
    })"""
    found = page.evaluate(heights)
    assert found and all(before == after for before, after in found)
    assert errors == []


def test_sliders_and_channels_change_the_pictures(visit, address):
    page, errors = visit(address)
    sites, channels = drawn(page, "#sites"), drawn(page, "#channels")
    white = page.query_selector("#channels input.white")
    white.focus()
    page.keyboard.press("Home")  # the white point at the left end: everything brighter
    until(page, "() => location.search.includes('contrast=')")
    shown(page)
    brighter = drawn(page, "#channels")
    assert brighter[0][2] > channels[0][2] and brighter[1:] == channels[1:]
    assert drawn(page, "#sites")[0][2] > sites[0][2]
    page.keyboard.press("Escape")
    assert "off=1" in page.url or (press(page, "1") and "off=1" in page.url)
    without = drawn(page, "#sites")
    assert without[0][2] < drawn(page, "#channels")[0][2] * 3 and not page.is_checked("#channels input[type=checkbox]")
    press(page, "1", "a")
    assert drawn(page, "#sites") == sites and "contrast" not in page.url
    assert errors == []


def test_arrows_move_over_the_plate(visit, address):
    page, _ = visit(f"{address}{WELL}H11")
    spots = {
        spot.get_attribute("data-well"): tuple(map(int, spot.get_attribute("id").split("-")[1:]))
        for spot in page.query_selector_all("#map [data-well]")
    }
    row, column = spots["H11"]
    assert spots[press(page, "ArrowDown").rpartition(", ")[2]][0] > row
    page.go_back()
    until(page, "() => document.title.endsWith('H11')")
    assert page.get_attribute(f"#spot-{row}-{column}", "aria-selected") == "true"


def test_n_and_p_step_through_the_chosen_wells(visit, address):
    page, errors = visit(address)
    assert press(page, "n") != press(page, "p")
    page.click("#filters button:has-text('Wrong')")
    until(page, "() => document.title === 'HUVEC-04, plate 1, I04'")
    shown(page)
    assert "show=wrong" in page.url and "1 of 1 wrong wells" in page.inner_text("#place")
    assert page.is_disabled("#before") and page.is_disabled("#after")
    assert page.inner_text("#facts .verdict").lower() == "wrong"
    assert page.inner_text("#facts .top li:first-child .tag") == "answer"
    assert page.is_disabled("#filters button:has-text('Bad image')")
    assert press(page, "]") != "HUVEC-04, plate 1, I04" and title(page).startswith("HUVEC-04, plate 2, ")
    assert errors == []


def test_an_address_holds_what_is_seen(visit, address):
    page, _ = visit(f"{address}{WELL}H11&site=2&off=2,5&contrast=1-0-9,2-0-9,3-0-9,4-0-9,5-0-9,6-0-9")
    seen = title(page), page.url, drawn(page, "#sites"), drawn(page, "#channels")
    assert seen[0] == "RPE-03, plate 2, H11"
    assert page.inner_text("#channels-title") == "Channels of site 2"
    assert [box.is_checked() for box in page.query_selector_all("#channels input[type=checkbox]")] == [
        True, False, True, True, False, True,
    ]  # fmt: skip
    page.reload()
    shown(page)
    assert (title(page), page.url, drawn(page, "#sites"), drawn(page, "#channels")) == seen


@pytest.mark.parametrize("query", [f"{WELL}Z99", "?experiment=none&plate=1", "?experiment=RPE-03&plate=x"])
def test_an_address_that_leads_nowhere_says_so(chromium, address, query):  # noqa: F811
    page, _ = chromium(offline=False)
    page.goto(f"{address}{query}")
    page.wait_for_selector("#message:not([hidden])")
    said = page.inner_text("#message")
    assert "there is no" in said or "whole number" in said
    page.select_option("#experiment", "HUVEC-02")
    page.wait_for_selector("#message", state="hidden")
    shown(page)
    assert title(page).startswith("HUVEC-02, plate 1, ")


def test_the_nearest_wells_lead_to_them(visit, address):
    page, errors = visit(f"{address}?experiment=HUVEC-04&plate=1&well=I04")
    until(page, "() => document.querySelectorAll('#nearest .near').length === 11")  # itself, two controls, eight others
    relations = [card.inner_text() for card in page.query_selector_all("#nearest .near .near-name + .quiet")]
    assert relations[:3] == ["this well", "negative control", "positive control"]
    until(page, f"() => [...document.querySelectorAll('#nearest canvas')].every(c => ({PIXELS})(c)[2] > 0)")
    page.click("#nearest .near:last-child")
    until(page, "() => !document.title.startsWith('HUVEC-04, plate 1')")
    shown(page)
    assert title(page).startswith("HUVEC-") and errors == []


def test_a_missing_image_is_a_reason_in_its_place(visit, screen_root):
    for channel in range(1, 7):
        (screen_root / f"test/HUVEC-04/Plate1/I04_s2_w{channel}.png").unlink()
    (screen_root / "test/HUVEC-04/Plate1/I04_s1_w3.png").unlink()
    with served(screen_root) as url:
        page, _ = visit(f"{url}?experiment=HUVEC-04&plate=1&well=I04")
        assert [box.inner_text() for box in page.query_selector_all(".site .note")] == [
            "without actin",
            "No image: no such image file",
        ]
        reasons = page.query_selector_all("#channels .reason:not([hidden])")
        assert [reason.inner_text() for reason in reasons] == ["no such image file"]
        assert sum(picture[2] > 0 for picture in drawn(page, "#channels")) == 5


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text(visit, hostile_root, name):
    with served(hostile_root) as url:
        page, errors = visit(url)
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        page.select_option("#experiment", name)
        until(page, "name => document.title.startsWith(name)", name)
        shown(page)
        page.wait_for_timeout(100)
        assert page.inner_text("#plate-title") == f"{name}, plate 1"
        assert page.query_selector("h2 img, h2 b, option img, dd b") is None
        assert [picture[:2] for picture in drawn(page, "#sites")] == [[24, 24]] * 2
        page.reload()
        shown(page)
        assert title(page).startswith(name) and errors == []
        if name == HOSTILE[0]:
            page.click("#map [data-well=C07]")
            until(page, "() => document.title.endsWith('C07')")
            assert "<b>empty</b>" in page.inner_text("#facts")


@pytest.mark.parametrize("width", [390, 320, 768, 1280])
def test_nothing_is_wider_than_the_window(visit, address, width):
    page, _ = visit(f"{address}?experiment=HUVEC-04&plate=1&well=I04", width=width)
    page.wait_for_selector("#nearest .near")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_help_and_the_enlarged_site(visit, address):
    page, errors = visit(address)
    page.keyboard.press("?")
    assert page.is_visible("#help") and "move over the plate" in page.inner_text("#help")
    before = page.url
    page.keyboard.press("n")  # a dialog is open: nothing moves
    page.keyboard.press("Escape")
    assert not page.is_visible("#help") and page.url == before
    page.keyboard.press("z")
    page.wait_for_selector("#large[open]")
    assert drawn(page, "#large")[0][:2] == [40, 40] and drawn(page, "#large")[0][2] > 0
    assert errors == []


# --- a whole plate, controls, notes -----------------------------------------------------------------------------------

HERE = f"?experiment={BATCH}&plate=1&well="


@pytest.fixture
def plate_root(tmp_path) -> Path:
    """Return a screen of one plate, with controls."""
    wells = wells_of(96)[:24]
    write_images(root := write_plate(tmp_path / "plate", wells, controls=True), wells)
    return root


def test_a_whole_plate_in_one_contrast(visit, plate_root, tmp_path):
    with served(plate_root) as url:
        page, errors = visit(f"{url}{HERE}A02")
        page.keyboard.press("v")
        page.wait_for_selector("#plate-view:not([hidden])")
        assert "view=plate" in page.url and page.is_hidden("#images")
        seen = f"() => [...document.querySelectorAll('#film canvas')].filter(c => ({PIXELS})(c)[2] > 0).length"
        until(page, f"() => ({seen})() === 24")
        pictures = [picture[2] for picture in drawn(page, "#film")]
        assert pictures[19] > pictures[0]  # brighter from well to well, in one contrast
        page.keyboard.press("1")
        until(page, "() => location.search.includes('off=1')")
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert drawn(page, "#film")[19][2] < pictures[19]
        page.keyboard.press("ArrowRight")
        until(page, "() => document.querySelector('#film [aria-current=true]').dataset.well === 'A03'")
        page.keyboard.press("Enter")
        until(page, "() => !document.querySelector('#images').hidden")
        shown(page)
        assert title(page).endswith("A03") and "view" not in page.url
        page.go_back()
        until(page, "() => !document.querySelector('#plate-view').hidden")
        page.click("#film [data-well=B12]")
        until(page, "() => document.title.endsWith('B12')")
        assert errors == []


def test_the_contrast_is_the_plate_s_unless_it_is_each_well_s(visit, plate_root):
    with served(plate_root) as url:
        page, errors = visit(f"{url}{HERE}A01")
        dark, numbers = drawn(page, "#channels")[0][2], page.inner_text("#channels output")
        assert page.get_attribute("#contrast-plate", "aria-pressed") == "true"
        press(page, "a")
        assert drawn(page, "#channels")[0][2] > dark and page.inner_text("#channels output") != numbers
        assert "contrast=well" in page.url
        page.reload()
        shown(page)
        assert page.get_attribute("#contrast-well", "aria-pressed") == "true"
        assert errors == []


def test_a_control_and_back(visit, plate_root):
    with served(plate_root) as url:
        page, errors = visit(f"{url}{HERE}A02")
        until(page, "() => document.querySelectorAll('#nearest .near').length === 2")
        assert page.inner_text("#nearest-title") == "This well and its control"
        assert press(page, "c").endswith("A04") and press(page, "c").endswith("A02")
        assert errors == []


def test_a_flag_and_a_note(visit, plate_root, tmp_path):
    notes = tmp_path / "notes.csv"
    with served(plate_root, notes=notes) as url:
        page, _ = visit(f"{url}{HERE}A02")
        page.keyboard.press("f")
        page.select_option("#flag", "debris")
        until(page, "() => document.querySelector('#note-state').textContent === 'saved'")
        page.fill("#note", "a hair, n to p")
        page.keyboard.press("Enter")
        until(page, "() => document.querySelector('#spot-0-1 .noted') !== null")
        assert notes.read_text().splitlines()[1] == f'{BATCH},{PLATE},A02,debris,"a hair, n to p"'
        assert page.query_selector("#spot-0-1 .flag") and "flagged" in page.inner_text("#legend")
        page.reload()
        shown(page)
        assert page.input_value("#flag") == "debris" and page.input_value("#note") == "a hair, n to p"
        other, _ = visit(f"{url}{HERE}A02")
        other.select_option("#flag", "empty")
        until(other, "() => document.querySelector('#note-state').textContent === 'saved'")
        page.fill("#note", "mine")
        page.keyboard.press("Enter")
        until(page, "() => document.querySelector('#note-state').textContent.includes('empty: a hair')")
        assert page.input_value("#note") == "mine" and "mine" not in notes.read_text()


def test_a_scale_bar(visit, plate_root):
    with served(plate_root) as url:
        page, errors = visit(f"{url}{HERE}A02")  # 32 pixels of 0.5 micrometres
        bar = page.query_selector("#sites .scale")
        assert bar.get_attribute("data-length") == "2 µm" and bar.is_visible()
        share = bar.bounding_box()["width"] / page.query_selector("#sites canvas").bounding_box()["width"]
        assert share == pytest.approx(2 / 16, rel=0.02)
        assert errors == []


def test_without_the_size_of_a_pixel_there_is_no_scale_bar(visit, address):
    page, _ = visit(f"{address}{WELL}H11")
    assert page.is_hidden("#sites .scale") and page.is_hidden("#note-card")


def test_a_strip_on_a_phone(visit, tmp_path):
    write_images(root := write_plate(tmp_path / "strip", wells_of(96)[36:44]), wells_of(96)[36:44])
    with served(root) as url:
        page, errors = visit(f"{url}?experiment={BATCH}&plate=1&well=D02", width=390)
        assert page.get_attribute("#map svg", "viewBox") == "0 0 262 42"
        assert press(page, "ArrowRight").endswith("D03")
        page.keyboard.press("v")
        page.wait_for_selector("#plate-view:not([hidden])")
        assert page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]") == [390, 390]
        assert errors == []
