"""The commands; nothing else knows of argv, terminals or exit()."""
