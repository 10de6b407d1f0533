"""One call from sentences to scores; a registry run that survives failures and interruptions."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import make_tiny_lm
from tokenizers.trainers import WordLevelTrainer

import kernel
from kernel.language import construct
from kernel.language.axis import ValenceAxis
from kernel.language.hidden import AFFECT_CUE, hidden_states
from kernel.language.models import ModelLoadError
from kernel.language.sentiment import Benchmark
from kernel.language.stories import ParaphraseError, diverse_stories

SENTENCES = {"anger": ["w1 w2 w3", "w4 w1"], "neutral": "w50 w51", "joy": ["w100 w101", "w102"]}


def toy_benchmark(name="toy", n=24, seed=0):
    rng = np.random.default_rng(seed)
    texts = tuple(f"w{i} w{(3 * i) % 198}" for i in range(n))
    return Benchmark(name, texts, np.where(np.arange(n) % 2, 1.0, -1.0) * rng.uniform(1, 3, n), "none")


@pytest.fixture
def build(tiny_lm):
    def build(lm=tiny_lm, **options):
        options = {"benchmarks": [toy_benchmark()], "cue": None, "progress": False, **options}
        return kernel.construct_valence_axis(lm, SENTENCES, **options)

    return build


def test_one_call_gives_axis_scores_and_consistency(build, tiny_lm):
    first = build()
    assert first.axis.classes_ == ("anger", "neutral", "joy")
    assert first.sentiment["benchmark"].tolist() == ["toy"]
    assert first.scores["toy"].shape == (24,)
    assert first.consistency is None
    same = build(compare_with=[first], device=tiny_lm.device)
    assert same.consistency.names == ("tiny-llama", "tiny-llama (2)")
    assert same.consistency.overall.value == pytest.approx(1)
    other = build(lm=make_tiny_lm("gpt2", seed=3), compare_with=[first])
    expected = np.corrcoef(first.scores["toy"], other.scores["toy"])[0, 1]
    assert other.consistency.names == ("tiny-gpt2", "tiny-llama")
    assert other.consistency.matrix[0, 1] == pytest.approx(expected, abs=1e-6)
    with pytest.raises(ValueError, match="scored on other texts"):
        build(lm=make_tiny_lm("gpt2", seed=3), benchmarks=[toy_benchmark(n=20)], compare_with=[first])
    others = Benchmark("toy", first.texts["toy"][::-1], toy_benchmark().ratings, "none")
    with pytest.raises(ValueError, match="scored on other texts"):
        build(benchmarks=[others], compare_with=[first])


def test_sentences_come_in_any_sequence(tiny_lm):
    options = dict(benchmarks=[], progress=False)
    expected = kernel.construct_valence_axis(tiny_lm, SENTENCES, **options).axis.positions_
    given = {name: np.array(texts) if isinstance(texts, list) else texts for name, texts in SENTENCES.items()}
    np.testing.assert_array_equal(
        kernel.construct_valence_axis(tiny_lm, given, **options).axis.positions_, expected
    )


class Reached(Exception):
    """A model was asked for."""


@pytest.fixture
def loaded(monkeypatch):
    """What a model is loaded by; nothing else may come before arguments are checked."""
    asked = []

    def load(name, device=None):
        asked.append(name)
        raise Reached

    monkeypatch.setattr(construct, "load_language_model", load)
    return asked


SCORED = construct.ValenceAxisResult("other", None, None, {}, None, {"toy": toy_benchmark().texts})
FROM_ONE = Benchmark("from 1 to 9", toy_benchmark().texts, np.linspace(1, 9, 24), "none")


@pytest.mark.parametrize(
    ("sentences", "options", "message"),
    [
        ({"joy": "w1", "fear": []}, {}, "'fear' has no sentence"),
        ({"joy": ["w1", " "], "fear": "w2"}, {}, "'joy' has no sentence in ' ': write one, or drop it"),
        ({"joy": "w1", "fear": ["w2", np.nan]}, {}, "'fear' has no sentence in nan"),
        ({"joy": None, "fear": "w2"}, {}, "'joy' has no sentence in None"),
        (
            [("joy", "w1"), ("fear", "w2")],
            {},
            r"must be a dict of two emotions or more, got \[\('joy', 'w1'",
        ),
        ({"joy": ["w1", "w2"]}, {}, r"two emotions or more, got \{'joy'"),
        ({1: "w1", 2: "w2"}, {"orient": 1}, "emotions must be names, no space at an end, got 1"),
        ({"joy ": "w1", "fear": "w2"}, {}, "got 'joy '"),
        ({"anger": "w1", "fear": "w2"}, {}, "orient must be one of anger, fear; got 'joy'"),
        (SENTENCES, {"orient": ["joy"]}, r"orient must be one of anger, joy, neutral; got \['joy'\]"),
        (SENTENCES, {"orient": {"joy": 1}}, "no two different codes"),
        (SENTENCES, {"benchmarks": "movie"}, "benchmarks must be a list, got 'movie': put it in brackets"),
        (SENTENCES, {"benchmarks": toy_benchmark()}, "benchmarks must be a list, got Benchmark"),
        (SENTENCES, {"benchmarks": ["moovie"]}, r"got 'moovie' \(did you mean movie\?\)"),
        (SENTENCES, {"benchmarks": [toy_benchmark(), toy_benchmark(seed=1)]}, "by name, holds 'toy' twice"),
        (SENTENCES, {"benchmarks": [FROM_ONE]}, "one side of zero: .* or subtract the middle of the scale"),
        (SENTENCES, {"compare_with": SCORED}, "compare_with holds 'other', which is no result: put one"),
        (SENTENCES, {"compare_with": [SCORED], "benchmarks": ()}, "other was scored on other texts"),
        (SENTENCES, {"compare_with": [SCORED._replace(texts={})], "benchmarks": ()}, "on other texts"),
        (SENTENCES, {"compare_with": [SCORED], "benchmarks": [toy_benchmark(n=20)]}, "on other texts"),
    ],
)
def test_arguments_are_checked_before_a_model_is_loaded(loaded, sentences, options, message):
    usual = {"benchmarks": [toy_benchmark()], "progress": False}
    with pytest.raises(ValueError, match=message):
        kernel.construct_valence_axis("a", sentences, **usual | options)
    if not {"benchmarks", "compare_with"} & {*options} and isinstance(sentences, dict):
        for call in (construct.story_axis, construct.axis_positions):
            with pytest.raises(ValueError, match=message):
                call("a", sentences, **options)
    assert loaded == []
    with pytest.raises(Reached):
        kernel.construct_valence_axis("a", SENTENCES, compare_with=[SCORED], **usual)


def test_a_model_may_be_a_folder_and_models_are_a_list(loaded, tmp_path):
    build = partial(kernel.construct_valence_axis, benchmarks=())
    for call in (build, construct.story_axis, construct.axis_positions):
        with pytest.raises(Reached):
            call(tmp_path / "model", SENTENCES)
    with pytest.raises(Reached):
        construct.write_stories(tmp_path / "model", ["calm"])
    assert loaded == 4 * [tmp_path / "model"]
    table = construct.run_registry([tmp_path / "model"], tmp_path / "out", progress=False, benchmarks=[])
    assert table.loc[0, "model"] == str(tmp_path / "model") == loaded[-1]
    for alone in ("SmolLM2-135M-Instruct", Path("model")):
        with pytest.raises(ValueError, match=r"models must be a list, got .*: put it in brackets"):
            construct.run_registry(alone, tmp_path)
    assert len(loaded) == 5


@pytest.mark.parametrize("layer", ["all", [3, 5], (2,), None, 1.5])
def test_an_axis_has_one_layer(layer):
    for build in (kernel.construct_valence_axis, construct.story_axis):
        with pytest.raises(ValueError, match=r"one layer, such as layer='penultimate'"):
            build("no/model", layer=layer)  # said before a model is loaded


@pytest.mark.parametrize(
    ("sentences", "options"),
    [(SENTENCES, dict(layer=0, cue=" w9")), ({"anger": "w1 w2", "joy": "w1 w2"}, dict(cue=None))],
)
def test_sentences_that_the_read_out_cannot_tell_apart_leave_no_axis(tiny_lm, sentences, options):
    with pytest.raises(ValueError, match=r"\('anger', .*'joy'\) have identical centroids"):
        kernel.construct_valence_axis(tiny_lm, sentences, benchmarks=[], progress=False, **options)


def test_a_registry_run_records_failures_and_resumes(tmp_path, monkeypatch):
    started = []

    def load(name, device):
        started.append(name)
        if name == "broken/model":
            raise ModelLoadError("gated")
        if name == "interrupted/model" and len(started) < 4:
            raise KeyboardInterrupt
        return make_tiny_lm(seed=len(name))

    monkeypatch.setattr(construct, "load_language_model", load)
    monkeypatch.setattr(construct, "diverse_stories", lambda: pytest.fail("sentences were given"))
    options = dict(emotion_sentences=SENTENCES, benchmarks=[toy_benchmark()], cue=None, progress=False)
    names = ["good/model", "broken/model", "interrupted/model"]
    with pytest.raises(KeyboardInterrupt):
        construct.run_registry(names, tmp_path, **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken--model.json", "good--model.json"]

    table = construct.run_registry(names, tmp_path, **options).set_index("model")
    assert started == [*names, "broken/model", "interrupted/model"]
    assert table.loc["broken/model", "status"] == "failed"
    assert "gated" in table.loc["broken/model", "error"]
    assert 0 <= table.loc["good/model", "auc_toy"] <= 1

    (tmp_path / "good--model.json").write_text('{"half": ')
    construct.run_registry(names, tmp_path, **options)
    assert started[5:] == ["good/model", "broken/model"]
    assert json.loads((tmp_path / "good--model.json").read_text())["status"] == "done"
    construct.run_registry(["good/model"], tmp_path, **{**options, "orient": "anger"})
    assert started[7:] == ["good/model"]


def test_a_registry_file_belongs_to_all_that_made_it(tmp_path, monkeypatch):
    started = []
    done = {"status": "done"}
    monkeypatch.setattr(construct, "_run_one", lambda name, progress, options: started.append(name) or done)
    (tmp_path / "own").mkdir()
    rated = toy_benchmark(n=2000)

    def again(**options):
        before = len(started)
        options = dict(emotion_sentences=SENTENCES, benchmarks=[rated]) | options
        construct.run_registry([str(tmp_path / "own")], tmp_path / "out", progress=False, **options)
        return len(started) > before

    assert again() and not again()
    rated.ratings[1000] += 1.0  # in the middle, which printing leaves out
    assert again() and not again()
    (tmp_path / "own" / "model.safetensors").write_bytes(b"other weights")
    assert again() and not again()
    monkeypatch.setattr(construct.files, "VERSIONS", {})
    assert again() and not again()
    assert again(orient="anger")


def test_axis_positions_are_those_of_an_axis_of_these_emotions_alone(tiny_lm):
    chosen, stories = ("joy", "fear", "neutral"), diverse_stories()
    words = WordLevelTrainer(vocab_size=200, special_tokens=["<pad>", "<unk>"], show_progress=False)
    tiny_lm.tokenizer.backend_tokenizer.train_from_iterator(stories.texts, words)
    positions = construct.axis_positions(tiny_lm, chosen)
    texts = [t for t, e in zip(stories.texts, stories.emotions, strict=True) if e in chosen]
    labels = [e for e in stories.emotions if e in chosen]
    states = hidden_states(tiny_lm, texts, "penultimate", AFFECT_CUE, progress=False)[:, 0]
    axis = ValenceAxis().fit(states, labels)
    assert positions == pytest.approx(
        dict(zip(axis.classes_, axis.positions_ / axis.positions_.std(), strict=True))
    )
    assert positions["joy"] > 0
    with pytest.raises(ValueError, match=r"emotions must be one of .* got 'glee', which has no stories"):
        construct.axis_positions(tiny_lm, ["joy", "glee"])


#: Words of the tiny model's vocabulary; each label has its own.
OWN = {"calm": ["w10 w11", "w12"], "stress": ["w60 w61", "w62"], "boredom": ["w110", "w111 w112"]}


def test_an_axis_of_ones_own_emotions_is_that_of_their_stories(tiny_lm):
    axis = construct.story_axis(tiny_lm, OWN, orient="calm", cue=None)
    texts = [text for own in OWN.values() for text in own]
    states = hidden_states(tiny_lm, texts, "penultimate", None, progress=False)[:, 0]
    expected = ValenceAxis(orient="calm").fit(states, [label for label, own in OWN.items() for _ in own])
    np.testing.assert_allclose(axis.direction_, expected.direction_, atol=1e-6)
    positions = construct.axis_positions(tiny_lm, OWN, orient="calm", cue=None)
    assert list(positions) == ["boredom", "calm", "stress"] and positions["calm"] > 0
    with pytest.raises(ValueError, match="orient must be one of boredom, calm, stress; got 'joy'"):
        construct.story_axis(tiny_lm, OWN)


@pytest.mark.parametrize("sign", [-1, 1])
def test_valence_codes_say_which_way_an_axis_points(tiny_lm, sign):
    plain = construct.axis_positions(tiny_lm, OWN, orient="calm", cue=None)
    # the positions themselves, and codes of two labels that rise or fall as these do
    for codes in (plain, {"calm": 0.0, "stress": plain["stress"] - plain["calm"]}):
        codes = {label: sign * code for label, code in codes.items()}
        turned = construct.axis_positions(tiny_lm, OWN, orient=codes, cue=None)
        assert turned == pytest.approx({label: sign * place for label, place in plain.items()}, abs=1e-5)


def test_codes_that_give_no_direction_are_named(tiny_lm):
    with pytest.raises(ValueError, match="no two different codes"):
        construct.story_axis(tiny_lm, OWN, orient={"calm": 1, "stress": 1.0}, cue=None)
    with pytest.raises(ValueError, match="orient must be one of boredom, calm, stress; got 'joy'"):
        construct.story_axis(tiny_lm, OWN, orient={"calm": 1, "joy": -1}, cue=None)
    with pytest.raises(ValueError, match="codes of orient holds NaN"):
        construct.story_axis(tiny_lm, OWN, orient={"calm": 1, "stress": np.nan}, cue=None)


def test_the_call_that_an_unknown_label_shows_works(tiny_lm, monkeypatch):
    """Stories come from the model that is asked; the same call on a model without a voice fails."""
    asked = []

    def generate(lm, story, temperature, seed):
        label = story.split()[-1].strip(".")
        asked.append(story)
        words = np.random.default_rng([seed, len(label)]).integers(0, 198, (8, 6))
        return (
            [" ".join(f"w{k}" for k in row) + "." for row in words] if label in ("stress", "calm") else [""]
        )

    monkeypatch.setattr("kernel.language.stories._generate", generate)
    monkeypatch.setattr(construct, "load_encoder", lambda device: make_tiny_lm("gpt2", device=device))
    with pytest.raises(ValueError, match="got 'stress'") as told:
        construct.story_axis("no/model", ["stress", "calm"])
    call = re.search(r"let the model write them: (story_axis\(.*\))$", str(told.value)).group(1)
    names = {"lm": tiny_lm, "story_axis": construct.story_axis}
    names["write_stories"] = partial(construct.write_stories, random_state=0, progress=False)
    axis = eval(call, names)
    assert axis.classes_ == ("calm", "stress") and axis.positions_[1] > 0
    assert set(asked) == {"Somebody feels stress.", "Somebody feels calm."}
    stories = construct.write_stories(tiny_lm, ["stress", "calm"], 3, random_state=0, progress=False)
    assert [len(set(own)) for own in stories.values()] == [3, 3]
    with pytest.raises(ParaphraseError, match="gave 0 of 3"):
        construct.write_stories(tiny_lm, ["boredom"], 3, max_rounds=2, progress=False)
