"""``python -m hydra_box.cli``: the command line without its script on the PATH."""

from hydra_box.cli.main import main

main()
