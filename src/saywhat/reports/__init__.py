"""Reports for people and machines, written from plain records only. Every chatbot text is data."""
