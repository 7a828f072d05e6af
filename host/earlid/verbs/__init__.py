# SPDX-License-Identifier: MIT
"""Verbs of the command line, a module each. What each is for stands here, so that the whole help loads none of them."""

# In the order in which a newcomer needs them, the others by the alphabet.
HELP = {
    "demo": "see a lid at work without any hardware",
    "list": "which boards there are",
    "flash": "put MicroPython and Earlid on a board",
    "doctor": "find out what is wrong with a board",
    "calibrate": "fit thresholds to room and owner, and show what they cost",
    "watch": "collect the journal of every board, and see what happens now",
    "review": "when was the microphone live, why, and was it me?",
    "safe": "close every lid, now",
    "anchor": "give the newest records' links away, so that a ledger made anew shows",
    "bridge": "tell Home Assistant and others of the boards, by MQTT",
    "config": "this computer's configuration: show it, say where its file is, check it",
    "evaluate": "misses against false openings per hour, from recordings",
    "export": "write the records to a file, or take such a file back (--import)",
    "image": "MicroPython and Earlid as one file, for any flasher",
    "model": "networks for wake words: list, show, import, and train one of your own",
    "pair": "let this computer set a board's clock, free read records and check their seals",
    "purge": "remove records for good; the rest of the chain still verifies",
    "score": "run the firmware's gate over a recording",
    "settings": "show a board's settings, change some, or bring the earlier ones back",
    "verify": "does the chain of records hold, and what cannot be known",
    "verify-release": "are these the files that were released, and who says so?",
}
