"""Many lifetimes from the command line: `python -m tests.world --seeds 0:100000 [--keep-going] [--stormy]`.

Law of this file: it prints each failure with the command that repeats it, and exits with their number, at most 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.world.world import Failure, live


def main() -> int:
    """Run the seeds A to B - 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.world")
    parser.add_argument("--seeds", default="0:500", help="A:B, the first and the one behind the last")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first failure")
    parser.add_argument("--stormy", action="store_true", help="interrupt calls of the engine, too")
    parser.add_argument("--trace", action="store_true", help="show where an exception came from")
    arguments = parser.parse_args()
    first, last = (int(part) for part in arguments.seeds.split(":"))
    began = time.perf_counter()
    failed = 0
    for seed in range(first, last):
        try:
            live(seed, stormy=arguments.stormy)
        except Failure as failure:
            failed += 1
            sys.stdout.write(f"{failure}\n")
            if arguments.trace:
                traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
            if not arguments.keep_going:
                break
    seconds = time.perf_counter() - began
    sys.stdout.write(f"{last - first} lifetimes, {failed} failed, {seconds:.1f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
