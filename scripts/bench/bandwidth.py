"""How fast one thread reads memory: `bandwidth.py BYTES` prints GB/s over an array of that size, the best of some.

The product of an array with itself reads every byte once and does next to nothing with it.
"""

import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np

READS = 12


def main():
    values = np.ones(int(sys.argv[1]) // 4, np.float32)
    best = float("inf")
    for _ in range(READS):
        started = time.process_time()
        values @ values
        best = min(best, time.process_time() - started)
    print(values.nbytes / best / 1e9)


if __name__ == "__main__":
    main()
