"""kopf registration, settings, health: the shell that starts it all."""
