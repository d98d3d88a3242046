"""Evaluation: findings, success rates, intervals, tables. No torch."""
