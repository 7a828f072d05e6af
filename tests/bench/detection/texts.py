# SPDX-License-Identifier: MIT
"""What the synthetic voices say beside the word: near words, sentences with near words, sentences without."""

from __future__ import annotations

WORD = "Alexa"

# Near by their phonemes: they share "lek", "leks" or "eks" with the word, or its vowels and its stress.
NEAR = tuple(
    """
    Alexis|elixir|election|Alex|Alexia|Lexus|a Lexus|electric|elected|a lecture|select a|relax|relax a|Alaska|Alexander
    next to|complex|collects a|elastic|a letter|legs are|Texas|lexicon|annex a|Alicia|electra|axe her|uh Lexi|flexes
    reflex a|Alec said|a leg sir|Allegra|all access|a less a|a lesson|elects a|I'll ask her|Alexei|lacks a|perplexes
    a lack of|alas a|Olympics|a luxury|Nexus|Lexi|Alexandra|delicacy|a lot of|elect her|electron|Ellen said|he likes a
    Alessa|Melissa|Alissa|let's see|alert her|exit|extra|examine a|duplex a|uh text a|a lens|alcohol|galaxy|apoplexy
    collect a|lecturer|electoral|excellent|Alec|unless a|a legend|she expects a
    """.strip().replace("\n", "|").split("|")
)  # fmt: skip
NEAR = tuple(text.strip() for text in NEAR)

NEAR_SENTENCES = (
    "The election was held in November",
    "Have you seen Alexis today",
    "She drives a Lexus to work",
    "The elixir was in the bottle",
    "Please select a channel",
    "My brother Alexander is here",
    "We flew over Alaska last year",
    "He is next to the door",
    "It's a complex answer",
    "Try to relax a little",
    "The electric kettle is on",
    "He gave a lecture yesterday",
    "Collect a ticket at the desk",
    "Alex said he would come",
    "The Texas weather is hot",
    "She elects a new leader",
    "I need a letter from you",
    "Turn left at the next exit",
    "Everyone has access to all of it",
    "She likes a cup of tea",
)

SENTENCES = (
    "I left the keys on the kitchen table",
    "Could you bring some milk on your way home",
    "The meeting starts at half past nine tomorrow",
    "It has been raining since early this morning",
    "We should paint the fence before winter comes",
    "He asked whether the train was late again",
    "My sister lives near the old harbour",
    "There is nothing good on television tonight",
    "The dog wants to go out for a walk",
    "Put the plates in the cupboard please",
    "I cannot find my glasses anywhere",
    "What time does the museum close on Sunday",
)
