"""Emotional stories, their paraphrases, and the nonce words that empty them.

In:  names of story sets; texts.
Out: texts with one emotion each.
Never downloads anything; generating new paraphrases needs a model that the caller has loaded.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources

import numpy as np
import torch
from tqdm.auto import tqdm

#: The nine emotions of FACED, in its order (Chen et al. 2023, doi:10.1038/s41597-023-02650-w).
EMOTIONS = ("anger", "disgust", "fear", "sadness", "neutral", "amusement", "inspiration", "joy", "tenderness")
#: Sign of each emotion's valence.
VALENCE_CODE = dict(zip(EMOTIONS, (-1, -1, -1, -1, 0, 1, 1, 1, 1), strict=True))
#: Emotion of FACED's clips 1 to 28.
CLIP_EMOTIONS = tuple(e for e in EMOTIONS for _ in range(4 if e == "neutral" else 3))
#: Names for `load_stories`.
STORY_SETS = ("main", "alt1", "alt2", "alt3", "alt4", "alt5", "arousal")

#: Bounds of the paper's paraphrase filters (arXiv:2606.00129): tokens, and cosine distance to the source.
MIN_TOKENS, MAX_TOKENS, MIN_DISTANCE = 5, 80, 0.10


class ParaphraseError(RuntimeError):
    """A model did not give enough paraphrases that pass the filters."""


@dataclass(frozen=True)
class Stories:
    """Texts with one emotion each.

    Attributes
    ----------
    name : str
        Name of the set.
    texts, emotions : tuple of str
        One emotion per text, grouped by emotion, the source story first.
    indices : tuple of int
        0 for the source, 1 and up for its paraphrases.
    """

    name: str
    texts: tuple[str, ...]
    emotions: tuple[str, ...]
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def sources(self) -> dict[str, str]:
        """The source story of each emotion."""
        return {e: t for t, e, i in zip(self.texts, self.emotions, self.indices, strict=True) if i == 0}

    def subset(self, n_per_emotion: int) -> Stories:
        """The source and the first paraphrases of each emotion, `n_per_emotion` texts in all.

        Raises ValueError if an emotion has fewer.
        """
        available = min(Counter(self.emotions).values())
        if not 1 <= n_per_emotion <= available:
            raise ValueError(f"n_per_emotion must lie in 1..{available} for the set {self.name!r}, got {n_per_emotion}")
        rows = [i for i, index in enumerate(self.indices) if index < n_per_emotion]
        pick = [tuple(column[i] for i in rows) for column in (self.texts, self.emotions, self.indices)]
        return Stories(self.name, *pick)


def load_stories(which: str = "main", *, n_per_emotion: int | None = None) -> Stories:
    """Load a set of stories written for this project.

    ``main`` holds a source story and 49 paraphrases for each of the nine emotions; ``alt1`` to ``alt5`` hold nine
    other stories each, on work, school, travel, family and sport; ``arousal`` holds ten texts for each of nine
    labels, three grades of arousal crossed with three of valence (``calm_negative`` to ``excited_positive``).

    Parameters
    ----------
    which : str
        One of `STORY_SETS`.
    n_per_emotion : int or None
        So many texts of each emotion, the source first; None takes all.

    Returns
    -------
    Stories

    Raises
    ------
    ValueError
        If the set is unknown or has fewer texts than asked for.
    """
    if which not in STORY_SETS:
        raise ValueError(f"unknown story set {which!r}: use one of {STORY_SETS}")
    rows = [row for row in _table() if row["set"] == which]
    stories = Stories(
        which,
        tuple(row["text"] for row in rows),
        tuple(row["emotion"] for row in rows),
        tuple(int(row["index"]) for row in rows),
    )
    return stories if n_per_emotion is None else stories.subset(n_per_emotion)


@cache
def _table() -> tuple[dict[str, str], ...]:
    with resources("kernel.language").joinpath("data/stories.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


_FUNCTION_WORDS = frozenset(
    """a about above across after again against ago all almost along already also although always am among an and
    another any anyone anything are around as at away back be because been before behind being below beneath beside
    besides between beyond both but by can cannot could did do does doing done down during each either else enough
    even ever every everyone everything except few fewer first for from further had half has have having he her here
    hers herself him himself his how however i if in inside instead into is it its itself just last least less like
    many may me might mine more most much must my myself near neither never next no nobody none nor not nothing now
    of off often on once one only onto or other others ought our ours ourselves out outside over own per perhaps
    quite rather same second several shall she should since so some somebody someone something sometimes soon still
    such than that the their theirs them themselves then there these they this those though three through throughout
    till to together too toward towards two under unless until up upon us very was we were what whatever when
    whenever where wherever whether which whichever while who whoever whole whom whose why will with within without
    would yes yet you your yours yourself yourselves
    i'm i've i'll i'd you're you've you'll you'd he's he'd he'll she's she'd she'll it's it'll we're we've we'll we'd
    they're they've they'll they'd that's there's who's what's isn't aren't wasn't weren't don't doesn't didn't
    hasn't haven't hadn't won't wouldn't can't couldn't shouldn't mustn't let's
    four five six seven eight nine ten""".split()
)
_ENDINGS = ("ing", "ed", "ly", "s")
_ONSETS = ("bl", "br", "dr", "fl", "fr", "gl", "gr", "pl", "pr", "sk", "sl", "sn", "spl", "str", "thr", "tr", "v", "z", "n", "m")
_NUCLEI = ("a", "e", "i", "o", "u", "oo", "ea", "ai")
_CODAS = ("b", "ck", "dge", "ft", "lb", "lf", "mp", "nk", "nt", "rb", "rf", "rv", "sp", "th", "x", "zz")


def nonce(text: str) -> str:
    """Replace every content word by an invented one; keep function words, endings, punctuation and capitals.

    The same word becomes the same invented word everywhere, chosen by a digest of its lower-cased stem, with
    about as many syllables. It is the control of the paper that empties texts of meaning (arXiv:2606.00129).

    Parameters
    ----------
    text : str
        Any English text.

    Returns
    -------
    str

    Examples
    --------
    >>> nonce("The dog was barking.").startswith("The ")
    True
    """
    return re.sub(r"[A-Za-z][A-Za-z']*", lambda match: _nonce_word(match.group()), text)


def _nonce_word(word: str) -> str:
    lower = word.lower()
    if lower in _FUNCTION_WORDS:
        return word
    stem, ending = _split_ending(lower.removesuffix("'s"))
    possessive = "'s" if lower.endswith("'s") else ""
    syllables = max(1, min(3, len(re.findall(r"[aeiouy]+", stem))))
    digest = hashlib.sha256(stem.encode()).digest()
    invented = "".join(
        _ONSETS[digest[3 * k] % len(_ONSETS)]
        + _NUCLEI[digest[3 * k + 1] % len(_NUCLEI)]
        + (_CODAS[digest[3 * k + 2] % len(_CODAS)] if k == syllables - 1 else "")
        for k in range(syllables)
    )
    # a second onset and nucleus keep short inventions off the short words of English
    invented = invented if syllables > 1 else invented + "o" + "bdgkmptz"[digest[9] % 8]
    invented += ending + possessive
    if word.isupper() and len(word) > 1:
        return invented.upper()
    return invented.capitalize() if word[0].isupper() else invented


def _split_ending(word: str) -> tuple[str, str]:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)], ending
    return word, ""


def paraphrase_mask(
    source: str,
    candidates: Sequence[str],
    *,
    embed: Callable[[list[str]], np.ndarray],
    count_tokens: Callable[[str], int],
    min_tokens: int = MIN_TOKENS,
    max_tokens: int = MAX_TOKENS,
    min_distance: float = MIN_DISTANCE,
) -> np.ndarray:
    """Which candidates pass the paper's filters: length, distance to the source, no repetition.

    Parameters
    ----------
    source : str
        The story.
    candidates : sequence of str
        Would-be paraphrases.
    embed : callable
        Texts to vectors, (n_texts, n_features).
    count_tokens : callable
        Text to its number of tokens.
    min_tokens, max_tokens, min_distance
        Bounds, inclusive; the distance is one minus the cosine.

    Returns
    -------
    ndarray of bool, shape (n_candidates,)
    """
    reasons = _rejections(source, candidates, embed, count_tokens, min_tokens, max_tokens, min_distance)
    return np.array([reason is None for reason in reasons], dtype=bool)


def _rejections(
    source: str,
    candidates: Sequence[str],
    embed: Callable[[list[str]], np.ndarray],
    count_tokens: Callable[[str], int],
    min_tokens: int,
    max_tokens: int,
    min_distance: float,
) -> list[str | None]:
    """Why each candidate is refused, None for the good ones."""
    if not len(candidates):
        return []
    vectors = np.asarray(embed([source, *candidates]), dtype=float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - vectors[1:] @ vectors[0]
    seen = {_normal(source)}
    reasons: list[str | None] = []
    for text, distance in zip(candidates, distances, strict=True):
        length = count_tokens(text)
        if _normal(text) in seen:
            reasons.append("repeated")
        elif length < min_tokens:
            reasons.append("too short")
        elif length > max_tokens:
            reasons.append("too long")
        elif distance < min_distance:
            reasons.append("too close")
        else:
            reasons.append(None)
        seen.add(_normal(text))
    return reasons


def _normal(text: str) -> str:
    return " ".join(text.lower().split())


def paraphrase(
    lm,
    story: str,
    n: int,
    *,
    embed: Callable[[list[str]], np.ndarray],
    temperature: float = 0.7,
    max_rounds: int = 20,
    batch_size: int = 8,
    random_state: int = 0,
    progress: bool = True,
) -> list[str]:
    """New paraphrases of a story from an instruct model, passed through the paper's filters.

    Parameters
    ----------
    lm : LanguageModel
        A causal instruct model.
    story : str
        What to tell again.
    n : int
        Paraphrases wanted.
    embed : callable
        Texts to vectors, for the distance filter.
    temperature : float
        Sampling temperature; the paper used 0.7.
    max_rounds, batch_size : int
        So many rounds of so many samples at most.
    random_state : int
        Seed; the global random state is left as it was.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of str, length n

    Raises
    ------
    ParaphraseError
        If the rounds are used up; says how many were kept and why the others were refused.
    """
    if lm.causal is None:
        raise ValueError(f"{lm.name} is an encoder and cannot write: use an instruct model")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")

    def count_tokens(text: str) -> int:
        return len(lm.tokenizer(text)["input_ids"])

    kept: list[str] = []
    refused: Counter[str] = Counter()
    with tqdm(total=n, desc="paraphrases", disable=not progress, leave=False) as bar:
        for step in range(max_rounds):
            candidates = _generate(lm, story, batch_size, temperature, random_state + step)
            reasons = _rejections(
                story, [*kept, *candidates], embed, count_tokens, MIN_TOKENS, MAX_TOKENS, MIN_DISTANCE
            )[len(kept) :]
            fresh = [text for text, reason in zip(candidates, reasons, strict=True) if reason is None]
            refused.update(reason for reason in reasons if reason)
            bar.update(min(n, len(kept) + len(fresh)) - len(kept))
            kept = (kept + fresh)[:n]
            if len(kept) == n:
                return kept
    raise ParaphraseError(
        f"{lm.name} gave {len(kept)} of {n} paraphrases in {max_rounds} rounds of {batch_size}; "
        f"refused: {dict(refused)}. Raise max_rounds or the temperature, or use a larger model."
    )


def _generate(lm, story: str, n: int, temperature: float, seed: int) -> list[str]:
    prompt = f"Rewrite this short story in other words, in one or two sentences. Reply with the story only.\n\n{story}"
    if lm.tokenizer.chat_template:
        prompt = lm.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
    ids = lm.tokenizer(prompt, return_tensors="pt")["input_ids"].to(lm.device)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        out = lm.causal.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=temperature,
            num_return_sequences=n,
            max_new_tokens=MAX_TOKENS,
            pad_token_id=lm.tokenizer.pad_token_id or lm.tokenizer.eos_token_id,
        )
    return [_clean(lm.tokenizer.decode(row[ids.shape[1] :], skip_special_tokens=True)) for row in out]


def _clean(text: str) -> str:
    """First line without list marks and quotes, cut after its last full stop."""
    line = next((part for part in text.splitlines() if part.strip()), "").strip()
    line = re.sub(r"^(?:[-*•]|\d+[.)])\s*", "", line).strip("\"'“” ")
    end = max(line.rfind(mark) for mark in ".!?")
    return line[: end + 1] if end > 0 else line
