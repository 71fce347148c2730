"""TFLite files: decode, verify, describe and run them."""
