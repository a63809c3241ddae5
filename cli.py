"""A thin launcher for a checkout: `python cli.py explain conv2d --input 4x4`."""

from opcheck.app import main

if __name__ == "__main__":
    main()
