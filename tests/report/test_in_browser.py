"""The report in a browser: offline, every control does something, dark and light, on a phone, printed."""

import pytest

from rcic.report.compose import report

pytestmark = pytest.mark.slow

WIDE = "[document.documentElement.scrollWidth, window.innerWidth]"


@pytest.fixture
def page_file(everything, tmp_path):
    """Return the address of a report with every section."""
    report(everything, tmp_path / "out.html")
    return (tmp_path / "out.html").as_uri()


@pytest.fixture
def opened(chromium, page_file):
    """Return what opens the report, and the page and its complaints."""

    def open_page(**how):
        page, errors = chromium(**how)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(page_file)
        page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=120_000)
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        return page, errors

    return open_page


def drawn(page, name: str) -> str:
    """Return what a chart shows."""
    return page.locator(f"#chart-{name} .drawing").inner_html()


def test_every_chart_is_drawn_and_nothing_complains(opened):
    page, errors = opened()
    charts = page.locator("figure .drawing")
    assert charts.count() == 12
    for number in range(charts.count()):
        assert charts.nth(number).locator("svg.main-svg").count() >= 1
    assert errors == []


def test_every_pick_changes_its_chart(opened):
    page, errors = opened()
    selects = page.locator("select[data-pick]")
    assert selects.count() >= 12
    changed = set()
    for number in range(selects.count()):
        select = selects.nth(number)
        name = select.evaluate("box => box.closest('figure').dataset.chart")
        before = drawn(page, name)
        select.select_option(index=select.locator("option").count() - 1)
        if drawn(page, name) != before:
            changed.add((name, select.get_attribute("data-pick")))
    wanted = {("ladder", "predictions"), ("ladder", "value"), ("parts", "level"), ("plates", "experiment")}
    wanted |= {("plates", "measure"), ("edges", "measure"), ("map", "colour"), ("groups", "predictions")}
    assert wanted <= changed
    assert errors == []


def test_runs_can_be_chosen(opened):
    page, errors = opened()
    lines = page.locator("#chart-curves .scatterlayer .trace")
    assert lines.count() == 1
    page.locator("#chart-curves .choices summary").click()
    page.get_by_role("button", name="None").click()
    assert lines.count() == 0
    page.locator("#chart-curves .choices input").first.check()
    assert lines.count() == 1
    assert errors == []


def test_every_chart_has_its_numbers_and_a_file(opened):
    page, _ = opened()
    figure = page.locator("#chart-ladder")
    figure.locator("summary", has_text="Numbers").click()
    assert figure.locator("thead th").first.inner_text() == "predictions"
    assert "assignment" in figure.locator("tbody").inner_text()
    with page.expect_download() as download:
        figure.locator("a.csv").click()
    text = download.value.path().read_text()
    assert download.value.suggested_filename == "ladder.csv"
    assert text.startswith("predictions,scope,value,rung,accuracy,n_wells,low,high,unit,clusters,no_interval\n")
    assert '"out, test wells",all,all,assignment,100,2,' in text


def test_dark_and_light(opened):
    page, errors = opened(dark=True)
    ground = "getComputedStyle(document.body).backgroundColor"
    text = "getComputedStyle(document.querySelector('#chart-ladder .ytick text')).fill"
    dark = page.evaluate(ground), page.evaluate(text)
    page.get_by_role("button", name="Switch to light colours").click()
    light = page.evaluate(ground), page.evaluate(text)
    assert dark[0] != light[0] and dark[1] != light[1]
    page.emulate_media(color_scheme="light")
    page.get_by_role("button", name="Switch to dark colours").click()
    assert (page.evaluate(ground), page.evaluate(text)) == dark
    assert errors == []


def test_on_a_phone_nothing_is_wider_than_the_screen(opened):
    page, errors = opened(width=390)
    scroll, width = page.evaluate(WIDE)
    assert scroll == width == 390
    for summary in page.locator("details.numbers:not(.plain) > summary").all():
        summary.click()
    assert page.evaluate(WIDE)[0] == 390
    assert not page.locator("#contents[open]").count()
    assert errors == []


def test_printing(opened, tmp_path):
    page, errors = opened(dark=True)
    page.pdf(path=str(tmp_path / "out.pdf"), format="A4")
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")
    page.emulate_media(media="print")
    page.wait_for_selector("html[data-theme=light]", state="attached")
    assert not page.locator("select[data-pick]").first.is_visible()
    assert page.locator("#chart-ladder .picked").inner_text().startswith("Predictions: out, test wells")
    widest = "all => Math.max(...all.map(svg => svg.getBoundingClientRect().width))"
    assert page.locator(".drawing svg.main-svg").evaluate_all(widest) <= 681
    page.emulate_media(media="screen")
    page.wait_for_selector("html[data-theme=dark]", state="attached")
    assert errors == []


def test_hostile_names_do_nothing_in_a_chart(chromium, data, root, tmp_path):
    from tests.predicted import write_member
    from tests.report.conftest import shown_of
    from tests.screen.tiny import KAGGLE, write_tables

    hostile = "U2OS-<img src=x onerror=document.title=1><b>bold<b>"
    write_tables(data, {name: text.replace("U2OS-01", hostile) for name, text in KAGGLE.items()})
    codes = [f"{hostile}_{well}" for well in ("1_B03", "1_B04", "2_B03")]
    write_member(root, codes=codes)
    (tmp_path / "truth.csv").write_text(f"id_code,sirna\n{codes[0]},10\n{codes[1]},2\n{codes[2]},3\n")
    given = shown_of(data, predict_root=(str(root),), truth=str(tmp_path / "truth.csv"))
    report(given, tmp_path / "out.html")
    page, errors = chromium()
    page.goto((tmp_path / "out.html").as_uri())
    page.wait_for_selector("html[data-ready=yes]", state="attached", timeout=120_000)
    assert page.locator("img").count() == 0
    assert page.title().startswith("Report on")
    assert "<img src=x" in page.locator("#chart-parts .ytick text").first.text_content()
    assert errors == []
