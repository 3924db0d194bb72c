"""The packets of the CORE protocol, declared once each; grouped as the protocol groups them."""
