"""Scoring, neighbours and selection on a Dask cluster, by the code that one machine runs.

`ltc.score`, `ltc.neighbors` and others take ``client=``, a `distributed.Client`. A task is a range
of whole chunks of training samples. It runs on a worker, in one thread of it, and calls there what
one machine calls for all samples, so results are the same bits.

- Workers reach the store by themselves: a path that is the same everywhere, or an address. To an
  address the credentials of the client's store travel with the tasks.
- References are made by one task, once, and go from worker to worker.
- Scores that are kept (``save=``) go from the worker into the store; neighbours are merged on
  workers. Nothing that grows with the number of training samples passes through the client or the
  scheduler, unless the caller asks for it: scores that are not kept come back to the client, and
  ``groups=`` travel with the tasks.
- A few tasks for each thread of a worker are known to the scheduler at a time.

Needs ``pip install 'ltc[cluster]'``, on the workers too.
"""

__all__: list[str] = []
