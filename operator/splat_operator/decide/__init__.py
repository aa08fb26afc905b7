"""Pure: from the observed world to the actions wanted. One policy a file."""
