"""Stories, filters, generated paraphrases and nonce words."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kernel import assets
from kernel.language import stories as module
from kernel.language.hidden import hidden_states
from kernel.language.models import load_encoder
from kernel.language.stories import (
    AROUSAL_GRADES,
    CLIP_EMOTIONS,
    EMOTIONS,
    FUNCTION_WORDS,
    STORY_SETS,
    VALENCE_CODE,
    ParaphraseError,
    _filter_paraphrases,
    diverse_stories,
    load_stories,
    nonce,
    paraphrase,
)

ALL_TEXTS = [text for name in STORY_SETS for text in load_stories(name).texts]
SIZES = {"main": (9, 50), "further": (9, 6), "arousal": (9, 10), **{f"alt{k}": (9, 1) for k in range(1, 6)}}


# --- the bundled table


def test_clips_follow_the_design_of_faced():
    assert len(CLIP_EMOTIONS) == 28
    assert Counter(CLIP_EMOTIONS) == {e: 4 if e == "neutral" else 3 for e in EMOTIONS}
    assert CLIP_EMOTIONS[12:16] == ("neutral",) * 4 and CLIP_EMOTIONS[22] == "joy"
    assert [VALENCE_CODE[e] for e in EMOTIONS] == [-1, -1, -1, -1, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("name", STORY_SETS)
def test_every_set_is_complete_clean_and_in_order(name):
    stories = load_stories(name)
    n_emotions, n_each = SIZES[name]
    labels = AROUSAL_GRADES if name == "arousal" else EMOTIONS
    assert len(stories) == n_emotions * n_each == len(stories.texts)
    assert stories.emotions == tuple(label for label in labels for _ in range(n_each))
    assert stories.indices == tuple(range(n_each)) * n_emotions
    assert tuple(stories.sources) == labels
    for text in stories.texts:
        assert text == text.strip() and "  " not in text and text.isascii() and text.endswith("."), text
        assert 4 <= len(text.split()) <= 60, text
    assert len({" ".join(t.casefold().split()) for t in ALL_TEXTS}) == len(ALL_TEXTS) == 639


def test_subset_takes_sources_first():
    stories = load_stories()
    five = stories.subset(5)
    assert five == load_stories(n_per_emotion=5)
    assert five.indices == tuple(range(5)) * 9
    assert stories.subset(1).texts == tuple(stories.sources.values())
    assert stories.subset(50) == stories


def test_names_the_sets_and_sizes_there_are():
    for n in (0, -1, 51):
        with pytest.raises(ValueError, match=rf"n_per_emotion of 'main' must .* from 1 to 50, got {n}"):
            load_stories().subset(n)
    with pytest.raises(ValueError, match=r"one of main, alt1.*arousal; got 'alt6'"):
        load_stories("alt6")


@pytest.mark.parametrize("n", range(1, 11))
def test_grade_and_valence_of_the_arousal_set_are_uncorrelated(n):
    stories = load_stories("arousal", n_per_emotion=n)
    grades = [AROUSAL_GRADES.index(emotion) for emotion in stories.emotions]
    assert set(stories.valence) == {-1, 1}
    assert np.corrcoef(grades, stories.valence)[0, 1] == pytest.approx(0, abs=1e-12)


def test_a_lexicon_sees_the_planted_valence_but_no_trend_with_arousal():
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyser = SentimentIntensityAnalyzer()
    stories = load_stories("arousal")
    scores = np.array([analyser.polarity_scores(text)["compound"] for text in stories.texts])
    grades = [AROUSAL_GRADES.index(emotion) for emotion in stories.emotions]
    bound = 1.96 / np.sqrt(len(stories) - 3)  # 95 % of Fisher z without correlation
    assert abs(np.arctanh(np.corrcoef(scores, grades)[0, 1])) < bound
    assert np.arctanh(np.corrcoef(scores, stories.valence)[0, 1]) > 2 * bound


@pytest.mark.assets
def test_every_bundled_paraphrase_passes_the_filters():
    encoder = load_encoder("cpu")

    def embed(texts):
        return hidden_states(encoder, texts, "last", position="mean", progress=False)[:, 0]

    def count_tokens(text):
        return len(encoder.tokenizer(text, add_special_tokens=False)["input_ids"])

    lengths = [count_tokens(text) for text in ALL_TEXTS]
    assert 5 <= min(lengths) and max(lengths) <= 80
    stories = load_stories()
    for emotion, source in stories.sources.items():
        texts = [t for t, e in zip(stories.texts, stories.emotions, strict=True) if e == emotion][1:]
        verdicts = _filter_paraphrases(source, texts, embed=embed, count_tokens=count_tokens)
        assert verdicts == ["good"] * 49, emotion


# --- the filters

SOURCE = "one two three four five six"
FAR, TENTH, COPY = (
    "a text that is quite far",
    "a text at distance one tenth",
    "a copy at distance nought okay",
)
# cosine distance to the source in words; the norm must not matter
DIRECTIONS = {SOURCE: [1, 0], COPY: [3, 0], TENTH: [0.89, np.sqrt(1 - 0.89**2)], FAR: [0, 2]}


def verdicts(candidates, embed=None):
    def by_table(texts):
        return [DIRECTIONS.get(" ".join(t.split()).lower(), [0, 1]) for t in texts]

    return _filter_paraphrases(
        SOURCE, candidates, embed=embed or by_table, count_tokens=lambda t: len(t.split())
    )


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], []),
        ([FAR, TENTH, COPY], ["good", "good", "too close to the source"]),
        (
            ["w " * 4, "w " * 5, "v " * 80, "v " * 81, ""],
            ["too short", "good", "good", "too long", "too short"],
        ),
        (
            [FAR, FAR, FAR.upper(), " a  text that\tis quite far ", FAR + "!", SOURCE.upper()],
            ["good", *["duplicate"] * 3, "good", "duplicate"],
        ),
        ([COPY, COPY], ["too close to the source"] * 2),  # a copy of a rejected text is judged on its own
    ],
)
def test_each_filter_rejects_its_kind_and_nothing_else(texts, expected):
    assert verdicts(texts) == expected


@pytest.mark.parametrize(
    ("embed", "message"),
    [
        (lambda texts: np.ones((1, 3)), "one row per text"),
        (lambda texts: np.zeros((len(texts), 3)), "zero or not finite"),
        (lambda texts: np.full((len(texts), 3), np.nan), "zero or not finite"),
    ],
)
def test_filters_name_embeddings_that_they_cannot_use(embed, message):
    with pytest.raises(ValueError, match=message):
        verdicts([FAR], embed)


# --- generation with a stub of a model


class StubTokenizer:
    """Texts are looked up by number; a prompt is one token."""

    pad_token_id, eos_token_id, chat_template = 0, 0, "yes"

    def __init__(self, answers):
        self.answers, self.prompts = answers, []

    def apply_chat_template(self, messages, *, tokenize, add_generation_prompt):
        assert not tokenize and add_generation_prompt and [m["role"] for m in messages] == ["user"]
        return f"<user>{messages[0]['content']}<assistant>"

    def __call__(self, text, *, add_special_tokens, return_tensors=None):
        if return_tensors is None:
            return {"input_ids": text.split()}
        self.prompts.append(text)
        return {"input_ids": torch.zeros(1, 1, dtype=int), "attention_mask": torch.ones(1, 1, dtype=int)}

    def batch_decode(self, tokens, *, skip_special_tokens):
        assert skip_special_tokens
        return [self.answers[int(row[0])] for row in tokens]


def stub_lm(answers):
    """A model that draws its answers with PyTorch's global generator, as `generate` does."""
    calls = []

    def generate(input_ids, attention_mask, **options):
        calls.append(options)
        choice = torch.randint(len(answers), (options["num_return_sequences"], 1))
        return torch.cat([input_ids.expand(len(choice), -1), choice], dim=1)

    tokenizer = StubTokenizer(answers)
    lm = SimpleNamespace(
        name="stub", causal=SimpleNamespace(generate=generate), tokenizer=tokenizer, device="cpu"
    )
    return lm, calls


def embed_apart(texts):
    """The source along one axis, everything else along the other."""
    return np.array([[1.0, 0.0] if t == SOURCE else [0.0, 1.0] for t in texts])


GOOD = [f"This is the usable answer number {k}." for k in range(12)]


def test_paraphrase_keeps_until_there_are_enough():
    lm, calls = stub_lm(GOOD)
    texts = paraphrase(lm, SOURCE, 10, embed=embed_apart, random_state=0, progress=False)
    assert len(texts) == len(set(texts)) == 10 and set(texts) <= set(GOOD)
    assert SOURCE in lm.tokenizer.prompts[0] and lm.tokenizer.prompts[0].startswith("<user>")
    assert len(calls) > 1 and calls[0]["temperature"] == 0.7 and calls[0]["do_sample"]


def test_paraphrase_is_seeded_and_leaves_the_global_generator_alone():
    def run(seed):
        return paraphrase(stub_lm(GOOD)[0], SOURCE, 6, embed=embed_apart, random_state=seed, progress=False)

    before = torch.random.get_rng_state()
    first = run(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert run(1) == first
    assert any(run(seed) != first for seed in range(2, 6))


def test_paraphrase_without_a_chat_template_asks_in_plain_text():
    lm, _ = stub_lm(GOOD)
    lm.tokenizer.chat_template = None
    paraphrase(lm, SOURCE, 1, embed=embed_apart, random_state=0, progress=False)
    assert lm.tokenizer.prompts[0].startswith(f"A story: {SOURCE}")


def test_exhaustion_counts_why():
    lm, _ = stub_lm([GOOD[0], "Too short.", "word " * 90 + "end."])
    with pytest.raises(ParaphraseError) as caught:
        paraphrase(lm, SOURCE, 2, embed=embed_apart, max_rounds=5, random_state=0, progress=False)
    message = str(caught.value)
    assert "stub gave 1 of 2 paraphrases in 5 rounds of 8" in message
    counts = dict((why, int(n)) for n, why in re.findall(r"(\d+) (too short|too long|duplicate)", message))
    assert set(counts) == {"too short", "too long", "duplicate"} and sum(counts.values()) == 5 * 8 - 1


def test_a_model_that_repeats_the_source_is_caught():
    lm, _ = stub_lm(["One copy of the source, slightly changed."])
    with pytest.raises(ParaphraseError, match="8 too close to the source"):
        paraphrase(
            lm, SOURCE, 1, embed=lambda t: np.ones((len(t), 2)), max_rounds=1, random_state=0, progress=False
        )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("He left. She stayed.\nAnd so on.", "He left. She stayed."),
        ('"He left."', "He left."),
        ("“He left.”", "He left."),
        ("1. He left.", "He left."),
        ("- He left.", "He left."),
        ('2) "He left."', "He left."),
        ("Sure, here is the story:\n\nHe left.", "He left."),
        ("He left. She was about to", "He left."),
        ('"Go," he said, "now."', '"Go," he said, "now."'),
        ("no sentence at all", ""),
        ("", ""),
    ],
)
def test_answers_are_cut_to_their_first_line_without_marks(answer, expected):
    assert module._first_line(answer) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(n=0), "n must .* got 0"),
        (dict(max_rounds=0), "max_rounds must .* got 0"),
        (dict(temperature=0.0), "temperature must .* got 0.0"),
        (dict(story="  "), "blank"),
        (dict(causal=None), "stub has no language-model head"),
    ],
)
def test_paraphrase_names_what_it_cannot_use(options, message):
    lm, _ = stub_lm(GOOD)
    lm.causal = options.pop("causal", lm.causal)
    with pytest.raises(ValueError, match=message):
        paraphrase(lm, **(dict(story=SOURCE, n=1, embed=embed_apart, progress=False) | options))


# --- nonce words

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def is_content(word):
    forms = {word.casefold(), re.split("['’]", word.casefold())[0]}  # "else's" is a function word too
    return len(word) > 1 and not forms & FUNCTION_WORDS


def content_words(text):
    return [word for word in WORD.findall(text) if is_content(word)]


def test_nonce_is_the_same_in_every_process():
    # stored once: a digest, not a generator or the salted hash of a process, must decide
    assert nonce("dog") == "zwilv"


def test_nonce_keeps_function_words_numbers_and_punctuation():
    assert nonce("If I hadn't, we'd never have (all 3) been there; 10.14, isn't it?") == (
        "If I hadn't, we'd never have (all 3) been there; 10.14, isn't it?"
    )
    for word in FUNCTION_WORDS:
        assert nonce(word) == word and nonce(word.upper()) == word.upper()


def test_no_content_word_of_the_stories_survives_and_the_frame_does():
    everything = {w.casefold() for text in ALL_TEXTS for w in content_words(text)}
    for text in ALL_TEXTS:
        changed = nonce(text)
        before, after = WORD.findall(text), WORD.findall(changed)
        assert len(before) == len(after) and WORD.sub("_", text) == WORD.sub("_", changed)
        for old, new in zip(before, after, strict=True):
            if is_content(old):
                assert new.casefold() not in everything, (old, new)


def test_nonce_keeps_capitals_and_endings():
    for word in ("walking", "walked", "walks", "slowly"):
        assert nonce(word).endswith(re.search("ing|ed|ly|s$", word).group())
    stems = {
        nonce(w).removesuffix(e)
        for w, e in [("walk", ""), ("walked", "ed"), ("walks", "s"), ("walking", "ing")]
    }
    assert len(stems) == 1
    assert nonce("Berlin").istitle() and nonce("LOUD").isupper() and nonce("calm").islower()
    assert nonce("mayor's") == nonce("mayor") + "'s" and nonce("mayor’s") == nonce("mayor") + "’s"
    assert not nonce("king").endswith("king") and not nonce("bed").endswith("ed")


def test_nonce_keeps_the_class_of_length():
    words = sorted({w.casefold() for text in ALL_TEXTS for w in content_words(text) if "'" not in w})
    differences = np.array([len(nonce(w)) - len(w) for w in words])
    assert abs(differences.mean()) < 1 and np.mean(np.abs(differences) <= 3) > 0.95


def test_different_words_rarely_share_their_nonsense():
    words = {w.casefold() for text in ALL_TEXTS for w in content_words(text)}
    assert len({nonce(w) for w in words}) > 0.9 * len(words)


@pytest.mark.parametrize(
    "text", ["", "7", "...", "\n\t", "naïve café", "hmm", "ha" * 200, "O'Brien's rock'n'roll"]
)
def test_nonce_takes_odd_texts(text):
    assert len(WORD.findall(nonce(text))) == len(WORD.findall(text))


@pytest.mark.assets
def test_nonce_never_gives_a_rated_word_and_keeps_no_rated_one():
    lines = (assets.path("vader-lexicon") / "vader_lexicon.txt").read_text(encoding="utf-8").splitlines()
    rated = {line.split("\t")[0].casefold() for line in lines}
    rated = {word for word in rated if word.isalpha() and len(word) > 1}
    assert len(rated) > 6000
    assert rated & FUNCTION_WORDS <= {"no"}
    # all that can come of one syllable, and the nonsense of every rated word
    syllables = (
        set(map("".join, product(module._ONSETS, module._NUCLEI, module._CODAS))) - module._REAL_SYLLABLES
    )
    possible = {syllable + ending for syllable in syllables for ending in ("", "s", "ed", "ing", "ly")}
    assert not possible & rated
    assert not {nonce(word) for word in rated - FUNCTION_WORDS} & rated


def test_diverse_stories_change_the_topic_each_time():
    sets = [load_stories(name) for name in STORY_SETS[:6]]
    assert list(diverse_stories().texts) == [stories.sources[e] for e in EMOTIONS for stories in sets]
    twelve, further = diverse_stories(12), load_stories("further")
    for e in EMOTIONS:
        texts = [t for t, emotion in zip(twelve.texts, twelve.emotions, strict=True) if emotion == e]
        more = [t for t, emotion in zip(further.texts, further.emotions, strict=True) if emotion == e]
        assert texts[6:] == more
    assert Counter(twelve.indices) == dict.fromkeys(range(12), 9)
    with pytest.raises(ValueError, match=r"n_each must .* from 1 to 12, got 13"):
        diverse_stories(13)
