"""The bookkeeper: follows the event log, makes the house's snapshots, and keeps what is counted from the log (folds).

May import everything but the exchange's inputs and outputs (cards, desks, shell): it decides nothing and tells nobody.
"""
