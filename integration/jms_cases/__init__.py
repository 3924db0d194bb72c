"""Cases of the JMS API that the Java client's suites know, against a real broker with our client."""
