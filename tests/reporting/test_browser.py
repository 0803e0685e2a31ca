"""Reports in Chromium: they draw, filter and find, and what comes from outside stays text."""

import time

import numpy as np
import pytest
from reporting import runs

import ltc

pytest.importorskip("bokeh", reason="needs ltc[report]")
selenium = pytest.importorskip("selenium", reason="needs ltc[browser]")
from selenium.webdriver.common.by import By  # noqa: E402 - where there is selenium
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.select import Select  # noqa: E402

PATIENCE = 20  # seconds, for a machine that is busy
# The canvases of a plot are in a tree of their own, within trees of their own.
INK = """
const ink = (root) => {
  for (const each of root.querySelectorAll("*")) {
    if (each.shadowRoot && ink(each.shadowRoot)) return true;
    if (each instanceof HTMLCanvasElement && each.width && each.height) {
      const copy = new OffscreenCanvas(each.width, each.height);
      const context = copy.getContext("2d", { willReadFrequently: true });
      context.drawImage(each, 0, 0);
      const { data } = context.getImageData(0, 0, each.width, each.height);
      if (data.some((value) => value > 0)) return true;
    }
  }
  return false;
};
return ink(arguments[0]);
"""
MODEL = """
for (const each of Bokeh.documents) {
  const model = each.get_model_by_name(arguments[0]);
  if (model) return Array.from(model.data[arguments[1]] ?? []);
}
return null;
"""
PLACE = """
for (const view of Bokeh.index) {
  if (!arguments[0].contains(view.el)) continue;
  const { left, top } = view.el.getBoundingClientRect();
  const { x_scale, y_scale } = view.frame;
  return [left + x_scale.compute(arguments[1]), top + y_scale.compute(arguments[2])];
}
"""
TOOLTIP = """
const texts = [];
const look = (root) => {
  for (const each of root.querySelectorAll("*")) {
    if (each.shadowRoot) {
      if (each.classList.contains("bk-Tooltip")) {
        const box = each.shadowRoot;
        texts.push(Array.from(box.querySelectorAll("*:not(style)"), (part) =>
          part.childElementCount ? "" : part.textContent).join(" "));
        if (box.querySelector("img, script")) texts.push("MARKUP");
      }
      look(each.shadowRoot);
    }
  }
};
look(document);
return texts;
"""


class Page:
    """A report in the browser."""

    def __init__(self, browser, path):
        self.browser = browser
        browser.get_log("browser")  # what other pages said
        browser.get(path.as_uri())
        self.wait(lambda: self.run("return document.documentElement.dataset.drawn") == "yes")

    def wait(self, happened):
        end = time.monotonic() + PATIENCE
        while not (found := happened()):
            assert time.monotonic() < end, f"not within {PATIENCE} s; {self.complaints()}"
            time.sleep(0.02)
        return found

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def data(self, source, column):
        return self.run(MODEL, source, column)

    def search(self, text):
        field = self.find("#sample-input")
        self.run("arguments[0].value = ''", field)
        field.send_keys(text, Keys.ENTER)
        return [each.text for each in self.all("#sample-found p")]

    def complaints(self):
        """What the console holds beyond remarks; a violation of the page's policy is among it."""
        return [each for each in self.browser.get_log("browser") if each["level"] != "INFO"]


@pytest.fixture
def media(browser):
    """Sets what the reader prefers, and takes it back."""

    def prefer(**features):
        chosen = [
            {"name": name.replace("_", "-"), "value": each} for name, each in features.items()
        ]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": chosen})

    yield prefer
    prefer()


@pytest.fixture(scope="module")
def written(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    return ltc.report(run, path, class_names=["cat", "dog", "bird"], queries=[1, 5])


@pytest.fixture
def page(browser, written):
    return Page(browser, written)


def test_it_draws_every_plot_and_complains_of_nothing(page):
    shown = [each for each in page.all("[data-figure]") if each.is_displayed()]
    assert len(shown) > 10
    for each in shown:
        page.wait(lambda each=each: page.run(INK, each))
    assert not page.find("#notice").is_displayed()
    assert page.complaints() == []
    fetched = page.run("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []


def test_a_class_that_is_picked_is_shown(page):
    assert page.data("class-scores", "x") == []
    whole = page.data("takes", "take0")
    select = Select(page.find("#class-select"))
    select.select_by_visible_text("dog")
    page.wait(lambda: page.find("#class-found").text.startswith("Class dog: 80 samples, 0 without"))
    shares = page.data("class-scores", "share")
    assert sum(shares) == pytest.approx(100, abs=1e-3)
    assert page.data("class-place", "x") in ([0], [1], [2])
    assert page.data("takes", "take0") != whole
    select.select_by_visible_text("all")
    page.wait(lambda: page.data("class-scores", "x") == [])
    assert page.data("takes", "take0") == whole
    assert page.complaints() == []


def test_a_sample_is_found_by_index_and_by_id(page, run):
    scores = ltc.score(run).values
    (found,) = page.search("17")
    minus = f"{scores[17]:.2f}".replace("-", "\N{MINUS SIGN}")
    assert found == f"Training sample 17, id picture-017, class bird: score {minus}."
    page.wait(lambda: page.data("found-course", "loss"))
    losses = ltc.open_store(run).read("train", samples=[17])[:, 0]
    np.testing.assert_array_equal(page.data("found-course", "loss"), losses.astype(np.float32))
    assert page.data("marked-score", "x") == pytest.approx([scores[17]], abs=0.5 / 127)
    page.wait(lambda: page.run(INK, page.find("#plot-sample")))
    assert page.search("picture-239")[0].startswith("Training sample 239, id picture-239")
    assert page.search("picture-240") == ["No sample in this file is called picture-240."]
    assert page.data("marked-score", "x") == []
    assert page.search("240") == ["No sample in this file is called 240."]
    assert page.complaints() == []


def test_the_map_shows_the_class_and_the_sample(page, run):
    samples, across, upwards = (page.data("map", column) for column in ("sample", "x", "y"))
    p = np.exp(-ltc.open_store(run).read("train").astype(np.float64))
    assert samples == list(range(runs.NUM_TRAIN))
    np.testing.assert_allclose(across, p.std(axis=0), atol=1e-6)
    np.testing.assert_allclose(upwards, p.mean(axis=0), atol=1e-6)
    page.search("17")
    page.wait(lambda: page.data("marked-place", "x"))
    assert page.data("marked-place", "x") == pytest.approx([p[:, 17].std()], abs=1e-6)
    assert page.data("marked-place", "y") == pytest.approx([p[:, 17].mean()], abs=1e-6)
    page.search("no sample")
    page.wait(lambda: page.data("marked-place", "x") == [])
    Select(page.find("#class-select")).select_by_visible_text("dog")
    page.wait(lambda: page.data("map", "alpha")[1] == 1)
    pale = [alpha < 0.1 for alpha in page.data("map", "alpha")]
    assert pale == [sample % runs.NUM_CLASSES != 1 for sample in samples]
    (told,) = hover(page, "map", across[16], upwards[16])
    words = " ".join(told.split())
    assert words.startswith("training sample: 16 score: ")
    assert f"class: dog confidence: {upwards[16]:.2f} variability: {across[16]:.2f}" in words
    assert words.count("training sample") <= 5  # of many at one place
    assert page.complaints() == []


def test_cells_of_the_map_show_the_class(browser, run, tmp_path, monkeypatch):
    monkeypatch.setattr("ltc.reporting.dynamics.MOST_POINTS", 100)
    page = Page(browser, ltc.report(run, tmp_path / "report.html"))
    everything = page.data("map", "all")
    assert sum(everything) == runs.NUM_TRAIN
    assert page.data("map", "number") == everything
    Select(page.find("#class-select")).select_by_visible_text("2")
    page.wait(lambda: page.data("map", "number") != everything)
    number = np.nan_to_num(np.array(page.data("map", "number"), np.float64))
    assert number.sum() == runs.NUM_TRAIN / runs.NUM_CLASSES
    assert [alpha < 0.2 for alpha in page.data("map", "alpha")] == (number == 0).tolist()
    for name in ("map-number", "map-score"):
        page.wait(lambda name=name: page.run(INK, page.find(f"#plot-{name}")))
    assert page.complaints() == []


def test_a_keyboard_is_enough(page):
    page.find("body").send_keys(Keys.TAB)
    reached = []
    for _ in range(40):
        focused = page.browser.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.tag_name)
        focused.send_keys(Keys.TAB)
    assert {"class-select", "sample-input", "button", "summary", "a"} <= set(reached)
    page.find("#class-select").send_keys("dog")
    page.wait(lambda: page.find("#class-found").text.startswith("Class dog"))
    closed = page.all("details.query:not([open])")[0]
    plot = closed.find_element(By.CSS_SELECTOR, "[data-figure]")
    assert not page.run(INK, plot)
    closed.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    page.wait(lambda: page.run(INK, plot))


def test_it_follows_the_reader_into_the_dark(page, media):
    """Also when the preference changes while the page is open, with what was picked in place."""
    colour = "return getComputedStyle(document.body).backgroundColor"
    axis = """
        const plot = Bokeh.documents.at(-1).roots()[0];
        return [plot.left[0].axis_line_color, plot.left[0].major_label_text_color];
    """
    page.search("17")
    media(prefers_color_scheme="dark")
    page.wait(lambda: page.run(axis) == ["#808793", "#d8dce3"])
    assert page.run(colour) == "rgb(22, 24, 29)"
    page.wait(lambda: len(page.data("found-course", "loss")) == runs.NUM_CHECKPOINTS)
    media(prefers_color_scheme="light")
    page.wait(lambda: page.run(axis) == ["#868c96", "#30343b"])
    assert page.run(colour) == "rgb(255, 255, 255)"
    assert page.complaints() == []


def test_it_fits_a_telephone(page):
    try:
        page.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 320, "height": 640, "deviceScaleFactor": 2, "mobile": True},
        )
        page.wait(lambda: page.run("return innerWidth") == 320)
        page.wait(lambda: page.run("return document.documentElement.scrollWidth") <= 320)
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_what_comes_from_outside_stays_text(browser, hostile_run, tmp_path):
    path = tmp_path / "report.html"
    ltc.report(hostile_run, path, class_names=runs.HOSTILE_CLASSES, queries=[0, 3])
    page = Page(browser, path)
    assert page.browser.title.startswith("<b>run & 'co'.zarr: ")
    assert page.find("h1").text == "<b>run & 'co'.zarr"
    options = page.run(
        "return Array.from(arguments[0].options, (each) => each.text.trim())",
        page.find("#class-select"),
    )
    assert options[1:] == [" ".join(name.split()) for name in runs.HOSTILE_CLASSES]
    cells = {each.get_property("textContent") for each in page.all("#samples bdi")}
    assert any(f"{runs.HOSTILE_IDS[k]} " in cell for cell in cells for k in range(5))
    for sample in range(5):
        found = page.search(f"{runs.HOSTILE_IDS[sample]} {sample}")
        assert found[0].startswith(f"Training sample {sample}, id ")
        said = page.find("#sample-found bdi").get_property("textContent")
        assert said == f"{runs.HOSTILE_IDS[sample]} {sample}"
    page.search("<img src=x onerror='window.hacked = 1'>")
    for group in range(3):
        page.run(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))",
            page.find("#class-select"),
            str(group),
        )
        strong = page.find("#class-found strong").get_property("textContent")
        assert strong == runs.HOSTILE_CLASSES[group]
    told = [text for place in range(3) for text in hover(page, "classes", place, 0.5)]
    assert "MARKUP" not in told
    assert all(any(name in text for text in told) for name in runs.HOSTILE_CLASSES)
    for each in page.all("details:not([open])"):
        page.run("arguments[0].open = true", each)
    assert page.run("return window.hacked") is None
    assert page.run("return document.scripts.length") == 5  # three of data, and two that run
    assert page.complaints() == []


def hover(page, name, x, y):
    """Texts of the tooltips that a pointer brings up at a place of a plot, in its own units."""
    plot = page.find(f"#plot-{name}")
    page.run("arguments[0].scrollIntoView({block: 'center'})", plot)
    page.wait(lambda: page.run(INK, plot))
    across, down = page.run(PLACE, plot, x, y)

    def told():
        for nudge in (0, 1):  # a pointer that stays says nothing
            moved = {"type": "mouseMoved", "x": across + nudge, "y": down}
            page.browser.execute_cdp_cmd("Input.dispatchMouseEvent", moved)
        return page.run(TOOLTIP)

    return page.wait(told)
