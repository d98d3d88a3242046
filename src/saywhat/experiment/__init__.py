"""The paper's experiment and what goes beyond it: parts, each done once, and the page they make."""
