"""Text that a container gets as it is."""


def literal(text: str) -> str:
    """Write text for a container's args or env, in which Kubernetes expands `$(NAME)` and `$$`."""
    return text.replace("$", "$$")
