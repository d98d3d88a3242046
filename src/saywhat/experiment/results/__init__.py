"""The results of an experiment: from finished parts to one document with every number."""
