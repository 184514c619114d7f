"""`chatlab watch` in a terminal: pages of text that show a `ClusterView`, and a time scrubber.

Imported by the command line only. It needs textual, which is in the extra `chatlab[observe]`; only
`app` and `lines_widget` import it, so that the pages can be drawn and tested without a terminal.

    screen_line      a line of a screen: pieces of safe text with the name of a style each
    wording          times, messages, states as short texts
    look             what the person looks at: page, selected node, filter, moment
    pages            view + look + size -> lines, for each page; page by page in `*_page`
    screen           the whole screen: head, page, scrubber, keys
    lines_widget     shows lines, and refreshes only those that have changed
    app              keys, the timer, the source of events

Rules
- The pages are pure: the same view, look and size give the same lines. Design for 80x24 first.
- All text goes through `screen_line.cell`, which takes out what a terminal would obey. No markup.
- What a colour says, a word, a number or a bar says as well.
- There is no verb here: `c` shows commands that a person may copy into another terminal.

Read `screen_line`, `nodes_page`, `screen`, then `app`.
"""
