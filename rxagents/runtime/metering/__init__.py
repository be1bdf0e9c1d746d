"""Apply limiters and budgets to the requests of models, wherever they are made."""
