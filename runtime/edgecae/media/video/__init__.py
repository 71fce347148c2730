"""Video between sources and sinks: how it is stored, timed and encoded, and what goes with it."""
