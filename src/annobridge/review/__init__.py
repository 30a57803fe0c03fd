"""Review: a local page on which people accept or refuse the changes of a plan, and settle its conflicts.

| module | what |
|---|---|
| ``session`` | the plan under review, its samples by number, the decisions about it |
| ``decision_log`` | the file that decisions are appended to, before anybody is told that they count |
| ``columns``, ``shapes`` | changes and labels as JSON |
| ``images``, ``frames``, ``pictures`` | images and frames of videos, scaled down in bounded memory |
| ``load_job`` | a load that was started from the page |
| ``app``, ``guard`` | the HTTP API, and what is refused before it |
| ``server`` | the server: its port, its address, its end |
| ``offline``, ``crops``, ``summary`` | the same page as one file that needs no server |
| ``page`` | the page: HTML, CSS, modules |

The server needs the extra ``annobridge[review]``; ``offline`` does not.
"""
