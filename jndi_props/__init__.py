"""Configuration by jndi.properties."""
