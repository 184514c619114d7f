"""Pages: what is seen of a cluster or a run, in a browser.

Imported by the command line only.

    static/     scripts and styles of all pages: ES modules without a build step

Rules
- A page makes no request to anywhere but where it came from; that of a file makes none at all. Its
  Content-Security-Policy says so.
- What users wrote reaches a page only as `textContent` or as text on a canvas.
- Pages get events as columns (`lab.view.columns`), and compute who holds what from these.

The parts that pages share: `rows.js` holds columns, `axis.js` times and colours; `diagram.js`,
`curves.js` and `matrix.js` draw.
"""
