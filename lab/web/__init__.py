"""Pages in a browser: `chatlab watch --web`, `chatlab lab play`, and the file of `lab report`.

Imported by the command line. What serves pages needs the extra `observe` (starlette, uvicorn), so
commands import it lazily.

    server        one page behind a token: what is refused, which headers every answer has, the end
    event_stream  server-sent events to a bounded number of pages, each with a bounded queue
    watch_page    the page of `watch --web`: what an observer knows, live and at any moment before
    play_page     the page of `lab play`: a session of the simulator, which a person drives
    static/       scripts and styles of all pages: ES modules without a build step

Rules
- The server listens on 127.0.0.1 and nowhere else. Whoever asks needs the token of this run, which
  is in the address; the name in `Host` must be one of loopback, so that a page from elsewhere
  cannot speak to the server under a name of its own (DNS rebinding).
- A page that looks on is read-only: GET and HEAD, everything else is refused before any route.
- A page makes no request to anywhere but where it came from; that of a file makes none at all. Its
  Content-Security-Policy says so.
- What users wrote leaves the server as JSON, and reaches a page only as `textContent` or as text on
  a canvas.
- A slow page costs bounded memory: its queue is emptied, it is told to load again, and counted.
- Pages get events as columns (`lab.view.columns`), and compute who holds what from these.

The parts that pages share: `rows.js` holds columns, `axis.js` times and colours; `diagram.js`,
`curves.js` and `matrix.js` draw. Read `server`, `event_stream`, then `watch_page`.
"""
