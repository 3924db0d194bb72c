"""The clients that are compared, one file each; each is run with `python -m` by the runner and imports only itself.

Law of this package: a peer does its work in the way its own documentation calls for, neither worse nor cleverer.
"""
