"""`python -m northstar` is the command `northstar`."""

from northstar.surfaces.cli import main

if __name__ == "__main__":
    main()
