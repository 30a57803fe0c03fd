"""The three-way merge of one task: match → route → diff → restrict → reconcile."""
