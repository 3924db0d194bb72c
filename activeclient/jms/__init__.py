"""The JMS API in Python's clothes."""
