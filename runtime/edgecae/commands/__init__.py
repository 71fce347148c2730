"""The runtime's commands, one a module: parse, call one function, print."""
