"""The cases of the JMS API on a broker in memory."""
