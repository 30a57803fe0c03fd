"""The three-way merge of one task, in the order of its steps: match, route, diff, restrict, reconcile."""
