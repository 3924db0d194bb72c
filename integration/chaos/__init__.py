"""The chaos suite: traffic on a real broker while connections are cut, and a ledger that says whether it was exact.

Law: every case counts lost, duplicated, disordered and corrupted messages and unsettled sends itself; no case trusts
what the client says of itself.
"""
