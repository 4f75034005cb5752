"""The page loads nothing, runs nothing but its own scripts, and no name can end a script or become markup."""

import base64
import hashlib
import json
import re

import pandas as pd
import pytest

from rcic.errors import UserError
from rcic.files.record import Record
from rcic.report.chart import Chart, Section
from rcic.report.page import SCRIPTS, Fact, LeftOut, Page, asset, render, safe_json, write_report

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\"&\u2028"


def page_of(name: str = "plain") -> Page:
    """Return a page that has ``name`` in every place where a name can stand."""
    chart = Chart("one", name, name, "runs", pd.DataFrame({name: [name], "run": [name]}), {name: name})
    section = Section("first", name, name, [chart, Chart("two", name, name, "table", pd.DataFrame({"a": [1]}))])
    return Page(name, name, [Fact(name, name, name)], [name], [section], [LeftOut(name, name, name)], name)


def own_parts(text: str) -> str:
    """Return the page without plotly's script."""
    return re.sub(r"<script>/\*\*?\n?\*? ?plotly.*?</script>", "", text, flags=re.S)


def test_a_hostile_name_is_text_wherever_it_stands():
    text = render(page_of(HOSTILE))
    assert "<script>alert" not in text and "<img src=x" not in text
    assert text.count("</script>") == len(SCRIPTS) + 2  # plotly, data
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])
    assert data["one"]["columns"][0] == {"name": HOSTILE, "values": [HOSTILE]}
    assert data["one"]["options"] == {HOSTILE: HOSTILE}


def test_json_in_a_script():
    content = {"a": HOSTILE, "b": [1.5, None]}
    text = str(safe_json(content))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == content
    with pytest.raises(ValueError, match="not JSON compliant"):
        safe_json({"a": float("nan")})


def test_only_the_page_s_own_scripts_may_run():
    text = render(page_of())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', text)[1]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy and "script-src 'unsafe-inline'" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert len(scripts) == len(SCRIPTS) + 1
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_nothing_is_loaded_from_anywhere():
    text = own_parts(render(page_of()))
    assert not re.search(r"""(src|href)=["'](?!#)""", text)
    assert "@import" not in text and "url(" not in text


def test_every_chart_has_a_heading_a_caption_a_table_and_a_download():
    text = own_parts(render(page_of("a name")))
    assert text.count("<figure ") == text.count("<figcaption>") == text.count('class="csv" download=') == 2
    assert text.count('role="img" aria-label="a name. a name"') == 1  # a table is not drawn
    assert text.count("<summary>Numbers as a table</summary>") == 2
    assert 'href="#first"' in text and 'href="#left-out"' in text


def test_a_page_without_anything_has_no_empty_lists():
    text = own_parts(render(Page("t", "s", [], [], [], [], "now", "Nothing stands out: trainings are as expected.")))
    assert "Nothing stands out" in text
    assert "Left out" not in text and "<figure " not in text


def test_scripts_cannot_be_ended_by_themselves():
    for name in SCRIPTS:
        assert "</script" not in asset(name).lower()
    assert "</style" not in asset("report.css").lower()


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path):
    out = tmp_path / "report.html"
    write_report(page_of("one"), out, Record("report"))
    before = out.read_bytes()
    assert b"one" in before
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not written"):
        write_report(page_of(), tmp_path / "file" / "report.html", Record("report"))
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "report.html"]
