"""`python -m telegym`: the command line."""

from telegym.cli import main

if __name__ == "__main__":
    main()
