"""What a store is, wherever it is: each site subclasses this and gives a fixture `site`."""

import itertools
import json
import threading

import numpy as np
import pytest
import stores
import zarr

import ltc
from ltc.errors import (
    ArgumentValueError,
    StoreCorruptError,
    StoreError,
    StoreExistsError,
    StoreFormatError,
    StoreLockedError,
    StoreMismatchError,
    StoreNotFoundError,
)
from ltc.store import open_store
from ltc.store.places import locate
from ltc.store.scores import write_scores
from ltc.store.writer import StoreWriter

VALUES = np.array([np.nan, *range(1, stores.NUM_TRAIN)], np.float32)
LOSSES_CHUNK, LABELS_CHUNK = "train/losses/c/1/0", "val/labels/c/0"


class FullError(OSError):
    """What a test makes a write fail with."""


class StoreContract:
    """Tests of one site."""

    moments = (0, 9, 18, 30)  # after how many writes a commit, which has 31 or more, is stopped

    @pytest.fixture
    def site(self):
        raise NotImplementedError

    @staticmethod
    def fail_writes(site, monkeypatch, after):
        """Make every write fail from some number of them on; a function that ends it."""
        raise NotImplementedError

    @staticmethod
    def create(site, **others):
        return StoreWriter.create(
            site.path, **stores.arguments(**others), storage_options=site.options
        )

    @staticmethod
    def resume(site, **others):
        return StoreWriter.resume(
            site.path, **stores.arguments(**others), storage_options=site.options
        )

    @staticmethod
    def open(site):
        return open_store(site.path, storage_options=site.options)

    def write(self, site, checkpoints=(0, 1, 2), **others):
        with self.create(site, **others) as writer:
            writer.extend((each, *stores.records(each)) for each in checkpoints)

    def assert_holds(self, site, checkpoints):
        stores.assert_holds(site.path, checkpoints, storage_options=site.options)

    def test_commits_one_after_another(self, site):
        with self.create(site, train_ids=range(11), val_ids=list("abcde")) as writer:
            assert writer.path == site.path
            for checkpoint in (0.5, 1, 4):
                writer.append(checkpoint, *stores.records(checkpoint))
                self.assert_holds(site, writer.checkpoints)
        store = self.open(site)
        assert store.path == site.path
        assert store.ids("val").tolist() == list("abcde")
        assert store.verify().ok

    def test_no_store(self, site):
        for start in (self.open, self.resume):
            with pytest.raises(StoreNotFoundError, match="there is no such store"):
                start(site)
        assert site.keys() == []

    def test_a_store_without_a_commit_counts_as_absent(self, site):
        self.create(site).close()
        for start in (self.open, self.resume):
            with pytest.raises(StoreNotFoundError, match="has no first commit"):
                start(site)
        self.write(site, [7])
        self.assert_holds(site, [7])

    def test_a_store_with_commits_is_not_made_again(self, site):
        self.write(site)
        with pytest.raises(StoreExistsError, match="there is a store with commits already"):
            self.create(site)
        self.assert_holds(site, [0, 1, 2])

    def test_something_else_is_left_alone(self, site):
        site.write("data/notes.txt", b"mine")
        with pytest.raises(StoreFormatError, match="a new store is not put in its place"):
            self.create(site)
        assert site.keys() == ["data/notes.txt"]

    def test_another_store_may_take_the_place_of_one_without_a_commit(self, site):
        """Of other sizes, with fewer arrays: nothing of the old one is to be seen, by anybody."""
        with self.create(site, num_val=4, val_labels=[0] * 4, train_ids=range(11)) as writer:
            writer.append(0, *stores.records(0, val=4))
            writer.append(1, *stores.records(1, val=4))
            write_scores(locate(site.path, site.options), "old", VALUES, {})
            writer.rewind(-1)
        self.write(site, [3])
        self.assert_holds(site, [3])
        store = self.open(site)
        assert store.score_names() == []
        group = zarr.open_group(store.place.zarr_store(), mode="r")
        assert sorted(dict(group["train"].arrays())) == ["checkpoint", "labels", "losses"]
        assert dict(group["scores"].arrays()) == {}
        assert group["val/losses"].shape[1] == stores.NUM_VAL

    def test_a_store_goes_on(self, site):
        self.write(site)
        with self.resume(site) as writer:
            assert writer.checkpoints == [0, 1, 2]
            writer.append(3, *stores.records(3))
        self.assert_holds(site, range(4))

    @pytest.mark.parametrize("change", [{"num_train": 12}, {"val_labels": [1] * 5}])
    def test_another_run_is_refused_and_changes_nothing(self, site, change):
        self.write(site)
        before = site.objects()
        labels = {"train_labels": [0] * 12} if "num_train" in change else {}
        with pytest.raises(StoreMismatchError):
            self.resume(site, **labels, **change)
        assert site.objects() == before

    def test_several_commits_at_once_are_all_there_or_none(self, site):
        rows = [(c, *stores.records(c)) for c in (3, 4, 1)]
        self.write(site)
        with self.resume(site) as writer:
            with pytest.raises(ArgumentValueError, match="checkpoint must be larger"):
                writer.extend(rows)
            self.assert_holds(site, [0, 1, 2])
            writer.extend(rows[:2])
        self.assert_holds(site, range(5))

    def test_rewinding(self, site):
        self.write(site)
        store = self.open(site)
        with self.resume(site) as writer:
            writer.rewind(0)
            self.assert_holds(site, [0])
            with pytest.raises(StoreError, match="the store was rewound or made anew"):
                store.read("train")
            writer.append(5, *stores.records(5))
            writer.append(6, *stores.records(6))
        self.assert_holds(site, [0, 5, 6])

    def test_a_view_stays_as_it_was(self, site):
        self.write(site, [0, 1])
        store = self.open(site)
        with self.resume(site) as writer:
            writer.append(2, *stores.records(2))
        assert store.read("train").shape == (2, stores.NUM_TRAIN)
        assert [commit.checkpoint for commit in store.commits] == [0, 1]

    def test_of_two_writers_one_commits(self, site):
        """Whichever is refused, and when: what either has committed is there."""
        committed = []
        writers = [self.create(site)]
        writers[0].append(0, *stores.records(0))
        try:
            writers.append(self.resume(site))
        except StoreLockedError:
            writers.append(None)
        for checkpoint, writer in itertools.product((1, 2), filter(None, writers)):
            try:
                writer.append(checkpoint, *stores.records(checkpoint))
            except StoreLockedError:
                continue
            committed.append(checkpoint)
        assert committed == [1, 2]
        self.assert_holds(site, [0, 1, 2])

    def test_two_that_make_a_store(self, site):
        writers = []
        for number in range(2):
            try:
                writers.append(self.create(site, num_val=5 - number, val_labels=[0] * (5 - number)))
            except StoreLockedError:
                assert number == 1
        done = []
        for number, writer in enumerate(writers):
            try:
                writer.append(0, *stores.records(0, val=5 - number))
            except StoreLockedError:
                continue
            done.append(5 - number)
        assert len(done) == 1
        store = self.open(site)
        assert (store.num_val, store.committed) == (done[0], 1)
        assert store.verify().ok

    def test_writers_in_each_others_way_lose_nothing(self, site):
        """Threads that resume and commit, a few times each: every commit that returned is there.

        Each writes losses of its own, so that a row of two writers would be seen.
        """
        self.write(site, [0])
        acknowledged, errors = {}, []

        def get_in_the_way(number):
            for _ in range(3):
                try:
                    with self.resume(site) as writer:
                        for _ in range(2):
                            checkpoint = writer.checkpoints[-1] + 1
                            seed = 100 * checkpoint + number
                            writer.append(checkpoint, *stores.records(seed))
                            acknowledged[checkpoint] = seed
                except StoreLockedError:
                    continue
                except Exception as error:
                    errors.append(error)

        threads = [threading.Thread(target=get_in_the_way, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert acknowledged
        store = self.open(site)
        assert store.checkpoints.tolist() == [0, *sorted(acknowledged)]
        expected = [stores.losses("train", acknowledged.get(c, c)) for c in store.checkpoints]
        np.testing.assert_array_equal(store.read("train"), expected)
        assert store.verify().ok

    @pytest.mark.parametrize("operation", ["create", "append", "extend", "rewind"])
    def test_a_write_that_fails_at_any_moment(self, site, monkeypatch, operation):
        """The store is as before, for a reader and for the writer, and the call can be repeated."""
        if operation != "create":
            self.write(site)
        template = site.objects()
        after = {"append": [0, 1, 2, 3], "extend": [0, 1, 2, 3, 4], "rewind": [0]}
        failures = 0
        moments = (0,) if operation == "rewind" else self.moments
        for moment in moments:
            site.restore(template)
            writer = self.create(site) if operation == "create" else self.resume(site)
            end = self.fail_writes(site, monkeypatch, after=moment)
            try:
                self.act(writer, operation)
            except FullError:
                failures += 1
                end()
                if operation == "create":
                    with pytest.raises(StoreNotFoundError):
                        self.open(site)
                else:
                    assert writer.checkpoints in ([0, 1, 2], after[operation])
                    self.assert_holds(site, writer.checkpoints)
                self.act(writer, operation)
            finally:
                end()
                writer.close()
            self.assert_holds(site, after.get(operation, [0]))
        assert failures == len(moments)

    @staticmethod
    def act(writer, operation):
        if operation == "create":
            writer.append(0, *stores.records(0))
        elif operation == "append":
            writer.append(3, *stores.records(3))
        elif operation == "extend":
            writer.extend((c, *stores.records(c)) for c in (3, 4))
        else:
            writer.rewind(0)

    def test_what_a_dead_writer_left_is_never_read(self, site):
        """Whatever of a commit is there but the root: the next writer goes on from what counts."""
        self.write(site)
        template = site.objects()
        with self.resume(site) as writer:
            writer.append(3, *(stores.records(99)))
        left = site.objects()
        left["zarr.json"] = template["zarr.json"]
        for moment in self.moments:
            site.restore(template | dict(list(left.items())[: moment + 1]))
            self.assert_holds(site, [0, 1, 2])
            with self.resume(site) as writer:
                writer.append(3, *stores.records(3))
            self.assert_holds(site, range(4))

    def test_a_lost_chunk_of_losses_is_missing(self, site):
        self.write(site)
        expected = self.open(site).read("train")
        site.remove(LOSSES_CHUNK)
        expected[1] = np.nan
        store = self.open(site)
        np.testing.assert_array_equal(store.read("train"), expected)
        assert store.verify().lost == (LOSSES_CHUNK,)

    def test_a_lost_chunk_of_labels_is_an_error(self, site):
        self.write(site)
        site.remove(LABELS_CHUNK)
        with pytest.raises(StoreCorruptError, match=f"{LABELS_CHUNK}: the chunk is lost"):
            self.open(site).labels("val")

    @pytest.mark.parametrize("key", [LOSSES_CHUNK, LABELS_CHUNK])
    def test_a_changed_chunk_is_named(self, site, key):
        self.write(site)
        data = bytearray(site.read(key))
        data[3] ^= 4
        site.write(key, bytes(data))
        store = self.open(site)
        with pytest.raises(StoreCorruptError, match=f"{key}: the chunk was changed"):
            _ = store.read("train") if key == LOSSES_CHUNK else store.labels("val")
        assert store.verify().changed == (key,)

    def test_a_broken_root_is_no_store(self, site):
        self.write(site)
        whole = site.read("zarr.json")
        document = json.loads(whole)
        document["attributes"]["ltc"]["committed"] = 2
        for broken in (whole[:-20], b"", json.dumps(document).encode()):
            site.write("zarr.json", broken)
            for start in (self.open, self.resume, self.create):
                with pytest.raises(StoreFormatError, match=site.path):
                    start(site)
        site.write("zarr.json", whole)
        self.assert_holds(site, [0, 1, 2])

    def test_scores_are_saved(self, site):
        self.write(site, range(5))
        scores = ltc.score(self.open(site), save="cld")
        store = self.open(site)
        assert store.score_names() == ["cld"]
        np.testing.assert_array_equal(ltc.load_scores(store, "cld").values, scores.values)
        write_scores(store.place, "cld", VALUES, {"mine": 1})
        values, attributes = self.open(site).read_scores("cld")
        np.testing.assert_array_equal(values, VALUES)
        assert attributes == {"mine": 1}
        with self.resume(site) as writer:  # a recording goes on meanwhile
            write_scores(store.place, "other", -VALUES, {})
            writer.append(5, *stores.records(5))
        assert self.open(site).score_names() == ["cld", "other"]
        assert self.open(site).verify().ok

    def test_scores_whose_saving_fails_are_the_old_ones_or_none(self, site, monkeypatch):
        self.write(site)
        place = locate(site.path, site.options)
        failures = 0
        for number in itertools.count():
            write_scores(place, "cld", VALUES, {"mine": "old"})
            end = self.fail_writes(site, monkeypatch, after=number)
            try:
                write_scores(place, "cld", -VALUES, {"mine": "new"})
            except FullError:
                failures += 1
            else:
                break
            finally:
                end()
            store = self.open(site)
            assert store.verify().ok
            if store.score_names():
                values, attributes = store.read_scores("cld")
                assert attributes == {"mine": "old"}
                np.testing.assert_array_equal(values, VALUES)
        assert failures > 0
        assert self.open(site).read_scores("cld")[1] == {"mine": "new"}

    def test_plain_zarr_reads_it(self, site):
        self.write(site)
        group = zarr.open_group(self.open(site).place.zarr_store(), mode="r")
        committed = group.attrs["ltc"]["committed"]
        expected = [stores.losses("train", c) for c in range(3)]
        np.testing.assert_array_equal(group["train/losses"][:committed], expected)
        assert group["train/losses"].metadata.dimension_names == ("checkpoint", "sample")
