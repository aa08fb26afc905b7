"""The commands, one a module, named as they are called: `run(invocation)` gives the exit code."""
