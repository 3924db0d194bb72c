"""The cutter, under the name that the suites here use; it is part of the package.

Law: nothing of its own.
"""

from activeclient.testing.cuts import Cut, Direction, Happened, How, random_cuts
from activeclient.testing.cutter import Cutter

__all__ = ["Cut", "Cutter", "Direction", "Happened", "How", "random_cuts"]
