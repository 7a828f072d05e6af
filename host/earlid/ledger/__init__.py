# SPDX-License-Identifier: MIT
"""The ledger: the host's database of the boards' journals, with their hash chains, queries, exports and purges.

A program that shows something takes four steps:

    location = locate(args.ledger)                        # location: a file or a server
    with Reader(location) as reader:                      # reader: never writes; raises UserError with the cure
        chosen = pick_boards(reader, ["kitchen"])         # boards: by name or identifier; [] for all
        report = make_report(reader, chosen, from_ms, to_ms)  # days, bars, entries, openings, totals, gaps

and below `make_report`, each usable alone (times are Unix ms; ranges include their start and exclude their end):

    queries.openings(reader, chosen, from_ms, to_ms)      # Opening: start_ms, least_ms, most_ms, reason, ended, label, ...
    queries.entries(reader, chosen, from_ms, to_ms, events=())   # Entry: the fields, wall_ms, unc_ms, label
    queries.totals(reader, chosen, from_ms, to_ms)        # counts by (event, reason); quick on millions
    report.live_today(reader, chosen, now_ms)             # board -> bounds of the ms live since local midnight
    report.entry_json(entry)                              # plain values
    gaps.find_gaps(reader, chosen)                        # numbers that are missing
    judge.judge(reader, board, keys.read_keys(board.identifier))   # the chain's verdict: findings, exit_code, anchor code
    time_parse.parse_when / parse_age                     # times as people say them
    time_format.day_start_ms / days_between               # local days, 23 and 25 hours long where they are

Writing goes through `store.Ledger(location)`: `set_label(board, boot, seq, True | False | None)`, `set_name`, `add`. It
may be open beside readers. Only it, `purge`, `retention`, `importer` and `damage` import SQLAlchemy, which takes longer than
`review` may in all.
A record's identity is (board, boot, seq) everywhere. Records are stored as the board sealed them; wall time is worked
out on reading (`wall_clock`, `clock_claims`), so a clock set wrongly is corrected by a later point without rewriting anything.
"""
