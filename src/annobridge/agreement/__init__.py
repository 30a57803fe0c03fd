"""How far several annotators agree, and how good each of them is: over label fields, runs, and the answers of a tool."""
