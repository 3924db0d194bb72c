"""Cases of failure and recovery that the Java client's history knows, against a real broker with our client."""
