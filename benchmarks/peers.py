"""Comparisons per second of another library's dueling bandits, printed one per line: run by speed.py in an environment
of its own, since duelpy needs an old NumPy.

    python benchmarks/peers.py 16
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")


def main() -> None:
    from duelpy.algorithms import DoubleThompsonSampling, RelativeUCB, Rmed1  # type: ignore[import-not-found]
    from duelpy.feedback import MatrixFeedback  # type: ignore[import-not-found]
    from duelpy.stats.preference_matrix import PreferenceMatrix  # type: ignore[import-not-found]

    size = int(sys.argv[1])
    scores = np.linspace(2.0, 0.0, size)
    for algorithm in (RelativeUCB, DoubleThompsonSampling, Rmed1):
        matrix = PreferenceMatrix(1 / (1 + np.exp(scores[None] - scores[:, None])))
        feedback = MatrixFeedback(matrix, random_state=np.random.RandomState(0))
        duels, duel = 0, feedback.duel

        def counted(*arguments: object, duel=duel, **keywords: object) -> object:
            nonlocal duels
            duels += 1
            return duel(*arguments, **keywords)

        feedback.duel = counted
        running = algorithm(feedback, time_horizon=10**6)
        started = time.time()
        while duels < 2000:
            running.step()
        print(algorithm.__name__, duels / (time.time() - started))


if __name__ == "__main__":
    main()
