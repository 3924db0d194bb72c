"""What makes connections break on purpose, for the tests of programs that use this client.

Law of this package: nothing in it is imported by the client; what it starts ends with a `close` or a `with`.
"""
