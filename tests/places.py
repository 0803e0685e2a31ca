"""A device for conveyors that is the CPU: it may run out of memory, and copies late."""

import numpy as np


class FullError(Exception):
    """What it raises when it runs out of memory."""


class HostPlace:
    """A place whose copies are made when they are waited for, and no earlier.

    ``room`` is how many samples a tile may have, of whatever is asked for; ``events`` tells what
    happened.
    """

    name = "double:0"
    out_of_memory = FullError

    def __init__(self, room=2**62):
        self.room = room
        self.events = []
        self.released = 0

    def host_rows(self, num_checkpoints, width):
        return np.full((num_checkpoints, -(-width // 64) * 64), np.nan, np.float16)

    def tile(self, num_checkpoints, width):
        import torch

        if width > self.room:
            raise FullError(width)
        tile = torch.full((num_checkpoints, -(-width // 64) * 64), torch.nan, dtype=torch.float16)
        return tile[:, :width]

    def send(self, losses, tile):
        self.events.append("send")
        return {"from": losses, "to": tile, "copied": False}

    def wait(self, sent):
        import torch

        if not sent["copied"]:
            sent["to"].copy_(torch.from_numpy(sent["from"]))
            sent["copied"] = True

    def follow(self, sent):
        self.events.append("work")
        assert sent["copied"], "work was begun before its tile was there"

    def release(self):
        self.released += 1
