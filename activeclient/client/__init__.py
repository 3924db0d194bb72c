"""The core API: locator, session factory, session, producer, consumer."""
