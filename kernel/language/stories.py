"""Stories that evoke emotions, their paraphrases, and their nonsense twins.

The bundled texts were written for this project. Every text ends in a full stop, so that a read-out at the
last token meets the same token in every class.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, islice
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from kernel import checks, files

if TYPE_CHECKING:  # the registry of models is not needed to read stories
    from kernel.language.models import LanguageModel

#: The nine emotions of FACED, in the order of its clips.
EMOTIONS = ("anger", "disgust", "fear", "sadness", "neutral", "amusement", "inspiration", "joy", "tenderness")
#: Sign of each emotion's valence.
VALENCE_CODE = dict(zip(EMOTIONS, (-1, -1, -1, -1, 0, 1, 1, 1, 1), strict=True))
#: Emotion of FACED's clips 1 to 28, at positions 0 to 27; neutral has four clips, the others three.
CLIP_EMOTIONS = tuple(emotion for emotion in EMOTIONS for _ in range(4 if emotion == "neutral" else 3))
#: Labels of the arousal set, from deeply calm to extremely aroused.
AROUSAL_GRADES = tuple(f"arousal_{grade}" for grade in range(1, 10))
#: Names that `load_stories` knows.
STORY_SETS = ("main", "alt1", "alt2", "alt3", "alt4", "alt5", "further", "arousal")


class ParaphraseError(RuntimeError):
    """Too few generated paraphrases passed the filters; the message counts why."""


@dataclass(frozen=True)
class Stories:
    """Texts of one to three sentences with the emotion, or arousal grade, that each one tells of.

    `indices` are 0 for the source story of its emotion, 1, 2, ... for the paraphrases.
    """

    name: str
    texts: tuple[str, ...]
    emotions: tuple[str, ...]
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def sources(self) -> dict[str, str]:
        """The source story of each emotion, in the set's order."""
        rows = zip(self.emotions, self.indices, self.texts, strict=True)
        return {emotion: text for emotion, index, text in rows if index == 0}

    @property
    def valence(self) -> tuple[int, ...]:
        """Sign of each text's valence: -1, 0 or +1.

        The arousal set has no neutral texts. Pleasant and unpleasant ones alternate within each grade and the
        sources alternate over the grades, so that grade and sign are uncorrelated for any number of texts.
        """
        if self.name == "arousal":
            grades = (AROUSAL_GRADES.index(emotion) for emotion in self.emotions)
            return tuple(1 - 2 * ((g + i) % 2) for g, i in zip(grades, self.indices, strict=True))
        return tuple(VALENCE_CODE[emotion] for emotion in self.emotions)

    def subset(self, n_per_emotion: int) -> Stories:
        """The source and the first paraphrases, so many texts of each emotion."""
        available = min(Counter(self.emotions).values())
        checks.count(f"n_per_emotion of {self.name!r}", n_per_emotion, 1, available)
        rows = zip(self.texts, self.emotions, self.indices, strict=True)
        texts, emotions, indices = zip(*(row for row in rows if row[2] < n_per_emotion), strict=True)
        return Stories(self.name, texts, emotions, indices)

    @staticmethod
    def told(sentences: Mapping[str, str | Sequence[str]]) -> tuple[list[str], list[str]]:
        """Texts of a mapping of emotion to text or texts, with emotions; ValueError if one cannot be used."""
        if not isinstance(sentences, Mapping) or len(sentences) < 2:
            raise ValueError(f"sentences must be a dict of two emotions or more, got {str(sentences)[:60]}")
        pairs = []
        for emotion, texts in sentences.items():
            if not isinstance(emotion, str) or not emotion or emotion != emotion.strip():
                raise ValueError(f"emotions must be names, no space at an end, got {emotion!r}")
            each = list(texts) if isinstance(texts, Iterable) and not isinstance(texts, str) else [texts]
            bad = [text for text in each or [""] if not (isinstance(text, str) and text.strip())]
            if bad:
                raise ValueError(f"emotion {emotion!r} has no sentence in {bad[0]!r}: write one, or drop it")
            pairs += [(text, emotion) for text in each]
        return [text for text, _ in pairs], [emotion for _, emotion in pairs]


def load_stories(which: str = "main", *, n_per_emotion: int | None = None) -> Stories:
    """Load a bundled set of stories.

    ``main`` holds, for each of the nine emotions, one source story and 49 further tellings of it: the recipe
    of [1]_ with paraphrases by hand in place of a model's. Each retells the whole story.
    ``alt1`` to ``alt5`` hold one other story for each emotion, set at work, at school, on journeys, at
    home and in sport; ``further`` holds six more, in hospital, on the market, in the country, at sea, next
    door and on stage. ``arousal`` holds ten unrelated scenes for each of `AROUSAL_GRADES`, half of them
    pleasant (`Stories.valence`).

    Parameters
    ----------
    which : str
        One of `STORY_SETS`.
    n_per_emotion : int or None
        As in `Stories.subset`; None takes all.

    Returns
    -------
    Stories

    References
    ----------
    .. [1] Radwan et al. (2026), A Shared Valence Axis Across Modern LLMs and Human EEG. arXiv:2606.00129

    Examples
    --------
    >>> stories = load_stories(n_per_emotion=5)
    >>> len(stories), stories.emotions[0], stories.indices[:6]
    (45, 'anger', (0, 1, 2, 3, 4, 0))
    """
    checks.choice("story set", which, STORY_SETS)
    rows = [row for row in _read_rows() if row[0] == which]
    _, emotions, indices, texts = zip(*rows, strict=True)
    stories = Stories(which, texts, emotions, tuple(map(int, indices)))
    return stories if n_per_emotion is None else stories.subset(n_per_emotion)


def diverse_stories(n_each: int = 6) -> Stories:
    """Up to twelve different stories for each emotion: ``main`` to ``alt5``, one of each, then ``further``.

    Where ``main`` tells one story fifty times, this set changes the topic each time, so that a class mean
    holds the emotion rather than the plot. `Stories.indices` number the topics.
    """
    checks.count("n_each", n_each, 1, 12)
    single = [load_stories(name).sources for name in STORY_SETS[:6]]
    further = load_stories("further")
    topics = {e: [sources[e] for sources in single] for e in EMOTIONS}
    for emotion, text in zip(further.emotions, further.texts, strict=True):
        topics[emotion].append(text)
    rows = [(e, i, text) for e in EMOTIONS for i, text in enumerate(topics[e][:n_each])]
    emotions, indices, texts = zip(*rows, strict=True)
    return Stories("diverse", texts, emotions, indices)


@cache
def _read_rows() -> tuple[tuple[str, ...], ...]:
    """Rows (set, emotion, index, text) of the bundled table."""
    return files.read_packaged("language/data/stories.csv", _story_rows)


def _story_rows(file: IO[str]) -> tuple[tuple[str, ...], ...]:
    head, *rows = csv.reader(file, strict=True)
    wrong = [row for row in rows if len(row) != 4 or not all(row) or not row[2].isdecimal()]
    if head != ["set", "emotion", "index", "text"] or wrong:
        raise ValueError(f"{str(wrong[0] if wrong else head)[:80]} in place of set, emotion, index and text")
    return tuple(map(tuple, rows))


# --- paraphrases and their filters

Embed = Callable[[list[str]], Any]
_ANSWERS = 8  # in a batch


def paraphrase(
    lm: LanguageModel,
    story: str,
    n: int,
    *,
    embed: Embed,
    temperature: float = 0.7,
    max_rounds: int = 20,
    random_state: int | np.random.Generator | None = None,
    progress: bool = True,
) -> list[str]:
    r"""Paraphrase a story with a language model until n texts pass the filters of the paper [1]_.

    Answers are sampled from the model's whole distribution. Of each, the first line is taken, without list
    marks and quotation marks around it, up to its last complete sentence. It passes if it has 5 to 80 tokens,
    lies at a cosine distance :math:`1 - \cos(e_s, e_c) \ge 0.10` from the source, and does not read like it
    or one before up to case and white space. The filters do not look at sense: read what a small model wrote
    before you use it.

    Parameters
    ----------
    lm : LanguageModel
        An instruct model; its chat template is used if it has one.
    story : str
        The source.
    n : int
        Paraphrases to find.
    embed : callable
        Sentence encoder of n texts into embeddings (n, n_features) of any norm.
    temperature : float
        Sampling temperature; the paper's is 0.7.
    max_rounds : int
        Batches of eight answers to generate before giving up.
    random_state : int, Generator or None
        Seed of the sampling. PyTorch's global random state is left as it was.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of str, length n
        In the order of their generation.

    Raises
    ------
    ParaphraseError
        If `max_rounds` are not enough; tells how many were kept and why the others were rejected.

    References
    ----------
    .. [1] Radwan et al. (2026), arXiv:2606.00129, filters by Sentence-BERT, doi:10.18653/v1/D19-1410
    """
    if not story.strip():
        raise ValueError("the story is blank: there is nothing to paraphrase")
    for name, number in {"n": n, "max_rounds": max_rounds}.items():
        checks.count(name, number)
    checks.between("temperature", temperature, 0, np.inf)
    if lm.causal is None:
        raise ValueError(f"{lm.name} has no language-model head and cannot generate: use a causal model")

    def count_tokens(text: str) -> int:
        return len(lm.tokenizer(text, add_special_tokens=False)["input_ids"])

    rng = np.random.default_rng(random_state)
    answers: list[str] = []
    good: list[str] = []
    with tqdm(total=n, desc="paraphrases", disable=not progress) as bar:
        for _ in range(max_rounds):
            seed = int(rng.integers(2**31))
            answers += [_first_line(text) for text in _generate(lm, story, temperature, seed)]
            verdicts = _filter_paraphrases(story, answers, embed=embed, count_tokens=count_tokens)
            good = [text for text, verdict in zip(answers, verdicts, strict=True) if verdict == "good"]
            bar.update(min(len(good), n) - bar.n)
            if len(good) >= n:
                return good[:n]
    reasons = Counter(verdict for verdict in verdicts if verdict != "good").most_common()
    raise ParaphraseError(
        f"{lm.name} gave {len(good)} of {n} paraphrases in {max_rounds} rounds of {_ANSWERS}; rejected: "
        f"{', '.join(f'{number} {reason}' for reason, number in reasons) or 'none'}. Raise max_rounds or the "
        "temperature, or use a larger model."
    )


def _filter_paraphrases(
    source: str, candidates: Sequence[str], *, embed: Embed, count_tokens: Callable[[str], int]
) -> list[str]:
    """Verdict on each paraphrase: good, too short, too long, duplicate, or too close to the source."""
    vectors = np.asarray(embed([source, *candidates]), dtype=float)
    if vectors.ndim != 2 or len(vectors) != len(candidates) + 1:
        raise ValueError(
            f"embed gave shape {vectors.shape} for {len(candidates) + 1} texts: one row per text is needed"
        )
    norms = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(norms).all() and norms.all()):
        raise ValueError("embed gave a vector that is zero or not finite, which has no cosine distance")
    units = vectors / norms[:, None]
    seen = {_normalised(source)}
    verdicts = []
    for text, similarity in zip(candidates, units[1:] @ units[0], strict=True):
        length = count_tokens(text)
        if length < 5:
            verdict = "too short"
        elif length > 80:
            verdict = "too long"
        elif _normalised(text) in seen:
            verdict = "duplicate"
        elif 1 - similarity < 0.10:
            verdict = "too close to the source"
        else:
            verdict = "good"
            seen.add(_normalised(text))
        verdicts.append(verdict)
    return verdicts


def _normalised(text: str) -> str:
    return " ".join(text.casefold().split())


def _generate(lm: LanguageModel, story: str, temperature: float, seed: int) -> list[str]:
    """Sampled answers to one prompt."""
    causal: Any = lm.causal
    inputs = lm.tokenizer(_prompt(lm.tokenizer, story), add_special_tokens=False, return_tensors="pt")
    inputs = {key: inputs[key].to(lm.device) for key in ("input_ids", "attention_mask")}
    pad = lm.tokenizer.pad_token_id if lm.tokenizer.pad_token_id is not None else lm.tokenizer.eos_token_id
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        output = causal.generate(
            **inputs,
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
            num_return_sequences=_ANSWERS,
            max_new_tokens=96,  # above the filter's 80, so that an answer cut off here is seen to be too long
            pad_token_id=pad,
        )
    return lm.tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def _prompt(tokenizer: Any, story: str) -> str:
    if getattr(tokenizer, "chat_template", None) is None:
        return f"A story: {story}\nThe same story, told in other words: "
    request = (
        "Retell this story in other words, as one to three sentences on a single line. "
        f"Answer with the new story alone.\n\n{story}"
    )
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": request}], tokenize=False, add_generation_prompt=True
    )


_LIST_MARK = re.compile(r"^(?:[-*•–]|\(?\d{1,2}[.):])\s+")
_COMPLETE = re.compile(r".*[.!?…][\"'”’]*", re.DOTALL)


def _first_line(answer: str) -> str:
    """The first line that is not an announcement, bare of marks, up to its last sentence end."""
    lines = (line.strip() for line in answer.splitlines())
    line = next((line for line in lines if line and not line.endswith(":")), "")
    line = _LIST_MARK.sub("", line)
    for left, right in ('""', "''", "“”", "‘’", "**"):
        if len(line) > 1 and line[0] == left and line[-1] == right and left not in line[1:-1]:
            line = line[1:-1].strip()
    complete = _COMPLETE.match(line)
    return complete.group() if complete else ""


# --- nonce words

#: English function words, contractions and number words, which `nonce` keeps.
FUNCTION_WORDS = frozenset(
    files.read_packaged("language/data/function_words.csv", lambda file: file.read().split())
)

# Joined in every way these give some thousand syllables that English allows but hardly uses: rare clusters
# before and after, and an end that the endings -s and -ed can follow without a change of spelling.
_ONSETS = "bl br dr dw fl fr gl gr j k kl kr n pl pr skr sm sn spl spr thr thw tr tw v vl vr w y z zw".split()
_LATER_ONSETS = "b d f g l m n p r t v z dr fl gr kl pl tr".split()
_NUCLEI = "a e i o u ai ee oo".split()
_CODAS = "lb lf lg lm lv mf nf nth rb rf rg rv zk".split()
_REAL_SYLLABLES = frozenset("dwarf nerf ninth verb wolf woolf".split())  # that are in use after all
_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:['’][^\W\d_]+)*(?!\w)")
_PARTS = re.compile(r"([^'’]+)(['’]?)(.*)")
_CLITICS = frozenset({"s", "d", "m", "ll", "re", "ve", "t"})
_ENDING = re.compile(r"^(.*[aeiouy].*?)(ing|ed|ly|s)$")
_VOWELS = re.compile(r"[aeiouy]+")


def nonce(text: str) -> str:
    """Replace every content word by an invented one.

    Function words (`FUNCTION_WORDS`), number words, single letters, everything that holds a digit,
    punctuation, white space, capitals and the endings -ing, -ed, -ly, -s and 's stay, so that the syntax can
    still be read and no content can; the control of [1]_. An invented word depends on the lower-case word
    alone: the same word becomes the same nonsense in every text and on every machine, regular forms of one
    stem share theirs, and the number of syllables and roughly the length are kept. It is never a word of the
    bundled stories or a function word.

    References
    ----------
    .. [1] Radwan et al. (2026), arXiv:2606.00129, where nonce words bring the AUC down to 0.52
    """
    return _WORD.sub(lambda match: _nonce_token(match.group()), text)


def _nonce_token(token: str) -> str:
    if len(token) == 1 or token.casefold().replace("’", "'") in FUNCTION_WORDS:
        return token
    head, apostrophe, tail = _PARTS.findall(token)[0]
    if tail and tail.casefold() not in _CLITICS:
        tail = _nonce_token(tail)
    return _nonce_word(head) + apostrophe + tail


def _nonce_word(word: str) -> str:
    if len(word) == 1 or word.casefold() in FUNCTION_WORDS:  # the head of "O'Brien", of "another's"
        return word
    invented = _invent(word.casefold())
    if word.isupper():
        return invented.upper()
    return invented.capitalize() if word[0].isupper() else invented


@cache
def _invent(word: str) -> str:
    """Nonsense for a lower-case word, its ending kept."""
    stem, ending = _split_ending(word)
    n_vowels = len(_VOWELS.findall(stem.removesuffix("e")))
    candidates = _candidates(stem, min(max(1, n_vowels), 12))  # a digest has bytes for twelve syllables
    forbidden = _story_words() | FUNCTION_WORDS | {word}
    fresh = (c for c in candidates if c + ending not in forbidden and c not in _REAL_SYLLABLES)
    # of a few, the one whose length comes nearest
    return min(islice(fresh, 6), key=lambda candidate: abs(len(candidate) - len(stem))) + ending


def _split_ending(word: str) -> tuple[str, str]:
    """Stem and inflection; words like "sing", "need", "glass" have none."""
    match = _ENDING.match(word)
    if match is None or len(match[1]) < 3 or word.endswith(("ss", "us", "is", "eed")):
        return word, ""
    return match[1], match[2]


def _candidates(stem: str, n_syllables: int) -> Iterator[str]:
    """Endless pseudo-words, determined by a digest of the stem and not by a generator's stream."""
    for attempt in count():
        numbers = iter(hashlib.sha256(f"{attempt}:{stem}".encode()).digest())

        def pick(options: Sequence[str], numbers: Iterator[int] = numbers) -> str:
            return options[next(numbers) % len(options)]

        later = (pick(_LATER_ONSETS) + pick(_NUCLEI) for _ in range(n_syllables - 1))
        yield pick(_ONSETS) + pick(_NUCLEI) + "".join(later) + pick(_CODAS)


@cache
def _story_words() -> frozenset[str]:
    """Lower-case words of all bundled stories."""
    return frozenset(word for row in _read_rows() for word in re.findall(r"[^\W\d_]+", row[3].casefold()))
