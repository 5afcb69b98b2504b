"""Runs that leave a report, the budgets they are given, and tables of many reports."""
