"""Training data: patches of photos or of generated pictures, with noise made afresh."""
