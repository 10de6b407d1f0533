"""Stories, filters, generated paraphrases and nonce words."""

from __future__ import annotations

import re
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kernel.assets import AssetMissingError
from kernel.assets import path as asset_path
from kernel.language import stories as module
from kernel.language.stories import (
    AROUSAL_GRADES,
    CLIP_EMOTIONS,
    EMOTIONS,
    FUNCTION_WORDS,
    STORY_SETS,
    VALENCE_CODE,
    ParaphraseError,
    UnknownStorySetError,
    diverse_stories,
    load_stories,
    nonce,
    paraphrase,
    paraphrase_mask,
)

SIZES = {"main": (9, 50), "arousal": (9, 10), **{f"alt{k}": (9, 1) for k in range(1, 6)}}


def needs_asset(name):
    try:
        return asset_path(name)
    except AssetMissingError as error:
        pytest.skip(f"the asset {name} has not been fetched: {error}")


# --- the bundled table


def test_clips_follow_the_design_of_faced():
    assert len(CLIP_EMOTIONS) == 28
    assert Counter(CLIP_EMOTIONS) == {e: 4 if e == "neutral" else 3 for e in EMOTIONS}
    assert CLIP_EMOTIONS[12:16] == ("neutral",) * 4 and CLIP_EMOTIONS[22] == "joy"
    assert [VALENCE_CODE[e] for e in EMOTIONS] == [-1, -1, -1, -1, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("name", STORY_SETS)
def test_every_set_is_complete_and_in_order(name):
    stories = load_stories(name)
    n_emotions, n_each = SIZES[name]
    labels = AROUSAL_GRADES if name == "arousal" else EMOTIONS
    assert len(stories) == n_emotions * n_each == len(stories.texts)
    assert stories.emotions == tuple(label for label in labels for _ in range(n_each))
    assert stories.indices == tuple(range(n_each)) * n_emotions
    assert tuple(stories.sources) == labels


def test_no_text_occurs_twice_in_any_set():
    texts = [" ".join(t.casefold().split()) for name in STORY_SETS for t in load_stories(name).texts]
    assert len(texts) == len(set(texts)) == 585


def test_every_text_is_clean_and_ends_in_the_same_character():
    for name in STORY_SETS:
        for text in load_stories(name).texts:
            assert text == text.strip() and "  " not in text and text.isascii() and text.endswith("."), text
            assert 4 <= len(text.split()) <= 60, text


def test_subset_takes_sources_first():
    stories = load_stories()
    five = stories.subset(5)
    assert five == load_stories(n_per_emotion=5)
    assert five.indices == tuple(range(5)) * 9
    assert stories.subset(1).texts == tuple(stories.sources.values())
    assert stories.subset(50) == stories


@pytest.mark.parametrize("n", [0, -1, 51])
def test_subset_names_how_many_there_are(n):
    with pytest.raises(ValueError, match=rf"n_per_emotion={n} .*50 texts"):
        load_stories().subset(n)


def test_unknown_set_names_the_known_ones():
    with pytest.raises(UnknownStorySetError, match=r"'alt6'.*'main', 'alt1'.*'arousal'"):
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


def test_valence_of_the_emotions_is_their_code():
    stories = load_stories("alt1")
    assert stories.valence == (-1, -1, -1, -1, 0, 1, 1, 1, 1)


@pytest.fixture(scope="module")
def encoder():
    """MiniLM as its authors use it: masked mean of the last layer."""
    from transformers import AutoModel, AutoTokenizer

    folder = needs_asset("all-minilm-l6-v2")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def embed(texts):
        rows = []
        for start in range(0, len(texts), 64):
            batch = tokenizer(
                list(texts[start : start + 64]), padding=True, truncation=True, return_tensors="pt"
            )
            with torch.inference_mode():
                states = model(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None]
            rows.append((states * mask).sum(1) / mask.sum(1))
        return torch.cat(rows).numpy()

    return embed, lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.assets
@pytest.mark.parametrize("emotion", EMOTIONS)
def test_every_bundled_paraphrase_passes_the_filters(encoder, emotion):
    embed, count_tokens = encoder
    stories = load_stories()
    texts = [t for t, e in zip(stories.texts, stories.emotions, strict=True) if e == emotion]
    mask = paraphrase_mask(texts[0], texts[1:], embed=embed, count_tokens=count_tokens)
    assert mask.shape == (49,) and mask.all(), np.array(texts[1:])[~mask]


@pytest.mark.assets
def test_every_text_of_every_set_is_within_the_token_bounds(encoder):
    _, count_tokens = encoder
    lengths = [count_tokens(text) for name in STORY_SETS for text in load_stories(name).texts]
    assert 5 <= min(lengths) and max(lengths) <= 80


# --- the filters

SOURCE = "one two three four five six"
DIRECTIONS = {  # cosine distance to the source in words
    SOURCE: [1, 0],
    "a copy at distance nought okay": [3, 0],  # the norm must not matter
    "a text at distance one tenth": [0.9, np.sqrt(1 - 0.81)],
    "a text that is quite far": [0, 2],
}


def embed_by_table(texts):
    return np.array([DIRECTIONS.get(" ".join(t.split()).lower(), [0, 1]) for t in texts], dtype=float)


def mask_of(candidates, **options):
    settings = dict(embed=embed_by_table, count_tokens=lambda t: len(t.split()), min_distance=0.0999)
    return paraphrase_mask(SOURCE, candidates, **(settings | options)).tolist()


def test_good_candidates_pass():
    assert mask_of(["a text that is quite far", "a text at distance one tenth"]) == [True, True]
    assert mask_of([]) == []


@pytest.mark.parametrize(
    ("bad", "cure"),
    [
        ("only four words here", dict(min_tokens=4)),
        ("word " * 81, dict(max_tokens=81)),
        ("a copy at distance nought okay", dict(min_distance=0)),
        ("a text at distance one tenth", dict(min_distance=0.09)),
        ("", dict(min_tokens=0)),
    ],
)
def test_each_filter_rejects_its_kind_and_nothing_else(bad, cure):
    good = "a text that is quite far"
    assert mask_of([bad, good], min_distance=0.11) == [False, True]
    assert mask_of([bad, good], **({"min_distance": 0.11} | cure)) == [True, True]


def test_bounds_of_the_length_are_included():
    assert mask_of(["w " * 4, "w " * 5, "v " * 80, "v " * 81]) == [False, True, True, False]


def test_duplicates_are_dropped_whatever_their_case_and_spaces():
    far = "a text that is quite far"
    assert mask_of([far, far, far.upper(), " a  text that\tis quite far ", far + "!"]) == [
        True,
        *[False] * 3,
        True,
    ]
    assert mask_of([SOURCE.upper()], min_distance=0) == [False]


def test_a_copy_of_a_rejected_text_is_judged_on_its_own():
    near = "a copy at distance nought okay"
    assert mask_of([near, near]) == [False, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(embed=lambda texts: np.ones((1, 3))), "one row per text"),
        (dict(embed=lambda texts: np.zeros((len(texts), 3))), "zero or not finite"),
        (dict(embed=lambda texts: np.full((len(texts), 3), np.nan)), "zero or not finite"),
        (dict(min_tokens=9, max_tokens=8), "got 9 and 8"),
        (dict(min_distance=2.5), "got 2.5"),
    ],
)
def test_filters_name_what_they_cannot_use(options, message):
    with pytest.raises(ValueError, match=message):
        mask_of(["a text that is quite far"], **options)


def test_a_bare_string_is_no_list_of_candidates():
    with pytest.raises(TypeError, match="wrap it in a list"):
        mask_of("a text that is quite far")


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
    texts = paraphrase(lm, SOURCE, 10, embed=embed_apart, batch_size=4, random_state=0, progress=False)
    assert len(texts) == len(set(texts)) == 10 and set(texts) <= set(GOOD)
    assert SOURCE in lm.tokenizer.prompts[0] and lm.tokenizer.prompts[0].startswith("<user>")
    assert calls[0]["temperature"] == 0.7 and calls[0]["do_sample"]


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
        paraphrase(
            lm, SOURCE, 2, embed=embed_apart, max_rounds=5, batch_size=8, random_state=0, progress=False
        )
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
    "options", [dict(n=0), dict(max_rounds=0), dict(batch_size=0), dict(temperature=0.0), dict(story="  ")]
)
def test_paraphrase_names_what_it_cannot_use(options):
    settings = dict(story=SOURCE, n=1, embed=embed_apart, progress=False) | options
    with pytest.raises(ValueError, match=r"must be positive|blank"):
        paraphrase(stub_lm(GOOD)[0], settings.pop("story"), settings.pop("n"), **settings)


def test_paraphrase_needs_a_head():
    lm, _ = stub_lm(GOOD)
    lm.causal = None
    with pytest.raises(ValueError, match="stub has no language-model head"):
        paraphrase(lm, SOURCE, 1, embed=embed_apart, progress=False)


# --- nonce words

ALL_TEXTS = [text for name in STORY_SETS for text in load_stories(name).texts]
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def is_content(word):
    forms = {word.casefold(), re.split("['’]", word.casefold())[0]}  # "else's" is a function word too
    return len(word) > 1 and not forms & FUNCTION_WORDS


def content_words(text):
    return [word for word in WORD.findall(text) if is_content(word)]


def test_nonce_is_the_same_in_every_process():
    assert nonce("Walking dogs barked loudly.") == module.nonce("Walking dogs barked loudly.")
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
    lines = (needs_asset("vader-lexicon") / "vader_lexicon.txt").read_text(encoding="utf-8").splitlines()
    rated = {line.split("\t")[0].casefold() for line in lines}
    rated = {word for word in rated if word.isalpha() and len(word) > 1}
    assert len(rated) > 6000
    assert rated & FUNCTION_WORDS <= {"no"}
    # all that can come of one syllable, and the nonsense of every rated word
    syllables = set(module._monosyllables()) - module._REAL_SYLLABLES
    possible = {syllable + ending for syllable in syllables for ending in ("", "s", "ed", "ing", "ly")}
    assert not possible & rated
    assert not {nonce(word) for word in rated - FUNCTION_WORDS} & rated


def test_the_diverse_set_holds_every_source_once():
    stories = diverse_stories()
    expected = [load_stories(name).sources[e] for e in EMOTIONS for name in STORY_SETS if name != "arousal"]
    assert list(stories.texts) == expected
    assert stories.sources == load_stories().sources
    assert len(stories) == 54 and set(stories.indices) == set(range(6))
