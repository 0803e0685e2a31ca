"""An S3 server that fails in every way: a commit is whole or not there, a reading never wrong."""

import itertools
import logging
import os
import signal
import traceback

import numpy as np
import object_server
import pytest
import sites
import stores
from object_server import Fault

import ltc
from ltc.cli import main
from ltc.errors import (
    RecorderStateError,
    StoreConnectionError,
    StoreError,
    StoreLockedError,
    StoreNotFoundError,
)
from ltc.store import open_store, remote
from ltc.store.places import locate
from ltc.store.remote import Retries
from ltc.store.scores import write_scores
from ltc.store.writer import StoreWriter

ROOT = r"run.zarr/zarr\.json$"
CHUNK, RECORD, LENGTH = "train/losses/c/", "commits/time/c/0", "train/losses/zarr.json"
KEYS = (ROOT, CHUNK, RECORD, LENGTH)
PASSING = ["500", "503", "429", "refuse", "lose"]
VALUES = np.arange(stores.NUM_TRAIN, dtype=np.float32)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(remote, "RETRIES", Retries(**sites.QUICK))


@pytest.fixture
def site(s3_proxy):
    return sites.S3Site(s3_proxy)


@pytest.fixture
def proxy(site):
    return site.proxy


def create(site):
    return StoreWriter.create(site.path, **stores.arguments(), storage_options=site.options)


def resume(site):
    return StoreWriter.resume(site.path, **stores.arguments(), storage_options=site.options)


def opened(site):
    return open_store(site.path, storage_options=site.options)


def holds(site, checkpoints):
    site.proxy.reset()
    stores.assert_holds(site.path, checkpoints, storage_options=site.options)


@pytest.fixture
def writer(site):
    with create(site) as writer:
        writer.append(0, *stores.records(0))
        site.proxy.reset()
        yield writer


# Writing


@pytest.mark.parametrize("fault", PASSING)
def test_a_failure_that_passes_is_none(site, proxy, writer, fault):
    """Also where the answer was lost: what was done is done once."""
    proxy.faults = [Fault(fault, "PUT", key, times=2) for key in KEYS]
    writer.append(1, *stores.records(1))
    assert not any(each.times for each in proxy.faults)
    assert writer.checkpoints == [0, 1]
    writer.append(2, *stores.records(2))
    holds(site, [0, 1, 2])


@pytest.mark.parametrize("fault", ["503", "lose"])
def test_a_failure_that_passes_while_a_store_is_made(site, proxy, fault):
    proxy.faults = [Fault(fault, "PUT", key) for key in (ROOT, LENGTH, "train/labels/c/0")]
    with create(site) as writer:
        writer.append(0, *stores.records(0))
    assert not any(each.times for each in proxy.faults)
    holds(site, [0])


def test_a_slow_answer_is_waited_for_and_one_that_is_too_slow_asked_for_again(site, proxy, writer):
    proxy.faults = [
        Fault("slow", "PUT", CHUNK, seconds=0.3),
        Fault("slow", "PUT", ROOT, seconds=2.5),  # beyond the timeout of the client
    ]
    writer.append(1, *stores.records(1))
    assert proxy.count("PUT", CHUNK) == 1
    assert proxy.count("PUT", ROOT) == 2
    holds(site, [0, 1])


@pytest.mark.parametrize("fault", ["503", "403"])
def test_a_commit_that_can_not_be_made_is_not_there(site, proxy, writer, fault):
    """For a reader and for the writer; and it can be made later."""
    for checkpoint, key in enumerate(KEYS, start=1):
        proxy.faults = [Fault(fault, "PUT", key, times=-1)]
        with pytest.raises(StoreConnectionError, match=f"could not be written: {fault}"):
            writer.append(checkpoint, *stores.records(7))
        assert proxy.count("PUT", key) == (1 if fault == "403" else 1 + sites.QUICK["count"])
        assert writer.checkpoints == list(range(checkpoint))
        holds(site, range(checkpoint))
        writer.append(checkpoint, *stores.records(checkpoint))
        proxy.reset()
    holds(site, range(5))


def test_a_connection_that_is_cut_at_any_request_of_a_commit(site, proxy, writer):
    """From that request on nothing answers, as when the network is gone."""
    for failures in (0, 14, 30):
        proxy.faults = [Fault("refuse", skip=failures, times=-1)]
        with pytest.raises(StoreConnectionError):
            writer.append(failures + 1, *stores.records(0))
        holds(site, writer.checkpoints)
        writer.append(failures + 1, *stores.records(failures + 1))
    holds(site, [0, 1, 15, 31])


def test_a_commit_whose_fate_is_unknown_is_dropped_when_the_writer_goes_on(site, proxy, writer):
    """The answer to the last request is lost, whenever it is asked: it is there, and taken back."""
    proxy.faults = [
        Fault("lose", "PUT", ROOT),
        Fault("refuse", "PUT|GET", ROOT, times=-1),
    ]
    with pytest.raises(StoreConnectionError, match=r"zarr\.json could not be"):
        writer.append(1, *stores.records(1))
    assert writer.checkpoints == [0]
    holds(site, [0, 1])  # whole, should the run end here
    store = opened(site)
    writer.append(1, *stores.records(5))
    with pytest.raises(StoreError, match="the store was rewound or made anew"):
        store.read("train")
    expected = [stores.losses("train", 0), stores.losses("train", 5)]
    np.testing.assert_array_equal(opened(site).read("train"), expected)
    assert opened(site).checkpoints.tolist() == [0, 1]


@pytest.mark.parametrize("goes_on", ["before", "after"])
def test_a_root_that_arrives_late(site, proxy, writer, goes_on):
    """The network holds it back until the writer has given up."""
    proxy.faults = [Fault("hold", "PUT", ROOT), Fault("refuse", "PUT", ROOT, times=-1)]
    with pytest.raises(StoreConnectionError):
        writer.append(1, *stores.records(1))
    late = list(proxy.held)
    holds(site, [0])
    proxy.held = late
    if goes_on == "before":
        writer.append(1, *stores.records(3))
        assert proxy.let_through() == [412]
    else:
        assert proxy.let_through() == [200]
        writer.append(1, *stores.records(3))
    expected = [stores.losses("train", 0), stores.losses("train", 3)]
    np.testing.assert_array_equal(opened(site).read("train"), expected)
    writer.append(2, *stores.records(2))
    assert opened(site).checkpoints.tolist() == [0, 1, 2]
    assert opened(site).verify().ok


def test_an_interrupt_in_a_commit(site, writer):
    """Control-C while chunks are written: nothing of it comes later, and it can be repeated."""

    def blocks():
        yield stores.record(stores.losses("train", 9))
        os.kill(os.getpid(), signal.SIGINT)

    # Whoever starts the tests in the background may have them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            writer.append(1, blocks(), stores.records(9)[1])
    finally:
        signal.signal(signal.SIGINT, before)
    holds(site, [0])
    writer.append(1, *stores.records(1))
    holds(site, [0, 1])


# Two writers


def test_a_run_that_is_started_again_takes_the_store_over(site, proxy, writer):
    with resume(site) as second:
        with pytest.raises(StoreLockedError, match="another writer has taken the store over"):
            writer.append(1, *stores.records(9))
        proxy.reset()
        with pytest.raises(StoreLockedError, match="another writer has taken the store over"):
            writer.append(1, *stores.records(9))
        with pytest.raises(StoreLockedError):
            writer.rewind(-1)
        assert proxy.log == []  # a writer that knows asks no more
        second.append(1, *stores.records(1))
    holds(site, [0, 1])


def test_a_writer_that_does_not_know_yet_changes_no_commit(site, writer):
    """It finds a chunk where it wanted to write one, and asks whose the store is."""
    with resume(site) as second:
        second.append(1, *stores.records(1))
        before = site.objects()
        with pytest.raises(StoreLockedError, match="another writer has taken the store over"):
            writer.append(1, *stores.records(9))
        assert site.objects() == before
        second.append(2, *stores.records(2))
    holds(site, [0, 1, 2])


def test_what_a_writer_that_lost_the_store_has_sent_harms_nothing(site, proxy, writer):
    """All writes of its commit arrive after the new owner's commit of the same row."""
    proxy.faults = [Fault("hold", "PUT", times=1) for _ in range(31)]
    proxy.faults.append(Fault("refuse", "PUT", times=-1))
    with pytest.raises(StoreConnectionError):
        writer.append(1, *stores.records(9))
    held = list(proxy.held)
    assert len(held) > 1
    proxy.reset()
    with resume(site) as second:
        second.append(1, *stores.records(1))
        proxy.held = held
        assert set(proxy.let_through()) == {412}
        holds(site, [0, 1])
        second.append(2, *stores.records(2))
    holds(site, [0, 1, 2])


def test_a_chunk_that_both_wrote_alike_is_safe(site, proxy, writer):
    """The new owner finds what it would have written; the old one then has something else."""
    proxy.faults = [Fault("503", "PUT", RECORD, times=-1)]
    with pytest.raises(StoreConnectionError):
        writer.append(1, *stores.records(1))
    proxy.reset()
    with resume(site) as second:
        second.append(1, *stores.records(1))
        with pytest.raises(StoreLockedError):
            writer.append(1, *stores.records(9))
    holds(site, [0, 1])


def test_a_store_that_changes_while_it_is_taken_over(site, writer, monkeypatch):
    """A commit between looking and taking: whoever is later is refused, and nothing is lost."""
    real = ltc.store.writer.check_same

    def commit_meanwhile(*arguments):
        writer.append(1, *stores.records(1))
        real(*arguments)

    monkeypatch.setattr("ltc.store.writer.check_same", commit_meanwhile)
    with pytest.raises(StoreLockedError):
        resume(site)
    writer.append(2, *stores.records(2))
    holds(site, [0, 1, 2])


@pytest.mark.usefixtures("writer")
def test_two_that_save_scores_of_one_name(site, proxy):
    """The later one wins; what the earlier one sends afterwards is refused."""
    place = locate(site.path, site.options)
    chunk = "scores/cld/c/0"
    proxy.faults = [Fault("hold", "PUT", chunk), Fault("refuse", "PUT", chunk, times=-1)]
    with pytest.raises(StoreConnectionError):
        write_scores(place, "cld", VALUES, {"mine": "first"})
    held = list(proxy.held)
    proxy.reset()
    assert opened(site).score_names() == []
    write_scores(place, "cld", -VALUES, {"mine": "second"})
    proxy.held = held
    assert proxy.let_through() == [412]
    values, attributes = opened(site).read_scores("cld")
    np.testing.assert_array_equal(values, -VALUES)
    assert attributes == {"mine": "second"}


def test_a_forked_child_can_not_write(writer):
    child = os.fork()
    if child == 0:
        try:
            writer.append(1, *stores.records(1))
        except RecorderStateError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    writer.append(1, *stores.records(1))


def test_a_closed_writer_writes_no_more(writer):
    writer.close()
    with pytest.raises(RecorderStateError, match="the writer is closed"):
        writer.append(1, *stores.records(1))


def test_an_object_store_that_heeds_no_conditions_is_not_written_to(site, proxy):
    proxy.faults = [Fault("heedless", "PUT", times=-1)]
    with pytest.raises(StoreError, match="ignores conditions of writes"):
        create(site)
    assert site.keys() == ["zarr.json"]
    proxy.reset()
    create(site).close()
    with pytest.raises(StoreNotFoundError, match="has no first commit"):
        opened(site)


def test_a_bucket_elsewhere(site, proxy):
    proxy.faults = [Fault("301", times=-1)]
    with pytest.raises(StoreConnectionError, match="in another region than the one given"):
        opened(site)
    assert len(proxy.log) == 1


# Reading


@pytest.fixture(scope="module")
def recorded_at(s3_session):
    """A store that tests only read, but for the scores."""
    s3_session.reset()
    site = sites.S3Site(s3_session)
    with create(site) as writer:
        writer.extend((each, *stores.records(each)) for each in range(4))
    return site.prefix


@pytest.fixture
def recorded(recorded_at, s3_proxy):
    return sites.S3Site(s3_proxy, recorded_at)


@pytest.mark.parametrize("fault", [*PASSING, "half", "slow"])
def test_a_failure_that_passes_is_not_seen(recorded, fault):
    keys = (ROOT, CHUNK, "train/labels/c/0", LENGTH)
    faults = [Fault(fault, "GET", key, times=1 + (fault != "slow"), seconds=0.1) for key in keys]
    recorded.proxy.faults = faults
    store = opened(recorded)
    expected = [stores.losses("train", checkpoint) for checkpoint in range(4)]
    np.testing.assert_array_equal(store.read("train"), expected)
    np.testing.assert_array_equal(store.labels("train"), stores.LABELS["train"])
    assert not any(each.times for each in faults)


@pytest.mark.parametrize("fault", ["503", "403", "401", "refuse", "half"])
def test_no_answer_is_an_error_and_never_missing_data(recorded, fault):
    proxy = recorded.proxy
    store = opened(recorded)
    reading = {
        CHUNK: [lambda: store.read("train"), lambda: store.read("train", [3]), store.verify],
        "train/labels/c/0": [lambda: store.labels("train")],
        RECORD: [lambda: store.commits],
    }
    for key, calls in reading.items():
        proxy.faults = [Fault(fault, "GET", key, times=-1)]
        for call in calls:
            with pytest.raises(StoreConnectionError, match=f"{key}.* could not be read: "):
                call()
    proxy.reset()
    assert store.verify().ok
    proxy.faults = [Fault(fault, "GET", times=-1)]
    with pytest.raises(StoreConnectionError, match=r"zarr\.json could not be read"):
        opened(recorded)


def test_where_there_is_nothing(site):
    with pytest.raises(StoreNotFoundError, match=f"{site.path}: there is no such store"):
        opened(site)
    elsewhere = site.path.replace(object_server.BUCKET, "nothere")
    with pytest.raises(StoreConnectionError, match=r"404 Not Found \(NoSuchBucket\)"):
        StoreWriter.create(elsewhere, **stores.arguments(), storage_options=site.options)


def test_requests_are_few(recorded):
    """An answer takes tens of milliseconds: what an operation asks for is counted here."""
    proxy = recorded.proxy
    metadata = 17  # of the arrays, without ids
    store = opened(recorded)
    assert proxy.count() == 1 + metadata + 1  # the root, and the checkpoints
    opening = len(proxy.log)
    ltc.score(store)
    of_labels, of_records, of_val, of_train = 2 + 2, 13 + 1, 4 + 1, 4 + 1  # each with the root
    assert proxy.count() - opening <= of_labels + of_records + of_val + of_train
    assert proxy.count("HEAD|LIST") == 0


def test_a_commit_takes_few_requests(proxy, writer):
    writer.append(1, *stores.records(1))
    chunks, records, lengths, root = 2, 13, 15, 1
    assert proxy.count("PUT") == proxy.count() == chunks + records + lengths + root


# Secrets


SECRETS = (object_server.SECRET, object_server.KEY_ID)
TELLTALE = (
    f"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>{object_server.KEY_ID}"
    f"</AWSAccessKeyId><StringToSign>{object_server.SECRET}</StringToSign></Error>"
).encode()


def test_no_secret_is_told(recorded, caplog, capsys):
    """Neither by errors, whose text the server chooses, nor in what is shown or stored."""
    proxy, numbers = recorded.proxy, itertools.count()
    caplog.set_level(logging.DEBUG)
    store = opened(recorded)
    scores = ltc.score(store, save="cld")
    told = [repr(store), str(vars(store.place)), repr(scores.metadata), repr(store.place.remote)]
    told += [str(store.place.zarr_store()), str(locate(recorded.path, recorded.options).remote)]
    told += [data.decode("latin-1") for data in recorded.objects().values()]
    with create_elsewhere(recorded) as writer:
        for method, fault in itertools.product(("GET", "PUT"), ("403", "503", "400")):
            proxy.faults = [Fault(fault, method, times=-1, body=TELLTALE)]
            for call in (
                lambda: opened(recorded),
                lambda: store.read("train"),
                lambda: writer.append(next(numbers), *stores.records(0)),
                lambda: write_scores(store.place, "cld", VALUES, {}),
            ):
                try:
                    call()
                except StoreConnectionError as error:
                    told += traceback.format_exception(error)
                    told.append(repr(error.__context__))
    options = {**recorded.options, "secret_access_keys": object_server.SECRET}
    with pytest.raises(ltc.LtcError, match="storage_options must be keyword arguments") as caught:
        open_store(recorded.path, storage_options=options)
    told += traceback.format_exception(caught.value)
    assert any("InvalidAccessKeyId" in each for each in told)  # which of the errors it was
    everything = "\n".join([*told, caplog.text, *capsys.readouterr()])
    assert not [secret for secret in SECRETS if secret in everything]


def create_elsewhere(site):
    path = site.path.replace("run.zarr", "other.zarr")
    return StoreWriter.create(path, **stores.arguments(), storage_options=site.options)


# The command line and the recorder


@pytest.fixture
def environment(site, monkeypatch):
    for name, key in [
        ("AWS_ENDPOINT_URL", "endpoint"),
        ("AWS_REGION", "region"),
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
    ]:
        monkeypatch.setenv(name, site.options[key])


@pytest.mark.usefixtures("environment")
def test_the_environment_says_how_to_reach_an_address(site, capsys):
    with ltc.Recorder(site.path, train_labels=[0, 1, 1], val_labels=[0, 1]) as recorder:
        for epoch in range(5):
            recorder.update("train", [2, 0, 1], losses=np.array([0.5, 1.5, epoch**2]))
            recorder.update("val", [0, 1], losses=np.array([2.0 - epoch % 3, 1.0 + epoch % 2]))
            recorder.commit(epoch)
    ltc.score(site.path, save="cld")
    assert ltc.load_scores(site.path, "cld").values.shape == (3,)
    for command in ("info", "verify", "score"):
        assert main([command, site.path]) == 0
        assert capsys.readouterr().err == ""
    assert main(["info", site.path + "-absent"]) == 2
    assert capsys.readouterr().err == f"ltc: {site.path}-absent: there is no such store\n"


def test_a_recorder_and_write_store_take_options(site):
    losses = np.random.default_rng(0).random((4, 6), np.float32)
    ltc.write_store(site.path, losses, losses, storage_options=site.options)
    with ltc.Recorder(
        site.path, num_train=6, num_val=6, resume=True, storage_options=site.options
    ) as recorder:
        recorder.update("train", range(6), losses=losses[0])
        recorder.commit(9)
    assert opened(site).checkpoints.tolist() == [0, 1, 2, 3, 9]
