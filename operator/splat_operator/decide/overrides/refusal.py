"""Why an override is refused: a field and a sentence."""

ROOT = "spec.podTemplateOverrides"


class OverrideError(Exception):
    """An override that is not taken; the text names the field and says what to do."""

    def __init__(self, path: str, words: str) -> None:
        super().__init__(f"{ROOT}{'.' if path else ''}{path}: {words}")
