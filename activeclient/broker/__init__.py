"""The embedded broker: addresses, queues and transactions in memory, served over CORE to anybody who speaks it.

Law of this package: the model (everything around `postoffice`) knows no packets and no sockets; time comes in through a
`Clock`, durability goes out through a `Store`.
"""
