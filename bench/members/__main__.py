"""`python -m bench.members`."""

from bench.members.command import main
from xpmlp.commands import run_as_program

if __name__ == "__main__":
    run_as_program(main)
