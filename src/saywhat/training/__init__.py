"""Training: the chatbot and the generator's pre-training (supervised), and REINFORCE."""
