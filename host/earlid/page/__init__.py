# SPDX-License-Identifier: MIT
"""The review page: what `earlid review --html` writes and `earlid review --serve` shows live.

    page_data the ledger's records as columns of numbers
    pack      columns and a header as one compressed block, which the page's own pack.js opens
    tz_table  the offsets of this computer's time zone: a report tells the same hours wherever it is read
    document  the page: HTML, style and scripts of static/ in one file, with the policy that lets nothing else run
    report    a page with its data in it
    feed      what has changed in a ledger since it was last looked at
    web       a page that asks for its data: token, headers, server-sent events, labels
    serve     the web server on this computer's own address, and the browser

The scripts in static/ are plain files in the order of `document.SCRIPTS`, put behind one another into one script element:
a file opened from a disk cannot import others. Each keeps its names in a block and its functions under `earlid`. A second
element has the verifier (`document.checker`): its text is run in a worker, where the browser has one for a file.

A report carries its records as they were sealed (`ledger.sealed`), and checks them by itself; `verify.html`, which
`earlid verify --html` writes, has the same verifier, and checks any report or export.
"""
