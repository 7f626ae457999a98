"""Which of a conversation's words are read, and which part of a long text is embedded."""

from pointsman.contracts.chat import ChatRequest

# MiniLM reads 256 word pieces, about 1,200 characters of English.
_EMBEDDED_CHARACTERS = 1_200
# Features are read from this much; what follows changes no verdict and costs time.
_READ_CHARACTERS = 8_000
# "And in French?" says nothing alone: shorter turns bring the turns before them along.
_FOLLOW_UP_WORDS = 4
_MAX_TURNS = 3


def request_text(request: ChatRequest) -> str:
    """Return the user's words that are embedded: the last turn, or more if it says little alone.

    Newest first, so that what is cut off is the oldest.
    """
    turns: list[str] = []
    for message in reversed(request.messages):
        if message.role == "user" and (said := message.text.strip()):
            turns.append(said)
            # Counting further would read the whole of a long turn.
            words = sum(len(turn.split(None, _FOLLOW_UP_WORDS)) for turn in turns)
            if len(turns) == _MAX_TURNS or words >= _FOLLOW_UP_WORDS:
                break
    return "\n".join(turns)[:_READ_CHARACTERS]


def embedded_part(text: str) -> str:
    """Return the head and the tail of a long text: the task is at one end or the other."""
    if len(text) <= _EMBEDDED_CHARACTERS:
        return text
    half = _EMBEDDED_CHARACTERS // 2
    return f"{text[:half]}\n{text[-half:]}"
