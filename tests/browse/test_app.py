"""The application's answers: what is asked for by name and nothing else, whatever the names are."""

import random
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from rcic.browse.app import STATIC
from rcic.browse.guard import HEADERS, allowed_hosts, is_local
from rcic.pixels.packed.pack_screen import pack
from rcic.screen.table import read_screen
from tests.browse.conftest import HOSTILE, noise
from tests.pixels.planted import PLANTS

PLACE = {"experiment": "HUVEC-04", "plate": 1, "well": "I04"}
IMAGE = PLACE | {"site": 1, "channel": 2}


def image_of(answer) -> np.ndarray:
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)


def refused(answer, code: int) -> str:
    """Return what a refusal says."""
    assert (answer.status_code, answer.headers["content-type"]) == (code, "application/json")
    return answer.json()["error"]


# --- what is told -----------------------------------------------------------------------------------------------------


def test_the_screen(client, screen_root, predicted, embedded):
    told = client(screen_root, predict_root=predicted, embed_root=embedded).get("/api/screen").json()
    assert (told["rows"], told["columns"], told["sites"]) == (16, 24, [1, 2])
    assert told["site_names"] == {"1": "1", "2": "2"}
    assert [channel["number"] for channel in told["channels"]] == [1, 2, 3, 4, 5, 6]
    assert told["channels"][2]["name"] == "actin" and told["channels"][2]["colour"].startswith("#")
    last = told["experiments"][-1]
    assert (last["name"], last["cell_type"], last["split"]) == ("RPE-03", "RPE", "test")
    assert last["plates"][1] == {"number": 2, "name": "2"}
    assert (told["has_answers"], told["member"]) == (True, "[1,2,3]/fold_0/tiny")


def test_a_wrong_well_with_its_truth(client, screen_root, predicted):
    with_truth = client(screen_root, predict_root=predicted, truth=screen_root / "truth" / "test.csv")
    well = with_truth.get("/api/well", params=PLACE | {"show": "wrong"}).json()
    assert (well["state"], well["filter"]["place"], well["filter"]["total"]) == ("wrong", 1, 1)
    assert well["answer"] != well["truth"] == "1" and well["top"][0]["is_answer"] and well["top"][1]["is_truth"]
    spots = {spot["well"]: spot for spot in with_truth.get("/api/plate", params=PLACE).json()["wells"]}
    assert spots["I04"] == {
        "well": "I04", "row": 8, "column": 3, "state": "wrong", "unsure": False, "bad": False, "label": "1",
    }  # fmt: skip
    assert sorted(spot["state"] for spot in spots.values()) == ["control"] * 4 + ["wrong"]


def test_without_a_truth_answers_are_neither_right_nor_wrong(client, screen_root, predicted):
    app = client(screen_root, predict_root=predicted)
    assert app.get("/api/well", params=PLACE).json()["state"] == "answered"
    counts = app.get("/api/screen").json()["filters"]
    assert counts["wrong"] == 0 < counts["all"]
    held_out = read_screen(screen_root).select("train", "treatment").iloc[0]
    place = {name: held_out[name] for name in ("experiment", "plate", "well")}
    assert app.get("/api/well", params=place).json()["state"] == "right"  # a train well that a member held out


def test_without_predictions_and_embeddings_there_are_images(client, screen_root, capsys):
    app = client(screen_root, audit_dir=screen_root / "none")
    assert "bad images are not marked" in capsys.readouterr().out
    well = app.get("/api/well", params=PLACE).json()
    assert (well["state"], well["answer"], well["top"]) == ("silent", None, [])
    assert "--embed_root" in refused(app.get("/api/nearest", params=PLACE), 404)
    assert image_of(app.get("/image", params=IMAGE)).shape == (40, 40)


def test_the_nearest_wells(client, screen_root, embedded):
    near = client(screen_root, embed_root=embedded).get("/api/nearest", params=PLACE).json()["wells"]
    cosines = [well["cosine"] for well in near]
    assert len(near) == 8 and cosines == sorted(cosines, reverse=True)
    assert {well["experiment"].split("-")[0] for well in near} == {"HUVEC"}
    assert all((well["experiment"], well["plate"], well["well"]) != tuple(PLACE.values()) for well in near)


def test_what_the_audit_found(client, screen_root, tmp_path):
    from rcic.pixels.audit.audit_screen import audit

    (screen_root / "test/HUVEC-04/Plate1/I04_s1_w2.png").unlink()
    audit(screen_root, tmp_path / "audit", "quick", "drop", 1)
    app = client(screen_root, audit_dir=tmp_path / "audit")
    well = app.get("/api/well", params=PLACE | {"show": "bad"}).json()
    assert well["bad"] and well["filter"]["total"] == 1
    assert [(image["site"], image["channel"], image["kind"]) for image in well["bad_images"]] == [(1, 2, "missing")]


# --- images -----------------------------------------------------------------------------------------------------------


def test_png_and_packed_are_the_same_images(client, screen_root, tmp_path):
    pack(screen_root, tmp_path / "packed", (), threads=2, verify=False)
    plain, packed = client(screen_root), client(tmp_path / "packed")
    for more in ({}, {"size": 16}, {"site": 2, "channel": 6}, {"size": 4096}):
        images = [image_of(app.get("/image", params=IMAGE | more)) for app in (plain, packed)]
        np.testing.assert_array_equal(*images)
    other = image_of(plain.get("/image", params=IMAGE | {"channel": 3}))
    assert not np.array_equal(other, image_of(plain.get("/image", params=IMAGE)))


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_bad_image_is_told_and_the_others_are_shown(client, screen_root, name):
    plant, kind, _ = PLANTS[name]
    path = screen_root / "test/HUVEC-04/Plate1/I04_s1_w2.png"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)  # a file of its own, no longer the shared one
    plant(path)
    app = client(screen_root)
    answer = app.get("/image", params=IMAGE)
    if answer.status_code == 200:
        assert kind in ("zero", "constant", "duplicate", "size")  # an image all the same
    else:
        said = refused(answer, 404 if kind == "missing" else 422)
        assert answer.json()["kind"] == kind and str(screen_root) not in said and "\n" not in said
    assert image_of(app.get("/image", params=IMAGE | {"channel": 1})).shape == (40, 40)


# --- what is not there, and what is not answered ----------------------------------------------------------------------

NOWHERE = [
    ({"well": "I05"}, 404), ({"well": "i04"}, 404), ({"plate": 9}, 404), ({"experiment": "HUVEC-4"}, 404),
    ({"experiment": "../test/HUVEC-04"}, 404), ({"experiment": "..%2fHUVEC-04"}, 404), ({"well": "I04\0"}, 404),
    ({"well": "../Plate2/H20"}, 404), ({"experiment": "/etc"}, 404), ({"well": ""}, 404),
    ({"plate": "1/../2"}, 400), ({"plate": "-1"}, 400), ({"plate": "1" * 10}, 400), ({"plate": "\u0661"}, 400),
    ({"plate": ""}, 400),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), NOWHERE)
@pytest.mark.parametrize("path", ["/api/well", "/image"])
def test_a_well_that_is_not_there(client, screen_root, path, change, code):
    said = refused(client(screen_root).get(path, params=IMAGE | change), code)
    assert said.startswith("there is no well") if code == 404 else "whole number" in said


WRONG_IMAGES = [
    ({"site": 3}, 404), ({"site": 0}, 404), ({"channel": 7}, 404), ({"channel": 0}, 404),
    ({"size": 15}, 400), ({"size": 4097}, 400), ({"size": "1e3"}, 400), ({"site": "x"}, 400),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code"), WRONG_IMAGES)
def test_an_image_that_is_not_there(client, screen_root, change, code):
    assert refused(client(screen_root).get("/image", params=IMAGE | change), code)


def test_what_is_left_out_of_a_question(client, screen_root):
    app = client(screen_root)
    assert refused(app.get("/api/plate"), 400) == "experiment is missing"
    assert refused(app.get("/image", params=PLACE), 400) == "site is missing"
    assert (
        refused(app.get("/api/well", params=PLACE | {"show": "none"}), 400)
        == "show must be one of all, wrong, unsure, bad"
    )
    assert "no plate 9" in refused(app.get("/api/plate", params=PLACE | {"plate": 9}), 404)


@pytest.fixture
def beside(screen_root) -> dict[str, str]:
    """Return paths that lead, or would lead, to files which are not the page's, some of them links among its own."""
    (screen_root / "link.csv").symlink_to("/etc/hostname")
    up = "/".join([".."] * 12)
    return {
        "a table": "/train.csv",
        "an image by path": "/test/HUVEC-04/Plate1/I04_s1_w2.png",
        "dots": f"/static/{up}/etc/hostname",
        "encoded dots": "/static/" + "%2e%2e%2f" * 12 + "etc/hostname",
        "encoded twice": "/static/" + "%252e%252e%252f" * 12 + "etc/hostname",
        "backslashes": "/static/" + "..%5c" * 12 + "etc%5chostname",
        "absolute": "/static//etc/hostname",
        "absolute, encoded": "/static/%2fetc%2fhostname",
        "a null byte": "/static/main.js%00.png",
        "the code": "/static/../app.py",
        "a folder": "/static/",
        "the link": "/link.csv",
        "the root's link": f"/static/{quote(str(screen_root / 'link.csv'), safe='')}",
    }


def test_no_path_leads_out_of_the_page_s_own_files(client, screen_root, beside):
    app = client(screen_root)
    secrets = [(screen_root / "train.csv").read_bytes(), Path("/etc/hostname").read_bytes()]
    for name, path in beside.items():
        answer = app.get(path)
        assert answer.status_code in (400, 404), name
        assert all(secret.strip() not in answer.content for secret in secrets), name


def test_a_link_among_the_static_files_is_not_followed(client, screen_root, tmp_path, monkeypatch):
    from rcic.browse import app as module

    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "own.js").write_text("own")
    (tmp_path / "static" / "link.js").symlink_to(screen_root / "train.csv")
    monkeypatch.setattr(module, "STATIC", tmp_path / "static")
    app = client(screen_root)
    assert app.get("/static/own.js").text == "own"
    assert app.get("/static/link.js").status_code == 404


def test_an_image_is_decoded_whatever_a_link_leads_to(client, screen_root):
    """A data root may be made of links; what is no picture is never sent."""
    path = screen_root / "test/HUVEC-04/Plate1/I04_s1_w2.png"
    path.unlink()
    path.symlink_to("/etc/hostname")
    said = refused(client(screen_root).get("/image", params=IMAGE), 422)
    assert "not a PNG" in said


# --- who asks, and what he may do with the answer ---------------------------------------------------------------------


def test_every_answer_has_the_headers(client, screen_root):
    app = client(screen_root)
    wrong_host = app.get("/", headers={"host": "evil.example"})
    paths = ("/", "/static/main.js", "/api/screen", "/nothing", "/api/plate")
    for answer in (*map(app.get, paths), app.get("/image", params=IMAGE), app.post("/"), wrong_host):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert "access-control-allow-origin" not in answer.headers


HOSTS = {
    "localhost": 200, "localhost:8000": 200, "127.0.0.1:80": 200, "[::1]": 200, "[::1]:8000": 200,
    "evil.example": 400, "localhost.evil.example": 400, "127.0.0.1.evil.example": 400, "192.168.0.7": 400, "": 400,
    "127.0.0.1@evil.example": 400, "localhost:80@evil.example": 400,
}  # fmt: skip


@pytest.mark.parametrize(("host", "code"), HOSTS.items())
def test_a_foreign_name_that_points_here_is_not_answered(client, screen_root, host, code):
    assert client(screen_root).get("/api/screen", headers={"host": host}).status_code == code


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_get(client, screen_root, method):
    app = client(screen_root)
    for path in ("/", "/api/screen", "/image", "/static/main.js"):
        assert app.request(method, path).status_code == 405, path


def test_hosts_of_another_address():
    assert "10.1.2.3" in allowed_hosts("10.1.2.3") and "0.0.0.0" in allowed_hosts("0.0.0.0")
    assert len(allowed_hosts("0.0.0.0")) > len(allowed_hosts("10.1.2.3"))
    assert [is_local(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost")] == [True] * 5
    assert [is_local(host) for host in ("0.0.0.0", "::", "10.1.2.3", "lab.example")] == [False] * 4


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_a_hostile_name_is_a_name(client, hostile_root, number):
    app, name = client(hostile_root), HOSTILE[number]
    assert name in [experiment["name"] for experiment in app.get("/api/screen").json()["experiments"]]
    place = {"experiment": name, "plate": 1, "well": "B02"}
    assert app.get("/api/plate", params=place).json()["experiment"] == name
    assert app.get("/api/well", params=place).json()["experiment"] == name
    for site, channel in ((1, 1), (2, 6)):
        image = image_of(app.get("/image", params=place | {"site": site, "channel": channel}))
        np.testing.assert_array_equal(image, noise(number + 10 * site + channel))
    said = refused(app.get("/api/well", params=place | {"well": "<script>alert(1)</script>"}), 404)
    assert said == f"there is no well <script>alert(1)</script> on plate 1 of {name}"  # JSON, which is never markup


def test_the_page_is_the_same_for_every_screen(client, hostile_root):
    """No name is ever written into markup: scripts put it into the page as text."""
    page = client(hostile_root).get("/")
    assert page.content == (STATIC / "index.html").read_bytes()
    assert "<script>" not in page.text and "style=" not in page.text and "onclick" not in page.text


def test_scripts_never_make_markup_of_text():
    for script in STATIC.glob("*.js"):
        text = script.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in text, (script.name, word)


def test_a_failure_is_told_in_json_and_the_page_goes_on(client, screen_root, monkeypatch):
    from rcic.browse import app as module

    def fails(*_):
        raise ZeroDivisionError("secret")

    app = client(screen_root)
    monkeypatch.setattr(module, "well_view", fails)
    answer = app.get("/api/well", params=PLACE)
    assert "secret" not in refused(answer, 500) and answer.headers["x-content-type-options"] == "nosniff"
    assert app.get("/api/plate", params=PLACE).status_code == 200


def test_the_benchmark_s_questions_are_answered(client, screen_root, embedded, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import show_browse

    app, screen, choice = client(screen_root, embed_root=embedded), read_screen(screen_root), random.Random(1)
    for name, ask in show_browse.QUESTIONS.items():
        assert app.get(ask(choice, screen)).status_code == 200, name
