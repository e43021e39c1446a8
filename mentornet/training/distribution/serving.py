"""Processes of a cluster that wait, and what a process does when one of its peers is gone.

Under parameter_server the workers and parameter servers run no program of their own: they serve the chief until its run
is finished. Under every cluster a process that loses a peer ends with ``PEER_LOST``; whoever supervises the processes
(Kubernetes, Slurm, scripts/local_cluster.py) starts it again, and the run continues from its last checkpoint.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from mentornet.training.distribution.cluster import Cluster, ClusterError

PEER_LOST = 75
"""Exit code: start this process again (EX_TEMPFAIL of sysexits.h). Any other code but 0 is a mistake to mend."""

_TRANSIENT = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
# A peer that came back as a new process knows nothing of what was agreed with the old one.
_FORGOTTEN = ("Unable to find a context_id", "Unable to find the relevant tensor remote_handle", "was restarted")


def shorten_reports() -> None:
    """Cuts what TensorFlow reports of lost workers, pages of it, to the line that says which one."""

    def first_line(record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage().split("\n")[0][:160], ()
        return True

    logger = tf.get_logger()
    logger.addFilter(first_line)
    logger.propagate = False  # to absl, which would print it again


def is_peer_lost(error: BaseException) -> bool:
    """Whether an error means that another process of the cluster died or was replaced."""
    if isinstance(error, _TRANSIENT):
        return True
    return isinstance(error, tf.errors.OpError) and any(sign in str(error) for sign in _FORGOTTEN)


def peer_lost(error: BaseException) -> ClusterError:
    """The sentence for an error that `is_peer_lost` recognises."""
    reason = " ".join(str(error).split())[:150]
    return ClusterError(
        f"another process of the cluster is gone ({type(error).__name__}: {reason}); start this one again and the run "
        "continues from the last checkpoint"
    )


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """Ends the process with the block, with its exit code.

    An orderly end would wait for servers and collective operations whose other side may be gone for good.
    """
    code = 0
    try:
        yield
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else int(request.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def serve(cluster: Cluster, finished: Callable[[], bool], poll_seconds: float = 1.0) -> Any:
    """Serves the chief until the run is finished.

    Args:
        cluster: with this process as worker or ps.
        finished: asked every ``poll_seconds``; True ends the waiting.
        poll_seconds: between two questions.

    Returns:
        The server, which lives as long as it is referenced.

    Raises:
        ClusterError: the port is taken, or the address is not this machine's.
    """
    config = tf.compat.v1.ConfigProto()
    config.gpu_options.allow_growth = True
    spec = tf.train.ClusterSpec({kind: list(listed) for kind, listed in cluster.addresses.items()})
    try:
        server = tf.distribute.Server(
            spec, job_name=cluster.task, task_index=cluster.index, protocol="grpc", config=config
        )
    except (tf.errors.OpError, RuntimeError) as error:
        raise ClusterError(
            f"{cluster.name} cannot listen on {cluster.address}: {' '.join(str(error).split())}"
        ) from None
    while not finished():
        time.sleep(poll_seconds)
    return server
