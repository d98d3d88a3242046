"""A chatbot behind FastAPI, as many are deployed: POST /chat {"message": ...} -> {"reply": {...}}.

    pip install fastapi uvicorn
    uvicorn --app-dir examples/fastapi app:app --port 8010
    saywhat check --chatbot http:examples/fastapi/bot.yaml
    saywhat audit --chatbot http:examples/fastapi/bot.yaml --limit 5

Here it answers with the chatbot that ships with saywhat; put your own in its place.
"""

import threading

from fastapi import FastAPI
from pydantic import BaseModel, Field

import saywhat

app = FastAPI(title="support bot")
bot = saywhat.load_chatbot("builtin")
one_at_a_time = threading.Lock()  # FastAPI answers from several threads; the model has one core


class Question(BaseModel):
    """What the client sends."""

    message: str = Field(max_length=2000)
    session: str = ""


@app.post("/chat")
def chat(question: Question) -> dict[str, dict[str, str]]:
    """Answer one message."""
    with one_at_a_time:
        [text] = bot.reply([question.message])
    return {"reply": {"text": text}}
