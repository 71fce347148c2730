"""``python -m edgecae``: the command line."""

from edgecae.commands.cli import main

if __name__ == "__main__":
    main()
