"""What the types say: mypy checks these modules with the package, and they run as tests, too."""
