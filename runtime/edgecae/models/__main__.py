"""``python -m edgecae.models``: write the hashes of the shipped models anew."""

from edgecae.models import write_hashes

if __name__ == "__main__":
    write_hashes()
