"""The page of a report as a file: what it holds, what it refuses, and how large it gets."""

import html.parser
import json
import re
import sys
from importlib import util

import numpy as np
import pytest
from reporting import runs

import ltc
from ltc.cli import main
from ltc.errors import ArgumentIndexError, ArgumentTypeError, ArgumentValueError, StoreNotFoundError

pytest.importorskip("bokeh", reason="needs ltc[report]")
from ltc.reporting.arguments import check_report
from ltc.reporting.contents import gather
from ltc.reporting.lookup import pack_lookup

ISOLATES = {ord(each): None for each in "\N{FIRST STRONG ISOLATE}\N{POP DIRECTIONAL ISOLATE}"}


class Reader(html.parser.HTMLParser):
    """Elements with their attributes, the texts, and the data in scripts."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.texts, self.scripts = [], [], {}
        self._script = None
        self.feed(path.read_text(encoding="utf-8"))
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._script = dict(attributes).get("id", "run") if tag == "script" else None

    def handle_data(self, data):
        if self._script is None:
            self.texts.append(data)
        else:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data

    def handle_endtag(self, _tag):
        self._script = None

    def of(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def data(self):
        return json.loads(self.scripts["report-data"])


@pytest.fixture
def write(tmp_path):
    def write(run, **options):
        return Reader(ltc.report(run, tmp_path / "report.html", **options))

    return write


def test_it_says_what_there_is(write, run):
    page = write(run, class_names={0: "cat", 1: "dog"})
    assert "240 training samples at 12 checkpoints" in page.text
    assert "cat" in page.texts
    assert "2" in page.texts  # a class without a name
    figures = json.loads(page.scripts["report-figures"])
    assert {
        "observed",
        "losses",
        "map",
        "scores",
        "classes",
        "takes",
        "shares",
        "stability",
    } <= set(figures)
    plots = [each for each in page.of("div") if "data-figure" in each]
    assert {each["data-figure"] for each in plots} == set(figures)
    assert all(each["role"] == "img" and len(each["aria-label"]) > 20 for each in plots)
    assert len(page.of("table")) >= 6 + 2 * 6
    assert page.text.count("among the highest losses at the end") == 3
    assert page.text.count("near the median loss at the end") == 3
    assert "Nothing doubtful was found" in page.text
    flipped = np.arange(9, runs.NUM_TRAIN, 10)
    lowest = re.search(r"Lowest scores.*?Most undecided", page.text)[0]
    assert sum(f" {sample} " in lowest for sample in flipped) == 4


def test_every_script_is_known_to_the_policy(write, run):
    policy = next(each for each in write(run).of("meta") if "http-equiv" in each)["content"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy.partition("style-src")[0]


def test_what_is_doubtful_is_said(write, tmp_path):
    random = np.random.default_rng(0)
    train, val = random.random((6, 12)), random.random((6, 9))
    train[2, 5], train[3, 6], train[:, 7], train[4] = np.inf, 1e6, 1, np.nan
    labels = {"train_labels": [0, 1, 2] * 4, "val_labels": [0] * 9}
    ltc.write_store(
        tmp_path / "run.zarr", train, val, train_ids=range(12), val_ids=range(9), **labels
    )
    text = write(tmp_path / "run.zarr").text
    for said in (
        "At 1 checkpoint no training sample has a loss; scores leave these checkpoints out.",
        "13 (18.1 %) of the training losses are missing",
        "Inf or NaN when recorded: 1 training loss.",
        "Beyond float16, so stored as 65504 with the sign: 1 training loss.",
        "8 (66.7 %) of the training samples have no score",
        "9 ids are in both splits",
        "2 of 3 classes have no validation samples, and no scores by class: 1, 2.",
        "1 of 3 classes have fewer than 10 validation samples",
    ):
        assert said in text.translate(ISOLATES), text


def test_names_in_sentences_are_short_and_keep_to_themselves(write, tmp_path):
    """A name may be as long as a page, turn the text round, or be invisible."""
    losses = np.random.default_rng(0).random((6, 14))
    labels = {"train_labels": np.arange(14) % 7, "val_labels": np.arange(14) % 7}
    ltc.write_store(tmp_path / "run.zarr", losses, losses, **labels)
    turned = "\N{RIGHT-TO-LEFT OVERRIDE}abc"
    page = write(tmp_path / "run.zarr", class_names=["x" * 5000, turned, " \n"])
    listed = ["x" * 59 + "\N{HORIZONTAL ELLIPSIS}", turned, "2", "3", "4"]
    sentence = ", ".join(
        f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}" for name in listed
    )
    assert f"depend on few: {sentence} and 2 more." in page.text
    assert page.data["names"][:3] == ["x" * 5000, turned, "2"]


def test_one_sample_is_reported_on(write, tmp_path):
    course = np.linspace(2, 0.5, 12)[:, None] ** 2
    labels = {"train_labels": [0], "val_labels": [0]}
    ltc.write_store(tmp_path / "run.zarr", course, course, **labels, loss="cross-entropy")
    page = write(tmp_path / "run.zarr")
    assert "Not shown: scores must differ between two samples at least" in page.text
    assert {"map", "losses"} < set(json.loads(page.scripts["report-figures"]))


def test_plots_of_nothing_are_left_out(write, tmp_path):
    nothing = np.full((12, 6), np.nan)
    labels = {"train_labels": [0, 1, 2] * 2, "val_labels": [0, 1, 2] * 2}
    ltc.write_store(tmp_path / "run.zarr", nothing, nothing, **labels)
    scores = ltc.Scores(np.full(6, np.nan, np.float32), np.array([0, 1, 2] * 2, np.int32))
    page = write(tmp_path / "run.zarr", scores=scores)
    assert "No loss was recorded." in page.text
    figures = json.loads(page.scripts["report-figures"])
    assert set(figures) == {"sample", "observed", "scores", "takes", "shares"}
    assert {each["data-figure"] for each in page.of("div") if "data-figure" in each} == set(figures)


def test_a_run_without_labels_or_ids(write, tmp_path):
    losses = np.random.default_rng(0).random((8, 30))
    ltc.write_store(tmp_path / "run.zarr", losses, losses[:, :5])
    page = write(tmp_path / "run.zarr")
    assert page.of("select") == []
    assert "classes" not in json.loads(page.scripts["report-figures"])
    assert page.data["names"] == []
    assert "the score of every training sample by its index and the losses of all" in page.text


def test_few_checkpoints_leave_parts_out_and_say_why(write, tmp_path):
    """Scores of three losses: no differences, which the neighbours of other scores need."""
    losses = np.random.default_rng(0).random((3, 30))
    ltc.write_store(tmp_path / "run.zarr", losses, losses)
    scores = ltc.score(tmp_path / "run.zarr", reference="mean", signal="loss")
    assert "highest losses at the end" in write(tmp_path / "run.zarr", scores=scores).text
    scores = ltc.Scores(scores.values)
    page = write(tmp_path / "run.zarr", scores=scores)
    reason = "checkpoints must leave at least 4 for signal 'difference', got 3"
    assert page.text.count(f"Not shown: {reason}") == 2
    with pytest.raises(ArgumentValueError, match=reason):
        write(tmp_path / "run.zarr")


def table(page, caption):
    """Rows of the table that has this caption, as texts."""
    texts = [text for text in page.texts if text.strip()]
    return texts[texts.index(caption) + 1 :]


def test_the_data_map_says_where_samples_are(write, run):
    page = write(run)
    losses = ltc.open_store(run).read("train").astype(np.float64)
    p = np.exp(-losses)
    confidence, variability = p.mean(axis=0), p.std(axis=0)
    cells = table(page, "Samples on the map")
    assert cells[1:6] == [
        f"variability {0:.1f} to {0.1:.1f}",
        *(f"{k / 10:.1f} to {(k + 1) / 10:.1f}" for k in range(1, 5)),
    ]
    counts = np.histogram2d(confidence, variability, (np.linspace(0, 1, 6), np.linspace(0, 0.5, 6)))
    for row, texts in enumerate(np.reshape(cells[6:36], (5, 6)).tolist()):
        low = (4 - row) / 5
        assert texts[0] == f"{low:.1f} to {low + 0.2:.1f}"
        assert texts[1:] == [f"{count:.0f}" for count in counts[0][4 - row]]
    figures = json.loads(page.scripts["report-figures"])
    assert "map" in figures
    assert "Beta draws as DUAL does" in page.text
    assert "Coverage takes as many from each of 20 clusters" in page.text


def test_losses_that_may_not_be_cross_entropy_have_no_map(write, tmp_path):
    runs.write(tmp_path / "run.zarr")
    page = write(tmp_path / "run.zarr")
    reason = "kind 'confidence' needs hard-label cross-entropy"
    assert f"Not shown: {reason}" in page.text
    assert f"The strategy beta is not shown: {reason}" in page.text
    assert "map" not in json.loads(page.scripts["report-figures"])
    assert "Not shown" not in write(tmp_path / "run.zarr", loss="cross-entropy").text


def test_a_strategy_that_takes_too_long_is_left_out_and_said(write, run, monkeypatch):
    monkeypatch.setattr("ltc.reporting.contents.CLUSTERED", 240 * 12 - 1)
    text = write(run).text
    assert "The strategy coverage is not shown: clusters of 240 trajectories take longer" in text
    assert "Coverage takes" not in text


def test_losses_too_few_for_the_map_are_counted(write, tmp_path):
    """And DUAL's windows of ten checkpoints, which six are too few for."""
    losses = np.random.default_rng(0).random((6, 30))
    losses[1:, 4] = losses[:, 9] = np.nan
    ltc.write_store(tmp_path / "run.zarr", losses, losses[:, :5], loss="cross-entropy")
    text = write(tmp_path / "run.zarr").text
    assert "2 of the samples have no place: fewer than two losses." in text
    assert "beta is not shown: DUAL's score needs losses at 10 checkpoints at least" in text


def test_no_sample_has_a_score(write, run):
    nothing = ltc.Scores(np.full(runs.NUM_TRAIN, np.nan, np.float32))
    text = write(run, scores=nothing).text
    assert "240 (100.0 %) of the training samples have no score" in text
    assert "No sample has a score." in text


def test_what_does_not_fit_is_left_out_and_said(run, tmp_path):
    arguments = {"queries": None, "class_names": None, "pictures": None, "scores": None}
    options = {"fraction": 0.1, "cutoff": 0.2, "loss": None, "device": "cpu"}
    options["memory_limit"] = "512MB"
    plan = check_report(run, tmp_path / "r.html", **arguments, **options, progress=False)
    contents = gather(plan)
    whole = pack_lookup(contents, 10**6)
    assert whole.said == (
        "This file holds the score and class of every training sample by its index or by its id "
        "and the losses of all of them."
    )
    said = set()
    for size in range(0, 20_000, 100):
        found = pack_lookup(contents, size)
        values = [*found.data.values(), *found.data["courses"].values()]
        assert sum(len(each) for each in values if isinstance(each, str)) <= size
        said.add(found.said)
    assert {"", whole.said} < said
    assert any("id" not in each and "score" in each for each in said)


def test_pictures_are_asked_for_and_described(write, run):
    asked = []

    def pictures(split, sample):
        asked.append((split, sample))
        return None if sample == 5 else np.full((8, 8), sample % 256, np.uint8)

    page = write(run, pictures=pictures, queries=[5, 7], class_names=["<cat>", "dog", "bird"])
    assert asked.count(("val", 5)) == asked.count(("val", 7)) == 1
    assert len(asked) == 3 * 4 + 2 * (1 + 2 * 5)
    images = page.of("img")
    assert len(images) == sum(sample != 5 for _, sample in asked)
    assert all(
        re.match(r"(training|validation) sample \d+, class ", each["alt"]) for each in images
    )
    assert any(each["alt"].endswith("class <cat>") for each in images)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"output": "report.pdf"}, ArgumentValueError, "path must end in .html or .htm, got 'rep"),
        ({"output": "nowhere/r.html"}, ArgumentValueError, "output must lie in a directory that"),
        ({"run": "nothing.zarr"}, StoreNotFoundError, "nothing.zarr"),
        ({"queries": [60]}, ArgumentIndexError, r"queries must lie in 0..59, got 60"),
        ({"queries": [1, 1]}, ArgumentValueError, "different validation samples, got one twice"),
        ({"queries": range(51)}, ArgumentValueError, "at most 50 validation samples, got 51"),
        ({"scores": 3}, ArgumentTypeError, "scores must be Scores, .* got int"),
        ({"scores": "none"}, ArgumentValueError, "none"),
        (
            {"scores": ltc.Scores(np.zeros(3, np.float32))},
            ArgumentValueError,
            "of the 240 .* got 3",
        ),
        (
            {"scores": ltc.Scores(np.zeros(240, np.float32), ids=np.arange(240))},
            ArgumentValueError,
            "scores must have the ids of the run's training samples, or none",
        ),
        ({"class_names": "cat"}, ArgumentTypeError, "class_names must be a sequence .* got str"),
        ({"pictures": "folder"}, ArgumentTypeError, "pictures must be a function .* got str"),
        ({"fraction": 2}, ArgumentValueError, "fraction must lie in 0..1, got 2"),
        ({"loss": "mse"}, ArgumentValueError, "loss must be 'cross-entropy' or None, got 'mse'"),
        ({"cutoff": -1}, ArgumentValueError, "cutoff must lie in 0..1, got -1"),
    ],
)
def test_arguments_are_checked_before_anything_is_written(
    run, tmp_path, monkeypatch, options, error, message
):
    monkeypatch.chdir(tmp_path)
    arguments = {"run": run, "output": "report.html", **options}
    with pytest.raises(error, match=message):
        ltc.report(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_it(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("cat\n<dog>\n")
    command = ["report", str(run), "-o", "report.html", "--queries", "3,17"]
    assert main([*command, "--class-names", "names.txt"]) == 0
    assert re.fullmatch(r"written to report.html \(0\.\d MB\)\n", capsys.readouterr().out)
    page = Reader(tmp_path / "report.html")
    assert page.data["names"] == ["cat", "<dog>", "2"]
    assert "Validation sample 17" in page.text
    assert main(["report", str(run), "-o", "report.html", "--queries", "x"]) == 2
    assert "--queries must be indices such as 3,17, got 'x'" in capsys.readouterr().err


def test_a_missing_package_is_named(run, tmp_path, monkeypatch, capsys):
    found = util.find_spec
    monkeypatch.setattr(
        sys.modules["ltc.reporting.arguments"],  # ltc.report is the function
        "find_spec",
        lambda name: None if name == "bokeh" else found(name),
    )
    assert main(["report", str(run), "-o", str(tmp_path / "report.html")]) == 2
    assert capsys.readouterr().err == "ltc: a report needs bokeh: pip install 'ltc[report]'\n"
