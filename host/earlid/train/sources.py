# SPDX-License-Identifier: MIT
"""Recordings without the word: which files of which of Debian's packages, and what they are used for.

No source is in two parts, nor a speaker as far as packages tell: who speaks Hedgewars' voices is not told, nor whether somebody
speaks two languages of the stamps or toys; those are only in `fit` and `stop`. What `tests/bench/detection/data.py` calls
`held` is `judge` here, so that nothing is learnt from what that benchmark judges with. Licences are those of the packages'
copyright files (Debian 12).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Part = Literal["fit", "stop", "judge"]
Kind = Literal["speech", "music", "noise"]
PARTS: tuple[Part, ...] = ("fit", "stop", "judge")


@dataclass(frozen=True)
class Source:
    """Recordings of a Debian package.

    Attributes:
        files: regular expression that the whole of a file's path in the package matches.
        language: ISO 639-1, of speech.
        audio_min: minutes of its samples that are kept beside its columns, to be mixed in or said at other levels.
        says: words that are spoken somewhere in it, though no file's name tells where: for those it is left out whole.
    """

    name: str
    package: str
    files: str
    kind: Kind
    language: str
    part: Part
    licence: str
    audio_min: int
    says: tuple[str, ...] = ()


_ALL_MIN = 120
_MIN = 10
_ASTERISK = r"usr/share/asterisk/sounds/{}/(?!silence/).*\.(g722|wav)"
_FILLETS = r"usr/share/games/fillets-ng/sound/[^/]*/{}/.*\.ogg"
_STAMPS = r"usr/share/tuxpaint/stamps/.*_desc_{}\.(ogg|wav)"
_HEDGEWARS = r"usr/share/games/hedgewars/Data/{}\.ogg"
_COLOBOT = r"usr/share/games/colobot/music/.*\.ogg"
_BOSWARS = r"usr/share/games/boswars/(units|sounds)/.*\.(wav|ogg)"
_HORIZONS = r"usr/share/unknown-horizons/content/audio/{}/.*\.ogg"
_TUBERLING = r"usr/share/ktuberling/sounds/{}/.*\.(wav|ogg)"


def _asterisk(language: str, folder: str, part: Part, licence: str = "CC-BY-SA-3.0") -> Source:
    package = f"asterisk-core-sounds-{language}-g722"
    return Source(
        f"prompts-{language}",
        package,
        _ASTERISK.format(folder),
        "speech",
        language,
        part,
        licence,
        _ALL_MIN if part == "fit" else _MIN,
    )


def _stamps(language: str, part: Part) -> Source:
    files = _STAMPS.format(language)
    return Source(
        f"stamps-{language}",
        "tuxpaint-stamps-default",
        files,
        "speech",
        language,
        part,
        "GPL-2",
        _ALL_MIN if part == "fit" else _MIN,
    )


def _tuberling(language: str, part: Part) -> Source:
    files = _TUBERLING.format(language)
    return Source(f"toys-{language}", "ktuberling-data", files, "speech", language, part, "GPL-2+", _ALL_MIN)


SOURCES = (
    # One woman says the English and the Spanish prompts.
    _asterisk("en", "en_US_f_Allison", "fit"),
    _asterisk("es", "es_MX_f_Allison", "fit"),
    _asterisk("fr", "fr_CA_f_June", "judge"),
    _asterisk("it", "it_IT_m_Carlo", "judge", "CC-BY-3.0"),
    _asterisk("ru", "ru_RU_f_IvrvoiceRU", "judge", "CC-BY-3.0"),
    Source("prompts-it2", "asterisk-prompt-it-menardi-wav", _ASTERISK.format("it_IT_f_Menardi"), "speech", "it", "judge",
           "CC-BY-SA-3.0-IT", _MIN),
    Source("play-cs", "fillets-ng-data-cs", _FILLETS.format("cs"), "speech", "cs", "stop", "GPL-2+", _ALL_MIN),
    Source("play-nl", "fillets-ng-data-nl", _FILLETS.format("nl"), "speech", "nl", "judge", "GPL-2+", _MIN),
    # Actors. The texts of the first were searched for the field's words; of the second there is no list.
    Source("actors-en", "flight-of-the-amazon-queen", r"usr/share/scummvm/flight-of-the-amazon-queen/queen\.1c", "speech", "en",
           "fit", "Flight-of-the-Amazon-Queen-License", _ALL_MIN, ("amazon",)),
    Source("actors-en2", "beneath-a-steel-sky", r"usr/share/scummvm/beneath-a-steel-sky/sky\.(dnr|dsk)", "speech", "en", "judge",
           "Beneath-a-Steel-Sky-License", _MIN, ("computer",)),
    Source("shouts-en", "hedgewars-data", _HEDGEWARS.format("Sounds/voices/(British|HillBilly|Mobster|Pirate|Surfer|Russian)/.*"),
           "speech", "en", "fit", "GFDL-1.3", _ALL_MIN),
    Source("shouts-en2", "hedgewars-data", _HEDGEWARS.format("Sounds/voices/(Classic|Default|Robot|Singer)/.*"), "speech", "en",
           "stop", "GFDL-1.3", _MIN),
    *(_stamps(language, "fit") for language in ("be", "bg", "ca", "es", "ru")),
    *(_stamps(language, "stop") for language in ("ro", "el", "fr", "da")),
    *(_tuberling(language, "fit") for language in ("en", "de", "ca", "lt", "da", "sl")),
    *(_tuberling(language, "stop") for language in ("uk", "gl", "wa")),
    Source("music-wesnoth", "wesnoth-1.16-music", r".*\.ogg", "music", "", "fit", "GPL-2+", 40),
    Source("music-horizons", "unknown-horizons", _HORIZONS.format("music"), "music", "", "fit", "CC-BY-SA-3.0", 20),
    Source("music-hedgewars", "hedgewars-data", _HEDGEWARS.format("Music/.*"), "music", "", "stop", "GPL-2", _MIN),
    Source("music-colobot", "colobot-common-sounds", _COLOBOT, "music", "", "judge", "GPL-3+", _MIN),
    Source("music-hold", "asterisk-moh-opsound-g722", r"usr/share/asterisk/moh/.*\.g722", "music", "", "judge", "CC-BY-SA-3.0",
           _MIN),
    Source("noise-horizons", "unknown-horizons", _HORIZONS.format("sounds"), "noise", "", "fit", "CC-BY-SA-3.0", _MIN),
    Source("noise-keys", "bucklespring-data", r"usr/share/buckle/wav/.*\.wav", "noise", "", "fit", "GPL-2+", _MIN),
    Source("noise-hedgewars", "hedgewars-data", _HEDGEWARS.format("Sounds/[^/]*"), "noise", "", "stop",
           "GFDL-1.3 and CC-BY-SA-3.0", _MIN),
    Source("noise-boswars", "boswars-data", _BOSWARS, "noise", "", "judge", "GPL-2+", _MIN),
)  # fmt: skip

_KEYS = r"usr/share/buckle/wav/{}[^/]*\.wav"
# Of one small package, for the test of the whole path: seconds of keys that are pressed.
SMALL = tuple(
    Source(f"keys-{part}", "bucklespring-data", _KEYS.format(first), "noise", "", part, "GPL-2+", 1)
    for part, first in zip(PARTS, ("[0-2]", "[3-4]", "[5-9a-f]"), strict=True)
)  # fmt: skip


def letters_of(text: str) -> str:
    """Its letters in lower case, as far as they are ASCII: what file names and words are compared by."""
    return re.sub("[^a-z]", "", text.lower())
