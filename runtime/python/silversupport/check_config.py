"""python3 -m silversupport.check_config MODULE:FUNCTION: the app's own check of its configuration.

FUNCTION gets the directory of the configuration; the variables are in os.environ. What it raises refuses the release."""
import importlib
import os
import sys


def find(spec):
    module, _, name = spec.partition(":")
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def main(spec):
    function = find(spec)
    try:
        function(os.environ["SILVER_APP_CONFIG"])
    except Exception as error:  # pylint: disable=broad-except
        sys.exit("%s: %s" % (type(error).__name__, error))


if __name__ == "__main__":
    main(sys.argv[1])
