"""Where does this run?"""
import os


def is_production():
    """True on a node, False on a developer's machine."""
    return os.environ.get("SILVER_VERSION", "").startswith("silverlining/")
