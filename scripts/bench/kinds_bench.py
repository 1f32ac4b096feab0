"""What kinds of weights cost, beside what was promised: `kinds_bench.py KINDS` runs the example and reads its lines.

The example counts seconds on the clock. It runs on one thread, and the share of a core that the whole process had turns
them into CPU seconds: on a busy machine an estimate, so that the clock's stand beside.
"""

import re
import sys

import report
from measure import run

NUMBER = r"([\d.]+)"
LINE = re.compile(rf"^(.+): {NUMBER} s \({NUMBER} search, {NUMBER} honest\)[,;] .*, (\w+)\b[^,]*$")
ONE_THREAD = {"RAYON_NUM_THREADS": "1"}
# The example's argument, and how many lines it prints for it.
PARTS = {"targets": 2, "classes": 1, "numbers": 1}


def promise(kind, what, share, seconds, search, honest, stop):
    cpu = share * seconds
    if kind == "targets":
        limit = 10 if "nested" in what else 1
        report.verdict(cpu <= limit, f"{what}: {cpu:.2f} CPU s ({seconds:.2f} on the clock); at most {limit}")
        return
    ratio = honest / search
    told = f"honest {ratio:.2f} x search ({share * honest:.2f} / {share * search:.2f} CPU s); at most 3"
    report.verdict(stop == "Certified" and ratio <= 3, f"{what}: {stop}, {told}")


def main():
    print("\nkinds of weights, CPU seconds on one thread\n")
    for kind, expected in PARTS.items():
        taken = run([sys.argv[1], kind], environment=ONE_THREAD)
        found = [match for line in taken.out.splitlines() if (match := LINE.match(line))]
        if len(found) != expected:
            sys.exit(f"bench: {expected} lines of figures wanted from `kinds {kind}`, found {len(found)}:\n{taken.out}")
        share = min(taken.cpu / taken.wall, 1)
        for what, total, search, honest, stop in (match.groups() for match in found):
            promise(kind, what, share, float(total), float(search), float(honest), stop)
        print(f"      `kinds {kind}` with its data: {taken.cpu:.1f} CPU s in {taken.wall:.1f} s")


if __name__ == "__main__":
    main()
