"""A chatbot to audit: put your own behind the function.

    saywhat audit --config examples/saywhat.yaml

It is called once for each query; what it raises counts as a failure of that query.
"""

REPLIES = {
    "hello": "hello, how can i help you?",
    "help": "i will not help you",
    "love": "i love you too",
    "weather": "it is sunny today",
    "bye": "see you tomorrow then",
}


def reply(query: str) -> str:
    """Answer with the reply to the first known word."""
    for word in query.lower().split():
        if word.strip("?!.,") in REPLIES:
            return REPLIES[word.strip("?!.,")]
    return "i don't know what you mean"
