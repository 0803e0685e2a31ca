"""What FiftyOne's collections do of `values` and `set_values`, with lists in their own order.

Written from fiftyone/core/collections.py of its repository: a new field gets its type from the
first value that isn't None. That values are Python's own is this double's demand.
"""


class Collection:
    def __init__(self, **fields):
        self.fields = fields

    def values(self, field):
        return list(self.fields[field])

    def set_values(self, field, values):
        if len(values) != len(self.fields["id"]):
            raise ValueError(f"{len(values)} values for {len(self.fields['id'])} samples")
        if field not in self.fields and all(value is None for value in values):
            raise ValueError(f"cannot infer a type for {field!r}: all values are None")
        for value in values:
            if type(value) not in (float, list, type(None)):
                raise TypeError(f"{value!r} is no value of a field")
        self.fields[field] = list(values)
