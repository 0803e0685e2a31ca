"""Functions of a test that several processes call together."""

import inspect
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PROGRAM = Path(__file__).with_name("team_child.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Outcome(NamedTuple):
    """What one process returned, or the name and the text of what it raised."""

    result: object = None
    error: tuple = ()


class Team:
    """Starts processes of a group on this machine; see the fixture `processes`."""

    def __init__(self, program):
        self._program = program

    def try_run(self, function, size, *arguments, kill=None):
        """Let `size` processes call ``function(rank, *arguments)``; the outcome of each.

        `kill` is a rank whose process is killed, a file, a number of lines, and a delay in seconds
        after the file has as many.
        """
        job = {
            "file": inspect.getsourcefile(function),
            "name": function.__name__,
            "arguments": [str(a) if isinstance(a, Path) else a for a in arguments],
            "size": size,
            "kill": kill and [kill[0], str(kill[1]), *kill[2:]],
        }
        self._program.stdin.write(json.dumps(job) + "\n")
        self._program.stdin.flush()
        outcomes = json.loads(self._program.stdout.readline())
        return [Outcome(**outcome) for outcome in outcomes]

    def run(self, function, size, *arguments):
        """What each process returned; it is a failure if one of them raised."""
        outcomes = self.try_run(function, size, *arguments)
        for rank, outcome in enumerate(outcomes):
            assert not outcome.error, f"rank {rank}: {': '.join(outcome.error)}"
        return [outcome.result for outcome in outcomes]


@contextmanager
def start_team():
    """Start the program that starts processes; once it has loaded torch it is quick."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as program:
        yield Team(program)
        program.stdin.close()
