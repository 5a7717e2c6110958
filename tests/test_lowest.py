"""The lowest versions with which the tests are run are those that setup.cfg allows."""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_each_bound_of_the_plain_environment_is_tried_out():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    wanted = [config["options"]["install_requires"], config["options.extras_require"]["test"]]
    bounds = dict(re.findall(r"^([\w-]+)>=([\d.]+)", "\n".join(wanted), re.M))
    text = (ROOT / ".ci" / "lowest.txt").read_text()
    tried = dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, re.M))
    assert bounds.keys() == tried.keys()
    for name, version in tried.items():
        assert version == bounds[name] or version.startswith(f"{bounds[name]}."), name
