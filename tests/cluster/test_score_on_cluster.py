"""`ltc.score` on a cluster: the bits and the errors of one machine, whatever the division."""

import pytest
from clusters import assert_same_scores
from score_cases import BAD_ARGUMENTS, make, scattered_gaps

import ltc
import ltc.store.writer
from ltc.errors import ArgumentTypeError, ArgumentValueError

pytestmark = pytest.mark.usefixtures("client")


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(ltc.store.writer, "CHUNK_SAMPLES", 70)


@pytest.mark.parametrize("change", [None, scattered_gaps], ids=["complete", "gaps"])
@pytest.mark.parametrize("kind", ["class-mean", "mean", "class-pairs", "pairs"])
@pytest.mark.parametrize("signal", ["difference", "loss"])
def test_references_and_signals(tmp_path, client, signal, kind, change):
    store, *_ = make(tmp_path / "run.zarr", change=change)
    assert store.chunk_samples == 70
    scores = assert_same_scores(store, client, signal=signal, reference=kind)
    assert not scores.undefined.all()


@pytest.mark.parametrize(("options", "error", "message"), BAD_ARGUMENTS)
def test_bad_arguments(tmp_path, client, options, error, message):
    make(tmp_path / "run.zarr")
    with pytest.raises(error, match=message):
        ltc.score(tmp_path / "run.zarr", client=client, **options)


def test_a_client_that_is_none(tmp_path):
    make(tmp_path / "run.zarr")
    with pytest.raises(ArgumentTypeError, match=r"client must be a distributed\.Client, got str"):
        ltc.score(tmp_path / "run.zarr", client="tcp://localhost:8786")


def test_a_name_that_scores_can_not_have(tmp_path, client):
    make(tmp_path / "run.zarr")
    with pytest.raises(ArgumentValueError, match="name must consist of letters"):
        ltc.score(tmp_path / "run.zarr", client=client, save="a/b")
