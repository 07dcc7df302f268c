"""Several processes, on one machine or many, that share the work of a study through JAX's distributed runtime.

Every process runs its share of each chunk on its own devices; nothing is exchanged until a chunk is complete, when its
parts go to process 0, the only one that touches files. With one process nothing here does anything.
"""

from __future__ import annotations

import pickle
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from llmpo_jax.engine.workers import Arrays


def join(coordinator: str | None = None, number: int | None = None, index: int | None = None) -> None:
    """Become one of several processes. Call it before anything else uses JAX.

    Args:
        coordinator: HOST:PORT at which process 0 can be reached; None where a launcher that JAX knows (Slurm,
            Kubernetes, Open MPI, TPU) tells.
        number: of processes.
        index: of this process, 0 .. number - 1.

    Raises:
        ValueError: arguments that do not fit together, or no launcher to be found.
    """
    given = [value is not None for value in (coordinator, number, index)]
    if any(given) and not all(given):
        raise ValueError("coordinator, num_processes and process_id belong together, expected all three or none")
    if number is not None and not (number >= 1 and index is not None and 0 <= index < number):
        raise ValueError(f"process_id = {index} of num_processes = {number}, expected 0 to num_processes - 1")
    if coordinator is not None and not coordinator.rpartition(":")[2].isdigit():
        raise ValueError(f"coordinator = {coordinator!r}, expected HOST:PORT")
    try:
        jax.distributed.initialize(coordinator, number, index)
    except (ValueError, RuntimeError) as error:
        expected = "expected a launcher that JAX knows, or coordinator, num_processes and process_id"
        hint = "" if any(given) else f" ({expected})"
        raise ValueError(f"the processes cannot be joined{hint}: {error}") from error


def is_first() -> bool:
    """Whether this is process 0, which reads, writes and speaks."""
    return jax.process_index() == 0


def share(chunk: range) -> range:
    """The replications of a chunk that are run by this process."""
    number, index = jax.process_count(), jax.process_index()
    return chunk[len(chunk) * index // number : len(chunk) * (index + 1) // number]


def agreed(value: Any) -> Any:
    """The value that process 0 has, in all processes."""
    return _exchanged(value)[0]


def gathered(arrays: Arrays) -> Arrays:
    """A chunk from the parts of all processes."""
    return Arrays.joined(_exchanged(arrays))


def _exchanged(value: Any) -> list[Any]:
    """What each process has, in the order of their indices, in every process."""
    if jax.process_count() == 1:
        return [value]
    # As bytes, since an array's 64 bits would be cut to 32 where x64 is off; padded to a common length.
    data = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.array([len(data)], np.int32))).ravel()
    padded = np.zeros(int(sizes.max()), np.uint8)
    padded[: len(data)] = data
    everything = np.asarray(multihost_utils.process_allgather(padded)).reshape(len(sizes), -1)
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(everything, sizes, strict=True)]
